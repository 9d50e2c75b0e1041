/* feed_book - what the feed knows: broadcasts in force and what was said of them before. Pure but
 * for memory, whose want ends the program. Threads: a book belongs to one. */
#ifndef DESG_NOTIFY_FEED_BOOK_H
#define DESG_NOTIFY_FEED_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "error/error.h"
#include "store/outbox.h"

enum { FEED_BOOK_MAX = 500, FEED_BOOK_EARLIER_MAX = 1000, FEED_REBUILD_MS = 600000 };

struct feed_book {
    uint8_t epoch[16];
    uint64_t sequence;
    int64_t read_at_ms;             /* from Redis, Unix; 0: never */
    int64_t epoch_since_ms;         /* we first saw it */
    Desg__V1__BroadcastNews **news; /* newest first */
    size_t count;
    Desg__V1__BroadcastNews **earlier; /* versions since replaced, in any order */
    size_t earlier_count;
};

void feed_book_clear(struct feed_book *self);

struct feed_book_rules {
    const char *outlet; /* only what goes there; NULL: all */
    int64_t keep_ms;    /* what is over stays so long */
};
/* Redis's answer. A broadcast never goes back: the higher version stays, and what is over stays
 * over. While an emptied Redis fills again (another epoch, FEED_REBUILD_MS) what is missing there
 * stays, too. Returns how many rows could not be read. */
size_t feed_book_take(struct feed_book *self, const struct store_news *news,
                      const struct feed_book_rules *rules, int64_t now_ms);
/* Without Redis: drops what has been over for longer than keep_ms by our clock. True: something was
 * dropped. */
bool feed_book_age(struct feed_book *self, int64_t keep_ms, int64_t now_ms);

/* A serialised desg.v1.Snapshot of what is in force; freed by the caller. */
uint8_t *feed_book_snapshot(const struct feed_book *self, size_t *length);

/* All of it as bytes, and back. ERROR_INVALID: they are none; *out is untouched. */
uint8_t *feed_book_pack(const struct feed_book *self, size_t *length);
int feed_book_unpack(const uint8_t *bytes, size_t length, struct feed_book *out,
                     struct error *err) MUST_USE;

/* For all who may read it: takes away author, incident, outlets, who owes the Welsh; of an appeal
 * that is over also whom it named and where. */
void feed_book_make_public(Desg__V1__BroadcastNews *news);

#endif
