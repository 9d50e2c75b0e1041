/* What the feed knows: taken from Redis, kept over a restart, never going back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ids/ids.h"
#include "notify/feed_book.h"
#include "notify/feed_file.h"
#include "test_feed_documents_samples.h"

#define NOW_MS  SAMPLE_NOW_MS
#define KEEP_MS INT64_C(86400000)

/* --- Redis's answers --- */

struct answer {
    struct store_news news;
    struct store_bytes rows[16];
};

static void answer_init(struct answer *self, uint8_t epoch, uint64_t sequence)
{
    memset(self, 0, sizeof *self);
    memset(self->news.epoch, epoch, sizeof self->news.epoch);
    self->news.sequence = sequence;
    self->news.rows = self->rows;
}

static void answer_add(struct answer *self, Desg__V1__BroadcastNews *news, uint64_t sequence)
{
    struct store_bytes *row = &self->rows[self->news.count++];
    news->sequence = sequence;
    row->length = desg__v1__broadcast_news__get_packed_size(news);
    row->bytes = malloc(row->length);
    assert_non_null(row->bytes);
    (void)desg__v1__broadcast_news__pack(news, row->bytes);
    desg__v1__broadcast_news__free_unpacked(news, NULL);
}

static void answer_take(struct answer *self, struct feed_book *book, int64_t now_ms)
{
    const struct feed_book_rules rules = { .outlet = NULL, .keep_ms = KEEP_MS };
    assert_int_equal(feed_book_take(book, &self->news, &rules, now_ms), 0);
    for (size_t i = 0; i < self->news.count; i++)
        free(self->rows[i].bytes);
}

static void take(struct feed_book *book, enum feed_sample which, uint32_t version)
{
    struct answer answer;
    Desg__V1__BroadcastNews *news = sample_news(which);
    news->broadcast->version = version;
    answer_init(&answer, 1, version);
    answer_add(&answer, news, version);
    answer_take(&answer, book, NOW_MS);
}

/* --- taking --- */

static void newest_comes_first(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    struct answer answer;
    answer_init(&answer, 1, 2);
    answer_add(&answer, sample_news(SAMPLE_INCIDENT), 1);
    answer_add(&answer, sample_news(SAMPLE_ROAD), 2);
    answer_take(&answer, &book, NOW_MS);
    assert_int_equal(book.count, 2);
    assert_true(book.news[0]->at_ms > book.news[1]->at_ms);
    assert_int_equal(book.sequence, 2);
    assert_int_equal(book.read_at_ms, NOW_MS);
    feed_book_clear(&book);
}

static void what_cannot_be_read_is_counted_and_passed_over(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    uint8_t junk[] = { 0xff, 0xff, 0xff };
    Desg__V1__BroadcastNews *draft = sample_news(SAMPLE_ADVICE);
    draft->state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_DRAFT;
    struct answer answer;
    const struct feed_book_rules rules = { .outlet = NULL, .keep_ms = KEEP_MS };
    answer_init(&answer, 1, 3);
    answer_add(&answer, sample_news(SAMPLE_ROAD), 1);
    answer_add(&answer, draft, 2);
    answer.rows[answer.news.count++] = (struct store_bytes){ junk, sizeof junk };
    answer.rows[answer.news.count++] = (struct store_bytes){ NULL, 0 };
    assert_int_equal(feed_book_take(&book, &answer.news, &rules, NOW_MS), 3);
    assert_int_equal(book.count, 1);
    free(answer.rows[0].bytes);
    free(answer.rows[1].bytes);
    feed_book_clear(&book);
}

static void only_what_goes_to_the_outlet_is_told(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    struct answer answer;
    const struct feed_book_rules elsewhere = { .outlet = "another", .keep_ms = KEEP_MS };
    const struct feed_book_rules here = { .outlet = "secret-outlet", .keep_ms = KEEP_MS };
    answer_init(&answer, 1, 1);
    answer_add(&answer, sample_news(SAMPLE_ROAD), 1);
    assert_int_equal(feed_book_take(&book, &answer.news, &elsewhere, NOW_MS), 0);
    assert_int_equal(book.count, 0);
    assert_int_equal(feed_book_take(&book, &answer.news, &here, NOW_MS), 0);
    assert_int_equal(book.count, 1);
    /* who has read it here reads on here */
    assert_int_equal(feed_book_take(&book, &answer.news, &elsewhere, NOW_MS), 0);
    assert_int_equal(book.count, 1);
    free(answer.rows[0].bytes);
    feed_book_clear(&book);
}

static void a_version_replaced_is_remembered(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    take(&book, SAMPLE_ROAD, 1);
    take(&book, SAMPLE_ROAD, 2);
    assert_int_equal(book.count, 1);
    assert_int_equal(book.news[0]->broadcast->version, 2);
    assert_int_equal(book.earlier_count, 1);
    assert_int_equal(book.earlier[0]->broadcast->version, 1);
    struct answer none;
    answer_init(&none, 1, 3);
    answer_take(&none, &book, NOW_MS);
    assert_int_equal(book.count, 0);
    assert_int_equal(book.earlier_count, 0); /* with its broadcast */
    feed_book_clear(&book);
}

static void nothing_goes_back(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    take(&book, SAMPLE_ROAD, 2);
    take(&book, SAMPLE_ROAD, 1);
    assert_int_equal(book.news[0]->broadcast->version, 2);
    assert_int_equal(book.earlier_count, 0);

    Desg__V1__BroadcastNews *cancelled = sample_news(SAMPLE_ROAD);
    cancelled->broadcast->version = 2;
    cancelled->state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED;
    struct answer answer;
    answer_init(&answer, 1, 3);
    answer_add(&answer, cancelled, 3);
    answer_take(&answer, &book, NOW_MS);
    take(&book, SAMPLE_ROAD, 2);
    assert_int_equal(book.news[0]->state, DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED);
    feed_book_clear(&book);
}

static void an_emptied_redis_empties_no_feed_while_it_fills_again(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    struct answer answer;
    take(&book, SAMPLE_ROAD, 1);
    answer_init(&answer, 2, 0); /* another epoch, nothing there */
    answer_take(&answer, &book, NOW_MS + 1000);
    assert_int_equal(book.count, 1);
    assert_int_equal(book.news[0]->sequence, 0); /* of no number of that count */
    assert_int_equal(book.news[0]->epoch.data[0], 2);
    answer_init(&answer, 2, 0);
    answer_take(&answer, &book, NOW_MS + 2000 + FEED_REBUILD_MS);
    assert_int_equal(book.count, 0);
    feed_book_clear(&book);
}

static void without_redis_what_is_over_grows_old(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    take(&book, SAMPLE_ROAD, 1);
    assert_false(feed_book_age(&book, KEEP_MS, NOW_MS + KEEP_MS));
    assert_int_equal(book.count, 1); /* holds for six hours, then stays for a day */
    assert_true(feed_book_age(&book, KEEP_MS, NOW_MS + 2 * KEEP_MS));
    assert_int_equal(book.count, 0);
    feed_book_clear(&book);
}

/* --- what everyone may read --- */

static bool contains(const uint8_t *bytes, size_t length, const char *word)
{
    return memmem(bytes, length, word, strlen(word)) != NULL;
}

static void nothing_internal_leaves(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    struct answer answer;
    answer_init(&answer, 1, 3);
    answer_add(&answer, sample_news(SAMPLE_ROAD), 1);
    answer_add(&answer, sample_news(SAMPLE_ADVICE), 2); /* its Welsh is owed */
    answer_add(&answer, sample_news(SAMPLE_APPEAL), 3);
    answer_take(&answer, &book, NOW_MS);
    size_t length = 0;
    uint8_t *bytes = feed_book_pack(&book, &length);
    for (size_t i = 0; i + 6 < length; i++)
        assert_false(strncasecmp((const char *)bytes + i, "secret", 6) == 0);
    assert_true(contains(bytes, length, "Mair Example"));
    free(bytes);
    feed_book_clear(&book);
}

static void an_appeal_that_is_over_is_forgotten_with_all_its_versions(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    Desg__V1__BroadcastNews *over = sample_news(SAMPLE_APPEAL);
    struct answer answer;
    take(&book, SAMPLE_APPEAL, 1);
    take(&book, SAMPLE_APPEAL, 2);
    assert_int_equal(book.earlier_count, 1);
    over->broadcast->version = 2;
    over->state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED;
    answer_init(&answer, 1, 3);
    answer_add(&answer, over, 3);
    answer_take(&answer, &book, NOW_MS);
    size_t length = 0;
    uint8_t *bytes = feed_book_pack(&book, &length);
    assert_int_equal(book.earlier_count, 0);
    assert_false(contains(bytes, length, "Mair"));
    assert_false(contains(bytes, length, "pier"));
    assert_null(book.news[0]->broadcast->area);
    assert_true(contains(bytes, length, "withdrawn"));
    free(bytes);
    feed_book_clear(&book);
}

/* --- disk --- */

struct folder {
    char path[64];
};

static int set_up(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    assert_non_null(folder);
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/desg-feed-XXXXXX");
    *state = folder;
    return mkdtemp(folder->path) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;
    char path[96];
    static const char *const names[] = { "s", "s.new" };
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder->path, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder->path);
    free(folder);
    return 0;
}

static void a_book_comes_back_as_it_was(void **state)
{
    const struct folder *folder = *state;
    struct feed_book book = { 0 };
    struct feed_book again = { 0 };
    struct error err = { 0 };
    size_t length = 0;
    take(&book, SAMPLE_ROAD, 1);
    take(&book, SAMPLE_ROAD, 2);
    uint8_t *bytes = feed_book_pack(&book, &length);
    assert_int_equal(feed_file_save(folder->path, "s", bytes, length, &err), 0);
    free(bytes);
    assert_int_equal(feed_file_load(folder->path, "s", &bytes, &length, &err), 0);
    assert_non_null(bytes);
    assert_int_equal(feed_book_unpack(bytes, length, &again, &err), 0);
    assert_int_equal(again.count, 1);
    assert_int_equal(again.earlier_count, 1);
    assert_int_equal(again.sequence, 2);
    assert_int_equal(again.read_at_ms, NOW_MS);
    assert_memory_equal(again.epoch, book.epoch, sizeof book.epoch);
    free(bytes);
    feed_book_clear(&book);
    feed_book_clear(&again);
}

static void no_file_is_no_fault(void **state)
{
    const struct folder *folder = *state;
    struct error err = { 0 };
    uint8_t *bytes = (uint8_t *)"";
    size_t length = 0;
    assert_int_equal(feed_file_load(folder->path, "s", &bytes, &length, &err), 0);
    assert_null(bytes);
}

static void change_file(const struct folder *folder, off_t at, off_t cut)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/s", folder->path);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    if (at >= 0)
        assert_int_equal(pwrite(file, "\x5a", 1, at), 1);
    struct stat info;
    assert_int_equal(fstat(file, &info), 0);
    if (cut > 0)
        assert_int_equal(ftruncate(file, info.st_size - cut), 0);
    (void)close(file);
}

static void a_damaged_file_is_refused(void **state)
{
    const struct folder *folder = *state;
    static const struct {
        off_t at, cut;
    } damages[] = { { 0, 0 }, { 9, 0 }, { 13, 0 }, { 20, 0 }, { -1, 1 }, { -1, 200 } };
    uint8_t body[300] = { 1, 2, 3 };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct error err = { 0 };
        uint8_t *bytes = NULL;
        size_t length = 0;
        assert_int_equal(feed_file_save(folder->path, "s", body, sizeof body, &err), 0);
        change_file(folder, damages[i].at, damages[i].cut);
        assert_int_equal(feed_file_load(folder->path, "s", &bytes, &length, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(bytes);
    }
}

static void what_is_no_book_is_refused(void **state)
{
    (void)state;
    struct feed_book book = { 0 };
    struct error err = { 0 };
    size_t length = 0;
    take(&book, SAMPLE_ROAD, 1);
    uint8_t *bytes = feed_book_pack(&book, &length);
    struct feed_book out = { 0 };
    for (size_t cut = 0; cut < length; cut++) { /* every length but the whole one */
        uint8_t *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, bytes, cut);
        if (feed_book_unpack(part, cut, &out, &err) == 0) {
            assert_true(cut > 16); /* the second part may end where a field does */
            feed_book_clear(&out);
        }
        free(part);
    }
    memset(bytes + 8, 0xff, 8);
    assert_int_equal(feed_book_unpack(bytes, length, &out, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    free(bytes);
    feed_book_clear(&book);
}

static void a_save_that_fails_leaves_the_old_one(void **state)
{
    const struct folder *folder = *state;
    struct error err = { 0 };
    uint8_t *bytes = NULL;
    size_t length = 0;
    char path[96];
    assert_int_equal(feed_file_save(folder->path, "s", (const uint8_t *)"one", 3, &err), 0);
    (void)snprintf(path, sizeof path, "%s/s.new", folder->path);
    assert_int_equal(mkdir(path, 0700), 0); /* it cannot be written beside */
    assert_int_equal(feed_file_save(folder->path, "s", (const uint8_t *)"two", 3, &err), -1);
    assert_int_equal(err.kind, ERROR_SYSTEM);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(feed_file_load(folder->path, "s", &bytes, &length, &err), 0);
    assert_int_equal(length, 3);
    assert_memory_equal(bytes, "one", 3);
    free(bytes);
    assert_int_equal(feed_file_save("/nowhere/at/all", "s", (const uint8_t *)"x", 1, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_comes_first),
        cmocka_unit_test(what_cannot_be_read_is_counted_and_passed_over),
        cmocka_unit_test(only_what_goes_to_the_outlet_is_told),
        cmocka_unit_test(a_version_replaced_is_remembered),
        cmocka_unit_test(nothing_goes_back),
        cmocka_unit_test(an_emptied_redis_empties_no_feed_while_it_fills_again),
        cmocka_unit_test(without_redis_what_is_over_grows_old),
        cmocka_unit_test(nothing_internal_leaves),
        cmocka_unit_test(an_appeal_that_is_over_is_forgotten_with_all_its_versions),
        cmocka_unit_test_setup_teardown(a_book_comes_back_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_file_is_no_fault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_refused, set_up, tear_down),
        cmocka_unit_test(what_is_no_book_is_refused),
        cmocka_unit_test_setup_teardown(a_save_that_fails_leaves_the_old_one, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
