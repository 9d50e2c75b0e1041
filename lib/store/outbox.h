/* outbox - Redis's part of what goes out: items waiting at their places, who owns a place, whether
 * an item may be sent at this moment, what became of it, broadcasts, the freeze. Keys are listed in
 * store/README.md. Threads and errors as in store.h.
 *
 * The way of an item: a decision at the desk (store_outward_decide) or an event (desg_apply: a
 * receipt) puts it into the stream of its place. The replica of notify that owns the place reads
 * it, journals it, asks store_item_begin before each call to the platform, and says what became of
 * it with store_item_state. It leaves the stream (store_outbox_done) only when nothing more will be
 * done: whoever owns the place next finds what the one before left. */
#ifndef DESG_STORE_OUTBOX_H
#define DESG_STORE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "desg/v1/fact.pb-c.h"
#include "desg/v1/outward.pb-c.h"
#include "store/store.h"

enum { STORE_PLACE_BYTES = 160 }; /* "facebook:<account>", "outlet:<name>" with its NUL */

/* --- places: one replica at a time --- */

/* Where answers of this account wait: "facebook:108800000000001". */
void store_place_of(const char *channel, const char *account, char out[static STORE_PLACE_BYTES]);

struct store_owner {
    bool is_ours;
    uint64_t fence; /* rises with each change of owner; of the owner that is */
    char name[64];  /* who owns it */
};
/* Takes the place or prolongs our lease of it by lease_ms (Redis's clock). */
int store_place_take(struct store *self, const char *place, const char *name, uint32_t lease_ms,
                     struct store_owner *out, struct error *err) MUST_USE;
/* Gives it up at once, so that another need not wait (drain). */
int store_place_leave(struct store *self, const char *place, const char *name,
                      struct error *err) MUST_USE;

/* --- items --- */

struct store_item {
    char stream_id[32]; /* for store_outbox_done */
    uint8_t *bytes;     /* serialised Desg__V1__OutboxItem */
    size_t length;
    bool is_again; /* was handed out before: to us earlier, or to an owner before us */
};
/* Items of place, oldest first: those handed out before (cursor "0": from the first; it moves on)
 * and, once those are through (*cursor is ">"), new ones. None for who does not own the place.
 * Begin at "0" with each new fence; after an error cursor is "0" again (what the lost answer held
 * is found there). The same item may come under two stream ids: go by its own. */
int store_outbox_read(struct store *self, const char *place, const char *name, char cursor[32],
                      struct store_item *out, size_t max, size_t *count,
                      struct error *err) MUST_USE;
void store_items_clear(struct store_item *items, size_t count);
int store_outbox_done(struct store *self, const char *place, const char *const *stream_ids,
                      size_t count, struct error *err) MUST_USE;

enum store_begin {
    STORE_BEGIN_NOW,       /* written down as being sent: call the platform */
    STORE_BEGIN_NOT_OWNER, /* somebody else owns the place */
    STORE_BEGIN_FROZEN,    /* until until_ms */
    STORE_BEGIN_STALE,     /* the conversation changed hands, or something newer came: reason */
    STORE_BEGIN_CANCELLED, /* the broadcast was cancelled, or a later version has taken its place */
    STORE_BEGIN_STARTED,   /* this part was begun before and its outcome is not known: look first */
    STORE_BEGIN_OVER       /* this part was sent, or the item has ended */
};
struct store_begin_answer {
    enum store_begin begin;
    int64_t until_ms;          /* FROZEN */
    int64_t last_person_at_ms; /* reply: when the person last wrote, by the platform's clock */
    int64_t at_ms;    /* NOW: for SendIntent.at_ms. NOW, STARTED, STALE, CANCELLED: results of
                         the item are dated no earlier, or a clock that is behind makes an
                         answered intent look open */
    char reason[160]; /* STALE: what changed, ids and names of agents only */
    char history[STORE_HISTORY_BYTES];
};
struct store_begin_ask {
    const Desg__V1__OutboxItem *item;
    uint32_t part, parts;
    uint64_t owner_fence;
    uint8_t body_hash[32];
};
/* One step: owner, over, begun before, claim fence and last event (replies), cancelled or overtaken
 * (broadcasts), freeze (not for replies, nor for what takes a broadcast back). All well: the intent
 * is in Redis. FROZEN for a second at a time while Redis is being rebuilt and what another journal
 * knows of the item may not be there yet. After LATER: apply the result (store_outward_apply)
 * before beginning again, the projector's own turn may come after it. */
int store_item_begin(struct store *self, const struct store_begin_ask *ask,
                     struct store_begin_answer *out, struct error *err) MUST_USE;

/* In an emptied Redis what comes back from desk's journal alone waits as unknown: who sent it may
 * be gone. Once all sources (of notify's journals, as the caller has known them since since_ms)
 * have told theirs, what none of them has goes to its place. Does nothing where Redis is older. */
int store_items_find(struct store *self, int64_t since_ms, const char *const *sources, size_t count,
                     size_t *found, struct error *err) MUST_USE;

/* What became of an item, from notify's journal: accepted, intent, result, settled. In any order,
 * any number of times. Also ties what a platform calls the post to the item, so that echoes and
 * comments find it. 0: all are in Redis under history. */
int store_outward_apply(struct store *self, const Desg__V1__OutwardFact *const *facts, size_t count,
                        const char *name, char history[static STORE_HISTORY_BYTES],
                        struct error *err) MUST_USE;

/* {"item","place","kind","state" (queued, sending, later, unknown, sent, refused, blocked,
 * settled), "conversation" or "broadcast"+"version"+"action", "at_ms", "again_at_ms", "parts",
 * "parts_sent", "object_ids":[…], "error", "code", "owner", "echo": {"part": object id}, "outcome":
 * delivered, read …}. No text. *out NULL: unknown item. */
int store_item_get(struct store *self, const struct id *item, json_t **out,
                   struct error *err) MUST_USE;
/* Items that wait for a person: state "unknown" (since when), or "task" (refused, blocked, Welsh
 * owed; where there are too many of both, half of the room for each, of an odd one the Welsh has
 * the rest). Oldest first. */
int store_items_waiting(struct store *self, const char *state, size_t limit, json_t **out,
                        struct error *err) MUST_USE;
/* A part's own mark came back through the platform: *object_id filled, "" if it has not. */
int store_item_echo(struct store *self, const struct id *item, uint32_t part, char *object_id,
                    size_t bytes, struct error *err) MUST_USE;
/* {"place":{"owner","waiting","oldest_ms","blocked"}} */
int store_places(struct store *self, json_t **out, struct error *err) MUST_USE;
/* What a person settled since (stream cursor; "0": from the start): SendSettled facts for notify.
 */
int store_settled_read(struct store *self, char cursor[32], Desg__V1__SendSettled **out, size_t max,
                       size_t *count, struct error *err) MUST_USE;

/* --- what people decide --- */

/* replied, drafted, approved, published, cancelled, frozen, settled: checked and applied live, as
 * store_fact_decide. A reply needs claim and fence; its item is filled up (addressed from the event
 * answered) in done->fact. A draft with an id is an update: its version is set. ERROR_INVALID:
 * refused, with what to do. needs_second: an approval by the author of the version is refused. */
int store_outward_decide(struct store *self, const Desg__V1__Fact *fact, bool needs_second,
                         struct store_fact_done *done, struct error *err) MUST_USE;

/* {"broadcast","version","state","author","approved_by","published_at_ms","rows":[{"outlet",
 * "version","action","state","object_ids","error","at_ms"}…],"versions":n,"replies":n} and "bytes":
 * base64 of the newest version's Broadcast. *out NULL: no such one. */
int store_broadcast_get(struct store *self, const struct id *broadcast, json_t **out,
                        struct error *err) MUST_USE;
/* Newest first; state NULL: all. */
int store_broadcasts(struct store *self, const char *state, size_t limit, json_t **out,
                     struct error *err) MUST_USE;
/* Published ones, not over for longer than keep_ms, for feeds and snapshots: serialised
 * BroadcastNews each (free() each and the array), with epoch and sequence of the last change. */
struct store_news {
    uint8_t epoch[16];
    uint64_t sequence;
    struct store_bytes {
        uint8_t *bytes;
        size_t length;
    } * rows;
    size_t count;
};
int store_broadcast_news(struct store *self, int64_t keep_ms, struct store_news *out,
                         struct error *err) MUST_USE;
void store_news_clear(struct store_news *news);
/* Only the two numbers: cheap, to see whether anything changed. */
int store_broadcast_sequence(struct store *self, uint8_t epoch[16], uint64_t *sequence,
                             struct error *err) MUST_USE;
/* Time passes: scheduled broadcasts whose time has come are published (unless frozen), those past
 * their expiry end. To be called every second or so by whoever notifies; *changed may be NULL. */
int store_broadcasts_sweep(struct store *self, int64_t now_ms, size_t *changed,
                           struct error *err) MUST_USE;
/* {"until_ms","reason","by","except":[…]}; *out NULL: not frozen. */
int store_freeze_get(struct store *self, json_t **out, struct error *err) MUST_USE;
/* A reference number as people quote it → its conversation. ERROR_INVALID: unknown. */
int store_reference(struct store *self, const char *reference, struct id *conversation,
                    struct error *err) MUST_USE;

#endif
