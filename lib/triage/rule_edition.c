#include "triage/rule_edition.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "stamp/stamp.h"

void rule_edition_destroy(struct rule_edition **self_p)
{
    struct rule_edition *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        free(self->files[i].name);
        rule_file_destroy(&self->files[i].rules);
    }
    free(self);
    *self_p = NULL;
}

static int is_rule_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && strcmp(dot, ".yaml") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* not by locale: the checksum depends on it */
}

static void free_list(struct dirent **list, int count)
{
    for (int i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

static uint8_t *read_bytes(const char *directory, const char *name, size_t *length,
                           struct error *err)
{
    char path[PATH_MAX];
    int bytes = snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = bytes > 0 && (size_t)bytes < sizeof path ? fopen(path, "re") : NULL;
    uint8_t *data = file ? malloc((size_t)RULE_FILE_MAX_BYTES + 1) : NULL;
    if (data)
        *length = fread(data, 1, (size_t)RULE_FILE_MAX_BYTES + 1, file);
    if (!data || ferror(file)) {
        (void)error_set(err, ERROR_CONFIG, "%s: cannot be read: %s", name, strerror(errno));
        free(data);
        data = NULL;
    }
    if (file)
        (void)fclose(file);
    return data;
}

static int add_file(struct rule_edition *self, struct hmac *hash, const char *directory,
                    const char *name, struct error *err)
{
    size_t length = 0;
    uint8_t *bytes = read_bytes(directory, name, &length, err);
    if (!bytes)
        return -1;
    hmac_update(hash, name, strlen(name) + 1);
    hmac_update(hash, &length, sizeof length);
    hmac_update(hash, bytes, length);
    struct rule_file *rules = rule_file_parse(name, bytes, length, err);
    free(bytes);
    if (!rules)
        return -1;
    struct rule_edition_file *file = &self->files[self->count];
    file->rules = rules;
    self->rules_count += rules->rules_count;
    self->count++;
    file->name = strdup(name);
    return file->name ? 0 : error_set(err, ERROR_SYSTEM, "no memory for the rules");
}

struct named_rule {
    const char *id;
    const char *file;
    unsigned line;
};

static int by_id(const void *a, const void *b)
{
    const struct named_rule *left = a;
    const struct named_rule *right = b;
    return strcmp(left->id, right->id);
}

static int check_ids(const struct rule_edition *self, struct error *err)
{
    if (self->rules_count == 0)
        return error_set(err, ERROR_CONFIG, "the files hold no rules: write some");
    struct named_rule *rules = calloc(self->rules_count, sizeof *rules);
    if (!rules)
        return error_set(err, ERROR_SYSTEM, "no memory for the rules");
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct rule_file *file = self->files[i].rules;
        for (unsigned j = 0; j < file->rules_count; j++)
            rules[count++] =
                (struct named_rule){ file->rules[j].id, self->files[i].name, file->rules[j].line };
    }
    qsort(rules, count, sizeof *rules, by_id);
    int rc = 0;
    for (size_t i = 1; i < count && rc == 0; i++) {
        if (strcmp(rules[i - 1].id, rules[i].id) == 0)
            rc = error_set(err, ERROR_CONFIG,
                           "%s:%u: rule %s: the id stands also at %s:%u: give one another id",
                           rules[i].file, rules[i].line, rules[i].id, rules[i - 1].file,
                           rules[i - 1].line);
    }
    free(rules);
    return rc;
}

static void name_edition(struct rule_edition *self)
{
    const char *newest = "";
    for (size_t i = 0; i < self->count; i++) {
        const char *edition = self->files[i].rules->edition;
        newest = strcmp(edition, newest) > 0 ? edition : newest;
    }
    char hex[2 * 4 + 1];
    crypto_hex(self->checksum, 4, hex);
    (void)snprintf(self->name, sizeof self->name, "%.10s+%s", newest, hex);
}

static int read_all(struct rule_edition *self, const char *directory, struct dirent **list,
                    int count, rule_complaint *complain, void *arg, struct error *err)
{
    static const char domain[] = "desg rules";
    struct hmac *hash = hmac_new(domain, sizeof domain);
    int rc = 0;
    for (int i = 0; i < count && (rc == 0 || complain); i++) {
        if (add_file(self, hash, directory, list[i]->d_name, err) != 0) {
            rc = -1;
            if (complain)
                complain(arg, err->text);
        }
    }
    hmac_finish(hash, self->checksum);
    hmac_destroy(&hash);
    return rc;
}

struct rule_edition *rule_edition_read(const char *directory, rule_complaint *complain, void *arg,
                                       struct error *err)
{
    assert(directory && err);
    struct dirent **list = NULL;
    int count = scandir(directory, &list, is_rule_file, by_name);
    if (count < 1 || count > RULE_EDITION_MAX_FILES) {
        (void)error_set(
            err, ERROR_CONFIG,
            "rules directory '%s' holds %d files *.yaml that can be read: name one with "
            "1 to %d in rules_directory",
            directory, count < 0 ? 0 : count, RULE_EDITION_MAX_FILES);
        if (count >= 0)
            free_list(list, count);
        if (complain)
            complain(arg, err->text);
        return NULL;
    }
    struct rule_edition *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the rules");
    } else if (read_all(self, directory, list, count, complain, arg, err) != 0) {
        rule_edition_destroy(&self);
    } else if (check_ids(self, err) != 0) { /* or no rules at all */
        if (complain)
            complain(arg, err->text);
        rule_edition_destroy(&self);
    }
    free_list(list, count);
    if (self)
        name_edition(self);
    return self;
}

uint64_t rule_edition_stamp(const char *directory)
{
    struct dirent **list = NULL;
    int count = scandir(directory, &list, is_rule_file, by_name);
    if (count < 0)
        return 0;
    uint64_t stamp = (uint64_t)count + 1;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat status;
        int bytes = snprintf(path, sizeof path, "%s/%s", directory, list[i]->d_name);
        if (bytes < 0 || (size_t)bytes >= sizeof path || stat(path, &status) != 0)
            continue;
        stamp = stamp_file(stamp, &status);
    }
    free_list(list, count);
    return stamp;
}
