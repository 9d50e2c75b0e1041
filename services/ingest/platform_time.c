#include "ingest/platform_time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"

static const int64_t seconds_below = 100000000000;
static const int64_t latest_ms = 253402300799999; /* end of the year 9999 */

static int64_t in_range(int64_t unix_ms)
{
    return unix_ms > 0 && unix_ms <= latest_ms ? unix_ms : 0;
}

int64_t platform_time_from_number(int64_t number)
{
    if (number > 0 && number < seconds_below)
        return in_range(number * 1000);
    return in_range(number);
}

int64_t platform_time_from_real(double number)
{
    if (!(number > 0 && number <= (double)latest_ms))
        return 0;
    return number < (double)seconds_below ? in_range((int64_t)(number * 1000))
                                          : in_range((int64_t)number);
}

static int64_t from_weekday_form(const char *text)
{
    struct tm parts = { 0 };
    const char *end = strptime(text, "%a %b %d %H:%M:%S %z %Y", &parts);
    if (!end || *end != '\0')
        return 0;
    long offset_seconds = parts.tm_gmtoff;
    return in_range(((int64_t)timegm(&parts) - offset_seconds) * 1000);
}

int64_t platform_time_from_text(const char *text)
{
    if (text[0] == '\0')
        return 0;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*end == '\0')
        return errno == 0 ? platform_time_from_number(number) : 0;
    int64_t unix_ms = 0;
    if (clock_parse_rfc3339(text, strlen(text), &unix_ms) == 0)
        return in_range(unix_ms);
    return from_weekday_form(text);
}
