/* window_words - how long a person may still be answered, in a sentence. Pure. */
#ifndef DESG_CLI_WINDOW_WORDS_H
#define DESG_CLI_WINDOW_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* window: as desk's API has it. "" if there is nothing to be said of it. */
void window_words(const json_t *window, int64_t now_unix_ms, char *out, size_t bytes);

/* "3 h 10 min", "6 d 2 h", "less than a minute": rounded down, so that nobody counts on a minute
 * that is gone. */
void window_length(int64_t length_ms, char *out, size_t bytes);

/* "14:05" on the same day as now, "Tue 14:05" within six days, else "2026-02-11 14:05"; local. */
void window_time(int64_t at_unix_ms, int64_t now_unix_ms, char *out, size_t bytes);

#endif
