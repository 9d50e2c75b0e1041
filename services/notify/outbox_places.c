#include "notify/outbox_places.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "notify/feed_file.h"
#include "pause/pause.h"
#include "protobuf-c/protobuf-c.h"

enum {
    READ_MAX = 64,
    UNDONE_MAX = 10000, /* handed over and still open, of one place: then it waits with reading */
    SETTLED_MAX = 64,
    TURN_MS = 100,
    AWAY_WAIT_MS = 200,
    READ_PAUSE_MS = 200,
    SWEEP_PAUSE_MS = 1000,
    SETTLED_PAUSE_MS = 500,
    STRAY_PAUSE_MS = 15000,
    ASKED_PAUSE_MS = 5000, /* whoever reads metrics every 15 s reads what is */
    ASKED_MAX = 500,       /* more than so many are not counted */
    STRAY_AFTER_MS = 60000,
    PROBLEM_BYTES = 512,
    PEERS_MAX = 64,
    PEERS_PAUSE_MS = 5000,
    LEASE_PARTS = 3
};

struct place {
    char name[STORE_PLACE_BYTES];
    bool is_ours;
    uint64_t fence;
    int64_t until_ms; /* monotonic: our lease, by our clock */
    int64_t take_ms;  /* when next */
    char cursor[32];
    bool is_read_through;
};

struct done_note {
    struct done_note *next;
    size_t place;
    char stream_id[32];
};

struct outbox_places {
    struct outbox_places_options options;
    char owner[OUTBOX_OWNER_BYTES];
    struct store *store; /* the thread's own, as those down to was_ready */
    struct heartbeat *heartbeat;
    int64_t read_ms, swept_ms, settled_ms, stray_ms, asked_ms, peers_ms;
    char peers[PEERS_MAX][ID_TEXT_BYTES]; /* sources of outbox journals, ever seen */
    size_t peer_count;
    int64_t peers_since_unix_ms; /* 0: not yet */
    char settled_cursor[32];
    bool was_ready;
    struct gauge *is_ready;
    struct gauge *unknown, *tasks, *welsh_overdue;
    pthread_t thread;
    bool has_thread;
    struct pause *pause;
    atomic_bool is_draining;
    atomic_bool is_leaving;
    pthread_mutex_t lock;                   /* guards all below */
    struct place places[OUTBOX_PLACES_MAX]; /* beyond the name and number the thread's own */
    size_t place_count;
    size_t undone[OUTBOX_PLACES_MAX];
    struct outbox_ask *asks, **asks_end;
    struct done_note *dones;
    enum store_state condition;
    char problem[PROBLEM_BYTES];
};

void outbox_ask_clear(struct outbox_ask *ask)
{
    desg__v1__outbox_item__free_unpacked(ask->what, NULL);
    ask->what = NULL;
    json_decref(ask->row);
    ask->row = NULL;
}

/* --- other threads --- */

void outbox_places_ask(struct outbox_places *self, struct outbox_ask *ask)
{
    ask->next = NULL;
    (void)pthread_mutex_lock(&self->lock);
    *self->asks_end = ask;
    self->asks_end = &ask->next;
    (void)pthread_mutex_unlock(&self->lock);
    pause_wake(self->pause);
}

void outbox_places_done(struct outbox_places *self, size_t place, const char *stream_id)
{
    struct done_note *note = calloc(1, sizeof *note);
    if (!note)
        abort();
    note->place = place;
    (void)snprintf(note->stream_id, sizeof note->stream_id, "%s", stream_id);
    (void)pthread_mutex_lock(&self->lock);
    note->next = self->dones;
    self->dones = note;
    (void)pthread_mutex_unlock(&self->lock);
    pause_wake(self->pause);
}

size_t outbox_places_add(struct outbox_places *self, const char *name)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t index = self->place_count;
    if (index < OUTBOX_PLACES_MAX) {
        struct place *place = &self->places[index];
        (void)snprintf(place->name, sizeof place->name, "%s", name);
        self->place_count++;
    }
    (void)pthread_mutex_unlock(&self->lock);
    return index;
}

void outbox_places_drain(struct outbox_places *self, bool is_leaving)
{
    atomic_store(&self->is_draining, true);
    if (is_leaving)
        atomic_store(&self->is_leaving, true);
    pause_wake(self->pause);
}

const char *outbox_places_condition(struct outbox_places *self, char *problem, size_t problem_bytes)
{
    static const char *const names[] = {
        [STORE_READY] = "ready", [STORE_AWAY] = "away", [STORE_REFUSED] = "refused"
    };
    (void)pthread_mutex_lock(&self->lock);
    (void)snprintf(problem, problem_bytes, "%s", self->problem);
    const char *name = names[self->condition];
    (void)pthread_mutex_unlock(&self->lock);
    return name;
}

/* --- the thread: questions --- */

static size_t count_places(struct outbox_places *self)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t count = self->place_count;
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}

static int answer_one(struct outbox_places *self, struct outbox_ask *ask, struct error *err)
{
    switch (ask->question) {
    case OUTBOX_ASK_BEGIN:
        ask->begin.item = ask->what;
        return store_item_begin(self->store, &ask->begin, &ask->begun, err);
    case OUTBOX_ASK_ITEM:
        return store_item_get(self->store, &ask->item, &ask->row, err);
    case OUTBOX_ASK_ECHO:
        return store_item_echo(self->store, &ask->item, ask->part, ask->object_id,
                               sizeof ask->object_id, err);
    case OUTBOX_ASK_POSTED:
        return store_broadcast_get(self->store, &ask->broadcast, &ask->row, err);
    }
    return -1;
}

static struct outbox_ask *take_asks(struct outbox_places *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct outbox_ask *asks = self->asks;
    self->asks = NULL;
    self->asks_end = &self->asks;
    (void)pthread_mutex_unlock(&self->lock);
    return asks;
}

/* What Redis refuses for itself is an answer too: nothing is known, and the next has its turn. */
static int answer_asks(struct outbox_places *self, bool is_ready, struct error *err)
{
    int rc = is_ready ? 0 : -1;
    for (struct outbox_ask *ask = take_asks(self); ask;) {
        struct outbox_ask *next = ask->next;
        struct error why = { 0 };
        ask->is_answered = rc == 0 && answer_one(self, ask, &why) == 0;
        ask->is_refused = rc == 0 && !ask->is_answered && why.kind == ERROR_INVALID;
        if (rc == 0 && !ask->is_answered && why.kind != ERROR_INVALID) {
            *err = why;
            rc = -1;
        }
        ask->done(ask->arg, ask);
        ask = next;
    }
    return is_ready ? rc : 0;
}

/* --- the thread: places --- */

static void lose(struct outbox_places *self, size_t index)
{
    struct place *place = &self->places[index];
    place->is_ours = false;
    (void)pthread_mutex_lock(&self->lock);
    self->undone[index] = 0;
    (void)pthread_mutex_unlock(&self->lock);
    self->options.sinks.lost(self->options.sinks.arg, index);
    log_warn("place_lost", KV("place", place->name));
}

static void gain(struct outbox_places *self, size_t index, const struct store_owner *owner,
                 int64_t until_ms)
{
    struct place *place = &self->places[index];
    bool is_new = !place->is_ours || place->fence != owner->fence;
    if (is_new) {
        (void)snprintf(place->cursor, sizeof place->cursor, "0");
        place->is_read_through = false;
        (void)pthread_mutex_lock(&self->lock);
        self->undone[index] = 0;
        (void)pthread_mutex_unlock(&self->lock);
        log_info("place_taken", KV("place", place->name), KV("fence", owner->fence));
    }
    place->is_ours = true;
    place->fence = owner->fence;
    place->until_ms = until_ms;
    self->options.sinks.owned(self->options.sinks.arg, index, owner->fence, until_ms);
}

/* The lease counts from before Redis was asked: by our clock it never ends later than by Redis's.
 */
static int take_places(struct outbox_places *self, size_t count, struct error *err)
{
    uint32_t lease_ms = self->options.lease_ms;
    for (size_t i = 0; i < count; i++) {
        struct place *place = &self->places[i];
        int64_t now_ms = clock_monotonic_ms();
        struct store_owner owner;
        if (now_ms < place->take_ms)
            continue;
        if (store_place_take(self->store, place->name, self->owner, lease_ms, &owner, err) != 0)
            return -1;
        place->take_ms = now_ms + lease_ms / LEASE_PARTS;
        if (owner.is_ours)
            gain(self, i, &owner, now_ms + lease_ms);
        else if (place->is_ours)
            lose(self, i);
    }
    return 0;
}

/* Redis silent: what has ended by our clock is no longer ours. */
static void end_leases(struct outbox_places *self, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (self->places[i].is_ours && clock_monotonic_ms() >= self->places[i].until_ms)
            lose(self, i);
}

static void leave_places(struct outbox_places *self, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err = { 0 };
        struct place *place = &self->places[i];
        if (!place->is_ours)
            continue;
        place->is_ours = false;
        place->take_ms = INT64_MAX;
        self->options.sinks.lost(self->options.sinks.arg, i);
        if (store_place_leave(self->store, place->name, self->owner, &err) != 0)
            log_warn("place_not_left", KV("place", place->name), KV("error", err.text));
    }
}

static bool may_read(struct outbox_places *self, size_t index)
{
    (void)pthread_mutex_lock(&self->lock);
    bool has_room = self->undone[index] < UNDONE_MAX;
    (void)pthread_mutex_unlock(&self->lock);
    return has_room && self->places[index].is_ours;
}

static int read_place(struct outbox_places *self, size_t index, struct error *err)
{
    struct place *place = &self->places[index];
    struct store_item items[READ_MAX];
    size_t count = 0;
    const struct outbox_places_sinks *sinks = &self->options.sinks;
    do {
        count = 0;
        if (store_outbox_read(self->store, place->name, self->owner, place->cursor, items, READ_MAX,
                              &count, err) != 0)
            return -1;
        (void)pthread_mutex_lock(&self->lock);
        self->undone[index] += count;
        (void)pthread_mutex_unlock(&self->lock);
        for (size_t i = 0; i < count; i++)
            sinks->item(sinks->arg, index, items[i].stream_id, items[i].bytes, items[i].length);
        store_items_clear(items, count);
        if (strcmp(place->cursor, ">") == 0 && !place->is_read_through) {
            place->is_read_through = true;
            sinks->read_through(sinks->arg, index);
        }
    } while (count == READ_MAX && may_read(self, index));
    return 0;
}

static int read_places(struct outbox_places *self, size_t count, int64_t now_ms, struct error *err)
{
    if (now_ms < self->read_ms || atomic_load(&self->is_draining))
        return 0;
    self->read_ms = now_ms + READ_PAUSE_MS;
    for (size_t i = 0; i < count; i++)
        if (may_read(self, i) && read_place(self, i, err) != 0)
            return -1;
    return 0;
}

static struct done_note *take_dones(struct outbox_places *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct done_note *dones = self->dones;
    self->dones = NULL;
    for (const struct done_note *note = dones; note; note = note->next)
        if (self->undone[note->place] > 0)
            self->undone[note->place]--;
    (void)pthread_mutex_unlock(&self->lock);
    return dones;
}

/* What does not leave is read again and found over. */
static int write_dones(struct outbox_places *self, struct error *err)
{
    int rc = 0;
    for (struct done_note *note = take_dones(self); note;) {
        struct done_note *next = note->next;
        const char *ids[] = { note->stream_id };
        if (rc == 0)
            rc = store_outbox_done(self->store, self->places[note->place].name, ids, 1, err);
        free(note);
        note = next;
    }
    return rc;
}

/* --- the thread: what people said, time, strays --- */

static int read_settled(struct outbox_places *self, int64_t now_ms, struct error *err)
{
    if (now_ms < self->settled_ms)
        return 0;
    self->settled_ms = now_ms + SETTLED_PAUSE_MS;
    Desg__V1__SendSettled *settled[SETTLED_MAX];
    size_t count = 0;
    do {
        if (store_settled_read(self->store, self->settled_cursor, settled, SETTLED_MAX, &count,
                               err) != 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            self->options.sinks.settled(self->options.sinks.arg, settled[i]);
            desg__v1__send_settled__free_unpacked(settled[i], NULL);
        }
    } while (count == SETTLED_MAX);
    return 0;
}

static const char peers_name[] = "peers";

/* True: it is news. */
static bool note_peer(struct outbox_places *self, const char *source)
{
    for (size_t i = 0; i < self->peer_count; i++)
        if (strcmp(self->peers[i], source) == 0)
            return false;
    if (self->peer_count == PEERS_MAX)
        return false;
    (void)snprintf(self->peers[self->peer_count++], ID_TEXT_BYTES, "%s", source);
    return true;
}

/* Redis may be emptied while this process is down: since when, then the sources. */
static void save_peers(const struct outbox_places *self)
{
    struct error err = { 0 };
    char text[32 + PEERS_MAX * (ID_TEXT_BYTES + 1)];
    int length = snprintf(text, sizeof text, "%" PRId64, self->peers_since_unix_ms);
    for (size_t i = 0; i < self->peer_count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, " %s", self->peers[i]);
    if (feed_file_save(self->options.directory, peers_name, (const uint8_t *)text, (size_t)length,
                       &err) != 0)
        log_warn("peers_not_kept", KV("error", err.text));
}

static void read_peers(struct outbox_places *self, char *text)
{
    char *rest = NULL;
    const char *word = strtok_r(text, " ", &rest);
    self->peers_since_unix_ms = word ? strtoll(word, NULL, 10) : 0;
    while ((word = strtok_r(NULL, " ", &rest)) != NULL)
        (void)note_peer(self, word);
}

/* What cannot be read is learnt anew: until then nothing is found by itself. */
static void load_peers(struct outbox_places *self)
{
    struct error err = { 0 };
    uint8_t *bytes = NULL;
    size_t length = 0;
    if (feed_file_load(self->options.directory, peers_name, &bytes, &length, &err) != 0)
        log_warn("peers_not_kept", KV("error", err.text));
    if (bytes) {
        bytes[length] = '\0'; /* there is room for it */
        read_peers(self, (char *)bytes);
    }
    free(bytes);
}

/* Who sends: whose journals have to be heard before what came back to an emptied Redis goes out. */
static int note_peers(struct outbox_places *self, int64_t now_ms, struct error *err)
{
    json_t *rows = NULL;
    size_t i = 0;
    const json_t *row = NULL;
    bool is_news = false;
    if (now_ms < self->peers_ms)
        return 0;
    self->peers_ms = now_ms + PEERS_PAUSE_MS;
    if (store_sources(self->store, &rows, err) != 0)
        return -1;
    json_array_foreach(rows, i, row)
    {
        const char *kind = json_string_value(json_object_get(row, "kind"));
        const char *source = json_string_value(json_object_get(row, "source"));
        if (kind && source && strcmp(kind, "outbox") == 0)
            is_news = note_peer(self, source) || is_news;
    }
    json_decref(rows);
    if (self->peers_since_unix_ms == 0 && self->peer_count > 0)
        self->peers_since_unix_ms = clock_unix_ms();
    if (is_news)
        save_peers(self);
    return 0;
}

static int find_lost(struct outbox_places *self, struct error *err)
{
    const char *sources[PEERS_MAX];
    size_t found = 0;
    if (self->peers_since_unix_ms == 0)
        return 0;
    for (size_t i = 0; i < self->peer_count; i++)
        sources[i] = self->peers[i];
    if (store_items_find(self->store, self->peers_since_unix_ms, sources, self->peer_count, &found,
                         err) != 0)
        return -1;
    if (found > 0)
        log_info("items_found", KV("items", found));
    return 0;
}

static int sweep(struct outbox_places *self, int64_t now_ms, struct error *err)
{
    size_t changed = 0;
    if (now_ms < self->swept_ms)
        return 0;
    self->swept_ms = now_ms + SWEEP_PAUSE_MS;
    if (store_broadcasts_sweep(self->store, clock_unix_ms(), &changed, err) != 0)
        return -1;
    if (changed > 0)
        log_info("broadcasts_swept", KV("broadcasts", changed));
    if (note_peers(self, now_ms, err) != 0)
        return -1;
    return find_lost(self, err);
}

static bool is_known(struct outbox_places *self, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(self->places[i].name, name) == 0)
            return true;
    return false;
}

/* As Redis has it: also what no replica holds, such as what came back when its journal did not. */
static void drop_json(json_t **json_p)
{
    json_decref(*json_p);
}

static int count_asked(struct outbox_places *self, const char *state, struct gauge *gauge,
                       json_t **rows, struct error *err)
{
    if (store_items_waiting(self->store, state, ASKED_MAX, rows, err) != 0)
        return -1;
    gauge_set(gauge, (int64_t)json_array_size(*rows));
    return 0;
}

/* Broadcasts whose Welsh was due by now. */
static int64_t count_welsh_overdue(const json_t *tasks)
{
    int64_t overdue = 0, now_ms = clock_unix_ms();
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        const json_t *row = json_array_get(tasks, i);
        const char *kind = json_string_value(json_object_get(row, "kind"));
        overdue += kind && strcmp(kind, "welsh-owed") == 0 &&
                   json_integer_value(json_object_get(row, "due_at_ms")) < now_ms;
    }
    return overdue;
}

static int count_all_asked(struct outbox_places *self, int64_t now_ms, struct error *err)
{
    AUTO(drop_json) json_t *unknown = NULL;
    AUTO(drop_json) json_t *tasks = NULL;
    if (now_ms < self->asked_ms)
        return 0;
    self->asked_ms = now_ms + ASKED_PAUSE_MS;
    if (count_asked(self, "unknown", self->unknown, &unknown, err) != 0 ||
        count_asked(self, "task", self->tasks, &tasks, err) != 0)
        return -1;
    gauge_set(self->welsh_overdue, count_welsh_overdue(tasks));
    return 0;
}

/* What waits where nobody is would wait for ever. */
static int look_for_strays(struct outbox_places *self, size_t count, int64_t now_ms,
                           struct error *err)
{
    json_t *rows = NULL;
    if (now_ms < self->stray_ms || atomic_load(&self->is_draining))
        return 0;
    self->stray_ms = now_ms + STRAY_PAUSE_MS;
    if (store_places(self->store, &rows, err) != 0)
        return -1;
    const char *name = NULL;
    json_t *row = NULL;
    json_object_foreach(rows, name, row)
    {
        const char *owner = json_string_value(json_object_get(row, "owner"));
        bool is_waiting = json_integer_value(json_object_get(row, "waiting")) > 0 &&
                          json_integer_value(json_object_get(row, "oldest_ms")) > STRAY_AFTER_MS;
        if (is_waiting && (!owner || owner[0] == '\0') && !is_known(self, name, count))
            self->options.sinks.stray(self->options.sinks.arg, name);
    }
    json_decref(rows);
    return 0;
}

/* --- the thread --- */

static void note_condition(struct outbox_places *self, enum store_state condition)
{
    bool is_ready = condition == STORE_READY;
    const char *problem = store_problem(self->store);
    (void)pthread_mutex_lock(&self->lock);
    self->condition = condition;
    (void)snprintf(self->problem, sizeof self->problem, "%s", problem);
    (void)pthread_mutex_unlock(&self->lock);
    gauge_set(self->is_ready, is_ready);
    if (is_ready != self->was_ready && is_ready)
        log_info("outbox_redis_found");
    else if (is_ready != self->was_ready)
        log_warn("outbox_redis_lost", KV("problem", problem));
    self->was_ready = is_ready;
}

static int turn_ready(struct outbox_places *self, size_t count, struct error *err)
{
    int64_t now_ms = clock_monotonic_ms();
    if (answer_asks(self, true, err) != 0)
        return -1;
    if (atomic_load(&self->is_leaving))
        leave_places(self, count);
    else if (take_places(self, count, err) != 0)
        return -1;
    if (write_dones(self, err) != 0 || read_settled(self, now_ms, err) != 0 ||
        read_places(self, count, now_ms, err) != 0 || sweep(self, now_ms, err) != 0)
        return -1;
    if (look_for_strays(self, count, now_ms, err) != 0)
        return -1;
    return count_all_asked(self, now_ms, err);
}

static void turn(struct outbox_places *self)
{
    struct error err = { 0 };
    size_t count = count_places(self);
    enum store_state condition = store_check(self->store);
    note_condition(self, condition);
    if (condition == STORE_READY && turn_ready(self, count, &err) == 0) {
        end_leases(self, count);
        pause_wait(self->pause, TURN_MS);
        return;
    }
    if (condition == STORE_READY)
        log_warn("outbox_redis_failed", KV("error", err.text));
    (void)answer_asks(self, false, &err);
    end_leases(self, count);
    pause_rest(self->pause, AWAY_WAIT_MS);
}

static void *places_thread(void *arg)
{
    struct outbox_places *self = arg;
    (void)pthread_setname_np(pthread_self(), "outbox-places");
    while (!pause_is_stopped(self->pause)) {
        heartbeat_beat(self->heartbeat);
        turn(self);
    }
    struct error err = { 0 };
    if (store_check(self->store) == STORE_READY) {
        (void)write_dones(self, &err); /* else they are read again, and found over */
        leave_places(self, count_places(self));
    }
    return NULL;
}

/* --- life --- */

struct outbox_places *outbox_places_new(const struct outbox_places_options *options,
                                        struct error *err)
{
    struct outbox_places *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the outbox's places");
        return NULL;
    }
    self->options = *options;
    (void)snprintf(self->owner, sizeof self->owner, "%s", options->owner);
    (void)snprintf(self->settled_cursor, sizeof self->settled_cursor, "0");
    self->asks_end = &self->asks;
    self->condition = STORE_AWAY;
    load_peers(self);
    self->pause = pause_new();
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    return self;
}

int outbox_places_start(struct outbox_places *self, struct error *err)
{
    struct service *service = self->options.service;
    const struct config_common *common = service_common(service);
    struct metrics *metrics = service_metrics(service);
    self->is_ready = metrics_gauge(metrics, "desg_outbox_redis_ready", "",
                                   "1 while Redis can be asked what may go out.");
    static const char asked_help[] = "Items that Redis has waiting for a person; 500 at most.";
    self->unknown = metrics_gauge(metrics, "desg_outbox_asked", "state=\"unknown\"", asked_help);
    self->tasks = metrics_gauge(metrics, "desg_outbox_asked", "state=\"task\"", asked_help);
    self->welsh_overdue = metrics_gauge(metrics, "desg_outbox_welsh_overdue", "",
                                        "Broadcasts whose Welsh was due and is not there.");
    const struct store_options options = {
        .redis = &common->redis, .force = common->force, .metrics = metrics, .label = "outbox"
    };
    self->store = store_new(&options, err);
    if (!self->store)
        return -1;
    self->heartbeat = service_heartbeat_new(service, "outbox-places");
    if (pthread_create(&self->thread, NULL, places_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the thread of the outbox's places");
    self->has_thread = true;
    return 0;
}

void outbox_places_destroy(struct outbox_places **self_p)
{
    struct outbox_places *self = *self_p;
    struct error err = { 0 };
    if (!self)
        return;
    if (self->has_thread) {
        pause_stop(self->pause);
        (void)pthread_join(self->thread, NULL);
    }
    (void)answer_asks(self, false, &err);
    for (struct done_note *note = take_dones(self); note;) {
        struct done_note *next = note->next;
        free(note);
        note = next;
    }
    store_destroy(&self->store);
    pause_destroy(&self->pause);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
