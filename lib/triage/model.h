/* model - what a statistical model may say of a text, beside the rules. Triage works without one (a
 * NULL pointer): then the verdict names no model_edition. A model only adds: it can raise a
 * severity and the score, and settle a language that the words leave open; it never lowers what a
 * rule said. */
#ifndef DESG_TRIAGE_MODEL_H
#define DESG_TRIAGE_MODEL_H

#include <stddef.h>

#include "desg/v1/verdict.pb-c.h"

struct model_opinion {
    float score;                 /* 0 to 1: added to the rules' as one more independent reason */
    Desg__V1__Severity severity; /* at least this bad; UNSPECIFIED: nothing to say */
    Desg__V1__Language language; /* UNSPECIFIED: nothing to say */
};

struct model {
    const char *edition; /* of what was trained */
    void *arg;
    /* Judges a normalised text (normalise.h). Pure: no I/O, no clock. Returns -1 if it cannot: the
     * event then goes to review. Called from the triage's own thread only. */
    int (*judge)(void *arg, const char *text, size_t length, struct model_opinion *out);
};

#endif
