#include "desk/fact_index.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { NOWHERE = UINT32_MAX };

struct entry {
    struct id fact;
    uint64_t sequence; /* 0: in hand */
    uint32_t next;     /* in the bucket */
    uint32_t is_used;
};

struct fact_index {
    pthread_mutex_t lock;
    struct entry *entries; /* a ring: the oldest gives way */
    uint32_t *buckets;
    uint32_t entry_count, bucket_count;
    uint32_t at;
};

struct fact_index *fact_index_new(size_t facts_max)
{
    struct fact_index *self = calloc(1, sizeof *self);
    assert(facts_max > 0 && facts_max < NOWHERE / 2);
    if (!self)
        abort(); /* start-up only, as below */
    self->entry_count = (uint32_t)facts_max;
    self->bucket_count = 2 * self->entry_count;
    self->entries = calloc(self->entry_count, sizeof *self->entries);
    self->buckets = malloc(self->bucket_count * sizeof *self->buckets);
    if (!self->entries || !self->buckets || pthread_mutex_init(&self->lock, NULL) != 0)
        abort();
    memset(self->buckets, 0xff, self->bucket_count * sizeof *self->buckets);
    return self;
}

void fact_index_destroy(struct fact_index **self_p)
{
    if (!*self_p)
        return;
    (void)pthread_mutex_destroy(&(*self_p)->lock);
    free((*self_p)->entries);
    free((*self_p)->buckets);
    free(*self_p);
    *self_p = NULL;
}

/* Ids are HMACs: any of their bytes spread well. */
static uint32_t *bucket_of(struct fact_index *self, const struct id *fact)
{
    uint32_t hash = 0;
    memcpy(&hash, fact->bytes, sizeof hash);
    return &self->buckets[hash % self->bucket_count];
}

static uint32_t *link_to(struct fact_index *self, const struct id *fact)
{
    uint32_t *link = bucket_of(self, fact);
    while (*link != NOWHERE && memcmp(&self->entries[*link].fact, fact, sizeof *fact) != 0)
        link = &self->entries[*link].next;
    return link;
}

static void unlink_entry(struct fact_index *self, uint32_t *link)
{
    struct entry *entry = &self->entries[*link];
    *link = entry->next;
    entry->is_used = 0;
}

static struct entry *add(struct fact_index *self, const struct id *fact)
{
    struct entry *entry = &self->entries[self->at];
    if (entry->is_used)
        unlink_entry(self, link_to(self, &entry->fact));
    uint32_t *bucket = bucket_of(self, fact);
    *entry = (struct entry){ .fact = *fact, .next = *bucket, .is_used = 1 };
    *bucket = self->at;
    self->at = (self->at + 1) % self->entry_count;
    return entry;
}

enum fact_found fact_index_begin(struct fact_index *self, const struct id *fact, uint64_t *sequence)
{
    enum fact_found found = FACT_UNKNOWN;
    (void)pthread_mutex_lock(&self->lock);
    uint32_t at = *link_to(self, fact);
    if (at == NOWHERE)
        (void)add(self, fact);
    else
        found = self->entries[at].sequence > 0 ? FACT_STORED : FACT_IN_HAND;
    if (found == FACT_STORED)
        *sequence = self->entries[at].sequence;
    (void)pthread_mutex_unlock(&self->lock);
    return found;
}

void fact_index_put(struct fact_index *self, const struct id *fact, uint64_t sequence)
{
    assert(sequence > 0);
    (void)pthread_mutex_lock(&self->lock);
    uint32_t at = *link_to(self, fact);
    struct entry *entry = at == NOWHERE ? add(self, fact) : &self->entries[at];
    entry->sequence = sequence;
    (void)pthread_mutex_unlock(&self->lock);
}

void fact_index_drop(struct fact_index *self, const struct id *fact)
{
    (void)pthread_mutex_lock(&self->lock);
    uint32_t *link = link_to(self, fact);
    if (*link != NOWHERE && self->entries[*link].sequence == 0)
        unlink_entry(self, link);
    (void)pthread_mutex_unlock(&self->lock);
}
