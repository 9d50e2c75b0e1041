/* WhatsApp Cloud API: messages, statuses and errors inside {field, value} changes. */
#include "ingest/channel_meta.h"

#include <string.h>

/* One message and what the delivery says of its author. */
struct letter {
    const json_t *message;
    const char *type;
    const char *person; /* the business-scoped user id where there is one, else the number */
    const char *phone;
    const char *name, *handle;
};

static void letter_draft(struct draft *draft, struct builder *builder, const struct letter *letter,
                         Desg__V1__EventKind kind)
{
    draft_start(draft, builder, kind, letter->message);
    event_message *event = &draft->event;
    event->person = TEXT_FIELD(letter->person);
    event->person_name = TEXT_FIELD(letter->name);
    event->person_handle = TEXT_FIELD(letter->handle);
    event->contact = TEXT_FIELD(strcmp(letter->phone, letter->person) == 0 ? "" : letter->phone);
    event->object_id = TEXT_FIELD(read_text(builder, letter->message, "id"));
    event->platform_time_ms = read_time_ms(letter->message, "timestamp");
    event->raw_kind = TEXT_FIELD(letter->type);
    event->target_object_id =
        TEXT_FIELD(read_text(builder, read_object(letter->message, "context"), "id"));
}

typedef bool letter_reader(struct draft *draft, struct builder *builder, const json_t *part);

static bool read_text_body(struct draft *draft, struct builder *builder, const json_t *part)
{
    draft->event.text = TEXT_FIELD(read_text(builder, part, "body"));
    return json_is_object(part);
}

static bool read_media(struct draft *draft, struct builder *builder, const json_t *part)
{
    attachment_message *attachment =
        json_is_object(part) ? draft_attach(draft, draft->event.raw_kind) : NULL;
    if (!attachment)
        return false;
    attachment->id = TEXT_FIELD(read_text(builder, part, "id"));
    attachment->url = TEXT_FIELD(read_text(builder, part, "url"));
    attachment->title = TEXT_FIELD(read_text(builder, part, "filename"));
    draft->event.text = TEXT_FIELD(read_text(builder, part, "caption"));
    return true;
}

static bool read_place(struct draft *draft, struct builder *builder, const json_t *part)
{
    attachment_message *attachment = json_is_object(part) ? draft_attach(draft, "location") : NULL;
    if (!attachment)
        return false;
    const char *name = read_text(builder, part, "name");
    const char *address = read_text(builder, part, "address");
    attachment->latitude = read_real(part, "latitude");
    attachment->longitude = read_real(part, "longitude");
    attachment->title = TEXT_FIELD(name);
    attachment->url = TEXT_FIELD(read_text(builder, part, "url"));
    draft->event.location_text = TEXT_FIELD(
        builder_text(builder, "%.6f, %.6f%s%s%s%s", attachment->latitude, attachment->longitude,
                     name[0] ? ", " : "", name, address[0] ? ", " : "", address));
    return true;
}

static bool read_button(struct draft *draft, struct builder *builder, const json_t *part)
{
    draft->event.kind = KIND(POSTBACK);
    draft->event.text = TEXT_FIELD(read_text(builder, part, "text"));
    return json_is_object(part);
}

static bool read_interactive(struct draft *draft, struct builder *builder, const json_t *part)
{
    static const char *const titles[][2] = { { "button_reply", "title" },
                                             { "list_reply", "title" },
                                             { "nfm_reply", "response_json" } };
    draft->event.kind = KIND(POSTBACK);
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) {
        const json_t *reply = read_object(part, titles[i][0]);
        if (!reply)
            continue;
        draft->event.text = TEXT_FIELD(read_text(builder, reply, titles[i][1]));
        draft->event.raw_kind = TEXT_FIELD(titles[i][0]);
        return true;
    }
    return false;
}

static bool read_contacts(struct draft *draft, struct builder *builder, const json_t *part)
{
    size_t i;
    json_t *card;
    json_array_foreach(part, i, card)
    {
        attachment_message *attachment = draft_attach(draft, "contacts");
        if (attachment)
            attachment->title =
                TEXT_FIELD(read_text(builder, read_object(card, "name"), "formatted_name"));
    }
    return json_array_size(part) > 0;
}

static bool read_reaction(struct draft *draft, struct builder *builder, const json_t *part)
{
    draft->event.kind = KIND(REACTION);
    draft->event.target_object_id = TEXT_FIELD(read_text(builder, part, "message_id"));
    draft->event.reaction = TEXT_FIELD(read_text(builder, part, "emoji"));
    return json_is_object(part);
}

static bool read_revoke(struct draft *draft, struct builder *builder, const json_t *part)
{
    draft->event.kind = KIND(UNSEND);
    draft->event.target_object_id = TEXT_FIELD(read_text(builder, part, "original_message_id"));
    return draft->event.target_object_id[0] != '\0';
}

static bool read_system(struct draft *draft, struct builder *builder, const json_t *part)
{
    draft->event.kind = KIND(NOTICE);
    draft->event.text = TEXT_FIELD(read_text(builder, part, "body"));
    return json_is_object(part);
}

static bool read_edit(struct draft *draft, struct builder *builder, const json_t *part);

static const struct {
    const char *type;
    letter_reader *read;
} letter_readers[] = {
    { "text", read_text_body }, { "image", read_media },       { "video", read_media },
    { "document", read_media }, { "audio", read_media },       { "sticker", read_media },
    { "location", read_place }, { "contacts", read_contacts }, { "interactive", read_interactive },
    { "button", read_button },  { "reaction", read_reaction }, { "revoke", read_revoke },
    { "edit", read_edit },      { "system", read_system },
};

static bool read_letter(struct draft *draft, struct builder *builder, const json_t *message,
                        const char *type)
{
    for (size_t i = 0; i < sizeof letter_readers / sizeof letter_readers[0]; i++)
        if (strcmp(type, letter_readers[i].type) == 0)
            return letter_readers[i].read(draft, builder, json_object_get(message, type));
    return false;
}

static bool read_edit(struct draft *draft, struct builder *builder, const json_t *part)
{
    const json_t *message = read_object(part, "message");
    const char *type = read_text(builder, message, "type");
    bool is_known = (strcmp(type, "edit") != 0 && read_letter(draft, builder, message, type));
    draft->event.kind = KIND(EDIT);
    draft->event.raw_kind = TEXT_FIELD("edit");
    draft->event.target_object_id = TEXT_FIELD(read_text(builder, part, "original_message_id"));
    return is_known && draft->event.target_object_id[0] != '\0';
}

/* The entry of contacts[] that belongs to a message: by either id, or the only one there is. */
static const json_t *contact_of(struct builder *builder, const json_t *contacts,
                                const char *user_id, const char *phone)
{
    size_t i;
    json_t *contact;
    json_array_foreach(contacts, i, contact)
    {
        const char *contact_user = read_text(builder, contact, "user_id");
        const char *contact_phone = read_text(builder, contact, "wa_id");
        if ((user_id[0] && strcmp(contact_user, user_id) == 0) ||
            (phone[0] && strcmp(contact_phone, phone) == 0))
            return contact;
    }
    return json_array_size(contacts) == 1 ? json_array_get(contacts, 0) : NULL;
}

static void split_message(struct builder *builder, const json_t *contacts, const json_t *message)
{
    const char *user_id = read_text(builder, message, "from_user_id");
    const char *phone = read_text(builder, message, "from");
    const json_t *contact = contact_of(builder, contacts, user_id, phone);
    const json_t *profile = read_object(contact, "profile");
    if (user_id[0] == '\0')
        user_id = read_text(builder, contact, "user_id");
    if (phone[0] == '\0')
        phone = read_text(builder, contact, "wa_id");
    const struct letter letter = {
        .message = message,
        .type = read_text(builder, message, "type"),
        .person = user_id[0] ? user_id : phone,
        .phone = phone,
        .name = read_text(builder, profile, "name"),
        .handle = read_text(builder, profile, "username"),
    };
    if (strcmp(letter.type, "request_welcome") == 0) {
        builder_skip(builder, NON_EVENT_CONTEXT);
        return;
    }
    struct draft draft;
    letter_draft(&draft, builder, &letter, KIND(MESSAGE));
    if (!read_letter(&draft, builder, message, letter.type)) {
        letter_draft(&draft, builder, &letter, KIND(UNKNOWN));
        if (letter.type[0] == '\0')
            draft.event.raw_kind = TEXT_FIELD("message");
    }
    builder_add(builder, &draft);
}

static const json_t *platform_error(const json_t *status)
{
    return json_array_get(read_array(status, "errors"), 0);
}

static void add_failure(struct builder *builder, const json_t *status, const char *person)
{
    const json_t *error = platform_error(status);
    struct draft draft;
    draft_start(&draft, builder, KIND(NOTICE), status);
    draft.event.person = TEXT_FIELD(person);
    draft.event.target_object_id = TEXT_FIELD(read_text(builder, status, "id"));
    draft.event.platform_time_ms = read_time_ms(status, "timestamp");
    draft.event.raw_kind = TEXT_FIELD("failed");
    draft.event.text = TEXT_FIELD(builder_text(builder, "%s %s", read_text(builder, error, "code"),
                                               read_text(builder, error, "title")));
    draft.id_object = builder_text(builder, "%s\nfailed", draft.event.target_object_id);
    builder_add(builder, &draft);
}

/* Sent, delivered, read, failed: what became of a message of ours. It may come out of order and
 * several times; id and status together are the event. */
static void add_outcome(struct builder *builder, const json_t *status, const char *state,
                        const char *person)
{
    const json_t *error = platform_error(status);
    struct draft draft;
    draft_start(&draft, builder, KIND(OUTCOME), status);
    draft.event.person = TEXT_FIELD(person);
    draft.event.object_id = TEXT_FIELD(read_text(builder, status, "id"));
    draft.event.platform_time_ms = read_time_ms(status, "timestamp");
    draft.event.raw_kind = TEXT_FIELD(state);
    draft.event.text = TEXT_FIELD(read_text(builder, error, "code"));
    draft.event.outward_ref =
        TEXT_FIELD(outward_ref(read_text(builder, status, "biz_opaque_callback_data")));
    draft.id_object = builder_text(builder, "%s\n%s", draft.event.object_id, state);
    builder_add(builder, &draft);
}

static bool is_one_of(const char *state, const char *const *states, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}

static void split_status(struct builder *builder, const json_t *status)
{
    static const char *const outcomes[] = { "sent", "delivered", "read", "failed" };
    static const char *const silent[] = { "played", "deleted" };
    const char *state = read_text(builder, status, "status");
    const char *person = read_text(builder, status, "recipient_user_id");
    if (person[0] == '\0')
        person = read_text(builder, status, "recipient_id");
    bool is_outcome = is_one_of(state, outcomes, sizeof outcomes / sizeof outcomes[0]) &&
                      read_text(builder, status, "id")[0] != '\0';
    if (is_outcome)
        add_outcome(builder, status, state, person);
    else if (is_one_of(state, silent, sizeof silent / sizeof silent[0]))
        builder_skip(builder, NON_EVENT_STATUS);
    else
        builder_unknown(builder, status, "status", person);
    if (is_outcome && strcmp(state, "failed") == 0) /* an agent has to see it, whoever sent it */
        add_failure(builder, status, person);
}

static void add_echo(struct builder *builder, const json_t *message)
{
    struct draft draft;
    draft_start(&draft, builder, KIND(ECHO), message);
    draft.event.person = TEXT_FIELD(read_text(builder, message, "to"));
    draft.event.object_id = TEXT_FIELD(read_text(builder, message, "id"));
    draft.event.platform_time_ms = read_time_ms(message, "timestamp");
    draft.event.text = TEXT_FIELD(read_text(builder, read_object(message, "text"), "body"));
    draft.event.raw_kind = TEXT_FIELD("message_echo");
    builder_add(builder, &draft);
}

static void add_operator_notice(struct builder *builder, const json_t *fragment, const char *field,
                                const char *text)
{
    struct draft draft;
    draft_start(&draft, builder, KIND(NOTICE), fragment);
    draft.scope = "notice";
    draft.event.raw_kind = TEXT_FIELD(field);
    draft.event.text = TEXT_FIELD(text);
    builder_add(builder, &draft);
}

static void split_messages_value(struct builder *builder, const json_t *change, const json_t *value)
{
    size_t i;
    json_t *item;
    const json_t *messages = read_array(value, "messages");
    const json_t *statuses = read_array(value, "statuses");
    const json_t *errors = read_array(value, "errors");
    const json_t *echoes = read_array(value, "message_echoes");
    json_array_foreach(messages, i, item)
    {
        split_message(builder, read_array(value, "contacts"), item);
    }
    json_array_foreach(statuses, i, item)
    {
        split_status(builder, item);
    }
    json_array_foreach(echoes, i, item)
    {
        add_echo(builder, item);
    }
    json_array_foreach(errors, i, item)
    {
        add_operator_notice(builder, item, "errors",
                            builder_text(builder, "%s %s", read_text(builder, item, "code"),
                                         read_text(builder, item, "title")));
    }
    if (!messages && !statuses && !errors && !echoes)
        builder_unknown(builder, change, "value", "");
}

/* Fields in which the platform speaks of the account, not of a person. */
static bool is_operator_field(const char *field)
{
    static const char *const prefixes[] = { "account_",  "phone_number_", "message_template_",
                                            "template_", "business_",     "security" };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(field, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

void whatsapp_change(struct builder *builder, const json_t *entry, const json_t *change)
{
    const json_t *value = read_object(change, "value");
    const char *field = read_text(builder, change, "field");
    const char *number = read_text(builder, read_object(value, "metadata"), "phone_number_id");
    builder_account(builder, "whatsapp", number[0] ? number : read_text(builder, entry, "id"));
    if (value && (strcmp(field, "messages") == 0 || strcmp(field, "smb_message_echoes") == 0))
        split_messages_value(builder, change, value);
    else if (is_operator_field(field))
        add_operator_notice(builder, change, field, field);
    else
        builder_unknown(builder, change, field[0] ? field : "change", "");
}
