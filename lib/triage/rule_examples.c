#include "triage/rule_examples.h"

#include <assert.h>
#include <string.h>

#include "triage/scan.h"

struct test {
    struct scanner *scanner;
    rule_complaint *complain;
    void *arg;
    struct error *err;
};

static bool has_hit(const struct scan *scan, uint32_t rule)
{
    for (size_t i = 0; i < scan->hit_count; i++) {
        if (scan->hits[i].rule == rule)
            return true;
    }
    return false;
}

static int test_examples(struct test *self, const struct rule_edition_file *file,
                         const struct rule_source *source, uint32_t rule, bool is_match)
{
    char **examples = is_match ? source->match : source->no_match;
    unsigned count = is_match ? source->match_count : source->no_match_count;
    int rc = 0;
    for (unsigned i = 0; i < count && (rc == 0 || self->complain); i++) {
        struct scan scan;
        scanner_scan(self->scanner, examples[i], strlen(examples[i]), &scan);
        if (has_hit(&scan, rule) == is_match)
            continue;
        rc = error_set(self->err, ERROR_CONFIG,
                       is_match ? "%s:%u: rule %s does not match its example \"%.200s\": change "
                                  "the phrases or the example"
                                : "%s:%u: rule %s matches \"%.200s\", which it says it does not: "
                                  "change the phrases, unless or the example",
                       file->name, source->line, source->id, examples[i]);
        if (self->complain)
            self->complain(self->arg, self->err->text);
    }
    return rc;
}

static int test_all(struct test *self, const struct rule_edition *edition)
{
    uint32_t rule = 0;
    int rc = 0;
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_edition_file *file = &edition->files[i];
        for (unsigned j = 0; j < file->rules->rules_count; j++, rule++) {
            const struct rule_source *source = &file->rules->rules[j];
            if (test_examples(self, file, source, rule, true) != 0)
                rc = -1;
            if ((rc == 0 || self->complain) && test_examples(self, file, source, rule, false) != 0)
                rc = -1;
            if (rc != 0 && !self->complain)
                return rc;
        }
    }
    return rc;
}

int rule_examples_test(const struct rule_set *set, const struct rule_edition *edition,
                       rule_complaint *complain, void *arg, struct error *err)
{
    assert(set && edition && err);
    struct scanner *scanner = scanner_new(set, err);
    if (!scanner)
        return -1;
    struct test test = { scanner, complain, arg, err };
    int rc = test_all(&test, edition);
    scanner_destroy(&scanner);
    return rc;
}
