/* phrase_book - many phrases looked for at once, word by word. Each phrase waits at the words of
 * its rarest term; where one of them stands, the phrase is tried around it. Time is linear in the
 * text. Threads: read-only once sealed, so any. */
#ifndef DESG_TRIAGE_PHRASE_BOOK_H
#define DESG_TRIAGE_PHRASE_BOOK_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "triage/phrase.h"
#include "triage/vocabulary.h"
#include "triage/words.h"

struct phrase_book;

struct phrase_book *phrase_book_new(struct error *err) MUST_USE;
void phrase_book_destroy(struct phrase_book **self_p);

/* Takes over *phrase and leaves it empty. *number: how phrase_book_find calls it, from 0 up. 0, or
 * -1 without memory. */
int phrase_book_add(struct phrase_book *self, struct phrase *phrase, uint32_t *number) MUST_USE;

/* variant is another spelling of word. Both normalised. 0, or -1 without memory. */
int phrase_book_add_variant(struct phrase_book *self, const char *variant,
                            const char *word) MUST_USE;

/* Texts of the kind that will be looked through: they tell which words are rare. */
struct phrase_samples {
    const char *const *texts;
    size_t count;
};

/* No more phrases: makes ready to look for them. 0, or -1 without memory. */
int phrase_book_seal(struct phrase_book *self, const struct phrase_samples *samples) MUST_USE;

const struct vocabulary *phrase_book_vocabulary(const struct phrase_book *self);
size_t phrase_book_count(const struct phrase_book *self);

/* Told of a phrase from word `first` to word `last`, both included; the same place may come more
 * than once. */
typedef void phrase_found(void *arg, uint32_t phrase, size_t first, size_t last);

/* Looks for the phrases of a book in one text after the other. Threads: one at a time. */
struct phrase_finder;

/* Of a sealed book, which is borrowed. */
struct phrase_finder *phrase_finder_new(const struct phrase_book *book, struct error *err) MUST_USE;
void phrase_finder_destroy(struct phrase_finder **self_p);

/* words: of the book's vocabulary. */
void phrase_finder_find(struct phrase_finder *self, const struct words *words, phrase_found *found,
                        void *arg);

#endif
