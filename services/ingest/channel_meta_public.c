/* What is said in public: the Page's feed, mentions, comments under Instagram media. */
#include "ingest/channel_meta.h"

#include <string.h>

/* One change, its common parts read. */
struct change {
    const json_t *fragment;
    const json_t *value;
    const char *field, *item, *verb;
    const char *person, *person_name, *person_handle;
    const char *object; /* the comment, or the post itself */
    const char *post;   /* it hangs under; scope of the conversation */
    const char *parent;
    const char *text;
    int64_t time_ms;
};

static bool is_verb(const struct change *change, const char *a, const char *b)
{
    return strcmp(change->verb, a) == 0 || strcmp(change->verb, b) == 0;
}

static void attach_link(struct draft *draft, struct builder *builder, const struct change *change,
                        const char *type)
{
    const char *url = read_text(builder, change->value, type);
    attachment_message *attachment = url[0] ? draft_attach(draft, type) : NULL;
    if (attachment)
        attachment->url = TEXT_FIELD(url);
}

static void attach_photos(struct draft *draft, struct builder *builder, const struct change *change)
{
    size_t i;
    json_t *photo;
    json_array_foreach(read_array(change->value, "photos"), i, photo)
    {
        attachment_message *attachment =
            json_is_string(photo) ? draft_attach(draft, "photo") : NULL;
        if (attachment)
            attachment->url = TEXT_FIELD(json_string_value(photo));
    }
    attach_link(draft, builder, change, "photo");
    attach_link(draft, builder, change, "video");
    attach_link(draft, builder, change, "link");
}

static Desg__V1__EventKind kind_of(const struct change *change, Desg__V1__EventKind when_added)
{
    if (is_verb(change, "edit", "edited") || is_verb(change, "update", "updated"))
        return KIND(EDIT);
    if (is_verb(change, "remove", "delete"))
        return KIND(UNSEND);
    return is_verb(change, "add", "") ? when_added : KIND(UNKNOWN);
}

static void add_public(struct builder *builder, const struct change *change,
                       Desg__V1__EventKind when_added)
{
    struct draft draft;
    Desg__V1__EventKind kind = kind_of(change, when_added);
    draft_start(&draft, builder, kind, change->fragment);
    event_message *event = &draft.event;
    event->is_public = true;
    event->person = TEXT_FIELD(change->person);
    event->person_name = TEXT_FIELD(change->person_name);
    event->person_handle = TEXT_FIELD(change->person_handle);
    event->object_id = TEXT_FIELD(change->object);
    event->target_object_id = TEXT_FIELD(kind == when_added ? change->parent : change->object);
    event->text = TEXT_FIELD(kind == KIND(UNSEND) ? "" : change->text);
    event->platform_time_ms = change->time_ms;
    event->raw_kind =
        TEXT_FIELD(change->item[0] ? builder_text(builder, "%s.%s", change->field, change->item)
                                   : change->field);
    /* Who wrote it may be hidden: then it hangs under itself, not with every other hidden one. */
    draft.scope = change->person[0] ? change->post : change->object;
    /* Edits carry no count and may keep the first time: the text tells them apart. */
    draft.id_object = builder_text(builder, "%s\n%s\n%s\n%s\n%lld\n%s", change->field, change->item,
                                   change->verb, change->object, (long long)change->time_ms,
                                   kind == KIND(EDIT) ? change->text : "");
    if (kind == when_added || kind == KIND(EDIT))
        attach_photos(&draft, builder, change);
    builder_add(builder, &draft);
}

static void read_person(struct builder *builder, struct change *change)
{
    const json_t *from = read_object(change->value, "from");
    change->person = read_text(builder, from, "id");
    change->person_name = read_text(builder, from, "name");
    change->person_handle = read_text(builder, from, "username");
    if (change->person[0] == '\0')
        change->person = read_text(builder, change->value, "sender_id");
    if (change->person_name[0] == '\0')
        change->person_name = read_text(builder, change->value, "sender_name");
}

static void read_page_change(struct builder *builder, struct change *change)
{
    const char *post = read_text(builder, change->value, "post_id");
    const char *comment = read_text(builder, change->value, "comment_id");
    const char *parent = read_text(builder, change->value, "parent_id");
    change->item = read_text(builder, change->value, "item");
    change->verb = read_text(builder, change->value, "verb");
    change->post = post;
    change->object = comment[0] ? comment : post;
    change->parent = parent[0] ? parent : comment[0] ? post : "";
    change->text = read_text(builder, change->value, "message");
    change->time_ms = read_time_ms(change->value, "created_time");
    read_person(builder, change);
}

/* The post, status or picture of a visitor on our page names us; the rest hangs under ours. */
static const char *const post_items[] = { "post",  "status", "photo", "video",
                                          "album", "share",  "link",  "note" };

static bool is_post_item(const char *item)
{
    for (size_t i = 0; i < sizeof post_items / sizeof post_items[0]; i++)
        if (strcmp(item, post_items[i]) == 0)
            return true;
    return false;
}

/* What opens no work; false: it does. */
static bool skip_feed(struct builder *builder, const struct change *change)
{
    if (change->person[0] && strcmp(change->person, builder_account_id(builder)) == 0)
        builder_skip(builder, NON_EVENT_OWN_POST);
    else if (strcmp(change->item, "reaction") == 0 || strcmp(change->item, "like") == 0)
        builder_skip(builder, NON_EVENT_LIKE);
    else if (is_verb(change, "hide", "unhide") || is_verb(change, "block", "unblock"))
        builder_skip(builder, NON_EVENT_MODERATION);
    else
        return false;
    return true;
}

static bool on_feed(struct builder *builder, struct change *change)
{
    read_page_change(builder, change);
    if (skip_feed(builder, change))
        return true;
    bool is_comment = strcmp(change->item, "comment") == 0;
    if (change->object[0] == '\0' || (!is_comment && !is_post_item(change->item)))
        return false;
    add_public(builder, change, is_comment ? KIND(COMMENT) : KIND(MENTION));
    return true;
}

static bool on_mention(struct builder *builder, struct change *change)
{
    read_page_change(builder, change);
    if (change->object[0] == '\0')
        return false;
    add_public(builder, change, KIND(MENTION));
    return true;
}

static bool on_instagram_comment(struct builder *builder, struct change *change)
{
    const json_t *media = read_object(change->value, "media");
    change->object = read_text(builder, change->value, "id");
    change->post = read_text(builder, media, "id");
    change->parent = read_text(builder, change->value, "parent_id");
    if (change->parent[0] == '\0')
        change->parent = change->post;
    change->text = read_text(builder, change->value, "text");
    change->verb = read_text(builder, change->value, "verb");
    change->time_ms = read_time_ms(change->value, "timestamp");
    read_person(builder, change);
    if (change->object[0] == '\0')
        return false;
    if (change->person[0] && strcmp(change->person, builder_account_id(builder)) == 0)
        builder_skip(builder, NON_EVENT_OWN_POST);
    else
        add_public(builder, change, KIND(COMMENT));
    return true;
}

static bool on_instagram_mention(struct builder *builder, struct change *change)
{
    const char *comment = read_text(builder, change->value, "comment_id");
    change->post = read_text(builder, change->value, "media_id");
    change->object = comment[0] ? comment : change->post;
    if (change->object[0] == '\0')
        return false;
    add_public(builder, change, KIND(MENTION));
    return true;
}

static const struct {
    const char *field;
    bool (*read)(struct builder *builder, struct change *change);
} change_readers[] = {
    { "feed", on_feed },
    { "mention", on_mention },
    { "comments", on_instagram_comment },
    { "live_comments", on_instagram_comment },
    { "mentions", on_instagram_mention },
};

bool meta_public_change(struct builder *builder, const json_t *change)
{
    struct change read = {
        .fragment = change,
        .value = read_object(change, "value"),
        .field = read_text(builder, change, "field"),
        .item = "",
        .verb = "",
        .person = "",
        .person_name = "",
        .person_handle = "",
        .object = "",
        .post = "",
        .parent = "",
        .text = "",
    };
    for (size_t i = 0; i < sizeof change_readers / sizeof change_readers[0]; i++)
        if (strcmp(read.field, change_readers[i].field) == 0)
            return read.value && change_readers[i].read(builder, &read);
    return false;
}
