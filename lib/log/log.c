#include "log/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

static struct {
    const char *process;
    enum log_level lowest;
    int descriptor;
} sink = { .process = "desg", .lowest = LOG_LEVEL_INFO, .descriptor = STDERR_FILENO };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

struct line {
    char text[LINE_BYTES];
    size_t used;
};

static void put_char(struct line *line, char c)
{
    if (line->used < sizeof line->text - 1)
        line->text[line->used++] = c;
}

static void put_text(struct line *line, const char *text)
{
    while (*text)
        put_char(line, *text++);
}

static bool is_plain(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' ||
            *text == 0x7f)
            return false;
    return true;
}

static void put_quoted(struct line *line, const char *text)
{
    put_char(line, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            put_char(line, '\\');
            put_char(line, (char)c);
        } else if (c < ' ' || c == 0x7f) {
            char escaped[8];
            (void)snprintf(escaped, sizeof escaped, "\\x%02x", c);
            put_text(line, escaped);
        } else {
            put_char(line, (char)c);
        }
    }
    put_char(line, '"');
}

static void put_field(struct line *line, const struct log_field *field)
{
    char number[40];
    put_char(line, ' ');
    put_text(line, field->key);
    put_char(line, '=');
    switch (field->type) {
    case LOG_TYPE_TEXT: {
        const char *text = field->value.text ? field->value.text : "";
        if (is_plain(text))
            put_text(line, text);
        else
            put_quoted(line, text);
        return;
    }
    case LOG_TYPE_SIGNED:
        (void)snprintf(number, sizeof number, "%lld", field->value.number);
        break;
    case LOG_TYPE_UNSIGNED:
        (void)snprintf(number, sizeof number, "%llu", field->value.count);
        break;
    case LOG_TYPE_REAL:
        (void)snprintf(number, sizeof number, "%.6g", field->value.real);
        break;
    case LOG_TYPE_BOOL:
        put_text(line, field->value.truth ? "true" : "false");
        return;
    default:
        return;
    }
    put_text(line, number);
}

void log_setup(const char *process, enum log_level lowest, int descriptor)
{
    sink.process = process;
    sink.lowest = lowest;
    sink.descriptor = descriptor;
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if (level < sink.lowest)
        return;
    struct line line = { .used = 0 };
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    char stamp[40];
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1000000);
    put_text(&line, stamp);
    put_char(&line, ' ');
    put_text(&line, level_names[level]);
    put_char(&line, ' ');
    put_text(&line, sink.process);
    put_char(&line, ' ');
    put_text(&line, event);
    for (; fields->key; fields++)
        put_field(&line, fields);
    line.text[line.used++] = '\n';
    /* one write: lines of several threads or processes do not mix. Nothing can be done if stderr is
     * gone. */
    ssize_t written = write(sink.descriptor, line.text, line.used);
    (void)written;
}
