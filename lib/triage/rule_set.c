#include "triage/rule_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "triage/phrase.h"
#include "triage/rule_examples.h"

struct rule_set {
    struct rule *rules;
    size_t rule_count;
    struct rule_phrase *phrases;
    size_t phrase_count;
    struct phrase_use *phrase_uses; /* grouped by phrase */
    char **expressions;             /* of the patterns */
    size_t pattern_count;
    struct part_use *part_uses; /* grouped by pattern */
    size_t *first_part_use;     /* by pattern, and one past the last */
    size_t slot_count;
    struct pattern_db *patterns;
    char edition[RULE_EDITION_NAME_BYTES];
    bool is_from_cache;
};

/* One phrase of one rule before equal ones are put together. */
struct phrase_entry {
    char *expression; /* all parts, as phrase_compile makes them */
    struct phrase_use use;
};

/* One part of one phrase before equal ones are put together. */
struct part_entry {
    char *expression;
    struct part_use use;
};

static void rule_clear(struct rule *rule)
{
    free((char *)rule->id);
    free((char *)rule->category);
    free((char *)rule->file);
}

void rule_set_destroy(struct rule_set **self_p)
{
    struct rule_set *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; self->rules && i < self->rule_count; i++)
        rule_clear(&self->rules[i]);
    for (size_t i = 0; self->expressions && i < self->pattern_count; i++)
        free(self->expressions[i]);
    free(self->rules);
    free(self->phrases);
    free(self->phrase_uses);
    free(self->part_uses);
    free(self->first_part_use);
    free(self->expressions);
    pattern_db_destroy(&self->patterns);
    free(self);
    *self_p = NULL;
}

static int copy_rule(struct rule *rule, const struct rule_edition_file *file,
                     const struct rule_source *source)
{
    const char *category = source->category ? source->category : file->rules->category;
    *rule = (struct rule){
        .id = strdup(source->id),
        .category = strdup(category),
        .file = strdup(file->name),
        .severity = source->severity,
        .restricted = source->restricted,
        .weight = source->weight,
        .is_context_sensitive = source->is_context_sensitive,
        .has_guards = source->unless_count > 0,
        .language = source->language,
        .line = source->line,
    };
    for (unsigned i = 0; i < source->flags_count; i++)
        rule->flags |= 1U << (unsigned)source->flags[i];
    return rule->id && rule->category && rule->file ? 0 : -1;
}

static int add_phrases(struct phrase_entry *entries, size_t *count,
                       const struct rule_source *source, uint32_t rule, bool is_guard,
                       struct error *err)
{
    char **phrases = is_guard ? source->unless : source->phrases;
    unsigned phrases_count = is_guard ? source->unless_count : source->phrases_count;
    char expression[PHRASE_REGEX_BYTES];
    for (unsigned i = 0; i < phrases_count; i++) {
        if (phrase_compile(phrases[i], source->language == RULE_LANGUAGE_CY, expression, err) != 0)
            return -1;
        char *copy = strdup(expression);
        if (!copy)
            return error_set(err, ERROR_SYSTEM, "no memory for the rules");
        entries[(*count)++] = (struct phrase_entry){ copy, { rule, is_guard } };
    }
    return 0;
}

static int by_phrase(const void *a, const void *b)
{
    const struct phrase_entry *left = a;
    const struct phrase_entry *right = b;
    int order = strcmp(left->expression, right->expression);
    if (order != 0)
        return order;
    return (left->use.rule > right->use.rule) - (left->use.rule < right->use.rule);
}

static int by_part(const void *a, const void *b)
{
    const struct part_entry *left = a;
    const struct part_entry *right = b;
    int order = strcmp(left->expression, right->expression);
    if (order != 0)
        return order;
    return (left->use.phrase > right->use.phrase) - (left->use.phrase < right->use.phrase);
}

/* Splits a phrase's expression into its parts and appends them to entries. */
static int split_phrase(struct rule_set *self, const char *expression, struct part_entry *entries,
                        size_t *count)
{
    struct rule_phrase *phrase = &self->phrases[self->phrase_count];
    for (const char *next = expression; next;) {
        const char *end = strchr(next, PHRASE_PART_END);
        char *copy = end ? strndup(next, (size_t)(end - next)) : strdup(next);
        if (!copy)
            return -1;
        assert(phrase->part_count < PHRASE_PARTS_MAX);
        entries[(*count)++] =
            (struct part_entry){ copy,
                                 { (uint32_t)self->phrase_count, (uint32_t)phrase->part_count } };
        phrase->part_count++;
        if (end)
            phrase->gap_words[phrase->part_count] = (uint8_t)(end[1] - '0');
        next = end ? end + 2 : NULL;
    }
    phrase->first_slot = self->slot_count;
    self->slot_count += phrase->part_count - 1;
    return 0;
}

/* Equal phrases become one, with the uses of all. */
static int group_phrases(struct rule_set *self, struct phrase_entry *entries, size_t count,
                         struct part_entry *parts, size_t *part_count)
{
    self->phrases = calloc(count, sizeof *self->phrases);
    self->phrase_uses = calloc(count, sizeof *self->phrase_uses);
    if (!self->phrases || !self->phrase_uses)
        return -1;
    qsort(entries, count, sizeof *entries, by_phrase);
    for (size_t i = 0; i < count; i++) {
        bool is_new = i == 0 || strcmp(entries[i - 1].expression, entries[i].expression) != 0;
        if (is_new) {
            self->phrases[self->phrase_count].uses = self->phrase_uses + i;
            if (split_phrase(self, entries[i].expression, parts, part_count) != 0)
                return -1;
            self->phrase_count++;
        }
        self->phrase_uses[i] = entries[i].use;
        self->phrases[self->phrase_count - 1].use_count++;
    }
    return 0;
}

/* Equal parts become one pattern. */
static int group_parts(struct rule_set *self, struct part_entry *entries, size_t count)
{
    self->part_uses = calloc(count, sizeof *self->part_uses);
    self->first_part_use = calloc(count + 1, sizeof *self->first_part_use);
    self->expressions = calloc(count, sizeof *self->expressions);
    if (!self->part_uses || !self->first_part_use || !self->expressions)
        return -1;
    qsort(entries, count, sizeof *entries, by_part);
    for (size_t i = 0; i < count; i++) {
        size_t last = self->pattern_count;
        if (last == 0 || strcmp(self->expressions[last - 1], entries[i].expression) != 0) {
            self->first_part_use[self->pattern_count] = i;
            self->expressions[self->pattern_count++] = entries[i].expression;
            entries[i].expression = NULL; /* ours now */
        }
        self->part_uses[i] = entries[i].use;
    }
    self->first_part_use[self->pattern_count] = count;
    return 0;
}

/* Makes phrases and patterns of what the rules hold. */
static int group(struct rule_set *self, struct phrase_entry *entries, size_t count)
{
    assert(count > 0); /* every rule has a phrase */
    struct part_entry *parts = calloc(count, PHRASE_PARTS_MAX * sizeof *parts);
    size_t part_count = 0;
    if (!parts)
        return -1;
    int rc = group_phrases(self, entries, count, parts, &part_count);
    if (rc == 0)
        rc = group_parts(self, parts, part_count);
    for (size_t i = 0; i < part_count; i++)
        free(parts[i].expression);
    free(parts);
    return rc;
}

static size_t count_phrases(const struct rule_edition *edition)
{
    size_t count = 0;
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_file *file = edition->files[i].rules;
        for (unsigned j = 0; j < file->rules_count; j++)
            count += (size_t)file->rules[j].phrases_count + file->rules[j].unless_count;
    }
    return count;
}

static int collect_rules(struct rule_set *self, const struct rule_edition *edition,
                         struct phrase_entry *entries, size_t *count, struct error *err)
{
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_edition_file *file = &edition->files[i];
        for (unsigned j = 0; j < file->rules->rules_count; j++) {
            const struct rule_source *source = &file->rules->rules[j];
            uint32_t rule = (uint32_t)self->rule_count++;
            if (copy_rule(&self->rules[rule], file, source) != 0)
                return error_set(err, ERROR_SYSTEM, "no memory for the rules");
            if (add_phrases(entries, count, source, rule, false, err) != 0 ||
                add_phrases(entries, count, source, rule, true, err) != 0)
                return error_wrap(err, "%s:%u: rule %s", file->name, source->line, source->id);
        }
    }
    return 0;
}

static int build(struct rule_set *self, const struct rule_edition *edition, struct error *err)
{
    size_t most = count_phrases(edition);
    size_t count = 0;
    assert(most > 0 && edition->rules_count > 0); /* a file has rules, a rule has phrases */
    self->rules = calloc(edition->rules_count, sizeof *self->rules);
    struct phrase_entry *entries = calloc(most, sizeof *entries);
    int rc = -1;
    if (!self->rules || !entries)
        (void)error_set(err, ERROR_SYSTEM, "no memory for the rules");
    else
        rc = collect_rules(self, edition, entries, &count, err);
    if (rc == 0 && group(self, entries, count) != 0)
        rc = error_set(err, ERROR_SYSTEM, "no memory for the rules");
    for (size_t i = 0; entries && i < count; i++)
        free(entries[i].expression);
    free(entries);
    return rc;
}

static int compile(struct rule_set *self, struct error *err)
{
    size_t bad = 0;
    self->patterns =
        pattern_db_compile((const char *const *)self->expressions, self->pattern_count, &bad, err);
    if (self->patterns)
        return 0;
    if (bad >= self->pattern_count)
        return -1;
    const struct part_use *use = &self->part_uses[self->first_part_use[bad]];
    const struct rule *rule = &self->rules[self->phrases[use->phrase].uses[0].rule];
    return error_wrap(err,
                      "%s:%u: rule %s: a phrase is too big for the pattern compiler: use "
                      "fewer alternatives",
                      rule->file, rule->line, rule->id);
}

static int compile_or_open(struct rule_set *self, const uint8_t *checksum, const char *cache_path,
                           struct error *err)
{
    if (!cache_path || cache_path[0] == '\0')
        return compile(self, err);
    uint8_t key[PATTERN_DB_KEY_BYTES];
    struct error ignored = { 0 };
    pattern_db_key((const char *const *)self->expressions, self->pattern_count, checksum, key);
    self->patterns = pattern_db_open(cache_path, key, &ignored);
    self->is_from_cache = self->patterns != NULL;
    return self->patterns ? 0 : compile(self, err);
}

static void keep_compiled(const struct rule_set *self, const uint8_t *checksum,
                          const char *cache_path)
{
    uint8_t key[PATTERN_DB_KEY_BYTES];
    struct error err = { 0 };
    pattern_db_key((const char *const *)self->expressions, self->pattern_count, checksum, key);
    if (pattern_db_save(self->patterns, cache_path, key, &err) != 0)
        log_warn("compiled_rules_not_kept", KV("error", err.text));
}

struct rule_set *rule_set_new(const struct rule_edition *edition, const char *cache_path,
                              struct error *err)
{
    assert(edition && edition->rules_count > 0 && err);
    struct rule_set *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the rules");
        return NULL;
    }
    memcpy(self->edition, edition->name, sizeof self->edition);
    if (build(self, edition, err) != 0 ||
        compile_or_open(self, edition->checksum, cache_path, err) != 0)
        rule_set_destroy(&self);
    return self;
}

struct rule_set *rule_set_load(const char *directory, const char *cache_path, struct error *err)
{
    struct rule_edition *edition = rule_edition_read(directory, NULL, NULL, err);
    if (!edition)
        return NULL;
    struct rule_set *self = rule_set_new(edition, cache_path, err);
    /* Only tested rules are kept, and the key covers the examples: from the cache means tested. */
    if (self && !self->is_from_cache) {
        if (rule_examples_test(self, edition, NULL, NULL, err) != 0)
            rule_set_destroy(&self);
        else if (cache_path && cache_path[0] != '\0')
            keep_compiled(self, edition->checksum, cache_path);
    }
    rule_edition_destroy(&edition);
    return self;
}

const char *rule_set_edition(const struct rule_set *self)
{
    return self->edition;
}

size_t rule_set_count(const struct rule_set *self)
{
    return self->rule_count;
}

const struct rule *rule_set_rule(const struct rule_set *self, size_t index)
{
    assert(index < self->rule_count);
    return &self->rules[index];
}

size_t rule_set_pattern_count(const struct rule_set *self)
{
    return self->pattern_count;
}

const struct part_use *rule_set_part_uses(const struct rule_set *self, uint32_t pattern,
                                          size_t *count)
{
    assert(pattern < self->pattern_count);
    *count = self->first_part_use[pattern + 1] - self->first_part_use[pattern];
    return self->part_uses + self->first_part_use[pattern];
}

const struct rule_phrase *rule_set_phrase(const struct rule_set *self, uint32_t phrase)
{
    assert(phrase < self->phrase_count);
    return &self->phrases[phrase];
}

size_t rule_set_slot_count(const struct rule_set *self)
{
    return self->slot_count;
}

const struct pattern_db *rule_set_patterns(const struct rule_set *self)
{
    return self->patterns;
}

bool rule_set_is_from_cache(const struct rule_set *self)
{
    return self->is_from_cache;
}
