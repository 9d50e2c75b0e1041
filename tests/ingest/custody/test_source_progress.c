/* source_progress - the rules of fence, mark, beat and release, each as one story with invented
 * clock, journal and Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ingest/arena.h"
#include "ingest/source_progress.h"
#include "link/link.h"

enum { WORKER = 2, ROUTE = 3, INCARNATION = 7000, CREDIT = 64 };

struct fixture {
    struct custody *custody;
    struct source_progress progress;
    int64_t now_ms;
    uint64_t newest;
    uint64_t released;
    size_t notes;
    size_t splits;
    size_t events_each; /* in a record */
    uint64_t gap_first, gap_last;
    char history[41];
};

/* --- the journal --- */

static uint64_t incarnation_of(void *arg, uint64_t sequence)
{
    (void)arg;
    (void)sequence;
    return INCARNATION;
}

static bool find_incarnation(void *arg, uint64_t incarnation, uint64_t *first, uint64_t *last)
{
    const struct fixture *f = arg;
    *first = 1;
    *last = f->newest;
    return incarnation == INCARNATION;
}

static void note(void *arg, uint64_t sequence, uint32_t index, uint16_t kind, const void *bytes,
                 size_t length)
{
    struct fixture *f = arg;
    (void)sequence;
    (void)index;
    (void)kind;
    (void)bytes;
    (void)length;
    f->notes++;
}

static void release(void *arg, uint64_t sequence)
{
    ((struct fixture *)arg)->released = sequence;
}

static void split(void *arg, const struct journal_record *record, bool is_replayed,
                  struct split *out)
{
    struct fixture *f = arg;
    (void)is_replayed;
    struct arena *memory = arena_new();
    *out = (struct split){ .events = arena_take(memory, f->events_each * sizeof *out->events),
                           .count = f->events_each,
                           .memory = memory };
    for (size_t i = 0; i < out->count; i++)
        out->events[i] = (struct split_event){ .id = { { (uint8_t)record->sequence, (uint8_t)i } },
                                               .channel = "x",
                                               .account = "a",
                                               .bytes = (const uint8_t *)"e",
                                               .length = 1 };
    f->splits++;
}

static const struct id source = { { 1, 2, 3 } };

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){ .now_ms = 1000000, .events_each = 1 };
    struct fixture *f = &fixture;
    struct custody_limits limits = custody_default_limits();
    f->custody = custody_new(&limits, 0, 0, f->now_ms);
    const struct source_journal hands = { .incarnation_of = incarnation_of,
                                          .find_incarnation = find_incarnation,
                                          .note = note,
                                          .retain = release, /* sets it back */
                                          .release = release,
                                          .split = split,
                                          .arg = f };
    source_progress_init(&f->progress, f->custody, &hands, &source, INCARNATION,
                         &(struct source_found){ 0 });
    const struct custody_worker who = { .instance = { { WORKER } }, .credit = CREDIT };
    custody_worker_up(f->custody, WORKER, &who, f->now_ms);
    custody_route_up(f->custody, ROUTE, CREDIT);
    memset(f->history, 'a', sizeof f->history - 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    custody_destroy(&f->custody);
    return 0;
}

/* --- Redis and the stages --- */

static bool next_hello(struct fixture *f, Desg__V1__Hello *hello)
{
    uint64_t route = 0;
    return source_progress_next_hello(&f->progress, f->now_ms, &route, hello);
}

static bool next_mark(struct fixture *f, Desg__V1__Mark *mark)
{
    uint64_t route = 0;
    return source_progress_next_mark(&f->progress, f->now_ms, &route, mark);
}

static void hear_history(struct fixture *f, const struct source_stored_mark *mark, uint64_t beat)
{
    Desg__V1__Hello hello;
    while (!next_hello(f, &hello))
        f->now_ms += 100;
    Desg__V1__History answer = DESG__V1__HISTORY__INIT;
    answer.source = hello.source;
    answer.history = f->history;
    answer.number = hello.number;
    if (mark) {
        answer.mark_incarnation = INCARNATION;
        answer.mark_sequence = mark->sequence;
        answer.mark_beat = beat;
    }
    (void)source_progress_history(&f->progress, &answer, f->now_ms);
}

static struct source_rewind hear_marked(struct fixture *f, const Desg__V1__Mark *mark,
                                        bool is_stored)
{
    Desg__V1__Marked answer = DESG__V1__MARKED__INIT;
    answer.source = mark->source;
    answer.history = f->history;
    answer.incarnation = mark->incarnation;
    answer.sequence = mark->sequence;
    answer.number = mark->number;
    answer.is_stored = is_stored;
    return source_progress_marked(&f->progress, &answer, f->now_ms);
}

/* Redis is empty; the first mark is stored. */
static void begin(struct fixture *f)
{
    Desg__V1__Mark mark;
    hear_history(f, NULL, 0);
    assert_true(next_mark(f, &mark));
    assert_true(hear_marked(f, &mark, true).is_rewound);
}

static void commit_and_load(struct fixture *f, uint64_t count)
{
    struct journal_page page = { .count = 0 };
    uint64_t first = f->newest + 1;
    for (uint64_t i = 0; i < count; i++)
        page.records[page.count++] =
            (struct journal_record){ .sequence = ++f->newest, .stored_at_ms = 5 };
    custody_committed(f->custody, f->newest);
    source_progress_load(&f->progress, &page, first, f->newest, f->now_ms, 5, NULL, NULL);
    struct custody_batch batch;
    while (custody_next_batch(f->custody, f->now_ms, &batch))
        ;
}

static bool hear_done(struct fixture *f, uint64_t sequence, uint64_t fence)
{
    Desg__V1__Position position = DESG__V1__POSITION__INIT;
    position.sequence = sequence;
    Desg__V1__DoneItem item = DESG__V1__DONE_ITEM__INIT;
    item.position = &position;
    item.outcome = DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW;
    item.verdict = (ProtobufCBinaryData){ 2, (uint8_t *)"vv" };
    Desg__V1__DoneItem *items[] = { &item };
    Desg__V1__Done done = DESG__V1__DONE__INIT;
    done.source = (ProtobufCBinaryData){ ID_BYTES, f->progress.source.bytes };
    done.incarnation = fence;
    done.history = f->history;
    done.n_items = 1;
    done.items = items;
    Desg__V1__Packet packet = link_packet_done(&done);
    assert_true(source_progress_answers(&f->progress, WORKER, &packet, f->now_ms));
    struct custody_status status;
    custody_status(f->custody, f->now_ms, &status);
    return status.done_through >= sequence;
}

static Desg__V1__Mark store_mark(struct fixture *f)
{
    Desg__V1__Mark mark;
    f->now_ms += 1000;
    assert_true(next_mark(f, &mark));
    (void)hear_marked(f, &mark, true);
    return mark;
}

/* --- the rules --- */

static void answers_of_another_fence_or_source_count_for_nothing(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 3);
    uint64_t fence = source_progress_fence(&f->progress);
    assert_false(hear_done(f, 1, fence - 1));
    assert_int_equal(f->progress.counts.foreign, 1);
    assert_int_equal(f->notes, 0);
    assert_true(hear_done(f, 1, fence));
    assert_int_equal(f->notes, 1); /* the verdict that stands */
    f->progress.source.bytes[0] ^= 1;
    hear_done(f, 2, fence);
    f->progress.source.bytes[0] ^= 1;
    assert_true(hear_done(f, 2, fence));
}

static void the_fence_rises_with_each_replay(void **state)
{
    struct fixture *f = *state;
    uint64_t before = source_progress_fence(&f->progress);
    begin(f);
    assert_int_equal(source_progress_fence(&f->progress), before + 1);
}

static void a_mark_quotes_the_last_one_stored_and_has_a_beat_of_its_own(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 2);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    Desg__V1__Mark first = store_mark(f);
    assert_int_equal(first.sequence, 1);
    assert_true(hear_done(f, 2, source_progress_fence(&f->progress)));
    Desg__V1__Mark second = store_mark(f);
    assert_int_equal(second.previous_sequence, 1);
    assert_int_equal(second.previous_incarnation, first.incarnation);
    assert_int_equal(second.previous_beat, first.beat);
    assert_int_not_equal(second.beat, first.beat);
}

static void an_unmoved_mark_is_stored_anew_every_few_seconds(void **state)
{
    struct fixture *f = *state;
    Desg__V1__Mark mark;
    begin(f);
    f->now_ms += 4900;
    assert_false(next_mark(f, &mark));
    f->now_ms += 200;
    assert_true(next_mark(f, &mark));
    assert_int_equal(mark.sequence, 0);
}

/* An image of Redis's machine: same history, same sequence, an older beat. */
static void an_older_beat_replays_though_history_and_sequence_are_the_same(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 1);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    Desg__V1__Mark old = store_mark(f);
    f->now_ms += 5000;
    Desg__V1__Mark newer = store_mark(f);
    assert_int_equal(newer.sequence, old.sequence);
    uint64_t fence = source_progress_fence(&f->progress);
    f->now_ms += 2000;
    hear_history(f, &(struct source_stored_mark){ .sequence = 1 }, newer.beat);
    assert_true(custody_has_history(f->custody)); /* as it should be */
    f->now_ms += 2000;
    hear_history(f, &(struct source_stored_mark){ .sequence = 1 }, old.beat);
    assert_false(custody_has_history(f->custody));
    Desg__V1__Mark first;
    assert_true(next_mark(f, &first));
    assert_int_equal(first.previous_beat, old.beat);
    assert_true(hear_marked(f, &first, true).is_rewound);
    assert_int_equal(source_progress_fence(&f->progress), fence + 1);
}

/* The mark was stored, its answer got lost. */
static void a_beat_of_a_mark_not_answered_is_ours_too(void **state)
{
    struct fixture *f = *state;
    Desg__V1__Mark mark;
    begin(f);
    f->now_ms += 5000;
    assert_true(next_mark(f, &mark));
    f->now_ms += 2000;
    hear_history(f, &(struct source_stored_mark){ .sequence = 0 }, mark.beat);
    assert_true(custody_has_history(f->custody));
}

static void what_was_applied_long_after_the_last_beat_is_applied_again(void **state)
{
    struct fixture *f = *state;
    Desg__V1__Mark mark;
    begin(f);
    commit_and_load(f, 1);
    f->now_ms += SOURCE_BEAT_TRUSTED_MS + 1; /* no route could be asked meanwhile */
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    assert_false(next_mark(f, &mark));
    hear_history(f, &(struct source_stored_mark){ .sequence = 0 }, f->progress.known_mark_beat);
    assert_true(next_mark(f, &mark));
    assert_int_equal(mark.sequence, 0); /* not 1 */
    assert_true(hear_marked(f, &mark, true).is_rewound);
}

static void a_mark_frees_records_only_a_minute_later_under_the_same_history(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 2);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    Desg__V1__Mark first = store_mark(f);
    assert_int_equal(f->released, 0);
    int64_t stored_at_ms = f->now_ms;
    while (f->now_ms - stored_at_ms < SOURCE_RELEASE_AFTER_MS - 5000) {
        f->now_ms += 4000;
        (void)store_mark(f);
    }
    assert_int_equal(f->released, 0);
    f->now_ms = stored_at_ms + SOURCE_RELEASE_AFTER_MS;
    (void)store_mark(f);
    assert_int_equal(f->released, first.sequence);
}

static void a_replay_takes_back_what_was_to_be_freed(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 1);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    (void)store_mark(f);
    f->now_ms += SOURCE_RELEASE_AFTER_MS;
    f->history[0] = 'b'; /* a failover to a replica that lagged */
    hear_history(f, &(struct source_stored_mark){ .sequence = 0 }, 1);
    Desg__V1__Mark mark;
    assert_true(next_mark(f, &mark));
    assert_true(hear_marked(f, &mark, true).is_rewound);
    assert_int_equal(f->released, 0);
}

/* A failover: Redis tells of another history and of the mark it has; the first mark goes out. */
static Desg__V1__Mark fail_over(struct fixture *f, char history, uint64_t sequence, uint64_t beat)
{
    Desg__V1__Mark first;
    f->history[0] = history;
    f->now_ms += 2000;
    if (beat > 0)
        hear_history(f, &(struct source_stored_mark){ .sequence = sequence }, beat);
    else
        hear_history(f, NULL, 0);
    assert_true(next_mark(f, &first));
    assert_true(hear_marked(f, &first, true).is_rewound);
    return first;
}

static void load_again(struct fixture *f, uint64_t first, uint64_t last)
{
    struct journal_page page = { .count = 0 };
    for (uint64_t sequence = first; sequence <= last; sequence++)
        page.records[page.count++] =
            (struct journal_record){ .sequence = sequence, .stored_at_ms = 5 };
    source_progress_load(&f->progress, &page, first, last, f->now_ms, 5, NULL, NULL);
    struct custody_batch batch;
    while (custody_next_batch(f->custody, f->now_ms, &batch))
        ;
}

static uint64_t first_to_be_loaded(struct fixture *f)
{
    uint64_t first = 0, last = 0;
    size_t most = 0;
    return custody_next_load(f->custody, f->now_ms, &first, &last, &most) ? first : 0;
}

/* Two masters for a moment: what was applied, and perhaps judged anew, at the one that goes is not
 * at the one that stays, whatever mark that has. */
static void what_was_applied_at_a_master_given_up_is_applied_again_at_the_one_before(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 2);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    assert_true(hear_done(f, 2, source_progress_fence(&f->progress)));
    Desg__V1__Mark ours = store_mark(f);
    assert_int_equal(fail_over(f, 'b', 0, 0).sequence, 0); /* it lost its file */
    load_again(f, 1, 2);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    (void)store_mark(f);
    Desg__V1__Mark first = fail_over(f, 'a', 2, ours.beat);
    assert_int_equal(first.previous_sequence, 2);
    assert_int_equal(first.sequence, 0);
    assert_int_equal(first_to_be_loaded(f), 1);
    /* Until that has stood for a minute, it holds for whoever has not got it. */
    assert_int_equal(fail_over(f, 'c', 2, ours.beat).sequence, 0);
}

/* Rules may have changed since; so it is when the record is read from the journal. */
static void a_verdict_noted_goes_with_what_is_offered_again_from_memory(void **state)
{
    struct fixture *f = *state;
    struct custody_batch batch;
    begin(f);
    f->events_each = 2;
    commit_and_load(f, 1);
    assert_false(hear_done(f, 1, source_progress_fence(&f->progress))); /* the other is not */
    assert_int_equal(f->notes, 1);
    (void)fail_over(f, 'a', 0, 0); /* FLUSHALL */
    assert_true(custody_next_batch(f->custody, f->now_ms, &batch));
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.items[0].index, 0);
    assert_int_equal(batch.items[0].verdict_length, 2);
    assert_memory_equal(batch.items[0].verdict, "vv", 2);
    assert_null(batch.items[1].verdict);
}

/* A note goes with the next group, which may be seconds away. */
static void a_verdict_noted_goes_with_a_record_read_again_before_the_journal_has_it(void **state)
{
    struct fixture *f = *state;
    struct custody_batch batch;
    uint64_t first = 0, last = 0;
    size_t most = 0;
    begin(f);
    commit_and_load(f, 2);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    assert_true(hear_done(f, 2, source_progress_fence(&f->progress)));
    (void)fail_over(f, 'a', 0, 0); /* FLUSHALL */
    assert_true(custody_next_load(f->custody, f->now_ms, &first, &last, &most));
    struct journal_page page = { .count = 1, .records = { { .sequence = 1, .stored_at_ms = 5 } } };
    source_progress_load(&f->progress, &page, 1, 1, f->now_ms, 5, NULL, NULL);
    assert_true(custody_next_batch(f->custody, f->now_ms, &batch));
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.items[0].sequence, 1);
    assert_int_equal(batch.items[0].verdict_length, 2);
    assert_memory_equal(batch.items[0].verdict, "vv", 2);
}

/* The usual failover: the replica has what its master had when the mark was stored. */
static void a_mark_of_the_history_given_up_is_where_the_replay_begins(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 3);
    for (uint64_t sequence = 1; sequence <= 3; sequence++)
        assert_true(hear_done(f, sequence, source_progress_fence(&f->progress)));
    Desg__V1__Mark mark = store_mark(f);
    assert_int_equal(fail_over(f, 'b', 3, mark.beat).sequence, 3);
    commit_and_load(f, 1);
    assert_true(hear_done(f, 4, source_progress_fence(&f->progress)));
    mark = store_mark(f);
    assert_int_equal(mark.sequence, 4);
    assert_int_equal(fail_over(f, 'c', 4, mark.beat).sequence, 4);
}

static void what_stood_for_a_minute_is_not_applied_again(void **state)
{
    struct fixture *f = *state;
    begin(f);
    commit_and_load(f, 3);
    assert_true(hear_done(f, 1, source_progress_fence(&f->progress)));
    (void)store_mark(f);
    int64_t stored_at_ms = f->now_ms;
    while (f->now_ms - stored_at_ms < SOURCE_RELEASE_AFTER_MS) {
        f->now_ms += 4000;
        (void)store_mark(f);
    }
    assert_int_equal(f->released, 1);
    assert_true(hear_done(f, 2, source_progress_fence(&f->progress)));
    Desg__V1__Mark mark = store_mark(f);
    assert_int_equal(fail_over(f, 'b', 2, mark.beat).sequence, 2);
    assert_true(hear_done(f, 3, source_progress_fence(&f->progress)));
    (void)store_mark(f);
    assert_int_equal(fail_over(f, 'a', 2, mark.beat).sequence, 1);
}

/* It cannot know whether its last history is the one it finds. */
static void a_start_replays_what_had_not_stood_for_a_minute(void **state)
{
    struct fixture *f = *state;
    const struct source_journal hands = f->progress.journal;
    source_progress_init(&f->progress, f->custody, &hands, &source, INCARNATION,
                         &(struct source_found){ .newest = 0, .released = 4 });
    commit_and_load(f, 9);
    assert_int_equal(fail_over(f, 'a', 7, 1).sequence, 4);
}

/* Redis fails over between the History and the first mark under it. */
static void a_refused_first_mark_does_not_make_hello_deaf(void **state)
{
    struct fixture *f = *state;
    Desg__V1__Mark mark;
    hear_history(f, NULL, 0);
    assert_true(next_mark(f, &mark));
    f->history[0] = 'b';
    (void)hear_marked(f, &mark, false);
    f->now_ms += 100; /* both would be due in one tick */
    Desg__V1__Hello hello;
    assert_true(next_hello(f, &hello));
    assert_false(next_mark(f, &mark));
    Desg__V1__History answer = DESG__V1__HISTORY__INIT;
    answer.source = hello.source;
    answer.history = f->history;
    answer.number = hello.number;
    (void)source_progress_history(&f->progress, &answer, f->now_ms);
    assert_true(next_mark(f, &mark));
    assert_string_equal(mark.history, f->history);
    assert_true(hear_marked(f, &mark, true).is_rewound);
}

/* Offered again at once it would go round as fast as packets do. */
static void what_was_applied_elsewhere_waits_for_the_answer_to_hello(void **state)
{
    struct fixture *f = *state;
    uint64_t first = 0, last = 0;
    size_t most = 0;
    begin(f);
    commit_and_load(f, 1);
    char ours = f->history[0];
    f->history[0] = 'c';
    assert_false(hear_done(f, 1, source_progress_fence(&f->progress)));
    assert_false(custody_next_load(f->custody, f->now_ms, &first, &last, &most));
    f->history[0] = ours;
    hear_history(f, &(struct source_stored_mark){ .sequence = 0 }, f->progress.known_mark_beat);
    assert_true(custody_next_load(f->custody, f->now_ms, &first, &last, &most));
}

static void on_gap(void *arg, uint64_t first, uint64_t last)
{
    struct fixture *f = arg;
    f->gap_first = first;
    f->gap_last = last;
}

static void what_a_page_does_not_have_is_told_and_passed_over(void **state)
{
    struct fixture *f = *state;
    begin(f);
    f->newest = 9;
    custody_committed(f->custody, 9);
    struct journal_page page = { .count = 2 };
    page.records[0].sequence = 1;
    page.records[1].sequence = 5;
    source_progress_load(&f->progress, &page, 1, 5, f->now_ms, 0, on_gap, f);
    assert_int_equal(f->gap_first, 2);
    assert_int_equal(f->gap_last, 4);
    assert_int_equal(f->splits, 2);
    page.count = 0;
    source_progress_load(&f->progress, &page, 6, 9, f->now_ms, 0, on_gap, f);
    assert_int_equal(f->gap_first, 6);
    assert_int_equal(f->gap_last, 9);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(answers_of_another_fence_or_source_count_for_nothing),
        T(the_fence_rises_with_each_replay),
        T(a_mark_quotes_the_last_one_stored_and_has_a_beat_of_its_own),
        T(an_unmoved_mark_is_stored_anew_every_few_seconds),
        T(an_older_beat_replays_though_history_and_sequence_are_the_same),
        T(a_beat_of_a_mark_not_answered_is_ours_too),
        T(what_was_applied_long_after_the_last_beat_is_applied_again),
        T(a_mark_frees_records_only_a_minute_later_under_the_same_history),
        T(a_replay_takes_back_what_was_to_be_freed),
        T(what_was_applied_at_a_master_given_up_is_applied_again_at_the_one_before),
        T(a_verdict_noted_goes_with_what_is_offered_again_from_memory),
        T(a_verdict_noted_goes_with_a_record_read_again_before_the_journal_has_it),
        T(a_mark_of_the_history_given_up_is_where_the_replay_begins),
        T(what_stood_for_a_minute_is_not_applied_again),
        T(a_start_replays_what_had_not_stood_for_a_minute),
        T(a_refused_first_mark_does_not_make_hello_deaf),
        T(what_was_applied_elsewhere_waits_for_the_answer_to_hello),
        T(what_a_page_does_not_have_is_told_and_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
