/* loading - what is noted outlives kill -9 and a crash, and three ends at one record set it aside.
 * The ends are real: of child processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ingest/loading.h"

static const struct id source = { .bytes = { 1 } };
static const int64_t NOW_MS = 1700000000000;

static int make_folder(void **state)
{
    static char folder[] = "/tmp/desg-loading-XXXXXX";
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    *state = mkdtemp(folder);
    return *state ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int drop_folder(void **state)
{
    return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct loading *open_or_fail(const char *folder, const struct id *of, int64_t now_ms)
{
    struct error err = { 0 };
    struct loading *loading = loading_open(folder, of, now_ms, &err);
    if (!loading)
        fail_msg("%s", err.text);
    return loading;
}

/* A process that ends by signal_number while it loads sequence, after it loaded the one before. */
static void end_while_loading(const char *folder, uint64_t sequence, int signal_number,
                              int64_t now_ms)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error err = { 0 };
        struct loading *loading = loading_open(folder, &source, now_ms, &err);
        if (!loading)
            _exit(1);
        loading_begin(loading, LOADING_DISPATCHER, sequence - 1);
        loading_end(loading, LOADING_DISPATCHER);
        loading_begin(loading, LOADING_DISPATCHER, sequence);
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number);
        _exit(2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
}

static void three_ends_at_one_record_set_it_aside_for_good(void **state)
{
    const char *folder = *state;
    static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT };
    for (int i = 0; i < 3; i++)
        end_while_loading(folder, 7, signals[i], NOW_MS + i * 30000);
    struct loading *loading = open_or_fail(folder, &source, NOW_MS + 100000);
    assert_int_equal(loading_newly_set_aside(loading), 7);
    assert_true(loading_is_set_aside(loading, 7));
    assert_false(loading_is_set_aside(loading, 6));
    loading_close(&loading);
    loading = open_or_fail(folder, &source, NOW_MS + 900000);
    assert_int_equal(loading_newly_set_aside(loading), 0); /* said once */
    assert_true(loading_is_set_aside(loading, 7));
    loading_close(&loading);
}

static void two_ends_do_not(void **state)
{
    const char *folder = *state;
    for (int i = 0; i < 2; i++)
        end_while_loading(folder, 7, SIGKILL, NOW_MS);
    struct loading *loading = open_or_fail(folder, &source, NOW_MS);
    assert_int_equal(loading_newly_set_aside(loading), 0);
    assert_false(loading_is_set_aside(loading, 7));
    loading_close(&loading);
}

static void other_ends_do_not_count(void **state)
{
    const char *folder = *state;
    end_while_loading(folder, 7, SIGKILL, NOW_MS);
    end_while_loading(folder, 7, SIGKILL, NOW_MS + 1000);
    end_while_loading(folder, 8, SIGKILL, NOW_MS + 2000); /* another record */
    end_while_loading(folder, 7, SIGKILL, NOW_MS + 3000);
    end_while_loading(folder, 7, SIGKILL, NOW_MS + 4000);
    struct loading *loading = open_or_fail(folder, &source, NOW_MS + 5000);
    assert_false(loading_is_set_aside(loading, 7));
    loading_close(&loading); /* ended in order: the row is broken */
    end_while_loading(folder, 7, SIGKILL, NOW_MS + 6000);
    end_while_loading(folder, 7, SIGKILL, NOW_MS + 7000);
    end_while_loading(folder, 7, SIGKILL,
                      NOW_MS + 7000 + LOADING_WINDOW_MS + 1); /* too far apart */
    loading = open_or_fail(folder, &source, NOW_MS + 7000 + LOADING_WINDOW_MS + 2);
    assert_false(loading_is_set_aside(loading, 7));
    loading_close(&loading);
}

static void a_journal_put_in_its_place_begins_anew(void **state)
{
    const char *folder = *state;
    static const struct id other = { .bytes = { 2 } };
    for (int i = 0; i < 3; i++)
        end_while_loading(folder, 7, SIGKILL, NOW_MS);
    struct loading *loading = open_or_fail(folder, &other, NOW_MS);
    assert_false(loading_is_set_aside(loading, 7));
    loading_close(&loading);
}

static void without_a_file_nothing_is_traced_and_nothing_fails(void **state)
{
    char path[128];
    struct error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/nowhere", (const char *)*state);
    struct loading *none = loading_open(path, &source, NOW_MS, &err);
    assert_null(none);
    assert_int_equal(err.kind, ERROR_SYSTEM);
    loading_begin(none, LOADING_DISPATCHER, 1);
    loading_end(none, LOADING_DISPATCHER);
    assert_false(loading_is_set_aside(none, 1));
    assert_int_equal(loading_newly_set_aside(none), 0);
    loading_close(&none);
}

static void knows_the_last_of_many(void **state)
{
    const char *folder = *state;
    for (uint64_t sequence = 1; sequence <= 300; sequence++)
        for (int i = 0; i < LOADING_DEATHS; i++) {
            struct loading *loading = open_or_fail(folder, &source, NOW_MS);
            loading_begin(loading, LOADING_SEARCH, sequence);
            loading_close(&loading);
        }
    struct loading *loading = open_or_fail(folder, &source, NOW_MS);
    assert_true(loading_is_set_aside(loading, 300));
    assert_true(loading_is_set_aside(loading, 45));
    assert_false(loading_is_set_aside(loading, 44));
    loading_close(&loading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(three_ends_at_one_record_set_it_aside_for_good, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(two_ends_do_not, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(other_ends_do_not_count, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(a_journal_put_in_its_place_begins_anew, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(without_a_file_nothing_is_traced_and_nothing_fails,
                                        make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(knows_the_last_of_many, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
