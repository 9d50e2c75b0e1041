/* Answers to people at the desk's API, over a real Redis: what may go, what is refused, what is
 * said of it. */
#include "desk_api.h"

#include <stdio.h>
#include <string.h>

#include "clock/clock.h"
#include "store/outbox.h"

enum { PATH_BYTES = 128 };
static const int64_t hour_ms = INT64_C(3600) * 1000;

/* A message that came age_ms ago. */
static struct id hear(struct desk_api *f, unsigned conversation, unsigned number, int64_t age_ms,
                      void (*change)(struct sample *))
{
    struct sample sample;
    sample_init(&sample, conversation, number, clock_unix_ms() - age_ms,
                DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    if (change)
        change(&sample);
    return desk_api_hear(f, &sample);
}

static void from_elsewhere(struct sample *sample)
{
    sample->event.account = (char *)"9999";
}

static void in_public(struct sample *sample)
{
    sample->event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_COMMENT;
    sample->event.is_public = true;
}

static void on_whatsapp(struct sample *sample)
{
    sample->event.channel = (char *)"whatsapp";
    sample->event.account = (char *)"1002";
}

static void as_restricted(struct sample *sample)
{
    sample->verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
}

static void path_of(const struct id *id, const char *first, const char *rest, char out[PATH_BYTES])
{
    char text[ID_TEXT_BYTES];
    id_text(id->bytes, text);
    (void)snprintf(out, PATH_BYTES, "/v1/%s/%s%s", first, text, rest);
}

static json_int_t claim(struct desk_api *f, const char *agent, const struct id *conversation)
{
    char text[ID_TEXT_BYTES];
    id_text(conversation->bytes, text);
    json_t *answer =
        desk_api_post(f, agent, "/v1/claims", json_pack("{s:s}", "conversation", text), 200);
    json_int_t fence = json_integer_value(json_object_get(answer, "fence"));
    json_decref(answer);
    return fence;
}

static json_t *words(json_int_t fence, const char *text)
{
    return json_pack("{s:I, s:s}", "fence", fence, "text", text);
}

static json_t *reply(struct desk_api *f, const char *agent, const struct id *conversation,
                     json_t *body, unsigned status)
{
    char path[PATH_BYTES];
    path_of(conversation, "conversations", "/replies", path);
    return desk_api_post(f, agent, path, body, status);
}

/* --- taken --- */

static void a_reply_is_addressed_waits_and_shows(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, NULL);
    char path[PATH_BYTES], item[ID_TEXT_BYTES];
    json_t *shown = NULL;
    json_t *answer =
        reply(f, "mair", &conversation,
              words(claim(f, "mair", &conversation), "Thank you.\nWe will look."), 200);
    assert_string_equal(text_at(answer, "kind"), "replied");
    assert_string_equal(text_at(answer, "place"), "facebook:1001");
    assert_string_equal(text_at(answer, "item"), text_at(answer, "fact"));
    assert_string_equal(text_at(json_object_get(answer, "window"), "state"), "open");
    assert_int_equal(json_integer_value(json_object_get(answer, "parts")), 1);
    assert_null(json_object_get(answer, "text"));
    (void)snprintf(item, sizeof item, "%s", text_at(answer, "item"));
    json_decref(answer);
    (void)snprintf(path, sizeof path, "/v1/items/%s", item);
    assert_int_equal(desk_api_get(f, "mair", path, &shown), 200);
    assert_string_equal(text_at(shown, "state"), "queued");
    assert_null(json_object_get(shown, "text"));
    json_decref(shown);
    path_of(&conversation, "conversations", "", path);
    assert_int_equal(desk_api_get(f, "mair", path, &shown), 200);
    const json_t *window = json_object_get(shown, "window");
    assert_string_equal(text_at(window, "state"), "open");
    assert_true(json_integer_value(json_object_get(window, "human_until_ms")) >
                json_integer_value(json_object_get(window, "until_ms")));
    assert_int_equal(strlen(text_at(shown, "reference")), 11);
    const json_t *facts = json_object_get(shown, "facts");
    const json_t *last = json_array_get(facts, json_array_size(facts) - 1);
    assert_string_equal(text_at(json_object_get(last, "item"), "state"), "queued");
    json_decref(shown);
}

static void between_a_day_and_a_week_a_person_may_still_answer(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 30 * hour_ms, NULL);
    json_t *answer = reply(f, "mair", &conversation,
                           words(claim(f, "mair", &conversation), "Sorry for the wait."), 200);
    assert_string_equal(text_at(json_object_get(answer, "window"), "state"), "human");
    json_decref(answer);
}

static void a_long_text_says_in_how_many_parts(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, NULL);
    json_int_t fence = claim(f, "mair", &conversation);
    char text[30000];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = "A sentence of the answer. "[i % 26];
    text[sizeof text - 1] = '\0';
    json_decref(reply(f, "mair", &conversation, words(fence, text), 422)); /* some 16 */
    text[5000] = '\0';
    json_t *answer = reply(f, "mair", &conversation, words(fence, text), 200);
    assert_int_equal(json_integer_value(json_object_get(answer, "parts")), 3);
    json_decref(answer);
}

/* --- refused --- */

static void a_closed_window_names_other_ways(void **state)
{
    struct desk_api *f = *state;
    struct id late = hear(f, 1, 1, 200 * hour_ms, NULL);
    struct id whatsapp = hear(f, 2, 1, 25 * hour_ms, on_whatsapp);
    json_t *answer = reply(f, "mair", &late, words(claim(f, "mair", &late), "Too late."), 409);
    assert_string_equal(text_at(answer, "type"), "urn:desg:problem:window");
    assert_string_equal(text_at(json_object_get(answer, "window"), "state"), "closed");
    assert_non_null(strstr(text_at(answer, "remedy"), "telephone"));
    json_decref(answer);
    answer = reply(f, "mair", &whatsapp, words(claim(f, "mair", &whatsapp), "Too late."), 409);
    assert_non_null(strstr(text_at(answer, "remedy"), "template"));
    json_decref(answer);
    assert_int_equal(redis_server_number(f->server, "EXISTS desg:{testforce}:outbox:facebook:1001"),
                     0);
}

static void an_account_nobody_sends_for_is_said_at_once(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, from_elsewhere);
    json_t *answer =
        reply(f, "mair", &conversation, words(claim(f, "mair", &conversation), "Hello."), 409);
    assert_non_null(strstr(text_at(answer, "remedy"), "outward.accounts"));
    json_decref(answer);
}

static void what_was_said_in_public_is_answered_elsewhere(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, in_public);
    char event[ID_TEXT_BYTES];
    struct id named = sample_id("ev", 1, 1);
    id_text(named.bytes, event);
    json_t *body = words(claim(f, "mair", &conversation), "Hello.");
    (void)json_object_set_new(body, "event", json_string(event));
    json_t *answer = reply(f, "mair", &conversation, body, 409);
    assert_non_null(strstr(text_at(answer, "detail"), "public"));
    json_decref(answer);
}

static void a_stale_claim_and_news_are_refused_with_how_it_is_now(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, NULL);
    json_int_t fence = claim(f, "mair", &conversation);
    json_t *answer = reply(f, "sian", &conversation, words(fence, "Mine."), 409);
    assert_string_equal(text_at(json_object_get(answer, "current"), "owner"), "mair");
    json_decref(answer);
    json_decref(reply(f, "mair", &conversation, words(fence + 1, "Hello."), 409));
    (void)hear(f, 1, 2, 1000, NULL);
    answer = reply(f, "mair", &conversation, words(fence, "Hello."), 409);
    assert_non_null(strstr(text_at(answer, "detail"), "newer"));
    json_decref(answer);
    char event[ID_TEXT_BYTES];
    struct id seen = sample_id("ev", 1, 2);
    id_text(seen.bytes, event);
    json_t *body = words(fence, "Hello.");
    (void)json_object_set_new(body, "last_event", json_string(event));
    json_decref(reply(f, "mair", &conversation, body, 200));
}

static void a_text_has_words_and_no_control_characters(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, NULL);
    json_int_t fence = claim(f, "mair", &conversation);
    json_decref(reply(f, "mair", &conversation, words(fence, ""), 422));
    json_decref(reply(f, "mair", &conversation, words(fence, " \n\t "), 422));
    json_decref(reply(f, "mair", &conversation, words(fence, "ring\x07ring"), 422));
    json_decref(reply(f, "mair", &conversation, json_pack("{s:s}", "text", "no fence"), 422));
    json_decref(reply(f, "nia", &conversation, words(fence, "Hello."), 403));
}

/* --- what a caller may not see --- */

static void restricted_is_absent_for_replies_and_items(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, as_restricted);
    char path[PATH_BYTES];
    json_t *answer = NULL;
    json_decref(reply(f, "mair", &conversation, words(1, "Hello."), 404));
    answer = reply(f, "sian", &conversation, words(claim(f, "sian", &conversation), "Hello."), 200);
    (void)snprintf(path, sizeof path, "/v1/items/%s", text_at(answer, "item"));
    json_decref(answer);
    assert_int_equal(desk_api_get(f, "mair", path, NULL), 404);
    assert_int_equal(desk_api_get(f, "nia", path, NULL), 404);
    assert_int_equal(desk_api_get(f, "sian", path, NULL), 200);
    (void)strcat(path, "/settlement");
    json_decref(desk_api_post(f, "mair", path, json_pack("{s:s}", "as", "there"), 404));
    json_decref(desk_api_post(f, "sian", path, json_pack("{s:s}", "as", "there"), 409));
}

static size_t waiting_for(struct desk_api *f, const char *agent)
{
    json_t *answer = NULL;
    assert_int_equal(desk_api_get(f, agent, "/v1/items?state=unknown", &answer), 200);
    size_t count = json_array_size(json_object_get(answer, "items"));
    json_decref(answer);
    return count;
}

static void expect_seen(struct desk_api *f, const char *agent, const struct id *conversation,
                        const char *item, bool is_seen)
{
    char paths[4][PATH_BYTES], text[ID_TEXT_BYTES];
    id_text(conversation->bytes, text);
    path_of(conversation, "conversations", "", paths[0]);
    path_of(conversation, "trace", "", paths[1]);
    (void)snprintf(paths[2], sizeof paths[2], "/v1/items/%s", item);
    (void)snprintf(paths[3], sizeof paths[3], "/v1/trace/%s", item);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if ((desk_api_get(f, agent, paths[i], NULL) == 200) != is_seen)
            fail_msg("%s %s %s", agent, is_seen ? "does not see" : "sees", paths[i]);
    assert_int_equal(waiting_for(f, agent), is_seen ? 1 : 0);
}

static void replied_then_emptied(void **state, void (*change)(struct sample *), struct id *out,
                                 char item[static ID_TEXT_BYTES])
{
    struct desk_api *f = *state;
    struct chain_head head;
    chain_head(f->chain, &head);
    *out = hear(f, 1, 1, 60000, change);
    json_t *answer = reply(f, "sian", out, words(claim(f, "sian", out), "Hello."), 200);
    (void)snprintf(item, ID_TEXT_BYTES, "%s", text_at(answer, "item"));
    json_decref(answer);
    (void)desk_api_empty(state);
    assert_int_equal(desk_api_replay(f, head.number + 1), 2); /* claimed, replied */
}

/* Into an emptied Redis what people said may come back before what it was said to: until the events
 * are there, nobody knows that they are not restricted. */
static void nothing_is_seen_of_a_conversation_whose_events_are_not_back(void **state)
{
    struct desk_api *f = *state;
    struct id conversation;
    char item[ID_TEXT_BYTES];
    replied_then_emptied(state, as_restricted, &conversation, item);
    expect_seen(f, "mair", &conversation, item, false);
    assert_int_equal(waiting_for(f, "sian"), 1);
    (void)hear(f, 1, 1, 60000, as_restricted);
    expect_seen(f, "mair", &conversation, item, false);
    expect_seen(f, "sian", &conversation, item, true);
}

static void once_its_events_are_back_all_see_again_what_all_may_see(void **state)
{
    struct desk_api *f = *state;
    struct id conversation;
    char item[ID_TEXT_BYTES];
    replied_then_emptied(state, NULL, &conversation, item);
    expect_seen(f, "mair", &conversation, item, false);
    (void)hear(f, 1, 1, 60000, NULL);
    expect_seen(f, "mair", &conversation, item, true);
}

/* --- a key --- */

/* As if the account were not ours any more. */
static void close_account(struct desk_api *f, bool is_closed)
{
    f->outward->accounts[0].account[0] = is_closed ? '9' : '1';
}

static void a_key_sends_one_reply(void **state)
{
    struct desk_api *f = *state;
    struct id conversation = hear(f, 1, 1, 60000, NULL);
    char path[PATH_BYTES];
    json_t *first = NULL, *second = NULL;
    json_int_t fence = claim(f, "mair", &conversation);
    json_t *body = words(fence, "Hello.");
    json_t *other = words(fence, "Goodbye.");
    path_of(&conversation, "conversations", "/replies", path);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "key-of-a-reply", body, &first), 200);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "key-of-a-reply", body, &second), 200);
    assert_string_equal(text_at(first, "item"), text_at(second, "item"));
    assert_int_equal(json_integer_value(json_object_get(second, "parts")), 1);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "key-of-a-reply", other, NULL), 422);
    desk_api_forget(f);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "key-of-a-reply", other, NULL), 422);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "key-of-a-reply", body, NULL), 200);
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:facebook:1001"),
                     1);
    close_account(f, true); /* later, when it could not be written any more */
    desk_api_forget(f);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "key-of-a-reply", body, NULL), 200);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "key-of-another", body, NULL), 409);
    close_account(f, false);
    json_decref(first);
    json_decref(second);
    json_decref(body);
    json_decref(other);
}

#define WITH(test) cmocka_unit_test_setup(test, desk_api_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_reply_is_addressed_waits_and_shows),
        WITH(between_a_day_and_a_week_a_person_may_still_answer),
        WITH(a_long_text_says_in_how_many_parts),
        WITH(a_closed_window_names_other_ways),
        WITH(an_account_nobody_sends_for_is_said_at_once),
        WITH(what_was_said_in_public_is_answered_elsewhere),
        WITH(a_stale_claim_and_news_are_refused_with_how_it_is_now),
        WITH(a_text_has_words_and_no_control_characters),
        WITH(restricted_is_absent_for_replies_and_items),
        WITH(nothing_is_seen_of_a_conversation_whose_events_are_not_back),
        WITH(once_its_events_are_back_all_see_again_what_all_may_see),
        WITH(a_key_sends_one_reply),
    };
    return cmocka_run_group_tests(tests, desk_api_new, desk_api_free);
}
