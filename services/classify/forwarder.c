#include "classify/forwarder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert.h"
#include "classify/answers.h"
#include "classify/event_decode.h"
#include "classify/lane.h"
#include "log/log.h"

enum {
    URGENT,
    BULK,
    LANES,
    ALERTS_PER_ORDER = 64,
    SILENT_ROUTE_MS = 2000,
    ALERT_WITHOUT_NOTIFY_MS = 10000, /* ingest has offered it again by then */
    VERDICTS_BYTES = LINK_BATCH_MAX_ITEMS * VERDICT_PACKED_MAX_BYTES
};

/* Events of one batch while they are worked on. */
struct portion {
    Desg__V1__Item items[LINK_BATCH_MAX_ITEMS];
    Desg__V1__Item *lists[LANES][LINK_BATCH_MAX_ITEMS];
    size_t counts[LANES];
    Desg__V1__SeenItem seen[LINK_BATCH_MAX_ITEMS];
    Desg__V1__SeenItem *seen_list[LINK_BATCH_MAX_ITEMS];
    size_t seen_count;
    Desg__V1__Position *refused[LINK_BATCH_MAX_ITEMS];
    size_t refused_count;
    uint8_t *verdicts; /* VERDICTS_BYTES */
    size_t verdicts_used;
};

struct forwarder {
    struct forwarder_options options;
    struct tally *tally;
    struct event_decoder *decoder;
    struct lane lanes[LANES];
    struct hold unanswered; /* urgent: a route took it and has not said what became of it */
    link_peer notify_peers[LANE_PEERS_MAX];
    size_t notify_peer_count;
    size_t notify_turn;
    struct answers *answers;
    struct portion portion;
    int64_t heard_route_at_ms;
};

static int send_to(struct forwarder *self, enum outlet outlet, link_peer peer,
                   const Desg__V1__Packet *packet)
{
    return self->options.outlets.send(self->options.outlets.arg, outlet, peer, packet);
}

static void hand_back(struct forwarder *self, const struct id *source, uint64_t incarnation,
                      const Desg__V1__Item *item, const struct lane *lane, const char *reason)
{
    answers_add_busy(self->answers, source, incarnation, item->position, item->is_alerted, reason);
    tally_no_route(self->tally, lane->number, 1);
}

static void give_back(struct forwarder *self, struct lane *lane, struct held **link,
                      const char *reason)
{
    struct held *held = hold_take(&lane->hold, link);
    hand_back(self, &held->source, held->incarnation, &held->item, lane, reason);
    free(held);
}

/* --- provisional alerts --- */

/* The event's id, the first thing of an alert. Returns false if it has none of the right length. */
static bool read_event_id(struct forwarder *self, const Desg__V1__Item *item, struct id *id)
{
    const Desg__V1__Event *event = event_decode(self->decoder, item->event.data, item->event.len);
    if (!event || event->id.len != ID_BYTES)
        return false;
    memcpy(id->bytes, event->id.data, ID_BYTES);
    return true;
}

struct alert_batch {
    Desg__V1__Alert alerts[ALERTS_PER_ORDER];
    Desg__V1__Alert *list[ALERTS_PER_ORDER];
    struct id alert_ids[ALERTS_PER_ORDER];
    struct held *held[ALERTS_PER_ORDER]; /* whom each is for; NULL: nobody waits for it */
    size_t count;
    size_t bytes;
    bool is_full;
};

static bool add_alert(struct forwarder *self, struct alert_batch *batch, const Desg__V1__Item *item,
                      struct held *held)
{
    struct id event_id;
    batch->bytes += item->event.len + item->verdict.len;
    if (batch->count > 0 && batch->bytes > LINK_BATCH_MAX_BYTES)
        batch->is_full = true;
    if (batch->is_full || !read_event_id(self, item, &event_id))
        return false;
    Desg__V1__Alert *alert = &batch->alerts[batch->count];
    alert_order_init(alert, &batch->alert_ids[batch->count], event_id.bytes, item->event.data,
                     item->event.len, item->verdict.data, item->verdict.len);
    alert->is_provisional = true;
    alert->is_replayed = item->is_replayed;
    batch->held[batch->count] = held;
    batch->list[batch->count++] = alert;
    batch->is_full = batch->count == ALERTS_PER_ORDER;
    return true;
}

/* Asks the notify peers in turn. Returns whether one took the order. */
static bool send_alerts(struct forwarder *self, struct alert_batch *batch)
{
    Desg__V1__AlertOrder order = DESG__V1__ALERT_ORDER__INIT;
    order.n_alerts = batch->count;
    order.alerts = batch->list;
    Desg__V1__Packet packet = link_packet_alert_order(&order);
    for (size_t i = 0; i < self->notify_peer_count; i++) {
        link_peer peer = self->notify_peers[self->notify_turn++ % self->notify_peer_count];
        if (send_to(self, OUTLET_NOTIFY, peer, &packet) != 0)
            continue;
        tally_alerts(self->tally, batch->count);
        log_warn("alerts_ordered_without_route", KV("alerts", batch->count));
        return true;
    }
    return false;
}

/* Orders alerts for held urgent events that waited long enough. */
static void alert_due(struct forwarder *self, struct hold *hold, int64_t now_ms)
{
    struct alert_batch batch;
    batch.count = batch.bytes = 0;
    batch.is_full = false;
    for (struct held *held = hold->first; held && !batch.is_full; held = held->next) {
        bool needs_alert = held->alert_until_ms == 0 && !held->item.is_alerted;
        if (!needs_alert || !hold_is_due(hold, held, now_ms))
            continue;
        if (self->notify_peer_count > 0)
            (void)add_alert(self, &batch, &held->item, held); /* without an id nobody can alert */
        if (!batch.is_full)                /* what no longer fitted comes with the next tick */
            held->alert_until_ms = now_ms; /* given back at once unless notify takes it */
    }
    if (batch.count == 0 || !send_alerts(self, &batch))
        return;
    for (size_t i = 0; i < batch.count; i++) {
        batch.held[i]->alert_id = batch.alert_ids[i];
        batch.held[i]->alert_until_ms = now_ms + HOLD_ALERT_WAIT_MS;
    }
}

/* --- what a route took and says nothing of --- */

static void await_answers(struct forwarder *self, const struct id *source, uint64_t incarnation,
                          Desg__V1__Item *const *items, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (!items[i]->is_alerted) /* not kept: ingest's own patience is what is left */
            (void)hold_add(&self->unanswered, source, incarnation, items[i], now_ms);
    }
}

static void note_answered(struct forwarder *self, const Desg__V1__Packet *packet)
{
    struct hold *hold = &self->unanswered;
    const Desg__V1__Done *done = packet->done;
    const Desg__V1__Busy *busy = packet->busy;
    const Desg__V1__Refused *refused = packet->refused;
    if (packet->kind_case == DESG__V1__PACKET__KIND_DONE)
        for (size_t i = 0; i < done->n_items; i++)
            hold_drop(hold, &done->source, done->incarnation, done->items[i]->position);
    else if (packet->kind_case == DESG__V1__PACKET__KIND_BUSY)
        for (size_t i = 0; i < busy->n_items; i++)
            hold_drop(hold, &busy->source, busy->incarnation, busy->items[i]->position);
    else
        for (size_t i = 0; i < refused->n_positions; i++)
            hold_drop(hold, &refused->source, refused->incarnation, refused->positions[i]);
}

/* A route that hangs keeps its connection for seconds, and what it took would wait as long: alerted
 * past it, once. Nobody waits to hear of it; route's own alert has the same key. */
static void alert_unanswered(struct forwarder *self, int64_t now_ms)
{
    struct hold *hold = &self->unanswered;
    struct alert_batch batch;
    batch.count = batch.bytes = 0;
    batch.is_full = false;
    size_t due = 0;
    for (struct held *held = hold->first; held && now_ms - held->since_ms >= HOLD_WAIT_MS;
         held = held->next) {
        (void)add_alert(self, &batch, &held->item, NULL);
        if (batch.is_full && batch.count < ALERTS_PER_ORDER)
            break; /* this one did not fit */
        due++;
        if (batch.is_full)
            break;
    }
    bool is_taken = batch.count > 0 && send_alerts(self, &batch);
    for (size_t i = 0; i < due; i++) {
        if (is_taken || now_ms - hold->first->since_ms >= ALERT_WITHOUT_NOTIFY_MS)
            free(hold_take(hold, &hold->first));
    }
}

/* --- what is held --- */

static void report_held(struct forwarder *self)
{
    for (size_t i = 0; i < LANES; i++)
        tally_held(self->tally, self->lanes[i].number, self->lanes[i].hold.count);
}

static void send_held(struct forwarder *self)
{
    for (size_t i = 0; i < LANES; i++) {
        if (self->lanes[i].hold.count == 0)
            continue;
        size_t sent = lane_send_held(&self->lanes[i]);
        tally_forwarded(self->tally, self->lanes[i].number, sent);
    }
}

static const char *no_route_reason(const struct lane *lane)
{
    return lane->peer_count == 0 ? "no route" : "route takes no more";
}

static void expire(struct forwarder *self, struct lane *lane, int64_t now_ms)
{
    const char *reason = no_route_reason(lane);
    bool is_urgent = lane->number == DESG__V1__LANE__LANE_URGENT;
    if (is_urgent)
        alert_due(self, &lane->hold, now_ms);
    struct held **link = &lane->hold.first;
    while (*link) {
        const struct held *held = *link;
        bool is_waiting_for_alert = is_urgent && !held->item.is_alerted &&
                                    (held->alert_until_ms == 0 || now_ms < held->alert_until_ms);
        if (hold_is_due(&lane->hold, held, now_ms) && !is_waiting_for_alert)
            give_back(self, lane, link, reason);
        else
            link = &(*link)->next;
    }
    answers_send_busy(self->answers, reason);
}

static void forget_unanswered(struct forwarder *self, struct lane *lane, int64_t now_ms)
{
    size_t events = lane_forget_unanswered(lane, now_ms);
    if (events == 0)
        return;
    tally_unanswered(self->tally, lane->number, events);
    log_warn("route_answers_lost", KV("lane", (int)lane->number), KV("events", events));
}

void forwarder_tick(struct forwarder *self, int64_t now_ms)
{
    for (size_t i = 0; i < LANES; i++)
        forget_unanswered(self, &self->lanes[i], now_ms);
    send_held(self);
    for (size_t i = 0; i < LANES; i++)
        expire(self, &self->lanes[i], now_ms);
    alert_unanswered(self, now_ms);
    report_held(self);
}

bool forwarder_is_holding(const struct forwarder *self)
{
    return self->lanes[URGENT].hold.count + self->lanes[BULK].hold.count + self->unanswered.count >
           0;
}

/* More than may be held: given back at once. The alert is asked for, but nobody waits to hear of
 * it. */
static void overflow(struct forwarder *self, struct lane *lane, const struct id *source,
                     uint64_t incarnation, Desg__V1__Item *item)
{
    static const char reason[] = "too many wait for route";
    struct alert_batch batch;
    batch.count = batch.bytes = 0;
    batch.is_full = false;
    if (lane->number == DESG__V1__LANE__LANE_URGENT && !item->is_alerted &&
        self->notify_peer_count > 0 && add_alert(self, &batch, item, NULL))
        (void)send_alerts(self, &batch); /* not taken: the answer says "not alerted" anyway */
    hand_back(self, source, incarnation, item, lane, reason);
}

static void hold_items(struct forwarder *self, struct lane *lane, const struct id *source,
                       uint64_t incarnation, Desg__V1__Item **items, size_t count, int64_t now_ms)
{
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        if (!hold_add(&lane->hold, source, incarnation, items[i], now_ms))
            overflow(self, lane, source, incarnation, items[i]);
    }
    answers_send_busy(self->answers, "too many wait for route");
    report_held(self);
}

/* --- from ingest --- */

static void judge(struct forwarder *self, const Desg__V1__Event *event, Desg__V1__Item *item,
                  Desg__V1__Severity *severity)
{
    struct portion *portion = &self->portion;
    struct verdict verdict;
    self->options.judge(self->options.judge_arg, event, &verdict);
    assert(desg__v1__verdict__get_packed_size(&verdict.message) <=
           VERDICTS_BYTES - portion->verdicts_used);
    item->verdict.data = portion->verdicts + portion->verdicts_used;
    item->verdict.len = desg__v1__verdict__pack(&verdict.message, item->verdict.data);
    portion->verdicts_used += item->verdict.len;
    *severity = verdict.message.severity;
}

/* A replayed event brings the verdict it was applied with: newer rules never rewrite what was
 * decided. Only "unclassified" gives way. */
static bool keep_verdict(struct forwarder *self, const Desg__V1__Item *item,
                         Desg__V1__Severity *severity)
{
    if (item->verdict.len == 0)
        return false;
    const Desg__V1__Verdict *kept =
        verdict_decode(self->decoder, item->verdict.data, item->verdict.len);
    bool is_kept = kept && !kept->is_unclassified &&
                   kept->severity != DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
    if (is_kept)
        *severity = kept->severity;
    return is_kept;
}

static void take_item(struct forwarder *self, const Desg__V1__Item *given)
{
    struct portion *portion = &self->portion;
    if (!given->position)
        return; /* nothing an answer could name */
    Desg__V1__Severity kept = DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
    bool is_kept = keep_verdict(self, given, &kept); /* first: the event takes its place */
    const Desg__V1__Event *event = event_decode(self->decoder, given->event.data, given->event.len);
    if (!event) {
        portion->refused[portion->refused_count++] = given->position;
        tally_refused(self->tally);
        return;
    }
    Desg__V1__SeenItem *seen = &portion->seen[portion->seen_count];
    Desg__V1__Item *item = &portion->items[portion->seen_count];
    *item = *given;
    *seen = (Desg__V1__SeenItem)DESG__V1__SEEN_ITEM__INIT;
    seen->position = given->position;
    seen->severity = kept;
    if (!is_kept)
        judge(self, event, item, &seen->severity);
    portion->seen_list[portion->seen_count++] = seen;
    size_t lane = triage_is_urgent_lane(seen->severity) ? URGENT : BULK;
    portion->lists[lane][portion->counts[lane]++] = item;
}

static void report_portion(struct forwarder *self, link_peer peer, const Desg__V1__Batch *batch)
{
    struct portion *portion = &self->portion;
    Desg__V1__Seen seen = DESG__V1__SEEN__INIT;
    seen.source = batch->source;
    seen.incarnation = batch->incarnation;
    seen.n_items = portion->seen_count;
    seen.items = portion->seen_list;
    Desg__V1__Packet packet = link_packet_seen(&seen);
    if (portion->seen_count > 0 && send_to(self, OUTLET_INGEST, peer, &packet) != 0)
        tally_answer_lost(self->tally);
    Desg__V1__Refused refused = DESG__V1__REFUSED__INIT;
    refused.source = batch->source;
    refused.incarnation = batch->incarnation;
    refused.n_positions = portion->refused_count;
    refused.positions = portion->refused;
    refused.reason = (char *)"event cannot be decoded";
    packet = link_packet_refused(&refused);
    if (portion->refused_count == 0)
        return;
    log_warn("events_refused", KV("events", portion->refused_count),
             KV("first_sequence", portion->refused[0]->sequence));
    if (send_to(self, OUTLET_INGEST, peer, &packet) != 0)
        tally_answer_lost(self->tally);
}

static void take_portion(struct forwarder *self, link_peer peer, const Desg__V1__Batch *batch,
                         size_t first, size_t count, int64_t now_ms)
{
    struct portion *portion = &self->portion;
    portion->seen_count = portion->refused_count = portion->verdicts_used = 0;
    portion->counts[URGENT] = portion->counts[BULK] = 0;
    for (size_t i = 0; i < count; i++)
        take_item(self, batch->items[first + i]);
    report_portion(self, peer, batch);
    struct id source;
    memcpy(source.bytes, batch->source.data, ID_BYTES);
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &self->lanes[i];
        size_t sent =
            lane_send(lane, &source, batch->incarnation, portion->lists[i], portion->counts[i]);
        tally_forwarded(self->tally, lane->number, sent);
        if (i == URGENT)
            await_answers(self, &source, batch->incarnation, portion->lists[i], sent, now_ms);
        hold_items(self, lane, &source, batch->incarnation, portion->lists[i] + sent,
                   portion->counts[i] - sent, now_ms);
    }
}

void forwarder_ingest_packet(struct forwarder *self, link_peer peer, const Desg__V1__Packet *packet,
                             int64_t now_ms)
{
    if (packet->kind_case == DESG__V1__PACKET__KIND_DRAIN)
        return; /* it sends no more; its answers still find it */
    if (packet->kind_case != DESG__V1__PACKET__KIND_BATCH ||
        packet->batch->source.len != ID_BYTES) {
        log_warn("packet_unexpected", KV("from", "ingest"), KV("kind", (int)packet->kind_case));
        return;
    }
    const Desg__V1__Batch *batch = packet->batch;
    struct id source;
    memcpy(source.bytes, batch->source.data, ID_BYTES);
    answers_learn(self->answers, &source, peer);
    for (size_t first = 0; first < batch->n_items; first += LINK_BATCH_MAX_ITEMS) {
        size_t left = batch->n_items - first;
        take_portion(self, peer, batch, first,
                     left < LINK_BATCH_MAX_ITEMS ? left : LINK_BATCH_MAX_ITEMS, now_ms);
    }
}

void forwarder_ingest_down(struct forwarder *self, link_peer peer)
{
    answers_forget(self->answers, peer);
}

/* --- from route --- */

static struct lane *lane_of(struct forwarder *self, enum outlet outlet)
{
    assert(outlet == OUTLET_URGENT || outlet == OUTLET_BULK);
    return &self->lanes[outlet == OUTLET_URGENT ? URGENT : BULK];
}

void forwarder_route_packet(struct forwarder *self, enum outlet outlet, link_peer peer,
                            const Desg__V1__Packet *packet, int64_t now_ms)
{
    struct lane *lane = lane_of(self, outlet);
    const ProtobufCBinaryData *source = NULL;
    size_t events = 0;
    switch (packet->kind_case) {
    case DESG__V1__PACKET__KIND_DONE:
        source = &packet->done->source;
        events = packet->done->n_items;
        break;
    case DESG__V1__PACKET__KIND_BUSY:
        source = &packet->busy->source;
        events = packet->busy->n_items;
        break;
    case DESG__V1__PACKET__KIND_REFUSED:
        source = &packet->refused->source;
        events = packet->refused->n_positions;
        break;
    case DESG__V1__PACKET__KIND_DRAIN:
        return; /* the link grants it no more */
    default:
        log_warn("packet_unexpected", KV("from", "route"), KV("kind", (int)packet->kind_case));
        return;
    }
    self->heard_route_at_ms = now_ms;
    answers_pass(self->answers, source, packet);
    lane_answered(lane, peer, events);
    if (outlet == OUTLET_URGENT)
        note_answered(self, packet);
    if (lane->hold.count > 0)
        send_held(self);
}

void forwarder_route_up(struct forwarder *self, enum outlet outlet, link_peer peer)
{
    struct lane *lane = lane_of(self, outlet);
    lane_peer_up(lane, peer);
    if (lane->hold.count > 0)
        send_held(self);
}

void forwarder_route_down(struct forwarder *self, enum outlet outlet, link_peer peer)
{
    lane_peer_down(lane_of(self, outlet), peer); /* what it held ingest sends again */
}

/* --- from notify --- */

static bool is_named(const Desg__V1__Alerted *alerted, const struct id *alert_id)
{
    for (size_t i = 0; i < alerted->n_alert_ids; i++) {
        if (alerted->alert_ids[i].len == ID_BYTES &&
            memcmp(alerted->alert_ids[i].data, alert_id->bytes, ID_BYTES) == 0)
            return true;
    }
    return false;
}

void forwarder_notify_packet(struct forwarder *self, const Desg__V1__Packet *packet)
{
    struct lane *lane = &self->lanes[URGENT];
    if (packet->kind_case != DESG__V1__PACKET__KIND_ALERTED)
        return;
    for (struct held **link = &lane->hold.first; *link;) {
        struct held *held = *link;
        bool is_meant = held->alert_until_ms != 0 && is_named(packet->alerted, &held->alert_id);
        held->item.is_alerted |= is_meant;
        if (is_meant)
            give_back(self, lane, link, no_route_reason(lane));
        else
            link = &held->next;
    }
    answers_send_busy(self->answers, no_route_reason(lane));
    report_held(self);
}

void forwarder_notify_up(struct forwarder *self, link_peer peer)
{
    for (size_t i = 0; i < self->notify_peer_count; i++) {
        if (self->notify_peers[i] == peer)
            return; /* said Ready anew */
    }
    if (self->notify_peer_count < LANE_PEERS_MAX)
        self->notify_peers[self->notify_peer_count++] = peer;
}

void forwarder_notify_down(struct forwarder *self, link_peer peer)
{
    for (size_t i = 0; i < self->notify_peer_count; i++) {
        if (self->notify_peers[i] == peer) {
            self->notify_peers[i] = self->notify_peers[--self->notify_peer_count];
            return;
        }
    }
}

/* --- life --- */

struct forwarder *forwarder_new(const struct forwarder_options *options, struct error *err)
{
    struct forwarder *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a forwarder");
        return NULL;
    }
    self->options = *options;
    self->tally = options->tally;
    hold_init(&self->unanswered);
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &self->lanes[i];
        hold_init(&lane->hold);
        lane->outlets = &self->options.outlets;
        lane->outlet = i == URGENT ? OUTLET_URGENT : OUTLET_BULK;
        lane->number = i == URGENT ? DESG__V1__LANE__LANE_URGENT : DESG__V1__LANE__LANE_BULK;
    }
    self->answers = answers_new(options->tally, &self->options.outlets, err);
    self->portion.verdicts = malloc(VERDICTS_BYTES);
    self->decoder = event_decoder_new(err);
    if (!self->portion.verdicts)
        (void)error_set(err, ERROR_SYSTEM, "no memory for verdicts");
    if (!self->portion.verdicts || !self->decoder || !self->answers)
        forwarder_destroy(&self);
    return self;
}

void forwarder_destroy(struct forwarder **self_p)
{
    struct forwarder *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < LANES; i++)
        hold_clear(&self->lanes[i].hold);
    hold_clear(&self->unanswered);
    answers_destroy(&self->answers);
    event_decoder_destroy(&self->decoder);
    free(self->portion.verdicts);
    free(self);
    *self_p = NULL;
}

void forwarder_drain(struct forwarder *self, int64_t now_ms)
{
    self->heard_route_at_ms = now_ms;
}

bool forwarder_is_idle(const struct forwarder *self, int64_t now_ms)
{
    struct forwarder_status status;
    forwarder_status(self, &status);
    return status.held == 0 &&
           (status.in_flight == 0 || now_ms - self->heard_route_at_ms >= SILENT_ROUTE_MS);
}

void forwarder_status(const struct forwarder *self, struct forwarder_status *out)
{
    *out = (struct forwarder_status){
        .route_urgent_peers = self->lanes[URGENT].peer_count,
        .route_bulk_peers = self->lanes[BULK].peer_count,
        .notify_peers = self->notify_peer_count,
        .held = self->lanes[URGENT].hold.count + self->lanes[BULK].hold.count,
        .in_flight = lane_in_flight(&self->lanes[URGENT]) + lane_in_flight(&self->lanes[BULK]),
    };
}
