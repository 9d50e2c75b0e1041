/* claimed - what is decided about one conversation: which one is meant, under which fence. */
#ifndef DESG_CLI_CLAIMED_H
#define DESG_CLI_CLAIMED_H

#include <jansson.h>

#include "cli/command.h"
#include "error/error.h"
#include "ids/ids.h"

enum { CLAIMED_TEXT_MAX_BYTES = 100000 };

/* The conversation a word names: its id, or the reference number people quote, which desk is asked
 * for. ERROR_INVALID: neither, or nobody was given that number. */
int claimed_find(struct api_client *desk, const char *word, char out[static ID_TEXT_BYTES],
                 struct error *err) MUST_USE;

/* The word at position, found that way. ERROR_INVALID: missing. */
int claimed_word(const struct command_line *line, size_t position, struct api_client *desk,
                 char out[static ID_TEXT_BYTES], struct error *err) MUST_USE;

/* Puts --fence into body, or that of the caller's own claim. */
int claimed_fence(const struct command_line *line, struct api_client *desk,
                  const char *conversation, json_t *body, struct error *err) MUST_USE;

/* Puts --last-event into body if it was given. */
int claimed_last_event(const struct command_line *line, json_t *body, struct error *err) MUST_USE;

/* text, or all of standard input for NULL and "-", without new lines at its end. ERROR_INVALID:
 * none, over max_bytes, or not UTF-8; NULL then. what: "a note". */
json_t *claimed_text(const char *text, const char *what, size_t max_bytes,
                     struct error *err) MUST_USE;

#endif
