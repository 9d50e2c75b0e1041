/* words - a normalised text word by word, each with the numbers a vocabulary knows it by. A word
 * with drawn-out letters ("killlll", "heeelp") has the numbers of all it may have been meant to be.
 * Threads: one at a time. */
#ifndef DESG_TRIAGE_WORDS_H
#define DESG_TRIAGE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "triage/normalise.h"
#include "triage/vocabulary.h"

enum { WORDS_MAX = NORMALISE_WINDOW_BYTES / 2 };

struct word {
    uint32_t from; /* its first byte in the normalised text */
    uint32_t to;   /* the space behind it */
    uint32_t first_id;
    uint32_t id_count;
};

struct words {
    struct word *list;
    size_t count;
    uint32_t *ids;
    size_t ids_count;
    const struct vocabulary *vocabulary;
};

/* Of a sealed vocabulary, which is borrowed. */
struct words *words_new(const struct vocabulary *vocabulary, struct error *err) MUST_USE;
void words_destroy(struct words **self_p);

/* Takes text apart. */
void words_read(struct words *self, const struct normalised *text);

#endif
