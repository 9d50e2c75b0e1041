#include "bare_patterns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hs/hs.h>

#include "figures.h"
#include "triage/phrase.h"
#include "triage/rule_edition.h"

struct bare_patterns {
    char **expressions;
    size_t count;
    size_t room;
    hs_database_t *database;
    hs_scratch_t *scratch;
};

static void add_expression(struct bare_patterns *self, char *expression)
{
    if (self->count == self->room) {
        self->room = self->room * 2 + 1024;
        self->expressions = reallocarray(self->expressions, self->room, sizeof *self->expressions);
        if (!self->expressions)
            give_up("no memory for the patterns");
    }
    self->expressions[self->count++] = expression;
}

static void put_form(FILE *out, const char *form)
{
    for (; *form != '\0'; form++) {
        if (*form == PHRASE_STEM_END)
            (void)fputs("[^ 0-9]*", out);
        else if (*form == PHRASE_ANY_WORD)
            (void)fputs("[^ ]+", out);
        else
            (void)fputc(*form, out);
    }
}

/* The terms from `from` up to the next gap; moves *from behind it. */
static char *expression_of(const struct phrase *phrase, size_t *from)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        give_up("no memory for a pattern");
    for (; *from < phrase->term_count && phrase->terms[*from].gap_words == 0; (*from)++) {
        const struct phrase_term *term = &phrase->terms[*from];
        (void)fputs("(?:", out);
        const char *before = " ";
        for (const char *form = NULL; (form = forms_next(&term->forms, form)); before = "| ") {
            (void)fputs(before, out);
            put_form(out, form);
        }
        (void)fputs(term->is_optional ? ")?" : ")", out);
    }
    (void)fputc(' ', out);
    if (fclose(out) != 0)
        give_up("no memory for a pattern");
    return text;
}

static void add_phrases(struct bare_patterns *self, char **phrases, unsigned count, bool is_welsh)
{
    for (unsigned i = 0; i < count; i++) {
        struct phrase phrase;
        struct error err = { 0 };
        if (phrase_parse(phrases[i], is_welsh, &phrase, &err) != 0)
            give_up("%s", err.text);
        for (size_t at = 0; at < phrase.term_count; at++)
            add_expression(self, expression_of(&phrase, &at));
        phrase_clear(&phrase);
    }
}

static void compile(struct bare_patterns *self)
{
    unsigned *ids = calloc(self->count, sizeof *ids);
    unsigned *flags = calloc(self->count, sizeof *flags);
    hs_compile_error_t *problem = NULL;
    if (!ids || !flags)
        give_up("no memory to compile");
    for (size_t i = 0; i < self->count; i++) {
        ids[i] = (unsigned)i;
        flags[i] = HS_FLAG_SINGLEMATCH;
    }
    if (hs_compile_multi((const char *const *)self->expressions, flags, ids, (unsigned)self->count,
                         HS_MODE_BLOCK, NULL, &self->database, &problem) != HS_SUCCESS)
        give_up("the pattern compiler refused: %s", problem->message);
    if (hs_alloc_scratch(self->database, &self->scratch) != HS_SUCCESS)
        give_up("no memory to look for the patterns");
    free(ids);
    free(flags);
}

struct bare_patterns *bare_patterns_new(const char *rules_directory)
{
    struct error err = { 0 };
    struct bare_patterns *self = calloc(1, sizeof *self);
    struct rule_edition *edition = rule_edition_read(rules_directory, NULL, NULL, &err);
    if (!self || !edition)
        give_up("%s", err.text);
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_file *file = edition->files[i].rules;
        for (unsigned j = 0; j < file->rules_count; j++) {
            const struct rule_source *rule = &file->rules[j];
            bool is_welsh = rule->language == RULE_LANGUAGE_CY;
            add_phrases(self, rule->phrases, rule->phrases_count, is_welsh);
            add_phrases(self, rule->unless, rule->unless_count, is_welsh);
        }
    }
    rule_edition_destroy(&edition);
    compile(self);
    return self;
}

void bare_patterns_destroy(struct bare_patterns **self_p)
{
    struct bare_patterns *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->expressions[i]);
    free(self->expressions);
    (void)hs_free_scratch(self->scratch);
    (void)hs_free_database(self->database);
    free(self);
    *self_p = NULL;
}

size_t bare_patterns_count(const struct bare_patterns *self)
{
    return self->count;
}

static int on_hit(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                  void *arg)
{
    (void)id;
    (void)from;
    (void)to;
    (void)flags;
    (*(uint64_t *)arg)++;
    return 0;
}

void bare_patterns_find(struct bare_patterns *self, const char *text, size_t length, uint64_t *hits)
{
    if (hs_scan(self->database, text, (unsigned)length, 0, self->scratch, on_hit, hits) !=
        HS_SUCCESS)
        give_up("the pattern library could not scan");
}
