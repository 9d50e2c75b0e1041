/* The audit log for auditors: the records as they were hashed, so that anybody can recompute the
 * chain, and what they say. */
#include <stdlib.h>
#include <string.h>

#include "desk/api.h"

enum { RECORDS_MAX = 1000, LINKS_LOOKED_AT = 20000, BYTES_MAX = 4 << 20 };

struct audit_page {
    json_t *records;
    uint64_t from;
    int64_t since_ms;
    const char *agent; /* NULL: all */
    size_t limit;
    size_t looked_at;
    size_t bytes;
    uint64_t next; /* 0: that was all */
};

static json_t *describe_link(const struct chain_link *link)
{
    char previous[2 * CRYPTO_SHA256_BYTES + 1] = "";
    char hash[2 * CRYPTO_SHA256_BYTES + 1];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char *bytes = malloc(2 * link->length + 1);
    if (!bytes)
        abort(); /* at most twice a body */
    crypto_sha256(link->bytes, link->length, digest);
    crypto_hex(digest, sizeof digest, hash);
    crypto_hex(link->bytes, link->length, bytes);
    if (link->record->previous.len == CRYPTO_SHA256_BYTES)
        crypto_hex(link->record->previous.data, link->record->previous.len, previous);
    json_t *row = json_pack("{s:I, s:s, s:s, s:s, s:I}", "number", (json_int_t)link->record->number,
                            "previous", previous, "hash", hash, "record", bytes, "sequence",
                            (json_int_t)link->sequence);
    if (link->fact)
        (void)json_object_set_new(row, "fact", fact_describe(link->fact));
    free(bytes);
    return row;
}

static bool is_wanted(const struct audit_page *page, const struct chain_link *link)
{
    if (!link->bytes) /* a hole is everybody's business */
        return true;
    if (link->record->number < page->from)
        return false;
    if (link->fact && link->fact->at_ms < page->since_ms)
        return false;
    return !page->agent || (link->fact && strcmp(link->fact->agent, page->agent) == 0);
}

static bool add_link(void *arg, const struct chain_link *link)
{
    struct audit_page *page = arg;
    uint64_t number = link->bytes ? link->record->number : 0;
    bool is_full = json_array_size(page->records) >= page->limit || page->bytes > BYTES_MAX ||
                   page->looked_at >= LINKS_LOOKED_AT;
    if (is_full && number > 0) {
        page->next = number;
        return false;
    }
    page->looked_at++;
    if (!is_wanted(page, link))
        return true;
    page->bytes += 2 * link->length + 512;
    json_t *row =
        link->bytes ? describe_link(link)
                    : json_pack("{s:b, s:I}", "damaged", 1, "sequence", (json_int_t)link->sequence);
    (void)json_array_append_new(page->records, row); /* without memory the chain does not verify */
    return true;
}

static int note_view(struct api_call *call)
{
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Viewed viewed = DESG__V1__VIEWED__INIT;
    viewed.what = (char *)"audit";
    fact.what_case = DESG__V1__FACT__WHAT_VIEWED;
    fact.viewed = &viewed;
    return api_fact_note(call, &fact);
}

void api_audit(struct api_call *call)
{
    struct error err = { 0 };
    struct chain_head head;
    char source[ID_TEXT_BYTES];
    char hash[2 * CRYPTO_SHA256_BYTES + 1];
    uint64_t since_ms = 0;
    struct audit_page page = { .agent = api_query(call, "agent") };
    if (!api_limit(call, RECORDS_MAX, &page.limit) || !api_query_number(call, "from", &page.from) ||
        !api_query_number(call, "since", &since_ms) || note_view(call) != 0)
        return;
    page.since_ms = (int64_t)since_ms;
    page.records = json_array();
    if (chain_read(call->api->chain, page.from, add_link, &page, &err) != 0) {
        json_decref(page.records);
        api_unavailable(call, &err);
        return;
    }
    chain_head(call->api->chain, &head);
    crypto_hex(head.hash, sizeof head.hash, hash);
    id_text(call->api->source.bytes, source);
    json_t *answer =
        json_pack("{s:s, s:s, s:{s:I, s:s}, s:o}", "desk", call->api->name, "source", source,
                  "head", "number", (json_int_t)head.number, "hash", hash, "records", page.records);
    (void)json_object_set_new(answer, "next",
                              page.next ? json_integer((json_int_t)page.next) : json_null());
    api_answer(call, 200, answer);
}
