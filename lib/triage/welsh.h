/* welsh - the mutations of a Welsh radical: soft, nasal, aspirate, and h before a vowel. Pure. */
#ifndef DESG_TRIAGE_WELSH_H
#define DESG_TRIAGE_WELSH_H

#include <stddef.h>

enum { WELSH_FORMS_MAX = 4, WELSH_WORD_BYTES = 64, WELSH_FORM_MIN_BYTES = 3 };

/* Stores the radical and its mutated forms, the radical first, and returns how many. radical: a to
 * z, lower case, no accents, of 1 to WELSH_WORD_BYTES - 4 bytes. Mutated forms shorter than
 * WELSH_FORM_MIN_BYTES are left out, as are false friends: they are other words (gwn would become
 * wn, bom mom). Write such a form out in a longer phrase where it is meant. */
size_t welsh_mutate(const char *radical, size_t length,
                    char forms[static WELSH_FORMS_MAX][WELSH_WORD_BYTES]);

#endif
