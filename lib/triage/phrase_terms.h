/* phrase_terms - the terms of all phrases, each once however many phrases have it: its forms as
 * numbers of words, and a tree of them to walk along a text. Threads: read-only once all are added,
 * so any. */
#ifndef DESG_TRIAGE_PHRASE_TERMS_H
#define DESG_TRIAGE_PHRASE_TERMS_H

#include <stddef.h>
#include <stdint.h>

#include "triage/forms.h"
#include "triage/vocabulary.h"
#include "triage/words.h"

enum { PHRASE_REACH_WORDS = 64 }; /* a phrase with its gaps is found over so many words at most */

/* One way to write a term. */
struct term_form {
    uint32_t first_word; /* in the words of all forms */
    uint32_t word_count;
};

struct term {
    uint32_t first_form; /* in the forms of all terms */
    uint32_t form_count;
    unsigned least_words; /* of a form */
    unsigned most_words;
};

struct phrase_terms;

/* vocabulary is borrowed. NULL without memory. */
struct phrase_terms *phrase_terms_new(struct vocabulary *vocabulary) MUST_USE;
void phrase_terms_destroy(struct phrase_terms **self_p);

/* The number of the term with these forms, of which there is one or more; a new one if none has
 * them. Takes forms over and leaves them empty. 0, or -1 without memory. */
int phrase_terms_add(struct phrase_terms *self, struct forms *forms, uint32_t *number) MUST_USE;

/* All terms were added: what only phrase_terms_add needs goes. */
void phrase_terms_seal(struct phrase_terms *self);

size_t phrase_terms_count(const struct phrase_terms *self);
const struct term *phrase_terms_get(const struct phrase_terms *self, uint32_t number);
/* Of all terms, in the order in which these were added. */
size_t phrase_terms_form_count(const struct phrase_terms *self);
const struct term_form *phrase_terms_form(const struct phrase_terms *self, size_t form);
const uint32_t *phrase_terms_words(const struct phrase_terms *self, const struct term_form *form);

/* Asks memory for what phrase_terms_ends will look at first. */
void phrase_terms_fetch(const struct phrase_terms *self, uint32_t number);

/* Bit n: a form of the term ends n words behind word `at`. */
uint64_t phrase_terms_ends(const struct phrase_terms *self, uint32_t number,
                           const struct words *words, size_t at);

#endif
