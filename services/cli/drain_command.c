/* drain_command - desg drain: ends an ingest's intake and waits until nothing is left in its
 * journal that Redis does not have for good. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "clock/clock.h"

enum { POLL_MS = 250, SAY_MS = 2000, SECONDS_MAX = 604800, HTTP_OK = 200, HTTP_NOT_FOUND = 404 };

/* INT64_MAX: no limit. */
static int read_limit(const char *text, int64_t *limit_ms, struct error *err)
{
    *limit_ms = INT64_MAX;
    if (!text)
        return 0;
    char *end = NULL;
    long seconds = strtol(text, &end, 10);
    if (end == text || *end != '\0' || seconds < 1 || seconds > SECONDS_MAX)
        return error_set(err, ERROR_INVALID, "--for takes whole seconds, 1 to %d, not '%.20s'",
                         SECONDS_MAX, text);
    *limit_ms = seconds * 1000;
    return 0;
}

static int end_intake(const struct command_line *line, const char *name, struct error *err)
{
    AUTO(answer_drop) json_t *answer = NULL;
    int status = control_ask(line->common->run_directory, name, "POST", "/drain", &answer, err);
    if (status < 0)
        return -1;
    if (status == HTTP_NOT_FOUND)
        return error_set(err, ERROR_INVALID,
                         "%s takes no webhooks: stop it with SIGTERM, it finishes what is in hand",
                         name);
    if (status != HTTP_OK)
        return error_set(err, ERROR_UNAVAILABLE, "%s answered %d", name, status);
    return 0;
}

static void say_left(const char *name, const json_t *answer)
{
    const char *waits_for = json_string_value(json_object_get(answer, "waits_for"));
    (void)fprintf(stderr, "desg: %s: %lld records are not applied and marked yet; waits for %s\n",
                  name, (long long)json_integer_value(json_object_get(answer, "unmarked_records")),
                  waits_for ? waits_for : "nothing");
}

/* 1: drained; 0: not yet; -1: it does not answer. */
static int ask_drained(const struct command_line *line, const char *name, bool says_left,
                       struct error *err)
{
    AUTO(answer_drop) json_t *answer = NULL;
    int status = control_ask(line->common->run_directory, name, "GET", "/drained", &answer, err);
    if (status < 0)
        return -1;
    if (status != HTTP_OK && says_left)
        say_left(name, answer);
    return status == HTTP_OK;
}

static int wait_drained(const struct command_line *line, const char *name, int64_t limit_ms,
                        struct error *err)
{
    const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
    int64_t began_ms = clock_monotonic_ms();
    int64_t said_ms = began_ms;
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();
        bool is_over = now_ms - began_ms >= limit_ms;
        bool says_left = is_over || now_ms - said_ms >= SAY_MS;
        int drained = ask_drained(line, name, says_left, err);
        if (drained != 0)
            return drained > 0 ? 0 : -1;
        if (is_over)
            return error_set(err, ERROR_UNAVAILABLE,
                             "%s is not drained yet: it goes on; ask again, or stop it and adopt "
                             "its journal",
                             name);
        if (says_left)
            said_ms = now_ms;
        (void)nanosleep(&pause, NULL);
    }
}

int command_drain(const struct command_line *line)
{
    struct error err = { 0 };
    int64_t limit_ms = 0;
    if (line->word_count == 0) {
        (void)error_set(&err, ERROR_INVALID, "say which ingest: desg drain NAME");
        return command_usage(&err);
    }
    if (read_limit(line->limit_seconds, &limit_ms, &err) != 0)
        return command_usage(&err);
    const char *name = line->words[0];
    if (end_intake(line, name, &err) != 0 || wait_drained(line, name, limit_ms, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        (void)printf("{\"drained\":true}\n");
    else
        (void)printf("%s is drained: stop it for good, its journal may go.\n", name);
    return 0;
}
