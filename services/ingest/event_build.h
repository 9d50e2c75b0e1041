/* event_build - the desk where adapters put together what a delivery says: one builder per split
 * collects finished events (ids made, strings bounded, serialised) and counts what opens no work.
 * All memory belongs to the split. Threads: a builder belongs to one. */
#ifndef DESG_INGEST_EVENT_BUILD_H
#define DESG_INGEST_EVENT_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "ids/trace.h"
#include "ingest/split.h"

/* What a platform tells that opens no work and that no agent needs to see. */
enum non_event {
    NON_EVENT_DELIVERY,   /* our message reached a device */
    NON_EVENT_TYPING,     /* somebody types */
    NON_EVENT_STATUS,     /* sent, delivered, played, deleted */
    NON_EVENT_OWN_POST,   /* the force's own public post or comment */
    NON_EVENT_LIKE,       /* public reaction to a post */
    NON_EVENT_FOLLOW,     /* follows, blocks, mutes */
    NON_EVENT_REPOST,     /* somebody repeated a post */
    NON_EVENT_MODERATION, /* a comment was hidden or shown */
    NON_EVENT_CONTEXT,    /* referral, opt-in, account linking, payment: no words of a person */
    NON_EVENT_EMPTY,      /* an envelope with nothing in it */
    NON_EVENT_COUNT
};
const char *non_event_name(enum non_event kind);

enum {
    EVENTS_MAX = 4096, /* of one delivery; the rest is one UNREADABLE event that says so */
    EVENT_TEXT_MAX_BYTES = 256 << 10,
    EVENT_FIELD_MAX_BYTES = 4 << 10,
    EVENT_RAW_MAX_BYTES = 16 << 10,
    EVENT_ATTACHMENTS_MAX = 64
};

struct builder;

/* Shorter names for the generated ones. */
typedef Desg__V1__Event event_message;
typedef Desg__V1__Attachment attachment_message;
#define KIND(name)        DESG__V1__EVENT_KIND__EVENT_KIND_##name
#define EVENT_EMPTY       (event_message) DESG__V1__EVENT__INIT
#define ATTACHMENT_EMPTY  (attachment_message) DESG__V1__ATTACHMENT__INIT
#define TEXT_FIELD(value) ((char *)(value)) /* protobuf-c has no const; nothing writes to it */

/* An event being put together. Pointers are borrowed until builder_add returns. */
struct draft {
    event_message event;
    const char *id_object;  /* what the event's id is made over; NULL: event.object_id, and if that
                               is  empty too, the canonical form of fragment */
    const char *scope;      /* of the conversation: the post of a comment; NULL: private */
    const json_t *fragment; /* what it was made from; goes into raw of an UNKNOWN one */
    attachment_message attachments[EVENT_ATTACHMENTS_MAX];
    attachment_message *attachment_list[EVENT_ATTACHMENTS_MAX];
};

struct builder *builder_new(const struct id_key *key, int64_t received_at_ms);
/* What the delivery is known by from hop to hop; later events carry it. */
void builder_trace(struct builder *self, struct trace trace);
/* Hands the events over to out and frees the builder. */
void builder_finish(struct builder **self_p, struct split *out);

/* The account later events belong to. channel is a literal. */
void builder_account(struct builder *self, const char *channel, const char *account);
const char *builder_channel(const struct builder *self);
const char *builder_account_id(const struct builder *self);

/* Starts a draft of kind on the builder's channel and account, made from fragment. */
void draft_start(struct draft *draft, struct builder *builder, Desg__V1__EventKind kind,
                 const json_t *fragment);
/* A new attachment of the draft to fill in, or NULL when it has EVENT_ATTACHMENTS_MAX. */
attachment_message *draft_attach(struct draft *draft, const char *type);

void builder_add(struct builder *self, struct draft *draft);
void builder_skip(struct builder *self, enum non_event kind);
/* An UNKNOWN event: verified, but nothing this version understands. person may be "". */
void builder_unknown(struct builder *self, const json_t *fragment, const char *raw_kind,
                     const char *person);
/* An UNREADABLE event over the raw bytes; reason becomes raw_kind. */
void builder_unreadable(struct builder *self, const uint8_t *body, size_t length,
                        const char *reason);
/* The same for bytes that are gone: id over what. */
void builder_lost(struct builder *self, const char *what, const char *reason);

uint64_t builder_skipped(const struct builder *self, enum non_event kind);
bool builder_is_overflowing(const struct builder *self);

/* text if it is a mark of ours (desk:<item id>/<part>), else "". */
const char *outward_ref(const char *text);

/* Text that lives as long as the split. */
const char *builder_text(struct builder *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *builder_memory(struct builder *self, size_t length);

/* Reading JSON without surprises: a missing key, a wrong type or NULL gives "" (or NULL, 0, false).
 * Numbers become their exact digits. */
const char *read_text(struct builder *self, const json_t *object, const char *key);
json_t *read_object(const json_t *object, const char *key);
json_t *read_array(const json_t *object, const char *key);
bool read_true(const json_t *object, const char *key);
double read_real(const json_t *object, const char *key);
/* Milliseconds since 1970 from a number or text: milliseconds, seconds (below 10^11), ISO 8601, or
 * "Wed Feb 11 17:42:00 +0000 2026". 0: none. */
int64_t read_time_ms(const json_t *object, const char *key);

#endif
