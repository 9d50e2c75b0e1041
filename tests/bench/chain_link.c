/* bench_chain_link - ingest → classify → route and DONE back through lib/link, as the services do
 * it: one Packet a frame, verdict appended in the middle, every frame decoded at every stage. */
#include <stdlib.h>

#include "chain.h"
#include "figures.h"
#include "link/link.h"

enum { LOOK_MS = 10, STAGES_LINKS_MAX = 2 };

struct stage {
    struct chain *chain;
    void *context;
    zloop_t *loop;
    struct metrics *metrics;
    struct id instances[STAGES_LINKS_MAX];
    struct link *upstream;   /* towards ingest */
    struct link *downstream; /* towards route */
    link_peer from;          /* whom answers go to */
    link_peer to;            /* 0: not there yet */
    uint64_t next;
};

static int on_look(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    const struct stage *self = arg;
    return atomic_load(&self->chain->is_over) ? -1 : 0;
}

static void stage_init(struct stage *self, struct chain *chain)
{
    *self = (struct stage){ .chain = chain,
                            .context = zmq_ctx_new(),
                            .loop = zloop_new(),
                            .metrics = metrics_new(),
                            .instances = { id_random(), id_random() } };
    if (!self->context || !self->loop || !self->metrics ||
        zloop_timer(self->loop, LOOK_MS, 0, on_look, self) < 0)
        give_up("cannot make a stage");
}

static struct link_options options_of(struct stage *self, const char *name, unsigned which,
                                      struct link_handler handler)
{
    return (struct link_options){ .service = name,
                                  .name = name,
                                  .instance = &self->instances[which],
                                  .label = which == 0 ? "up" : "down",
                                  .credit = CHAIN_CREDIT,
                                  .context = self->context,
                                  .loop = self->loop,
                                  .metrics = self->metrics,
                                  .handler = handler,
                                  .arg = self };
}

static void stage_run(struct stage *self, const struct error *err)
{
    if (err->kind != ERROR_NONE)
        give_up("%s", err->text);
    (void)zloop_start(self->loop);
    link_destroy(&self->upstream);
    link_destroy(&self->downstream);
    zloop_destroy(&self->loop);
    (void)zmq_ctx_term(self->context);
    metrics_destroy(&self->metrics);
}

static void send_or_give_up(const struct stage *self, struct link *link, link_peer peer,
                            const Desg__V1__Packet *packet)
{
    struct error err = { 0 };
    if (link_send(link, peer, packet, &err) != 0 && !atomic_load(&self->chain->is_over))
        give_up("%s", err.text);
}

/* ---- ingest ---- */

static void pump(struct stage *self)
{
    while (link_credit(self->downstream, self->to) >= self->chain->batch) {
        struct chain_batch batch;
        chain_batch_fill(&batch, self->chain->batch, self->next);
        self->next += self->chain->batch;
        Desg__V1__Packet packet = link_packet_batch(&batch.message);
        send_or_give_up(self, self->downstream, self->to, &packet);
    }
}

static void on_worker(void *arg, link_peer peer, const struct link_peer_info *info)
{
    (void)info;
    struct stage *self = arg;
    self->to = peer;
    pump(self);
}

static void on_down(void *arg, link_peer peer, bool is_drain)
{
    (void)peer;
    (void)is_drain;
    const struct stage *self = arg;
    if (!atomic_load(&self->chain->is_over))
        give_up("a stage went away");
}

static void on_done(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct stage *self = arg;
    if (packet->kind_case != DESG__V1__PACKET__KIND_DONE)
        return;
    link_credit_return(self->downstream, peer, (uint32_t)packet->done->n_items);
    atomic_fetch_add(&self->chain->done, packet->done->n_items);
    pump(self);
}

static void *run_ingest(void *arg)
{
    struct stage self;
    struct error err = { 0 };
    stage_init(&self, arg);
    const struct link_options options =
        options_of(&self, "ingest", 1, (struct link_handler){ on_worker, on_down, on_done });
    self.downstream = link_bind(&options, self.chain->ingest_endpoint, &err);
    stage_run(&self, &err);
    return NULL;
}

/* ---- classify ---- */

static void on_batch_to_judge(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    static uint8_t verdict[CHAIN_VERDICT_BYTES] = { 7 };
    struct stage *self = arg;
    if (packet->kind_case != DESG__V1__PACKET__KIND_BATCH)
        return;
    self->from = peer;
    for (size_t i = 0; i < packet->batch->n_items; i++)
        packet->batch->items[i]->verdict = (ProtobufCBinaryData){ sizeof verdict, verdict };
    if (self->to == 0)
        give_up("route came after ingest"); /* classify looks for ingest only once route is up */
    send_or_give_up(self, self->downstream, self->to, packet);
}

static void on_done_to_pass(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct stage *self = arg;
    if (packet->kind_case != DESG__V1__PACKET__KIND_DONE)
        return;
    link_credit_return(self->downstream, peer, (uint32_t)packet->done->n_items);
    send_or_give_up(self, self->upstream, self->from, packet);
}

static void on_route(void *arg, link_peer peer, const struct link_peer_info *info)
{
    (void)info;
    struct stage *self = arg;
    struct error err = { 0 };
    const char *const endpoints[] = { self->chain->ingest_endpoint };
    self->to = peer;
    const struct link_options options =
        options_of(self, "classify", 0, (struct link_handler){ NULL, on_down, on_batch_to_judge });
    self->upstream = link_connect(&options, endpoints, 1, &err);
    if (!self->upstream)
        give_up("%s", err.text);
}

static void *run_classify(void *arg)
{
    struct stage self;
    struct error err = { 0 };
    stage_init(&self, arg);
    const char *const endpoints[] = { self.chain->route_endpoint };
    const struct link_options options = options_of(
        &self, "classify", 1, (struct link_handler){ on_route, on_down, on_done_to_pass });
    self.downstream = link_connect(&options, endpoints, 1, &err);
    stage_run(&self, &err);
    return NULL;
}

/* ---- route ---- */

static void on_batch_to_apply(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct stage *self = arg;
    if (packet->kind_case != DESG__V1__PACKET__KIND_BATCH)
        return;
    const Desg__V1__Batch *batch = packet->batch;
    Desg__V1__DoneItem items[CHAIN_BATCH_MAX];
    Desg__V1__DoneItem *pointers[CHAIN_BATCH_MAX];
    Desg__V1__Done done = DESG__V1__DONE__INIT;
    done.source = batch->source;
    done.incarnation = batch->incarnation;
    done.history = (char *)"0123456789abcdef0123456789abcdef01234567";
    done.items = pointers;
    done.n_items = batch->n_items < CHAIN_BATCH_MAX ? batch->n_items : CHAIN_BATCH_MAX;
    for (size_t i = 0; i < done.n_items; i++) {
        items[i] = (Desg__V1__DoneItem)DESG__V1__DONE_ITEM__INIT;
        items[i].position = batch->items[i]->position;
        items[i].outcome = DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW;
        items[i].verdict = batch->items[i]->verdict;
        pointers[i] = &items[i];
    }
    Desg__V1__Packet answer = link_packet_done(&done);
    send_or_give_up(self, self->upstream, peer, &answer);
}

static void *run_route(void *arg)
{
    struct stage self;
    struct error err = { 0 };
    stage_init(&self, arg);
    const struct link_options options =
        options_of(&self, "route", 0, (struct link_handler){ NULL, on_down, on_batch_to_apply });
    self.upstream = link_bind(&options, self.chain->route_endpoint, &err);
    stage_run(&self, &err);
    return NULL;
}

int main(int argc, char **argv)
{
    static void *(*const stages[3])(void *) = { run_ingest, run_classify, run_route };
    return chain_main(argc, argv, stages);
}
