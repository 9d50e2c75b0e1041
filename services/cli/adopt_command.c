/* adopt_command - desg adopt: becomes desg-ingest --adopt, which hands on what the journal of an
 * ingest that is gone still holds. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

enum { WORDS_MAX = 10 };

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

int command_adopt(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_MAX];
    char *words[WORDS_MAX] = { path, (char *)"--adopt", (char *)"--config",
                               (char *)line->config_path };
    size_t count = 4;
    if (line->name) {
        words[count++] = (char *)"--name";
        words[count++] = (char *)line->name;
    }
    if (line->limit_seconds) {
        words[count++] = (char *)"--for";
        words[count++] = (char *)line->limit_seconds;
    }
    if (find_ingest(path, sizeof path, &err) != 0)
        return command_fail(&err);
    (void)execv(path, words);
    (void)error_set(&err, ERROR_SYSTEM, "cannot run %s: %s", path, strerror(errno));
    return command_fail(&err);
}
