/* outbox_places - Redis, for what goes out, in a thread and on a connection of its own: who owns a
 * place, what waits there, what a person said of it, and the questions asked before each call. It
 * knows places by their number in the list it was given; what it hears it says through the sinks,
 * on its thread. Redis away: the questions are answered so, and no lease is prolonged. */
#ifndef DESG_NOTIFY_OUTBOX_PLACES_H
#define DESG_NOTIFY_OUTBOX_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "desg/v1/outward.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "service/service.h"
#include "store/outbox.h"

enum { OUTBOX_PLACES_MAX = 256, OUTBOX_OWNER_BYTES = 64 };

enum outbox_question {
    OUTBOX_ASK_BEGIN, /* may it be sent now? */
    OUTBOX_ASK_ITEM,  /* what is known of it? */
    OUTBOX_ASK_ECHO,  /* has its mark come back? */
    OUTBOX_ASK_POSTED /* what was posted of its broadcast at this outlet before? */
};

/* Filled by the caller, handed over, handed back with the answer. */
struct outbox_ask {
    enum outbox_question question;
    struct id item;
    uint32_t part;
    Desg__V1__OutboxItem *what; /* BEGIN: a copy of the ask's own */
    struct store_begin_ask begin;
    struct id broadcast; /* POSTED */
    char outlet[64];
    /* On the places' thread, exactly once; the ask is the caller's again. */
    void (*done)(void *arg, struct outbox_ask *ask);
    void *arg;
    /* The answer. */
    bool is_answered; /* false: Redis is away, or it failed: the outcome of BEGIN is open */
    bool is_refused;  /* it was not away: it does not take this question */
    struct store_begin_answer begun;
    json_t *row; /* ITEM, POSTED: NULL: Redis does not know it */
    char object_id[256];
    struct outbox_ask *next; /* places' own */
};
void outbox_ask_clear(struct outbox_ask *ask);

struct outbox_places_sinks {
    /* until_ms: monotonic, by our clock, counted from before Redis was asked. */
    void (*owned)(void *arg, size_t place, uint64_t fence, int64_t until_ms);
    void (*lost)(void *arg, size_t place);
    void (*item)(void *arg, size_t place, const char *stream_id, const uint8_t *bytes,
                 size_t length);
    void (*read_through)(void *arg, size_t place);
    void (*settled)(void *arg, const Desg__V1__SendSettled *settled);
    /* A place with items that nobody here is configured for, for a minute: it is the caller's turn
     * to call outbox_places_add. */
    void (*stray)(void *arg, const char *name);
    void *arg;
};

struct outbox_places_options {
    struct service *service;
    const char *owner; /* unlike any other replica's, and any other journal's */
    uint32_t lease_ms;
    const char *directory; /* who else sends is kept there; outlives this */
    struct outbox_places_sinks sinks;
};

struct outbox_places;
struct outbox_places *outbox_places_new(const struct outbox_places_options *options,
                                        struct error *err) MUST_USE;
/* Before outbox_places_start: the configured ones; later strays. Any thread. Returns the number. */
size_t outbox_places_add(struct outbox_places *self, const char *name);
int outbox_places_start(struct outbox_places *self, struct error *err) MUST_USE;
/* Gives the places up, ends the thread; questions left are answered as not. */
void outbox_places_destroy(struct outbox_places **self_p);

/* Any thread. */
void outbox_places_ask(struct outbox_places *self, struct outbox_ask *ask);
/* Nothing more will be done for an item: its entry leaves the stream. */
void outbox_places_done(struct outbox_places *self, size_t place, const char *stream_id);
/* Takes no more; is_leaving: gives the places up. */
void outbox_places_drain(struct outbox_places *self, bool is_leaving);
/* ready, away, refused; and why. */
const char *outbox_places_condition(struct outbox_places *self, char *problem,
                                    size_t problem_bytes);

#endif
