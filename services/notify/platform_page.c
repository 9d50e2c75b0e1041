/* Posts of a Facebook Page. Sources: developers.facebook.com, Pages API "Posts"; Graph API error
 * 506 for a post that repeats the one before. No idempotency key: the Page's own posts are read. */
#include "notify/platform_channels.h"
#include "notify/platform_meta.h"
#include "notify/platform_request.h"

/* Together at most OUTBOUND_ANSWER_MAX_BYTES with any texts of ours. */
enum { LISTED = 20 };

static int post_text(const struct platform_self *self, const char *const *segments,
                     const struct platform_message *message, struct platform_request *out,
                     struct error *err)
{
    json_t *body = json_pack("{s:s}", "message", message->text);
    if (!body)
        return error_set(err, ERROR_INVALID, "a text that is not UTF-8");
    return platform_meta_request(self, "POST", segments, body, out, err);
}

static int page_send(const struct platform_self *self, const struct platform_message *message,
                     struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(self->account, "an account", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    const char *const segments[] = { self->account, "feed", NULL };
    const char *const comments[] = { message->object_id, "comments", NULL };
    if (!message->is_reply)
        return post_text(self, segments, message, out, err);
    if (platform_need(message->object_id, "a post to follow", err) != 0)
        return -1;
    return post_text(self, comments, message, out, err);
}

static int page_edit(const struct platform_self *self, const struct platform_message *message,
                     struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->object_id, "a post", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    const char *const segments[] = { message->object_id, NULL };
    return post_text(self, segments, message, out, err);
}

static int page_remove(const struct platform_self *self, const struct platform_message *message,
                       struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->object_id, "a post", err) != 0)
        return -1;
    const char *const segments[] = { message->object_id, NULL };
    return platform_meta_request(self, "DELETE", segments, NULL, out, err);
}

static int page_look_up(const struct platform_self *self, const struct platform_message *message,
                        struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(self->account, "an account", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    const char *const feed[] = { self->account, "feed", NULL };
    const char *const comments[] = { message->object_id, "comments", NULL };
    if (message->is_reply && platform_need(message->object_id, "a post to follow", err) != 0)
        return -1;
    if (platform_meta_request(self, "GET", message->is_reply ? comments : feed, NULL, out, err) !=
            0 ||
        platform_request_query(out, "fields", "id,message,created_time", err) != 0 ||
        platform_request_count(out, "limit", LISTED, err) != 0)
        return platform_request_drop(out);
    return 0;
}

static enum platform_found page_looked_up(const struct platform_answer *answer,
                                          const struct platform_message *message, int64_t since_ms,
                                          char object_id[static PLATFORM_OBJECT_BYTES])
{
    if (!platform_is_ok(answer))
        return PLATFORM_CANNOT_SAY;
    json_t *body = platform_json(answer);
    const struct platform_listing listing = {
        .rows = json_object_get(body, "data"),
        .id = "id",
        .text = "message",
        .time = "created_time",
        .asked = LISTED,
        .has_more = json_object_get(json_object_get(body, "paging"), "next") != NULL,
    };
    enum platform_found found = platform_find(&listing, message, since_ms, object_id);
    json_decref(body);
    return found;
}

const struct platform platform_page = {
    .name = "facebook-page",
    .send = page_send,
    .sent = platform_meta_sent,
    .look_up = page_look_up,
    .looked_up = page_looked_up,
    .edit = page_edit,
    .remove = page_remove,
    .probe = platform_meta_probe,
};
