#include "desk/heads.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "pause/pause.h"

enum { INTERVAL_MS = 60000, QUIET_INTERVALS = 10, TURN_MS = 500, HEADS_MAX = 16 };

struct heads {
    struct heads_options options;
    struct store *store;
    struct store_head told[HEADS_MAX]; /* the last ones journalled */
    size_t told_count;
    unsigned passed_over; /* exchanges since */
    int64_t due_ms;
    pthread_t thread;
    bool has_thread;
    struct pause *pause;
};

static int store_fact(struct heads *self, const struct store_head *heads, size_t count,
                      struct error *err)
{
    Desg__V1__Head rows[HEADS_MAX];
    Desg__V1__Head *pointers[HEADS_MAX];
    struct id id = id_random();
    uint64_t sequence = 0;
    for (size_t i = 0; i < count; i++) {
        desg__v1__head__init(&rows[i]);
        rows[i].source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)heads[i].source.bytes };
        rows[i].number = heads[i].number;
        rows[i].hash = (ProtobufCBinaryData){ sizeof heads[i].hash, (uint8_t *)heads[i].hash };
        pointers[i] = &rows[i];
    }
    Desg__V1__Heads what = DESG__V1__HEADS__INIT;
    what.n_heads = count;
    what.heads = pointers;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    fact.id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
    fact.agent = (char *)self->options.name;
    fact.at_ms = clock_unix_ms();
    fact.what_case = DESG__V1__FACT__WHAT_HEADS;
    fact.heads = &what;
    size_t length = desg__v1__fact__get_packed_size(&fact);
    uint8_t *bytes = malloc(length);
    if (!bytes)
        abort();                              /* a few hundred bytes */
    (void)desg__v1__fact__pack(&fact, bytes); /* always writes length bytes */
    int rc = chain_append(self->options.chain, bytes, length, &sequence, err);
    free(bytes);
    return rc;
}

static size_t others(struct heads *self, const struct store_head *all, size_t count,
                     struct store_head *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (memcmp(&all[i].source, &self->options.source, sizeof all[i].source) != 0 &&
            all[i].number > 0)
            out[found++] = all[i];
    return found;
}

/* One record more may be no more than their note of our head, whose note here would make them write
 * again: that can wait. */
static bool is_news(struct heads *self, const struct store_head *seen, size_t count)
{
    bool has_changed = count != self->told_count;
    bool has_grown = has_changed;
    for (size_t i = 0; i < count && !has_grown; i++) {
        bool is_other = memcmp(&seen[i], &self->told[i], sizeof seen[i]) != 0;
        has_changed |= is_other;
        has_grown = is_other && (memcmp(&seen[i].source, &self->told[i].source, ID_BYTES) != 0 ||
                                 seen[i].number != self->told[i].number + 1);
    }
    return has_grown || (has_changed && ++self->passed_over >= QUIET_INTERVALS);
}

static int exchange(struct heads *self, struct error *err)
{
    struct store_head all[HEADS_MAX] = { 0 };
    struct store_head seen[HEADS_MAX] = { 0 };
    struct chain_head own;
    size_t count = 0;
    chain_head(self->options.chain, &own);
    struct store_head mine = { .source = self->options.source, .number = own.number };
    memcpy(mine.hash, own.hash, sizeof mine.hash);
    if (own.number > 0 && store_head_put(self->store, &mine, err) != 0)
        return -1;
    if (store_heads(self->store, all, HEADS_MAX, &count, err) != 0)
        return -1;
    size_t found = others(self, all, count, seen);
    if (found == 0 || !is_news(self, seen, found))
        return 0;
    if (store_fact(self, seen, found, err) != 0)
        return -1;
    memcpy(self->told, seen, sizeof seen);
    self->told_count = found;
    self->passed_over = 0;
    return 0;
}

static void turn(struct heads *self)
{
    struct error err = { 0 };
    int64_t now_ms = clock_monotonic_ms();
    if (self->options.heartbeat)
        heartbeat_beat(self->options.heartbeat);
    if (now_ms < self->due_ms)
        return;
    self->due_ms = now_ms + (self->options.interval_ms ? self->options.interval_ms : INTERVAL_MS);
    if (store_check(self->store) == STORE_READY && exchange(self, &err) != 0)
        log_warn("heads_not_exchanged", KV("error", err.text));
}

static void *heads_thread(void *arg)
{
    struct heads *self = arg;
    (void)pthread_setname_np(pthread_self(), "heads");
    while (!pause_is_stopped(self->pause)) {
        turn(self);
        pause_wait(self->pause, TURN_MS);
    }
    return NULL;
}

static int start(struct heads *self, struct error *err)
{
    const struct store_options options = {
        .redis = self->options.redis,
        .force = self->options.force,
        .metrics = self->options.metrics,
        .label = "heads",
    };
    self->store = store_new(&options, err);
    if (!self->store)
        return -1;
    if (pthread_create(&self->thread, NULL, heads_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the thread that exchanges heads");
    self->has_thread = true;
    return 0;
}

struct heads *heads_new(const struct heads_options *options, struct error *err)
{
    struct heads *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the exchange of heads");
        return NULL;
    }
    self->options = *options;
    self->pause = pause_new();
    if (start(self, err) != 0)
        heads_destroy(&self);
    return self;
}

void heads_destroy(struct heads **self_p)
{
    struct heads *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        pause_stop(self->pause);
        (void)pthread_join(self->thread, NULL);
    }
    store_destroy(&self->store);
    pause_destroy(&self->pause);
    free(self);
    *self_p = NULL;
}
