#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "clock/clock.h"
#include "http_probe.h"
#include "service_child.h"

#define LISTEN         "  admin_listen: 127.0.0.1:0\n"
#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct fixture {
    struct service_child child;
    struct probe_answer answer;
};

static int make_child(void **state)
{
    static struct fixture fixture;
    service_child_init(&fixture.child);
    *state = &fixture;
    return 0;
}

static int drop_child(void **state)
{
    struct fixture *f = *state;
    service_child_clear(&f->child);
    return 0;
}

static void up(struct fixture *f, unsigned grace_ms, const char *probe_lines)
{
    service_child_configure(&f->child, grace_ms, probe_lines);
    service_child_up(&f->child);
}

static const struct probe_answer *ask(struct fixture *f, const char *method, const char *target)
{
    int fd = probe_connect_unix(f->child.control);
    assert_true(fd >= 0);
    probe_request(fd, method, target, NULL, &f->answer);
    return &f->answer;
}

/* GET /status of the control socket, which the caller releases. */
static json_t *status_of(struct fixture *f)
{
    const struct probe_answer *answer = ask(f, "GET", "/status");
    assert_int_equal(answer->status, 200);
    json_t *status = json_loads(answer->body, 0, NULL);
    assert_non_null(status);
    return status;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void send_signal(const struct fixture *f, int number)
{
    assert_int_equal(kill(f->child.pid, number), 0);
}

static void assert_logged(struct fixture *f, const char *text)
{
    if (!strstr(service_child_output(&f->child), text))
        fail_msg("no '%s' in:\n%s", text, f->child.text);
}

static void assert_not_logged(struct fixture *f, const char *text)
{
    if (strstr(service_child_output(&f->child), text))
        fail_msg("'%s' in:\n%s", text, f->child.text);
}

static void answers_on_its_control_socket(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN);
    assert_int_equal(ask(f, "GET", "/healthz")->status, 200);
    assert_string_equal(f->answer.body, "{\"status\":\"ok\"}");
    assert_int_equal(ask(f, "GET", "/readyz")->status, 200);
    assert_string_equal(f->answer.body, "{\"status\":\"ready\"}");
    assert_int_equal(ask(f, "POST", "/status")->status, 405);
    assert_non_null(strstr(f->answer.text, "Allow: GET\r\n"));
    json_t *status = status_of(f);
    assert_string_equal(text_of(status, "service"), "probe");
    assert_string_equal(text_of(status, "name"), "probe");
    assert_string_equal(text_of(status, "version"), DESG_VERSION);
    assert_string_equal(text_of(status, "state"), "running");
    assert_int_equal(number_of(status, "pid"), f->child.pid);
    assert_int_equal(strlen(text_of(status, "instance")), 32);
    assert_in_range(number_of(status, "uptime_ms"), 0, CHILD_DEADLINE_MS);
    const json_t *detail = json_object_get(status, "detail");
    assert_string_equal(text_of(detail, "force"), "gwent");
    assert_string_equal(text_of(detail, "name"), "probe");
    json_decref(status);
}

static void renders_the_metrics_of_the_process(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN);
    assert_int_equal(ask(f, "GET", "/metrics")->status, 200);
    assert_non_null(strstr(f->answer.text, "Content-Type: text/plain; version=0.0.4"));
    assert_non_null(strstr(
        f->answer.body, "\ndesg_build_info{service=\"probe\",version=\"" DESG_VERSION "\"} 1\n"));
    assert_non_null(strstr(f->answer.body, "\ndesg_probe_starts_total 1\n"));
    const char *started = strstr(f->answer.body, "\ndesg_start_time_seconds ");
    const char *resident = strstr(f->answer.body, "\nprocess_resident_memory_bytes ");
    const char *files = strstr(f->answer.body, "\nprocess_open_fds ");
    assert_true(started && resident && files);
    long long now_s = clock_unix_ms() / 1000;
    assert_in_range(strtoll(strchr(started + 1, ' '), NULL, 10), now_s - 60, now_s);
    assert_in_range(strtoll(strchr(resident + 1, ' '), NULL, 10), 100000, 1LL << 40);
    assert_in_range(strtoll(strchr(files + 1, ' '), NULL, 10), 5, 100);
}

static void over_tcp_there_is_no_control(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN);
    json_t *status = status_of(f);
    uint16_t port = (uint16_t)number_of(status, "admin_port");
    json_decref(status);
    static const struct {
        const char *target;
        int status;
    } cases[] = { { "/healthz", 200 }, { "/readyz", 200 }, { "/metrics", 200 },
                  { "/status", 404 },  { "/fail", 404 },   { "/", 404 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = probe_connect_tcp(port);
        assert_true(fd >= 0);
        probe_request(fd, "GET", cases[i].target, NULL, &f->answer);
        assert_int_equal(f->answer.status, cases[i].status);
    }
}

static void runs_without_a_tcp_door(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, "  admin_listen: \"\"\n");
    assert_int_equal(ask(f, "GET", "/healthz")->status, 200);
}

static void stops_as_asked(void **state)
{
    static const int signals[] = { SIGTERM, SIGINT };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        up(f, 5000, LISTEN);
        send_signal(f, signals[i]);
        assert_int_equal(service_child_wait(&f->child), 0);
        const char *log = service_child_output(&f->child);
        const char *started = strstr(log, " info probe started version=");
        const char *draining = strstr(log, " info probe draining grace_ms=5000\n");
        const char *drained = strstr(log, " info probe drained ");
        const char *stopped = strstr(log, " info probe stopped code=0 ");
        assert_true(started && draining && drained && stopped);
        assert_true(started < draining && draining < drained && drained < stopped);
        assert_int_equal(access(f->child.control, F_OK), -1);
    }
}

static void knows_its_own_options(void **state)
{
    struct fixture *f = *state;
    static const char *const arguments[] = { "--config", "CONFIG", "--for", "12", "--twice", NULL };
    service_child_configure(&f->child, 1000, LISTEN);
    service_child_start(&f->child, arguments);
    service_child_await(&f->child, " started ");
    json_t *status = status_of(f);
    const json_t *detail = json_object_get(status, "detail");
    assert_string_equal(text_of(detail, "for"), "12");
    assert_string_equal(text_of(detail, "twice"), "");
    json_decref(status);
    send_signal(f, SIGTERM);
    assert_int_equal(service_child_wait(&f->child), 0);
    up(f, 1000, LISTEN);
    status = status_of(f);
    assert_true(json_is_null(json_object_get(json_object_get(status, "detail"), "for")));
    json_decref(status);
}

static void ends_by_itself_when_its_work_is_done(void **state)
{
    struct fixture *f = *state;
    up(f, 60000, LISTEN "  mode: holds\n"); /* a drain would never end */
    (void)ask(f, "POST", "/end");
    assert_int_equal(service_child_wait(&f->child), 0);
    assert_logged(f, " info probe stopped code=0 ");
    assert_not_logged(f, "draining");
}

static void await_state(struct fixture *f, const char *expected)
{
    int64_t deadline_ms = clock_monotonic_ms() + CHILD_DEADLINE_MS;
    for (;;) {
        json_t *status = status_of(f);
        bool is_there = strcmp(text_of(status, "state"), expected) == 0;
        json_decref(status);
        if (is_there)
            return;
        if (clock_monotonic_ms() > deadline_ms)
            fail_msg("never %s", expected);
        (void)poll(NULL, 0, 2);
    }
}

static void finishes_what_is_in_hand_before_it_stops(void **state)
{
    struct fixture *f = *state;
    up(f, 60000, LISTEN "  mode: holds\n");
    send_signal(f, SIGTERM);
    await_state(f, "draining");
    assert_int_equal(ask(f, "GET", "/readyz")->status, 503);
    assert_string_equal(f->answer.body, "{\"status\":\"draining\"}");
    assert_int_equal(ask(f, "GET", "/healthz")->status, 200);
    assert_int_equal(ask(f, "POST", "/finish")->status, 200);
    assert_int_equal(service_child_wait(&f->child), 0);
    assert_logged(f, " info probe drained ");
}

static void a_second_signal_skips_the_wait(void **state)
{
    struct fixture *f = *state;
    up(f, 60000, LISTEN "  mode: holds\n");
    send_signal(f, SIGTERM);
    await_state(f, "draining");
    send_signal(f, SIGTERM);
    assert_int_equal(service_child_wait(&f->child), 0);
    assert_logged(f, " warn probe drain_cut_short by=signal ");
}

static void the_wait_ends_with_the_grace_period(void **state)
{
    struct fixture *f = *state;
    up(f, 150, LISTEN "  mode: holds\n");
    int64_t asked_ms = clock_monotonic_ms();
    send_signal(f, SIGTERM);
    assert_int_equal(service_child_wait(&f->child), 0);
    assert_true(clock_monotonic_ms() - asked_ms >= 150);
    assert_logged(f, " warn probe drain_cut_short by=grace_over ");
}

static void a_stuck_loop_is_named_and_unhealthy(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN "  mode: stuck\n");
    assert_int_equal(ask(f, "GET", "/healthz")->status, 503);
    assert_string_equal(f->answer.body, "{\"loop\":\"probe_loop\",\"status\":\"stuck\"}");
    assert_int_equal(ask(f, "GET", "/readyz")->status, 200);
}

static void a_failed_start_exits_by_the_kind_of_failure(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *lines;
        int code;
    } cases[] = { { LISTEN "  mode: refuses\n  refusal: 1\n", 70 },
                  { LISTEN "  mode: refuses\n  refusal: 2\n", 75 },
                  { LISTEN "  mode: refuses\n  refusal: 3\n", 78 },
                  { LISTEN "  mode: refuses\n  refusal: 4\n", 71 },
                  { "  admin_listen: nowhere\n", 78 },
                  { "  admin_listen: 192.0.2.1:1\n", 78 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        service_child_configure(&f->child, 1000, cases[i].lines);
        assert_int_equal(service_child_run(&f->child, ARGUMENTS("--config", "CONFIG")),
                         cases[i].code);
        assert_logged(f, " error probe start_failed error=\"");
        assert_not_logged(f, "started");
        assert_int_equal(access(f->child.control, F_OK), -1);
    }
}

static void a_failure_stops_the_process_and_is_logged_once(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *target;
        int code;
    } cases[] = { { "/fail?kind=0", 70 },
                  { "/fail?kind=1", 70 },
                  { "/fail?kind=2", 75 },
                  { "/fail?kind=3", 78 },
                  { "/fail?kind=4", 71 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        up(f, 60000, LISTEN "  mode: holds\n");
        (void)ask(f, "POST", cases[i].target);
        assert_int_equal(service_child_wait(&f->child), cases[i].code);
        assert_logged(f, " error probe failed error=\"the probe was told to fail\"\n");
        assert_not_logged(f, "and again");
        assert_not_logged(f, "draining");
    }
}

static void a_failure_ends_a_drain(void **state)
{
    struct fixture *f = *state;
    up(f, 60000, LISTEN "  mode: holds\n");
    send_signal(f, SIGTERM);
    await_state(f, "draining");
    (void)ask(f, "POST", "/fail?kind=4");
    assert_int_equal(service_child_wait(&f->child), 71);
    assert_logged(f, " warn probe drain_cut_short by=failure ");
}

static void reloads_and_goes_on(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN);
    send_signal(f, SIGHUP);
    service_child_await(&f->child, " info probe reloaded\n");
    json_t *status = status_of(f);
    assert_int_equal(number_of(json_object_get(status, "detail"), "reloads"), 1);
    assert_string_equal(text_of(status, "state"), "running");
    json_decref(status);
}

static void keeps_its_memory_to_itself(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN);
    json_t *status = status_of(f);
    const json_t *detail = json_object_get(status, "detail");
    assert_int_equal(number_of(detail, "dumpable"), 0);
    assert_int_equal(number_of(detail, "core_limit"), 0);
    assert_int_equal(number_of(detail, "umask"), 077);
    assert_true(json_is_true(json_object_get(detail, "ignores_sigpipe")));
    assert_string_equal(text_of(detail, "zsys_sighandler"), "false");
    json_decref(status);
    struct stat run;
    char path[CHILD_PATH_BYTES + 20];
    (void)snprintf(path, sizeof path, "%s/run", f->child.directory);
    assert_int_equal(stat(path, &run), 0);
    assert_int_equal(run.st_mode & 0777, 0700);
    assert_int_equal(stat(f->child.control, &run), 0);
    assert_int_equal(run.st_mode & 0777, 0600);
}

static void may_open_as_many_files_as_the_machine_allows(void **state)
{
    struct fixture *f = *state;
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    const struct rlimit low = { 64, was.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    up(f, 1000, LISTEN);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    json_t *status = status_of(f);
    const json_t *detail = json_object_get(status, "detail");
    assert_int_equal(number_of(detail, "files_limit"), was.rlim_max);
    json_decref(status);
}

static void two_processes_need_two_names(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN);
    pid_t first = f->child.pid;
    assert_int_equal(service_child_run(&f->child, ARGUMENTS("--config", "CONFIG")), 78);
    assert_logged(f, "another process answers there");
    static const char *const named[] = { "--config", "CONFIG", "--name", "probe-2", NULL };
    service_child_start(&f->child, named);
    service_child_await(&f->child, " info probe-2 started ");
    send_signal(f, SIGTERM);
    assert_int_equal(service_child_wait(&f->child), 0);
    f->child.pid = first;
    assert_int_equal(ask(f, "GET", "/healthz")->status, 200); /* the first was not disturbed */
    send_signal(f, SIGTERM);
    assert_int_equal(service_child_wait(&f->child), 0);
}

static void starts_again_after_kill_9(void **state)
{
    struct fixture *f = *state;
    up(f, 1000, LISTEN);
    json_t *before = status_of(f);
    send_signal(f, SIGKILL);
    assert_int_equal(service_child_wait(&f->child), -1);
    assert_int_equal(access(f->child.control, F_OK), 0); /* it could not clean up */
    service_child_up(&f->child);
    json_t *after = status_of(f);
    assert_string_not_equal(text_of(before, "instance"), text_of(after, "instance"));
    json_decref(before);
    json_decref(after);
}

#define with_child(test) cmocka_unit_test_setup_teardown(test, make_child, drop_child)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_child(answers_on_its_control_socket),
        with_child(renders_the_metrics_of_the_process),
        with_child(over_tcp_there_is_no_control),
        with_child(runs_without_a_tcp_door),
        with_child(stops_as_asked),
        with_child(knows_its_own_options),
        with_child(ends_by_itself_when_its_work_is_done),
        with_child(finishes_what_is_in_hand_before_it_stops),
        with_child(a_second_signal_skips_the_wait),
        with_child(the_wait_ends_with_the_grace_period),
        with_child(a_stuck_loop_is_named_and_unhealthy),
        with_child(a_failed_start_exits_by_the_kind_of_failure),
        with_child(a_failure_stops_the_process_and_is_logged_once),
        with_child(a_failure_ends_a_drain),
        with_child(reloads_and_goes_on),
        with_child(keeps_its_memory_to_itself),
        with_child(may_open_as_many_files_as_the_machine_allows),
        with_child(two_processes_need_two_names),
        with_child(starts_again_after_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
