/* The master through Sentinels: three real ones with a real master and its replica. */
#include "fixture.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "clock/clock.h"
#include "redis_cluster.h"
#include "store/sentinel.h"

enum { DEADLINE_MS = 30000 };

#define PASSWORD "of-the-sentinels"

struct sentinel_fixture {
    struct fixture common;
    struct redis_cluster *cluster;
    char password_file[64];
    char *sentinels[CLUSTER_SENTINELS];
};

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

static void write_password(struct sentinel_fixture *f, const char *password)
{
    FILE *file = fopen(f->password_file, "w");
    assert_non_null(file);
    (void)fprintf(file, "%s\n", password);
    assert_int_equal(fclose(file), 0);
}

static int set_up_cluster(void **state)
{
    struct sentinel_fixture *f = calloc(1, sizeof *f);
    f->cluster = redis_cluster_new(PASSWORD);
    strcpy(f->password_file, "/tmp/desg-sentinel-XXXXXX"); /* NOLINT: fits */
    int fd = mkstemp(f->password_file);
    assert_true(fd >= 0);
    (void)close(fd);
    *state = f;
    return 0;
}

static int tear_down_cluster(void **state)
{
    struct sentinel_fixture *f = *state;
    redis_cluster_destroy(&f->cluster);
    (void)unlink(f->password_file);
    free(f);
    return 0;
}

static int configure(void **state)
{
    struct sentinel_fixture *f = *state;
    struct config_redis *redis = &f->common.redis;
    memcpy(f->sentinels, redis_cluster_sentinels(f->cluster), sizeof f->sentinels);
    *redis = (struct config_redis){ .address = (char *)"desg",
                                    .sentinels = f->sentinels,
                                    .sentinels_count = CLUSTER_SENTINELS,
                                    .sentinel_username = (char *)"desg",
                                    .sentinel_password_file = f->password_file,
                                    .timeout_ms = 2000 };
    write_password(f, PASSWORD);
    f->common.queues = (struct store_queues){ 0 };
    f->common.store = open_store(&f->common);
    return 0;
}

static int close_all(void **state)
{
    struct sentinel_fixture *f = *state;
    store_destroy(&f->common.store);
    return 0;
}

static void reopen(struct sentinel_fixture *f)
{
    store_destroy(&f->common.store);
    f->common.store = open_store(&f->common);
}

static int try_apply(struct sentinel_fixture *f, uint8_t number, char *history)
{
    struct sample sample;
    sample_init(&sample, number, 1, T0, ROUTINE);
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    struct store_result result;
    struct error err = { 0 };
    return store_apply(f->common.store, &event, 1, &result, history, &err);
}

static void apply_within(struct sentinel_fixture *f, uint8_t number, char *history)
{
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (try_apply(f, number, history) != 0) {
        if (clock_monotonic_ms() > give_up_ms)
            fail_msg("nothing applied: %s", store_problem(f->common.store));
        pause_ms(20);
    }
}

/* The history that a server itself tells of. */
static void assert_history_of(struct sentinel_fixture *f, int server, const char *history)
{
    char *info = redis_cluster_ask(f->cluster, server, "INFO replication");
    const char *replid = strstr(info, "master_replid:");
    assert_non_null(replid);
    assert_memory_equal(replid + strlen("master_replid:"), history, STORE_HISTORY_BYTES - 1);
    free(info);
}

/* Sentinel itself makes a stray master follow only after some 10 s. */
static void make_follow(struct sentinel_fixture *f, int server, int master)
{
    char address[32];
    (void)snprintf(address, sizeof address, "%s", redis_cluster_address(f->cluster, master));
    *strchr(address, ':') = ' ';
    free(redis_cluster_ask(f->cluster, server, "ACL SETUSER default +@all"));
    free(redis_cluster_ask(f->cluster, server, "REPLICAOF %s", address));
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (;;) {
        char *info = redis_cluster_ask(f->cluster, master, "INFO replication");
        bool is_there = strstr(info, "state=online") != NULL;
        free(info);
        if (is_there)
            return;
        assert_true(clock_monotonic_ms() < give_up_ms);
        pause_ms(50);
    }
}

/* --- whom to believe --- */

static struct sentinel_view view(uint64_t epoch, const char *address)
{
    struct sentinel_view made = { .is_known = address[0] != '\0', .epoch = epoch };
    (void)snprintf(made.address, sizeof made.address, "%s", address);
    return made;
}

static void the_newest_epoch_is_believed(void **state)
{
    (void)state;
    static const struct {
        const char *addresses[3];
        uint64_t epochs[3];
        uint64_t known_epoch;
        int chosen;
    } cases[] = {
        { { "a", "a", "a" }, { 1, 1, 1 }, 1, 0 },
        { { "a", "b", "b" }, { 1, 2, 2 }, 1, 1 },
        { { "a", "a", "b" }, { 1, 1, 2 }, 1, 2 }, /* two have not heard of the failover yet */
        { { "a", "b", "b" }, { 2, 2, 2 }, 2, 1 },
        { { "", "a", "" }, { 0, 3, 0 }, 3, 1 },
        { { "", "", "" }, { 0, 0, 0 }, 0, -1 },
        { { "a", "", "" }, { 1, 0, 0 }, 2, -1 }, /* cut off with a demoted master */
        { { "a", "a", "" }, { 0, 0, 0 }, 7, 0 }, /* set up anew, and more than half say so */
        { { "a", "", "b" }, { 0, 0, 0 }, 7, -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sentinel_view views[3];
        for (size_t j = 0; j < 3; j++)
            views[j] = view(cases[i].epochs[j], cases[i].addresses[j]);
        int chosen = sentinel_choose(views, 3, cases[i].known_epoch);
        if (chosen != cases[i].chosen)
            fail_msg("case %zu: %d instead of %d", i, chosen, cases[i].chosen);
    }
}

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    static const char *const good[][3] = { { "127.0.0.1:6379", "127.0.0.1", "127.0.0.1" },
                                           { "[::1]:6379", "::1", "::1" },
                                           { "redis.example:1", "redis.example", "" },
                                           { "unix:/run/redis.sock", "/run/redis.sock", "" } };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct endpoint endpoint = { 0 };
        assert_int_equal(endpoint_set(&endpoint, good[i][0]), 0);
        assert_string_equal(endpoint.host, good[i][1]);
        assert_string_equal(endpoint.numeric, good[i][2]);
        endpoint_clear(&endpoint);
    }
    static const char *const bad[] = { "",     "nonsense", ":1",       "a:",   "a:0", "a:65536",
                                       "a:1x", "unix:",    "[name]:1", "[]:1", "a:-1" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct endpoint endpoint = { 0 };
        if (endpoint_set(&endpoint, bad[i]) == 0)
            fail_msg("'%s' accepted", bad[i]);
        assert_int_equal(endpoint_take(&endpoint, 0), ENDPOINT_UNKNOWN);
        endpoint_clear(&endpoint);
    }
}

static void a_name_is_looked_up_aside(void **state)
{
    (void)state;
    struct endpoint endpoint = { 0 };
    /* A name to us, and to the resolver without any file or server. */
    assert_int_equal(endpoint_set(&endpoint, "127.1:6379"), 0);
    endpoint_look_up(&endpoint);
    assert_int_equal(endpoint_take(&endpoint, DEADLINE_MS), ENDPOINT_FOUND);
    assert_true(strcmp(endpoint.numeric, "127.0.0.1") == 0 || strcmp(endpoint.numeric, "::1") == 0);
    endpoint_look_up(&endpoint); /* known while it is looked up again */
    assert_int_equal(endpoint_take(&endpoint, 0), ENDPOINT_FOUND);
    endpoint_clear(&endpoint);
}

static void what_is_no_sentinel_stops_the_start(void **state)
{
    (void)state;
    char *sentinels[] = { (char *)"127.0.0.1" };
    struct config_redis redis = { .address = (char *)"desg",
                                  .sentinels = sentinels,
                                  .sentinels_count = 1 };
    struct store_options options = { .redis = &redis, .force = "testforce" };
    struct error err = { 0 };
    assert_null(store_new(&options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "write host:port"));
    sentinels[0] = (char *)"127.0.0.1:26379";
    redis.sentinel_password_file = (char *)"/nonexistent/password";
    assert_null(store_new(&options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
}

/* --- real ones --- */

static void sentinels_that_are_away_or_hang_delay_nobody(void **state)
{
    struct sentinel_fixture *f = *state;
    f->sentinels[0] = (char *)"127.0.0.1:1"; /* nobody listens */
    enum store_state found = STORE_READY;
    int64_t took_ms = INT64_MAX;
    redis_cluster_signal_sentinel(f->cluster, 1, SIGSTOP);
    /* again where the machine held us up: who waits for one that hangs does so each time */
    for (int i = 0; i < 5 && found == STORE_READY && took_ms > 2000; i++) {
        reopen(f);
        int64_t before_ms = clock_monotonic_ms();
        found = store_check(f->common.store);
        took_ms = clock_monotonic_ms() - before_ms;
    }
    redis_cluster_signal_sentinel(f->cluster, 1, SIGCONT);
    assert_int_equal(found, STORE_READY);
    assert_true(took_ms <= 2000);
}

static void a_sentinel_is_found_by_its_name(void **state)
{
    struct sentinel_fixture *f = *state;
    char named[64];
    (void)snprintf(named, sizeof named, "127.1%s", strchr(f->sentinels[2], ':'));
    f->sentinels[0] = (char *)"no-such-host.invalid:26379";
    f->sentinels[1] = (char *)"127.0.0.1:1";
    f->sentinels[2] = named;
    reopen(f);
    char history[STORE_HISTORY_BYTES];
    apply_within(f, 10, history);
    assert_history_of(f, redis_cluster_master(f->cluster), history);
    store_destroy(&f->common.store);
}

static void without_any_sentinel_nothing_is_guessed(void **state)
{
    struct sentinel_fixture *f = *state;
    for (size_t i = 0; i < CLUSTER_SENTINELS; i++)
        f->sentinels[i] = (char *)"127.0.0.1:1";
    reopen(f);
    assert_int_equal(store_check(f->common.store), STORE_AWAY);
    assert_non_null(strstr(store_problem(f->common.store), "none of 3 Sentinels"));
}

static void a_name_the_sentinels_do_not_know_is_named(void **state)
{
    struct sentinel_fixture *f = *state;
    f->common.redis.address = (char *)"gwednesday";
    assert_int_equal(store_check(f->common.store), STORE_AWAY);
    assert_non_null(strstr(store_problem(f->common.store), "common.redis.address"));
}

static void a_wrong_password_is_named(void **state)
{
    struct sentinel_fixture *f = *state;
    write_password(f, "another");
    reopen(f);
    assert_int_equal(store_check(f->common.store), STORE_AWAY);
    assert_non_null(strstr(store_problem(f->common.store), "sentinel_password_file"));
    assert_null(strstr(store_problem(f->common.store), "another"));
}

static void a_replica_named_as_master_gets_nothing(void **state)
{
    struct sentinel_fixture *f = *state;
    int replica = 1 - redis_cluster_master(f->cluster);
    const char *port = strchr(redis_cluster_address(f->cluster, replica), ':') + 1;
    for (int i = 0; i < CLUSTER_SENTINELS; i++)
        free(redis_cluster_ask_sentinel(f->cluster, i, "SENTINEL MONITOR stale 127.0.0.1 %s 3",
                                        port));
    f->common.redis.address = (char *)"stale";
    assert_int_equal(store_check(f->common.store), STORE_AWAY);
    assert_non_null(strstr(store_problem(f->common.store), "is a slave"));
    char history[STORE_HISTORY_BYTES];
    assert_int_equal(try_apply(f, 1, history), -1);
    for (int i = 0; i < CLUSTER_SENTINELS; i++)
        free(redis_cluster_ask_sentinel(f->cluster, i, "SENTINEL REMOVE stale"));
    f->common.redis.address = (char *)"desg";
    apply_within(f, 1, history);
    assert_history_of(f, redis_cluster_master(f->cluster), history);
}

static void silent_sentinels_do_not_end_a_connection(void **state)
{
    struct sentinel_fixture *f = *state;
    struct metrics *metrics = metrics_new();
    struct error err = { 0 };
    store_destroy(&f->common.store);
    f->common.store = store_new(&(struct store_options){ .redis = &f->common.redis,
                                                         .force = "testforce",
                                                         .queues = &f->common.queues,
                                                         .metrics = metrics,
                                                         .label = "test" },
                                &err);
    struct gauge *answering =
        metrics_gauge(metrics, "desg_store_sentinels_answering", "connection=\"test\"", "");
    char history[STORE_HISTORY_BYTES];
    apply_within(f, 2, history);
    assert_int_equal(gauge_value(answering), CLUSTER_SENTINELS);
    for (int i = 0; i < CLUSTER_SENTINELS; i++)
        redis_cluster_signal_sentinel(f->cluster, i, SIGSTOP);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    int calls = 0, slow_calls = 0;
    while (gauge_value(answering) > 0 && clock_monotonic_ms() < give_up_ms) {
        int64_t before_ms = clock_monotonic_ms();
        assert_int_equal(try_apply(f, 2, history), 0);
        slow_calls += clock_monotonic_ms() - before_ms >= SENTINELS_SILENT_AFTER_MS;
        calls++;
        pause_ms(10);
    }
    for (int i = 0; i < CLUSTER_SENTINELS; i++)
        redis_cluster_signal_sentinel(f->cluster, i, SIGCONT);
    assert_int_equal(gauge_value(answering), 0);
    assert_true(slow_calls * 4 <= calls); /* none waited for a Sentinel: then all would */
    while (gauge_value(answering) < CLUSTER_SENTINELS && clock_monotonic_ms() < give_up_ms) {
        assert_int_equal(store_check(f->common.store), STORE_READY);
        pause_ms(20);
    }
    assert_int_equal(gauge_value(answering), CLUSTER_SENTINELS);
    store_destroy(&f->common.store);
    metrics_destroy(&metrics);
}

/* A planned failover whose demoted master cannot be told: as one cut off from the Sentinels. */
static void a_master_that_does_not_know_it_was_demoted_is_left(void **state)
{
    struct sentinel_fixture *f = *state;
    int old = redis_cluster_master(f->cluster);
    char before[STORE_HISTORY_BYTES], history[STORE_HISTORY_BYTES];
    apply_within(f, 3, before);
    assert_history_of(f, old, before);
    /* The Sentinels may no longer turn it into a replica, nor end our connection. */
    free(redis_cluster_ask(f->cluster, old,
                           "ACL SETUSER default on nopass +@all -replicaof -slaveof"));
    redis_cluster_fail_over(f->cluster);
    char *role = redis_cluster_ask(f->cluster, old, "INFO replication");
    assert_non_null(strstr(role, "role:master")); /* it goes on as before */
    free(role);
    /* idle meanwhile: already the first call goes to the new one */
    assert_int_equal(try_apply(f, 4, history), 0);
    assert_history_of(f, 1 - old, history);
    make_follow(f, old, 1 - old);
}

/* The same while calls come without a pause: none waits for a Sentinel. */
static void a_busy_connection_leaves_a_demoted_master(void **state)
{
    struct sentinel_fixture *f = *state;
    int old = redis_cluster_master(f->cluster);
    char before[STORE_HISTORY_BYTES], history[STORE_HISTORY_BYTES];
    apply_within(f, 7, before);
    free(redis_cluster_ask(f->cluster, old,
                           "ACL SETUSER default on nopass +@all -replicaof -slaveof"));
    redis_cluster_begin_fail_over(f->cluster);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    do {
        apply_within(f, 8, history);
        pause_ms(5);
    } while (memcmp(history, before, sizeof before) == 0 && clock_monotonic_ms() < give_up_ms);
    redis_cluster_wait_for_other(f->cluster, old);
    assert_history_of(f, 1 - old, history);
    make_follow(f, old, 1 - old);
}

static void a_killed_master_is_followed_to_the_next(void **state)
{
    struct sentinel_fixture *f = *state;
    char history[STORE_HISTORY_BYTES];
    apply_within(f, 5, history);
    int old = redis_cluster_master(f->cluster);
    redis_cluster_kill(f->cluster, old);
    int64_t longest_ms = 0, give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (bool is_applied = false; !is_applied;) {
        int64_t before_ms = clock_monotonic_ms();
        is_applied = try_apply(f, 6, history) == 0;
        int64_t took_ms = clock_monotonic_ms() - before_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
        assert_true(clock_monotonic_ms() < give_up_ms);
        pause_ms(20);
    }
    assert_true(longest_ms < 3000);
    redis_cluster_wait_for_other(f->cluster, old);
    assert_history_of(f, 1 - old, history);
    redis_cluster_start(f->cluster, old); /* comes back as a master that nobody named */
    apply_within(f, 6, history);
    assert_history_of(f, 1 - old, history);
    make_follow(f, old, 1 - old);
    apply_within(f, 6, history);
    assert_history_of(f, 1 - old, history);
}

/* What is left when the network takes away a machine with the master on it. */
static void a_master_without_replicas_and_sentinels_is_not_trusted(void **state)
{
    struct sentinel_fixture *f = *state;
    char history[STORE_HISTORY_BYTES];
    apply_within(f, 9, history);
    int replica = 1 - redis_cluster_master(f->cluster);
    redis_cluster_kill(f->cluster, replica);
    for (int i = 0; i < CLUSTER_SENTINELS - 1; i++)
        redis_cluster_signal_sentinel(f->cluster, i, SIGSTOP);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (try_apply(f, 9, history) == 0 && clock_monotonic_ms() < give_up_ms)
        pause_ms(20);
    assert_non_null(strstr(store_problem(f->common.store), "may be master by now"));
    pause_ms(300); /* past the pause between attempts: one Sentinel still names it */
    assert_int_equal(store_check(f->common.store), STORE_AWAY);
    redis_cluster_start(f->cluster, replica); /* either is enough: a replica … */
    apply_within(f, 9, history);
    redis_cluster_kill(f->cluster, replica);
    while (try_apply(f, 9, history) == 0 && clock_monotonic_ms() < give_up_ms)
        pause_ms(20);
    for (int i = 0; i < CLUSTER_SENTINELS - 1; i++)
        redis_cluster_signal_sentinel(f->cluster, i, SIGCONT);
    apply_within(f, 9, history); /* … or most Sentinels */
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, configure, close_all)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_epoch_is_believed),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(a_name_is_looked_up_aside),
        cmocka_unit_test(what_is_no_sentinel_stops_the_start),
        T(sentinels_that_are_away_or_hang_delay_nobody),
        T(a_sentinel_is_found_by_its_name),
        T(without_any_sentinel_nothing_is_guessed),
        T(a_name_the_sentinels_do_not_know_is_named),
        T(a_wrong_password_is_named),
        T(a_replica_named_as_master_gets_nothing),
        T(a_master_that_does_not_know_it_was_demoted_is_left),
        T(a_busy_connection_leaves_a_demoted_master),
        T(a_killed_master_is_followed_to_the_next),
        /* last: Sentinels that were stopped promote nobody for 30 s (TILT) */
        T(silent_sentinels_do_not_end_a_connection),
        T(a_master_without_replicas_and_sentinels_is_not_trusted),
    };
    return cmocka_run_group_tests_name("store through Sentinels", tests, set_up_cluster,
                                       tear_down_cluster);
}
