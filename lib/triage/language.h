/* language - English, Welsh, both or neither. Simple on purpose: words that only one of the two has
 * (function words and what people write most), and pairs of letters Welsh has and English hardly.
 * Good from about three words up; a model of letter groups can take its place (model.h). Pure. */
#ifndef DESG_TRIAGE_LANGUAGE_H
#define DESG_TRIAGE_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "desg/v1/verdict.pb-c.h"

struct language_counts {
    size_t words;
    size_t english; /* words only English has */
    size_t welsh;   /* words only Welsh has, or that look Welsh */
    size_t foreign; /* words of other languages; a cry for help counts twice */
};

/* Adds the words of a normalised text to counts; of a long text the first hundreds are enough. */
void language_count(const char *text, size_t length, struct language_counts *counts);

Desg__V1__Language language_of(const struct language_counts *counts);

/* Whether the words are probably of a third language: more of its words than of ours, or many words
 * and none that is known. */
bool language_is_foreign(const struct language_counts *counts);

#endif
