/* clock - time, read in one place. Clocks decide only liveness and display, never safety.
 * Services read it and pass now_ms down: decisions are pure and their tests need no waiting. */
#ifndef DESG_CLOCK_H
#define DESG_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_monotonic_ms(void); /* since an arbitrary start; for time-outs */
int64_t clock_monotonic_us(void);
int64_t clock_unix_ms(void); /* since 1970 UTC; for display and records */

enum { CLOCK_TEXT_BYTES = 32 };

/* unix_ms as RFC 3339 in UTC with milliseconds, such as 2026-02-11T17:42:00.123Z, into out
 * (CLOCK_TEXT_BYTES). */
void clock_format_rfc3339(int64_t unix_ms, char *out);

/* Parses RFC 3339 or ISO 8601 with a zone ("2026-02-11T17:42:00Z", "+01:00", "+0000", any
 * fraction). Returns 0 and stores milliseconds, or -1 and leaves *unix_ms alone. */
int clock_parse_rfc3339(const char *text, size_t length, int64_t *unix_ms);

#endif
