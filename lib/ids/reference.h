/* reference - a conversation's number as people read it over the telephone: the first 50 bits of
 * its id in Crockford's base 32 (crockford.com/base32.html), which has no I, L, O or U: nothing is
 * misheard or misread. Two groups of five with a dash between. Pure. */
#ifndef DESG_IDS_REFERENCE_H
#define DESG_IDS_REFERENCE_H

#include <stdint.h>

#include "error/error.h"
#include "ids/ids.h"

enum { REFERENCE_BYTES = 12 }; /* with a NUL */

void reference_write(const struct id *conversation, char out[static REFERENCE_BYTES]);

/* Small letters, O for 0, I and L for 1, and dashes and spaces anywhere are understood. Returns 0
 * and *bits as reference_bits has them, or -1: not ten letters and digits. */
int reference_read(const char *text, uint64_t *bits) MUST_USE;

/* What two ids with the same reference number have in common: 50 bits, then 14 that are 0. */
uint64_t reference_bits(const struct id *conversation);

#endif
