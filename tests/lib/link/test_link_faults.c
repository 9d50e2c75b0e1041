/* What goes wrong on the way: processes killed or stopped, names that change. Threads and processes
 * of their own where that is the point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock/clock.h"
#include "node.h"

extern char **environ;

enum { SOON_MS = 30000 };

/* ---- a peer in a process of its own: this program with other arguments ---- */

_Noreturn static void run_peer(const char *endpoint)
{
    struct fixture f = { .context = zmq_ctx_new(), .loop = zloop_new() };
    struct node node;
    node_init(&node, (uint32_t)getpid());
    node.is_answering = true;
    node_connect(&node, &f, endpoint, 64);
    for (;;)
        run_for(f.loop, 1000); /* until it is killed */
}

static pid_t start_peer(const char *endpoint)
{
    char self[] = "/proc/self/exe";
    char mode[] = "--peer";
    char text[NODE_PATH_BYTES];
    (void)snprintf(text, sizeof text, "%s", endpoint);
    char *arguments[] = { self, mode, text, NULL };
    pid_t pid = 0;
    assert_int_equal(posix_spawn(&pid, self, NULL, NULL, arguments, environ), 0);
    return pid;
}

static void kill_peer(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool has_an_item(void *arg)
{
    return ((struct node *)arg)->item_count > 0;
}

static void send_or_fail(struct node *node)
{
    struct error err = { 0 };
    if (node_send_batch(node, 1, 10, &err) != 0)
        fail_msg("%s", err.text);
}

static void a_killed_peer_goes_down(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    pid_t pid = start_peer(f->endpoint);
    bool is_up = run_until(f->loop, node_is_up, &bound, SOON_MS);
    kill_peer(pid);
    assert_true(is_up);
    int64_t start_ms = clock_monotonic_ms();
    assert_true(run_until(f->loop, node_is_alone, &bound, SOON_MS));
    print_message("down after %lld ms\n", (long long)(clock_monotonic_ms() - start_ms));
    assert_int_equal(bound.drain_count, 0);
    node_clear(&bound);
}

/* Its kernel still answers for it, and takes our packets. */
static void a_stopped_peer_goes_down_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    pid_t pid = start_peer(f->endpoint);
    bool was_up = run_until(f->loop, node_is_up, &bound, SOON_MS);
    (void)kill(pid, SIGSTOP);
    bool was_down = run_until(f->loop, node_is_alone, &bound, SOON_MS);
    (void)kill(pid, SIGCONT);
    bool is_back = run_until(f->loop, node_is_up, &bound, SOON_MS);
    if (is_back)
        send_or_fail(&bound);
    bool has_answered = run_until(f->loop, has_an_item, &bound, SOON_MS);
    kill_peer(pid);
    assert_true(was_up && was_down && is_back && has_answered);
    node_clear(&bound);
}

/* ---- a peer whose loop hangs while its I/O thread goes on ---- */

static void a_peer_that_says_nothing_goes_down(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *raw = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw, f->endpoint), 0);
    int64_t start_ms = clock_monotonic_ms();
    raw_say_ready(raw, 7, 9);
    assert_true(run_until(f->loop, node_is_up, &bound, SOON_MS));
    assert_true(run_until(f->loop, node_is_alone, &bound, SOON_MS));
    assert_true(clock_monotonic_ms() - start_ms >= 2500); /* not before its time */
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

static void links_with_nothing_to_say_stay_up(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    node_init(&bound, 1);
    node_init(&caller, 2);
    node_bind(&bound, f, f->endpoint, 5);
    node_connect(&caller, f, f->endpoint, 5);
    assert_true(run_until(f->loop, node_is_up, &bound, SOON_MS));
    run_for(f->loop, 4500);
    assert_int_equal(bound.down_count + caller.down_count, 0);
    assert_int_equal(bound.up_count + caller.up_count, 2);
    node_clear(&caller);
    node_clear(&bound);
}

static int sleep_in_the_loop(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    (void)arg;
    (void)poll(NULL, 0, 3600);
    return 0;
}

/* It may have said a lot meanwhile: nobody read it. */
static void our_own_absence_is_not_held_against_a_peer(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *raw = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw, f->endpoint), 0);
    raw_say_ready(raw, 7, 9);
    assert_true(run_until(f->loop, node_is_up, &bound, SOON_MS));
    (void)zloop_timer(f->loop, 1, 1, sleep_in_the_loop, NULL);
    run_for(f->loop, 4200);
    assert_int_equal(bound.down_count, 0);
    assert_true(run_until(f->loop, node_is_alone, &bound, SOON_MS)); /* but its silence since is */
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

/* ---- names ---- */

static void a_name_is_resolved_and_connected_to(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    char endpoint[NODE_PATH_BYTES];
    node_init(&bound, 1);
    node_init(&caller, 2);
    node_bind(&bound, f, "tcp://127.0.0.1:*", 5);
    (void)snprintf(
        endpoint, sizeof endpoint,
        "tcp://127.1:%s", /* a name to us, and to the resolver without any file or server */
        strrchr(link_endpoint(bound.link), ':') + 1);
    node_connect(&caller, f, endpoint, 5);
    assert_true(run_until(f->loop, node_is_up, &caller, SOON_MS));
    node_clear(&caller);
    node_clear(&bound);
}

/* Answers with the first `count` of its hosts. */
struct fake_dns {
    const char *hosts[3];
    atomic_int count; /* -1: the server does not answer */
};

static bool look_up(const char *host, struct resolver_answer *answer, void *arg)
{
    struct fake_dns *dns = arg;
    int count = atomic_load(&dns->count);
    assert_string_equal(host, "workers.test");
    for (int i = 0; i < count; i++)
        (void)snprintf(answer->hosts[answer->count++], RESOLVER_HOST_BYTES, "%s", dns->hosts[i]);
    return count >= 0;
}

static bool has_two_peers(void *arg)
{
    return link_peer_count(((struct node *)arg)->link) == 2;
}

static size_t connection_count(const struct node *node)
{
    json_t *peers = link_describe(node->link);
    size_t count = json_array_size(peers);
    json_decref(peers);
    return count;
}

static bool has_one_connection(void *arg)
{
    return connection_count(arg) == 1;
}

static void addresses_that_appear_and_vanish_are_followed(void **state)
{
    struct fixture *f = *state;
    struct node first;
    struct node second;
    struct node caller;
    struct fake_dns dns = { .hosts = { "127.0.0.1", "127.0.0.2" } };
    struct resolver_source source = { look_up, &dns, 20 };
    char endpoint[NODE_PATH_BYTES];
    node_init(&first, 1);
    node_init(&second, 3);
    node_init(&caller, 2);
    node_bind(&first, f, "tcp://127.0.0.1:*", 5);
    const char *port = strrchr(link_endpoint(first.link), ':') + 1;
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.2:%s", port);
    node_bind(&second, f, endpoint, 5);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://workers.test:%s", port);
    atomic_store(&dns.count, -1);
    node_connect_by(&caller, f, endpoint, &source);
    run_for(f->loop, 100);
    assert_int_equal(connection_count(&caller), 0);
    atomic_store(&dns.count, 2);
    assert_true(run_until(f->loop, has_two_peers, &caller, SOON_MS));
    atomic_store(&dns.count, -1); /* a dead server changes nothing */
    run_for(f->loop, 400);
    assert_int_equal(connection_count(&caller), 2);
    atomic_store(&dns.count, 1); /* the second is gone from DNS, but still there */
    run_for(f->loop, 600);
    assert_int_equal(connection_count(&caller), 2);
    assert_int_equal(caller.down_count, 0);
    node_stop(&second);
    assert_true(run_until(f->loop, has_one_connection, &caller, SOON_MS));
    assert_int_equal(caller.down_count, 1);
    node_clear(&caller);
    node_clear(&second);
    node_clear(&first);
}

static size_t parked_count(const struct node *node)
{
    json_t *peers = link_describe(node->link);
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(peers); i++) {
        const char *told = json_string_value(json_object_get(json_array_get(peers, i), "state"));
        count += told && strcmp(told, "parked") == 0;
    }
    json_decref(peers);
    return count;
}

/* Of caller and bound: one way is in use, the other parked. */
static bool have_settled(void *arg)
{
    struct node *const *both = arg;
    return link_peer_count(both[0]->link) == 1 && link_peer_count(both[1]->link) == 1 &&
           parked_count(both[0]) == 1;
}

static void two_ways_to_one_process_become_one_peer(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    struct fake_dns dns = { .hosts = { "127.0.0.1", "127.0.0.2" }, .count = 2 };
    struct resolver_source source = { look_up, &dns, 20 };
    char endpoint[NODE_PATH_BYTES];
    node_init(&bound, 1);
    node_init(&caller, 2);
    node_bind(&bound, f, "tcp://*:*", 5);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://workers.test:%s",
                   strrchr(link_endpoint(bound.link), ':') + 1);
    node_connect_by(&caller, f, endpoint, &source);
    assert_true(run_until(f->loop, node_is_up, &caller, SOON_MS));
    struct node *both[] = { &caller, &bound };
    assert_true(run_until(f->loop, have_settled, both, SOON_MS));
    int up_count = bound.up_count + caller.up_count;
    run_for(f->loop, 2000);
    assert_int_equal(bound.up_count + caller.up_count, up_count);
    assert_true(have_settled(both));
    node_clear(&caller);
    node_clear(&bound);
}

struct hanging_dns {
    atomic_bool has_begun;
    atomic_bool may_end;
    atomic_bool is_over;
};

static bool hang(const char *host, struct resolver_answer *answer, void *arg)
{
    (void)host;
    (void)answer;
    struct hanging_dns *dns = arg;
    atomic_store(&dns->has_begun, true);
    for (int ms = 0; ms < SOON_MS && !atomic_load(&dns->may_end); ms += 10)
        (void)poll(NULL, 0, 10);
    atomic_store(&dns->is_over, true);
    return false;
}

static bool is_set(void *arg)
{
    return atomic_load((atomic_bool *)arg);
}

static void a_hanging_lookup_holds_up_neither_the_loop_nor_the_end(void **state)
{
    struct fixture *f = *state;
    struct node caller;
    struct hanging_dns dns = { false, false, false };
    struct resolver_source source = { hang, &dns, 20 };
    node_init(&caller, 2);
    node_connect_by(&caller, f, "tcp://workers.test:1", &source);
    assert_true(run_until(f->loop, is_set, &dns.has_begun, SOON_MS));
    run_for(f->loop, 100);
    node_clear(&caller);
    assert_false(atomic_load(&dns.is_over)); /* all that while it hung */
    atomic_store(&dns.may_end, true);
    assert_true(run_until(f->loop, is_set, &dns.is_over, SOON_MS)); /* its thread ends after us */
}

/* ---- each end in a thread of its own ---- */

struct runner {
    pthread_t thread;
    void *context;
    const char *endpoint;
    uint32_t seed;
    atomic_bool is_stopping;
    size_t item_count;
};

static bool is_stopping(void *arg)
{
    return atomic_load(&((struct runner *)arg)->is_stopping);
}

static void *run_worker(void *arg)
{
    struct runner *self = arg;
    struct fixture f = { .context = self->context, .loop = zloop_new() };
    struct node node;
    node_init(&node, self->seed);
    node.is_answering = true;
    node_connect(&node, &f, self->endpoint, 64);
    (void)run_until(f.loop, is_stopping, self, 4 * SOON_MS);
    self->item_count = node.item_count;
    node_clear(&node);
    zloop_destroy(&f.loop);
    return NULL;
}

enum { WORKERS = 4, ROUNDS = 300 };

static bool has_all_workers(void *arg)
{
    return link_peer_count(((struct node *)arg)->link) == WORKERS;
}

static bool has_all_answers(void *arg)
{
    return ((struct node *)arg)->item_count == ROUNDS;
}

static void workers_in_threads_answer_every_event(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct runner workers[WORKERS];
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct runner){ .context = f->context,
                                      .endpoint = f->endpoint,
                                      .seed = 10 + (uint32_t)i };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
    }
    bool are_up = run_until(f->loop, has_all_workers, &bound, SOON_MS);
    for (int i = 0; are_up && i < ROUNDS; i++) {
        while (link_credit(bound.link, bound.peer) == 0)
            run_for(f->loop, 1);
        send_or_fail(&bound);
    }
    bool are_answered = run_until(f->loop, has_all_answers, &bound, SOON_MS);
    size_t total = 0;
    for (int i = 0; i < WORKERS; i++) {
        atomic_store(&workers[i].is_stopping, true);
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        total += workers[i].item_count;
    }
    assert_true(are_up);
    assert_true(are_answered);
    assert_int_equal(total, ROUNDS);
    node_clear(&bound);
}

#define LINK_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--peer") == 0)
        run_peer(argv[2]);
    const struct CMUnitTest processes[] = {
        LINK_TEST(a_killed_peer_goes_down),
        LINK_TEST(a_stopped_peer_goes_down_and_comes_back),
        LINK_TEST(a_peer_that_says_nothing_goes_down),
        LINK_TEST(links_with_nothing_to_say_stay_up),
        LINK_TEST(our_own_absence_is_not_held_against_a_peer),
        LINK_TEST(workers_in_threads_answer_every_event),
    };
    const struct CMUnitTest names[] = {
        LINK_TEST(a_name_is_resolved_and_connected_to),
        LINK_TEST(addresses_that_appear_and_vanish_are_followed),
        LINK_TEST(two_ways_to_one_process_become_one_peer),
        LINK_TEST(a_hanging_lookup_holds_up_neither_the_loop_nor_the_end),
    };
    int failed = cmocka_run_group_tests(processes, NULL, NULL);
    failed += cmocka_run_group_tests(names, NULL, NULL);
    return failed;
}
