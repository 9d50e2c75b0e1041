/* allowed - the folder of public certificates whose owners may come in. Looked at anew at each
 * question, read again when it changed: no restart lets somebody in or keeps somebody out. One key
 * may stand there under several names. Threads: one. */
#ifndef DESG_LINK_ALLOWED_H
#define DESG_LINK_ALLOWED_H

#include <stdbool.h>
#include <stdint.h>

enum { ALLOWED_KEY_BYTES = 32, ALLOWED_MAX = 4096 };

struct allowed;

/* NULL: no memory. */
struct allowed *allowed_new(const char *directory);
void allowed_destroy(struct allowed **self_p);

/* A folder that cannot be read allows nobody. */
bool allowed_has(struct allowed *self, const uint8_t key[static ALLOWED_KEY_BYTES]);

#endif
