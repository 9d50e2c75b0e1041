/* broadcast_file - a broadcast as somebody wrote it down, YAML or JSON, as the JSON of desk's API.
 */
#ifndef DESG_CLI_BROADCAST_FILE_H
#define DESG_CLI_BROADCAST_FILE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"

enum { BROADCAST_FILE_MAX_BYTES = 256 * 1024 };

/* Reads path ("-": standard input). starts_at, expires_at, publish_at and welsh_owed.due_at,
 * written as words, become starts_at_ms and so on. What is no number or truth in the API is text,
 * quoted or not. ERROR_INVALID names the file, the line (YAML) or the member (JSON), and what to
 * write; NULL then. The caller drops the reference. */
json_t *broadcast_file_read(const char *path, int64_t now_unix_ms, struct error *err) MUST_USE;

/* The same of text[0..length); name is for the errors. */
json_t *broadcast_file_parse(const char *name, const char *text, size_t length, int64_t now_unix_ms,
                             struct error *err) MUST_USE;

#endif
