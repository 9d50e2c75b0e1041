#include "triage/evidence.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct evidence_map {
    const struct rule_set *rules;
    uint8_t category_of[]; /* by rule; MODEL_CATEGORIES_MAX: none of the model's */
};

static uint8_t find(const char *name, const char (*categories)[MODEL_CATEGORY_BYTES], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(categories[i], name) == 0)
            return (uint8_t)i;
    }
    return MODEL_CATEGORIES_MAX;
}

struct evidence_map *evidence_map_new(const struct rule_set *rules,
                                      const char (*categories)[MODEL_CATEGORY_BYTES], size_t count,
                                      struct error *err)
{
    assert(rules && count <= MODEL_CATEGORIES_MAX && err);
    size_t rule_count = rule_set_count(rules);
    struct evidence_map *self = calloc(1, sizeof *self + rule_count);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the categories of %zu rules", rule_count);
        return NULL;
    }
    self->rules = rules;
    for (size_t i = 0; i < rule_count; i++)
        self->category_of[i] = find(rule_set_rule(rules, i)->category, categories, count);
    return self;
}

void evidence_map_destroy(struct evidence_map **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

void evidence_add(const struct evidence_map *self, uint32_t rule_index,
                  struct model_evidence *evidence)
{
    const struct rule *rule = rule_set_rule(self->rules, rule_index);
    unsigned category = self->category_of[rule_index];
    uint32_t bit = category < MODEL_CATEGORIES_MAX ? UINT32_C(1) << category : 0;
    evidence->categories |= bit;
    if (rule->severity >= DESG__V1__SEVERITY__SEVERITY_REVIEW)
        evidence->grave_categories |= bit;
    if (rule->severity > (int)evidence->severity)
        evidence->severity = (Desg__V1__Severity)rule->severity;
    evidence->is_sexual_offence |=
        rule->restricted == DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    evidence->is_intelligence |=
        rule->restricted == DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE;
}
