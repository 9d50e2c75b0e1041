/* When is an emptied Redis whole again? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "notify/rebuild.h"

static struct id id_of(uint8_t byte)
{
    struct id id;
    memset(id.bytes, byte, sizeof id.bytes);
    return id;
}

static json_t *row(uint8_t byte, bool is_caught_up)
{
    char text[ID_TEXT_BYTES];
    const struct id id = id_of(byte);
    id_text(id.bytes, text);
    return json_pack("{s:s, s:s, s:b}", "source", text, "kind", "notify", "is_caught_up",
                     is_caught_up);
}

static bool is_over(struct rebuild *rebuild, json_t *rows)
{
    bool is_over = rebuild_is_over(rebuild, rows);
    json_decref(rows);
    return is_over;
}

static void not_before_we_have_said_ours(void **state)
{
    (void)state;
    struct rebuild rebuild;
    const struct id own = id_of(1);
    rebuild_init(&rebuild, &own);
    assert_false(is_over(&rebuild, json_array()));
    assert_false(is_over(&rebuild, json_pack("[o]", row(1, false))));
    assert_true(is_over(&rebuild, json_pack("[o]", row(1, true))));
}

static void not_before_everybody_has(void **state)
{
    (void)state;
    struct rebuild rebuild;
    const struct id own = id_of(1);
    rebuild_init(&rebuild, &own);
    assert_false(is_over(&rebuild, json_pack("[o,o]", row(1, true), row(2, false))));
    assert_true(is_over(&rebuild, json_pack("[o,o]", row(1, true), row(2, true))));
}

static void one_that_an_emptied_redis_does_not_name_is_not_forgotten(void **state)
{
    (void)state;
    struct rebuild rebuild;
    const struct id own = id_of(1);
    rebuild_init(&rebuild, &own);
    assert_true(is_over(&rebuild, json_pack("[o,o]", row(1, true), row(2, true))));
    assert_false(is_over(&rebuild, json_pack("[o]", row(1, true))));
    assert_true(is_over(&rebuild, json_pack("[o,o]", row(2, true), row(1, true))));
}

static void one_known_from_before_the_start_is_waited_for(void **state)
{
    (void)state;
    struct rebuild rebuild;
    const struct id own = id_of(1);
    const struct id before = id_of(2);
    rebuild_init(&rebuild, &own);
    rebuild_remember(&rebuild, &before);
    rebuild_remember(&rebuild, &before);
    rebuild_remember(&rebuild, &own);
    assert_int_equal(rebuild.count, 2);
    assert_false(is_over(&rebuild, json_pack("[o]", row(1, true))));
    assert_true(is_over(&rebuild, json_pack("[o,o]", row(1, true), row(2, true))));
}

static void each_that_redis_names_is_noted_once_an_hour(void **state)
{
    (void)state;
    struct rebuild rebuild;
    struct id out;
    const struct id own = id_of(1);
    const struct id before = id_of(3);
    rebuild_init(&rebuild, &own);
    rebuild_remember(&rebuild, &before); /* named by the journal alone */
    json_t *rows = json_pack("[o,o]", row(1, true), row(2, false));
    for (int64_t now_ms = 5; now_ms < 3 * REBUILD_NOTE_EVERY_MS; now_ms += REBUILD_NOTE_EVERY_MS) {
        assert_true(rebuild_next_note(&rebuild, rows, now_ms, &out));
        assert_int_equal(out.bytes[0], 2);
        assert_false(rebuild_next_note(&rebuild, rows, now_ms, &out));
        assert_false(rebuild_next_note(&rebuild, rows, now_ms + REBUILD_NOTE_EVERY_MS - 1, &out));
    }
    json_decref(rows);
}

static void rows_that_are_none_are_passed_over(void **state)
{
    (void)state;
    struct rebuild rebuild;
    const struct id own = id_of(1);
    rebuild_init(&rebuild, &own);
    json_t *rows = json_pack("[{s:s}, i, o]", "source", "xyz", 7, row(1, true));
    assert_true(is_over(&rebuild, rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_before_we_have_said_ours),
        cmocka_unit_test(not_before_everybody_has),
        cmocka_unit_test(one_that_an_emptied_redis_does_not_name_is_not_forgotten),
        cmocka_unit_test(one_known_from_before_the_start_is_waited_for),
        cmocka_unit_test(each_that_redis_names_is_noted_once_an_hour),
        cmocka_unit_test(rows_that_are_none_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
