/* custody_status - how it stands, for people, for metrics and for whoever wants to go. */
#include <string.h>

#include "ingest/custody_state.h"

static void status_of_channels(const struct custody *self, struct custody_status *out)
{
    struct ranges all = { 0 };
    out->channel_count = self->channel_count;
    for (size_t i = 0; i < self->channel_count; i++) {
        const struct held_channel *channel = &self->channels[i];
        struct custody_channel_status *to = &out->channels[i];
        *to = (struct custody_channel_status){
            .is_served = custody_is_served(self, channel->name),
            .provisional_records = ranges_total(&channel->provisional),
        };
        (void)memcpy(to->name, channel->name, sizeof to->name);
        ranges_add_all(&all, &channel->provisional);
    }
    out->provisional = ranges_total(&all); /* a record may be of several channels */
    ranges_clear(&all);
}

static bool is_unseen(const struct held_event *event)
{
    return event->state <= HELD_SENT ||
           (event->state == HELD_TO_ROUTE && !event->quarantine_reason);
}

static void status_of_unseen(const struct custody *self, int64_t now_ms, struct custody_status *out)
{
    const struct held_record *record;
    out->oldest_unseen_ms = 0;
    LIST_FOREACH(record, &self->records, all)
    for (size_t i = 0; i < record->count; i++) {
        const struct held_event *event = &record->events[i];
        int64_t age_ms = now_ms - record->loaded_at_ms;
        if (event->state <= HELD_SENT && age_ms > out->oldest_unseen_ms)
            out->oldest_unseen_ms = age_ms;
        out->channels[event->channel].unseen_events += is_unseen(event);
    }
}

void custody_status(const struct custody *self, int64_t now_ms, struct custody_status *out)
{
    *out = self->counts;
    out->newest = self->newest;
    out->unloaded = self->newest + 1 - self->next_new;
    out->held_records = self->record_count;
    out->held_events = self->event_count;
    out->deferred = ranges_total(&self->deferred) + ranges_total(&self->unproven);
    out->replaying = ranges_total(&self->replaying);
    out->done_through = self->done_through;
    out->marked = self->marked;
    out->settles_ms = self->limits.settles_ms;
    out->mark_stands_ms = now_ms - self->marked_since_ms;
    out->mark_confirmed_ms = self->confirmed_at_ms >= 0 ? now_ms - self->confirmed_at_ms : -1;
    out->workers = custody_count_holders(self, false);
    out->routes = custody_count_holders(self, true);
    out->is_route_busy = self->is_route_busy;
    out->is_history_known = self->history[0] != '\0';
    status_of_channels(self, out);
    status_of_unseen(self, now_ms, out);
}

static bool has_provisional(const struct custody *self)
{
    size_t i = 0;
    while (i < self->channel_count && self->channels[i].provisional.count == 0)
        i++;
    return i < self->channel_count;
}

bool custody_is_idle(const struct custody *self)
{
    if (self->is_draining) /* without peers nothing can end: it is all in the journal */
        return self->event_count == 0 || self->holder_count == 0;
    return self->event_count == 0 && self->next_new > self->newest && self->deferred.count == 0 &&
           !has_provisional(self) && self->unproven.count == 0;
}

static bool is_all_applied(const struct custody_status *status)
{
    return status->unloaded == 0 && status->held_events == 0 && status->deferred == 0 &&
           status->provisional == 0;
}

bool custody_is_settled(const struct custody_status *status)
{
    if (!is_all_applied(status))
        return false;
    if (status->newest == 0)
        return true; /* nothing was ever committed */
    return status->is_history_known && status->marked >= status->newest &&
           status->mark_stands_ms >= status->settles_ms && status->mark_confirmed_ms >= 0 &&
           status->mark_confirmed_ms <= CUSTODY_CONFIRMED_MS;
}
