/* link - the one implementation of the hop protocol (docs/delivery.md, Hops): libzmq ROUTER/DEALER,
 * one protobuf Packet a frame, READY with credit, PING, DRAIN, peers that come and go.
 *
 * The stable side binds (ROUTER), the elastic side connects (one DEALER per resolved address). Both
 * see the same thing: a set of peers, each with the credit it granted. libzmq may lose anything at
 * any time: whoever sends a Batch keeps custody until an answer comes. Host names are resolved by a
 * thread of the link (all addresses, every 5 s); libzmq gets numeric addresses only. A socket
 * monitor and the answers to PING rebuild a connection that a protocol error killed.
 * Threads: a link belongs to the thread that runs its zloop; link_destroy after the loop ended or
 * from inside it. Endpoints may end in #name: the certificate of the listener under CURVE, see
 * link_security_new. Metrics, all with link="label": desg_link_packets_total and
 * desg_link_bytes_total {direction}, desg_link_refused_packets_total {reason}, desg_link_peers,
 * desg_link_reconnects_total, desg_link_send_failed_total. */
#ifndef DESG_LINK_H
#define DESG_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <czmq.h>
#include <jansson.h>

#include "desg/v1/packet.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "metrics/metrics.h"

enum {
    LINK_FRAME_MAX_BYTES = 8 << 20,
    LINK_BATCH_MAX_ITEMS = 256,
    LINK_BATCH_MAX_BYTES = 512 << 10
};

struct link;
struct config_curve;
struct link_security; /* CURVE keys and the ZAP handler of a process */

typedef uint64_t link_peer; /* never 0, never used again */

/* What a peer said in its Ready. Strings belong to the link and live until peer_down. */
struct link_peer_info {
    const char *service;
    const char *name;
    struct id instance;
    size_t channel_count; /* 0 = all */
    const char *const *channels;
};

struct link_handler {
    /* A Ready came. Called again if the same peer says Ready anew (its credit may have changed). */
    void (*peer_up)(void *arg, link_peer peer, const struct link_peer_info *info);
    /* Silent for 3 s, replaced, drained away or disconnected: what it held is the caller's to send
     * again. is_drain: it had said Drain, so its end is no fault of what it held. */
    void (*peer_down)(void *arg, link_peer peer, bool is_drain);
    /* Every packet but Ready and Ping. It and all it points to live until the handler returns
     * (arena). */
    void (*packet)(void *arg, link_peer peer, const Desg__V1__Packet *packet);
};

struct link_options {
    const char *service; /* own name in Ready */
    const char *name;
    const struct id *instance;
    const char *label; /* of this link in logs and metrics, such as classify or route-urgent */
    uint32_t credit;   /* events we take before answering; 0 = we take no batches */
    const char *const *channels; /* we serve; count 0 = all */
    size_t channel_count;
    void *context;                        /* ZeroMQ context, borrowed: one I/O thread */
    zloop_t *loop;                        /* borrowed */
    struct metrics *metrics;              /* borrowed */
    const struct link_security *security; /* NULL: plain */
    struct link_handler handler;
    void *arg;
};

/* Binds endpoint: tcp://127.0.0.1:5601, tcp://[::]:5601 or ipc:///run/desg/x. ERROR_CONFIG: cannot
 * bind. */
struct link *link_bind(const struct link_options *options, const char *endpoint,
                       struct error *err) MUST_USE;

/* Connects to every address of every endpoint and keeps doing so; peers come up later. Endpoints
 * are tcp://host:port or ipc://path. ERROR_CONFIG: an endpoint that is none. */
struct link *link_connect(const struct link_options *options, const char *const *endpoints,
                          size_t count, struct error *err) MUST_USE;
/* Ends at once, without a word to peers or handlers. Not from inside one of the link's handlers. */
void link_destroy(struct link **self_p);

/* Where a bound link listens, as libzmq says it: tells the port chosen for tcp://127.0.0.1:*. ""
 * for a connecting link. */
const char *link_endpoint(const struct link *self);

/* Sends packet to peer. 0, or -1 with ERROR_UNAVAILABLE (peer gone or not taking: treat it as not
 * sent) or ERROR_INVALID (over LINK_FRAME_MAX_BYTES). Sent is not delivered. */
int link_send(struct link *self, link_peer peer, const Desg__V1__Packet *packet,
              struct error *err) MUST_USE;

/* Events that may still be sent to peer before an answer: granted less outstanding. A Batch sent by
 * link_send takes one per item; link_credit_return gives back as answers come. */
uint32_t link_credit(const struct link *self, link_peer peer);
void link_credit_return(struct link *self, link_peer peer, uint32_t events);

/* Says Drain to all peers and grants no more. */
void link_drain(struct link *self, const char *reason);

size_t link_peer_count(const struct link *self);
/* JSON array of peers for /status: [{"service","name","state","credit","outstanding","silent_ms"}].
 * Own thread only. */
json_t *link_describe(const struct link *self);

/* Helpers to wrap a message in a Packet on the stack: Desg__V1__Packet p =
 * link_packet_batch(&batch); */
Desg__V1__Packet link_packet_batch(Desg__V1__Batch *batch);
Desg__V1__Packet link_packet_seen(Desg__V1__Seen *seen);
Desg__V1__Packet link_packet_done(Desg__V1__Done *done);
Desg__V1__Packet link_packet_busy(Desg__V1__Busy *busy);
Desg__V1__Packet link_packet_refused(Desg__V1__Refused *refused);
Desg__V1__Packet link_packet_hello(Desg__V1__Hello *hello);
Desg__V1__Packet link_packet_history(Desg__V1__History *history);
Desg__V1__Packet link_packet_mark(Desg__V1__Mark *mark);
Desg__V1__Packet link_packet_marked(Desg__V1__Marked *marked);
Desg__V1__Packet link_packet_alert_order(Desg__V1__AlertOrder *order);
Desg__V1__Packet link_packet_alerted(Desg__V1__Alerted *alerted);

/* Loads certificates, starts the ZAP handler (once a process) and tests that an unknown key is
 * refused. Files are czmq zcert texts; allowed_directory holds one public certificate per peer
 * allowed. Whoever connects must know whom it speaks to: endpoint tcp://host:port#ingest is the
 * owner of allowed_directory/ingest.pub (or of ingest.new.pub, while that is there too), without a
 * name of server.pub. Unix sockets stay plain.
 * Call it before other threads start and before any bind; destroy it after the links. */
struct link_security *link_security_new(void *context, const char *public_file,
                                        const char *secret_file, const char *allowed_directory,
                                        struct error *err) MUST_USE;
/* The same from the configuration's common.curve: NULL means plain sockets, *out stays NULL.
 * metrics: desg_curve_refused_total, desg_curve_unwelcome_connections; may be NULL. */
int link_security_open(void *context, const struct config_curve *curve, struct metrics *metrics,
                       struct link_security **out, struct error *err) MUST_USE;
/* Whether a listener that we call refuses our key now: somebody has to let it in there. Any thread;
 * false for NULL. */
bool link_security_is_unwelcome(const struct link_security *self);
void link_security_destroy(struct link_security **self_p);

#endif
