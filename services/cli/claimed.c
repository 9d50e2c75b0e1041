#include "cli/claimed.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"

enum { PATH_BYTES = 160, REFERENCE_DIGITS = 10, REFERENCE_MAX_BYTES = 24 };

/* Ten letters and digits, however they are grouped. */
static bool is_reference(const char *word)
{
    size_t digits = 0;
    if (strlen(word) > REFERENCE_MAX_BYTES)
        return false;
    for (; *word; word++) {
        bool is_digit = (*word >= '0' && *word <= '9') || (*word >= 'a' && *word <= 'z') ||
                        (*word >= 'A' && *word <= 'Z');
        if (!is_digit && *word != '-' && *word != ' ')
            return false;
        digits += is_digit;
    }
    return digits == REFERENCE_DIGITS;
}

int claimed_find(struct api_client *desk, const char *word, char out[static ID_TEXT_BYTES],
                 struct error *err)
{
    assert(desk && word && err);
    struct id id;
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    if (id_parse(word, &id) == 0) {
        id_text(id.bytes, out);
        return 0;
    }
    if (!is_reference(word))
        return error_set(err, ERROR_INVALID,
                         "'%.40s' is no conversation: ids have 32 hex digits, reference numbers 10 "
                         "letters and digits",
                         word);
    char *escaped = api_escape(word);
    (void)snprintf(path, sizeof path, "/v1/references/%s", escaped);
    free(escaped);
    if (api_get(desk, path, &answer, NULL, err) != 0)
        return -1;
    if (id_parse(answer_text(answer, "conversation"), &id) != 0)
        return error_set(err, ERROR_UNAVAILABLE,
                         "desk's answer about a reference number is not "
                         "understood");
    id_text(id.bytes, out);
    return 0;
}

int claimed_word(const struct command_line *line, size_t position, struct api_client *desk,
                 char out[static ID_TEXT_BYTES], struct error *err)
{
    if (position >= line->word_count)
        return error_set(err, ERROR_INVALID,
                         "say which conversation: 32 hex digits, or a reference number");
    return claimed_find(desk, line->words[position], out, err);
}

/* The fence under which the caller holds the conversation now. */
static int own_fence(struct api_client *desk, const char *conversation, json_int_t *fence,
                     struct error *err)
{
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *session = NULL;
    AUTO(answer_drop) json_t *claim = NULL;
    (void)snprintf(path, sizeof path, "/v1/conversations/%s/claim", conversation);
    if (api_get(desk, "/v1/session", &session, NULL, err) != 0 ||
        api_get(desk, path, &claim, NULL, err) != 0)
        return -1;
    const char *agent = answer_text(session, "agent");
    if (agent[0] == '\0' || strcmp(answer_text(claim, "owner"), agent) != 0)
        return error_set(err, ERROR_INVALID, "%s does not hold this conversation: claim it first",
                         agent);
    *fence = (json_int_t)json_number_value(json_object_get(claim, "fence"));
    return 0;
}

int claimed_fence(const struct command_line *line, struct api_client *desk,
                  const char *conversation, json_t *body, struct error *err)
{
    json_int_t fence = 0;
    if (line->fence) {
        char *end = NULL;
        errno = 0;
        fence = strtoll(line->fence, &end, 10);
        if (*end != '\0' || end == line->fence || errno != 0)
            return error_set(err, ERROR_INVALID, "--fence '%s' is not a number", line->fence);
    } else if (own_fence(desk, conversation, &fence, err) != 0)
        return -1;
    (void)json_object_set_new(body, "fence", json_integer(fence));
    return 0;
}

int claimed_last_event(const struct command_line *line, json_t *body, struct error *err)
{
    struct id id;
    if (!line->last_event)
        return 0;
    if (id_parse(line->last_event, &id) != 0)
        return error_set(err, ERROR_INVALID, "--last-event '%s' is no event id", line->last_event);
    (void)json_object_set_new(body, "last_event", json_string(line->last_event));
    return 0;
}

json_t *claimed_text(const char *text, const char *what, size_t max_bytes, struct error *err)
{
    json_t *value = NULL;
    char *read = NULL;
    assert(max_bytes <= CLAIMED_TEXT_MAX_BYTES);
    bool is_input = !text || strcmp(text, "-") == 0;
    if (is_input)
        read = malloc(CLAIMED_TEXT_MAX_BYTES + 1);
    if (is_input && !read) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for %s", what);
        return NULL;
    }
    const char *from = is_input ? read : text;
    size_t length = is_input ? fread(read, 1, max_bytes + 1, stdin) : strlen(text);
    while (is_input && length > 0 && read[length - 1] == '\n')
        length--;
    if (length > 0 && length <= max_bytes)
        value = json_stringn(from, length);
    free(read);
    if (!value)
        (void)error_set(err, ERROR_INVALID,
                        "%s is 1 to %zu bytes of UTF-8: give --text, or write it to standard input",
                        what, max_bytes);
    return value;
}
