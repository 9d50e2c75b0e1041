#include "alert/alert.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "alert/alert_text.h"
#include "clock/clock.h"
#include "unpack/unpack.h"

enum { DIGEST_TEXT_BYTES = 200, RAW_TEXT_BYTES = 4096, COORDINATE_DIGITS = 9 };

static const char TYPE_RAISED[] = "uk.police.desk.alert.raised.v1";
static const char TYPE_UPDATED[] = "uk.police.desk.alert.updated.v1";
static const char TYPE_REMINDER[] = "uk.police.desk.alert.reminder.v1";
static const char TYPE_DIGEST[] = "uk.police.desk.alert.digest.v1";

/* --- small parts --- */

static void put(json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value) != 0)
        abort(); /* memory: nothing safe can follow */
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text && text[0] != '\0')
        put(object, name, alert_text(text, strlen(text), 0));
}

static void put_id(json_t *object, const char *name, const ProtobufCBinaryData *id)
{
    char text[ID_TEXT_BYTES];
    if (id->len != ID_BYTES)
        return;
    id_text(id->data, text);
    put(object, name, json_string(text));
}

static void put_time(json_t *object, const char *name, int64_t unix_ms)
{
    char text[CLOCK_TEXT_BYTES];
    if (unix_ms <= 0)
        return;
    clock_format_rfc3339(unix_ms, text);
    put(object, name, json_string(text));
}

static void put_if(json_t *object, const char *name, bool truth)
{
    if (truth)
        put(object, name, json_true());
}

/* EVENT_KIND_COMMENT → "comment": the desk's words, made from the contract's names. */
static json_t *word_of(const ProtobufCEnumDescriptor *type, int value, const char *prefix)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);
    if (!known || strncmp(known->name, prefix, strlen(prefix)) != 0)
        return json_string("unknown");
    char word[64];
    (void)snprintf(word, sizeof word, "%s", known->name + strlen(prefix));
    for (char *c = word; *c; c++) {
        if (*c == '_')
            *c = '-';
        else if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    return json_string(word);
}

/* --- what the bodies hold --- */

static void put_event_ids(json_t *data, const Desg__V1__Alert *alert, const Desg__V1__Event *event)
{
    put_id(data, "alert", &alert->alert_id);
    put_id(data, "event", &event->id);
    put_id(data, "conversation", &event->conversation_id);
    put_text(data, "channel", event->channel);
    put_time(data, "platform_time", event->platform_time_ms);
    put_if(data, "is_test", alert->is_standing_test);
}

static void put_person(json_t *data, const Desg__V1__Event *event)
{
    json_t *person = json_object();
    put_text(person, "id", event->person);
    put_text(person, "name", event->person_name);
    put_text(person, "handle", event->person_handle);
    put_text(person, "contact", event->contact);
    if (json_object_size(person) > 0)
        put(data, "person", person);
    else
        json_decref(person);
}

/* Without addresses: they are signed for minutes and may differ between two deliveries of one
 * event. */
static void put_attachments(json_t *data, const Desg__V1__Event *event)
{
    if (event->n_attachments == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < event->n_attachments; i++) {
        const Desg__V1__Attachment *from = event->attachments[i];
        json_t *item = json_object();
        put_text(item, "type", from->type);
        put_text(item, "id", from->id);
        put_text(item, "title", from->title);
        if (from->latitude != 0 || from->longitude != 0) {
            put(item, "latitude", json_real(from->latitude));
            put(item, "longitude", json_real(from->longitude));
        }
        if (json_array_append_new(list, item) != 0)
            abort();
    }
    put(data, "attachments", list);
}

static void put_content(json_t *data, const Desg__V1__Event *event)
{
    put(data, "kind", word_of(&desg__v1__event_kind__descriptor, (int)event->kind, "EVENT_KIND_"));
    put_text(data, "raw_kind", event->raw_kind);
    put_text(data, "account", event->account);
    put_text(data, "object", event->object_id);
    put_text(data, "target_object", event->target_object_id);
    put_person(data, event);
    put_text(data, "text", event->text);
    put_text(data, "reaction", event->reaction);
    put_text(data, "location", event->location_text);
    put_text(data, "language_hint", event->language_hint);
    put_if(data, "is_public", event->is_public);
    put_attachments(data, event);
    if (event->raw.len > 0) /* what could not be read may still be a cry for help */
        put(data, "raw", alert_text(event->raw.data, event->raw.len, RAW_TEXT_BYTES));
}

static json_t *verdict_flags(const Desg__V1__Verdict *verdict)
{
    json_t *flags = json_array();
    for (size_t i = 0; i < verdict->n_flags; i++) {
        json_t *word = word_of(&desg__v1__flag__descriptor, (int)verdict->flags[i], "FLAG_");
        if (json_array_append_new(flags, word) != 0)
            abort();
    }
    return flags;
}

static json_t *verdict_rules(const Desg__V1__Verdict *verdict)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < verdict->n_reasons; i++) {
        const char *rule = verdict->reasons[i]->rule;
        if (json_array_append_new(rules, alert_text(rule, strlen(rule), 0)) != 0)
            abort();
    }
    return rules;
}

static json_t *verdict_body(const Desg__V1__Verdict *verdict)
{
    json_t *body = json_object();
    put(body, "severity",
        word_of(&desg__v1__severity__descriptor, (int)verdict->severity, "SEVERITY_"));
    put(body, "language",
        word_of(&desg__v1__language__descriptor, (int)verdict->language, "LANGUAGE_"));
    put(body, "restricted",
        word_of(&desg__v1__restricted_class__descriptor, (int)verdict->restricted,
                "RESTRICTED_CLASS_"));
    put_text(body, "category", verdict->category);
    put_text(body, "grade", verdict->grade);
    put(body, "flags", verdict_flags(verdict));
    put(body, "rules", verdict_rules(verdict));
    put_text(body, "rules_edition", verdict->rules_edition);
    put_text(body, "model_edition", verdict->model_edition);
    put_if(body, "is_unclassified", verdict->is_unclassified);
    put_if(body, "is_context_sensitive", verdict->is_context_sensitive);
    return body;
}

static void put_update(json_t *data, const Desg__V1__Alert *alert, uint32_t number)
{
    put(data, "number", json_integer(number));
    put_if(data, "is_replayed", alert->is_replayed);
    Desg__V1__Verdict *verdict =
        alert->verdict.len > 0
            ? unpack_or_end(&desg__v1__verdict__descriptor, alert->verdict.data, alert->verdict.len)
            : NULL;
    if (!verdict)
        return; /* the update still says that the alert exists and whether it is replayed */
    put(data, "verdict", verdict_body(verdict));
    desg__v1__verdict__free_unpacked(verdict, NULL);
}

/* --- envelope --- */

void alert_key(enum alert_body body, const struct id *alert_id, uint32_t number,
               char key[static ALERT_KEY_BYTES])
{
    char id[ID_TEXT_BYTES];
    id_text(alert_id->bytes, id);
    switch (body) {
    case ALERT_RAISED:
        (void)snprintf(key, ALERT_KEY_BYTES, "%s.v%d", id, ALERT_RENDER_VERSION);
        break;
    case ALERT_UPDATED:
        (void)snprintf(key, ALERT_KEY_BYTES, "%s.u%" PRIu32, id, number);
        break;
    case ALERT_REMINDER:
        (void)snprintf(key, ALERT_KEY_BYTES, "%s.r%" PRIu32, id, number);
        break;
    case ALERT_SECOND:
        (void)snprintf(key, ALERT_KEY_BYTES, "%s.s", id);
        break;
    }
}

/* Takes data. The key is the CloudEvents id: (source, id) is what receivers tell repeats by. */
static char *envelope(const char *type, const char *source, const char *key, const char *subject,
                      int64_t time_ms, json_t *data, size_t *length)
{
    json_t *event = json_object();
    put(event, "specversion", json_string("1.0"));
    put(event, "id", json_string(key));
    put(event, "source", alert_text(source, strlen(source), 0));
    put(event, "type", json_string(type));
    put(event, "subject", json_string(subject));
    put_time(event, "time", time_ms);
    put(event, "datacontenttype", json_string("application/json"));
    put(event, "data", data);
    char *text =
        json_dumps(event, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(COORDINATE_DIGITS));
    json_decref(event);
    if (!text)
        abort();
    *length = strlen(text);
    return text;
}

static const char *type_of(enum alert_body body)
{
    switch (body) {
    case ALERT_UPDATED:
        return TYPE_UPDATED;
    case ALERT_REMINDER:
        return TYPE_REMINDER;
    case ALERT_RAISED:
    case ALERT_SECOND:
        break;
    }
    return TYPE_RAISED;
}

int alert_render(enum alert_body body, const Desg__V1__Alert *alert, const char *source,
                 uint32_t number, char **out, size_t *out_length, char key[static ALERT_KEY_BYTES],
                 struct error *err)
{
    if (alert->alert_id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "alert id of %zu bytes: it has %d",
                         alert->alert_id.len, ID_BYTES);
    struct id id;
    char new_key[ALERT_KEY_BYTES];
    memcpy(id.bytes, alert->alert_id.data, ID_BYTES);
    alert_key(body, &id, number, new_key);
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, alert->event.data, alert->event.len);
    if (!event)
        return error_set(err, ERROR_INVALID, "alert %.*s: its event of %zu bytes cannot be decoded",
                         ID_TEXT_BYTES - 1, new_key, alert->event.len);
    char subject[ID_TEXT_BYTES];
    id_text(alert->alert_id.data, subject);
    json_t *data = json_object();
    put(data, "render_version", json_integer(ALERT_RENDER_VERSION));
    put_event_ids(data, alert, event);
    if (body == ALERT_RAISED)
        put_content(data, event);
    else if (body == ALERT_UPDATED)
        put_update(data, alert, number);
    else if (body == ALERT_REMINDER)
        put(data, "step", json_integer(number));
    *out = envelope(type_of(body), source, new_key, subject, event->platform_time_ms, data,
                    out_length);
    memcpy(key, new_key, sizeof new_key);
    desg__v1__event__free_unpacked(event, NULL);
    return 0;
}

/* --- digest --- */

static json_t *digest_member(const Desg__V1__Alert *alert)
{
    json_t *item = json_object();
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, alert->event.data, alert->event.len);
    if (!event) { /* the digest still names it */
        put_id(item, "alert", &alert->alert_id);
        return item;
    }
    put_event_ids(item, alert, event);
    put(item, "kind", word_of(&desg__v1__event_kind__descriptor, (int)event->kind, "EVENT_KIND_"));
    if (event->text[0] != '\0')
        put(item, "text", alert_text(event->text, strlen(event->text), DIGEST_TEXT_BYTES));
    desg__v1__event__free_unpacked(event, NULL);
    return item;
}

static const Desg__V1__Alert *member_of(const ProtobufCBinaryData *alert_id,
                                        const Desg__V1__Alert *const *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (members[i]->alert_id.len == alert_id->len &&
            memcmp(members[i]->alert_id.data, alert_id->data, alert_id->len) == 0)
            return members[i];
    return NULL;
}

int alert_render_digest(const Desg__V1__AlertDigest *digest, const Desg__V1__Alert *const *members,
                        const char *source, char **out, size_t *out_length,
                        char key[static ALERT_KEY_BYTES], struct error *err)
{
    if (digest->digest_id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "digest id of %zu bytes: it has %d",
                         digest->digest_id.len, ID_BYTES);
    json_t *alerts = json_array();
    for (size_t i = 0; i < digest->n_alert_ids; i++) {
        const Desg__V1__Alert *member =
            member_of(&digest->alert_ids[i], members, digest->n_alert_ids);
        if (!member) {
            json_decref(alerts);
            return error_set(err, ERROR_INVALID, "digest of %zu alerts: number %zu is not given",
                             digest->n_alert_ids, i + 1);
        }
        if (json_array_append_new(alerts, digest_member(member)) != 0)
            abort();
    }
    char id[ID_TEXT_BYTES];
    id_text(digest->digest_id.data, id);
    (void)snprintf(key, ALERT_KEY_BYTES, "%s.v%d", id, ALERT_RENDER_VERSION);
    json_t *data = json_object();
    put(data, "render_version", json_integer(ALERT_RENDER_VERSION));
    put(data, "digest", json_string(id));
    put_text(data, "channel", digest->channel);
    put_text(data, "account", digest->account);
    put(data, "count", json_integer((json_int_t)digest->n_alert_ids));
    put(data, "alerts", alerts);
    *out = envelope(TYPE_DIGEST, source, key, id, digest->at_ms, data, out_length);
    return 0;
}

struct trace alert_trace(const Desg__V1__Alert *alert)
{
    struct trace trace = { 0 };
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, alert->event.data, alert->event.len);
    if (event)
        trace = (struct trace){ event->trace_high, event->trace_low };
    desg__v1__event__free_unpacked(event, NULL);
    return trace_is_set(trace) || alert->alert_id.len != ID_BYTES
               ? trace
               : trace_of_id(alert->alert_id.data);
}

void alert_order_init(Desg__V1__Alert *order, struct id *id_out,
                      const uint8_t event_id[static ID_BYTES], const uint8_t *event,
                      size_t event_length, const uint8_t *verdict, size_t verdict_length)
{
    desg__v1__alert__init(order);
    *id_out = id_of_alert(event_id);
    order->alert_id = (ProtobufCBinaryData){ ID_BYTES, id_out->bytes };
    order->event = (ProtobufCBinaryData){ event_length, (uint8_t *)event };
    order->verdict = (ProtobufCBinaryData){ verdict_length, (uint8_t *)verdict };
    order->render_version = ALERT_RENDER_VERSION;
}
