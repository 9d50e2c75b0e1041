/* How old records are, whatever the clocks say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "journal/age.h"

enum { SECOND = 1000, HOUR = 3600 * SECOND, DAY = 24 * HOUR, STEP_MS = 5 * SECOND };

/* Lets time pass as a journal with a heartbeat of five seconds sees it. */
static void pass(struct age *age, int64_t *now_ms, int64_t duration_ms, uint64_t next_sequence)
{
    for (int64_t passed = 0; passed < duration_ms; passed += STEP_MS) {
        *now_ms += STEP_MS;
        age_tick(age, *now_ms);
        age_mark(age, next_sequence, 3 * (int64_t)DAY);
    }
}

static struct age begun(int64_t now_ms, uint64_t next_sequence)
{
    struct age age = { 0 };
    age_tick(&age, now_ms);
    age_mark(&age, next_sequence, 3 * (int64_t)DAY);
    return age;
}

static void a_record_is_old_when_its_time_was_seen_passing(void **state)
{
    (void)state;
    const int64_t retention = 3 * (int64_t)DAY;
    int64_t now_ms = 77;
    struct age age = begun(now_ms, 1);
    pass(&age, &now_ms, 2 * (int64_t)HOUR, 11); /* 1 to 10 come in the first seconds */
    pass(&age, &now_ms, retention - 3 * (int64_t)HOUR, 21);
    assert_int_equal(age_old_through(&age, retention), 0);
    pass(&age, &now_ms, 5 * (int64_t)HOUR / 2, 21);
    assert_int_equal(age_old_through(&age, retention), 10); /* 11 to 20 came two hours later */
    pass(&age, &now_ms, 2 * (int64_t)HOUR, 21);
    assert_int_equal(age_old_through(&age, retention), 20);
}

static void a_leap_counts_as_a_minute(void **state)
{
    (void)state;
    int64_t now_ms = 1;
    struct age age = begun(now_ms, 100);
    now_ms += 300 * (int64_t)DAY;
    age_tick(&age, now_ms);
    assert_int_equal(age.seen_ms, 60 * SECOND);
    assert_int_equal(age_old_through(&age, 3 * (int64_t)DAY), 0);
    age_tick(&age, now_ms - 5 * (int64_t)DAY); /* and none goes back */
    assert_int_equal(age.seen_ms, 60 * SECOND);
}

static void marks_stay_few_and_never_make_a_record_older(void **state)
{
    (void)state;
    const int64_t retention = 3 * (int64_t)DAY;
    int64_t now_ms = 1;
    struct age age = begun(now_ms, 1);
    int64_t stored_at[4000];
    for (uint64_t sequence = 1; sequence < 4000; sequence++) {
        stored_at[sequence] = age.seen_ms;
        pass(&age, &now_ms, HOUR / 4, sequence + 1);
        assert_true(age.mark_count <= AGE_MARKS_MAX);
        uint64_t old = age_old_through(&age, retention);
        if (old > 0)
            assert_true(age.seen_ms - stored_at[old] >= retention);
        if (sequence > 400) /* nor does anything stay much longer than told */
            assert_true(age.seen_ms - stored_at[old + 1] < retention + retention / 32);
    }
}

static void a_longer_retention_keeps_what_is_there(void **state)
{
    (void)state;
    int64_t now_ms = 1;
    struct age age = begun(now_ms, 1);
    for (int i = 0; i < 500; i++) {
        now_ms += SECOND;
        age_tick(&age, now_ms);
        age_mark(&age, (uint64_t)i + 2, 0);
    }
    assert_int_equal(age_old_through(&age, 0), 500);
    assert_true(age.mark_count <= AGE_MARKS_MAX);
    assert_int_equal(age_old_through(&age, 30 * (int64_t)DAY), 0);
}

static void survives_its_file(void **state)
{
    (void)state;
    int64_t now_ms = 1;
    struct age age = begun(now_ms, 1);
    pass(&age, &now_ms, 2 * (int64_t)DAY, 5);
    assert_true(age_is_save_due(&age));
    age_saved(&age);
    assert_false(age_is_save_due(&age));
    uint8_t bytes[AGE_STORED_MAX_BYTES];
    size_t length = age_encode(&age, bytes);
    struct age back;
    assert_true(age_decode(bytes, length, &back));
    assert_int_equal(back.seen_ms, age.seen_ms);
    assert_int_equal(back.mark_count, age.mark_count);
    assert_memory_equal(back.marks, age.marks, age.mark_count * sizeof age.marks[0]);
    assert_int_equal(back.ticked_ms, 0); /* the time until it is opened again does not count */
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 4;
        assert_false(age_decode(bytes, length, &back));
        assert_int_equal(back.mark_count, 0);
        bytes[i] ^= 4;
    }
    for (size_t i = 0; i < length; i++)
        assert_false(age_decode(bytes, i, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_old_when_its_time_was_seen_passing),
        cmocka_unit_test(a_leap_counts_as_a_minute),
        cmocka_unit_test(marks_stay_few_and_never_make_a_record_older),
        cmocka_unit_test(a_longer_retention_keeps_what_is_there),
        cmocka_unit_test(survives_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
