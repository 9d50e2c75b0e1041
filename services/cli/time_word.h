/* time_word - a point in time as people write it on a command line. */
#ifndef DESG_CLI_TIME_WORD_H
#define DESG_CLI_TIME_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "error/error.h"

/* "90s", "15m", "2h", "3d": so long before now; "2026-02-11", "2026-02-11 17:42[:05]" (or T
 * between): local time; with Z or +01:00 at its end: UTC or that offset. *out is Unix time,
 * untouched on failure. ERROR_INVALID: neither, or in the future. */
int time_word_parse(const char *text, int64_t now_unix_ms, int64_t *out,
                    struct error *err) MUST_USE;

/* The same looking ahead: "90s", "15m", "2h", "3d" from now on, "18:30" the next time the clock
 * here says so, or a date with a time as above. ERROR_INVALID: no such thing, or not in the future
 * unless may_be_past. */
int time_word_ahead(const char *text, int64_t now_unix_ms, bool may_be_past, int64_t *out,
                    struct error *err) MUST_USE;

#endif
