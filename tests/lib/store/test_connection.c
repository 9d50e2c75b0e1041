#include "fixture.h"

#include <time.h>
#include <unistd.h>

#include "clock/clock.h"

enum { DEADLINE_MS = 60000 };

/* Polls: a refused connection is not tried again for 200 ms. */
static enum store_state state_within(struct store *store, enum store_state wanted)
{
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    enum store_state state = store_check(store);
    while (state != wanted && clock_monotonic_ms() < give_up_ms) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
        state = store_check(store);
    }
    return state;
}

static void a_redis_that_may_lose_data_is_refused_with_a_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        bool is_durable;
        const char *remedy;
    } cases[] = { { "allkeys-lru", true, "set maxmemory-policy noeviction" },
                  { "noeviction", false, "set appendonly yes" } };
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = { .server = redis_server_new(cases[i].policy, cases[i].is_durable) };
        f.redis.address = (char *)redis_server_address(f.server);
        f.redis.timeout_ms = 2000;
        f.store = open_store(&f);
        assert_int_equal(store_check(f.store), STORE_REFUSED);
        assert_non_null(strstr(store_problem(f.store), cases[i].remedy));
        struct sample sample;
        sample_init(&sample, 1, 1, T0, ROUTINE);
        sample_pack(&sample);
        struct store_event event = sample_event(&sample);
        struct store_result result;
        struct error err = { 0 };
        assert_int_equal(store_apply(f.store, &event, 1, &result, f.history, &err), -1);
        assert_int_equal(err.kind, ERROR_UNAVAILABLE);
        store_destroy(&f.store);
        redis_server_destroy(&f.server);
    }
}

static void a_replica_is_refused(void **state)
{
    struct fixture *f = *state;
    free(redis_server_ask(f->server, "REPLICAOF 127.0.0.1 1"));
    assert_int_equal(store_check(f->store), STORE_REFUSED);
    assert_non_null(strstr(store_problem(f->store), "master"));
    free(redis_server_ask(f->server, "REPLICAOF NO ONE"));
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    assert_string_equal(store_problem(f->store), "");
}

static void a_newer_library_is_refused_and_an_older_one_left_alone(void **state)
{
    struct fixture *f = *state;
    free(redis_server_ask(f->server, "FUNCTION FLUSH"));
    redis_server_load_library(f->server, 0);
    assert_int_equal(store_check(f->store), STORE_READY);
    assert_int_equal(redis_server_number(f->server, "FUNCTION LIST LIBRARYNAME desg_0"), 1);
    store_destroy(&f->store);
    f->store = open_store(f);
    redis_server_load_library(f->server, 2);
    assert_int_equal(store_check(f->store), STORE_REFUSED);
    assert_non_null(strstr(store_problem(f->store), "FUNCTION DELETE desg_2"));
    free(redis_server_ask(f->server, "FUNCTION DELETE desg_2"));
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    free(redis_server_ask(f->server, "FUNCTION FLUSH"));
}

static void a_missing_library_is_loaded(void **state)
{
    struct fixture *f = *state;
    free(redis_server_ask(f->server, "FUNCTION FLUSH"));
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    assert_int_equal(apply_sample(f, &sample), STORE_NEW);
    /* gone under us: this call fails, a later one finds it loaded again */
    free(redis_server_ask(f->server, "FUNCTION FLUSH"));
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    struct store_result result;
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    assert_int_equal(apply_sample(f, &sample), STORE_DUPLICATE);
}

static void a_frozen_redis_is_unavailable_within_300_ms(void **state)
{
    struct fixture *f = *state;
    f->redis.timeout_ms = 250;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    (void)apply_sample(f, &sample);
    redis_server_freeze(f->server);
    struct store_event event = sample_event(&sample);
    struct store_result result;
    struct error err = { 0 };
    bool is_in_time = false; /* the machine that runs the tests may hold us up, but not each time */
    for (int attempt = 0; attempt < 20 && !is_in_time; attempt++) {
        int64_t before_ms = clock_monotonic_ms();
        assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), -1);
        assert_int_equal(err.kind, ERROR_UNAVAILABLE);
        int64_t took_ms = clock_monotonic_ms() - before_ms;
        is_in_time = took_ms >= 200 && took_ms <= 300;
        assert_string_not_equal(store_problem(f->store), "");
    }
    assert_true(is_in_time);
    redis_server_thaw(f->server);
    f->redis.timeout_ms = 2000;
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    assert_int_equal(apply_sample(f, &sample), STORE_DUPLICATE);
}

static void a_killed_redis_is_found_again_under_another_history(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    (void)apply_sample(f, &sample);
    char before[STORE_HISTORY_BYTES];
    memcpy(before, f->history, sizeof before);
    redis_server_kill(f->server);
    struct store_event event = sample_event(&sample);
    struct store_result result;
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    redis_server_start(f->server);
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    (void)apply_sample(f, &sample);
    assert_string_not_equal(before, f->history);
}

static void an_address_that_is_none_is_named(void **state)
{
    (void)state;
    struct fixture f = { 0 };
    f.redis.address = (char *)"nonsense";
    f.store = open_store(&f);
    assert_int_equal(store_check(f.store), STORE_AWAY);
    assert_non_null(strstr(store_problem(f.store), "write unix:/path or host:port"));
    store_destroy(&f.store);
}

static void a_force_that_would_break_keys_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "a}b", "a b", "a:b" };
    for (size_t i = 0; i < 3; i++) {
        struct error err = { 0 };
        assert_null(
            store_new(&(struct store_options){ .redis = &f->redis, .force = names[i] }, &err));
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
}

static void a_redis_that_takes_no_changes_still_shows_its_queues(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    struct error err = { 0 };
    sample_init(&sample, 1, 1, T0, ROUTINE);
    (void)apply_sample(f, &sample);
    assert_int_equal(store_probe(f->store, &err), 0);
    free(redis_server_ask(f->server, "CONFIG SET min-replicas-to-write 1"));
    assert_int_equal(store_probe(f->store, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "NOREPLICAS"));
    json_t *json = NULL;
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    assert_int_equal(store_queues_list(f->store, &json, &err), 0);
    assert_int_equal(json_array_size(json), 1);
    json_decref(json);
    free(redis_server_ask(f->server, "CONFIG SET min-replicas-to-write 0"));
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    assert_int_equal(store_probe(f->store, &err), 0);
}

static size_t alerts_read(struct fixture *f)
{
    struct store_alert alerts[4] = { 0 };
    size_t count = 0;
    struct error err = { 0 };
    if (store_alerts_read(f->store, "notify", 0, alerts, 4, &count, &err) != 0)
        return 0;
    store_alerts_clear(alerts, count);
    return count;
}

/* Such as a transaction cut off at its end leaves it, two starts later. */
static void an_alert_that_the_group_passed_over_is_read_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    assert_int_equal(alerts_read(f), 0);
    sample_init(&sample, 1, 1, T0, LIFE);
    assert_int_equal(apply_sample(f, &sample), STORE_NEW);
    assert_int_equal(alerts_in_stream(f), 1);
    free(redis_server_ask(f->server, "XGROUP SETID desg:{testforce}:alerts notify $"));
    assert_int_equal(alerts_read(f), 0);
    redis_server_kill(f->server);
    redis_server_start(f->server);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    size_t found = 0;
    while (found == 0 && clock_monotonic_ms() < give_up_ms) {
        found = alerts_read(f);
        (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
    assert_int_equal(found, 1);
    assert_int_equal(alerts_read(f), 0); /* once a connection */
}

/* What a fresh connection writes to the log, which is standard error; freed by the caller. */
static char *log_of_connecting(struct fixture *f)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_true(file && kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    store_destroy(&f->store);
    f->store = open_store(f);
    enum store_state found = store_check(f->store);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    assert_int_equal(found, STORE_READY);
    char *text = calloc(1, 4096);
    rewind(file);
    assert_non_null(text);
    text[fread(text, 1, 4095, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void settings_that_should_be_otherwise_are_warned_of(void **state)
{
    struct fixture *f = *state;
    free(redis_server_ask(f->server, "CONFIG SET appendfsync no"));
    char *log = log_of_connecting(f);
    assert_non_null(strstr(log, "redis_settings"));
    assert_non_null(strstr(log, "appendfsync is no, better everysec"));
    assert_non_null(strstr(log, "slowlog-log-slower-than is 10000, better -1"));
    assert_null(strstr(log, "min-replicas")); /* only with Sentinels */
    free(log);
    free(redis_server_ask(f->server, "CONFIG SET appendfsync always slowlog-log-slower-than -1"));
    free(redis_server_ask(f->server, "CONFIG SET crash-log-enabled no"));
    log = log_of_connecting(f);
    assert_null(strstr(log, "redis_settings"));
    free(log);
}

static void write_password(const char *path, const char *password)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "%s\n", password);
    assert_int_equal(fclose(file), 0);
}

/* The rights of those that use the library and may not load it. */
#define USER "~desg:* -@all +role +info +function|list +fcall"

static void make_file(char *path)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void a_new_password_counts_from_the_next_connection_on(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/desg-password-XXXXXX";
    make_file(path);
    assert_int_equal(store_check(f->store), STORE_READY); /* the library is there */
    free(redis_server_ask(f->server, "ACL SETUSER looker reset on >first-password " USER));
    f->redis.username = (char *)"looker";
    f->redis.password_file = path;
    write_password(path, "first-password");
    store_destroy(&f->store);
    f->store = open_store(f);
    assert_int_equal(store_check(f->store), STORE_READY);

    free(redis_server_ask(f->server, "ACL SETUSER looker resetpass >second-password"));
    free(redis_server_ask(f->server, "CLIENT KILL USER looker"));
    struct error ignored = { 0 };
    assert_int_equal(store_probe(f->store, &ignored), -1);
    assert_int_equal(state_within(f->store, STORE_REFUSED), STORE_REFUSED);
    assert_non_null(strstr(store_problem(f->store), "password_file"));
    write_password(path, "second-password");
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    (void)unlink(path); /* mid-replacement: the last one counts */
    free(redis_server_ask(f->server, "CLIENT KILL USER looker"));
    assert_int_equal(store_probe(f->store, &ignored), -1);
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    f->redis.username = f->redis.password_file = NULL;
    free(redis_server_ask(f->server, "ACL DELUSER looker"));
}

static void who_may_not_load_the_library_waits_for_it(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/desg-password-XXXXXX";
    make_file(path);
    write_password(path, "first-password");
    free(redis_server_ask(f->server, "FUNCTION FLUSH"));
    free(redis_server_ask(f->server, "ACL SETUSER looker reset on >first-password " USER));
    f->redis.username = (char *)"looker";
    f->redis.password_file = path;
    store_destroy(&f->store);
    f->store = open_store(f);
    assert_int_equal(store_check(f->store), STORE_AWAY);
    assert_non_null(strstr(store_problem(f->store), "desg-route"));
    redis_server_load_library(f->server, 1); /* another text of the same version */
    assert_int_equal(state_within(f->store, STORE_READY), STORE_READY);
    (void)unlink(path);
    f->redis.username = f->redis.password_file = NULL;
    free(redis_server_ask(f->server, "ACL DELUSER looker"));
    free(redis_server_ask(f->server, "FUNCTION FLUSH"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, empty, close_store)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redis_that_may_lose_data_is_refused_with_a_remedy),
        T(a_replica_is_refused),
        T(a_newer_library_is_refused_and_an_older_one_left_alone),
        T(a_missing_library_is_loaded),
        T(a_frozen_redis_is_unavailable_within_300_ms),
        T(a_killed_redis_is_found_again_under_another_history),
        T(a_redis_that_takes_no_changes_still_shows_its_queues),
        T(an_alert_that_the_group_passed_over_is_read_after_a_restart),
        T(settings_that_should_be_otherwise_are_warned_of),
        T(a_new_password_counts_from_the_next_connection_on),
        T(who_may_not_load_the_library_waits_for_it),
        cmocka_unit_test(an_address_that_is_none_is_named),
        T(a_force_that_would_break_keys_is_refused),
    };
    return cmocka_run_group_tests_name("store connection", tests, set_up_server, tear_down_server);
}
