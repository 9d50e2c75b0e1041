/* custody_blame - whether a worker that went while it held one event alone died of it, or only its
 * connection broke. A charge first: dropped when the same process comes back, or when a worker
 * looks at the event and lives; a death once neither happened in time. */
#include <string.h>

#include "ingest/custody_state.h"

enum { AWAY_MS = 1000 };

static bool is_of(const struct charge *charge, const struct held_event *event)
{
    return charge->sequence == event->record->sequence && charge->index == event->index;
}

static bool is_held_back(const struct held_event *event)
{
    return event->state == HELD_WAITING && !event->list;
}

/* In the order they were made: the oldest is the first. */
static void drop_charge(struct custody *self, size_t at)
{
    self->charge_count--;
    memmove(&self->charges[at], &self->charges[at + 1],
            (self->charge_count - at) * sizeof self->charges[0]);
}

static void convict(struct custody *self, size_t at, struct held_event *event)
{
    drop_charge(self, at);
    if (!event)
        return;
    event->deaths++;
    custody_note_event(self, event);
    if (is_held_back(event))
        custody_start_event(self, event);
}

static struct held_event *charged_event(struct custody *self, size_t at)
{
    return custody_find_event(self, self->charges[at].sequence, self->charges[at].index);
}

void custody_charge(struct custody *self, const struct held_event *event, const struct id *instance)
{
    if (self->charge_count == CHARGES_MAX)
        convict(self, 0, charged_event(self, 0));
    self->charges[self->charge_count++] = (struct charge){ .sequence = event->record->sequence,
                                                           .index = event->index,
                                                           .instance = *instance,
                                                           .left_ms = self->limits.return_ms };
}

unsigned custody_charges(const struct custody *self, const struct held_event *event)
{
    unsigned count = 0;
    for (size_t i = 0; i < self->charge_count; i++)
        count += is_of(&self->charges[i], event);
    return count;
}

void custody_acquit_event(struct custody *self, const struct held_event *event)
{
    for (size_t i = self->charge_count; i > 0; i--)
        if (is_of(&self->charges[i - 1], event))
            drop_charge(self, i - 1);
}

void custody_acquit_worker(struct custody *self, const struct id *instance)
{
    for (size_t i = self->charge_count; i > 0; i--) {
        if (memcmp(&self->charges[i - 1].instance, instance, sizeof *instance) != 0)
            continue;
        struct held_event *event = charged_event(self, i - 1);
        drop_charge(self, i - 1);
        if (event && is_held_back(event))
            custody_start_event(self, event);
    }
}

/* While no worker is there at all, the network may be what is gone; and when we were stopped, who
 * came back meanwhile is not heard yet: such time does not count. One that is not in memory stays
 * charged until it is. */
void custody_convict_late(struct custody *self, int64_t elapsed_ms)
{
    if (self->charge_count == 0 || custody_count_holders(self, false) == 0)
        return;
    for (size_t i = self->charge_count; i > 0; i--) {
        struct charge *charge = &self->charges[i - 1];
        struct held_event *event = charged_event(self, i - 1);
        charge->left_ms -= elapsed_ms < AWAY_MS ? elapsed_ms : AWAY_MS;
        if (event && charge->left_ms <= 0)
            convict(self, i - 1, event);
    }
}
