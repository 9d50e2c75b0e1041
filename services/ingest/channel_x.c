/* X: the classic Account Activity body and the X Activity envelope, one signature for both. */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "ingest/channel.h"
#include "ingest/split_json.h"

enum {
    SIGNATURE_BASE64_CHARS = 44, /* of 32 bytes, with padding */
    CRC_TOKEN_MAX_BYTES = 256
};

static const char scheme[] = "sha256=";

static void encode(const uint8_t digest[static CRYPTO_SHA256_BYTES],
                   char out[static SIGNATURE_BASE64_CHARS + 1])
{
    crypto_base64(digest, CRYPTO_SHA256_BYTES, out);
}

/* We sign what we are sent here: were a token free to be any text, this would forge signatures of
 * events. An event's body is a JSON object, so no text that could be one is signed; and what could
 * be a token is no body, whatever its signature, for anybody can have that from us. */
static bool is_crc_token(const void *token, size_t length)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "+/=_-.";
    const char *text = token;
    bool is_one = length > 0 && length <= CRC_TOKEN_MAX_BYTES;
    for (size_t i = 0; i < length && is_one; i++)
        is_one = memchr(allowed, text[i], sizeof allowed - 1) != NULL;
    return is_one;
}

static void x_handshake(const struct channel *channel, const struct channel_request *request,
                        struct channel_answer *answer)
{
    const char *token = request->query(request->arg, "crc_token");
    answer->status = 400;
    if (!token || !is_crc_token(token, strlen(token)))
        return;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char encoded[SIGNATURE_BASE64_CHARS + 1];
    crypto_hmac_sha256(channel->secrets[0].bytes, channel->secrets[0].length, token, strlen(token),
                       digest);
    encode(digest, encoded);
    (void)snprintf(answer->text, sizeof answer->text, "{\"response_token\":\"%s%s\"}", scheme,
                   encoded);
    answer->content_type = "application/json";
    answer->status = 200;
}

static enum channel_check x_verify(const struct channel *channel,
                                   const struct channel_request *request,
                                   char submission_id[static CHANNEL_SUBMISSION_MAX_BYTES + 1])
{
    (void)submission_id; /* the body names its events */
    bool is_repeated = false;
    const char *value = request->header(request->arg, "x-twitter-webhooks-signature", &is_repeated);
    if (!value && !is_repeated)
        return CHANNEL_SIGNATURE_MISSING;
    if (is_repeated || strncmp(value, scheme, sizeof scheme - 1) != 0 ||
        strlen(value) != sizeof scheme - 1 + SIGNATURE_BASE64_CHARS)
        return CHANNEL_SIGNATURE_MALFORMED;
    if (is_crc_token(request->body, request->body_bytes))
        return CHANNEL_SIGNATURE_WRONG;
    bool fits = false;
    for (size_t i = 0; i < channel->secret_count; i++) {
        uint8_t digest[CRYPTO_SHA256_BYTES];
        char expected[SIGNATURE_BASE64_CHARS + 1];
        crypto_hmac_sha256(channel->secrets[i].bytes, channel->secrets[i].length, request->body,
                           request->body_bytes, digest);
        encode(digest, expected);
        fits |= crypto_equal(expected, value + sizeof scheme - 1, SIGNATURE_BASE64_CHARS);
    }
    return fits ? CHANNEL_GENUINE : CHANNEL_SIGNATURE_WRONG;
}

/* Where people named by id are described. */
struct people {
    const json_t *map;  /* users{} by id: v1.1 users, or v2 users under "data" */
    const json_t *list; /* includes.users[] */
};

static void name_person(struct draft *draft, struct builder *builder, const struct people *people)
{
    const json_t *user = read_object(people->map, draft->event.person);
    const json_t *inner = read_object(user, "data");
    size_t i;
    json_t *listed;
    if (inner)
        user = inner;
    json_array_foreach(people->list, i, listed)
    {
        if (!user && strcmp(read_text(builder, listed, "id"), draft->event.person) == 0)
            user = listed;
    }
    const char *handle = read_text(builder, user, "username");
    draft->event.person_name = TEXT_FIELD(read_text(builder, user, "name"));
    draft->event.person_handle =
        TEXT_FIELD(handle[0] ? handle : read_text(builder, user, "screen_name"));
}

static const char *read_id(struct builder *builder, const json_t *object)
{
    const char *text = read_text(builder, object, "id_str");
    return text[0] ? text : read_text(builder, object, "id");
}

static void attach_dm_media(struct draft *draft, struct builder *builder, const json_t *data)
{
    const json_t *media = read_object(read_object(data, "attachment"), "media");
    attachment_message *attachment =
        media ? draft_attach(draft, read_text(builder, media, "type")) : NULL;
    if (!attachment)
        return;
    attachment->id = TEXT_FIELD(read_id(builder, media));
    attachment->url = TEXT_FIELD(read_text(builder, media, "media_url_https"));
}

static void attach_links(struct draft *draft, struct builder *builder, const json_t *entities)
{
    size_t i;
    json_t *link;
    json_array_foreach(read_array(entities, "urls"), i, link)
    {
        const char *url = read_text(builder, link, "expanded_url");
        attachment_message *attachment = url[0] ? draft_attach(draft, "link") : NULL;
        if (!attachment)
            continue;
        attachment->url = TEXT_FIELD(url);
        attachment->title = TEXT_FIELD(read_text(builder, link, "title"));
    }
}

static void split_dm(struct builder *builder, const struct people *people, const json_t *event)
{
    const json_t *create = read_object(event, "message_create");
    const json_t *data = read_object(create, "message_data");
    const char *sender = read_text(builder, create, "sender_id");
    const char *recipient = read_text(builder, read_object(create, "target"), "recipient_id");
    if (!data) {
        builder_unknown(builder, event, "direct_message", sender);
        return;
    }
    bool is_own = strcmp(sender, builder_account_id(builder)) == 0;
    struct draft draft;
    draft_start(&draft, builder, is_own ? KIND(ECHO) : KIND(MESSAGE), event);
    draft.event.person = TEXT_FIELD(is_own ? recipient : sender);
    draft.event.object_id = TEXT_FIELD(read_text(builder, event, "id"));
    draft.event.text = TEXT_FIELD(read_text(builder, data, "text"));
    draft.event.platform_time_ms = read_time_ms(event, "created_timestamp");
    draft.event.raw_kind = TEXT_FIELD("message_create");
    name_person(&draft, builder, people);
    attach_dm_media(&draft, builder, data);
    attach_links(&draft, builder, read_object(data, "entities"));
    builder_add(builder, &draft);
}

/* Posts carry &lt; &gt; and &amp; for the three characters of HTML. */
static const char *unescape_post(struct builder *builder, const char *text)
{
    static const struct {
        const char *escaped;
        char plain;
    } entities[] = { { "&lt;", '<' }, { "&gt;", '>' }, { "&amp;", '&' } };
    if (!strchr(text, '&'))
        return text;
    char *out = builder_memory(builder, strlen(text) + 1);
    size_t length = 0;
    while (*text) {
        char plain = *text;
        size_t consumed = 1;
        for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
            size_t escaped = strlen(entities[i].escaped);
            if (strncmp(text, entities[i].escaped, escaped) == 0) {
                plain = entities[i].plain;
                consumed = escaped;
            }
        }
        out[length++] = plain;
        text += consumed;
    }
    out[length] = '\0';
    return out;
}

static const char *post_text(struct builder *builder, const json_t *post)
{
    const char *full = read_text(builder, read_object(post, "extended_tweet"), "full_text");
    if (full[0] == '\0')
        full = read_text(builder, read_object(post, "note_tweet"), "text");
    if (full[0] == '\0')
        full = read_text(builder, post, "full_text");
    return unescape_post(builder, full[0] ? full : read_text(builder, post, "text"));
}

/* v1.1 Posts name their author inside, v2 Posts by author_id. Replies are mentions too: the same
 * Post comes as either, and must be one event. */
static void split_post(struct builder *builder, const struct people *people, const json_t *post)
{
    const json_t *user = read_object(post, "user");
    const char *author = user ? read_id(builder, user) : read_text(builder, post, "author_id");
    const char *id = read_id(builder, post);
    if (id[0] == '\0') {
        builder_unknown(builder, post, "post", author);
        return;
    }
    if (read_object(post, "retweeted_status")) {
        builder_skip(builder, NON_EVENT_REPOST);
        return;
    }
    if (author[0] && strcmp(author, builder_account_id(builder)) == 0) {
        builder_skip(builder, NON_EVENT_OWN_POST);
        return;
    }
    const char *parent = read_text(builder, post, "in_reply_to_status_id_str");
    const char *thread = read_text(builder, post, "conversation_id");
    struct draft draft;
    draft_start(&draft, builder, KIND(MENTION), post);
    draft.event.is_public = true;
    draft.event.person = TEXT_FIELD(author);
    draft.event.object_id = TEXT_FIELD(id);
    draft.event.target_object_id = TEXT_FIELD(parent);
    draft.event.text = TEXT_FIELD(post_text(builder, post));
    draft.event.raw_kind = TEXT_FIELD("post");
    draft.event.language_hint = TEXT_FIELD(read_text(builder, post, "lang"));
    draft.event.platform_time_ms = read_time_ms(post, "timestamp_ms");
    if (draft.event.platform_time_ms == 0)
        draft.event.platform_time_ms = read_time_ms(post, "created_at");
    draft.scope = thread[0] ? thread : parent[0] ? parent : id;
    name_person(&draft, builder, people);
    if (user) {
        draft.event.person_name = TEXT_FIELD(read_text(builder, user, "name"));
        draft.event.person_handle = TEXT_FIELD(read_text(builder, user, "screen_name"));
    }
    attach_links(&draft, builder, read_object(post, "entities"));
    builder_add(builder, &draft);
}

static void add_post_delete(struct builder *builder, const json_t *fragment, const char *post,
                            const char *author)
{
    if (author[0] && strcmp(author, builder_account_id(builder)) == 0) {
        builder_skip(builder, NON_EVENT_OWN_POST);
        return;
    }
    struct draft draft;
    draft_start(&draft, builder, KIND(UNSEND), fragment);
    draft.event.is_public = true;
    draft.event.person = TEXT_FIELD(author);
    draft.event.object_id = TEXT_FIELD(post);
    draft.event.target_object_id = TEXT_FIELD(post);
    draft.event.platform_time_ms = read_time_ms(fragment, "timestamp_ms");
    draft.event.raw_kind = TEXT_FIELD("post_delete");
    draft.scope = post;
    builder_add(builder, &draft);
}

static void split_delete(struct builder *builder, const struct people *people, const json_t *event)
{
    (void)people;
    const json_t *status = read_object(event, "status");
    const char *post = read_id(builder, status);
    if (post[0] == '\0')
        builder_unknown(builder, event, "tweet_delete", "");
    else
        add_post_delete(builder, event, post, read_text(builder, status, "user_id"));
}

static void split_read(struct builder *builder, const struct people *people, const json_t *event)
{
    (void)people;
    struct draft draft;
    draft_start(&draft, builder, KIND(READ), event);
    draft.event.person = TEXT_FIELD(read_text(builder, event, "sender_id"));
    draft.event.target_object_id = TEXT_FIELD(read_text(builder, event, "last_read_event_id"));
    draft.event.platform_time_ms = read_time_ms(event, "created_timestamp");
    if (strcmp(draft.event.person, builder_account_id(builder)) == 0) {
        builder_skip(builder, NON_EVENT_STATUS); /* an agent read it elsewhere */
        return;
    }
    builder_add(builder, &draft);
}

typedef void item_reader(struct builder *builder, const struct people *people, const json_t *item);

static void skip_typing(struct builder *builder, const struct people *people, const json_t *item)
{
    (void)people;
    (void)item;
    builder_skip(builder, NON_EVENT_TYPING);
}

static void skip_like(struct builder *builder, const struct people *people, const json_t *item)
{
    (void)people;
    (void)item;
    builder_skip(builder, NON_EVENT_LIKE);
}

static void skip_follow(struct builder *builder, const struct people *people, const json_t *item)
{
    (void)people;
    (void)item;
    builder_skip(builder, NON_EVENT_FOLLOW);
}

static const struct {
    const char *key;
    item_reader *read;
} lists[] = {
    { "direct_message_events", split_dm },
    { "tweet_create_events", split_post },
    { "tweet_delete_events", split_delete },
    { "direct_message_mark_read_events", split_read },
    { "direct_message_indicate_typing_events", skip_typing },
    { "favorite_events", skip_like },
    { "follow_events", skip_follow },
    { "block_events", skip_follow },
    { "mute_events", skip_follow },
};

static item_reader *list_reader(const char *key)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(key, lists[i].key) == 0)
            return lists[i].read;
    return NULL;
}

static void add_notice(struct builder *builder, const json_t *fragment, const char *raw_kind,
                       const char *text)
{
    struct draft draft;
    draft_start(&draft, builder, KIND(NOTICE), fragment);
    draft.scope = "notice";
    draft.event.raw_kind = TEXT_FIELD(raw_kind);
    draft.event.text = TEXT_FIELD(text);
    draft.event.platform_time_ms = read_time_ms(fragment, "date_time");
    builder_add(builder, &draft);
}

static bool is_beside(const char *key)
{
    static const char *const beside[] = { "for_user_id", "users", "apps", "user_has_blocked",
                                          "includes" };
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++)
        if (strcmp(key, beside[i]) == 0)
            return true;
    return false;
}

static void split_list(struct builder *builder, const struct people *people, const char *key,
                       const json_t *items)
{
    size_t i;
    json_t *item;
    item_reader *read = list_reader(key);
    json_array_foreach(items, i, item)
    {
        if (read && json_is_object(item))
            read(builder, people, item);
        else
            builder_unknown(builder, item, key, "");
    }
    if (json_array_size(items) == 0)
        builder_skip(builder, NON_EVENT_EMPTY);
}

/* The lists of a classic body, or of the payload that wraps one. */
static void split_lists(struct builder *builder, const struct people *people, json_t *body)
{
    const char *key;
    json_t *value;
    bool is_empty = true;
    json_object_foreach(body, key, value)
    {
        if (is_beside(key) || !(json_is_array(value) || json_is_object(value)))
            continue;
        is_empty = false;
        if (json_is_array(value))
            split_list(builder, people, key, value);
        else if (strcmp(key, "user_event") == 0)
            add_notice(builder, value, read_object(value, "revoke") ? "revoke" : key,
                       "access withdrawn");
        else if (strcmp(key, "replay_job_status") == 0)
            add_notice(builder, value, key, read_text(builder, value, "job_state"));
        else
            builder_unknown(builder, value, key, "");
    }
    if (is_empty)
        builder_skip(builder, NON_EVENT_EMPTY);
}

/* The X Activity envelope. */
struct activity {
    const char *type;
    const char *uuid;
    json_t *payload;
    const json_t *data;
    struct people people;
};

static void add_chat(struct builder *builder, const struct activity *activity)
{
    const char *sender = read_text(builder, activity->payload, "sender_id");
    bool is_own = sender[0] && strcmp(sender, builder_account_id(builder)) == 0;
    if (is_own || strcmp(activity->type, "chat.sent") == 0) {
        builder_skip(builder, NON_EVENT_STATUS);
        return;
    }
    /* End-to-end encrypted: somebody wrote, we cannot read what. A person has to look on X. */
    struct draft draft;
    draft_start(&draft, builder, KIND(UNKNOWN), activity->payload);
    draft.event.person = TEXT_FIELD(sender);
    draft.event.object_id = TEXT_FIELD(read_text(builder, activity->payload, "id"));
    draft.event.platform_time_ms = read_time_ms(activity->payload, "created_at_msec");
    draft.event.raw_kind = TEXT_FIELD(activity->type);
    if (draft.event.object_id[0] == '\0')
        draft.id_object = activity->uuid;
    name_person(&draft, builder, &activity->people);
    builder_add(builder, &draft);
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool skip_activity(struct builder *builder, const char *type)
{
    static const struct {
        const char *prefix;
        enum non_event kind;
    } skipped[] = {
        { "dm.indicate_typing", NON_EVENT_TYPING },
        { "follow.", NON_EVENT_FOLLOW },
        { "unfollow.", NON_EVENT_FOLLOW },
        { "block.", NON_EVENT_FOLLOW },
        { "unblock.", NON_EVENT_FOLLOW },
        { "mute.", NON_EVENT_FOLLOW },
        { "unmute.", NON_EVENT_FOLLOW },
        { "like.", NON_EVENT_LIKE },
        { "unlike.", NON_EVENT_LIKE },
        { "profile.", NON_EVENT_CONTEXT },
        { "post.repost", NON_EVENT_REPOST },
    };
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++) {
        if (starts_with(type, skipped[i].prefix)) {
            builder_skip(builder, skipped[i].kind);
            return true;
        }
    }
    return false;
}

static void split_dm_read(struct builder *builder, const struct activity *activity)
{
    json_t *list = read_array(activity->payload, "direct_message_mark_read_events");
    if (list)
        split_list(builder, &activity->people, "direct_message_mark_read_events", list);
    else
        split_read(builder, &activity->people, activity->payload);
}

static void split_post_delete(struct builder *builder, const struct activity *activity)
{
    const json_t *status = read_object(activity->payload, "status");
    const json_t *post = status ? status : activity->payload;
    const char *author = read_text(builder, post, "author_id");
    if (author[0] == '\0')
        author = read_text(builder, post, "user_id");
    add_post_delete(builder, activity->payload, read_id(builder, post), author);
}

static void split_activity_post(struct builder *builder, const struct activity *activity)
{
    const json_t *inner = read_object(activity->payload, "data");
    split_post(builder, &activity->people, inner ? inner : activity->payload);
}

/* false: of a type nobody knows. */
static bool read_activity(struct builder *builder, const struct activity *activity)
{
    const char *type = activity->type;
    if (read_array(activity->payload, "direct_message_events"))
        split_lists(builder, &activity->people, activity->payload);
    else if (starts_with(type, "chat."))
        add_chat(builder, activity);
    else if (strcmp(type, "dm.read") == 0)
        split_dm_read(builder, activity);
    else if (strcmp(type, "post.delete") == 0)
        split_post_delete(builder, activity);
    else if (strcmp(type, "oauth.revoke") == 0)
        add_notice(builder, activity->payload, type, "access withdrawn");
    else if (skip_activity(builder, type))
        return true;
    else if (starts_with(type, "post."))
        split_activity_post(builder, activity);
    else
        return false;
    return true;
}

static void split_activity(struct builder *builder, const struct activity *activity)
{
    const char *type = activity->type;
    if (!activity->payload || !read_activity(builder, activity))
        builder_unknown(builder, activity->data, type[0] ? type : "activity", "");
}

static void split_envelope(struct builder *builder, const json_t *root, const json_t *data)
{
    struct activity activity = {
        .type = read_text(builder, data, "event_type"),
        .uuid = read_text(builder, data, "event_uuid"),
        .payload = read_object(data, "payload"),
        .data = data,
    };
    const char *account = read_text(builder, read_object(data, "filter"), "user_id");
    if (account[0] == '\0')
        account = read_text(builder, activity.payload, "user_id");
    builder_account(builder, "x", account);
    const json_t *const holders[] = { activity.payload, data, root };
    activity.people.map = read_object(activity.payload, "users");
    for (size_t i = 0; i < 3 && !activity.people.list; i++)
        activity.people.list = read_array(read_object(holders[i], "includes"), "users");
    split_activity(builder, &activity);
}

static void x_split(const Desg__V1__Delivery *delivery, struct builder *builder)
{
    builder_account(builder, "x", "");
    AUTO(split_json_free)
    json_t *root = split_json_read(builder, delivery->body.data, delivery->body.len);
    if (!root)
        return; /* told by an UNREADABLE event */
    const json_t *data = read_object(root, "data");
    if (data) {
        split_envelope(builder, root, data);
        return;
    }
    builder_account(builder, "x", read_text(builder, root, "for_user_id"));
    const struct people people = { .map = read_object(root, "users") };
    if (json_object_size(root) == 0)
        builder_unknown(builder, root, "envelope", "");
    else
        split_lists(builder, &people, root);
}

const struct channel_adapter channel_x = {
    .name = "x",
    .handshake = x_handshake,
    .verify = x_verify,
    .split = x_split,
};
