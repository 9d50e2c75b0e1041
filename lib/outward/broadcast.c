#include "outward/broadcast.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

#include "outward/area.h"
#include "outward/outlet.h"
#include "outward/said.h"

enum {
    HEADLINE_MAX_BYTES = 400,
    WORDS_MAX_BYTES = 20000,
    NAME_MAX_BYTES = 64,
    KEY_BYTES = 64,
    LONGEST_DAYS = 400,
    DAY_MS = 24 * 3600 * 1000
};

static void __attribute__((format(printf, 2, 3)))
say(struct broadcast_problems *out, const char *format, ...)
{
    if (out->count == BROADCAST_PROBLEMS_MAX)
        return;
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(out->lines[out->count++], BROADCAST_PROBLEM_BYTES, format, args);
    va_end(args);
}

static bool is_said(const char *text)
{
    return text && *text;
}

/* Nothing invisible: it would change how a text reads, or break the documents it goes into. */
static bool is_printable(int32_t c)
{
    if (c == '\n' || c == '\t')
        return true;
    bool is_control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
    bool turns_text = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return !is_control && !turns_text && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

static void check_characters(const char *key, const char *text, bool is_one_line, size_t max_bytes,
                             struct broadcast_problems *out)
{
    if (!text)
        return;
    size_t bytes = strlen(text);
    if (bytes > max_bytes)
        say(out, "%s has %zu bytes: write at most %zu", key, bytes, max_bytes);
    utf8proc_ssize_t left = (utf8proc_ssize_t)bytes;
    while (left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t step = utf8proc_iterate((const uint8_t *)text, left, &c);
        if (step <= 0 || !is_printable(c) || (is_one_line && (c == '\n' || c == '\t'))) {
            say(out, "%s: %s at byte %zu: remove it", key,
                step <= 0   ? "what is not UTF-8"
                : c == '\n' ? "a new line"
                            : "a control character",
                bytes - (size_t)left + 1);
            return;
        }
        text += step;
        left -= step;
    }
}

/* --- the words --- */

static void check_words(enum said_language language, const Desg__V1__BroadcastText *words,
                        struct broadcast_problems *out)
{
    const char *prefix = said_language_word(language);
    const struct {
        const char *name, *text;
        bool is_one_line;
        size_t max_bytes;
    } fields[] = { { "headline", words->headline, true, HEADLINE_MAX_BYTES },
                   { "text", words->text, false, WORDS_MAX_BYTES },
                   { "instruction", words->instruction, false, WORDS_MAX_BYTES },
                   { "area", words->area, true, HEADLINE_MAX_BYTES },
                   { "ended", words->ended, false, WORDS_MAX_BYTES } };
    if (!is_said(words->text))
        say(out, "%s.text is missing: write it", prefix);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char key[KEY_BYTES];
        (void)snprintf(key, sizeof key, "%s.%s", prefix, fields[i].name);
        check_characters(key, fields[i].text, fields[i].is_one_line, fields[i].max_bytes, out);
    }
}

static void check_override(const Desg__V1__WelshOwed *owed, int64_t now_ms,
                           struct broadcast_problems *out)
{
    if (!is_said(owed->by))
        say(out, "welsh_owed.by is missing: say who decided to publish without Welsh");
    if (!is_said(owed->reason))
        say(out, "welsh_owed.reason is missing: say why there is no Welsh yet");
    check_characters("welsh_owed.reason", owed->reason, false, WORDS_MAX_BYTES, out);
    if (owed->due_at_ms <= now_ms)
        say(out, "welsh_owed.due_at_ms is not in the future: say by when the Welsh will be there");
}

/* What one language says, the other says. */
static void check_parity(const Desg__V1__Broadcast *broadcast, struct broadcast_problems *out)
{
    const Desg__V1__BroadcastText *cy = said_words(broadcast, SAID_CY);
    const Desg__V1__BroadcastText *en = said_words(broadcast, SAID_EN);
    if (!cy || !en)
        return;
    const struct {
        const char *name, *cy, *en;
    } pairs[] = { { "instruction", cy->instruction, en->instruction },
                  { "area", cy->area, en->area },
                  { "ended", cy->ended, en->ended } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (is_said(pairs[i].cy) != is_said(pairs[i].en))
            say(out, "%s.%s is missing: the other language has it",
                is_said(pairs[i].cy) ? "en" : "cy", pairs[i].name);
}

static void check_languages(const Desg__V1__Broadcast *broadcast, int64_t now_ms,
                            struct broadcast_problems *out)
{
    const Desg__V1__BroadcastText *cy = said_words(broadcast, SAID_CY);
    const Desg__V1__BroadcastText *en = said_words(broadcast, SAID_EN);
    if (!en)
        say(out, "en.headline is missing: write the English");
    if (!cy && !broadcast->welsh_owed)
        say(out, "cy.headline is missing: write the Welsh, or name who decided to publish without "
                 "it, why, and by when it follows (welsh_owed)");
    if (!cy && broadcast->welsh_owed)
        check_override(broadcast->welsh_owed, now_ms, out);
    if (en)
        check_words(SAID_EN, en, out);
    if (cy)
        check_words(SAID_CY, cy, out);
    check_parity(broadcast, out);
}

/* --- where and when --- */

static void check_area(const Desg__V1__Broadcast *broadcast, struct broadcast_problems *out)
{
    const Desg__V1__BroadcastText *en = said_words(broadcast, SAID_EN);
    char problem[AREA_PROBLEM_BYTES];
    if (!area_check(broadcast->area, problem))
        say(out, "%s", problem);
    if (!area_is_drawn(broadcast->area) && en && !is_said(en->area))
        say(out, "where it holds is missing: write en.area and cy.area, or draw a circle or "
                 "polygon");
}

static void check_times(const Desg__V1__Broadcast *broadcast, int64_t now_ms,
                        struct broadcast_problems *out)
{
    int64_t starts_at_ms = broadcast->starts_at_ms;
    int64_t expires_at_ms = broadcast->expires_at_ms;
    if (starts_at_ms <= 0)
        say(out, "starts_at_ms is missing: say from when it holds");
    if (expires_at_ms <= 0) {
        say(out, "expires_at_ms is missing: say until when it holds");
        return;
    }
    if (expires_at_ms <= now_ms)
        say(out, "expires_at_ms is in the past: say until when it holds");
    if (expires_at_ms <= starts_at_ms)
        say(out, "expires_at_ms is not after starts_at_ms: put one of them right");
    if (expires_at_ms > now_ms && expires_at_ms - now_ms > (int64_t)LONGEST_DAYS * DAY_MS)
        say(out, "expires_at_ms is more than %d days away: choose an earlier one", LONGEST_DAYS);
    if (broadcast->publish_at_ms < 0 || broadcast->publish_at_ms >= expires_at_ms)
        say(out, "publish_at_ms is not before expires_at_ms: it would go out when it is over");
}

/* --- what it is --- */

static void check_cap_word(const char *key, const char *word, const char *const *known,
                           struct broadcast_problems *out)
{
    char list[BROADCAST_PROBLEM_BYTES] = "";
    size_t used = 0;
    if (!is_said(word))
        return;
    for (; *known; known++) {
        if (strcmp(*known, word) == 0)
            return;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *known);
    }
    say(out, "%s is not a word of CAP: write one of %s", key, list);
}

static void check_cap_words(const Desg__V1__Broadcast *broadcast, struct broadcast_problems *out)
{
    static const char *const urgencies[] = { "Immediate", "Expected", "Future",
                                             "Past",      "Unknown",  NULL };
    static const char *const severities[] = { "Extreme", "Severe",  "Moderate",
                                              "Minor",   "Unknown", NULL };
    static const char *const certainties[] = { "Observed", "Likely",  "Possible",
                                               "Unlikely", "Unknown", NULL };
    check_cap_word("urgency", broadcast->urgency, urgencies, out);
    check_cap_word("severity", broadcast->severity, severities, out);
    check_cap_word("certainty", broadcast->certainty, certainties, out);
}

static void check_kind(const Desg__V1__Broadcast *broadcast, struct broadcast_problems *out)
{
    if (strcmp(broadcast_kind_word(broadcast->kind), "unknown") == 0)
        say(out, "kind is missing: write road-closure, live-incident, advice or appeal");
    if (broadcast->road_state != 0 &&
        strcmp(road_state_word(broadcast->road_state), "unknown") == 0)
        say(out, "road_state is not known: write road-closed, carriageway-closed or lane-closed");
    if (broadcast->kind == DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE) {
        if (!is_said(broadcast->road))
            say(out, "road is missing: a road closure names its road, such as A55");
        if (broadcast->road_state == 0)
            say(out, "road_state is missing: write road-closed, carriageway-closed or lane-closed");
    }
    check_characters("road", broadcast->road, true, NAME_MAX_BYTES, out);
    check_characters("incident", broadcast->incident, true, NAME_MAX_BYTES, out);
}

/* --- where it goes --- */

static bool is_named_before(const Desg__V1__Broadcast *broadcast, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(broadcast->outlets[i], broadcast->outlets[j]) == 0)
            return true;
    return false;
}

static Desg__V1__BroadcastAction action_of(const Desg__V1__Broadcast *broadcast)
{
    return broadcast->version > 1 ? DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_UPDATE
                                  : DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_POST;
}

/* One's own words at its end have to fit, too: nobody is there then to shorten them. */
static bool has_own_end(const Desg__V1__Broadcast *broadcast)
{
    const Desg__V1__BroadcastText *en = said_words(broadcast, SAID_EN);
    const Desg__V1__BroadcastText *cy = said_words(broadcast, SAID_CY);
    return (en && is_said(en->ended)) || (cy && is_said(cy->ended));
}

static void check_end(const struct outward_outlet *outlet, const Desg__V1__Broadcast *broadcast,
                      struct broadcast_problems *out)
{
    const struct outlet_limits limits = outlet_limits(outlet);
    size_t length = 0;
    if (limits.max == 0 || broadcast->may_thread || !has_own_end(broadcast))
        return;
    for (enum said_language i = SAID_CY; i < SAID_LANGUAGES; i++) {
        const Desg__V1__BroadcastText *words = said_words(broadcast, i);
        bool takes = !outlet->language || strcmp(outlet->language, said_language_word(i)) == 0;
        if (!words || !words->ended || !takes)
            continue;
        size_t own = text_length(words->ended, limits.unit);
        length =
            limits.has_languages ? (own > length ? own : length) : length + (length ? 2 : 0) + own;
    }
    if (length > limits.max)
        say(out,
            "outlet '%s': what is said at the end (ended) is %zu long and may be %zu: shorten "
            "it",
            outlet->name, length, limits.max);
}

static void check_outlet(const struct outward_config *config, const Desg__V1__Broadcast *broadcast,
                         size_t i, bool has_words, struct broadcast_problems *out)
{
    const struct outward_outlet *outlet = outward_outlet_of(config, broadcast->outlets[i]);
    if (!outlet) {
        say(out, "outlets[%zu] is not in the configuration: choose among its outlets", i);
        return;
    }
    if (is_named_before(broadcast, i)) {
        say(out, "outlet '%s' is named twice: remove one", outlet->name);
        return;
    }
    if (!has_words)
        return;
    struct broadcast_posts posts = { 0 };
    struct error err = { 0 };
    if (broadcast_posts(outlet, broadcast, action_of(broadcast), &posts, &err) != 0)
        say(out, "%s", err.text);
    broadcast_posts_free(&posts);
    check_end(outlet, broadcast, out);
}

void broadcast_check(const struct outward_config *config, const Desg__V1__Broadcast *broadcast,
                     int64_t now_ms, struct broadcast_problems *out)
{
    assert(config && broadcast && out);
    out->count = 0;
    check_kind(broadcast, out);
    check_languages(broadcast, now_ms, out);
    check_area(broadcast, out);
    check_times(broadcast, now_ms, out);
    check_cap_words(broadcast, out);
    if (broadcast->n_outlets == 0)
        say(out, "outlets are missing: say where it is to be published");
    bool has_words = said_words(broadcast, SAID_EN) != NULL; /* else it has been said already */
    for (size_t i = 0; i < broadcast->n_outlets; i++)
        check_outlet(config, broadcast, i, has_words, out);
}

/* --- the preview --- */

static json_t *preview_post(const struct broadcast_post *post, const struct outlet_limits *limits)
{
    return json_pack("{s:s, s:s?, s:b, s:I, s:I}", "text", post->text, "language", post->language,
                     "is_reply", post->is_reply ? 1 : 0, "length",
                     (json_int_t)text_length(post->text, limits->unit), "max",
                     (json_int_t)limits->max);
}

static json_t *preview_outlet(const struct outward_config *config,
                              const Desg__V1__Broadcast *broadcast, const char *name)
{
    json_t *list = json_array();
    const struct outward_outlet *outlet = outward_outlet_of(config, name);
    struct broadcast_posts posts = { 0 };
    struct error err = { 0 };
    if (!outlet)
        (void)error_set(&err, ERROR_INVALID,
                        "this outlet is not in the configuration: choose among its outlets");
    else if (broadcast_posts(outlet, broadcast, action_of(broadcast), &posts, &err) == 0) {
        const struct outlet_limits limits = outlet_limits(outlet);
        for (size_t i = 0; i < posts.count; i++)
            (void)json_array_append_new(list, preview_post(&posts.posts[i], &limits));
    }
    broadcast_posts_free(&posts);
    return json_pack("{s:s, s:o, s:s?}", "outlet", name, "posts", list, "problem",
                     err.kind == ERROR_NONE ? NULL : err.text);
}

json_t *broadcast_preview(const struct outward_config *config, const Desg__V1__Broadcast *broadcast)
{
    assert(config && broadcast);
    json_t *list = json_array();
    for (size_t i = 0; i < broadcast->n_outlets; i++)
        (void)json_array_append_new(list, preview_outlet(config, broadcast, broadcast->outlets[i]));
    return list;
}
