/* certificate - pairs of CURVE keys in files: made and looked at for the desg command; sockets get
 * theirs by security.h. A pair is two texts, as czmq writes them: the public half, which others may
 * know, and the secret half, which holds both. */
#ifndef DESG_LINK_CERTIFICATE_H
#define DESG_LINK_CERTIFICATE_H

#include <stdbool.h>

#include "error/error.h"

enum { CERTIFICATE_KEY_BYTES = 41, CERTIFICATE_WORD_BYTES = 64 }; /* Z85 with its NUL */

struct certificate {
    char public_key[CERTIFICATE_KEY_BYTES];
    char name[CERTIFICATE_WORD_BYTES];    /* whose; "" if it does not say */
    char made_at[CERTIFICATE_WORD_BYTES]; /* ISO 8601, UTC; "" if it does not say */
    bool has_secret;
    bool is_pair; /* with a secret: it belongs to the public key */
};

/* Makes a pair for name in two files that must not be there yet; mode 0600 both. Whoever is
 * interrupted leaves none or both. ERROR_CONFIG: one is there already, or the folder is not. */
int certificate_make(const char *public_path, const char *secret_path, const char *name,
                     const char *made_at, struct error *err) MUST_USE;

/* Writes the public half alone, of the pair at public_path, to a file that must not be there yet.
 */
int certificate_copy(const char *public_path, const char *to, struct error *err) MUST_USE;

/* ERROR_CONFIG: there is none, or it is no certificate. */
int certificate_read(const char *path, struct certificate *out, struct error *err) MUST_USE;

#endif
