#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stamp/stamp.h"

static void what_stays_has_the_same_stamp(void **state)
{
    (void)state;
    const struct stat status = { .st_ino = 7, .st_size = 100, .st_mtim = { 1770833400, 5 } };
    assert_true(stamp_file(STAMP_START, &status) == stamp_file(STAMP_START, &status));
}

static void another_file_length_or_time_is_another_stamp(void **state)
{
    (void)state;
    const struct stat before = { .st_ino = 7, .st_size = 100, .st_mtim = { 1770833400, 5 } };
    const struct stat none = { 0 };
    struct stat after[] = { before, before, before, before };
    after[0].st_ino = 8;
    after[1].st_size = 101;
    after[2].st_mtim.tv_sec++;
    after[3].st_mtim.tv_nsec++;
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++)
        assert_true(stamp_file(STAMP_START, &after[i]) != stamp_file(STAMP_START, &before));
    assert_true(stamp_file(STAMP_START, &none) != stamp_file(STAMP_START, &before));
}

static void the_order_of_files_counts(void **state)
{
    (void)state;
    assert_true(stamp_mix(stamp_mix(STAMP_START, 1), 2) != stamp_mix(stamp_mix(STAMP_START, 2), 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stays_has_the_same_stamp),
        cmocka_unit_test(another_file_length_or_time_is_another_stamp),
        cmocka_unit_test(the_order_of_files_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
