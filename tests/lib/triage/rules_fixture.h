/* rules_fixture - a folder of its own for rule files of a test, and what is made from them. */
#ifndef DESG_TESTS_TRIAGE_RULES_FIXTURE_H
#define DESG_TESTS_TRIAGE_RULES_FIXTURE_H

#include "triage/triage.h"

struct rules_fixture {
    char directory[64];
    char rules[96]; /* directory/rules */
};

/* cmocka setup and teardown: *state is a struct rules_fixture. */
int rules_fixture_setup(void **state);
int rules_fixture_teardown(void **state);

/* Writes text to rules/name. */
void rules_write(const struct rules_fixture *self, const char *name, const char *text);
void rules_remove(const struct rules_fixture *self, const char *name);

/* Removes a folder and what is in it, two levels deep. */
void remove_folder(const char *path);

/* A rule file with one rule, for small tests; more: further keys of the rule, each line indented by
 * four spaces and ended. */
char *rule_text(const char *id, const char *severity, const char *phrases, const char *more);

/* Loads the folder or fails the test. */
struct triage *rules_triage(const struct rules_fixture *self, const struct triage_options *options);

/* Judges a private message with this text. */
void judge_text(struct triage *triage, const char *text, struct verdict *out);

#endif
