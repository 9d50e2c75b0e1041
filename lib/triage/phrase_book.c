#include "triage/phrase_book.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "triage/list.h"
#include "triage/phrase_terms.h"
#include "triage/term_places.h"

#define NO_TERM UINT32_MAX

/* A term or a gap as it is looked for. */
struct step {
    uint32_t term;
    uint16_t least; /* words between the phrase's start and it */
    uint16_t most;
    uint8_t gap_words; /* 0: a term */
    bool is_optional;
};

struct entry {
    uint32_t first_step;
    uint32_t step_count;
};

/* A phrase that waits at a word, which stands so many words behind the phrase's start. Most are
 * ruled out by the one term they need beside it. */
struct anchor {
    uint32_t phrase;
    struct entry steps;
    uint16_t before_least;
    uint16_t before_most;
    uint32_t needed; /* the term; NO_TERM: none */
    int16_t least;   /* words behind the one where the phrase waits */
    int16_t most;
};

struct phrase_book {
    struct vocabulary *vocabulary;
    struct phrase_terms *terms;
    struct list entries;
    struct list steps;
    struct list waiting;    /* struct waiting, until sealed */
    struct anchor *anchors; /* grouped by word */
    uint32_t *first_anchor; /* by word, and one past the last */
    struct term_index *index;
};

/* An anchor before they are grouped. */
struct waiting {
    uint32_t word;
    struct anchor anchor;
};

void phrase_book_destroy(struct phrase_book **self_p)
{
    struct phrase_book *self = *self_p;
    if (!self)
        return;
    term_index_destroy(&self->index);
    phrase_terms_destroy(&self->terms);
    vocabulary_destroy(&self->vocabulary);
    list_clear(&self->entries);
    list_clear(&self->steps);
    list_clear(&self->waiting);
    free(self->anchors);
    free(self->first_anchor);
    free(self);
    *self_p = NULL;
}

struct phrase_book *phrase_book_new(struct error *err)
{
    struct phrase_book *self = calloc(1, sizeof *self);
    if (self)
        self->vocabulary = vocabulary_new(err);
    if (self && self->vocabulary)
        self->terms = phrase_terms_new(self->vocabulary);
    if (self && self->terms)
        return self;
    phrase_book_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory for the phrases");
    return NULL;
}

const struct vocabulary *phrase_book_vocabulary(const struct phrase_book *self)
{
    return self->vocabulary;
}

size_t phrase_book_count(const struct phrase_book *self)
{
    return self->entries.count;
}

int phrase_book_add_variant(struct phrase_book *self, const char *variant, const char *word)
{
    return vocabulary_add_variant(self->vocabulary, variant, word);
}

/* --- making --- */

static const struct step *steps_of(const struct phrase_book *self, const struct entry *entry)
{
    return (const struct step *)self->steps.items + entry->first_step;
}

/* How many words a step takes at least and at most. */
struct extent {
    unsigned least;
    unsigned most;
};

static struct extent extent_of(const struct phrase_book *self, const struct step *step)
{
    if (step->gap_words > 0)
        return (struct extent){ 0, step->gap_words };
    const struct term *term = phrase_terms_get(self->terms, step->term);
    return (struct extent){ step->is_optional ? 0 : term->least_words, term->most_words };
}

/* *before: of the steps so far. */
static int add_step(struct phrase_book *self, struct phrase_term *term, struct extent *before,
                    struct entry *entry)
{
    struct step made = { .least = (uint16_t)before->least,
                         .most = (uint16_t)before->most,
                         .gap_words = (uint8_t)term->gap_words,
                         .is_optional = term->is_optional };
    if (term->gap_words == 0 && term->forms.count == 0)
        return 0; /* of what may be missing nothing was left */
    if (term->gap_words == 0 && phrase_terms_add(self->terms, &term->forms, &made.term) != 0)
        return -1;
    struct step *step = list_append(&self->steps, 1, sizeof *step);
    if (!step)
        return -1;
    *step = made;
    entry->step_count++;
    struct extent extent = extent_of(self, step);
    *before = (struct extent){ before->least + extent.least, before->most + extent.most };
    return 0;
}

int phrase_book_add(struct phrase_book *self, struct phrase *phrase, uint32_t *number)
{
    assert(phrase->term_count > 0);
    *number = (uint32_t)self->entries.count;
    struct entry made = { .first_step = (uint32_t)self->steps.count };
    struct extent before = { 0, 0 };
    for (size_t i = 0; i < phrase->term_count; i++) {
        if (add_step(self, &phrase->terms[i], &before, &made) != 0)
            return -1;
    }
    struct entry *entry = list_append(&self->entries, 1, sizeof *entry);
    if (!entry)
        return -1;
    *entry = made;
    phrase_clear(phrase);
    return 0;
}

/* --- where phrases wait --- */

/* The rarest word of a form. */
struct rarest {
    uint32_t id;
    uint32_t load;   /* how often it stands in the samples */
    unsigned before; /* words of the form before it */
};

/* What tells which words are rare, from the samples. */
struct ranking {
    uint32_t *loads;       /* by word */
    struct rarest *rarest; /* by form */
    uint64_t *costs;       /* by term: of waiting there; UINT64_MAX: one cannot */
};

static void ranking_clear(struct ranking *self)
{
    free(self->loads);
    free(self->rarest);
    free(self->costs);
}

/* Adds to loads, by word, how often it stands in a text. */
static int count_words(const struct phrase_book *self, const struct phrase_samples *samples,
                       struct ranking *ranking)
{
    struct error err = { 0 };
    struct normalised *text = normalised_new(&err);
    struct words *words = text ? words_new(self->vocabulary, &err) : NULL;
    for (size_t i = 0; words && i < samples->count; i++) {
        (void)normalise(text, samples->texts[i], strlen(samples->texts[i]), 0);
        words_read(words, text);
        for (size_t j = 0; j < words->ids_count; j++)
            ranking->loads[words->ids[j]]++;
    }
    int rc = words ? 0 : -1;
    words_destroy(&words);
    normalised_destroy(&text);
    return rc;
}

static struct rarest rarest_word(const struct phrase_book *self, const uint32_t *loads,
                                 const struct term_form *form)
{
    const uint32_t *words = phrase_terms_words(self->terms, form);
    struct rarest out = { VOCABULARY_ANY, UINT32_MAX, 0 };
    for (uint32_t i = 0; i < form->word_count; i++) {
        if (words[i] != VOCABULARY_ANY && loads[words[i]] < out.load)
            out = (struct rarest){ words[i], loads[words[i]], i };
    }
    return out;
}

static uint64_t cost_of(const struct ranking *ranking, const struct term *term)
{
    uint64_t cost = 0;
    for (uint32_t i = 0; i < term->form_count; i++) {
        const struct rarest *rarest = &ranking->rarest[term->first_form + i];
        if (rarest->id == VOCABULARY_ANY)
            return UINT64_MAX;
        cost += rarest->load;
    }
    return cost;
}

static int rank(const struct phrase_book *self, const struct phrase_samples *samples,
                struct ranking *ranking)
{
    size_t words = vocabulary_count(self->vocabulary);
    size_t forms = phrase_terms_form_count(self->terms);
    size_t terms = phrase_terms_count(self->terms);
    ranking->loads = calloc(words, sizeof *ranking->loads);
    ranking->rarest = calloc(forms + 1, sizeof *ranking->rarest);
    ranking->costs = calloc(terms + 1, sizeof *ranking->costs);
    if (!ranking->loads || !ranking->rarest || !ranking->costs)
        return -1;
    for (size_t i = 0; i < words; i++)
        ranking->loads[i] = 1; /* no word costs nothing */
    if (count_words(self, samples, ranking) != 0)
        return -1;
    for (size_t i = 0; i < forms; i++)
        ranking->rarest[i] = rarest_word(self, ranking->loads, phrase_terms_form(self->terms, i));
    for (uint32_t i = 0; i < terms; i++)
        ranking->costs[i] = cost_of(ranking, phrase_terms_get(self->terms, i));
    return 0;
}

static bool must_be(const struct step *step)
{
    return step->gap_words == 0 && !step->is_optional;
}

/* The rarest term: there the phrase waits. */
static const struct step *choose_step(const struct phrase_book *self, const struct ranking *ranking,
                                      const struct entry *entry)
{
    const struct step *steps = steps_of(self, entry);
    const struct step *chosen = NULL;
    uint64_t least_cost = UINT64_MAX;
    for (size_t i = 0; i < entry->step_count; i++) {
        if (!must_be(&steps[i]) || ranking->costs[steps[i].term] >= least_cost)
            continue;
        least_cost = ranking->costs[steps[i].term];
        chosen = &steps[i];
    }
    assert(chosen); /* phrase_parse saw to it: a word that must be there */
    return chosen;
}

/* How often the term stands where it is needed: rare ones rule out most. */
static uint64_t commonness_of(const struct ranking *ranking, const struct step *step)
{
    uint64_t cost = ranking->costs[step->term];
    uint64_t words = (uint64_t)step->most - step->least + 1;
    return cost > UINT64_MAX / words ? UINT64_MAX : cost * words;
}

/* Of the terms that tell something where the phrase waits at `chosen`: the rarest. NULL: none. */
static const struct step *choose_need(const struct phrase_book *self, const struct ranking *ranking,
                                      const struct entry *entry, const struct step *chosen)
{
    const struct step *steps = steps_of(self, entry);
    const struct step *need = NULL;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < entry->step_count; i++) {
        bool is_there = steps[i].term == chosen->term &&
                        phrase_terms_get(self->terms, chosen->term)->most_words == 1;
        if (!must_be(&steps[i]) || is_there || commonness_of(ranking, &steps[i]) >= least)
            continue;
        least = commonness_of(ranking, &steps[i]);
        need = &steps[i];
    }
    return need;
}

static int wait_at(struct phrase_book *self, const struct ranking *ranking, uint32_t number)
{
    const struct entry *entry = (const struct entry *)self->entries.items + number;
    const struct step *chosen = choose_step(self, ranking, entry);
    const struct step *need = choose_need(self, ranking, entry, chosen);
    const struct term *term = phrase_terms_get(self->terms, chosen->term);
    for (uint32_t i = 0; i < term->form_count; i++) {
        const struct rarest *rarest = &ranking->rarest[term->first_form + i];
        struct waiting *waiting = list_append(&self->waiting, 1, sizeof *waiting);
        if (!waiting)
            return -1;
        unsigned least = chosen->least + rarest->before;
        unsigned most = chosen->most + rarest->before;
        most = most < PHRASE_REACH_WORDS ? most : PHRASE_REACH_WORDS;
        waiting->word = rarest->id;
        waiting->anchor = (struct anchor){
            .phrase = number,
            .steps = *entry,
            .before_least = (uint16_t)least,
            .before_most = (uint16_t)most,
            .needed = need ? need->term : NO_TERM,
            .least = (int16_t)(need ? need->least - (int)most : 0),
            .most = (int16_t)(need ? need->most - (int)least : 0),
        };
    }
    return 0;
}

static int group_anchors(struct phrase_book *self)
{
    size_t words = vocabulary_count(self->vocabulary);
    const struct waiting *waiting = self->waiting.items;
    self->first_anchor = calloc(words + 2, sizeof *self->first_anchor);
    self->anchors = calloc(self->waiting.count + 1, sizeof *self->anchors);
    if (!self->first_anchor || !self->anchors)
        return -1;
    for (size_t i = 0; i < self->waiting.count; i++)
        self->first_anchor[waiting[i].word + 2]++;
    for (size_t i = 2; i < words + 2; i++)
        self->first_anchor[i] += self->first_anchor[i - 1];
    for (size_t i = 0; i < self->waiting.count; i++)
        self->anchors[self->first_anchor[waiting[i].word + 1]++] = waiting[i].anchor;
    list_clear(&self->waiting);
    return 0;
}

int phrase_book_seal(struct phrase_book *self, const struct phrase_samples *samples)
{
    struct ranking ranking = { 0 };
    phrase_terms_seal(self->terms);
    int rc = vocabulary_seal(self->vocabulary);
    if (rc == 0)
        rc = rank(self, samples, &ranking);
    for (uint32_t i = 0; rc == 0 && i < self->entries.count; i++)
        rc = wait_at(self, &ranking, i);
    if (rc == 0)
        rc = group_anchors(self);
    if (rc == 0)
        self->index =
            term_index_new(self->terms, ranking.loads, vocabulary_count(self->vocabulary));
    ranking_clear(&ranking);
    return self->index ? 0 : -1;
}

/* --- looking --- */

static uint64_t lowest_bit(uint64_t bits)
{
    return bits & -bits;
}

static unsigned bit_number(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

/* --- the finder --- */

struct phrase_finder {
    const struct phrase_book *book;
    const struct words *words;  /* of the text looked through now */
    struct term_places *places; /* of the stretch of it looked at now */
};

void phrase_finder_destroy(struct phrase_finder **self_p)
{
    if (!*self_p)
        return;
    term_places_destroy(&(*self_p)->places);
    free(*self_p);
    *self_p = NULL;
}

struct phrase_finder *phrase_finder_new(const struct phrase_book *book, struct error *err)
{
    assert(book->index);
    struct phrase_finder *self = calloc(1, sizeof *self);
    if (self) {
        self->book = book;
        self->places = term_places_new(book->index);
    }
    if (self && self->places)
        return self;
    phrase_finder_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory to look for phrases");
    return NULL;
}

/* Whether what the phrase needs most may be there. */
static bool may_have_needed(const struct phrase_finder *self, const struct anchor *anchor,
                            size_t at)
{
    return anchor->needed == NO_TERM ||
           term_places_may_begin(self->places, anchor->needed, (int64_t)at + anchor->least,
                                 (int64_t)at + anchor->most);
}

/* … and all else that must be there. */
static bool may_have_all(const struct phrase_finder *self, const struct anchor *anchor, size_t at)
{
    const struct step *steps = steps_of(self->book, &anchor->steps);
    for (uint32_t i = 0; i < anchor->steps.step_count; i++) {
        const struct step *step = &steps[i];
        if (must_be(step) && step->term != anchor->needed &&
            !term_places_may_begin(self->places, step->term,
                                   (int64_t)at - anchor->before_most + step->least,
                                   (int64_t)at - anchor->before_least + step->most))
            return false;
    }
    return true;
}

/* Bit n: the steps up to here may end n words behind start. */
static uint64_t take_step(const struct phrase_finder *self, const struct step *step, size_t start,
                          uint64_t reached)
{
    if (step->gap_words > 0) {
        uint64_t all = reached;
        for (unsigned i = 1; i <= step->gap_words; i++)
            all |= reached << i;
        return all;
    }
    uint64_t next = step->is_optional ? reached : 0;
    for (uint64_t left = reached & term_places_from(self->places, step->term, start); left != 0;
         left &= left - 1) {
        unsigned words_behind = bit_number(left);
        next |= phrase_terms_ends(self->book->terms, step->term, self->words, start + words_behind)
                << words_behind;
    }
    return next;
}

/* Whether the phrase begins at word start; *last: its last word. */
static bool is_at(const struct phrase_finder *self, const struct entry *entry, size_t start,
                  size_t *last)
{
    const struct step *steps = steps_of(self->book, entry);
    uint64_t reached = 1;
    for (uint32_t i = 0; i < entry->step_count && reached != 0; i++)
        reached = take_step(self, &steps[i], start, reached);
    if (reached <= 1)
        return false;
    *last = start + bit_number(lowest_bit(reached & ~UINT64_C(1))) - 1;
    return true;
}

/* The start that is nearest: the shortest way to say it. */
static void try_anchor(const struct phrase_finder *self, const struct anchor *anchor, size_t at,
                       phrase_found *found, void *arg)
{
    for (size_t before = anchor->before_least; before <= anchor->before_most && before <= at;
         before++) {
        size_t last = 0;
        if (is_at(self, &anchor->steps, at - before, &last)) {
            found(arg, anchor->phrase, at - before, last);
            return;
        }
    }
}

static void look_around(const struct phrase_finder *self, size_t at, phrase_found *found, void *arg)
{
    const struct phrase_book *book = self->book;
    const struct word *word = &self->words->list[at];
    for (uint32_t i = 0; i < word->id_count; i++) {
        uint32_t id = self->words->ids[word->first_id + i];
        for (uint32_t j = book->first_anchor[id]; j < book->first_anchor[id + 1]; j++) {
            const struct anchor *anchor = &book->anchors[j];
            if (may_have_needed(self, anchor, at) && may_have_all(self, anchor, at))
                try_anchor(self, anchor, at, found, arg);
        }
    }
}

/* A stretch holds a short text; of a long one its inner half is looked at. */
void phrase_finder_find(struct phrase_finder *self, const struct words *words, phrase_found *found,
                        void *arg)
{
    enum { INNER = STRETCH_WORDS / 2, MARGIN = INNER / 2 };
    size_t step = words->count <= STRETCH_WORDS ? STRETCH_WORDS : INNER;
    self->words = words;
    for (size_t from = 0; from < words->count; from += step) {
        size_t to = from + step < words->count ? from + step : words->count;
        term_places_look_at(self->places, words, from < MARGIN ? 0 : from - MARGIN);
        for (size_t at = from; at < to; at++)
            look_around(self, at, found, arg);
    }
}
