/* rule_set - one edition of rules, compiled and ready to look for. Threads: read-only after it was
 * made, so any. */
#ifndef DESG_TRIAGE_RULE_SET_H
#define DESG_TRIAGE_RULE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "triage/phrase_book.h"
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
    bool has_unless;
    uint32_t guards; /* bit n: named guard n undoes its hits */
    enum rule_language language;
    const char *file;
    unsigned line;
};

/* A phrase serves every rule that has the same one. */
struct rule_phrase {
    const uint32_t *rules; /* that it hits, by number */
    size_t rule_count;
    const uint32_t *unless; /* rules whose hits it undoes, by number */
    size_t unless_count;
    uint32_t guards; /* bit n: it is of named guard n */
};

/* Compiles an edition, which stays the caller's and may go. */
struct rule_set *rule_set_new(const struct rule_edition *edition, struct error *err) MUST_USE;

/* Reads, compiles and tests the rules of a directory: rule_edition_read, rule_set_new and
 * rule_examples_test. ERROR_CONFIG: what is wrong. */
struct rule_set *rule_set_load(const char *directory, struct error *err) MUST_USE;
void rule_set_destroy(struct rule_set **self_p);

const char *rule_set_edition(const struct rule_set *self); /* such as 2026-11-22+1f0c55d2 */
size_t rule_set_count(const struct rule_set *self);
const struct rule *rule_set_rule(const struct rule_set *self, size_t index);
/* By the number that the phrase book calls it. */
const struct rule_phrase *rule_set_phrase(const struct rule_set *self, uint32_t phrase);
const struct phrase_book *rule_set_book(const struct rule_set *self);
/* How far, in characters of normalised text, a phrase of the named guard may stand from a hit;
 * 0 of a number that no guard has. */
unsigned rule_set_guard_reach(const struct rule_set *self, unsigned guard);

#endif
