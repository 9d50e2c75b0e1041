/* reply_command - desg reply: answers a person. */
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/claimed.h"
#include "cli/command.h"
#include "cli/window_words.h"
#include "clock/clock.h"

enum { PATH_BYTES = 160, SENTENCE_BYTES = 640 };

static int add_event(const struct command_line *line, json_t *body, struct error *err)
{
    struct id id;
    if (!line->event)
        return 0;
    if (id_parse(line->event, &id) != 0)
        return error_set(err, ERROR_INVALID, "--event '%.40s' is no event id: 32 hex digits",
                         line->event);
    (void)json_object_set_new(body, "event", json_string(line->event));
    return 0;
}

static void say_taken(const json_t *answer, const char *conversation)
{
    char words[SENTENCE_BYTES];
    json_int_t parts = json_integer_value(json_object_get(answer, "parts"));
    window_words(json_object_get(answer, "window"), clock_unix_ms(), words, sizeof words);
    (void)printf("Taken: item %s goes out by %s", answer_text(answer, "item"),
                 answer_text(answer, "place"));
    if (parts > 1)
        (void)printf(" in %" JSON_INTEGER_FORMAT " parts", parts);
    (void)printf("\n");
    if (words[0])
        (void)printf("They %s\n", words);
    (void)printf("desg show %s tells what became of it\n", conversation);
}

static int reply(const struct command_line *line, json_t *body, struct error *err)
{
    char path[PATH_BYTES], conversation[ID_TEXT_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, err);
    if (!desk || claimed_word(line, 0, desk, conversation, err) != 0 ||
        claimed_fence(line, desk, conversation, body, err) != 0)
        return -1;
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/replies", conversation);
    if (api_post(desk, path, body, &answer, NULL, err) != 0)
        return -1;
    if (line->is_json)
        return command_print_json(answer);
    say_taken(answer, conversation);
    return 0;
}

int command_reply(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *body = json_object();
    if (line->word_count == 0 || !line->text) {
        (void)fprintf(stderr, "desg: say whom to answer and what: desg reply CONVERSATION --text "
                              "TEXT, or --text - for standard input\n");
        return EXIT_USAGE;
    }
    json_t *text = claimed_text(line->text, "a reply", CLAIMED_TEXT_MAX_BYTES, &err);
    if (!text)
        return command_usage(&err);
    (void)json_object_set_new(body, "text", text);
    if (add_event(line, body, &err) != 0 || claimed_last_event(line, body, &err) != 0)
        return command_usage(&err);
    return reply(line, body, &err) == 0 ? 0 : command_fail(&err);
}
