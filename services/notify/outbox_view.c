/* What people see of the outbox: gauges, /status, the list of open items. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "clock/clock.h"
#include "log/log.h"
#include "notify/outbox_flow_inside.h"
#include "notify/status_json.h"

enum { TOKEN_PAUSE_MS = 2000, BLOCKED_MAX = 32, FROZEN_WORTH_MS = 1500 };

/* --- metrics --- */

void outflow_metrics_init(struct outbox_flow *self)
{
    struct metrics *metrics = self->options.metrics;
    struct outbox_metrics *m = &self->metrics;
    char labels[64];
    for (unsigned class = 0; class < OUTBOX_CLASS_COUNT; class ++) {
        (void)snprintf(labels, sizeof labels, "kind=\"%s\"",
                       outbox_class_name((enum outbox_class) class));
        m->waiting[class] = metrics_gauge(metrics, "desg_outbox_waiting", labels,
                                          "Items taken and not over, by kind.");
        m->oldest_seconds[class] = metrics_gauge(metrics, "desg_outbox_oldest_seconds", labels,
                                                 "Since the oldest of them was decided.");
        m->send_seconds[class] = metrics_histogram(metrics, "desg_outbox_send_seconds", labels,
                                                   "From the decision to the platform's yes.");
    }
    static const char call_help[] = "Calls of platforms, by what is sent.";
    m->call_seconds[0] =
        metrics_histogram(metrics, "desg_outbox_call_seconds", "way=\"account\"", call_help);
    m->call_seconds[1] =
        metrics_histogram(metrics, "desg_outbox_call_seconds", "way=\"outlet\"", call_help);
    m->unknown = metrics_gauge(metrics, "desg_outbox_unknown", "",
                               "Items of which a person has to say what became of them.");
    m->places_owned = metrics_gauge(metrics, "desg_outbox_places_owned", "",
                                    "Accounts and outlets this replica sends for.");
    m->frozen = metrics_gauge(metrics, "desg_outbox_frozen", "",
                              "1 while a freeze keeps something here from going out.");
    m->not_journalled = metrics_counter(metrics, "desg_outbox_not_journalled_total", "",
                                        "Facts the outbox journal did not take.");
}

/* Places come from the configuration; those that do not share one label. */
void outflow_spot_init(struct outbox_flow *self, const struct outbox_place *place)
{
    struct metrics *metrics = self->options.metrics;
    struct outbox_spot *spot = &self->spots[place->index];
    bool is_configured = spot->way.account || spot->way.outlet;
    char labels[OUTBOX_NAME_BYTES + 16];
    (void)snprintf(labels, sizeof labels, "place=\"%s\"",
                   is_configured ? place->name : "not-configured");
    spot->sent_total = metrics_counter(metrics, "desg_outbox_sent_total", labels,
                                       "Messages and posts a platform took.");
    spot->later_total = metrics_counter(metrics, "desg_outbox_later_total", labels,
                                        "Calls to be made again: rate limit, away.");
    spot->refused_total = metrics_counter(metrics, "desg_outbox_refused_total", labels,
                                          "Items refused for good, by us or the platform.");
    spot->blocked = metrics_gauge(metrics, "desg_outbox_blocked", labels,
                                  "1 while the account has to be mended by a person.");
}

struct tally {
    size_t waiting[OUTBOX_CLASS_COUNT];
    int64_t oldest_ms[OUTBOX_CLASS_COUNT];
    size_t unknown;
    size_t owned;
    int64_t frozen_until_unix_ms;
};

static void count_item(struct tally *tally, const struct outbox_item *item, int64_t unix_ms)
{
    if (item->stage == OUTBOX_OVER)
        return;
    tally->unknown += item->stage == OUTBOX_HOLD;
    tally->waiting[item->class]++;
    int64_t age_ms = unix_ms - item->decided_unix_ms;
    if (age_ms > tally->oldest_ms[item->class])
        tally->oldest_ms[item->class] = age_ms;
}

static struct tally count(const struct outbox_flow *self, int64_t unix_ms)
{
    struct tally tally = { 0 };
    const struct outbox_place *place = NULL;
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++) {
        tally.owned += place->is_ours;
        if (place->frozen_until_unix_ms > unix_ms + FROZEN_WORTH_MS &&
            place->frozen_until_unix_ms > tally.frozen_until_unix_ms)
            tally.frozen_until_unix_ms = place->frozen_until_unix_ms;
        for (const struct outbox_item *item = place->first; item; item = item->next)
            if (place->is_ours)
                count_item(&tally, item, unix_ms);
    }
    return tally;
}

static void count_totals(struct outbox_spot *spot, const struct outbox_place *place)
{
    counter_add(spot->sent_total, place->sent - spot->sent);
    counter_add(spot->later_total, place->later - spot->later);
    counter_add(spot->refused_total, place->refused - spot->refused);
    spot->sent = place->sent;
    spot->later = place->later;
    spot->refused = place->refused;
}

/* A token put right is tried at once. */
static void look_at_tokens(struct outbox_flow *self, int64_t now_ms)
{
    struct outbox_place *place = NULL;
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++) {
        struct outbox_spot *spot = &self->spots[i];
        const struct outbox_way *way = &spot->way;
        const char *path = way->account  ? way->account->token_file
                           : way->outlet ? way->outlet->token_file
                                         : NULL;
        struct stat status;
        if (!path || stat(path, &status) != 0)
            continue;
        int64_t changed = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec +
                          (int64_t)status.st_ino;
        if (spot->token_changed != 0 && spot->token_changed != changed)
            outbox_book_probe_soon(place, now_ms);
        spot->token_changed = changed;
    }
}

void outflow_show(struct outbox_flow *self, int64_t now_ms, int64_t unix_ms)
{
    struct tally tally = count(self, unix_ms);
    const struct outbox_place *place = NULL;
    for (unsigned class = 0; class < OUTBOX_CLASS_COUNT; class ++) {
        gauge_set(self->metrics.waiting[class], (int64_t)tally.waiting[class]);
        gauge_set(self->metrics.oldest_seconds[class], tally.oldest_ms[class] / 1000);
    }
    gauge_set(self->metrics.unknown, (int64_t)tally.unknown);
    gauge_set(self->metrics.places_owned, (int64_t)tally.owned);
    gauge_set(self->metrics.frozen, tally.frozen_until_unix_ms > 0);
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++)
        count_totals(&self->spots[i], place);
    if (now_ms >= self->token_ms) {
        self->token_ms = now_ms + TOKEN_PAUSE_MS;
        look_at_tokens(self, now_ms);
    }
}

/* Accounts that stopped or came back, platforms that are down or up: said once each. */
void outflow_note_places(struct outbox_flow *self)
{
    const struct outbox_place *place = NULL;
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++) {
        struct outbox_spot *spot = &self->spots[i];
        bool is_broken = outbox_rate_is_broken(&place->rate);
        if (place->is_blocked != spot->was_blocked && place->is_blocked)
            log_error("account_blocked", KV("place", place->name), KV("problem", place->problem),
                      KV("remedy", "renew the token in its file, or lift the restriction at the "
                                   "platform: sending goes on by itself"));
        else if (place->is_blocked != spot->was_blocked)
            log_info("account_unblocked", KV("place", place->name));
        if (is_broken != spot->was_broken && is_broken)
            log_warn("platform_down", KV("place", place->name),
                     KV("failures", place->rate.failures_in_row));
        else if (is_broken != spot->was_broken)
            log_info("platform_up", KV("place", place->name));
        spot->was_blocked = place->is_blocked;
        spot->was_broken = is_broken;
        gauge_set(spot->blocked, place->is_blocked);
    }
}

/* --- status --- */

static json_t *describe_place(const struct outbox_place *place)
{
    size_t waiting = 0;
    for (const struct outbox_item *item = place->first; item; item = item->next)
        waiting += item->stage != OUTBOX_OVER;
    json_t *shown = json_object();
    status_put(shown, "owned", json_boolean(place->is_ours));
    status_put(shown, "waiting", json_integer((json_int_t)waiting));
    status_put(shown, "calls", json_integer(place->calls));
    status_put(shown, "sent", json_integer((json_int_t)place->sent));
    status_put(shown, "later", json_integer((json_int_t)place->later));
    status_put(shown, "refused", json_integer((json_int_t)place->refused));
    status_put(shown, "blocked", json_boolean(place->is_blocked));
    status_put(shown, "down", json_boolean(outbox_rate_is_broken(&place->rate)));
    if (place->is_blocked)
        status_put(shown, "problem", json_string(place->problem));
    return shown;
}

static json_t *describe_blocked(const struct outbox_place *place)
{
    json_t *shown = json_object();
    status_put(shown, "place", json_string(place->name));
    status_put(shown, "problem", json_string(place->problem));
    status_put(shown, "since_ms", json_integer(place->blocked_unix_ms));
    return shown;
}

/* What is not as it should be, in words for `desg status`. */
static json_t *describe_degraded(const struct outbox_flow *self, const struct tally *tally)
{
    json_t *words = json_array();
    const struct outbox_place *place = NULL;
    if (tally->unknown > 0)
        status_append(words, json_sprintf("%zu sent or not, nobody knows: see desg unknown list",
                                          tally->unknown));
    if (tally->frozen_until_unix_ms > 0) {
        char until[CLOCK_TEXT_BYTES];
        clock_format_rfc3339(tally->frozen_until_unix_ms, until);
        status_append(
            words, json_sprintf("frozen until %s: nothing scheduled or automatic goes out", until));
    }
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++) {
        if (place->is_blocked)
            status_append(words, json_sprintf("%s is blocked (%s): a person has to mend it",
                                              place->name, place->problem));
        else if (outbox_rate_is_broken(&place->rate))
            status_append(
                words,
                json_sprintf("%s does not answer: what waits for it goes out later", place->name));
    }
    if (self->has_journal_alarmed && clock_monotonic_ms() - self->journal_alarmed_ms < 60000)
        status_append(
            words, json_sprintf("the outbox journal takes nothing: nothing goes out but alerts"));
    return words;
}

void outbox_flow_describe(struct outbox_flow *self, json_t *detail)
{
    (void)pthread_mutex_lock(&self->lock);
    struct tally tally = count(self, clock_unix_ms());
    json_t *waiting = json_object();
    json_t *oldest = json_object();
    json_t *places = json_object();
    json_t *blocked = json_array();
    const struct outbox_place *place = NULL;
    for (unsigned class = 0; class < OUTBOX_CLASS_COUNT; class ++) {
        const char *name = outbox_class_name((enum outbox_class) class);
        status_put(waiting, name, json_integer((json_int_t)tally.waiting[class]));
        status_put(oldest, name, json_integer(tally.oldest_ms[class]));
    }
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++) {
        status_put(places, place->name, describe_place(place));
        if (place->is_blocked && json_array_size(blocked) < BLOCKED_MAX)
            status_append(blocked, describe_blocked(place));
    }
    status_put(detail, "waiting", waiting);
    status_put(detail, "oldest_ms", oldest);
    status_put(detail, "places", places);
    status_put(detail, "blocked", blocked);
    status_put(detail, "unknown", json_integer((json_int_t)tally.unknown));
    status_put(detail, "frozen_until_ms", json_integer(tally.frozen_until_unix_ms));
    status_put(detail, "degraded", describe_degraded(self, &tally));
    (void)pthread_mutex_unlock(&self->lock);
}

/* --- the list --- */

static const char *state_of(const struct outbox_item *item)
{
    if (item->place->is_blocked && (item->stage == OUTBOX_PREPARE || item->stage == OUTBOX_BEGIN))
        return "blocked";
    switch (item->stage) {
    case OUTBOX_PREPARE:
    case OUTBOX_BEGIN:
        return item->failures > 0 ? "later" : "queued";
    case OUTBOX_WRITE:
    case OUTBOX_CALL:
        return "sending";
    case OUTBOX_LOOK:
    case OUTBOX_HOLD:
        return "unknown";
    default:
        return "over";
    }
}

static json_t *show_item(const struct outbox_item *item)
{
    char id[ID_TEXT_BYTES];
    id_text(item->id.bytes, id);
    json_t *shown = json_object();
    status_put(shown, "item", json_string(id));
    status_put(shown, "place", json_string(item->place->name));
    status_put(shown, "kind", json_string(outbox_class_name(item->class)));
    status_put(shown, "state", json_string(state_of(item)));
    status_put(shown, "decided_at_ms", json_integer(item->decided_unix_ms));
    status_put(shown, "part", json_integer(item->part));
    status_put(shown, "parts", json_integer(item->parts));
    status_put(shown, "tries", json_integer(item->failures));
    status_put(shown, "error", json_string(item->error));
    status_put(shown, "is_journalled", json_boolean(item->is_stored));
    return shown;
}

static int by_age(const void *a, const void *b)
{
    const struct outbox_item *const *left = a;
    const struct outbox_item *const *right = b;
    return ((*left)->decided_unix_ms > (*right)->decided_unix_ms) -
           ((*left)->decided_unix_ms < (*right)->decided_unix_ms);
}

json_t *outbox_flow_list(struct outbox_flow *self, size_t limit)
{
    json_t *list = json_array();
    (void)pthread_mutex_lock(&self->lock);
    size_t known = outbox_book_known(self->book);
    const struct outbox_item **open = calloc(known + 1, sizeof(struct outbox_item *));
    if (!open || !list)
        abort();
    size_t count = 0;
    const struct outbox_place *place = NULL;
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++)
        for (const struct outbox_item *item = place->first; item; item = item->next)
            if (item->stage != OUTBOX_OVER && place->is_ours)
                open[count++] = item;
    qsort(open, count, sizeof(struct outbox_item *), by_age);
    for (size_t i = 0; i < count && i < limit; i++)
        status_append(list, show_item(open[i]));
    (void)pthread_mutex_unlock(&self->lock);
    free(open);
    return list;
}
