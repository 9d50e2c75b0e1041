#include "cli/redis_users.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "crypto/crypto.h"

enum { LINE_BYTES = 4096, NAME_BYTES = 32, PASSWORD_LEAST_BYTES = 16 };

static const char any_keys[] = "desg:*";
static const char any_prefix[] = "desg:{*}:";

struct line {
    char name[NAME_BYTES];
    char rest[LINE_BYTES]; /* what follows "on " or "off " */
    bool is_open;          /* needs no password, or is nobody */
};

static bool is_service(const char *name)
{
    return strcmp(name, "route") == 0 || strcmp(name, "notify") == 0 || strcmp(name, "desk") == 0;
}

static int take_line(const char *text, size_t length, struct line *out, struct error *err)
{
    char line[LINE_BYTES];
    char state[4];
    int rest = 0;
    if (length >= sizeof line)
        return error_set(err, ERROR_INVALID, "a user's line has %zu bytes", length);
    memcpy(line, text, length);
    line[length] = '\0';
    if (sscanf(line, "user %31s %3s %n", out->name, state, &rest) != 2 || rest == 0)
        return error_set(err, ERROR_INVALID, "a line does not say which user it is about");
    (void)snprintf(out->rest, sizeof out->rest, "%s", line + rest);
    out->is_open = strcmp(state, "off") == 0 || strncmp(out->rest, "nopass", 6) == 0;
    return 0;
}

/* The rights, with the keys of one force alone. */
static void write_rights(const char *rest, const char *force, FILE *out)
{
    for (const char *at = rest; *at;) {
        bool is_keys = force && strncmp(at, any_keys, sizeof any_keys - 1) == 0;
        bool is_prefix = force && strncmp(at, any_prefix, sizeof any_prefix - 1) == 0;
        if (!is_keys && !is_prefix) {
            (void)fputc(*at++, out);
            continue;
        }
        (void)fprintf(out, "desg:{%s}:%s", force, is_keys ? "*" : "");
        at += is_keys ? sizeof any_keys - 1 : sizeof any_prefix - 1;
    }
    (void)fputc('\n', out);
}

static int add_password(const char *path, FILE *out, struct error *err)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    char *password = config_read_secret("--passwords", path, err);
    if (!password)
        return -1;
    size_t length = strlen(password);
    crypto_sha256(password, length, digest);
    explicit_bzero(password, length);
    free(password);
    if (length < PASSWORD_LEAST_BYTES)
        return error_set(err, ERROR_CONFIG,
                         "%s holds %zu bytes: Redis keeps a mere digest of it, so it has to be at "
                         "least %d and random: (umask 077; openssl rand -hex 32 > %s)",
                         path, length, PASSWORD_LEAST_BYTES, path);
    crypto_hex(digest, sizeof digest, hex);
    (void)fprintf(out, "#%s ", hex);
    return 0;
}

/* Writes "on" and the digests of all passwords there are, or "off". */
static int write_passwords(const char *name, const char *directory, FILE *out, struct error *err)
{
    static const char *const ends[] = { "", ".new", ".old" };
    bool is_on = false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%s/%s%s", directory, name, ends[i]);
        if (length < 0 || (size_t)length >= sizeof path)
            return error_set(err, ERROR_CONFIG, "--passwords: the folder's path is too long");
        if (access(path, F_OK) != 0 && errno == ENOENT)
            continue;
        (void)fputs(is_on ? "" : "on ", out);
        is_on = true;
        if (add_password(path, out, err) != 0)
            return -1;
    }
    if (!is_on && is_service(name))
        return error_set(err, ERROR_CONFIG,
                         "there is no password for %s: (umask 077; openssl rand -hex 32 > %s/%s)",
                         name, directory, name);
    (void)fputs(is_on ? "" : "off ", out);
    return 0;
}

int redis_users_write(const char *users, const char *force, const char *directory, FILE *out,
                      struct error *err)
{
    for (const char *at = users; *at;) {
        size_t length = strcspn(at, "\n");
        struct line line;
        if (take_line(at, length, &line, err) != 0)
            return -1;
        (void)fprintf(out, "user %s ", line.name);
        if (line.is_open)
            (void)fputs(strcmp(line.name, "default") == 0 ? "off " : "on ", out);
        else if (!directory)
            (void)fputs("on ", out);
        else if (write_passwords(line.name, directory, out, err) != 0)
            return -1;
        write_rights(line.rest, force, out);
        at += length + (at[length] == '\n');
    }
    return 0;
}
