#include "classify/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "classify/normalise.h"

enum { WORDS_BACK_MAX = 200 }; /* no phrase is longer, gaps and all */

/* Where a hit ends in the normalised window; where it starts is looked for only if it counts. */
struct place {
    uint32_t pattern;
    uint32_t to;
};

struct scanner {
    const struct rule_set *set;
    struct pattern_scratch *scratch;
    struct normalised *window;
    struct scan_hit *hits; /* room for every rule */
    size_t hit_count;
    bool *is_counted; /* by rule */
    /* Of the window looked at now: */
    struct place places[SCAN_PLACES_MAX];
    size_t place_count;
    bool has_lost_places;
};

void scanner_destroy(struct scanner **self_p)
{
    struct scanner *self = *self_p;
    if (!self)
        return;
    pattern_scratch_destroy(&self->scratch);
    normalised_destroy(&self->window);
    free(self->hits);
    free(self->is_counted);
    free(self);
    *self_p = NULL;
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
    self->hits = calloc(rule_set_count(set), sizeof *self->hits);
    self->is_counted = calloc(rule_set_count(set), sizeof *self->is_counted);
    if (!self->hits || !self->is_counted)
        (void)error_set(err, ERROR_SYSTEM, "no memory for a scanner");
    else
        self->window = normalised_new(err);
    if (self->window)
        self->scratch = pattern_scratch_new(rule_set_patterns(set), err);
    if (!self->scratch)
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
static void count_without_place(struct scanner *self, uint32_t pattern)
{
    self->has_lost_places = true;
    size_t count = 0;
    const struct pattern_use *uses = rule_set_uses(self->set, pattern, &count);
    for (size_t i = 0; i < count; i++) {
        if (!uses[i].is_guard && !self->is_counted[uses[i].rule])
            count_rule(self, uses[i].rule, 0, 0);
    }
}

static bool on_place(void *arg, uint32_t pattern, size_t to)
{
    struct scanner *self = arg;
    if (self->place_count == SCAN_PLACES_MAX)
        count_without_place(self, pattern);
    else
        self->places[self->place_count++] = (struct place){ pattern, (uint32_t)to };
    return true;
}

static bool is_near(const struct place *a, const struct place *b)
{
    return a->to <= b->to + SCAN_GUARD_REACH_BYTES && b->to <= a->to + SCAN_GUARD_REACH_BYTES;
}

static bool is_guard_of(const struct rule_set *set, uint32_t pattern, uint32_t rule)
{
    size_t count = 0;
    const struct pattern_use *uses = rule_set_uses(set, pattern, &count);
    for (size_t i = 0; i < count; i++) {
        if (uses[i].is_guard && uses[i].rule == rule)
            return true;
    }
    return false;
}

static bool is_guarded(const struct scanner *self, uint32_t rule, const struct place *place)
{
    if (!rule_set_rule(self->set, rule)->has_guards || self->has_lost_places)
        return false;
    for (size_t i = 0; i < self->place_count; i++) {
        if (is_near(&self->places[i], place) &&
            is_guard_of(self->set, self->places[i].pattern, rule))
            return true;
    }
    return false;
}

struct search {
    uint32_t pattern;
    size_t length;
    bool is_found;
};

static bool on_search(void *arg, uint32_t pattern, size_t to)
{
    struct search *search = arg;
    search->is_found = pattern == search->pattern && to == search->length;
    return !search->is_found;
}

/* The start of the shortest hit that ends at place: tries from the last word back. Returns -1 if
 * the matcher fails. */
static int find_start(struct scanner *self, const struct place *place, size_t *from,
                      struct error *err)
{
    const char *text = self->window->text;
    size_t at = place->to - 1; /* the space after the hit */
    for (unsigned words = 0; words < WORDS_BACK_MAX && at > 0; words++) {
        at--;
        while (at > 0 && text[at] != ' ')
            at--;
        struct search search = { place->pattern, place->to - at, false };
        if (pattern_db_find(rule_set_patterns(self->set), self->scratch, text + at, place->to - at,
                            on_search, &search, err) != 0)
            return -1;
        if (search.is_found)
            break;
    }
    *from = at + 1;
    return 0;
}

static int count_place(struct scanner *self, const struct place *place, const char *text,
                       size_t length, struct error *err)
{
    size_t count = 0;
    const struct pattern_use *uses = rule_set_uses(self->set, place->pattern, &count);
    uint32_t offset_bytes = 0;
    uint32_t length_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (uses[i].is_guard || self->is_counted[uses[i].rule] ||
            is_guarded(self, uses[i].rule, place))
            continue;
        size_t from = 0;
        if (length_bytes == 0) { /* rules that share a phrase share its place */
            if (find_start(self, place, &from, err) != 0)
                return -1;
            normalised_place(self->window, text, length, from, place->to - 1, &offset_bytes,
                             &length_bytes);
        }
        count_rule(self, uses[i].rule, offset_bytes, length_bytes);
    }
    return 0;
}

static int scan_window(struct scanner *self, const char *text, size_t length, struct error *err)
{
    self->place_count = 0;
    self->has_lost_places = false;
    if (pattern_db_find(rule_set_patterns(self->set), self->scratch, self->window->text,
                        self->window->length, on_place, self, err) != 0)
        return -1;
    for (size_t i = 0; i < self->place_count; i++) {
        if (count_place(self, &self->places[i], text, length, err) != 0)
            return -1;
    }
    return 0;
}

/* The window again with runs of letters cut otherwise: "heeelp", "killlll meeee". */
static int scan_drawls(struct scanner *self, const char *text, size_t length, size_t from,
                       struct error *err)
{
    static const enum normalise_runs ways[] = { NORMALISE_RUNS_ONE, NORMALISE_RUNS_MIXED };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        (void)normalise(self->window, text, length, from,
                        ways[i]); /* ends where the first did, or later */
        if (scan_window(self, text, length, err) != 0)
            return -1;
    }
    return 0;
}

int scanner_scan(struct scanner *self, const char *text, size_t length, struct scan *out,
                 struct error *err)
{
    assert(self && (text || length == 0) && out && err);
    *out = (struct scan){ .is_cut = length > SCAN_TEXT_MAX_BYTES };
    if (out->is_cut)
        length = SCAN_TEXT_MAX_BYTES;
    memset(self->is_counted, 0, rule_set_count(self->set) * sizeof *self->is_counted);
    self->hit_count = 0;
    size_t from = 0;
    while (from < length) {
        size_t end = normalise(self->window, text, length, from, NORMALISE_RUNS_TWO);
        language_count(self->window->text, self->window->length, &out->words);
        out->letters += self->window->letters;
        out->foreign_letters += self->window->foreign_letters;
        bool has_long_runs = self->window->has_long_runs;
        if (scan_window(self, text, length, err) != 0 ||
            (has_long_runs && scan_drawls(self, text, length, from, err) != 0))
            return -1;
        if (end == length)
            break;
        from = normalise_next_window(text, length, from, end);
    }
    out->hits = self->hits;
    out->hit_count = self->hit_count;
    return 0;
}
