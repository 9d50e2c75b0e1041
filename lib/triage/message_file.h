/* message_file - labelled messages for training and measuring: JSON Lines, one object each, with
 *   id, lang, text, urgent (true, false or null: nobody knows), category, source
 * and, as the set has them, restricted (none, sexual-offence, intelligence), flags, and members of
 * its own. id and text must be there; what is left out is not known. A wrong line is told with
 * file, line and what to write, counted, and passed over: text is never repeated. Pure but for the
 * reading. */
#ifndef DESG_TRIAGE_MESSAGE_FILE_H
#define DESG_TRIAGE_MESSAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "error/error.h"

enum {
    MESSAGE_LINE_MAX_BYTES = 1 << 20,
    MESSAGE_ID_MAX_BYTES = 120,
    MESSAGE_FLAGS_MAX = 16,
    MESSAGE_CATEGORIES = 22
};

/* What the desk sorts by (rules/README.md), by name; a force's rules may bring more. */
extern const char *const message_categories[MESSAGE_CATEGORIES];

enum message_truth { MESSAGE_URGENT_UNKNOWN, MESSAGE_NOT_URGENT, MESSAGE_URGENT };

/* Strings are borrowed and last until the next line is read. */
struct labelled_message {
    const char *id;
    const char *language; /* en, cy, mixed, or the set's own word; "" if it says none */
    const char *text;     /* UTF-8, no NUL */
    size_t text_bytes;
    enum message_truth urgent;
    const char *category;   /* "" if it says none */
    const char *source;     /* "" if it says none */
    const char *restricted; /* NULL: the set does not say */
    const json_t *flags;    /* an array of strings; NULL: the set does not say */
    const json_t *members;  /* all of the row, such as genre */
    const char *file;
    unsigned line; /* from 1 */
};

/* Whether a row is never trained on, and so is fit to measure with: FNV-1a 32 of its id mod 5 is 0.
 * One place for training and for measuring. */
bool message_is_held_out(const char *id);

/* The text of the row's member, such as genre; "" if it has none. */
const char *message_member(const struct labelled_message *self, const char *name);

/* Gets each good row. Returns 0 to go on, -1 with err to stop. */
typedef int message_taken(void *arg, const struct labelled_message *message, struct error *err);
/* Told of each bad line: "file:line: what is wrong: what to write". */
typedef void message_complaint(void *arg, const char *text);

struct message_reading {
    message_taken *take;
    message_complaint *complain; /* NULL: nobody is told, they are counted all the same */
    void *arg;
    size_t rows;      /* taken; added to */
    size_t bad_lines; /* passed over; added to */
};

/* Reads a file from its beginning. 0, or -1: ERROR_INVALID it cannot be opened or read; else what
 * take said. */
int message_file_read(const char *path, struct message_reading *reading,
                      struct error *err) MUST_USE;

/* The same from an open stream; name stands in complaints. */
int message_stream_read(FILE *stream, const char *name, struct message_reading *reading,
                        struct error *err) MUST_USE;

#endif
