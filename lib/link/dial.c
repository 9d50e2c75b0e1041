#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "link/endpoint.h"
#include "link/link_private.h"
#include "link/monitor.h"
#include "link/security.h"
#include "link/socket.h"
#include "log/log.h"

enum { CONNECTIONS_MAX = PEERS_MAX, OTHER_KEY_AFTER_MS = 100, SAY_AGAIN_MS = 60000 };

/* One DEALER to one address, watched, and built anew when libzmq has given it up. */
struct connection {
    struct dialer *dialer;
    const struct endpoint *endpoint;
    char address[ENDPOINT_ADDRESS_BYTES];
    void *socket; /* NULL: parked, or could not be made */
    void *monitor;
    const char *trouble;      /* what failed last; a literal */
    int64_t rebuild_at_ms;    /* unless it answers before; 0: nothing is wrong */
    int64_t opens_at_ms;      /* without a socket: not before */
    struct id parked_for;     /* the instance that another connection leads to */
    int64_t ready_said_at_ms; /* 0: not in this handshake */
    bool is_open;             /* the handshake is done */
    bool is_answered;         /* its peer is up */
    bool was_open;            /* at any time: the next opening is a reconnection */
    bool is_wanted;           /* false: its address is gone from DNS */
    bool is_parked;
    bool has_other_key; /* the listener's pair is being renewed: two keys may be its own */
    unsigned key_turn;  /* which of the two */
    bool is_turned;     /* the next socket takes the other */
    bool is_unwelcome;  /* the listener refuses our key */
    int64_t unwelcome_said_at_ms; /* 0: not yet */
};

struct name {
    const struct endpoint *endpoint;
    struct resolver_answer answer;
};

struct dialer {
    struct link *link;
    struct endpoint *endpoints;
    size_t endpoint_count;
    struct name *names; /* the endpoints that need resolving */
    size_t name_count;
    struct resolver *resolver;
    struct connection **connections;
    size_t connection_count;
};

static zloop_t *loop_of(const struct connection *self)
{
    return self->dialer->link->options.loop;
}

static struct place place_of(struct connection *self)
{
    return (struct place){ .connection = self };
}

static int64_t now_of(const struct connection *self)
{
    return self->dialer->link->now_ms;
}

static void say_ready(struct connection *self)
{
    int events = 0;
    size_t size = sizeof events;
    const struct place place = place_of(self);
    /* Asking makes libzmq look at its mailbox: else it may not know yet that it can send. */
    (void)zmq_getsockopt(self->socket, ZMQ_EVENTS, &events, &size);
    if (protocol_say_ready(self->dialer->link, &place) == SENT)
        self->ready_said_at_ms = now_of(self);
}

static void set_unwelcome(struct connection *self, bool is_unwelcome)
{
    if (self->is_unwelcome == is_unwelcome)
        return;
    self->is_unwelcome = is_unwelcome;
    security_count_unwelcome(self->dialer->link->options.security, is_unwelcome ? 1 : -1);
}

/* The listener let nobody with our key in. Only somebody there can change that. */
static void hear_unwelcome(struct connection *self)
{
    const struct link *link = self->dialer->link;
    set_unwelcome(self, true);
    if (self->unwelcome_said_at_ms != 0 && now_of(self) - self->unwelcome_said_at_ms < SAY_AGAIN_MS)
        return;
    self->unwelcome_said_at_ms = now_of(self);
    log_error("key_unwelcome", KV("link", link->options.label), KV("address", self->address),
              KV("public_key", security_own_key(link->options.security)),
              KV("remedy", "put this process's public certificate into the listener's allowed "
                           "folder, or give this process the pair that is allowed there"));
}

/* ---- one connection's socket ---- */

static void close_socket(struct connection *self)
{
    zmq_pollitem_t news = { .socket = self->monitor };
    zmq_pollitem_t packets = { .socket = self->socket };
    if (self->monitor)
        zloop_poller_end(loop_of(self), &news);
    if (self->socket) {
        zloop_poller_end(loop_of(self), &packets);
        monitor_close(&self->monitor, self->socket);
        (void)zmq_close(self->socket); /* fails only for what is no socket */
    }
    self->socket = NULL;
    self->is_open = false;
    self->is_turned = false;
    self->ready_said_at_ms = 0;
    self->rebuild_at_ms = 0;
}

static void expect_answer(struct connection *self, const char *trouble)
{
    self->trouble = trouble;
    if (self->rebuild_at_ms == 0)
        self->rebuild_at_ms = now_of(self) + LINK_REBUILD_AFTER_MS;
}

static void hear_opened(struct connection *self)
{
    if (self->was_open)
        counter_add(self->dialer->link->counters.reconnects, 1);
    self->was_open = true;
    self->is_open = true;
    set_unwelcome(self, false);
    self->rebuild_at_ms = 0; /* libzmq has not given up: it has all its time to answer */
    expect_answer(self, "no_answer");
    say_ready(self);
}

/* A handshake that fails may mean that the listener has its new pair already, or still its old. */
static void try_other_key(struct connection *self)
{
    if (!self->has_other_key || self->is_turned)
        return;
    self->is_turned = true; /* one failure is told of twice */
    self->key_turn++;
    self->rebuild_at_ms = now_of(self) + OTHER_KEY_AFTER_MS;
}

static void hear_closed(struct connection *self)
{
    bool was_open = self->is_open;
    struct link *link = self->dialer->link;
    const struct place place = place_of(self);
    struct peer *peer = peer_table_at(link->peers, &place);
    self->is_open = false;
    self->ready_said_at_ms = 0;
    if (peer)
        protocol_peer_down(link, peer, "disconnected");
    expect_answer(self, "closed");
    if (!was_open)
        try_other_key(self);
}

static void hear_monitor(struct connection *self, enum monitor_event event)
{
    switch (event) {
    case MONITOR_CONNECTED:
        expect_answer(self, "no_handshake");
        break;
    case MONITOR_OPENED:
        hear_opened(self);
        break;
    case MONITOR_CLOSED:
        hear_closed(self);
        break;
    case MONITOR_REFUSED_KEY:
        hear_unwelcome(self);
        counter_add(self->dialer->link->counters.refused[REFUSAL_KEY], 1);
        expect_answer(self, monitor_event_name(event));
        break;
    case MONITOR_REFUSED_PROTOCOL:
    case MONITOR_REFUSED:
        counter_add(self->dialer->link->counters.refused[REFUSAL_HANDSHAKE], 1);
        expect_answer(self, monitor_event_name(event));
        try_other_key(self);
        break;
    case MONITOR_NONE:
        break;
    }
}

static void take_packets(struct connection *self)
{
    const struct place place = place_of(self);
    struct link *link = self->dialer->link;
    zmq_msg_t frame;
    (void)zmq_msg_init(&frame); /* cannot fail */
    for (int i = 0; i < LINK_PACKETS_PER_WAKE && self->socket; i++) {
        if (zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) < 0)
            break;
        if (frame_is_whole(self->socket, &frame))
            protocol_take(link, &place, &frame);
        else
            protocol_refuse(link, REFUSAL_SHAPE, zmq_msg_size(&frame));
    }
    (void)zmq_msg_close(&frame);
}

static int on_readable(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    (void)item;
    struct connection *self = arg;
    self->dialer->link->now_ms = clock_monotonic_ms();
    take_packets(self);
    return 0;
}

static int on_monitor(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    (void)item;
    struct connection *self = arg;
    self->dialer->link->now_ms = clock_monotonic_ms();
    take_packets(self); /* what came before the end still counts */
    connection_catch_up(self);
    return 0;
}

static int watch(struct connection *self, struct error *err)
{
    zmq_pollitem_t news = { .socket = self->monitor, .events = ZMQ_POLLIN };
    zmq_pollitem_t packets = { .socket = self->socket, .events = ZMQ_POLLIN };
    if (zloop_poller(loop_of(self), &news, on_monitor, self) != 0 ||
        zloop_poller(loop_of(self), &packets, on_readable, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot watch %s", self->address);
    zloop_poller_set_tolerant(loop_of(self), &news); /* else zloop drops it at its first error */
    zloop_poller_set_tolerant(loop_of(self), &packets);
    return 0;
}

static int secure(struct connection *self, struct error *err)
{
    const struct link_security *security = self->dialer->link->options.security;
    char key[SECURITY_KEY_TEXT_BYTES];
    if (!security || self->endpoint->kind == ENDPOINT_IPC)
        return 0;
    if (security_listener_key(security, self->endpoint->certificate, self->key_turn, key,
                              &self->has_other_key, err) != 0)
        return -1;
    return security_apply_caller(security, self->socket, key, err);
}

static int open_socket(struct connection *self, struct error *err)
{
    void *context = self->dialer->link->options.context;
    if (!(self->socket = socket_dealer(context, err)))
        return -1;
    if (!(self->monitor = monitor_open(context, self->socket, err)) || secure(self, err) != 0 ||
        watch(self, err) != 0) {
        close_socket(self);
        return -1;
    }
    if (zmq_connect(self->socket, self->address) != 0) {
        (void)error_set(err, ERROR_CONFIG, "cannot connect to %s: %s", self->address,
                        zmq_strerror(zmq_errno()));
        close_socket(self);
        return -1;
    }
    return 0;
}

/* Opens now, or says why not and tries again later. */
static void try_open(struct connection *self)
{
    struct error err = { 0 };
    if (open_socket(self, &err) == 0)
        return;
    log_warn("connection_not_made", KV("link", self->dialer->link->options.label),
             KV("address", self->address), KV("error", err.text));
    self->opens_at_ms = now_of(self) + LINK_REBUILD_AFTER_MS;
}

static void rebuild(struct connection *self)
{
    log_warn("connection_rebuilt", KV("link", self->dialer->link->options.label),
             KV("address", self->address), KV("reason", self->trouble));
    counter_add(self->dialer->link->counters.reconnects, 1);
    close_socket(self);
    self->was_open = false; /* counted above */
    try_open(self);
}

enum sent connection_transmit(struct connection *self, zmq_msg_t *frame)
{
    if (!self->socket)
        return SENT_NOBODY;
    return zmq_msg_send(frame, self->socket, ZMQ_DONTWAIT) < 0 ? SENT_NOT_NOW : SENT;
}

void connection_catch_up(struct connection *self)
{
    enum monitor_event event = MONITOR_NONE;
    while (self->monitor && (event = monitor_next(self->monitor)) != MONITOR_NONE)
        hear_monitor(self, event);
}

void connection_answered(struct connection *self)
{
    self->is_answered = true;
    self->rebuild_at_ms = 0;
}

void connection_lost(struct connection *self)
{
    self->is_answered = false;
    self->ready_said_at_ms = 0;
    expect_answer(self, "peer_gone");
}

void connection_park(struct connection *self, const struct id *instance)
{
    log_info("connection_parked", KV("link", self->dialer->link->options.label),
             KV("address", self->address));
    close_socket(self);
    self->is_parked = true;
    self->parked_for = *instance;
}

/* ---- all connections ---- */

static struct connection *find_connection(const struct dialer *self, const char *address)
{
    for (size_t i = 0; i < self->connection_count; i++)
        if (strcmp(self->connections[i]->address, address) == 0)
            return self->connections[i];
    return NULL;
}

static struct connection *connection_new(struct dialer *dialer, const struct endpoint *endpoint,
                                         const char *address)
{
    struct connection *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->dialer = dialer;
    self->endpoint = endpoint;
    self->trouble = "none";
    memcpy(self->address, address, strlen(address) + 1);
    dialer->connections[dialer->connection_count++] = self;
    return self;
}

/* Makes sure that there is a connection to host (NULL: the endpoint's own). */
static void want(struct dialer *self, const struct endpoint *endpoint, const char *host)
{
    char address[ENDPOINT_ADDRESS_BYTES];
    endpoint_address(endpoint, host, address);
    struct connection *connection = find_connection(self, address);
    if (!connection && self->connection_count < CONNECTIONS_MAX &&
        (connection = connection_new(self, endpoint, address)))
        try_open(connection);
    if (connection)
        connection->is_wanted = true;
    else
        log_error("connection_not_made", KV("link", self->link->options.label),
                  KV("address", address), KV("connections", self->connection_count));
}

static void forget(struct dialer *self, size_t index)
{
    struct connection *connection = self->connections[index];
    log_info("connection_forgotten", KV("link", self->link->options.label),
             KV("address", connection->address));
    close_socket(connection);
    set_unwelcome(connection, false);
    free(connection);
    self->connections[index] = self->connections[--self->connection_count];
}

/* Takes over the new answers. Addresses that vanished are let go of once nobody is up there: a
 * process that drains disappears from DNS before it is done. */
static void take_answers(struct dialer *self)
{
    for (size_t i = 0; i < self->connection_count; i++)
        if (self->connections[i]->endpoint->kind == ENDPOINT_NAMED)
            self->connections[i]->is_wanted = false;
    for (size_t i = 0; i < self->name_count; i++) {
        const struct name *name = &self->names[i];
        for (size_t j = 0; j < name->answer.count; j++)
            want(self, name->endpoint, name->answer.hosts[j]);
        log_info("endpoint_resolved", KV("link", self->link->options.label),
                 KV("host", name->endpoint->host), KV("addresses", name->answer.count));
    }
}

static int on_resolved(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    (void)item;
    struct dialer *self = arg;
    bool is_new = false;
    self->link->now_ms = clock_monotonic_ms();
    resolver_acknowledge(self->resolver);
    for (size_t i = 0; i < self->name_count; i++)
        is_new |= resolver_take(self->resolver, i, &self->names[i].answer);
    if (is_new)
        take_answers(self);
    return 0;
}

static void tick_connection(struct connection *self)
{
    int64_t now_ms = now_of(self);
    if (self->is_answered)
        return;
    if (self->is_parked)
        self->is_parked = peer_table_instance(self->dialer->link->peers, &self->parked_for) != NULL;
    if (!self->socket) {
        if (!self->is_parked && now_ms >= self->opens_at_ms)
            try_open(self);
    } else if (self->rebuild_at_ms != 0 && now_ms >= self->rebuild_at_ms) {
        rebuild(self);
    } else if (self->is_open && (self->ready_said_at_ms == 0 ||
                                 now_ms - self->ready_said_at_ms >= LINK_READY_AGAIN_MS)) {
        say_ready(self);
    }
}

void dialer_tick(struct dialer *self)
{
    for (size_t i = self->connection_count; i-- > 0;) {
        struct connection *connection = self->connections[i];
        if (!connection->is_wanted && !connection->is_answered)
            forget(self, i);
        else
            tick_connection(connection);
    }
}

void dialer_describe(const struct dialer *self, json_t *peers)
{
    for (size_t i = 0; i < self->connection_count; i++) {
        const struct connection *connection = self->connections[i];
        if (connection->is_answered)
            continue;
        json_t *entry = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i}", "service", "", "name",
                                  connection->address, "state",
                                  connection->is_parked      ? "parked"
                                  : connection->is_unwelcome ? "key_refused"
                                                             : "connecting",
                                  "credit", 0, "outstanding", 0, "silent_ms", 0);
        if (entry)
            (void)json_array_append_new(peers, entry); /* no memory: a shorter status */
    }
}

/* ---- start and end ---- */

static int start_resolver(struct dialer *self, const struct resolver_source *source,
                          struct error *err)
{
    if (self->name_count == 0)
        return 0;
    const char **hosts = calloc(self->name_count, sizeof *hosts);
    if (!hosts)
        return error_set(err, ERROR_SYSTEM, "no memory for %zu host names", self->name_count);
    for (size_t i = 0; i < self->name_count; i++)
        hosts[i] = self->names[i].endpoint->host;
    self->resolver = resolver_new(hosts, self->name_count, source, err);
    free((void *)hosts);
    if (!self->resolver)
        return -1;
    zmq_pollitem_t item = { .fd = resolver_descriptor(self->resolver), .events = ZMQ_POLLIN };
    if (zloop_poller(self->link->options.loop, &item, on_resolved, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot watch the resolver");
    return 0;
}

static int parse_all(struct dialer *self, const char *const *endpoints, struct error *err)
{
    const struct link_security *security = self->link->options.security;
    char key[SECURITY_KEY_TEXT_BYTES];
    bool has_another = false;
    for (size_t i = 0; i < self->endpoint_count; i++) {
        struct endpoint *endpoint = &self->endpoints[i];
        if (endpoint_parse(endpoints[i], endpoint, err) != 0 ||
            endpoint_check_connect(endpoint, err) != 0)
            return -1;
        if (security && endpoint->kind != ENDPOINT_IPC &&
            security_listener_key(security, endpoint->certificate, 0, key, &has_another, err) != 0)
            return -1;
    }
    return 0;
}

static void open_all(struct dialer *self)
{
    for (size_t i = 0; i < self->endpoint_count; i++) {
        const struct endpoint *endpoint = &self->endpoints[i];
        if (endpoint->kind == ENDPOINT_NAMED)
            self->names[self->name_count++].endpoint = endpoint;
        else
            want(self, endpoint, NULL);
    }
}

struct dialer *dialer_new(struct link *link, const char *const *endpoints, size_t count,
                          const struct resolver_source *source, struct error *err)
{
    struct dialer *self = calloc(1, sizeof *self);
    if (self) {
        self->link = link;
        self->endpoint_count = count;
        self->endpoints = calloc(count + 1, sizeof *self->endpoints); /* never 0 bytes */
        self->names = calloc(count + 1, sizeof *self->names);
        self->connections = calloc(CONNECTIONS_MAX, sizeof(struct connection *));
    }
    if (!self || !self->endpoints || !self->names || !self->connections) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to connect to %zu endpoints", count);
        dialer_destroy(&self);
        return NULL;
    }
    if (parse_all(self, endpoints, err) != 0) {
        dialer_destroy(&self);
        return NULL;
    }
    open_all(self);
    if (start_resolver(self, source, err) != 0)
        dialer_destroy(&self);
    return self;
}

void dialer_destroy(struct dialer **self_p)
{
    if (!self_p || !*self_p)
        return;
    struct dialer *self = *self_p;
    if (self->resolver) {
        zmq_pollitem_t item = { .fd = resolver_descriptor(self->resolver) };
        zloop_poller_end(self->link->options.loop, &item);
        resolver_destroy(&self->resolver);
    }
    while (self->connections && self->connection_count > 0) {
        struct connection *last = self->connections[--self->connection_count];
        close_socket(last);
        set_unwelcome(last, false);
        free(last);
    }
    free(self->connections);
    free(self->names);
    free(self->endpoints);
    free(self);
    *self_p = NULL;
}
