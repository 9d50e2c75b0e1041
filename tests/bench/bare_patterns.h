/* bare_patterns - the phrases of a rule set as regular expressions in one Hyperscan database: the
 * peer that triage is measured beside. A phrase with gaps is a pattern for each of its parts. */
#ifndef DESG_BENCH_BARE_PATTERNS_H
#define DESG_BENCH_BARE_PATTERNS_H

#include <stddef.h>
#include <stdint.h>

struct bare_patterns;

/* Of every phrase of the rule files of a directory; ends the program if it cannot. */
struct bare_patterns *bare_patterns_new(const char *rules_directory);
void bare_patterns_destroy(struct bare_patterns **self_p);
size_t bare_patterns_count(const struct bare_patterns *self);
/* Looks for all in a normalised text; adds what was found to *hits. */
void bare_patterns_find(struct bare_patterns *self, const char *text, size_t length,
                        uint64_t *hits);

#endif
