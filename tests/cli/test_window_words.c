/* How long somebody may still be answered, in a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/window_words.h"

enum { SENTENCE_BYTES = 400 };
static const int64_t NOW_MS = 1770831720000; /* Wednesday 2026-02-11 17:42 UTC */
static const int64_t MINUTE_MS = 60000;
static const int64_t HOUR_MS = 3600000;

static int in_wales(void **state)
{
    (void)state;
    (void)setenv("TZ", "Europe/London", 1);
    tzset();
    return 0;
}

static void check(json_t *window, const char *expected)
{
    char words[SENTENCE_BYTES];
    window_words(window, NOW_MS, words, sizeof words);
    json_decref(window);
    assert_string_equal(words, expected);
}

static json_t *window(const char *state, int64_t until_ms, int64_t human_until_ms)
{
    return json_pack("{s:s, s:I, s:I, s:s}", "state", state, "until_ms", (json_int_t)until_ms,
                     "human_until_ms", (json_int_t)human_until_ms, "explanation", "telephone them");
}

static void an_open_one_counts_down(void **state)
{
    (void)state;
    int64_t until_ms = NOW_MS + 3 * HOUR_MS + 10 * MINUTE_MS + 59000;
    check(window("open", until_ms, 0), "may be answered until 20:52, 3 h 10 min left");
    check(window("open", until_ms, until_ms + 144 * HOUR_MS),
          "may be answered until 20:52, 3 h 10 min left; then by a person until 2026-02-17 20:52");
    check(window("open", NOW_MS + 59000, 0),
          "may be answered until 17:42, less than a minute left");
    check(window("open", NOW_MS + 23 * HOUR_MS, 0),
          "may be answered until Thu 16:42, 23 h 0 min left");
}

static void one_for_persons_says_so(void **state)
{
    (void)state;
    check(window("human", NOW_MS + 51 * HOUR_MS, NOW_MS + 51 * HOUR_MS),
          "may be answered by a person alone, until Fri 20:42, 2 d 3 h left");
}

static void one_without_end_is_open_at_any_time(void **state)
{
    (void)state;
    check(json_pack("{s:s, s:n}", "state", "open", "until_ms"), "may be answered at any time");
    check(json_pack("{s:s}", "state", "open"), "may be answered at any time");
}

static void a_closed_one_names_other_ways(void **state)
{
    (void)state;
    check(window("closed", 0, 0), "may not be answered: telephone them");
    check(json_pack("{s:s, s:s}", "state", "closed", "explanation", "closed: too late: ring"),
          "may not be answered: too late: ring");
    char words[SENTENCE_BYTES];
    json_t *bare = json_pack("{s:s}", "state", "closed");
    window_words(bare, NOW_MS, words, sizeof words);
    json_decref(bare);
    assert_non_null(strstr(words, "telephone"));
}

static void nothing_is_said_of_nothing(void **state)
{
    (void)state;
    check(NULL, "");
    check(json_null(), "");
    check(json_object(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_one_counts_down),
        cmocka_unit_test(one_for_persons_says_so),
        cmocka_unit_test(one_without_end_is_open_at_any_time),
        cmocka_unit_test(a_closed_one_names_other_ways),
        cmocka_unit_test(nothing_is_said_of_nothing),
    };
    return cmocka_run_group_tests(tests, in_wales, NULL);
}
