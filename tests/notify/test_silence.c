/* Which replica has gone? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "notify/silence.h"

enum { LIMIT_MS = 60000 };

static struct id id_of(uint8_t byte)
{
    struct id id;
    memset(id.bytes, byte, sizeof id.bytes);
    return id;
}

static void begin(struct silence *silence)
{
    const struct id own = id_of(1);
    silence_init(silence, &own, LIMIT_MS);
}

/* What Redis names: ourselves, whose number stands, and one other. */
static size_t heard(struct silence *silence, const char *kind, int reports, int64_t now_ms)
{
    struct id out[SILENCE_SOURCES_MAX];
    char own[ID_TEXT_BYTES];
    char other[ID_TEXT_BYTES];
    const struct id ids[2] = { id_of(1), id_of(2) };
    id_text(ids[0].bytes, own);
    id_text(ids[1].bytes, other);
    json_t *rows = json_pack("[{s:s, s:s, s:i}, {s:s, s:s, s:i}, {s:s}]", "source", own, "kind",
                             "notify", "reports", 7, "source", other, "kind", kind, "reports",
                             reports, "source", "no id");
    assert_non_null(rows);
    size_t count = silence_heard(silence, rows, now_ms, out);
    json_decref(rows);
    if (count > 0)
        assert_memory_equal(out[0].bytes, ids[1].bytes, ID_BYTES);
    return count;
}

static void one_whose_number_stands_is_silent_after_the_limit(void **state)
{
    (void)state;
    struct silence silence;
    begin(&silence);
    assert_int_equal(heard(&silence, "notify", 5, 1000), 0);
    assert_int_equal(heard(&silence, "notify", 5, 1000 + LIMIT_MS - 1), 0);
    assert_int_equal(heard(&silence, "notify", 5, 1000 + LIMIT_MS), 1);
    assert_int_equal(heard(&silence, "notify", 5, 1000 + 2 * LIMIT_MS), 1); /* and stays so */
}

static void one_that_reports_is_not(void **state)
{
    (void)state;
    struct silence silence;
    begin(&silence);
    assert_int_equal(heard(&silence, "notify", 5, 1000), 0);
    assert_int_equal(heard(&silence, "notify", 6, 1000 + LIMIT_MS), 0);
    assert_int_equal(heard(&silence, "notify", 6, 1000 + 2 * LIMIT_MS - 1), 0);
    assert_int_equal(heard(&silence, "notify", 6, 1000 + 2 * LIMIT_MS), 1);
    assert_int_equal(heard(&silence, "notify", 1, 1001 + 2 * LIMIT_MS), 0); /* Redis was emptied */
}

static void a_desk_has_no_alerts(void **state)
{
    (void)state;
    struct silence silence;
    begin(&silence);
    assert_int_equal(heard(&silence, "desk", 5, 1000), 0);
    assert_int_equal(heard(&silence, "desk", 5, 1000 + LIMIT_MS), 0);
}

static void while_redis_is_away_nobody_is_silent(void **state)
{
    (void)state;
    struct silence silence;
    begin(&silence);
    assert_int_equal(heard(&silence, "notify", 5, 1000), 0);
    silence_interrupted(&silence);
    assert_int_equal(heard(&silence, "notify", 5, 1000 + LIMIT_MS), 0);
    assert_int_equal(heard(&silence, "notify", 5, 1000 + 2 * LIMIT_MS), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_whose_number_stands_is_silent_after_the_limit),
        cmocka_unit_test(one_that_reports_is_not),
        cmocka_unit_test(a_desk_has_no_alerts),
        cmocka_unit_test(while_redis_is_away_nobody_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
