/* platform_time - the ways platforms write a time, to milliseconds since 1970 UTC; 0 for what is
 * none or lies outside the years 1970 to 9999. Pure. */
#ifndef DESG_INGEST_PLATFORM_TIME_H
#define DESG_INGEST_PLATFORM_TIME_H

#include <stdint.h>

/* Below 10^11 it is seconds, else milliseconds. */
int64_t platform_time_from_number(int64_t number);
int64_t platform_time_from_real(double number);
/* Digits as above, ISO 8601 with a zone, or "Wed Feb 11 17:42:00 +0000 2026". */
int64_t platform_time_from_text(const char *text);

#endif
