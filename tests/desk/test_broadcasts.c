/* Broadcasts at the desk's API, over a real Redis: who may do what, what is refused, what is said
 * of it. */
#include "desk_api.h"

#include <stdio.h>
#include <string.h>

#include "clock/clock.h"
#include "desk/broadcast_like.h"
#include "outward/broadcast.h"
#include "store/outbox.h"

enum { PATH_BYTES = 128 };

struct drafted {
    char id[ID_TEXT_BYTES];
    struct id parsed;
};

static struct drafted draft(struct desk_api *f, const char *agent)
{
    struct drafted drafted = { .id = "" };
    json_t *answer = desk_api_post(f, agent, "/v1/broadcasts", desk_api_closure(), 200);
    assert_string_equal(text_at(answer, "kind"), "drafted");
    assert_string_equal(text_at(answer, "state"), "draft");
    assert_int_equal(json_integer_value(json_object_get(answer, "version")), 1);
    assert_null(json_object_get(answer, "content"));
    (void)snprintf(drafted.id, sizeof drafted.id, "%s", text_at(answer, "broadcast"));
    assert_int_equal(id_parse(drafted.id, &drafted.parsed), 0);
    assert_string_equal(text_at(answer, "fact"), drafted.id);
    json_decref(answer);
    return drafted;
}

static json_t *decide(struct desk_api *f, const char *agent, const struct drafted *drafted,
                      const char *what, json_t *body, unsigned status)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s/%s", drafted->id, what);
    return desk_api_post(f, agent, path, body, status);
}

static json_t *version(int number)
{
    return json_pack("{s:i}", "version", number);
}

static json_t *show(struct desk_api *f, const struct drafted *drafted)
{
    char path[PATH_BYTES];
    json_t *answer = NULL;
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s", drafted->id);
    assert_int_equal(desk_api_get(f, "mair", path, &answer), 200);
    return answer;
}

/* --- the way of one --- */

static void a_broadcast_goes_from_draft_to_cancelled(void **state)
{
    struct desk_api *f = *state;
    struct drafted drafted = draft(f, "nia");
    json_t *answer = decide(f, "owen", &drafted, "approval", version(1), 200);
    assert_string_equal(text_at(answer, "state"), "approved");
    json_decref(answer);
    answer = decide(f, "nia", &drafted, "publication", version(1), 200);
    assert_string_equal(text_at(answer, "state"), "published");
    json_decref(answer);
    answer = show(f, &drafted);
    assert_int_equal(json_array_size(json_object_get(answer, "rows")), 2);
    const json_t *row = json_array_get(json_object_get(answer, "rows"), 0);
    assert_string_equal(text_at(row, "state"), "queued");
    assert_string_equal(text_at(row, "action"), "post");
    assert_null(json_object_get(answer, "bytes"));
    const json_t *content = json_object_get(answer, "content");
    assert_string_equal(text_at(content, "author"), "nia");
    assert_string_equal(text_at(json_object_get(content, "cy"), "headline"),
                        "Ffordd ddychmygol ar gau");
    json_decref(answer);
    answer = decide(f, "owen", &drafted, "cancellation",
                    json_pack("{s:s}", "reason", "another road"), 200);
    assert_string_equal(text_at(answer, "state"), "cancelled");
    json_decref(answer);
    answer =
        decide(f, "owen", &drafted, "cancellation", json_pack("{s:s}", "reason", "again"), 409);
    assert_string_equal(text_at(json_object_get(answer, "broadcast"), "state"), "cancelled");
    json_decref(answer);
}

static void an_update_is_another_version_to_be_approved(void **state)
{
    struct desk_api *f = *state;
    struct drafted drafted = draft(f, "nia");
    json_decref(decide(f, "owen", &drafted, "approval", version(1), 200));
    json_decref(decide(f, "owen", &drafted, "publication", version(1), 200));
    json_t *answer = decide(f, "owen", &drafted, "versions", desk_api_closure(), 200);
    assert_int_equal(json_integer_value(json_object_get(answer, "version")), 2);
    assert_string_equal(text_at(answer, "broadcast"), drafted.id);
    assert_int_equal(json_array_size(json_object_get(answer, "similar")), 0); /* not like itself */
    json_decref(answer);
    json_decref(decide(f, "owen", &drafted, "approval", version(2), 409));    /* its author */
    json_decref(decide(f, "owen", &drafted, "publication", version(2), 409)); /* not approved */
    json_decref(decide(f, "nia", &drafted, "approval", version(1), 409)); /* version 2 is newer */
    json_decref(decide(f, "nia", &drafted, "approval", version(2), 200));
    json_decref(decide(f, "nia", &drafted, "publication", version(2), 200));
    answer = show(f, &drafted);
    assert_int_equal(json_integer_value(json_object_get(answer, "published_version")), 2);
    json_decref(answer);
}

static void its_author_approves_only_where_no_second_is_needed(void **state)
{
    struct desk_api *f = *state;
    struct drafted drafted = draft(f, "nia");
    json_t *answer = decide(f, "nia", &drafted, "approval", version(1), 409);
    assert_non_null(strstr(text_at(answer, "detail"), "author"));
    json_decref(answer);
    *f->outward->approval.needs_second = false;
    json_decref(decide(f, "nia", &drafted, "approval", version(1), 200));
    *f->outward->approval.needs_second = true;
}

/* --- who may --- */

static void roles_say_who_speaks_and_who_looks(void **state)
{
    struct desk_api *f = *state;
    json_t *body = desk_api_closure();
    struct drafted drafted = draft(f, "sian");
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s", drafted.id);
    assert_int_equal(desk_api_ask(f, "mair", "POST", "/v1/broadcasts", NULL, body, NULL), 403);
    assert_int_equal(desk_api_ask(f, "gwyn", "POST", "/v1/broadcasts", NULL, body, NULL), 403);
    assert_int_equal(desk_api_ask(f, "nobody", "POST", "/v1/broadcasts", NULL, body, NULL), 401);
    assert_int_equal(desk_api_get(f, "gwyn", path, NULL), 403);
    assert_int_equal(desk_api_get(f, "mair", path, NULL), 200);
    assert_int_equal(desk_api_get(f, "mair", "/v1/broadcasts?state=draft&limit=5", NULL), 200);
    assert_int_equal(desk_api_get(f, "mair", "/v1/broadcasts?state=nonsense", NULL), 400);
    json_decref(body);
    json_decref(decide(f, "mair", &drafted, "approval", version(1), 403));
}

/* --- what is refused --- */

static bool has_line(const json_t *answer, const char *word)
{
    size_t index;
    const json_t *line;
    json_array_foreach(json_object_get(answer, "problems"), index,
                       line) if (strstr(json_string_value(line), word)) return true;
    return false;
}

static void all_that_is_wrong_is_said_at_once(void **state)
{
    struct desk_api *f = *state;
    size_t facts = desk_api_facts(f, "drafted");
    json_t *body = desk_api_closure();
    (void)json_object_del(body, "cy");
    (void)json_object_set_new(body, "expires_at_ms", json_integer(5));
    (void)json_object_set_new(body, "outlets", json_pack("[s]", "nowhere"));
    json_t *answer = desk_api_post(f, "nia", "/v1/broadcasts", body, 422);
    assert_true(has_line(answer, "cy.headline"));
    assert_true(has_line(answer, "expires_at_ms"));
    assert_true(has_line(answer, "outlets[0]") || has_line(answer, "outlet"));
    json_decref(answer);
    assert_int_equal(desk_api_facts(f, "drafted"), facts); /* nothing was journalled */
    body = desk_api_closure();
    (void)json_object_set_new(body, "colour", json_string("red"));
    answer = desk_api_post(f, "nia", "/v1/broadcasts", body, 422);
    assert_true(has_line(answer, "colour"));
    json_decref(answer);
}

static void without_welsh_it_is_whoever_drafts_who_says_so(void **state)
{
    struct desk_api *f = *state;
    json_t *body = desk_api_closure();
    (void)json_object_del(body, "cy");
    (void)json_object_set_new(body, "welsh_owed",
                              json_pack("{s:s, s:s, s:I}", "by", "somebody else", "reason",
                                        "translator on the way", "due_at_ms",
                                        (json_int_t)clock_unix_ms() + 3600000));
    json_t *answer = desk_api_post(f, "nia", "/v1/broadcasts", body, 200);
    struct drafted drafted = { .id = "" };
    (void)snprintf(drafted.id, sizeof drafted.id, "%s", text_at(answer, "broadcast"));
    json_decref(answer);
    answer = show(f, &drafted);
    assert_string_equal(
        text_at(json_object_get(json_object_get(answer, "content"), "welsh_owed"), "by"), "nia");
    json_decref(answer);
    json_decref(decide(f, "owen", &drafted, "approval", version(1), 200));
    json_decref(decide(f, "owen", &drafted, "publication", version(1), 200));
    assert_int_equal(desk_api_get(f, "mair", "/v1/items?state=task", &answer), 200);
    const json_t *task = json_array_get(json_object_get(answer, "items"), 0);
    assert_string_equal(text_at(task, "kind"), "welsh-owed");
    assert_string_equal(text_at(task, "broadcast"), drafted.id);
    json_decref(answer);
}

static void what_is_not_there_is_absent(void **state)
{
    struct desk_api *f = *state;
    const struct drafted none = { .id = "00112233445566778899aabbccddeeff" };
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s", none.id);
    assert_int_equal(desk_api_get(f, "nia", path, NULL), 404);
    json_decref(decide(f, "nia", &none, "approval", version(1), 404));
    json_decref(decide(f, "nia", &none, "versions", desk_api_closure(), 404));
    json_decref(decide(f, "nia", &none, "publication", version(0), 422));
    json_decref(decide(f, "nia", &none, "cancellation", json_object(), 422));
}

/* --- a key and its change --- */

static void a_key_drafts_once_and_nothing_else(void **state)
{
    struct desk_api *f = *state;
    json_t *body = desk_api_closure();
    json_t *first = NULL, *second = NULL;
    assert_int_equal(
        desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-of-a-draft", body, &first), 200);
    assert_int_equal(
        desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-of-a-draft", body, &second), 200);
    assert_string_equal(text_at(first, "broadcast"), text_at(second, "broadcast"));
    json_decref(second);
    desk_api_forget(f); /* now it is Redis that knows the key */
    assert_int_equal(
        desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-of-a-draft", body, &second), 200);
    assert_string_equal(text_at(first, "broadcast"), text_at(second, "broadcast"));
    json_decref(second);
    char *name = f->outward->outlets[0].name; /* later it is not fit any more */
    f->outward->outlets[0].name = (char *)"gone";
    desk_api_forget(f);
    assert_int_equal(desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-of-a-draft", body, NULL),
                     200);
    assert_int_equal(desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-of-another", body, NULL),
                     422);
    f->outward->outlets[0].name = name;
    (void)json_object_set_new(body, "road", json_string("A40"));
    assert_int_equal(desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-of-a-draft", body, NULL),
                     422);
    assert_int_equal(
        desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key with blanks", body, NULL), 400);
    json_decref(first);
    json_decref(body);
}

/* --- the same said twice --- */

static void what_says_much_the_same_is_pointed_out(void **state)
{
    struct desk_api *f = *state;
    struct drafted first = draft(f, "nia");
    json_t *answer = desk_api_post(f, "owen", "/v1/broadcasts", desk_api_closure(), 200);
    const json_t *like = json_array_get(json_object_get(answer, "similar"), 0);
    assert_string_equal(text_at(like, "broadcast"), first.id);
    assert_true(json_number_value(json_object_get(like, "likeness")) > 0.9);
    json_decref(answer);
    answer = desk_api_post(f, "owen", "/v1/broadcasts/preview", desk_api_closure(), 200);
    assert_int_equal(json_array_size(json_object_get(answer, "similar")), 2);
    json_decref(answer);
    answer = show(f, &first);
    assert_int_equal(json_array_size(json_object_get(answer, "similar")), 1);
    json_decref(answer);
    json_t *other = desk_api_closure();
    (void)json_object_set_new(other, "en",
                              json_pack("{s:s, s:s, s:s}", "headline", "Ice expected tonight",
                                        "text", "Drive with care on high ground.", "area",
                                        "Hills"));
    (void)json_object_set_new(other, "cy",
                              json_pack("{s:s, s:s, s:s}", "headline", "Disgwyl rhew heno", "text",
                                        "Gyrrwch yn ofalus ar dir uchel.", "area", "Bryniau"));
    answer = desk_api_post(f, "owen", "/v1/broadcasts/preview", other, 200);
    assert_int_equal(json_array_size(json_object_get(answer, "similar")), 0);
    json_decref(answer);
}

static void either_language_makes_two_alike(void **state)
{
    (void)state;
    struct error err = { 0 };
    json_t *body = desk_api_closure();
    Desg__V1__Broadcast *one = broadcast_from_json(body, &err);
    (void)json_object_del(body, "en");
    Desg__V1__Broadcast *welsh = broadcast_from_json(body, &err);
    (void)json_object_del(body, "cy");
    Desg__V1__Broadcast *silent = broadcast_from_json(body, &err);
    assert_true(broadcast_likeness(one, welsh) > 0.99);
    assert_true(broadcast_likeness(one, silent) < 0.01);
    desg__v1__broadcast__free_unpacked(one, NULL);
    desg__v1__broadcast__free_unpacked(welsh, NULL);
    desg__v1__broadcast__free_unpacked(silent, NULL);
    json_decref(body);
}

/* --- preview --- */

static void a_preview_decides_nothing_and_says_what_is_too_long(void **state)
{
    struct desk_api *f = *state;
    json_t *body = desk_api_closure();
    char text[700];
    memset(text, 'a', sizeof text - 1);
    for (size_t i = 7; i < sizeof text - 1; i += 8)
        text[i] = ' ';
    text[sizeof text - 1] = '\0';
    (void)json_object_set_new(json_object_get(body, "en"), "text", json_string(text));
    (void)json_object_set_new(body, "outlets", json_pack("[s, s]", "short", "page"));
    json_t *answer = desk_api_post(f, "nia", "/v1/broadcasts/preview", body, 200);
    const json_t *outlets = json_object_get(answer, "outlets");
    assert_int_equal(json_array_size(outlets), 2);
    assert_true(*text_at(json_array_get(outlets, 0), "problem") != '\0');
    assert_true(*text_at(json_array_get(outlets, 1), "problem") == '\0');
    assert_true(json_array_size(json_object_get(json_array_get(outlets, 1), "posts")) > 0);
    assert_true(json_array_size(json_object_get(answer, "problems")) > 0);
    json_decref(answer);
    assert_int_equal(desk_api_get(f, "nia", "/v1/broadcasts", &answer), 200);
    assert_int_equal(json_array_size(json_object_get(answer, "broadcasts")), 0);
    json_decref(answer);
}

/* --- when Redis is away --- */

static void away_is_503_and_the_same_key_settles_it(void **state)
{
    struct desk_api *f = *state;
    json_t *body = desk_api_closure();
    redis_server_kill(f->server);
    assert_int_equal(desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-while-away", body, NULL),
                     503);
    redis_server_start(f->server);
    int64_t ends_ms = clock_monotonic_ms() + 30000;
    unsigned status = 503;
    while (status == 503 && clock_monotonic_ms() < ends_ms)
        status = desk_api_ask(f, "nia", "POST", "/v1/broadcasts", "key-while-away", body, NULL);
    assert_int_equal(status, 200);
    json_decref(body);
}

#define WITH(test) cmocka_unit_test_setup(test, desk_api_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_broadcast_goes_from_draft_to_cancelled),
        WITH(an_update_is_another_version_to_be_approved),
        WITH(its_author_approves_only_where_no_second_is_needed),
        WITH(roles_say_who_speaks_and_who_looks),
        WITH(all_that_is_wrong_is_said_at_once),
        WITH(without_welsh_it_is_whoever_drafts_who_says_so),
        WITH(what_is_not_there_is_absent),
        WITH(a_key_drafts_once_and_nothing_else),
        WITH(what_says_much_the_same_is_pointed_out),
        WITH(either_language_makes_two_alike),
        WITH(a_preview_decides_nothing_and_says_what_is_too_long),
        WITH(away_is_503_and_the_same_key_settles_it),
    };
    return cmocka_run_group_tests(tests, desk_api_new, desk_api_free);
}
