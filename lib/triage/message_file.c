#include "triage/message_file.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const message_categories[MESSAGE_CATEGORIES] = {
    "advice",
    "anti-social-behaviour",
    "burglary",
    "child-at-risk",
    "collision",
    "complaint",
    "domestic-abuse",
    "drugs",
    "emergency",
    "fraud",
    "general",
    "hate-crime",
    "intelligence",
    "lost-property",
    "missing-person",
    "nuisance",
    "sexual-offences",
    "stolen-vehicle",
    "suicide-self-harm",
    "thanks",
    "update-request",
    "violence-weapons",
};

enum { HELD_OUT_OF = 5, COMPLAINT_BYTES = 400 };

bool message_is_held_out(const char *id)
{
    uint32_t hash = 2166136261U;
    for (const unsigned char *p = (const unsigned char *)id; *p != '\0'; p++)
        hash = (hash ^ *p) * 16777619U;
    return hash % HELD_OUT_OF == 0;
}

const char *message_member(const struct labelled_message *self, const char *name)
{
    const char *text = json_string_value(json_object_get(self->members, name));
    return text ? text : "";
}

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static void close_stream(FILE **stream_p)
{
    if (*stream_p)
        (void)fclose(*stream_p);
}

static void free_line(char **line_p)
{
    free(*line_p);
}

/* A member that must be text if it is there: "" if not. NULL: it is something else. */
static const char *text_or_none(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    if (!value || json_is_null(value))
        return "";
    return json_string_value(value);
}

static bool take_truth(const json_t *row, enum message_truth *out)
{
    const json_t *value = json_object_get(row, "urgent");
    if (json_is_boolean(value))
        *out = json_is_true(value) ? MESSAGE_URGENT : MESSAGE_NOT_URGENT;
    else
        *out = MESSAGE_URGENT_UNKNOWN;
    return !value || json_is_boolean(value) || json_is_null(value);
}

static bool are_flags(const json_t *flags)
{
    size_t index;
    const json_t *flag;
    if (json_array_size(flags) > MESSAGE_FLAGS_MAX)
        return false;
    json_array_foreach(flags, index, flag)
    {
        if (!json_is_string(flag))
            return false;
    }
    return true;
}

static bool is_restricted_word(const char *word)
{
    return strcmp(word, "none") == 0 || strcmp(word, "sexual-offence") == 0 ||
           strcmp(word, "intelligence") == 0;
}

/* What a set may leave out. Returns what is wrong, or NULL. */
static const char *take_optional(const json_t *row, struct labelled_message *out)
{
    out->language = text_or_none(row, "lang");
    out->category = text_or_none(row, "category");
    out->source = text_or_none(row, "source");
    if (!out->language || !out->category || !out->source)
        return "lang, category and source are texts: write \"lang\": \"en\"";
    out->restricted = json_string_value(json_object_get(row, "restricted"));
    if (out->restricted && !is_restricted_word(out->restricted))
        return "restricted is none, sexual-offence or intelligence";
    const json_t *flags = json_object_get(row, "flags");
    out->flags = json_is_array(flags) ? flags : NULL;
    if (out->flags && !are_flags(flags))
        return "flags is a list of at most 16 texts: write [] or [\"weapon\"]";
    return NULL;
}

static const char *take_row(const json_t *row, struct labelled_message *out)
{
    const json_t *text = json_object_get(row, "text");
    if (!json_is_object(row))
        return "this is not an object: write {\"id\": …, \"text\": …, \"urgent\": …}";
    out->members = row;
    out->id = json_string_value(json_object_get(row, "id"));
    if (!out->id || out->id[0] == '\0' || strlen(out->id) > MESSAGE_ID_MAX_BYTES)
        return "id is missing or no text of 1 to 120 bytes: write \"id\": \"set:1\"";
    if (!json_is_string(text))
        return "text is missing or no text: write \"text\": \"what was written\"";
    out->text = json_string_value(text);
    out->text_bytes = json_string_length(text);
    if (!take_truth(row, &out->urgent))
        return "urgent is no truth: write true, false, or null where nobody knows";
    return take_optional(row, out);
}

static void complain(struct message_reading *reading, const char *name, unsigned line,
                     const char *what)
{
    char text[COMPLAINT_BYTES];
    reading->bad_lines++;
    (void)snprintf(text, sizeof text, "%.200s:%u: %s", name, line, what);
    if (reading->complain)
        reading->complain(reading->arg, text);
}

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!strchr(" \t\r\n", line[i]))
            return false;
    }
    return true;
}

static int take_line(const char *bytes, size_t length, const char *name, unsigned line,
                     struct message_reading *reading, struct error *err)
{
    json_error_t json_err;
    struct labelled_message message = { .file = name, .line = line };
    if (is_blank(bytes, length))
        return 0;
    if (length > MESSAGE_LINE_MAX_BYTES) {
        complain(reading, name, line, "the line is over 1 MiB: write one message a line");
        return 0;
    }
    AUTO(drop_json) json_t *row = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &json_err);
    const char *wrong =
        row ? take_row(row, &message)
            : "this is no JSON in UTF-8 without NUL: write one object a line, members once each";
    if (wrong) {
        complain(reading, name, line, wrong);
        return 0;
    }
    reading->rows++;
    return reading->take(reading->arg, &message, err);
}

int message_stream_read(FILE *stream, const char *name, struct message_reading *reading,
                        struct error *err)
{
    assert(stream && name && reading && reading->take && err);
    AUTO(free_line) char *bytes = NULL;
    size_t room = 0;
    ssize_t length;
    for (unsigned line = 1; (length = getline(&bytes, &room, stream)) >= 0; line++) {
        if (take_line(bytes, (size_t)length, name, line, reading, err) != 0)
            return -1;
    }
    if (ferror(stream))
        return error_set(err, ERROR_INVALID, "cannot read %s: %s", name, strerror(errno));
    return 0;
}

int message_file_read(const char *path, struct message_reading *reading, struct error *err)
{
    AUTO(close_stream) FILE *stream = fopen(path, "re");
    if (!stream)
        return error_set(err, ERROR_INVALID, "cannot open %s: %s", path, strerror(errno));
    return message_stream_read(stream, path, reading, err);
}
