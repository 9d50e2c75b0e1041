/* Files that are read again when they were replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/watched.h"

struct fixture {
    char folder[64];
    char path[96];
    char other[96];
    struct watched *watched;
};

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/desg-watched-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/secret", f->folder);
    (void)snprintf(f->other, sizeof f->other, "%s/next", f->folder);
    put(f->path, "one");
    f->watched = watched_new();
    watched_add(f->watched, f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    watched_destroy(&f->watched);
    (void)unlink(f->path);
    (void)unlink(f->other);
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

static void what_stands_as_it_stood_is_not_told_of(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        assert_false(watched_changed(f->watched));
}

static void a_replaced_file_is_told_of_once_when_it_stands_still(void **state)
{
    struct fixture *f = *state;
    put(f->other, "two");
    assert_int_equal(rename(f->other, f->path), 0);
    assert_false(watched_changed(f->watched)); /* seen for the first time */
    assert_true(watched_changed(f->watched));
    assert_false(watched_changed(f->watched));
}

static void what_is_still_being_written_waits(void **state)
{
    struct fixture *f = *state;
    put(f->path, "thr");
    assert_false(watched_changed(f->watched));
    put(f->path, "three");
    assert_false(watched_changed(f->watched));
    assert_true(watched_changed(f->watched));
}

static void a_file_that_goes_or_comes_is_told_of(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unlink(f->path), 0);
    assert_false(watched_changed(f->watched));
    assert_true(watched_changed(f->watched));
    put(f->path, "back");
    assert_false(watched_changed(f->watched));
    assert_true(watched_changed(f->watched));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_stands_as_it_stood_is_not_told_of),
        T(a_replaced_file_is_told_of_once_when_it_stands_still),
        T(what_is_still_being_written_waits),
        T(a_file_that_goes_or_comes_is_told_of),
    };
    return cmocka_run_group_tests_name("watched", tests, NULL, NULL);
}
