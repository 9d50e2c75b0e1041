#include "ingest/stored_since.h"

enum { PAGE_MAX_BYTES = 4 << 20 };

uint64_t stored_since(struct journal *journal, int64_t at_ms, struct journal_page *page)
{
    struct journal_stats stats;
    journal_stats(journal, &stats);
    uint64_t low = stats.oldest_sequence;
    uint64_t high = stats.newest_sequence + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct error err = { 0 };
        if (journal_read(journal, middle, 1, PAGE_MAX_BYTES, page, &err) != 0)
            return 0;
        bool is_later = page->count == 0 || page->records[0].stored_at_ms >= at_ms;
        uint64_t found = page->count > 0 ? page->records[0].sequence : middle;
        journal_page_clear(page);
        if (is_later)
            high = middle;
        else
            low = found + 1;
    }
    return low;
}
