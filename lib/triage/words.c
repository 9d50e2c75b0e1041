#include "triage/words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Letters drawn out in one word: all ways to shorten them are tried up to so many. */
enum { CUTS_MAX = 3 };

struct words *words_new(const struct vocabulary *vocabulary, struct error *err)
{
    struct words *self = calloc(1, sizeof *self);
    if (self) {
        self->vocabulary = vocabulary;
        self->list = malloc(WORDS_MAX * sizeof *self->list);
        self->ids = malloc((size_t)WORDS_MAX * VOCABULARY_IDS_MAX * sizeof *self->ids);
    }
    if (self && self->list && self->ids)
        return self;
    words_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory for the words of a text");
    return NULL;
}

void words_destroy(struct words **self_p)
{
    if (!*self_p)
        return;
    free((*self_p)->list);
    free((*self_p)->ids);
    free(*self_p);
    *self_p = NULL;
}

/* Adds what the word is called, if it is not there yet. */
static void add_ids(struct words *self, struct word *word, const char *text, size_t length)
{
    uint32_t found[VOCABULARY_IDS_MAX];
    size_t count = vocabulary_ids(self->vocabulary, text, length, found, VOCABULARY_IDS_MAX);
    for (size_t i = 0; i < count && word->id_count < VOCABULARY_IDS_MAX; i++) {
        bool is_known = false;
        for (uint32_t j = 0; j < word->id_count; j++)
            is_known |= self->ids[word->first_id + j] == found[i];
        if (!is_known)
            self->ids[word->first_id + word->id_count++] = found[i];
    }
}

/* The word with each of its drawn-out letters twice or once. */
static void add_shortened(struct words *self, struct word *word, const struct normalised *text,
                          const uint32_t *cuts, size_t cut_count)
{
    for (unsigned once = 1; once < 1U << cut_count; once++) {
        char shortened[VOCABULARY_WORD_MAX_BYTES + 1];
        size_t length = 0;
        size_t cut = 0;
        for (uint32_t i = word->from; i < word->to; i++) {
            bool is_cut = cut < cut_count && cuts[cut] == i;
            bool is_left_out = is_cut && (once & (1U << cut)) != 0;
            cut += is_cut;
            if (!is_left_out)
                shortened[length++] = text->text[i];
        }
        add_ids(self, word, shortened, length);
    }
}

/* *next_cut: the first cut that is not in a word before. */
static void read_word(struct words *self, const struct normalised *text, uint32_t from, uint32_t to,
                      size_t *next_cut)
{
    struct word *word = &self->list[self->count++];
    *word = (struct word){ .from = from, .to = to, .first_id = (uint32_t)self->ids_count };
    size_t first_cut = *next_cut;
    while (*next_cut < text->cut_count && text->cuts[*next_cut] < to)
        (*next_cut)++;
    size_t cut_count = *next_cut - first_cut;
    if (to - from <= VOCABULARY_WORD_MAX_BYTES) {
        word->id_count = (uint32_t)vocabulary_ids(self->vocabulary, text->text + from, to - from,
                                                  self->ids + word->first_id, VOCABULARY_IDS_MAX);
        if (cut_count > 0)
            add_shortened(self, word, text, text->cuts + first_cut,
                          cut_count < CUTS_MAX ? cut_count : CUTS_MAX);
    }
    self->ids_count += word->id_count;
}

void words_read(struct words *self, const struct normalised *text)
{
    size_t next_cut = 0;
    self->count = self->ids_count = 0;
    uint32_t at = 1; /* the text starts and ends with a space */
    while (at < text->length && self->count < WORDS_MAX) {
        const char *end = memchr(text->text + at, ' ', text->length - at);
        uint32_t to = end ? (uint32_t)(end - text->text) : (uint32_t)text->length;
        if (to > at)
            read_word(self, text, at, to, &next_cut);
        at = to + 1;
    }
}
