/* term_places - where the terms of phrases may begin in a stretch of 64 words of a text: a bit for
 * each word. Rare words mark the terms that begin with them; of the commonest, with which a hundred
 * terms begin, it is only noted where they stand. */
#ifndef DESG_TRIAGE_TERM_PLACES_H
#define DESG_TRIAGE_TERM_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "triage/phrase_terms.h"
#include "triage/words.h"

enum { STRETCH_WORDS = 64 };

/* Which terms begin with which words. Threads: read-only, so any. */
struct term_index;

/* loads: how often a word stands in texts, by its number. word_count: numbers are below it. terms
 * is borrowed while it is made. NULL without memory. */
struct term_index *term_index_new(const struct phrase_terms *terms, const uint32_t *loads,
                                  size_t word_count) MUST_USE;
void term_index_destroy(struct term_index **self_p);

/* Threads: one at a time. */
struct term_places;

/* index is borrowed. NULL without memory. */
struct term_places *term_places_new(const struct term_index *index) MUST_USE;
void term_places_destroy(struct term_places **self_p);

/* Looks at a stretch of words that begins with word `first`, instead of the one before. */
void term_places_look_at(struct term_places *self, const struct words *words, size_t first);

/* Bit n: a form of the term begins with word at + n, or with any word. What is not in the stretch
 * may be anything: its bits are set if there is text. */
uint64_t term_places_from(const struct term_places *self, uint32_t term, size_t at);

/* Whether a form of the term may begin at one of the words least to most, both included; they may
 * lie outside the text. */
bool term_places_may_begin(const struct term_places *self, uint32_t term, int64_t least,
                           int64_t most);

#endif
