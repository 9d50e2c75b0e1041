#include "decision.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "sample.h"

void decision_init(struct decision *self, unsigned number, const struct id *conversation,
                   int64_t at_ms)
{
    memset(self, 0, sizeof *self);
    desg__v1__fact__init(&self->fact);
    desg__v1__closed__init(&self->closed);
    desg__v1__graded__init(&self->graded);
    desg__v1__noted__init(&self->noted);
    desg__v1__alert_taken__init(&self->taken);
    desg__v1__quarantine_taken__init(&self->removed);
    desg__v1__language_wish__init(&self->wish);
    self->id = sample_id("fa", number, 0);
    self->fact.id = (ProtobufCBinaryData){ ID_BYTES, self->id.bytes };
    self->fact.agent = (char *)"agent-1";
    self->fact.at_ms = at_ms;
    if (!conversation)
        return;
    self->conversation = *conversation;
    self->fact.conversation_id = (ProtobufCBinaryData){ ID_BYTES, self->conversation.bytes };
}

void decision_close(struct decision *self)
{
    self->fact.what_case = DESG__V1__FACT__WHAT_CLOSED;
    self->fact.closed = &self->closed;
    self->closed.reason = (char *)"answered";
    self->closed.covered = self->list;
}

int decision_close_now(struct store *store, const char *agent, const struct id *conversation,
                       uint64_t fence, const struct id *last_event, struct error *err)
{
    struct decision close;
    struct store_fact_done done;
    decision_init(&close, 0, conversation, clock_unix_ms());
    close.id = id_random();
    close.fact.agent = (char *)agent;
    close.fact.fence = fence;
    decision_close(&close);
    if (store_fact_decide(store, &close.fact, last_event, &done, err) != 0)
        return -1;
    free(done.fact);
    return 0;
}

void decision_grade(struct decision *self, Desg__V1__Severity severity)
{
    self->fact.what_case = DESG__V1__FACT__WHAT_GRADED;
    self->fact.graded = &self->graded;
    self->graded.severity = severity;
    self->graded.reason = (char *)"invented reason";
    self->graded.covered = self->list;
}

void decision_note(struct decision *self)
{
    self->fact.what_case = DESG__V1__FACT__WHAT_NOTED;
    self->fact.noted = &self->noted;
    self->noted.text = (char *)"rang back";
}

void decision_wish(struct decision *self, Desg__V1__Language language)
{
    self->fact.what_case = DESG__V1__FACT__WHAT_LANGUAGE_WISH;
    self->fact.language_wish = &self->wish;
    self->wish.language = language;
}

void decision_take_alert(struct decision *self, const struct id *event)
{
    self->fact.what_case = DESG__V1__FACT__WHAT_ALERT_TAKEN;
    self->fact.alert_taken = &self->taken;
    self->alert = id_of_alert(event->bytes);
    self->taken.alert_id = (ProtobufCBinaryData){ ID_BYTES, self->alert.bytes };
    self->taken.dispatcher = (char *)"d-7";
    self->taken.log_number = (char *)"2026-118";
}

void decision_take_out(struct decision *self, const struct id *event)
{
    self->fact.what_case = DESG__V1__FACT__WHAT_QUARANTINE_TAKEN;
    self->fact.quarantine_taken = &self->removed;
    self->event = *event;
    self->removed.event_id = (ProtobufCBinaryData){ ID_BYTES, self->event.bytes };
}

void decision_cover(struct decision *self, const struct id *event, Desg__V1__Severity severity)
{
    bool is_close = self->fact.what_case == DESG__V1__FACT__WHAT_CLOSED;
    size_t *count = is_close ? &self->closed.n_covered : &self->graded.n_covered;
    assert(*count < DECISION_COVERED_MAX);
    size_t at = (*count)++;
    self->covered_ids[at] = *event;
    desg__v1__covered__init(&self->covered[at]);
    self->covered[at].event_id = (ProtobufCBinaryData){ ID_BYTES, self->covered_ids[at].bytes };
    self->covered[at].severity = severity;
    self->list[at] = &self->covered[at];
}
