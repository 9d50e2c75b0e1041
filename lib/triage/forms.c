#include "triage/forms.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void forms_clear(struct forms *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->texts[i]);
    free(self->texts);
    *self = (struct forms){ 0 };
}

static int make_room(struct forms *self, size_t count)
{
    if (count <= self->room)
        return 0;
    size_t room = self->room * 2 > count ? self->room * 2 : count;
    char **texts = realloc(self->texts, room * sizeof *texts);
    if (!texts)
        return -1;
    self->texts = texts;
    self->room = room;
    return 0;
}

int forms_add(struct forms *self, const char *text, size_t length)
{
    char *copy = make_room(self, self->count + 1) == 0 ? strndup(text, length) : NULL;
    if (!copy)
        return -1;
    self->texts[self->count++] = copy;
    return 0;
}

int forms_unite(struct forms *self, struct forms *more)
{
    if (make_room(self, self->count + more->count) != 0)
        return -1;
    if (more->count > 0)
        memcpy(self->texts + self->count, more->texts, more->count * sizeof *more->texts);
    self->count += more->count;
    more->count = 0;
    forms_clear(more);
    return 0;
}

static char *joined(const char *left, const char *right, const char *between)
{
    char *text = NULL;
    bool is_between = left[0] != '\0' && right[0] != '\0';
    if (asprintf(&text, "%s%s%s", left, is_between ? between : "", right) < 0)
        return NULL;
    return text;
}

int forms_follow(struct forms *self, struct forms *next, const char *between, size_t most)
{
    struct forms all = { 0 };
    if (self->count == 0 || next->count == 0) { /* nothing follows nothing */
        forms_clear(self);
        forms_clear(next);
        return 0;
    }
    if (self->count * next->count > most || make_room(&all, self->count * next->count) != 0) {
        forms_clear(next);
        return -1;
    }
    assert(all.texts);
    int rc = 0;
    for (size_t i = 0; i < self->count && rc == 0; i++) {
        for (size_t j = 0; j < next->count && rc == 0; j++) {
            all.texts[all.count] = joined(self->texts[i], next->texts[j], between);
            if (all.texts[all.count])
                all.count++;
            else
                rc = -1;
        }
    }
    forms_clear(next);
    if (rc == 0) {
        forms_clear(self);
        *self = all;
    } else {
        forms_clear(&all);
    }
    return rc;
}

static void tidy_spaces(char *text)
{
    char *out = text;
    for (const char *at = text; *at != '\0'; at++) {
        bool is_needed = *at != ' ' || (out > text && out[-1] != ' ');
        if (is_needed)
            *out++ = *at;
    }
    if (out > text && out[-1] == ' ')
        out--;
    *out = '\0';
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int forms_tidy(struct forms *self)
{
    for (size_t i = 0; i < self->count; i++)
        tidy_spaces(self->texts[i]);
    if (self->count > 1)
        qsort(self->texts, self->count, sizeof *self->texts, by_text);
    size_t kept = 0;
    bool had_empty = false;
    for (size_t i = 0; i < self->count; i++) {
        bool is_empty = self->texts[i][0] == '\0';
        bool is_again = kept > 0 && strcmp(self->texts[kept - 1], self->texts[i]) == 0;
        had_empty |= is_empty;
        if (is_empty || is_again)
            free(self->texts[i]);
        else
            self->texts[kept++] = self->texts[i];
    }
    self->count = kept;
    return had_empty;
}
