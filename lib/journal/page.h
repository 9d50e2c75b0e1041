/* page - memory of a page of records, freed together by journal_page_clear. Threads: the owner's.
 */
#ifndef DESG_JOURNAL_PAGE_H
#define DESG_JOURNAL_PAGE_H

#include <stddef.h>

#include "journal/journal.h"

/* NULL: no memory. */
void *page_allocate(struct journal_page *page, size_t bytes);

/* Room for one more note of record. NULL: no memory. */
struct journal_note *page_add_note(struct journal_page *page, struct journal_record *record);

#endif
