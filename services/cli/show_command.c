/* show_command - desg show: all of a conversation. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/claimed.h"
#include "cli/command.h"
#include "cli/table.h"
#include "cli/window_words.h"
#include "clock/clock.h"

enum { PATH_BYTES = 160, SENTENCE_BYTES = 640 };

static const char *text_or(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? text : otherwise;
}

static void print_marks(const char *text, const json_t *reasons)
{
    size_t index;
    const json_t *reason;
    json_array_foreach(reasons, index, reason)
    {
        size_t offset = (size_t)json_integer_value(json_object_get(reason, "offset_bytes"));
        size_t length = (size_t)json_integer_value(json_object_get(reason, "length_bytes"));
        char words[TABLE_CELL_BYTES] = "";
        if (text && length > 0 && offset + length <= strlen(text))
            (void)snprintf(words, sizeof words, " \"%.*s\"", (int)(length < 80 ? length : 80),
                           text + offset);
        (void)printf("      why: %s", json_string_value(json_object_get(reason, "rule")));
        table_print_text(words, 0);
    }
}

static void print_event(const json_t *event)
{
    char when[TABLE_CELL_BYTES];
    const json_t *verdict = json_object_get(event, "verdict");
    const char *text = json_string_value(json_object_get(event, "text"));
    int64_t at_ms = json_integer_value(json_object_get(event, "platform_time_ms"));
    if (at_ms == 0)
        at_ms = json_integer_value(json_object_get(event, "received_at_ms"));
    table_format_time(at_ms, when);
    (void)printf("\n  %s  %s  %s  %s\n", when, text_or(event, "kind", "-"),
                 text_or(verdict, "severity", "-"), text_or(event, "event", "-"));
    if (text)
        table_print_text(text, 4);
    if (json_object_get(event, "reaction"))
        table_print_text(json_string_value(json_object_get(event, "reaction")), 4);
    size_t attachments = json_array_size(json_object_get(event, "attachments"));
    if (attachments > 0)
        (void)printf("    [%zu attached]\n", attachments);
    print_marks(text, json_object_get(verdict, "reasons"));
}

/* What became of a reply or receipt: "sent, read", "refused: …", "later, again 14:05". */
static void print_item(const json_t *item)
{
    const char *state = text_or(item, "state", "-");
    const char *outcome = text_or(item, "outcome", "");
    const char *error = text_or(item, "error", "");
    json_int_t parts = json_integer_value(json_object_get(item, "parts"));
    int64_t again_ms = json_integer_value(json_object_get(item, "again_at_ms"));
    bool is_failure = strcmp(state, "sent") != 0 && strcmp(state, "settled") != 0;
    (void)printf("    > %s by %s", state, text_or(item, "place", "-"));
    if (*outcome && strcmp(outcome, state) != 0)
        (void)printf(", %s", outcome);
    if (parts > 1)
        (void)printf(", %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " parts",
                     json_integer_value(json_object_get(item, "parts_sent")), parts);
    if (again_ms > 0) {
        char when[TABLE_CELL_BYTES];
        window_time(again_ms, clock_unix_ms(), when, sizeof when);
        (void)printf(", again %s", when);
    }
    if (*error && is_failure) {
        (void)printf(": ");
        table_print_text(error, 0);
    } else {
        (void)putchar('\n');
    }
    if (strcmp(state, "unknown") == 0)
        (void)printf("      it may be there: look, then desg unknown there|again %s\n",
                     text_or(item, "item", "-"));
}

/* What people decided of it, their notes, their replies. */
static void print_facts(const json_t *facts)
{
    size_t index;
    const json_t *fact;
    json_array_foreach(facts, index, fact)
    {
        char when[TABLE_CELL_BYTES];
        const char *text = json_string_value(json_object_get(fact, "text"));
        const char *reason = json_string_value(json_object_get(fact, "reason"));
        const json_t *severity = json_object_get(fact, "severity");
        table_format_time(json_integer_value(json_object_get(fact, "at_ms")), when);
        (void)printf("\n  %s  %s by %s%s%s\n", when, text_or(fact, "what", "-"),
                     text_or(fact, "agent", "-"), severity ? ": " : "",
                     severity ? table_severity(json_integer_value(severity)) : "");
        if (!text)
            text = json_string_value(json_object_get(fact, "language"));
        if (text || reason)
            table_print_text(text ? text : reason, 4);
        if (json_object_get(fact, "item"))
            print_item(json_object_get(fact, "item"));
    }
}

static void print_receipt(const json_t *receipt)
{
    char when[TABLE_CELL_BYTES];
    if (!json_is_object(receipt))
        return;
    table_format_time(json_integer_value(json_object_get(receipt, "decided_at_ms")), when);
    (void)printf("\n  %s  automatic receipt\n", when);
    print_item(receipt);
}

/* Does it ask nothing of anybody: our own words come back, a sign of life, a reaction? */
static bool is_beside(const json_t *event)
{
    static const char *const kinds[] = { "echo", "read", "reaction", "outcome" };
    const char *kind = text_or(event, "kind", "");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

/* By the platforms' clocks what was delivered late stands further up: whoever answers names what
 * came last to us. */
static void print_late(const json_t *conversation)
{
    const json_t *events = json_object_get(conversation, "events");
    const char *last = text_or(conversation, "last_event", "");
    for (size_t i = json_array_size(events); *last && i-- > 0;) {
        const json_t *event = json_array_get(events, i);
        if (strcmp(text_or(event, "event", ""), last) == 0)
            return;
        if (!is_beside(event))
            break;
    }
    if (*last)
        (void)printf("  came last, though not newest by its time: %s\n", last);
}

static void print_head(const json_t *conversation)
{
    char words[SENTENCE_BYTES];
    const char *reference = text_or(conversation, "reference", "");
    const char *owner = text_or(conversation, "owner", "");
    const char *wish = text_or(conversation, "language_wish", "");
    const char *broadcast = text_or(conversation, "broadcast", "");
    (void)printf("Conversation %s%s%s\n", text_or(conversation, "conversation", "-"),
                 *reference ? ", reference " : "", reference);
    (void)printf("  channel %s, queue %s, state %s, severity %s, category %s, language %s\n",
                 text_or(conversation, "channel", "-"), text_or(conversation, "queue", "-"),
                 text_or(conversation, "state", "-"),
                 table_severity(json_integer_value(json_object_get(conversation, "severity"))),
                 text_or(conversation, "category", "-"), text_or(conversation, "language", "-"));
    if (*wish)
        (void)printf("  wants to be written to in: %s\n", wish);
    if (*owner)
        (void)printf("  claimed by %s under fence %" JSON_INTEGER_FORMAT "\n", owner,
                     json_integer_value(json_object_get(conversation, "fence")));
    window_words(json_object_get(conversation, "window"), clock_unix_ms(), words, sizeof words);
    if (words[0])
        (void)printf("  %s\n", words);
    if (*broadcast)
        (void)printf("  said under broadcast %s: desg broadcast show %s\n", broadcast, broadcast);
    print_late(conversation);
}

int command_show(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_BYTES], id[ID_TEXT_BYTES];
    AUTO(answer_drop) json_t *conversation = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || claimed_word(line, 0, desk, id, &err) != 0)
        return command_fail(&err);
    (void)snprintf(path, sizeof path, "/v1/conversations/%s", id);
    if (api_get(desk, path, &conversation, NULL, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(conversation);
    size_t index;
    const json_t *event;
    print_head(conversation);
    json_array_foreach(json_object_get(conversation, "events"), index, event) print_event(event);
    print_receipt(json_object_get(conversation, "receipt"));
    print_facts(json_object_get(conversation, "facts"));
    return 0;
}
