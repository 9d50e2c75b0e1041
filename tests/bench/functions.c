/* bench_functions - store_apply against the bare function: the very bytes that store_apply sent
 * once (recorded through a socket in between) are sent again to an emptied Redis, without making
 * arguments or reading outcomes. redis-benchmark cannot do this: the arguments hold NUL bytes.
 * Counted is what lies in Redis afterwards, never calls.
 *
 * --redis SOCKET (private: it is emptied) --calls N (16 events each) --rounds N: prints a JSON
 * object a round. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "clock/clock.h"
#include "figures.h"
#include "store/store.h"

enum { PER_CALL = 16, TEXT_BYTES = 180, PACKED_MAX_BYTES = 1024, URGENT_EVERY = 20, LANES = 2 };

struct event {
    Desg__V1__Event event;
    Desg__V1__Verdict verdict;
    struct id id, conversation;
    uint8_t event_bytes[PACKED_MAX_BYTES], verdict_bytes[PACKED_MAX_BYTES];
    size_t event_length, verdict_length;
};

struct bytes {
    char *data;
    size_t length, room;
};

struct bench {
    const char *socket_path;
    size_t calls;
    struct event *events;  /* calls * PER_CALL */
    struct bytes stream;   /* all that the recorded store sent */
    const char **commands; /* the applies in it */
    size_t *command_lengths;
    size_t command_count;
};

/* ---- events ---- */

static void make_event(struct event *self, size_t number, char *text)
{
    bool is_urgent = number % URGENT_EVERY == 0;
    self->id = id_random();
    self->conversation = id_random();
    self->event = (Desg__V1__Event)DESG__V1__EVENT__INIT;
    self->event.id = (ProtobufCBinaryData){ ID_BYTES, self->id.bytes };
    self->event.conversation_id = (ProtobufCBinaryData){ ID_BYTES, self->conversation.bytes };
    self->event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    self->event.channel = (char *)"facebook";
    self->event.account = (char *)"108800000000001";
    self->event.person = (char *)"6600000000000001";
    self->event.object_id = (char *)"m_bench000000000001";
    self->event.text = text;
    self->event.raw_kind = (char *)"message";
    self->event.received_at_ms = clock_unix_ms();
    self->event.platform_time_ms = self->event.received_at_ms - 500;
    self->verdict = (Desg__V1__Verdict)DESG__V1__VERDICT__INIT;
    self->verdict.severity =
        is_urgent ? DESG__V1__SEVERITY__SEVERITY_URGENT : DESG__V1__SEVERITY__SEVERITY_ROUTINE;
    self->verdict.is_urgent = is_urgent;
    self->verdict.category = (char *)"anti-social-behaviour";
    self->verdict.language = DESG__V1__LANGUAGE__LANGUAGE_EN;
    self->verdict.rules_edition = (char *)"2026-11-22+1f0c55d2";
    self->event_length = desg__v1__event__pack(&self->event, self->event_bytes);
    self->verdict_length = desg__v1__verdict__pack(&self->verdict, self->verdict_bytes);
}

static struct store *open_store(const struct config_redis *redis)
{
    struct error err = { 0 };
    const struct store_options options = { .redis = redis, .force = "bench", .label = "bench" };
    struct store *store = store_new(&options, &err);
    if (!store || store_check(store) != STORE_READY)
        give_up("store: %s", store ? store_problem(store) : err.text);
    return store;
}

static void apply(const struct bench *self, struct store *store, size_t call)
{
    struct store_event given[PER_CALL];
    struct store_result results[PER_CALL];
    char history[STORE_HISTORY_BYTES];
    struct error err = { 0 };
    for (size_t i = 0; i < PER_CALL; i++) {
        const struct event *event = &self->events[call * PER_CALL + i];
        given[i] = (struct store_event){ .event_bytes = event->event_bytes,
                                         .event_length = event->event_length,
                                         .event = &event->event,
                                         .verdict_bytes = event->verdict_bytes,
                                         .verdict_length = event->verdict_length,
                                         .verdict = &event->verdict };
    }
    if (store_apply(store, given, PER_CALL, results, history, &err) != 0)
        give_up("store_apply: %s", err.text);
}

/* ---- recording ---- */

struct recorder {
    int listen_fd;
    const char *socket_path;
    struct bytes *stream;
};

static void keep(struct bytes *self, const char *data, size_t length)
{
    if (self->length + length > self->room) {
        self->room = 2 * (self->length + length);
        self->data = realloc(self->data, self->room);
        if (!self->data)
            give_up("no memory to record");
    }
    memcpy(self->data + self->length, data, length);
    self->length += length;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        give_up("cannot connect to %s", path);
    return fd;
}

static void write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written <= 0)
            give_up("a connection broke");
        data += written;
        length -= (size_t)written;
    }
}

struct copy {
    int from, to;
};

static void *copy_answers(void *arg)
{
    const struct copy *copy = arg;
    char buffer[65536];
    for (ssize_t got; (got = read(copy->from, buffer, sizeof buffer)) > 0;)
        write_all(copy->to, buffer, (size_t)got);
    return NULL;
}

static void *record(void *arg)
{
    const struct recorder *self = arg;
    char buffer[65536];
    pthread_t answers;
    struct copy back = { .from = connect_to(self->socket_path),
                         .to = accept(self->listen_fd, NULL, NULL) };
    if (pthread_create(&answers, NULL, copy_answers, &back) != 0)
        give_up("cannot start a thread");
    for (ssize_t got; (got = read(back.to, buffer, sizeof buffer)) > 0;) {
        keep(self->stream, buffer, (size_t)got);
        write_all(back.from, buffer, (size_t)got);
    }
    (void)shutdown(back.from, SHUT_RDWR);
    (void)pthread_join(answers, NULL);
    (void)close(back.from);
    (void)close(back.to);
    return NULL;
}

/* Where the RESP array of bulk strings at `at` ends. */
static const char *end_of_command(const char *at, bool *is_apply)
{
    char *rest = NULL;
    long count = strtol(at + 1, &rest, 10);
    const char *next = rest + 2;
    *is_apply = false;
    for (long i = 0; i < count; i++) {
        long length = strtol(next + 1, &rest, 10);
        const char *word = rest + 2;
        if (i == 1) /* FCALL desg_<version>_apply */
            *is_apply = length > 6 && memcmp(word + length - 6, "_apply", 6) == 0;
        next = word + length + 2;
    }
    return next;
}

static void cut(struct bench *self)
{
    assert(self->calls > 0);
    self->commands = calloc(self->calls, sizeof *self->commands);
    self->command_lengths = calloc(self->calls, sizeof *self->command_lengths);
    const char *end = self->stream.data + self->stream.length;
    for (const char *at = self->stream.data; at < end;) {
        bool is_apply = false;
        const char *next = end_of_command(at, &is_apply);
        if (is_apply && self->command_count < self->calls) {
            self->commands[self->command_count] = at;
            self->command_lengths[self->command_count++] = (size_t)(next - at);
        }
        at = next;
    }
    if (self->command_count != self->calls)
        give_up("recorded %zu calls of %zu", self->command_count, self->calls);
}

static void record_calls(struct bench *self)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char unix_address[sizeof address.sun_path + 8];
    pthread_t thread;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s.rec", self->socket_path);
    (void)snprintf(unix_address, sizeof unix_address, "unix:%s", address.sun_path);
    struct recorder recorder = { .listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                                 .socket_path = self->socket_path,
                                 .stream = &self->stream };
    (void)unlink(address.sun_path);
    if (bind(recorder.listen_fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(recorder.listen_fd, 4) != 0 || pthread_create(&thread, NULL, record, &recorder) != 0)
        give_up("cannot record at %s", address.sun_path);
    const struct config_redis redis = { .address = unix_address, .timeout_ms = 5000 };
    struct store *store = open_store(&redis);
    for (size_t i = 0; i < self->calls; i++)
        apply(self, store, i);
    store_destroy(&store);
    (void)pthread_join(thread, NULL);
    (void)close(recorder.listen_fd);
    (void)unlink(address.sun_path);
    cut(self);
}

/* ---- measuring ---- */

/* Frees the answer. */
static long long number_in(redisReply *reply)
{
    if (!reply)
        give_up("Redis gave no answer");
    if (reply->type == REDIS_REPLY_ERROR)
        give_up("Redis: %s", reply->str);
    long long value = reply->integer;
    freeReplyObject(reply);
    return value;
}

static long long ask(const struct bench *self, const char *command)
{
    redisContext *redis = redisConnectUnix(self->socket_path);
    redisReply *reply = redis && !redis->err ? redisCommand(redis, command) : NULL;
    long long value = number_in(reply);
    redisFree(redis);
    return value;
}

static long long count_events(const struct bench *self)
{
    redisContext *redis = redisConnectUnix(self->socket_path);
    static const char script[] = "local n = 0 for i = 0, 4095 do n = n + redis.call('HLEN', "
                                 "string.format('desg:{bench}:index:%03x', i)) end return n";
    redisReply *reply = redis && !redis->err ? redisCommand(redis, "EVAL %s 0", script) : NULL;
    long long value = number_in(reply);
    redisFree(redis);
    return value;
}

struct lane {
    const struct bench *bench;
    size_t first, end;
    size_t depth; /* calls in flight; 0: store_apply */
};

static void take_reply(redisContext *redis)
{
    redisReply *reply = NULL;
    if (redisGetReply(redis, (void **)&reply) != REDIS_OK || reply->type != REDIS_REPLY_ARRAY)
        give_up("Redis refused a call: %s", reply ? reply->str : redis->errstr);
    freeReplyObject(reply);
}

static void replay(const struct lane *self)
{
    redisContext *redis = redisConnectUnix(self->bench->socket_path);
    size_t in_flight = 0;
    if (!redis || redis->err)
        give_up("cannot connect to Redis");
    for (size_t i = self->first; i < self->end; i++) {
        (void)redisAppendFormattedCommand(redis, self->bench->commands[i],
                                          self->bench->command_lengths[i]);
        if (++in_flight == self->depth) {
            take_reply(redis);
            in_flight--;
        }
    }
    for (; in_flight > 0; in_flight--)
        take_reply(redis);
    redisFree(redis);
}

static void *run_lane(void *arg)
{
    const struct lane *self = arg;
    char address[128];
    if (self->depth > 0) {
        replay(self);
        return NULL;
    }
    (void)snprintf(address, sizeof address, "unix:%s", self->bench->socket_path);
    const struct config_redis redis = { .address = address, .timeout_ms = 5000 };
    struct store *store = open_store(&redis);
    for (size_t i = self->first; i < self->end; i++)
        apply(self->bench, store, i);
    store_destroy(&store);
    return NULL;
}

/* Events a second, by what Redis holds afterwards. */
static double measure(const struct bench *self, size_t lanes, size_t depth)
{
    pthread_t threads[LANES];
    struct lane parts[LANES];
    (void)ask(self, "FLUSHALL");
    int64_t began_ns = now_ns();
    for (size_t i = 0; i < lanes; i++) {
        parts[i] = (struct lane){ .bench = self,
                                  .first = self->calls * i / lanes,
                                  .end = self->calls * (i + 1) / lanes,
                                  .depth = depth };
        if (pthread_create(&threads[i], NULL, run_lane, &parts[i]) != 0)
            give_up("cannot start a thread");
    }
    for (size_t i = 0; i < lanes; i++)
        (void)pthread_join(threads[i], NULL);
    double took_s = (double)(now_ns() - began_ns) / 1e9;
    long long applied = count_events(self);
    if ((size_t)applied != self->calls * PER_CALL)
        give_up("Redis holds %lld events of %zu", applied, self->calls * PER_CALL);
    return (double)applied / took_s;
}

int main(int argc, char **argv)
{
    static char text[TEXT_BYTES + 1];
    static struct bench bench;
    memset(text, 'x', TEXT_BYTES);
    bench.socket_path = option_text(argc, argv, "--redis", "");
    bench.calls = (size_t)option_number(argc, argv, "--calls", 1000);
    bench.events = bench.calls > 0 ? calloc(bench.calls * PER_CALL, sizeof *bench.events) : NULL;
    if (!bench.events)
        give_up("--calls: write 1 or more, of what fits into memory");
    for (size_t i = 0; i < bench.calls * PER_CALL; i++)
        make_event(&bench.events[i], i, text);
    record_calls(&bench);
    size_t rounds = (size_t)option_number(argc, argv, "--rounds", 1);
    for (size_t i = 0; i < rounds; i++) {
        double bare_single = measure(&bench, 1, 1);
        double store_single = measure(&bench, 1, 0);
        double bare = measure(&bench, LANES, 2);
        double store_pair = measure(&bench, LANES, 0);
        (void)printf("{\"events\": %zu, \"call_bytes\": %zu, \"bare_single\": %.0f, "
                     "\"store_single\": %.0f, \"bare\": %.0f, \"store_pair\": %.0f}\n",
                     bench.calls * PER_CALL, bench.command_lengths[0], bare_single, store_single,
                     bare, store_pair);
        (void)fflush(stdout);
    }
    free(bench.commands);
    free(bench.command_lengths);
    free(bench.stream.data);
    free(bench.events);
    return EXIT_SUCCESS;
}
