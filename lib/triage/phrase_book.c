#include "triage/phrase_book.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "triage/list.h"
#include "triage/phrase_terms.h"
#include "triage/term_places.h"

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

/* A phrase that waits where its rarest term begins, so many words behind the phrase's start. Most
 * are ruled out by the one term they need beside it. */
struct anchor {
    struct term_check needed;
    uint8_t before_least;
    uint8_t before_most;
    uint8_t check_count; /* of the other terms it needs */
    uint8_t step_count;
    uint32_t phrase;
    uint32_t first_check;
    uint32_t first_step;
};
_Static_assert(PHRASE_TERMS_MAX <= UINT8_MAX && PHRASE_REACH_WORDS < UINT8_MAX, "both fit 8 bits");

/* The phrases that wait at a term, found by the rarest word of one of its forms. */
struct wait {
    uint32_t first_anchor;
    uint32_t anchor_count : 24;
    uint32_t before : 8; /* words of the form before that word */
};

struct phrase_book {
    struct vocabulary *vocabulary;
    struct phrase_terms *terms;
    struct list entries;
    struct list steps;
    struct list checks;     /* struct term_check */
    struct anchor *anchors; /* grouped by term, and there by phrase */
    struct wait *waits;     /* grouped by word */
    uint32_t *first_wait;   /* by word, and one past the last */
    size_t most_at_word;    /* anchors that wait at one word */
    struct term_index *index;
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
    list_clear(&self->checks);
    free(self->anchors);
    free(self->waits);
    free(self->first_wait);
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

static const struct step *steps_of(const struct phrase_book *self, uint32_t first_step)
{
    return (const struct step *)self->steps.items + first_step;
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
    const struct step *steps = steps_of(self, entry->first_step);
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
    const struct step *steps = steps_of(self, entry->first_step);
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

/* Asks for a step where the phrase waits, so many words behind its start. */
static struct term_check check_of(const struct phrase_book *self, const struct step *step,
                                  const struct step *chosen)
{
    return term_check_of(self->index, step->term, step->least - (int)chosen->most,
                         step->most - (int)chosen->least);
}

static uint8_t within_reach(unsigned words)
{
    return (uint8_t)(words <= PHRASE_REACH_WORDS ? words : PHRASE_REACH_WORDS);
}

static int make_anchor(struct phrase_book *self, const struct ranking *ranking, uint32_t number,
                       const struct step *chosen, struct anchor *anchor)
{
    const struct entry *entry = (const struct entry *)self->entries.items + number;
    const struct step *need = choose_need(self, ranking, entry, chosen);
    const struct step *steps = steps_of(self, entry->first_step);
    *anchor = (struct anchor){ .phrase = number,
                               .before_least = within_reach(chosen->least),
                               .before_most = within_reach(chosen->most),
                               .first_check = (uint32_t)self->checks.count,
                               .first_step = entry->first_step,
                               .step_count = (uint8_t)entry->step_count,
                               .needed = check_of(self, need ? need : chosen, chosen) };
    for (size_t i = 0; i < entry->step_count; i++) {
        if (!must_be(&steps[i]) || &steps[i] == chosen || &steps[i] == need)
            continue;
        struct term_check *check = list_append(&self->checks, 1, sizeof *check);
        if (!check)
            return -1;
        *check = check_of(self, &steps[i], chosen);
        anchor->check_count++;
    }
    return 0;
}

/* Groups phrases by the terms they wait at. *firsts: by term and one past the last, where its
 * phrases begin; the caller frees them. */
static int make_anchors(struct phrase_book *self, const struct ranking *ranking, uint32_t **firsts)
{
    size_t terms = phrase_terms_count(self->terms);
    const struct entry *entries = self->entries.items;
    uint32_t *first = calloc(terms + 2, sizeof *first);
    self->anchors = calloc(self->entries.count + 1, sizeof *self->anchors);
    *firsts = first;
    if (!first || !self->anchors)
        return -1;
    for (size_t i = 0; i < self->entries.count; i++)
        first[choose_step(self, ranking, &entries[i])->term + 2]++;
    for (size_t i = 2; i < terms + 2; i++)
        first[i] += first[i - 1];
    for (uint32_t i = 0; i < self->entries.count; i++) {
        const struct step *chosen = choose_step(self, ranking, &entries[i]);
        struct anchor *anchor = &self->anchors[first[chosen->term + 1]++];
        if (make_anchor(self, ranking, i, chosen, anchor) != 0)
            return -1;
    }
    return 0;
}

/* Told of each word that a term with phrases is found by. */
typedef void wait_found(struct phrase_book *self, uint32_t word, const struct wait *wait);

/* What begins further behind than a phrase reaches is never found. */
static void for_waits(struct phrase_book *self, const struct ranking *ranking,
                      const uint32_t *firsts, wait_found *tell)
{
    for (uint32_t i = 0; i < phrase_terms_count(self->terms); i++) {
        const struct term *term = phrase_terms_get(self->terms, i);
        uint32_t count = firsts[i + 1] - firsts[i];
        for (uint32_t j = 0; count > 0 && j < term->form_count; j++) {
            const struct rarest *rarest = &ranking->rarest[term->first_form + j];
            const struct wait wait = { firsts[i], count, within_reach(rarest->before) };
            if (wait.before < PHRASE_REACH_WORDS)
                tell(self, rarest->id, &wait);
        }
    }
}

static void count_wait(struct phrase_book *self, uint32_t word, const struct wait *wait)
{
    (void)wait;
    self->first_wait[word + 2]++;
}

static void put_wait(struct phrase_book *self, uint32_t word, const struct wait *wait)
{
    self->waits[self->first_wait[word + 1]++] = *wait;
}

/* Groups the terms that phrases wait at by the rarest words of their forms. */
static int make_waits(struct phrase_book *self, const struct ranking *ranking,
                      const uint32_t *firsts)
{
    size_t words = vocabulary_count(self->vocabulary);
    self->first_wait = calloc(words + 2, sizeof *self->first_wait);
    self->waits = calloc(phrase_terms_form_count(self->terms) + 1, sizeof *self->waits);
    if (!self->first_wait || !self->waits)
        return -1;
    for_waits(self, ranking, firsts, count_wait);
    for (size_t i = 2; i < words + 2; i++)
        self->first_wait[i] += self->first_wait[i - 1];
    for_waits(self, ranking, firsts, put_wait);
    for (size_t i = 0; i < words; i++) {
        size_t anchors = 0;
        for (uint32_t j = self->first_wait[i]; j < self->first_wait[i + 1]; j++)
            anchors += self->waits[j].anchor_count;
        self->most_at_word = anchors > self->most_at_word ? anchors : self->most_at_word;
    }
    return 0;
}

static int find_places_to_wait(struct phrase_book *self, const struct ranking *ranking)
{
    uint32_t *firsts = NULL;
    int rc = make_anchors(self, ranking, &firsts);
    if (rc == 0)
        rc = make_waits(self, ranking, firsts);
    free(firsts);
    return rc;
}

int phrase_book_seal(struct phrase_book *self, const struct phrase_samples *samples)
{
    struct ranking ranking = { 0 };
    phrase_terms_seal(self->terms);
    int rc = vocabulary_seal(self->vocabulary);
    if (rc == 0)
        rc = rank(self, samples, &ranking);
    if (rc == 0)
        self->index =
            term_index_new(self->terms, ranking.loads, vocabulary_count(self->vocabulary));
    if (!self->index)
        rc = -1;
    if (rc == 0)
        rc = find_places_to_wait(self, &ranking);
    ranking_clear(&ranking);
    return rc;
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

static const struct term_check *checks_of(const struct phrase_book *self,
                                          const struct anchor *anchor)
{
    const struct term_check *all = self->checks.items; /* NULL: no phrase has any */
    return anchor->check_count > 0 ? all + anchor->first_check : NULL;
}

/* --- the finder --- */

enum { CANDIDATES_ENOUGH = 64 }; /* to look at them */

/* A phrase that waits at a word of the text, and is not ruled out yet. */
struct candidate {
    const struct anchor *anchor;
    uint32_t at;    /* where its term begins */
    uint32_t order; /* of the word where it was found, and there of its number for it */
};

struct phrase_finder {
    const struct phrase_book *book;
    const struct words *words; /* of the text looked through now */
    struct term_places *places;
    struct candidate *candidates; /* in order of words; room for all of one more */
    size_t candidate_count;
    phrase_found *found;
    void *arg;
};

void phrase_finder_destroy(struct phrase_finder **self_p)
{
    if (!*self_p)
        return;
    term_places_destroy(&(*self_p)->places);
    free((*self_p)->candidates);
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
        self->candidates =
            calloc(CANDIDATES_ENOUGH + book->most_at_word + 1, sizeof *self->candidates);
    }
    if (self && self->places && self->candidates)
        return self;
    phrase_finder_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory to look for phrases");
    return NULL;
}

/* Whether all that must be there may be, besides what the anchor looks for. */
static bool may_have_all(const struct phrase_finder *self, const struct candidate *candidate)
{
    const struct anchor *anchor = candidate->anchor;
    const struct term_check *checks = checks_of(self->book, anchor);
    bool may = true;
    for (uint32_t i = 0; i < anchor->check_count; i++)
        may &= term_places_may_begin(self->places, &checks[i], candidate->at);
    return may;
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
    const struct word_kinds *kinds = term_index_kinds(self->book->index, step->term);
    for (uint64_t left = reached; left != 0; left &= left - 1) {
        unsigned words_behind = bit_number(left);
        size_t at = start + words_behind;
        if (at < self->words->count && term_places_is_at(self->places, kinds, at))
            next |= phrase_terms_ends(self->book->terms, step->term, self->words, at)
                    << words_behind;
    }
    return next;
}

/* Whether the phrase begins at word start; *last: its last word. */
static bool is_at(const struct phrase_finder *self, const struct anchor *anchor, size_t start,
                  size_t *last)
{
    const struct step *steps = steps_of(self->book, anchor->first_step);
    uint64_t reached = 1;
    for (uint32_t i = 0; i < anchor->step_count && reached != 0; i++)
        reached = take_step(self, &steps[i], start, reached);
    if (reached <= 1)
        return false;
    *last = start + bit_number(lowest_bit(reached & ~UINT64_C(1))) - 1;
    return true;
}

/* The start that is nearest: the shortest way to say it. */
static void try_candidate(const struct phrase_finder *self, const struct candidate *candidate)
{
    const struct anchor *anchor = candidate->anchor;
    const struct step *first = steps_of(self->book, anchor->first_step);
    const struct word_kinds *kinds =
        must_be(first) ? term_index_kinds(self->book->index, first->term) : NULL;
    size_t at = candidate->at;
    for (size_t before = anchor->before_least; before <= anchor->before_most && before <= at;
         before++) {
        size_t last = 0;
        if (kinds && !term_places_is_at(self->places, kinds, at - before))
            continue;
        if (is_at(self, anchor, at - before, &last)) {
            self->found(self->arg, anchor->phrase, at - before, last);
            return;
        }
    }
}

static bool is_before(const struct candidate *a, const struct candidate *b)
{
    return a->order != b->order ? a->order < b->order : a->anchor->phrase < b->anchor->phrase;
}

/* By word, and there by phrase: the order in which they are told. Few of a word are left, and those
 * of a term are in order. */
static void sort_candidates(struct candidate *list, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct candidate candidate = list[i];
        size_t at = i;
        for (; at > 0 && is_before(&candidate, &list[at - 1]); at--)
            list[at] = list[at - 1];
        list[at] = candidate;
    }
}

static void fetch_first_term(const struct phrase_book *self, const struct anchor *anchor)
{
    const struct step *first = steps_of(self, anchor->first_step);
    if (first->gap_words > 0)
        return;
    __builtin_prefetch(term_index_kinds(self->index, first->term));
    phrase_terms_fetch(self->terms, first->term);
}

/* Step by step for all, so that what one waits for from memory comes while another is looked at. */
static void try_candidates(struct phrase_finder *self)
{
    const struct phrase_book *book = self->book;
    struct candidate *list = self->candidates;
    size_t kept = 0;
    for (size_t i = 0; i < self->candidate_count; i++)
        __builtin_prefetch(checks_of(book, list[i].anchor));
    for (size_t i = 0; i < self->candidate_count; i++) {
        struct candidate candidate = list[i];
        list[kept] = candidate;
        kept += may_have_all(self, &candidate);
    }
    for (size_t i = 0; i < kept; i++)
        __builtin_prefetch(steps_of(book, list[i].anchor->first_step));
    sort_candidates(list, kept);
    for (size_t i = 0; i < kept; i++)
        fetch_first_term(book, list[i].anchor);
    for (size_t i = 0; i < kept; i++)
        try_candidate(self, &list[i]);
    self->candidate_count = 0;
}

static void look_at_wait(struct phrase_finder *self, const struct wait *wait, uint32_t at,
                         uint32_t order)
{
    const struct anchor *anchors = &self->book->anchors[wait->first_anchor];
    const struct term_places *places = self->places;
    struct candidate *list = self->candidates;
    size_t count = self->candidate_count;
    uint32_t anchor_count = wait->anchor_count;
    for (uint32_t i = 0; i < anchor_count; i++) { /* no branch: nobody can foresee it */
        list[count] = (struct candidate){ &anchors[i], at, order };
        count += term_places_may_begin(places, &anchors[i].needed, at);
    }
    self->candidate_count = count;
}

static void look_around(struct phrase_finder *self, uint32_t at)
{
    const struct phrase_book *book = self->book;
    const struct word *word = &self->words->list[at];
    for (uint32_t i = 0; i < word->id_count; i++) {
        uint32_t id = self->words->ids[word->first_id + i];
        for (uint32_t j = book->first_wait[id]; j < book->first_wait[id + 1]; j++) {
            const struct wait *wait = &book->waits[j];
            if (wait->before <= at)
                look_at_wait(self, wait, at - wait->before, at * VOCABULARY_IDS_MAX + i);
        }
        if (self->candidate_count >= CANDIDATES_ENOUGH)
            try_candidates(self);
    }
}

static void fetch_anchors(const struct phrase_finder *self, size_t at)
{
    const struct phrase_book *book = self->book;
    const struct word *word = &self->words->list[at];
    for (uint32_t i = 0; i < word->id_count; i++) {
        uint32_t id = self->words->ids[word->first_id + i];
        for (uint32_t j = book->first_wait[id]; j < book->first_wait[id + 1]; j++)
            __builtin_prefetch(&book->anchors[book->waits[j].first_anchor]);
    }
}
void phrase_finder_find(struct phrase_finder *self, const struct words *words, phrase_found *found,
                        void *arg)
{
    enum { AHEAD = 3 };
    self->words = words;
    self->found = found;
    self->arg = arg;
    term_places_look_at(self->places, words);
    for (size_t at = 0; at < words->count; at++) {
        if (at + AHEAD < words->count)
            fetch_anchors(self, at + AHEAD);
        look_around(self, (uint32_t)at);
    }
    try_candidates(self);
}
