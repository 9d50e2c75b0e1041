#include "oracle.h"

#include <stdio.h>
#include <string.h>

#include "desg/v1/verdict.pb-c.h"
#include "sim_ingest.h"
#include "sim_workers.h"

enum { REVIEW = 3 };

static bool is_there(const struct world *world, const struct model_state *state, size_t event)
{
    const struct model_event *stored = &state->events[event];
    return stored->is_quarantined ||
           (stored->is_known && (stored->certainty != MODEL_UNCLASSIFIED ||
                                 world->events[event].nature != NATURE_PLAIN));
}

/* A mark says: everything of this start and those before it, up to here. */
static void check_mark(struct world *world, const char *where, const struct model_state *state,
                       size_t source)
{
    const struct model_mark *mark = &state->marks[source];
    const struct sim_ingest *ingest = world->ingest[source];
    uint32_t start = sim_ingest_start_of(ingest, mark->incarnation);
    size_t count = 0;
    const struct sim_record *records = sim_ingest_records(ingest, &count);
    for (size_t i = 0; i < count; i++) {
        const struct sim_record *record = &records[i];
        if (record->sequence > mark->sequence || record->start > start || record->is_lost ||
            record->is_deleted) /* whether that was right shows in the end */
            continue;
        const struct delivery *delivery = &world->deliveries[record->delivery];
        for (size_t n = 0; n < delivery->event_count; n++) {
            size_t event = delivery->first_event + n;
            if (!is_there(world, state, event) && !world->events[event].is_excused)
                world_fail(world,
                           "%s: mark %llu of ingest-%zu, but event %zu of record %llu is not there",
                           where, (unsigned long long)mark->sequence, source, event,
                           (unsigned long long)record->sequence);
        }
    }
}

void oracle_mark_stored(struct world *world, const char *where, const struct model_state *state,
                        size_t source)
{
    world_trace(world, where, "mark of ingest-%zu is %llu", source,
                (unsigned long long)state->marks[source].sequence);
    if (state == redis_master(world))
        world->marked_us[source] = world->now_us;
    check_mark(world, where, state, source);
}

void oracle_state_changed(struct world *world, const char *where, const struct model_state *state)
{
    for (size_t i = 0; i < world->ingests; i++)
        check_mark(world, where, state, i);
}

static bool is_in_a_journal(const struct world *world, size_t event)
{
    for (size_t i = 0; i < world->ingests; i++) {
        size_t count = 0;
        const struct sim_record *records = sim_ingest_records(world->ingest[i], &count);
        for (size_t r = 0; r < count; r++) {
            const struct delivery *delivery = &world->deliveries[records[r].delivery];
            if (!records[r].is_deleted && !records[r].is_lost && event >= delivery->first_event &&
                event < (size_t)delivery->first_event + delivery->event_count)
                return true;
        }
    }
    return false;
}

void oracle_data_gone(struct world *world)
{
    world->gone_us = world->now_us;
    for (size_t i = 0; i < world->event_count; i++)
        if (!world->events[i].is_excused && !is_in_a_journal(world, i))
            world->events[i].is_excused = true;
}

size_t oracle_redis_clients(struct world *world, struct redis_client **clients)
{
    size_t count = 0;
    for (size_t i = 0; i < world->routes; i++)
        count += sim_route_clients(world->route[i], clients + count);
    for (size_t i = 0; i < world->notifies; i++)
        clients[count++] = sim_notify_client(world->notify[i]);
    return count;
}

/* --- the end --- */

/* Only a delivery that stands in a journal that lives on is owed: a volume that lost what it had
 * synced is beyond the promise. */
static bool is_owed(const struct world *world, size_t index)
{
    const struct delivery *delivery = &world->deliveries[index];
    return delivery->is_answered && !world->events[delivery->first_event].is_excused;
}

static bool is_lost_with_a_volume(const struct world *world, size_t index)
{
    bool is_lost = false;
    for (size_t i = 0; i < world->ingests; i++) {
        size_t count = 0;
        const struct sim_record *records = sim_ingest_records(world->ingest[i], &count);
        for (size_t r = 0; r < count; r++) {
            if (records[r].delivery != index)
                continue;
            if (!records[r].is_lost && !records[r].is_deleted)
                return false; /* one journal still has it */
            is_lost |= records[r].is_lost;
        }
    }
    return is_lost;
}

static bool needs_alert(const struct world *world, const struct model_state *state, size_t event)
{
    const struct model_event *stored = &state->events[event];
    return world->events[event].nature == NATURE_PLAIN && stored->is_known &&
           stored->severity >= REVIEW;
}

/* What is not at rest yet, in words; false: all is. */
static bool find_unrest(struct world *world, char *out, size_t length)
{
    const struct model_state *state = redis_master(world);
    for (size_t i = 0; i < world->ingests; i++) {
        uint64_t newest = sim_ingest_newest(world->ingest[i]);
        /* above: of records a restored volume does not have any more; or of another past, until a
         * mark was stored since the faults */
        if (sim_ingest_is_idle(world->ingest[i]) && state->marks[i].sequence >= newest &&
            world->marked_us[i] >= world->faults_end_us)
            continue;
        int written = snprintf(out, length, "ingest-%zu (mark %llu in Redis) ", i,
                               (unsigned long long)state->marks[i].sequence);
        sim_ingest_describe(world->ingest[i], out + written, length - (size_t)written);
        return true;
    }
    for (size_t i = 0; i < world->delivery_count; i++)
        if (!world->deliveries[i].is_heard) {
            (void)snprintf(out, length, "delivery %zu was never answered", i);
            return true;
        }
    for (size_t i = 0; i < world->event_count; i++)
        if (needs_alert(world, state, i) && !world->events[i].is_accepted) {
            (void)snprintf(out, length, "event %zu has severity %u, but dispatch never heard of it",
                           i, state->events[i].severity);
            return true;
        }
    return false;
}

bool oracle_is_settled(struct world *world)
{
    char unrest[PROBLEM_BYTES];
    return !find_unrest(world, unrest, sizeof unrest);
}

static uint32_t severity_of(const uint8_t *bytes, size_t length)
{
    Desg__V1__Verdict *verdict = desg__v1__verdict__unpack(NULL, length, bytes);
    uint32_t severity = verdict ? (uint32_t)verdict->severity : 0;
    desg__v1__verdict__free_unpacked(verdict, NULL);
    return severity;
}

/* A rebuild from the journals never lowers what was noted there. (An old image may: it is another
 * past. And what is in quarantine stays there as it came, for a person.) */
static void judge_notes(struct world *world, const struct model_state *state)
{
    for (size_t i = 0; i < world->ingests; i++) {
        size_t count = 0;
        const struct sim_record *records = sim_ingest_records(world->ingest[i], &count);
        for (size_t r = 0; r < count; r++) {
            const struct sim_record *record = &records[r];
            for (size_t n = 0; n < record->note_count && !record->is_lost && !record->is_deleted;
                 n++) {
                const struct sim_note *note = &record->notes[n];
                size_t event = world->deliveries[record->delivery].first_event + note->index;
                if (note->kind != 3 || note->length <= ID_BYTES)
                    continue;
                uint32_t noted = severity_of(note->bytes + ID_BYTES, note->length - ID_BYTES);
                if (noted > state->events[event].severity && state->events[event].is_known &&
                    !state->events[event].is_quarantined)
                    world_fail(world, "event %zu has severity %u, but %u was noted", event,
                               state->events[event].severity, noted);
            }
        }
    }
}

static void judge_delivery(struct world *world, const struct model_state *state, size_t index)
{
    const struct delivery *delivery = &world->deliveries[index];
    for (size_t n = 0; n < delivery->event_count; n++) {
        size_t event = delivery->first_event + n;
        if (world->events[event].is_excused)
            continue;
        if (!is_there(world, state, event))
            world_fail(world, "delivery %zu was answered 200, but event %zu is %s", index, event,
                       state->events[event].is_known ? "still unclassified" : "not there");
        if (world->events[event].nature != NATURE_PLAIN && !state->events[event].is_quarantined)
            world_fail(world, "event %zu is poison, but not in quarantine", event);
        if (needs_alert(world, state, event) && !world->events[event].is_accepted)
            world_fail(world, "event %zu has severity %u, but dispatch never heard of it", event,
                       state->events[event].severity);
    }
}

/* Only what two workers died of is poison: a connection that broke is no death. */
static void judge_quarantine(struct world *world, const struct model_state *state)
{
    for (size_t i = 0; i < world->ingests; i++)
        sim_ingest_count_deaths(world->ingest[i]);
    for (size_t i = 0; i < world->event_count; i++)
        if (state->events[i].is_quarantined && world->events[i].nature == NATURE_PLAIN &&
            world->events[i].deaths < 2)
            world_fail(world, "event %zu is in quarantine, but only %u workers died of it", i,
                       world->events[i].deaths);
}

void oracle_judge(struct world *world)
{
    const struct model_state *state = redis_master(world);
    judge_quarantine(world, state);
    for (size_t i = 0; i < world->delivery_count; i++)
        if (is_owed(world, i) && !is_lost_with_a_volume(world, i))
            judge_delivery(world, state, i);
    if (world->counts.restores == 0)
        judge_notes(world, state);
    char unrest[PROBLEM_BYTES - 40];
    if (find_unrest(world, unrest, sizeof unrest))
        world_fail(world, "not at rest long after the faults: %s", unrest);
}

void oracle_record_deleted(struct world *world, const struct sim_record *record, size_t source)
{
    const struct model_state *state = redis_master(world);
    const struct delivery *delivery = &world->deliveries[record->delivery];
    for (size_t n = 0; n < delivery->event_count; n++) {
        struct sim_event *event = &world->events[delivery->first_event + n];
        if (world->marked_us[source] < world->gone_us &&
            !is_there(world, state, delivery->first_event + n))
            event->is_excused = true;
    }
}
