/* Facts through a real journal and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "courier.h"
#include "notify/alert_journal.h"

static const struct ladder_step LADDER[] = { { 60, LADDER_AGAIN }, { 120, LADDER_SUPERVISOR } };

struct fixture {
    char directory[64];
    struct metrics *metrics;
    struct journal *journal;
    struct alert_book *book;
    int64_t now_ms;
    struct rebuild known;
};

static void open_journal(struct fixture *f)
{
    struct error err = { 0 };
    const struct journal_options options = { .directory = f->directory,
                                             .max_bytes = 8 << 20,
                                             .retention_ms = 3600000,
                                             .metrics = f->metrics };
    f->journal = journal_open(&options, &err);
    if (!f->journal)
        fail_msg("%s", err.text);
}

static struct alert_book *new_book(void)
{
    const struct alert_book_options options = { .ladder = LADDER,
                                                .ladder_count = 2,
                                                .has_second_path = true,
                                                .retention_ms = 3600000,
                                                .seed = 3 };
    return alert_book_new(&options);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-facts-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->metrics = metrics_new();
    f->now_ms = clock_monotonic_ms();
    f->book = new_book();
    open_journal(f);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_close(&f->journal);
    alert_book_destroy(&f->book);
    metrics_destroy(&f->metrics);
    (void)nftw(f->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* Closes the journal (all is committed then), opens it and reads it into a new book. */
static struct alert_replay replay(struct fixture *f)
{
    struct error err = { 0 };
    struct alert_replay replayed;
    journal_close(&f->journal);
    open_journal(f);
    alert_book_destroy(&f->book);
    f->book = new_book();
    f->now_ms = clock_monotonic_ms();
    if (alert_journal_replay(f->journal, f->book, &f->known, f->now_ms, clock_unix_ms(), &replayed,
                             &err) != 0)
        fail_msg("%s", err.text);
    return replayed;
}

static void put_alert(struct fixture *f, const struct courier_alert *alert)
{
    struct error err = { 0 };
    assert_int_equal(alert_journal_alert(f->journal, &alert->alert, NULL, NULL, &err), 0);
}

static void put_accepted(struct fixture *f, const struct courier_alert *alert, enum alert_body body,
                         uint32_t number)
{
    struct error err = { 0 };
    char key[ALERT_KEY_BYTES];
    alert_key(body, &alert->id, number, key);
    Desg__V1__AlertAccepted accepted = DESG__V1__ALERT_ACCEPTED__INIT;
    accepted.alert_id = alert->alert.alert_id;
    accepted.key = key;
    assert_int_equal(alert_journal_accepted(f->journal, &accepted, &err), 0);
}

static void facts_come_back_as_the_same_state(void **state)
{
    struct fixture *f = *state;
    struct courier_alert open;
    struct courier_alert done;
    struct error err = { 0 };
    courier_alert_init(&open, 1, 5);
    courier_alert_init(&done, 2, 0);
    put_alert(f, &open);
    put_alert(f, &done);
    put_accepted(f, &done, ALERT_RAISED, 0);
    Desg__V1__AlertAttempt attempt = DESG__V1__ALERT_ATTEMPT__INIT;
    attempt.alert_id = open.alert.alert_id;
    assert_int_equal(alert_journal_attempt(f->journal, &attempt, &err), 0);
    Desg__V1__AlertAcknowledged acknowledged = DESG__V1__ALERT_ACKNOWLEDGED__INIT;
    acknowledged.alert_id = done.alert.alert_id;
    acknowledged.outcome = (char *)"unit sent";
    assert_int_equal(alert_journal_acknowledged(f->journal, &acknowledged, NULL, NULL, &err), 0);
    Desg__V1__AlertEscalated escalated = DESG__V1__ALERT_ESCALATED__INIT;
    escalated.alert_id = open.alert.alert_id;
    escalated.step = 2;
    escalated.action = (char *)"supervisor";
    assert_int_equal(alert_journal_escalated(f->journal, &escalated, &err), 0);

    struct alert_replay replayed = replay(f);
    assert_int_equal(replayed.records, 6);
    assert_int_equal(replayed.unknown, 0);
    const struct alert_entry *entry = alert_book_find(f->book, &open.id);
    assert_true(entry->is_live && entry->is_escalated && entry->is_life_at_risk);
    assert_int_equal(entry->storage, ALERT_STORED);
    assert_int_equal(entry->sequence, replayed.newest_sequence - 5);
    assert_int_equal(entry->alert->event.len, open.alert.event.len);
    assert_memory_equal(entry->alert->event.data, open.alert.event.data, open.alert.event.len);
    entry = alert_book_find(f->book, &done.id);
    assert_int_equal(entry->state, ALERT_RESOLVED);
    assert_false(entry->is_live);
}

static void records_of_another_kind_or_form_are_passed_over(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    struct error err = { 0 };
    assert_int_equal(journal_append(f->journal, 77, "newer", 5, NULL, NULL, &err), 0);
    assert_int_equal(
        journal_append(f->journal, ALERT_JOURNAL_KIND, "\xFF\xFF", 2, NULL, NULL, &err), 0);
    courier_alert_init(&alert, 1, 4);
    put_alert(f, &alert);
    struct alert_replay replayed = replay(f);
    assert_int_equal(replayed.records, 3);
    assert_int_equal(replayed.unknown, 2);
    assert_non_null(alert_book_find(f->book, &alert.id));
}

static void sources_heard_of_are_known_to_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    const struct id own = { { 1 } };
    const struct id other = { { 2 } };
    rebuild_init(&f->known, &own);
    assert_int_equal(alert_journal_source(f->journal, &other, &err), 0);
    assert_int_equal(alert_journal_source(f->journal, &other, &err), 0); /* an hour later */
    assert_int_equal(journal_append(f->journal, SOURCE_JOURNAL_KIND, "short", 5, NULL, NULL, &err),
                     0);
    struct alert_replay replayed = replay(f);
    assert_int_equal(replayed.records, 3);
    assert_int_equal(replayed.unknown, 1);
    assert_int_equal(f->known.count, 2);
    assert_memory_equal(f->known.sources[1].id.bytes, other.bytes, ID_BYTES);
}

static void many_pages_are_read(void **state)
{
    enum { ALERTS = 700 };
    struct fixture *f = *state;
    struct courier_alert alert;
    for (uint32_t n = 1; n <= ALERTS; n++) {
        courier_alert_init(&alert, n, 4);
        put_alert(f, &alert);
    }
    assert_int_equal(replay(f).records, ALERTS);
    struct alert_counts counts;
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.unaccepted, ALERTS);
}

static void on_carried(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    (void)sequence;
    if (outcome == JOURNAL_STORED)
        (void)atomic_fetch_add((atomic_uint *)arg, 1);
}

/* What is carried forward must mean the same alone, without its first records. */
static void a_carried_alert_stands_alone(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    struct error err = { 0 };
    courier_alert_init(&alert, 1, 4);
    put_alert(f, &alert);
    put_accepted(f, &alert, ALERT_RAISED, 0);
    put_accepted(f, &alert, ALERT_UPDATED, 1);
    Desg__V1__AlertEscalated escalated = DESG__V1__ALERT_ESCALATED__INIT;
    escalated.alert_id = alert.alert.alert_id;
    escalated.step = 1;
    escalated.action = (char *)"again";
    assert_int_equal(alert_journal_escalated(f->journal, &escalated, &err), 0);
    put_accepted(f, &alert, ALERT_REMINDER, 1);
    (void)replay(f);

    char other_directory[64];
    memcpy(other_directory, f->directory, sizeof other_directory);
    journal_close(&f->journal);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-facts-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    open_journal(f);
    atomic_uint stored = 0;
    unsigned records = 0;
    assert_int_equal(alert_journal_carry(f->journal, alert_book_find(f->book, &alert.id),
                                         clock_unix_ms(), on_carried, &stored, &records, &err),
                     0);
    assert_int_equal(records, 5);
    (void)replay(f); /* closing commits */
    assert_int_equal(stored, records);
    const struct alert_entry *entry = alert_book_find(f->book, &alert.id);
    assert_int_equal(entry->state, ALERT_ACCEPTED);
    assert_int_equal(entry->steps_taken, 1);
    struct alert_post post;
    assert_false(alert_book_next_post(f->book, f->now_ms, &post)); /* nothing is sent twice */
    (void)nftw(other_directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(facts_come_back_as_the_same_state),
        T(records_of_another_kind_or_form_are_passed_over),
        T(sources_heard_of_are_known_to_the_next_start),
        T(many_pages_are_read),
        T(a_carried_alert_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
