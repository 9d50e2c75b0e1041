/* audit_chain - recomputes desk's audit chains from the records as they were hashed, and holds what
 * desks saw of each other's against them. Pure. */
#ifndef DESG_CLI_AUDIT_CHAIN_H
#define DESG_CLI_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "crypto/crypto.h"
#include "ids/ids.h"

enum { AUDIT_PROBLEM_BYTES = 256 };

struct audit_chain; /* of one desk */

struct audit_chain *audit_chain_new(const char *desk, const struct id *source);
void audit_chain_destroy(struct audit_chain **self_p);

/* The next row of /v1/audit's records. */
void audit_chain_add(struct audit_chain *self, const json_t *row);
/* That was all: head is where the desk said its chain ends when the reading began. */
void audit_chain_end(struct audit_chain *self, const json_t *head);

/* What desks wrote of each other's heads, against the chains read. A desk that was not read is
 * passed over and counted in *unread. */
void audit_chains_compare(struct audit_chain *const *chains, size_t count, size_t *unread);

/* {"desk","source","records","first","last","break"}: break is null or where and how it is broken
 * first. A new reference. */
json_t *audit_chain_describe(const struct audit_chain *self);
bool audit_chain_is_whole(const struct audit_chain *self);

#endif
