/* The book as it was, from the journal. */
#include <stdlib.h>
#include <string.h>

#include "notify/outbox_book.h"
#include "notify/outbox_book_inside.h"
#include "unpack/unpack.h"

static struct outbox_item *item_of(const struct outbox_book *self, const ProtobufCBinaryData *bytes)
{
    struct id id;
    if (bytes->len != ID_BYTES)
        return NULL;
    memcpy(id.bytes, bytes->data, ID_BYTES);
    return outbox_book_find(self, &id);
}

static void stamp(struct outbox_item *item, int64_t at_unix_ms)
{
    if (item->stamp_unix_ms < at_unix_ms)
        item->stamp_unix_ms = at_unix_ms;
}

static struct outbox_place *place_of(struct outbox_book *self, const char *name, int64_t now_ms)
{
    struct outbox_place *place = outbox_book_place(self, name);
    if (place)
        return place;
    const struct outbox_place_options options = {
        .name = name, .refuse = "not configured", .per_minute = 60, .calls_max = 1
    };
    return outbox_book_add_place(self, &options, now_ms);
}

static void replay_accepted(struct outbox_book *self, const Desg__V1__OutboxItem *accepted,
                            uint64_t sequence, int64_t stored_ms)
{
    struct id id;
    if (accepted->id.len != ID_BYTES)
        return;
    memcpy(id.bytes, accepted->id.data, ID_BYTES);
    struct outbox_item *item = outbox_book_find(self, &id);
    if (item) { /* written again further up */
        item->sequence = item->sequence ? item->sequence : sequence;
        return;
    }
    item = book_add(self, &id);
    item->what = unpack_copy(&accepted->base);
    item->place = place_of(self, accepted->place, stored_ms);
    item->stage = OUTBOX_PREPARE;
    item->taken_ms = stored_ms;
    item->is_stored = true;
    item->sequence = sequence;
    book_describe(item);
    book_list(item);
}

static void replay_intent(struct outbox_item *item, const Desg__V1__SendIntent *intent,
                          int64_t stored_ms)
{
    if (intent->part < item->part)
        return; /* written again: it was sent */
    if (intent->part > item->part || item->key_unix_ms == 0)
        item->key_unix_ms = intent->at_ms;
    item->part = intent->part;
    book_make_room(item, intent->parts);
    item->called_unix_ms = intent->at_ms;
    item->look_fence = intent->owner_fence;
    stamp(item, intent->at_ms);
    item->is_open = true;
    item->stage = OUTBOX_LOOK;
    item->is_recheck = false;
    item->unknown_ms = stored_ms;
}

/* It was over, and a person wanted it again. What it says is not kept: Redis shows it once more. */
static void replay_revived(struct outbox_item *item, int64_t at_unix_ms, bool is_open)
{
    item->is_open = is_open;
    if (is_open)
        item->called_unix_ms = at_unix_ms;
    stamp(item, at_unix_ms);
}

static void replay_sent(struct outbox_item *item, const Desg__V1__SendResult *result)
{
    book_make_room(item, result->part + 1 > item->parts ? result->part + 1 : item->parts);
    book_copy(item->objects[result->part], sizeof item->objects[0], result->object_id);
    item->receipt_unix_ms = result->at_ms;
    item->is_open = false;
    item->part = result->part + 1;
    item->key_unix_ms = 0;
    item->stage = OUTBOX_PREPARE;
}

static void replay_result(struct outbox_book *self, struct outbox_item *item,
                          const Desg__V1__SendResult *result, uint64_t sequence, int64_t stored_ms)
{
    if (result->part < item->part && !result->is_last)
        return;
    if (result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT) {
        replay_sent(item, result);
    } else if (result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN) {
        item->stage = OUTBOX_HOLD;
        item->is_open = true;
        item->is_recheck = false;
    } else {
        item->is_open = false;
        item->stage = OUTBOX_PREPARE;
    }
    stamp(item, result->at_ms);
    book_copy(item->error, sizeof item->error, result->error);
    item->http_status = result->http_status;
    item->code = result->code;
    if (result->is_last) {
        item->told_sequence = sequence;
        book_end(self, item, stored_ms);
    }
}

static void replay_settled(struct outbox_book *self, struct outbox_item *item,
                           const Desg__V1__SendSettled *settled, int64_t stored_ms)
{
    if (settled->at_ms > item->settled_unix_ms)
        item->settled_unix_ms = settled->at_ms;
    stamp(item, settled->at_ms);
    if (settled->as == DESG__V1__SETTLED_AS__SETTLED_AS_BY_HAND) {
        book_end(self, item, stored_ms);
    } else if (item->is_open) {
        item->is_recheck = true;
        item->stage = OUTBOX_PREPARE;
    }
}

void outbox_book_replay(struct outbox_book *self, const Desg__V1__OutwardFact *fact,
                        uint64_t sequence, int64_t stored_ms)
{
    struct outbox_item *item = NULL;
    switch (fact->fact_case) {
    case DESG__V1__OUTWARD_FACT__FACT_ACCEPTED:
        replay_accepted(self, fact->accepted, sequence, stored_ms);
        break;
    case DESG__V1__OUTWARD_FACT__FACT_INTENT:
        item = item_of(self, &fact->intent->item_id);
        if (item && item->stage != OUTBOX_OVER)
            replay_intent(item, fact->intent, stored_ms);
        else if (item)
            replay_revived(item, fact->intent->at_ms, true);
        break;
    case DESG__V1__OUTWARD_FACT__FACT_RESULT:
        item = item_of(self, &fact->result->item_id);
        if (item && item->stage != OUTBOX_OVER)
            replay_result(self, item, fact->result, sequence, stored_ms);
        else if (item)
            replay_revived(item, fact->result->at_ms,
                           fact->result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN);
        break;
    case DESG__V1__OUTWARD_FACT__FACT_SETTLED:
        item = item_of(self, &fact->settled->item_id);
        if (item && item->stage != OUTBOX_OVER)
            replay_settled(self, item, fact->settled, stored_ms);
        break;
    default:
        break; /* of a later version: kept, passed over */
    }
}
