#include "notify/outbox.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "journal/journal.h"
#include "log/log.h"
#include "notify/due_loop.h"
#include "notify/fact_journal.h"
#include "notify/inbox.h"
#include "notify/outbound.h"
#include "notify/outbox_flow.h"
#include "notify/outbox_journal.h"
#include "notify/outbox_places.h"
#include "notify/status_json.h"
#include "projector/projector.h"
#include "unpack/unpack.h"

enum { TICK_MS = 250, LIST_MAX = 1000, PROBLEM_BYTES = 512, SHORT_ID_DIGITS = 8 };

struct outbox {
    struct outbox_options options;
    char owner[OUTBOX_OWNER_BYTES];
    struct keyring *keyring;
    struct journal *journal;
    struct inbox *inbox;
    struct outbound *replies;
    struct outbound *broadcasts;
    struct outbox_places *places;
    struct outbox_flow *flow;
    struct projector_hook hook;
    struct projector *projector;
    struct due_loop *loop;
    struct heartbeat *heartbeat;
    atomic_bool is_draining;
    atomic_bool has_left;
    atomic_bool is_dead; /* its journal failed twice */
    struct gauge *dead;
};

/* --- the loop --- */

static int64_t run_due(void *arg)
{
    struct outbox *self = arg;
    return outbox_flow_run(self->flow);
}

static void on_tick(void *arg)
{
    struct outbox *self = arg;
    struct projector_status status;
    heartbeat_beat(self->heartbeat);
    projector_status(self->projector, &status);
    outbox_flow_projected(self->flow, status.is_redis_away ? 0 : status.marked);
    outbox_flow_tick(self->flow);
    due_loop_go_on(self->loop);
    bool is_done = atomic_load(&self->is_dead) ||
                   (atomic_load(&self->is_draining) && outbox_flow_is_drained(self->flow));
    if (is_done && !atomic_exchange(&self->has_left, true))
        outbox_places_drain(self->places, true);
}

/* --- what other threads hand over --- */

enum news_kind { NEWS_OWNED, NEWS_LOST, NEWS_ITEM, NEWS_READ_THROUGH, NEWS_STRAY };

struct news {
    struct inbox_item item;
    struct outbox *outbox;
    enum news_kind kind;
    size_t place;
    uint64_t fence;
    int64_t until_ms;
    char text[OUTBOX_NAME_BYTES]; /* stream id, name */
    size_t length;
    uint8_t bytes[];
};

static void discard_news(struct inbox_item *item)
{
    free(item);
}

static void run_news(struct inbox_item *item)
{
    struct news *news = (struct news *)item;
    struct outbox_flow *flow = news->outbox->flow;
    switch (news->kind) {
    case NEWS_OWNED:
        outbox_flow_owned(flow, news->place, news->fence, news->until_ms);
        break;
    case NEWS_LOST:
        outbox_flow_lost(flow, news->place);
        break;
    case NEWS_ITEM:
        outbox_flow_take(flow, news->place, news->text, news->bytes, news->length);
        break;
    case NEWS_READ_THROUGH:
        outbox_flow_read_through(flow, news->place);
        break;
    case NEWS_STRAY:
        outbox_flow_stray(flow, news->text);
        break;
    }
    free(news);
}

static struct news *news_new(struct outbox *self, enum news_kind kind, size_t place, size_t length)
{
    struct news *news = calloc(1, sizeof *news + length);
    if (!news)
        abort();
    news->item.run = run_news;
    news->item.discard = discard_news;
    news->outbox = self;
    news->kind = kind;
    news->place = place;
    news->length = length;
    return news;
}

static void on_owned(void *arg, size_t place, uint64_t fence, int64_t until_ms)
{
    struct outbox *self = arg;
    struct news *news = news_new(self, NEWS_OWNED, place, 0);
    news->fence = fence;
    news->until_ms = until_ms;
    inbox_post(self->inbox, &news->item);
}

static void on_lost(void *arg, size_t place)
{
    struct outbox *self = arg;
    inbox_post(self->inbox, &news_new(self, NEWS_LOST, place, 0)->item);
}

static void on_read_through(void *arg, size_t place)
{
    struct outbox *self = arg;
    inbox_post(self->inbox, &news_new(self, NEWS_READ_THROUGH, place, 0)->item);
}

static void on_item(void *arg, size_t place, const char *stream_id, const uint8_t *bytes,
                    size_t length)
{
    struct outbox *self = arg;
    struct news *news = news_new(self, NEWS_ITEM, place, length);
    (void)snprintf(news->text, sizeof news->text, "%s", stream_id);
    memcpy(news->bytes, bytes, length);
    inbox_post(self->inbox, &news->item);
}

static void on_stray(void *arg, const char *name)
{
    struct outbox *self = arg;
    struct news *news = news_new(self, NEWS_STRAY, 0, 0);
    (void)snprintf(news->text, sizeof news->text, "%s", name);
    inbox_post(self->inbox, &news->item);
}

struct settled_news {
    struct inbox_item item;
    struct outbox *outbox;
    Desg__V1__SendSettled *settled;
};

static void discard_settled(struct inbox_item *item)
{
    struct settled_news *news = (struct settled_news *)item;
    desg__v1__send_settled__free_unpacked(news->settled, NULL);
    free(news);
}

static void run_settled(struct inbox_item *item)
{
    struct settled_news *news = (struct settled_news *)item;
    outbox_flow_settled(news->outbox->flow, news->settled);
    discard_settled(item);
}

static void on_settled(void *arg, const Desg__V1__SendSettled *settled)
{
    struct outbox *self = arg;
    struct settled_news *news = calloc(1, sizeof *news);
    if (!news)
        abort();
    news->item.run = run_settled;
    news->item.discard = discard_settled;
    news->outbox = self;
    news->settled = unpack_copy(&settled->base);
    inbox_post(self->inbox, &news->item);
}

/* --- what the flow wants --- */

static void flow_ask(void *arg, struct outbox_ask *ask)
{
    struct outbox *self = arg;
    outbox_places_ask(self->places, ask);
}

static void flow_done(void *arg, size_t place, const char *stream_id)
{
    struct outbox *self = arg;
    outbox_places_done(self->places, place, stream_id);
}

static size_t flow_add_place(void *arg, const char *name)
{
    struct outbox *self = arg;
    return outbox_places_add(self->places, name);
}

/* Alerts are not to suffer from it: the process goes on, another replica takes the places. Called
 * with the flow's lock held. */
static void flow_failed(void *arg, const struct error *err)
{
    struct outbox *self = arg;
    if (atomic_exchange(&self->is_dead, true))
        return;
    gauge_set(self->dead, 1);
    log_error("outbox_died", KV("error", err->text),
              KV("remedy", "alerts go on, nothing else goes out from here: mend the disk of "
                           "notify.outbox_journal, then restart"));
}

/* --- the journal and Redis --- */

static int project(void *arg, struct store *store, const struct journal_record *records,
                   size_t count, char history[STORE_HISTORY_BYTES], struct error *err)
{
    struct outbox *self = arg;
    Desg__V1__OutwardFact *facts[STORE_APPLY_MAX] = { NULL };
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        Desg__V1__OutwardFact *fact = fact_journal_fact(&records[i], OUTBOX_JOURNAL_KIND,
                                                        &desg__v1__outward_fact__descriptor);
        if (fact) /* else of a later version: kept in the journal */
            facts[known++] = fact;
    }
    if (known == 0)
        return 0; /* history stays as the projector gave it */
    int rc = store_outward_apply(store, (const Desg__V1__OutwardFact *const *)facts, known,
                                 self->owner, history, err);
    for (size_t i = 0; i < known; i++)
        desg__v1__outward_fact__free_unpacked(facts[i], NULL);
    return rc;
}

/* --- start --- */

static int open_journal(struct outbox *self, struct error *err)
{
    const struct notify_journal_config *config = self->options.journal;
    if (config->keys_file) {
        self->keyring = keyring_load(config->keys_file, err);
        if (!self->keyring)
            return -1;
    }
    const struct journal_options options = {
        .directory = config->directory,
        .max_bytes = (uint64_t)config->size_mib << 20,
        .retention_ms = (int64_t)config->retention_hours * 3600000,
        .keyring = self->keyring,
        .metrics = service_metrics(self->options.service),
        .metrics_labels = "journal=\"outbox\"",
        .committed = projector_hook_committed,
        .committed_arg = &self->hook,
    };
    self->journal = journal_open(&options, err);
    return self->journal ? 0 : -1;
}

/* Unlike that of any other replica, and of one with this name but another journal: what was begun
 * under it is in this journal. */
static void name_owner(struct outbox *self)
{
    char source[ID_TEXT_BYTES];
    const struct id id = journal_source(self->journal);
    id_text(id.bytes, source);
    (void)snprintf(self->owner, sizeof self->owner, "%.*s.%.*s",
                   (int)(sizeof self->owner - SHORT_ID_DIGITS - 2),
                   service_name(self->options.service), SHORT_ID_DIGITS, source);
}

static int open_outbounds(struct outbox *self, struct error *err)
{
    self->replies = outbound_open(self->options.service, "replies", err);
    if (!self->replies)
        return -1;
    self->broadcasts = outbound_open(self->options.service, "broadcasts", err);
    return self->broadcasts ? 0 : -1;
}

static int open_places(struct outbox *self, struct error *err)
{
    const struct outbox_places_options options = {
        .service = self->options.service,
        .owner = self->owner,
        .lease_ms = self->options.outward->lease_ms,
        .directory = self->options.journal->directory,
        .sinks = { .owned = on_owned,
                   .lost = on_lost,
                   .item = on_item,
                   .read_through = on_read_through,
                   .settled = on_settled,
                   .stray = on_stray,
                   .arg = self },
    };
    self->places = outbox_places_new(&options, err);
    return self->places ? 0 : -1;
}

static int open_flow(struct outbox *self, struct error *err)
{
    struct outbox_flow_options options = {
        .config = self->options.outward,
        .journal = self->journal,
        .inbox = self->inbox,
        .metrics = service_metrics(self->options.service),
        .replies = self->replies,
        .broadcasts = self->broadcasts,
        .retention_ms = (int64_t)self->options.journal->retention_hours * 3600000,
        .ask = flow_ask,
        .done = flow_done,
        .add_place = flow_add_place,
        .failed = flow_failed,
        .arg = self,
    };
    crypto_random(&options.seed, sizeof options.seed);
    self->flow = outbox_flow_new(&options, err);
    return self->flow ? 0 : -1;
}

static int open_projector(struct outbox *self, struct error *err)
{
    const struct config_common *common = service_common(self->options.service);
    const struct projector_options options = {
        .journal = self->journal,
        .hook = &self->hook,
        .redis = &common->redis,
        .force = common->force,
        .kind = "outbox",
        .name = service_name(self->options.service),
        .metrics = service_metrics(self->options.service),
        .metrics_labels = "journal=\"outbox\"",
        .heartbeat = service_heartbeat_new(self->options.service, "outbox-projector"),
        .apply = project,
        .arg = self,
    };
    self->projector = projector_new(&options, err);
    return self->projector ? 0 : -1;
}

static int open_loop(struct outbox *self, struct error *err)
{
    const struct due_loop_options options = { .name = "outbox",
                                              .inbox = self->inbox,
                                              .tick_ms = TICK_MS,
                                              .run = run_due,
                                              .tick = on_tick,
                                              .arg = self };
    self->loop = due_loop_new(&options, err);
    return self->loop ? 0 : -1;
}

static void handle_outbox(void *arg, const struct admin_request *request,
                          struct admin_answer *answer)
{
    struct outbox *self = arg;
    (void)request;
    json_t *list = outbox_flow_list(self->flow, LIST_MAX);
    answer->body = json_dumps(list, JSON_COMPACT);
    json_decref(list);
}

static int start(struct outbox *self, struct error *err)
{
    self->dead = metrics_gauge(service_metrics(self->options.service), "desg_outbox_dead", "",
                               "1 once the outbox journal is dead: nothing goes out but alerts.");
    self->heartbeat = service_heartbeat_new(self->options.service, "outbox");
    if (due_loop_start(self->loop, err) != 0 || outbox_places_start(self->places, err) != 0)
        return -1;
    admin_handle(service_admin(self->options.service), "/outbox", ADMIN_CONTROL, handle_outbox,
                 self);
    return 0;
}

static int open_all(struct outbox *self, struct error *err)
{
    self->inbox = inbox_new(err);
    if (!self->inbox || open_journal(self, err) != 0)
        return -1;
    name_owner(self);
    if (open_outbounds(self, err) != 0 || open_places(self, err) != 0 ||
        open_flow(self, err) != 0 || open_projector(self, err) != 0 || open_loop(self, err) != 0)
        return -1;
    return start(self, err);
}

struct outbox *outbox_new(const struct outbox_options *options, struct error *err)
{
    struct outbox *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the outbox");
        return NULL;
    }
    self->options = *options;
    projector_hook_init(&self->hook);
    if (open_all(self, err) != 0)
        outbox_destroy(&self);
    return self;
}

/* The loop first: it asks the others. The inbox outlives all threads that post. */
void outbox_destroy(struct outbox **self_p)
{
    struct outbox *self = *self_p;
    if (!self)
        return;
    due_loop_stop(self->loop);
    outbox_places_destroy(&self->places);
    outbound_destroy(&self->replies);
    outbound_destroy(&self->broadcasts);
    projector_destroy(&self->projector);
    journal_close(&self->journal);
    due_loop_destroy(&self->loop);
    inbox_destroy(&self->inbox);
    outbox_flow_destroy(&self->flow);
    keyring_destroy(&self->keyring);
    projector_hook_clear(&self->hook);
    free(self);
    *self_p = NULL;
}

/* --- any thread --- */

void outbox_drain(struct outbox *self)
{
    if (atomic_exchange(&self->is_draining, true))
        return;
    outbox_places_drain(self->places, false);
    outbox_flow_drain(self->flow);
}

bool outbox_is_drained(struct outbox *self)
{
    return atomic_load(&self->has_left);
}

void outbox_describe(struct outbox *self, json_t *detail)
{
    char problem[PROBLEM_BYTES] = "";
    json_t *outbox = json_object();
    outbox_flow_describe(self->flow, outbox);
    status_put_journal(outbox, self->journal);
    status_put(outbox, "state", json_string(atomic_load(&self->is_dead) ? "dead" : "running"));
    const char *redis = outbox_places_condition(self->places, problem, sizeof problem);
    status_put_redis(outbox, redis, problem);
    projector_describe(self->projector, outbox);
    status_put(detail, "outbox", outbox);
}
