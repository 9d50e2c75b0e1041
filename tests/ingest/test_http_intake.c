/* The webhook listener over real sockets: what it takes, what it refuses and how clearly, and that
 * nothing holds it up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "desg/v1/event.pb-c.h"
#include "ingest/http_listen.h"
#include "intake_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { ANSWER_ROOM = 4096, LONG_MS = 60000 };

static const char body[] = "{\"object\":\"page\",\"entry\":[]}";

static int setup(void **state)
{
    *state = intake_fixture_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    struct intake_fixture *fixture = *state;
    intake_fixture_destroy(&fixture);
    return 0;
}

static void answers_200_for_what_is_stored_as_it_came(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    int client = client_connect(f);
    assert_int_equal(
        post_meta(client, body, "Content-Type: application/json\r\n", answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "{\"status\":\"stored\"}"));
    Desg__V1__Delivery *delivery =
        desg__v1__delivery__unpack(NULL, f->store.last_bytes, f->store.last);
    assert_non_null(delivery);
    assert_string_equal(delivery->adapter, "meta");
    assert_string_equal(delivery->path, "/hooks/facebook");
    assert_string_equal(delivery->content_type, "application/json");
    assert_int_equal(delivery->body.len, sizeof body - 1);
    assert_memory_equal(delivery->body.data, body, sizeof body - 1);
    assert_true(llabs(clock_unix_ms() - delivery->received_at_ms) < 60000);
    desg__v1__delivery__free_unpacked(delivery, NULL);
    /* The connection stays open for the next. */
    assert_int_equal(post_meta(client, body, "", answer, sizeof answer), 200);
    assert_int_equal(store_appended(&f->store), 2);
    assert_int_equal(counter_value(metrics_counter(f->metrics, "desg_ingest_deliveries_total",
                                                   "channel=\"facebook\",result=\"stored\"", "")),
                     2);
    (void)close(client);
}

static void takes_bodies_of_every_content_because_parsing_comes_later(void **state)
{
    struct intake_fixture *f = *state;
    static const char *const bodies[] = { "",
                                          "not json",
                                          "[1,2,3]",
                                          "{\"object\":\"permissions\"}",
                                          "{\"text\":\"\\ud83d\"}",
                                          "\xff\xfe",
                                          "{\"id\":18446744073709551615}" };
    char answer[ANSWER_ROOM];
    int client = client_connect(f);
    for (size_t i = 0; i < COUNT(bodies); i++)
        assert_int_equal(post_meta(client, bodies[i], "", answer, sizeof answer), 200);
    assert_int_equal(store_appended(&f->store), COUNT(bodies));
    (void)close(client);
}

static void takes_a_chunked_body(void **state)
{
    struct intake_fixture *f = *state;
    char head[512];
    char answer[ANSWER_ROOM];
    int client = client_connect(f);
    (void)snprintf(head, sizeof head,
                   "POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: chunked\r\n"
                   "X-Hub-Signature-256: %s\r\n\r\n",
                   sign_meta(body, sizeof body - 1));
    client_say(client, head);
    client_say(client, "5\r\n{\"obj\r\n17\r\nect\":\"page\",\"entry\":[]}\r\n0\r\n\r\n");
    assert_int_equal(client_answer(client, answer, sizeof answer), 200);
    assert_int_equal(store_appended(&f->store), 1);
    (void)close(client);
}

static int ask(const struct intake_fixture *f, const char *request, char *answer)
{
    int client = client_connect(f);
    client_say(client, request);
    int status = client_answer(client, answer, ANSWER_ROOM);
    (void)close(client);
    return status;
}

#define GOOD_LENGTH "Content-Length: 28\r\n"
#define POST(head)  "POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\n" head "\r\n"

static void refuses_what_is_not_a_clean_request(void **state)
{
    struct intake_fixture *f = *state;
    static const struct {
        const char *name, *request;
        int status;
    } cases[] = {
        { "two lengths", POST("Content-Length: 28\r\nContent-Length: 5\r\n"), 400 },
        { "one length twice", POST("Content-Length: 28\r\nContent-Length: 28\r\n"), 400 },
        { "chunked with a length", POST(GOOD_LENGTH "Transfer-Encoding: chunked\r\n"), 400 },
        { "an odd encoding", POST("Transfer-Encoding: gzip, chunked\r\n"), 400 },
        { "a length with a sign", POST("Content-Length: +28\r\n"), 400 },
        { "a length that is none", POST("Content-Length: many\r\n"), 400 },
        { "no length", POST(""), 411 },
        { "over the limit", POST("Content-Length: 65537\r\n"), 413 },
        { "a length of 20 digits", POST("Content-Length: 99999999999999999999\r\n"), 413 },
        { "no host", "POST /hooks/facebook HTTP/1.1\r\n" GOOD_LENGTH "\r\n", 400 },
        { "two hosts", POST("Host: other\r\n" GOOD_LENGTH), 400 },
        { "HTTP/1.0", "POST /hooks/facebook HTTP/1.0\r\nHost: desk\r\n" GOOD_LENGTH "\r\n", 505 },
        { "PUT", "PUT /hooks/facebook HTTP/1.1\r\nHost: desk\r\n" GOOD_LENGTH "\r\n", 405 },
        { "DELETE", "DELETE /hooks/x HTTP/1.1\r\nHost: desk\r\n\r\n", 405 },
        { "HEAD", "HEAD /hooks/x HTTP/1.1\r\nHost: desk\r\n\r\n", 405 },
        { "GET where there is no check", "GET /v1/intake/web HTTP/1.1\r\nHost: desk\r\n\r\n", 405 },
        { "no such path", "POST /hooks/none HTTP/1.1\r\nHost: desk\r\n" GOOD_LENGTH "\r\n", 404 },
        { "a path that climbs", "GET /hooks/../x HTTP/1.1\r\nHost: desk\r\n\r\n", 404 },
        { "a GET with a body",
          "GET /hooks/x?crc_token=a HTTP/1.1\r\nHost: desk\r\n" GOOD_LENGTH "\r\n", 400 },
    };
    char answer[ANSWER_ROOM];
    for (size_t i = 0; i < COUNT(cases); i++) {
        int client = client_connect(f);
        client_say(client, cases[i].request);
        int status = client_answer(client, answer, sizeof answer);
        if (status != cases[i].status)
            fail_msg("%s: %d\n%s", cases[i].name, status, answer);
        if (!client_ended(client))
            fail_msg("%s: the connection stayed open", cases[i].name);
        if (status == 405)
            assert_non_null(strstr(answer, "Allow: "));
        (void)close(client);
    }
    assert_int_equal(store_appended(&f->store), 0);
}

static void a_second_request_is_never_smuggled_in(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    int client = client_connect(f);
    client_say(
        client,
        POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\nGET "
                                                                    "/hooks/x?crc_token=smuggled "
                                                                    "HTTP/1.1\r\nHost: "
                                                                    "desk\r\n\r\n");
    assert_int_equal(client_answer(client, answer, sizeof answer), 400);
    assert_int_equal(client_answer(client, answer, sizeof answer), 0);
    assert_string_equal(answer, "");
    (void)close(client);
}

static int post_signed(const struct intake_fixture *f, const char *signature_line, char *answer)
{
    char request[1024];
    (void)snprintf(request, sizeof request,
                   "POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\nContent-Length: %zu\r\n%s\r\n%s",
                   sizeof body - 1, signature_line, body);
    return ask(f, request, answer);
}

static void refuses_bodies_it_cannot_trust_and_keeps_none(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    char line[256];
    char upper[8 + 64 + 1];
    assert_int_equal(post_signed(f, "", answer), 403);
    assert_int_equal(rejected(f, "signature_missing"), 1);
    (void)snprintf(upper, sizeof upper, "%s", sign_meta(body, sizeof body - 1));
    for (char *c = upper + 7; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
    (void)snprintf(line, sizeof line, "X-Hub-Signature-256: %s\r\n", upper);
    assert_int_equal(post_signed(f, line, answer), 403);
    assert_non_null(strstr(answer, "malformed"));
    assert_int_equal(rejected(f, "signature_malformed"), 1);
    (void)snprintf(line, sizeof line, "X-Hub-Signature-256: %s\r\n", sign_meta("x", 1));
    assert_int_equal(post_signed(f, line, answer), 403);
    assert_int_equal(rejected(f, "signature_wrong"), 1);
    (void)snprintf(line, sizeof line, "X-Hub-Signature: sha1=%040d\r\n", 0);
    assert_int_equal(post_signed(f, line, answer), 403);
    assert_int_equal(store_appended(&f->store), 0);
}

static void refuses_a_chunked_body_over_the_limit(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    static char chunk[32 << 10];
    memset(chunk, 'x', sizeof chunk);
    int client = client_connect(f);
    client_say(client, POST("Transfer-Encoding: chunked\r\n"));
    for (int i = 0; i < 4; i++) {
        client_say(client, "8000\r\n");
        client_send(client, chunk, sizeof chunk);
        client_say(client, "\r\n");
    }
    client_say(client, "0\r\n\r\n");
    assert_int_equal(client_answer(client, answer, sizeof answer), 413);
    assert_int_equal(gauge_value(metrics_gauge(f->metrics, "desg_ingest_buffered_bytes", "", "")),
                     0);
    (void)close(client);
}

static void answers_checks_of_the_platforms(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    static const char meta[] = "GET /hooks/facebook?hub.mode=subscribe&hub.challenge=1158201444&"
                               "hub.verify_token=desk%2Dverify-77 HTTP/1.1\r\nHost: desk\r\n\r\n";
    assert_int_equal(ask(f, meta, answer), 200);
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, "1158201444");
    assert_int_equal(ask(f,
                         "GET /hooks/facebook?hub.mode=subscribe&hub.challenge=1&"
                         "hub.verify_token=x HTTP/1.1\r\nHost: desk\r\n\r\n",
                         answer),
                     403);
    assert_int_equal(ask(f, "GET /hooks/x?crc_token=abc HTTP/1.1\r\nHost: desk\r\n\r\n", answer),
                     200);
    assert_non_null(strstr(answer, "{\"response_token\":\"sha256="));
    assert_int_equal(ask(f, "GET /hooks/x?crc_token=%7B%7D HTTP/1.1\r\nHost: desk\r\n\r\n", answer),
                     400);
    assert_int_equal(ask(f, "GET /hooks/x HTTP/1.1\r\nHost: desk\r\n\r\n", answer), 400);
}

static void tells_the_web_form_its_reference(void **state)
{
    struct intake_fixture *f = *state;
    char signed_text[128];
    char request[1024];
    char answer[ANSWER_ROOM];
    char hex[65];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    int length = snprintf(signed_text, sizeof signed_text, "%lld.text=help",
                          (long long)(clock_unix_ms() / 1000));
    crypto_hmac_sha256("app-secret-for-tests", 20, signed_text, (size_t)length, digest);
    crypto_hex(digest, sizeof digest, hex);
    (void)snprintf(request, sizeof request,
                   "POST /v1/intake/web HTTP/1.1\r\nHost: desk\r\nContent-Length: 9\r\n"
                   "X-Desk-Timestamp: %.*s\r\nX-Desk-Signature-256: sha256=%s\r\n"
                   "Idempotency-Key: form-77\r\n\r\ntext=help",
                   (int)strcspn(signed_text, "."), signed_text, hex);
    assert_int_equal(ask(f, request, answer), 200);
    assert_non_null(strstr(answer, "\"reference\":\"form-77\""));
    Desg__V1__Delivery *delivery =
        desg__v1__delivery__unpack(NULL, f->store.last_bytes, f->store.last);
    assert_non_null(delivery);
    assert_string_equal(delivery->submission_id, "form-77");
    desg__v1__delivery__free_unpacked(delivery, NULL);
}

static void answers_503_when_the_journal_takes_nothing(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    int client = client_connect(f);
    store_mood(&f->store, STORE_FULL);
    assert_int_equal(post_meta(client, body, "", answer, sizeof answer), 503);
    assert_non_null(strstr(answer, "Retry-After: "));
    assert_int_equal(rejected(f, "journal_full"), 1);
    store_mood(&f->store, STORE_FAILS);
    assert_int_equal(post_meta(client, body, "", answer, sizeof answer), 503);
    assert_int_equal(rejected(f, "journal_failed"), 1);
    assert_int_equal(ask(f, "GET /hooks/x?crc_token=abc HTTP/1.1\r\nHost: desk\r\n\r\n", answer),
                     200);
    store_mood(&f->store, STORE_AT_ONCE);
    assert_int_equal(post_meta(client, body, "", answer, sizeof answer), 200);
    (void)close(client);
}

static void send_post(int client, const char *more)
{
    char request[1024];
    (void)snprintf(request, sizeof request,
                   "POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\nContent-Length: %zu\r\n"
                   "X-Hub-Signature-256: %s\r\n%s\r\n%s",
                   sizeof body - 1, sign_meta(body, sizeof body - 1), more, body);
    client_say(client, request);
}

static void draining_refuses_new_bodies_and_finishes_those_in_hand(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    int held = client_connect(f);
    store_mood(&f->store, STORE_HOLDS);
    send_post(held, "");
    store_await(&f->store, 1);
    http_intake_drain(f->intake);
    assert_false(http_intake_is_drained(f->intake));
    int late = client_connect(f);
    assert_int_equal(post_meta(late, body, "", answer, sizeof answer), 503);
    assert_int_equal(rejected(f, "draining"), 1);
    assert_int_equal(ask(f, "GET /hooks/x?crc_token=abc HTTP/1.1\r\nHost: desk\r\n\r\n", answer),
                     200);
    store_let_go(&f->store);
    assert_int_equal(client_answer(held, answer, sizeof answer), 200);
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    while (!http_intake_is_drained(f->intake) && clock_monotonic_ms() < until_ms)
        (void)usleep(1000);
    assert_true(http_intake_is_drained(f->intake));
    (void)close(held);
    (void)close(late);
}

static void stopping_answers_what_is_suspended(void **state)
{
    struct intake_fixture *f = *state;
    char answer[ANSWER_ROOM];
    int clients[8];
    store_mood(&f->store, STORE_HOLDS);
    for (size_t i = 0; i < COUNT(clients); i++) {
        clients[i] = client_connect(f);
        send_post(clients[i], "");
    }
    store_await(&f->store, COUNT(clients));
    http_intake_stop(f->intake); /* with requests suspended: libmicrohttpd alone would abort */
    for (size_t i = 0; i < COUNT(clients); i++) {
        assert_int_equal(client_answer(clients[i], answer, sizeof answer), 503);
        (void)close(clients[i]);
    }
}

static void short_deadline(struct ingest_config *config)
{
    config->http.request_deadline_ms = 300;
}

static void a_store_that_sleeps_is_not_waited_for(void **state)
{
    (void)state;
    struct intake_fixture *f = intake_fixture_new(short_deadline);
    char answer[ANSWER_ROOM];
    int client = client_connect(f);
    store_mood(&f->store, STORE_HOLDS);
    assert_int_equal(post_meta(client, body, "", answer, sizeof answer), 503);
    assert_int_equal(rejected(f, "deadline"), 1);
    store_let_go(&f->store); /* calls back for a request that is answered and gone */
    int again = client_connect(f);
    assert_int_equal(post_meta(again, body, "", answer, sizeof answer), 200);
    (void)close(client);
    (void)close(again);
    intake_fixture_destroy(&f);
}

static void dribble(const char *start, int expected)
{
    struct intake_fixture *f = intake_fixture_new(short_deadline);
    char answer[ANSWER_ROOM];
    int64_t started_ms = clock_monotonic_ms();
    int client = client_connect(f);
    struct timeval slice = { .tv_usec = 50000 };
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice), 0);
    client_say(client, start);
    char peeked;
    ssize_t got = -1;
    /* A byte every 50 ms, for as long as nothing comes back. */
    while (got < 0 && clock_monotonic_ms() < started_ms + LONG_MS) {
        client_say(client, "a");
        got = recv(client, &peeked, 1, MSG_PEEK);
    }
    assert_true(got >= 0); /* answered or closed: it did not wait for the end of them */
    assert_int_equal(client_answer(client, answer, sizeof answer), expected);
    assert_true(client_ended(client));
    (void)close(client);
    intake_fixture_destroy(&f);
}

static void a_body_that_dribbles_is_cut_off(void **state)
{
    (void)state;
    dribble(POST("Content-Length: 60000\r\n"), 408);
}

static void a_head_that_dribbles_is_cut_off(void **state)
{
    (void)state;
    dribble("POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\nX: ", 408);
}

static void a_first_line_that_dribbles_is_cut_off(void **state)
{
    (void)state;
    dribble("POST /hooks/", 0);
}

static void a_silent_connection_is_cut_off(void **state)
{
    (void)state;
    struct intake_fixture *f = intake_fixture_new(short_deadline);
    int client = client_connect(f);
    assert_true(client_ended(client));
    (void)close(client);
    intake_fixture_destroy(&f);
}

static void set_files_limit(rlim_t most)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void long_deadline(struct ingest_config *config)
{
    config->http.request_deadline_ms = LONG_MS;
}

static void a_thousand_idle_connections_hold_nobody_up(void **state)
{
    (void)state;
    struct intake_fixture *f = intake_fixture_new(long_deadline);
    enum { IDLE = 1000 };
    static int idle[IDLE];
    for (int i = 0; i < IDLE; i++) {
        idle[i] = client_connect(f);
        if (i % 2)
            client_say(idle[i], "POST /hooks/facebook HTTP/1.1\r\nHost: de");
    }
    char answer[ANSWER_ROOM];
    int client = client_connect(f);
    assert_int_equal(post_meta(client, body, "", answer, sizeof answer), 200);
    assert_int_equal(ask(f, "GET /hooks/x?crc_token=abc HTTP/1.1\r\nHost: desk\r\n\r\n", answer),
                     200);
    /* answered while they were there, not because they had gone */
    struct gauge *connections = metrics_gauge(f->metrics, "desg_ingest_connections", "", "");
    int64_t until_ms = clock_monotonic_ms() + LONG_MS / 2;
    while (gauge_value(connections) < IDLE && clock_monotonic_ms() < until_ms)
        (void)usleep(1000);
    assert_true(gauge_value(connections) >= IDLE);
    for (int i = 0; i < IDLE; i++)
        (void)close(idle[i]);
    (void)close(client);
    intake_fixture_destroy(&f);
}

static void a_limit_of_open_files_that_is_too_low_is_told_with_its_numbers(void **state)
{
    (void)state;
    struct error err = { 0 };
    set_files_limit(500 + HTTP_RESERVED_DESCRIPTORS);
    assert_int_equal(http_check_descriptors(500, &err), 0);
    set_files_limit(500 + HTTP_RESERVED_DESCRIPTORS - 1);
    assert_int_equal(http_check_descriptors(500, &err), -1);
    set_files_limit(RLIM_INFINITY);
    assert_int_equal(err.kind, ERROR_CONFIG);
    static const char *const named[] = { "connections_max is 500", "256 more", "only 755",
                                         "LimitNOFILE) to 756" };
    for (size_t i = 0; i < COUNT(named); i++)
        if (!strstr(err.text, named[i]))
            fail_msg("'%s' is not in: %s", named[i], err.text);
}

/* Clients are of this process too: each connection takes two. */
static void connections_leave_descriptors_to_links(void **state)
{
    struct intake_fixture *f = *state;
    enum { CROWD = 60, ROOM = 40 };
    int clients[CROWD];
    char answer[ANSWER_ROOM];
    int lowest = dup(STDERR_FILENO);
    assert_int_equal(close(lowest), 0);
    set_files_limit((rlim_t)lowest + HTTP_RESERVED_DESCRIPTORS + ROOM);
    clients[0] = client_connect(f); /* taken before the crowd's own ends fill the table */
    assert_int_equal(post_meta(clients[0], body, "", answer, sizeof answer), 200);
    for (size_t i = 1; i < COUNT(clients); i++)
        clients[i] = client_connect(f);
    int free_one = dup(STDERR_FILENO);
    bool is_refused = client_ended(clients[CROWD - 1]);
    set_files_limit(RLIM_INFINITY);
    assert_true(is_refused);
    assert_in_range(free_one, 0, lowest + ROOM + CROWD + 8); /* some 200 are left */
    assert_true(rejected(f, "descriptors") > 0);
    assert_int_equal(post_meta(clients[0], body, "", answer, sizeof answer), 200);
    for (size_t i = 0; i < COUNT(clients); i++)
        (void)close(clients[i]);
    (void)close(free_one);
    int client = client_connect(f);
    assert_int_equal(post_meta(client, body, "", answer, sizeof answer), 200);
    (void)close(client);
}

static void leave_out_proxies(struct ingest_config *config)
{
    config->http.trusted_proxies_count = 0;
    *config->http.connections_per_address_max = 4;
}

static void one_address_cannot_take_all_connections(void **state)
{
    (void)state;
    struct intake_fixture *f = intake_fixture_new(leave_out_proxies);
    char answer[ANSWER_ROOM];
    int clients[4];
    for (size_t i = 0; i < COUNT(clients); i++) {
        clients[i] = client_connect(f);
        assert_int_equal(
            post_meta(clients[i], body, "X-Forwarded-For: 192.0.2.1\r\n", answer, sizeof answer),
            200);
    }
    int fifth = client_connect(f);
    assert_true(client_ended(fifth));
    (void)close(fifth);
    (void)close(clients[0]);
    int status = 0;
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    while (status != 200 && clock_monotonic_ms() < until_ms) {
        int next = client_connect(f); /* room again once the close was seen */
        status = post_meta(next, body, "", answer, sizeof answer);
        (void)close(next);
    }
    assert_int_equal(status, 200);
    for (size_t i = 1; i < COUNT(clients); i++)
        (void)close(clients[i]);
    intake_fixture_destroy(&f);
}

static void believe_the_proxy(struct ingest_config *config)
{
    config->http.trusted_proxies_count = 1;
    config->http.trusted_proxy_header = (char *)"X-Forwarded-For";
    *config->http.connections_per_address_max = 2;
}

static void behind_a_proxy_the_header_names_the_address(void **state)
{
    (void)state;
    struct intake_fixture *f = intake_fixture_new(believe_the_proxy);
    static const char one[] = "X-Forwarded-For: 203.0.113.9, 192.0.2.1, 127.0.0.1\r\n";
    static const char same[] = "X-Forwarded-For: 198.51.100.1, 192.0.2.1:4711\r\n";
    static const char other[] = "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n";
    char answer[ANSWER_ROOM];
    int clients[5];
    for (size_t i = 0; i < COUNT(clients); i++)
        clients[i] = client_connect(f); /* more than two: the proxy itself has no limit */
    store_mood(&f->store, STORE_HOLDS);
    send_post(clients[0], one);
    send_post(clients[1], one);
    store_await(&f->store, 2);
    assert_int_equal(post_meta(clients[2], body, same, answer, sizeof answer), 503);
    assert_int_equal(rejected(f, "address_busy"), 1);
    send_post(clients[3], other);
    store_await(&f->store, 3);
    store_let_go(&f->store);
    assert_int_equal(client_answer(clients[0], answer, sizeof answer), 200);
    assert_int_equal(client_answer(clients[1], answer, sizeof answer), 200);
    assert_int_equal(client_answer(clients[3], answer, sizeof answer), 200);
    assert_int_equal(post_meta(clients[4], body, one, answer, sizeof answer), 200);
    for (size_t i = 0; i < COUNT(clients); i++)
        (void)close(clients[i]);
    intake_fixture_destroy(&f);
}

static void little_memory(struct ingest_config *config)
{
    config->http.buffered_max_bytes = 96 << 10;
}

static void bodies_in_memory_are_bounded_together(void **state)
{
    (void)state;
    struct intake_fixture *f = intake_fixture_new(little_memory);
    static char large[60000];
    memset(large, 'x', sizeof large);
    char answer[ANSWER_ROOM];
    int greedy[2];
    struct gauge *buffered = metrics_gauge(f->metrics, "desg_ingest_buffered_bytes", "", "");
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    greedy[0] = client_connect(f);
    client_say(greedy[0], POST("Content-Length: 60001\r\n"));
    client_send(greedy[0], large, sizeof large);
    while (gauge_value(buffered) < 60000 && clock_monotonic_ms() < until_ms)
        (void)usleep(1000);
    greedy[1] = client_connect(f);
    client_say(greedy[1], POST("Content-Length: 60000\r\n"));
    client_send(greedy[1], large, sizeof large);
    assert_int_equal(client_answer(greedy[1], answer, sizeof answer), 503);
    assert_int_equal(rejected(f, "buffers_full"), 1);
    int modest = client_connect(f);
    assert_int_equal(post_meta(modest, body, "", answer, sizeof answer), 200);
    client_say(greedy[0], "x"); /* the first gets its answer as well */
    assert_int_equal(client_answer(greedy[0], answer, sizeof answer), 403);
    (void)close(greedy[0]);
    (void)close(greedy[1]);
    (void)close(modest);
    intake_fixture_destroy(&f);
}

static void says_what_is_wrong_with_its_address(void **state)
{
    struct intake_fixture *f = *state;
    static const char *const bad[] = { "8080",  "localhost:8080", "127.0.0.1:",
                                       ":8080", "127.0.0.1:http", "[::1:8080" };
    struct error err = { 0 };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ingest_config config = f->config;
        config.listen = (char *)bad[i];
        const struct http_intake_options options = { .config = &config, .metrics = f->metrics };
        assert_null(http_intake_start(&options, &err));
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, bad[i]));
    }
    struct ingest_config taken = f->config;
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", http_intake_port(f->intake));
    taken.listen = address;
    const struct http_intake_options options = { .config = &taken, .metrics = f->metrics };
    assert_null(http_intake_start(&options, &err));
    assert_non_null(strstr(err.text, address));
}

int main(void)
{
#define WITH_INTAKE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_INTAKE(answers_200_for_what_is_stored_as_it_came),
        WITH_INTAKE(takes_bodies_of_every_content_because_parsing_comes_later),
        WITH_INTAKE(takes_a_chunked_body),
        WITH_INTAKE(refuses_what_is_not_a_clean_request),
        WITH_INTAKE(a_second_request_is_never_smuggled_in),
        WITH_INTAKE(refuses_bodies_it_cannot_trust_and_keeps_none),
        WITH_INTAKE(refuses_a_chunked_body_over_the_limit),
        WITH_INTAKE(answers_checks_of_the_platforms),
        WITH_INTAKE(tells_the_web_form_its_reference),
        WITH_INTAKE(answers_503_when_the_journal_takes_nothing),
        WITH_INTAKE(draining_refuses_new_bodies_and_finishes_those_in_hand),
        WITH_INTAKE(stopping_answers_what_is_suspended),
        cmocka_unit_test(a_thousand_idle_connections_hold_nobody_up),
        cmocka_unit_test(a_limit_of_open_files_that_is_too_low_is_told_with_its_numbers),
        WITH_INTAKE(connections_leave_descriptors_to_links),
        WITH_INTAKE(says_what_is_wrong_with_its_address),
        cmocka_unit_test(a_store_that_sleeps_is_not_waited_for),
        cmocka_unit_test(a_body_that_dribbles_is_cut_off),
        cmocka_unit_test(a_head_that_dribbles_is_cut_off),
        cmocka_unit_test(a_first_line_that_dribbles_is_cut_off),
        cmocka_unit_test(a_silent_connection_is_cut_off),
        cmocka_unit_test(one_address_cannot_take_all_connections),
        cmocka_unit_test(behind_a_proxy_the_header_names_the_address),
        cmocka_unit_test(bodies_in_memory_are_bounded_together),
    };
    set_files_limit(RLIM_INFINITY); /* as the service does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
