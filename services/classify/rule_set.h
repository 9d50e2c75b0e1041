/* rule_set - one edition of rules, compiled and ready to look for. Threads: read-only after it was
 * made, so any. */
#ifndef DESG_CLASSIFY_RULE_SET_H
#define DESG_CLASSIFY_RULE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "classify/pattern_db.h"
#include "classify/rule_edition.h"
#include "error/error.h"

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

/* A pattern serves every rule that has the same phrase. */
struct pattern_use {
    uint32_t rule;
    bool is_guard; /* from unless */
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
size_t rule_set_pattern_count(const struct rule_set *self);
const struct pattern_use *rule_set_uses(const struct rule_set *self, uint32_t pattern,
                                        size_t *count);
const struct pattern_db *rule_set_patterns(const struct rule_set *self);
bool rule_set_is_from_cache(const struct rule_set *self);

#endif
