/* normalise - makes text comparable: compatibility decomposition, case folded, no marks (ŵ → w), no
 * apostrophes, no invisible characters, runs of a letter cut short, an emoji a word of its own, and
 * whatever is neither a letter nor a digit one space between words. The result starts and ends with
 * a space, so that " word " is a whole word. A map leads back to the original bytes. Linear time,
 * bounded memory: long texts are taken in windows that overlap. Bytes that are not UTF-8 are gaps
 * between words. Threads: a struct normalised belongs to one thread. */
#ifndef DESG_TRIAGE_NORMALISE_H
#define DESG_TRIAGE_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum {
    NORMALISE_WINDOW_BYTES = 16 << 10, /* of normalised text */
    NORMALISE_OVERLAP_BYTES = 2 << 10, /* of original text: far longer than a phrase */
    NORMALISE_CODEPOINT_BYTES = 128    /* most one codepoint can become */
};

struct normalised {
    char *text;       /* length bytes, then a NUL; first and last are spaces */
    uint32_t *origin; /* origin[i]: where in the original text[i] came from */
    size_t length;
    /* Where in text the second of a letter stands that came three times or more in a row (two in a
     * row are never touched): it may have been meant or drawn out ("killlll", "heeelp"). */
    uint32_t *cuts;
    size_t cut_count;
    size_t letters;         /* codepoints that are letters … */
    size_t foreign_letters; /* … and of them not Latin */
};

/* Room for one window. NULL and err (ERROR_SYSTEM) without memory. */
struct normalised *normalised_new(struct error *err) MUST_USE;
void normalised_destroy(struct normalised **self_p);

/* Normalises text[from..length) as far as the window holds, into self. Returns where in the
 * original it stopped; length when all fitted. */
size_t normalise(struct normalised *self, const char *text, size_t length, size_t from);

/* Where the window after one that stopped at end should begin: some text earlier, at the start of a
 * word if there is one near. Always after from. */
size_t normalise_next_window(const char *text, size_t length, size_t from, size_t end);

/* The original bytes of normalised [from, to), with marks and letters that were left out. to is
 * less than the text's length. */
void normalised_place(const struct normalised *self, const char *text, size_t length, size_t from,
                      size_t to, uint32_t *offset_bytes, uint32_t *length_bytes);

/* What one codepoint becomes: bytes written to out (NORMALISE_CODEPOINT_BYTES); 0: nothing; a
 * single space: a gap between words. Of an emoji its own bytes. */
size_t normalise_codepoint(int32_t codepoint, char *out);

/* Whether a codepoint is a picture that counts as a word. */
bool normalise_is_emoji(int32_t codepoint);

#endif
