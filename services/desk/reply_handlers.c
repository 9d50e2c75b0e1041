/* Answers to people. Whether one may go out is checked twice: here, at once, and by notify when it
 * goes. */
#include <string.h>

#include "clock/clock.h"
#include "desk/api.h"
#include "desk/outward_decide.h"
#include "desk/reply_window.h"
#include "outward/text.h"

enum { TEXT_MAX_BYTES = 40000, PARTS_MAX = 10 };

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

/* --- the text --- */

/* Words, and no control characters but new lines and tabs. */
static bool check_text(struct api_call *call, const char *text)
{
    bool has_words = false;
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
            return body_refuse(call, "text", "without control characters but new lines and tabs");
        has_words = has_words || c > ' ';
    }
    return has_words || body_refuse(call, "text", "more than blanks");
}

/* In how many messages it goes; -1: too many. */
static int count_parts(const struct window *window, const char *text, size_t *count,
                       struct error *err)
{
    struct text_parts parts = { 0 };
    if (text_split(text, window->text_max, window->is_in_bytes ? TEXT_BYTES : TEXT_CHARACTERS,
                   PARTS_MAX, &parts, err) != 0)
        return -1;
    *count = parts.count;
    text_parts_free(&parts);
    return 0;
}

/* --- may it go? --- */

static void refuse_window(struct api_call *call, const struct reply_window *way)
{
    api_problem(call->answer, 409, "window", "Nothing may be sent to this person now.",
                way->explanation, json_pack("{s:o}", "window", reply_window_json(way)));
}

/* Redis has it: the key comes again, and gets the answer of the first time. */
static bool is_known(const json_t *conversation, const struct id *fact)
{
    char id[ID_TEXT_BYTES];
    size_t index;
    const json_t *row;
    id_text(fact->bytes, id);
    json_array_foreach(json_object_get(conversation, "facts"), index, row)
    {
        const char *known = json_string_value(json_object_get(row, "fact"));
        if (known && strcmp(known, id) == 0)
            return true;
    }
    return false;
}

/* An event that cannot be answered at all is for the function in Redis to refuse: it says why. */
static bool may_go(struct api_call *call, const struct id *fact, const Desg__V1__ReplyItem *reply)
{
    struct reply_window way;
    struct error err = { 0 };
    struct id event;
    size_t parts = 0;
    AUTO(drop_json) json_t *conversation = NULL;
    bool has_event = reply->event_id.len == ID_BYTES;
    if (has_event)
        memcpy(event.bytes, reply->event_id.data, ID_BYTES);
    if (api_conversation(call, &call->id, &conversation) != 0)
        return false;
    if (is_known(conversation, fact) ||
        !reply_window_of(call->api->outward, conversation, has_event ? &event : NULL,
                         clock_unix_ms(), &way))
        return true;
    if (!reply_window_is_open(&way)) {
        refuse_window(call, &way);
        return false;
    }
    if (count_parts(&way.window, reply->text, &parts, &err) != 0) {
        api_problem(call->answer, 422, "body", err.text, "Shorten it, or send it as several.",
                    NULL);
        return false;
    }
    call->beside = json_pack("{s:o}", "window", reply_window_json(&way));
    return true;
}

/* --- the answer --- */

static json_t *reply_answer(struct api_call *call, const Desg__V1__Fact *fact)
{
    const Desg__V1__OutboxItem *item = fact->replied->item;
    const Desg__V1__ReplyItem *reply = item->reply;
    struct error err = { 0 };
    size_t parts = 1;
    json_t *answer = fact_describe(fact);
    const struct window window =
        window_of(call->api->outward, reply->channel, true, fact->at_ms, fact->at_ms);
    (void)json_object_del(answer, "text");
    if (window.text_max > 0 && count_parts(&window, reply->text, &parts, &err) != 0)
        parts = PARTS_MAX; /* the limits were changed since */
    (void)json_object_set_new(answer, "parts", json_integer((json_int_t)parts));
    (void)json_object_update(answer, call->beside); /* none on a repeat */
    return answer;
}

static void refuse_reply(struct api_call *call, const struct error *err)
{
    struct error ignored = { 0 };
    json_t *more = NULL;
    AUTO(drop_json) json_t *now = NULL;
    if (store_conversation(call->store, &call->id, &now, &ignored) == 0)
        more = json_pack("{s:o}", "current", api_claim_of(now));
    api_problem(call->answer, 409, "changed", err->text,
                "Read the conversation again; claim it if you do not hold it.", more);
}

void api_reply(struct api_call *call)
{
    static const char *const names[] = { "fence", "text", "event", "last_event" };
    const char *text = NULL;
    struct id id, event, last_event;
    bool has_event = false, has_last = false;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Replied what = DESG__V1__REPLIED__INIT;
    Desg__V1__OutboxItem item = DESG__V1__OUTBOX_ITEM__INIT;
    Desg__V1__ReplyItem reply = DESG__V1__REPLY_ITEM__INIT;
    if (!body_check_names(call, names, 4) || !body_fence(call, &fact.fence) ||
        !body_text(call, "text", 1, TEXT_MAX_BYTES, &text) || !check_text(call, text) ||
        !body_id(call, "event", false, &event, &has_event) ||
        !body_id(call, "last_event", false, &last_event, &has_last))
        return;
    reply.text = (char *)text;
    if (has_event)
        reply.event_id = (ProtobufCBinaryData){ ID_BYTES, event.bytes };
    if (has_last)
        reply.last_event = (ProtobufCBinaryData){ ID_BYTES, last_event.bytes };
    item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    item.reply = &reply;
    what.item = &item;
    fact.conversation_id = (ProtobufCBinaryData){ ID_BYTES, call->id.bytes };
    fact.what_case = DESG__V1__FACT__WHAT_REPLIED;
    fact.replied = &what;
    if (api_fact_begin(call, &fact, &id, reply_answer) != FACT_NEW)
        return;
    if (may_go(call, &id, &reply))
        outward_decide(call, &fact, &id, reply_answer, refuse_reply);
    else
        api_fact_drop(call, &id);
}
