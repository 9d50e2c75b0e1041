#include "triage/term_places.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

enum { LANES = 2, LANE_BITS = 64, COMMON_MAX = LANES * LANE_BITS };

/* Of the common words, by their numbers among those. */
struct common_set {
    uint64_t lanes[LANES];
};

struct term_index {
    uint32_t *first; /* by word: where its terms begin in `terms`, and one past the last word */
    uint32_t *terms; /* of words that are not common */
    uint8_t *common; /* by word: its number among the common ones plus one; 0: it is none */
    struct common_set *begin_common; /* by term */
    size_t term_count;
};

struct term_place {
    struct common_set common; /* the index's: all that a term is asked for stands together */
    uint64_t places;
    uint64_t stamp; /* of the stretch that places is of */
};

struct term_places {
    const struct term_index *index;
    struct term_place *terms;
    int64_t first; /* word of the stretch … */
    int64_t last;
    bool is_more; /* the text goes on behind it */
    uint64_t stamp;
    struct common_set present;
    uint64_t common_places[COMMON_MAX];
};

/* --- the index --- */

void term_index_destroy(struct term_index **self_p)
{
    struct term_index *self = *self_p;
    if (!self)
        return;
    free(self->first);
    free(self->terms);
    free(self->common);
    free(self->begin_common);
    free(self);
    *self_p = NULL;
}

/* Told of each word that a term begins with; of forms that are sorted the same may come again. */
typedef void first_word(struct term_index *self, uint32_t word, uint32_t term);

static void for_first_words(struct term_index *self, const struct phrase_terms *terms,
                            first_word *tell)
{
    for (uint32_t i = 0; i < self->term_count; i++) {
        const struct term *term = phrase_terms_get(terms, i);
        uint32_t before = UINT32_MAX;
        for (uint32_t j = 0; j < term->form_count; j++) {
            const struct term_form *form = phrase_terms_form(terms, term->first_form + j);
            uint32_t word = phrase_terms_words(terms, form)[0];
            if (word != before)
                tell(self, word, i);
            before = word;
        }
    }
}

static void count_term(struct term_index *self, uint32_t word, uint32_t term)
{
    (void)term;
    self->first[word]++;
}

/* Where a word's terms end: they are put in from the last to the first. */
static void put_term(struct term_index *self, uint32_t word, uint32_t term)
{
    if (self->common[word] == 0) {
        self->terms[--self->first[word]] = term;
        return;
    }
    unsigned number = self->common[word] - 1U;
    self->begin_common[term].lanes[number / LANE_BITS] |= UINT64_C(1) << (number % LANE_BITS);
}

/* A word and what it costs to mark all terms that begin with it. */
struct toll {
    uint64_t cost;
    uint32_t word;
};

static int by_cost(const void *a, const void *b)
{
    const struct toll *left = a;
    const struct toll *right = b;
    if (left->cost != right->cost)
        return left->cost > right->cost ? -1 : 1;
    return (left->word > right->word) - (left->word < right->word);
}

/* "Any word" is the first of the common ones. self->first: how many terms begin with a word. */
static int choose_common(struct term_index *self, const uint32_t *loads, size_t word_count)
{
    struct toll *tolls = malloc(word_count * sizeof *tolls);
    if (!tolls)
        return -1;
    for (uint32_t i = 0; i < word_count; i++)
        tolls[i] = (struct toll){ (uint64_t)loads[i] * self->first[i], i };
    tolls[VOCABULARY_ANY].cost = UINT64_MAX;
    qsort(tolls, word_count, sizeof *tolls, by_cost);
    for (size_t i = 0; i < COMMON_MAX && i < word_count; i++)
        self->common[tolls[i].word] = (uint8_t)(i + 1);
    free(tolls);
    return 0;
}

static int fill_index(struct term_index *self, const struct phrase_terms *terms,
                      const uint32_t *loads, size_t word_count)
{
    for_first_words(self, terms, count_term);
    if (choose_common(self, loads, word_count) != 0)
        return -1;
    uint32_t end = 0;
    for (size_t i = 0; i < word_count; i++) {
        end += self->common[i] == 0 ? self->first[i] : 0;
        self->first[i] = end;
    }
    self->first[word_count] = end;
    self->terms = calloc((size_t)end + 1, sizeof *self->terms);
    if (!self->terms)
        return -1;
    for_first_words(self, terms, put_term);
    return 0;
}

struct term_index *term_index_new(const struct phrase_terms *terms, const uint32_t *loads,
                                  size_t word_count)
{
    struct term_index *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->term_count = phrase_terms_count(terms);
    self->first = calloc(word_count + 1, sizeof *self->first);
    self->common = calloc(word_count, sizeof *self->common);
    self->begin_common = calloc(self->term_count + 1, sizeof *self->begin_common);
    if (!self->first || !self->common || !self->begin_common ||
        fill_index(self, terms, loads, word_count) != 0)
        term_index_destroy(&self);
    return self;
}

/* --- a stretch --- */

void term_places_destroy(struct term_places **self_p)
{
    if (!*self_p)
        return;
    free((*self_p)->terms);
    free(*self_p);
    *self_p = NULL;
}

struct term_places *term_places_new(const struct term_index *index)
{
    struct term_places *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->index = index;
    self->terms = calloc(index->term_count + 1, sizeof *self->terms);
    if (!self->terms) {
        term_places_destroy(&self);
        return NULL;
    }
    for (size_t i = 0; i < index->term_count; i++)
        self->terms[i].common = index->begin_common[i];
    return self;
}

static void note_common(struct term_places *self, unsigned number, uint64_t places)
{
    uint64_t *lane = &self->present.lanes[number / LANE_BITS];
    uint64_t bit = UINT64_C(1) << (number % LANE_BITS);
    self->common_places[number] =
        (*lane & bit) != 0 ? self->common_places[number] | places : places;
    *lane |= bit;
}

static void note_word(struct term_places *self, uint32_t word, uint64_t place)
{
    const struct term_index *index = self->index;
    if (index->common[word] != 0) {
        note_common(self, index->common[word] - 1U, place);
        return;
    }
    for (uint32_t i = index->first[word]; i < index->first[word + 1]; i++) {
        struct term_place *term = &self->terms[index->terms[i]];
        term->places = term->stamp == self->stamp ? term->places | place : place;
        term->stamp = self->stamp;
    }
}

void term_places_look_at(struct term_places *self, const struct words *words, size_t first)
{
    assert(first < words->count);
    size_t behind = words->count - first - 1; /* the first word */
    size_t count = behind < STRETCH_WORDS - 1 ? behind + 1 : STRETCH_WORDS;
    self->first = (int64_t)first;
    self->last = (int64_t)(first + count) - 1;
    self->is_more = first + count < words->count;
    self->stamp++;
    self->present = (struct common_set){ 0 };
    note_common(self, self->index->common[VOCABULARY_ANY] - 1U,
                UINT64_MAX >> (STRETCH_WORDS - count));
    for (size_t i = 0; i < count; i++) {
        const struct word *word = &words->list[first + i];
        for (uint32_t j = 0; j < word->id_count; j++)
            note_word(self, words->ids[word->first_id + j], UINT64_C(1) << i);
    }
}

/* Bit n: a form of the term begins with word n of the stretch. */
static inline uint64_t places_of(const struct term_places *self, uint32_t number)
{
    const struct term_place *term = &self->terms[number];
    uint64_t places = term->stamp == self->stamp ? term->places : 0;
    for (unsigned i = 0; i < LANES; i++) {
        for (uint64_t left = term->common.lanes[i] & self->present.lanes[i]; left != 0;
             left &= left - 1)
            places |= self->common_places[i * LANE_BITS + (unsigned)__builtin_ctzll(left)];
    }
    return places;
}

uint64_t term_places_from(const struct term_places *self, uint32_t term, size_t at)
{
    int64_t behind = (int64_t)at - self->first;
    if (behind < 0 || behind >= STRETCH_WORDS)
        return UINT64_MAX;
    uint64_t unknown = self->is_more ? ~(UINT64_MAX >> behind) : 0;
    return places_of(self, term) >> behind | unknown;
}

bool term_places_may_begin(const struct term_places *self, uint32_t term, int64_t least,
                           int64_t most)
{
    if ((least < self->first && self->first > 0) || (most > self->last && self->is_more))
        return true;
    least = least < self->first ? self->first : least;
    most = most > self->last ? self->last : most;
    if (least > most)
        return false;
    unsigned from = (unsigned)(least - self->first);
    unsigned to = (unsigned)(most - self->first);
    uint64_t wanted = (UINT64_MAX << from) & (UINT64_MAX >> (STRETCH_WORDS - 1 - to));
    return (places_of(self, term) & wanted) != 0;
}
