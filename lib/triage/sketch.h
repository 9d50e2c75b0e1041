/* sketch - what near-copies of one event are known by, in a few hundred bytes: copied, forwarded,
 * with a greeting or an emoji more, with a slip of the pen. Two sketches are alike if the pairs of
 * neighbouring words they were made from overlap by two thirds, if neither has more than a few
 * words of its own, and if nothing that tells events apart differs: numbers, words such as "not",
 * "left" or "her", names (as far as a capital shows them), the place given in a form, what is
 * attached. A mark for the eye: nothing is decided by it. Threads: a sketcher belongs to one
 * thread; a sketch is bytes. */
#ifndef DESG_TRIAGE_SKETCH_H
#define DESG_TRIAGE_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/event.pb-c.h"
#include "error/error.h"
#include "triage/normalise.h"

enum {
    SKETCH_NAMES_MAX = 12,
    SKETCH_PAIRS_MAX = 128, /* of a text with more pairs, those with the lowest numbers */
    SKETCH_MAX_BYTES = 6 + 2 * SKETCH_NAMES_MAX + 3 * SKETCH_PAIRS_MAX,
    /* In fewer words two people may well say the same of two events: "he's back". What is said in
     * private is somebody's own more often than what is said in public. */
    SKETCH_WORDS_PUBLIC = 5,
    SKETCH_WORDS_PRIVATE = 8
};

struct sketcher;

/* NULL and err (ERROR_SYSTEM) without memory. */
struct sketcher *sketcher_new(struct error *err) MUST_USE;
void sketcher_destroy(struct sketcher **self_p);

/* Draws the event's text, of which normalised is the whole. The bytes written; 0: it is too short,
 * or the title of a button, which is the same from everybody. */
size_t sketcher_draw(struct sketcher *self, const Desg__V1__Event *event,
                     const struct normalised *normalised, uint8_t out[static SKETCH_MAX_BYTES]);

/* A sketch taken apart to be compared. */
struct sketch {
    uint32_t apart;                   /* of what tells events apart: another is another event */
    uint16_t names[SKETCH_NAMES_MAX]; /* rising, as the pairs are */
    size_t name_count;
    uint32_t pairs[SKETCH_PAIRS_MAX];
    size_t pair_count;
    bool is_part; /* pairs are the lowest of more */
};

/* false: it is none, or none of ours. */
bool sketch_read(const uint8_t *bytes, size_t length, struct sketch *out) MUST_USE;
bool sketch_is_alike(const struct sketch *a, const struct sketch *b);

#endif
