/* triage_words - the words a verdict's numbers are shown and written by. */
#ifndef DESG_CLI_TRIAGE_WORDS_H
#define DESG_CLI_TRIAGE_WORDS_H

#include "desg/v1/verdict.pb-c.h"

/* Never NULL: "?" for a number that is none. */
const char *triage_severity_word(int severity);     /* life-at-risk */
const char *triage_severity_sentence(int severity); /* what happens to such a message */
const char *triage_language_word(int language);     /* en, cy, mixed, unsure */
const char *triage_restricted_word(int restricted); /* none, sexual-offence, intelligence */
const char *triage_flag_word(int flag);

#endif
