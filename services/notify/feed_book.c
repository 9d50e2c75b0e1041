#include "notify/feed_book.h"

#include <stdlib.h>
#include <string.h>

#include "ids/ids.h"
#include "outward/feed_words.h"
#include "unpack/unpack.h"

typedef Desg__V1__BroadcastNews news_row;

static void free_row(news_row *row)
{
    desg__v1__broadcast_news__free_unpacked(row, NULL);
}

static void clear_rows(news_row ***rows, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        free_row((*rows)[i]);
    free(*rows);
    *rows = NULL;
    *count = 0;
}

void feed_book_clear(struct feed_book *self)
{
    clear_rows(&self->news, &self->count);
    clear_rows(&self->earlier, &self->earlier_count);
    memset(self, 0, sizeof *self);
}

static void append(news_row ***rows, size_t *count, news_row *row)
{
    news_row **grown = reallocarray(*rows, *count + 1, sizeof(news_row *));
    if (!grown)
        abort();
    grown[(*count)++] = row;
    *rows = grown;
}

/* --- what everyone may read --- */

static void set_text(char **field, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        abort();
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = copy;
}

void feed_book_make_public(news_row *news)
{
    Desg__V1__Broadcast *broadcast = news->broadcast;
    set_text(&broadcast->author, "");
    set_text(&broadcast->incident, "");
    for (size_t i = 0; i < broadcast->n_outlets; i++)
        free(broadcast->outlets[i]);
    free(broadcast->outlets);
    broadcast->outlets = NULL;
    broadcast->n_outlets = 0;
    if (broadcast->welsh_owed) {
        set_text(&broadcast->welsh_owed->by, "");
        set_text(&broadcast->welsh_owed->reason, "");
    }
    if (feed_is_withdrawn(broadcast, news->state))
        feed_withdraw(broadcast, news->state);
}

/* --- rows --- */

static bool is_over(const news_row *row)
{
    return row->state != DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED;
}

static bool is_same(const news_row *a, const news_row *b)
{
    return memcmp(a->broadcast->id.data, b->broadcast->id.data, ID_BYTES) == 0;
}

/* Further on: a higher version, or the same and over. */
static bool is_further(const news_row *a, const news_row *b)
{
    if (a->broadcast->version != b->broadcast->version)
        return a->broadcast->version > b->broadcast->version;
    return is_over(a) && !is_over(b);
}

static bool is_public_state(Desg__V1__BroadcastState state)
{
    return state == DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED ||
           state == DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED ||
           state == DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED;
}

/* NULL: not one that can be told. */
static news_row *read_row(const uint8_t *bytes, size_t length)
{
    news_row *row = unpack_or_end(&desg__v1__broadcast_news__descriptor, bytes, length);
    if (row && row->broadcast && row->broadcast->id.len == ID_BYTES &&
        row->broadcast->version > 0 && is_public_state(row->state))
        return row;
    if (row)
        free_row(row);
    return NULL;
}

static news_row **find(struct feed_book *self, const news_row *like)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->news[i] && is_same(self->news[i], like))
            return &self->news[i];
    return NULL;
}

static bool goes_to(const Desg__V1__Broadcast *broadcast, const char *outlet)
{
    for (size_t i = 0; outlet && i < broadcast->n_outlets; i++)
        if (strcmp(broadcast->outlets[i], outlet) == 0)
            return true;
    return !outlet;
}

/* Over for so long that nobody needs to hear of it. */
static bool is_past(const news_row *row, int64_t keep_ms, int64_t now_ms)
{
    int64_t over_ms = is_over(row) ? row->at_ms : row->broadcast->expires_at_ms;
    return over_ms + keep_ms < now_ms;
}

/* Kept from before: its number belongs to another count. */
static void restamp(struct feed_book *self, news_row *row)
{
    if (row->epoch.len == sizeof self->epoch &&
        memcmp(row->epoch.data, self->epoch, sizeof self->epoch) == 0)
        return;
    row->sequence = 0;
    free(row->epoch.data);
    row->epoch.data = malloc(sizeof self->epoch);
    if (!row->epoch.data)
        abort();
    memcpy(row->epoch.data, self->epoch, sizeof self->epoch);
    row->epoch.len = sizeof self->epoch;
}

/* --- taking --- */

/* Of those replaced: none of an appeal that is over, none of a broadcast that is gone. */
static void tidy_earlier(struct feed_book *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->earlier_count; i++) {
        news_row *row = self->earlier[i];
        news_row **now = find(self, row);
        size_t newer = self->earlier_count - i; /* at the end lie those replaced last */
        if (now && !feed_is_withdrawn((*now)->broadcast, (*now)->state) &&
            newer <= FEED_BOOK_EARLIER_MAX)
            self->earlier[kept++] = row;
        else
            free_row(row);
    }
    self->earlier_count = kept;
}

/* Takes row, or what we had of it where that is further on. Says what was replaced. */
static news_row *choose(struct feed_book *self, news_row *row)
{
    news_row **had = find(self, row);
    if (!had)
        return row;
    news_row *old = *had;
    *had = NULL;
    if (is_further(old, row)) {
        free_row(row);
        return old;
    }
    if (old->broadcast->version < row->broadcast->version)
        append(&self->earlier, &self->earlier_count, old);
    else
        free_row(old);
    return row;
}

static int newest_first(const void *one, const void *other)
{
    const news_row *a = *(news_row *const *)one;
    const news_row *b = *(news_row *const *)other;
    if (a->at_ms != b->at_ms)
        return a->at_ms > b->at_ms ? -1 : 1;
    return memcmp(a->broadcast->id.data, b->broadcast->id.data, ID_BYTES);
}

/* Puts rows in the place of what is left of the old ones; keeps those if asked to. */
static void replace(struct feed_book *self, news_row **rows, size_t count, bool keeps_old)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->news[i] && keeps_old)
            append(&rows, &count, self->news[i]);
        else if (self->news[i])
            free_row(self->news[i]);
    }
    free(self->news);
    if (count > 0)
        qsort(rows, count, sizeof(news_row *), newest_first);
    for (; count > FEED_BOOK_MAX; count--)
        free_row(rows[count - 1]);
    self->news = rows;
    self->count = count;
    for (size_t i = 0; i < count; i++)
        restamp(self, rows[i]);
}

static void note_epoch(struct feed_book *self, const struct store_news *news, int64_t now_ms)
{
    if (self->read_at_ms == 0)
        self->epoch_since_ms = now_ms - FEED_REBUILD_MS; /* nothing was known before */
    else if (memcmp(self->epoch, news->epoch, sizeof self->epoch) != 0)
        self->epoch_since_ms = now_ms;
    memcpy(self->epoch, news->epoch, sizeof self->epoch);
    self->sequence = news->sequence;
    self->read_at_ms = now_ms;
}

size_t feed_book_take(struct feed_book *self, const struct store_news *news,
                      const struct feed_book_rules *rules, int64_t now_ms)
{
    news_row **rows = NULL;
    size_t count = 0;
    size_t unread = 0;
    note_epoch(self, news, now_ms);
    for (size_t i = 0; i < news->count; i++) {
        news_row *row = read_row(news->rows[i].bytes, news->rows[i].length);
        if (!row) {
            unread++;
            continue;
        }
        /* Who has read a version of it here reads the next one here, too. */
        if (!goes_to(row->broadcast, rules->outlet) && !find(self, row)) {
            free_row(row);
            continue;
        }
        feed_book_make_public(row);
        append(&rows, &count, choose(self, row));
    }
    replace(self, rows, count, now_ms - self->epoch_since_ms < FEED_REBUILD_MS);
    (void)feed_book_age(self, rules->keep_ms, now_ms);
    return unread;
}

bool feed_book_age(struct feed_book *self, int64_t keep_ms, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (is_past(self->news[i], keep_ms, now_ms))
            free_row(self->news[i]);
        else
            self->news[kept++] = self->news[i];
    }
    bool is_changed = kept != self->count;
    self->count = kept;
    tidy_earlier(self);
    return is_changed;
}

/* --- bytes --- */

static Desg__V1__Snapshot snapshot_of(const struct feed_book *self, news_row **rows, size_t count)
{
    Desg__V1__Snapshot snapshot = DESG__V1__SNAPSHOT__INIT;
    snapshot.epoch.data = (uint8_t *)self->epoch;
    snapshot.epoch.len = sizeof self->epoch;
    snapshot.sequence = self->sequence;
    snapshot.broadcasts = rows;
    snapshot.n_broadcasts = count;
    return snapshot;
}

uint8_t *feed_book_snapshot(const struct feed_book *self, size_t *length)
{
    Desg__V1__Snapshot snapshot = snapshot_of(self, self->news, self->count);
    *length = desg__v1__snapshot__get_packed_size(&snapshot);
    uint8_t *bytes = malloc(*length + 1);
    if (!bytes)
        abort();
    (void)desg__v1__snapshot__pack(&snapshot, bytes);
    return bytes;
}

/* When it was read and how long the first snapshot is; then two: in force, and replaced. */
struct head {
    int64_t read_at_ms;
    uint64_t first_length;
};

uint8_t *feed_book_pack(const struct feed_book *self, size_t *length)
{
    Desg__V1__Snapshot now = snapshot_of(self, self->news, self->count);
    Desg__V1__Snapshot before = snapshot_of(self, self->earlier, self->earlier_count);
    struct head head = { self->read_at_ms, desg__v1__snapshot__get_packed_size(&now) };
    size_t before_length = desg__v1__snapshot__get_packed_size(&before);
    *length = sizeof head + head.first_length + before_length;
    uint8_t *bytes = malloc(*length);
    if (!bytes)
        abort();
    memcpy(bytes, &head, sizeof head);
    (void)desg__v1__snapshot__pack(&now, bytes + sizeof head);
    (void)desg__v1__snapshot__pack(&before, bytes + sizeof head + head.first_length);
    return bytes;
}

/* Rows that can be told, out of the snapshot. */
static void move_rows(Desg__V1__Snapshot *from, news_row ***rows, size_t *count)
{
    for (size_t i = 0; i < from->n_broadcasts; i++) {
        news_row *row = from->broadcasts[i];
        bool is_good = row->broadcast && row->broadcast->id.len == ID_BYTES &&
                       row->broadcast->version > 0 && is_public_state(row->state);
        if (is_good)
            append(rows, count, row);
        else
            free_row(row);
    }
    from->n_broadcasts = 0;
}

int feed_book_unpack(const uint8_t *bytes, size_t length, struct feed_book *out, struct error *err)
{
    struct head head;
    if (length < sizeof head)
        return error_set(err, ERROR_INVALID, "%zu bytes are too few", length);
    memcpy(&head, bytes, sizeof head);
    if (head.first_length > length - sizeof head || head.read_at_ms <= 0)
        return error_set(err, ERROR_INVALID, "its parts are longer than the whole");
    const uint8_t *second = bytes + sizeof head + head.first_length;
    Desg__V1__Snapshot *now = unpack_or_end(&desg__v1__snapshot__descriptor, bytes + sizeof head,
                                            (size_t)head.first_length);
    Desg__V1__Snapshot *before = unpack_or_end(&desg__v1__snapshot__descriptor, second,
                                               length - sizeof head - (size_t)head.first_length);
    bool is_good = now && before && now->epoch.len == sizeof out->epoch;
    if (is_good) {
        feed_book_clear(out);
        memcpy(out->epoch, now->epoch.data, sizeof out->epoch);
        out->sequence = now->sequence;
        out->read_at_ms = head.read_at_ms;
        move_rows(now, &out->news, &out->count);
        move_rows(before, &out->earlier, &out->earlier_count);
    }
    if (now)
        desg__v1__snapshot__free_unpacked(now, NULL);
    if (before)
        desg__v1__snapshot__free_unpacked(before, NULL);
    return is_good ? 0 : error_set(err, ERROR_INVALID, "it holds no snapshot");
}
