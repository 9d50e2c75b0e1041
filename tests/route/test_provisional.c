#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "route/provisional.h"
#include "sample.h"

enum { EVENTS = 8 };

struct fixture {
    struct provisional *provisional;
    bool is_notify_there;
    link_peer sent_to;
    size_t orders;
    size_t members;
    struct id ids[EVENTS];
    size_t id_count;
    size_t busy;
    size_t busy_alerted;
    struct held held[EVENTS];
};

static int send_order(void *arg, link_peer notify, const Desg__V1__Packet *packet)
{
    struct fixture *f = arg;
    if (!f->is_notify_there)
        return -1;
    f->sent_to = notify;
    f->orders++;
    for (size_t i = 0; i < packet->alert_order->n_alerts; i++) {
        const Desg__V1__Alert *alert = packet->alert_order->alerts[i];
        assert_true(alert->is_provisional);
        f->members += alert->is_digest_member;
        memcpy(f->ids[f->id_count++].bytes, alert->alert_id.data, ID_BYTES);
    }
    return 0;
}

static void count_answers(void *arg, struct answer *answers, size_t count)
{
    struct fixture *f = arg;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(answers[i].kind, ANSWER_BUSY);
        f->busy++;
        f->busy_alerted += answers[i].is_alerted;
    }
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    struct fixture *f = &fixture;
    f->is_notify_there = true;
    f->provisional = provisional_new(&(struct provisional_options){
        .send = send_order, .answer = count_answers, .arg = f, .unclassified_per_minute = 2 });
    for (unsigned i = 0; i < EVENTS; i++) {
        struct sample sample;
        sample_init(&sample, i, 1, 1790000000000,
                    i % 2 ? DESG__V1__SEVERITY__SEVERITY_URGENT
                          : DESG__V1__SEVERITY__SEVERITY_REVIEW);
        sample_pack(&sample);
        Desg__V1__Item item = DESG__V1__ITEM__INIT;
        item.event = (ProtobufCBinaryData){ sample.event_length, sample.event_bytes };
        item.verdict = (ProtobufCBinaryData){ sample.verdict_length, sample.verdict_bytes };
        struct address from = { .peer = 1, .sequence = i };
        struct error err = { 0 };
        assert_int_equal(held_take(&f->held[i], &from, &item, 1790000000000, &err), 0);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < EVENTS; i++)
        held_clear(&f->held[i]);
    provisional_destroy(&f->provisional);
    return 0;
}

static const bool all[EVENTS] = { true, true, true, true, true, true, true, true };

static void alerted(struct fixture *f, size_t first, size_t count)
{
    ProtobufCBinaryData ids[EVENTS];
    for (size_t i = 0; i < count; i++)
        ids[i] = (ProtobufCBinaryData){ ID_BYTES, f->ids[first + i].bytes };
    Desg__V1__Alerted answer = DESG__V1__ALERTED__INIT;
    answer.n_alert_ids = count;
    answer.alert_ids = ids;
    provisional_alerted(f->provisional, &answer);
}

static void without_notify_everything_is_busy_at_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(provisional_order(f->provisional, f->held, all, EVENTS, "x", 0), 0);
    assert_int_equal(f->busy, EVENTS);
    assert_int_equal(f->busy_alerted, 0);
    provisional_peer_up(f->provisional, 5);
    f->is_notify_there = false; /* or it cannot be reached */
    assert_int_equal(provisional_order(f->provisional, f->held, all, EVENTS, "x", 0), 0);
    assert_int_equal(f->busy, 2 * EVENTS);
    assert_int_equal(provisional_waiting(f->provisional), 0);
}

static void busy_waits_for_notify_and_says_so(void **state)
{
    struct fixture *f = *state;
    static const bool some[EVENTS] = { false, true, false, true };
    provisional_peer_up(f->provisional, 5);
    assert_int_equal(provisional_order(f->provisional, f->held, some, EVENTS, "x", 0), 2);
    assert_int_equal(f->busy, EVENTS - 2); /* those that need no alert */
    assert_int_equal(provisional_waiting(f->provisional), 2);
    alerted(f, 0, 1);
    assert_int_equal(f->busy, EVENTS - 1);
    assert_int_equal(f->busy_alerted, 1);
    alerted(f, 0, 2); /* one of them is known already */
    assert_int_equal(f->busy, EVENTS);
    assert_int_equal(f->busy_alerted, 2);
    assert_int_equal(provisional_waiting(f->provisional), 0);
}

static void after_300_ms_busy_goes_without_the_word(void **state)
{
    struct fixture *f = *state;
    provisional_peer_up(f->provisional, 5);
    provisional_peer_up(f->provisional, 6);
    (void)provisional_order(f->provisional, f->held, all, EVENTS, "x", 1000);
    link_peer first = f->sent_to;
    provisional_expire(f->provisional, 1299);
    assert_int_equal(f->busy, 0);
    provisional_expire(f->provisional, 1300);
    assert_int_equal(f->busy, EVENTS);
    assert_int_equal(f->busy_alerted, 0);
    f->id_count = 0;
    (void)provisional_order(f->provisional, f->held, all, EVENTS, "x", 1400);
    assert_int_not_equal(f->sent_to, first); /* the silent one is not asked again */
    alerted(f, 0, EVENTS);
    assert_int_equal(f->busy_alerted, EVENTS);
}

static void unclassified_above_the_rate_are_digest_members(void **state)
{
    struct fixture *f = *state;
    provisional_peer_up(f->provisional, 5);
    (void)provisional_order(f->provisional, f->held, all, EVENTS, "x", 0);
    assert_int_equal(f->members, EVENTS / 2 - 2); /* half are REVIEW, two a minute go alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_notify_everything_is_busy_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(busy_waits_for_notify_and_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_300_ms_busy_goes_without_the_word, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unclassified_above_the_rate_are_digest_members, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("route provisional", tests, NULL, NULL);
}
