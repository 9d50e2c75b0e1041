/* seal - AES-256-GCM with dated keys from a file, for what lies on disk. Destroying a key erases
 * what it sealed. Key file: one key a line, "YYYY-MM-DD <64 hex digits>", '#' starts a comment; the
 * newest date seals, all open. Threads: a keyring is read-only after loading; any thread may seal
 * and open. */
#ifndef DESG_SEAL_H
#define DESG_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

struct keyring;

enum { SEAL_OVERHEAD_BYTES = 32 }; /* key id 4, nonce 12, tag 16 */

/* ERROR_CONFIG names file, line and remedy; a file readable by others is refused. */
struct keyring *keyring_load(const char *path, struct error *err) MUST_USE;
void keyring_destroy(struct keyring **self_p);

/* Seals data[0..length) into out[0..length + SEAL_OVERHEAD_BYTES). aad is authenticated, not
 * hidden. */
void keyring_seal(const struct keyring *self, const void *aad, size_t aad_length, const void *data,
                  size_t length, uint8_t *out);

/* Opens sealed[0..length) into out[0..length - SEAL_OVERHEAD_BYTES). ERROR_INVALID: altered, or key
 * not in the ring. */
int keyring_open(const struct keyring *self, const void *aad, size_t aad_length, const void *sealed,
                 size_t length, uint8_t *out, struct error *err) MUST_USE;

#endif
