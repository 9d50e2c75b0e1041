#include "courier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "alert/alert.h"
#include "clock/clock.h"
#include "link/link.h"

#if defined(__SANITIZE_THREAD__)
/* libzmq hands messages over by atomics that ThreadSanitizer cannot see in it. Our own code is
 * watched. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:libzmq.so\ncalled_from_lib:libczmq.so\nrace:libzmq.so\n";
}
#endif

enum { LOOK_MS = 10, AGAIN_MS = 1000 };

struct courier {
    void *context;
    zloop_t *loop;
    struct metrics *metrics;
    struct id instance;
    struct link *link;
    link_peer peer; /* 0: none */
    const struct courier_alert *ordered;
    bool is_alerted;
    int64_t until_ms;
    int64_t again_ms;
};

static void die(const char *why)
{
    (void)fprintf(stderr, "courier: %s\n", why);
    abort();
}

void courier_alert_init(struct courier_alert *self, uint32_t n, int severity)
{
    memset(self, 0, sizeof *self);
    char text[64];
    char object[32];
    memcpy(self->event_id, &n, sizeof n);
    self->event_id[15] = 0x77;
    (void)snprintf(text, sizeof text, "mae gyllell ganddo %u", n);
    (void)snprintf(object, sizeof object, "m_%u", n);
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.id = (ProtobufCBinaryData){ ID_BYTES, self->event_id };
    event.conversation_id = (ProtobufCBinaryData){ ID_BYTES, self->event_id };
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.channel = (char *)"facebook";
    event.account = (char *)"1001";
    event.person = (char *)"person-2002";
    event.person_name = (char *)"Siân Prawf";
    event.object_id = object;
    event.platform_time_ms = 1770831720123 + n;
    event.text = text;
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    verdict.severity =
        severity > 0 ? (Desg__V1__Severity)severity : DESG__V1__SEVERITY__SEVERITY_REVIEW;
    verdict.category = (char *)"violence";
    verdict.is_unclassified = severity < 0;
    size_t event_length = desg__v1__event__pack(&event, self->event);
    size_t verdict_length = severity == 0 ? 0 : desg__v1__verdict__pack(&verdict, self->verdict);
    alert_order_init(&self->alert, &self->id, self->event_id, self->event, event_length,
                     self->verdict, verdict_length);
    id_text(self->id.bytes, self->id_text);
}

static void send_order(struct courier *self)
{
    struct error err = { 0 };
    Desg__V1__Alert *alerts[1] = { (Desg__V1__Alert *)&self->ordered->alert };
    Desg__V1__AlertOrder order = DESG__V1__ALERT_ORDER__INIT;
    order.n_alerts = 1;
    order.alerts = alerts;
    const Desg__V1__Packet packet = link_packet_alert_order(&order);
    self->again_ms = clock_monotonic_ms() + AGAIN_MS;
    if (link_send(self->link, self->peer, &packet, &err) != 0)
        self->again_ms = 0; /* at the next look */
}

static void on_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    (void)info;
    struct courier *self = arg;
    self->peer = peer;
    if (self->ordered)
        send_order(self);
}

static void on_down(void *arg, link_peer peer, bool is_drain)
{
    (void)is_drain;
    struct courier *self = arg;
    if (self->peer == peer)
        self->peer = 0;
}

static void on_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    (void)peer;
    struct courier *self = arg;
    if (packet->kind_case != DESG__V1__PACKET__KIND_ALERTED || !self->ordered)
        return;
    for (size_t i = 0; i < packet->alerted->n_alert_ids; i++)
        if (packet->alerted->alert_ids[i].len == ID_BYTES &&
            memcmp(packet->alerted->alert_ids[i].data, self->ordered->id.bytes, ID_BYTES) == 0)
            self->is_alerted = true;
}

static int on_look(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct courier *self = arg;
    int64_t now_ms = clock_monotonic_ms();
    if (self->peer != 0 && now_ms > self->again_ms)
        send_order(self);
    return self->is_alerted || now_ms > self->until_ms ? -1 : 0;
}

struct courier *courier_new(const char *endpoint)
{
    struct error err = { 0 };
    struct courier *self = calloc(1, sizeof *self);
    if (!self)
        die("no memory");
    self->context = zmq_ctx_new();
    self->loop = zloop_new();
    self->metrics = metrics_new();
    self->instance = id_random();
    zloop_set_nonstop(self->loop, true);
    const struct link_options options = {
        .service = "route",
        .name = "route-test",
        .instance = &self->instance,
        .label = "notify",
        .context = self->context,
        .loop = self->loop,
        .metrics = self->metrics,
        .handler = { .peer_up = on_up, .peer_down = on_down, .packet = on_packet },
        .arg = self,
    };
    const char *const endpoints[] = { endpoint };
    self->link = link_connect(&options, endpoints, 1, &err);
    if (!self->link)
        die(err.text);
    return self;
}

void courier_destroy(struct courier **self_p)
{
    struct courier *self = *self_p;
    if (!self)
        return;
    link_destroy(&self->link);
    zloop_destroy(&self->loop);
    (void)zmq_ctx_term(self->context);
    metrics_destroy(&self->metrics);
    free(self);
    *self_p = NULL;
}

bool courier_order(struct courier *self, const struct courier_alert *alert, int64_t timeout_ms)
{
    self->ordered = alert;
    self->is_alerted = false;
    self->until_ms = clock_monotonic_ms() + timeout_ms;
    self->again_ms = 0;
    int timer = zloop_timer(self->loop, LOOK_MS, 0, on_look, self);
    (void)zloop_start(self->loop);
    (void)zloop_timer_end(self->loop, timer);
    self->ordered = NULL;
    return self->is_alerted;
}
