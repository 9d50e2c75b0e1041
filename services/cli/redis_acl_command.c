/* redis_acl_command - desg redis-acl: the users of Redis, each with the least rights it needs, for
 * Redis's aclfile. Needs no configuration, no Redis and no desk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/redis_users.h"

enum { FORCE_MAX_BYTES = 32, FILE_MODE = 0640 };

static void free_text(char **text)
{
    free(*text);
}

static void close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file); /* what was to be kept is closed before */
    *file = NULL;
}

/* As common.force: it stands in patterns, where * and ? mean something. */
static int check_force(const char *force, struct error *err)
{
    size_t length = strlen(force);
    if (length > 0 && length <= FORCE_MAX_BYTES && force[0] != '-' &&
        strspn(force, "abcdefghijklmnopqrstuvwxyz0123456789-") == length)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "--force is common.force: small letters, digits and '-', such as gwent");
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Replaced as a whole: Redis never reads half of it. */
static int replace_file(const char *path, const char *text, size_t length, struct error *err)
{
    char beside[PATH_MAX];
    int size = snprintf(beside, sizeof beside, "%s.new", path);
    if (size < 0 || (size_t)size >= sizeof beside)
        return error_set(err, ERROR_INVALID, "--out: the path is too long");
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return error_set(err, ERROR_SYSTEM, "cannot write '%s': %s", beside, strerror(errno));
    bool is_written = write_all(fd, text, length) == 0 && fsync(fd) == 0;
    is_written = close(fd) == 0 && is_written;
    if (!is_written || rename(beside, path) != 0) {
        int why = errno;
        (void)unlink(beside);
        return error_set(err, ERROR_SYSTEM, "cannot write '%s': %s", path, strerror(why));
    }
    return 0;
}

int command_redis_acl(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(free_text) char *text = NULL;
    size_t length = 0;
    if (line->force && check_force(line->force, &err) != 0)
        return command_usage(&err);
    AUTO(close_file) FILE *out = open_memstream(&text, &length);
    if (!out || redis_users_write(redis_users, line->force, line->passwords, out, &err) != 0) {
        if (!out)
            (void)error_set(&err, ERROR_SYSTEM, "no memory for the users");
        return command_fail(&err);
    }
    if (fflush(out) != 0) {
        (void)error_set(&err, ERROR_SYSTEM, "no memory for the users");
        return command_fail(&err);
    }
    if (!line->passwords)
        (void)fputs("desg: without --passwords nobody can sign in\n", stderr);
    if (!line->out)
        return fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0 ? 0 : EXIT_MACHINE;
    return replace_file(line->out, text, length, &err) == 0 ? 0 : command_fail(&err);
}
