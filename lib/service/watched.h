/* watched - files that are read again when they were replaced: secrets, lists of tokens. Nobody can
 * send a signal into a pod, and a mounted Secret changes by itself. Threads: one. */
#ifndef DESG_SERVICE_WATCHED_H
#define DESG_SERVICE_WATCHED_H

#include <stdbool.h>
#include <stdint.h>

struct watched;

struct watched *watched_new(void); /* ends the process for want of memory */
void watched_destroy(struct watched **self_p);

/* As it is now counts as known. */
void watched_add(struct watched *self, const char *path);
bool watched_is_empty(const struct watched *self);

/* Whether any of them is another file, or another text, than when this was last true, and has not
 * changed since the last question: what is being written stands still first. */
bool watched_changed(struct watched *self);

#endif
