#include "triage/vocabulary.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { STEM_KEY_BYTES = 3, FIRST_ROOM = 1024, NONE = 0 };

/* A word of phrases or a variant. */
struct entry {
    char *text;
    uint32_t length;
    uint32_t id; /* 0: only a variant */
    bool is_stem;
    uint32_t next_stem;     /* the next entry, plus one, whose stem begins alike; 0: none */
    uint32_t first_variant; /* of: index into variants, plus one; 0: none */
};

/* The entry is another spelling of `of`. */
struct variant {
    uint32_t of;
    uint32_t next; /* plus one; 0: none */
};

/* The key tells a short word by itself, so that its entry need not be seen. */
struct slot {
    uint64_t key;
    uint32_t entry; /* index plus one; 0: empty */
    uint32_t ids;   /* sealed: where its numbers stand, with how many there are before them */
};

/* Entries by their text, or stems by their first letters: open addressing. */
struct table {
    struct slot *slots;
    size_t room; /* a power of two */
    size_t count;
};

struct vocabulary {
    struct entry *entries;
    size_t count;
    size_t room;
    struct variant *variants;
    size_t variant_count;
    size_t variant_room;
    struct table words;
    struct table stems;
    uint32_t *ids;
    size_t ids_count;
    size_t ids_room;
    uint32_t next_id;
};

void vocabulary_destroy(struct vocabulary **self_p)
{
    struct vocabulary *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->entries[i].text);
    free(self->entries);
    free(self->variants);
    free(self->words.slots);
    free(self->stems.slots);
    free(self->ids);
    free(self);
    *self_p = NULL;
}

struct vocabulary *vocabulary_new(struct error *err)
{
    struct vocabulary *self = calloc(1, sizeof *self);
    if (!self)
        (void)error_set(err, ERROR_SYSTEM, "no memory for the words of the rules");
    else
        self->next_id = VOCABULARY_ANY + 1;
    return self;
}

/* Room for one more of `size` bytes. */
static void *grown(void *list, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return list;
    size_t wanted = *room > 0 ? *room * 2 : FIRST_ROOM;
    void *more = realloc(list, wanted * size);
    if (more)
        *room = wanted;
    return more;
}

enum { KEY_BYTES = sizeof(uint64_t), HALF_KEY_BYTES = KEY_BYTES / 2, BYTE_BITS = 8 };

/* Odd and without a pattern: the upper half of a product is well mixed. Nobody chooses both the
 * words and the table. */
static const uint64_t factor = 0x9E3779B97F4A7C15U;

/* At most KEY_BYTES bytes as one number. */
static uint64_t as_number(const char *text, size_t length)
{
    uint64_t number = 0;
    if (length >= KEY_BYTES) {
        memcpy(&number, text, KEY_BYTES);
    } else if (length >= HALF_KEY_BYTES) { /* two halves that overlap */
        uint32_t low = 0;
        uint32_t high = 0;
        memcpy(&low, text, HALF_KEY_BYTES);
        memcpy(&high, text + length - HALF_KEY_BYTES, HALF_KEY_BYTES);
        number = low | (uint64_t)high << (BYTE_BITS * (length - HALF_KEY_BYTES));
    } else {
        for (size_t i = 0; i < length; i++)
            number |= (uint64_t)(unsigned char)text[i] << (BYTE_BITS * i);
    }
    return number;
}

static bool is_short(size_t length)
{
    return length <= KEY_BYTES;
}

/* A short word, which holds no zeros, is its own key. A long one's is a hash that is none of
 * those: it ends with a byte that UTF-8 has not. */
static uint64_t key_of(const char *text, size_t length)
{
    if (is_short(length))
        return as_number(text, length);
    uint64_t hash = length;
    for (size_t i = 0; i < length; i += KEY_BYTES) {
        hash = (hash ^ as_number(text + i, length - i)) * factor;
        hash ^= hash >> (KEY_BYTES * BYTE_BITS / 2);
    }
    return hash | UINT64_C(0xFF) << (BYTE_BITS * (KEY_BYTES - 1));
}

/* Where in a table a key's search begins. */
static size_t place_of(uint64_t key)
{
    return (size_t)((key * factor) >> (KEY_BYTES * BYTE_BITS / 2));
}

static int table_grow(struct table *self)
{
    struct table next = { .room = self->room > 0 ? self->room * 2 : (size_t)FIRST_ROOM * 2 };
    next.slots = calloc(next.room, sizeof *next.slots);
    if (!next.slots)
        return -1;
    for (size_t i = 0; i < self->room; i++) {
        if (self->slots[i].entry == 0)
            continue;
        size_t at = place_of(self->slots[i].key);
        while (next.slots[at & (next.room - 1)].entry != 0)
            at++;
        next.slots[at & (next.room - 1)] = self->slots[i];
    }
    next.count = self->count;
    free(self->slots);
    *self = next;
    return 0;
}

/* The slot of a word or of the first letters of a stem, or the empty one where it belongs. */
static struct slot *slot_of(const struct table *table, const struct entry *entries,
                            const char *text, size_t length)
{
    uint64_t key = key_of(text, length);
    for (size_t at = place_of(key);; at++) {
        struct slot *slot = &table->slots[at & (table->room - 1)];
        if (slot->entry == 0)
            return slot;
        if (slot->key != key)
            continue;
        const struct entry *entry = &entries[slot->entry - 1];
        if (is_short(length) || (entry->length == length && memcmp(entry->text, text, length) == 0))
            return slot;
    }
}

static int link_stem(struct vocabulary *self, uint32_t index)
{
    if (self->stems.count * 2 >= self->stems.room && table_grow(&self->stems) != 0)
        return -1;
    struct entry *entry = &self->entries[index];
    struct slot *slot = slot_of(&self->stems, self->entries, entry->text, STEM_KEY_BYTES);
    self->stems.count += slot->entry == 0;
    entry->next_stem = slot->entry;
    *slot = (struct slot){ .key = key_of(entry->text, STEM_KEY_BYTES), .entry = index + 1 };
    return 0;
}

/* text keeps the * of a stem out. */
static int find_or_add(struct vocabulary *self, const char *text, size_t length, bool is_stem,
                       uint32_t *index)
{
    if (self->words.count * 2 >= self->words.room && table_grow(&self->words) != 0)
        return -1;
    if (!is_stem) {
        const struct slot *slot = slot_of(&self->words, self->entries, text, length);
        if (slot->entry != 0) {
            *index = slot->entry - 1;
            return 0;
        }
    }
    struct entry *entries = grown(self->entries, self->count, &self->room, sizeof *entries);
    char *copy = entries ? strndup(text, length) : NULL;
    if (entries)
        self->entries = entries;
    if (!copy)
        return -1;
    *index = (uint32_t)self->count++;
    self->entries[*index] =
        (struct entry){ .text = copy, .length = (uint32_t)length, .is_stem = is_stem };
    if (is_stem)
        return link_stem(self, *index);
    *slot_of(&self->words, self->entries, text, length) =
        (struct slot){ .key = key_of(text, length), .entry = *index + 1 };
    self->words.count++;
    return 0;
}

/* The entry of a stem that is known; count if none. */
static uint32_t find_stem(const struct vocabulary *self, const char *text, size_t length)
{
    if (self->stems.room == 0)
        return (uint32_t)self->count;
    uint32_t next = slot_of(&self->stems, self->entries, text, STEM_KEY_BYTES)->entry;
    while (next != 0) {
        const struct entry *entry = &self->entries[next - 1];
        if (entry->length == length && memcmp(entry->text, text, length) == 0)
            return next - 1;
        next = entry->next_stem;
    }
    return (uint32_t)self->count;
}

int vocabulary_add(struct vocabulary *self, const char *word, size_t length, uint32_t *id)
{
    assert(self && word && length > 0 && id);
    *id = VOCABULARY_ANY;
    if (length == 1 && word[0] == '?')
        return 0;
    bool is_stem = word[length - 1] == '*';
    length -= is_stem;
    assert(!is_stem || length >= STEM_KEY_BYTES);
    uint32_t index = is_stem ? find_stem(self, word, length) : 0;
    bool is_known_stem = is_stem && index < self->count;
    if (!is_known_stem && find_or_add(self, word, length, is_stem, &index) != 0)
        return -1;
    struct entry *entry = &self->entries[index];
    if (entry->id == NONE)
        entry->id = self->next_id++;
    *id = entry->id;
    return 0;
}

int vocabulary_add_variant(struct vocabulary *self, const char *variant, const char *word)
{
    uint32_t of = 0;
    uint32_t index = 0;
    struct variant *variants =
        grown(self->variants, self->variant_count, &self->variant_room, sizeof *variants);
    if (!variants)
        return -1;
    self->variants = variants;
    if (find_or_add(self, word, strlen(word), false, &of) != 0 ||
        find_or_add(self, variant, strlen(variant), false, &index) != 0)
        return -1;
    struct entry *entry = &self->entries[index];
    self->variants[self->variant_count++] = (struct variant){ of, entry->first_variant };
    entry->first_variant = (uint32_t)self->variant_count;
    return 0;
}

static void add_id(uint32_t id, uint32_t *ids, size_t *count, size_t most)
{
    for (size_t i = 0; i < *count; i++) {
        if (ids[i] == id)
            return;
    }
    if (*count < most)
        ids[(*count)++] = id;
}

/* A stem stands for letters after it, not for digits. */
static bool is_stem_of(const struct entry *stem, const char *word, size_t length)
{
    if (stem->length > length || memcmp(stem->text, word, stem->length) != 0)
        return false;
    for (size_t i = stem->length; i < length; i++) {
        if (word[i] >= '0' && word[i] <= '9')
            return false;
    }
    return true;
}

static void add_stems(const struct vocabulary *self, const char *word, size_t length, uint32_t *ids,
                      size_t *count, size_t most)
{
    if (length < STEM_KEY_BYTES || self->stems.room == 0)
        return;
    uint32_t next = slot_of(&self->stems, self->entries, word, STEM_KEY_BYTES)->entry;
    while (next != 0) {
        const struct entry *stem = &self->entries[next - 1];
        if (is_stem_of(stem, word, length))
            add_id(stem->id, ids, count, most);
        next = stem->next_stem;
    }
}

static void add_own(const struct vocabulary *self, const struct entry *entry, uint32_t *ids,
                    size_t *count, size_t most)
{
    if (entry->id != NONE)
        add_id(entry->id, ids, count, most);
    add_stems(self, entry->text, entry->length, ids, count, most);
}

static int seal_slot(struct vocabulary *self, struct slot *slot)
{
    uint32_t ids[VOCABULARY_IDS_MAX];
    size_t count = 0;
    const struct entry *entry = &self->entries[slot->entry - 1];
    add_own(self, entry, ids, &count, VOCABULARY_IDS_MAX);
    for (uint32_t next = entry->first_variant; next != 0; next = self->variants[next - 1].next)
        add_own(self, &self->entries[self->variants[next - 1].of], ids, &count, VOCABULARY_IDS_MAX);
    while (self->ids_count + count + 1 > self->ids_room) {
        uint32_t *more = grown(self->ids, self->ids_room, &self->ids_room, sizeof *more);
        if (!more)
            return -1;
        self->ids = more;
    }
    slot->ids = (uint32_t)self->ids_count;
    self->ids[self->ids_count++] = (uint32_t)count;
    if (count > 0)
        memcpy(self->ids + self->ids_count, ids, count * sizeof *ids);
    self->ids_count += count;
    return 0;
}

int vocabulary_seal(struct vocabulary *self)
{
    if (self->words.room == 0 && table_grow(&self->words) != 0)
        return -1;
    for (size_t i = 0; i < self->words.room; i++) {
        struct slot *slot = &self->words.slots[i];
        if (slot->entry != 0 && seal_slot(self, slot) != 0)
            return -1;
    }
    return 0;
}

size_t vocabulary_count(const struct vocabulary *self)
{
    return self->next_id;
}

size_t vocabulary_ids(const struct vocabulary *self, const char *word, size_t length, uint32_t *ids,
                      size_t most)
{
    size_t count = 0;
    const struct slot *slot = slot_of(&self->words, self->entries, word, length);
    if (slot->entry == 0) {
        add_stems(self, word, length, ids, &count, most);
        return count;
    }
    const uint32_t *known = self->ids + slot->ids;
    for (; count < known[0] && count < most; count++)
        ids[count] = known[1 + count];
    return count;
}
