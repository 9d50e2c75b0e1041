#include "store/sentinel.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "clock/clock.h"

enum {
    PROBLEM_BYTES = 256,
    IDLE_AFTER_MS = 100,
    IDLE_WAIT_MS = 30,
    LOOKUP_POLL_MS = 5,  /* a lookup has no descriptor to wait on */
    STRAGGLERS_SHARE = 4 /* once one has answered, the others get this part of the time */
};

enum sentinel_state { SENTINEL_IDLE, SENTINEL_LOOKING_UP, SENTINEL_ASKED };

struct sentinel {
    struct endpoint endpoint;
    redisContext *connection; /* kept between questions; NULL: none */
    enum sentinel_state state;
    bool is_fresh;           /* the connection was made for this question */
    bool has_unsent;         /* the question is not all written */
    unsigned passed_replies; /* of AUTH, before those that count */
    bool has_address;        /* the first of the two replies came */
    int64_t give_up_at_ms;
    struct sentinel_view asked; /* being filled */
    struct sentinel_view view;  /* of the last question */
    char problem[PROBLEM_BYTES];
};

struct sentinels {
    const struct config_redis *redis;
    char *password; /* NULL: none */
    struct sentinel each[SENTINELS_MAX];
    size_t count;
    int64_t asked_at_ms;
    int64_t heard_at_ms; /* when all that can answer had */
    bool is_round_open;
    uint64_t epoch; /* the newest believed */
    size_t answering;
};

static size_t votes_for(const struct sentinel_view *views, size_t count, size_t candidate)
{
    size_t votes = 0;
    for (size_t i = 0; i < count; i++)
        votes += views[i].is_known && views[i].epoch == views[candidate].epoch &&
                 strcmp(views[i].address, views[candidate].address) == 0;
    return votes;
}

int sentinel_choose(const struct sentinel_view *views, size_t count, uint64_t known_epoch)
{
    int chosen = -1;
    size_t chosen_votes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!views[i].is_known)
            continue;
        size_t votes = votes_for(views, count, i);
        if (views[i].epoch < known_epoch && votes * 2 <= count)
            continue;
        bool is_better = chosen < 0 || views[i].epoch > views[chosen].epoch ||
                         (views[i].epoch == views[chosen].epoch && votes > chosen_votes);
        if (is_better) {
            chosen = (int)i;
            chosen_votes = votes;
        }
    }
    return chosen;
}

struct sentinels *sentinels_new(const struct config_redis *redis, struct error *err)
{
    struct sentinels *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the Sentinels");
        return NULL;
    }
    self->redis = redis;
    self->asked_at_ms = INT64_MIN / 2;
    self->heard_at_ms = INT64_MIN / 2;
    self->count = redis->sentinels_count < SENTINELS_MAX ? redis->sentinels_count : SENTINELS_MAX;
    bool is_bad = false;
    for (size_t i = 0; i < self->count && !is_bad; i++) {
        is_bad = endpoint_set(&self->each[i].endpoint, redis->sentinels[i]) != 0;
        if (is_bad)
            (void)error_set(err, ERROR_CONFIG,
                            "common.redis.sentinels: '%.64s' is no address: write host:port",
                            redis->sentinels[i]);
    }
    const char *file = redis->sentinel_password_file;
    if (!is_bad && file && file[0]) {
        self->password = config_read_secret("common.redis.sentinel_password_file", file, err);
        is_bad = !self->password;
    }
    if (is_bad)
        sentinels_destroy(&self);
    return self;
}

static void hang_up(struct sentinel *one)
{
    if (one->connection)
        redisFree(one->connection);
    one->connection = NULL;
    one->state = SENTINEL_IDLE;
}

void sentinels_destroy(struct sentinels **self_p)
{
    struct sentinels *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        hang_up(&self->each[i]);
        endpoint_clear(&self->each[i].endpoint);
    }
    if (self->password)
        explicit_bzero(self->password, strlen(self->password));
    free(self->password);
    free(self);
    *self_p = NULL;
}

size_t sentinels_answering(const struct sentinels *self)
{
    return self->answering;
}

uint64_t sentinels_epoch(const struct sentinels *self)
{
    return self->epoch;
}

bool sentinels_lack_majority(const struct sentinels *self)
{
    size_t well = 0;
    for (size_t i = 0; i < self->count; i++)
        well += self->each[i].view.is_known || self->each[i].problem[0] == '\0';
    return well * 2 <= self->count;
}

/* --- one Sentinel --- */

static void fail(struct sentinel *one, const char *why)
{
    (void)snprintf(one->problem, sizeof one->problem, "Sentinel %.100s %.120s", one->endpoint.text,
                   why);
    one->view = (struct sentinel_view){ 0 };
    if (one->is_fresh)
        endpoint_failed(&one->endpoint);
    hang_up(one);
}

static void sign_in(struct sentinels *self, struct sentinel *one)
{
    const char *user = self->redis->sentinel_username;
    if (!self->password)
        return;
    if (user && user[0])
        (void)redisAppendCommand(one->connection, "AUTH %s %s", user, self->password);
    else
        (void)redisAppendCommand(one->connection, "AUTH %s", self->password);
    one->passed_replies++;
}

static void put_question(struct sentinels *self, struct sentinel *one)
{
    const struct endpoint *endpoint = &one->endpoint;
    one->passed_replies = 0;
    one->has_address = false;
    one->has_unsent = true;
    one->is_fresh = !one->connection;
    if (one->is_fresh) {
        one->connection = endpoint->is_unix
                              ? redisConnectUnixNonBlock(endpoint->host)
                              : redisConnectNonBlock(endpoint->numeric, endpoint->port);
        if (!one->connection || one->connection->err) {
            fail(one, one->connection ? one->connection->errstr : "no memory");
            return;
        }
        sign_in(self, one);
    }
    /* In one write, so in one turn of its loop: the two belong together. The first names the
     * promoted replica already during a failover, only the second has the epoch. */
    (void)redisAppendCommand(one->connection, "SENTINEL get-master-addr-by-name %s",
                             self->redis->address);
    (void)redisAppendCommand(one->connection, "SENTINEL master %s", self->redis->address);
    one->asked = (struct sentinel_view){ 0 };
    one->state = SENTINEL_ASKED;
}

static void begin(struct sentinel *one, int64_t give_up_at_ms)
{
    if (one->state != SENTINEL_IDLE)
        return; /* the answer to an earlier question will do */
    one->give_up_at_ms = give_up_at_ms;
    one->state = SENTINEL_LOOKING_UP;
    if (!one->connection)
        endpoint_look_up(&one->endpoint);
}

static const char *text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? reply->str : "";
}

static uint64_t epoch_of(const redisReply *master)
{
    if (master->type != REDIS_REPLY_ARRAY)
        return 0; /* not allowed to ask: then only the votes count */
    for (size_t i = 0; i + 1 < master->elements; i += 2)
        if (strcmp(text_of(master->element[i]), "config-epoch") == 0)
            return strtoull(text_of(master->element[i + 1]), NULL, 10);
    return 0;
}

static void take_address(struct sentinel *one, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        fail(one, "refused the question: check sentinel_username and sentinel_password_file");
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        fail(one, "does not know a master of that name: common.redis.address has to be its name");
        return;
    }
    const char *host = text_of(reply->element[0]);
    bool is_v6 = strchr(host, ':') != NULL;
    int length = snprintf(one->asked.address, sizeof one->asked.address, "%s%s%s:%s",
                          is_v6 ? "[" : "", host, is_v6 ? "]" : "", text_of(reply->element[1]));
    one->has_address = length > 1 && (size_t)length < sizeof one->asked.address;
    if (!one->has_address)
        fail(one, "gave an address too long");
}

/* One reply: those of AUTH, then the address, then the master's record. */
static void take_reply(struct sentinel *one, const redisReply *reply)
{
    if (one->passed_replies > 0) {
        one->passed_replies--;
        if (reply->type == REDIS_REPLY_ERROR)
            fail(one, "refused our sign-in: check sentinel_username and sentinel_password_file");
        return;
    }
    if (!one->has_address) {
        take_address(one, reply);
        return;
    }
    one->asked.epoch = epoch_of(reply);
    one->asked.is_known = true;
    one->view = one->asked;
    one->problem[0] = '\0';
    one->state = SENTINEL_IDLE;
}

static void take_replies(struct sentinel *one)
{
    while (one->state == SENTINEL_ASKED) {
        void *reply = NULL;
        if (redisGetReplyFromReader(one->connection, &reply) != REDIS_OK) {
            fail(one, "gave an answer that is none");
            return;
        }
        if (!reply)
            return;
        take_reply(one, reply);
        freeReplyObject(reply);
    }
}

/* A kept connection may have ended since the last question: that says nothing of the Sentinel. */
static void lose(struct sentinel *one)
{
    if (one->is_fresh) {
        fail(one, one->connection->errstr);
        return;
    }
    hang_up(one);
    one->state = SENTINEL_LOOKING_UP;
    endpoint_look_up(&one->endpoint);
}

static short events_wanted(const struct sentinel *one)
{
    return one->has_unsent ? POLLIN | POLLOUT : POLLIN;
}

static void exchange(struct sentinel *one)
{
    struct pollfd ready = { .fd = one->connection->fd, .events = events_wanted(one) };
    if (poll(&ready, 1, 0) <= 0)
        return;
    int is_written = 0;
    if ((ready.revents & POLLOUT) && redisBufferWrite(one->connection, &is_written) != REDIS_OK) {
        lose(one);
        return;
    }
    if (is_written)
        one->has_unsent = false;
    if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) == 0)
        return;
    if (redisBufferRead(one->connection) != REDIS_OK)
        lose(one);
    else
        take_replies(one);
}

static void step(struct sentinels *self, struct sentinel *one, int64_t now_ms)
{
    if (one->state == SENTINEL_LOOKING_UP) {
        enum endpoint_state found =
            one->connection ? ENDPOINT_FOUND : endpoint_take(&one->endpoint, 0);
        if (found == ENDPOINT_FOUND)
            put_question(self, one);
        else if (found == ENDPOINT_UNKNOWN)
            fail(one, "cannot be found by its name");
    }
    if (one->state == SENTINEL_ASKED)
        exchange(one);
    if (one->state != SENTINEL_IDLE && now_ms >= one->give_up_at_ms)
        fail(one, "did not answer in time");
}

/* --- all of them --- */

static void ask_all(struct sentinels *self, int64_t now_ms, int64_t give_up_at_ms)
{
    self->asked_at_ms = now_ms;
    self->is_round_open = true;
    for (size_t i = 0; i < self->count; i++)
        begin(&self->each[i], give_up_at_ms);
}

/* Moves all on. Returns how many are still to answer. */
static size_t step_all(struct sentinels *self, size_t *known)
{
    int64_t now_ms = clock_monotonic_ms();
    size_t under_way = 0;
    *known = 0;
    for (size_t i = 0; i < self->count; i++) {
        struct sentinel *one = &self->each[i];
        if (one->state != SENTINEL_IDLE)
            step(self, one, now_ms);
        under_way += one->state != SENTINEL_IDLE;
        *known += one->state == SENTINEL_IDLE && one->view.is_known;
    }
    return under_way;
}

static int choose(struct sentinels *self)
{
    struct sentinel_view views[SENTINELS_MAX];
    self->answering = 0;
    for (size_t i = 0; i < self->count; i++) {
        views[i] = self->each[i].view;
        self->answering += views[i].is_known;
    }
    int chosen = sentinel_choose(views, self->count, self->epoch);
    if (chosen >= 0)
        self->epoch = views[chosen].epoch;
    return chosen;
}

static void wait_for_any(const struct sentinels *self, int64_t until_ms)
{
    struct pollfd waited[SENTINELS_MAX];
    nfds_t count = 0;
    int64_t wait_ms = until_ms - clock_monotonic_ms();
    for (size_t i = 0; i < self->count; i++) {
        const struct sentinel *one = &self->each[i];
        if (one->state == SENTINEL_LOOKING_UP && wait_ms > LOOKUP_POLL_MS)
            wait_ms = LOOKUP_POLL_MS;
        if (one->state == SENTINEL_ASKED)
            waited[count++] =
                (struct pollfd){ .fd = one->connection->fd, .events = events_wanted(one) };
    }
    (void)poll(waited, count, wait_ms > 0 ? (int)wait_ms : 0);
}

static const char *first_problem(const struct sentinels *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->each[i].problem[0])
            return self->each[i].problem;
    return "no Sentinel has answered yet";
}

int sentinels_find(struct sentinels *self, int64_t deadline_ms, char address[ENDPOINT_TEXT_BYTES],
                   char *problem, size_t problem_bytes)
{
    assert(self && address && problem);
    int64_t begun_ms = clock_monotonic_ms();
    int64_t stragglers_until_ms = begun_ms + (deadline_ms - begun_ms) / STRAGGLERS_SHARE;
    for (size_t i = 0; i < self->count; i++)
        self->each[i].view = (struct sentinel_view){ 0 };
    ask_all(self, begun_ms, begun_ms + SENTINELS_SILENT_AFTER_MS);
    for (;;) {
        size_t known = 0;
        size_t under_way = step_all(self, &known);
        int64_t until_ms = known > 0 ? stragglers_until_ms : deadline_ms;
        self->is_round_open = under_way > 0;
        if (under_way == 0 || clock_monotonic_ms() >= until_ms)
            break;
        wait_for_any(self, until_ms);
    }
    int chosen = choose(self);
    if (chosen >= 0) {
        self->heard_at_ms = clock_monotonic_ms();
        (void)snprintf(address, ENDPOINT_TEXT_BYTES, "%s", self->each[chosen].view.address);
        return 0;
    }
    if (self->answering > 0)
        (void)snprintf(problem, problem_bytes,
                       "only %zu of %zu Sentinels answer, with a master older than the one of "
                       "epoch %llu: waiting for the others",
                       self->answering, self->count, (unsigned long long)self->epoch);
    else
        (void)snprintf(problem, problem_bytes, "none of %zu Sentinels names the master: %s",
                       self->count, first_problem(self));
    return -1;
}

/* Those that answered last time and have not yet this time. */
static bool is_any_expected(const struct sentinels *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->each[i].state != SENTINEL_IDLE && self->each[i].view.is_known)
            return true;
    return false;
}

bool sentinels_moved(struct sentinels *self, const char *address)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!self->is_round_open) {
        if (now_ms - self->asked_at_ms < SENTINELS_ASK_EVERY_MS)
            return false;
        ask_all(self, now_ms, now_ms + SENTINELS_SILENT_AFTER_MS);
    }
    size_t known = 0;
    size_t under_way = step_all(self, &known);
    /* After idle time what was known of the master is old: an answer is worth a moment. */
    bool is_stale = now_ms - self->heard_at_ms > SENTINELS_ASK_EVERY_MS + IDLE_AFTER_MS;
    while (is_stale && is_any_expected(self) && clock_monotonic_ms() < now_ms + IDLE_WAIT_MS) {
        wait_for_any(self, now_ms + IDLE_WAIT_MS);
        under_way = step_all(self, &known);
    }
    if (under_way == 0)
        self->is_round_open = false;
    if (under_way == 0 || !is_any_expected(self) || is_stale)
        self->heard_at_ms = now_ms;
    int chosen = choose(self);
    return chosen >= 0 && strcmp(self->each[chosen].view.address, address) != 0;
}
