/* The audit chain over a real journal, and what a verifier makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/audit_chain.h"
#include "clock/clock.h"
#include "desk/chain.h"

enum { WRITERS = 4, FACTS_EACH = 50, DAY_MS = 24 * 3600 * 1000 };

struct fixture {
    char directory[64];
    struct metrics *metrics;
    struct journal *journal;
    struct chain *chain;
};

static void open_with(struct fixture *f, int64_t retention_ms)
{
    struct error err = { 0 };
    const struct journal_options options = { .directory = f->directory,
                                             .max_bytes = 8 << 20,
                                             .retention_ms = retention_ms,
                                             .metrics = f->metrics };
    f->journal = journal_open(&options, &err);
    if (!f->journal)
        fail_msg("%s", err.text);
    const struct chain_options chain = { .journal = f->journal,
                                         .retention_ms = retention_ms,
                                         .metrics = f->metrics };
    f->chain = chain_new(&chain, &err);
    if (!f->chain)
        fail_msg("%s", err.text);
}

static void open_all(struct fixture *f)
{
    open_with(f, DAY_MS);
}

static void close_all(struct fixture *f)
{
    chain_destroy(&f->chain);
    journal_close(&f->journal);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-chain-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->metrics = metrics_new();
    open_all(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    close_all(f);
    metrics_destroy(&f->metrics);
    (void)snprintf(command, sizeof command, "rm -rf %s", f->directory);
    int rc = system(command); /* NOLINT(cert-env33-c): a folder this test made */
    free(f);
    return rc;
}

static uint8_t *pack_note(const char *agent, const char *text, size_t *length)
{
    struct id id = id_random();
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Noted noted = DESG__V1__NOTED__INIT;
    noted.text = (char *)text;
    fact.id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
    fact.agent = (char *)agent;
    fact.at_ms = clock_unix_ms();
    fact.what_case = DESG__V1__FACT__WHAT_NOTED;
    fact.noted = &noted;
    *length = desg__v1__fact__get_packed_size(&fact);
    uint8_t *bytes = malloc(*length);
    assert_non_null(bytes);
    (void)desg__v1__fact__pack(&fact, bytes);
    return bytes;
}

static void note(struct fixture *f, const char *text)
{
    struct error err = { 0 };
    size_t length = 0;
    uint64_t sequence = 0;
    uint8_t *bytes = pack_note("dai", text, &length);
    if (chain_append(f->chain, bytes, length, &sequence, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(sequence > 0);
    free(bytes);
}

/* --- as /v1/audit shows it --- */

static json_t *row_of(const uint8_t *bytes, size_t length)
{
    char *hex = malloc(2 * length + 1);
    assert_non_null(hex);
    crypto_hex(bytes, length, hex);
    json_t *row = json_pack("{s:s, s:i}", "record", hex, "sequence", 1);
    free(hex);
    return row;
}

struct reading {
    json_t *rows;
    uint64_t from;
};

static bool add_row(void *arg, const struct chain_link *link)
{
    struct reading *reading = arg;
    if (link->bytes && link->record->number < reading->from)
        return true;
    (void)json_array_append_new(reading->rows, link->bytes
                                                   ? row_of(link->bytes, link->length)
                                                   : json_pack("{s:b, s:i}", "damaged", 1,
                                                               "sequence", (int)link->sequence));
    return true;
}

static json_t *read_rows(struct fixture *f, uint64_t from)
{
    struct error err = { 0 };
    struct reading reading = { .rows = json_array(), .from = from };
    if (chain_read(f->chain, from, add_row, &reading, &err) != 0)
        fail_msg("%s", err.text);
    return reading.rows;
}

/* Takes rows over; the break, or NULL. Freed by the caller. */
static char *verify(json_t *rows, const struct chain_head *head)
{
    struct id source = { { 1 } };
    char hash[2 * CRYPTO_SHA256_BYTES + 1];
    struct audit_chain *chain = audit_chain_new("desk", &source);
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row) audit_chain_add(chain, row);
    crypto_hex(head->hash, sizeof head->hash, hash);
    json_t *told = json_pack("{s:I, s:s}", "number", (json_int_t)head->number, "hash", hash);
    audit_chain_end(chain, told);
    json_t *verdict = audit_chain_describe(chain);
    const char *problem = json_string_value(json_object_get(verdict, "break"));
    char *copy = problem ? strdup(problem) : NULL;
    assert_int_equal(audit_chain_is_whole(chain), problem == NULL);
    json_decref(verdict);
    json_decref(told);
    json_decref(rows);
    audit_chain_destroy(&chain);
    return copy;
}

static struct chain_head head_of(struct fixture *f)
{
    struct chain_head head;
    chain_head(f->chain, &head);
    return head;
}

static void assert_whole(struct fixture *f)
{
    struct chain_head head = head_of(f);
    char *problem = verify(read_rows(f, 0), &head);
    if (problem)
        fail_msg("%s", problem);
}

static void assert_broken(json_t *rows, const struct chain_head *head, const char *says)
{
    char *problem = verify(rows, head);
    if (!problem || !strstr(problem, says))
        fail_msg("'%s' does not say '%s'", problem ? problem : "whole", says);
    free(problem);
}

/* --- tests --- */

static void goes_on_over_restarts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(head_of(f).number, 0);
    note(f, "one");
    note(f, "two");
    struct chain_head before = head_of(f);
    assert_int_equal(before.number, 2);
    close_all(f);
    open_all(f);
    struct chain_head after = head_of(f);
    assert_memory_equal(&before, &after, sizeof before);
    note(f, "three");
    assert_int_equal(head_of(f).number, 3);
    assert_whole(f);
}

static void *write_some(void *arg)
{
    struct fixture *f = arg;
    for (int i = 0; i < FACTS_EACH; i++)
        note(f, "at the same time");
    return NULL;
}

static void many_writers_make_one_chain(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, f), 0);
    for (size_t i = 0; i < WRITERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(head_of(f).number, WRITERS * FACTS_EACH);
    assert_whole(f);
    assert_true(chain_is_idle(f->chain));
}

static void is_read_from_any_number(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++)
        note(f, "x");
    for (uint64_t from = 0; from <= 41; from++) {
        json_t *rows = read_rows(f, from);
        size_t expected = from == 0 ? 40 : 41 - from;
        assert_int_equal(json_array_size(rows), expected);
        json_decref(rows);
    }
}

static void a_changed_byte_is_found(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        note(f, "what was said");
    struct chain_head head = head_of(f);
    json_t *rows = read_rows(f, 0);
    char *hex = strdup(json_string_value(json_object_get(json_array_get(rows, 2), "record")));
    size_t last = strlen(hex) - 1; /* in the note's text: the record still parses */
    hex[last] = hex[last] == '0' ? '1' : '0';
    (void)json_object_set_new(json_array_get(rows, 2), "record", json_string(hex));
    free(hex);
    assert_broken(rows, &head, "record 4 does not carry the hash of record 3");
}

static void a_missing_one_a_cut_and_a_hole_are_found(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        note(f, "x");
    struct chain_head head = head_of(f);
    json_t *rows = read_rows(f, 0);
    (void)json_array_remove(rows, 1);
    assert_broken(rows, &head, "record 3 follows record 1");
    rows = read_rows(f, 0);
    (void)json_array_remove(rows, 4);
    assert_broken(rows, &head, "it ends at record 4");
    rows = read_rows(f, 0);
    (void)json_array_set_new(rows, 2, json_pack("{s:b, s:i}", "damaged", 1, "sequence", 7));
    assert_broken(rows, &head, "place 7 of the journal");
    rows = read_rows(f, 0);
    (void)json_array_remove(rows, 0); /* older than is kept: not a break */
    (void)json_array_remove(rows, 0);
    char *problem = verify(rows, &head);
    assert_null(problem);
}

static void a_damaged_end_is_an_alarm_and_the_chain_goes_on(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    note(f, "one");
    assert_int_equal(journal_append(f->journal, CHAIN_RECORD_KIND, "\xff\xff\xff no group", 12,
                                    NULL, NULL, &err),
                     0);
    close_all(f);
    open_all(f);
    assert_int_equal(head_of(f).number, 1);
    struct gauge *damaged =
        metrics_gauge(f->metrics, "desg_desk_audit_damaged_records", "", "as in chain.c");
    assert_int_equal(gauge_value(damaged), 1);
    note(f, "two");
    struct chain_head head = head_of(f);
    assert_int_equal(head.number, 2);
    assert_broken(read_rows(f, 0), &head, "cannot be read");
}

static void the_old_goes_but_never_the_last(void **state)
{
    struct fixture *f = *state;
    struct journal_stats stats;
    int64_t ends_ms = clock_monotonic_ms() + 20000;
    for (int i = 0; i < 5; i++)
        note(f, "x");
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.released_sequence, 0);
    uint64_t last = stats.newest_sequence;
    close_all(f);
    open_with(f, 1);
    do
        journal_stats(f->journal, &stats);
    while (stats.released_sequence + 1 < last && clock_monotonic_ms() < ends_ms);
    assert_int_equal(stats.released_sequence + 1, last);
    close_all(f);
    open_all(f);
    assert_int_equal(head_of(f).number, 5);
    note(f, "y");
    struct chain_head head = head_of(f);
    assert_int_equal(head.number, 6);
    assert_null(verify(read_rows(f, 0), &head));
}

static void what_desks_saw_of_each_other_counts(void **state)
{
    struct fixture *f = *state;
    struct id sources[2] = { { { 1 } }, { { 2 } } };
    for (int i = 0; i < 3; i++)
        note(f, "x");
    struct chain_head head = head_of(f);
    json_t *rows = read_rows(f, 0);
    /* The other desk's only record says that it saw this one's record 3, or another, or a later. */
    for (int turn = 0; turn < 3; turn++) {
        Desg__V1__Head seen = DESG__V1__HEAD__INIT;
        Desg__V1__Head *pointer = &seen;
        Desg__V1__Heads heads = DESG__V1__HEADS__INIT;
        Desg__V1__Fact fact = DESG__V1__FACT__INIT;
        Desg__V1__AuditRecord record = DESG__V1__AUDIT_RECORD__INIT;
        uint8_t packed[512], bytes[512], zeros[CRYPTO_SHA256_BYTES] = { 0 };
        struct chain_head told = head;
        told.hash[0] ^= turn == 1;
        seen.source = (ProtobufCBinaryData){ ID_BYTES, sources[0].bytes };
        seen.number = turn == 2 ? 4 : 3;
        seen.hash = (ProtobufCBinaryData){ sizeof told.hash, told.hash };
        heads.n_heads = 1;
        heads.heads = &pointer;
        fact.what_case = DESG__V1__FACT__WHAT_HEADS;
        fact.heads = &heads;
        record.number = 1;
        record.previous = (ProtobufCBinaryData){ sizeof zeros, zeros };
        record.fact = (ProtobufCBinaryData){ desg__v1__fact__pack(&fact, packed), packed };
        size_t length = desg__v1__audit_record__pack(&record, bytes);
        struct audit_chain *chains[2] = { audit_chain_new("a", &sources[0]),
                                          audit_chain_new("b", &sources[1]) };
        size_t index, unread = 9;
        const json_t *row;
        json_array_foreach(rows, index, row) audit_chain_add(chains[0], row);
        json_t *other = row_of(bytes, length);
        audit_chain_add(chains[1], other);
        json_decref(other);
        audit_chains_compare(chains, 2, &unread);
        assert_int_equal(unread, 0);
        assert_int_equal(audit_chain_is_whole(chains[0]), turn == 0);
        assert_true(audit_chain_is_whole(chains[1]));
        audit_chains_compare(&chains[1], 1, &unread);
        assert_int_equal(unread, 1);
        audit_chain_destroy(&chains[0]);
        audit_chain_destroy(&chains[1]);
    }
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(goes_on_over_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_writers_make_one_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_read_from_any_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_byte_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_one_a_cut_and_a_hole_are_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_end_is_an_alarm_and_the_chain_goes_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_old_goes_but_never_the_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_desks_saw_of_each_other_counts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
