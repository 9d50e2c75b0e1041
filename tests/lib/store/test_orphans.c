/* Alerts of a replica of notify that has gone. */
#include "fixture.h"

static const struct id GONE = { { 0xAA } };
static const struct id ALIVE = { { 0xBB } };

static struct id raise_one(struct fixture *f, unsigned number, Desg__V1__Severity severity)
{
    struct sample sample;
    struct store_alert alert;
    size_t count = 0;
    struct error err = { 0 };
    sample_init(&sample, number, number, T0, severity);
    (void)apply_sample(f, &sample);
    /* Some replica reads and journals it. */
    assert_int_equal(store_alerts_read(f->store, "gone", 0, &alert, 1, &count, &err), 0);
    assert_int_equal(count, 1);
    const char *stream_id = alert.stream_id;
    assert_int_equal(store_alert_ack(f->store, &stream_id, 1, &err), 0);
    store_alerts_clear(&alert, 1);
    return id_of_alert(sample.event_id.bytes);
}

static void say(struct fixture *f, const struct id *alert, const char *state, const char *role,
                const struct id *source, const char *steps)
{
    struct error err = { 0 };
    char text[ID_TEXT_BYTES];
    id_text(source->bytes, text);
    json_t *fields = json_pack("{s:s, s:s}", role, text, "steps", steps);
    if (store_alert_state(f->store, alert, state, fields, &err) != 0)
        fail_msg("state: %s", err.text);
    json_decref(fields);
}

static size_t orphans(struct fixture *f)
{
    size_t cursor = 0;
    size_t taken = 0;
    struct error err = { 0 };
    if (store_orphans(f->store, &GONE, 1, &ALIVE, &cursor, &taken, &err) != 0)
        fail_msg("orphans: %s", err.text);
    assert_int_equal(cursor, 0); /* there are few */
    return taken;
}

static Desg__V1__Alert *read_one(struct fixture *f)
{
    struct store_alert alert;
    size_t count = 0;
    struct error err = { 0 };
    assert_int_equal(store_alerts_read(f->store, "other", 0, &alert, 1, &count, &err), 0);
    assert_int_equal(count, 1);
    Desg__V1__Alert *order = desg__v1__alert__unpack(NULL, alert.order_length, alert.order);
    assert_non_null(order);
    store_alerts_clear(&alert, 1);
    return order;
}

static void what_it_told_goes_to_the_stream_once_with_its_step(void **state)
{
    struct fixture *f = *state;
    struct id alert = raise_one(f, 1, URGENT);
    say(f, &alert, "accepted", "teller", &GONE, "2");
    say(f, &alert, "open", "teller", &GONE, "1"); /* said again later: a step is not taken back */
    assert_int_equal(orphans(f), 1);
    assert_int_equal(orphans(f), 0); /* whoever asks next */
    assert_int_equal(alerts_in_stream(f), 1);
    Desg__V1__Alert *order = read_one(f);
    assert_memory_equal(order->alert_id.data, alert.bytes, ID_BYTES);
    assert_true(order->is_taken_over && order->is_told);
    assert_int_equal(order->steps_taken, 2);
    assert_int_equal(order->updates, 0);
    assert_true(order->opened_at_ms > T0 && order->event.len > 0 && order->verdict.len > 0);
    assert_false(order->is_replayed); /* nothing to wait for */
    desg__v1__alert__free_unpacked(order, NULL);
}

static void what_it_only_journalled_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct id alert = raise_one(f, 1, URGENT);
    say(f, &alert, "open", "holder", &GONE, "0");
    assert_int_equal(orphans(f), 1);
    Desg__V1__Alert *order = read_one(f);
    assert_true(order->is_taken_over && !order->is_told);
    desg__v1__alert__free_unpacked(order, NULL);
}

static void what_another_told_is_that_ones(void **state)
{
    struct fixture *f = *state;
    struct id alert = raise_one(f, 1, URGENT);
    say(f, &alert, "accepted", "teller", &ALIVE, "0");
    say(f, &alert, "open", "holder", &GONE, "0");
    assert_int_equal(orphans(f), 0);
}

static void what_is_acknowledged_stays_so(void **state)
{
    struct fixture *f = *state;
    struct id alert = raise_one(f, 1, URGENT);
    say(f, &alert, "acknowledged", "teller", &GONE, "0");
    assert_int_equal(orphans(f), 0);
    assert_int_equal(alerts_in_stream(f), 0);
}

/* It ended between its journal and Redis; as young as this one it may still be about to say so. */
static void what_nobody_has_is_taken_after_a_minute(void **state)
{
    struct fixture *f = *state;
    struct id alert = raise_one(f, 1, URGENT);
    char id[ID_TEXT_BYTES];
    id_text(alert.bytes, id);
    assert_int_equal(orphans(f), 0);
    free(redis_server_ask(f->server, "HINCRBY desg:{testforce}:alert:%s opened_at_ms -61000", id));
    assert_int_equal(orphans(f), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, empty, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_it_told_goes_to_the_stream_once_with_its_step),
        T(what_it_only_journalled_is_not_told),
        T(what_another_told_is_that_ones),
        T(what_is_acknowledged_stays_so),
        T(what_nobody_has_is_taken_after_a_minute),
    };
    return cmocka_run_group_tests_name("store orphans", tests, set_up_server, tear_down_server);
}
