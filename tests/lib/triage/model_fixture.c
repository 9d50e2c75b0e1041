#include "model_fixture.h"

#include <stdio.h>
#include <string.h>

#include "triage/features.h"

void model_fixture_init(struct model_fixture *self)
{
    memset(self, 0, sizeof *self);
    self->model = (struct linear_model){
        .urgent_bits = FIXTURE_URGENT_BITS,
        .topic_bits = FIXTURE_TOPIC_BITS,
        .language_bits = FIXTURE_LANGUAGE_BITS,
        .category_count = 2,
        .categories = { "fraud", "thanks" },
        .urgent = { .scale = 1, .bias = -4 },
        .language = { .scale = 0.1F, .bias = 0 },
        .language_sure = 5,
        .language_unsure = 0.5F,
        .language_mixed = 4,
        .thresholds = { .urgent = 0.9F, .review = 0.5F, .category = 0.2F, .restricted = 0.5F },
        .urgent_weights = self->urgent,
        .topic_weights = self->topics,
        .language_weights = self->language,
    };
    for (size_t i = 0; i < LINEAR_TOPIC_COLUMNS; i++)
        self->model.topics[i] = (struct linear_head){ .scale = 0.1F, .bias = -3 };
}

static struct feature_word features_of(const char *word)
{
    char text[64];
    struct feature_reader reader;
    struct feature_word out = { 0 };
    (void)snprintf(text, sizeof text, " %s ", word);
    features_begin(&reader, text, strlen(text), 0);
    (void)features_next(&reader, &out);
    return out;
}

void model_fixture_alarm(struct model_fixture *self, const char *word)
{
    struct feature_word features = features_of(word);
    self->urgent[features_slot(features.words[0], FIXTURE_URGENT_BITS)] = INT8_MAX;
}

void model_fixture_topic(struct model_fixture *self, const char *word, size_t column)
{
    struct feature_word features = features_of(word);
    size_t row = features_slot(features.words[0], FIXTURE_TOPIC_BITS);
    self->topics[row * LINEAR_TOPIC_COLUMNS + column] = INT8_MAX;
}

void model_fixture_language(struct model_fixture *self, const char *word, int8_t weight)
{
    struct feature_word features = features_of(word);
    self->language[features_slot(features.words[0], FIXTURE_LANGUAGE_BITS)] = weight;
    for (size_t i = 0; i < features.gram_count; i++)
        self->language[features_slot(features.grams[i], FIXTURE_LANGUAGE_BITS)] = weight;
}

struct model_opinion model_fixture_judge(const struct model_fixture *self, const char *text,
                                         const struct model_evidence *evidence)
{
    static const struct model_evidence nothing = { 0 };
    struct model_opinion opinion;
    (void)linear_model_judge(&self->model, text, strlen(text), evidence ? evidence : &nothing,
                             &opinion);
    return opinion;
}
