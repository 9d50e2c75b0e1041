#include "outward/window.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "outward/inside.h"

enum { HOUR_MS = 3600 * 1000, MINUTE_MS = 60 * 1000, DATE_BYTES = 10 };

/* As the platforms' own pages said in August 2026. Meta: Messenger Platform policy overview and
 * send-messages (24 hours; 7 days with HUMAN_AGENT, the only tag left since 27 April 2026; texts
 * below 2000 characters, of which some 1,994 get through: 1900; Instagram 1000 bytes of UTF-8).
 * WhatsApp Cloud API: error 131047 after 24 hours (templates alone), 4096 characters. X direct
 * messages: no window, 10,000 characters. The web form is answered by e-mail. */
static const struct outward_window built_in[] = {
    { (char *)"facebook", (char *)"2026-04-27", 24, 168, 1900, (char *)"characters" },
    { (char *)"instagram", (char *)"2026-04-27", 24, 168, 1000, (char *)"bytes" },
    { (char *)"whatsapp", (char *)"2026-01-01", 24, 0, 4096, (char *)"characters" },
    { (char *)"x", (char *)"2026-01-01", 0, 0, 10000, (char *)"characters" },
    { (char *)"web", (char *)"2026-01-01", 0, 0, 20000, (char *)"characters" },
};

bool window_date(const char *text, int64_t *at_ms)
{
    if (strlen(text) != DATE_BYTES || text[4] != '-' || text[7] != '-' ||
        strspn(text, "0123456789-") != DATE_BYTES)
        return false;
    struct tm day = { 0 };
    const char *end = strptime(text, "%Y-%m-%d", &day);
    if (!end || *end != '\0')
        return false;
    struct tm as_it_is = day;
    time_t seconds = timegm(&as_it_is); /* makes 31 June the 1st of July: then it differs */
    if (as_it_is.tm_mday != day.tm_mday || as_it_is.tm_mon != day.tm_mon)
        return false;
    *at_ms = (int64_t)seconds * 1000;
    return true;
}

/* The newest row of channel that is not in the future; NULL: none. */
static const struct outward_window *newest(const struct outward_window *rows, size_t count,
                                           const char *channel, int64_t now_ms)
{
    const struct outward_window *found = NULL;
    int64_t found_ms = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t from_ms;
        if (strcmp(rows[i].channel, channel) != 0 || !window_date(rows[i].from, &from_ms) ||
            from_ms > now_ms || (found && from_ms <= found_ms))
            continue;
        found = &rows[i];
        found_ms = from_ms;
    }
    return found;
}

/* The force's own table first; what it does not say yet, the built-in one does, whose first row
 * holds for the time before it, too. */
static const struct outward_window *row_of(const struct outward_config *config, const char *channel,
                                           int64_t now_ms)
{
    enum { COUNT = sizeof built_in / sizeof built_in[0] };
    const struct outward_window *row =
        newest(config->windows, config->windows_count, channel, now_ms);
    if (!row)
        row = newest(built_in, COUNT, channel, now_ms);
    for (size_t i = 0; !row && i < COUNT; i++)
        if (strcmp(built_in[i].channel, channel) == 0)
            row = &built_in[i];
    return row;
}

static int64_t after(int64_t at_ms, uint32_t hours)
{
    int64_t length_ms = (int64_t)hours * HOUR_MS;
    return at_ms > INT64_MAX - length_ms ? INT64_MAX : at_ms + length_ms;
}

struct window window_of(const struct outward_config *config, const char *channel,
                        bool has_human_agent, int64_t last_person_at_ms, int64_t now_ms)
{
    assert(config && channel);
    struct window window = { .state = WINDOW_CLOSED, .until_ms = INT64_MAX };
    const struct outward_window *row = row_of(config, channel, now_ms);
    if (!row)
        return window;
    window.text_max = row->text_max;
    window.is_in_bytes = row->text_unit && strcmp(row->text_unit, "bytes") == 0;
    if (row->hours == 0) {
        window.state = WINDOW_OPEN;
        return window;
    }
    if (last_person_at_ms <= 0)
        return window;
    int64_t open_until_ms = after(last_person_at_ms, row->hours);
    if (has_human_agent && row->human_hours > 0)
        window.human_until_ms = after(last_person_at_ms, row->human_hours);
    if (now_ms < open_until_ms) {
        window.state = WINDOW_OPEN;
        window.until_ms = open_until_ms;
    } else if (now_ms < window.human_until_ms) {
        window.state = WINDOW_HUMAN;
        window.until_ms = window.human_until_ms;
    }
    return window;
}

/* "6 d 23 h", "23 h 59 min", "4 min": rounded down, so that nobody counts on a minute that is gone.
 */
static void say_left(int64_t left_ms, char *out, size_t bytes)
{
    int64_t hours = left_ms / HOUR_MS;
    int64_t minutes = left_ms % HOUR_MS / MINUTE_MS;
    if (hours >= 48)
        (void)snprintf(out, bytes, "%" PRId64 " d %" PRId64 " h", hours / 24, hours % 24);
    else if (hours > 0)
        (void)snprintf(out, bytes, "%" PRId64 " h %" PRId64 " min", hours, minutes);
    else if (minutes > 0)
        (void)snprintf(out, bytes, "%" PRId64 " min", minutes);
    else
        (void)snprintf(out, bytes, "less than a minute");
}

static const char *other_ways(const char *channel)
{
    if (strcmp(channel, "whatsapp") == 0)
        return "send an approved template, telephone, or wait until they write again";
    return "telephone, e-mail or visit them, or wait until they write again";
}

void window_explain(const struct window *window, const char *channel, int64_t now_ms, char *out,
                    size_t bytes)
{
    char left[48];
    int64_t left_ms = window->until_ms > now_ms ? window->until_ms - now_ms : 0;
    say_left(left_ms, left, sizeof left);
    if (window->state == WINDOW_OPEN && window->until_ms == INT64_MAX)
        (void)snprintf(out, bytes, "open: %s sets no time limit", channel);
    else if (window->state == WINDOW_OPEN)
        (void)snprintf(out, bytes, "open for another %s", left);
    else if (window->state == WINDOW_HUMAN)
        (void)snprintf(out, bytes,
                       "the ordinary time is over: for another %s only text a person wrote, sent "
                       "as a human agent's",
                       left);
    else
        (void)snprintf(out, bytes, "closed: %s lets nobody answer so late: %s", channel,
                       other_ways(channel));
}
