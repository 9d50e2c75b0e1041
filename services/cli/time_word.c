#include "cli/time_word.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t MINUTE_MS = 60000;
static const int64_t OFFSET_MAX_MINUTES = 840;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "90s", "2h": how long. */
static bool read_length(const char *text, int64_t *length_ms)
{
    static const char units[] = "smhd";
    static const int64_t unit_ms[] = { 1000, 60000, 3600000, 86400000 };
    char *end = NULL;
    errno = 0;
    long long amount = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (!is_digit(text[0]) || errno != 0 || !unit || end[1] != '\0' || amount > 36500 * 86400LL)
        return false;
    *length_ms = amount * unit_ms[unit - units];
    return true;
}

static bool read_ago(const char *text, int64_t now_unix_ms, int64_t *out)
{
    int64_t length_ms = 0;
    if (!read_length(text, &length_ms))
        return false;
    *out = now_unix_ms - length_ms;
    return *out >= 0;
}

/* "18:30": the next time a clock on the wall here shows it. */
static bool read_clock(const char *text, int64_t now_unix_ms, int64_t *out)
{
    struct tm parts = { 0 };
    time_t now = (time_t)(now_unix_ms / 1000);
    struct tm day = { 0 };
    const char *rest = strlen(text) == 5 && text[2] == ':' ? strptime(text, "%H:%M", &parts) : NULL;
    if (!rest || *rest != '\0' || !localtime_r(&now, &day))
        return false;
    for (int later = 0; later < 2; later++) {
        struct tm at = { .tm_year = day.tm_year,
                         .tm_mon = day.tm_mon,
                         .tm_mday = day.tm_mday + later,
                         .tm_hour = parts.tm_hour,
                         .tm_min = parts.tm_min,
                         .tm_isdst = -1 };
        time_t seconds = mktime(&at);
        if (seconds > now) {
            *out = (int64_t)seconds * 1000;
            return true;
        }
    }
    return false;
}

/* What is behind date and time: nothing, Z or an offset. False: something else. */
static bool read_offset(const char *text, bool *is_local, int64_t *offset_ms)
{
    *is_local = *text == '\0';
    *offset_ms = 0;
    if (*is_local || strcmp(text, "Z") == 0)
        return true;
    bool is_shaped = (text[0] == '+' || text[0] == '-') && strlen(text) == 6 && text[3] == ':' &&
                     is_digit(text[1]) && is_digit(text[2]) && is_digit(text[4]) &&
                     is_digit(text[5]);
    if (!is_shaped)
        return false;
    int64_t minutes =
        (text[1] - '0') * 600 + (text[2] - '0') * 60 + (text[4] - '0') * 10 + (text[5] - '0');
    *offset_ms = (text[0] == '-' ? -minutes : minutes) * MINUTE_MS;
    return minutes <= OFFSET_MAX_MINUTES;
}

static bool read_date(const char *text, int64_t *out)
{
    static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                         "%Y-%m-%d %H:%M", "%Y-%m-%d" };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm parts = { .tm_isdst = -1 };
        bool is_local = false;
        int64_t offset_ms = 0;
        const char *rest = strptime(text, forms[i], &parts);
        if (!rest || !read_offset(rest, &is_local, &offset_ms))
            continue;
        time_t seconds = is_local ? mktime(&parts) : timegm(&parts);
        if (seconds < 0)
            return false;
        *out = (int64_t)seconds * 1000 - offset_ms;
        return true;
    }
    return false;
}

int time_word_parse(const char *text, int64_t now_unix_ms, int64_t *out, struct error *err)
{
    int64_t found = 0;
    if (!read_ago(text, now_unix_ms, &found) && !read_date(text, &found))
        return error_set(err, ERROR_INVALID,
                         "'%s' is no time: write such as 2h (ago), '2026-02-11 17:42' or "
                         "2026-02-11T17:42:00Z",
                         text);
    if (found > now_unix_ms)
        return error_set(err, ERROR_INVALID, "'%s' lies in the future", text);
    *out = found;
    return 0;
}

int time_word_ahead(const char *text, int64_t now_unix_ms, bool may_be_past, int64_t *out,
                    struct error *err)
{
    int64_t found = 0, length_ms = 0;
    if (read_length(text, &length_ms))
        found = now_unix_ms + length_ms;
    else if (!read_clock(text, now_unix_ms, &found) && !read_date(text, &found))
        return error_set(err, ERROR_INVALID,
                         "'%s' is no time: write such as 18:30, 3h (from now on), '2026-02-11 "
                         "17:42' or 2026-02-11T17:42:00Z",
                         text);
    if (found <= now_unix_ms && !may_be_past)
        return error_set(err, ERROR_INVALID, "'%s' is not in the future", text);
    *out = found;
    return 0;
}
