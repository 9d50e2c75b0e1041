#include "cli/audit_chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desg/v1/fact.pb-c.h"
#include "unpack/unpack.h"

enum { NAME_BYTES = 65, RECORD_MAX_BYTES = 8 << 20 };

/* What this desk wrote of another's chain. */
struct seen_head {
    struct id source;
    uint64_t number;
    uint8_t hash[CRYPTO_SHA256_BYTES];
    uint64_t at; /* number of the record that says so */
};

struct audit_chain {
    char desk[NAME_BYTES];
    struct id source;
    uint64_t first;  /* number; 0: none yet */
    size_t count;    /* hashes */
    uint64_t number; /* the last one */
    uint8_t hash[CRYPTO_SHA256_BYTES];
    uint8_t (*hashes)[CRYPTO_SHA256_BYTES]; /* from first on, where the chain is whole */
    struct seen_head *heads;
    size_t head_count;
    char problem[AUDIT_PROBLEM_BYTES]; /* "": whole */
};

static void *must(void *memory)
{
    if (!memory)
        abort(); /* a command that cannot hold the chain cannot judge it */
    return memory;
}

struct audit_chain *audit_chain_new(const char *desk, const struct id *source)
{
    struct audit_chain *self = must(calloc(1, sizeof *self));
    (void)snprintf(self->desk, sizeof self->desk, "%s", desk);
    self->source = *source;
    return self;
}

void audit_chain_destroy(struct audit_chain **self_p)
{
    if (*self_p) {
        free((*self_p)->hashes);
        free((*self_p)->heads);
    }
    free(*self_p);
    *self_p = NULL;
}

static void note_break(struct audit_chain *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note_break(struct audit_chain *self, const char *format, ...)
{
    va_list arguments;
    if (self->problem[0] != '\0')
        return;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(self->problem, sizeof self->problem, format, arguments);
    va_end(arguments);
}

static void note_heads(struct audit_chain *self, const Desg__V1__AuditRecord *record)
{
    Desg__V1__Fact *fact =
        unpack_or_end(&desg__v1__fact__descriptor, record->fact.data, record->fact.len);
    bool has_heads = fact && fact->what_case == DESG__V1__FACT__WHAT_HEADS;
    for (size_t i = 0; has_heads && i < fact->heads->n_heads; i++) {
        const Desg__V1__Head *head = fact->heads->heads[i];
        if (head->source.len != ID_BYTES || head->hash.len != CRYPTO_SHA256_BYTES)
            continue;
        self->heads = must(realloc(self->heads, (self->head_count + 1) * sizeof *self->heads));
        struct seen_head *seen = &self->heads[self->head_count++];
        *seen = (struct seen_head){ .number = head->number, .at = record->number };
        memcpy(seen->source.bytes, head->source.data, ID_BYTES);
        memcpy(seen->hash, head->hash.data, CRYPTO_SHA256_BYTES);
    }
    desg__v1__fact__free_unpacked(fact, NULL);
}

static void check_link(struct audit_chain *self, const Desg__V1__AuditRecord *record)
{
    static const uint8_t zeros[CRYPTO_SHA256_BYTES];
    bool is_first = self->first == 0;
    const uint8_t *expected = is_first ? zeros : self->hash;
    bool starts = is_first && record->number > 1; /* what lies before is older than is kept */
    if (!is_first && record->number != self->number + 1)
        note_break(self, "record %" PRIu64 " follows record %" PRIu64, record->number,
                   self->number);
    else if (!starts && (record->previous.len != CRYPTO_SHA256_BYTES ||
                         memcmp(record->previous.data, expected, CRYPTO_SHA256_BYTES) != 0))
        note_break(self, "record %" PRIu64 " does not carry the hash of record %" PRIu64,
                   record->number, record->number - 1);
}

static void take_record(struct audit_chain *self, const Desg__V1__AuditRecord *record,
                        const uint8_t *bytes, size_t length)
{
    check_link(self, record);
    crypto_sha256(bytes, length, self->hash);
    if (self->first == 0)
        self->first = record->number;
    self->number = record->number;
    if (self->problem[0] == '\0') {
        if ((self->count & (self->count - 1)) == 0)
            self->hashes = must(
                realloc(self->hashes, (self->count ? 2 * self->count : 1) * sizeof *self->hashes));
        memcpy(self->hashes[self->count], self->hash, CRYPTO_SHA256_BYTES);
    }
    self->count++;
    note_heads(self, record);
}

void audit_chain_add(struct audit_chain *self, const json_t *row)
{
    json_int_t sequence = json_integer_value(json_object_get(row, "sequence"));
    const char *text = json_string_value(json_object_get(row, "record"));
    size_t length = text ? strlen(text) / 2 : 0;
    if (!text || length > RECORD_MAX_BYTES) {
        note_break(self,
                   "behind record %" PRIu64 ", at place %lld of the journal, a record cannot "
                   "be read",
                   self->number, (long long)sequence);
        return;
    }
    uint8_t *bytes = must(malloc(length + 1));
    Desg__V1__AuditRecord *record = NULL;
    if (crypto_unhex(text, strlen(text), bytes, length))
        record = unpack_or_end(&desg__v1__audit_record__descriptor, bytes, length);
    if (record)
        take_record(self, record, bytes, length);
    else
        note_break(self, "behind record %" PRIu64 ", at place %lld of the journal, is no record",
                   self->number, (long long)sequence);
    desg__v1__audit_record__free_unpacked(record, NULL);
    free(bytes);
}

/* The hash of a record where the chain is known to be whole; NULL: not there. */
static const uint8_t *hash_of(const struct audit_chain *self, uint64_t number)
{
    if (self->first == 0 || number < self->first || number > self->number ||
        self->problem[0] != '\0')
        return NULL;
    return self->hashes[number - self->first];
}

void audit_chain_end(struct audit_chain *self, const json_t *head)
{
    uint64_t number = (uint64_t)json_integer_value(json_object_get(head, "number"));
    const char *text = json_string_value(json_object_get(head, "hash"));
    uint8_t hash[CRYPTO_SHA256_BYTES];
    if (number > self->number) {
        note_break(self, "it ends at record %" PRIu64 ", but the desk is at %" PRIu64, self->number,
                   number);
        return;
    }
    const uint8_t *found = hash_of(self, number);
    if (found && text && crypto_unhex(text, strlen(text), hash, sizeof hash) &&
        memcmp(found, hash, sizeof hash) != 0)
        note_break(self, "record %" PRIu64 " is not the one the desk ended with", number);
}

static void compare_head(struct audit_chain *chain, const struct audit_chain *teller,
                         const struct seen_head *seen)
{
    if (seen->number > chain->number) {
        note_break(chain,
                   "it ends at record %" PRIu64 ", but %s saw record %" PRIu64
                   " (its own record %" PRIu64 ")",
                   chain->number, teller->desk, seen->number, seen->at);
        return;
    }
    const uint8_t *hash = hash_of(chain, seen->number);
    if (hash && memcmp(hash, seen->hash, CRYPTO_SHA256_BYTES) != 0)
        note_break(chain, "record %" PRIu64 " is not the one %s saw (its own record %" PRIu64 ")",
                   seen->number, teller->desk, seen->at);
}

static struct audit_chain *find_chain(struct audit_chain *const *chains, size_t count,
                                      const struct id *source)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&chains[i]->source, source, sizeof *source) == 0)
            return chains[i];
    return NULL;
}

void audit_chains_compare(struct audit_chain *const *chains, size_t count, size_t *unread)
{
    *unread = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t h = 0; h < chains[i]->head_count; h++) {
            const struct seen_head *seen = &chains[i]->heads[h];
            struct audit_chain *chain = find_chain(chains, count, &seen->source);
            if (chain)
                compare_head(chain, chains[i], seen);
            else
                (*unread)++;
        }
}

json_t *audit_chain_describe(const struct audit_chain *self)
{
    char source[ID_TEXT_BYTES];
    id_text(self->source.bytes, source);
    json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I}", "desk", self->desk, "source", source,
                            "records", (json_int_t)self->count, "first", (json_int_t)self->first,
                            "last", (json_int_t)self->number);
    (void)json_object_set_new(row, "break",
                              self->problem[0] ? json_string(self->problem) : json_null());
    return row;
}

bool audit_chain_is_whole(const struct audit_chain *self)
{
    return self->problem[0] == '\0';
}
