/* Near-copies in a queue are marked, and nothing else is: groups over generated sketches, and rows
 * of a real queue. All text is invented. */
#include "desk_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"
#include "desk/alike.h"
#include "triage/normalise.h"

enum { ROWS = 2000, FLOODS = 40, WORDS = 24, TEXT_BYTES = 600, SKETCHES = 64 };

static uint32_t chance_of(uint32_t *chance, uint32_t limit)
{
    *chance = *chance * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)(*chance >> 4) * limit) >> 28);
}

static size_t draw(const char *text, bool is_public, uint8_t out[static SKETCH_MAX_BYTES])
{
    struct error err = { 0 };
    struct sketcher *sketcher = sketcher_new(&err);
    struct normalised *normalised = normalised_new(&err);
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = (char *)text;
    event.is_public = is_public;
    assert_non_null(sketcher);
    assert_non_null(normalised);
    (void)normalise(normalised, text, strlen(text), 0);
    size_t length = sketcher_draw(sketcher, &event, normalised, out);
    sketcher_destroy(&sketcher);
    normalised_destroy(&normalised);
    return length;
}

/* Number words in a row, of a flood's own vocabulary: floods share no pair. */
static void flood_text(unsigned flood, char out[static TEXT_BYTES])
{
    size_t at = 0;
    uint32_t chance = flood * 7919U + 1;
    for (int i = 0; i < WORDS; i++) {
        char word[8] = "zzzzzzz";
        for (uint32_t left = flood * 4096 + chance_of(&chance, 4096), c = 0; c < 7; c++, left /= 12)
            word[c] = "bcdfghjklmnp"[left % 12];
        word[7] = '\0';
        at += (size_t)snprintf(out + at, TEXT_BYTES - at, "%s%s", i > 0 ? " " : "", word);
    }
}

static void copy_text(uint32_t *chance, const char *text, char out[static TEXT_BYTES])
{
    static const char *const before[] = { "", "hi all ", "please share ", "fyi " };
    static const char *const behind[] = { "", " please", " now", " diolch" };
    (void)snprintf(out, TEXT_BYTES, "%s%.500s%s", before[chance_of(chance, 4)], text,
                   behind[chance_of(chance, 4)]);
}

static struct alike_row *make_rows(uint32_t *chance, unsigned *floods)
{
    struct alike_row *rows = calloc(ROWS, sizeof *rows);
    char text[TEXT_BYTES];
    char copy[TEXT_BYTES];
    uint8_t bytes[SKETCH_MAX_BYTES];
    for (unsigned i = 0; i < ROWS; i++) {
        floods[i] = i % 2 == 0 ? chance_of(chance, FLOODS) : FLOODS + i; /* half are alone */
        flood_text(floods[i], text);
        copy_text(chance, text, copy);
        rows[i].has_sketch = sketch_read(bytes, draw(copy, true, bytes), &rows[i].sketch);
        assert_true(rows[i].has_sketch);
        rows[i].severity = 4;
        rows[i].at_ms = chance_of(chance, 1000); /* some at the same time */
        rows[i].event = sample_id("ev", i, 0);
    }
    return rows;
}

static bool is_older(const struct alike_row *a, const struct alike_row *b)
{
    return a->at_ms < b->at_ms ||
           (a->at_ms == b->at_ms && memcmp(a->event.bytes, b->event.bytes, ID_BYTES) < 0);
}

static void a_flood_is_a_group_and_what_is_alone_stays_alone(void **state)
{
    (void)state;
    static unsigned floods[ROWS];
    uint32_t chance = 4711;
    struct error err = { 0 };
    struct alike_row *rows = make_rows(&chance, floods);
    assert_int_equal(alike_group(rows, ROWS, &err), 0);
    for (size_t i = 0; i < ROWS; i++) {
        const struct alike_row *oldest = &rows[rows[i].group];
        assert_int_equal(floods[rows[i].group], floods[i]);
        assert_true(oldest == &rows[i] || is_older(oldest, &rows[i]));
        assert_int_equal(oldest->group, rows[i].group);
        for (size_t j = 0; j < i; j++)
            if (floods[i] == floods[j])
                assert_int_equal(rows[i].group, rows[j].group);
    }
    free(rows);
}

static void the_order_of_the_rows_changes_nothing(void **state)
{
    (void)state;
    static unsigned floods[ROWS];
    uint32_t chance = 815;
    struct error err = { 0 };
    struct alike_row *rows = make_rows(&chance, floods);
    struct alike_row *turned = calloc(ROWS, sizeof *turned);
    for (size_t i = 0; i < ROWS; i++)
        turned[i] = rows[ROWS - 1 - i];
    assert_int_equal(alike_group(rows, ROWS, &err), 0);
    assert_int_equal(alike_group(turned, ROWS, &err), 0);
    for (size_t i = 0; i < ROWS; i++)
        assert_memory_equal(rows[rows[i].group].event.bytes,
                            turned[turned[ROWS - 1 - i].group].event.bytes, ID_BYTES);
    free(rows);
    free(turned);
}

static void another_severity_or_restricted_class_is_another_group(void **state)
{
    (void)state;
    char text[TEXT_BYTES];
    uint8_t bytes[SKETCH_MAX_BYTES];
    struct error err = { 0 };
    static struct alike_row rows[5];
    flood_text(3, text);
    size_t length = draw(text, true, bytes);
    for (unsigned i = 0; i < 5; i++) {
        rows[i].has_sketch = i < 4 && sketch_read(bytes, length, &rows[i].sketch);
        rows[i].severity = i == 1 ? 5 : 4;
        rows[i].restricted = i == 2 ? 1 : 0;
        rows[i].at_ms = i;
        rows[i].event = sample_id("ev", i, 0);
    }
    assert_int_equal(alike_group(rows, 5, &err), 0);
    static const size_t groups[] = { 0, 1, 2, 0, 4 }; /* the last has no sketch */
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(rows[i].group, groups[i]);
    assert_int_equal(alike_group(rows, 0, &err), 0);
}

/* All look alike by their pairs and differ in a name: the costliest there is. */
static void a_queue_built_to_cost_time_costs_no_more_than_its_length(void **state)
{
    (void)state;
    static struct alike_row rows[ROWS];
    char text[TEXT_BYTES];
    uint8_t bytes[SKETCH_MAX_BYTES];
    struct error err = { 0 };
    flood_text(5, text);
    size_t length = draw(text, true, bytes);
    for (unsigned i = 0; i < ROWS; i++) {
        rows[i].has_sketch = sketch_read(bytes, length, &rows[i].sketch);
        rows[i].sketch.name_count = 1;
        rows[i].sketch.names[0] = (uint16_t)i;
        rows[i].severity = 4;
        rows[i].event = sample_id("ev", i, 0);
    }
    clock_t from = clock(); /* our own time: not what a busy machine gives to others */
    assert_int_equal(alike_group(rows, ROWS, &err), 0);
    assert_true(clock() - from < 3 * CLOCKS_PER_SEC); /* some 20 ms; sanitizers */
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(rows[i].group, i);
}

/* --- rows of a real queue --- */

static const char flood[] =
    "lorry on fire by the bridge and smoke everywhere please keep away from the river";

static void hear(struct desk_api *f, unsigned conversation, unsigned number, const char *text,
                 Desg__V1__RestrictedClass restricted)
{
    struct sample sample;
    uint8_t bytes[SKETCH_MAX_BYTES];
    sample_init(&sample, conversation, number, clock_unix_ms() - 60000 + number,
                DESG__V1__SEVERITY__SEVERITY_URGENT);
    sample.event.text = (char *)text;
    sample.verdict.restricted = restricted;
    sample.verdict.sketch = (ProtobufCBinaryData){ draw(text, false, bytes), bytes };
    (void)desk_api_hear(f, &sample);
}

/* How many are said to be alike in the row of this conversation; 0: no mark. -1: no such row. */
static int alike_in(struct desk_api *f, const char *agent, const char *queue, unsigned conversation,
                    char group[static ID_TEXT_BYTES])
{
    char path[64];
    char id[ID_TEXT_BYTES];
    json_t *answer = NULL;
    size_t index;
    const json_t *row;
    int count = -1;
    id_text(sample_id("co", conversation, 0).bytes, id);
    (void)snprintf(path, sizeof path, "/v1/queues/%s", queue);
    assert_int_equal(desk_api_get(f, agent, path, &answer), 200);
    json_array_foreach(json_object_get(answer, "conversations"), index, row)
    {
        const json_t *alike = json_object_get(row, "alike");
        if (strcmp(text_at(row, "conversation"), id) != 0)
            continue;
        count = (int)json_integer_value(json_object_get(alike, "count"));
        (void)snprintf(group, ID_TEXT_BYTES, "%s", text_at(alike, "group"));
    }
    json_decref(answer);
    return count;
}

static void near_copies_in_a_queue_are_marked_with_the_oldest(void **state)
{
    struct desk_api *f = *state;
    char group[ID_TEXT_BYTES];
    char oldest[ID_TEXT_BYTES];
    hear(f, 1, 1, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 2, 2,
         "hi all lorry on fire by the bridge and smoke everywhere please keep away from "
         "the river",
         DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 3, 3, "there is a light on in the shop by the market and nobody answers the door",
         DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    id_text(sample_id("ev", 1, 1).bytes, oldest);
    assert_int_equal(alike_in(f, "mair", "urgent", 1, group), 2);
    assert_string_equal(group, oldest);
    assert_int_equal(alike_in(f, "mair", "urgent", 2, group), 2);
    assert_string_equal(group, oldest);
    assert_int_equal(alike_in(f, "mair", "urgent", 3, group), 0);
    /* a claimed one is still listed, and marked */
    char id[ID_TEXT_BYTES];
    id_text(sample_id("co", 1, 0).bytes, id);
    json_decref(
        desk_api_post(f, "mair", "/v1/claims", json_pack("{s:s}", "conversation", id), 200));
    assert_int_equal(alike_in(f, "mair", "urgent", 1, group), 2);
}

static void who_says_something_else_as_well_is_not_marked(void **state)
{
    struct desk_api *f = *state;
    char group[ID_TEXT_BYTES];
    hear(f, 1, 1, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 2, 2, "my sister has not come home from the party since last night and I am afraid",
         DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 2, 3, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 3, 4, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 3, 5, "help me", DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 4, 6, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 4, 7, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE); /* twice the same */
    assert_int_equal(alike_in(f, "mair", "urgent", 1, group), 2);
    assert_int_equal(alike_in(f, "mair", "urgent", 2, group), 0);
    assert_int_equal(alike_in(f, "mair", "urgent", 3, group), 0);
    assert_int_equal(alike_in(f, "mair", "urgent", 4, group), 2);
    for (unsigned number = 8; number < 12; number++) /* more than is looked through */
        hear(f, 4, number, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    assert_int_equal(alike_in(f, "mair", "urgent", 1, group), 0);
    assert_int_equal(alike_in(f, "mair", "urgent", 4, group), 0);
}

/* Once what came before is closed, the new event alone counts. */
static void what_is_closed_does_not_count(void **state)
{
    struct desk_api *f = *state;
    char path[96];
    char id[ID_TEXT_BYTES];
    char group[ID_TEXT_BYTES];
    hear(f, 1, 1, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 2, 2, "something else altogether that was on the mind of this person before that",
         DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    id_text(sample_id("co", 2, 0).bytes, id);
    json_t *claim =
        desk_api_post(f, "mair", "/v1/claims", json_pack("{s:s}", "conversation", id), 200);
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/close", id);
    json_decref(desk_api_post(
        f, "mair", path,
        json_pack("{s:O, s:s}", "fence", json_object_get(claim, "fence"), "reason", "answered"),
        200));
    json_decref(claim);
    hear(f, 2, 3, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    assert_int_equal(alike_in(f, "mair", "urgent", 1, group), 2);
    assert_int_equal(alike_in(f, "mair", "urgent", 2, group), 2);
}

static void only_what_the_caller_may_see_is_counted(void **state)
{
    struct desk_api *f = *state;
    char group[ID_TEXT_BYTES];
    hear(f, 1, 1, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    hear(f, 2, 2, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE);
    hear(f, 3, 3, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE);
    hear(f, 4, 4, flood, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE);
    assert_int_equal(alike_in(f, "mair", "urgent", 1, group), 0);
    assert_int_equal(alike_in(f, "mair", "urgent", 2, group), -1);
    assert_int_equal(alike_in(f, "sian", "urgent", 1, group), 0);
    assert_int_equal(alike_in(f, "sian", "urgent", 2, group), 2); /* not across the classes */
    assert_int_equal(alike_in(f, "sian", "urgent", 4, group), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_is_a_group_and_what_is_alone_stays_alone),
        cmocka_unit_test(the_order_of_the_rows_changes_nothing),
        cmocka_unit_test(another_severity_or_restricted_class_is_another_group),
        cmocka_unit_test(a_queue_built_to_cost_time_costs_no_more_than_its_length),
        cmocka_unit_test_setup(near_copies_in_a_queue_are_marked_with_the_oldest, desk_api_empty),
        cmocka_unit_test_setup(who_says_something_else_as_well_is_not_marked, desk_api_empty),
        cmocka_unit_test_setup(what_is_closed_does_not_count, desk_api_empty),
        cmocka_unit_test_setup(only_what_the_caller_may_see_is_counted, desk_api_empty),
    };
    return cmocka_run_group_tests(tests, desk_api_new, desk_api_free);
}
