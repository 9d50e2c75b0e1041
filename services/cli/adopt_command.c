/* adopt_command - desg adopt: becomes desg-ingest --adopt, which hands on what the journal of an
 * ingest that is gone still holds. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"

enum { WORDS_MAX = 20 };

/* The desg-ingest that was installed with this program. */
static int find_ingest(char *path, size_t path_bytes, struct error *err)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        return error_set(err, ERROR_SYSTEM, "cannot tell where this program is: %s",
                         strerror(errno));
    own[length] = '\0';
    char *slash = strrchr(own, '/');
    if (slash)
        *slash = '\0';
    int written = snprintf(path, path_bytes, "%s/desg-ingest", own);
    if (written < 0 || (size_t)written >= path_bytes || access(path, X_OK) != 0)
        return error_set(
            err, ERROR_CONFIG,
            "there is no desg-ingest beside this program (%s): run desg-ingest --adopt "
            "where it is installed",
            path);
    return 0;
}

/* Does not return if all goes well. */
static int become_ingest(const struct command_line *line, const char *const *more)
{
    struct error err = { 0 };
    char path[PATH_MAX];
    const char *words[WORDS_MAX] = { path, "--adopt", "--config", line->config_path };
    size_t count = 4;
    if (find_ingest(path, sizeof path, &err) != 0)
        return command_fail(&err);
    if (line->name) {
        words[count++] = "--name";
        words[count++] = line->name;
    }
    if (line->limit_seconds) {
        words[count++] = "--for";
        words[count++] = line->limit_seconds;
    }
    while (*more && count < WORDS_MAX - 1)
        words[count++] = *more++;
    (void)execv(path, (char *const *)words);
    (void)error_set(&err, ERROR_SYSTEM, "cannot run %s: %s", path, strerror(errno));
    return command_fail(&err);
}

int command_adopt(const struct command_line *line)
{
    static const char *const nothing_more[] = { NULL };
    return become_ingest(line, nothing_more);
}

int command_adopt_archive(const struct command_line *line, int64_t since_ms, int64_t until_ms)
{
    struct error err = { 0 };
    char since[24];
    char until[24];
    if (!line->into)
        (void)error_set(&err, ERROR_INVALID,
                        "say where to work: --into DIR, an empty directory with room for the "
                        "records");
    else if (mkdir(line->into, S_IRWXU) != 0 && errno != EEXIST)
        (void)error_set(&err, ERROR_INVALID, "cannot make %s: %s", line->into, strerror(errno));
    else if (setenv("DESG_INGEST_JOURNAL_DIRECTORY", line->into, 1) != 0)
        (void)error_set(&err, ERROR_SYSTEM, "no memory for the environment");
    if (err.kind != ERROR_NONE)
        return command_fail(&err);
    (void)snprintf(since, sizeof since, "%" PRId64, since_ms);
    (void)snprintf(until, sizeof until, "%" PRId64, until_ms);
    const char *const more[] = { "--archive",  line->archive, "--since-ms", since,
                                 "--until-ms", until,         NULL };
    return become_ingest(line, more);
}
