#include "desk/chain.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"
#include "log/log.h"
#include "unpack/unpack.h"

enum {
    GROUP_MAX_FACTS = 256,
    GROUP_MAX_BYTES = 1 << 20,
    WAITING_MAX_BYTES = 16 << 20,
    APPEND_DEADLINE_MS = 5000,
    TURN_MS = 500, /* the heartbeat wants a beat a second */
    RETENTION_TURN_MS = 60 * 1000,
    PAGE_BYTES = 1 << 20,
    RELEASE_PAGES = 16 /* a turn */
};

enum entry_state { ENTRY_WAITING, ENTRY_STORED, ENTRY_FAILED };

/* One fact to be stored. Two hold it: who waits for it, and the thread until it is answered. */
struct entry {
    struct entry *next;
    enum entry_state state;
    bool is_left; /* whoever waited has given up */
    uint64_t sequence;
    struct error why;
    size_t length;
    uint8_t fact[];
};

enum flight { FLIGHT_NONE, FLIGHT_UNDER_WAY, FLIGHT_STORED, FLIGHT_FAILED };

struct chain {
    struct chain_options options;
    struct counter *stored_total;
    struct counter *failed_total;
    struct gauge *damaged;
    struct gauge *number;
    pthread_t thread;
    bool has_thread;
    int64_t released_at_ms;  /* the thread's own */
    bool is_head_known;      /* the thread's own */
    pthread_mutex_t lock;    /* guards all below */
    pthread_cond_t work;     /* for the thread */
    pthread_cond_t answered; /* for those who wait */
    struct entry *first;
    struct entry **end;
    size_t waiting_bytes;
    struct entry *group; /* being stored */
    enum flight flight;
    uint64_t flight_sequence;
    struct chain_head head;
    bool is_stopping;
};

/* --- reading --- */

static bool show_record(const struct journal_record *record, const ProtobufCBinaryData *bytes,
                        bool (*visit)(void *arg, const struct chain_link *link), void *arg)
{
    Desg__V1__AuditRecord *audit =
        unpack_or_end(&desg__v1__audit_record__descriptor, bytes->data, bytes->len);
    Desg__V1__Fact *fact =
        audit ? unpack_or_end(&desg__v1__fact__descriptor, audit->fact.data, audit->fact.len)
              : NULL;
    const struct chain_link link = {
        .sequence = record->sequence,
        .stored_at_ms = record->stored_at_ms,
        .bytes = audit ? bytes->data : NULL,
        .length = audit ? bytes->len : 0,
        .record = audit,
        .fact = fact,
    };
    bool goes_on = visit(arg, &link);
    desg__v1__fact__free_unpacked(fact, NULL);
    desg__v1__audit_record__free_unpacked(audit, NULL);
    return goes_on;
}

bool chain_open(const struct journal_record *record,
                bool (*visit)(void *arg, const struct chain_link *link), void *arg)
{
    Desg__V1__AuditGroup *group =
        record->is_damaged
            ? NULL
            : unpack_or_end(&desg__v1__audit_group__descriptor, record->body, record->body_bytes);
    if (!group) {
        const struct chain_link damaged = { .sequence = record->sequence,
                                            .stored_at_ms = record->stored_at_ms };
        return visit(arg, &damaged);
    }
    bool goes_on = true;
    for (size_t i = 0; i < group->n_records && goes_on; i++)
        goes_on = show_record(record, &group->records[i], visit, arg);
    desg__v1__audit_group__free_unpacked(group, NULL);
    return goes_on;
}

int chain_read_at(struct chain *self, uint64_t sequence,
                  bool (*visit)(void *arg, const struct chain_link *link), void *arg,
                  struct error *err)
{
    for (bool goes_on = true; goes_on;) {
        struct journal_page page = { 0 };
        if (journal_read(self->options.journal, sequence, JOURNAL_PAGE_MAX_RECORDS, PAGE_BYTES,
                         &page, err) != 0)
            return -1;
        goes_on = page.count > 0;
        for (size_t i = 0; i < page.count && goes_on; i++) {
            goes_on = chain_open(&page.records[i], visit, arg);
            sequence = page.records[i].sequence + 1;
        }
        journal_page_clear(&page);
    }
    return 0;
}

struct first_number {
    uint64_t number; /* 0: none found */
    uint64_t sequence;
    uint64_t last; /* of the same record */
    uint8_t hash[CRYPTO_SHA256_BYTES];
    size_t damaged;
};

static bool note_numbers(void *arg, const struct chain_link *link)
{
    struct first_number *found = arg;
    if (!link->bytes) {
        found->damaged++;
        return true;
    }
    if (found->number > 0 && link->sequence != found->sequence)
        return false;
    if (found->number == 0)
        found->number = link->record->number;
    found->sequence = link->sequence;
    found->last = link->record->number;
    crypto_sha256(link->bytes, link->length, found->hash);
    return true;
}

/* Binary search: numbers rise with places in the journal. A place that is damaged or deleted counts
 * with the next one that can be read. */
int chain_read(struct chain *self, uint64_t number,
               bool (*visit)(void *arg, const struct chain_link *link), void *arg,
               struct error *err)
{
    struct journal_stats stats;
    journal_stats(self->options.journal, &stats);
    uint64_t low = stats.oldest_sequence;
    uint64_t high = stats.newest_sequence;
    if (low == 0)
        return 0;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        struct first_number found = { 0 };
        if (chain_read_at(self, middle, note_numbers, &found, err) != 0)
            return -1;
        if (found.number > 0 && found.number < number)
            low = middle;
        else
            high = middle - 1;
    }
    return chain_read_at(self, low, visit, arg, err);
}

/* The last record that can be read gives the head; what is damaged behind it is an alarm, and the
 * chain goes on: verification names the place. */
static int recover_head(struct chain *self, struct error *err)
{
    struct journal_stats stats;
    struct first_number found = { 0 };
    journal_stats(self->options.journal, &stats);
    for (uint64_t at = stats.newest_sequence;
         at > 0 && at >= stats.oldest_sequence && stats.oldest_sequence > 0 && found.number == 0;
         at--) {
        found = (struct first_number){ 0 };
        if (chain_read_at(self, at, note_numbers, &found, err) != 0)
            return -1;
    }
    if (found.damaged > 0) {
        log_error("audit_record_damaged", KV("behind_number", found.last),
                  KV("records", found.damaged));
        gauge_set(self->damaged, (int64_t)found.damaged);
    }
    (void)pthread_mutex_lock(&self->lock);
    self->head.number = found.last;
    memcpy(self->head.hash, found.hash, sizeof found.hash);
    (void)pthread_mutex_unlock(&self->lock);
    gauge_set(self->number, (int64_t)found.last);
    self->is_head_known = true;
    return 0;
}

/* --- storing: the thread --- */

static void answer(struct entry *entry, enum entry_state state, uint64_t sequence,
                   const struct error *why)
{
    entry->state = state;
    entry->sequence = sequence;
    if (why)
        entry->why = *why;
    if (entry->is_left)
        free(entry);
}

/* Ends the group in hand; the lock is held. */
static void answer_group(struct chain *self, enum entry_state state, uint64_t sequence,
                         const struct error *why)
{
    size_t count = 0;
    for (struct entry *entry = self->group; entry; count++) {
        struct entry *next = entry->next;
        answer(entry, state, sequence, why);
        entry = next;
    }
    self->group = NULL;
    counter_add(state == ENTRY_STORED ? self->stored_total : self->failed_total, count);
    (void)pthread_cond_broadcast(&self->answered);
}

/* Moves what waits into the group, as much as goes into one record. The lock is held. */
static size_t take_group(struct chain *self)
{
    size_t count = 0;
    size_t bytes = 0;
    struct entry **end = &self->group;
    while (self->first && count < GROUP_MAX_FACTS &&
           (count == 0 || bytes + self->first->length <= GROUP_MAX_BYTES)) {
        struct entry *entry = self->first;
        self->first = entry->next;
        entry->next = NULL;
        *end = entry;
        end = &entry->next;
        bytes += entry->length;
        self->waiting_bytes -= entry->length;
        count++;
    }
    if (!self->first)
        self->end = &self->first;
    return count;
}

static ProtobufCBinaryData pack_link(struct chain_head *head, struct entry *entry)
{
    Desg__V1__AuditRecord record = DESG__V1__AUDIT_RECORD__INIT;
    record.number = head->number + 1;
    record.previous = (ProtobufCBinaryData){ sizeof head->hash, head->hash };
    record.fact = (ProtobufCBinaryData){ entry->length, entry->fact };
    ProtobufCBinaryData packed = { .len = desg__v1__audit_record__get_packed_size(&record) };
    packed.data = malloc(packed.len);
    if (!packed.data)
        abort(); /* a few hundred bytes: nothing goes on without */
    (void)desg__v1__audit_record__pack(&record, packed.data); /* always writes packed.len bytes */
    head->number++;
    crypto_sha256(packed.data, packed.len, head->hash);
    return packed;
}

static void on_stored(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct chain *self = arg;
    (void)pthread_mutex_lock(&self->lock);
    self->flight = outcome == JOURNAL_STORED ? FLIGHT_STORED : FLIGHT_FAILED;
    self->flight_sequence = sequence;
    (void)pthread_cond_signal(&self->work);
    (void)pthread_mutex_unlock(&self->lock);
}

/* Hands the group to the journal as one record and moves head on. Only this thread changes group
 * and its entries' facts, so no lock is needed to read them. */
static int submit(struct chain *self, size_t count, struct chain_head *head, struct error *err)
{
    ProtobufCBinaryData links[GROUP_MAX_FACTS];
    size_t i = 0;
    for (struct entry *entry = self->group; entry && i < count; entry = entry->next)
        links[i++] = pack_link(head, entry);
    Desg__V1__AuditGroup group = DESG__V1__AUDIT_GROUP__INIT;
    group.n_records = i;
    group.records = links;
    size_t length = desg__v1__audit_group__get_packed_size(&group);
    uint8_t *bytes = malloc(length);
    if (!bytes)
        abort();
    (void)desg__v1__audit_group__pack(&group, bytes); /* always writes length bytes */
    int rc = journal_append(self->options.journal, CHAIN_RECORD_KIND, bytes, length, on_stored,
                            self, err);
    free(bytes);
    while (i > 0)
        free(links[--i].data);
    return rc;
}

static void wait_for(pthread_cond_t *signal, pthread_mutex_t *lock, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + ms * 1000000;
    until.tv_sec += nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    (void)pthread_cond_timedwait(signal, lock, &until); /* waking early is fine */
}

static void beat(struct chain *self)
{
    if (self->options.heartbeat)
        heartbeat_beat(self->options.heartbeat);
}

/* Waits until the journal has answered, then answers the group. The lock is held. */
static void land(struct chain *self, const struct chain_head *head)
{
    while (self->flight == FLIGHT_UNDER_WAY) {
        wait_for(&self->work, &self->lock, TURN_MS);
        beat(self); /* a disk that hangs is not this loop's doing */
    }
    bool is_stored = self->flight == FLIGHT_STORED;
    self->flight = FLIGHT_NONE;
    if (is_stored) {
        self->head = *head;
        gauge_set(self->number, (int64_t)head->number);
        answer_group(self, ENTRY_STORED, self->flight_sequence, NULL);
        return;
    }
    struct error why = { 0 };
    (void)error_set(&why, ERROR_UNAVAILABLE,
                    "the journal could not store it: try again with the same key");
    self->is_head_known = false; /* it may be on disk all the same */
    answer_group(self, ENTRY_FAILED, 0, &why);
}

/* Stores one group. The lock is held, and let go while others work. */
static void store_group(struct chain *self)
{
    struct error err = { 0 };
    size_t count = take_group(self);
    struct chain_head head = self->head;
    self->flight = FLIGHT_UNDER_WAY;
    (void)pthread_mutex_unlock(&self->lock);
    int rc = self->is_head_known ? 0 : recover_head(self, &err);
    if (rc == 0) {
        chain_head(self, &head);
        rc = submit(self, count, &head, &err);
    }
    (void)pthread_mutex_lock(&self->lock);
    if (rc == 0) {
        land(self, &head);
        return;
    }
    self->flight = FLIGHT_NONE;
    err.kind = ERROR_UNAVAILABLE;
    answer_group(self, ENTRY_FAILED, 0, &err);
}

/* Releases what is older than the retention, but never the last record: the chain goes on from it.
 */
static void release_old(struct chain *self)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - self->released_at_ms < RETENTION_TURN_MS)
        return;
    self->released_at_ms = now_ms;
    struct journal_stats stats;
    int64_t oldest_kept_ms = clock_unix_ms() - self->options.retention_ms;
    for (int turn = 0; turn < RELEASE_PAGES; turn++) {
        struct journal_page page = { 0 };
        struct error ignored = { 0 };
        journal_stats(self->options.journal, &stats);
        uint64_t from = stats.released_sequence + 1;
        if (journal_read(self->options.journal, from, JOURNAL_PAGE_MAX_RECORDS, PAGE_BYTES, &page,
                         &ignored) != 0)
            return; /* the next minute tries again */
        uint64_t finished = 0;
        for (size_t i = 0; i < page.count; i++)
            if (page.records[i].stored_at_ms > 0 && page.records[i].stored_at_ms < oldest_kept_ms &&
                page.records[i].sequence < stats.newest_sequence)
                finished = page.records[i].sequence;
        journal_page_clear(&page);
        if (finished == 0)
            return;
        journal_release(self->options.journal, finished);
    }
}

static void *chain_thread(void *arg)
{
    struct chain *self = arg;
    (void)pthread_setname_np(pthread_self(), "chain");
    (void)pthread_mutex_lock(&self->lock);
    while (!self->is_stopping || self->first) {
        beat(self);
        if (self->first) {
            store_group(self);
            continue;
        }
        (void)pthread_mutex_unlock(&self->lock);
        release_old(self);
        (void)pthread_mutex_lock(&self->lock);
        if (!self->first && !self->is_stopping)
            wait_for(&self->work, &self->lock, TURN_MS);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* --- storing: others --- */

static struct entry *entry_new(const void *fact, size_t length)
{
    struct entry *entry = calloc(1, sizeof *entry + length);
    if (!entry)
        abort();
    entry->length = length;
    memcpy(entry->fact, fact, length);
    return entry;
}

static int await(struct chain *self, struct entry *entry, uint64_t *sequence, struct error *err)
{
    int64_t ends_ms = clock_monotonic_ms() + APPEND_DEADLINE_MS;
    for (int64_t left_ms = APPEND_DEADLINE_MS; entry->state == ENTRY_WAITING && left_ms > 0;
         left_ms = ends_ms - clock_monotonic_ms())
        wait_for(&self->answered, &self->lock, left_ms);
    if (entry->state == ENTRY_WAITING) {
        entry->is_left = true;
        return error_set(err, ERROR_UNAVAILABLE,
                         "the journal did not answer in time: try again with the same key");
    }
    int rc = entry->state == ENTRY_STORED ? 0 : -1;
    if (rc == 0)
        *sequence = entry->sequence;
    else
        *err = entry->why;
    free(entry);
    return rc;
}

int chain_append(struct chain *self, const void *fact, size_t length, uint64_t *sequence,
                 struct error *err)
{
    assert(length > 0 && length <= JOURNAL_RECORD_MAX_BYTES / 2);
    (void)pthread_mutex_lock(&self->lock);
    int rc = -1;
    if (self->is_stopping || self->waiting_bytes + length > WAITING_MAX_BYTES) {
        (void)error_set(err, ERROR_UNAVAILABLE,
                        "too much waits to be stored: try again with the same key");
    } else {
        struct entry *entry = entry_new(fact, length);
        *self->end = entry;
        self->end = &entry->next;
        self->waiting_bytes += length;
        (void)pthread_cond_signal(&self->work);
        rc = await(self, entry, sequence, err);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return rc;
}

void chain_head(struct chain *self, struct chain_head *out)
{
    (void)pthread_mutex_lock(&self->lock);
    *out = self->head;
    (void)pthread_mutex_unlock(&self->lock);
}

bool chain_is_idle(struct chain *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is_idle = !self->first && self->flight == FLIGHT_NONE;
    (void)pthread_mutex_unlock(&self->lock);
    return is_idle;
}

/* --- life --- */

static int start(struct chain *self, struct error *err)
{
    struct metrics *metrics = self->options.metrics;
    static const char help[] = "Facts and views by what the journal said.";
    self->stored_total =
        metrics_counter(metrics, "desg_desk_facts_total", "result=\"stored\"", help);
    self->failed_total =
        metrics_counter(metrics, "desg_desk_facts_total", "result=\"failed\"", help);
    self->damaged = metrics_gauge(metrics, "desg_desk_audit_damaged_records", "",
                                  "Damaged records of the journal found at the chain's end.");
    self->number = metrics_gauge(metrics, "desg_desk_audit_number", "",
                                 "Number of the newest record of the audit chain.");
    if (recover_head(self, err) != 0)
        return -1;
    if (pthread_create(&self->thread, NULL, chain_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the audit chain's thread");
    self->has_thread = true;
    return 0;
}

struct chain *chain_new(const struct chain_options *options, struct error *err)
{
    struct chain *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the audit chain");
        return NULL;
    }
    self->options = *options;
    self->end = &self->first;
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&self->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->work, &monotonic);
    (void)pthread_cond_init(&self->answered, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (start(self, err) != 0)
        chain_destroy(&self);
    return self;
}

void chain_destroy(struct chain **self_p)
{
    struct chain *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        (void)pthread_mutex_lock(&self->lock);
        self->is_stopping = true;
        (void)pthread_cond_signal(&self->work);
        (void)pthread_mutex_unlock(&self->lock);
        (void)pthread_join(self->thread, NULL);
    }
    (void)pthread_cond_destroy(&self->work);
    (void)pthread_cond_destroy(&self->answered);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
