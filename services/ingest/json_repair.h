/* json_repair - makes bodies readable that people and platforms really send, before the strict
 * parser sees them: a lone surrogate escape, \u0000, a NUL byte or bytes that are not UTF-8 become
 * U+FFFD; an integer too big for 64 bits becomes a string of its digits, so that no id is rounded;
 * a byte order mark goes. Everything else stays as it is and is the parser's to judge. Pure. */
#ifndef DESG_INGEST_JSON_REPAIR_H
#define DESG_INGEST_JSON_REPAIR_H

#include <stddef.h>
#include <stdint.h>

struct repaired {
    const char *text; /* body itself where nothing had to change, else owned */
    size_t length;
    char *owned;
};

/* Fills out; text is not NUL-terminated. out lives no longer than body. */
void json_repair(const uint8_t *body, size_t length, struct repaired *out);
void repaired_clear(struct repaired *self);

/* Appends bytes as valid NUL-free UTF-8 (U+FFFD for what is not) into out, which holds at least
 * 3 * length + 1 bytes, with a final NUL. Returns the length written. */
size_t utf8_repair(const uint8_t *bytes, size_t length, char *out);

#endif
