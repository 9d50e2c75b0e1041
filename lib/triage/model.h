/* model - what a statistical model may say of a text, beside the rules. Triage works without one (a
 * NULL pointer): then the verdict names no model_edition. A model only adds: it can raise a
 * severity and the score, name a category where rules have none, and tell the language; it never
 * lowers what a rule said. The one that judges in production is linear_model.h's. */
#ifndef DESG_TRIAGE_MODEL_H
#define DESG_TRIAGE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/verdict.pb-c.h"

enum { MODEL_PLACES_MAX = 3, MODEL_CATEGORIES_MAX = 22, MODEL_CATEGORY_BYTES = 32 };

/* What rules found in the text. */
struct model_evidence {
    uint32_t categories;         /* bit n: a rule of the model's category n hit */
    uint32_t grave_categories;   /* the same of rules whose severity is review or more */
    Desg__V1__Severity severity; /* the gravest; UNSPECIFIED: no rule hit */
    bool is_sexual_offence;
    bool is_intelligence;
};

/* A word that weighed: bytes of the normalised text. */
struct model_place {
    size_t from;
    size_t to;
    float weight; /* more is more */
};

struct model_opinion {
    float urgent;                /* 0 to 1: how likely a person must look within minutes */
    const char *category;        /* NULL: nothing to say. The model's */
    float category_surety;       /* 0 to 1 */
    float sexual_offence;        /* 0 to 1 */
    float intelligence;          /* 0 to 1 */
    Desg__V1__Language language; /* UNSPECIFIED: nothing to say */
    bool is_language_sure;       /* sure enough to overrule what a platform hints */
    struct model_place places[MODEL_PLACES_MAX]; /* the words behind urgent, the weightiest first */
    size_t place_count;
};

/* From where on an opinion counts; what a model brings with it. */
struct model_thresholds {
    float urgent;     /* of the score: at least urgent */
    float review;     /* of the score: a person looks at once */
    float category;   /* of category_surety */
    float restricted; /* of sexual_offence and intelligence */
};

struct model {
    const char *edition; /* of what was trained: date and checksum */
    const void *arg;
    struct model_thresholds thresholds;
    const char (*categories)[MODEL_CATEGORY_BYTES]; /* its names for them */
    size_t category_count;
    /* Judges a normalised text (normalise.h). Pure: no I/O, no clock, no memory taken. Returns -1
     * if it cannot: the event then goes to review. Threads: any, unless the model says otherwise.
     */
    int (*judge)(const void *arg, const char *text, size_t length,
                 const struct model_evidence *evidence, struct model_opinion *out);
};

#endif
