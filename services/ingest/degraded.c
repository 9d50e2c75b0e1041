#include "ingest/degraded.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TRIAGE_LATE_MS = 5000, TEXT_BYTES = 320 };

static const char *const names[DEGRADED_COUNT] = {
    [DEGRADED_NO_ROUTE] = "no-route",
    [DEGRADED_REDIS_AWAY] = "redis-away",
    [DEGRADED_REDIS_UNKNOWN] = "redis-unknown",
    [DEGRADED_NO_CLASSIFIER] = "no-classifier",
    [DEGRADED_TRIAGE_LATE] = "triage-late",
    [DEGRADED_REPLAYING] = "replaying",
    [DEGRADED_DEFERRED] = "deferred",
    [DEGRADED_PROVISIONAL] = "provisional",
    [DEGRADED_JOURNAL_GETTING_FULL] = "journal-getting-full",
    [DEGRADED_JOURNAL_FULL] = "journal-full",
    [DEGRADED_JOURNAL_DEAD] = "journal-dead",
    [DEGRADED_ARCHIVE_FAILING] = "archive-failing",
    [DEGRADED_DRAINING] = "draining",
    [DEGRADED_ADOPTING] = "adopting",
};

/* The gravest first. */
static const enum degraded_state order[DEGRADED_COUNT] = {
    DEGRADED_JOURNAL_DEAD,         DEGRADED_JOURNAL_FULL,  DEGRADED_NO_ROUTE,
    DEGRADED_REDIS_AWAY,           DEGRADED_NO_CLASSIFIER, DEGRADED_REDIS_UNKNOWN,
    DEGRADED_TRIAGE_LATE,          DEGRADED_REPLAYING,     DEGRADED_DEFERRED,
    DEGRADED_PROVISIONAL,          DEGRADED_ADOPTING,      DEGRADED_ARCHIVE_FAILING,
    DEGRADED_JOURNAL_GETTING_FULL, DEGRADED_DRAINING,
};

const char *degraded_name(enum degraded_state state)
{
    return names[state];
}

static bool is_unserved(const struct custody_channel_status *channel)
{
    return !channel->is_served && (channel->unseen_events > 0 || channel->provisional_records > 0);
}

static bool lacks_classifier(const struct custody_status *status)
{
    bool is_lacking = status->workers == 0;
    for (size_t i = 0; i < status->channel_count; i++)
        is_lacking |= is_unserved(&status->channels[i]);
    return is_lacking;
}

void degraded_judge(const struct degraded_input *input, bool is_degraded[DEGRADED_COUNT])
{
    const struct custody_status *dispatch = input->dispatch;
    is_degraded[DEGRADED_NO_ROUTE] = dispatch->routes == 0;
    is_degraded[DEGRADED_REDIS_AWAY] = dispatch->is_route_busy;
    is_degraded[DEGRADED_REDIS_UNKNOWN] = !dispatch->is_history_known;
    is_degraded[DEGRADED_NO_CLASSIFIER] = lacks_classifier(dispatch);
    is_degraded[DEGRADED_TRIAGE_LATE] = dispatch->oldest_unseen_ms >= TRIAGE_LATE_MS;
    is_degraded[DEGRADED_REPLAYING] = dispatch->replaying > 0;
    is_degraded[DEGRADED_DEFERRED] = dispatch->deferred > 0;
    is_degraded[DEGRADED_PROVISIONAL] = dispatch->provisional > 0;
    is_degraded[DEGRADED_JOURNAL_GETTING_FULL] = input->journal->state == JOURNAL_GETTING_FULL;
    is_degraded[DEGRADED_JOURNAL_FULL] = input->journal->state == JOURNAL_FULL;
    is_degraded[DEGRADED_JOURNAL_DEAD] = input->journal->state == JOURNAL_DEAD;
    is_degraded[DEGRADED_ARCHIVE_FAILING] =
        input->journal->has_archive && input->journal->is_archive_failing;
    is_degraded[DEGRADED_DRAINING] = input->is_draining;
    is_degraded[DEGRADED_ADOPTING] = input->is_adopting;
}

/* "web, x" of the channels that wait for a classifier of theirs. */
static void list_unserved(const struct custody_status *status, char *out, size_t out_bytes)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < status->channel_count && length < out_bytes; i++) {
        if (!is_unserved(&status->channels[i]))
            continue;
        int wrote = snprintf(out + length, out_bytes - length, "%s%s", length > 0 ? ", " : "",
                             status->channels[i].name);
        length += wrote > 0 ? (size_t)wrote : 0;
    }
}

static void say_classifier(const struct custody_status *status, char *text)
{
    char channels[CUSTODY_CHANNELS_MAX * CUSTODY_CHANNEL_BYTES] = "";
    list_unserved(status, channels, sizeof channels);
    if (status->workers == 0)
        (void)snprintf(text, TEXT_BYTES,
                       "no classifier is connected: messages go to urgent-review unclassified");
    else
        (void)snprintf(text, TEXT_BYTES,
                       "no classifier for %.200s: its messages go to urgent-review unclassified",
                       channels);
}

static void say_journal(const struct degraded_input *input, enum degraded_state state, char *text)
{
    const struct journal_stats *journal = input->journal;
    unsigned room =
        journal->max_bytes > 0 ? (unsigned)(journal->reusable_bytes * 100 / journal->max_bytes) : 0;
    if (state == DEGRADED_JOURNAL_GETTING_FULL)
        (void)snprintf(text, TEXT_BYTES,
                       "the journal is getting full (%u %% room): what is finished is deleted "
                       "early",
                       room);
    else if (state == DEGRADED_JOURNAL_FULL)
        (void)snprintf(text, TEXT_BYTES,
                       "the journal is full: webhooks get 503 and are sent again by the platforms");
    else
        (void)snprintf(text, TEXT_BYTES,
                       "the journal failed twice: nothing can be stored; look at the disk");
}

static void say(const struct degraded_input *input, enum degraded_state state, char *text)
{
    const struct custody_status *status = input->dispatch;
    switch (state) {
    case DEGRADED_NO_ROUTE:
        (void)snprintf(text, TEXT_BYTES,
                       "no route process is connected: nothing is applied from here directly, and "
                       "what is applied cannot be marked");
        break;
    case DEGRADED_REDIS_AWAY:
        (void)snprintf(text, TEXT_BYTES,
                       "Redis or route away: messages are kept for later, urgent ones go to "
                       "dispatch meanwhile");
        break;
    case DEGRADED_REDIS_UNKNOWN:
        (void)snprintf(text, TEXT_BYTES,
                       "Redis not met yet: what is in it is not known, nothing counts as applied");
        break;
    case DEGRADED_NO_CLASSIFIER:
        say_classifier(status, text);
        break;
    case DEGRADED_TRIAGE_LATE:
        (void)snprintf(text, TEXT_BYTES,
                       "triage is late: a message waits for it since %" PRId64 " s",
                       status->oldest_unseen_ms / 1000);
        break;
    case DEGRADED_REPLAYING:
        (void)snprintf(text, TEXT_BYTES, "replaying: %" PRIu64 " deliveries left",
                       status->replaying);
        break;
    case DEGRADED_DEFERRED:
        (void)snprintf(text, TEXT_BYTES, "%" PRIu64 " deliveries kept for later", status->deferred);
        break;
    case DEGRADED_PROVISIONAL:
        (void)snprintf(text, TEXT_BYTES,
                       "%" PRIu64 " deliveries applied unclassified, to be looked at again",
                       status->provisional);
        break;
    case DEGRADED_ARCHIVE_FAILING:
        (void)snprintf(
            text, TEXT_BYTES,
            "the journal's archive takes nothing: nothing is deleted, the journal fills");
        break;
    case DEGRADED_DRAINING:
        (void)snprintf(text, TEXT_BYTES, "draining: webhooks get 503, what is in hand is finished");
        break;
    case DEGRADED_ADOPTING:
        (void)snprintf(text, TEXT_BYTES,
                       "adopting: hands on what this journal holds, takes no webhooks");
        break;
    default:
        say_journal(input, state, text);
    }
}

json_t *degraded_describe(const struct degraded_input *input)
{
    bool is_degraded[DEGRADED_COUNT];
    char text[TEXT_BYTES];
    json_t *list = json_array();
    degraded_judge(input, is_degraded);
    for (size_t i = 0; i < DEGRADED_COUNT; i++) {
        if (!is_degraded[order[i]])
            continue;
        say(input, order[i], text);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s}", "state", names[order[i]], "text", text));
    }
    return list;
}
