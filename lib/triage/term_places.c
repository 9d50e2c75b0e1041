#include "triage/term_places.h"

#include <assert.h>
#include <stdlib.h>

/* KIND_NONE: no term begins with the word; no term has it. */
enum { LANE_BITS = 64, KINDS = WORD_KINDS_LANES * LANE_BITS };
enum { KIND_NONE, KIND_ANY, KIND_FIRST };
/* So many kinds are one word each: with fewer the common words are taken for each other, with more
 * the rare ones. */
enum { OWN_KINDS = KINDS / 2, SHARED_KINDS = KINDS - KIND_FIRST - OWN_KINDS };

struct term_index {
    uint8_t *kinds;                 /* by word */
    struct word_kinds *begin_kinds; /* by term */
    size_t term_count;
};

/* --- the index --- */

void term_index_destroy(struct term_index **self_p)
{
    struct term_index *self = *self_p;
    if (!self)
        return;
    free(self->kinds);
    free(self->begin_kinds);
    free(self);
    *self_p = NULL;
}

static void add_kind(struct word_kinds *kinds, unsigned kind)
{
    kinds->lanes[kind / LANE_BITS] |= UINT64_C(1) << (kind % LANE_BITS);
}

static uint32_t first_word(const struct phrase_terms *terms, const struct term *term, uint32_t form)
{
    return phrase_terms_words(terms, phrase_terms_form(terms, term->first_form + form))[0];
}

/* A word that terms begin with. */
struct beginning {
    uint32_t word;
    uint32_t load;
};

static int by_load(const void *a, const void *b)
{
    const struct beginning *left = a;
    const struct beginning *right = b;
    if (left->load != right->load)
        return left->load > right->load ? -1 : 1;
    return (left->word > right->word) - (left->word < right->word);
}

/* The words that terms begin with, but for "any word", the commonest first. */
static struct beginning *list_beginnings(const struct term_index *self,
                                         const struct phrase_terms *terms, const uint32_t *loads,
                                         size_t word_count, size_t *count)
{
    struct beginning *list = calloc(word_count, sizeof *list);
    if (!list)
        return NULL;
    for (uint32_t i = 0; i < self->term_count; i++) {
        const struct term *term = phrase_terms_get(terms, i);
        for (uint32_t j = 0; j < term->form_count; j++) {
            uint32_t word = first_word(terms, term, j);
            list[word] = (struct beginning){ word, loads[word] };
        }
    }
    *count = 0;
    for (uint32_t word = 0; word < word_count; word++) {
        bool is_one = list[word].word == word && word != VOCABULARY_ANY && list[word].load > 0;
        if (is_one)
            list[(*count)++] = list[word];
    }
    if (*count > 0)
        qsort(list, *count, sizeof *list, by_load);
    return list;
}

static int choose_kinds(struct term_index *self, const struct phrase_terms *terms,
                        const uint32_t *loads, size_t word_count)
{
    size_t count = 0;
    struct beginning *list = list_beginnings(self, terms, loads, word_count, &count);
    if (!list)
        return -1;
    for (size_t i = 0; i < count; i++) {
        size_t shared = i < OWN_KINDS ? i : OWN_KINDS + (i - OWN_KINDS) % SHARED_KINDS;
        self->kinds[list[i].word] = (uint8_t)(KIND_FIRST + shared);
    }
    self->kinds[VOCABULARY_ANY] = KIND_ANY;
    free(list);
    return 0;
}

struct term_index *term_index_new(const struct phrase_terms *terms, const uint32_t *loads,
                                  size_t word_count)
{
    struct term_index *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->term_count = phrase_terms_count(terms);
    self->kinds = calloc(word_count, sizeof *self->kinds);
    self->begin_kinds = calloc(self->term_count + 1, sizeof *self->begin_kinds);
    if (!self->kinds || !self->begin_kinds || choose_kinds(self, terms, loads, word_count) != 0) {
        term_index_destroy(&self);
        return NULL;
    }
    for (uint32_t i = 0; i < self->term_count; i++) {
        const struct term *term = phrase_terms_get(terms, i);
        for (uint32_t j = 0; j < term->form_count; j++)
            add_kind(&self->begin_kinds[i], self->kinds[first_word(terms, term, j)]);
    }
    return self;
}

const struct word_kinds *term_index_kinds(const struct term_index *self, uint32_t term)
{
    return &self->begin_kinds[term];
}

struct term_check term_check_of(const struct term_index *self, uint32_t term, int least, int most)
{
    assert(term < self->term_count);
    struct term_check out = { .kinds = self->begin_kinds[term] };
    int count = most - least + 1;
    bool is_near = least >= -TERM_PLACES_BESIDE && most <= TERM_PLACES_BESIDE;
    if (!is_near || count < 1 || count > 2 << (TERM_PLACES_LEVELS - 1)) {
        add_kind(&out.kinds, KIND_ANY); /* every word has it */
        return out;
    }
    while (out.level + 1 < TERM_PLACES_LEVELS && 2 << out.level <= count)
        out.level++;
    out.from = (int8_t)least;
    out.also = (int8_t)(most + 1 - (1 << out.level));
    return out;
}

/* --- a text --- */

enum { LEVEL_WORDS = WORDS_MAX + 2 * TERM_PLACES_BESIDE };

void term_places_destroy(struct term_places **self_p)
{
    if (!*self_p)
        return;
    free((*self_p)->memory);
    free(*self_p);
    *self_p = NULL;
}

struct term_places *term_places_new(const struct term_index *index)
{
    struct term_places *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->index = index;
    self->memory = calloc((size_t)TERM_PLACES_LEVELS * LEVEL_WORDS, sizeof *self->memory);
    if (!self->memory) {
        term_places_destroy(&self);
        return NULL;
    }
    for (size_t i = 0; i < TERM_PLACES_LEVELS; i++)
        self->runs[i] = self->memory + i * LEVEL_WORDS + TERM_PLACES_BESIDE;
    return self;
}

static void note_words(struct term_places *self, const struct words *words)
{
    const uint8_t *kinds = self->index->kinds;
    struct word_kinds *at = self->runs[0];
    for (size_t i = 0; i < words->count; i++) {
        const struct word *word = &words->list[i];
        at[i] = (struct word_kinds){ 0 };
        add_kind(&at[i], KIND_ANY);
        for (uint32_t j = 0; j < word->id_count; j++)
            add_kind(&at[i], kinds[words->ids[word->first_id + j]]);
    }
    for (size_t i = 0; i < TERM_PLACES_BESIDE; i++)
        at[words->count + i] = (struct word_kinds){ 0 };
}

static inline void unite(const struct word_kinds *a, const struct word_kinds *b,
                         struct word_kinds *out)
{
    const word_kinds_half *left = (const word_kinds_half *)a->lanes;
    const word_kinds_half *right = (const word_kinds_half *)b->lanes;
    word_kinds_half *both = (word_kinds_half *)out->lanes;
    both[0] = left[0] | right[0];
    both[1] = left[1] | right[1];
}

void term_places_look_at(struct term_places *self, const struct words *words)
{
    assert(words->count <= WORDS_MAX);
    note_words(self, words);
    ptrdiff_t end = (ptrdiff_t)words->count + TERM_PLACES_BESIDE;
    for (size_t level = 1; level < TERM_PLACES_LEVELS; level++) {
        ptrdiff_t half = (ptrdiff_t)1 << (level - 1);
        end -= half; /* so that both halves are known */
        for (ptrdiff_t i = -TERM_PLACES_BESIDE; i < end; i++)
            unite(&self->runs[level - 1][i], &self->runs[level - 1][i + half],
                  &self->runs[level][i]);
    }
}
