#include "triage/rule_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "triage/phrase.h"
#include "triage/rule_examples.h"

/* A rule's list of it alone: not even the file's guards. (An empty list is none to libcyaml.) */
#define NO_GUARDS "none"

struct rule_set {
    struct rule *rules;
    size_t rule_count;
    struct rule_phrase *phrases;
    size_t phrase_count;
    uint32_t *uses; /* what the phrases' lists point into */
    struct phrase_book *book;
    const char *guard_ids[RULE_MAX_GUARDS]; /* while it is made: the edition's */
    unsigned guard_reach[RULE_MAX_GUARDS];
    unsigned guard_count;
    char edition[RULE_EDITION_NAME_BYTES];
};

enum use_kind { USE_HIT, USE_UNLESS, USE_GUARD };

/* One phrase of one rule or guard before equal ones are put together. */
struct use {
    const char *text; /* the edition's */
    bool is_welsh;
    enum use_kind kind;
    uint32_t whose; /* number of the rule or the guard */
    const char *file;
    unsigned line;
    const char *id;
};

struct uses {
    struct use *list;
    size_t count;
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
    free(self->rules);
    free(self->phrases);
    free(self->uses);
    phrase_book_destroy(&self->book);
    free(self);
    *self_p = NULL;
}

/* --- rules and guards --- */

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
        .has_unless = source->unless_count > 0,
        .language = source->language,
        .line = source->line,
    };
    for (unsigned i = 0; i < source->flags_count; i++)
        rule->flags |= 1U << (unsigned)source->flags[i];
    return rule->id && rule->category && rule->file ? 0 : -1;
}

/* The guards that undo a rule's hits: its own list, or the file's. */
static int find_guards(const struct rule_set *self, const struct rule_edition_file *file,
                       const struct rule_source *source, uint32_t *guards, struct error *err)
{
    char **ids = source->guards ? source->guards : file->rules->guards;
    unsigned count = source->guards ? source->guards_count : file->rules->guards_count;
    *guards = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned guard = 0;
        if (count == 1 && strcmp(ids[i], NO_GUARDS) == 0)
            return 0;
        while (guard < self->guard_count && strcmp(self->guard_ids[guard], ids[i]) != 0)
            guard++;
        if (guard == self->guard_count)
            return error_set(err, ERROR_CONFIG,
                             "%s:%u: rule %s: guard '%.40s' is not known: write one of guard_sets",
                             file->name, source->line, source->id, ids[i]);
        *guards |= 1U << guard;
    }
    return 0;
}

static void add_uses(struct uses *uses, char **phrases, unsigned count, const struct use *like)
{
    for (unsigned i = 0; i < count; i++) {
        uses->list[uses->count] = *like;
        uses->list[uses->count++].text = phrases[i];
    }
}

static int collect_guards(struct rule_set *self, const struct rule_edition_file *file,
                          struct uses *uses, struct error *err)
{
    for (unsigned i = 0; i < file->rules->guard_sets_count; i++) {
        const struct guard_source *source = &file->rules->guard_sets[i];
        for (unsigned j = 0; j < self->guard_count; j++) {
            if (strcmp(self->guard_ids[j], source->id) == 0)
                return error_set(err, ERROR_CONFIG,
                                 "%s:%u: guard %s stands twice: give one another id", file->name,
                                 source->line, source->id);
        }
        if (self->guard_count == RULE_MAX_GUARDS)
            return error_set(err, ERROR_CONFIG, "%s:%u: more than %d guards: unite some",
                             file->name, source->line, RULE_MAX_GUARDS);
        struct use use = { .kind = USE_GUARD,
                           .whose = self->guard_count,
                           .file = file->name,
                           .line = source->line,
                           .id = source->id };
        self->guard_ids[self->guard_count] = source->id;
        self->guard_reach[self->guard_count++] = source->reach;
        add_uses(uses, source->en, source->en_count, &use);
        use.is_welsh = true;
        add_uses(uses, source->cy, source->cy_count, &use);
    }
    return 0;
}

static int collect_rules(struct rule_set *self, const struct rule_edition_file *file,
                         struct uses *uses, struct error *err)
{
    for (unsigned i = 0; i < file->rules->rules_count; i++) {
        const struct rule_source *source = &file->rules->rules[i];
        uint32_t number = (uint32_t)self->rule_count++;
        if (copy_rule(&self->rules[number], file, source) != 0)
            return error_set(err, ERROR_SYSTEM, "no memory for the rules");
        if (find_guards(self, file, source, &self->rules[number].guards, err) != 0)
            return -1;
        struct use use = { .is_welsh = source->language == RULE_LANGUAGE_CY,
                           .kind = USE_HIT,
                           .whose = number,
                           .file = file->name,
                           .line = source->line,
                           .id = source->id };
        add_uses(uses, source->phrases, source->phrases_count, &use);
        use.kind = USE_UNLESS;
        add_uses(uses, source->unless, source->unless_count, &use);
    }
    return 0;
}

static size_t count_uses(const struct rule_edition *edition)
{
    size_t count = 0;
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_file *file = edition->files[i].rules;
        for (unsigned j = 0; j < file->rules_count; j++)
            count += (size_t)file->rules[j].phrases_count + file->rules[j].unless_count;
        for (unsigned j = 0; j < file->guard_sets_count; j++)
            count += (size_t)file->guard_sets[j].en_count + file->guard_sets[j].cy_count;
    }
    return count;
}

/* Guards first: rules name them. */
static int collect(struct rule_set *self, const struct rule_edition *edition, struct uses *uses,
                   struct error *err)
{
    for (size_t i = 0; i < edition->count; i++) {
        if (collect_guards(self, &edition->files[i], uses, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < edition->count; i++) {
        if (collect_rules(self, &edition->files[i], uses, err) != 0)
            return -1;
    }
    return 0;
}

/* --- phrases --- */

static int compare_phrases(const struct use *a, const struct use *b)
{
    if (a->is_welsh != b->is_welsh)
        return a->is_welsh ? 1 : -1;
    return strcmp(a->text, b->text);
}

static int by_phrase(const void *a, const void *b)
{
    const struct use *left = a;
    const struct use *right = b;
    int order = compare_phrases(left, right);
    if (order == 0)
        order = (int)left->kind - (int)right->kind;
    return order != 0 ? order : (left->whose > right->whose) - (left->whose < right->whose);
}

static int begin_phrase(struct rule_set *self, const struct use *use, struct error *err)
{
    struct phrase phrase;
    uint32_t number = 0;
    if (phrase_parse(use->text, use->is_welsh, &phrase, err) != 0)
        return error_wrap(err, "%s:%u: %s", use->file, use->line, use->id);
    int rc = phrase_book_add(self->book, &phrase, &number);
    phrase_clear(&phrase);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "no memory for the rules");
    assert(number == self->phrase_count);
    self->phrase_count++;
    return 0;
}

/* Puts equal phrases together, with the uses of all. */
static int group(struct rule_set *self, struct uses *uses, struct error *err)
{
    assert(uses->count > 0); /* every rule has a phrase */
    self->phrases = calloc(uses->count, sizeof *self->phrases);
    self->uses = calloc(uses->count, sizeof *self->uses);
    if (!self->phrases || !self->uses)
        return error_set(err, ERROR_SYSTEM, "no memory for the rules");
    qsort(uses->list, uses->count, sizeof *uses->list, by_phrase);
    for (size_t i = 0; i < uses->count; i++) {
        const struct use *use = &uses->list[i];
        bool is_new = i == 0 || compare_phrases(&uses->list[i - 1], use) != 0;
        if (is_new && begin_phrase(self, use, err) != 0)
            return -1;
        struct rule_phrase *phrase = &self->phrases[self->phrase_count - 1];
        self->uses[i] = use->whose;
        if (use->kind == USE_GUARD)
            phrase->guards |= 1U << use->whose;
        else if (use->kind == USE_HIT && phrase->rule_count++ == 0)
            phrase->rules = self->uses + i;
        else if (use->kind == USE_UNLESS && phrase->unless_count++ == 0)
            phrase->unless = self->uses + i;
    }
    return 0;
}

static int add_spellings(struct rule_set *self, const struct rule_edition *edition)
{
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_file *file = edition->files[i].rules;
        for (unsigned j = 0; j < file->spellings_count; j++) {
            const struct spelling_source *spelling = &file->spellings[j];
            for (unsigned k = 0; k < spelling->variants_count; k++) {
                if (phrase_book_add_variant(self->book, spelling->variants[k], spelling->word) != 0)
                    return -1;
            }
        }
    }
    return 0;
}

/* The examples of all rules: written as people write. */
static int seal(struct rule_set *self, const struct rule_edition *edition)
{
    size_t count = 0;
    size_t room = 1;
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_file *file = edition->files[i].rules;
        for (unsigned j = 0; j < file->rules_count; j++)
            room += (size_t)file->rules[j].match_count + file->rules[j].no_match_count;
    }
    const char **texts = calloc(room, sizeof *texts);
    if (!texts)
        return -1;
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_file *file = edition->files[i].rules;
        for (unsigned j = 0; j < file->rules_count; j++) {
            const struct rule_source *rule = &file->rules[j];
            for (unsigned k = 0; k < rule->match_count; k++)
                texts[count++] = rule->match[k];
            for (unsigned k = 0; k < rule->no_match_count; k++)
                texts[count++] = rule->no_match[k];
        }
    }
    int rc = phrase_book_seal(self->book, &(struct phrase_samples){ texts, count });
    free(texts);
    return rc;
}

static int build(struct rule_set *self, const struct rule_edition *edition, struct error *err)
{
    size_t most = count_uses(edition);
    assert(most > 0 && edition->rules_count > 0); /* every rule has a phrase */
    struct uses uses = { calloc(most, sizeof *uses.list), 0 };
    self->rules = calloc(edition->rules_count, sizeof *self->rules);
    self->book = phrase_book_new(err);
    int rc = -1;
    if (!self->rules || !uses.list || !self->book)
        (void)error_set(err, ERROR_SYSTEM, "no memory for the rules");
    else
        rc = collect(self, edition, &uses, err);
    if (rc == 0)
        rc = group(self, &uses, err);
    free(uses.list);
    if (rc == 0 && (add_spellings(self, edition) != 0 || seal(self, edition) != 0))
        rc = error_set(err, ERROR_SYSTEM, "no memory for the rules");
    return rc;
}

struct rule_set *rule_set_new(const struct rule_edition *edition, struct error *err)
{
    assert(edition && edition->rules_count > 0 && err);
    struct rule_set *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the rules");
        return NULL;
    }
    memcpy(self->edition, edition->name, sizeof self->edition);
    if (build(self, edition, err) != 0)
        rule_set_destroy(&self);
    return self;
}

struct rule_set *rule_set_load(const char *directory, struct error *err)
{
    struct rule_edition *edition = rule_edition_read(directory, NULL, NULL, err);
    if (!edition)
        return NULL;
    struct rule_set *self = rule_set_new(edition, err);
    if (self && rule_examples_test(self, edition, NULL, NULL, err) != 0)
        rule_set_destroy(&self);
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

const struct rule_phrase *rule_set_phrase(const struct rule_set *self, uint32_t phrase)
{
    assert(phrase < self->phrase_count);
    return &self->phrases[phrase];
}

const struct phrase_book *rule_set_book(const struct rule_set *self)
{
    return self->book;
}

unsigned rule_set_guard_reach(const struct rule_set *self, unsigned guard)
{
    assert(guard < RULE_MAX_GUARDS);
    return self->guard_reach[guard];
}
