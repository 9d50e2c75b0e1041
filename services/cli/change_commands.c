/* change_commands - heartbeat, release, close, grade, note, language, ack: what people decide. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/claimed.h"
#include "cli/command.h"

enum { PATH_BYTES = 160, NOTE_MAX_BYTES = 16384 };

static int say_done(const struct command_line *line, const json_t *answer, const char *done,
                    const char *id)
{
    if (line->is_json)
        return command_print_json(answer);
    (void)printf("%s %s\n", done, id);
    return 0;
}

/* Posts a decision about words[0] that a claim is needed for. */
static int post_claimed(const struct command_line *line, const char *what, json_t *body,
                        const char *done, struct error *err)
{
    char path[PATH_BYTES], conversation[ID_TEXT_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, err);
    if (!desk || claimed_word(line, 0, desk, conversation, err) != 0)
        return -1;
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/%s", conversation, what);
    if (claimed_fence(line, desk, conversation, body, err) != 0 ||
        api_post(desk, path, body, &answer, NULL, err) != 0)
        return -1;
    return say_done(line, answer, done, conversation);
}

int command_heartbeat(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *body = json_object();
    if (post_claimed(line, "heartbeat", body, "Kept", &err) != 0)
        return command_fail(&err);
    return 0;
}

int command_release(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *body = json_object();
    if (post_claimed(line, "release", body, "Released", &err) != 0)
        return command_fail(&err);
    return 0;
}

int command_close(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *body = json_object();
    if (line->reason && json_object_set_new(body, "reason", json_string(line->reason)) != 0) {
        (void)fprintf(stderr, "desg: the reason is not UTF-8\n");
        return EXIT_USAGE;
    }
    if (claimed_last_event(line, body, &err) != 0 ||
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
    AUTO(answer_drop)
    json_t *body = json_pack("{s:s, s:s}", "severity", line->words[1], "reason", line->reason);
    if (!body) {
        (void)fprintf(stderr, "desg: the reason is not UTF-8\n");
        return EXIT_USAGE;
    }
    if (claimed_last_event(line, body, &err) != 0 ||
        post_claimed(line, "grade", body, "Graded", &err) != 0)
        return command_fail(&err);
    return 0;
}

int command_note(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_BYTES], conversation[ID_TEXT_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || claimed_word(line, 0, desk, conversation, &err) != 0)
        return command_fail(&err);
    json_t *text = claimed_text(line->text, "a note", NOTE_MAX_BYTES, &err);
    if (!text)
        return command_usage(&err);
    AUTO(answer_drop) json_t *body = json_pack("{s:o}", "text", text);
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/notes", conversation);
    if (api_post(desk, path, body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    return say_done(line, answer, "Noted on", conversation);
}

int command_language(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_BYTES], conversation[ID_TEXT_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    if (line->word_count < 2) {
        (void)fprintf(stderr, "desg: say which conversation and which language: cy, en, both, or "
                              "none to take a wish back\n");
        return EXIT_USAGE;
    }
    AUTO(answer_drop) json_t *body = json_pack("{s:s}", "language", line->words[1]);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || claimed_word(line, 0, desk, conversation, &err) != 0)
        return command_fail(&err);
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/language", conversation);
    if (api_post(desk, path, body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    return say_done(line, answer, "Wish noted on", conversation);
}

int command_ack(const struct command_line *line)
{
    struct error err = { 0 };
    struct id id;
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    if (command_id(line, 0, "alert", &id, &err) != 0)
        return command_fail(&err);
    AUTO(answer_drop)
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
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_post(desk, path, body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    return say_done(line, answer, "Acknowledged", line->words[0]);
}
