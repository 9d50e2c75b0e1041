/* What goes out is a fold, too: for many invented sets of what people decided, what notify's
 * journals say and what came back through the platforms, every order of arrival (with copies, and
 * however it is cut into calls) gives the same items, broadcasts, freeze and lists, and the same
 * things waiting at the same places. Arguments: how many sets, first seed. */
#include "fixture.h"

#include <assert.h>

#include "clock/clock.h"
#include "outgoing.h"

enum {
    VERSIONS_MAX = 3,
    FACTS_MAX = 16,
    NOTES_MAX = 24,
    EVENTS = 3,
    ITEMS_MAX = 16,
    STEPS_MAX = (FACTS_MAX + NOTES_MAX + EVENTS) * 2,
    ORDERS = 6
};

#define HOUR_MS 3600000LL

struct sizes {
    unsigned sets, first_seed;
};

static struct sizes sizes = { 40, 1 };

/* An item as notify accepted it. */
struct accepted {
    struct id id;
    Desg__V1__OutboxItem *item;
};

struct story {
    Desg__V1__Fact *facts[FACTS_MAX]; /* as they were decided */
    size_t fact_count;
    struct said notes[NOTES_MAX];
    size_t note_count;
    struct accepted items[ITEMS_MAX];
    size_t item_count;
    struct sample events[EVENTS]; /* a message, an echo, an outcome */
    char mark[64];
    struct id broadcast;
    uint32_t chance;
};

static unsigned below(struct story *self, unsigned limit)
{
    assert(limit > 0);
    self->chance = self->chance * 1664525U + 1013904223U;
    return (self->chance >> 8) % limit;
}

/* --- a story is decided once, live, and told again in every order --- */

static void keep(struct story *self, struct fixture *f, const struct outgoing *what)
{
    struct store_fact_done done;
    struct error err = { 0 };
    if (store_outward_decide(f->store, &what->fact, true, &done, &err) != 0) {
        if (err.kind != ERROR_INVALID)
            fail_msg("decide: %s", err.text);
        return; /* chance chose what may not be decided now */
    }
    assert(self->fact_count < FACTS_MAX);
    self->facts[self->fact_count] = desg__v1__fact__unpack(NULL, done.fact_length, done.fact);
    assert_non_null(self->facts[self->fact_count++]);
    free(done.fact);
}

static void collect(struct story *self, struct fixture *f, const char *place)
{
    struct store_owner owner;
    struct store_item items[ITEMS_MAX];
    struct error err = { 0 };
    char cursor[32] = ">";
    size_t count = 0;
    assert_int_equal(store_place_take(f->store, place, "notify-0", (uint32_t)HOUR_MS, &owner, &err),
                     0);
    assert_int_equal(
        store_outbox_read(f->store, place, "notify-0", cursor, items, ITEMS_MAX, &count, &err), 0);
    for (size_t i = 0; i < count; i++) {
        assert(self->item_count < ITEMS_MAX);
        struct accepted *accepted = &self->items[self->item_count++];
        accepted->item = desg__v1__outbox_item__unpack(NULL, items[i].length, items[i].bytes);
        memcpy(accepted->id.bytes, accepted->item->id.data, ID_BYTES);
    }
    store_items_clear(items, count);
}

static void collect_all(struct story *self, struct fixture *f)
{
    static const char *const places[] = { "facebook:1001", "outlet:page", "outlet:x" };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        collect(self, f, places[i]);
}

static void note(struct story *self, struct fixture *f, const struct said *said)
{
    const Desg__V1__OutwardFact *facts[] = { &said->fact };
    struct error err = { 0 };
    if (store_outward_apply(f->store, facts, 1, "notify-0", f->history, &err) != 0)
        fail_msg("note: %s", err.text);
    self->note_count++;
}

/* What notify does with an item: a few tries, and how they end. */
static void invent_tries(struct story *self, struct fixture *f, const struct accepted *accepted)
{
    char object[32];
    int64_t at_ms = clock_unix_ms();
    for (unsigned try = below(self, 3); try > 0 && self->note_count + 2 < NOTES_MAX; try--) {
        Desg__V1__SendOutcome outcome = (Desg__V1__SendOutcome)(1 + below(self, 5));
        at_ms += below(self, 3);
        said_intent(&self->notes[self->note_count], &accepted->id, 0, 1, at_ms);
        note(self, f, &self->notes[self->note_count]);
        if (below(self, 4) == 0)
            return; /* it died there */
        at_ms += below(self, 3);
        (void)snprintf(object, sizeof object, "object-%zu", self->note_count);
        bool is_over = outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT ||
                       outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED;
        said_result(&self->notes[self->note_count], &accepted->id, 0, outcome, at_ms,
                    is_over ? "object-of-ours" : "", is_over);
        note(self, f, &self->notes[self->note_count]);
        if (is_over)
            return;
        at_ms++;
    }
}

static void invent_versions(struct story *self, struct fixture *f)
{
    unsigned versions = 1 + below(self, VERSIONS_MAX);
    for (unsigned v = 1; v <= versions; v++) {
        struct outgoing fact;
        outgoing_init(&fact, v * 10, "comms-1", clock_unix_ms());
        outgoing_draft(&fact, v > 1 ? &self->broadcast : NULL);
        if (v == 1)
            self->broadcast = fact.id;
        if (below(self, 3) == 0)
            fact.broadcast.n_outlets = 1;
        if (below(self, 3) == 0)
            fact.broadcast.cy = NULL;
        fact.broadcast.welsh_owed = &fact.owed;
        fact.owed.due_at_ms = fact.fact.at_ms + HOUR_MS;
        keep(self, f, &fact);
        outgoing_init(&fact, v * 10 + 1, "comms-2", clock_unix_ms());
        outgoing_approve(&fact, &self->broadcast, v);
        if (below(self, 4) > 0)
            keep(self, f, &fact);
        outgoing_init(&fact, v * 10 + 2, "comms-2", clock_unix_ms());
        outgoing_publish(&fact, &self->broadcast, v);
        if (below(self, 4) > 0)
            keep(self, f, &fact);
        size_t from = self->item_count;
        collect_all(self, f);
        for (size_t i = from; i < self->item_count; i++)
            invent_tries(self, f, &self->items[i]);
    }
}

static void invent_reply(struct story *self, struct fixture *f)
{
    struct outgoing reply;
    struct error err = { 0 };
    json_t *claim = NULL;
    struct sample *message = &self->events[0];
    assert_int_equal(store_claim(f->store, "agent-1", "", &message->conversation, &claim, &err), 0);
    uint64_t fence = (uint64_t)json_integer_value(json_object_get(claim, "fence"));
    json_decref(claim);
    outgoing_init(&reply, 1, "agent-1", clock_unix_ms());
    outgoing_reply(&reply, &message->conversation, fence, &message->event_id, NULL);
    keep(self, f, &reply);
    size_t from = self->item_count;
    collect_all(self, f);
    assert_int_equal(self->item_count, from + 1);
    invent_tries(self, f, &self->items[from]);
}

static void invent_events(struct story *self)
{
    char id[ID_TEXT_BYTES];
    id_text(self->items[0].id.bytes, id);
    (void)snprintf(self->mark, sizeof self->mark, "desk:%s/0", id);
    for (unsigned i = 1; i < EVENTS; i++) {
        struct sample *event = &self->events[i];
        sample_init(event, 1, i + 1, T0 + (int64_t)i, ROUTINE);
        event->event.kind = i == 1 ? DESG__V1__EVENT_KIND__EVENT_KIND_ECHO
                                   : DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME;
        event->event.object_id = (char *)"object-of-ours";
        event->event.raw_kind = (char *)(below(self, 3) == 0 ? "failed" : "delivered");
        event->event.outward_ref = self->mark;
        sample_pack(event);
    }
}

static void invent_settlements(struct story *self, struct fixture *f)
{
    for (size_t i = 0; i < self->item_count; i++) {
        struct outgoing settle;
        outgoing_init(&settle, 200 + (unsigned)i, "agent-2", clock_unix_ms());
        outgoing_settle(&settle, &self->items[i].id, (Desg__V1__SettledAs)(1 + below(self, 3)));
        if (self->fact_count < FACTS_MAX && below(self, 2) == 0)
            keep(self, f, &settle);
    }
}

static void invent(struct story *self, struct fixture *f, unsigned seed)
{
    memset(self, 0, sizeof *self);
    self->chance = seed * 2654435761U + 12345U;
    free(redis_server_ask(f->server, "FLUSHALL"));
    sample_init(&self->events[0], 1, 1, T0, ATTENTION);
    self->events[0].event.object_id = (char *)"m_1";
    (void)apply_sample(f, &self->events[0]);
    invent_reply(self, f);
    invent_versions(self, f);
    for (unsigned i = below(self, 3); i > 0; i--) {
        struct outgoing freeze;
        outgoing_init(&freeze, 100 + i, "comms-1", T0 + below(self, 3));
        outgoing_freeze(&freeze, clock_unix_ms() + HOUR_MS * (1 + (int64_t)i), "x");
        keep(self, f, &freeze);
    }
    if (below(self, 3) == 0) {
        struct outgoing cancel;
        outgoing_init(&cancel, 99, "comms-2", clock_unix_ms());
        outgoing_cancel(&cancel, &self->broadcast);
        keep(self, f, &cancel);
        collect_all(self, f);
    }
    invent_settlements(self, f);
    invent_events(self);
}

static void end_story(struct story *self)
{
    for (size_t i = 0; i < self->fact_count; i++)
        desg__v1__fact__free_unpacked(self->facts[i], NULL);
    for (size_t i = 0; i < self->item_count; i++)
        desg__v1__outbox_item__free_unpacked(self->items[i].item, NULL);
}

/* --- one order of arrival --- */

static size_t make_order(struct story *self, unsigned steps[STEPS_MAX])
{
    size_t all = self->fact_count + self->note_count + self->item_count + EVENTS, count = all;
    assert(2 * all < STEPS_MAX);
    for (size_t i = 0; i < all; i++)
        steps[i] = (unsigned)i;
    for (unsigned copies = below(self, 4); copies > 0; copies--)
        steps[count++] = below(self, (unsigned)all);
    for (size_t i = count; i > 1; i--) {
        size_t other = below(self, (unsigned)i);
        unsigned kept = steps[i - 1];
        steps[i - 1] = steps[other];
        steps[other] = kept;
    }
    return count;
}

static void run_step(struct fixture *f, struct story *story, unsigned step)
{
    struct error err = { 0 };
    if (step < story->fact_count) {
        const Desg__V1__Fact *facts[] = { story->facts[step] };
        if (store_facts_apply(f->store, facts, 1, f->history, &err) != 0)
            fail_msg("facts: %s", err.text);
        return;
    }
    step -= (unsigned)story->fact_count;
    Desg__V1__OutwardFact accepted = DESG__V1__OUTWARD_FACT__INIT;
    const Desg__V1__OutwardFact *notes[] = { &accepted };
    if (step < story->note_count) {
        notes[0] = &story->notes[step].fact;
    } else if (step - story->note_count < story->item_count) {
        accepted.fact_case = DESG__V1__OUTWARD_FACT__FACT_ACCEPTED;
        accepted.accepted = story->items[step - story->note_count].item;
    } else {
        (void)apply_sample(f, &story->events[step - story->note_count - story->item_count]);
        return;
    }
    if (store_outward_apply(f->store, notes, 1, "notify-0", f->history, &err) != 0)
        fail_msg("notes: %s", err.text);
}

/* --- what is compared --- */

static void add_waiting(struct fixture *f, json_t *all, const char *state)
{
    json_t *rows = NULL;
    struct error err = { 0 };
    assert_int_equal(store_items_waiting(f->store, state, 100, &rows, &err), 0);
    (void)json_object_set_new(all, state, rows);
}

/* Ids of what lies in a place's stream. */
static void add_place(struct fixture *f, json_t *all, const char *place)
{
    json_t *ids = json_object();
    struct store_owner owner;
    struct store_item items[ITEMS_MAX];
    struct error err = { 0 };
    char cursor[32] = "0";
    size_t count = 0;
    assert_int_equal(store_place_take(f->store, place, "notify-0", (uint32_t)HOUR_MS, &owner, &err),
                     0);
    assert_int_equal(
        store_outbox_read(f->store, place, "notify-0", cursor, items, ITEMS_MAX, &count, &err), 0);
    for (size_t i = 0; i < count; i++) {
        Desg__V1__OutboxItem *item =
            desg__v1__outbox_item__unpack(NULL, items[i].length, items[i].bytes);
        char id[ID_TEXT_BYTES];
        id_text(item->id.data, id);
        (void)json_object_set_new(
            ids, id,
            json_integer(item->broadcast && item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST
                             ? (json_int_t)item->broadcast->action
                             : 0));
        desg__v1__outbox_item__free_unpacked(item, NULL);
    }
    store_items_clear(items, count);
    (void)json_object_set_new(all, place, ids);
}

static char *state_after(struct fixture *f, const struct story *story)
{
    json_t *all = json_object(), *one = NULL;
    struct error err = { 0 };
    assert_int_equal(store_broadcast_get(f->store, &story->broadcast, &one, &err), 0);
    (void)json_object_set_new(all, "broadcast", one);
    assert_int_equal(store_freeze_get(f->store, &one, &err), 0);
    (void)json_object_set_new(all, "freeze", one ? one : json_null());
    assert_int_equal(store_item_get(f->store, &story->items[0].id, &one, &err), 0);
    (void)json_object_set_new(all, "reply", one);
    add_waiting(f, all, "unknown");
    add_waiting(f, all, "task");
    add_place(f, all, "facebook:1001");
    add_place(f, all, "outlet:page");
    add_place(f, all, "outlet:x");
    char *text = json_dumps(all, JSON_SORT_KEYS | JSON_INDENT(1));
    json_decref(all);
    return text;
}

static void print_step(const struct story *story, unsigned step)
{
    if (step < story->fact_count) {
        const Desg__V1__Fact *fact = story->facts[step];
        bool is_draft = fact->what_case == DESG__V1__FACT__WHAT_DRAFTED;
        (void)fprintf(stderr, "fact-%d%s%u ", (int)fact->what_case, is_draft ? ":" : "",
                      is_draft ? fact->drafted->broadcast->version : 0);
        return;
    }
    step -= (unsigned)story->fact_count;
    char id[ID_TEXT_BYTES] = "";
    if (step < story->note_count) {
        id_text(story->notes[step].item.bytes, id);
        (void)fprintf(stderr, "%s-%.4s ",
                      story->notes[step].fact.fact_case == DESG__V1__OUTWARD_FACT__FACT_INTENT
                          ? "intent"
                          : "result",
                      id);
        return;
    }
    step -= (unsigned)story->note_count;
    if (step < story->item_count) {
        id_text(story->items[step].id.bytes, id);
        (void)fprintf(stderr, "accepted-%.4s ", id);
        return;
    }
    (void)fprintf(stderr, "event-%u ", step - (unsigned)story->item_count);
}

static void print_order(const struct story *story, const unsigned *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        print_step(story, steps[i]);
    (void)fprintf(stderr, "\n");
}

static void every_order_of_arrival_gives_the_same_outbox(void **state)
{
    struct fixture *f = *state;
    struct story *story = calloc(1, sizeof *story);
    for (unsigned seed = sizes.first_seed; seed < sizes.first_seed + sizes.sets; seed++) {
        unsigned first_steps[STEPS_MAX];
        size_t first_count = 0;
        char *first = NULL;
        invent(story, f, seed);
        for (int order = 0; order < ORDERS; order++) {
            unsigned steps[STEPS_MAX];
            size_t count = make_order(story, steps);
            free(redis_server_ask(f->server, "FLUSHALL"));
            for (size_t i = 0; i < count; i++)
                run_step(f, story, steps[i]);
            char *now = state_after(f, story);
            if (!first) {
                first = now;
                first_count = count;
                memcpy(first_steps, steps, sizeof steps);
                continue;
            }
            if (strcmp(first, now) != 0) {
                print_order(story, first_steps, first_count);
                print_order(story, steps, count);
                (void)fprintf(stderr, "%s\n---\n%s\n", first, now);
                fail_msg("seed %u: two orders, two outboxes", seed);
            }
            free(now);
        }
        free(first);
        end_story(story);
    }
    free(story);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        sizes.sets = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        sizes.first_seed = (unsigned)strtoul(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_order_of_arrival_gives_the_same_outbox, empty,
                                        close_store),
    };
    return cmocka_run_group_tests_name("store outward fold", tests, set_up_server,
                                       tear_down_server);
}
