/* Which account answers a person, and whether it may now: from a conversation as Redis has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "desk/reply_window.h"

static const int64_t now_ms = INT64_C(1790000000000);
static const int64_t hour_ms = INT64_C(3600) * 1000;

static struct outward_account accounts[] = {
    { .channel = (char *)"facebook", .account = (char *)"1001", .has_human_agent = true },
    { .channel = (char *)"x", .account = (char *)"3001" },
};
static const struct outward_config config = { .accounts = accounts, .accounts_count = 2 };

static json_t *event(const char *id, const char *kind, const char *channel, const char *account,
                     int64_t at_ms)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:b}", "event", id, "kind", kind, "channel",
                     channel, "account", account, "platform_time_ms", (json_int_t)at_ms,
                     "is_public", 0);
}

/* Takes the event over. */
static json_t *conversation(json_t *one, int64_t last_ms)
{
    return json_pack("{s:[o], s:I}", "events", one, "last_person_at_ms", (json_int_t)last_ms);
}

static const char first[] = "00000000000000000000000000000001";

static bool window_at(int64_t age_ms, struct reply_window *out)
{
    json_t *shown =
        conversation(event(first, "message", "facebook", "1001", now_ms - age_ms), now_ms - age_ms);
    bool is_found = reply_window_of(&config, shown, NULL, now_ms, out);
    json_decref(shown);
    return is_found;
}

static void a_window_opens_turns_and_closes(void **state)
{
    (void)state;
    struct reply_window way;
    assert_true(window_at(hour_ms, &way));
    assert_int_equal(way.window.state, WINDOW_OPEN);
    assert_true(window_at(24 * hour_ms, &way));
    assert_int_equal(way.window.state, WINDOW_HUMAN);
    assert_true(reply_window_is_open(&way));
    assert_true(window_at(168 * hour_ms, &way));
    assert_false(reply_window_is_open(&way));
    json_t *json = reply_window_json(&way);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "closed");
    assert_null(json_object_get(json, "until_ms"));
    assert_non_null(strstr(json_string_value(json_object_get(json, "explanation")), "telephone"));
    json_decref(json);
}

static void for_ever_has_no_end(void **state)
{
    (void)state;
    struct reply_window way;
    json_t *shown =
        conversation(event(first, "message", "x", "3001", now_ms - 9000 * hour_ms), now_ms);
    assert_true(reply_window_of(&config, shown, NULL, now_ms, &way));
    json_t *json = reply_window_json(&way);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "open");
    assert_null(json_object_get(json, "until_ms"));
    json_decref(json);
    json_decref(shown);
}

static void an_account_that_is_not_ours_is_closed_and_says_so(void **state)
{
    (void)state;
    struct reply_window way;
    json_t *shown = conversation(event(first, "message", "facebook", "7", now_ms), now_ms);
    assert_true(reply_window_of(&config, shown, NULL, now_ms, &way));
    assert_false(reply_window_is_open(&way));
    json_t *json = reply_window_json(&way);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "closed");
    assert_null(json_object_get(json, "until_ms"));
    json_decref(json);
    json_decref(shown);
}

static void what_is_no_private_word_has_no_window(void **state)
{
    (void)state;
    struct reply_window way;
    struct id other = { { 5 } };
    json_t *shown = conversation(event(first, "comment", "facebook", "1001", now_ms), 0);
    assert_false(reply_window_of(&config, shown, NULL, now_ms, &way));
    json_decref(shown);
    json_t *public_word = event(first, "message", "facebook", "1001", now_ms);
    (void)json_object_set_new(public_word, "is_public", json_true());
    shown = conversation(public_word, now_ms);
    assert_false(reply_window_of(&config, shown, NULL, now_ms, &way));
    json_decref(shown);
    shown = conversation(event(first, "message", "facebook", "1001", now_ms), now_ms);
    assert_false(reply_window_of(&config, shown, &other, now_ms, &way));
    json_decref(shown);
    json_t *nothing = json_object();
    assert_false(reply_window_of(&config, nothing, NULL, now_ms, &way));
    json_decref(nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_opens_turns_and_closes),
        cmocka_unit_test(for_ever_has_no_end),
        cmocka_unit_test(an_account_that_is_not_ours_is_closed_and_says_so),
        cmocka_unit_test(what_is_no_private_word_has_no_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
