#include "triage/phrase_book.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_ROOM = 256,
    NEEDS = 2,          /* terms, beside the one a phrase waits at, that are looked for first … */
    NEED_WORDS_MAX = 12 /* … if so many words say whether they may be there */
};

/* Ways on from a place in the forms of a term: by which word to where. */
struct edge {
    uint32_t word;
    uint32_t node;
};

/* A place in the forms of a term: a tree of words. */
struct node {
    uint32_t first_edge; /* sorted by word */
    uint16_t edge_count;
    bool is_end; /* a form may end here */
    bool has_any;
    uint64_t kinds; /* words_kind of the edges' words; all of them with "any word" */
};

/* A term as it is looked for. */
struct step {
    uint8_t gap_words; /* 0: forms */
    bool is_optional;
    uint32_t node;
};

/* Words of which one must stand near for a phrase to be there. */
struct need {
    uint32_t first;
    uint32_t count; /* 0: no such need */
};

struct entry {
    uint32_t first_step;
    uint32_t step_count;
    struct need needs[NEEDS];
};

/* A phrase that waits at a word, which stands so many words behind the phrase's start. */
struct anchor {
    uint32_t phrase;
    uint16_t before_least;
    uint16_t before_most;
    uint64_t first_kinds; /* words_kind of the words the phrase may begin with */
};

struct list { /* grows */
    void *items;
    size_t count;
    size_t room;
};

struct phrase_book {
    struct vocabulary *vocabulary;
    struct list phrases; /* struct phrase, until sealed */
    struct list entries;
    struct list steps;
    struct list nodes;
    struct list edges;
    struct list needed;     /* numbers of words */
    struct list waiting;    /* struct waiting, until sealed */
    struct anchor *anchors; /* grouped by word */
    uint32_t *first_anchor; /* by word, and one past the last */
};

/* An anchor before they are grouped. */
struct waiting {
    uint32_t word;
    struct anchor anchor;
};

/* Room for count more items of size bytes at the end; NULL without memory. */
static void *append(struct list *list, size_t count, size_t size)
{
    if (list->count + count > list->room) {
        size_t room = list->room * 2 + FIRST_ROOM + count;
        void *items = realloc(list->items, room * size);
        if (!items)
            return NULL;
        list->items = items;
        list->room = room;
    }
    void *first = (char *)list->items + list->count * size;
    memset(first, 0, count * size);
    list->count += count;
    return first;
}

static void clear_phrases(struct phrase_book *self)
{
    struct phrase *phrases = self->phrases.items;
    for (size_t i = 0; i < self->phrases.count; i++)
        phrase_clear(&phrases[i]);
    free(phrases);
    self->phrases = (struct list){ 0 };
}

void phrase_book_destroy(struct phrase_book **self_p)
{
    struct phrase_book *self = *self_p;
    if (!self)
        return;
    clear_phrases(self);
    vocabulary_destroy(&self->vocabulary);
    free(self->entries.items);
    free(self->steps.items);
    free(self->nodes.items);
    free(self->edges.items);
    free(self->needed.items);
    free(self->waiting.items);
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
    else
        (void)error_set(err, ERROR_SYSTEM, "no memory for the phrases");
    if (self && !self->vocabulary)
        phrase_book_destroy(&self);
    return self;
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

/* The word of a form behind `at` bytes of it, which end with a word; empty at the form's end. */
static const char *word_behind(const char *form, size_t at, size_t *length)
{
    const char *word = form + at + (form[at] == ' ');
    *length = strcspn(word, " ");
    return word;
}

static size_t end_of_word(const char *form, size_t at)
{
    size_t length = 0;
    const char *word = word_behind(form, at, &length);
    return (size_t)(word - form) + length;
}

static int word_id(struct phrase_book *self, const char *form, size_t at, uint32_t *id)
{
    size_t length = 0;
    const char *word = word_behind(form, at, &length);
    return vocabulary_add(self->vocabulary, word, length, id);
}

static bool goes_on_alike(const char *a, const char *b, size_t at)
{
    size_t a_length = 0;
    size_t b_length = 0;
    const char *a_word = word_behind(a, at, &a_length);
    const char *b_word = word_behind(b, at, &b_length);
    return a_length == b_length && memcmp(a_word, b_word, a_length) == 0;
}

static int by_word(const void *a, const void *b)
{
    const struct edge *left = a;
    const struct edge *right = b;
    return (left->word > right->word) - (left->word < right->word);
}

/* Counts the different words with which forms[0..count) go on at `at`. */
static size_t count_edges(char **forms, size_t count, size_t at)
{
    size_t edges = 0;
    for (size_t i = 0; i < count; i++)
        edges += forms[i][at] != '\0' &&
                 (i == 0 || forms[i - 1][at] == '\0' || !goes_on_alike(forms[i - 1], forms[i], at));
    return edges;
}

/* The tree of forms[0..count), sorted, that are alike before `at`. */
static int make_node(struct phrase_book *self, char **forms, size_t count, size_t at, uint32_t node)
{
    size_t edge_count = count_edges(forms, count, at);
    uint32_t first_edge = (uint32_t)self->edges.count;
    if (edge_count > UINT16_MAX ||
        (edge_count > 0 && !append(&self->edges, edge_count, sizeof(struct edge))))
        return -1;
    struct node made = { .first_edge = first_edge, .edge_count = (uint16_t)edge_count };
    size_t edge = 0;
    for (size_t i = 0; i < count;) {
        if (forms[i][at] == '\0') {
            made.is_end = true;
            i++;
            continue;
        }
        size_t alike = 1;
        while (i + alike < count && goes_on_alike(forms[i], forms[i + alike], at))
            alike++;
        struct edge way = { .node = (uint32_t)self->nodes.count };
        if (word_id(self, forms[i], at, &way.word) != 0 ||
            !append(&self->nodes, 1, sizeof(struct node)) ||
            make_node(self, forms + i, alike, end_of_word(forms[i], at), way.node) != 0)
            return -1;
        made.has_any |= way.word == VOCABULARY_ANY;
        made.kinds |= words_kind(way.word);
        ((struct edge *)self->edges.items)[first_edge + edge++] = way;
        i += alike;
    }
    if (edge_count > 1)
        qsort((struct edge *)self->edges.items + first_edge, edge_count, sizeof(struct edge),
              by_word);
    if (made.has_any)
        made.kinds = UINT64_MAX;
    ((struct node *)self->nodes.items)[node] = made;
    return 0;
}

static int make_step(struct phrase_book *self, const struct phrase_term *term, struct step *out)
{
    *out = (struct step){ .gap_words = (uint8_t)term->gap_words, .is_optional = term->is_optional };
    if (term->gap_words > 0)
        return 0;
    out->node = (uint32_t)self->nodes.count;
    if (!append(&self->nodes, 1, sizeof(struct node)))
        return -1;
    return make_node(self, term->forms, term->form_count, 0, out->node);
}

int phrase_book_add(struct phrase_book *self, struct phrase *phrase, uint32_t *number)
{
    assert(phrase->term_count > 0);
    *number = (uint32_t)self->entries.count;
    struct entry entry = { .first_step = (uint32_t)self->steps.count,
                           .step_count = (uint32_t)phrase->term_count };
    if (!append(&self->steps, phrase->term_count, sizeof(struct step)))
        return -1;
    for (size_t i = 0; i < phrase->term_count; i++) {
        struct step step;
        if (make_step(self, &phrase->terms[i], &step) != 0)
            return -1;
        ((struct step *)self->steps.items)[entry.first_step + i] = step;
    }
    struct phrase *kept = append(&self->phrases, 1, sizeof *kept);
    struct entry *made = append(&self->entries, 1, sizeof *made);
    if (!kept || !made)
        return -1;
    *kept = *phrase;
    *made = entry;
    phrase->term_count = 0;
    return 0;
}

/* --- where phrases wait --- */

/* Adds to loads, by word, how often it stands in a text. */
static int count_words(const struct phrase_book *self, const struct phrase_samples *samples,
                       uint32_t *loads)
{
    struct error err = { 0 };
    struct normalised *text = normalised_new(&err);
    struct words *words = text ? words_new(self->vocabulary, &err) : NULL;
    for (size_t i = 0; words && i < samples->count; i++) {
        (void)normalise(text, samples->texts[i], strlen(samples->texts[i]), 0);
        words_read(words, text);
        for (size_t j = 0; j < words->ids_count; j++)
            loads[words->ids[j]]++;
    }
    int rc = words ? 0 : -1;
    words_destroy(&words);
    normalised_destroy(&text);
    return rc;
}

/* The rarest word of a form: its number, its load, and how many words stand before it. */
struct rarest {
    uint32_t id;
    uint32_t load;
    unsigned before;
};

static int rarest_word(struct phrase_book *self, const uint32_t *loads, const char *form,
                       struct rarest *out)
{
    *out = (struct rarest){ VOCABULARY_ANY, UINT32_MAX, 0 };
    unsigned before = 0;
    for (size_t at = 0; form[at] != '\0'; at = end_of_word(form, at), before++) {
        uint32_t id = 0;
        if (word_id(self, form, at, &id) != 0)
            return -1;
        if (id != VOCABULARY_ANY && loads[id] < out->load)
            *out = (struct rarest){ id, loads[id], before };
    }
    return 0;
}

static unsigned words_of(const char *form)
{
    unsigned words = 0;
    for (size_t at = 0; form[at] != '\0'; at = end_of_word(form, at))
        words++;
    return words;
}

/* How many words a term takes at least and at most. */
static void span_of(const struct phrase_term *term, unsigned *least, unsigned *most)
{
    *least = term->gap_words > 0 || term->is_optional ? 0 : UINT16_MAX;
    *most = term->gap_words;
    for (size_t i = 0; i < term->form_count; i++) {
        unsigned words = words_of(term->forms[i]);
        *least = words < *least ? words : *least;
        *most = words > *most ? words : *most;
    }
}

/* What a phrase costs that waits at this term; UINT64_MAX: it cannot. */
static int cost_of(struct phrase_book *self, const uint32_t *loads, const struct phrase_term *term,
                   uint64_t *cost)
{
    *cost = term->gap_words > 0 || term->is_optional ? UINT64_MAX : 0;
    for (size_t i = 0; *cost != UINT64_MAX && i < term->form_count; i++) {
        struct rarest rarest;
        if (rarest_word(self, loads, term->forms[i], &rarest) != 0)
            return -1;
        *cost = rarest.id == VOCABULARY_ANY ? UINT64_MAX : *cost + rarest.load;
    }
    return 0;
}

static uint64_t first_kinds(const struct phrase_book *self, uint32_t number)
{
    const struct entry *entry = (const struct entry *)self->entries.items + number;
    const struct step *first = (const struct step *)self->steps.items + entry->first_step;
    const struct node *node = (const struct node *)self->nodes.items + first->node;
    return first->is_optional ? UINT64_MAX : node->kinds;
}

static int wait_at(struct phrase_book *self, const uint32_t *loads, uint32_t number,
                   const struct phrase_term *term, unsigned least, unsigned most)
{
    for (size_t i = 0; i < term->form_count; i++) {
        struct rarest rarest;
        struct waiting *waiting = append(&self->waiting, 1, sizeof *waiting);
        if (!waiting || rarest_word(self, loads, term->forms[i], &rarest) != 0)
            return -1;
        unsigned farthest = most + rarest.before;
        *waiting = (struct waiting){
            rarest.id,
            { number, (uint16_t)(least + rarest.before),
              (uint16_t)(farthest < PHRASE_REACH_WORDS ? farthest : PHRASE_REACH_WORDS),
              first_kinds(self, number) }
        };
    }
    return 0;
}

/* Each form of the term has a word that must be there. */
static int add_need(struct phrase_book *self, const uint32_t *loads, const struct phrase_term *term,
                    struct need *need)
{
    uint32_t *words = append(&self->needed, term->form_count, sizeof *words);
    if (!words)
        return -1;
    *need = (struct need){ (uint32_t)(self->needed.count - term->form_count),
                           (uint32_t)term->form_count };
    for (size_t i = 0; i < term->form_count; i++) {
        struct rarest rarest;
        if (rarest_word(self, loads, term->forms[i], &rarest) != 0)
            return -1;
        words[i] = rarest.id;
    }
    return 0;
}

/* The cheapest term that costs more than `above`, or as much and stands behind `behind`. */
static size_t cheapest_term(const uint64_t *costs, size_t count, uint64_t above, size_t behind)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        bool is_next = costs[i] > above || (costs[i] == above && i > behind);
        if (is_next && (best == count || costs[i] < costs[best]))
            best = i;
    }
    return best;
}

static int choose_needs(struct phrase_book *self, const uint32_t *loads, uint32_t number,
                        const uint64_t *costs, size_t anchor)
{
    const struct phrase *phrase = (struct phrase *)self->phrases.items + number;
    size_t term = anchor;
    for (size_t i = 0; i < NEEDS;) {
        term = cheapest_term(costs, phrase->term_count, costs[term], term);
        if (term == phrase->term_count || costs[term] == UINT64_MAX)
            return 0;
        struct entry *entry = (struct entry *)self->entries.items + number;
        if (phrase->terms[term].form_count > NEED_WORDS_MAX)
            continue;
        if (add_need(self, loads, &phrase->terms[term], &entry->needs[i]) != 0)
            return -1;
        i++;
    }
    return 0;
}

static int choose_anchor(struct phrase_book *self, const uint32_t *loads, uint32_t number)
{
    const struct phrase *phrase = (struct phrase *)self->phrases.items + number;
    uint64_t costs[PHRASE_TERMS_MAX] = { 0 };
    unsigned least = 0;
    unsigned most = 0;
    for (size_t i = 0; i < phrase->term_count; i++) {
        if (cost_of(self, loads, &phrase->terms[i], &costs[i]) != 0)
            return -1;
    }
    size_t chosen = 0;
    for (size_t i = 1; i < phrase->term_count; i++)
        chosen = costs[i] < costs[chosen] ? i : chosen;
    assert(costs[chosen] != UINT64_MAX); /* phrase_parse saw to it: a word that must be there */
    for (size_t i = 0; i < chosen; i++) {
        unsigned term_least = 0;
        unsigned term_most = 0;
        span_of(&phrase->terms[i], &term_least, &term_most);
        least += term_least;
        most += term_most;
    }
    if (choose_needs(self, loads, number, costs, chosen) != 0)
        return -1;
    return wait_at(self, loads, number, &phrase->terms[chosen], least, most);
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
    free(self->waiting.items);
    self->waiting = (struct list){ 0 };
    return 0;
}

int phrase_book_seal(struct phrase_book *self, const struct phrase_samples *samples)
{
    uint32_t *loads = calloc(vocabulary_count(self->vocabulary), sizeof *loads);
    for (size_t i = 0; loads && i < vocabulary_count(self->vocabulary); i++)
        loads[i] = 1; /* no word costs nothing */
    int rc = loads ? vocabulary_seal(self->vocabulary) : -1;
    if (rc == 0)
        rc = count_words(self, samples, loads);
    for (uint32_t i = 0; rc == 0 && i < self->phrases.count; i++)
        rc = choose_anchor(self, loads, i);
    free(loads);
    if (rc == 0)
        rc = group_anchors(self);
    clear_phrases(self);
    return rc;
}

/* --- looking --- */

static const struct edge *find_edge(const struct edge *edges, size_t count, uint32_t word)
{
    while (count > 0) {
        size_t half = count / 2;
        if (edges[half].word == word)
            return &edges[half];
        if (edges[half].word < word) {
            edges += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return NULL;
}

/* Bit n: a form from this node ends n words behind `at`. Depth: words of the longest form. */
static uint64_t ends_from(const struct phrase_book *self, uint32_t number,
                          const struct words *words, size_t at, unsigned depth)
{
    const struct node *node = (const struct node *)self->nodes.items + number;
    const struct edge *edges = (const struct edge *)self->edges.items + node->first_edge;
    uint64_t ends = node->is_end ? UINT64_C(1) << depth : 0;
    if (node->edge_count == 0 || at + depth >= words->count || depth + 1 >= PHRASE_REACH_WORDS)
        return ends;
    const struct word *word = &words->list[at + depth];
    if ((word->kinds & node->kinds) == 0 && !node->has_any)
        return ends;
    for (uint32_t i = 0; i < word->id_count; i++) {
        const struct edge *edge =
            find_edge(edges, node->edge_count, words->ids[word->first_id + i]);
        if (edge)
            ends |= ends_from(self, edge->node, words, at, depth + 1);
    }
    if (node->has_any) /* "any word" has the lowest number: it comes first */
        ends |= ends_from(self, edges[0].node, words, at, depth + 1);
    return ends;
}

static uint64_t lowest_bit(uint64_t bits)
{
    return bits & -bits;
}

static unsigned bit_number(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

/* Whether a form of the step may begin at word `at`: rules out most of what there is. */
static bool may_begin(const struct phrase_book *self, const struct step *step,
                      const struct words *words, size_t at)
{
    const struct node *node = (const struct node *)self->nodes.items + step->node;
    return at < words->count && ((words->list[at].kinds & node->kinds) != 0 || node->has_any);
}

/* Bit n: the steps up to here may end n words behind start. */
static uint64_t take_step(const struct phrase_book *self, const struct step *step,
                          const struct words *words, size_t start, uint64_t reached)
{
    if (step->gap_words > 0) {
        uint64_t all = reached;
        for (unsigned i = 1; i <= step->gap_words; i++)
            all |= reached << i;
        return all;
    }
    uint64_t next = step->is_optional ? reached : 0;
    for (uint64_t left = reached; left != 0; left &= left - 1) {
        unsigned words_behind = bit_number(lowest_bit(left));
        if (may_begin(self, step, words, start + words_behind))
            next |= ends_from(self, step->node, words, start + words_behind, 0) << words_behind;
    }
    return next;
}

/* Whether the phrase begins at word start; *last: its last word. */
static bool is_at(const struct phrase_book *self, uint32_t phrase, const struct words *words,
                  size_t start, size_t *last)
{
    const struct entry *entry = (const struct entry *)self->entries.items + phrase;
    const struct step *steps = (const struct step *)self->steps.items + entry->first_step;
    uint64_t reached = 1;
    for (uint32_t i = 0; i < entry->step_count && reached != 0; i++)
        reached = take_step(self, &steps[i], words, start, reached);
    if (reached <= 1)
        return false;
    *last = start + bit_number(lowest_bit(reached & ~UINT64_C(1))) - 1;
    return true;
}

/* Whether what else the phrase needs stands in the block of word `at` or beside it: a phrase does
 * not reach farther. */
static bool may_be_near(const struct phrase_book *self, const struct entry *entry,
                        const struct words *words, size_t at)
{
    _Static_assert((int)PHRASE_REACH_WORDS <= (int)WORDS_BLOCK, "the next block is far enough");
    unsigned block = (unsigned)(at / WORDS_BLOCK);
    uint64_t near = (UINT64_C(7) << block) >> 1;
    for (size_t i = 0; i < NEEDS && entry->needs[i].count > 0; i++) {
        const uint32_t *needed = (const uint32_t *)self->needed.items + entry->needs[i].first;
        uint32_t j = 0;
        while (j < entry->needs[i].count && (words->blocks[needed[j]] & near) == 0)
            j++;
        if (j == entry->needs[i].count)
            return false;
    }
    return true;
}

/* The start that is nearest: the shortest way to say it. */
static void try_anchor(const struct phrase_book *self, const struct anchor *anchor,
                       const struct words *words, size_t at, phrase_found *found, void *arg)
{
    const struct entry *entry = (const struct entry *)self->entries.items + anchor->phrase;
    if (!may_be_near(self, entry, words, at))
        return;
    for (size_t before = anchor->before_least; before <= anchor->before_most && before <= at;
         before++) {
        size_t last = 0;
        bool may_be = (words->list[at - before].kinds & anchor->first_kinds) != 0 ||
                      anchor->first_kinds == UINT64_MAX;
        if (may_be && is_at(self, anchor->phrase, words, at - before, &last)) {
            found(arg, anchor->phrase, at - before, last);
            return;
        }
    }
}

void phrase_book_find(const struct phrase_book *self, const struct words *words,
                      phrase_found *found, void *arg)
{
    for (size_t at = 0; at < words->count; at++) {
        const struct word *word = &words->list[at];
        for (uint32_t i = 0; i < word->id_count; i++) {
            uint32_t id = words->ids[word->first_id + i];
            for (uint32_t j = self->first_anchor[id]; j < self->first_anchor[id + 1]; j++)
                try_anchor(self, &self->anchors[j], words, at, found, arg);
        }
    }
}
