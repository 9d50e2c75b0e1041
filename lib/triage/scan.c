#include "triage/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "triage/normalise.h"

enum { ENDS_KEPT = 8 };

/* A whole phrase in the normalised window: from the space before it to behind the one after it. */
struct place {
    uint32_t phrase;
    uint32_t from;
    uint32_t to;
};

/* Where a part that another must follow was found last. */
struct slot {
    uint32_t window; /* the places are of this window; others are forgotten */
    uint32_t count;  /* of all found; the last ENDS_KEPT are kept */
    struct {
        uint32_t phrase_from; /* of the phrase's first part */
        uint32_t from;
        uint32_t to;
    } places[ENDS_KEPT];
};

struct scanner {
    const struct rule_set *set;
    struct pattern_scratch *scratch;
    struct normalised *window;
    struct scan_hit *hits; /* room for every rule */
    size_t hit_count;
    bool *is_counted; /* by rule */
    /* Of the window looked at now: */
    uint32_t window_number;
    struct slot *slots;
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
    free(self->slots);
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
    self->slots = calloc(rule_set_slot_count(set) + 1, sizeof *self->slots);
    if (!self->hits || !self->is_counted || !self->slots)
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
static void count_without_place(struct scanner *self, const struct rule_phrase *phrase)
{
    self->has_lost_places = true;
    for (size_t i = 0; i < phrase->use_count; i++) {
        const struct phrase_use *use = &phrase->uses[i];
        if (!use->is_guard && !self->is_counted[use->rule])
            count_rule(self, use->rule, 0, 0);
    }
}

/* Whether at most this many words lie between the spaces at from and to. */
static bool is_within_words(const char *text, uint32_t from, uint32_t to, unsigned words)
{
    unsigned count = 0;
    for (uint32_t i = from + 1; i <= to && count <= words; i++)
        count += text[i] == ' ';
    return count <= words;
}

/* Looks for the part before this one near enough; stores where its phrase began. Parts may overlap
 * a little: the leftmost start of "(no|no one) here" may be the "no" of the part before it. */
static bool find_part_before(const struct scanner *self, const struct slot *slot, unsigned words,
                             const struct place *place, uint32_t *phrase_from)
{
    if (slot->window != self->window_number)
        return false;
    uint32_t kept = slot->count < ENDS_KEPT ? slot->count : ENDS_KEPT;
    for (uint32_t i = 1; i <= kept; i++) {
        uint32_t at = (slot->count - i) % ENDS_KEPT;
        bool is_after = place->from > slot->places[at].from && place->to > slot->places[at].to;
        if (is_after &&
            is_within_words(self->window->text, slot->places[at].to - 1, place->from, words)) {
            *phrase_from = slot->places[at].phrase_from;
            return true;
        }
    }
    return false;
}

static void remember(const struct scanner *self, struct slot *slot, const struct place *place,
                     uint32_t phrase_from)
{
    if (slot->window != self->window_number) {
        slot->window = self->window_number;
        slot->count = 0;
    }
    uint32_t at = slot->count++ % ENDS_KEPT;
    slot->places[at].phrase_from = phrase_from;
    slot->places[at].from = place->from;
    slot->places[at].to = place->to;
}

static void on_part(struct scanner *self, const struct part_use *use, const struct place *place)
{
    const struct rule_phrase *phrase = rule_set_phrase(self->set, use->phrase);
    uint32_t phrase_from = place->from;
    struct slot *slot = self->slots + phrase->first_slot + use->part;
    if (use->part > 0 &&
        !find_part_before(self, slot - 1, phrase->gap_words[use->part], place, &phrase_from))
        return;
    if (use->part + 1 < phrase->part_count)
        remember(self, slot, place, phrase_from);
    else if (self->place_count == SCAN_PLACES_MAX)
        count_without_place(self, phrase);
    else
        self->places[self->place_count++] = (struct place){ use->phrase, phrase_from, place->to };
}

static bool on_found(void *arg, uint32_t pattern, size_t from, size_t to)
{
    struct scanner *self = arg;
    size_t count = 0;
    const struct part_use *uses = rule_set_part_uses(self->set, pattern, &count);
    const struct place place = { 0, (uint32_t)from, (uint32_t)to };
    for (size_t i = 0; i < count; i++)
        on_part(self, &uses[i], &place);
    return true;
}

static bool is_near(const struct place *a, const struct place *b)
{
    return a->from <= b->to + SCAN_GUARD_REACH_BYTES && b->from <= a->to + SCAN_GUARD_REACH_BYTES;
}

static bool is_guard_of(const struct rule_set *set, uint32_t phrase_number, uint32_t rule)
{
    const struct rule_phrase *phrase = rule_set_phrase(set, phrase_number);
    for (size_t i = 0; i < phrase->use_count; i++) {
        if (phrase->uses[i].is_guard && phrase->uses[i].rule == rule)
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
            is_guard_of(self->set, self->places[i].phrase, rule))
            return true;
    }
    return false;
}

static void count_place(struct scanner *self, const struct place *place, const char *text,
                        size_t length)
{
    const struct rule_phrase *phrase = rule_set_phrase(self->set, place->phrase);
    for (size_t i = 0; i < phrase->use_count; i++) {
        const struct phrase_use *use = &phrase->uses[i];
        if (use->is_guard || self->is_counted[use->rule] || is_guarded(self, use->rule, place))
            continue;
        uint32_t offset_bytes = 0;
        uint32_t length_bytes = 0;
        normalised_place(self->window, text, length, place->from + 1, place->to - 1, &offset_bytes,
                         &length_bytes);
        count_rule(self, use->rule, offset_bytes, length_bytes);
    }
}

static int scan_window(struct scanner *self, const char *text, size_t length, struct error *err)
{
    self->place_count = 0;
    self->has_lost_places = false;
    self->window_number++;
    if (pattern_db_find(rule_set_patterns(self->set), self->scratch, self->window->text,
                        self->window->length, on_found, self, err) != 0)
        return -1;
    for (size_t i = 0; i < self->place_count; i++)
        count_place(self, &self->places[i], text, length);
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
