/* Facebook Pages, Instagram and WhatsApp: one handshake, one signature, one envelope; the channel
 * is the body's `object`, so a body on the wrong path is still read rightly. */
#include "ingest/channel_meta.h"

#include <string.h>

#include "crypto/crypto.h"
#include "ingest/channel.h"
#include "ingest/split_json.h"

enum { CHALLENGE_MAX_BYTES = 256 };

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '<' || *text == '>')
            return false;
    return true;
}

static bool same_secret(const char *given, const char *expected)
{
    uint8_t a[CRYPTO_SHA256_BYTES];
    uint8_t b[CRYPTO_SHA256_BYTES];
    crypto_sha256(given, strlen(given), a); /* digests: equal lengths, so time tells nothing */
    crypto_sha256(expected, strlen(expected), b);
    return crypto_equal(a, b, sizeof a);
}

static void meta_handshake(const struct channel *channel, const struct channel_request *request,
                           struct channel_answer *answer)
{
    const char *mode = request->query(request->arg, "hub.mode");
    const char *token = request->query(request->arg, "hub.verify_token");
    const char *challenge = request->query(request->arg, "hub.challenge");
    answer->status = 403;
    if (!mode || strcmp(mode, "subscribe") != 0 || !token || !channel->verify_token ||
        !same_secret(token, channel->verify_token))
        return;
    size_t length = challenge ? strlen(challenge) : 0;
    answer->status = 400;
    if (length == 0 || length > CHALLENGE_MAX_BYTES || !is_printable(challenge))
        return;
    memcpy(answer->text, challenge, length + 1);
    answer->content_type = "text/plain";
    answer->status = 200;
}

static enum channel_check meta_verify(const struct channel *channel,
                                      const struct channel_request *request,
                                      char submission_id[static CHANNEL_SUBMISSION_MAX_BYTES + 1])
{
    (void)submission_id; /* the body names its messages */
    return channel_check_hex(channel, request, "X-Hub-Signature-256", "");
}

/* What every messaging event has beside its own part. */
struct exchange {
    const json_t *event;
    const char *person;
    int64_t time_ms;
    bool is_standby;
};

static void exchange_draft(struct draft *draft, struct builder *builder,
                           const struct exchange *exchange, Desg__V1__EventKind kind)
{
    draft_start(draft, builder, kind, exchange->event);
    draft->event.person = TEXT_FIELD(exchange->person);
    draft->event.platform_time_ms = exchange->time_ms;
    draft->event.is_standby = exchange->is_standby;
}

static void attach_place(struct draft *draft, struct builder *builder, const json_t *payload,
                         attachment_message *attachment)
{
    const json_t *place = read_object(payload, "coordinates");
    if (!place)
        return;
    attachment->latitude = read_real(place, "lat");
    attachment->longitude = read_real(place, "long");
    draft->event.location_text = TEXT_FIELD(
        builder_text(builder, "%.6f, %.6f", attachment->latitude, attachment->longitude));
}

static void attach_all(struct draft *draft, struct builder *builder, const json_t *message)
{
    size_t i;
    json_t *given;
    json_array_foreach(read_array(message, "attachments"), i, given)
    {
        const json_t *payload = read_object(given, "payload");
        attachment_message *attachment = draft_attach(draft, read_text(builder, given, "type"));
        if (!attachment)
            return;
        const char *url = read_text(builder, payload, "url");
        const char *title = read_text(builder, payload, "title");
        attachment->url = TEXT_FIELD(url[0] ? url : read_text(builder, given, "url"));
        attachment->title = TEXT_FIELD(title[0] ? title : read_text(builder, given, "title"));
        attachment->id = TEXT_FIELD(read_text(builder, payload, "sticker_id"));
        attach_place(draft, builder, payload, attachment);
    }
}

static void add_echo(struct builder *builder, const struct exchange *exchange,
                     const json_t *message)
{
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(ECHO));
    draft.event.object_id = TEXT_FIELD(read_text(builder, message, "mid"));
    draft.event.text = TEXT_FIELD(read_text(builder, message, "text"));
    /* Our own mark on what we sent: by it a reply whose answer got lost is found again. Other
     * programs of the Page put what they like there. */
    const char *metadata = read_text(builder, message, "metadata");
    draft.event.outward_ref = TEXT_FIELD(outward_ref(metadata));
    draft.event.raw_kind = TEXT_FIELD("message_echo");
    attach_all(&draft, builder, message);
    builder_add(builder, &draft);
}

static void add_message(struct builder *builder, const struct exchange *exchange,
                        const json_t *message)
{
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(MESSAGE));
    const json_t *reply_to = read_object(message, "reply_to");
    const json_t *story = read_object(reply_to, "story");
    draft.event.object_id = TEXT_FIELD(read_text(builder, message, "mid"));
    draft.event.target_object_id = TEXT_FIELD(read_text(builder, reply_to, "mid"));
    draft.event.text = TEXT_FIELD(read_text(builder, message, "text"));
    draft.event.raw_kind =
        TEXT_FIELD(read_object(message, "quick_reply") ? "quick_reply" : "message");
    attach_all(&draft, builder, message);
    attachment_message *quoted = story ? draft_attach(&draft, "story_reply") : NULL;
    if (quoted) {
        quoted->url = TEXT_FIELD(read_text(builder, story, "url"));
        quoted->id = TEXT_FIELD(read_text(builder, story, "id"));
    }
    if (draft.event.text[0] == '\0' && draft.event.n_attachments == 0) {
        /* The person said something this version, or the platform, cannot show. */
        draft.event.kind = KIND(UNKNOWN);
        draft.event.raw_kind =
            TEXT_FIELD(read_true(message, "is_unsupported") ? "unsupported" : "message");
    }
    builder_add(builder, &draft);
}

static void on_message(struct builder *builder, const struct exchange *exchange,
                       const json_t *message)
{
    if (read_true(message, "is_echo")) {
        add_echo(builder, exchange, message);
        return;
    }
    if (!read_true(message, "is_deleted")) {
        add_message(builder, exchange, message);
        return;
    }
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(UNSEND));
    draft.event.object_id = TEXT_FIELD(read_text(builder, message, "mid"));
    draft.event.target_object_id = draft.event.object_id;
    builder_add(builder, &draft);
}

static uint32_t read_edit_version(struct builder *builder, const json_t *edit)
{
    const char *text = read_text(builder, edit, "num_edit");
    uint32_t version = 0;
    for (; *text >= '0' && *text <= '9' && version < 1000000; text++)
        version = version * 10 + (uint32_t)(*text - '0');
    return version;
}

static void on_edit(struct builder *builder, const struct exchange *exchange, const json_t *edit)
{
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(EDIT));
    draft.event.object_id = TEXT_FIELD(read_text(builder, edit, "mid"));
    draft.event.target_object_id = draft.event.object_id;
    draft.event.text = TEXT_FIELD(read_text(builder, edit, "text"));
    draft.event.edit_version = read_edit_version(builder, edit);
    builder_add(builder, &draft);
}

static void on_reaction(struct builder *builder, const struct exchange *exchange,
                        const json_t *reaction)
{
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(REACTION));
    const char *mid = read_text(builder, reaction, "mid");
    const char *action = read_text(builder, reaction, "action");
    const char *emoji = read_text(builder, reaction, "emoji");
    if (emoji[0] == '\0')
        emoji = read_text(builder, reaction, "reaction");
    draft.event.target_object_id = TEXT_FIELD(mid);
    draft.event.reaction = TEXT_FIELD(strcmp(action, "unreact") == 0 ? "" : emoji);
    draft.id_object = builder_text(builder, "%s\n%s\n%s\n%s\n%lld", mid, exchange->person, action,
                                   emoji, (long long)exchange->time_ms);
    builder_add(builder, &draft);
}

static void on_postback(struct builder *builder, const struct exchange *exchange,
                        const json_t *postback)
{
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(POSTBACK));
    const char *title = read_text(builder, postback, "title");
    draft.event.object_id = TEXT_FIELD(read_text(builder, postback, "mid"));
    draft.event.text = TEXT_FIELD(title[0] ? title : read_text(builder, postback, "payload"));
    builder_add(builder, &draft);
}

static void on_read(struct builder *builder, const struct exchange *exchange, const json_t *seen)
{
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(READ));
    const char *mark = read_text(builder, seen, "watermark");
    int64_t mark_ms = read_time_ms(seen, "watermark");
    draft.event.target_object_id = TEXT_FIELD(read_text(builder, seen, "mid"));
    draft.id_object = builder_text(builder, "%s\n%s", exchange->person,
                                   mark[0] ? mark : draft.event.target_object_id);
    if (mark_ms > 0)
        draft.event.platform_time_ms = mark_ms;
    builder_add(builder, &draft);
}

static void add_notice(struct builder *builder, const struct exchange *exchange,
                       const char *raw_kind, const char *text)
{
    struct draft draft;
    exchange_draft(&draft, builder, exchange, KIND(NOTICE));
    draft.event.raw_kind = TEXT_FIELD(raw_kind);
    draft.event.text = TEXT_FIELD(text);
    if (exchange->person[0] == '\0')
        draft.scope = "notice";
    builder_add(builder, &draft);
}

static void on_handover(struct builder *builder, const struct exchange *exchange,
                        const char *raw_kind, const json_t *control)
{
    const char *owner = read_text(builder, control, "new_owner_app_id");
    if (owner[0] == '\0')
        owner = read_text(builder, control, "requested_owner_app_id");
    add_notice(builder, exchange, raw_kind,
               owner[0] ? builder_text(builder, "%s: app %s", raw_kind, owner) : raw_kind);
}

typedef void exchange_reader(struct builder *builder, const struct exchange *exchange,
                             const json_t *part);

static const struct {
    const char *key;
    exchange_reader *read;
} exchange_readers[] = {
    { "message", on_message },   { "message_edit", on_edit }, { "reaction", on_reaction },
    { "postback", on_postback }, { "read", on_read },
};

static const char *const handover_keys[] = { "pass_thread_control", "take_thread_control",
                                             "request_thread_control", "app_roles" };
static const char *const context_keys[] = { "referral",          "optin",   "account_linking",
                                            "response_feedback", "payment", "message_request",
                                            "game_play" };

static bool read_exchange_part(struct builder *builder, const struct exchange *exchange)
{
    for (size_t i = 0; i < sizeof exchange_readers / sizeof exchange_readers[0]; i++) {
        const json_t *part = read_object(exchange->event, exchange_readers[i].key);
        if (part) {
            exchange_readers[i].read(builder, exchange, part);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof handover_keys / sizeof handover_keys[0]; i++) {
        const json_t *part = read_object(exchange->event, handover_keys[i]);
        if (part) {
            on_handover(builder, exchange, handover_keys[i], part);
            return true;
        }
    }
    const json_t *policy = read_object(exchange->event, "policy_enforcement");
    if (policy) {
        add_notice(builder, exchange, "policy_enforcement",
                   builder_text(builder, "%s: %s", read_text(builder, policy, "action"),
                                read_text(builder, policy, "reason")));
        return true;
    }
    return false;
}

static bool skip_exchange(struct builder *builder, const json_t *event)
{
    if (json_object_get(event, "delivery")) {
        builder_skip(builder, NON_EVENT_DELIVERY);
        return true;
    }
    if (json_object_get(event, "typing")) {
        builder_skip(builder, NON_EVENT_TYPING);
        return true;
    }
    for (size_t i = 0; i < sizeof context_keys / sizeof context_keys[0]; i++) {
        if (json_object_get(event, context_keys[i])) {
            builder_skip(builder, NON_EVENT_CONTEXT);
            return true;
        }
    }
    return false;
}

static void split_exchange(struct builder *builder, const json_t *event, bool is_standby)
{
    const json_t *sender = read_object(event, "sender");
    const json_t *message = read_object(event, "message");
    const char *person = read_text(builder, sender, "id");
    if (person[0] == '\0')
        person = read_text(builder, sender, "user_ref");
    if (read_true(message, "is_echo") || strcmp(person, builder_account_id(builder)) == 0)
        person = read_text(builder, read_object(event, "recipient"), "id");
    const struct exchange exchange = { .event = event,
                                       .person = person,
                                       .time_ms = read_time_ms(event, "timestamp"),
                                       .is_standby = is_standby };
    if (!json_is_object(event) ||
        (!read_exchange_part(builder, &exchange) && !skip_exchange(builder, event)))
        builder_unknown(builder, event, "messaging", person);
}

/* The dashboard's Test button sends messaging fields in the {field, value} form. */
static bool split_test_exchange(struct builder *builder, const json_t *change)
{
    const json_t *value = read_object(change, "value");
    if (!read_object(value, "sender") && !read_object(value, "recipient"))
        return false;
    split_exchange(builder, value, false);
    return true;
}

static void split_change(struct builder *builder, const json_t *change)
{
    if (!meta_public_change(builder, change) && !split_test_exchange(builder, change)) {
        const char *field = read_text(builder, change, "field");
        builder_unknown(builder, change, field[0] ? field : "change", "");
    }
}

static void split_page_entry(struct builder *builder, const json_t *entry)
{
    static const char *const arrays[] = { "messaging", "standby", "changes" };
    bool is_empty = true;
    for (size_t list = 0; list < sizeof arrays / sizeof arrays[0]; list++) {
        size_t i;
        json_t *item;
        json_array_foreach(read_array(entry, arrays[list]), i, item)
        {
            is_empty = false;
            if (list == 2)
                split_change(builder, item);
            else
                split_exchange(builder, item, list == 1);
        }
    }
    if (json_object_get(entry, "field")) { /* Instagram's other form: the change is the entry */
        is_empty = false;
        split_change(builder, entry);
    }
    if (is_empty)
        builder_skip(builder, NON_EVENT_EMPTY);
}

static void split_whatsapp_entry(struct builder *builder, const json_t *entry)
{
    size_t i;
    json_t *change;
    json_t *changes = read_array(entry, "changes");
    json_array_foreach(changes, i, change)
    {
        whatsapp_change(builder, entry, change);
    }
    if (json_array_size(changes) == 0)
        builder_skip(builder, NON_EVENT_EMPTY);
}

static const struct {
    const char *object;
    const char *channel;
    void (*split_entry)(struct builder *builder, const json_t *entry);
} meta_objects[] = {
    { "page", "facebook", split_page_entry },
    { "instagram", "instagram", split_page_entry },
    { "whatsapp_business_account", "whatsapp", split_whatsapp_entry },
};

enum { META_OBJECTS = sizeof meta_objects / sizeof meta_objects[0] };

/* The channel of a body that does not parse: what it names, else Facebook. */
static const char *guess_channel(const uint8_t *body, size_t length)
{
    for (size_t i = 1; i < META_OBJECTS; i++)
        if (memmem(body, length, meta_objects[i].object, strlen(meta_objects[i].object)))
            return meta_objects[i].channel;
    return meta_objects[0].channel;
}

static void split_entries(struct builder *builder, const json_t *root, size_t object)
{
    size_t i;
    json_t *entry;
    json_t *entries = read_array(root, "entry");
    json_array_foreach(entries, i, entry)
    {
        builder_account(builder, meta_objects[object].channel, read_text(builder, entry, "id"));
        if (json_is_object(entry))
            meta_objects[object].split_entry(builder, entry);
        else
            builder_unknown(builder, entry, "entry", "");
    }
    if (!entries)
        builder_unknown(builder, root, "envelope", "");
    else if (json_array_size(entries) == 0)
        builder_skip(builder, NON_EVENT_EMPTY);
}

static void meta_split(const Desg__V1__Delivery *delivery, struct builder *builder)
{
    builder_account(builder, guess_channel(delivery->body.data, delivery->body.len), "");
    AUTO(split_json_free)
    json_t *root = split_json_read(builder, delivery->body.data, delivery->body.len);
    if (!root)
        return; /* told by an UNREADABLE event */
    const char *object = read_text(builder, root, "object");
    for (size_t i = 0; i < META_OBJECTS; i++) {
        if (strcmp(object, meta_objects[i].object) == 0) {
            builder_account(builder, meta_objects[i].channel, "");
            split_entries(builder, root, i);
            return;
        }
    }
    builder_account(builder, meta_objects[0].channel, "");
    builder_unknown(builder, root, object[0] ? object : "object", "");
}

const struct channel_adapter channel_meta = {
    .name = "meta",
    .handshake = meta_handshake,
    .verify = meta_verify,
    .split = meta_split,
};
