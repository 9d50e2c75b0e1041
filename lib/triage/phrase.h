/* phrase - the little language rules are written in (services/classify/rules/README.md), taken
 * apart into terms: what stands between two spaces, in all the ways it may be written. Pure. */
#ifndef DESG_TRIAGE_PHRASE_H
#define DESG_TRIAGE_PHRASE_H

#include <stdbool.h>
#include <stddef.h>

#include "error/error.h"
#include "triage/forms.h"

enum {
    PHRASE_MAX_BYTES = 300,
    PHRASE_TERMS_MAX = 48,
    PHRASE_FORMS_MAX = 4096, /* ways to write one term */
    PHRASE_GAPS_MAX = 7
};

/* A word that any word matches, and the end of a word that any letters may follow. */
#define PHRASE_ANY_WORD '?'
#define PHRASE_STEM_END '*'

/* One thing that must come next: a gap of at most so many words, or one of its forms. */
struct phrase_term {
    unsigned gap_words; /* 0: no gap, the forms count */
    bool is_optional;
    struct forms forms; /* normalised words with one space between them; none is empty; sorted */
};

struct phrase {
    struct phrase_term terms[PHRASE_TERMS_MAX];
    size_t term_count;
};

/* ERROR_CONFIG: not a phrase; the text says what stands where and what to write. On success the
 * caller ends with phrase_clear. */
int phrase_parse(const char *text, bool is_welsh, struct phrase *out, struct error *err) MUST_USE;
void phrase_clear(struct phrase *self);

#endif
