#include "store/describe.h"

#include <stdbool.h>
#include <string.h>

#include "desg/v1/event.pb-c.h"
#include "desg/v1/fact.pb-c.h"
#include "desg/v1/verdict.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "store/plan.h"
#include "unpack/unpack.h"

static void free_event(Desg__V1__Event **event_p)
{
    desg__v1__event__free_unpacked(*event_p, NULL);
}

static void free_verdict(Desg__V1__Verdict **verdict_p)
{
    desg__v1__verdict__free_unpacked(*verdict_p, NULL);
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (!text || !text[0])
        return;
    json_t *value = json_string(text);
    /* Text is UTF-8 by contract; a sender that broke it is shown as such, not dropped. */
    (void)json_object_set_new(object, key, value ? value : json_string("(not UTF-8)"));
}

static void set_number(json_t *object, const char *key, int64_t number)
{
    (void)json_object_set_new(object, key, json_integer(number));
}

static void set_id(json_t *object, const char *key, const ProtobufCBinaryData *id)
{
    char text[ID_TEXT_BYTES];
    if (id->len != ID_BYTES)
        return;
    id_text(id->data, text);
    set_text(object, key, text);
}

/* The value's name without its prefix, in lower case: EVENT_KIND_MESSAGE is message. */
static void set_enum(json_t *object, const char *key, const ProtobufCEnumDescriptor *descriptor,
                     int value, const char *prefix)
{
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(descriptor, value);
    if (!found) {
        set_number(object, key, value);
        return;
    }
    char word[48] = { 0 };
    const char *name = found->name;
    size_t skip = strncmp(name, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0;
    for (size_t i = 0; name[skip + i] && i < sizeof word - 1; i++) {
        char c = name[skip + i];
        if (c == '_')
            word[i] = '-';
        else
            word[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    set_text(object, key, word);
}

static json_t *describe_attachments(const Desg__V1__Event *event)
{
    json_t *list = json_array();
    for (size_t i = 0; i < event->n_attachments; i++) {
        const Desg__V1__Attachment *attachment = event->attachments[i];
        json_t *object = json_object();
        set_text(object, "type", attachment->type);
        set_text(object, "title", attachment->title);
        set_text(object, "id", attachment->id);
        (void)json_object_set_new(object, "has_url", json_boolean(attachment->url[0] != '\0'));
        if (attachment->latitude != 0 || attachment->longitude != 0) {
            (void)json_object_set_new(object, "latitude", json_real(attachment->latitude));
            (void)json_object_set_new(object, "longitude", json_real(attachment->longitude));
        }
        (void)json_array_append_new(list, object);
    }
    return list;
}

json_t *describe_event(const void *bytes, size_t length)
{
    AUTO(free_event)
    Desg__V1__Event *event = unpack_or_end(&desg__v1__event__descriptor, bytes, length);
    if (!event)
        return NULL;
    json_t *object = json_object();
    set_id(object, "event", &event->id);
    set_id(object, "conversation", &event->conversation_id);
    set_enum(object, "kind", &desg__v1__event_kind__descriptor, (int)event->kind, "EVENT_KIND_");
    set_text(object, "channel", event->channel);
    set_text(object, "account", event->account);
    set_text(object, "person", event->person);
    set_text(object, "person_name", event->person_name);
    set_text(object, "person_handle", event->person_handle);
    set_text(object, "object_id", event->object_id);
    set_text(object, "target_object_id", event->target_object_id);
    set_number(object, "edit_version", event->edit_version);
    set_number(object, "platform_time_ms", event->platform_time_ms);
    set_number(object, "received_at_ms", event->received_at_ms);
    set_text(object, "text", event->text);
    set_text(object, "reaction", event->reaction);
    set_text(object, "raw_kind", event->raw_kind);
    set_text(object, "language_hint", event->language_hint);
    set_text(object, "location_text", event->location_text);
    set_text(object, "contact", event->contact);
    set_text(object, "outward_ref", event->outward_ref);
    set_number(object, "raw_bytes", (int64_t)event->raw.len);
    (void)json_object_set_new(object, "is_standby", json_boolean(event->is_standby));
    (void)json_object_set_new(object, "is_public", json_boolean(event->is_public));
    (void)json_object_set_new(object, "attachments", describe_attachments(event));
    return object;
}

static json_t *describe_reasons(const Desg__V1__Verdict *verdict)
{
    json_t *list = json_array();
    for (size_t i = 0; i < verdict->n_reasons; i++) {
        const Desg__V1__Reason *reason = verdict->reasons[i];
        json_t *object = json_object();
        set_text(object, "rule", reason->rule);
        set_number(object, "offset_bytes", reason->offset_bytes);
        set_number(object, "length_bytes", reason->length_bytes);
        (void)json_object_set_new(object, "weight", json_real((double)reason->weight));
        (void)json_array_append_new(list, object);
    }
    return list;
}

static json_t *describe_flags(const Desg__V1__Verdict *verdict)
{
    json_t *list = json_array();
    for (size_t i = 0; i < verdict->n_flags; i++) {
        json_t *holder = json_object();
        set_enum(holder, "flag", &desg__v1__flag__descriptor, (int)verdict->flags[i], "FLAG_");
        (void)json_array_append(list, json_object_get(holder, "flag"));
        json_decref(holder);
    }
    return list;
}

json_t *describe_verdict(const void *bytes, size_t length)
{
    AUTO(free_verdict)
    Desg__V1__Verdict *verdict = unpack_or_end(&desg__v1__verdict__descriptor, bytes, length);
    if (!verdict)
        return NULL;
    json_t *object = json_object();
    set_enum(object, "severity", &desg__v1__severity__descriptor, (int)verdict->severity,
             "SEVERITY_");
    (void)json_object_set_new(object, "is_urgent", json_boolean(verdict->is_urgent));
    (void)json_object_set_new(object, "is_unclassified", json_boolean(verdict->is_unclassified));
    (void)json_object_set_new(object, "is_context_sensitive",
                              json_boolean(verdict->is_context_sensitive));
    (void)json_object_set_new(object, "score", json_real((double)verdict->score));
    set_text(object, "grade", verdict->grade);
    set_text(object, "category", verdict->category);
    set_text(object, "language", store_language_word(verdict->language));
    set_text(object, "restricted", store_restricted_word(verdict->restricted));
    set_text(object, "rules_edition", verdict->rules_edition);
    set_text(object, "model_edition", verdict->model_edition);
    (void)json_object_set_new(object, "flags", describe_flags(verdict));
    (void)json_object_set_new(object, "reasons", describe_reasons(verdict));
    return object;
}

static void free_fact(Desg__V1__Fact **fact_p)
{
    desg__v1__fact__free_unpacked(*fact_p, NULL);
}

static void describe_what(json_t *object, const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_CLOSED:
        set_text(object, "what", "closed");
        set_text(object, "reason", fact->closed->reason);
        break;
    case DESG__V1__FACT__WHAT_GRADED:
        set_text(object, "what", "graded");
        set_number(object, "severity", (int64_t)fact->graded->severity);
        set_text(object, "reason", fact->graded->reason);
        break;
    case DESG__V1__FACT__WHAT_NOTED:
        set_text(object, "what", "noted");
        set_text(object, "text", fact->noted->text);
        break;
    case DESG__V1__FACT__WHAT_ALERT_TAKEN:
        set_text(object, "what", "alert_taken");
        set_id(object, "alert", &fact->alert_taken->alert_id);
        set_text(object, "dispatcher", fact->alert_taken->dispatcher);
        set_text(object, "log_number", fact->alert_taken->log_number);
        break;
    case DESG__V1__FACT__WHAT_LANGUAGE_WISH:
        set_text(object, "what", "wished");
        set_text(object, "language", store_wish_word(fact->language_wish->language));
        break;
    case DESG__V1__FACT__WHAT_REPLIED:
        set_text(object, "what", "replied");
        if (fact->replied->item && fact->replied->item->reply) {
            set_text(object, "text", fact->replied->item->reply->text);
            set_id(object, "event", &fact->replied->item->reply->event_id);
        }
        break;
    default:
        break; /* the rest never comes here */
    }
}

json_t *describe_fact(const void *bytes, size_t length)
{
    json_t *object = json_object();
    AUTO(free_fact)
    Desg__V1__Fact *fact = unpack_or_end(&desg__v1__fact__descriptor, bytes, length);
    if (!fact)
        return object;
    set_text(object, "agent", fact->agent);
    set_number(object, "at_ms", fact->at_ms);
    describe_what(object, fact);
    return object;
}
