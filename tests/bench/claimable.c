#include "claimable.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

enum { POLL_MS = 100, SETTLE_MS = 5 };

struct entry {
    struct id conversation;
    struct request *request;
};

struct claimable {
    redisContext *redis;
    struct entry *entries; /* sorted */
    size_t count;
    pthread_t thread;
    atomic_size_t seen;
    atomic_bool is_stopping;
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    return memcmp(x->conversation.bytes, y->conversation.bytes, ID_BYTES);
}

static void note(struct claimable *self, const char *key, size_t length, int64_t at_ns)
{
    struct entry wanted = { 0 };
    if (length < ID_TEXT_BYTES - 1 ||
        id_parse(key + length - (ID_TEXT_BYTES - 1), &wanted.conversation) != 0)
        return;
    struct entry *found =
        bsearch(&wanted, self->entries, self->count, sizeof *self->entries, compare);
    if (!found || found->request->claimable_ns != 0)
        return;
    found->request->claimable_ns = at_ns;
    atomic_fetch_add(&self->seen, 1);
}

static void *run(void *arg)
{
    struct claimable *self = arg;
    while (!atomic_load(&self->is_stopping)) {
        redisReply *reply = NULL;
        if (redisGetReply(self->redis, (void **)&reply) != REDIS_OK) {
            bool is_idle = self->redis->err == REDIS_ERR_IO;
            if (!is_idle)
                give_up("Redis stopped notifying: %s", self->redis->errstr);
            self->redis->err = 0; /* the time-out that lets us look whether to stop */
            continue;
        }
        int64_t at_ns = now_ns();
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 4)
            note(self, reply->element[2]->str, reply->element[2]->len, at_ns);
        freeReplyObject(reply);
    }
    return NULL;
}

static void ask(redisContext *redis, const char *format, const char *argument)
{
    redisReply *reply = redisCommand(redis, format, argument);
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        give_up("Redis refused to notify: %s", reply ? reply->str : redis->errstr);
    freeReplyObject(reply);
}

struct claimable *claimable_start(struct requests *requests, const char *socket_path,
                                  const char *force)
{
    struct claimable *self = calloc(1, sizeof *self);
    self->count = requests->count;
    self->entries = calloc(self->count, sizeof *self->entries);
    for (size_t i = 0; i < self->count; i++)
        self->entries[i] = (struct entry){ requests->all[i].conversation, &requests->all[i] };
    qsort(self->entries, self->count, sizeof *self->entries, compare);
    self->redis = redisConnectUnix(socket_path);
    if (!self->redis || self->redis->err)
        give_up("cannot connect to Redis at %s", socket_path);
    char pattern[128];
    (void)snprintf(pattern, sizeof pattern, "__keyspace@0__:desg:{%s}:conv:*", force);
    ask(self->redis, "CONFIG SET notify-keyspace-events %s", "Kh");
    ask(self->redis, "PSUBSCRIBE %s", pattern);
    const struct timeval limit = { .tv_usec = POLL_MS * 1000L };
    if (redisSetTimeout(self->redis, limit) != REDIS_OK ||
        pthread_create(&self->thread, NULL, run, self) != 0)
        give_up("cannot watch Redis");
    return self;
}

size_t claimable_stop(struct claimable **self_p, size_t expected, int64_t patience_ms)
{
    struct claimable *self = *self_p;
    size_t last = 0;
    int64_t moved_ns = now_ns();
    const struct timespec pause = { .tv_nsec = SETTLE_MS * 1000000L };
    while (atomic_load(&self->seen) < expected && now_ns() - moved_ns < patience_ms * 1000000) {
        size_t seen = atomic_load(&self->seen);
        if (seen != last)
            moved_ns = now_ns();
        last = seen;
        (void)nanosleep(&pause, NULL);
    }
    atomic_store(&self->is_stopping, true);
    (void)pthread_join(self->thread, NULL);
    size_t seen = atomic_load(&self->seen);
    redisFree(self->redis);
    free(self->entries);
    free(self);
    *self_p = NULL;
    return seen;
}
