#include "link/zap.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "clock/clock.h"
#include "link/allowed.h"
#include "log/log.h"

enum {
    KEY_BYTES = 32,
    KEY_TEXT_BYTES = 41,
    FIELD_BYTES = 256,
    FIELDS = 7, /* version, request, domain, address, identity, mechanism, credentials */
    REMEMBERED = 32,
    SAY_AGAIN_MS = 60000 /* of one key; it knocks several times a second */
};

static const char zap_endpoint[] = "inproc://zeromq.zap.01";

struct field {
    uint8_t bytes[FIELD_BYTES];
    size_t length; /* over FIELD_BYTES: was longer, cut */
};

/* A key that was refused, and when that was last said. */
struct refused {
    uint8_t key[KEY_BYTES];
    int64_t said_at_ms;
    unsigned unsaid;
};

struct zap {
    void *questions; /* REP */
    void *control;   /* PAIR: the thread's end of the way to stop it */
    void *stop;
    struct allowed *allowed;
    char *domain;
    char *directory;
    struct refused refused[REMEMBERED];
    struct counter *refused_total; /* NULL: nobody counts */
    atomic_bool is_quiet;
    pthread_t thread;
    bool is_running;
};

/* ---- one question ---- */

/* Reads all frames; more than FIELDS are passed over. Returns their number. */
static size_t take_question(void *socket, struct field *fields)
{
    size_t count = 0;
    int more = 1;
    size_t size = sizeof more;
    memset(fields, 0, FIELDS * sizeof *fields);
    while (more) {
        struct field surplus;
        struct field *field = count < FIELDS ? &fields[count] : &surplus;
        int length = zmq_recv(socket, field->bytes, sizeof field->bytes, 0);
        if (length < 0 || zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0)
            return 0;
        field->length = (size_t)length;
        count++;
    }
    return count;
}

static bool is_text(const struct field *field, const char *text)
{
    return field->length == strlen(text) && memcmp(field->bytes, text, field->length) == 0;
}

static void send_field(void *socket, const void *bytes, size_t length, int flags)
{
    (void)zmq_send(socket, bytes, length, flags); /* whoever asks reads, or is gone */
}

static void answer(void *socket, const struct field *request, bool is_allowed)
{
    const char *word = is_allowed ? "OK" : "this key is not allowed here";
    size_t length = request->length < sizeof request->bytes ? request->length : 0;
    send_field(socket, "1.0", 3, ZMQ_SNDMORE);
    send_field(socket, request->bytes, length, ZMQ_SNDMORE);
    send_field(socket, is_allowed ? "200" : "400", 3, ZMQ_SNDMORE);
    send_field(socket, word, strlen(word), ZMQ_SNDMORE);
    send_field(socket, "", 0, ZMQ_SNDMORE); /* user */
    send_field(socket, "", 0, 0);           /* metadata */
}

/* The place of a key, or the one least lately spoken of. */
static struct refused *place_of(struct zap *self, const uint8_t key[static KEY_BYTES])
{
    struct refused *oldest = &self->refused[0];
    for (size_t i = 0; i < REMEMBERED; i++) {
        struct refused *at = &self->refused[i];
        if (at->said_at_ms != 0 && memcmp(at->key, key, KEY_BYTES) == 0)
            return at;
        if (at->said_at_ms < oldest->said_at_ms)
            oldest = at;
    }
    *oldest = (struct refused){ 0 };
    memcpy(oldest->key, key, KEY_BYTES);
    return oldest;
}

static void say_refused(struct zap *self, const struct field *address, const uint8_t *key,
                        const char *text)
{
    int64_t now_ms = clock_monotonic_ms();
    struct refused *place = place_of(self, key);
    char from[64];
    place->unsaid++;
    if (place->said_at_ms != 0 && now_ms - place->said_at_ms < SAY_AGAIN_MS)
        return;
    (void)snprintf(from, sizeof from, "%.*s", (int)(address->length < 63 ? address->length : 63),
                   (const char *)address->bytes);
    log_warn("key_refused", KV("from", from), KV("public_key", text),
             KV("allowed", self->directory), KV("refused", place->unsaid),
             KV("remedy", "if it is one of ours, put its public certificate into the allowed "
                          "folder; no restart is needed"));
    place->said_at_ms = now_ms > 0 ? now_ms : 1;
    place->unsaid = 0;
}

static bool is_allowed(struct zap *self, const struct field *fields, size_t count)
{
    char text[KEY_TEXT_BYTES];
    const struct field *key = &fields[6];
    if (count != FIELDS || !is_text(&fields[0], "1.0") || !is_text(&fields[2], self->domain) ||
        !is_text(&fields[5], "CURVE") || key->length != KEY_BYTES ||
        !zmq_z85_encode(text, key->bytes, KEY_BYTES))
        return false;
    if (allowed_has(self->allowed, key->bytes))
        return true;
    if (atomic_load(&self->is_quiet))
        return false;
    if (self->refused_total)
        counter_add(self->refused_total, 1);
    say_refused(self, &fields[3], key->bytes, text);
    return false;
}

static void *run(void *arg)
{
    struct zap *self = arg;
    (void)pthread_setname_np(pthread_self(), "zap"); /* for debuggers, and tests that stop it */
    zmq_pollitem_t items[] = { { .socket = self->questions, .events = ZMQ_POLLIN },
                               { .socket = self->control, .events = ZMQ_POLLIN } };
    for (;;) {
        if (zmq_poll(items, 2, -1) < 0 && zmq_errno() != EINTR)
            return NULL; /* the context ends */
        if (items[1].revents & ZMQ_POLLIN)
            return NULL;
        if (!(items[0].revents & ZMQ_POLLIN))
            continue;
        struct field fields[FIELDS];
        size_t count = take_question(self->questions, fields);
        if (count > 0)
            answer(self->questions, &fields[1], is_allowed(self, fields, count));
    }
}

/* ---- life ---- */

static int start_thread(struct zap *self, struct error *err)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* signals are the service's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    self->is_running = pthread_create(&self->thread, NULL, run, self) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return self->is_running ? 0 : error_set(err, ERROR_SYSTEM, "cannot start the ZAP handler");
}

static const char control_endpoint[] = "inproc://link-zap-control";

static int start(struct zap *self, void *context, struct error *err)
{
    self->questions = zmq_socket(context, ZMQ_REP);
    self->control = zmq_socket(context, ZMQ_PAIR);
    self->stop = zmq_socket(context, ZMQ_PAIR);
    if (!self->questions || !self->control || !self->stop || !self->allowed || !self->domain ||
        !self->directory)
        return error_set(err, ERROR_SYSTEM, "no memory for the ZAP handler");
    if (zmq_bind(self->questions, zap_endpoint) != 0)
        return error_set(err, ERROR_CONFIG,
                         "this process has a ZAP handler already: one link_security serves all "
                         "its links");
    if (zmq_bind(self->control, control_endpoint) != 0 ||
        zmq_connect(self->stop, control_endpoint) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the ZAP handler: %s",
                         zmq_strerror(zmq_errno()));
    return start_thread(self, err);
}

struct zap *zap_new(void *context, const char *domain, const char *directory, struct error *err)
{
    assert(context && domain && directory);
    struct zap *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the ZAP handler");
        return NULL;
    }
    self->domain = strdup(domain);
    self->directory = strdup(directory);
    self->allowed = allowed_new(directory);
    if (start(self, context, err) != 0)
        zap_destroy(&self);
    return self;
}

static void close_now(void **socket_p, const char *endpoint)
{
    const int linger_ms = 0;
    if (!*socket_p)
        return;
    /* A closed socket gives its inproc name back only when libzmq's reaper comes round: the next
     * handler wants it now. Fails where it was not bound. */
    if (endpoint)
        (void)zmq_unbind(*socket_p, endpoint);
    (void)zmq_setsockopt(*socket_p, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    (void)zmq_close(*socket_p); /* fails only for what is no socket */
    *socket_p = NULL;
}

void zap_destroy(struct zap **self_p)
{
    struct zap *self = *self_p;
    if (!self)
        return;
    if (self->is_running) {
        (void)zmq_send(self->stop, "", 0, 0);
        (void)pthread_join(self->thread, NULL);
    }
    close_now(&self->questions, zap_endpoint);
    close_now(&self->control, control_endpoint);
    close_now(&self->stop, NULL);
    allowed_destroy(&self->allowed);
    free(self->domain);
    free(self->directory);
    free(self);
    *self_p = NULL;
}

void zap_set_quiet(struct zap *self, bool is_quiet)
{
    atomic_store(&self->is_quiet, is_quiet);
}

void zap_count(struct zap *self, struct counter *refused_total)
{
    self->refused_total = refused_total;
}
