#include "desk/tokens.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "crypto/crypto.h"

enum { TOKENS_MAX = 4096, LINE_MAX_BYTES = 512, ROLES = 5 };

struct row {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct token_holder holder;
};

struct tokens {
    size_t count;
    struct row *rows;
};

const char *role_name(enum role role)
{
    switch (role) {
    case ROLE_AGENT:
        return "agent";
    case ROLE_SUPERVISOR:
        return "supervisor";
    case ROLE_RESTRICTED:
        return "restricted";
    case ROLE_AUDITOR:
        return "auditor";
    case ROLE_COMMS:
        return "comms";
    }
    return "";
}

int token_is_agent(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > AGENT_MAX_BYTES)
        return 0;
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-@", *at))
            return 0;
    return 1;
}

static unsigned roles_of(char *text)
{
    unsigned roles = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned found = 0;
        for (unsigned i = 0; i < ROLES; i++)
            if (strcmp(word, role_name((enum role)(1U << i))) == 0)
                found = 1U << i;
        if (!found)
            return 0;
        roles |= found;
    }
    return roles;
}

/* Takes one line apart; an empty one or a comment is no row. Returns 1 for a row, 0 for none. */
static int parse_line(const char *path, size_t number, char *line, struct row *row,
                      struct error *err)
{
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    const char *digest = strtok_r(line, " \t\r", &rest);
    const char *agent = strtok_r(NULL, " \t\r", &rest);
    char *roles = strtok_r(NULL, " \t\r", &rest);
    if (!digest)
        return 0;
    if (!crypto_unhex(digest, strlen(digest), row->digest, sizeof row->digest))
        return error_set(err, ERROR_CONFIG,
                         "%s:%zu: the first word is not the SHA-256 of a token in 64 hex digits: "
                         "write what printf %%s TOKEN | sha256sum says",
                         path, number);
    if (!agent || !token_is_agent(agent))
        return error_set(err, ERROR_CONFIG,
                         "%s:%zu: the second word is no name: write 1 to %d letters, digits, '.', "
                         "'_', '-' or '@'",
                         path, number, AGENT_MAX_BYTES);
    const char *more = strtok_r(NULL, " \t\r", &rest);
    row->holder.roles = roles && !more ? roles_of(roles) : 0;
    if (row->holder.roles == 0)
        return error_set(err, ERROR_CONFIG,
                         "%s:%zu: after the name come roles joined by commas: agent, supervisor, "
                         "restricted, auditor, comms",
                         path, number);
    strncpy(row->holder.agent, agent, AGENT_MAX_BYTES); /* checked: it fits */
    return 1;
}

static const struct row *find(const struct tokens *self,
                              const uint8_t digest[static CRYPTO_SHA256_BYTES])
{
    const struct row *found = NULL;
    for (size_t i = 0; i < self->count; i++)
        if (crypto_equal(self->rows[i].digest, digest, CRYPTO_SHA256_BYTES))
            found = &self->rows[i];
    return found;
}

static int add_line(struct tokens *self, const char *path, size_t number, const char *start,
                    size_t length, struct error *err)
{
    char line[LINE_MAX_BYTES];
    struct row row = { 0 };
    if (length >= sizeof line)
        return error_set(err, ERROR_CONFIG, "%s:%zu: the line has %zu bytes: the limit is %d", path,
                         number, length, LINE_MAX_BYTES - 1);
    memcpy(line, start, length);
    line[length] = '\0';
    int found = parse_line(path, number, line, &row, err);
    if (found <= 0)
        return found;
    if (find(self, row.digest))
        return error_set(err, ERROR_CONFIG, "%s:%zu: this token is in the file already", path,
                         number);
    if (self->count == TOKENS_MAX)
        return error_set(err, ERROR_CONFIG, "%s: more than %d tokens", path, TOKENS_MAX);
    struct row *rows = realloc(self->rows, (self->count + 1) * sizeof *rows);
    if (!rows)
        return error_set(err, ERROR_SYSTEM, "no memory for the tokens");
    self->rows = rows;
    self->rows[self->count++] = row;
    return 0;
}

struct tokens *tokens_parse(const char *path, const char *text, struct error *err)
{
    struct tokens *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the tokens");
        return NULL;
    }
    size_t number = 1;
    for (const char *at = text; *at; number++) {
        size_t length = strcspn(at, "\n");
        if (add_line(self, path, number, at, length, err) != 0) {
            tokens_destroy(&self);
            return NULL;
        }
        at += length + (at[length] == '\n');
    }
    if (self->count == 0) {
        (void)error_set(err, ERROR_CONFIG,
                        "%s: no token is in it: write a line such as: <sha256 of the token> "
                        "control-room agent,supervisor",
                        path);
        tokens_destroy(&self);
    }
    return self;
}

struct tokens *tokens_load(const char *path, struct error *err)
{
    char *text = config_read_secret("tokens", path, err);
    if (!text)
        return NULL;
    struct tokens *self = tokens_parse(path, text, err);
    explicit_bzero(text, strlen(text));
    free(text);
    return self;
}

void tokens_destroy(struct tokens **self_p)
{
    if (*self_p)
        free((*self_p)->rows);
    free(*self_p);
    *self_p = NULL;
}

size_t tokens_count(const struct tokens *self)
{
    return self->count;
}

const struct token_holder *tokens_find(const struct tokens *self, const char *token, size_t length)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (length < TOKEN_MIN_BYTES || length > TOKEN_MAX_BYTES)
        return NULL;
    crypto_sha256(token, length, digest);
    const struct row *row = find(self, digest);
    return row ? &row->holder : NULL;
}
