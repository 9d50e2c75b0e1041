/* features - what the linear model sees of a normalised text, word by word: hashes of words, of
 * pairs of words and of groups of letters. The same code trains and judges. One pass, no memory of
 * its own. Pure. */
#ifndef DESG_TRIAGE_FEATURES_H
#define DESG_TRIAGE_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FEATURES_VERSION = 2,         /* of the hashes: a model fits one version only */
    FEATURES_WORD_MAX_BYTES = 32, /* what is longer is taken in pieces */
    FEATURES_WORDS_MAX = 3,
    FEATURES_GRAMS_MAX = 3 * FEATURES_WORD_MAX_BYTES,
    FEATURES_LETTERS_MAX = 2 * FEATURES_WORD_MAX_BYTES + 1,
    /* How much one counts beside another, before the vector is brought to length one. */
    FEATURES_WORD_VALUE = 2,
    FEATURES_GRAM_VALUE = 1
};

/* The features that one word adds. */
struct feature_word {
    size_t from; /* place in the text, without the spaces around it */
    size_t to;
    size_t word_count;
    size_t gram_count;
    size_t letter_count;
    uint32_t
        words[FEATURES_WORDS_MAX]; /* the word; with the one before; with the one before that */
    uint32_t grams[FEATURES_GRAMS_MAX];     /* 3, 4 and 5 bytes of " word " */
    uint32_t letters[FEATURES_LETTERS_MAX]; /* 1 and 2 bytes: tell languages apart */
    bool has_letter;                        /* more than digits */
    bool
        is_neutral; /* a greeting, please, an emoji: says nothing of what happens. No pair has it */
};

struct feature_reader {
    const char *text;
    size_t length;
    size_t at;
    uint64_t last;           /* the word before … */
    uint64_t before_last;    /* … and the one before that */
    size_t neutral_end;      /* of the greeting at hand */
    bool is_without_letters; /* set it where letters are not asked for */
};

/* Starts at byte from, which stands between words. text is borrowed. */
void features_begin(struct feature_reader *self, const char *text, size_t length, size_t from);

/* Returns false when there are no more words. */
bool features_next(struct feature_reader *self, struct feature_word *out);

/* Place of a hash in a table of 1 << bits entries. */
static inline size_t features_slot(uint32_t hash, unsigned bits)
{
    return hash >> (32 - bits);
}

#endif
