/* Calls: any method, headers both ways, bodies, and what is certain of one that failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/socket.h>
#include <unistd.h>

#include "admin/listen.h"
#include "clock/clock.h"
#include "notify/outbound.h"
#include "raw_server.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OK(body)     "HTTP/1.1 200 OK\r\nContent-Length: " body

enum { WAIT_S = 20, TIMEOUT_MS = 700, LONG_MS = 15000 };

struct fixture {
    struct outbound *outbound;
    struct raw_server *server;
    char url[64];
    char directory[64];
    char ca_file[96];
    char other_ca_file[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-call-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->ca_file, sizeof f->ca_file, "%s/ca", f->directory);
    (void)snprintf(f->other_ca_file, sizeof f->other_ca_file, "%s/other", f->directory);
    f->outbound = outbound_open(NULL, "outward", &err);
    if (!f->outbound)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    outbound_destroy(&f->outbound);
    raw_server_destroy(&f->server);
    (void)unlink(f->ca_file);
    (void)unlink(f->other_ca_file);
    (void)rmdir(f->directory);
    free(f);
    return 0;
}

static void serve(struct fixture *f, const struct raw_script *scripts, size_t count, bool is_tls)
{
    f->server = raw_server_new(scripts, count, is_tls ? f->ca_file : NULL);
    (void)snprintf(f->url, sizeof f->url, "http%s://127.0.0.1:%u/v1/x?a=b", is_tls ? "s" : "",
                   raw_server_port(f->server));
}

/* --- waiting --- */

struct done {
    pthread_mutex_t lock;
    pthread_cond_t came;
    unsigned count;
};
#define DONE_EMPTY                                                                                 \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER                        \
    }

static void on_done(void *arg, struct outbound_call *call)
{
    (void)call;
    struct done *done = arg;
    (void)pthread_mutex_lock(&done->lock);
    done->count++;
    (void)pthread_cond_signal(&done->came);
    (void)pthread_mutex_unlock(&done->lock);
}

static void wait_for(struct done *done, unsigned count)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    int rc = 0;
    (void)pthread_mutex_lock(&done->lock);
    while (done->count < count && rc == 0)
        rc = pthread_cond_timedwait(&done->came, &done->lock, &until);
    unsigned came = done->count;
    (void)pthread_mutex_unlock(&done->lock);
    assert_int_equal(came, count);
}

static struct outbound_call call_of(const struct fixture *f, const char *method)
{
    return (struct outbound_call){ .method = method,
                                   .url = f->url,
                                   .connect_timeout_ms = LONG_MS,
                                   .timeout_ms = LONG_MS,
                                   .done = on_done };
}

/* The caller clears it. */
static void run(struct outbound *outbound, struct outbound_call *call)
{
    struct done done = DONE_EMPTY;
    call->arg = &done;
    outbound_start(outbound, call);
    wait_for(&done, 1);
    call->arg = NULL;
}

/* --- tests --- */

static void sends_each_method_with_headers_and_body(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script script = { RAW_CLOSE, OK("0\r\n\r\n") };
    static const struct {
        const char *method, *body;
    } cases[] = {
        { "GET", NULL },  { "DELETE", NULL },     { "POST", "{\"a\":1}" },
        { "POST", NULL }, { "PUT", "{\"b\":2}" }, { "DELETE", "{}" },
    };
    serve(f, &script, 1, false);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outbound_call call = call_of(f, cases[i].method);
        call.headers[0] = "Authorization: Bearer token";
        call.headers[1] = "Content-Type: application/json";
        call.header_count = 2;
        call.body = cases[i].body;
        call.length = cases[i].body ? strlen(cases[i].body) : 0;
        run(f->outbound, &call);
        assert_int_equal(call.http_status, 200);
        assert_string_equal(call.error, "");
        outbound_call_clear(&call);
        char *request = raw_server_request(f->server, i);
        char line[64];
        (void)snprintf(line, sizeof line, "%s /v1/x?a=b HTTP/1.1\r\n", cases[i].method);
        assert_memory_equal(request, line, strlen(line));
        assert_non_null(strstr(request, "\r\nAuthorization: Bearer token\r\n"));
        assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
        assert_null(strstr(request, "Expect:"));
        assert_string_equal(strstr(request, "\r\n\r\n") + 4, cases[i].body ? cases[i].body : "");
        free(request);
    }
}

static void keeps_body_and_headers_of_the_answer(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script scripts[] = {
        { RAW_CLOSE, "HTTP/1.1 429 Slow down\r\nX-App-Usage: {\"call_count\":28}\r\n"
                     "x-rate-limit-reset:  1770833460 \r\nEmpty:\r\nRetry-After: 7\r\n"
                     "Content-Length: 4\r\n\r\n{}\r\n" },
        { RAW_CLOSE, "HTTP/1.1 204 No content\r\n\r\n" },
    };
    serve(f, scripts, 2, false);
    struct outbound_call call = call_of(f, "GET");
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 429);
    assert_string_equal(call.answer, "{}\r\n");
    assert_int_equal(call.answer_bytes, 4);
    assert_false(call.is_cut);
    assert_int_equal(call.retry_after_ms, 7000);
    assert_string_equal(outbound_header(&call, "x-app-usage"), "{\"call_count\":28}");
    assert_string_equal(outbound_header(&call, "X-Rate-Limit-Reset"), "1770833460");
    assert_string_equal(outbound_header(&call, "empty"), "");
    assert_null(outbound_header(&call, "X-Page-Usage"));
    assert_null(outbound_header(&call, "28"));
    run(f->outbound, &call); /* again: nothing of the first answer stays */
    assert_int_equal(call.http_status, 204);
    assert_null(call.answer);
    assert_int_equal(call.answer_bytes, 0);
    assert_null(outbound_header(&call, "x-app-usage"));
    outbound_call_clear(&call);
    assert_null(outbound_header(&call, "x-app-usage"));
}

static void cuts_what_is_too_long_and_says_so(void **state)
{
    enum { LENGTH = OUTBOUND_ANSWER_MAX_BYTES + 100, HEAD = 128 };
    struct fixture *f = *state;
    char *answer = calloc(1, HEAD + LENGTH + 1);
    assert_non_null(answer);
    int head = snprintf(answer, HEAD, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LENGTH);
    memset(answer + head, 'x', LENGTH);
    const struct raw_script script = { RAW_CLOSE, answer };
    serve(f, &script, 1, false);
    struct outbound_call call = call_of(f, "GET");
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 200);
    assert_true(call.is_cut);
    assert_int_equal(call.answer_bytes, OUTBOUND_ANSWER_MAX_BYTES);
    assert_int_equal(strlen(call.answer), OUTBOUND_ANSWER_MAX_BYTES);
    outbound_call_clear(&call);
    raw_server_destroy(&f->server);
    free(answer);
}

static void redirects_are_answers_and_the_environment_has_no_say(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script script = {
        RAW_CLOSE, "HTTP/1.1 307 Over there\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    };
    serve(f, &script, 1, false);
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    struct outbound_call call = call_of(f, "POST");
    run(f->outbound, &call);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(call.http_status, 307);
    assert_string_equal(outbound_header(&call, "Location"), "/elsewhere");
    assert_int_equal(raw_server_requests(f->server), 1);
    outbound_call_clear(&call);
}

static void what_was_written_is_unknown(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct raw_script script;
        const char *error;
    } cases[] = {
        { { RAW_CLOSE, NULL }, "cut-off" },
        { { RAW_CLOSE, OK("10\r\n\r\nhalf") }, "cut-off" },
        { { RAW_CLOSE, "HTTP/1.1 200 O" }, "cut-off" },
        { { RAW_CLOSE, "what?\r\n\r\n" }, "cut-off" },
        { { RAW_HANG, NULL }, "timeout" },
        { { RAW_HANG, OK("10\r\n\r\nhalf") }, "timeout" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        serve(f, &cases[i].script, 1, false);
        struct outbound_call call = call_of(f, "POST");
        call.body = "{}";
        call.length = 2;
        if (cases[i].script.manner == RAW_HANG)
            call.timeout_ms = TIMEOUT_MS;
        run(f->outbound, &call);
        assert_int_equal(call.http_status, 0);
        assert_string_equal(call.error, cases[i].error);
        assert_false(call.is_unsent);
        assert_null(call.answer); /* half an answer is none */
        assert_int_equal(raw_server_requests(f->server), 1);
        outbound_call_clear(&call);
        raw_server_destroy(&f->server);
    }
}

/* A port that was taken a moment ago and is no more. */
static uint16_t free_port(void)
{
    uint16_t port = 0;
    struct error err = { 0 };
    int fd = listen_tcp("127.0.0.1:0", &port, &err);
    assert_true(fd >= 0);
    (void)close(fd);
    return port;
}

static void what_never_got_a_connection_is_certainly_unsent(void **state)
{
    struct fixture *f = *state;
    struct outbound_call call = call_of(f, "POST");
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/", free_port());
    run(f->outbound, &call);
    assert_string_equal(call.error, "no-connection");
    assert_true(call.is_unsent);
    assert_int_equal(call.http_status, 0);

    (void)snprintf(f->url, sizeof f->url, "http://no-such-host.invalid/");
    run(f->outbound, &call);
    assert_true(strcmp(call.error, "no-address") == 0 || strcmp(call.error, "timeout") == 0);
    assert_true(call.is_unsent);

    (void)snprintf(f->url, sizeof f->url, "file:///etc/hostname");
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 0);
    assert_true(call.is_unsent);
    outbound_call_clear(&call);
}

/* Listens, but nobody accepts: the queue of the kernel takes the connection and no more. */
static void a_time_out_before_tls_is_unsent(void **state)
{
    struct fixture *f = *state;
    uint16_t port = 0;
    struct error err = { 0 };
    int fd = listen_tcp("127.0.0.1:0", &port, &err);
    assert_true(fd >= 0);
    (void)snprintf(f->url, sizeof f->url, "https://127.0.0.1:%u/", port);
    struct outbound_call call = call_of(f, "POST");
    call.timeout_ms = TIMEOUT_MS;
    run(f->outbound, &call);
    assert_string_equal(call.error, "timeout");
    assert_true(call.is_unsent);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/", port);
    run(f->outbound, &call); /* plain: it was written, though nobody may ever read it */
    assert_string_equal(call.error, "timeout");
    assert_false(call.is_unsent);
    (void)close(fd);
    outbound_call_clear(&call);
}

static void tls_is_spoken_with_whom_the_file_vouches_for_alone(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script script = { RAW_CLOSE, OK("2\r\n\r\nok") };
    static const struct raw_script nonsense = { RAW_CLOSE, "no TLS here" };
    struct raw_server *other = raw_server_new(&script, 1, f->other_ca_file);
    serve(f, &script, 1, true);
    struct outbound_call call = call_of(f, "POST");
    call.ca_file = f->ca_file;
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 200);
    assert_string_equal(call.answer, "ok");

    call.ca_file = f->other_ca_file; /* somebody else's */
    run(f->outbound, &call);
    assert_string_equal(call.error, "tls");
    assert_true(call.is_unsent);
    call.ca_file = NULL; /* nobody the system knows */
    run(f->outbound, &call);
    assert_string_equal(call.error, "tls");
    assert_true(call.is_unsent);
    call.ca_file = "/nonexistent/ca";
    run(f->outbound, &call);
    assert_string_equal(call.error, "tls");
    assert_true(call.is_unsent);
    assert_int_equal(raw_server_requests(f->server), 1);

    raw_server_destroy(&f->server);
    serve(f, &nonsense, 1, false);
    (void)snprintf(f->url, sizeof f->url, "https://127.0.0.1:%u/", raw_server_port(f->server));
    call.timeout_ms = 5000;
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 0);
    assert_true(call.is_unsent);
    outbound_call_clear(&call);
    raw_server_destroy(&other);
}

/* The connection stays open, and dies just when the second request has been read: libcurl would
 * send that one again by itself. */
static void nothing_is_written_twice_but_what_may_be(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script scripts[] = { { RAW_KEEP, OK("0\r\n\r\n") },
                                                 { RAW_CLOSE, NULL },
                                                 { RAW_KEEP, OK("0\r\n\r\n") } };
    serve(f, scripts, COUNT(scripts), false);
    struct outbound_call call = call_of(f, "POST");
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 200);
    run(f->outbound, &call);
    assert_string_equal(call.error, "cut-off");
    assert_false(call.is_unsent);
    assert_int_equal(raw_server_requests(f->server), 2);
    assert_int_equal(raw_server_connections(f->server), 2);
    raw_server_destroy(&f->server);

    serve(f, scripts, COUNT(scripts), false);
    call.is_repeatable = true;
    run(f->outbound, &call);
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 200);
    assert_int_equal(raw_server_requests(f->server), 3);
    outbound_call_clear(&call);
}

static void prepare(struct outbound_call *call)
{
    call->headers[call->header_count++] = "X-Prepared: yes";
}

static void prepares_just_before_it_begins(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script script = { RAW_CLOSE, OK("0\r\n\r\n") };
    serve(f, &script, 1, false);
    struct outbound_call call = call_of(f, "GET");
    call.prepare = prepare;
    run(f->outbound, &call);
    char *request = raw_server_request(f->server, 0);
    assert_non_null(strstr(request, "\r\nX-Prepared: yes\r\n"));
    free(request);
    outbound_call_clear(&call);
}

/* As when the process was stopped between the decision to call and the call. */
static void what_is_begun_too_late_is_not_begun(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script script = { RAW_CLOSE, OK("0\r\n\r\n") };
    serve(f, &script, 1, false);
    struct outbound_call call = call_of(f, "POST");
    call.not_after_ms = clock_monotonic_ms();
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 0);
    assert_true(call.is_unsent);
    assert_string_equal(call.error, "too-late");
    assert_int_equal(raw_server_requests(f->server), 0);
    call.not_after_ms = clock_monotonic_ms() + LONG_MS;
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 200);
    outbound_call_clear(&call);
}

static void one_outbound_never_waits_for_another(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script scripts[] = { { RAW_HANG, NULL },
                                                 { RAW_CLOSE, OK("0\r\n\r\n") } };
    struct error err = { 0 };
    struct done hanging = DONE_EMPTY;
    serve(f, scripts, COUNT(scripts), false);
    struct outbound *slow = outbound_open(NULL, "broadcasts", &err);
    assert_non_null(slow);
    struct outbound_call held = call_of(f, "POST");
    held.arg = &hanging;
    outbound_start(slow, &held);
    free(raw_server_request(f->server, 0));
    struct outbound_call call = call_of(f, "POST");
    run(f->outbound, &call);
    assert_int_equal(call.http_status, 200);
    outbound_destroy(&slow); /* with one on its way: handed back; it was written */
    wait_for(&hanging, 1);
    assert_string_equal(held.error, "stopped");
    assert_false(held.is_unsent);
    outbound_call_clear(&call);
}

static void what_waits_at_the_end_is_unsent(void **state)
{
    struct fixture *f = *state;
    static const struct raw_script script = { RAW_HANG, NULL };
    struct done done = DONE_EMPTY;
    serve(f, &script, 1, false);
    struct outbound_call call = call_of(f, "POST");
    call.arg = &done;
    outbound_start(f->outbound, &call);
    outbound_destroy(&f->outbound);
    wait_for(&done, 1);
    assert_string_equal(call.error, "stopped");
    if (call.is_unsent) /* it may have been written in that moment: then it is not said to be unsent
                         */
        assert_int_equal(raw_server_requests(f->server), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as services do */
    const struct CMUnitTest tests[] = {
        T(sends_each_method_with_headers_and_body),
        T(keeps_body_and_headers_of_the_answer),
        T(cuts_what_is_too_long_and_says_so),
        T(redirects_are_answers_and_the_environment_has_no_say),
        T(what_was_written_is_unknown),
        T(what_never_got_a_connection_is_certainly_unsent),
        T(a_time_out_before_tls_is_unsent),
        T(tls_is_spoken_with_whom_the_file_vouches_for_alone),
        T(nothing_is_written_twice_but_what_may_be),
        T(prepares_just_before_it_begins),
        T(what_is_begun_too_late_is_not_begun),
        T(one_outbound_never_waits_for_another),
        T(what_waits_at_the_end_is_unsent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
