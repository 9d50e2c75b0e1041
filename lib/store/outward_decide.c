/* What people decide of what goes out, live. A reply is addressed from the event it answers, a
 * draft gets its version: both are looked up first, and refused by the deciding call if something
 * came in between. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "store/call.h"
#include "store/outward_facts.h"
#include "unpack/unpack.h"

enum { DRAFT_TRIES = 4 };

static void free_fact(Desg__V1__Fact **fact_p)
{
    if (*fact_p)
        desg__v1__fact__free_unpacked(*fact_p, NULL);
    *fact_p = NULL;
}

static void free_event(Desg__V1__Event **event_p)
{
    if (*event_p)
        desg__v1__event__free_unpacked(*event_p, NULL);
    *event_p = NULL;
}

/* The serialised fact that stands, with the time that the function gave it. */
static int hand_over(struct store *self, const redisReply *reply, struct store_fact_done *done,
                     struct error *err)
{
    const redisReply *bytes = reply->element[3];
    AUTO(free_fact)
    Desg__V1__Fact *fact = bytes->type == REDIS_REPLY_STRING
                               ? desg__v1__fact__unpack(NULL, bytes->len, (uint8_t *)bytes->str)
                               : NULL;
    if (!fact)
        return store_lose(self, err, "function outward_decide answered no fact");
    fact->at_ms = strtoll(store_text(reply->element[2]), NULL, 10);
    done->is_repeat = strcmp(store_text(reply->element[1]), "repeat") == 0;
    done->fact = malloc(desg__v1__fact__get_packed_size(fact) + 1);
    if (!done->fact)
        abort(); /* as protobuf-c does */
    done->fact_length = desg__v1__fact__pack(fact, done->fact);
    return 0;
}

struct live {
    bool needs_second;
    const ProtobufCBinaryData *last_event, *answered; /* NULL: none */
};

static int decide(struct store *self, const Desg__V1__Fact *fact, const struct live *live,
                  struct store_fact_done *done, struct error *err)
{
    const ProtobufCBinaryData none = { 0 };
    if (store_outward_check(fact, err) != 0)
        return -1;
    AUTO(call_free) struct call *call = call_new(self, "outward_decide");
    call_format(call, "%" PRId64, clock_unix_ms());
    call_text(call, live->needs_second ? "1" : "0");
    call_format(call, "%" PRIu64, fact->fence);
    call_id(call, live->last_event ? live->last_event : &none);
    call_id(call, live->answered ? live->answered : &none);
    store_outward_add(call, fact);
    AUTO(store_reply_free) redisReply *reply = call_ask(self, call, 4, err);
    return reply ? hand_over(self, reply, done, err) : -1;
}

/* --- replies --- */

static int refuse_unanswerable(const Desg__V1__Event *event, struct error *err)
{
    bool is_private_word = event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE ||
                           event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_EDIT ||
                           event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_POSTBACK;
    if (event->is_public || event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_COMMENT ||
        event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_MENTION)
        return error_set(err, ERROR_INVALID,
                         "it was said in public: answer it on the platform's own page, or ask the "
                         "person to send a private message");
    if (!is_private_word)
        return error_set(err, ERROR_INVALID,
                         "the event named is no message: name one that the person wrote");
    if (event->is_standby)
        return error_set(err, ERROR_INVALID,
                         "another app holds this thread: answer there, or take the thread over on "
                         "the platform first");
    if (strcmp(event->channel, "web") == 0 && !strchr(event->contact, '@'))
        return error_set(err, ERROR_INVALID,
                         "the form gave no e-mail address: ring, or write another way");
    if (strcmp(event->channel, "web") != 0 && event->person[0] == '\0')
        return error_set(err, ERROR_INVALID,
                         "the platform does not say who wrote it: it cannot be answered there");
    return 0;
}

/* The event to be answered, with severity and newest event of its conversation. */
static Desg__V1__Event *find_event(struct store *self, const Desg__V1__Fact *fact,
                                   const ProtobufCBinaryData *named, long long *severity,
                                   struct id *newest, struct error *err)
{
    AUTO(call_free) struct call *call = call_new(self, "answerable");
    call_id(call, &fact->conversation_id);
    call_id(call, named);
    AUTO(store_reply_free) redisReply *reply = call_ask(self, call, 5, err);
    if (!reply)
        return NULL;
    const redisReply *bytes = reply->element[2];
    AUTO(free_event)
    Desg__V1__Event *event = unpack(&desg__v1__event__descriptor, bytes->str, bytes->len, err);
    if (!event || refuse_unanswerable(event, err) != 0)
        return NULL;
    *severity = reply->element[3]->integer;
    if (id_parse(store_text(reply->element[4]), newest) != 0)
        memcpy(newest->bytes, event->id.data, ID_BYTES);
    Desg__V1__Event *found = event;
    event = NULL;
    return found;
}

static int decide_reply(struct store *self, const Desg__V1__Fact *fact,
                        struct store_fact_done *done, struct error *err)
{
    const Desg__V1__OutboxItem *given = fact->replied ? fact->replied->item : NULL;
    if (!given || given->what_case != DESG__V1__OUTBOX_ITEM__WHAT_REPLY ||
        given->reply->text[0] == '\0')
        return error_set(err, ERROR_INVALID, "a reply needs a text");
    if (fact->conversation_id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "a reply needs a conversation");
    long long severity = 0;
    struct id newest;
    AUTO(free_event)
    Desg__V1__Event *event =
        find_event(self, fact, &given->reply->event_id, &severity, &newest, err);
    if (!event)
        return -1;
    char place[STORE_PLACE_BYTES];
    store_place_of(event->channel, event->account, place);
    Desg__V1__ReplyItem reply = *given->reply;
    bool has_last = reply.last_event.len == ID_BYTES;
    reply.conversation_id = fact->conversation_id;
    reply.event_id = event->id;
    reply.channel = event->channel;
    reply.account = event->account;
    reply.person = event->person;
    reply.object_id = event->object_id;
    reply.contact = event->contact;
    reply.trace_high = event->trace_high;
    reply.trace_low = event->trace_low;
    reply.agent = fact->agent;
    reply.fence = fact->fence;
    reply.is_urgent = severity >= DESG__V1__SEVERITY__SEVERITY_URGENT;
    if (!has_last)
        reply.last_event = (ProtobufCBinaryData){ ID_BYTES, newest.bytes };
    Desg__V1__OutboxItem item = *given;
    item.id = fact->id;
    item.place = place;
    item.decided_at_ms = fact->at_ms;
    item.reply = &reply;
    Desg__V1__Replied replied = *fact->replied;
    replied.item = &item;
    Desg__V1__Fact filled = *fact;
    filled.replied = &replied;
    const struct live live = { .last_event = has_last ? &reply.last_event : NULL,
                               .answered = given->reply->event_id.len == ID_BYTES ? &reply.event_id
                                                                                  : NULL };
    return decide(self, &filled, &live, done, err);
}

/* --- drafts --- */

/* When each version was written, 0 if it cannot go out any more; the caller frees. *newest 0: there
 * is no such broadcast. */
static int find_versions(struct store *self, const ProtobufCBinaryData *id, uint32_t *newest,
                         int64_t **written, struct error *err)
{
    enum { FIRST = 3 };
    AUTO(call_free) struct call *call = call_new(self, "broadcast_versions");
    call_id(call, id);
    AUTO(store_reply_free) redisReply *reply = call_send(self, call, FIRST, NULL, err);
    if (!reply)
        return -1;
    size_t count = reply->elements - FIRST;
    *written = calloc(count + 1, sizeof **written);
    if (!*written)
        abort(); /* as protobuf-c does */
    for (size_t i = 0; i < count; i++)
        (*written)[i] = strtoll(store_text(reply->element[FIRST + i]), NULL, 10);
    *newest = (uint32_t)count;
    return 0;
}

static int decide_version(struct store *self, const Desg__V1__Fact *fact,
                          struct store_fact_done *done, struct error *err)
{
    bool is_update = fact->drafted->broadcast->id.len == ID_BYTES &&
                     memcmp(fact->drafted->broadcast->id.data, fact->id.data, ID_BYTES) != 0;
    const struct live live = { 0 };
    Desg__V1__Broadcast broadcast = *fact->drafted->broadcast;
    Desg__V1__Drafted drafted = *fact->drafted;
    Desg__V1__Fact filled = *fact;
    uint32_t newest = 0;
    int64_t *written = NULL;
    if (!is_update)
        broadcast.id = fact->id;
    if (find_versions(self, &broadcast.id, &newest, &written, err) != 0)
        return -1;
    broadcast.version = newest + 1;
    broadcast.n_earlier_ms = newest;
    broadcast.earlier_ms = written;
    broadcast.author = fact->agent;
    broadcast.written_at_ms = fact->at_ms;
    drafted.broadcast = &broadcast;
    filled.drafted = &drafted;
    int rc = is_update && newest == 0 ? error_set(err, ERROR_INVALID, "there is no such broadcast")
                                      : decide(self, &filled, &live, done, err);
    free(written);
    return rc;
}

/* Another version may be drafted between the look and the decision. */
static int decide_draft(struct store *self, const Desg__V1__Fact *fact,
                        struct store_fact_done *done, struct error *err)
{
    if (!fact->drafted || !fact->drafted->broadcast)
        return error_set(err, ERROR_INVALID, "a draft without a broadcast");
    for (int i = 0; i < DRAFT_TRIES; i++) {
        if (decide_version(self, fact, done, err) == 0)
            return 0;
        if (err->kind != ERROR_INVALID || strcmp(err->text, "again") != 0)
            return -1;
    }
    return error_set(err, ERROR_UNAVAILABLE, "other versions are being drafted: try again");
}

int store_outward_decide(struct store *self, const Desg__V1__Fact *fact, bool needs_second,
                         struct store_fact_done *done, struct error *err)
{
    assert(self && fact && done);
    if (!store_outward_word(fact) || fact->id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "a fact without id, or not about what goes out");
    if (fact->what_case == DESG__V1__FACT__WHAT_REPLIED)
        return decide_reply(self, fact, done, err);
    if (fact->what_case == DESG__V1__FACT__WHAT_DRAFTED)
        return decide_draft(self, fact, done, err);
    const struct live live = { .needs_second = needs_second };
    return decide(self, fact, &live, done, err);
}
