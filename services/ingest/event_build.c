#include "ingest/event_build.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "ingest/arena.h"
#include "ingest/json_repair.h"
#include "ingest/platform_time.h"

enum { OUTWARD_REF_MAX_BYTES = 63 };

static const char *const non_event_names[NON_EVENT_COUNT] = {
    [NON_EVENT_DELIVERY] = "delivery", [NON_EVENT_TYPING] = "typing",
    [NON_EVENT_STATUS] = "status",     [NON_EVENT_OWN_POST] = "own_post",
    [NON_EVENT_LIKE] = "like",         [NON_EVENT_FOLLOW] = "follow",
    [NON_EVENT_REPOST] = "repost",     [NON_EVENT_MODERATION] = "moderation",
    [NON_EVENT_CONTEXT] = "context",   [NON_EVENT_EMPTY] = "empty",
};

const char *non_event_name(enum non_event kind)
{
    return non_event_names[kind];
}

struct builder {
    const struct id_key *key;
    struct arena *arena;
    const char *channel;
    const char *account;
    int64_t received_at_ms;
    struct trace trace;
    struct split_event *events;
    size_t count, room;
    uint64_t skipped[NON_EVENT_COUNT];
    bool is_overflowing;
};

struct builder *builder_new(const struct id_key *key, int64_t received_at_ms)
{
    struct builder *self = calloc(1, sizeof *self);
    if (!self)
        abort(); /* see arena.h */
    self->key = key;
    self->arena = arena_new();
    self->channel = "";
    self->account = "";
    self->received_at_ms = received_at_ms;
    return self;
}

void builder_finish(struct builder **self_p, struct split *out)
{
    struct builder *self = *self_p;
    *out = (struct split){ .events = self->events, .count = self->count, .memory = self->arena };
    for (int i = 0; i < NON_EVENT_COUNT; i++)
        out->non_events += self->skipped[i];
    free(self);
    *self_p = NULL;
}

void split_clear(struct split *split)
{
    struct arena *arena = split->memory;
    arena_destroy(&arena);
    *split = (struct split){ 0 };
}

void *builder_memory(struct builder *self, size_t length)
{
    return arena_take(self->arena, length);
}

static const char *keep(struct builder *self, const char *text, size_t length)
{
    char *copy = builder_memory(self, length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

const char *builder_text(struct builder *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        abort(); /* see arena.h */
    const char *kept = keep(self, text, (size_t)length);
    free(text);
    return kept;
}

void builder_trace(struct builder *self, struct trace trace)
{
    self->trace = trace;
}

void builder_account(struct builder *self, const char *channel, const char *account)
{
    self->channel = channel;
    self->account = keep(self, account, strlen(account));
}

const char *builder_channel(const struct builder *self)
{
    return self->channel;
}

const char *builder_account_id(const struct builder *self)
{
    return self->account;
}

const char *outward_ref(const char *text)
{
    static const char ours[] = "desk:";
    return strncmp(text, ours, sizeof ours - 1) == 0 && strlen(text) <= OUTWARD_REF_MAX_BYTES ? text
                                                                                              : "";
}

uint64_t builder_skipped(const struct builder *self, enum non_event kind)
{
    return self->skipped[kind];
}

bool builder_is_overflowing(const struct builder *self)
{
    return self->is_overflowing;
}

void builder_skip(struct builder *self, enum non_event kind)
{
    self->skipped[kind]++;
}

void draft_start(struct draft *draft, struct builder *builder, Desg__V1__EventKind kind,
                 const json_t *fragment)
{
    draft->event = EVENT_EMPTY;
    draft->event.kind = kind;
    draft->event.channel = TEXT_FIELD(builder->channel);
    draft->event.account = TEXT_FIELD(builder->account);
    draft->event.attachments = draft->attachment_list;
    draft->id_object = NULL;
    draft->scope = NULL;
    draft->fragment = fragment;
}

attachment_message *draft_attach(struct draft *draft, const char *type)
{
    size_t at = draft->event.n_attachments;
    if (at == EVENT_ATTACHMENTS_MAX)
        return NULL;
    draft->event.n_attachments++;
    draft->attachments[at] = ATTACHMENT_EMPTY;
    draft->attachments[at].type = TEXT_FIELD(type);
    draft->attachment_list[at] = &draft->attachments[at];
    return &draft->attachments[at];
}

/* Cuts at the end of a UTF-8 character. */
static size_t cut_length(const char *text, size_t length, size_t most)
{
    if (length <= most)
        return length;
    while (most > 0 && ((uint8_t)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

static void bound(struct builder *self, char **field, size_t most)
{
    size_t length = strlen(*field);
    if (length > most)
        *field = TEXT_FIELD(keep(self, *field, cut_length(*field, length, most)));
}

static void bound_all(struct builder *self, event_message *event)
{
    char **const fields[] = {
        &event->account,          &event->person,        &event->person_name, &event->object_id,
        &event->target_object_id, &event->reaction,      &event->raw_kind,    &event->person_handle,
        &event->language_hint,    &event->location_text, &event->contact,
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        bound(self, fields[i], EVENT_FIELD_MAX_BYTES);
    bound(self, &event->text, EVENT_TEXT_MAX_BYTES);
    for (size_t i = 0; i < event->n_attachments; i++) {
        attachment_message *attachment = event->attachments[i];
        bound(self, &attachment->type, EVENT_FIELD_MAX_BYTES);
        bound(self, &attachment->url, EVENT_FIELD_MAX_BYTES);
        bound(self, &attachment->id, EVENT_FIELD_MAX_BYTES);
        bound(self, &attachment->title, EVENT_FIELD_MAX_BYTES);
    }
}

/* The fragment in one form whatever the order of its keys. */
static const char *canonical(struct builder *self, const json_t *fragment)
{
    char *dump = json_dumps(fragment, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY |
                                          JSON_REAL_PRECISION(17));
    const char *text = dump ? keep(self, dump, strlen(dump)) : "";
    free(dump);
    return text;
}

static const char *id_object_of(struct builder *self, const struct draft *draft)
{
    if (draft->id_object)
        return draft->id_object;
    if (draft->event.object_id[0] != '\0')
        return draft->event.object_id;
    return draft->fragment ? canonical(self, draft->fragment) : "";
}

static void keep_raw(struct builder *self, struct draft *draft)
{
    event_message *event = &draft->event;
    if (event->kind != KIND(UNKNOWN) || event->raw.len > 0 || !draft->fragment)
        return;
    const char *text = canonical(self, draft->fragment);
    event->raw.data = (uint8_t *)TEXT_FIELD(text);
    event->raw.len = cut_length(text, strlen(text), EVENT_RAW_MAX_BYTES);
}

static struct split_event *next_place(struct builder *self)
{
    if (self->count < self->room)
        return &self->events[self->count++];
    size_t room = self->room ? 2 * self->room : 8;
    struct split_event *events = builder_memory(self, room * sizeof *events);
    if (self->count > 0)
        memcpy(events, self->events, self->count * sizeof *events);
    self->events = events;
    self->room = room;
    return &self->events[self->count++];
}

static void finish_event(struct builder *self, struct draft *draft)
{
    event_message *event = &draft->event;
    struct id id = id_of_event(self->key, event->channel, event->account, (int)event->kind,
                               id_object_of(self, draft), event->edit_version);
    char own_scope[ID_TEXT_BYTES];
    const char *scope = draft->scope ? draft->scope : "";
    if (event->person[0] == '\0' && scope[0] == '\0') { /* whose? Nobody's thread but its own */
        id_text(id.bytes, own_scope);
        scope = own_scope;
    }
    struct id conversation =
        id_of_conversation(self->key, event->channel, event->account, event->person, scope);
    keep_raw(self, draft);
    bound_all(self, event);
    event->id = (ProtobufCBinaryData){ .len = ID_BYTES, .data = id.bytes };
    event->conversation_id = (ProtobufCBinaryData){ .len = ID_BYTES, .data = conversation.bytes };
    event->received_at_ms = self->received_at_ms;
    event->trace_high = self->trace.high;
    event->trace_low = self->trace.low;

    size_t length = desg__v1__event__get_packed_size(event);
    uint8_t *bytes = (uint8_t *)builder_memory(self, length);
    (void)desg__v1__event__pack(event, bytes); /* always writes length bytes */
    event->id = (ProtobufCBinaryData){ 0 };    /* they end with this function */
    event->conversation_id = (ProtobufCBinaryData){ 0 };
    *next_place(self) = (struct split_event){
        .id = id,
        .kind = event->kind,
        .channel = event->channel,
        .account = event->account,
        .bytes = bytes,
        .length = length,
    };
}

void builder_add(struct builder *self, struct draft *draft)
{
    if (self->count >= EVENTS_MAX) {
        self->is_overflowing = true;
        return;
    }
    finish_event(self, draft);
}

void builder_unknown(struct builder *self, const json_t *fragment, const char *raw_kind,
                     const char *person)
{
    struct draft draft;
    draft_start(&draft, self, KIND(UNKNOWN), fragment);
    draft.event.raw_kind = TEXT_FIELD(raw_kind);
    draft.event.person = TEXT_FIELD(person);
    builder_add(self, &draft);
}

void builder_unreadable(struct builder *self, const uint8_t *body, size_t length,
                        const char *reason)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char digest_text[2 * CRYPTO_SHA256_BYTES + 1];
    crypto_sha256(body, length, digest);
    crypto_hex(digest, sizeof digest, digest_text);
    struct draft draft;
    draft_start(&draft, self, KIND(UNREADABLE), NULL);
    draft.id_object = builder_text(self, "%s %s", reason, digest_text);
    draft.event.raw_kind = TEXT_FIELD(reason);
    draft.event.raw.data = (uint8_t *)TEXT_FIELD(body);
    draft.event.raw.len = length < EVENT_RAW_MAX_BYTES ? length : EVENT_RAW_MAX_BYTES;
    finish_event(self, &draft); /* also behind EVENTS_MAX: it is what says so */
}

void builder_lost(struct builder *self, const char *what, const char *reason)
{
    struct draft draft;
    draft_start(&draft, self, KIND(UNREADABLE), NULL);
    draft.id_object = what;
    draft.event.object_id = TEXT_FIELD(what);
    draft.event.raw_kind = TEXT_FIELD(reason);
    finish_event(self, &draft);
}

const char *read_text(struct builder *self, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        return builder_text(self, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_real(value))
        return builder_text(self, "%.17g", json_real_value(value));
    return "";
}

json_t *read_object(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_object(value) ? value : NULL;
}

json_t *read_array(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_array(value) ? value : NULL;
}

bool read_true(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_true(value) || (json_is_integer(value) && json_integer_value(value) == 1) ||
           (json_is_string(value) && strcmp(json_string_value(value), "true") == 0);
}

double read_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

int64_t read_time_ms(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        return platform_time_from_number(json_integer_value(value));
    if (json_is_real(value))
        return platform_time_from_real(json_real_value(value));
    if (json_is_string(value))
        return platform_time_from_text(json_string_value(value));
    return 0;
}
