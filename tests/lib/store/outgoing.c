#include "outgoing.h"

#include <string.h>

#include "sample.h"

static const int64_t hour_ms = 3600000;

static ProtobufCBinaryData bytes_of(struct id *id)
{
    return (ProtobufCBinaryData){ ID_BYTES, id->bytes };
}

void outgoing_init(struct outgoing *self, unsigned number, const char *agent, int64_t at_ms)
{
    memset(self, 0, sizeof *self);
    desg__v1__fact__init(&self->fact);
    self->id = sample_id("ou", number, 0);
    self->fact.id = bytes_of(&self->id);
    self->fact.agent = (char *)agent;
    self->fact.at_ms = at_ms;
}

void outgoing_reply(struct outgoing *self, const struct id *conversation, uint64_t fence,
                    const struct id *last_event, const struct id *event)
{
    desg__v1__replied__init(&self->replied);
    desg__v1__outbox_item__init(&self->item);
    desg__v1__reply_item__init(&self->reply);
    self->conversation = *conversation;
    self->fact.conversation_id = bytes_of(&self->conversation);
    self->fact.fence = fence;
    self->fact.what_case = DESG__V1__FACT__WHAT_REPLIED;
    self->fact.replied = &self->replied;
    self->replied.item = &self->item;
    self->item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    self->item.reply = &self->reply;
    self->reply.text = (char *)"we are on our way to the invented road";
    if (last_event) {
        self->last_event = *last_event;
        self->reply.last_event = bytes_of(&self->last_event);
    }
    if (event) {
        self->event = *event;
        self->reply.event_id = bytes_of(&self->event);
    }
}

void outgoing_draft(struct outgoing *self, const struct id *update_of)
{
    desg__v1__drafted__init(&self->drafted);
    desg__v1__broadcast__init(&self->broadcast);
    desg__v1__broadcast_text__init(&self->en);
    desg__v1__broadcast_text__init(&self->cy);
    desg__v1__welsh_owed__init(&self->owed);
    self->fact.what_case = DESG__V1__FACT__WHAT_DRAFTED;
    self->fact.drafted = &self->drafted;
    self->drafted.broadcast = &self->broadcast;
    if (update_of) {
        self->subject = *update_of;
        self->broadcast.id = bytes_of(&self->subject);
    }
    self->broadcast.kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE;
    self->en.headline = (char *)"Invented road closed";
    self->cy.headline = (char *)"Ffordd ddychmygol ar gau";
    self->broadcast.en = &self->en;
    self->broadcast.cy = &self->cy;
    self->broadcast.starts_at_ms = self->fact.at_ms;
    self->broadcast.expires_at_ms = self->fact.at_ms + 2 * hour_ms;
    self->outlets[0] = (char *)"page";
    self->outlets[1] = (char *)"x";
    self->broadcast.outlets = self->outlets;
    self->broadcast.n_outlets = 2;
}

void outgoing_approve(struct outgoing *self, const struct id *broadcast, uint32_t version)
{
    desg__v1__approved__init(&self->approved);
    self->subject = *broadcast;
    self->approved.broadcast_id = bytes_of(&self->subject);
    self->approved.version = version;
    self->fact.what_case = DESG__V1__FACT__WHAT_APPROVED;
    self->fact.approved = &self->approved;
}

void outgoing_publish(struct outgoing *self, const struct id *broadcast, uint32_t version)
{
    desg__v1__published__init(&self->published);
    self->subject = *broadcast;
    self->published.broadcast_id = bytes_of(&self->subject);
    self->published.version = version;
    self->fact.what_case = DESG__V1__FACT__WHAT_PUBLISHED;
    self->fact.published = &self->published;
}

void outgoing_cancel(struct outgoing *self, const struct id *broadcast)
{
    desg__v1__cancelled__init(&self->cancelled);
    self->subject = *broadcast;
    self->cancelled.broadcast_id = bytes_of(&self->subject);
    self->cancelled.reason = (char *)"it was another road";
    self->fact.what_case = DESG__V1__FACT__WHAT_CANCELLED;
    self->fact.cancelled = &self->cancelled;
}

void outgoing_freeze(struct outgoing *self, int64_t until_ms, const char *except)
{
    desg__v1__frozen__init(&self->frozen);
    self->frozen.until_ms = until_ms;
    self->frozen.reason = (char *)"an invented reason";
    self->except[0] = (char *)except;
    self->frozen.except = self->except;
    self->frozen.n_except = except ? 1 : 0;
    self->fact.what_case = DESG__V1__FACT__WHAT_FROZEN;
    self->fact.frozen = &self->frozen;
}

void outgoing_settle(struct outgoing *self, const struct id *item, Desg__V1__SettledAs as)
{
    desg__v1__settled__init(&self->settled);
    self->subject = *item;
    self->settled.item_id = bytes_of(&self->subject);
    self->settled.as = as;
    self->fact.what_case = DESG__V1__FACT__WHAT_SETTLED;
    self->fact.settled = &self->settled;
}

void said_intent(struct said *self, const struct id *item, uint32_t part, uint32_t parts,
                 int64_t at_ms)
{
    memset(self, 0, sizeof *self);
    desg__v1__outward_fact__init(&self->fact);
    desg__v1__send_intent__init(&self->intent);
    self->item = *item;
    self->fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_INTENT;
    self->fact.intent = &self->intent;
    self->intent.item_id = bytes_of(&self->item);
    self->intent.part = part;
    self->intent.parts = parts;
    self->intent.owner_fence = 7;
    self->intent.at_ms = at_ms;
}

void said_result(struct said *self, const struct id *item, uint32_t part,
                 Desg__V1__SendOutcome outcome, int64_t at_ms, const char *object_id, bool is_last)
{
    memset(self, 0, sizeof *self);
    desg__v1__outward_fact__init(&self->fact);
    desg__v1__send_result__init(&self->result);
    self->item = *item;
    self->fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_RESULT;
    self->fact.result = &self->result;
    self->result.item_id = bytes_of(&self->item);
    self->result.part = part;
    self->result.outcome = outcome;
    self->result.at_ms = at_ms;
    self->result.object_id = (char *)object_id;
    self->result.is_last = is_last;
    if (outcome != DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT)
        self->result.error = (char *)"invented";
}
