#include "sim_ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/arena.h"
#include "ingest/custody.h"
#include "ingest/source_progress.h"
#include "oracle.h"
#include "sim_events.h"
#include "sim_settings.h"

enum {
    RECORDS_MAX = 4 * DELIVERIES_MAX,
    INCARNATIONS_MAX = 256,
    PENDING_MAX = DELIVERIES_MAX,
    NOTES_PENDING_MAX = 1024,
    PUMP_ROUNDS = 8,
    PAGE_RECORDS_MAX = 64,
    HELD_EVENTS_MAX = 48,
    VISITS_MAX = 64,
    RETURNS_MS = 9000, /* a worker that is back so soon did not die; custody waits longer */
};

/* A connection to a worker, and what it was given alone. */
struct visit {
    link_peer peer; /* 0: place is free */
    const struct process *worker;
    uint32_t life;
    bool is_lost;
    int64_t lost_at_ms;
    bool was_alone[EVENTS_MAX];
};

struct pending_note {
    uint64_t sequence;
    struct sim_note note;
};

struct incarnation {
    uint64_t number;
    uint64_t first;
    uint32_t start;
};

struct sim_ingest {
    struct world *world;
    struct process *process;
    struct id source;
    size_t index;
    struct sim_record records[RECORDS_MAX];
    size_t record_count;
    uint32_t starts;
    uint64_t next_sequence;
    uint64_t released;
    struct incarnation incarnations[INCARNATIONS_MAX];
    size_t incarnation_count;
    struct {
        bool is_there;
        uint64_t next_sequence;
        uint64_t released;
        size_t record_count;
        size_t incarnation_count;
    } snapshot;

    uint16_t pending[PENDING_MAX];
    size_t pending_count;
    struct pending_note notes[NOTES_PENDING_MAX];
    size_t note_count;
    int64_t slow_until_us, full_until_us;

    struct custody *custody;
    struct source_progress progress;
    struct visit visits[VISITS_MAX];
    uint64_t committed;
    uint64_t ticks;
    bool is_committing, is_failing, is_pumping, is_draining;
    uint8_t unclassified[32];
    size_t unclassified_length;
    struct journal_page page;
    struct journal_note page_notes[PAGE_RECORDS_MAX][RECORD_NOTES_MAX];
};

static uint64_t worker_peer(link_peer peer)
{
    return peer * 2;
}

static uint64_t route_peer(link_peer peer)
{
    return peer * 2 + 1;
}

static int64_t now_ms(const struct sim_ingest *self)
{
    return process_now_ms(self->world, self->process);
}

/* --- the journal as source_progress sees it --- */

static uint64_t incarnation_of(void *arg, uint64_t sequence)
{
    const struct sim_ingest *self = arg;
    if (sequence < self->next_sequence)
        for (size_t i = self->incarnation_count; i > 0; i--)
            if (self->incarnations[i - 1].first <= sequence)
                return self->incarnations[i - 1].number;
    return 0;
}

static bool find_incarnation(void *arg, uint64_t incarnation, uint64_t *first, uint64_t *last)
{
    const struct sim_ingest *self = arg;
    for (size_t i = self->incarnation_count; i > 0; i--) {
        if (self->incarnations[i - 1].number != incarnation)
            continue;
        *first = self->incarnations[i - 1].first;
        *last =
            (i == self->incarnation_count ? self->next_sequence : self->incarnations[i].first) - 1;
        return true;
    }
    return false;
}

static void plan_commit(struct sim_ingest *self, bool is_urgent);

static void keep_note(void *arg, uint64_t sequence, uint32_t index, uint16_t kind,
                      const void *bytes, size_t length)
{
    struct sim_ingest *self = arg;
    if (!process_effect(self->world, self->process) || length > NOTE_BYTES_MAX ||
        self->note_count == NOTES_PENDING_MAX)
        return;
    struct pending_note *pending = &self->notes[self->note_count++];
    *pending = (struct pending_note){
        .sequence = sequence, .note = { .index = index, .kind = kind, .length = (uint16_t)length }
    };
    memcpy(pending->note.bytes, bytes, length);
    plan_commit(self, false);
}

static void retain(void *arg, uint64_t sequence)
{
    struct sim_ingest *self = arg;
    if (process_effect(self->world, self->process) && sequence < self->released)
        self->released = sequence;
}

static void release(void *arg, uint64_t sequence)
{
    struct sim_ingest *self = arg;
    if (process_effect(self->world, self->process) && sequence > self->released)
        self->released = sequence;
}

static void split(void *arg, const struct journal_record *record, bool is_replayed,
                  struct split *out)
{
    const struct sim_ingest *self = arg;
    const struct delivery *delivery = &self->world->deliveries[record->kind];
    (void)is_replayed;
    struct arena *memory = arena_new();
    *out =
        (struct split){ .count = delivery->event_count,
                        .events = arena_take(memory, delivery->event_count * sizeof *out->events),
                        .memory = memory };
    for (size_t i = 0; i < out->count; i++) {
        const struct sim_event *event = &self->world->events[delivery->first_event + i];
        out->events[i] = (struct split_event){ .id = event->id,
                                               .channel = "x",
                                               .account = "a",
                                               .bytes = event->bytes,
                                               .length = event->length };
    }
}

/* --- the disk --- */

static struct sim_record *record_at(struct sim_ingest *self, uint64_t sequence)
{
    for (size_t i = self->record_count; i > 0; i--) {
        struct sim_record *record = &self->records[i - 1];
        if (record->sequence == sequence && !record->is_lost)
            return record->is_deleted ? NULL : record;
    }
    return NULL;
}

/* A note may be lost at any time: it went with a group whose sync failed, or was never written. */
static bool is_note_lost(const struct sim_ingest *self, const struct pending_note *pending)
{
    enum { NOTE_VERDICT = 3 };
    return self->world->has_restless_rules && pending->note.kind == NOTE_VERDICT &&
           world_dice(self->world, 3) == 0;
}

static void store_note(struct sim_ingest *self, const struct pending_note *pending)
{
    if (is_note_lost(self, pending))
        return;
    struct sim_record *record = record_at(self, pending->sequence);
    if (!record)
        return;
    for (size_t i = 0; i < record->note_count; i++)
        if (record->notes[i].index == pending->note.index &&
            record->notes[i].kind == pending->note.kind) {
            record->notes[i] = pending->note;
            return;
        }
    if (record->note_count < RECORD_NOTES_MAX)
        record->notes[record->note_count++] = pending->note;
}

static uint64_t oldest(const struct sim_ingest *self)
{
    for (size_t i = 0; i < self->record_count; i++)
        if (!self->records[i].is_deleted && !self->records[i].is_lost)
            return self->records[i].sequence;
    return 0;
}

static void apply_retention(struct sim_ingest *self)
{
    struct world *world = self->world;
    int64_t unix_ms = process_unix_ms(world, self->process);
    bool is_early = world->now_us < self->full_until_us;
    for (size_t i = 0; i < self->record_count; i++) {
        struct sim_record *record = &self->records[i];
        if (record->is_deleted || record->is_lost)
            continue;
        bool is_old = record->stored_at_ms <= unix_ms - SIM_RETENTION_MS;
        if (record->sequence > self->released || !(is_early || is_old))
            return;
        record->is_deleted = true;
        oracle_record_deleted(world, record, self->process->index);
        world->counts.deletions++;
        world_trace(world, self->process->name, "record %llu is deleted",
                    (unsigned long long)record->sequence);
    }
}

static void answer_200(struct sim_ingest *self, size_t index)
{
    struct world *world = self->world;
    struct delivery *delivery = &world->deliveries[index];
    if (!process_effect(world, self->process))
        return;
    delivery->is_answered = true;
    delivery->is_heard |= world_dice(world, 20) > 0;
}

static void write_group(struct sim_ingest *self, size_t count)
{
    struct world *world = self->world;
    for (size_t i = 0; i < count && self->record_count < RECORDS_MAX; i++) {
        self->records[self->record_count++] = (struct sim_record){
            .sequence = self->next_sequence++,
            .incarnation = self->incarnations[self->incarnation_count - 1].number,
            .start = self->starts,
            .stored_at_ms = process_unix_ms(world, self->process),
            .delivery = self->pending[i],
        };
        world_trace(world, self->process->name, "record %llu = delivery %u is on disk",
                    (unsigned long long)self->next_sequence - 1, self->pending[i]);
    }
    for (size_t i = 0; i < self->note_count; i++)
        store_note(self, &self->notes[i]);
    self->note_count = 0;
}

static void pump(struct sim_ingest *self);

static void take_pending(struct sim_ingest *self, size_t count)
{
    self->pending_count -= count;
    memmove(self->pending, self->pending + count, self->pending_count * sizeof self->pending[0]);
}

static void on_committed(struct world *world, void *arg, uint64_t token)
{
    struct sim_ingest *self = arg;
    struct process *process = self->process;
    if (!process->is_up || process->life != token >> 16)
        return;
    self->is_committing = false;
    size_t count = token & 0xffff;
    if (self->is_failing) { /* the group is refused, its numbers are not used again */
        self->is_failing = false;
        self->next_sequence += count;
        take_pending(self, count);
        self->note_count = 0;
        world_trace(world, process->name, "a sync fails, %zu records are refused", count);
        if (self->pending_count > 0)
            plan_commit(self, true);
        return;
    }
    write_group(self, count);
    uint16_t answered[PENDING_MAX];
    memcpy(answered, self->pending, count * sizeof answered[0]);
    take_pending(self, count);
    apply_retention(self);
    self->committed = self->next_sequence - 1;
    for (size_t i = 0; i < count; i++)
        answer_200(self, answered[i]);
    pump(self);
    if (self->pending_count > 0)
        plan_commit(self, true);
    process_reap(world, process);
}

static void begin_commit(struct world *world, void *arg, uint64_t token)
{
    struct sim_ingest *self = arg;
    if (!self->process->is_up || self->process->life != token || self->is_committing ||
        self->pending_count + self->note_count == 0)
        return;
    self->is_committing = true;
    int64_t took_us = world->now_us < self->slow_until_us ? world_between(world, 50000, 800000)
                                                          : world_between(world, 200, 8000);
    world_after(world, took_us, on_committed, self, token << 16 | self->pending_count);
}

static void plan_commit(struct sim_ingest *self, bool is_urgent)
{
    if (self->is_committing)
        return;
    world_after(self->world, is_urgent ? 0 : world_between(self->world, 0, 5000000), begin_commit,
                self, self->process->life);
}

void sim_ingest_post(struct sim_ingest *self, size_t delivery)
{
    if (!self->process->is_up || self->process->is_paused || self->is_draining ||
        self->pending_count == PENDING_MAX || self->record_count + PENDING_MAX > RECORDS_MAX)
        return;
    self->pending[self->pending_count++] = (uint16_t)delivery;
    plan_commit(self, true);
}

/* --- custody's hands --- */

static bool is_listed(const struct sim_record *record, uint64_t first)
{
    return !record->is_deleted && !record->is_lost && record->sequence >= first;
}

static void read_page(struct sim_ingest *self, uint64_t first, size_t most)
{
    struct journal_page *page = &self->page;
    page->count = 0;
    if (most > PAGE_RECORDS_MAX)
        most = PAGE_RECORDS_MAX;
    for (size_t i = 0; i < self->record_count && page->count < most; i++) {
        const struct sim_record *record = &self->records[i];
        if (!is_listed(record, first))
            continue;
        struct journal_note *notes = self->page_notes[page->count];
        for (size_t n = 0; n < record->note_count; n++)
            notes[n] = (struct journal_note){ .index = record->notes[n].index,
                                              .kind = record->notes[n].kind,
                                              .bytes = record->notes[n].bytes,
                                              .length = record->notes[n].length };
        page->records[page->count++] = (struct journal_record){
            .sequence = record->sequence,
            .incarnation = record->incarnation,
            .stored_at_ms = record->stored_at_ms,
            .kind = record->delivery,
            .notes = notes,
            .note_count = record->note_count,
        };
    }
}

static bool load_some(struct sim_ingest *self)
{
    uint64_t first = 0;
    uint64_t last = 0;
    size_t most = 0;
    if (!custody_next_load(self->custody, now_ms(self), &first, &last, &most))
        return false;
    read_page(self, first, most);
    source_progress_load(&self->progress, &self->page, first, last, now_ms(self),
                         process_unix_ms(self->world, self->process), NULL, NULL);
    return true;
}

/* --- who comes back --- */

static void count_deaths(struct sim_ingest *self, struct visit *visit)
{
    for (size_t i = 0; visit->is_lost && i < self->world->event_count; i++)
        if (visit->was_alone[i] && self->world->events[i].deaths < UINT8_MAX)
            self->world->events[i].deaths++;
    *visit = (struct visit){ 0 };
}

void sim_ingest_count_deaths(struct sim_ingest *self)
{
    for (size_t i = 0; i < VISITS_MAX; i++)
        if (self->visits[i].is_lost)
            count_deaths(self, &self->visits[i]);
}

static struct visit *find_visit(struct sim_ingest *self, link_peer peer)
{
    size_t i = 0;
    while (i < VISITS_MAX && self->visits[i].peer != peer)
        i++;
    return i < VISITS_MAX ? &self->visits[i] : NULL;
}

static void visit_begins(struct sim_ingest *self, link_peer peer, const struct process *worker)
{
    for (size_t i = 0; i < VISITS_MAX; i++) {
        struct visit *visit = &self->visits[i];
        bool is_same = visit->worker == worker && visit->life == worker->life;
        if (is_same && visit->is_lost && now_ms(self) - visit->lost_at_ms < RETURNS_MS)
            *visit = (struct visit){ 0 };
    }
    if (!find_visit(self, 0))
        sim_ingest_count_deaths(self);
    struct visit *visit = find_visit(self, 0);
    if (!visit)
        abort();
    *visit = (struct visit){ .peer = peer, .worker = worker, .life = worker->life };
}

static void visit_ends(struct sim_ingest *self, link_peer peer, bool is_drain)
{
    struct visit *visit = find_visit(self, peer);
    if (!visit)
        return;
    visit->is_lost = true;
    visit->lost_at_ms = now_ms(self);
    if (is_drain)
        *visit = (struct visit){ 0 };
}

static void note_alone(struct sim_ingest *self, const struct custody_batch *batch)
{
    struct visit *visit = batch->is_to_route ? NULL : find_visit(self, batch->peer / 2);
    if (visit && batch->count == 1)
        visit->was_alone[event_number(batch->items[0].event->id.bytes)] = true;
}

static void send_batch(struct sim_ingest *self, const struct custody_batch *batch)
{
    Desg__V1__Item items[CUSTODY_BATCH_MAX_ITEMS];
    Desg__V1__Item *pointers[CUSTODY_BATCH_MAX_ITEMS];
    Desg__V1__Position positions[CUSTODY_BATCH_MAX_ITEMS];
    for (size_t i = 0; i < batch->count; i++) {
        const struct custody_item *from = &batch->items[i];
        positions[i] = (Desg__V1__Position)DESG__V1__POSITION__INIT;
        positions[i].sequence = from->sequence;
        positions[i].index = from->index;
        items[i] = (Desg__V1__Item)DESG__V1__ITEM__INIT;
        items[i].position = &positions[i];
        items[i].event =
            (ProtobufCBinaryData){ from->event->length, (uint8_t *)from->event->bytes };
        items[i].verdict = (ProtobufCBinaryData){ from->verdict_length, (uint8_t *)from->verdict };
        if (batch->is_to_route && !from->verdict)
            items[i].verdict =
                (ProtobufCBinaryData){ self->unclassified_length, self->unclassified };
        items[i].is_alerted = from->is_alerted;
        items[i].is_replayed = from->is_replayed;
        items[i].is_quarantined = from->quarantine_reason != NULL;
        if (from->quarantine_reason)
            items[i].quarantine_reason = (char *)from->quarantine_reason;
        pointers[i] = &items[i];
    }
    Desg__V1__Batch message = DESG__V1__BATCH__INIT;
    message.source = (ProtobufCBinaryData){ ID_BYTES, self->source.bytes };
    message.incarnation = source_progress_fence(&self->progress);
    message.lane =
        batch->is_to_route ? DESG__V1__LANE__LANE_URGENT : DESG__V1__LANE__LANE_UNSPECIFIED;
    message.n_items = batch->count;
    message.items = pointers;
    Desg__V1__Packet packet = link_packet_batch(&message);
    world_trace(self->world, self->process->name, "sends %zu from record %llu to %s", batch->count,
                (unsigned long long)batch->items[0].sequence,
                batch->is_to_route ? "route" : "classify");
    if (network_send(self->world, self->process, batch->peer / 2, &packet) != 0)
        custody_not_sent(self->custody, batch, now_ms(self));
    else
        note_alone(self, batch);
}

static void on_pump(struct world *world, void *arg, uint64_t token)
{
    struct sim_ingest *self = arg;
    self->is_pumping = false;
    if (!self->process->is_up || self->process->life != token)
        return;
    pump(self);
    process_reap(world, self->process);
}

static void pump(struct sim_ingest *self)
{
    struct custody_batch batch;
    bool has_more = true;
    custody_committed(self->custody, self->committed);
    for (int round = 0; round < PUMP_ROUNDS && has_more; round++) {
        has_more = load_some(self);
        while (!self->process->is_dying && custody_next_batch(self->custody, now_ms(self), &batch))
            send_batch(self, &batch);
    }
    source_progress_flush_notes(&self->progress);
    if (has_more && !self->is_pumping) {
        self->is_pumping = true;
        world_after(self->world, 100, on_pump, self, self->process->life);
    }
}

static void send_hello(struct sim_ingest *self)
{
    uint64_t route = 0;
    Desg__V1__Hello hello;
    if (!source_progress_next_hello(&self->progress, now_ms(self), &route, &hello))
        return;
    Desg__V1__Packet packet = link_packet_hello(&hello);
    (void)network_send(self->world, self->process, route / 2, &packet);
}

static void send_mark(struct sim_ingest *self)
{
    uint64_t route = 0;
    Desg__V1__Mark mark;
    if (!source_progress_next_mark(&self->progress, now_ms(self), &route, &mark))
        return;
    Desg__V1__Packet packet = link_packet_mark(&mark);
    (void)network_send(self->world, self->process, route / 2, &packet);
}

static void check_bounds(struct sim_ingest *self)
{
    struct custody_status status;
    custody_status(self->custody, now_ms(self), &status);
    if (status.held_events > HELD_EVENTS_MAX + 4 * PAGE_RECORDS_MAX)
        world_fail(self->world, "%s holds %zu events in memory", self->process->name,
                   status.held_events);
}

static void on_tick(struct world *world, void *arg, uint64_t token)
{
    struct sim_ingest *self = arg;
    if (!self->process->is_up || self->process->life != token)
        return;
    int64_t wait_us = world->tick_us;
    if (!self->process->is_paused) {
        custody_tick(self->custody, now_ms(self));
        send_hello(self);
        send_mark(self);
        pump(self);
        if (++self->ticks % 16 == 0)
            check_bounds(self);
        if (custody_is_idle(self->custody))
            wait_us = world->tick_us > 400000 ? world->tick_us : 400000;
    }
    world_after(world, wait_us, on_tick, self, token);
    process_reap(world, self->process);
}

/* --- from the network --- */

void sim_ingest_peer_up(struct sim_ingest *self, enum port port, link_peer peer,
                        const struct process *other, uint32_t credit)
{
    if (port == PORT_CLASSIFY) {
        struct custody_worker who = { .credit = credit };
        uint64_t instance = (uint64_t)other->index << 32 | other->life;
        if (self->world->mutant == MUTANT_BREAK_IS_DEATH) /* each connection is another process */
            instance = peer;
        memcpy(who.instance.bytes, &instance, sizeof instance);
        visit_begins(self, peer, other);
        custody_worker_up(self->custody, worker_peer(peer), &who, now_ms(self));
    } else {
        custody_route_up(self->custody, route_peer(peer), credit);
    }
    pump(self);
}

void sim_ingest_peer_down(struct sim_ingest *self, enum port port, link_peer peer, bool is_drain)
{
    if (port == PORT_CLASSIFY) {
        visit_ends(self, peer, is_drain);
        custody_worker_down(self->custody, worker_peer(peer), is_drain, now_ms(self));
    } else {
        custody_route_down(self->custody, route_peer(peer), now_ms(self));
    }
    pump(self);
}

/* The broken variant: answers count whatever fence they carry. */
static void forge_fence(const struct sim_ingest *self, const Desg__V1__Packet *packet)
{
    uint64_t fence = source_progress_fence(&self->progress);
    if (packet->kind_case == DESG__V1__PACKET__KIND_DONE)
        packet->done->incarnation = fence;
    else if (packet->kind_case == DESG__V1__PACKET__KIND_SEEN)
        packet->seen->incarnation = fence;
    else if (packet->kind_case == DESG__V1__PACKET__KIND_BUSY)
        packet->busy->incarnation = fence;
    else if (packet->kind_case == DESG__V1__PACKET__KIND_REFUSED)
        packet->refused->incarnation = fence;
}

static void on_marked(struct sim_ingest *self, const Desg__V1__Marked *marked)
{
    struct source_rewind rewind = source_progress_marked(&self->progress, marked, now_ms(self));
    if (!rewind.is_rewound)
        return;
    self->world->counts.rewinds++;
    world_trace(self->world, self->process->name, "history %.8s: replays from mark %llu",
                marked->history, (unsigned long long)rewind.mark);
}

void sim_ingest_packet(struct sim_ingest *self, enum port port, link_peer peer,
                       const Desg__V1__Packet *packet)
{
    uint64_t number = port == PORT_CLASSIFY ? worker_peer(peer) : route_peer(peer);
    if (self->world->mutant == MUTANT_NO_FENCE)
        forge_fence(self, packet);
    if (self->world->mutant == MUTANT_MARK_WITHOUT_BEAT &&
        packet->kind_case == DESG__V1__PACKET__KIND_HISTORY) /* nor does ingest look at it */
        packet->history->mark_beat = self->progress.beat_at_hello;
    if (self->world->mutant == MUTANT_MARK_OF_ANOTHER_PAST)
        self->progress.firm = UINT64_MAX; /* whatever mark is found, the replay begins there */
    if (packet->kind_case == DESG__V1__PACKET__KIND_HISTORY)
        (void)source_progress_history(&self->progress, packet->history, now_ms(self));
    else if (packet->kind_case == DESG__V1__PACKET__KIND_MARKED)
        on_marked(self, packet->marked);
    else
        (void)source_progress_answers(&self->progress, number, packet, now_ms(self));
    uint32_t returned = custody_take_returned(self->custody, number);
    if (returned > 0)
        network_credit_return(self->world, self->process, peer, returned);
    pump(self);
}

/* --- life --- */

void sim_ingest_start(struct sim_ingest *self)
{
    struct world *world = self->world;
    if (self->incarnation_count == INCARNATIONS_MAX)
        abort();
    self->incarnations[self->incarnation_count++] = (struct incarnation){
        .number = world_random(world) | 1, .first = self->next_sequence, .start = ++self->starts
    };
    self->committed = self->next_sequence - 1;
    struct custody_limits limits = custody_default_limits();
    limits.held_events_max = HELD_EVENTS_MAX;
    self->custody = custody_new(&limits, oldest(self), self->committed, now_ms(self));
    const struct source_journal hands = { .incarnation_of = incarnation_of,
                                          .find_incarnation = find_incarnation,
                                          .note = keep_note,
                                          .retain = retain,
                                          .release = release,
                                          .split = split,
                                          .arg = self };
    const struct source_found found = { self->committed, self->released };
    source_progress_init(&self->progress, self->custody, &hands, &self->source,
                         self->incarnations[self->incarnation_count - 1].number, &found);
    world_after(world, world_between(world, 0, world->tick_us), on_tick, self, self->process->life);
}

/* What was being written may be on disk or not: nobody was told. */
void sim_ingest_stop(struct sim_ingest *self)
{
    if (self->is_committing && !self->is_failing && world_dice(self->world, 2))
        write_group(self, self->pending_count);
    self->is_committing = self->is_pumping = self->is_draining = self->is_failing = false;
    self->pending_count = 0;
    self->note_count = 0;
    sim_ingest_count_deaths(self);
    memset(self->visits, 0, sizeof self->visits);
    custody_destroy(&self->custody);
}

void sim_ingest_drain(struct sim_ingest *self)
{
    self->is_draining = true;
    custody_drain(self->custody);
}

bool sim_ingest_is_drained(const struct sim_ingest *self)
{
    return self->is_draining && custody_is_idle(self->custody) && self->pending_count == 0;
}

void sim_ingest_take_snapshot(struct sim_ingest *self)
{
    self->snapshot.is_there = true;
    self->snapshot.next_sequence = self->next_sequence;
    self->snapshot.released = self->released;
    self->snapshot.record_count = self->record_count;
    self->snapshot.incarnation_count = self->incarnation_count;
}

/* Records written since are gone. (Notes and deletions since then stay: they only cost or save
 * work.) */
void sim_ingest_restore_snapshot(struct sim_ingest *self)
{
    if (!self->snapshot.is_there || self->process->is_up)
        return;
    world_trace(self->world, self->process->name, "the volume is restored: next record %llu",
                (unsigned long long)self->snapshot.next_sequence);
    for (size_t i = self->snapshot.record_count; i < self->record_count; i++)
        self->records[i].is_lost = true;
    self->next_sequence = self->snapshot.next_sequence;
    self->released = self->snapshot.released;
    self->incarnation_count = self->snapshot.incarnation_count;
    self->snapshot.is_there = false;
    self->world->marked_us[self->process->index] =
        0; /* it knows of no mark since, nor of a flush */
}

void sim_ingest_slow_disk(struct sim_ingest *self, int64_t until_us)
{
    self->slow_until_us = until_us;
}

void sim_ingest_fail_disk(struct sim_ingest *self)
{
    self->is_failing = true;
}

void sim_ingest_fill_disk(struct sim_ingest *self, int64_t until_us)
{
    self->full_until_us = until_us;
}

const struct sim_record *sim_ingest_records(const struct sim_ingest *self, size_t *count)
{
    *count = self->record_count;
    return self->records;
}

uint32_t sim_ingest_start_of(const struct sim_ingest *self, uint64_t incarnation)
{
    for (size_t i = self->incarnation_count; i > 0; i--)
        if (self->incarnations[i - 1].number == incarnation)
            return self->incarnations[i - 1].start;
    return 0;
}

uint64_t sim_ingest_newest(const struct sim_ingest *self)
{
    return self->committed; /* what a failed sync took is no record */
}

const struct id *sim_ingest_source(const struct sim_ingest *self)
{
    return &self->source;
}

bool sim_ingest_is_idle(const struct sim_ingest *self)
{
    return self->custody && self->pending_count == 0 && custody_is_idle(self->custody);
}

void sim_ingest_describe(const struct sim_ingest *self, char *out, size_t length)
{
    struct custody_status status = { 0 };
    if (self->custody)
        custody_status(self->custody, now_ms(self), &status);
    (void)snprintf(
        out, length,
        "pending %zu newest %llu unloaded %llu held %zu deferred %llu provisional %llu done %llu "
        "marked %llu workers %zu routes %zu busy %d history %d",
        self->pending_count, (unsigned long long)status.newest, (unsigned long long)status.unloaded,
        status.held_events, (unsigned long long)status.deferred,
        (unsigned long long)status.provisional, (unsigned long long)status.done_through,
        (unsigned long long)status.marked, status.workers, status.routes, status.is_route_busy,
        status.is_history_known);
}

struct sim_ingest *sim_ingest_new(struct world *world, struct process *process)
{
    struct sim_ingest *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->world = world;
    self->process = process;
    self->next_sequence = 1;
    self->source.bytes[0] = (uint8_t)(process->index + 1);
    self->source.bytes[15] = 0x5a;
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    verdict.severity = DESG__V1__SEVERITY__SEVERITY_REVIEW;
    verdict.is_unclassified = true;
    verdict.score = 1.0f;
    verdict.category = (char *)"unclassified";
    self->unclassified_length = desg__v1__verdict__pack(&verdict, self->unclassified);
    return self;
}

void sim_ingest_destroy(struct sim_ingest **self_p)
{
    struct sim_ingest *self = *self_p;
    if (!self)
        return;
    custody_destroy(&self->custody);
    free(self);
    *self_p = NULL;
}
