#include "cli/window_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS, WORD_BYTES = 64 };

void window_length(int64_t length_ms, char *out, size_t bytes)
{
    int64_t days = length_ms / DAY_MS, hours = length_ms / HOUR_MS, minutes = length_ms / MINUTE_MS;
    if (days >= 2)
        (void)snprintf(out, bytes, "%" PRId64 " d %" PRId64 " h", days, hours % 24);
    else if (hours > 0)
        (void)snprintf(out, bytes, "%" PRId64 " h %" PRId64 " min", hours, minutes % 60);
    else if (minutes > 0)
        (void)snprintf(out, bytes, "%" PRId64 " min", minutes);
    else
        (void)snprintf(out, bytes, "less than a minute");
}

void window_time(int64_t at_unix_ms, int64_t now_unix_ms, char *out, size_t bytes)
{
    time_t at = (time_t)(at_unix_ms / 1000), now = (time_t)(now_unix_ms / 1000);
    struct tm then = { 0 }, today = { 0 };
    if (!localtime_r(&at, &then) || !localtime_r(&now, &today)) {
        (void)snprintf(out, bytes, "?");
        return;
    }
    int64_t distance_ms = at_unix_ms - now_unix_ms;
    if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday)
        (void)strftime(out, bytes, "%H:%M", &then);
    else if (distance_ms > 0 && distance_ms < 6LL * DAY_MS)
        (void)strftime(out, bytes, "%a %H:%M", &then);
    else
        (void)strftime(out, bytes, "%Y-%m-%d %H:%M", &then);
}

static int64_t time_at(const json_t *window, const char *key)
{
    return json_integer_value(json_object_get(window, key));
}

void window_words(const json_t *window, int64_t now_unix_ms, char *out, size_t bytes)
{
    char until[WORD_BYTES], left[WORD_BYTES], human[WORD_BYTES];
    const char *state = json_string_value(json_object_get(window, "state"));
    const char *why = json_string_value(json_object_get(window, "explanation"));
    int64_t until_ms = time_at(window, "until_ms");
    int64_t human_ms = time_at(window, "human_until_ms");
    window_time(until_ms, now_unix_ms, until, sizeof until);
    window_time(human_ms, now_unix_ms, human, sizeof human);
    window_length(until_ms > now_unix_ms ? until_ms - now_unix_ms : 0, left, sizeof left);
    out[0] = '\0';
    if (!state)
        return;
    if (strcmp(state, "open") == 0 && until_ms <= 0)
        (void)snprintf(out, bytes, "may be answered at any time");
    else if (strcmp(state, "open") == 0 && human_ms > until_ms)
        (void)snprintf(out, bytes, "may be answered until %s, %s left; then by a person until %s",
                       until, left, human);
    else if (strcmp(state, "open") == 0)
        (void)snprintf(out, bytes, "may be answered until %s, %s left", until, left);
    else if (strcmp(state, "human") == 0)
        (void)snprintf(out, bytes, "may be answered by a person alone, until %s, %s left", until,
                       left);
    else if (why && *why)
        (void)snprintf(out, bytes, "may not be answered: %s",
                       why + (strncmp(why, "closed: ", 8) == 0 ? 8 : 0));
    else
        (void)snprintf(out, bytes,
                       "may not be answered any more here: telephone them, or wait until they "
                       "write again");
}
