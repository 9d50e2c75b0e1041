#include "cli/key_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock/clock.h"
#include "link/certificate.h"

/* The hops of docs/architecture.md: who calls, who listens. */
static const char *const hops[][2] = { { "classify", "ingest" },
                                       { "ingest", "route" },
                                       { "classify", "route" },
                                       { "classify", "notify" },
                                       { "route", "notify" } };
static const char *const services[] = { "ingest", "classify", "route", "notify", "desk" };

bool key_folder_are_neighbours(const char *a, const char *b)
{
    for (size_t i = 0; i < sizeof hops / sizeof hops[0]; i++)
        if ((strcmp(hops[i][0], a) == 0 && strcmp(hops[i][1], b) == 0) ||
            (strcmp(hops[i][0], b) == 0 && strcmp(hops[i][1], a) == 0))
            return true;
    return false;
}

bool key_folder_is_service(const char *name)
{
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (strcmp(services[i], name) == 0)
            return true;
    return false;
}

/* ---- paths ---- */

int key_folder_path(const char *directory, const char *owner, const char *rest,
                    char out[static PATH_MAX], struct error *err)
{
    int length = snprintf(out, PATH_MAX, "%s/%s/%s", directory, owner, rest);
    if (length >= 0 && length < PATH_MAX)
        return 0;
    return error_set(err, ERROR_CONFIG, "the folder's path is too long");
}

/* directory/owner/allowed/of + end */
static int allowed_path(const char *directory, const char *owner, const char *of, const char *end,
                        char out[static PATH_MAX], struct error *err)
{
    char rest[KEY_NAME_BYTES + 32];
    (void)snprintf(rest, sizeof rest, "allowed/%s%s", of, end);
    return key_folder_path(directory, owner, rest, out, err);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool has(const char *directory, const char *owner, const char *rest)
{
    char path[PATH_MAX];
    struct error ignored = { 0 };
    return key_folder_path(directory, owner, rest, path, &ignored) == 0 && is_there(path);
}

static int check_name(const char *name, struct error *err)
{
    size_t length = strlen(name);
    if (length > 0 && length < KEY_NAME_BYTES && name[0] != '-' &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "'%.40s' is no name: write up to %d small letters, digits and '-'", name,
                     KEY_NAME_BYTES - 1);
}

static int make_folder(const char *path, struct error *err)
{
    if (mkdir(path, S_IRWXU) == 0 || errno == EEXIST)
        return 0;
    return error_set(err, ERROR_SYSTEM, "cannot make the folder '%s': %s", path, strerror(errno));
}

static int make_folders(const char *directory, const char *name, struct error *err)
{
    char own[PATH_MAX];
    char allowed[PATH_MAX];
    if (key_folder_path(directory, name, "", own, err) != 0 ||
        key_folder_path(directory, name, "allowed", allowed, err) != 0)
        return -1;
    return make_folder(directory, err) != 0 || make_folder(own, err) != 0
               ? -1
               : make_folder(allowed, err);
}

/* ---- who is there ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add_name(struct key_names *out, const char *name, struct error *err)
{
    void *names = realloc(out->names, (out->count + 1) * sizeof *out->names);
    if (!names)
        return error_set(err, ERROR_SYSTEM, "no memory for the names");
    out->names = names;
    memcpy(out->names[out->count++], name, strlen(name) + 1); /* check_name: it fits */
    return 0;
}

int key_folder_names(const char *directory, struct key_names *out, struct error *err)
{
    *out = (struct key_names){ 0 };
    DIR *folder = opendir(directory);
    if (!folder)
        return error_set(err, ERROR_CONFIG, "cannot read the folder '%s': %s", directory,
                         strerror(errno));
    int rc = 0;
    for (const struct dirent *entry; rc == 0 && (entry = readdir(folder));) {
        struct error ignored = { 0 };
        if (check_name(entry->d_name, &ignored) == 0 &&
            (has(directory, entry->d_name, "own") || has(directory, entry->d_name, "own_secret") ||
             has(directory, entry->d_name, "new")))
            rc = add_name(out, entry->d_name, err);
    }
    (void)closedir(folder);
    if (rc != 0)
        key_names_clear(out);
    else if (out->count > 1)
        qsort(out->names, out->count, sizeof *out->names, by_name);
    return rc;
}

void key_names_clear(struct key_names *self)
{
    free(self->names);
    *self = (struct key_names){ 0 };
}

/* ---- make ---- */

static int make_pair(const char *directory, const char *name, const char *which, struct error *err)
{
    char public_path[PATH_MAX];
    char secret_path[PATH_MAX];
    char secret[32];
    char now[CLOCK_TEXT_BYTES];
    (void)snprintf(secret, sizeof secret, "%s_secret", which);
    clock_format_rfc3339(clock_unix_ms(), now);
    if (key_folder_path(directory, name, which, public_path, err) != 0 ||
        key_folder_path(directory, name, secret, secret_path, err) != 0)
        return -1;
    return certificate_make(public_path, secret_path, name, now, err);
}

/* Puts of's public half (its own, or new) into owner's allowed folder, if it is not there yet. */
static int introduce(const char *directory, const char *of, const char *which, const char *owner,
                     const char *end, struct error *err)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    if (key_folder_path(directory, of, which, from, err) != 0 ||
        allowed_path(directory, owner, of, end, to, err) != 0)
        return -1;
    return is_there(to) ? 0 : certificate_copy(from, to, err);
}

static int introduce_both(const char *directory, const char *a, const char *b, struct error *err)
{
    if (introduce(directory, a, "own", b, ".pub", err) != 0)
        return -1;
    return introduce(directory, b, "own", a, ".pub", err);
}

int key_folder_make(const char *directory, const char *name, const char *listener,
                    struct error *err)
{
    struct key_names others = { 0 };
    if (check_name(name, err) != 0)
        return -1;
    if (listener ? key_folder_is_service(name) : !key_folder_is_service(name))
        return error_set(err, ERROR_INVALID,
                         listener ? "'%s' is a service: write its name alone"
                                  : "'%s' is no service: write NAME@SERVICE for another program "
                                    "that calls one, such as radio@notify",
                         name);
    if (listener && !has(directory, listener, "own"))
        return error_set(err, ERROR_CONFIG, "%s has no pair in '%s' yet: make that first", listener,
                         directory);
    if (has(directory, name, "own") || has(directory, name, "own_secret"))
        return error_set(err, ERROR_CONFIG,
                         "%s has a pair in '%s' already, and keys are never overwritten: desg keys "
                         "renew makes its next one",
                         name, directory);
    if (make_folders(directory, name, err) != 0 || make_pair(directory, name, "own", err) != 0)
        return -1;
    if (listener)
        return introduce_both(directory, name, listener, err);
    int rc = key_folder_names(directory, &others, err);
    for (size_t i = 0; rc == 0 && i < others.count; i++)
        if (key_folder_are_neighbours(name, others.names[i]))
            rc = introduce_both(directory, name, others.names[i], err);
    key_names_clear(&others);
    return rc;
}

/* ---- another pair ---- */

/* Calls step for each owner of a folder that holds name's public half. */
static int for_each_holder(const char *directory, const char *name,
                           int (*step)(const char *directory, const char *name, const char *owner,
                                       struct error *err),
                           struct error *err)
{
    struct key_names owners;
    if (key_folder_names(directory, &owners, err) != 0)
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < owners.count; i++) {
        char path[PATH_MAX];
        rc = allowed_path(directory, owners.names[i], name, ".pub", path, err);
        if (rc == 0 && is_there(path))
            rc = step(directory, name, owners.names[i], err);
    }
    key_names_clear(&owners);
    return rc;
}

static int introduce_new(const char *directory, const char *name, const char *owner,
                         struct error *err)
{
    return introduce(directory, name, "new", owner, ".new.pub", err);
}

static int need_pair(const char *directory, const char *name, struct error *err)
{
    if (check_name(name, err) != 0)
        return -1;
    if (has(directory, name, "own") || has(directory, name, "new"))
        return 0;
    return error_set(err, ERROR_CONFIG, "%s has no pair in '%s': desg keys make", name, directory);
}

int key_folder_renew(const char *directory, const char *name, struct error *err)
{
    if (need_pair(directory, name, err) != 0)
        return -1;
    if (has(directory, name, "old"))
        return error_set(err, ERROR_CONFIG,
                         "the last renewal of %s has not ended: desg keys retire it first", name);
    if (!has(directory, name, "new") && make_pair(directory, name, "new", err) != 0)
        return -1;
    return for_each_holder(directory, name, introduce_new, err);
}

static int move(const char *directory, const char *name, const char *from, const char *to,
                struct error *err)
{
    char before[PATH_MAX];
    char after[PATH_MAX];
    if (key_folder_path(directory, name, from, before, err) != 0 ||
        key_folder_path(directory, name, to, after, err) != 0)
        return -1;
    if (!is_there(before)) /* done by an earlier, interrupted try */
        return 0;
    if (rename(before, after) == 0)
        return 0;
    return error_set(err, ERROR_SYSTEM, "cannot rename '%s': %s", before, strerror(errno));
}

int key_folder_switch(const char *directory, const char *name, struct error *err)
{
    if (need_pair(directory, name, err) != 0)
        return -1;
    if (!has(directory, name, "new"))
        return error_set(err, ERROR_CONFIG,
                         "%s has no next pair: desg keys renew makes it, then hand the allowed "
                         "folders out",
                         name);
    /* new goes last: while it is there, all of this can be done again. */
    if ((has(directory, name, "new_secret") &&
         (move(directory, name, "own_secret", "old_secret", err) != 0 ||
          move(directory, name, "new_secret", "own_secret", err) != 0)) ||
        move(directory, name, "own", "old", err) != 0)
        return -1;
    return move(directory, name, "new", "own", err);
}

static int take_over(const char *directory, const char *name, const char *owner, struct error *err)
{
    char fresh[PATH_MAX];
    char path[PATH_MAX];
    if (allowed_path(directory, owner, name, ".new.pub", fresh, err) != 0 ||
        allowed_path(directory, owner, name, ".pub", path, err) != 0)
        return -1;
    if (!is_there(fresh) || rename(fresh, path) == 0)
        return 0;
    return error_set(err, ERROR_SYSTEM, "cannot rename '%s': %s", fresh, strerror(errno));
}

static int drop(const char *directory, const char *name, const char *rest, struct error *err)
{
    char path[PATH_MAX];
    if (key_folder_path(directory, name, rest, path, err) != 0)
        return -1;
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    return error_set(err, ERROR_SYSTEM, "cannot remove '%s': %s", path, strerror(errno));
}

int key_folder_retire(const char *directory, const char *name, struct error *err)
{
    if (need_pair(directory, name, err) != 0)
        return -1;
    if (has(directory, name, "new"))
        return error_set(err, ERROR_CONFIG,
                         "%s has its next pair not in use yet: desg keys switch, restart it, then "
                         "retire the last one",
                         name);
    if (!has(directory, name, "old"))
        return error_set(err, ERROR_CONFIG, "%s has no pair to be retired", name);
    if (for_each_holder(directory, name, take_over, err) != 0 ||
        drop(directory, name, "old_secret", err) != 0)
        return -1;
    return drop(directory, name, "old", err);
}
