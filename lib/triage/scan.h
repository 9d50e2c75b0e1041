/* scan - which rules count for a text, and where. Long texts are taken in windows, so that what
 * stands after pages of chat counts as well. Threads: a scanner belongs to one thread. */
#ifndef DESG_TRIAGE_SCAN_H
#define DESG_TRIAGE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/event.pb-c.h"
#include "error/error.h"
#include "triage/language.h"
#include "triage/normalise.h"
#include "triage/rule_set.h"

enum {
    SCAN_TEXT_MAX_BYTES = 256 << 10, /* what lies behind is not looked at */
    SCAN_PLACES_MAX = 1024           /* per window; beyond it places are lost, hits are not */
};

struct scanner;

struct scan_hit {
    uint32_t rule;
    uint32_t offset_bytes; /* into the text */
    uint32_t length_bytes; /* 0: somewhere in it */
};

struct scan {
    const struct scan_hit *hits; /* a rule at most once; the scanner's, until its next scan */
    size_t hit_count;
    struct language_counts words;
    size_t letters;         /* codepoints that are letters */
    size_t foreign_letters; /* of them not Latin */
    bool is_cut;            /* the text was longer than SCAN_TEXT_MAX_BYTES */
};

/* set is borrowed. */
struct scanner *scanner_new(const struct rule_set *set, struct error *err) MUST_USE;
void scanner_destroy(struct scanner **self_p);

/* Looks for all rules. */
void scanner_scan(struct scanner *self, const char *text, size_t length, struct scan *out);

/* The text scanned last, normalised, if one window held all of it; else NULL. The scanner's, until
 * its next scan. */
const struct normalised *scanner_whole_text(const struct scanner *self);

/* What near-copies of event, whose text was scanned last, are known by (sketch.h): *bytes are the
 * scanner's until its next sketch. How many; 0: none, also of a text of several windows. */
size_t scanner_sketch(struct scanner *self, const Desg__V1__Event *event, uint8_t **bytes);

#endif
