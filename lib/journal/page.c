#include "journal/page.h"

#include <stdlib.h>
#include <string.h>

/* Memory of a page: blocks, freed together. */
struct block {
    struct block *next;
    size_t used;
    size_t capacity;
    uint8_t data[] __attribute__((aligned(16)));
};

enum { BLOCK_BYTES = 64 << 10 };

void *page_allocate(struct journal_page *page, size_t bytes)
{
    bytes = (bytes + 15) / 16 * 16;
    struct block *block = page->memory;
    if (!block || block->capacity - block->used < bytes) {
        size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = malloc(sizeof *block + capacity);
        if (!block)
            return NULL;
        block->next = page->memory;
        block->used = 0;
        block->capacity = capacity;
        page->memory = block;
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    return memory;
}

void journal_page_clear(struct journal_page *page)
{
    struct block *block = page->memory;
    while (block) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    page->memory = NULL;
    page->count = 0;
}

struct journal_note *page_add_note(struct journal_page *page, struct journal_record *record)
{
    size_t count = record->note_count;
    struct journal_note *notes = (struct journal_note *)record->notes;
    if ((count & (count - 1)) == 0) { /* full at 0, 1, 2, 4, 8… */
        notes = page_allocate(page, (count ? 2 * count : 1) * sizeof *notes);
        if (!notes)
            return NULL;
        if (count)
            memcpy(notes, record->notes, count * sizeof *notes);
        record->notes = notes;
    }
    record->note_count++;
    return &notes[count];
}
