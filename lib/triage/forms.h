/* forms - a set of ways to write one thing, put together from smaller ones. Threads: one at a time.
 */
#ifndef DESG_TRIAGE_FORMS_H
#define DESG_TRIAGE_FORMS_H

#include <stddef.h>

#include "error/error.h"

/* Zeroed: the empty set. */
struct forms {
    char *text; /* one form behind the other, a NUL behind each: sets are put together often */
    size_t bytes;
    size_t room;
    size_t count;
};

void forms_clear(struct forms *self);

/* Adds length bytes as one more form. 0, or -1 without memory. */
int forms_add(struct forms *self, const char *text, size_t length) MUST_USE;

/* The form behind `form`, which is one of self's; the first one behind NULL; NULL behind the last.
 */
const char *forms_next(const struct forms *self, const char *form);

/* Moves all of more into self and empties it. 0, or -1 without memory. */
int forms_unite(struct forms *self, struct forms *more) MUST_USE;

/* Every form of self followed by text. 0, or -1 without memory. */
int forms_append(struct forms *self, const char *text, size_t length) MUST_USE;

/* Every form of self followed by every form of next; between them the text `between` where neither
 * is empty. At most `most` forms: beyond, -1 with self as it was. next is emptied. */
int forms_follow(struct forms *self, struct forms *next, const char *between, size_t most) MUST_USE;

/* One space between words, none at the ends; the same form once; the empty form goes; sorted. 0, or
 * -1 without memory. */
int forms_tidy(struct forms *self) MUST_USE;

#endif
