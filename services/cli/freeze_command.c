/* freeze_command - desg freeze: halts what is scheduled and automatic. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/table.h"
#include "cli/time_word.h"
#include "cli/window_words.h"
#include "clock/clock.h"

enum {
    MINUTE_MS = 60000,
    HALF_MINUTE_MS = 30000,
    DEFAULT_MINUTES = 60,
    MINUTES_MAX = 43200,
    WORD_BYTES = 64
};

static int read_until(const struct command_line *line, int64_t now_ms, int64_t *until_ms,
                      struct error *err)
{
    char *end = NULL;
    long minutes = DEFAULT_MINUTES;
    if (line->until && line->minutes)
        return error_set(err, ERROR_INVALID, "--until and --minutes: give one of them");
    if (line->until)
        return time_word_ahead(line->until, now_ms, false, until_ms, err);
    if (line->minutes) {
        errno = 0;
        minutes = strtol(line->minutes, &end, 10);
        if (*end != '\0' || end == line->minutes || errno != 0 || minutes < 1 ||
            minutes > MINUTES_MAX)
            return error_set(err, ERROR_INVALID, "--minutes takes 1 to %d (30 days), not '%.20s'",
                             (int)MINUTES_MAX, line->minutes);
    }
    *until_ms = now_ms + (int64_t)minutes * MINUTE_MS;
    return 0;
}

static json_t *body_of(const struct command_line *line, int64_t now_ms, struct error *err)
{
    int64_t until_ms = 0;
    if (read_until(line, now_ms, &until_ms, err) != 0)
        return NULL;
    json_t *body = json_pack("{s:I, s:s, s:[]}", "until_ms", (json_int_t)until_ms, "reason",
                             line->reason ? line->reason : "", "except");
    for (size_t i = 0; body && i < line->given_count; i++)
        if (json_array_append_new(json_object_get(body, "except"),
                                  json_string(line->given[i].value)) != 0) {
            json_decref(body);
            body = NULL;
        }
    if (!body)
        (void)error_set(err, ERROR_INVALID, "--reason and --except are written in UTF-8");
    return body;
}

/* Until when, who said so and why, what goes on. */
static void say_frozen(const json_t *freeze)
{
    char until[WORD_BYTES], left[WORD_BYTES];
    int64_t now_ms = clock_unix_ms();
    int64_t until_ms = json_integer_value(json_object_get(freeze, "until_ms"));
    const char *by = json_string_value(json_object_get(freeze, "by"));
    const char *reason = json_string_value(json_object_get(freeze, "reason"));
    size_t index;
    const json_t *place;
    window_time(until_ms, now_ms, until, sizeof until);
    window_length(until_ms > now_ms ? until_ms - now_ms + HALF_MINUTE_MS : 0, left, sizeof left);
    (void)printf("FROZEN until %s, %s left: nothing scheduled or automatic goes out\n", until,
                 left);
    if (by && *by)
        (void)printf("  by %s\n", by);
    if (reason && *reason)
        table_print_text(reason, 2);
    json_array_foreach(json_object_get(freeze, "except"), index, place)(void)
        printf("  but %s goes on\n", json_string_value(place));
}

static int show(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *freeze = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_get(desk, "/v1/freeze", &freeze, NULL, &err) != 0)
        return command_fail(&err);
    bool is_frozen = json_integer_value(json_object_get(freeze, "until_ms")) > clock_unix_ms();
    if (line->is_json)
        (void)(freeze ? command_print_json(freeze) : puts("{}"));
    else if (is_frozen)
        say_frozen(freeze);
    else
        (void)puts("Nothing is frozen.");
    return is_frozen ? 0 : EXIT_NOTHING;
}

static int lift(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_post(desk, "/v1/freeze/lift", NULL, &answer, NULL, &err) != 0)
        return command_fail(&err);
    if (line->is_json && answer)
        return command_print_json(answer);
    (void)puts("Lifted: what waited goes out, as far as it still holds.");
    return 0;
}

static int freeze_now(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(answer_drop) json_t *body = body_of(line, clock_unix_ms(), &err);
    if (!body)
        return command_usage(&err);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_post(desk, "/v1/freeze", body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(answer);
    say_frozen(answer);
    (void)puts("desg freeze lift ends it");
    return 0;
}

int command_freeze(const struct command_line *line)
{
    const char *word = line->word_count > 0 ? line->words[0] : "";
    bool has_more = line->until || line->minutes || line->reason || line->given_count > 0;
    if (!*word)
        return freeze_now(line);
    if (has_more || (strcmp(word, "lift") != 0 && strcmp(word, "show") != 0)) {
        (void)fprintf(stderr,
                      "desg: 'freeze %.20s'%s is not known: write freeze [--until TIME], "
                      "freeze lift or freeze show\n",
                      word, has_more ? " with options" : "");
        return EXIT_USAGE;
    }
    return strcmp(word, "lift") == 0 ? lift(line) : show(line);
}
