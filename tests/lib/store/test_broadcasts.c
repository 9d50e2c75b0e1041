/* Broadcasts: drafted, approved by a second person, published, changed, taken back, ended; what is
 * put at each outlet's place, and what the public's consumers are told. */
#include "fixture.h"

#include "clock/clock.h"
#include "outgoing.h"

#define SECOND_MS 1000LL
#define HOUR_MS   3600000LL
enum { LEASE_MS = 60000 };

#define SENT    DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT
#define REFUSED DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED

/* --- helpers --- */

static Desg__V1__Fact *decide_as(struct fixture *f, const struct outgoing *what, bool needs_second,
                                 struct error *err)
{
    struct store_fact_done done;
    if (store_outward_decide(f->store, &what->fact, needs_second, &done, err) != 0)
        return NULL;
    Desg__V1__Fact *fact = desg__v1__fact__unpack(NULL, done.fact_length, done.fact);
    assert_non_null(fact);
    free(done.fact);
    return fact;
}

static Desg__V1__Fact *decided(struct fixture *f, const struct outgoing *what)
{
    struct error err = { 0 };
    Desg__V1__Fact *fact = decide_as(f, what, true, &err);
    if (!fact)
        fail_msg("decide: %s", err.text);
    return fact;
}

static void forget(Desg__V1__Fact *fact)
{
    desg__v1__fact__free_unpacked(fact, NULL);
}

static void do_it(struct fixture *f, const struct outgoing *what)
{
    forget(decided(f, what));
}

static void refused(struct fixture *f, const struct outgoing *what, const char *why)
{
    struct error err = { 0 };
    if (decide_as(f, what, true, &err))
        fail_msg("taken, but expected '%s'", why);
    assert_int_equal(err.kind, ERROR_INVALID);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static json_t *get(struct fixture *f, const struct id *broadcast)
{
    json_t *found = NULL;
    struct error err = { 0 };
    if (store_broadcast_get(f->store, broadcast, &found, &err) != 0)
        fail_msg("get: %s", err.text);
    return found;
}

static void assert_state(struct fixture *f, const struct id *broadcast, const char *state)
{
    json_t *found = get(f, broadcast);
    assert_non_null(found);
    assert_string_equal(json_string_value(json_object_get(found, "state")), state);
    json_decref(found);
}

static uint64_t sequence(struct fixture *f)
{
    uint8_t epoch[16];
    uint64_t number = 0;
    struct error err = { 0 };
    assert_int_equal(store_broadcast_sequence(f->store, epoch, &number, &err), 0);
    return number;
}

/* The only item that is new at the place; NULL: there is none. */
static Desg__V1__OutboxItem *next_item(struct fixture *f, const char *place, uint64_t *fence)
{
    struct store_owner owner;
    struct store_item items[2];
    struct error err = { 0 };
    char cursor[32] = ">";
    size_t count = 0;
    assert_int_equal(store_place_take(f->store, place, "notify-0", LEASE_MS, &owner, &err), 0);
    assert_int_equal(store_outbox_read(f->store, place, "notify-0", cursor, items, 2, &count, &err),
                     0);
    *fence = owner.fence;
    if (count > 1)
        fail_msg("%zu items at %s", count, place);
    if (count == 0)
        return NULL;
    Desg__V1__OutboxItem *item =
        desg__v1__outbox_item__unpack(NULL, items[0].length, items[0].bytes);
    assert_non_null(item);
    store_items_clear(items, count);
    return item;
}

static struct store_begin_answer begin(struct fixture *f, const Desg__V1__OutboxItem *item,
                                       uint64_t fence)
{
    const struct store_begin_ask ask = { .item = item, .parts = 1, .owner_fence = fence };
    struct store_begin_answer out;
    struct error err = { 0 };
    if (store_item_begin(f->store, &ask, &out, &err) != 0)
        fail_msg("begin: %s", err.text);
    return out;
}

static void say(struct fixture *f, const Desg__V1__OutboxItem *item, Desg__V1__SendOutcome outcome,
                int64_t at_ms, const char *object_id)
{
    struct said said;
    struct id id = { { 0 } };
    struct error err = { 0 };
    memcpy(id.bytes, item->id.data, ID_BYTES);
    said_result(&said, &id, 0, outcome, at_ms, object_id, true);
    const Desg__V1__OutwardFact *facts[] = { &said.fact };
    if (store_outward_apply(f->store, facts, 1, "notify-0", f->history, &err) != 0)
        fail_msg("apply: %s", err.text);
}

/* Sends what waits at the place; its action, 0 if nothing waits. */
static int send_next(struct fixture *f, const char *place, Desg__V1__SendOutcome outcome,
                     const char *object_id)
{
    uint64_t fence = 0;
    Desg__V1__OutboxItem *item = next_item(f, place, &fence);
    if (!item)
        return 0;
    struct store_begin_answer now = begin(f, item, fence);
    assert_int_equal(now.begin, STORE_BEGIN_NOW);
    say(f, item, outcome, now.at_ms, object_id);
    int action = (int)item->broadcast->action;
    desg__v1__outbox_item__free_unpacked(item, NULL);
    return action;
}

static size_t swept(struct fixture *f, int64_t now_ms)
{
    size_t changed = 0;
    struct error err = { 0 };
    if (store_broadcasts_sweep(f->store, now_ms, &changed, &err) != 0)
        fail_msg("sweep: %s", err.text);
    return changed;
}

static size_t tasks(struct fixture *f)
{
    json_t *rows = NULL;
    struct error err = { 0 };
    assert_int_equal(store_items_waiting(f->store, "task", 100, &rows, &err), 0);
    size_t count = json_array_size(rows);
    json_decref(rows);
    return count;
}

static size_t tasks_listed(struct fixture *f, size_t limit, const char *kind)
{
    json_t *rows = NULL;
    struct error err = { 0 };
    size_t count = 0;
    assert_int_equal(store_items_waiting(f->store, "task", limit, &rows, &err), 0);
    assert_true(json_array_size(rows) <= limit);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row_kind = json_object_get(json_array_get(rows, i), "kind");
        count += strcmp(json_string_value(row_kind), kind) == 0;
    }
    json_decref(rows);
    return count;
}

static bool owes_welsh(struct fixture *f, size_t limit)
{
    return tasks_listed(f, limit, "welsh-owed") > 0;
}

/* A broadcast of comms-1 approved and published by comms-2. */
struct published {
    struct outgoing draft, approve, publish;
    int64_t now_ms;
};

static void draft_as(struct published *self, uint8_t first)
{
    self->now_ms = clock_unix_ms();
    outgoing_init(&self->draft, first, "comms-1", self->now_ms);
    outgoing_draft(&self->draft, NULL);
    outgoing_init(&self->approve, first + 1, "comms-2", self->now_ms);
    outgoing_approve(&self->approve, &self->draft.id, 1);
    outgoing_init(&self->publish, first + 2, "comms-2", self->now_ms);
    outgoing_publish(&self->publish, &self->draft.id, 1);
}

static void draft_it(struct published *self)
{
    draft_as(self, 1);
}

static void draft_without_welsh(struct published *self, uint8_t first)
{
    draft_as(self, first);
    self->draft.broadcast.cy = NULL;
    self->draft.broadcast.welsh_owed = &self->draft.owed;
    self->draft.owed.due_at_ms = self->now_ms + HOUR_MS;
}

static void publish_it(struct fixture *f, struct published *self)
{
    draft_it(self);
    do_it(f, &self->draft);
    do_it(f, &self->approve);
    do_it(f, &self->publish);
}

/* --- what people decide --- */

static void a_broadcast_goes_to_each_outlet_once_approved_and_published(void **state)
{
    struct fixture *f = *state;
    struct published p;
    draft_it(&p);
    Desg__V1__Fact *fact = decided(f, &p.draft);
    assert_memory_equal(fact->drafted->broadcast->id.data, p.draft.id.bytes, ID_BYTES);
    assert_int_equal(fact->drafted->broadcast->version, 1);
    assert_string_equal(fact->drafted->broadcast->author, "comms-1");
    assert_int_equal(fact->drafted->broadcast->written_at_ms, p.now_ms);
    forget(fact);
    assert_state(f, &p.draft.id, "draft");
    refused(f, &p.publish, "not approved");
    do_it(f, &p.approve);
    assert_state(f, &p.draft.id, "approved");
    assert_int_equal(sequence(f), 0);
    do_it(f, &p.publish);
    assert_state(f, &p.draft.id, "published");
    assert_int_equal(sequence(f), 1);
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 1);
    uint64_t fence = 0;
    Desg__V1__OutboxItem *item = next_item(f, "outlet:x", &fence);
    assert_non_null(item);
    assert_string_equal(item->place, "outlet:x");
    assert_string_equal(item->broadcast->broadcast->cy->headline, "Ffordd ddychmygol ar gau");
    desg__v1__outbox_item__free_unpacked(item, NULL);
    do_it(f, &p.publish); /* a repeat */
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 0);
    json_t *found = get(f, &p.draft.id);
    json_t *rows = json_object_get(found, "rows");
    assert_int_equal(json_array_size(rows), 2);
    json_t *page = json_array_get(rows, 0);
    assert_string_equal(json_string_value(json_object_get(page, "outlet")), "page");
    assert_string_equal(json_string_value(json_object_get(page, "action")), "post");
    assert_string_equal(json_string_value(json_object_get(page, "state")), "sent");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "state")),
                        "queued");
    assert_string_equal(json_string_value(json_object_get(found, "approved_by")), "comms-2");
    assert_true(json_string_length(json_object_get(found, "bytes")) > 0);
    json_decref(found);
}

static void what_may_not_be_decided_is_refused(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing other;
    struct error err = { 0 };
    draft_it(&p);
    refused(f, &p.approve, "no such broadcast");
    do_it(f, &p.draft);
    p.approve.fact.agent = (char *)"comms-1";
    refused(f, &p.approve, "author");
    outgoing_init(&other, 10, "comms-2", p.now_ms);
    outgoing_approve(&other, &p.draft.id, 2);
    refused(f, &other, "no version 2");
    outgoing_init(&other, 11, "comms-2", p.now_ms);
    outgoing_draft(&other, &p.draft.id);
    Desg__V1__Fact *fact = decided(f, &other);
    assert_int_equal(fact->drafted->broadcast->version, 2);
    assert_int_equal(fact->drafted->broadcast->n_earlier_ms, 1);
    assert_int_equal(fact->drafted->broadcast->earlier_ms[0], 0); /* never went out */
    forget(fact);
    p.approve.fact.agent = (char *)"comms-2";
    refused(f, &p.approve, "version 2 is newer");
    outgoing_approve(&other, &p.draft.id, 2);
    other.id = sample_id("ou", 12, 0);
    refused(f, &other, "author");             /* comms-2 wrote version 2 */
    fact = decide_as(f, &other, false, &err); /* where one person is enough */
    assert_non_null(fact);
    forget(fact);
    other.id = sample_id("ou", 13, 0);
    refused(f, &other, "approved already");
    outgoing_publish(&other, &p.draft.id, 1);
    refused(f, &other, "not approved");
    outgoing_publish(&other, &p.draft.id, 2);
    do_it(f, &other);
    other.id = sample_id("ou", 14, 0);
    refused(f, &other, "published already");
    struct id unknown = sample_id("un", 1, 1);
    outgoing_draft(&other, &unknown);
    refused(f, &other, "no such broadcast");
    outgoing_cancel(&other, &p.draft.id);
    do_it(f, &other);
    other.id = sample_id("ou", 15, 0);
    refused(f, &other, "cancelled already");
    outgoing_draft(&other, &p.draft.id);
    refused(f, &other, "draft a new broadcast");
}

/* What cannot go out any more is not to be looked for; what was approved may still. */
static void a_version_names_those_before_it_that_may_have_gone_out(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing other;
    draft_it(&p);
    do_it(f, &p.draft);
    do_it(f, &p.approve);
    for (uint32_t version = 2; version <= 4; version++) {
        outgoing_init(&other, 20 + version, "comms-1", p.now_ms + version);
        outgoing_draft(&other, &p.draft.id);
        Desg__V1__Fact *fact = decided(f, &other);
        const Desg__V1__Broadcast *drafted = fact->drafted->broadcast;
        assert_int_equal(drafted->version, version);
        assert_int_equal(drafted->n_earlier_ms, version - 1);
        assert_int_equal(drafted->earlier_ms[0], p.now_ms);
        for (uint32_t before = 2; before < version; before++)
            assert_int_equal(drafted->earlier_ms[before - 1], before == 3 ? p.now_ms + 3 : 0);
        forget(fact);
        if (version != 3)
            continue;
        outgoing_init(&other, 30, "comms-2", p.now_ms + version);
        outgoing_approve(&other, &p.draft.id, version);
        do_it(f, &other);
        outgoing_init(&other, 31, "comms-2", p.now_ms + version);
        outgoing_publish(&other, &p.draft.id, version);
        do_it(f, &other);
    }
}

static void a_draft_past_its_expiry_is_not_published(void **state)
{
    struct fixture *f = *state;
    struct published p;
    draft_it(&p);
    p.draft.broadcast.expires_at_ms = p.now_ms - 1;
    do_it(f, &p.draft);
    do_it(f, &p.approve);
    refused(f, &p.publish, "expiry has passed");
    p.draft.broadcast.expires_at_ms = 0;
    p.draft.id = sample_id("ou", 20, 0);
    refused(f, &p.draft, "expiry");
    p.draft.broadcast.expires_at_ms = p.now_ms + HOUR_MS;
    p.draft.outlets[0] = (char *)"two words";
    refused(f, &p.draft, "outlet's name");
}

/* --- versions --- */

static void an_update_takes_the_place_of_what_was_not_sent_yet(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing update, approve, publish;
    publish_it(f, &p);
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 1);
    uint64_t fence = 0;
    Desg__V1__OutboxItem *first = next_item(f, "outlet:x", &fence);
    outgoing_init(&update, 10, "comms-1", p.now_ms + SECOND_MS);
    outgoing_draft(&update, &p.draft.id);
    update.broadcast.n_outlets = 1; /* what was said elsewhere is put right there, too */
    do_it(f, &update);
    assert_state(f, &p.draft.id, "published");
    assert_int_equal(sequence(f), 1); /* a draft is nobody's news */
    assert_int_equal(begin(f, first, fence).begin, STORE_BEGIN_NOW);
    say(f, first, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER, clock_unix_ms() + SECOND_MS, "");
    outgoing_init(&approve, 11, "comms-2", p.now_ms + SECOND_MS);
    outgoing_approve(&approve, &p.draft.id, 2);
    do_it(f, &approve);
    outgoing_init(&publish, 12, "comms-2", p.now_ms + SECOND_MS);
    outgoing_publish(&publish, &p.draft.id, 2);
    do_it(f, &publish);
    assert_int_equal(sequence(f), 2);
    struct store_begin_answer old = begin(f, first, fence);
    assert_int_equal(old.begin, STORE_BEGIN_OVER); /* said to be the last */
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 2);
    assert_int_equal(send_next(f, "outlet:x", SENT, "post-2"), 2);
    assert_int_equal(tasks(f), 0);
    desg__v1__outbox_item__free_unpacked(first, NULL);
}

/* version 2, and one on its way at page that may be there or not. */
static Desg__V1__OutboxItem *leave_unknown_and_update(struct fixture *f, struct published *p,
                                                      uint64_t *fence)
{
    struct outgoing update, approve, publish;
    uint64_t other = 0;
    publish_it(f, p);
    Desg__V1__OutboxItem *first = next_item(f, "outlet:page", fence);
    desg__v1__outbox_item__free_unpacked(next_item(f, "outlet:x", &other), NULL);
    assert_int_equal(begin(f, first, *fence).begin, STORE_BEGIN_NOW);
    outgoing_init(&update, 10, "comms-1", p->now_ms + SECOND_MS);
    outgoing_draft(&update, &p->draft.id);
    do_it(f, &update);
    outgoing_init(&approve, 11, "comms-2", p->now_ms + SECOND_MS);
    outgoing_approve(&approve, &p->draft.id, 2);
    do_it(f, &approve);
    outgoing_init(&publish, 12, "comms-2", p->now_ms + SECOND_MS);
    outgoing_publish(&publish, &p->draft.id, 2);
    do_it(f, &publish);
    return first;
}

static void an_update_waits_while_nobody_knows_of_what_was_before(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing settle;
    uint64_t fence = 0;
    Desg__V1__OutboxItem *first = leave_unknown_and_update(f, &p, &fence);
    Desg__V1__OutboxItem *second = next_item(f, "outlet:page", &fence);
    assert_int_equal(begin(f, second, fence).begin, STORE_BEGIN_FROZEN); /* under way */
    say(f, first, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN, clock_unix_ms() + SECOND_MS, "");
    assert_int_equal(begin(f, second, fence).begin, STORE_BEGIN_FROZEN);
    uint64_t other = 0;
    Desg__V1__OutboxItem *elsewhere = next_item(f, "outlet:x", &other);
    assert_non_null(elsewhere);
    assert_int_equal(begin(f, elsewhere, other).begin, STORE_BEGIN_NOW); /* its own affair */
    struct id item;
    memcpy(item.bytes, first->id.data, ID_BYTES);
    outgoing_init(&settle, 13, "comms-2", clock_unix_ms() + 2 * SECOND_MS);
    outgoing_settle(&settle, &item, DESG__V1__SETTLED_AS__SETTLED_AS_THERE);
    do_it(f, &settle);
    assert_int_equal(begin(f, second, fence).begin, STORE_BEGIN_NOW);
    desg__v1__outbox_item__free_unpacked(first, NULL);
    desg__v1__outbox_item__free_unpacked(second, NULL);
    desg__v1__outbox_item__free_unpacked(elsewhere, NULL);
}

static void what_may_be_there_is_taken_back_once_somebody_knows(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing cancel;
    uint64_t fence = 0;
    publish_it(f, &p);
    Desg__V1__OutboxItem *first = next_item(f, "outlet:page", &fence);
    assert_int_equal(begin(f, first, fence).begin, STORE_BEGIN_NOW);
    say(f, first, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN, clock_unix_ms() + SECOND_MS, "");
    outgoing_init(&cancel, 10, "comms-1", p.now_ms + SECOND_MS);
    outgoing_cancel(&cancel, &p.draft.id);
    do_it(f, &cancel);
    Desg__V1__OutboxItem *back = next_item(f, "outlet:page", &fence);
    assert_int_equal(begin(f, back, fence).begin, STORE_BEGIN_FROZEN);
    say(f, first, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT, clock_unix_ms() + 2 * SECOND_MS,
        "post-1");
    assert_int_equal(begin(f, back, fence).begin, STORE_BEGIN_NOW);
    desg__v1__outbox_item__free_unpacked(first, NULL);
    desg__v1__outbox_item__free_unpacked(back, NULL);
}

static void a_version_overtaken_is_not_begun_and_asks_nobody(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing update, approve, publish;
    publish_it(f, &p);
    uint64_t fence = 0;
    Desg__V1__OutboxItem *first = next_item(f, "outlet:page", &fence);
    assert_int_equal(send_next(f, "outlet:x", REFUSED, ""), 1);
    assert_int_equal(tasks(f), 1);
    outgoing_init(&update, 10, "comms-1", p.now_ms + SECOND_MS);
    outgoing_draft(&update, &p.draft.id);
    do_it(f, &update);
    outgoing_init(&approve, 11, "comms-2", p.now_ms + SECOND_MS);
    outgoing_approve(&approve, &p.draft.id, 2);
    do_it(f, &approve);
    outgoing_init(&publish, 12, "comms-2", p.now_ms + SECOND_MS);
    outgoing_publish(&publish, &p.draft.id, 2);
    do_it(f, &publish);
    struct store_begin_answer old = begin(f, first, fence);
    assert_int_equal(old.begin, STORE_BEGIN_CANCELLED);
    assert_non_null(strstr(old.reason, "version 2"));
    assert_int_equal(tasks(f), 0);
    desg__v1__outbox_item__free_unpacked(first, NULL);
}

/* --- taking back, ending --- */

static void a_cancel_goes_only_where_something_was_posted(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing cancel;
    publish_it(f, &p);
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 1);
    uint64_t fence = 0;
    Desg__V1__OutboxItem *waiting = next_item(f, "outlet:x", &fence);
    outgoing_init(&cancel, 10, "comms-2", p.now_ms + SECOND_MS);
    outgoing_cancel(&cancel, &p.draft.id);
    do_it(f, &cancel);
    assert_state(f, &p.draft.id, "cancelled");
    assert_int_equal(sequence(f), 2);
    assert_int_equal(begin(f, waiting, fence).begin, STORE_BEGIN_CANCELLED);
    assert_null(next_item(f, "outlet:x", &fence));
    assert_int_equal(send_next(f, "outlet:page", REFUSED, ""), 3);
    assert_int_equal(tasks(f), 1); /* it is still to be read there */
    desg__v1__outbox_item__free_unpacked(waiting, NULL);
}

static void what_is_on_its_way_is_cancelled_behind_itself(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing cancel;
    publish_it(f, &p);
    uint64_t fence = 0;
    Desg__V1__OutboxItem *item = next_item(f, "outlet:page", &fence);
    assert_int_equal(begin(f, item, fence).begin, STORE_BEGIN_NOW);
    outgoing_init(&cancel, 10, "comms-2", p.now_ms + SECOND_MS);
    outgoing_cancel(&cancel, &p.draft.id);
    do_it(f, &cancel);
    say(f, item, SENT, clock_unix_ms() + SECOND_MS, "post-1");
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 3);
    desg__v1__outbox_item__free_unpacked(item, NULL);
}

static void a_scheduled_one_comes_out_at_its_time_and_ends_at_its_expiry(void **state)
{
    struct fixture *f = *state;
    struct published p;
    uint64_t fence = 0;
    draft_it(&p);
    p.draft.broadcast.publish_at_ms = p.now_ms + 60 * SECOND_MS;
    do_it(f, &p.draft);
    do_it(f, &p.approve);
    do_it(f, &p.publish);
    assert_state(f, &p.draft.id, "scheduled");
    assert_int_equal(sequence(f), 0);
    assert_int_equal(swept(f, p.now_ms + 59 * SECOND_MS), 0);
    assert_null(next_item(f, "outlet:page", &fence));
    assert_int_equal(swept(f, p.now_ms + 60 * SECOND_MS), 1);
    assert_state(f, &p.draft.id, "published");
    assert_int_equal(sequence(f), 1);
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 1);
    assert_int_equal(swept(f, p.now_ms + HOUR_MS), 0);
    assert_int_equal(swept(f, p.now_ms + 2 * HOUR_MS), 1);
    assert_state(f, &p.draft.id, "expired");
    assert_int_equal(sequence(f), 2);
    assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 4);
    Desg__V1__OutboxItem *late = next_item(f, "outlet:x", &fence);
    assert_int_equal(late->broadcast->action, 1);
    assert_int_equal(begin(f, late, fence).begin, STORE_BEGIN_CANCELLED);
    assert_int_equal(swept(f, p.now_ms + 3 * HOUR_MS), 0);
    desg__v1__outbox_item__free_unpacked(late, NULL);
}

/* --- the freeze --- */

static void a_freeze_holds_all_but_the_places_named_and_what_is_taken_back(void **state)
{
    struct fixture *f = *state;
    struct published p, scheduled;
    struct outgoing freeze, lift, cancel;
    struct error err = { 0 };
    uint64_t fence = 0;
    json_t *frozen = NULL;
    publish_it(f, &p);
    assert_int_equal(store_freeze_get(f->store, &frozen, &err), 0);
    assert_null(frozen);
    outgoing_init(&freeze, 10, "comms-1", p.now_ms);
    outgoing_freeze(&freeze, 0, NULL);
    refused(f, &freeze, "nothing is frozen");
    outgoing_freeze(&freeze, p.now_ms - 1, NULL);
    refused(f, &freeze, "has passed");
    outgoing_freeze(&freeze, p.now_ms + HOUR_MS, "x");
    do_it(f, &freeze);
    assert_int_equal(store_freeze_get(f->store, &frozen, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(frozen, "until_ms")), p.now_ms + HOUR_MS);
    assert_string_equal(json_string_value(json_object_get(frozen, "by")), "comms-1");
    assert_string_equal(json_string_value(json_array_get(json_object_get(frozen, "except"), 0)),
                        "x");
    json_decref(frozen);
    Desg__V1__OutboxItem *page = next_item(f, "outlet:page", &fence);
    struct store_begin_answer held = begin(f, page, fence);
    assert_int_equal(held.begin, STORE_BEGIN_FROZEN);
    assert_int_equal(held.until_ms, p.now_ms + HOUR_MS);
    assert_int_equal(send_next(f, "outlet:x", SENT, "post-2"), 1);
    draft_it(&scheduled);
    scheduled.draft.id = sample_id("ou", 30, 0);
    scheduled.draft.outlets[1] = (char *)"page2";
    scheduled.draft.broadcast.publish_at_ms = p.now_ms + 60 * SECOND_MS;
    do_it(f, &scheduled.draft);
    outgoing_approve(&scheduled.approve, &scheduled.draft.id, 1);
    scheduled.approve.id = sample_id("ou", 31, 0);
    do_it(f, &scheduled.approve);
    outgoing_publish(&scheduled.publish, &scheduled.draft.id, 1);
    scheduled.publish.id = sample_id("ou", 32, 0);
    do_it(f, &scheduled.publish);
    assert_int_equal(swept(f, p.now_ms + 61 * SECOND_MS), 0); /* it waits */
    assert_state(f, &scheduled.draft.id, "scheduled");
    outgoing_init(&cancel, 12, "comms-2", p.now_ms);
    outgoing_cancel(&cancel, &p.draft.id);
    do_it(f, &cancel);
    assert_int_equal(send_next(f, "outlet:x", SENT, "post-2"), 3);
    outgoing_init(&lift, 11, "comms-1", p.now_ms + SECOND_MS);
    outgoing_freeze(&lift, 0, NULL);
    do_it(f, &lift);
    assert_int_equal(store_freeze_get(f->store, &frozen, &err), 0);
    assert_null(frozen);
    assert_int_equal(begin(f, page, fence).begin, STORE_BEGIN_CANCELLED);
    assert_int_equal(swept(f, p.now_ms + 61 * SECOND_MS), 1);
    assert_state(f, &scheduled.draft.id, "published");
    desg__v1__outbox_item__free_unpacked(page, NULL);
}

/* --- Welsh, replies, news --- */

static void welsh_owed_is_a_task_until_a_version_has_it(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing update, approve, publish;
    draft_without_welsh(&p, 1);
    do_it(f, &p.draft);
    do_it(f, &p.approve);
    assert_int_equal(tasks(f), 0);
    do_it(f, &p.publish);
    assert_int_equal(tasks(f), 1);
    assert_int_equal(send_next(f, "outlet:page", REFUSED, ""), 1);
    assert_int_equal(tasks(f), 2);
    assert_true(owes_welsh(f, 2));
    assert_true(owes_welsh(f, 1)); /* however many items wait before it */
    outgoing_init(&update, 10, "comms-1", p.now_ms + SECOND_MS);
    outgoing_draft(&update, &p.draft.id);
    do_it(f, &update);
    outgoing_init(&approve, 11, "comms-2", p.now_ms + SECOND_MS);
    outgoing_approve(&approve, &p.draft.id, 2);
    do_it(f, &approve);
    assert_true(owes_welsh(f, 100));
    outgoing_init(&publish, 12, "comms-2", p.now_ms + SECOND_MS);
    outgoing_publish(&publish, &p.draft.id, 2);
    do_it(f, &publish);
    assert_false(owes_welsh(f, 100));
}

static void neither_welsh_that_is_owed_nor_what_was_refused_hides_the_other(void **state)
{
    struct fixture *f = *state;
    for (uint8_t i = 0; i < 3; i++) {
        struct published p;
        draft_without_welsh(&p, (uint8_t)(10 * i + 1));
        do_it(f, &p.draft);
        do_it(f, &p.approve);
        do_it(f, &p.publish);
        assert_int_equal(
            send_next(f, "outlet:page", i == 0 ? SENT : REFUSED, i == 0 ? "post-1" : ""), 1);
    }
    assert_int_equal(tasks(f), 5);
    assert_int_equal(tasks_listed(f, 5, "welsh-owed"), 3);
    assert_int_equal(tasks_listed(f, 2, "welsh-owed"), 1);
    assert_int_equal(tasks_listed(f, 2, "broadcast"), 1);
    assert_int_equal(tasks_listed(f, 4, "welsh-owed"), 2);
    assert_int_equal(tasks_listed(f, 4, "broadcast"), 2);
}

static void what_people_say_under_a_post_is_tied_to_its_broadcast(void **state)
{
    struct fixture *f = *state;
    for (int comment_first = 0; comment_first < 2; comment_first++) {
        struct published p;
        struct sample comment, other;
        struct error err = { 0 };
        char broadcast[ID_TEXT_BYTES];
        free(redis_server_ask(f->server, "FLUSHALL"));
        store_destroy(&f->store);
        f->store = open_store(f);
        publish_it(f, &p);
        id_text(p.draft.id.bytes, broadcast);
        sample_init(&comment, 1, 1, T0, ROUTINE);
        comment.event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_COMMENT;
        comment.event.is_public = true;
        other = comment;
        comment.event.target_object_id = (char *)"post-1";
        other.event_id = sample_id("ev", 2, 1);
        other.conversation = sample_id("co", 2, 0);
        other.event.target_object_id = (char *)"another post";
        if (comment_first)
            (void)apply_sample(f, &comment);
        assert_int_equal(send_next(f, "outlet:page", SENT, "post-1"), 1);
        if (!comment_first)
            (void)apply_sample(f, &comment);
        (void)apply_sample(f, &other);
        json_t *found = get(f, &p.draft.id);
        assert_int_equal(json_integer_value(json_object_get(found, "replies")), 1);
        json_decref(found);
        assert_int_equal(store_conversation(f->store, &comment.conversation, &found, &err), 0);
        assert_string_equal(json_string_value(json_object_get(found, "broadcast")), broadcast);
        json_decref(found);
        assert_int_equal(store_conversation(f->store, &other.conversation, &found, &err), 0);
        assert_null(json_object_get(found, "broadcast"));
        json_decref(found);
    }
}

static Desg__V1__BroadcastNews *news_of(struct fixture *f, int64_t keep_ms, size_t *count)
{
    struct store_news news;
    struct error err = { 0 };
    if (store_broadcast_news(f->store, keep_ms, &news, &err) != 0)
        fail_msg("news: %s", err.text);
    Desg__V1__BroadcastNews *first =
        news.count > 0
            ? desg__v1__broadcast_news__unpack(NULL, news.rows[0].length, news.rows[0].bytes)
            : NULL;
    if (first) {
        assert_memory_equal(first->epoch.data, news.epoch, 16);
        assert_int_equal(first->sequence, news.sequence);
    }
    *count = news.count;
    store_news_clear(&news);
    return first;
}

static void consumers_are_told_each_public_change_by_a_number(void **state)
{
    struct fixture *f = *state;
    struct published p;
    struct outgoing cancel;
    struct error err = { 0 };
    size_t count = 0;
    uint8_t before[16], after[16];
    uint64_t number = 0;
    publish_it(f, &p);
    Desg__V1__BroadcastNews *news = news_of(f, HOUR_MS, &count);
    assert_int_equal(count, 1);
    assert_int_equal(news->state, DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED);
    assert_int_equal(news->at_ms, p.now_ms);
    assert_int_equal(news->broadcast->version, 1);
    desg__v1__broadcast_news__free_unpacked(news, NULL);
    outgoing_init(&cancel, 10, "comms-2", p.now_ms + 1);
    outgoing_cancel(&cancel, &p.draft.id);
    do_it(f, &cancel);
    news = news_of(f, HOUR_MS, &count);
    assert_int_equal(news->state, DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED);
    assert_int_equal(news->at_ms, p.now_ms + 1);
    desg__v1__broadcast_news__free_unpacked(news, NULL);
    int64_t deadline_ms = clock_monotonic_ms() + 10 * SECOND_MS;
    do
        news = news_of(f, 1, &count);
    while (count > 0 && (desg__v1__broadcast_news__free_unpacked(news, NULL),
                         clock_monotonic_ms() < deadline_ms));
    assert_int_equal(count, 0); /* over for longer than that */
    assert_int_equal(store_broadcast_sequence(f->store, before, &number, &err), 0);
    assert_int_equal(number, 2);
    free(redis_server_ask(f->server, "FLUSHALL"));
    assert_int_equal(store_broadcast_sequence(f->store, after, &number, &err), 0);
    assert_int_equal(number, 0);
    assert_memory_not_equal(before, after, 16);
}

static void broadcasts_are_listed_newest_first(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    json_t *rows = NULL;
    char newest[ID_TEXT_BYTES];
    for (unsigned i = 0; i < 3; i++) {
        struct outgoing draft;
        outgoing_init(&draft, i, "comms-1", T0 + (int64_t)i);
        outgoing_draft(&draft, NULL);
        do_it(f, &draft);
        id_text(draft.id.bytes, newest);
    }
    assert_int_equal(store_broadcasts(f->store, NULL, 2, &rows, &err), 0);
    assert_int_equal(json_array_size(rows), 2);
    json_t *row = json_array_get(rows, 0);
    assert_string_equal(json_string_value(json_object_get(row, "broadcast")), newest);
    assert_string_equal(json_string_value(json_object_get(row, "kind")), "road-closure");
    json_decref(rows);
    assert_int_equal(store_broadcasts(f->store, "published", 9, &rows, &err), 0);
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    struct id none = sample_id("no", 1, 1);
    assert_null(get(f, &none));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, empty, close_store)
    const struct CMUnitTest tests[] = {
        T(a_broadcast_goes_to_each_outlet_once_approved_and_published),
        T(what_may_not_be_decided_is_refused),
        T(a_version_names_those_before_it_that_may_have_gone_out),
        T(a_draft_past_its_expiry_is_not_published),
        T(an_update_takes_the_place_of_what_was_not_sent_yet),
        T(an_update_waits_while_nobody_knows_of_what_was_before),
        T(what_may_be_there_is_taken_back_once_somebody_knows),
        T(a_version_overtaken_is_not_begun_and_asks_nobody),
        T(a_cancel_goes_only_where_something_was_posted),
        T(what_is_on_its_way_is_cancelled_behind_itself),
        T(a_scheduled_one_comes_out_at_its_time_and_ends_at_its_expiry),
        T(a_freeze_holds_all_but_the_places_named_and_what_is_taken_back),
        T(welsh_owed_is_a_task_until_a_version_has_it),
        T(neither_welsh_that_is_owed_nor_what_was_refused_hides_the_other),
        T(what_people_say_under_a_post_is_tied_to_its_broadcast),
        T(consumers_are_told_each_public_change_by_a_number),
        T(broadcasts_are_listed_newest_first),
    };
    return cmocka_run_group_tests_name("store broadcasts", tests, set_up_server, tear_down_server);
}
