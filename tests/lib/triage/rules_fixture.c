#include "rules_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int rules_fixture_setup(void **state)
{
    struct rules_fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    (void)snprintf(self->directory, sizeof self->directory, "/tmp/desg-classify-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    (void)snprintf(self->rules, sizeof self->rules, "%s/rules", self->directory);
    assert_int_equal(mkdir(self->rules, S_IRWXU), 0);
    *state = self;
    return 0;
}

static void remove_files(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        (void)unlink(name); /* folders stay for the caller */
    }
    (void)closedir(folder);
}

void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[512];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        remove_files(name);
        (void)rmdir(name); /* fails for files */
    }
    (void)closedir(folder);
    remove_files(path);
    (void)rmdir(path);
}

int rules_fixture_teardown(void **state)
{
    struct rules_fixture *self = *state;
    remove_folder(self->directory);
    free(self);
    return 0;
}

void rules_write(const struct rules_fixture *self, const char *name, const char *text)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", self->rules, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void rules_remove(const struct rules_fixture *self, const char *name)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", self->rules, name);
    assert_int_equal(unlink(path), 0);
}

char *rule_text(const char *id, const char *severity, const char *phrases, const char *more)
{
    char *text = NULL;
    assert_true(asprintf(&text,
                         "edition: \"2026-01-31\"\ncategory: test\nrules:\n"
                         "  - id: %s\n    language: en\n    severity: %s\n    weight: 0.5\n"
                         "    phrases: [%s]\n%s",
                         id, severity, phrases, more) > 0);
    return text;
}

struct triage *rules_triage(const struct rules_fixture *self, const struct triage_options *options)
{
    static const struct triage_options usual = { .model = NULL };
    struct error err = { 0 };
    struct rule_set *rules = rule_set_load(self->rules, &err);
    if (!rules)
        fail_msg("%s", err.text);
    struct triage *triage = triage_new(&rules, options ? options : &usual, &err);
    if (!triage)
        fail_msg("%s", err.text);
    assert_null(rules);
    return triage;
}

void judge_text(struct triage *triage, const char *text, struct verdict *out)
{
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.channel = (char *)"facebook";
    event.text = (char *)text;
    triage_judge(triage, &event, out);
}
