/* What waits for a person, what is halted, where things go, reference numbers: the desk's API over
 * a real Redis. */
#include "desk_api.h"

#include <stdio.h>
#include <string.h>

#include "clock/clock.h"
#include "ids/reference.h"
#include "outgoing.h"
#include "store/outbox.h"

enum { PATH_BYTES = 128 };

/* A published closure; its item at page is what notify says it is. */
static struct id item_at_page(struct desk_api *f, Desg__V1__SendOutcome outcome)
{
    char path[PATH_BYTES];
    struct id item = { { 0 } };
    json_t *shown = NULL;
    json_t *answer = desk_api_post(f, "nia", "/v1/broadcasts", desk_api_closure(), 200);
    char broadcast[ID_TEXT_BYTES];
    (void)snprintf(broadcast, sizeof broadcast, "%s", text_at(answer, "broadcast"));
    json_decref(answer);
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s/approval", broadcast);
    json_decref(desk_api_post(f, "owen", path, json_pack("{s:i}", "version", 1), 200));
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s/publication", broadcast);
    json_decref(desk_api_post(f, "owen", path, json_pack("{s:i}", "version", 1), 200));
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s", broadcast);
    assert_int_equal(desk_api_get(f, "owen", path, &shown), 200);
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(shown, "rows"), index,
                       row) if (strcmp(text_at(row, "outlet"), "page") == 0)
        assert_int_equal(id_parse(text_at(row, "item"), &item), 0);
    json_decref(shown);
    struct said said[2];
    struct error err = { 0 };
    char history[STORE_HISTORY_BYTES];
    int64_t now_ms = clock_unix_ms();
    said_intent(&said[0], &item, 0, 1, now_ms);
    said_result(&said[1], &item, 0, outcome, now_ms + 1, "",
                outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED);
    const Desg__V1__OutwardFact *facts[] = { &said[0].fact, &said[1].fact };
    if (store_outward_apply(f->store, facts, 2, "notify-1", history, &err) != 0)
        fail_msg("%s", err.text);
    return item;
}

static json_t *waiting(struct desk_api *f, const char *agent, const char *state)
{
    char path[PATH_BYTES];
    json_t *answer = NULL;
    (void)snprintf(path, sizeof path, "/v1/items?state=%s", state);
    assert_int_equal(desk_api_get(f, agent, path, &answer), 200);
    return answer;
}

static json_t *settle(struct desk_api *f, const char *agent, const struct id *item, const char *as,
                      unsigned status)
{
    char path[PATH_BYTES], text[ID_TEXT_BYTES];
    id_text(item->bytes, text);
    (void)snprintf(path, sizeof path, "/v1/items/%s/settlement", text);
    return desk_api_post(f, agent, path, json_pack("{s:s}", "as", as), status);
}

/* --- items --- */

static void an_unknown_item_waits_until_a_person_says(void **state)
{
    struct desk_api *f = *state;
    struct id item = item_at_page(f, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN);
    char text[ID_TEXT_BYTES];
    id_text(item.bytes, text);
    json_t *answer = waiting(f, "mair", "unknown");
    const json_t *row = json_array_get(json_object_get(answer, "items"), 0);
    assert_string_equal(text_at(row, "item"), text);
    json_decref(answer);
    json_decref(settle(f, "mair", &item, "perhaps", 422));
    json_decref(settle(f, "gwyn", &item, "there", 403));
    answer = settle(f, "mair", &item, "there", 200);
    assert_string_equal(text_at(answer, "kind"), "settled");
    assert_string_equal(text_at(answer, "as"), "there");
    json_decref(answer);
    answer = waiting(f, "mair", "unknown");
    assert_int_equal(json_array_size(json_object_get(answer, "items")), 0);
    json_decref(answer);
    json_decref(settle(f, "mair", &item, "again", 409)); /* settled is settled */
}

static void a_refused_item_is_a_task_until_done_by_hand(void **state)
{
    struct desk_api *f = *state;
    struct id item = item_at_page(f, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED);
    json_t *answer = waiting(f, "nia", "task");
    assert_int_equal(json_array_size(json_object_get(answer, "items")), 1);
    json_decref(answer);
    json_decref(settle(f, "nia", &item, "there", 409)); /* it is not there: it was refused */
    json_decref(settle(f, "nia", &item, "by-hand", 200));
    answer = waiting(f, "nia", "task");
    assert_int_equal(json_array_size(json_object_get(answer, "items")), 0);
    json_decref(answer);
}

static void items_are_asked_for_by_a_state_that_waits(void **state)
{
    struct desk_api *f = *state;
    struct id none = { { 9 } };
    assert_int_equal(desk_api_get(f, "mair", "/v1/items", NULL), 400);
    assert_int_equal(desk_api_get(f, "mair", "/v1/items?state=sent", NULL), 400);
    assert_int_equal(desk_api_get(f, "mair", "/v1/items?state=task&limit=0", NULL), 400);
    assert_int_equal(desk_api_get(f, "gwyn", "/v1/items?state=task", NULL), 403);
    json_decref(settle(f, "mair", &none, "there", 404));
}

/* --- the freeze --- */

static void a_freeze_is_shown_until_it_is_lifted(void **state)
{
    struct desk_api *f = *state;
    json_t *answer = NULL;
    json_int_t until_ms = (json_int_t)clock_unix_ms() + 60000;
    assert_int_equal(desk_api_get(f, "mair", "/v1/freeze", &answer), 200);
    assert_int_equal(json_integer_value(json_object_get(answer, "until_ms")), 0);
    json_decref(answer);
    json_decref(desk_api_post(f, "nia", "/v1/freeze/lift", NULL, 409)); /* nothing is frozen */
    json_t *body = json_pack("{s:I, s:s, s:[s, s]}", "until_ms", until_ms, "reason", "mourning",
                             "except", "feed", "facebook:1001");
    answer = desk_api_post(f, "nia", "/v1/freeze", body, 200);
    assert_string_equal(text_at(answer, "kind"), "frozen");
    json_decref(answer);
    assert_int_equal(desk_api_get(f, "mair", "/v1/freeze", &answer), 200);
    assert_int_equal(json_integer_value(json_object_get(answer, "until_ms")), until_ms);
    assert_string_equal(text_at(answer, "by"), "nia");
    assert_int_equal(json_array_size(json_object_get(answer, "except")), 2);
    json_decref(answer);
    answer = desk_api_post(f, "sian", "/v1/freeze/lift", NULL, 200);
    assert_string_equal(text_at(answer, "kind"), "freeze-lifted");
    json_decref(answer);
    assert_int_equal(desk_api_get(f, "mair", "/v1/freeze", &answer), 200);
    assert_int_equal(json_integer_value(json_object_get(answer, "until_ms")), 0);
    json_decref(answer);
}

static void a_freeze_that_would_not_do_what_it_says_is_refused(void **state)
{
    struct desk_api *f = *state;
    json_int_t now_ms = (json_int_t)clock_unix_ms();
    json_decref(desk_api_post(f, "mair", "/v1/freeze",
                              json_pack("{s:I}", "until_ms", now_ms + 60000), 403));
    json_decref(
        desk_api_post(f, "nia", "/v1/freeze", json_pack("{s:I}", "until_ms", now_ms - 1), 409));
    json_decref(desk_api_post(f, "nia", "/v1/freeze",
                              json_pack("{s:I}", "until_ms", now_ms + INT64_C(40) * 86400000),
                              422));
    json_decref(desk_api_post(
        f, "nia", "/v1/freeze",
        json_pack("{s:I, s:[s]}", "until_ms", now_ms + 60000, "except", "feeed"), 422));
    json_decref(desk_api_post(f, "nia", "/v1/freeze",
                              json_pack("{s:I, s:s}", "until_ms", now_ms + 60000, "except", "feed"),
                              422));
    json_decref(desk_api_post(f, "nia", "/v1/freeze", json_object(), 422));
}

/* --- places and reference numbers --- */

static void places_are_those_configured_and_those_that_wait(void **state)
{
    struct desk_api *f = *state;
    json_t *answer = NULL;
    (void)item_at_page(f, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER);
    free(redis_server_ask(f->server, "SADD desg:{testforce}:places outlet:gone"));
    assert_int_equal(desk_api_get(f, "mair", "/v1/places", &answer), 200);
    const json_t *places = json_object_get(answer, "places");
    static const char *const names[] = { "facebook:1001", "outlet:feed",  "outlet:gone",
                                         "outlet:page",   "outlet:short", "whatsapp:1002" };
    assert_int_equal(json_array_size(places), sizeof names / sizeof names[0]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *row = json_array_get(places, i);
        assert_string_equal(text_at(row, "place"), names[i]);
        assert_int_equal(json_is_true(json_object_get(row, "is_configured")), i != 2);
    }
    assert_int_equal(json_integer_value(json_object_get(json_array_get(places, 3), "waiting")), 1);
    json_decref(answer);
}

static void a_reference_number_leads_to_its_conversation(void **state)
{
    struct desk_api *f = *state;
    struct sample sample;
    char reference[REFERENCE_BYTES], path[PATH_BYTES], text[ID_TEXT_BYTES];
    json_t *answer = NULL;
    sample_init(&sample, 1, 1, clock_unix_ms() - 1000, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    struct id conversation = desk_api_hear(f, &sample);
    reference_write(&conversation, reference);
    id_text(conversation.bytes, text);
    (void)snprintf(path, sizeof path, "/v1/references/%s", reference);
    assert_int_equal(desk_api_get(f, "mair", path, &answer), 200);
    assert_string_equal(text_at(answer, "conversation"), text);
    json_decref(answer);
    assert_int_equal(desk_api_get(f, "nia", path, NULL), 403);
    assert_int_equal(desk_api_get(f, "mair", "/v1/references/00000-00000", NULL), 404);
    assert_int_equal(desk_api_get(f, "mair", "/v1/references/short", NULL), 404);
    sample_init(&sample, 2, 1, clock_unix_ms() - 1000, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    sample.verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE;
    conversation = desk_api_hear(f, &sample);
    reference_write(&conversation, reference);
    (void)snprintf(path, sizeof path, "/v1/references/%s", reference);
    assert_int_equal(desk_api_get(f, "mair", path, NULL), 404);
    assert_int_equal(desk_api_get(f, "sian", path, NULL), 200);
}

/* --- an emptied Redis --- */

static void an_emptied_redis_gets_the_same_items_from_the_journal(void **state)
{
    struct desk_api *f = *state;
    struct error err = { 0 };
    json_t *row = NULL;
    struct chain_head head;
    chain_head(f->chain, &head);
    struct id item = item_at_page(f, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER);
    (void)desk_api_empty(state);
    assert_int_equal(desk_api_replay(f, head.number + 1), 3);
    assert_int_equal(store_item_get(f->store, &item, &row, &err), 0);
    assert_non_null(row);
    assert_string_equal(text_at(row, "place"), "outlet:page");
    json_decref(row);
}

#define WITH(test) cmocka_unit_test_setup(test, desk_api_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(an_unknown_item_waits_until_a_person_says),
        WITH(a_refused_item_is_a_task_until_done_by_hand),
        WITH(items_are_asked_for_by_a_state_that_waits),
        WITH(a_freeze_is_shown_until_it_is_lifted),
        WITH(a_freeze_that_would_not_do_what_it_says_is_refused),
        WITH(places_are_those_configured_and_those_that_wait),
        WITH(a_reference_number_leads_to_its_conversation),
        WITH(an_emptied_redis_gets_the_same_items_from_the_journal),
    };
    return cmocka_run_group_tests(tests, desk_api_new, desk_api_free);
}
