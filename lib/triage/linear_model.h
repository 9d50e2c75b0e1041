/* linear_model - sums of weights of hashed features (features.h), one head a question: is it
 * urgent, which category, is it restricted, which language. Weights are whole numbers of 8 bits, so
 * that a verdict is the same on every machine. A text of up to 40 words is asked whether it is
 * urgent as a whole; of a longer one each run of 10, 20 and 40 words, beginning at every fifth, and
 * the worst counts: pages of chat hide nothing. Greetings and the like (features.h) are no words
 * here. Pure; linear time; no memory taken. Threads: a linear_model is const, so any. */
#ifndef DESG_TRIAGE_LINEAR_MODEL_H
#define DESG_TRIAGE_LINEAR_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "triage/features.h"
#include "triage/model.h"

enum {
    LINEAR_BLOCK_WORDS = 5, /* windows are 2, 4 and 8 blocks */
    LINEAR_WINDOW_BLOCKS = 8,
    LINEAR_BITS_MIN = 4,
    LINEAR_BITS_MAX = 20,
    LINEAR_TOPIC_COLUMNS = 24, /* of a row of topic weights */
    /* The two columns after the last category's are the restricted ones. */
    LINEAR_CATEGORIES_MAX = MODEL_CATEGORIES_MAX,
    LINEAR_TOPIC_WORDS = 80, /* looked at for the category */
    LINEAR_RULE_COLUMNS = 2 * MODEL_CATEGORIES_MAX + 8,
    LINEAR_LANGUAGE_WORDS = 64 /* looked at for the language */
};

/* score = scale * (sum of weights) / length of the vector + bias; its logistic is a likelihood. */
struct linear_head {
    float scale;
    float bias;
};

struct linear_model {
    unsigned urgent_bits; /* a table has 1 << bits entries */
    unsigned topic_bits;
    unsigned language_bits;
    size_t category_count;
    char categories[LINEAR_CATEGORIES_MAX][MODEL_CATEGORY_BYTES];
    /* Added to the scores for what rules found, a column for each kind of find. */
    float urgent_rules[LINEAR_RULE_COLUMNS]; /* none is below 0: a rule only raises */
    float topic_rules[LINEAR_RULE_COLUMNS][LINEAR_TOPIC_COLUMNS];
    struct linear_head urgent;
    struct linear_head topics[LINEAR_TOPIC_COLUMNS];
    struct linear_head language; /* above 0: Welsh */
    float language_sure;         /* a score further from 0 is sure of a word or two */
    float language_unsure;       /* a score nearer to 0 says nothing */
    float language_mixed;        /* some words this far on one side and some on the other: both */
    struct model_thresholds thresholds;
    const int8_t *urgent_weights;
    const int8_t *topic_weights; /* rows of LINEAR_TOPIC_COLUMNS */
    const int8_t *language_weights;
};

/* A struct model's judge; arg is a const struct linear_model *. Never fails. */
int linear_model_judge(const void *arg, const char *text, size_t length,
                       const struct model_evidence *evidence, struct model_opinion *out);

/* The rule columns that what rules found stands in; returns how many. */
size_t linear_model_rule_columns(const struct model_evidence *evidence,
                                 uint8_t out[static LINEAR_RULE_COLUMNS]);

/* Takes a text word by word and tells the windows that each new block ends; for the judge and for
 * training alike. */
struct linear_block { /* of LINEAR_BLOCK_WORDS words */
    int32_t sum;      /* of weights */
    uint32_t norm;
    size_t from;
    size_t to;
    size_t words;
};
struct linear_windows {
    struct linear_block blocks[LINEAR_WINDOW_BLOCKS]; /* the latest, in a ring */
    size_t count;                                     /* of all blocks, with the one begun */
    void (*tell)(void *arg, const struct linear_block *window);
    void *arg;
};
/* Adds a word that is not neutral. */
void linear_windows_add(struct linear_windows *self, const struct feature_word *word, int32_t sum);
/* Tells those that the last block ends. */
void linear_windows_end(struct linear_windows *self);

/* What the judge goes by, for training. */
struct linear_language {
    float score; /* of the words looked at; above 0: Welsh */
    float most;  /* highest and lowest of a few words in a row */
    float least;
    size_t words; /* with letters */
};
struct linear_language linear_model_language_scores(const struct linear_model *self,
                                                    const char *text, size_t length);
Desg__V1__Language linear_model_language(const struct linear_model *self,
                                         const struct linear_language *scores, bool *is_sure);

#endif
