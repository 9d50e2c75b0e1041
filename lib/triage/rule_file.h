/* rule_file - one YAML file of rules, guards or spellings, read and checked (rules/README.md). A
 * wrong file is refused with file, line, what was found and what to write. Pure but for
 * rule_file_load's reading. */
#ifndef DESG_TRIAGE_RULE_FILE_H
#define DESG_TRIAGE_RULE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum {
    RULE_FILE_MAX_BYTES = 1 << 20,
    RULE_FILE_MAX_RULES = 2000,
    RULE_MAX_PHRASES = 200,
    RULE_ID_MAX_BYTES = 80,
    RULE_CATEGORY_MAX_BYTES = 40,
    RULE_EXAMPLE_MAX_BYTES = 2000,
    RULE_MAX_GUARDS = 32, /* named ones, in all files */
    RULE_MAX_SPELLINGS = 5000,
    RULE_GUARD_REACH_CHARACTERS =
        240 /* between a hit and what undoes it, if nothing else is said */
};

enum rule_language { RULE_LANGUAGE_EN, RULE_LANGUAGE_CY };

/* As written in the file. severity, restricted and flags hold the numbers of desg.v1. */
struct rule_source {
    char *id;
    enum rule_language language;
    int severity;
    float weight;
    int *flags;
    unsigned flags_count;
    int restricted;
    bool is_context_sensitive;
    char *category; /* NULL: the file's */
    char **phrases;
    unsigned phrases_count;
    char **unless;
    unsigned unless_count;
    char **guards; /* ids of guards; NULL: the file's */
    unsigned guards_count;
    char **match;
    unsigned match_count;
    char **no_match;
    unsigned no_match_count;
    unsigned line; /* where it begins in its file */
};

/* Phrases that undo the hits of every rule that names the guard, such as "years ago". */
struct guard_source {
    char *id;
    unsigned reach; /* characters between the two, of normalised text */
    char **en;
    unsigned en_count;
    char **cy;
    unsigned cy_count;
    unsigned line;
};

/* A word and how else people write it. */
struct spelling_source {
    char *word;
    char **variants;
    unsigned variants_count;
};

struct rule_file {
    char *edition;  /* YYYY-MM-DD */
    char *category; /* NULL only without rules */
    char **guards;  /* of rules that name none of their own */
    unsigned guards_count;
    struct rule_source *rules;
    unsigned rules_count;
    struct guard_source *guard_sets;
    unsigned guard_sets_count;
    struct spelling_source *spellings;
    unsigned spellings_count;
};

/* name: what the file is called in error texts. ERROR_CONFIG: what is wrong where. */
struct rule_file *rule_file_parse(const char *name, const uint8_t *bytes, size_t length,
                                  struct error *err) MUST_USE;
void rule_file_destroy(struct rule_file **self_p);

#endif
