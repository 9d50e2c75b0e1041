#include "journal/gather.h"

#include <stdlib.h>
#include <string.h>

/* A group that carried more than this gives its memory back instead of becoming the spare. */
enum { SPARE_MAX_BYTES = 1 << 20 };

static void group_destroy(struct group **group_p)
{
    if (!*group_p)
        return;
    free((*group_p)->arena);
    free(*group_p);
    *group_p = NULL;
}

static struct group *group_new(void)
{
    struct group *group = malloc(sizeof *group);
    if (!group)
        return NULL;
    group->arena = malloc(GROUP_ARENA_BYTES); /* pages are real only once touched */
    if (!group->arena)
        group_destroy(&group);
    return group;
}

static void group_reset(struct group *group)
{
    group->next = NULL;
    group->append_count = 0;
    group->note_count = 0;
    group->arena_used = 0;
    group->cost_bytes = 0;
}

static struct group *add_group(struct gathering *self)
{
    struct group *group = self->spare ? self->spare : group_new();
    if (!group)
        return NULL;
    self->spare = NULL;
    group_reset(group);
    if (self->tail)
        self->tail->next = group;
    else
        self->head = group;
    self->tail = group;
    return group;
}

/* The last group, or a new one, with room for this and charged for it. NULL: err says why. */
static struct group *make_room(struct gathering *self, bool is_append, size_t length,
                               struct error *err)
{
    size_t cost = length + WAITING_COST_BYTES;
    if (self->waiting_bytes + cost > GATHERING_MAX_BYTES) {
        (void)error_set(err, ERROR_UNAVAILABLE, "%zu bytes wait for the journal's disk already",
                        self->waiting_bytes);
        return NULL;
    }
    struct group *group = self->tail;
    bool fits = group && length <= GROUP_ARENA_BYTES - group->arena_used &&
                (is_append ? group->append_count < GROUP_APPENDS : group->note_count < GROUP_NOTES);
    if (!fits)
        group = add_group(self);
    if (!group) {
        (void)error_set(err, ERROR_UNAVAILABLE, "no memory for the journal's next group");
        return NULL;
    }
    group->cost_bytes += cost;
    self->waiting_bytes += cost;
    return group;
}

static size_t copy_in(struct group *group, const void *bytes, size_t length)
{
    size_t offset = group->arena_used;
    if (length)
        memcpy(group->arena + offset, bytes, length);
    group->arena_used += length;
    return offset;
}

int gathering_append(struct gathering *self, const struct append *append, const void *body,
                     struct error *err)
{
    struct group *group = make_room(self, true, append->length, err);
    if (!group)
        return -1;
    struct append *slot = &group->appends[group->append_count++];
    *slot = *append;
    slot->sequence = 0;
    slot->offset = copy_in(group, body, append->length);
    return 0;
}

int gathering_note(struct gathering *self, const struct waiting_note *note, const void *bytes,
                   struct error *err)
{
    struct group *group = make_room(self, false, note->length, err);
    if (!group)
        return -1;
    struct waiting_note *slot = &group->notes[group->note_count++];
    *slot = *note;
    slot->offset = copy_in(group, bytes, note->length);
    return 0;
}

struct group *gathering_take(struct gathering *self)
{
    struct group *group = self->head;
    if (!group)
        return NULL;
    self->head = group->next;
    if (!self->head)
        self->tail = NULL;
    group->next = NULL;
    return group;
}

void gathering_give_back(struct gathering *self, struct group **group_p)
{
    self->waiting_bytes -= (*group_p)->cost_bytes;
    if (!self->spare && (*group_p)->arena_used <= SPARE_MAX_BYTES)
        self->spare = *group_p;
    else
        group_destroy(group_p);
    *group_p = NULL;
}

void gathering_clear(struct gathering *self)
{
    for (struct group *group = gathering_take(self); group; group = gathering_take(self))
        group_destroy(&group);
    group_destroy(&self->spare);
    self->waiting_bytes = 0;
}
