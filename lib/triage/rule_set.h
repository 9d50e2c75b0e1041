/* rule_set - one edition of rules, compiled and ready to look for. Threads: read-only after it was
 * made, so any. */
#ifndef DESG_TRIAGE_RULE_SET_H
#define DESG_TRIAGE_RULE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "triage/pattern_db.h"
#include "triage/phrase.h"
#include "triage/rule_edition.h"

struct rule_set;

struct rule {
    const char *id;
    const char *category;
    int severity;   /* Desg__V1__Severity */
    int restricted; /* Desg__V1__RestrictedClass */
    float weight;
    uint32_t flags; /* bit n: Desg__V1__Flag n */
    bool is_context_sensitive;
    bool has_guards;
    enum rule_language language;
    const char *file;
    unsigned line;
};

/* A phrase serves every rule that has the same one. */
struct phrase_use {
    uint32_t rule;
    bool is_guard; /* from unless */
};

/* A phrase is one pattern, or several in this order with at most so many words between them. */
struct rule_phrase {
    size_t part_count;
    uint8_t gap_words[PHRASE_PARTS_MAX]; /* before each part; of the first 0 */
    size_t first_slot; /* its own numbers for its parts but the last: see rule_set_slot_count */
    const struct phrase_use *uses;
    size_t use_count;
};

/* A pattern serves every phrase that has it as a part. */
struct part_use {
    uint32_t phrase;
    uint32_t part; /* 0: the first */
};

/* Compiles an edition. cache_path NULL or "": always compile; otherwise what was compiled before is
 * taken from there if it fits, and kept there if not (failing to keep it is logged, no more). The
 * edition stays the caller's and may go. */
struct rule_set *rule_set_new(const struct rule_edition *edition, const char *cache_path,
                              struct error *err) MUST_USE;

/* Reads, compiles and tests the rules of a directory: rule_edition_read, rule_set_new and, unless
 * they came compiled and tested from the cache, rule_examples_test. ERROR_CONFIG: what is wrong. */
struct rule_set *rule_set_load(const char *directory, const char *cache_path,
                               struct error *err) MUST_USE;
void rule_set_destroy(struct rule_set **self_p);

const char *rule_set_edition(const struct rule_set *self); /* such as 2026-11-22+1f0c55d2 */
size_t rule_set_count(const struct rule_set *self);
const struct rule *rule_set_rule(const struct rule_set *self, size_t index);
const struct rule_phrase *rule_set_phrase(const struct rule_set *self, uint32_t phrase);
size_t rule_set_pattern_count(const struct rule_set *self);
const struct part_use *rule_set_part_uses(const struct rule_set *self, uint32_t pattern,
                                          size_t *count);
/* How many parts there are that another part must follow: room for remembering where they were. */
size_t rule_set_slot_count(const struct rule_set *self);
const struct pattern_db *rule_set_patterns(const struct rule_set *self);
bool rule_set_is_from_cache(const struct rule_set *self);

#endif
