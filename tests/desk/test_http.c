/* The server with handlers of the test's own: what it hands over, bounds, deadlines, drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clock/clock.h"
#include "desk/api.h"
#include "desk/http_server.h"

enum { DEADLINE_MS = 20000, REQUEST_DEADLINE_MS = 400, ANSWER_BYTES = 8192 };

struct fixture {
    char directory[64];
    char socket_path[96];
    struct metrics *metrics;
    struct http_server *server;
    atomic_int handled;
    atomic_bool is_held; /* handlers wait while this is so */
};

static bool admit(void *arg, const struct http_request *head, struct http_answer *answer)
{
    (void)arg;
    if (strcmp(head->path, "/refused") != 0)
        return true;
    api_problem(answer, 403, "role", "no", "ask", NULL);
    return false;
}

static void handle(void *arg, size_t worker, const struct http_request *request,
                   struct http_answer *answer)
{
    struct fixture *f = arg;
    assert(worker < 2);
    while (atomic_load(&f->is_held))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    (void)atomic_fetch_add(&f->handled, 1);
    answer->status = 200;
    answer->body_bytes = (size_t)asprintf(
        &answer->body, "{\"bytes\":%zu,\"queries\":%zu,\"key\":\"%s\"}", request->body_bytes,
        request->query_count, request->idempotency_key ? request->idempotency_key : "");
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-http-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->socket_path, sizeof f->socket_path, "%s/desk.api", f->directory);
    f->metrics = metrics_new();
    const struct http_server_options options = {
        .listen = "127.0.0.1:0",
        .socket_path = f->socket_path,
        .connections_max = 16,
        .request_deadline_ms = REQUEST_DEADLINE_MS,
        .workers = 2,
        .metrics = f->metrics,
        .admit = admit,
        .handle = handle,
        .problem = api_http_problem,
        .arg = f,
    };
    f->server = http_server_start(&options, &err);
    if (!f->server)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->is_held, false);
    http_server_destroy(&f->server);
    metrics_destroy(&f->metrics);
    (void)unlink(f->socket_path);
    (void)rmdir(f->directory);
    free(f);
    return 0;
}

static int dial(struct fixture *f)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval limit = { .tv_sec = DEADLINE_MS / 1000 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

/* Sends text and reads until the answer's body or the end. */
static void read_answer(int fd, char out[static ANSWER_BYTES])
{
    size_t length = 0;
    ssize_t got = 0;
    out[0] = '\0';
    while (length < ANSWER_BYTES - 1 && !(strstr(out, "\r\n\r\n") && strchr(out, '}')) &&
           (got = recv(fd, out + length, ANSWER_BYTES - 1 - length, 0)) > 0) {
        length += (size_t)got;
        out[length] = '\0';
    }
}

static void ask(struct fixture *f, const char *text, char out[static ANSWER_BYTES])
{
    int fd = dial(f);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    read_answer(fd, out);
    (void)close(fd);
}

static void hands_over_what_came(void **state)
{
    struct fixture *f = *state;
    char answer[ANSWER_BYTES];
    ask(f,
        "POST /x?a=1&b=2 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json; charset=utf-8\r\n"
        "Content-Length: 7\r\nIdempotency-Key: abc\r\n\r\n{\"a\":1}",
        answer);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_non_null(strstr(answer, "{\"bytes\":7,\"queries\":2,\"key\":\"abc\"}"));
    assert_non_null(strstr(answer, "Cache-Control: no-store"));
    assert_true(http_server_port(f->server) > 0);
}

static void refuses_before_a_handler_sees_it(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *status;
    } cases[] = {
        { "GET /x HTTP/1.1\r\n\r\n", "400" },
        { "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400" },
        { "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "405" },
        { "POST /x HTTP/1.1\r\nHost: a\r\n\r\n", "411" },
        { "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "415" },
        { "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "400" },
        { "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
          "Content-Length: 65537\r\n\r\n",
          "413" },
        { "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n", "403" },
        { "GET /x?a=1&b&c&d&e&f&g&h&i HTTP/1.1\r\nHost: a\r\n\r\n", "400" },
    };
    char answer[ANSWER_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(f, cases[i].text, answer);
        if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, cases[i].status, 3) != 0)
            fail_msg("case %zu: %.60s", i, answer);
    }
    assert_int_equal(atomic_load(&f->handled), 0);
}

static void ends_whoever_dribbles(void **state)
{
    struct fixture *f = *state;
    static const char *const starts[] = {
        "",
        "GET /x HT",
        "GET /x HTTP/1.1\r\nHost: a\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
        "9\r\n\r\n{\"a",
    };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        char byte = 0;
        int fd = dial(f);
        assert_int_equal(send(fd, starts[i], strlen(starts[i]), MSG_NOSIGNAL), strlen(starts[i]));
        assert_true(recv(fd, &byte, 1, 0) <= 0); /* the line is cut, long before our own limit */
        (void)close(fd);
    }
    assert_int_equal(atomic_load(&f->handled), 0);
}

static void a_drain_finishes_what_is_in_hand(void **state)
{
    struct fixture *f = *state;
    char answer[ANSWER_BYTES];
    static const char get[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    atomic_store(&f->is_held, true);
    int waiting[6];
    for (size_t i = 0; i < 6; i++) {
        waiting[i] = dial(f);
        assert_int_equal(send(waiting[i], get, sizeof get - 1, MSG_NOSIGNAL), sizeof get - 1);
    }
    json_t *detail = json_object();
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (json_int_t seen = 0; seen < 6;) {
        http_server_describe(f->server, detail);
        const json_t *api = json_object_get(detail, "api");
        seen = json_integer_value(json_object_get(api, "waiting")) +
               json_integer_value(json_object_get(api, "in_hand"));
        assert_true(clock_monotonic_ms() < ends_ms);
    }
    json_decref(detail);
    assert_false(http_server_is_drained(f->server));
    http_server_drain(f->server);
    ask(f, get, answer);
    assert_non_null(strstr(answer, "503"));
    assert_non_null(strstr(answer, "Retry-After"));
    atomic_store(&f->is_held, false);
    for (size_t i = 0; i < 6; i++) {
        read_answer(waiting[i], answer);
        assert_non_null(strstr(answer, "HTTP/1.1 200"));
        (void)close(waiting[i]);
    }
    while (!http_server_is_drained(f->server))
        assert_true(clock_monotonic_ms() < ends_ms);
    assert_int_equal(atomic_load(&f->handled), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hands_over_what_came, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_before_a_handler_sees_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_whoever_dribbles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_drain_finishes_what_is_in_hand, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
