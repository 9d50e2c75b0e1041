/* The feed between a real Redis and its readers: what people publish appears, what is cancelled
 * changes, and without Redis, or after a restart, the last known is served. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "clock/clock.h"
#include "notify/feed.h"
#include "outgoing.h"
#include "pause/pause.h"
#include "test_feed_documents_samples.h"

enum { WAIT_MS = 20000, STEP_MS = 50, PAGE_BYTES = 65536 };

struct desk {
    struct fixture *redis;
    struct outward_config config;
    struct outward_outlet outlet;
    struct config_common common;
    struct metrics *metrics;
    struct feed *feed;
    void *context;
    char directory[64];
    struct pause *pause;
};

static void open_feed(struct desk *desk)
{
    struct error err = { 0 };
    const struct feed_options options = { .config = &desk->config,
                                          .common = &desk->common,
                                          .directory = desk->directory,
                                          .metrics = desk->metrics };
    desk->feed = feed_new(&options, &err);
    if (!desk->feed)
        fail_msg("feed: %s", err.text);
}

static struct desk *desk_new(struct fixture *redis)
{
    struct desk *desk = calloc(1, sizeof *desk);
    assert_non_null(desk);
    desk->redis = redis;
    desk->config.feed = sample_feed;
    desk->config.feed.listen = (char *)"127.0.0.1:0";
    desk->outlet.name = (char *)"page";
    desk->outlet.kind = (char *)"feed";
    desk->config.outlets = &desk->outlet;
    desk->config.outlets_count = 1;
    desk->common.force = (char *)"testforce";
    desk->common.redis = redis->redis;
    desk->metrics = metrics_new();
    desk->pause = pause_new();
    (void)snprintf(desk->directory, sizeof desk->directory, "/tmp/desg-feed-XXXXXX");
    assert_non_null(mkdtemp(desk->directory));
    open_feed(desk);
    return desk;
}

static void desk_destroy(struct desk *desk)
{
    char path[96];
    feed_destroy(&desk->feed);
    (void)snprintf(path, sizeof path, "%s/feed.state", desk->directory);
    (void)unlink(path);
    (void)rmdir(desk->directory);
    pause_destroy(&desk->pause);
    metrics_destroy(&desk->metrics);
    free(desk);
}

/* --- readers --- */

struct page {
    char text[PAGE_BYTES];
    size_t length;
};

static size_t take_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    struct page *page = arg;
    size_t length = size * count;
    if (page->length + length >= sizeof page->text)
        return 0;
    memcpy(page->text + page->length, bytes, length);
    page->length += length;
    page->text[page->length] = '\0';
    return length;
}

static long get(struct desk *desk, const char *path, struct page *page)
{
    char url[256];
    long status = 0;
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    page->length = 0;
    page->text[0] = '\0';
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", feed_port(desk->feed), path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, page);
    (void)curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    return status;
}

/* Until path says word. */
static void wait_for(struct desk *desk, const char *path, const char *word)
{
    static struct page page;
    int64_t until = clock_monotonic_ms() + WAIT_MS;
    while (clock_monotonic_ms() < until) {
        if (get(desk, path, &page) == 200 && strstr(page.text, word))
            return;
        pause_wait(desk->pause, STEP_MS);
    }
    fail_msg("%s never says '%s':\n%.800s", path, word, page.text);
}

static void assert_page(struct desk *desk, const char *path, long status, const char *word)
{
    static struct page page;
    assert_int_equal(get(desk, path, &page), status);
    if (!strstr(page.text, word))
        fail_msg("%s does not say '%s':\n%.800s", path, word, page.text);
}

/* --- people --- */

static void decide(struct fixture *f, const struct outgoing *what)
{
    struct store_fact_done done;
    struct error err = { 0 };
    if (store_outward_decide(f->store, &what->fact, true, &done, &err) != 0)
        fail_msg("decide: %s", err.text);
    free(done.fact);
}

/* Of a road closure that is published; version 1. */
static struct id publish(struct fixture *f)
{
    struct outgoing what;
    int64_t now_ms = clock_unix_ms();
    outgoing_init(&what, 1, "bryn", now_ms);
    outgoing_draft(&what, NULL);
    decide(f, &what);
    struct id id = what.id;
    outgoing_init(&what, 2, "carys", now_ms);
    outgoing_approve(&what, &id, 1);
    decide(f, &what);
    outgoing_init(&what, 3, "carys", now_ms);
    outgoing_publish(&what, &id, 1);
    decide(f, &what);
    return id;
}

static void cancel(struct fixture *f, const struct id *id)
{
    struct outgoing what;
    outgoing_init(&what, 4, "carys", clock_unix_ms());
    outgoing_cancel(&what, id);
    decide(f, &what);
}

/* --- tests --- */

static void what_is_published_appears_and_what_is_cancelled_says_so(void **state)
{
    struct fixture *f = *state;
    struct desk *desk = desk_new(f);
    char path[96];
    char id_words[ID_TEXT_BYTES];
    wait_for(desk, "/health", "live");
    assert_page(desk, "/feed.en.atom", 200, "<title>Gwent alerts</title>");
    struct id id = publish(f);
    id_text(id.bytes, id_words);
    wait_for(desk, "/feed.en.atom", "Invented road closed");
    assert_page(desk, "/feed.cy.atom", 200, "Ffordd ddychmygol ar gau");
    (void)snprintf(path, sizeof path, "/cap/%s-1.xml", id_words);
    assert_page(desk, path, 200, "<msgType>Alert</msgType>");
    cancel(f, &id);
    wait_for(desk, "/feed.en.atom", "CANCELLED: Invented road closed");
    assert_page(desk, path, 200,
                "<msgType>Alert</msgType>"); /* what refers to it leads somewhere */
    (void)snprintf(path, sizeof path, "/cap/%s-1-end.xml", id_words);
    assert_page(desk, path, 200, "<msgType>Cancel</msgType>");
    desk_destroy(desk);
}

static void what_goes_elsewhere_alone_does_not_appear(void **state)
{
    struct fixture *f = *state;
    struct desk *desk = desk_new(f);
    static struct page page;
    feed_destroy(&desk->feed);
    desk->outlet.name = (char *)"another";
    open_feed(desk);
    wait_for(desk, "/health", "live");
    (void)publish(f);
    wait_for(desk, "/health", "live");
    feed_destroy(&desk->feed);
    open_feed(desk);
    wait_for(desk, "/health", "live");
    assert_int_equal(get(desk, "/feed.en.atom", &page), 200);
    assert_null(strstr(page.text, "Invented"));
    desk_destroy(desk);
}

static void without_redis_the_last_known_is_served_after_a_restart_too(void **state)
{
    struct fixture *f = *state;
    struct desk *desk = desk_new(f);
    (void)publish(f);
    wait_for(desk, "/feed.en.atom", "Invented road closed");
    feed_destroy(&desk->feed);
    redis_server_freeze(f->server);
    open_feed(desk);
    assert_page(desk, "/health", 200, "last-known");
    assert_page(desk, "/feed.en.atom", 200, "Invented road closed");
    json_t *detail = json_object();
    feed_describe(desk->feed, detail);
    json_t *feed = json_object_get(detail, "feed");
    assert_string_equal(json_string_value(json_object_get(feed, "state")), "last-known");
    assert_int_equal(json_integer_value(json_object_get(feed, "broadcasts")), 1);
    assert_int_equal(json_integer_value(json_object_get(feed, "port")), feed_port(desk->feed));
    json_decref(detail);
    redis_server_thaw(f->server);
    wait_for(desk, "/health", "live");
    desk_destroy(desk);
}

static void a_redis_that_hangs_changes_nothing_that_is_served(void **state)
{
    struct fixture *f = *state;
    struct desk *desk = desk_new(f);
    (void)publish(f);
    wait_for(desk, "/feed.en.atom", "Invented road closed");
    redis_server_freeze(f->server);
    wait_for(desk, "/health", "last-known");
    assert_page(desk, "/feed.en.atom", 200, "Invented road closed");
    redis_server_thaw(f->server);
    wait_for(desk, "/health", "live");
    desk_destroy(desk);
}

static void an_emptied_redis_empties_no_feed_at_once(void **state)
{
    struct fixture *f = *state;
    struct desk *desk = desk_new(f);
    (void)publish(f);
    wait_for(desk, "/feed.en.atom", "Invented road closed");
    int64_t read_s = 0;
    free(redis_server_ask(f->server, "FLUSHALL"));
    struct gauge *read_at =
        metrics_gauge(desk->metrics, "desg_feed_read_timestamp_seconds", "", "");
    read_s = gauge_value(read_at);
    int64_t until = clock_monotonic_ms() + WAIT_MS;
    while (gauge_value(read_at) < read_s + 2 && clock_monotonic_ms() < until)
        pause_wait(desk->pause, STEP_MS);
    assert_true(gauge_value(read_at) >= read_s + 2); /* it has looked since */
    assert_page(desk, "/feed.en.atom", 200, "Invented road closed");
    desk_destroy(desk);
}

static void a_damaged_state_is_ignored(void **state)
{
    struct fixture *f = *state;
    struct desk *desk = desk_new(f);
    char path[96];
    static struct page page;
    (void)publish(f);
    wait_for(desk, "/feed.en.atom", "Invented road closed");
    feed_destroy(&desk->feed);
    (void)snprintf(path, sizeof path, "%s/feed.state", desk->directory);
    int file = open(path, O_WRONLY | O_TRUNC);
    assert_true(file >= 0);
    assert_int_equal(write(file, "DESGFED1 nonsense", 17), 17);
    (void)close(file);
    redis_server_freeze(f->server);
    open_feed(desk);
    assert_int_equal(get(desk, "/feed.en.atom", &page), 503); /* nothing is known */
    redis_server_thaw(f->server);
    wait_for(desk, "/feed.en.atom", "Invented road closed");
    desk_destroy(desk);
}

static void without_addresses_it_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct desk *desk = desk_new(f);
    feed_destroy(&desk->feed);
    desk->config.feed.listen = NULL;
    open_feed(desk);
    json_t *detail = json_object();
    feed_describe(desk->feed, detail);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(detail, "feed"), "state")), "off");
    json_decref(detail);
    assert_int_equal(feed_port(desk->feed), 0);
    desk_destroy(desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_published_appears_and_what_is_cancelled_says_so,
                                        empty, close_store),
        cmocka_unit_test_setup_teardown(what_goes_elsewhere_alone_does_not_appear, empty,
                                        close_store),
        cmocka_unit_test_setup_teardown(without_redis_the_last_known_is_served_after_a_restart_too,
                                        empty, close_store),
        cmocka_unit_test_setup_teardown(a_redis_that_hangs_changes_nothing_that_is_served, empty,
                                        close_store),
        cmocka_unit_test_setup_teardown(an_emptied_redis_empties_no_feed_at_once, empty,
                                        close_store),
        cmocka_unit_test_setup_teardown(a_damaged_state_is_ignored, empty, close_store),
        cmocka_unit_test_setup_teardown(without_addresses_it_does_nothing, empty, close_store),
    };
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, set_up_server, tear_down_server);
    curl_global_cleanup();
    return failed;
}
