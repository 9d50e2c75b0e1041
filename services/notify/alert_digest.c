#include <stdlib.h>
#include <string.h>

#include "notify/alert_book_inside.h"
#include "unpack/unpack.h"

enum { ACCOUNT_BYTES = 256 };

/* Members of a digest to come, of one account. */
struct gather {
    char channel[ACCOUNT_BYTES];
    char account[ACCOUNT_BYTES];
    int64_t first_ms;
    size_t count;
    struct id ids[ALERT_DIGEST_MAX_MEMBERS];
    struct gather *next;
};

static void account_of(const Desg__V1__Alert *alert, char channel[static ACCOUNT_BYTES],
                       char account[static ACCOUNT_BYTES])
{
    channel[0] = account[0] = '\0';
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, alert->event.data, alert->event.len);
    if (!event)
        return;
    strncat(channel, event->channel, ACCOUNT_BYTES - 1);
    strncat(account, event->account, ACCOUNT_BYTES - 1);
    desg__v1__event__free_unpacked(event, NULL);
}

void gather_add(struct alert_book *self, const struct alert_entry *entry, int64_t now_ms)
{
    char channel[ACCOUNT_BYTES];
    char account[ACCOUNT_BYTES];
    account_of(entry->alert, channel, account);
    struct gather *gather = self->gathers;
    while (gather &&
           (gather->count == ALERT_DIGEST_MAX_MEMBERS || strcmp(gather->channel, channel) != 0 ||
            strcmp(gather->account, account) != 0))
        gather = gather->next;
    if (!gather) {
        gather = calloc(1, sizeof *gather);
        if (!gather)
            abort();
        memcpy(gather->channel, channel, sizeof channel);
        memcpy(gather->account, account, sizeof account);
        gather->first_ms = now_ms;
        gather->next = self->gathers;
        self->gathers = gather;
    }
    gather->ids[gather->count++] = entry->id;
}

void gather_remove(struct alert_book *self, const struct id *id)
{
    for (struct gather *gather = self->gathers; gather; gather = gather->next)
        for (size_t i = 0; i < gather->count; i++)
            if (memcmp(gather->ids[i].bytes, id->bytes, ID_BYTES) == 0) {
                gather->count--;
                memmove(&gather->ids[i], &gather->ids[i + 1],
                        (gather->count - i) * sizeof gather->ids[0]);
                return; /* an emptied gather goes when it is due */
            }
}

struct alert_entry *digest_add(struct alert_book *self, const Desg__V1__AlertDigest *digest,
                               int64_t opened_ms, int64_t opened_unix_ms)
{
    struct id id;
    memcpy(id.bytes, digest->digest_id.data, ID_BYTES);
    if (alert_table_find(&self->table, &id))
        return NULL;
    struct alert_entry *entry = alert_table_add(&self->table, &id);
    entry->digest = unpack_copy(&digest->base);
    entry->kind = ALERT_DIGEST;
    entry->opened_ms = opened_ms;
    entry->opened_unix_ms = opened_unix_ms;
    entry->storage = ALERT_STORING;
    alert_table_set_live(&self->table, entry, true);
    book_want(entry, ALERT_RAISED, 0, opened_ms);
    for (size_t i = 0; i < entry->digest->n_alert_ids; i++) {
        struct alert_entry *member =
            alert_table_find_bytes(&self->table, entry->digest->alert_ids[i].data);
        if (!member)
            continue;
        member->has_digest = true;
        member->digest_id = id;
        if (member->opened_ms < entry->opened_ms)
            entry->opened_ms = member->opened_ms; /* the ladder counts from the first word */
    }
    return entry;
}

/* The time is part of its body, so it is of its key too: the same members may be gathered again by
 * the replica that takes them over. */
static struct id digest_id(const struct gather *gather, int64_t now_unix_ms)
{
    struct id seeds[ALERT_DIGEST_MAX_MEMBERS + 1] = { 0 };
    memcpy(seeds, gather->ids, gather->count * sizeof gather->ids[0]);
    for (size_t i = 0; i < sizeof now_unix_ms; i++)
        seeds[gather->count].bytes[i] = (uint8_t)((uint64_t)now_unix_ms >> (8 * i));
    return id_of_digest(seeds, gather->count + 1);
}

static struct alert_entry *digest_make(struct alert_book *self, struct gather *gather,
                                       int64_t now_ms, int64_t now_unix_ms)
{
    struct id id = digest_id(gather, now_unix_ms);
    ProtobufCBinaryData named[ALERT_DIGEST_MAX_MEMBERS];
    for (size_t i = 0; i < gather->count; i++)
        named[i] = (ProtobufCBinaryData){ ID_BYTES, gather->ids[i].bytes };
    Desg__V1__AlertDigest digest = DESG__V1__ALERT_DIGEST__INIT;
    digest.digest_id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
    digest.channel = gather->channel;
    digest.account = gather->account;
    digest.n_alert_ids = gather->count;
    digest.alert_ids = named;
    digest.at_ms = now_unix_ms;
    return digest_add(self, &digest, now_ms, now_unix_ms);
}

void gather_clear(struct alert_book *self)
{
    while (self->gathers) {
        struct gather *gather = self->gathers;
        self->gathers = gather->next;
        free(gather);
    }
}

static bool is_gather_due(const struct gather *gather, int64_t now_ms)
{
    return gather->count == 0 || gather->count == ALERT_DIGEST_MAX_MEMBERS ||
           now_ms - gather->first_ms >= ALERT_DIGEST_AFTER_MS;
}

int64_t gather_due_ms(const struct alert_book *self, int64_t now_ms)
{
    int64_t due_ms = INT64_MAX;
    for (const struct gather *gather = self->gathers; gather; gather = gather->next) {
        int64_t at_ms =
            is_gather_due(gather, now_ms) ? now_ms : gather->first_ms + ALERT_DIGEST_AFTER_MS;
        due_ms = at_ms < due_ms ? at_ms : due_ms;
    }
    return due_ms;
}

bool alert_book_next_digest(struct alert_book *self, int64_t now_ms, int64_t now_unix_ms,
                            struct alert_entry **out)
{
    struct gather **link = &self->gathers;
    while (*link) {
        struct gather *gather = *link;
        if (!is_gather_due(gather, now_ms)) {
            link = &gather->next;
            continue;
        }
        *link = gather->next;
        struct alert_entry *entry =
            gather->count > 0 ? digest_make(self, gather, now_ms, now_unix_ms) : NULL;
        free(gather);
        if (!entry)
            continue;
        *out = entry;
        return true;
    }
    return false;
}
