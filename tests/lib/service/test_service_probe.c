#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "clock/clock.h"
#include "http_probe.h"
#include "service_child.h"

#define LISTEN         "  admin_listen: 127.0.0.1:0\n"
#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct fixture {
    struct service_child service;
    struct service_child asker; /* with a configuration of its own, for other addresses */
};

static int make_both(void **state)
{
    static struct fixture fixture;
    service_child_init(&fixture.service);
    service_child_init(&fixture.asker);
    *state = &fixture;
    return 0;
}

static int drop_both(void **state)
{
    struct fixture *f = *state;
    service_child_clear(&f->service);
    service_child_clear(&f->asker);
    return 0;
}

static void up(struct fixture *f, const char *lines)
{
    service_child_configure(&f->service, 60000, lines);
    service_child_up(&f->service);
}

static void expect(struct fixture *f, const char *const *arguments, int code, const char *text)
{
    assert_int_equal(service_child_run(&f->asker, arguments), code);
    if (!strstr(service_child_output(&f->asker), text))
        fail_msg("no '%s' in: %s", text, f->asker.text);
    assert_ptr_equal(strchr(f->asker.text, '\n'), f->asker.text + strlen(f->asker.text) - 1);
}

/* Asks with the configuration of the process that runs. */
static void expect_same(struct fixture *f, const char *question, int code, const char *text)
{
    expect(f, ARGUMENTS("--config", f->service.config, "--probe", question), code, text);
}

/* Asks with one that names another address. */
static void expect_at(struct fixture *f, const char *host, uint16_t port, int code,
                      const char *text)
{
    char lines[80];
    (void)snprintf(lines, sizeof lines, "  admin_listen: \"%s:%u\"\n", host, port);
    service_child_configure(&f->asker, 1000, lines);
    expect(f, ARGUMENTS("--config", "CONFIG", "--probe"), code, text);
}

static uint16_t admin_port_of(const struct fixture *f)
{
    struct probe_answer answer;
    int fd = probe_connect_unix(f->service.control);
    assert_true(fd >= 0);
    probe_request(fd, "GET", "/status", NULL, &answer);
    json_t *status = json_loads(answer.body, 0, NULL);
    json_int_t port = json_integer_value(json_object_get(status, "admin_port"));
    json_decref(status);
    assert_in_range(port, 1, UINT16_MAX);
    return (uint16_t)port;
}

static void a_healthy_process_is_live_and_ready(void **state)
{
    struct fixture *f = *state;
    up(f, LISTEN);
    expect_same(f, "live", 0, "/healthz: 200 {\"status\":\"ok\"}\n");
    expect_same(f, "ready", 0, "/readyz: 200 {\"status\":\"ready\"}\n");
    expect(f, ARGUMENTS("--config", f->service.config, "--probe"), 0, "/readyz: 200 ");
    expect(f, ARGUMENTS("--probe=live", "--config", f->service.config), 0, "/healthz: 200 ");
    expect(f, ARGUMENTS("--probe", "live", "--config", f->service.config), 0, "/healthz: 200 ");
    expect(f, ARGUMENTS("--probe", "--config", f->service.config), 0, "/readyz: 200 ");
}

static void a_door_on_every_address_is_asked_on_loopback(void **state)
{
    struct fixture *f = *state;
    up(f, "  admin_listen: 0.0.0.0:0\n");
    uint16_t port = admin_port_of(f);
    expect_at(f, "0.0.0.0", port, 0, "/readyz: 200 ");
    expect_at(f, "127.0.0.1", port, 0, "/readyz: 200 ");
}

static void without_a_tcp_door_the_control_socket_is_asked(void **state)
{
    struct fixture *f = *state;
    up(f, "  admin_listen: \"\"\n");
    expect_same(f, "ready", 0, "/readyz: 200 ");
    expect(f, ARGUMENTS("--config", f->service.config, "--name", "other", "--probe"), 75,
           "nobody answers on ");
}

static void a_draining_process_is_live_but_not_ready(void **state)
{
    struct fixture *f = *state;
    up(f, LISTEN "  mode: holds\n");
    assert_int_equal(kill(f->service.pid, SIGTERM), 0);
    service_child_await(&f->service, " draining ");
    expect_same(f, "ready", 1, "/readyz: 503 {\"status\":\"draining\"}\n");
    expect_same(f, "live", 0, "/healthz: 200 ");
}

static void a_stuck_loop_is_named(void **state)
{
    struct fixture *f = *state;
    up(f, LISTEN "  mode: stuck\n");
    expect_same(f, "live", 1, "/healthz: 503 {\"loop\":\"probe_loop\"");
}

static void nobody_there_is_75(void **state)
{
    struct fixture *f = *state;
    service_child_configure(&f->service, 1000, LISTEN);
    expect_same(f, "ready", 75, "nobody answers on ");
    expect_at(f, "127.0.0.1", 1, 75, "nobody answers on 127.0.0.1:1: Connection refused\n");
}

static void who_takes_calls_and_says_nothing_is_75_in_time(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent, (const struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(silent, 4), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &length), 0);
    int64_t asked_ms = clock_monotonic_ms();
    expect_at(f, "127.0.0.1", ntohs(address.sin_port), 75, "connected, but no answer to /readyz");
    assert_in_range(clock_monotonic_ms() - asked_ms, 1900, CHILD_DEADLINE_MS);
    (void)close(silent);
}

static void what_cannot_be_asked_is_refused(void **state)
{
    struct fixture *f = *state;
    service_child_configure(&f->service, 1000, "  admin_listen: nowhere\n");
    expect_same(f, "ready", 78, "'nowhere' is not an address");
    expect(f, ARGUMENTS("--config", "/nowhere.yaml", "--probe"), 78, "/nowhere.yaml");
    expect(f, ARGUMENTS("--config", f->service.config, "--probe=dead"), 64,
           "--probe takes live or ready, not dead; see");
    expect_same(f, "dead", 64, "unexpected argument dead; see");
    expect(f, ARGUMENTS("--probe"), 64, "--config FILE is missing; see");
}

#define with_both(test) cmocka_unit_test_setup_teardown(test, make_both, drop_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_both(a_healthy_process_is_live_and_ready),
        with_both(a_door_on_every_address_is_asked_on_loopback),
        with_both(without_a_tcp_door_the_control_socket_is_asked),
        with_both(a_draining_process_is_live_but_not_ready),
        with_both(a_stuck_loop_is_named),
        with_both(nobody_there_is_75),
        with_both(who_takes_calls_and_says_nothing_is_75_in_time),
        with_both(what_cannot_be_asked_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
