/* rule_file - one YAML file of rules, read and checked (rules/README.md). A wrong file is refused
 * with file, line, what was found and what to write. Pure but for rule_file_load's reading. */
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
    RULE_EXAMPLE_MAX_BYTES = 2000
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
    char **match;
    unsigned match_count;
    char **no_match;
    unsigned no_match_count;
    unsigned line; /* where it begins in its file */
};

struct rule_file {
    char *edition; /* YYYY-MM-DD */
    char *category;
    struct rule_source *rules;
    unsigned rules_count;
};

/* name: what the file is called in error texts. ERROR_CONFIG: what is wrong where. */
struct rule_file *rule_file_parse(const char *name, const uint8_t *bytes, size_t length,
                                  struct error *err) MUST_USE;
void rule_file_destroy(struct rule_file **self_p);

#endif
