#include "clock/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_unix_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

void clock_format_rfc3339(int64_t unix_ms, char *out)
{
    int64_t seconds = unix_ms / 1000;
    int64_t milli = unix_ms % 1000;
    if (milli < 0) {
        milli += 1000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm utc = { 0 };
    if (!gmtime_r(&when, &utc) || utc.tm_year > 8099 || utc.tm_year < -1900) {
        (void)snprintf(out, CLOCK_TEXT_BYTES, "1970-01-01T00:00:00.000Z");
        return;
    }
    char rest[16]; /* %Y would write the year 7 with one digit */
    (void)strftime(rest, sizeof rest, "-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out, CLOCK_TEXT_BYTES, "%04u%s.%03uZ", (unsigned)(utc.tm_year + 1900) % 10000,
                   rest, (unsigned)milli % 1000);
}

static int digits(const char *text, size_t count, int *value)
{
    int sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        sum = sum * 10 + (text[i] - '0');
    }
    *value = sum;
    return 0;
}

/* "Z", "+hh:mm", "+hhmm", "-hh" → seconds east of UTC. */
static int parse_zone(const char *text, size_t length, int *offset_s)
{
    if (length == 1 && (text[0] == 'Z' || text[0] == 'z')) {
        *offset_s = 0;
        return 0;
    }
    if (length < 3 || (text[0] != '+' && text[0] != '-'))
        return -1;
    int hours = 0;
    int minutes = 0;
    if (digits(text + 1, 2, &hours) != 0)
        return -1;
    if (length == 6 && text[3] == ':' ? digits(text + 4, 2, &minutes) != 0
        : length == 5                 ? digits(text + 3, 2, &minutes) != 0
                                      : length != 3)
        return -1;
    if (hours > 23 || minutes > 59)
        return -1;
    *offset_s = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
    return 0;
}

static int days_in(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

/* ".123456" → milliseconds; *at moves past it. Digits after the third are dropped. */
static int parse_fraction(const char *text, size_t length, size_t *at, int *milli)
{
    size_t start = *at + 1;
    size_t end = start;
    int scale = 100;
    for (; end < length && text[end] >= '0' && text[end] <= '9'; end++) {
        *milli += (text[end] - '0') * scale;
        scale /= 10;
    }
    *at = end;
    return end > start ? 0 : -1;
}

int clock_parse_rfc3339(const char *text, size_t length, int64_t *unix_ms)
{
    struct tm utc = { 0 };
    if (length < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != ' ') ||
        text[13] != ':' || text[16] != ':')
        return -1;
    if (digits(text, 4, &utc.tm_year) || digits(text + 5, 2, &utc.tm_mon) ||
        digits(text + 8, 2, &utc.tm_mday) || digits(text + 11, 2, &utc.tm_hour) ||
        digits(text + 14, 2, &utc.tm_min) || digits(text + 17, 2, &utc.tm_sec))
        return -1;
    if (utc.tm_mon < 1 || utc.tm_mon > 12 || utc.tm_mday < 1 ||
        utc.tm_mday > days_in(utc.tm_year, utc.tm_mon) || utc.tm_hour > 23 || utc.tm_min > 59 ||
        utc.tm_sec > 60)
        return -1;
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    size_t at = 19;
    int milli = 0;
    if (text[at] == '.' && parse_fraction(text, length, &at, &milli) != 0)
        return -1;
    int offset_s = 0;
    if (parse_zone(text + at, length - at, &offset_s) != 0)
        return -1;
    *unix_ms = ((int64_t)timegm(&utc) - offset_s) * 1000 + milli;
    return 0;
}
