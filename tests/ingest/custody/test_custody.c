/* custody - each promise of its header as one story with an invented clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ingest/custody.h"

#define URGENT  DESG__V1__SEVERITY__SEVERITY_URGENT
#define ROUTINE DESG__V1__SEVERITY__SEVERITY_ROUTINE

struct desk {
    struct custody *custody;
    int64_t now_ms;
    uint64_t newest;
};

static struct desk desk_new(uint64_t found_at_start)
{
    struct custody_limits limits = custody_default_limits();
    struct desk desk = { .now_ms = 1000000, .newest = found_at_start };
    desk.custody = custody_new(&limits, found_at_start > 0, found_at_start, desk.now_ms);
    return desk;
}

/* A split of count events on channel "x", as the splitter would make it. */
static struct split make_split(size_t count)
{
    struct split split = { .count = count };
    split.memory = NULL;
    split.events = calloc(count ? count : 1, sizeof *split.events);
    split.memory = split.events;
    for (size_t i = 0; i < count; i++) {
        split.events[i].channel = "x";
        split.events[i].account = "1";
        split.events[i].bytes = (const uint8_t *)"event";
        split.events[i].length = 5;
    }
    return split;
}

static void load(struct desk *desk, uint64_t sequence, size_t events, bool is_replayed,
                 const struct custody_note *notes, size_t note_count)
{
    struct split split = make_split(events);
    struct custody_record record = { .sequence = sequence,
                                     .is_replayed = is_replayed,
                                     .split = &split,
                                     .notes = notes,
                                     .note_count = note_count };
    custody_load(desk->custody, &record, desk->now_ms);
}

/* Loads whatever custody asks for; returns how many records. */
static size_t load_all(struct desk *desk)
{
    uint64_t first = 0;
    uint64_t last = 0;
    size_t most = 0;
    size_t loaded = 0;
    while (custody_next_load(desk->custody, desk->now_ms, &first, &last, &most))
        for (uint64_t s = first; s <= last && s < first + most; s++, loaded++)
            load(desk, s, 1, false, NULL, 0);
    return loaded;
}

static void commit(struct desk *desk, uint64_t how_many)
{
    desk->newest += how_many;
    custody_committed(desk->custody, desk->newest);
    (void)load_all(desk);
}

static void pass(struct desk *desk, int64_t ms)
{
    desk->now_ms += ms;
    custody_tick(desk->custody, desk->now_ms);
}

/* The process instance, connected as worker. */
static void process_up(struct desk *desk, uint64_t worker, uint8_t instance)
{
    const struct custody_worker who = { .instance = { { instance } }, .credit = 64 };
    custody_worker_up(desk->custody, worker, &who, desk->now_ms);
}

/* Each a process of its own. */
static void worker_up(struct desk *desk, uint64_t worker)
{
    process_up(desk, worker, (uint8_t)worker);
}

static void worker_of_up(struct desk *desk, uint64_t worker, uint32_t credit,
                         const char *const *channels)
{
    const struct custody_worker who = { .instance = { { (uint8_t)worker } },
                                        .credit = credit,
                                        .channels = channels,
                                        .channel_count = channels != NULL };
    custody_worker_up(desk->custody, worker, &who, desk->now_ms);
}

static bool next(struct desk *desk, struct custody_batch *batch)
{
    return custody_next_batch(desk->custody, desk->now_ms, batch);
}

static void seen(struct desk *desk, uint64_t worker, uint64_t sequence, Desg__V1__Severity severity)
{
    custody_seen(desk->custody, worker, sequence, 0, severity, desk->now_ms);
}

static bool answered(struct desk *desk, uint64_t sequence, enum custody_answer answer)
{
    return custody_answered(desk->custody, 1, sequence, 0, answer, "h1", false, desk->now_ms);
}

/* Another history counts once the mark found is stored under it. */
static void confirm(struct desk *desk, const char *text, uint64_t mark)
{
    uint64_t route = 0;
    uint64_t number = 0;
    uint64_t sequence = 0;
    const char *quoted = NULL;
    assert_true(
        custody_next_mark(desk->custody, desk->now_ms, &route, &number, &quoted, &sequence));
    assert_string_equal(quoted, text);
    assert_int_equal(sequence, mark);
    assert_true(custody_marked(desk->custody, number, text, sequence, true));
}

/* Says HELLO, through a route of its own if there is none, and gives this answer to it. */
static void history(struct desk *desk, const char *text, bool has_mark, uint64_t mark)
{
    uint64_t route = 0;
    uint64_t number = 0;
    custody_route_up(desk->custody, 99, 0);
    for (int i = 0; i < 30 && !custody_next_hello(desk->custody, desk->now_ms, &route, &number);
         i++)
        desk->now_ms += 100;
    assert_int_not_equal(number, 0);
    assert_true(custody_history(desk->custody, number, text, has_mark, mark));
    if (has_mark && !custody_has_history(desk->custody))
        confirm(desk, text, mark);
    custody_route_down(desk->custody, 99, desk->now_ms);
}

static struct custody_status status_of(struct desk *desk)
{
    struct custody_status status;
    custody_status(desk->custody, desk->now_ms, &status);
    return status;
}

static void hands_out_and_counts_done_only_in_one_unbroken_run(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    worker_up(&desk, 1);
    commit(&desk, 3);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.count, 3);
    assert_false(next(&desk, &batch));
    seen(&desk, 1, 1, ROUTINE);
    assert_true(answered(&desk, 3, CUSTODY_DONE));
    assert_true(answered(&desk, 2, CUSTODY_DONE));
    assert_int_equal(status_of(&desk).done_through, 0);
    assert_true(answered(&desk, 1, CUSTODY_DONE));
    assert_int_equal(status_of(&desk).done_through, 3);
    assert_false(answered(&desk, 1, CUSTODY_DONE)); /* a duplicate changes nothing */
    assert_true(custody_is_idle(desk.custody));
    custody_destroy(&desk.custody);
}

static void never_exceeds_the_credit_before_seen(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_up(&desk, 1);
    commit(&desk, 100);
    size_t sent = 0;
    while (next(&desk, &batch))
        sent += batch.count;
    assert_int_equal(sent, 64);
    seen(&desk, 1, 1, ROUTINE);
    assert_int_equal(custody_take_returned(desk.custody, 1), 1);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.count, 1);
    custody_destroy(&desk.custody);
}

static void busy_defers_probes_once_a_second_and_recovers(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    worker_up(&desk, 1);
    commit(&desk, 40);
    for (uint64_t s = 1; next(&desk, &batch);)
        for (size_t i = 0; i < batch.count; i++, s++) {
            seen(&desk, 1, s, ROUTINE);
            (void)answered(&desk, s, CUSTODY_BUSY);
        }
    assert_int_equal(status_of(&desk).deferred, 40);
    assert_int_equal(load_all(&desk), 0);
    pass(&desk, 1000);
    assert_int_equal(load_all(&desk), 16); /* the probe */
    commit(&desk, 1);                      /* a new one is not held up by it */
    assert_int_equal(status_of(&desk).held_events, 17);
    assert_true(answered(&desk, 1, CUSTODY_DONE));
    assert_int_equal(load_all(&desk), 24); /* the rest at once */
    custody_destroy(&desk.custody);
}

static void unclassified_after_two_seconds_and_offered_again_later(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    commit(&desk, 1);
    pass(&desk, 1900);
    assert_false(next(&desk, &batch));
    pass(&desk, 200);
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    assert_null(batch.items[0].quarantine_reason);
    assert_false(
        custody_answered(desk.custody, 7, 1, 0, CUSTODY_PROVISIONAL, "h1", false, desk.now_ms));
    assert_int_equal(status_of(&desk).provisional, 1);
    assert_int_equal(status_of(&desk).done_through, 0); /* a mark would bury the real verdict */
    worker_up(&desk, 1);
    assert_int_equal(load_all(&desk), 1);
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    assert_true(answered(&desk, 1, CUSTODY_DONE));
    assert_int_equal(status_of(&desk).done_through, 1);
    custody_destroy(&desk.custody);
}

static void replayed_ones_wait_a_minute_for_triage(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    custody_route_up(desk.custody, 7, 256);
    load(&desk, 1, 1, true, NULL, 0);
    pass(&desk, 59000);
    assert_false(next(&desk, &batch));
    pass(&desk, 1000);
    assert_true(next(&desk, &batch));
    custody_destroy(&desk.custody);
}

static void urgent_without_done_goes_another_way_after_250_ms(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_up(&desk, 1);
    worker_up(&desk, 2);
    commit(&desk, 1);
    assert_true(next(&desk, &batch));
    uint64_t first = batch.peer;
    seen(&desk, first, 1, URGENT);
    pass(&desk, 249);
    assert_false(next(&desk, &batch));
    pass(&desk, 2);
    assert_true(next(&desk, &batch));
    assert_int_equal(status_of(&desk).hedges, 1);
    custody_destroy(&desk.custody);
}

static void unseen_goes_to_another_worker_never_the_same(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_up(&desk, 1);
    commit(&desk, 1);
    assert_true(next(&desk, &batch));
    pass(&desk, 300);
    assert_false(next(&desk, &batch)); /* there is no other */
    worker_up(&desk, 2);
    pass(&desk, 10);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.peer, 2);
    custody_destroy(&desk.custody);
}

static void hedges_stay_within_their_budget(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_up(&desk, 1);
    for (uint64_t s = 1; s <= 64; s++)
        commit(&desk, 1);
    while (next(&desk, &batch)) {
    }
    worker_up(&desk, 2);
    pass(&desk, 260); /* a hung worker with 64 in hand */
    size_t again = 0;
    while (next(&desk, &batch))
        again += batch.count;
    assert_in_range(again, 1, 16); /* not a storm */
    custody_destroy(&desk.custody);
}

static void two_deaths_alone_quarantine_and_others_flow(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    for (uint64_t s = 1; s <= 4; s++)
        load(&desk, s, 1, true, NULL, 0);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.count, 4);
    custody_worker_down(desk.custody, 1, false, desk.now_ms); /* one of them killed it */
    uint64_t poison = 2;
    uint64_t worker = 2;
    bool is_quarantined = false;
    for (int round = 0; round < 600 && !is_quarantined; round++) {
        if (status_of(&desk).workers == 0)
            worker_up(&desk, worker);
        pass(&desk, 25);
        if (!next(&desk, &batch))
            continue;
        if (batch.is_to_route) {
            is_quarantined = true;
            assert_int_equal(batch.items[0].sequence, poison);
            assert_non_null(batch.items[0].quarantine_reason);
            continue;
        }
        assert_int_equal(batch.count, 1); /* each alone in its worker */
        if (batch.items[0].sequence == poison) {
            custody_worker_down(desk.custody, worker++, false, desk.now_ms);
            continue;
        }
        seen(&desk, worker, batch.items[0].sequence, ROUTINE);
        assert_true(answered(&desk, batch.items[0].sequence, CUSTODY_DONE));
    }
    assert_true(is_quarantined);
    assert_int_equal(worker, 4); /* it killed two more, and no third */
    assert_int_equal(status_of(&desk).quarantined, 1);
    custody_destroy(&desk.custody);
}

/* A suspect event, in hand of process 1 alone. */
static void hold_alone(struct desk *desk)
{
    struct custody_batch batch;
    const struct custody_note note = { .is_suspect = true };
    custody_route_up(desk->custody, 99, 256);
    process_up(desk, 1, 1);
    load(desk, 1, 1, true, &note, 1);
    assert_true(next(desk, &batch));
    assert_false(batch.is_to_route);
}

/* The connection of process ends while it holds the event alone. */
static void lose(struct desk *desk, uint64_t worker)
{
    custody_worker_down(desk->custody, worker, false, desk->now_ms);
}

/* It goes to this worker within ms. */
static void goes_alone_to(struct desk *desk, uint64_t worker, int64_t ms)
{
    struct custody_batch batch;
    while (ms > 0 && !next(desk, &batch)) {
        pass(desk, 25);
        ms -= 25;
    }
    assert_true(ms > 0);
    assert_int_equal(batch.peer, worker);
    assert_int_equal(batch.count, 1);
}

/* In the dispatcher's ticks. */
static void pass_slowly(struct desk *desk, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 25)
        pass(desk, 25);
}

static bool is_quarantined_within(struct desk *desk, int64_t ms)
{
    struct custody_batch batch;
    for (int64_t passed = 0; passed < ms; passed += 25) {
        pass(desk, 25);
        if (!next(desk, &batch))
            continue;
        assert_true(batch.is_to_route); /* to no worker more */
        assert_non_null(batch.items[0].quarantine_reason);
        return true;
    }
    return false;
}

static uint8_t noted_deaths(struct desk *desk)
{
    struct custody_note note = { 0 };
    uint64_t sequence = 0;
    while (custody_next_note(desk->custody, &sequence, &note)) {
    }
    return note.deaths;
}

static void connections_that_break_are_no_deaths(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    hold_alone(&desk);
    for (uint64_t again = 2; again <= 9; again++) {
        lose(&desk, again - 1);
        pass(&desk, 200);
        process_up(&desk, again, 1);
        goes_alone_to(&desk, again, 25);
    }
    pass_slowly(&desk, 20000);
    assert_int_equal(noted_deaths(&desk), 0);
    seen(&desk, 9, 1, ROUTINE);
    assert_int_equal(status_of(&desk).quarantined, 0);
    custody_destroy(&desk.custody);
}

static void connections_that_break_one_after_the_other_are_no_deaths(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    hold_alone(&desk);
    process_up(&desk, 2, 2);
    lose(&desk, 1);
    goes_alone_to(&desk, 2, 25);
    process_up(&desk, 3, 3);
    lose(&desk, 2);
    assert_false(is_quarantined_within(&desk, 9000)); /* nor does it go to the third */
    process_up(&desk, 4, 2);
    goes_alone_to(&desk, 3, 25); /* one charge is left: any worker may have it */
    process_up(&desk, 5, 1);
    assert_int_equal(noted_deaths(&desk), 0);
    custody_destroy(&desk.custody);
}

static void other_processes_do_not_clear_it(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    hold_alone(&desk);
    lose(&desk, 1);
    process_up(&desk, 2, 2);
    goes_alone_to(&desk, 2, 25);
    lose(&desk, 2);
    process_up(&desk, 3, 3);
    assert_false(is_quarantined_within(&desk, 9000));
    assert_true(is_quarantined_within(&desk, 2000));
    assert_int_equal(noted_deaths(&desk), 2);
    process_up(&desk, 4, 1); /* too late */
    assert_int_equal(status_of(&desk).quarantined, 1);
    custody_destroy(&desk.custody);
}

static void one_that_never_comes_back_has_died_and_one_that_does_has_not(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    hold_alone(&desk);
    process_up(&desk, 2, 2);
    lose(&desk, 1);
    goes_alone_to(&desk, 2, 25);
    pass_slowly(&desk, 11000);
    assert_int_equal(noted_deaths(&desk), 1);
    lose(&desk, 2);
    process_up(&desk, 3, 2);
    goes_alone_to(&desk, 3, 25);
    lose(&desk, 3);
    process_up(&desk, 4, 4);
    assert_true(is_quarantined_within(&desk, 11000));
    custody_destroy(&desk.custody);
}

/* All connections gone at once is the network, or ourselves. */
static void without_any_worker_nobody_is_taken_for_dead(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    hold_alone(&desk);
    process_up(&desk, 2, 2);
    lose(&desk, 1);
    goes_alone_to(&desk, 2, 25);
    lose(&desk, 2);
    assert_false(is_quarantined_within(&desk, 50000));
    process_up(&desk, 3, 2);
    pass_slowly(&desk, 5000);
    process_up(&desk, 4, 1);
    pass_slowly(&desk, 20000);
    assert_int_equal(noted_deaths(&desk), 0);
    custody_destroy(&desk.custody);
}

/* Stopped for a while: who came back meanwhile waits at the door. */
static void while_ingest_is_stopped_nobody_is_taken_for_dead(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    hold_alone(&desk);
    process_up(&desk, 2, 2);
    lose(&desk, 1);
    pass(&desk, 30000);
    process_up(&desk, 3, 1);
    pass_slowly(&desk, 20000);
    assert_int_equal(noted_deaths(&desk), 0);
    custody_destroy(&desk.custody);
}

static void a_worker_that_looks_at_it_and_lives_clears_it(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    hold_alone(&desk);
    process_up(&desk, 2, 2);
    lose(&desk, 1);
    goes_alone_to(&desk, 2, 25);
    seen(&desk, 2, 1, ROUTINE);
    pass_slowly(&desk, 20000);
    assert_int_equal(noted_deaths(&desk), 0);
    custody_destroy(&desk.custody);
}

/* New, it may be urgent: while it waits for the verdict on its workers a person sees it. */
static void what_is_held_back_goes_to_route_in_time_and_is_held_back_still(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    const struct custody_note note = { .is_suspect = true };
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 99, 256);
    desk.newest = 1;
    custody_committed(desk.custody, 1);
    worker_up(&desk, 1);
    load(&desk, 1, 1, false, &note, 1);
    goes_alone_to(&desk, 1, 25);
    worker_up(&desk, 2);
    lose(&desk, 1);
    goes_alone_to(&desk, 2, 25);
    worker_up(&desk, 3);
    lose(&desk, 2);
    pass(&desk, 2000);
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    assert_null(batch.items[0].quarantine_reason);
    (void)custody_answered(desk.custody, 99, 1, 0, CUSTODY_PROVISIONAL, "h1", false, desk.now_ms);
    assert_int_equal(status_of(&desk).held_events, 0);
    worker_up(&desk, 4); /* what is provisional is offered again */
    assert_int_equal(load_all(&desk), 1);
    assert_false(next(&desk, &batch)); /* to whom it may kill: not yet */
    process_up(&desk, 5, 1);
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    custody_destroy(&desk.custody);
}

static void a_retry_clears_what_is_held_back(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    desk.newest = 1;
    custody_committed(desk.custody, 1);
    hold_alone(&desk);
    worker_up(&desk, 2);
    lose(&desk, 1);
    goes_alone_to(&desk, 2, 25);
    worker_up(&desk, 3);
    lose(&desk, 2);
    assert_false(next(&desk, &batch));
    assert_true(custody_retry(desk.custody, 1));
    goes_alone_to(&desk, 3, 25);
    pass_slowly(&desk, 20000);
    assert_int_equal(noted_deaths(&desk), 0);
    custody_destroy(&desk.custody);
}

/* More than can be remembered: the oldest count at once, and nothing is lost. */
static void charges_are_bounded(void **state)
{
    (void)state;
    enum { EVENTS = 100 };
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    const struct custody_note note = { .is_suspect = true };
    custody_route_up(desk.custody, 9999, 1024);
    for (uint64_t s = 1; s <= EVENTS; s++)
        load(&desk, s, 1, true, &note, 1);
    uint64_t worker = 1;
    size_t quarantined = 0;
    process_up(&desk, worker, 1);
    for (int round = 0; round < 2000 && quarantined < EVENTS; round++) {
        pass(&desk, 25);
        if (!next(&desk, &batch))
            continue;
        if (batch.is_to_route) {
            quarantined += batch.count;
            continue;
        }
        lose(&desk, worker);
        worker++;
        process_up(&desk, worker, (uint8_t)(worker % 250 + 1));
    }
    assert_int_equal(quarantined, EVENTS);
    assert_int_equal(worker, 2 * EVENTS + 1);
    custody_destroy(&desk.custody);
}

static void a_suspect_no_worker_serves_does_not_hold_up_the_next(void **state)
{
    (void)state;
    static const char *const only_x[] = { "x" };
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    const struct custody_note note = { .is_suspect = true };
    struct split split = make_split(1);
    split.events[0].channel = "web";
    const struct custody_record record = {
        .sequence = 1, .is_replayed = true, .split = &split, .notes = &note, .note_count = 1
    };
    custody_load(desk.custody, &record, desk.now_ms);
    load(&desk, 2, 1, true, &note, 1);
    worker_of_up(&desk, 1, 64, only_x);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.items[0].sequence, 2);
    seen(&desk, 1, 2, ROUTINE);
    load(&desk, 3, 1, true, NULL, 0); /* nor does it keep the worker free for nothing */
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.items[0].sequence, 3);
    custody_destroy(&desk.custody);
}

static void a_drained_worker_casts_no_suspicion(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_up(&desk, 1);
    commit(&desk, 3);
    assert_true(next(&desk, &batch));
    custody_worker_down(desk.custody, 1, true, desk.now_ms);
    worker_up(&desk, 2);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.count, 3);
    assert_int_equal(status_of(&desk).suspects, 0);
    custody_destroy(&desk.custody);
}

static void refused_twice_is_quarantined(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    commit(&desk, 1);
    assert_true(next(&desk, &batch));
    (void)answered(&desk, 1, CUSTODY_REFUSED);
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    (void)answered(&desk, 1, CUSTODY_REFUSED);
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    assert_non_null(batch.items[0].quarantine_reason);
    custody_destroy(&desk.custody);
}

static void a_refusal_told_again_counts_once(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    uint64_t first = 0, last = 0;
    size_t most = 0;
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    commit(&desk, 1);
    assert_true(next(&desk, &batch));
    (void)answered(&desk, 1, CUSTODY_REFUSED);
    (void)answered(&desk, 1, CUSTODY_REFUSED); /* again, before it went out again */
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    (void)answered(&desk, 1, CUSTODY_REFUSED);
    (void)answered(&desk, 1, CUSTODY_REFUSED); /* while it waits for quarantine */
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    (void)answered(&desk, 1, CUSTODY_REFUSED); /* from the worker, not from route */
    assert_false(custody_next_load(desk.custody, desk.now_ms, &first, &last, &most));
    assert_int_equal(status_of(&desk).held_events, 1);
    custody_destroy(&desk.custody);
}

static void deaths_noted_before_a_restart_count(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    struct custody_note note = { .deaths = 2 };
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    load(&desk, 1, 1, true, &note, 1);
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    custody_destroy(&desk.custody);
}

static void what_ended_ingest_goes_to_quarantine_unless_a_person_wants_it(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    desk.newest = 1;
    custody_committed(desk.custody, 1);
    for (int round = 0; round < 2; round++) {
        struct split split = make_split(1);
        split.poison = "it ended ingest";
        struct custody_record record = { .sequence = 1, .split = &split };
        custody_load(desk.custody, &record, desk.now_ms);
        assert_true(next(&desk, &batch));
        assert_int_equal(batch.is_to_route, round == 0);
        if (round == 0)
            assert_string_equal(batch.items[0].quarantine_reason, "it ended ingest");
        else
            assert_null(batch.items[0].quarantine_reason);
        assert_true(answered(&desk, 1, CUSTODY_DONE));
        assert_true(custody_retry(desk.custody, 1));
    }
    assert_int_equal(status_of(&desk).quarantined, 1);
    custody_destroy(&desk.custody);
}

static void a_retry_forgives_what_was_noted(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    struct custody_note kept = { .deaths = 2,
                                 .verdict = (const uint8_t *)"v",
                                 .verdict_length = 1 };
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    desk.newest = 1;
    custody_committed(desk.custody, 1);
    load(&desk, 1, 1, false, &kept, 1);
    assert_true(next(&desk, &batch));
    assert_true(answered(&desk, 1, CUSTODY_DONE)); /* quarantined */
    assert_false(custody_retry(desk.custody, 2));
    assert_true(custody_retry(desk.custody, 1));
    load(&desk, 1, 1, false, &kept, 1);
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    assert_null(batch.items[0].verdict);
    custody_destroy(&desk.custody);
}

static void a_retry_forgives_what_is_in_memory_too(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    struct custody_note noted;
    uint64_t sequence = 0;
    history(&desk, "h1", true, 0);
    worker_up(&desk, 1);
    commit(&desk, 1);
    for (int refusal = 0; refusal < 2; refusal++) {
        assert_true(next(&desk, &batch));
        (void)answered(&desk, 1, CUSTODY_REFUSED);
    }
    assert_false(next(&desk, &batch)); /* poison, and no route to take it */
    while (custody_next_note(desk.custody, &sequence, &noted)) {
    }
    assert_true(custody_retry(desk.custody, 1));
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    assert_null(batch.items[0].quarantine_reason);
    assert_true(custody_next_note(desk.custody, &sequence, &noted));
    assert_false(noted.is_suspect); /* after a restart, too */
    assert_true(answered(&desk, 1, CUSTODY_DONE));
    custody_destroy(&desk.custody);
}

static void a_retry_of_what_is_on_its_way_to_quarantine_comes_after_it(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    commit(&desk, 1);
    for (int refusal = 0; refusal < 2; refusal++) {
        assert_true(next(&desk, &batch));
        (void)answered(&desk, 1, CUSTODY_REFUSED);
    }
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    assert_true(custody_retry(desk.custody, 1));
    assert_false(next(&desk, &batch));
    assert_true(answered(&desk, 1, CUSTODY_DONE)); /* quarantined */
    assert_int_equal(load_all(&desk), 1);
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    assert_true(answered(&desk, 1, CUSTODY_DONE));
    assert_int_equal(load_all(&desk), 0);
    assert_int_equal(status_of(&desk).done_through, 1);
    custody_destroy(&desk.custody);
}

static void a_replay_by_hand_harms_neither_done_nor_mark(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    worker_up(&desk, 1);
    commit(&desk, 5);
    assert_true(next(&desk, &batch));
    for (uint64_t s = 1; s <= 4; s++)
        assert_true(answered(&desk, s, CUSTODY_DONE));
    assert_int_equal(custody_replay(desk.custody, 2, 100), 4);
    assert_int_equal(custody_replay(desk.custody, 6, 100), 0); /* there is nothing of it */
    assert_int_equal(status_of(&desk).done_through, 4);
    assert_int_equal(status_of(&desk).replaying, 4);
    assert_int_equal(load_all(&desk), 3); /* the fifth is in memory */
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.count, 3);
    assert_true(answered(&desk, 2, CUSTODY_DONE));
    seen(&desk, 1, 3, ROUTINE);
    (void)answered(&desk, 3, CUSTODY_BUSY);
    assert_true(answered(&desk, 4, CUSTODY_DONE));
    assert_true(answered(&desk, 5, CUSTODY_DONE));
    assert_int_equal(status_of(&desk).done_through, 4); /* the fifth was asked for again */
    assert_int_equal(status_of(&desk).replaying, 2);
    history(&desk, "h2", true, 4); /* what was asked for outlives another history */
    assert_int_equal(status_of(&desk).done_through, 4);
    assert_int_equal(load_all(&desk), 2);
    assert_true(next(&desk, &batch));
    for (size_t i = 0; i < batch.count; i++)
        assert_true(custody_answered(desk.custody, 1, batch.items[i].sequence, 0, CUSTODY_DONE,
                                     "h2", false, desk.now_ms));
    assert_int_equal(load_all(&desk), 0);
    assert_int_equal(status_of(&desk).replaying, 0);
    assert_int_equal(status_of(&desk).done_through, 5);
    assert_true(custody_is_idle(desk.custody));
    custody_destroy(&desk.custody);
}

/* One event of channel on its way to route, applied as unclassified. */
static void apply_provisionally(struct desk *desk, uint64_t sequence, const char *channel)
{
    struct custody_batch batch;
    struct split split = make_split(1);
    split.events[0].channel = channel;
    struct custody_record record = { .sequence = sequence, .split = &split };
    custody_load(desk->custody, &record, desk->now_ms);
    pass(desk, 2100);
    assert_true(next(desk, &batch));
    assert_true(batch.is_to_route);
    (void)answered(desk, sequence, CUSTODY_PROVISIONAL);
}

static void a_channel_nobody_serves_is_not_applied_again_and_again(void **state)
{
    (void)state;
    static const char *const only_x[] = { "x" };
    static const char *const only_web[] = { "web" };
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    uint64_t first = 0;
    uint64_t last = 0;
    size_t most = 0;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_of_up(&desk, 1, 8, only_x);
    desk.newest = 2;
    custody_committed(desk.custody, 2);
    apply_provisionally(&desk, 1, "web");
    load(&desk, 2, 1, false, NULL, 0); /* of x: its worker shows life */
    assert_true(next(&desk, &batch));
    seen(&desk, 1, 2, ROUTINE);
    pass(&desk, 60000);
    assert_false(custody_next_load(desk.custody, desk.now_ms, &first, &last, &most));
    struct custody_status status = status_of(&desk);
    assert_int_equal(status.provisional, 1);
    assert_int_equal(status.channel_count, 2);
    assert_string_equal(status.channels[0].name, "web");
    assert_false(status.channels[0].is_served);
    assert_int_equal(status.channels[0].provisional_records, 1);
    assert_true(status.channels[1].is_served);
    worker_of_up(&desk, 2, 8, only_web);
    assert_true(custody_next_load(desk.custody, desk.now_ms, &first, &last, &most));
    assert_int_equal(first, 1);
    custody_destroy(&desk.custody);
}

static void settled_only_when_the_mark_stands_in_redis(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    uint64_t route = 0;
    uint64_t number = 0;
    uint64_t sequence = 0;
    const char *text = NULL;
    struct custody_status status = status_of(&desk);
    assert_true(custody_is_settled(&status)); /* nothing was ever taken */
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    commit(&desk, 1);
    assert_true(next(&desk, &batch));
    status = status_of(&desk);
    assert_false(custody_is_settled(&status));
    assert_true(answered(&desk, 1, CUSTODY_DONE));
    pass(&desk, 5000);
    status = status_of(&desk);
    assert_false(custody_is_settled(&status)); /* applied, but no mark says so */
    assert_true(custody_next_mark(desk.custody, desk.now_ms, &route, &number, &text, &sequence));
    assert_true(custody_marked(desk.custody, number, "h1", sequence, true));
    status = status_of(&desk);
    assert_false(custody_is_settled(&status)); /* Redis may still lose its last seconds */
    pass(&desk, 4000);
    status = status_of(&desk);
    assert_true(custody_is_settled(&status));
    pass(&desk, 4000);
    status = status_of(&desk);
    assert_false(custody_is_settled(&status)); /* nobody has asked Redis for too long */
    history(&desk, "h1", true, 1);
    status = status_of(&desk);
    assert_true(custody_is_settled(&status));
    history(&desk, "h1", false, 0); /* flushed */
    status = status_of(&desk);
    assert_false(custody_is_settled(&status));
    custody_destroy(&desk.custody);
}

static void another_history_replays_from_its_mark(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    worker_up(&desk, 1);
    commit(&desk, 10);
    while (next(&desk, &batch)) {
    }
    for (uint64_t s = 1; s <= 10; s++)
        (void)answered(&desk, s, CUSTODY_DONE);
    assert_int_equal(status_of(&desk).done_through, 10);
    history(&desk, "h2", true, 4);
    assert_int_equal(status_of(&desk).done_through, 4);
    assert_int_equal(load_all(&desk), 6);
    custody_destroy(&desk.custody);
}

static void a_done_under_another_history_leaves_its_event_undone(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    uint64_t route = 0;
    uint64_t number = 0;
    history(&desk, "h2", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    commit(&desk, 1);
    (void)custody_next_hello(desk.custody, desk.now_ms, &route, &number);
    assert_true(next(&desk, &batch));
    assert_false(answered(&desk, 1, CUSTODY_DONE)); /* says h1 */
    assert_int_equal(status_of(&desk).done_through, 0);
    assert_int_equal(status_of(&desk).deferred, 1);
    desk.now_ms += 100;
    assert_true(
        custody_next_hello(desk.custody, desk.now_ms, &route, &number)); /* at once, not in 2 s */
    custody_destroy(&desk.custody);
}

static void a_lower_or_missing_mark_replays_under_the_same_history(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    uint64_t route = 0;
    uint64_t number = 0;
    uint64_t sequence = 0;
    const char *text = NULL;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    commit(&desk, 5);
    while (next(&desk, &batch)) {
    }
    for (uint64_t s = 1; s <= 5; s++)
        (void)answered(&desk, s, CUSTODY_DONE);
    pass(&desk, 1000);
    assert_true(custody_next_mark(desk.custody, desk.now_ms, &route, &number, &text, &sequence));
    assert_int_equal(sequence, 5);
    assert_true(custody_marked(desk.custody, number, "h1", 5, true));
    history(&desk, "h1", false, 0); /* FLUSHALL keeps the history */
    assert_false(status_of(&desk).is_history_known);
    pass(&desk, 100);
    assert_true(custody_next_mark(desk.custody, desk.now_ms, &route, &number, &text, &sequence));
    assert_int_equal(sequence, 0);
    assert_true(custody_marked(desk.custody, number, "h1", 0, true));
    assert_int_equal(status_of(&desk).done_through, 0);
    assert_int_equal(load_all(&desk), 5);
    custody_destroy(&desk.custody);
}

static void found_at_start_waits_for_the_history_but_not_for_ever(void **state)
{
    (void)state;
    struct desk desk = desk_new(3);
    uint64_t first = 0;
    uint64_t last = 0;
    size_t most = 0;
    assert_false(custody_next_load(desk.custody, desk.now_ms, &first, &last, &most));
    pass(&desk, 2000);
    assert_true(custody_next_load(desk.custody, desk.now_ms, &first, &last, &most));
    assert_int_equal(first, 1);
    assert_int_equal(last, 3);
    struct custody_note kept = { .verdict = (const uint8_t *)"v", .verdict_length = 1 };
    load(&desk, 1, 1, true, &kept, 1); /* was applied once: the history will tell */
    load(&desk, 2, 1, true, NULL, 0);  /* never was: may be urgent */
    assert_int_equal(status_of(&desk).held_events, 1);
    history(&desk, "h1", true, 0);
    assert_int_equal(status_of(&desk).deferred, 2); /* all that is not in hand */
    custody_destroy(&desk.custody);
}

static void kept_verdicts_travel_with_the_event(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    struct custody_note kept = { .verdict = (const uint8_t *)"verdict", .verdict_length = 7 };
    worker_up(&desk, 1);
    load(&desk, 1, 1, true, &kept, 1);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.items[0].verdict_length, 7);
    assert_memory_equal(batch.items[0].verdict, "verdict", 7);
    custody_destroy(&desk.custody);
}

/* A later version may split the same record otherwise, and a damaged one becomes another event. */
static void a_verdict_stays_with_its_event_not_with_its_place(void **state)
{
    (void)state;
    struct desk desk = desk_new(1);
    struct custody_batch batch;
    struct id id = { { 0 } };
    struct custody_note note = { .event_id = { { 7 } },
                                 .verdict = (const uint8_t *)"v",
                                 .verdict_length = 1 };
    worker_up(&desk, 1);
    pass(&desk, 2000);
    load(&desk, 1, 1, true, &note, 1); /* the verdict is of an event that is not there any more */
    assert_true(custody_event_id(desk.custody, 1, 0, &id));
    assert_int_equal(id.bytes[0], 0);
    assert_false(custody_event_id(desk.custody, 1, 1, &id));
    assert_true(next(&desk, &batch));
    assert_null(batch.items[0].verdict);
    custody_destroy(&desk.custody);
}

static void what_was_not_sent_waits_again_and_another_peer_gets_it(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_up(&desk, 1);
    commit(&desk, 2);
    assert_true(next(&desk, &batch));
    custody_not_sent(desk.custody, &batch, desk.now_ms);
    assert_false(next(&desk, &batch)); /* it is slow: not at once */
    worker_up(&desk, 2);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.peer, 2);
    assert_int_equal(batch.items[0].sequence, 1); /* in order */
    assert_int_equal(batch.count, 2);
    custody_destroy(&desk.custody);
}

static void records_without_events_and_gaps_count_as_done(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    custody_committed(desk.custody, 5);
    load(&desk, 1, 0, false, NULL, 0);
    custody_absent(desk.custody, 2, 5);
    assert_int_equal(status_of(&desk).done_through, 5);
    assert_true(custody_is_idle(desk.custody));
    custody_destroy(&desk.custody);
}

static void serves_only_workers_of_the_channel(void **state)
{
    (void)state;
    static const char *const facebook[] = { "facebook" };
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_of_up(&desk, 1, 64, facebook);
    commit(&desk, 1);
    assert_false(next(&desk, &batch));
    worker_up(&desk, 2);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.peer, 2);
    custody_destroy(&desk.custody);
}

static void drained_without_peers_at_once_with_them_when_answered(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    commit(&desk, 1);
    assert_false(custody_is_idle(desk.custody));
    custody_drain(desk.custody);
    assert_true(custody_is_idle(desk.custody));
    worker_up(&desk, 1);
    assert_true(next(&desk, &batch));
    assert_false(custody_is_idle(desk.custody));
    assert_true(answered(&desk, 1, CUSTODY_DONE));
    assert_true(custody_is_idle(desk.custody));
    custody_destroy(&desk.custody);
}

/* Passes time in the dispatcher's ticks and returns whether anything went to route meanwhile. */
static bool goes_to_route_within(struct desk *desk, int64_t ms)
{
    struct custody_batch batch;
    bool is_bypassed = false;
    for (int64_t passed = 0; passed < ms; passed += 25) {
        pass(desk, 25);
        while (next(desk, &batch))
            is_bypassed |= batch.is_to_route;
    }
    return is_bypassed;
}

static void what_triage_saw_goes_back_to_triage_not_to_route_unclassified(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    worker_up(&desk, 1);
    commit(&desk, 1);
    assert_true(next(&desk, &batch));
    seen(&desk, 1, 1, ROUTINE);
    assert_false(goes_to_route_within(&desk, 11000)); /* its DONE is lost: sent again after 10 s */
    assert_int_equal(status_of(&desk).retries, 1);
    seen(&desk, 1, 1, ROUTINE);
    pass(&desk, 3000);
    custody_worker_down(desk.custody, 1, false, desk.now_ms);
    worker_up(&desk, 2);
    assert_false(goes_to_route_within(&desk, 1000));
    seen(&desk, 2, 1, ROUTINE);
    pass(&desk, 3000);
    history(&desk, "h2", true, 0); /* all of it again */
    assert_false(goes_to_route_within(&desk, 1000));
    assert_true(goes_to_route_within(&desk, 2000)); /* but no longer than any other */
    custody_destroy(&desk.custody);
}

static void without_a_route_nothing_leaves_the_line_to_triage(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_of_up(&desk, 1, 1, NULL);
    commit(&desk, 2);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.count, 1);
    pass(&desk, 2500); /* it was stopped for a while */
    seen(&desk, 1, 1, ROUTINE);
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    assert_int_equal(batch.items[0].sequence, 2);
    custody_destroy(&desk.custody);
}

static void what_a_lost_route_held_goes_to_triage(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    custody_route_up(desk.custody, 7, 256);
    worker_of_up(&desk, 1, 1, NULL);
    commit(&desk, 2);
    assert_true(next(&desk, &batch));
    pass(&desk, 2500);
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    custody_route_down(desk.custody, 7, desk.now_ms);
    seen(&desk, 1, 1, ROUTINE);
    pass(&desk, 25);
    assert_true(next(&desk, &batch));
    assert_false(batch.is_to_route);
    assert_int_equal(batch.items[0].sequence, 2);
    custody_destroy(&desk.custody);
}

static void an_urgent_one_nobody_alerted_is_not_put_behind_the_rest(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    worker_up(&desk, 1);
    commit(&desk, 41);
    while (next(&desk, &batch)) {
    }
    for (uint64_t s = 1; s <= 41; s++) {
        seen(&desk, 1, s, s == 41 ? URGENT : ROUTINE);
        (void)answered(&desk, s, CUSTODY_BUSY); /* Redis is silent and notify away */
    }
    bool is_offered = false;
    for (int64_t passed = 0; passed < 1000 && !is_offered; passed += 25) {
        pass(&desk, 25);
        is_offered = next(&desk, &batch) && batch.items[0].sequence == 41;
    }
    assert_true(is_offered); /* without waiting for a probe, which takes the oldest first */
    (void)custody_answered(desk.custody, 1, 41, 0, CUSTODY_BUSY, "", true, desk.now_ms);
    assert_int_equal(status_of(&desk).held_events, 0); /* alerted: it can wait with the others */
    assert_int_equal(status_of(&desk).deferred, 41);
    custody_destroy(&desk.custody);
}

/* Each answer of a storm puts the next try off; its end must not put it off further. */
static void an_urgent_one_nobody_alerted_does_not_wait_longer_once_route_is_back(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    worker_up(&desk, 1);
    commit(&desk, 1);
    for (int busy = 0; busy < 10; busy++) {
        for (int64_t passed = 0; passed < 6000 && !next(&desk, &batch); passed += 25)
            pass(&desk, 25);
        seen(&desk, 1, 1, URGENT);
        (void)answered(&desk, 1, CUSTODY_BUSY);
    }
    commit(&desk, 1);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.items[0].sequence, 2);
    seen(&desk, 1, 2, ROUTINE);
    assert_true(answered(&desk, 2, CUSTODY_DONE));
    pass(&desk, 5000);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.items[0].sequence, 1);
    custody_destroy(&desk.custody);
}

/* That a connection ended was told at once: it is no sign that the next try needs more patience. */
static void connections_that_end_do_not_make_the_next_try_later(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    commit(&desk, 1);
    for (uint64_t worker = 1; worker <= 8; worker++) {
        worker_up(&desk, worker);
        pass(&desk, 25);
        assert_true(next(&desk, &batch));
        seen(&desk, worker, 1, ROUTINE);
        if (worker < 8)
            custody_worker_down(desk.custody, worker, false, desk.now_ms);
    }
    pass(&desk, 9000);
    assert_false(next(&desk, &batch));
    pass(&desk, 1000);
    assert_true(next(&desk, &batch));
    custody_destroy(&desk.custody);
}

static void offer_one_found_at_start(struct desk *desk, bool is_old)
{
    struct custody_batch batch;
    struct split split = make_split(1);
    const struct custody_record record = {
        .sequence = 1, .is_replayed = true, .is_old = is_old, .split = &split
    };
    worker_up(desk, 1);
    pass(desk, 2000);
    custody_load(desk->custody, &record, desk->now_ms);
    assert_true(next(desk, &batch));
    seen(desk, 1, 1, URGENT);
    (void)answered(desk, 1, CUSTODY_BUSY);
}

/* Received just before a restart, and notify is not up yet: still urgent. Hours old: nobody alerts
 * of it before Redis is back. */
static void a_restart_does_not_make_an_unalerted_one_wait(void **state)
{
    (void)state;
    struct desk desk = desk_new(1);
    struct custody_batch batch;
    offer_one_found_at_start(&desk, false);
    pass(&desk, 1000);
    assert_true(next(&desk, &batch));
    custody_destroy(&desk.custody);
    desk = desk_new(1);
    offer_one_found_at_start(&desk, true);
    pass(&desk, 1000);
    assert_false(next(&desk, &batch));
    assert_int_equal(status_of(&desk).deferred, 1);
    custody_destroy(&desk.custody);
}

static void an_unclassified_one_nobody_alerted_is_tried_again(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    history(&desk, "h1", true, 0);
    custody_route_up(desk.custody, 7, 256);
    commit(&desk, 1);
    pass(&desk, 2100);
    assert_true(next(&desk, &batch));
    assert_true(batch.is_to_route);
    (void)custody_answered(desk.custody, 7, 1, 0, CUSTODY_BUSY, "", false, desk.now_ms);
    assert_true(goes_to_route_within(&desk, 3000));
    (void)custody_answered(desk.custody, 7, 1, 0, CUSTODY_BUSY, "", true, desk.now_ms);
    assert_int_equal(status_of(&desk).deferred, 1);
    custody_destroy(&desk.custody);
}

static void who_drains_gets_nothing_more(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    struct custody_batch batch;
    worker_up(&desk, 1);
    custody_drains(desk.custody, 1);
    commit(&desk, 1);
    assert_false(next(&desk, &batch));
    worker_up(&desk, 2);
    assert_true(next(&desk, &batch));
    assert_int_equal(batch.peer, 2);
    custody_destroy(&desk.custody);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct desk desk = desk_new(0);
    desk.newest = 100000;
    custody_committed(desk.custody, desk.newest);
    (void)load_all(&desk);
    assert_in_range(status_of(&desk).held_events, 4096, 4096 + 64);
    custody_destroy(&desk.custody);
}

static void memory_is_bounded_in_bytes_too(void **state)
{
    (void)state;
    struct custody_limits limits = custody_default_limits();
    limits.held_bytes_max = 50; /* an event of make_split has 5 */
    struct desk desk = { .now_ms = 1000000 };
    desk.custody = custody_new(&limits, 0, 0, desk.now_ms);
    uint64_t first = 0;
    uint64_t last = 0;
    size_t most = 0;
    custody_committed(desk.custody, 100);
    for (uint64_t s = 1; custody_next_load(desk.custody, desk.now_ms, &first, &last, &most); s++)
        load(&desk, s, 1, false, NULL, 0);
    assert_int_equal(status_of(&desk).held_events, 10);
    custody_destroy(&desk.custody);
}

/* A Redis without a mark of ours whose answers take latency_ms. */
struct slow_redis {
    int64_t latency_ms;
    bool has_mark;
    int64_t hello_due_ms; /* 0: nothing asked */
    uint64_t hello_number;
    bool hello_has_mark;
    int64_t mark_due_ms;
    uint64_t mark_number;
};

static void ask_slowly(struct desk *desk, struct slow_redis *redis)
{
    uint64_t route = 0;
    uint64_t number = 0;
    uint64_t sequence = 0;
    const char *history = NULL;
    if (custody_next_hello(desk->custody, desk->now_ms, &route, &number)) {
        redis->hello_due_ms = desk->now_ms + redis->latency_ms;
        redis->hello_number = number;
        redis->hello_has_mark = redis->has_mark;
    }
    if (custody_next_mark(desk->custody, desk->now_ms, &route, &number, &history, &sequence)) {
        redis->mark_due_ms = desk->now_ms + redis->latency_ms;
        redis->mark_number = number;
        redis->has_mark = true;
    }
}

static void answer_slowly(struct desk *desk, struct slow_redis *redis)
{
    if (redis->hello_due_ms != 0 && desk->now_ms >= redis->hello_due_ms) {
        redis->hello_due_ms = 0;
        (void)custody_history(desk->custody, redis->hello_number, "h1", redis->hello_has_mark, 0);
    }
    if (redis->mark_due_ms != 0 && desk->now_ms >= redis->mark_due_ms) {
        redis->mark_due_ms = 0;
        (void)custody_marked(desk->custody, redis->mark_number, "h1", 0, true);
    }
}

static void a_redis_slow_to_answer_is_waited_for(void **state)
{
    static const int64_t latencies_ms[] = { 10, 90, 110, 150, 400, 900, 1900 };
    (void)state;
    for (size_t i = 0; i < sizeof latencies_ms / sizeof latencies_ms[0]; i++) {
        struct desk desk = desk_new(0);
        struct slow_redis redis = { .latency_ms = latencies_ms[i] };
        int64_t until_ms = desk.now_ms + 20000;
        custody_route_up(desk.custody, 7, 256);
        while (!custody_has_history(desk.custody) && desk.now_ms < until_ms) {
            answer_slowly(&desk, &redis);
            custody_tick(desk.custody, desk.now_ms);
            ask_slowly(&desk, &redis);
            desk.now_ms += 5;
        }
        if (!custody_has_history(desk.custody))
            fail_msg("no history of a Redis that answers after %lld ms",
                     (long long)latencies_ms[i]);
        custody_destroy(&desk.custody);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redis_slow_to_answer_is_waited_for),
        cmocka_unit_test(hands_out_and_counts_done_only_in_one_unbroken_run),
        cmocka_unit_test(never_exceeds_the_credit_before_seen),
        cmocka_unit_test(busy_defers_probes_once_a_second_and_recovers),
        cmocka_unit_test(unclassified_after_two_seconds_and_offered_again_later),
        cmocka_unit_test(replayed_ones_wait_a_minute_for_triage),
        cmocka_unit_test(urgent_without_done_goes_another_way_after_250_ms),
        cmocka_unit_test(unseen_goes_to_another_worker_never_the_same),
        cmocka_unit_test(hedges_stay_within_their_budget),
        cmocka_unit_test(two_deaths_alone_quarantine_and_others_flow),
        cmocka_unit_test(connections_that_break_are_no_deaths),
        cmocka_unit_test(connections_that_break_one_after_the_other_are_no_deaths),
        cmocka_unit_test(other_processes_do_not_clear_it),
        cmocka_unit_test(one_that_never_comes_back_has_died_and_one_that_does_has_not),
        cmocka_unit_test(without_any_worker_nobody_is_taken_for_dead),
        cmocka_unit_test(while_ingest_is_stopped_nobody_is_taken_for_dead),
        cmocka_unit_test(a_worker_that_looks_at_it_and_lives_clears_it),
        cmocka_unit_test(what_is_held_back_goes_to_route_in_time_and_is_held_back_still),
        cmocka_unit_test(a_retry_clears_what_is_held_back),
        cmocka_unit_test(charges_are_bounded),
        cmocka_unit_test(a_suspect_no_worker_serves_does_not_hold_up_the_next),
        cmocka_unit_test(a_drained_worker_casts_no_suspicion),
        cmocka_unit_test(refused_twice_is_quarantined),
        cmocka_unit_test(a_refusal_told_again_counts_once),
        cmocka_unit_test(deaths_noted_before_a_restart_count),
        cmocka_unit_test(what_ended_ingest_goes_to_quarantine_unless_a_person_wants_it),
        cmocka_unit_test(a_retry_forgives_what_was_noted),
        cmocka_unit_test(a_retry_forgives_what_is_in_memory_too),
        cmocka_unit_test(a_retry_of_what_is_on_its_way_to_quarantine_comes_after_it),
        cmocka_unit_test(a_replay_by_hand_harms_neither_done_nor_mark),
        cmocka_unit_test(a_channel_nobody_serves_is_not_applied_again_and_again),
        cmocka_unit_test(settled_only_when_the_mark_stands_in_redis),
        cmocka_unit_test(another_history_replays_from_its_mark),
        cmocka_unit_test(a_done_under_another_history_leaves_its_event_undone),
        cmocka_unit_test(a_lower_or_missing_mark_replays_under_the_same_history),
        cmocka_unit_test(found_at_start_waits_for_the_history_but_not_for_ever),
        cmocka_unit_test(kept_verdicts_travel_with_the_event),
        cmocka_unit_test(a_verdict_stays_with_its_event_not_with_its_place),
        cmocka_unit_test(what_was_not_sent_waits_again_and_another_peer_gets_it),
        cmocka_unit_test(records_without_events_and_gaps_count_as_done),
        cmocka_unit_test(serves_only_workers_of_the_channel),
        cmocka_unit_test(drained_without_peers_at_once_with_them_when_answered),
        cmocka_unit_test(what_triage_saw_goes_back_to_triage_not_to_route_unclassified),
        cmocka_unit_test(without_a_route_nothing_leaves_the_line_to_triage),
        cmocka_unit_test(what_a_lost_route_held_goes_to_triage),
        cmocka_unit_test(an_urgent_one_nobody_alerted_is_not_put_behind_the_rest),
        cmocka_unit_test(an_urgent_one_nobody_alerted_does_not_wait_longer_once_route_is_back),
        cmocka_unit_test(connections_that_end_do_not_make_the_next_try_later),
        cmocka_unit_test(a_restart_does_not_make_an_unalerted_one_wait),
        cmocka_unit_test(an_unclassified_one_nobody_alerted_is_tried_again),
        cmocka_unit_test(who_drains_gets_nothing_more),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(memory_is_bounded_in_bytes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
