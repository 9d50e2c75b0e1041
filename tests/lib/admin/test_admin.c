#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin.h"
#include "http_probe.h"

struct fixture {
    char directory[64];
    char control[96];
    struct admin *admin;
    struct probe_answer answer;
    atomic_int calls;
};

/* Answers what it was asked: method, size and two query parameters. */
static void echo(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct fixture *f = arg;
    atomic_fetch_add(&f->calls, 1);
    const char *name = admin_query(request, "name");
    const char *flag = admin_query(request, "flag");
    if (asprintf(&answer->body, "%s %s %zu %.20s name=%s flag=%s", request->method, request->path,
                 request->body_bytes, request->body, name ? name : "(none)",
                 flag ? flag : "(none)") < 0)
        answer->body = NULL;
    answer->content_type = "text/plain";
}

static void refuse_method(void *arg, const struct admin_request *request,
                          struct admin_answer *answer)
{
    (void)arg;
    (void)request;
    answer->status = 405;
}

static void answer_bytes(void *arg, const struct admin_request *request,
                         struct admin_answer *answer)
{
    (void)arg;
    (void)request;
    answer->status = 503;
    answer->body = malloc(5);
    memcpy(answer->body, "a\0b\0c", 5);
    answer->body_bytes = 5;
}

static int open_door(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct error err = { 0 };
    f->calls = 0;
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-admin-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->control, sizeof f->control, "%.60s/ingest.sock", f->directory);
    f->admin = admin_new("127.0.0.1:0", f->control, &err);
    if (!f->admin)
        fail_msg("%s", err.text);
    admin_handle(f->admin, "/echo", ADMIN_PUBLIC, echo, f);
    admin_handle(f->admin, "/control", ADMIN_CONTROL, echo, f);
    admin_handle(f->admin, "/post", ADMIN_PUBLIC, refuse_method, f);
    admin_handle(f->admin, "/bytes", ADMIN_PUBLIC, answer_bytes, f);
    assert_int_equal(admin_start(f->admin, &err), 0);
    *state = f;
    return 0;
}

static int close_door(void **state)
{
    struct fixture *f = *state;
    admin_destroy(&f->admin);
    admin_destroy(&f->admin);
    return rmdir(f->directory); /* fails if the socket were still there */
}

static const struct probe_answer *ask_tcp(struct fixture *f, const char *method, const char *target,
                                          const char *body)
{
    int fd = probe_connect_tcp(admin_port(f->admin));
    assert_true(fd >= 0);
    probe_request(fd, method, target, body, &f->answer);
    return &f->answer;
}

static const struct probe_answer *ask_control(struct fixture *f, const char *method,
                                              const char *target, const char *body)
{
    int fd = probe_connect_unix(f->control);
    assert_true(fd >= 0);
    probe_request(fd, method, target, body, &f->answer);
    return &f->answer;
}

static const struct probe_answer *send_raw(struct fixture *f, const char *request)
{
    int fd = probe_connect_unix(f->control);
    assert_true(fd >= 0);
    probe_exchange(fd, request, strlen(request), &f->answer);
    return &f->answer;
}

static void both_doors_answer_a_public_path(void **state)
{
    const struct probe_answer *answer = ask_tcp(*state, "GET", "/echo", NULL);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "GET /echo 0  name=(none) flag=(none)");
    assert_non_null(strstr(answer->text, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(answer->text, "Cache-Control: no-store\r\n"));
    answer = ask_control(*state, "GET", "/echo", NULL);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "GET /echo 0  name=(none) flag=(none)");
}

static void a_control_path_is_not_there_over_tcp(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask_tcp(f, "GET", "/control", NULL)->status, 404);
    assert_int_equal(ask_tcp(f, "POST", "/control", "x")->status, 404);
    assert_int_equal(f->calls, 0);
    assert_int_equal(ask_control(f, "POST", "/control", "x")->status, 200);
    assert_int_equal(f->calls, 1);
}

static void hands_over_the_whole_body(void **state)
{
    const struct probe_answer *answer = ask_control(*state, "POST", "/echo", "hello");
    assert_string_equal(answer->body, "POST /echo 5 hello name=(none) flag=(none)");
    answer = ask_control(*state, "POST", "/echo", "");
    assert_string_equal(answer->body, "POST /echo 0  name=(none) flag=(none)");
    answer = send_raw(*state, "POST /echo HTTP/1.1\r\nHost: desg\r\nConnection: close\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    assert_string_equal(answer->body, "POST /echo 5 hello name=(none) flag=(none)");
}

static void decodes_query_parameters(void **state)
{
    const struct probe_answer *answer =
        ask_control(*state, "GET", "/echo?flag=1&name=d%C5%B5r%20a%26b", NULL);
    assert_string_equal(answer->body, "GET /echo 0  name=d\xc5\xb5r a&b flag=1");
    answer = ask_control(*state, "GET", "/echo?other=1&flag", NULL);
    assert_string_equal(answer->body, "GET /echo 0  name=(none) flag=(none)");
}

static void hands_back_bytes_and_status(void **state)
{
    const struct probe_answer *answer = ask_control(*state, "GET", "/bytes", NULL);
    assert_int_equal(answer->status, 503);
    assert_non_null(strstr(answer->text, "Content-Length: 5\r\n"));
    assert_non_null(strstr(answer->text, "Content-Type: application/json\r\n"));
    assert_memory_equal(answer->body, "a\0b\0c", 5);
}

static void refuses_unknown_paths(void **state)
{
    static const char *const targets[] = { "/", "/ech", "/echo/", "/echo/x", "/Echo", "//echo" };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        assert_int_equal(ask_control(f, "GET", targets[i], NULL)->status, 404);
    assert_int_equal(f->calls, 0);
}

static void refuses_other_methods_and_says_which_it_takes(void **state)
{
    static const char *const methods[] = { "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get" };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const struct probe_answer *answer = ask_tcp(f, methods[i], "/echo", NULL);
        assert_int_equal(answer->status, 405);
        assert_non_null(strstr(answer->text, "Allow: GET, POST\r\n"));
    }
    assert_int_equal(f->calls, 0);
    const struct probe_answer *answer = ask_tcp(f, "GET", "/post", NULL);
    assert_int_equal(answer->status, 405);
    assert_non_null(strstr(answer->text, "Allow: POST\r\n"));
}

static char *text_of_bytes(size_t length)
{
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    return text;
}

static void takes_one_mebibyte_and_not_a_byte_more(void **state)
{
    struct fixture *f = *state;
    char *body = text_of_bytes((1 << 20) + 1);
    assert_int_equal(ask_control(f, "POST", "/echo", body)->status, 413);
    assert_int_equal(f->calls, 0);
    body[1 << 20] = '\0';
    const struct probe_answer *answer = ask_control(f, "POST", "/echo", body);
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "POST /echo 1048576 x"));
    free(body);
}

static void refuses_a_large_body_that_did_not_say_so(void **state)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: desg\r\nConnection: close\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n110000\r\n"; /* 17 x 64 KiB */
    struct fixture *f = *state;
    size_t head_bytes = sizeof head - 1;
    size_t body_bytes = 0x110000;
    char *request = text_of_bytes(head_bytes + body_bytes + 7);
    memcpy(request, head, head_bytes);
    (void)stpcpy(request + head_bytes + body_bytes, "\r\n0\r\n\r\n");
    int fd = probe_connect_unix(f->control);
    assert_true(fd >= 0);
    probe_exchange(fd, request, head_bytes + body_bytes + 7, &f->answer);
    free(request);
    assert_int_equal(f->answer.status, 413);
    assert_int_equal(f->calls, 0);
}

static void refuses_a_get_with_a_body(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask_control(f, "GET", "/echo", "x")->status, 400);
    assert_int_equal(f->calls, 0);
}

/* Somebody who opens connections and says nothing shuts out nobody but himself. */
static void one_address_cannot_take_all_connections(void **state)
{
    struct fixture *f = *state;
    int idle[80];
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++)
        idle[i] = probe_connect_tcp_from("127.0.0.2", admin_port(f->admin));
    assert_int_equal(ask_tcp(f, "GET", "/echo", NULL)->status, 200);
    assert_int_equal(ask_control(f, "GET", "/echo", NULL)->status, 200);
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++)
        if (idle[i] >= 0)
            (void)close(idle[i]);
}

static void survives_what_is_no_http(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {
        "\r\n",
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /echo HTTP/9.9\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 1x\r\n\r\nx",
        "POST /echo HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: -1\r\n\r\nx",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = probe_connect_unix(f->control);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, requests[i], strlen(requests[i])), strlen(requests[i]));
        (void)close(fd);
    }
    assert_int_equal(ask_control(f, "GET", "/echo", NULL)->status, 200);
}

static void the_control_socket_is_for_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    assert_int_equal(stat(f->control, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_second_process_cannot_take_the_socket_of_a_live_one(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    assert_null(admin_new("", f->control, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "--name"));
    assert_int_equal(ask_control(f, "GET", "/echo", NULL)->status, 200);
}

static void refuses_an_address_in_use_and_leaves_no_socket(void **state)
{
    struct fixture *f = *state;
    char address[32];
    char other[96];
    struct error err = { 0 };
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", admin_port(f->admin));
    (void)snprintf(other, sizeof other, "%.60s/other.sock", f->directory);
    assert_null(admin_new(address, other, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, address));
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(access(other, F_OK), -1);
}

static void without_doors_it_does_nothing(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct admin *admin = admin_new("", "", &err);
    assert_non_null(admin);
    assert_int_equal(admin_start(admin, &err), 0);
    assert_int_equal(admin_port(admin), 0);
    admin_destroy(&admin);
    assert_null(admin);
}

#define with_door(test) cmocka_unit_test_setup_teardown(test, open_door, close_door)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_door(both_doors_answer_a_public_path),
        with_door(a_control_path_is_not_there_over_tcp),
        with_door(hands_over_the_whole_body),
        with_door(decodes_query_parameters),
        with_door(hands_back_bytes_and_status),
        with_door(refuses_unknown_paths),
        with_door(refuses_other_methods_and_says_which_it_takes),
        with_door(takes_one_mebibyte_and_not_a_byte_more),
        with_door(refuses_a_large_body_that_did_not_say_so),
        with_door(refuses_a_get_with_a_body),
        with_door(one_address_cannot_take_all_connections),
        with_door(survives_what_is_no_http),
        with_door(the_control_socket_is_for_its_owner_alone),
        with_door(a_second_process_cannot_take_the_socket_of_a_live_one),
        with_door(refuses_an_address_in_use_and_leaves_no_socket),
        cmocka_unit_test(without_doors_it_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
