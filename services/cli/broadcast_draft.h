/* broadcast_draft - a broadcast put together from what stood, a file and options, as desk's API
 * takes it. */
#ifndef DESG_CLI_BROADCAST_DRAFT_H
#define DESG_CLI_BROADCAST_DRAFT_H

#include <stdint.h>

#include <jansson.h>

#include "cli/command.h"
#include "error/error.h"

/* base: the version that stands, or NULL. A file (line->file) takes its place; options go before
 * both. ERROR_INVALID: what is wrong and what to write; NULL then. The caller drops the reference.
 */
json_t *broadcast_draft_make(const struct command_line *line, const json_t *base,
                             int64_t now_unix_ms, struct error *err) MUST_USE;

/* English was changed and Welsh was not, or the other way round: one of them may no longer say what
 * the other says. */
bool broadcast_draft_is_lopsided(const json_t *before, const json_t *after);

#endif
