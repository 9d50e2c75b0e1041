/* change_commands - heartbeat, release, close, grade, note, ack: what people decide. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

enum { PATH_BYTES = 160, NOTE_MAX_BYTES = 16384 };

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The fence under which the caller holds the conversation now. */
static int own_fence(struct api_client *desk, const char *conversation, json_int_t *fence,
                     struct error *err)
{
    char path[PATH_BYTES];
    AUTO(drop_json) json_t *session = NULL;
    AUTO(drop_json) json_t *claim = NULL;
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/claim", conversation);
    if (api_get(desk, "/v1/session", &session, NULL, err) != 0 ||
        api_get(desk, path, &claim, NULL, err) != 0)
        return -1;
    const char *agent = text_of(session, "agent");
    if (agent[0] == '\0' || strcmp(text_of(claim, "owner"), agent) != 0)
        return error_set(err, ERROR_INVALID, "%s does not hold this conversation: claim it first",
                         agent);
    *fence = (json_int_t)json_number_value(json_object_get(claim, "fence"));
    return 0;
}

static int add_fence(const struct command_line *line, struct api_client *desk, json_t *body,
                     struct error *err)
{
    json_int_t fence = 0;
    if (line->fence) {
        char *end = NULL;
        errno = 0;
        fence = strtoll(line->fence, &end, 10);
        if (*end != '\0' || end == line->fence || errno != 0)
            return error_set(err, ERROR_INVALID, "--fence '%s' is not a number", line->fence);
    } else if (own_fence(desk, line->words[0], &fence, err) != 0)
        return -1;
    (void)json_object_set_new(body, "fence", json_integer(fence));
    return 0;
}

static int add_last_event(const struct command_line *line, json_t *body, struct error *err)
{
    struct id id;
    if (!line->last_event)
        return 0;
    if (id_parse(line->last_event, &id) != 0)
        return error_set(err, ERROR_INVALID, "--last-event '%s' is no event id", line->last_event);
    (void)json_object_set_new(body, "last_event", json_string(line->last_event));
    return 0;
}

/* Posts a decision about words[0] that a claim is needed for. */
static int post_claimed(const struct command_line *line, const char *what, json_t *body,
                        const char *done, struct error *err)
{
    char path[PATH_BYTES];
    AUTO(drop_json) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, err);
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/%s", line->words[0], what);
    if (!desk || add_fence(line, desk, body, err) != 0 ||
        api_post(desk, path, body, &answer, NULL, err) != 0)
        return -1;
    if (line->is_json)
        return command_print_json(answer);
    (void)printf("%s %s\n", done, line->words[0]);
    return 0;
}

static int need_conversation(const struct command_line *line, struct error *err)
{
    struct id id;
    return command_id(line, 0, "conversation", &id, err);
}

int command_heartbeat(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *body = json_object();
    if (need_conversation(line, &err) != 0 ||
        post_claimed(line, "heartbeat", body, "Kept", &err) != 0)
        return command_fail(&err);
    return 0;
}

int command_release(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *body = json_object();
    if (need_conversation(line, &err) != 0 ||
        post_claimed(line, "release", body, "Released", &err) != 0)
        return command_fail(&err);
    return 0;
}

int command_close(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *body = json_object();
    if (line->reason)
        (void)json_object_set_new(body, "reason", json_string(line->reason));
    if (need_conversation(line, &err) != 0 || add_last_event(line, body, &err) != 0 ||
        post_claimed(line, "close", body, "Closed", &err) != 0)
        return command_fail(&err);
    return 0;
}

int command_grade(const struct command_line *line)
{
    struct error err = { 0 };
    if (line->word_count < 2 || !line->reason) {
        (void)fprintf(stderr, "desg: say which conversation, which severity (routine, attention, "
                              "review, urgent, life-at-risk) and --reason\n");
        return EXIT_USAGE;
    }
    AUTO(drop_json)
    json_t *body = json_pack("{s:s, s:s}", "severity", line->words[1], "reason", line->reason);
    if (!body) {
        (void)fprintf(stderr, "desg: the reason is not UTF-8\n");
        return EXIT_USAGE;
    }
    if (need_conversation(line, &err) != 0 || add_last_event(line, body, &err) != 0 ||
        post_claimed(line, "grade", body, "Graded", &err) != 0)
        return command_fail(&err);
    return 0;
}

/* --text, or all of standard input. */
static json_t *note_text(const struct command_line *line)
{
    char text[NOTE_MAX_BYTES + 1];
    if (line->text)
        return json_string(line->text);
    size_t length = fread(text, 1, sizeof text, stdin);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    return length > 0 && length <= NOTE_MAX_BYTES ? json_stringn(text, length) : NULL;
}

/* Posts what needs no claim. */
static int post_free(const struct command_line *line, const char *path, json_t *body,
                     const char *done)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_post(desk, path, body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(answer);
    (void)printf("%s %s\n", done, line->words[0]);
    return 0;
}

int command_note(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    if (need_conversation(line, &err) != 0)
        return command_fail(&err);
    json_t *text = note_text(line);
    if (!text) {
        (void)fprintf(stderr,
                      "desg: a note is 1 to %d bytes of UTF-8: give --text, or write it to "
                      "standard input\n",
                      NOTE_MAX_BYTES);
        return EXIT_USAGE;
    }
    AUTO(drop_json) json_t *body = json_pack("{s:o}", "text", text);
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/notes", line->words[0]);
    return post_free(line, path, body, "Noted on");
}

int command_ack(const struct command_line *line)
{
    struct error err = { 0 };
    struct id id;
    char path[PATH_BYTES];
    if (command_id(line, 0, "alert", &id, &err) != 0)
        return command_fail(&err);
    AUTO(drop_json)
    json_t *body = line->dispatcher && line->log_number
                       ? json_pack("{s:s, s:s}", "dispatcher", line->dispatcher, "log_number",
                                   line->log_number)
                       : NULL;
    if (!body) {
        (void)fprintf(stderr, "desg: say to whom it was told and dispatch's number: --dispatcher "
                              "NAME --log-number N, in UTF-8\n");
        return EXIT_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/alerts/%s/acknowledgement", line->words[0]);
    return post_free(line, path, body, "Acknowledged");
}
