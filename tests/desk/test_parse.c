/* What strangers send, taken apart: routes, queries, keys, bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "desk/api.h"
#include "desk/http_strict.h"

#define ID "00112233445566778899aabbccddeeff"

struct fixture {
    struct http_request request;
    struct http_answer answer;
    struct api_call call;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->request.body = "";
    f->call.request = &f->request;
    f->call.answer = &f->answer;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    json_decref(f->call.body);
    free(f->answer.body);
    free(f);
    return 0;
}

static void finds_routes_and_what_they_name(void **state)
{
    struct fixture *f = *state;
    const char *allow = NULL;
    assert_int_equal(api_match("GET", "/v1/queues", &f->call, &allow), 0);
    assert_int_equal(api_match("GET", "/v1/queues/urgent-review", &f->call, &allow), 0);
    assert_string_equal(f->call.name, "urgent-review");
    assert_int_equal(api_match("POST", "/v1/conversations/" ID "/close", &f->call, &allow), 0);
    assert_int_equal(f->call.id.bytes[1], 0x11);
    assert_int_equal(api_match("DELETE", "/v1/queues", &f->call, &allow), 405);
    assert_string_equal(allow, "GET");
    assert_int_equal(api_match("GET", "/v1/conversations/" ID "/close", &f->call, &allow), 405);
    assert_string_equal(allow, "POST");
}

static void refuses_other_paths(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {
        "",
        "/",
        "/v1",
        "/v1/",
        "/v1/queues/",
        "/v2/queues",
        "/v1/queues/a/b",
        "/v1/queues/a%2fb",
        "/v1/conversations/" ID "/",
        "/v1/conversations/" ID "0",
        "/v1/conversations/0011",
        "/v1/conversations//close",
        "/v1/conversations/" ID "/closed",
        "/v1/queues/../alerts",
        "/v1/conversations/zz112233445566778899aabbccddeeff",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *allow = NULL;
        if (api_match("GET", paths[i], &f->call, &allow) != 404)
            fail_msg("'%s' was taken", paths[i]);
    }
}

static void takes_known_query_parameters_once(void **state)
{
    struct fixture *f = *state;
    const char *allow = NULL;
    assert_int_equal(api_match("GET", "/v1/alerts", &f->call, &allow), 0);
    f->request.query_count = 2;
    f->request.query[0] = (struct http_query){ (char *)"limit", (char *)"7" };
    f->request.query[1] = (struct http_query){ (char *)"state", (char *)"all" };
    assert_true(api_check_query(&f->call, &f->answer));
    size_t limit = 0;
    assert_true(api_limit(&f->call, 100, &limit));
    assert_int_equal(limit, 7);
    assert_string_equal(api_query(&f->call, "state"), "all");
    static const char *const names[] = { "limit", "lim", "mit", " ", "", "limit state", "unknown" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        f->request.query[1].name = (char *)names[i];
        if (api_check_query(&f->call, &f->answer))
            fail_msg("'%s' was taken", names[i]);
        assert_int_equal(f->answer.status, 400);
    }
    static const char *const limits[] = { "0", "101", "-1", "1x", "", "9999999999999999999" };
    f->request.query_count = 1;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        f->request.query[0].value = (char *)limits[i];
        assert_false(api_limit(&f->call, 100, &limit));
        assert_int_equal(limit, 7);
    }
}

static void a_change_needs_a_key(void **state)
{
    struct fixture *f = *state;
    const char *allow = NULL;
    assert_int_equal(api_match("POST", "/v1/claims", &f->call, &allow), 0);
    static const char *const bad[] = { NULL,          "",
                                       "short",       "with a blank",
                                       "tab\tinside", "caf\xc3\xa9-caf" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        f->request.idempotency_key = bad[i];
        assert_false(api_check_key(&f->call, &f->answer));
        assert_int_equal(f->answer.status, 400);
    }
    char key[API_KEY_MAX_BYTES + 2];
    memset(key, 'k', sizeof key);
    key[API_KEY_MAX_BYTES + 1] = '\0';
    f->request.idempotency_key = key;
    assert_false(api_check_key(&f->call, &f->answer));
    key[API_KEY_MAX_BYTES] = '\0';
    assert_true(api_check_key(&f->call, &f->answer));
    assert_string_equal(f->call.key, key);
    assert_int_equal(api_match("GET", "/v1/alerts", &f->call, &allow), 0);
    f->request.idempotency_key = NULL;
    assert_true(api_check_key(&f->call, &f->answer));
}

static bool parse(struct fixture *f, const char *body)
{
    json_decref(f->call.body);
    f->call.body = NULL;
    f->request.body = body;
    f->request.body_bytes = strlen(body);
    return api_parse_body(&f->call);
}

static void takes_one_object_and_no_other_body(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, ""));
    assert_true(parse(f, "{}"));
    static const char *const bad[] = {
        "[]", "1", "\"x\"", "{", "{}{}", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "null"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(f, bad[i]))
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(f->answer.status, 400);
    }
}

static void members_are_checked(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "fence", "text", "id", "severity" };
    const char *text = NULL;
    uint64_t fence = 0;
    struct id id;
    bool is_given = false;
    Desg__V1__Severity severity = DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
    assert_true(parse(f, "{\"fence\":1790000000123,\"text\":\"ok\",\"id\":\"" ID
                         "\",\"severity\":\"life-at-risk\"}"));
    assert_true(body_check_names(&f->call, names, 4));
    assert_false(body_check_names(&f->call, names, 3));
    assert_int_equal(f->answer.status, 422);
    assert_true(body_fence(&f->call, &fence) && fence == 1790000000123);
    assert_true(body_text(&f->call, "text", 1, 2, &text) && strcmp(text, "ok") == 0);
    assert_false(body_text(&f->call, "text", 1, 1, &text));
    assert_false(body_text(&f->call, "text", 3, 9, &text));
    assert_false(body_text(&f->call, "nothing", 1, 9, &text));
    assert_true(body_text(&f->call, "nothing", 0, 9, &text) && !text);
    assert_true(body_id(&f->call, "id", true, &id, &is_given) && is_given);
    assert_false(body_id(&f->call, "text", false, &id, &is_given));
    assert_true(body_id(&f->call, "nothing", false, &id, &is_given) && !is_given);
    assert_false(body_id(&f->call, "nothing", true, &id, &is_given));
    assert_true(body_severity(&f->call, "severity", &severity));
    assert_int_equal(severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_false(body_severity(&f->call, "text", &severity));
    static const char *const fences[] = { "{}", "{\"fence\":0}", "{\"fence\":-1}",
                                          "{\"fence\":\"1\"}", "{\"fence\":1.5}" };
    for (size_t i = 0; i < sizeof fences / sizeof fences[0]; i++) {
        assert_true(parse(f, fences[i]));
        assert_false(body_fence(&f->call, &fence));
    }
}

static void refuses_heads_that_could_mean_two_things(void **state)
{
    (void)state;
    struct http_fault fault;
    struct strict_head good = {
        .framing = { .hosts = 1, .lengths = 1, .is_length_number = true, .length = 2 },
        .types = 1,
        .is_json = true,
    };
    assert_true(strict_head_check(&good, "POST", "HTTP/1.1", &fault));
    static const struct {
        size_t at; /* of the counter raised by one */
        unsigned status;
    } raised[] = {
        { offsetof(struct strict_head, framing.lengths), 400 },
        { offsetof(struct strict_head, framing.encodings), 400 },
        { offsetof(struct strict_head, framing.hosts), 400 },
        { offsetof(struct strict_head, types), 415 },
    };
    for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++) {
        struct strict_head head = good;
        (*(unsigned *)((char *)&head + raised[i].at))++;
        assert_false(strict_head_check(&head, "POST", "HTTP/1.1", &fault));
        assert_int_equal(fault.status, raised[i].status);
    }
    struct strict_head head = good;
    head.authorizations = 2;
    assert_false(strict_head_check(&head, "POST", "HTTP/1.1", &fault));
    head = good;
    head.framing.length = HTTP_BODY_MAX_BYTES + 1;
    assert_false(strict_head_check(&head, "POST", "HTTP/1.1", &fault));
    assert_int_equal(fault.status, 413);
    head = good;
    head.framing.lengths = 0;
    assert_false(strict_head_check(&head, "POST", "HTTP/1.1", &fault));
    assert_int_equal(fault.status, 411);
    assert_false(strict_head_check(&good, "GET", "HTTP/1.1", &fault));
    assert_false(strict_head_check(&good, "PUT", "HTTP/1.1", &fault));
    assert_int_equal(fault.status, 405);
    assert_false(strict_head_check(&good, "POST", "HTTP/1.0", &fault));
    strict_head_add(&head, "X Y", 3, "", 0);
    assert_true(head.framing.is_malformed);
}

static void knows_what_is_restricted(void **state)
{
    (void)state;
    static const char *const yes[] = { "{\"restricted\":1}", "{\"restricted\":2.0}",
                                       "{\"restricted\":\"sexual-offence\"}",
                                       "{\"restricted\":\"1\"}", "{\"restricted\":true}" };
    static const char *const no[] = { "{}",
                                      "{\"restricted\":0}",
                                      "{\"restricted\":\"none\"}",
                                      "{\"restricted\":\"\"}",
                                      "{\"restricted\":\"0\"}",
                                      "{\"restricted\":false}" };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        json_t *row = json_loads(yes[i], 0, NULL);
        assert_true(api_is_restricted(row));
        json_decref(row);
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        json_t *row = json_loads(no[i], 0, NULL);
        assert_false(api_is_restricted(row));
        json_decref(row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_routes_and_what_they_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_other_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_known_query_parameters_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_needs_a_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_one_object_and_no_other_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_are_checked, set_up, tear_down),
        cmocka_unit_test(refuses_heads_that_could_mean_two_things),
        cmocka_unit_test(knows_what_is_restricted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
