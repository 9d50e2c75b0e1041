#include "notify/fact_journal.h"

#include <stdlib.h>

#include "unpack/unpack.h"

enum { PAGE_BYTES = 4 << 20 };

int fact_journal_append(struct journal *journal, uint16_t kind, const ProtobufCMessage *fact,
                        journal_stored *done, void *arg, struct error *err)
{
    size_t length = protobuf_c_message_get_packed_size(fact);
    uint8_t *bytes = malloc(length + 1);
    if (!bytes)
        return error_set(err, ERROR_UNAVAILABLE, "no memory for a fact of %zu bytes", length);
    (void)protobuf_c_message_pack(fact, bytes);
    int rc = journal_append(journal, kind, bytes, length, done, arg, err);
    free(bytes);
    return rc;
}

int fact_journal_read(struct journal *journal,
                      void (*visit)(void *arg, const struct journal_record *record), void *arg,
                      struct error *err)
{
    struct journal_page *page = malloc(sizeof *page);
    if (!page)
        return error_set(err, ERROR_SYSTEM, "no memory to read the journal");
    uint64_t from = 1;
    int rc = 0;
    for (;;) {
        rc = journal_read(journal, from, JOURNAL_PAGE_MAX_RECORDS, PAGE_BYTES, page, err);
        if (rc != 0 || page->count == 0)
            break;
        for (size_t i = 0; i < page->count; i++)
            visit(arg, &page->records[i]);
        from = page->records[page->count - 1].sequence + 1;
        journal_page_clear(page);
    }
    if (rc == 0)
        journal_page_clear(page);
    free(page);
    return rc;
}

void *fact_journal_fact(const struct journal_record *record, uint16_t kind,
                        const ProtobufCMessageDescriptor *descriptor)
{
    if (record->kind != kind || record->is_damaged)
        return NULL;
    return unpack_or_end(descriptor, record->body, record->body_bytes);
}

int64_t fact_journal_stored_ms(const struct journal_record *record, int64_t now_ms,
                               int64_t now_unix_ms)
{
    int64_t age_ms = now_unix_ms > record->stored_at_ms ? now_unix_ms - record->stored_at_ms : 0;
    return now_ms - age_ms;
}
