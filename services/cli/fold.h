/* fold - near-copies of one event in a queue's rows: marked, or folded into one line. */
#ifndef DESG_CLI_FOLD_H
#define DESG_CLI_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* Leaves of the rows of one group (member "alike") that nobody has claimed the first, with a member
 * "folded" that says how many it stands for beside itself. How many rows went. */
size_t fold_rows(json_t *rows);

/* Gives each row of a group the member "copies", a cell for people. Whether there was one. */
bool fold_mark(json_t *rows);

#endif
