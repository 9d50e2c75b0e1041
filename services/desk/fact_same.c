/* Is a fact what a request asks for? A key is for one change: with another body it must not be
 * answered with what was stored for the first. */
#include <string.h>

#include "desk/api.h"

static bool is_same_id(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* What the function finds out by itself (time, what is covered, which conversation) may differ. */
bool fact_is_same(const Desg__V1__Fact *asked, const Desg__V1__Fact *stored)
{
    if (asked->what_case != stored->what_case)
        return false;
    if (asked->conversation_id.len > 0 &&
        !is_same_id(&asked->conversation_id, &stored->conversation_id))
        return false;
    switch (asked->what_case) {
    case DESG__V1__FACT__WHAT_CLOSED:
        return asked->fence == stored->fence &&
               strcmp(asked->closed->reason, stored->closed->reason) == 0;
    case DESG__V1__FACT__WHAT_GRADED:
        return asked->fence == stored->fence &&
               asked->graded->severity == stored->graded->severity &&
               strcmp(asked->graded->reason, stored->graded->reason) == 0;
    case DESG__V1__FACT__WHAT_NOTED:
        return strcmp(asked->noted->text, stored->noted->text) == 0;
    case DESG__V1__FACT__WHAT_ALERT_TAKEN:
        return is_same_id(&asked->alert_taken->alert_id, &stored->alert_taken->alert_id) &&
               strcmp(asked->alert_taken->dispatcher, stored->alert_taken->dispatcher) == 0 &&
               strcmp(asked->alert_taken->log_number, stored->alert_taken->log_number) == 0;
    case DESG__V1__FACT__WHAT_RELEASED:
        return asked->fence == stored->fence;
    case DESG__V1__FACT__WHAT_QUARANTINE_TAKEN:
        return is_same_id(&asked->quarantine_taken->event_id, &stored->quarantine_taken->event_id);
    default: /* a claim: which one it got is in its answer */
        return true;
    }
}
