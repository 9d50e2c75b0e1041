/* forms - a set of ways to write one thing, put together from smaller ones. Threads: one at a time.
 */
#ifndef DESG_TRIAGE_FORMS_H
#define DESG_TRIAGE_FORMS_H

#include <stddef.h>

#include "error/error.h"

/* Zeroed: the empty set. */
struct forms {
    char **texts;
    size_t count;
    size_t room;
};

void forms_clear(struct forms *self);

/* Adds length bytes as one more form. 0, or -1 without memory. */
int forms_add(struct forms *self, const char *text, size_t length) MUST_USE;

/* Moves all of more into self and empties it. */
int forms_unite(struct forms *self, struct forms *more) MUST_USE;

/* Every form of self followed by every form of next; between them the text `between` where neither
 * is empty. At most `most` forms: beyond, -1 with self as it was. next is emptied. */
int forms_follow(struct forms *self, struct forms *next, const char *between, size_t most) MUST_USE;

/* One space between words, none at the ends; the same form once; the empty form goes. Returns
 * whether there was an empty one. */
int forms_tidy(struct forms *self);

#endif
