#include "triage/forms.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

void forms_clear(struct forms *self)
{
    free(self->text);
    *self = (struct forms){ 0 };
}

static int make_room(struct forms *self, size_t bytes)
{
    if (bytes <= self->room)
        return 0;
    size_t room = self->room > 0 ? self->room * 2 : FIRST_ROOM;
    if (room < bytes)
        room = bytes;
    char *text = realloc(self->text, room);
    if (!text)
        return -1;
    self->text = text;
    self->room = room;
    return 0;
}

/* More of a form that has been begun; there is room. */
static void put(struct forms *self, const char *text, size_t length)
{
    assert(self->text || length == 0);
    if (length > 0)
        memcpy(self->text + self->bytes, text, length);
    self->bytes += length;
}

static void end_form(struct forms *self)
{
    assert(self->text);
    self->text[self->bytes++] = '\0';
    self->count++;
}

int forms_add(struct forms *self, const char *text, size_t length)
{
    if (make_room(self, self->bytes + length + 1) != 0)
        return -1;
    put(self, text, length);
    end_form(self);
    return 0;
}

const char *forms_next(const struct forms *self, const char *form)
{
    const char *next = form ? form + strlen(form) + 1 : self->text;
    return next && next < self->text + self->bytes ? next : NULL;
}

int forms_unite(struct forms *self, struct forms *more)
{
    if (make_room(self, self->bytes + more->bytes) != 0)
        return -1;
    put(self, more->text, more->bytes);
    self->count += more->count;
    forms_clear(more);
    return 0;
}

/* Whether all there is is the empty form: what follows it is the whole. */
static bool is_blank(const struct forms *self)
{
    return self->count == 1 && self->bytes == 1;
}

int forms_append(struct forms *self, const char *text, size_t length)
{
    struct forms all = { 0 };
    if (self->count == 1) {
        self->bytes--;
        self->count = 0;
        return forms_add(self, text, length);
    }
    if (make_room(&all, self->bytes + self->count * length + 1) != 0)
        return -1;
    for (const char *form = NULL; (form = forms_next(self, form));) {
        put(&all, form, strlen(form));
        put(&all, text, length);
        end_form(&all);
    }
    forms_clear(self);
    *self = all;
    return 0;
}

/* left followed by each of next. */
static void follow_one(struct forms *all, const char *left, const struct forms *next,
                       const char *between)
{
    size_t left_bytes = strlen(left);
    for (const char *right = NULL; (right = forms_next(next, right));) {
        put(all, left, left_bytes);
        if (left_bytes > 0 && right[0] != '\0')
            put(all, between, strlen(between));
        put(all, right, strlen(right));
        end_form(all);
    }
}

int forms_follow(struct forms *self, struct forms *next, const char *between, size_t most)
{
    struct forms all = { 0 };
    size_t count = self->count * next->count;
    if (is_blank(self) && count <= most) {
        forms_clear(self);
        *self = *next;
        *next = (struct forms){ 0 };
        return 0;
    }
    size_t bytes = self->bytes * next->count + next->bytes * self->count + count * strlen(between);
    if (count > most || make_room(&all, bytes + 1) != 0) {
        forms_clear(next);
        return -1;
    }
    for (const char *left = NULL; (left = forms_next(self, left));)
        follow_one(&all, left, next, between);
    forms_clear(next);
    forms_clear(self);
    *self = all;
    return 0;
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

/* Where each form stands, tidied and sorted. */
static char **sorted_forms(struct forms *self)
{
    char **sorted = malloc(self->count * sizeof *sorted);
    char *form = self->text;
    for (size_t i = 0; sorted && i < self->count; i++) {
        size_t bytes = strlen(form) + 1;
        sorted[i] = form;
        tidy_spaces(form);
        form += bytes;
    }
    if (sorted && self->count > 1)
        qsort(sorted, self->count, sizeof *sorted, by_text);
    return sorted;
}

int forms_tidy(struct forms *self)
{
    struct forms kept = { 0 };
    if (self->count == 0)
        return 0;
    char **sorted = sorted_forms(self);
    if (!sorted || make_room(&kept, self->bytes) != 0) {
        free(sorted);
        return -1;
    }
    for (size_t i = 0; i < self->count; i++) {
        bool is_again = i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0;
        if (sorted[i][0] == '\0' || is_again)
            continue;
        put(&kept, sorted[i], strlen(sorted[i]));
        end_form(&kept);
    }
    free(sorted);
    forms_clear(self);
    *self = kept;
    return 0;
}
