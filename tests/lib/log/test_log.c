#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"

/* The sink writes into a nameless file; what was written is read back. */
struct fixture {
    int fd;
    char text[256 << 10];
};

static int open_sink(void **state)
{
    static struct fixture fixture;
    char path[] = "/tmp/desg-log-XXXXXX"; /* a memfd has no lock on its position: lines would mix */
    fixture.fd = mkstemp(path);
    assert_true(fixture.fd >= 0 && unlink(path) == 0);
    log_setup("ingest", LOG_LEVEL_INFO, fixture.fd);
    *state = &fixture;
    return 0;
}

static int close_sink(void **state)
{
    struct fixture *f = *state;
    log_setup("desg", LOG_LEVEL_INFO, STDERR_FILENO);
    return close(f->fd);
}

static const char *written(struct fixture *f)
{
    ssize_t n = pread(f->fd, f->text, sizeof f->text - 1, 0);
    assert_true(n >= 0);
    f->text[n] = '\0';
    return f->text;
}

/* The last line without its time stamp and newline. */
static const char *last_line(struct fixture *f)
{
    (void)written(f);
    size_t length = strlen(f->text);
    assert_true(length > 25 && f->text[length - 1] == '\n');
    f->text[length - 1] = '\0';
    char *start = strrchr(f->text, '\n');
    start = start ? start + 1 : f->text;
    assert_true(strlen(start) > 25 && start[24] == ' ');
    return start + 25;
}

/* "2026-02-11T17:42:00.123Z ": digits where the pattern has a 0. */
static void assert_stamped(const char *line)
{
    static const char pattern[] = "0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        bool is_digit = line[i] >= '0' && line[i] <= '9';
        if (pattern[i] == '0' ? !is_digit : line[i] != pattern[i])
            fail_msg("'%.25s'", line);
    }
    assert_in_range(strtol(line, NULL, 10), 2024, 2200);
}

static void writes_time_level_process_event_and_fields(void **state)
{
    struct fixture *f = *state;
    log_warn("verdict_refused", KV("message", "7f3a"), KV("took_ms", 12), KV("bytes", (size_t)9),
             KV("share", 0.5), KV("is_urgent", (bool)true), KV("delta", -3));
    assert_stamped(written(f));
    assert_string_equal(last_line(f), "warn ingest verdict_refused message=7f3a took_ms=12 bytes=9 "
                                      "share=0.5 is_urgent=true delta=-3");
}

static void writes_no_fields_and_null_text(void **state)
{
    struct fixture *f = *state;
    log_info("started");
    assert_string_equal(last_line(f), "info ingest started");
    const char *none = NULL;
    log_info("started", KV("config", none));
    assert_string_equal(last_line(f), "info ingest started config=\"\"");
}

static void a_value_can_neither_end_its_line_nor_forge_a_field(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *value, *shown;
    } cases[] = {
        { "plain-1.2/3:4", "plain-1.2/3:4" },
        { "", "\"\"" },
        { "two words", "\"two words\"" },
        { "a=b", "\"a=b\"" },
        { "say \"hi\"", "\"say \\\"hi\\\"\"" },
        { "back\\slash", "\"back\\\\slash\"" },
        { "one\ninfo ingest forged", "\"one\\x0ainfo ingest forged\"" },
        { "cr\rtab\tesc\x1b[31m", "\"cr\\x0dtab\\x09esc\\x1b[31m\"" },
        { "del\x7f", "\"del\\x7f\"" },
        { "d\xc5\xb5r", "d\xc5\xb5r" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[128];
        (void)snprintf(expected, sizeof expected, "info ingest probed value=%s", cases[i].shown);
        log_info("probed", KV("value", cases[i].value));
        assert_string_equal(last_line(f), expected);
    }
}

static void cuts_a_line_at_4_kib_and_still_ends_it(void **state)
{
    struct fixture *f = *state;
    char longer[8000];
    memset(longer, '\n', sizeof longer); /* each one becomes four characters */
    longer[sizeof longer - 1] = '\0';
    log_info("probed", KV("value", longer));
    const char *all = written(f);
    assert_int_equal(strlen(all), 4096);
    assert_ptr_equal(strchr(all, '\n'), all + 4095);
}

static void leaves_out_what_is_below_the_level(void **state)
{
    struct fixture *f = *state;
    log_debug("noticed");
    assert_string_equal(written(f), "");
    log_setup("ingest", LOG_LEVEL_ERROR, f->fd);
    log_warn("noticed");
    assert_string_equal(written(f), "");
    log_error("noticed");
    assert_string_equal(last_line(f), "error ingest noticed");
}

static void knows_its_levels_and_no_others(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_WARN;
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    assert_true(log_level_parse("info", &level) && level == LOG_LEVEL_INFO);
    assert_true(log_level_parse("warn", &level) && level == LOG_LEVEL_WARN);
    assert_true(log_level_parse("error", &level) && level == LOG_LEVEL_ERROR);
    static const char *const refused[] = { "", "INFO", "warning", "1", "info " };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        level = LOG_LEVEL_WARN;
        assert_false(log_level_parse(refused[i], &level));
        assert_int_equal(level, LOG_LEVEL_WARN);
    }
}

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("counted", KV("thread", (const char *)arg), KV("number", i));
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    struct fixture *f = *state;
    static char names[THREADS][2] = { "a", "b", "c", "d" };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    size_t count = 0;
    for (const char *line = written(f); *line; line = strchr(line, '\n') + 1) {
        static const char start[] = "info ingest counted thread=";
        static const char middle[] = " number=";
        assert_memory_equal(line + 25, start, sizeof start - 1);
        const char *rest = line + 25 + sizeof start; /* past the one letter of the thread */
        assert_memory_equal(rest, middle, sizeof middle - 1);
        char *end = NULL;
        assert_in_range(strtol(rest + sizeof middle - 1, &end, 10), 0, LINES - 1);
        assert_int_equal(*end, '\n');
        count++;
    }
    assert_int_equal(count, THREADS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_time_level_process_event_and_fields, open_sink,
                                        close_sink),
        cmocka_unit_test_setup_teardown(writes_no_fields_and_null_text, open_sink, close_sink),
        cmocka_unit_test_setup_teardown(a_value_can_neither_end_its_line_nor_forge_a_field,
                                        open_sink, close_sink),
        cmocka_unit_test_setup_teardown(cuts_a_line_at_4_kib_and_still_ends_it, open_sink,
                                        close_sink),
        cmocka_unit_test_setup_teardown(leaves_out_what_is_below_the_level, open_sink, close_sink),
        cmocka_unit_test(knows_its_levels_and_no_others),
        cmocka_unit_test_setup_teardown(lines_of_several_threads_do_not_mix, open_sink, close_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
