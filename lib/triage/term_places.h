/* term_places - where in a text the terms of phrases may begin, to rule out where they cannot. Told
 * by kinds of words: the commonest words that terms begin with are kinds of their own, the others
 * share what is left. Of a kind that is there a term may begin or not; of none it cannot. */
#ifndef DESG_TRIAGE_TERM_PLACES_H
#define DESG_TRIAGE_TERM_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "triage/phrase_terms.h"
#include "triage/words.h"

enum {
    WORD_KINDS_LANES = 4,
    TERM_PLACES_BESIDE = 32, /* a check reaches so many words to either side */
    TERM_PLACES_LEVELS = 6   /* runs of 1, 2, 4, 8, 16 and 32 words */
};

/* A bit for each kind. */
struct word_kinds {
    uint64_t lanes[WORD_KINDS_LANES];
};

/* Two lanes are what every processor of ours looks at at once. */
typedef uint64_t word_kinds_half __attribute__((vector_size(16), aligned(8), may_alias));

static inline bool word_kinds_is_any(word_kinds_half low, word_kinds_half high)
{
    word_kinds_half both = low | high;
    return (both[0] | both[1]) != 0;
}

/* Asks whether a term may begin at some words beside the one where it is asked: two runs of words,
 * which may overlap, so that it is answered without a branch. */
struct term_check {
    struct word_kinds kinds;
    int8_t from; /* where the runs begin */
    int8_t also;
    uint8_t level; /* of 1 << level words each */
};

/* Of which kind each word is, and with which each term begins. Threads: read-only, so any. */
struct term_index;

/* loads: how often a word stands in texts, by its number. word_count: numbers are below it. terms
 * is borrowed while it is made. NULL without memory. */
struct term_index *term_index_new(const struct phrase_terms *terms, const uint32_t *loads,
                                  size_t word_count) MUST_USE;
void term_index_destroy(struct term_index **self_p);

/* Asks for the term at the words least to most behind the one where it is asked, both included. If
 * that is too far it may be there always. */
struct term_check term_check_of(const struct term_index *self, uint32_t term, int least, int most);

/* The kinds of words that forms of a term begin with. */
const struct word_kinds *term_index_kinds(const struct term_index *self, uint32_t term);

/* The kinds of the words of a text. Threads: one at a time. */
struct term_places {
    const struct term_index *index;
    struct word_kinds *memory;
    struct word_kinds *runs[TERM_PLACES_LEVELS]; /* by word: of those from there on; beside the text
                                                    there is nothing */
};

/* index is borrowed. NULL without memory. */
struct term_places *term_places_new(const struct term_index *index) MUST_USE;
void term_places_destroy(struct term_places **self_p);

/* Looks at a text instead of the one before. words: at most WORDS_MAX. */
void term_places_look_at(struct term_places *self, const struct words *words);

static inline bool term_places_may_begin(const struct term_places *self,
                                         const struct term_check *check, size_t word)
{
    const struct word_kinds *runs = self->runs[check->level] + word;
    const word_kinds_half *from = (const word_kinds_half *)runs[check->from].lanes;
    const word_kinds_half *also = (const word_kinds_half *)runs[check->also].lanes;
    const word_kinds_half *kinds = (const word_kinds_half *)check->kinds.lanes;
    return word_kinds_is_any(kinds[0] & (from[0] | also[0]), kinds[1] & (from[1] | also[1]));
}

/* Whether a term that begins so may begin at this word, or behind the text. */
static inline bool term_places_is_at(const struct term_places *self, const struct word_kinds *kinds,
                                     size_t word)
{
    const word_kinds_half *there = (const word_kinds_half *)self->runs[0][word].lanes;
    const word_kinds_half *wanted = (const word_kinds_half *)kinds->lanes;
    return word_kinds_is_any(wanted[0] & there[0], wanted[1] & there[1]);
}

#endif
