#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "triage/message_file.h"

struct seen {
    size_t count;
    char ids[200];
    enum message_truth urgent;
    char restricted[40];
    size_t flags;
    char genre[20];
    char complaint[400];
    bool is_stopping;
};

static int see(void *arg, const struct labelled_message *message, struct error *err)
{
    struct seen *seen = arg;
    size_t used = strlen(seen->ids);
    seen->count++;
    (void)snprintf(seen->ids + used, sizeof seen->ids - used, "%s@%u ", message->id, message->line);
    (void)snprintf(seen->restricted, sizeof seen->restricted, "%s",
                   message->restricted ? message->restricted : "unsaid");
    (void)snprintf(seen->genre, sizeof seen->genre, "%s", message_member(message, "genre"));
    seen->urgent = message->urgent;
    seen->flags = json_array_size(message->flags);
    return seen->is_stopping ? error_set(err, ERROR_SYSTEM, "enough") : 0;
}

static void hear(void *arg, const char *text)
{
    struct seen *seen = arg;
    (void)snprintf(seen->complaint, sizeof seen->complaint, "%s", text);
}

static int read_text(const char *text, struct seen *seen, struct message_reading *reading)
{
    struct error err = { 0 };
    FILE *stream = fmemopen((void *)text, strlen(text), "r");
    assert_non_null(stream);
    *reading = (struct message_reading){ .take = see, .complain = hear, .arg = seen };
    int rc = message_stream_read(stream, "set.jsonl", reading, &err);
    (void)fclose(stream);
    return rc;
}

static void reads_rows_with_what_they_say(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct message_reading reading;
    assert_int_equal(
        read_text("{\"id\":\"a:1\",\"lang\":\"en\",\"text\":\"help\",\"urgent\":true,\"category\":"
                  "\"emergency\",\"source\":\"s\",\"genre\":\"direct\",\"restricted\":"
                  "\"sexual-offence\",\"flags\":[\"child\",\"weapon\"]}\r\n\n",
                  &seen, &reading),
        0);
    assert_int_equal(reading.rows, 1);
    assert_int_equal(reading.bad_lines, 0);
    assert_string_equal(seen.ids, "a:1@1 ");
    assert_int_equal(seen.urgent, MESSAGE_URGENT);
    assert_string_equal(seen.restricted, "sexual-offence");
    assert_string_equal(seen.genre, "direct");
    assert_int_equal(seen.flags, 2);
}

static void what_nobody_knows_is_not_a_no(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct message_reading reading;
    assert_int_equal(read_text("{\"id\":\"a\",\"text\":\"\",\"urgent\":null}", &seen, &reading), 0);
    assert_int_equal(seen.urgent, MESSAGE_URGENT_UNKNOWN);
    assert_string_equal(seen.restricted, "unsaid");
    assert_int_equal(read_text("{\"id\":\"a\",\"text\":\"\",\"restricted\":null,\"flags\":null}",
                               &seen, &reading),
                     0);
    assert_int_equal(seen.urgent, MESSAGE_URGENT_UNKNOWN);
    assert_string_equal(seen.restricted, "unsaid");
    assert_int_equal(read_text("{\"id\":\"a\",\"text\":\"\",\"urgent\":false}", &seen, &reading),
                     0);
    assert_int_equal(seen.urgent, MESSAGE_NOT_URGENT);
}

static void passes_over_bad_lines_and_says_what_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
        { "secret words", "set.jsonl:1: this is no JSON" },
        { "[1]", "set.jsonl:1: this is not an object" },
        { "{\"text\":\"secret\",\"urgent\":true}", "id is missing" },
        { "{\"id\":\"\",\"text\":\"secret\",\"urgent\":true}", "id is missing" },
        { "{\"id\":\"a\",\"urgent\":true}", "text is missing" },
        { "{\"id\":\"a\",\"text\":7,\"urgent\":true}", "text is missing" },
        { "{\"id\":\"a\",\"text\":\"secret\",\"urgent\":\"yes\"}", "write true, false, or null" },
        { "{\"id\":\"a\",\"text\":\"secret\",\"urgent\":1}", "write true, false, or null" },
        { "{\"id\":\"a\",\"text\":\"secret\",\"urgent\":true,\"lang\":3}", "lang, category" },
        { "{\"id\":\"a\",\"text\":\"secret\",\"urgent\":true,\"restricted\":\"x\"}",
          "restricted is none" },
        { "{\"id\":\"a\",\"text\":\"secret\",\"urgent\":true,\"flags\":[1]}", "flags is a list" },
        { "{\"id\":\"a\",\"id\":\"b\",\"text\":\"secret\",\"urgent\":true}", "members once each" },
        { "{\"id\":\"a\",\"text\":\"secret\\u0000\",\"urgent\":true}", "without NUL" },
        { "{\"id\":\"a\",\"text\":\"\xff\",\"urgent\":true}", "UTF-8" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[400];
        struct seen seen = { 0 };
        struct message_reading reading;
        (void)snprintf(text, sizeof text, "%s\n{\"id\":\"good\",\"text\":\"t\",\"urgent\":true}\n",
                       cases[i].line);
        assert_int_equal(read_text(text, &seen, &reading), 0);
        assert_string_equal(seen.ids, "good@2 ");
        assert_int_equal(reading.bad_lines, 1);
        if (!strstr(seen.complaint, cases[i].says) || strstr(seen.complaint, "secret"))
            fail_msg("line %zu: %s", i, seen.complaint);
    }
}

static void ends_where_the_taker_says(void **state)
{
    (void)state;
    struct seen seen = { .is_stopping = true };
    struct message_reading reading;
    assert_int_equal(read_text("{\"id\":\"a\",\"text\":\"\",\"urgent\":null}\n"
                               "{\"id\":\"b\",\"text\":\"\",\"urgent\":null}\n",
                               &seen, &reading),
                     -1);
    assert_int_equal(seen.count, 1);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct error err = { 0 };
    struct message_reading reading = { .take = see, .arg = &seen };
    assert_int_equal(message_file_read("no/such.jsonl", &reading, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "no/such.jsonl"));
    assert_int_equal(message_file_read(".", &reading, &err), -1); /* a directory opens */
    assert_int_equal(err.kind, ERROR_INVALID);
}

/* Training and measuring, in any language, must agree: FNV-1a 32 as published. */
static void a_fifth_is_held_out_by_id(void **state)
{
    (void)state;
    size_t held_out = 0;
    for (int i = 0; i < 10000; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "set:%d", i);
        held_out += message_is_held_out(id);
    }
    assert_in_range(held_out, 1800, 2200);
    assert_false(message_is_held_out(""));      /* 0x811c9dc5 */
    assert_true(message_is_held_out("a"));      /* 0xe40c292c */
    assert_true(message_is_held_out("foobar")); /* 0xbf9cf968 */
    assert_true(message_is_held_out("set:0"));
    assert_false(message_is_held_out("set:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_rows_with_what_they_say),
        cmocka_unit_test(what_nobody_knows_is_not_a_no),
        cmocka_unit_test(passes_over_bad_lines_and_says_what_to_write),
        cmocka_unit_test(ends_where_the_taker_says),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(a_fifth_is_held_out_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
