/* model_fixture - a small model made by hand, for tests. */
#ifndef DESG_TESTS_TRIAGE_MODEL_FIXTURE_H
#define DESG_TESTS_TRIAGE_MODEL_FIXTURE_H

#include "triage/linear_model.h"

enum { FIXTURE_URGENT_BITS = 16, FIXTURE_TOPIC_BITS = 8, FIXTURE_LANGUAGE_BITS = 12 };

struct model_fixture {
    struct linear_model model;
    int8_t urgent[1 << FIXTURE_URGENT_BITS];
    int8_t topics[LINEAR_TOPIC_COLUMNS << FIXTURE_TOPIC_BITS];
    int8_t language[1 << FIXTURE_LANGUAGE_BITS];
};

/* A model of two categories, fraud and thanks, that knows nothing yet: not urgent. */
void model_fixture_init(struct model_fixture *self);

/* Gives a word, as in normalised text, weight 127 in the urgent head. */
void model_fixture_alarm(struct model_fixture *self, const char *word);
/* The same in a column of the topics. */
void model_fixture_topic(struct model_fixture *self, const char *word, size_t column);
/* All features of a word speak for Welsh (weight 127) or English (-127). */
void model_fixture_language(struct model_fixture *self, const char *word, int8_t weight);

/* Judges a normalised text with what rules found; NULL: nothing. */
struct model_opinion model_fixture_judge(const struct model_fixture *self, const char *text,
                                         const struct model_evidence *evidence);

#endif
