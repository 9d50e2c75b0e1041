/* evidence - what rules found in a text, as a model takes it (model.h). Threads: a map is const, so
 * any. */
#ifndef DESG_TRIAGE_EVIDENCE_H
#define DESG_TRIAGE_EVIDENCE_H

#include "error/error.h"
#include "triage/model.h"
#include "triage/rule_set.h"

/* Which of a model's categories each rule is of. */
struct evidence_map;

/* rules is borrowed; categories are the model's names. */
struct evidence_map *evidence_map_new(const struct rule_set *rules,
                                      const char (*categories)[MODEL_CATEGORY_BYTES], size_t count,
                                      struct error *err) MUST_USE;
void evidence_map_destroy(struct evidence_map **self_p);

/* Adds that a rule hit. */
void evidence_add(const struct evidence_map *self, uint32_t rule, struct model_evidence *evidence);

#endif
