#include "desk/reply_window.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t time_of(const json_t *event)
{
    int64_t at_ms = json_integer_value(json_object_get(event, "platform_time_ms"));
    return at_ms > 0 ? at_ms : json_integer_value(json_object_get(event, "received_at_ms"));
}

static bool is_private_word(const json_t *event)
{
    const char *kind = text_of(event, "kind");
    return !json_is_true(json_object_get(event, "is_public")) &&
           (strcmp(kind, "message") == 0 || strcmp(kind, "postback") == 0 ||
            strcmp(kind, "edit") == 0);
}

static const json_t *find_event(const json_t *conversation, const struct id *wanted)
{
    const json_t *found = NULL;
    const json_t *event;
    size_t index;
    char id[ID_TEXT_BYTES];
    if (wanted)
        id_text(wanted->bytes, id);
    json_array_foreach(json_object_get(conversation, "events"), index, event)
    {
        if (!is_private_word(event) || (wanted && strcmp(text_of(event, "event"), id) != 0))
            continue;
        if (!found || time_of(event) >= time_of(found))
            found = event;
    }
    return found;
}

bool reply_window_of(const struct outward_config *config, const json_t *conversation,
                     const struct id *event, int64_t now_ms, struct reply_window *out)
{
    assert(config && out);
    const json_t *answered = find_event(conversation, event);
    int64_t last_ms = json_integer_value(json_object_get(conversation, "last_person_at_ms"));
    if (!answered)
        return false;
    out->channel = text_of(answered, "channel");
    out->account = text_of(answered, "account");
    out->sender = outward_account_of(config, out->channel, out->account);
    out->window = window_of(config, out->channel, out->sender && out->sender->has_human_agent,
                            last_ms, now_ms);
    if (out->sender)
        window_explain(&out->window, out->channel, now_ms, out->explanation,
                       sizeof out->explanation);
    else
        (void)snprintf(out->explanation, sizeof out->explanation,
                       "nothing is sent for this account from here: answer on the platform's own "
                       "page, or have it put into outward.accounts");
    return true;
}

bool reply_window_is_open(const struct reply_window *self)
{
    return self->sender && self->window.state != WINDOW_CLOSED;
}

json_t *reply_window_json(const struct reply_window *self)
{
    static const char *const states[] = {
        [WINDOW_OPEN] = "open", [WINDOW_HUMAN] = "human", [WINDOW_CLOSED] = "closed"
    };
    bool is_open = reply_window_is_open(self);
    json_t *object =
        json_pack("{s:s, s:s}", "state", is_open ? states[self->window.state] : "closed",
                  "explanation", self->explanation);
    /* As elsewhere: without memory a member is left out. */
    if (is_open && self->window.until_ms != INT64_MAX)
        (void)json_object_set_new(object, "until_ms", json_integer(self->window.until_ms));
    if (is_open && self->window.human_until_ms > 0)
        (void)json_object_set_new(object, "human_until_ms",
                                  json_integer(self->window.human_until_ms));
    return object;
}
