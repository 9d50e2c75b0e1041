#include "desk/alike.h"

#include <stdlib.h>
#include <string.h>

/* Rows that share the two lowest of their pairs, in one of BANDS shufflings, are compared. Of two
 * that are barely alike one in a hundred thousand is not looked at; of four that are not, mostly
 * none is. */
enum {
    BANDS = 20,
    SLOTS = 1 << 14,
    COMPARED_MAX = 256 /* per row: what is built to look alike costs no more than that */
};

/* The oldest of a group, as it is found by one of its bands. */
struct entry {
    uint32_t key;
    uint32_t row;
    uint32_t next; /* number of an entry, plus one; 0: the last */
};

struct search {
    struct alike_row *rows;
    size_t count;
    uint32_t *order; /* rows by age */
    uint32_t *rank;  /* where in order a row stands */
    uint32_t *asked; /* by row: the last one it was compared with, plus one */
    struct entry *entries;
    size_t entry_count;
    uint32_t slots[SLOTS]; /* numbers of entries, plus one */
};

static void search_destroy(struct search **self_p)
{
    struct search *self = *self_p;
    if (!self)
        return;
    free(self->order);
    free(self->rank);
    free(self->asked);
    free(self->entries);
    free(self);
    *self_p = NULL;
}

static struct search *search_new(struct alike_row *rows, size_t count)
{
    struct search *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->rows = rows;
    self->count = count;
    self->order = calloc(count + 1, sizeof *self->order);
    self->rank = calloc(count + 1, sizeof *self->rank);
    self->asked = calloc(count + 1, sizeof *self->asked);
    self->entries = calloc(count * BANDS + 1, sizeof *self->entries);
    if (!self->order || !self->rank || !self->asked || !self->entries)
        search_destroy(&self);
    return self;
}

static uint32_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
    return (uint32_t)(value >> 32);
}

static uint32_t lowest(const struct sketch *sketch, uint32_t shuffling)
{
    uint32_t found = UINT32_MAX;
    for (size_t i = 0; i < sketch->pair_count; i++) {
        uint32_t number = mix((uint64_t)shuffling << 32 | sketch->pairs[i]);
        found = number < found ? number : found;
    }
    return found;
}

/* What rows have in common that may be alike. */
static uint32_t key_of(const struct alike_row *row, uint32_t band)
{
    uint64_t fixed = (uint64_t)row->sketch.apart << 32 | (uint32_t)row->severity << 16 |
                     (uint32_t)row->restricted << 8 | band;
    uint64_t drawn =
        (uint64_t)lowest(&row->sketch, 2 * band + 1) << 32 | lowest(&row->sketch, 2 * band + 2);
    return mix(drawn ^ mix(fixed));
}

static bool is_alike(const struct alike_row *a, const struct alike_row *b)
{
    return a->severity == b->severity && a->restricted == b->restricted &&
           sketch_is_alike(&a->sketch, &b->sketch);
}

/* The oldest that row is alike to; row itself if there is none. */
static uint32_t oldest_alike(struct search *self, uint32_t row, const uint32_t keys[static BANDS])
{
    uint32_t found = row;
    size_t compared = 0;
    for (uint32_t band = 0; band < BANDS; band++) {
        uint32_t at = self->slots[keys[band] % SLOTS];
        for (; at != 0 && compared < COMPARED_MAX; at = self->entries[at - 1].next) {
            const struct entry *entry = &self->entries[at - 1];
            if (entry->key != keys[band] || self->asked[entry->row] == row + 1)
                continue;
            self->asked[entry->row] = row + 1;
            compared++;
            if (self->rank[entry->row] < self->rank[found] &&
                is_alike(&self->rows[row], &self->rows[entry->row]))
                found = entry->row;
        }
    }
    return found;
}

static void remember(struct search *self, uint32_t row, const uint32_t keys[static BANDS])
{
    for (uint32_t band = 0; band < BANDS; band++) {
        uint32_t *slot = &self->slots[keys[band] % SLOTS];
        self->entries[self->entry_count++] =
            (struct entry){ .key = keys[band], .row = row, .next = *slot };
        *slot = (uint32_t)self->entry_count;
    }
}

static int by_age(const void *a, const void *b, void *arg)
{
    const struct alike_row *rows = arg;
    const struct alike_row *left = &rows[*(const uint32_t *)a];
    const struct alike_row *right = &rows[*(const uint32_t *)b];
    if (left->at_ms != right->at_ms)
        return left->at_ms < right->at_ms ? -1 : 1;
    return memcmp(left->event.bytes, right->event.bytes, ID_BYTES);
}

static void group_rows(struct search *self)
{
    struct alike_row *rows = self->rows;
    for (size_t i = 0; i < self->count; i++)
        self->order[i] = (uint32_t)i;
    qsort_r(self->order, self->count, sizeof *self->order, by_age, rows);
    for (size_t i = 0; i < self->count; i++)
        self->rank[self->order[i]] = (uint32_t)i;
    for (size_t i = 0; i < self->count; i++) {
        uint32_t row = self->order[i];
        uint32_t keys[BANDS];
        rows[row].group = row;
        if (!rows[row].has_sketch)
            continue;
        for (uint32_t band = 0; band < BANDS; band++)
            keys[band] = key_of(&rows[row], band);
        rows[row].group = oldest_alike(self, row, keys);
        if (rows[row].group == row)
            remember(self, row, keys);
    }
}

int alike_group(struct alike_row *rows, size_t count, struct error *err)
{
    struct search *self = search_new(rows, count);
    if (!self)
        return error_set(err, ERROR_SYSTEM, "no memory to compare %zu events", count);
    group_rows(self);
    search_destroy(&self);
    return 0;
}

/* --- rows of a queue --- */

/* One conversation's waiting events, in list[0..count). By its newest, if all are like that. */
static void take_events(struct alike_row *row, const struct store_waiting *list, size_t count)
{
    struct sketch sketch;
    for (size_t i = 0; i < count; i++) {
        bool is_newer = i == 0 || list[i].at_ms > row->at_ms ||
                        (list[i].at_ms == row->at_ms &&
                         memcmp(list[i].event.bytes, row->event.bytes, ID_BYTES) > 0);
        row->has_sketch = sketch_read(list[i].sketch, list[i].sketch_length, &sketch) &&
                          (i == 0 || sketch_is_alike(&sketch, &row->sketch));
        if (!row->has_sketch)
            return;
        if (!is_newer)
            continue;
        row->at_ms = list[i].at_ms;
        row->event = list[i].event;
        row->sketch = sketch;
    }
}

static int read_rows(struct store *store, const json_t *rows, struct id *ids, struct alike_row *out,
                     struct error *err)
{
    size_t count = json_array_size(rows);
    size_t found = 0;
    struct store_waiting *list = NULL;
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *text = json_string_value(json_object_get(row, "conversation"));
        if (!text || id_parse(text, &ids[i]) != 0)
            return error_set(err, ERROR_INVALID, "a queue names no conversation");
        out[i].severity = (int)json_number_value(json_object_get(row, "severity"));
        out[i].restricted = (int)json_number_value(json_object_get(row, "restricted"));
    }
    if (store_waiting(store, ids, count, &list, &found, err) != 0)
        return -1;
    for (size_t from = 0, to = 0; from < found; from = to) {
        while (to < found && list[to].conversation == list[from].conversation)
            to++;
        take_events(&out[list[from].conversation], list + from, to - from);
    }
    free(list);
    return 0;
}

static void write_marks(json_t *rows, const struct alike_row *found, size_t *sizes)
{
    size_t count = json_array_size(rows);
    for (size_t i = 0; i < count; i++)
        sizes[found[i].group]++;
    for (size_t i = 0; i < count; i++) {
        char group[ID_TEXT_BYTES];
        const struct alike_row *oldest = &found[found[i].group];
        if (sizes[found[i].group] < 2)
            continue;
        id_text(oldest->event.bytes, group);
        (void)json_object_set_new(
            json_array_get(rows, i), "alike",
            json_pack("{s:s, s:I}", "group", group, "count", (json_int_t)sizes[found[i].group]));
    }
}

int alike_mark(struct store *store, json_t *rows, struct error *err)
{
    size_t count = json_array_size(rows);
    struct id *ids = calloc(count + 1, sizeof *ids);
    struct alike_row *found = calloc(count + 1, sizeof *found);
    size_t *sizes = calloc(count + 1, sizeof *sizes);
    int rc = -1;
    if (!ids || !found || !sizes)
        (void)error_set(err, ERROR_SYSTEM, "no memory for a queue of %zu", count);
    else if (read_rows(store, rows, ids, found, err) == 0 && alike_group(found, count, err) == 0)
        rc = 0;
    if (rc == 0)
        write_marks(rows, found, sizes);
    free(ids);
    free(found);
    free(sizes);
    return rc;
}
