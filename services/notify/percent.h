/* percent - percent-encoding as RFC 3986 has it: letters, digits, '-', '.', '_' and '~' stay, all
 * other bytes become %XX in upper case. Pure. */
#ifndef DESG_NOTIFY_PERCENT_H
#define DESG_NOTIFY_PERCENT_H

#include <stdbool.h>
#include <stddef.h>

enum { PERCENT_WORST = 3 }; /* bytes for one */

/* Encodes text[0..length) with a final NUL. false, and out is "", if it does not fit. */
bool percent_encode(const char *text, size_t length, char *out, size_t bytes);

/* Decodes in place what percent_encode makes, and '+' as a space where is_form. Anything that is no
 * encoding stays as it is. Returns the length; a decoded NUL counts as any other byte. */
size_t percent_decode(char *text, bool is_form);

#endif
