/* tokens - who may ask desk for what: bearer tokens known by their SHA-256 alone, with a name and
 * roles each, from a file nobody else may read. Threads: read-only after loading. */
#ifndef DESG_DESK_TOKENS_H
#define DESG_DESK_TOKENS_H

#include <stddef.h>

#include "error/error.h"

enum role {
    ROLE_AGENT = 1 << 0,      /* works the queues */
    ROLE_SUPERVISOR = 1 << 1, /* and takes things out of quarantine */
    ROLE_RESTRICTED = 1 << 2, /* sees restricted conversations; goes with another role */
    ROLE_AUDITOR = 1 << 3,    /* reads the audit log */
    ROLE_COMMS = 1 << 4       /* broadcasts */
};

enum { AGENT_MAX_BYTES = 64, TOKEN_MIN_BYTES = 32, TOKEN_MAX_BYTES = 256 };

struct token_holder {
    char agent[AGENT_MAX_BYTES + 1];
    unsigned roles;
};

struct tokens;

/* One holder a line: SHA-256 of the token in 64 hex digits, name, roles joined by commas; '#'
 * starts a comment. ERROR_CONFIG names file, line and remedy; a file others may read is refused. */
struct tokens *tokens_load(const char *path, struct error *err) MUST_USE;
/* The same from text; path is for messages. */
struct tokens *tokens_parse(const char *path, const char *text, struct error *err) MUST_USE;
void tokens_destroy(struct tokens **self_p);
size_t tokens_count(const struct tokens *self);

/* Who holds this token; NULL: nobody. In time that depends on its length alone. */
const struct token_holder *tokens_find(const struct tokens *self, const char *token, size_t length);

/* Is this a name for an agent: letters, digits, '.', '_', '-', '@'? */
int token_is_agent(const char *name);

/* agent, supervisor … of one bit. */
const char *role_name(enum role role);

#endif
