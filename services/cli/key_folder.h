/* key_folder - a folder with the CURVE keys of all processes: for each a folder of its own, so that
 * it can be given just that one.
 *
 *   DIR/route/own          its public half        DIR/route/new, new_secret   while it is renewed:
 *   DIR/route/own_secret   its secret half        DIR/route/old, old_secret   the next, the last
 *   DIR/route/allowed/     public halves of those that call it or that it calls: classify.pub …
 *
 * Threads: one. Every change is a rename or a new file; whatever is interrupted can be done again.
 */
#ifndef DESG_CLI_KEY_FOLDER_H
#define DESG_CLI_KEY_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "error/error.h"

enum { KEY_NAME_BYTES = 33 };

/* Whether the two speak to each other over ZeroMQ. */
bool key_folder_are_neighbours(const char *a, const char *b);
bool key_folder_is_service(const char *name);

/* directory/owner/rest; ERROR_CONFIG: too long. */
int key_folder_path(const char *directory, const char *owner, const char *rest,
                    char out[static PATH_MAX], struct error *err) MUST_USE;

/* Makes a pair for name, and puts its public half where it belongs, and theirs into its own allowed
 * folder. listener: NULL for a service; else name is another program that calls this service.
 * ERROR_CONFIG: it has a pair already. */
int key_folder_make(const char *directory, const char *name, const char *listener,
                    struct error *err) MUST_USE;

/* The three steps of another pair for name, in this order (services/cli/help/keys.txt). */
int key_folder_renew(const char *directory, const char *name, struct error *err) MUST_USE;
int key_folder_switch(const char *directory, const char *name, struct error *err) MUST_USE;
int key_folder_retire(const char *directory, const char *name, struct error *err) MUST_USE;

/* Names of all that have a folder with a pair, sorted; freed by key_names_clear. */
struct key_names {
    char (*names)[KEY_NAME_BYTES];
    size_t count;
};
int key_folder_names(const char *directory, struct key_names *out, struct error *err) MUST_USE;
void key_names_clear(struct key_names *self);

#endif
