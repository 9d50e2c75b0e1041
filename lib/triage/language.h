/* language - English, Welsh, both or neither. Simple on purpose: words that only one of the two has
 * (function words and what people write most), and pairs of letters Welsh has and English hardly.
 * Good from about three words up; a model of letter groups can take its place (model.h). Pure. */
#ifndef DESG_TRIAGE_LANGUAGE_H
#define DESG_TRIAGE_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "desg/v1/verdict.pb-c.h"
#include "error/error.h"

/* The words that tell. Read-only once made: any thread. */
struct language_words;

struct language_counts {
    size_t words;
    size_t english; /* words only English has */
    size_t welsh;   /* words only Welsh has, or that look Welsh */
    size_t foreign; /* words of other languages; a cry for help counts twice */
};

struct language_words *language_words_new(struct error *err) MUST_USE;
void language_words_destroy(struct language_words **self_p);

/* Adds the words of a normalised text to counts; of a long text the first hundreds are enough. */
void language_count(const struct language_words *self, const char *text, size_t length,
                    struct language_counts *counts);

Desg__V1__Language language_of(const struct language_counts *counts);

/* Whether the words are probably of a third language: more of its words than of ours, or many words
 * and none that is known. */
bool language_is_foreign(const struct language_counts *counts);

#endif
