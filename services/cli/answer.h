/* answer - JSON as somebody answered it: members that may be missing. */
#ifndef DESG_CLI_ANSWER_H
#define DESG_CLI_ANSWER_H

#include <jansson.h>

/* Gives up the reference and sets *value_p to NULL: for AUTO. */
void answer_drop(json_t **value_p);

/* The text at key; "" if there is none. */
const char *answer_text(const json_t *object, const char *key);

#endif
