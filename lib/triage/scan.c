#include "triage/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "triage/sketch.h"
#include "triage/words.h"

enum { PLACES_LOOKED_BACK = 16, GROUP_GUARDS = 16 };

/* A whole phrase in the window, by characters of normalised text. */
struct place {
    uint32_t phrase;
    uint32_t from; /* its first letter */
    uint32_t to;   /* the space behind it */
};

/* The place of a phrase that undoes hits near it. */
struct guard_place {
    struct place place;
    const struct rule_phrase *phrase;
};

struct scanner {
    const struct rule_set *set;
    uint32_t farthest; /* that a guard reaches, characters */
    struct normalised *window;
    struct words *words;
    struct phrase_finder *finder;
    struct language_words *language;
    struct sketcher *sketcher;
    uint8_t sketch[SKETCH_MAX_BYTES];
    bool is_whole;         /* the window holds all of the text scanned last */
    struct scan_hit *hits; /* room for every rule */
    size_t hit_count;
    bool *is_counted; /* by rule */
    /* Of the window looked at now: */
    struct place places[SCAN_PLACES_MAX];
    size_t place_count;
    struct guard_place guards[SCAN_PLACES_MAX]; /* of phrases that undo hits */
    size_t guard_count;
    struct place guard_groups[SCAN_PLACES_MAX / GROUP_GUARDS]; /* what GROUP_GUARDS of them span */
    bool has_lost_places;
};

void scanner_destroy(struct scanner **self_p)
{
    struct scanner *self = *self_p;
    if (!self)
        return;
    normalised_destroy(&self->window);
    words_destroy(&self->words);
    phrase_finder_destroy(&self->finder);
    language_words_destroy(&self->language);
    sketcher_destroy(&self->sketcher);
    free(self->hits);
    free(self->is_counted);
    free(self);
    *self_p = NULL;
}

static uint32_t farthest_reach(const struct rule_set *set)
{
    unsigned farthest = RULE_GUARD_REACH_CHARACTERS;
    for (unsigned i = 0; i < RULE_MAX_GUARDS; i++) {
        unsigned reach = rule_set_guard_reach(set, i);
        farthest = reach > farthest ? reach : farthest;
    }
    return farthest;
}

struct scanner *scanner_new(const struct rule_set *set, struct error *err)
{
    assert(set && err);
    struct scanner *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a scanner");
        return NULL;
    }
    self->set = set;
    self->farthest = farthest_reach(set);
    self->hits = calloc(rule_set_count(set), sizeof *self->hits);
    self->is_counted = calloc(rule_set_count(set), sizeof *self->is_counted);
    if (!self->hits || !self->is_counted)
        (void)error_set(err, ERROR_SYSTEM, "no memory for a scanner");
    else
        self->window = normalised_new(err);
    if (self->window)
        self->words = words_new(phrase_book_vocabulary(rule_set_book(set)), err);
    if (self->words)
        self->finder = phrase_finder_new(rule_set_book(set), err);
    if (self->finder)
        self->language = language_words_new(err);
    if (self->language)
        self->sketcher = sketcher_new(err);
    if (!self->sketcher)
        scanner_destroy(&self);
    return self;
}

static void count_rule(struct scanner *self, uint32_t rule, uint32_t offset_bytes,
                       uint32_t length_bytes)
{
    self->is_counted[rule] = true;
    self->hits[self->hit_count++] = (struct scan_hit){ rule, offset_bytes, length_bytes };
}

/* With no room for its place a hit counts for the whole text, guards or not: raising is the safe
 * side. */
static void count_without_place(struct scanner *self, const struct rule_phrase *phrase)
{
    self->has_lost_places = true;
    for (size_t i = 0; i < phrase->rule_count; i++) {
        if (!self->is_counted[phrase->rules[i]])
            count_rule(self, phrase->rules[i], 0, 0);
    }
}

/* A phrase that ends where it was found to end before: the shorter one stays. */
static bool is_known(struct scanner *self, const struct place *place)
{
    size_t from =
        self->place_count > PLACES_LOOKED_BACK ? self->place_count - PLACES_LOOKED_BACK : 0;
    for (size_t i = from; i < self->place_count; i++) {
        struct place *known = &self->places[i];
        if (known->phrase != place->phrase || known->to != place->to)
            continue;
        known->from = place->from > known->from ? place->from : known->from;
        return true;
    }
    return false;
}

static void on_found(void *arg, uint32_t phrase, size_t first, size_t last)
{
    struct scanner *self = arg;
    const struct place place = { phrase, self->words->list[first].from,
                                 self->words->list[last].to };
    if (is_known(self, &place))
        return;
    if (self->place_count == SCAN_PLACES_MAX) {
        count_without_place(self, rule_set_phrase(self->set, phrase));
        return;
    }
    self->places[self->place_count++] = place;
}

static bool is_near(const struct place *a, const struct place *b, uint32_t reach)
{
    return a->from <= b->to + reach && b->from <= a->to + reach;
}

static int by_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Whether the guard undoes a hit of the rule at `place`. */
static bool undoes(const struct scanner *self, const struct guard_place *guard, uint32_t number,
                   const struct rule *rule, const struct place *place)
{
    const struct rule_phrase *phrase = guard->phrase;
    for (uint32_t left = phrase->guards & rule->guards; left != 0; left &= left - 1) {
        unsigned reach = rule_set_guard_reach(self->set, (unsigned)__builtin_ctz(left));
        if (is_near(&guard->place, place, reach))
            return true;
    }
    return rule->has_unless && phrase->unless_count > 0 &&
           is_near(&guard->place, place, RULE_GUARD_REACH_CHARACTERS) &&
           bsearch(&number, phrase->unless, phrase->unless_count, sizeof number, by_number);
}

static bool is_undone_by_group(const struct scanner *self, size_t group, uint32_t number,
                               const struct place *place)
{
    const struct rule *rule = rule_set_rule(self->set, number);
    size_t end = (group + 1) * GROUP_GUARDS;
    end = end < self->guard_count ? end : self->guard_count;
    for (size_t i = group * GROUP_GUARDS; i < end; i++) {
        const struct guard_place *guard = &self->guards[i];
        if (is_near(&guard->place, place, self->farthest) &&
            undoes(self, guard, number, rule, place))
            return true;
    }
    return false;
}

static bool is_guarded(const struct scanner *self, uint32_t number, const struct place *place)
{
    const struct rule *rule = rule_set_rule(self->set, number);
    if ((!rule->has_unless && rule->guards == 0) || self->has_lost_places)
        return false;
    for (size_t i = 0; i * GROUP_GUARDS < self->guard_count; i++) {
        if (is_near(&self->guard_groups[i], place, self->farthest) &&
            is_undone_by_group(self, i, number, place))
            return true;
    }
    return false;
}

static void count_place(struct scanner *self, const struct place *place, const char *text,
                        size_t length)
{
    const struct rule_phrase *phrase = rule_set_phrase(self->set, place->phrase);
    for (size_t i = 0; i < phrase->rule_count; i++) {
        uint32_t rule = phrase->rules[i];
        if (self->is_counted[rule] || is_guarded(self, rule, place))
            continue;
        uint32_t offset_bytes = 0;
        uint32_t length_bytes = 0;
        normalised_place(self->window, text, length, place->from, place->to, &offset_bytes,
                         &length_bytes);
        count_rule(self, rule, offset_bytes, length_bytes);
    }
}

/* Guards that are found one after the other stand near each other: what is far from all of a group
 * is far from each. */
static void add_guard(struct scanner *self, const struct place *place,
                      const struct rule_phrase *phrase)
{
    struct place *group = &self->guard_groups[self->guard_count / GROUP_GUARDS];
    if (self->guard_count % GROUP_GUARDS == 0)
        *group = *place;
    group->from = place->from < group->from ? place->from : group->from;
    group->to = place->to > group->to ? place->to : group->to;
    self->guards[self->guard_count++] = (struct guard_place){ *place, phrase };
}

static void find_guards(struct scanner *self)
{
    self->guard_count = 0;
    for (size_t i = 0; i < self->place_count; i++) {
        const struct rule_phrase *phrase = rule_set_phrase(self->set, self->places[i].phrase);
        if (phrase->guards != 0 || phrase->unless_count > 0)
            add_guard(self, &self->places[i], phrase);
    }
}

static void scan_window(struct scanner *self, const char *text, size_t length)
{
    self->place_count = 0;
    self->has_lost_places = false;
    words_read(self->words, self->window);
    phrase_finder_find(self->finder, self->words, on_found, self);
    find_guards(self);
    for (size_t i = 0; i < self->place_count; i++)
        count_place(self, &self->places[i], text, length);
}

void scanner_scan(struct scanner *self, const char *text, size_t length, struct scan *out)
{
    assert(self && (text || length == 0) && out);
    *out = (struct scan){ .is_cut = length > SCAN_TEXT_MAX_BYTES };
    if (out->is_cut)
        length = SCAN_TEXT_MAX_BYTES;
    memset(self->is_counted, 0, rule_set_count(self->set) * sizeof *self->is_counted);
    self->hit_count = 0;
    self->is_whole = false;
    size_t from = 0;
    while (from < length) {
        size_t end = normalise(self->window, text, length, from);
        language_count(self->language, self->window->text, self->window->length, &out->words);
        out->letters += self->window->letters;
        out->foreign_letters += self->window->foreign_letters;
        scan_window(self, text, length);
        self->is_whole = from == 0 && end == length && !out->is_cut;
        if (end == length)
            break;
        from = normalise_next_window(text, length, from, end);
    }
    out->hits = self->hits;
    out->hit_count = self->hit_count;
}

const struct normalised *scanner_whole_text(const struct scanner *self)
{
    return self->is_whole ? self->window : NULL;
}

size_t scanner_sketch(struct scanner *self, const Desg__V1__Event *event, uint8_t **bytes)
{
    assert(self && event && bytes);
    *bytes = self->sketch;
    return self->is_whole ? sketcher_draw(self->sketcher, event, self->window, self->sketch) : 0;
}
