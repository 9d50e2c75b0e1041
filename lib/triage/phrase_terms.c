#include "triage/phrase_terms.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "triage/list.h"

enum { FIRST_SLOTS = 4096 };

/* Ways on from a place in the forms of a term: by which word to where. */
struct edge {
    uint32_t word;
    uint32_t node;
};

#define NO_NODE UINT32_MAX /* the form ends there, and none goes on */

/* A place in the forms of a term: a tree of words. */
struct node {
    uint32_t first_edge; /* sorted by word */
    uint16_t edge_count;
    bool is_end; /* a form may end here */
    bool has_any;
};

struct phrase_terms {
    struct vocabulary *vocabulary;
    struct list terms; /* struct term */
    struct list forms; /* struct term_form */
    struct list words; /* numbers */
    struct list roots; /* struct node, by term */
    struct list nodes; /* the other nodes */
    struct list edges;
    struct list texts; /* struct forms, by term; until sealed */
    uint32_t *slots;   /* terms plus one by the hash of their texts; until sealed */
    size_t slot_count; /* a power of two */
};

struct phrase_terms *phrase_terms_new(struct vocabulary *vocabulary)
{
    struct phrase_terms *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->vocabulary = vocabulary;
    self->slot_count = FIRST_SLOTS;
    self->slots = calloc(self->slot_count, sizeof *self->slots);
    if (!self->slots)
        phrase_terms_destroy(&self);
    return self;
}

void phrase_terms_seal(struct phrase_terms *self)
{
    struct forms *texts = self->texts.items;
    for (size_t i = 0; i < self->texts.count; i++)
        forms_clear(&texts[i]);
    list_clear(&self->texts);
    free(self->slots);
    self->slots = NULL;
}

void phrase_terms_destroy(struct phrase_terms **self_p)
{
    struct phrase_terms *self = *self_p;
    if (!self)
        return;
    phrase_terms_seal(self);
    list_clear(&self->terms);
    list_clear(&self->forms);
    list_clear(&self->words);
    list_clear(&self->roots);
    list_clear(&self->nodes);
    list_clear(&self->edges);
    free(self);
    *self_p = NULL;
}

size_t phrase_terms_count(const struct phrase_terms *self)
{
    return self->terms.count;
}

const struct term *phrase_terms_get(const struct phrase_terms *self, uint32_t number)
{
    return (const struct term *)self->terms.items + number;
}

size_t phrase_terms_form_count(const struct phrase_terms *self)
{
    return self->forms.count;
}

const struct term_form *phrase_terms_form(const struct phrase_terms *self, size_t form)
{
    return (const struct term_form *)self->forms.items + form;
}

const uint32_t *phrase_terms_words(const struct phrase_terms *self, const struct term_form *form)
{
    return (const uint32_t *)self->words.items + form->first_word;
}

/* --- making --- */

/* FNV-1a: forms are short, and only who writes the rules chooses them. */
static size_t hash_of(const struct forms *forms)
{
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < forms->bytes; i++)
        hash = (hash ^ (unsigned char)forms->text[i]) * 1099511628211U;
    return (size_t)(hash ^ (hash >> 32));
}

/* The slot of the term with these forms, or the empty one where it belongs. */
static uint32_t *slot_of(const struct phrase_terms *self, const struct forms *forms)
{
    const struct forms *texts = self->texts.items;
    for (size_t at = hash_of(forms);; at++) {
        uint32_t *slot = &self->slots[at & (self->slot_count - 1)];
        if (*slot == 0)
            return slot;
        const struct forms *known = &texts[*slot - 1];
        if (known->bytes == forms->bytes && memcmp(known->text, forms->text, forms->bytes) == 0)
            return slot;
    }
}

static int grow_slots(struct phrase_terms *self)
{
    size_t count = self->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (!slots)
        return -1;
    free(self->slots);
    self->slots = slots;
    self->slot_count = count;
    const struct forms *texts = self->texts.items;
    for (size_t i = 0; i < self->texts.count; i++)
        *slot_of(self, &texts[i]) = (uint32_t)i + 1;
    return 0;
}

/* Adds the words of a form. */
static int add_form(struct phrase_terms *self, const char *text)
{
    struct term_form *form = list_append(&self->forms, 1, sizeof *form);
    if (!form)
        return -1;
    form->first_word = (uint32_t)self->words.count;
    for (const char *word = text; *word != '\0';) {
        size_t length = strcspn(word, " ");
        uint32_t *id = list_append(&self->words, 1, sizeof *id);
        if (!id || vocabulary_add(self->vocabulary, word, length, id) != 0)
            return -1;
        form->word_count++;
        word += length + (word[length] == ' ');
    }
    return 0;
}

static int by_words(const void *a, const void *b, void *arg)
{
    const struct phrase_terms *self = arg;
    const struct term_form *left = a;
    const struct term_form *right = b;
    const uint32_t *left_words = phrase_terms_words(self, left);
    const uint32_t *right_words = phrase_terms_words(self, right);
    for (uint32_t i = 0; i < left->word_count && i < right->word_count; i++) {
        if (left_words[i] != right_words[i])
            return left_words[i] < right_words[i] ? -1 : 1;
    }
    return (left->word_count > right->word_count) - (left->word_count < right->word_count);
}

/* How many of forms[0..count) have the same word as the first at `depth`. */
static size_t count_alike(const struct phrase_terms *self, const struct term_form *forms,
                          size_t count, uint32_t depth)
{
    uint32_t word = phrase_terms_words(self, &forms[0])[depth];
    size_t alike = 1;
    while (alike < count && phrase_terms_words(self, &forms[alike])[depth] == word)
        alike++;
    return alike;
}

static size_t count_edges(const struct phrase_terms *self, const struct term_form *forms,
                          size_t count, uint32_t depth)
{
    size_t edges = 0;
    for (size_t i = 0; i < count; edges++)
        i += count_alike(self, forms + i, count - i, depth);
    return edges;
}

static int make_node(struct phrase_terms *self, const struct term_form *forms, size_t count,
                     uint32_t depth, struct node *made);

/* The node behind forms[0..count), sorted by their words, that are alike before `depth`. */
static int make_child(struct phrase_terms *self, const struct term_form *forms, size_t count,
                      uint32_t depth, uint32_t *number)
{
    struct node made;
    *number = NO_NODE;
    if (count == 1 && forms[0].word_count == depth)
        return 0;
    *number = (uint32_t)self->nodes.count;
    if (!list_append(&self->nodes, 1, sizeof made) ||
        make_node(self, forms, count, depth, &made) != 0)
        return -1;
    ((struct node *)self->nodes.items)[*number] = made;
    return 0;
}

static int make_node(struct phrase_terms *self, const struct term_form *forms, size_t count,
                     uint32_t depth, struct node *made)
{
    *made = (struct node){ .is_end = forms[0].word_count == depth,
                           .first_edge = (uint32_t)self->edges.count };
    forms += made->is_end;
    count -= made->is_end;
    size_t edge_count = count_edges(self, forms, count, depth);
    if (edge_count > UINT16_MAX || !list_append(&self->edges, edge_count, sizeof(struct edge)))
        return -1;
    made->edge_count = (uint16_t)edge_count;
    uint32_t edge = made->first_edge;
    for (size_t i = 0; i < count; edge++) {
        size_t alike = count_alike(self, forms + i, count - i, depth);
        struct edge way = { phrase_terms_words(self, &forms[i])[depth], 0 };
        if (make_child(self, forms + i, alike, depth + 1, &way.node) != 0)
            return -1;
        ((struct edge *)self->edges.items)[edge] = way;
        made->has_any |= way.word == VOCABULARY_ANY;
        i += alike;
    }
    return 0;
}

static int make_tree(struct phrase_terms *self, const struct term *term)
{
    const struct term_form *forms = phrase_terms_form(self, term->first_form);
    struct term_form *sorted = malloc(term->form_count * sizeof *sorted);
    struct node *root = list_append(&self->roots, 1, sizeof *root);
    int rc = sorted && root ? 0 : -1;
    if (rc == 0) {
        memcpy(sorted, forms, term->form_count * sizeof *sorted);
        if (term->form_count > 1)
            qsort_r(sorted, term->form_count, sizeof *sorted, by_words, self);
        rc = make_node(self, sorted, term->form_count, 0, root);
    }
    free(sorted);
    return rc;
}

static int add_new(struct phrase_terms *self, struct forms *forms)
{
    struct term term = { .first_form = (uint32_t)self->forms.count,
                         .form_count = (uint32_t)forms->count,
                         .least_words = UINT32_MAX };
    for (const char *form = NULL; (form = forms_next(forms, form));) {
        if (add_form(self, form) != 0)
            return -1;
        unsigned words = phrase_terms_form(self, self->forms.count - 1)->word_count;
        term.least_words = words < term.least_words ? words : term.least_words;
        term.most_words = words > term.most_words ? words : term.most_words;
    }
    struct term *made = list_append(&self->terms, 1, sizeof *made);
    struct forms *kept = list_append(&self->texts, 1, sizeof *kept);
    if (!made || !kept)
        return -1;
    *kept = *forms;
    *forms = (struct forms){ 0 };
    *made = term;
    return make_tree(self, made);
}

int phrase_terms_add(struct phrase_terms *self, struct forms *forms, uint32_t *number)
{
    assert(self->slots && forms->count > 0);
    if (self->terms.count * 2 >= self->slot_count && grow_slots(self) != 0)
        return -1;
    uint32_t *slot = slot_of(self, forms);
    if (*slot == 0) {
        if (add_new(self, forms) != 0)
            return -1;
        *slot = (uint32_t)self->terms.count;
    }
    *number = *slot - 1;
    forms_clear(forms);
    return 0;
}

/* --- looking --- */

/* Halves without a branch on what is found: nobody can foresee it. */
static const struct edge *find_edge(const struct edge *edges, size_t count, uint32_t word)
{
    while (count > 1) {
        size_t half = count / 2;
        edges += edges[half].word <= word ? half : 0;
        count -= half;
    }
    return count > 0 && edges->word == word ? edges : NULL;
}

static uint64_t ends_behind(const struct phrase_terms *self, const struct edge *edge,
                            const struct words *words, size_t at, unsigned depth);

/* Depth: words of the form before this node. */
static uint64_t ends_from(const struct phrase_terms *self, const struct node *node,
                          const struct words *words, size_t at, unsigned depth)
{
    const struct edge *edges = (const struct edge *)self->edges.items + node->first_edge;
    uint64_t ends = node->is_end ? UINT64_C(1) << depth : 0;
    if (at + depth >= words->count || depth + 1 >= PHRASE_REACH_WORDS)
        return ends;
    const struct word *word = &words->list[at + depth];
    for (uint32_t i = 0; i < word->id_count; i++) {
        const struct edge *edge =
            find_edge(edges, node->edge_count, words->ids[word->first_id + i]);
        if (edge)
            ends |= ends_behind(self, edge, words, at, depth + 1);
    }
    if (node->has_any) /* "any word" has the lowest number: it comes first */
        ends |= ends_behind(self, edges, words, at, depth + 1);
    return ends;
}

static uint64_t ends_behind(const struct phrase_terms *self, const struct edge *edge,
                            const struct words *words, size_t at, unsigned depth)
{
    if (edge->node == NO_NODE)
        return UINT64_C(1) << depth;
    const struct node *node = (const struct node *)self->nodes.items + edge->node;
    return ends_from(self, node, words, at, depth);
}

void phrase_terms_fetch(const struct phrase_terms *self, uint32_t number)
{
    __builtin_prefetch((const struct node *)self->roots.items + number);
}

uint64_t phrase_terms_ends(const struct phrase_terms *self, uint32_t number,
                           const struct words *words, size_t at)
{
    return ends_from(self, (const struct node *)self->roots.items + number, words, at, 0);
}
