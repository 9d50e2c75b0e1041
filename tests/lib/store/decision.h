/* decision - invented facts for tests of store: what people decide of a conversation. */
#ifndef DESG_TEST_DECISION_H
#define DESG_TEST_DECISION_H

#include "ids/ids.h"
#include "store/store.h"

enum { DECISION_COVERED_MAX = 16 };

struct decision {
    Desg__V1__Fact fact;
    Desg__V1__Closed closed;
    Desg__V1__Graded graded;
    Desg__V1__Noted noted;
    Desg__V1__AlertTaken taken;
    Desg__V1__QuarantineTaken removed;
    Desg__V1__LanguageWish wish;
    Desg__V1__Covered covered[DECISION_COVERED_MAX];
    Desg__V1__Covered *list[DECISION_COVERED_MAX];
    struct id covered_ids[DECISION_COVERED_MAX];
    struct id id, conversation, alert, event;
};

/* Of agent-1. conversation may be NULL. A decision points into itself: it does not move. */
void decision_init(struct decision *self, unsigned number, const struct id *conversation,
                   int64_t at_ms);
void decision_close(struct decision *self);
void decision_grade(struct decision *self, Desg__V1__Severity severity);
void decision_note(struct decision *self);
/* UNSPECIFIED: taken back. */
void decision_wish(struct decision *self, Desg__V1__Language language);
void decision_take_alert(struct decision *self, const struct id *event);
/* Out of quarantine. */
void decision_take_out(struct decision *self, const struct id *event);
/* Closes under the claim, as the desk does. last_event may be NULL. */
int decision_close_now(struct store *store, const char *agent, const struct id *conversation,
                       uint64_t fence, const struct id *last_event, struct error *err) MUST_USE;
/* Adds an event to what a close or a grade covers. */
void decision_cover(struct decision *self, const struct id *event, Desg__V1__Severity severity);

#endif
