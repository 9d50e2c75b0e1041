/* vocabulary - the words that phrases are made of, each with a number, and which of them a word of
 * a text is: itself, a stem it begins with, the word it is another spelling of.
 * Threads: read-only once sealed, so any. */
#ifndef DESG_TRIAGE_VOCABULARY_H
#define DESG_TRIAGE_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum {
    VOCABULARY_ANY = 0,      /* the number of "any word" */
    VOCABULARY_IDS_MAX = 12, /* numbers one word of a text may have; more are left out */
    VOCABULARY_WORD_MAX_BYTES = 255
};

struct vocabulary;

struct vocabulary *vocabulary_new(struct error *err) MUST_USE;
void vocabulary_destroy(struct vocabulary **self_p);

/* The number of a word of a phrase, which may be a stem ("threat*"); a new one if it has none.
 * VOCABULARY_ANY is given for "?". 0 on success, -1 without memory. */
int vocabulary_add(struct vocabulary *self, const char *word, size_t length, uint32_t *id) MUST_USE;

/* variant is another spelling of word: where it stands word does, too. 0, or -1 without memory. */
int vocabulary_add_variant(struct vocabulary *self, const char *variant, const char *word) MUST_USE;

/* No more words: makes ready to be asked. 0, or -1 without memory. */
int vocabulary_seal(struct vocabulary *self) MUST_USE;

size_t vocabulary_count(const struct vocabulary *self); /* numbers are below it */

/* The numbers of a normalised word, at most `most`, each once. */
size_t vocabulary_ids(const struct vocabulary *self, const char *word, size_t length, uint32_t *ids,
                      size_t most);

#endif
