#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "courier.h"
#include "notify/unclassified_rate.h"

static void five_a_minute_go_alone(void **state)
{
    (void)state;
    struct unclassified_rate rate = { 0 };
    struct courier_alert alert;
    courier_alert_init(&alert, 1, -1);
    for (int minute = 1; minute <= 2; minute++)
        for (int i = 1; i <= 20; i++)
            assert_int_equal(unclassified_rate_is_above(&rate, &alert.alert, minute * 60000LL + i),
                             i > 5);
}

static void classified_ones_are_not_counted(void **state)
{
    (void)state;
    struct unclassified_rate rate = { 0 };
    struct courier_alert urgent;
    struct courier_alert bare;
    courier_alert_init(&urgent, 1, 4);
    courier_alert_init(&bare, 2, 0);
    for (int i = 0; i < 100; i++) {
        assert_false(unclassified_rate_is_above(&rate, &urgent.alert, 1));
        assert_false(unclassified_rate_is_above(&rate, &bare.alert, 1));
    }
}

static void an_event_nobody_can_read_counts_too(void **state)
{
    (void)state;
    struct unclassified_rate rate = { 0 };
    struct courier_alert alert;
    courier_alert_init(&alert, 1, -1);
    alert.alert.event = (ProtobufCBinaryData){ 2, (uint8_t *)"\xFF\xFF" };
    for (int i = 1; i <= 6; i++)
        assert_int_equal(unclassified_rate_is_above(&rate, &alert.alert, 1), i > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_a_minute_go_alone),
        cmocka_unit_test(classified_ones_are_not_counted),
        cmocka_unit_test(an_event_nobody_can_read_counts_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
