/* In which language a person wants to be written to: said by a person, kept, shown. */
#include "desk_api.h"

#include <stdio.h>
#include <string.h>

#include "clock/clock.h"

enum { PATH_BYTES = 96 };

static void hear(struct desk_api *f, Desg__V1__RestrictedClass restricted,
                 char path[static PATH_BYTES])
{
    struct sample sample;
    char id[ID_TEXT_BYTES];
    sample_init(&sample, 1, 1, clock_unix_ms(), DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    sample.verdict.restricted = restricted;
    struct id conversation = desk_api_hear(f, &sample);
    id_text(conversation.bytes, id);
    (void)snprintf(path, PATH_BYTES, "/v1/conversations/%s/language", id);
}

static json_t *wish(struct desk_api *f, const char *agent, const char *path, const char *language,
                    unsigned status)
{
    return desk_api_post(f, agent, path, json_pack("{s:s}", "language", language), status);
}

/* "language_wish" of the conversation, and of its row in the queue. */
static void assert_shown(struct desk_api *f, const char *path, const char *expected)
{
    char conversation[PATH_BYTES];
    json_t *answer = NULL;
    (void)snprintf(conversation, sizeof conversation, "%.*s",
                   (int)(strlen(path) - strlen("/language")), path);
    assert_int_equal(desk_api_get(f, "mair", conversation, &answer), 200);
    assert_string_equal(text_at(answer, "language_wish"), expected);
    json_decref(answer);
    assert_int_equal(desk_api_get(f, "mair", "/v1/queues/general", &answer), 200);
    assert_string_equal(
        text_at(json_array_get(json_object_get(answer, "conversations"), 0), "language_wish"),
        expected);
    json_decref(answer);
}

static void a_wish_is_shown_until_another_takes_its_place(void **state)
{
    struct desk_api *f = *state;
    char path[PATH_BYTES];
    hear(f, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE, path);
    assert_shown(f, path, "");
    json_t *answer = wish(f, "mair", path, "cy", 200); /* without a claim */
    assert_string_equal(text_at(answer, "kind"), "language-wished");
    assert_string_equal(text_at(answer, "language"), "cy");
    json_decref(answer);
    assert_shown(f, path, "cy");
    json_decref(wish(f, "sian", path, "both", 200));
    assert_shown(f, path, "both");
    json_decref(wish(f, "mair", path, "none", 200));
    assert_shown(f, path, "");
    assert_int_equal(desk_api_facts(f, "language-wished"), 3);
}

static void only_a_language_we_have_is_taken_and_only_from_the_desk(void **state)
{
    struct desk_api *f = *state;
    char path[PATH_BYTES];
    hear(f, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE, path);
    size_t before = desk_api_facts(f, "language-wished");
    json_decref(wish(f, "mair", path, "fr", 422));
    json_decref(wish(f, "mair", path, "", 422));
    json_decref(desk_api_post(f, "mair", path, json_object(), 422));
    json_decref(
        desk_api_post(f, "mair", path, json_pack("{s:s, s:i}", "language", "cy", "x", 1), 422));
    json_decref(wish(f, "gwyn", path, "cy", 403));
    json_decref(wish(f, "nia", path, "cy", 403));
    assert_shown(f, path, "");
    assert_int_equal(desk_api_facts(f, "language-wished"), before);
    (void)desk_api_empty(state);
    hear(f, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE, path);
    json_decref(wish(f, "mair", path, "cy", 404)); /* not there, for her */
    json_decref(wish(f, "sian", path, "cy", 200));
}

static void a_repeat_is_the_same_wish_and_a_key_is_for_one(void **state)
{
    struct desk_api *f = *state;
    char path[PATH_BYTES];
    json_t *first = NULL, *again = NULL;
    hear(f, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE, path);
    json_t *body = json_pack("{s:s}", "language", "cy");
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "a-key-of-mine", body, &first), 200);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "a-key-of-mine", body, &again), 200);
    assert_true(json_equal(first, again));
    json_decref(again);
    desk_api_forget(f);
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "a-key-of-mine", body, &again), 200);
    assert_true(json_equal(first, again));
    (void)json_object_set_new(body, "language", json_string("en"));
    assert_int_equal(desk_api_ask(f, "mair", "POST", path, "a-key-of-mine", body, NULL), 422);
    assert_shown(f, path, "cy");
    json_decref(first);
    json_decref(again);
    json_decref(body);
}

static void a_wish_survives_an_emptied_redis(void **state)
{
    struct desk_api *f = *state;
    char path[PATH_BYTES];
    hear(f, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE, path);
    json_decref(wish(f, "mair", path, "en", 200));
    json_decref(wish(f, "mair", path, "cy", 200));
    (void)desk_api_empty(state);
    assert_true(desk_api_replay(f, 1) > 1); /* the facts first, then the event */
    hear(f, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE, path);
    assert_shown(f, path, "cy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_wish_is_shown_until_another_takes_its_place, desk_api_empty),
        cmocka_unit_test_setup(only_a_language_we_have_is_taken_and_only_from_the_desk,
                               desk_api_empty),
        cmocka_unit_test_setup(a_repeat_is_the_same_wish_and_a_key_is_for_one, desk_api_empty),
        cmocka_unit_test_setup(a_wish_survives_an_emptied_redis, desk_api_empty),
    };
    return cmocka_run_group_tests(tests, desk_api_new, desk_api_free);
}
