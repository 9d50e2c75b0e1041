/* outgoing - invented facts for tests of store: what people decide of what goes out, and what
 * notify says of it. */
#ifndef DESG_TEST_OUTGOING_H
#define DESG_TEST_OUTGOING_H

#include "ids/ids.h"
#include "store/outbox.h"
#include "store/store.h"

enum { OUTGOING_OUTLETS_MAX = 4 };

/* Points into itself: it does not move. */
struct outgoing {
    Desg__V1__Fact fact;
    struct id id, conversation, subject, event, last_event;
    Desg__V1__Replied replied;
    Desg__V1__OutboxItem item;
    Desg__V1__ReplyItem reply;
    Desg__V1__Drafted drafted;
    Desg__V1__Broadcast broadcast;
    Desg__V1__BroadcastText en, cy;
    Desg__V1__WelshOwed owed;
    Desg__V1__Approved approved;
    Desg__V1__Published published;
    Desg__V1__Cancelled cancelled;
    Desg__V1__Frozen frozen;
    Desg__V1__Settled settled;
    char *outlets[OUTGOING_OUTLETS_MAX];
    char *except[1];
};

/* Fact number of agent at at_ms; then one of those below. */
void outgoing_init(struct outgoing *self, unsigned number, const char *agent, int64_t at_ms);
void outgoing_reply(struct outgoing *self, const struct id *conversation, uint64_t fence,
                    const struct id *last_event, const struct id *event);
/* A road closure at outlets page and x, from at_ms for two hours, in both languages. */
void outgoing_draft(struct outgoing *self, const struct id *update_of);
void outgoing_approve(struct outgoing *self, const struct id *broadcast, uint32_t version);
void outgoing_publish(struct outgoing *self, const struct id *broadcast, uint32_t version);
void outgoing_cancel(struct outgoing *self, const struct id *broadcast);
void outgoing_freeze(struct outgoing *self, int64_t until_ms, const char *except);
void outgoing_settle(struct outgoing *self, const struct id *item, Desg__V1__SettledAs as);

/* What notify says. */
struct said {
    Desg__V1__OutwardFact fact;
    Desg__V1__SendIntent intent;
    Desg__V1__SendResult result;
    Desg__V1__SendSettled settled;
    struct id item;
};
void said_intent(struct said *self, const struct id *item, uint32_t part, uint32_t parts,
                 int64_t at_ms);
void said_result(struct said *self, const struct id *item, uint32_t part,
                 Desg__V1__SendOutcome outcome, int64_t at_ms, const char *object_id, bool is_last);

#endif
