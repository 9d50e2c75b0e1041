/* The book decides every time and order of an alert's life; here with a clock that only moves when
 * told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/alert_book.h"
#include "notify/pace.h"

static const struct ladder_step LADDER[] = {
    { 60, LADDER_AGAIN },
    { 120, LADDER_SECOND_PATH },
    { 300, LADDER_SUPERVISOR },
};

enum { START_MS = 1000000, UNIX_MS = 1770831720 };

struct fixture {
    struct alert_book *book;
    int64_t now_ms;
};

static struct alert_book *book_new(bool has_second_path)
{
    const struct alert_book_options options = { .ladder = LADDER,
                                                .ladder_count = 3,
                                                .has_second_path = has_second_path,
                                                .retention_ms = 3600000,
                                                .seed = 42 };
    return alert_book_new(&options);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->book = book_new(true);
    f->now_ms = START_MS;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    alert_book_destroy(&f->book);
    free(f);
    return 0;
}

/* An order for event number n; verdict severity 0: none, -1: unclassified. */
struct order {
    uint8_t event_id[ID_BYTES];
    uint8_t event[256];
    uint8_t verdict[64];
    struct id id;
    Desg__V1__Alert alert;
};

static void order_init(struct order *o, uint32_t n, int severity)
{
    memset(o, 0, sizeof *o);
    memcpy(o->event_id, &n, sizeof n);
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.id = (ProtobufCBinaryData){ ID_BYTES, o->event_id };
    event.channel = (char *)"facebook";
    event.account = (char *)(n >= 100000 ? "2" : "1");
    event.text = (char *)"help";
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    verdict.severity =
        severity > 0 ? (Desg__V1__Severity)severity : DESG__V1__SEVERITY__SEVERITY_REVIEW;
    verdict.is_unclassified = severity < 0;
    size_t event_length = desg__v1__event__pack(&event, o->event);
    size_t verdict_length = severity == 0 ? 0 : desg__v1__verdict__pack(&verdict, o->verdict);
    alert_order_init(&o->alert, &o->id, o->event_id, o->event, event_length, o->verdict,
                     verdict_length);
}

static struct alert_entry *take_stored(struct fixture *f, const struct order *o, uint64_t sequence)
{
    struct alert_entry *entry = NULL;
    assert_int_equal(alert_book_take(f->book, &o->alert, f->now_ms, UNIX_MS, &entry), ALERT_NEW);
    alert_book_stored(f->book, &o->id, sequence);
    return entry;
}

static struct alert_post post_or_fail(struct fixture *f)
{
    struct alert_post post = { 0 };
    if (!alert_book_next_post(f->book, f->now_ms, &post))
        fail_msg("nothing to post at +%lld ms", (long long)(f->now_ms - START_MS));
    return post;
}

static void assert_quiet(struct fixture *f)
{
    struct alert_post post = { 0 };
    if (alert_book_next_post(f->book, f->now_ms, &post))
        fail_msg("unexpected body %d", (int)post.body);
}

static struct alert_outcome answer(struct fixture *f, const struct alert_post *post,
                                   enum answer answer, int64_t retry_after_ms)
{
    struct alert_outcome outcome;
    struct id id = post->entry->id;
    alert_book_answered(f->book, &id, post->body, post->number, post->is_first, answer,
                        retry_after_ms, f->now_ms, &outcome);
    return outcome;
}

/* Posts and accepts the first body. */
static struct alert_entry *take_accepted(struct fixture *f, const struct order *o)
{
    struct alert_entry *entry = take_stored(f, o, 1);
    struct alert_post post = post_or_fail(f);
    assert_int_equal(post.body, ALERT_RAISED);
    assert_true(answer(f, &post, ANSWER_ACCEPTED, 0).is_state_changed);
    return entry;
}

/* --- life of one alert --- */

static void nothing_goes_before_it_is_journalled(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_entry *entry = NULL;
    order_init(&o, 1, 5);
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_NEW);
    assert_quiet(f);
    alert_book_stored(f->book, &o.id, 9);
    assert_int_equal(entry->sequence, 9);
    assert_int_equal(alert_book_due_ms(f->book, f->now_ms), f->now_ms);
    assert_int_equal(post_or_fail(f).body, ALERT_RAISED);
    assert_quiet(f); /* once at a time */
}

static void a_journal_that_refuses_does_not_hold_it_back(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_entry *entry = NULL;
    order_init(&o, 1, 5);
    (void)alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry);
    alert_book_unstored(f->book, &o.id);
    struct alert_post post = post_or_fail(f);
    (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    struct alert_counts counts;
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.unstored, 1);
    alert_book_stored(f->book, &o.id, 4);
    assert_int_equal(entry->storage, ALERT_STORED);
    alert_book_unstored(f->book, &o.id); /* a late refusal of a repeat changes nothing */
    assert_int_equal(entry->storage, ALERT_STORED);
}

static void verdict_follows_only_after_the_first_body(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 4);
    struct alert_entry *entry = take_accepted(f, &o);
    assert_int_equal(entry->state, ALERT_ACCEPTED);
    struct alert_post update = post_or_fail(f);
    assert_int_equal(update.body, ALERT_UPDATED);
    assert_int_equal(update.number, 1);
    assert_true(answer(f, &update, ANSWER_ACCEPTED, 0).is_accepted);
    assert_quiet(f);
}

static void no_verdict_no_update(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 0);
    (void)take_accepted(f, &o);
    assert_quiet(f);
}

static void acknowledgement_closes_it_once_nothing_is_owed(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 5);
    struct alert_entry *entry = take_accepted(f, &o);
    assert_true(alert_book_acknowledge(f->book, entry, false, f->now_ms));
    assert_false(alert_book_acknowledge(f->book, entry, false, f->now_ms)); /* a duplicate */
    assert_true(entry->is_live); /* the verdict is still owed */
    struct alert_post update = post_or_fail(f);
    (void)answer(f, &update, ANSWER_ACCEPTED, 0);
    assert_false(entry->is_live);
    assert_null(entry->alert);
    assert_true(alert_book_acknowledge(f->book, entry, true, f->now_ms)); /* outcome, later */
    assert_int_equal(entry->state, ALERT_RESOLVED);
    assert_false(alert_book_acknowledge(f->book, entry, false, f->now_ms));
    assert_int_equal(alert_book_needed_from(f->book, 50), 51);
}

/* A dispatcher may be faster than the answer to our own POST. */
static void acknowledged_while_the_post_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 5);
    struct alert_entry *entry = take_stored(f, &o, 1);
    struct alert_post post = post_or_fail(f);
    assert_true(alert_book_acknowledge(f->book, entry, false, f->now_ms));
    struct alert_post update = post_or_fail(f);
    assert_int_equal(update.body, ALERT_UPDATED);
    (void)answer(f, &update, ANSWER_ACCEPTED, 0);
    assert_true(entry->is_live);
    (void)answer(f, &post, ANSWER_FAILED, 0); /* no matter any more */
    assert_false(entry->is_live);
    f->now_ms += 600000;
    assert_quiet(f);
}

static void same_alert_again_is_known_whatever_its_path(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 4);
    struct alert_entry *entry = take_stored(f, &o, 1);
    struct alert_entry *again = NULL;
    o.alert.is_provisional = 1;
    o.alert.is_replayed = 1;
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &again), ALERT_KNOWN);
    assert_ptr_equal(entry, again);
    o.alert.is_digest_member = 1; /* never goes down to digest work */
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &again), ALERT_KNOWN);
    assert_int_equal(entry->kind, ALERT_SINGLE);
}

static void a_better_verdict_is_one_more_update(void **state)
{
    static const struct {
        int first, second;
        bool is_better;
    } cases[] = { { -1, 4, true },  { 4, 5, true },    { 0, 4, true },
                  { 4, -1, false }, { 5, 4, false },   { 4, 4, false },
                  { 4, 0, false },  { -1, -1, false }, { -1, 1, true } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f = { book_new(true), START_MS };
        struct order o;
        order_init(&o, 1, cases[i].first);
        struct alert_entry *entry = take_accepted(&f, &o);
        uint32_t updates = 0;
        if (cases[i].first != 0) {
            struct alert_post update = post_or_fail(&f);
            updates = update.number;
            (void)answer(&f, &update, ANSWER_ACCEPTED, 0);
        }
        order_init(&o, 1, cases[i].second);
        enum alert_intake intake = alert_book_take(f.book, &o.alert, f.now_ms, UNIX_MS, &entry);
        if ((intake == ALERT_REVISED) != cases[i].is_better)
            fail_msg("case %zu", i);
        if (cases[i].is_better) {
            struct alert_post update = post_or_fail(&f);
            assert_int_equal(update.body, ALERT_UPDATED);
            assert_int_equal(update.number, updates + 1);
        }
        assert_quiet(&f);
        alert_book_destroy(&f.book);
    }
}

static void an_update_on_its_way_is_overtaken_by_the_next(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, -1);
    struct alert_entry *entry = take_accepted(f, &o);
    struct alert_post first = post_or_fail(f);
    order_init(&o, 1, 5);
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_REVISED);
    assert_quiet(f); /* one at a time */
    (void)answer(f, &first, ANSWER_ACCEPTED, 0);
    struct alert_post second = post_or_fail(f);
    assert_int_equal(second.number, 2);
    (void)answer(f, &second, ANSWER_ACCEPTED, 0);
    assert_quiet(f);
}

/* --- tries --- */

static void tries_for_ever_under_the_same_key(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 5);
    alert_book_destroy(&f->book);
    f->book = book_new(false);
    (void)take_stored(f, &o, 1);
    for (uint32_t i = 1; i <= 500; i++) {
        struct alert_post post = post_or_fail(f);
        assert_int_equal(post.body, ALERT_RAISED);
        assert_int_equal(post.attempt, i);
        assert_int_equal(post.is_first, i == 1);
        (void)answer(f, &post, i % 3 ? ANSWER_FAILED : ANSWER_LATER, 0);
        int64_t due_ms = alert_book_due_ms(f->book, f->now_ms);
        assert_true(due_ms > f->now_ms && due_ms <= f->now_ms + PACE_CAP_MS + 1000);
        f->now_ms = due_ms - 1;
        assert_quiet(f);
        f->now_ms = due_ms;
        struct alert_step step;
        while (alert_book_next_step(f->book, f->now_ms, &step))
            continue;
        while (alert_book_due_ms(f->book, f->now_ms) > f->now_ms)
            f->now_ms = alert_book_due_ms(f->book, f->now_ms);
    }
}

static void retry_after_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 5);
    alert_book_destroy(&f->book);
    f->book = book_new(false);
    (void)take_stored(f, &o, 1);
    struct alert_post post = post_or_fail(f);
    (void)answer(f, &post, ANSWER_LATER, 7000);
    f->now_ms += 6999;
    assert_quiet(f);
    f->now_ms += 1;
    post = post_or_fail(f);
    assert_int_equal(post.attempt, 2);
}

static void second_path_after_three_failures(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 0);
    (void)take_stored(f, &o, 1);
    for (int i = 0; i < 3; i++) {
        struct alert_post post = post_or_fail(f);
        assert_int_equal(post.path, ALERT_PATH_FIRST);
        (void)answer(f, &post, ANSWER_FAILED, 0);
        if (i < 2)
            f->now_ms = alert_book_due_ms(f->book, f->now_ms);
    }
    assert_true(f->now_ms - START_MS < 1000);
    struct alert_post second = post_or_fail(f);
    assert_int_equal(second.body, ALERT_SECOND);
    assert_int_equal(second.path, ALERT_PATH_SECOND);
    struct alert_outcome outcome = answer(f, &second, ANSWER_ACCEPTED, 0);
    assert_true(outcome.is_accepted);
    assert_false(outcome.is_state_changed); /* dispatch still has to have it */
    f->now_ms += 20000;
    assert_int_equal(post_or_fail(f).body, ALERT_RAISED);
    assert_quiet(f); /* second path once */
}

static void second_path_when_dispatch_hangs(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 0);
    (void)take_stored(f, &o, 1);
    (void)post_or_fail(f); /* never answered */
    int64_t due_ms = alert_book_due_ms(f->book, f->now_ms);
    assert_int_equal(due_ms, START_MS + ALERT_SECOND_AFTER_MS);
    f->now_ms = due_ms - 1;
    assert_quiet(f);
    f->now_ms = due_ms;
    assert_int_equal(post_or_fail(f).body, ALERT_SECOND);
    assert_true(ALERT_SECOND_AFTER_MS < 10000);
}

static void second_path_at_once_when_a_person_is_needed(void **state)
{
    static const enum answer answers[] = { ANSWER_REFUSED, ANSWER_CREDENTIALS, ANSWER_GONE };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct fixture f = { book_new(true), START_MS };
        struct order o;
        order_init(&o, 1, 5);
        (void)take_stored(&f, &o, 1);
        struct alert_post post = post_or_fail(&f);
        (void)answer(&f, &post, answers[i], 0);
        struct alert_post second = post_or_fail(&f);
        assert_int_equal(second.body, ALERT_SECOND);
        f.now_ms += 9999;
        assert_quiet(&f);
        f.now_ms += 1;
        assert_int_equal(post_or_fail(&f).body, ALERT_RAISED); /* never parked */
        alert_book_destroy(&f.book);
    }
}

static void without_a_second_path_none_is_tried(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 5);
    alert_book_destroy(&f->book);
    f->book = book_new(false);
    (void)take_stored(f, &o, 1);
    struct alert_post post = post_or_fail(f);
    (void)answer(f, &post, ANSWER_REFUSED, 0);
    f->now_ms += ALERT_SECOND_AFTER_MS;
    assert_quiet(f);
}

static void known_key_counts_as_accepted_and_tells_by_update_and_second_path(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 0); /* even without a verdict */
    struct alert_entry *entry = take_stored(f, &o, 1);
    struct alert_post post = post_or_fail(f);
    struct alert_outcome outcome = answer(f, &post, ANSWER_KEY_KNOWN, 0);
    assert_true(outcome.is_accepted && outcome.is_state_changed);
    assert_int_equal(entry->state, ALERT_ACCEPTED);
    struct alert_post next[2] = { post_or_fail(f), post_or_fail(f) };
    assert_int_equal(next[0].body, ALERT_SECOND);
    assert_int_equal(next[1].body, ALERT_UPDATED);
    (void)answer(f, &next[1], ANSWER_KEY_KNOWN, 0); /* another replica used .u1 */
    struct alert_post again = post_or_fail(f);
    assert_int_equal(again.number, 2);
    for (uint32_t i = 2; i <= ALERT_UPDATES_MAX; i++) {
        (void)answer(f, &again, ANSWER_KEY_KNOWN, 0);
        if (i < ALERT_UPDATES_MAX)
            again = post_or_fail(f);
    }
    assert_quiet(f);             /* it ends */
    assert_true(entry->is_live); /* until a person acknowledges */
}

static void life_at_risk_first_then_oldest_and_news_before_updates(void **state)
{
    struct fixture *f = *state;
    struct order o[4];
    order_init(&o[0], 1, 4);
    (void)take_accepted(f, &o[0]); /* its update waits */
    f->now_ms += 10;
    order_init(&o[1], 2, 4);
    (void)take_stored(f, &o[1], 2);
    f->now_ms += 10;
    order_init(&o[2], 3, 4);
    (void)take_stored(f, &o[2], 3);
    f->now_ms += 10;
    order_init(&o[3], 4, 5);
    (void)take_stored(f, &o[3], 4);
    static const int wanted[] = { 3, 1, 2, 0 };
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(post_or_fail(f).entry->id.bytes, o[wanted[i]].id.bytes, ID_BYTES);
    assert_quiet(f);
}

static void a_new_alert_goes_at_once_while_the_breaker_is_open(void **state)
{
    struct fixture *f = *state;
    struct order o;
    for (uint32_t n = 1; n <= 20; n++) {
        order_init(&o, n, 0);
        (void)take_stored(f, &o, n);
        struct alert_post post = post_or_fail(f);
        (void)answer(f, &post, ANSWER_FAILED, 0);
    }
    assert_true(alert_book_is_broken(f->book, ALERT_PATH_FIRST));
    f->now_ms += 5000;
    struct alert_post probe = post_or_fail(f);
    assert_false(probe.is_first);
    assert_quiet(f); /* one probe a second */
    order_init(&o, 99, 4);
    (void)take_stored(f, &o, 99);
    struct alert_post fresh = post_or_fail(f);
    assert_true(fresh.is_first);
    (void)answer(f, &probe, ANSWER_ACCEPTED, 0); /* it is back: the rest within half a second */
    assert_false(alert_book_is_broken(f->book, ALERT_PATH_FIRST));
    f->now_ms += 500;
    for (int i = 0; i < 8; i++)
        (void)post_or_fail(f);
}

/* --- ladder --- */

static void ladder_climbs_at_set_times_until_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_step step;
    order_init(&o, 1, 0);
    struct alert_entry *entry = take_accepted(f, &o);
    static const struct {
        int64_t at_ms;
        enum ladder_action action;
    } wanted[] = { { 60000, LADDER_AGAIN },
                   { 120000, LADDER_SECOND_PATH },
                   { 300000, LADDER_SUPERVISOR } };
    for (uint32_t i = 0; i < 3; i++) {
        f->now_ms = START_MS + wanted[i].at_ms - 1;
        assert_false(alert_book_next_step(f->book, f->now_ms, &step));
        assert_int_equal(alert_book_due_ms(f->book, f->now_ms), f->now_ms + 1);
        f->now_ms++;
        assert_true(alert_book_next_step(f->book, f->now_ms, &step));
        assert_int_equal(step.step, i + 1);
        assert_int_equal(step.action, wanted[i].action);
        assert_false(alert_book_next_step(f->book, f->now_ms, &step));
        if (step.action == LADDER_SUPERVISOR)
            continue;
        struct alert_post post = post_or_fail(f);
        assert_int_equal(post.body, i == 0 ? ALERT_REMINDER : ALERT_SECOND);
        assert_int_equal(post.number, i == 0 ? 1 : 0);
        (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    }
    struct alert_counts counts;
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.unacknowledged, 1);
    assert_int_equal(counts.open, 1);
    assert_int_equal(counts.unaccepted, 0);
    assert_true(alert_book_acknowledge(f->book, entry, false, f->now_ms));
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.unacknowledged, 0);
    assert_int_equal(counts.open, 0);
    f->now_ms += 10000000;
    assert_false(alert_book_next_step(f->book, f->now_ms, &step));
    assert_quiet(f);
}

static void an_acknowledged_alert_climbs_no_ladder(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_step step;
    order_init(&o, 1, 0);
    struct alert_entry *entry = take_accepted(f, &o);
    assert_true(alert_book_acknowledge(f->book, entry, false, f->now_ms));
    f->now_ms += 300000;
    assert_false(alert_book_next_step(f->book, f->now_ms, &step));
    assert_int_equal(alert_book_due_ms(f->book, f->now_ms), INT64_MAX);
}

static void no_reminder_of_what_dispatch_never_took(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_step step;
    order_init(&o, 1, 0);
    (void)take_stored(f, &o, 1);
    (void)post_or_fail(f); /* hangs */
    f->now_ms += 60000;
    assert_true(alert_book_next_step(f->book, f->now_ms, &step));
    struct alert_post post = post_or_fail(f);
    assert_int_equal(post.body, ALERT_SECOND); /* by its age */
    assert_quiet(f);
}

/* --- digests --- */

static struct alert_entry *take_member(struct fixture *f, uint32_t n)
{
    struct order o;
    order_init(&o, n, -1);
    o.alert.is_digest_member = 1;
    return take_stored(f, &o, n);
}

static void members_of_an_account_share_one_digest_after_five_seconds(void **state)
{
    struct fixture *f = *state;
    struct alert_entry *digest = NULL;
    struct alert_entry *a = take_member(f, 1);
    f->now_ms += 1000;
    struct alert_entry *b = take_member(f, 2);
    struct alert_entry *other = take_member(f, 100001);
    assert_quiet(f);
    assert_int_equal(alert_book_due_ms(f->book, f->now_ms), START_MS + 5000);
    f->now_ms = START_MS + 4999;
    assert_false(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    f->now_ms++;
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    struct alert_entry *none = NULL;
    assert_false(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &none));
    assert_int_equal(digest->digest->n_alert_ids, 2);
    assert_string_equal(digest->digest->account, "1");
    assert_quiet(f); /* not before it is journalled */
    alert_book_stored(f->book, &digest->id, 10);

    struct alert_post post = post_or_fail(f);
    assert_ptr_equal(post.entry, digest);
    (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    assert_int_equal(a->state, ALERT_ACCEPTED);
    assert_int_equal(b->state, ALERT_ACCEPTED);
    assert_int_equal(other->state, ALERT_OPEN);
    assert_quiet(f); /* no updates of a digest */
    assert_true(alert_book_acknowledge(f->book, digest, false, f->now_ms));
    assert_int_equal(a->state, ALERT_ACKNOWLEDGED);
    assert_false(a->is_live || b->is_live || digest->is_live);
    assert_true(other->is_live);
}

static void a_digest_is_acknowledged_once_each_member_is(void **state)
{
    struct fixture *f = *state;
    struct alert_entry *digest = NULL;
    struct alert_entry *a = take_member(f, 1);
    struct alert_entry *b = take_member(f, 2);
    f->now_ms += 5000;
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    alert_book_stored(f->book, &digest->id, 10);
    struct alert_post post = post_or_fail(f);
    (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    assert_true(alert_book_acknowledge(f->book, a, false, f->now_ms));
    assert_int_equal(digest->state, ALERT_ACCEPTED);
    assert_true(alert_book_acknowledge(f->book, b, true, f->now_ms));
    assert_int_equal(digest->state, ALERT_ACKNOWLEDGED);
    assert_int_equal(b->state, ALERT_RESOLVED);
    assert_false(a->is_live || b->is_live || digest->is_live);
}

static void a_digest_is_full_at_two_hundred(void **state)
{
    struct fixture *f = *state;
    struct alert_entry *digest = NULL;
    for (uint32_t n = 1; n <= 201; n++)
        (void)take_member(f, n);
    assert_int_equal(alert_book_due_ms(f->book, f->now_ms), f->now_ms);
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    assert_int_equal(digest->digest->n_alert_ids, 200);
    assert_false(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    f->now_ms += 5000;
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    assert_int_equal(digest->digest->n_alert_ids, 1);
}

static void a_member_that_turns_urgent_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct alert_entry *digest = NULL;
    struct alert_entry *member = take_member(f, 1);
    struct order o;
    order_init(&o, 1, 5);
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &member),
                     ALERT_REVISED);
    assert_int_equal(member->kind, ALERT_SINGLE);
    assert_ptr_equal(post_or_fail(f).entry, member);
    f->now_ms += 5000;
    assert_false(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest)); /* left it empty */
}

/* Nobody may have read line 200 of what was acknowledged as a whole. */
static void an_acknowledged_member_that_turns_urgent_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct alert_entry *digest = NULL;
    struct alert_entry *member = take_member(f, 1);
    f->now_ms += 5000;
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    alert_book_stored(f->book, &digest->id, 2);
    struct alert_post post = post_or_fail(f);
    (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    (void)alert_book_acknowledge(f->book, digest, false, f->now_ms);
    assert_false(member->is_live);
    struct order o;
    order_init(&o, 1, 5);
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &member),
                     ALERT_REVISED);
    assert_int_equal(member->storage, ALERT_STORING);
    alert_book_stored(f->book, &member->id, 3);
    assert_int_equal(member->state, ALERT_OPEN);
    assert_true(member->is_life_at_risk);
    assert_ptr_equal(post_or_fail(f).entry, member);
    assert_int_equal(alert_book_needed_from(f->book, 9), 3);
}

static void the_ladder_of_a_digest_counts_from_its_first_word(void **state)
{
    struct fixture *f = *state;
    struct alert_entry *digest = NULL;
    struct alert_step step;
    (void)take_member(f, 1);
    f->now_ms += 5000;
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    alert_book_stored(f->book, &digest->id, 2);
    struct alert_post post = post_or_fail(f);
    (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    f->now_ms = START_MS + 60000;
    assert_true(alert_book_next_step(f->book, f->now_ms, &step));
    assert_ptr_equal(step.entry, digest); /* its members climb none */
    assert_false(alert_book_next_step(f->book, f->now_ms, &step));
    assert_int_equal(post_or_fail(f).body, ALERT_REMINDER);
}

/* --- standing test --- */

static void a_standing_test_climbs_no_ladder_and_can_be_dropped(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_step step;
    struct alert_entry *entry = NULL;
    order_init(&o, 1, 0);
    o.alert.is_standing_test = 1;
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_NEW);
    struct alert_post post = post_or_fail(f); /* without the journal */
    f->now_ms += 400000;
    assert_false(alert_book_next_step(f->book, f->now_ms, &step));
    assert_quiet(f); /* nor the second path: nobody is woken */
    struct alert_counts counts;
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.open, 0);
    struct id id = entry->id;
    alert_book_drop(f->book, &id);
    assert_null(alert_book_find(f->book, &id));
    struct alert_outcome outcome; /* its answer may still come */
    alert_book_answered(f->book, &id, post.body, post.number, post.is_first, ANSWER_ACCEPTED, 0,
                        f->now_ms, &outcome);
    assert_null(outcome.entry);
    order_init(&o, 2, 5);
    struct alert_entry *real = take_stored(f, &o, 1);
    alert_book_drop(f->book, &real->id); /* never drops a real one */
    assert_non_null(alert_book_find(f->book, &o.id));
}

/* --- replay --- */

static void apply_alert(struct fixture *f, struct order *o, uint64_t sequence, int64_t at_ms)
{
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ALERT;
    fact.alert = &o->alert;
    alert_book_apply(f->book, &fact, sequence, at_ms, UNIX_MS);
}

static void apply_accepted(struct fixture *f, struct order *o, const char *suffix, int64_t at_ms)
{
    char id[ID_TEXT_BYTES];
    char key[ALERT_KEY_BYTES];
    id_text(o->id.bytes, id);
    (void)snprintf(key, sizeof key, "%s.%s", id, suffix);
    Desg__V1__AlertAccepted accepted = DESG__V1__ALERT_ACCEPTED__INIT;
    accepted.alert_id = o->alert.alert_id;
    accepted.key = key;
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ACCEPTED;
    fact.accepted = &accepted;
    alert_book_apply(f->book, &fact, 90, at_ms, UNIX_MS);
}

static void apply_escalated(struct fixture *f, struct order *o, uint32_t step, const char *action,
                            int64_t at_ms)
{
    Desg__V1__AlertEscalated escalated = DESG__V1__ALERT_ESCALATED__INIT;
    escalated.alert_id = o->alert.alert_id;
    escalated.step = step;
    escalated.action = (char *)action;
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ESCALATED;
    fact.escalated = &escalated;
    alert_book_apply(f->book, &fact, 91, at_ms, UNIX_MS);
}

static void apply_acknowledged(struct fixture *f, const struct id *id, const char *outcome,
                               int64_t at_ms)
{
    Desg__V1__AlertAcknowledged ack = DESG__V1__ALERT_ACKNOWLEDGED__INIT;
    ack.alert_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)id->bytes };
    ack.dispatcher = (char *)"D. Prawf";
    ack.outcome = (char *)outcome;
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ACKNOWLEDGED;
    fact.acknowledged = &ack;
    alert_book_apply(f->book, &fact, 92, at_ms, UNIX_MS);
}

static void a_restart_goes_on_where_the_journal_ends(void **state)
{
    struct fixture *f = *state;
    struct order unposted;
    struct order accepted;
    struct order updated;
    struct order done;
    order_init(&unposted, 1, 4);
    order_init(&accepted, 2, 4);
    order_init(&updated, 3, 4);
    order_init(&done, 4, 4);
    int64_t at_ms = START_MS - 5000;
    apply_alert(f, &unposted, 1, at_ms);
    apply_alert(f, &accepted, 2, at_ms);
    apply_alert(f, &updated, 3, at_ms);
    apply_alert(f, &done, 4, at_ms);
    apply_accepted(f, &accepted, "v1", at_ms);
    apply_accepted(f, &updated, "v1", at_ms);
    apply_accepted(f, &updated, "u1", at_ms);
    apply_accepted(f, &done, "v1", at_ms);
    apply_accepted(f, &done, "u1", at_ms);
    apply_acknowledged(f, &done.id, "", at_ms);
    struct alert_post post = post_or_fail(f);
    assert_int_equal(post.body, ALERT_RAISED);
    assert_memory_equal(post.entry->id.bytes, unposted.id.bytes, ID_BYTES);
    post = post_or_fail(f);
    assert_int_equal(post.body, ALERT_UPDATED);
    assert_memory_equal(post.entry->id.bytes, accepted.id.bytes, ID_BYTES);
    assert_quiet(f);
    assert_false(alert_book_find(f->book, &done.id)->is_live);
    assert_int_equal(alert_book_needed_from(f->book, 99), 1);
}

static void a_ladder_goes_on_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_step step;
    order_init(&o, 1, 0);
    apply_alert(f, &o, 1, START_MS - 130000);
    apply_accepted(f, &o, "v1", START_MS - 129000);
    apply_escalated(f, &o, 1, "again", START_MS - 70000);
    struct alert_post reminder = post_or_fail(f); /* it was never accepted */
    assert_int_equal(reminder.body, ALERT_REMINDER);
    assert_int_equal(reminder.number, 1);
    apply_accepted(f, &o, "r1", START_MS - 60000);
    assert_true(alert_book_next_step(f->book, f->now_ms, &step)); /* fell due while it was down */
    assert_int_equal(step.step, 2);
    assert_false(alert_book_next_step(f->book, f->now_ms, &step));
    apply_escalated(f, &o, 3, "supervisor", START_MS);
    assert_true(alert_book_find(f->book, &o.id)->is_escalated);
}

static void a_digest_is_the_same_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct order a;
    struct order b;
    order_init(&a, 1, -1);
    order_init(&b, 2, -1);
    a.alert.is_digest_member = b.alert.is_digest_member = 1;
    apply_alert(f, &a, 1, START_MS - 9000);
    apply_alert(f, &b, 2, START_MS - 8000);
    struct id ids[2] = { a.id, b.id };
    struct id digest_id = id_of_digest(ids, 2);
    ProtobufCBinaryData named[2] = { a.alert.alert_id, b.alert.alert_id };
    Desg__V1__AlertDigest digest = DESG__V1__ALERT_DIGEST__INIT;
    digest.digest_id = (ProtobufCBinaryData){ ID_BYTES, digest_id.bytes };
    digest.n_alert_ids = 2;
    digest.alert_ids = named;
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_DIGEST;
    fact.digest = &digest;
    alert_book_apply(f->book, &fact, 3, START_MS - 4000, UNIX_MS);
    alert_book_apply(f->book, &fact, 4, START_MS - 4000, UNIX_MS); /* twice in the journal */
    struct alert_entry *made = NULL;
    assert_false(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &made));
    struct alert_post post = post_or_fail(f);
    assert_memory_equal(post.entry->id.bytes, digest_id.bytes, ID_BYTES);
    struct alert_post second = post_or_fail(f); /* it is nine seconds old by its first word */
    assert_int_equal(second.body, ALERT_SECOND);
    apply_acknowledged(f, &digest_id, "unit sent", START_MS);
    assert_int_equal(alert_book_find(f->book, &a.id)->state, ALERT_RESOLVED);
}

static void a_member_that_turned_urgent_is_still_posted_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct order member;
    struct order urgent;
    order_init(&member, 1, -1);
    order_init(&urgent, 1, 5);
    member.alert.is_digest_member = 1;
    apply_alert(f, &member, 1, START_MS - 9000);
    struct alert_entry *digest = NULL;
    assert_true(alert_book_next_digest(f->book, START_MS - 4000, UNIX_MS, &digest));
    struct id digest_id = digest->id;
    alert_book_stored(f->book, &digest_id, 2);
    apply_acknowledged(f, &digest_id, "", START_MS - 3000);
    struct alert_post post = { 0 };
    while (alert_book_next_post(f->book, START_MS - 3000, &post))
        (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    assert_false(alert_book_find(f->book, &member.id)->is_live);
    apply_alert(f, &urgent, 4, START_MS - 2000); /* journalled, then we died */
    post = post_or_fail(f);
    assert_int_equal(post.body, ALERT_RAISED);
    assert_memory_equal(post.entry->id.bytes, urgent.id.bytes, ID_BYTES);
    assert_int_equal(alert_book_needed_from(f->book, 99), 4);
}

static void damaged_or_orphaned_facts_are_passed_over(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 4);
    apply_accepted(f, &o, "v1", START_MS); /* its alert was deleted with old records */
    apply_escalated(f, &o, 1, "again", START_MS);
    o.alert.alert_id.len = 3;
    apply_alert(f, &o, 1, START_MS);
    Desg__V1__AlertFact empty = DESG__V1__ALERT_FACT__INIT;
    alert_book_apply(f->book, &empty, 1, START_MS, UNIX_MS);
    struct alert_counts counts;
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.known, 0);
}

/* --- told before? --- */

/* As order_init, of an event received age_ms before UNIX_MS. */
static void old_order_init(struct order *o, uint32_t n, int severity, int64_t age_ms)
{
    order_init(o, n, severity);
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.id = (ProtobufCBinaryData){ ID_BYTES, o->event_id };
    event.channel = (char *)"facebook";
    event.account = (char *)"1";
    event.received_at_ms = UNIX_MS - age_ms;
    o->alert.event = (ProtobufCBinaryData){ desg__v1__event__pack(&event, o->event), o->event };
    o->alert.is_replayed = 1;
}

static void an_old_alert_waits_until_nobody_is_known_to_have_told_it(void **state)
{
    struct fixture *f = *state;
    struct order o;
    old_order_init(&o, 1, 4, ALERT_OLD_MS + 1);
    struct alert_entry *entry = take_stored(f, &o, 1);
    assert_true(entry->is_quiet);
    f->now_ms += ALERT_QUIET_MAX_MS - 1;
    assert_quiet(f);
    struct alert_step step;
    assert_false(alert_book_next_step(f->book, f->now_ms, &step));
    assert_int_equal(alert_book_due_ms(f->book, f->now_ms), INT64_MAX);
    alert_book_end_quiet(f->book, entry, f->now_ms);
    assert_int_equal(post_or_fail(f).body, ALERT_RAISED);
    assert_false(alert_book_next_step(f->book, f->now_ms + 59999, &step)); /* counts from now */
    assert_true(alert_book_next_step(f->book, f->now_ms + 60000, &step));
}

static void a_young_alert_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    struct order o;
    old_order_init(&o, 1, 4, ALERT_OLD_MS);
    assert_false(take_stored(f, &o, 1)->is_quiet);
    assert_int_equal(post_or_fail(f).body, ALERT_RAISED);
}

static void one_that_just_came_in_goes_out_whatever_the_clocks_say(void **state)
{
    struct fixture *f = *state;
    struct order o;
    old_order_init(&o, 1, 4, 86400000);
    o.alert.is_replayed = 0;
    assert_false(take_stored(f, &o, 1)->is_quiet);
    assert_int_equal(post_or_fail(f).body, ALERT_RAISED);
}

static void after_a_minute_an_old_alert_goes_out_whatever_is_known(void **state)
{
    struct fixture *f = *state;
    struct order o;
    old_order_init(&o, 1, 4, 86400000);
    (void)take_stored(f, &o, 1);
    assert_int_equal(alert_book_end_long_quiet(f->book, f->now_ms + ALERT_QUIET_MAX_MS - 1), 0);
    f->now_ms += ALERT_QUIET_MAX_MS;
    assert_int_equal(alert_book_end_long_quiet(f->book, f->now_ms), 1);
    assert_int_equal(post_or_fail(f).body, ALERT_RAISED);
}

static void an_old_member_gathers_only_once_it_may_go_out(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_entry *digest = NULL;
    old_order_init(&o, 1, -1, 86400000);
    o.alert.is_digest_member = 1;
    struct alert_entry *entry = take_stored(f, &o, 1);
    f->now_ms += ALERT_DIGEST_AFTER_MS;
    assert_false(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    alert_book_end_quiet(f->book, entry, f->now_ms);
    f->now_ms += ALERT_DIGEST_AFTER_MS;
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &digest));
    assert_int_equal(digest->digest->n_alert_ids, 1);
}

static void what_another_replica_told_is_not_told_again(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_entry *entry = NULL;
    old_order_init(&o, 1, 4, 86400000);
    alert_book_elsewhere(f->book, take_stored(f, &o, 1), f->now_ms);
    f->now_ms += 86400000;
    assert_quiet(f);
    struct alert_step step;
    assert_false(alert_book_next_step(f->book, f->now_ms, &step));
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_KNOWN);
    assert_int_equal(entry->state, ALERT_ACCEPTED);
    assert_int_equal(alert_book_needed_from(f->book, 9), 10); /* its record may go */
}

/* An order as Redis gives it once the replica that had the alert has gone. */
static void orphan_init(struct order *o, uint32_t n, uint32_t age_s)
{
    order_init(o, n, 4);
    o->alert.is_taken_over = 1;
    o->alert.opened_at_ms = UNIX_MS - (int64_t)age_s * 1000;
}

static void what_a_replica_that_has_gone_told_goes_on_at_its_step(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_step step;
    orphan_init(&o, 1, 130);
    o.alert.is_told = 1;
    o.alert.steps_taken = 1;
    o.alert.updates = 2;
    struct alert_entry *entry = take_stored(f, &o, 1);
    assert_int_equal(entry->state, ALERT_ACCEPTED);
    struct alert_post post = post_or_fail(f);
    assert_int_equal(post.body, ALERT_UPDATED); /* not the first body */
    assert_int_equal(post.number, 4);           /* 3 may have been used unseen */
    (void)answer(f, &post, ANSWER_ACCEPTED, 0);
    assert_true(alert_book_next_step(f->book, f->now_ms, &step));
    assert_int_equal(step.step, 2);
    assert_int_equal(step.action, LADDER_SECOND_PATH);
    assert_false(alert_book_next_step(f->book, f->now_ms + 169999, &step));
    assert_true(
        alert_book_next_step(f->book, f->now_ms + 170000, &step)); /* 300 s after its start */
    assert_int_equal(step.action, LADDER_SUPERVISOR);
}

static void what_a_replica_that_has_gone_did_not_tell_is_told(void **state)
{
    struct fixture *f = *state;
    struct order o;
    orphan_init(&o, 1, 90);
    (void)take_stored(f, &o, 1);
    struct alert_post first = post_or_fail(f);
    struct alert_post second = post_or_fail(f); /* it has waited for long */
    assert_int_equal(first.body, ALERT_RAISED);
    assert_int_equal(second.body, ALERT_SECOND);
    (void)answer(f, &first, ANSWER_ACCEPTED, 0);
    struct alert_post update = post_or_fail(f);
    assert_int_equal(update.body, ALERT_UPDATED);
    assert_int_equal(update.number, 2);
}

static void a_ladder_climbed_to_its_end_is_still_unacknowledged_after_a_take_over(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_step step;
    struct alert_counts counts;
    orphan_init(&o, 1, 4000);
    o.alert.is_told = 1;
    o.alert.steps_taken = 3;
    (void)take_stored(f, &o, 1);
    assert_false(alert_book_next_step(f->book, f->now_ms + 86400000, &step));
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.unacknowledged, 1);
}

static void told_elsewhere_is_ours_once_that_replica_has_gone(void **state)
{
    struct fixture *f = *state;
    struct order old;
    struct order o;
    struct alert_entry *entry = NULL;
    struct alert_step step;
    old_order_init(&old, 1, 4, 86400000);
    alert_book_elsewhere(f->book, take_stored(f, &old, 1), f->now_ms);
    orphan_init(&o, 1, 130);
    o.alert.is_told = 1;
    o.alert.steps_taken = 1;
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_REVISED);
    assert_true(entry->is_live);
    assert_false(alert_book_next_step(f->book, f->now_ms, &step)); /* not journalled yet */
    alert_book_stored(f->book, &o.id, 7);
    assert_true(alert_book_next_step(f->book, f->now_ms, &step));
    assert_int_equal(step.step, 2);
    assert_int_equal(alert_book_needed_from(f->book, 9), 7);
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_KNOWN);
}

static void a_take_over_goes_on_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct order old;
    struct order o;
    struct alert_step step;
    old_order_init(&old, 1, 4, 86400000);
    apply_alert(f, &old, 1, START_MS);
    Desg__V1__AlertAccepted accepted = DESG__V1__ALERT_ACCEPTED__INIT;
    accepted.alert_id = (ProtobufCBinaryData){ ID_BYTES, old.id.bytes };
    accepted.path = (char *)ALERT_PATH_ELSEWHERE;
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ACCEPTED;
    fact.accepted = &accepted;
    orphan_init(&o, 1, 130);
    o.alert.is_told = 1;
    o.alert.steps_taken = 1;
    alert_book_apply(f->book, &fact, 2, START_MS, UNIX_MS);
    apply_alert(f, &o, 3, START_MS);
    assert_true(alert_book_next_step(f->book, f->now_ms, &step));
    assert_int_equal(step.step, 2);
}

static void what_is_ours_or_acknowledged_nobody_takes_over(void **state)
{
    struct fixture *f = *state;
    struct order ours;
    struct order done;
    struct alert_entry *entry = NULL;
    order_init(&ours, 1, 4);
    order_init(&done, 2, 4);
    (void)take_stored(f, &ours, 1);
    (void)alert_book_acknowledge(f->book, take_stored(f, &done, 2), false, f->now_ms);
    orphan_init(&ours, 1, 130);
    orphan_init(&done, 2, 130);
    assert_int_equal(alert_book_take(f->book, &ours.alert, f->now_ms, UNIX_MS, &entry),
                     ALERT_KNOWN);
    assert_int_equal(alert_book_take(f->book, &done.alert, f->now_ms, UNIX_MS, &entry),
                     ALERT_KNOWN);
    assert_int_equal(entry->state, ALERT_ACKNOWLEDGED);
}

static void members_gathered_anew_are_another_digest(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_entry *first = NULL;
    struct alert_entry *second = NULL;
    order_init(&o, 1, -1);
    o.alert.is_digest_member = 1;
    (void)take_stored(f, &o, 1);
    f->now_ms += ALERT_DIGEST_AFTER_MS;
    assert_true(alert_book_next_digest(f->book, f->now_ms, UNIX_MS, &first));
    struct id told = first->id;
    struct alert_book *other = book_new(true);
    struct alert_entry *entry = NULL;
    o.alert.is_taken_over = 1;
    assert_int_equal(alert_book_take(other, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_NEW);
    assert_true(
        alert_book_next_digest(other, f->now_ms + ALERT_DIGEST_AFTER_MS, UNIX_MS + 1, &second));
    assert_memory_not_equal(told.bytes, second->id.bytes, ID_BYTES); /* its time is in its body */
    alert_book_destroy(&other);
}

static void an_old_alert_acknowledged_elsewhere_says_nothing_at_all(void **state)
{
    struct fixture *f = *state;
    struct order o;
    old_order_init(&o, 1, 4, 86400000);
    struct alert_entry *entry = take_stored(f, &o, 1);
    assert_true(alert_book_acknowledge(f->book, entry, false, f->now_ms));
    assert_quiet(f); /* no alert.updated either */
    assert_false(entry->is_live);
}

static void told_elsewhere_stays_so_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct order o;
    old_order_init(&o, 1, 4, 86400000);
    apply_alert(f, &o, 1, START_MS);
    Desg__V1__AlertAccepted accepted = DESG__V1__ALERT_ACCEPTED__INIT;
    accepted.alert_id = (ProtobufCBinaryData){ ID_BYTES, o.id.bytes };
    accepted.path = (char *)ALERT_PATH_ELSEWHERE;
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ACCEPTED;
    fact.accepted = &accepted;
    alert_book_apply(f->book, &fact, 2, START_MS, UNIX_MS);
    f->now_ms += ALERT_QUIET_MAX_MS;
    assert_int_equal(alert_book_end_long_quiet(f->book, f->now_ms), 0);
    assert_quiet(f);
}

static void an_acknowledgement_that_came_to_the_wrong_replica_is_kept(void **state)
{
    struct fixture *f = *state;
    struct order o;
    struct alert_entry *entry = NULL;
    order_init(&o, 1, 4);
    apply_acknowledged(f, &o.id, "", START_MS); /* of an alert this journal never had */
    assert_int_equal(alert_book_take(f->book, &o.alert, f->now_ms, UNIX_MS, &entry), ALERT_KNOWN);
    assert_int_equal(entry->state, ALERT_ACKNOWLEDGED);
    assert_quiet(f);
}

/* --- keeping it small --- */

static void closed_alerts_are_forgotten_after_the_retention_time(void **state)
{
    struct fixture *f = *state;
    struct order o;
    order_init(&o, 1, 0);
    struct alert_entry *entry = take_accepted(f, &o);
    f->now_ms += 3600001;
    alert_book_forget(f->book, f->now_ms);
    assert_non_null(alert_book_find(f->book, &o.id)); /* open ones never are */
    (void)alert_book_acknowledge(f->book, entry, false, f->now_ms);
    alert_book_forget(f->book, f->now_ms + 3600000);
    assert_non_null(alert_book_find(f->book, &o.id));
    alert_book_forget(f->book, f->now_ms + 3600001);
    assert_null(alert_book_find(f->book, &o.id));
}

static void many_alerts_keep_their_places(void **state)
{
    struct fixture *f = *state;
    struct order o;
    for (uint32_t n = 1; n <= 2000; n++) {
        order_init(&o, n, 0);
        (void)take_stored(f, &o, n);
    }
    for (uint32_t n = 1; n <= 2000; n += 2) {
        order_init(&o, n, 0);
        (void)alert_book_acknowledge(f->book, alert_book_find(f->book, &o.id), false, f->now_ms);
    }
    assert_int_equal(alert_book_needed_from(f->book, 5000), 2);
    struct alert_counts counts;
    alert_book_count(f->book, f->now_ms + 7, &counts);
    assert_int_equal(counts.known, 2000);
    assert_int_equal(counts.open, 1000);
    assert_int_equal(counts.oldest_unaccepted_ms, 7);
    alert_book_forget(f->book, f->now_ms + 3600001);
    alert_book_count(f->book, f->now_ms, &counts);
    assert_int_equal(counts.known, 1000);
    for (uint32_t n = 1; n <= 2000; n++) {
        order_init(&o, n, 0);
        assert_int_equal(alert_book_find(f->book, &o.id) != NULL, n % 2 == 0);
    }
    alert_book_moved(f->book, &o.id, 9000);
    assert_int_equal(alert_book_find(f->book, &o.id)->sequence, 9000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_goes_before_it_is_journalled),
        T(a_journal_that_refuses_does_not_hold_it_back),
        T(verdict_follows_only_after_the_first_body),
        T(no_verdict_no_update),
        T(acknowledgement_closes_it_once_nothing_is_owed),
        T(acknowledged_while_the_post_is_on_its_way),
        T(same_alert_again_is_known_whatever_its_path),
        cmocka_unit_test(a_better_verdict_is_one_more_update),
        T(an_update_on_its_way_is_overtaken_by_the_next),
        T(tries_for_ever_under_the_same_key),
        T(retry_after_is_waited_for),
        T(second_path_after_three_failures),
        T(second_path_when_dispatch_hangs),
        cmocka_unit_test(second_path_at_once_when_a_person_is_needed),
        T(without_a_second_path_none_is_tried),
        T(known_key_counts_as_accepted_and_tells_by_update_and_second_path),
        T(life_at_risk_first_then_oldest_and_news_before_updates),
        T(a_new_alert_goes_at_once_while_the_breaker_is_open),
        T(ladder_climbs_at_set_times_until_acknowledged),
        T(an_acknowledged_alert_climbs_no_ladder),
        T(no_reminder_of_what_dispatch_never_took),
        T(members_of_an_account_share_one_digest_after_five_seconds),
        T(a_digest_is_acknowledged_once_each_member_is),
        T(a_digest_is_full_at_two_hundred),
        T(a_member_that_turns_urgent_goes_alone),
        T(an_acknowledged_member_that_turns_urgent_goes_alone),
        T(the_ladder_of_a_digest_counts_from_its_first_word),
        T(a_standing_test_climbs_no_ladder_and_can_be_dropped),
        T(a_restart_goes_on_where_the_journal_ends),
        T(a_ladder_goes_on_after_a_restart),
        T(a_digest_is_the_same_after_a_restart),
        T(a_member_that_turned_urgent_is_still_posted_after_a_restart),
        T(damaged_or_orphaned_facts_are_passed_over),
        T(an_old_alert_waits_until_nobody_is_known_to_have_told_it),
        T(a_young_alert_waits_for_nobody),
        T(one_that_just_came_in_goes_out_whatever_the_clocks_say),
        T(after_a_minute_an_old_alert_goes_out_whatever_is_known),
        T(an_old_member_gathers_only_once_it_may_go_out),
        T(what_another_replica_told_is_not_told_again),
        T(what_a_replica_that_has_gone_told_goes_on_at_its_step),
        T(what_a_replica_that_has_gone_did_not_tell_is_told),
        T(a_ladder_climbed_to_its_end_is_still_unacknowledged_after_a_take_over),
        T(told_elsewhere_is_ours_once_that_replica_has_gone),
        T(a_take_over_goes_on_after_a_restart),
        T(what_is_ours_or_acknowledged_nobody_takes_over),
        T(members_gathered_anew_are_another_digest),
        T(an_old_alert_acknowledged_elsewhere_says_nothing_at_all),
        T(told_elsewhere_stays_so_after_a_restart),
        T(an_acknowledgement_that_came_to_the_wrong_replica_is_kept),
        T(closed_alerts_are_forgotten_after_the_retention_time),
        T(many_alerts_keep_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
