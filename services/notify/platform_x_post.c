/* X posts. Sources: openapi.json 2.167 (createPosts, deletePosts, getUsersPosts), docs.x.com
 * "Manage Posts" (Aug 2026). No idempotency key: a repeated text is refused as a duplicate (187, or
 * a problem that says so), and our own posts are read. Editing is for an hour and for some accounts
 * alone: a new version is a new post. */
#include "notify/platform_channels.h"
#include "notify/platform_request.h"
#include "notify/platform_x_api.h"

static json_t *post_of(const struct platform_message *message)
{
    if (!message->is_reply)
        return json_pack("{s:s}", "text", message->text);
    return json_pack("{s:s, s:{s:s}}", "text", message->text, "reply", "in_reply_to_tweet_id",
                     message->object_id);
}

static int x_post_send(const struct platform_self *self, const struct platform_message *message,
                       struct platform_request *out, struct error *err)
{
    static const char *const segments[] = { "2", "tweets", NULL };
    *out = (struct platform_request){ 0 };
    if (platform_need(message->text, "a text", err) != 0 ||
        (message->is_reply && platform_need(message->object_id, "a post to follow", err) != 0))
        return -1;
    if (platform_request_start(out, "POST", self->base_url, segments, err) != 0 ||
        platform_x_sign(self, message->at_ms, message->nonce, out, err) != 0 ||
        platform_request_json(out, post_of(message), err) != 0)
        return platform_request_drop(out);
    return 0;
}

static int x_post_remove(const struct platform_self *self, const struct platform_message *message,
                         struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->object_id, "a post", err) != 0)
        return -1;
    const char *const segments[] = { "2", "tweets", message->object_id, NULL };
    if (platform_request_start(out, "DELETE", self->base_url, segments, err) != 0 ||
        platform_x_sign(self, message->at_ms, message->nonce, out, err) != 0)
        return platform_request_drop(out);
    return 0;
}

static int x_post_look_up(const struct platform_self *self, const struct platform_message *message,
                          struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(self->account, "an account", err) != 0)
        return -1;
    const char *const segments[] = { "2", "users", self->account, "tweets", NULL };
    if (platform_request_start(out, "GET", self->base_url, segments, err) != 0 ||
        platform_request_count(out, "max_results", PLATFORM_X_LISTED, err) != 0 ||
        platform_request_query(out, "tweet.fields", "created_at", err) != 0 ||
        platform_x_sign(self, message->at_ms, message->nonce, out, err) != 0)
        return platform_request_drop(out);
    return 0;
}

static enum platform_found x_post_looked_up(const struct platform_answer *answer,
                                            const struct platform_message *message,
                                            int64_t since_ms,
                                            char object_id[static PLATFORM_OBJECT_BYTES])
{
    return platform_x_find(answer, message, since_ms, NULL, object_id);
}

const struct platform platform_x_post = {
    .name = "x-post",
    .send = x_post_send,
    .sent = platform_x_sent,
    .look_up = x_post_look_up,
    .looked_up = x_post_looked_up,
    .remove = x_post_remove,
    .probe = platform_x_probe,
};
