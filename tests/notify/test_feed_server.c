/* The public feed over HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "notify/feed_server.h"
#include "test_feed_documents_samples.h"

enum { ANSWER_BYTES = 1 << 20, READ_TIMEOUT_S = 10 };

struct fixture {
    struct metrics *metrics;
    struct feed_server *server;
    char answer[ANSWER_BYTES];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    f->metrics = metrics_new();
    f->server = feed_server_new("127.0.0.1:0", f->metrics, &err);
    *state = f;
    return f->server ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    feed_server_destroy(&f->server);
    metrics_destroy(&f->metrics);
    free(f);
    return 0;
}

/* --- client --- */

/* Sends request as it is; the whole answer lies in f->answer. Returns the status, 0 for none. */
static int ask(struct fixture *f, const char *request)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(feed_server_port(f->server)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval limit = { .tv_sec = READ_TIMEOUT_S };
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(client, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    size_t used = 0;
    for (ssize_t got = 1; got > 0 && used < ANSWER_BYTES - 1; used += (size_t)(got > 0 ? got : 0))
        got = recv(client, f->answer + used, ANSWER_BYTES - 1 - used, 0);
    f->answer[used] = '\0';
    (void)close(client);
    int status = 0;
    (void)sscanf(f->answer, "HTTP/1.1 %d", &status);
    return status;
}

static int get(struct fixture *f, const char *path, const char *header)
{
    char request[512];
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, header);
    return ask(f, request);
}

static void assert_header(const struct fixture *f, const char *line)
{
    if (!strstr(f->answer, line))
        fail_msg("no '%s' in:\n%.600s", line, f->answer);
}

static void copy_etag(const struct fixture *f, char out[FEED_ETAG_BYTES])
{
    const char *at = strstr(f->answer, "ETag: ");
    assert_non_null(at);
    (void)snprintf(out, FEED_ETAG_BYTES, "%.34s", at + 6);
}

/* --- what is shown --- */

static struct feed_pages *pages_of(enum feed_sample which)
{
    struct feed_book book = { 0 };
    Desg__V1__BroadcastNews *news = sample_news(which);
    feed_book_make_public(news);
    book.news = malloc(sizeof *book.news);
    assert_non_null(book.news);
    book.news[0] = news;
    book.count = 1;
    struct feed_pages *pages = feed_pages_new(&sample_feed, &book, SAMPLE_NOW_MS);
    feed_book_clear(&book);
    return pages;
}

static void until_it_knows_something_it_says_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, "/feed.en.atom", ""), 503); /* an empty feed would say: all is open */
    assert_header(f, "Retry-After: 5");
    assert_int_equal(get(f, "/health", ""), 503);
    assert_header(f, "{\"status\":\"empty\"");
    feed_server_show(f->server, pages_of(SAMPLE_ROAD));
    feed_server_note(f->server, "live", 123);
    assert_int_equal(get(f, "/feed.en.atom", ""), 200);
    assert_int_equal(get(f, "/health", ""), 200);
    assert_header(f, "{\"status\":\"live\",\"read_at_ms\":123}");
}

static void pages_say_what_they_are(void **state)
{
    struct fixture *f = *state;
    feed_server_show(f->server, pages_of(SAMPLE_ROAD));
    assert_int_equal(get(f, "/feed.cy.atom", ""), 200);
    assert_header(f, "Content-Type: application/atom+xml; charset=utf-8");
    assert_header(f, "Last-Modified: Wed, 11 Feb 2026 18:12:00 GMT");
    assert_header(f, "Cache-Control: public, max-age=15");
    assert_header(f, "Yr A55 ar gau");
    assert_int_equal(get(f, "/datex.xml", ""), 200);
    assert_header(f, "d2:payload");
    assert_int_equal(get(f, "/cap/d500000000000000000000000000007f-1.xml", ""), 200);
    assert_header(f, "Content-Type: application/cap+xml");
    assert_header(f, "<msgType>Alert</msgType>");
}

static void who_has_it_already_is_told_so(void **state)
{
    struct fixture *f = *state;
    char etag[FEED_ETAG_BYTES];
    char header[128];
    feed_server_show(f->server, pages_of(SAMPLE_ROAD));
    assert_int_equal(get(f, "/feed.en.atom", ""), 200);
    copy_etag(f, etag);
    (void)snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
    assert_int_equal(get(f, "/feed.en.atom", header), 304);
    assert_header(f, etag);
    assert_null(strstr(f->answer, "<feed"));
    (void)snprintf(header, sizeof header, "If-None-Match: \"other\", W/%s\r\n", etag);
    assert_int_equal(get(f, "/feed.en.atom", header), 304);
    assert_int_equal(get(f, "/feed.en.atom", "If-None-Match: *\r\n"), 304);
    assert_int_equal(get(f, "/feed.en.atom", "If-None-Match: \"other\"\r\n"), 200);
    (void)snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
    assert_int_equal(get(f, "/feed.cy.atom", header), 200); /* another page */
    feed_server_show(f->server, pages_of(SAMPLE_INCIDENT));
    assert_int_equal(get(f, "/feed.en.atom", header), 200); /* changed */
}

static void an_appeal_withdrawn_is_gone(void **state)
{
    struct fixture *f = *state;
    feed_server_show(f->server, pages_of(SAMPLE_APPEAL_WITHDRAWN));
    assert_int_equal(get(f, "/cap/d508000000000000000000000000007f-1.xml", ""), 410);
    assert_int_equal(get(f, "/cap/d508000000000000000000000000007f-1-end.xml", ""), 200);
    assert_null(strstr(f->answer, "Mair"));
    assert_int_equal(get(f, "/feed.en.atom", ""), 200);
    assert_null(strstr(f->answer, "Mair"));
}

static void what_is_not_there_is_refused(void **state)
{
    struct fixture *f = *state;
    char long_path[300];
    memset(long_path, 'a', sizeof long_path);
    memcpy(long_path, "/cap/", 5);
    long_path[sizeof long_path - 1] = '\0';
    feed_server_show(f->server, pages_of(SAMPLE_ROAD));
    static const char *const paths[] = {
        "/",           "/feed.fr.atom", "/cap/", "/cap/../../etc/passwd", "/cap/%2e%2e%2fx",
        "/datex.xml/", "//datex.xml"
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(get(f, paths[i], ""), 404);
    assert_int_equal(get(f, long_path, ""), 404);
}

static void nothing_can_be_written(void **state)
{
    struct fixture *f = *state;
    feed_server_show(f->server, pages_of(SAMPLE_ROAD));
    static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "BREW" };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char request[256];
        (void)snprintf(request, sizeof request,
                       "%s /feed.en.atom HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: "
                       "close\r\n\r\nabc",
                       methods[i]);
        assert_int_equal(ask(f, request), 405);
        assert_header(f, "Allow: GET, HEAD");
    }
    (void)ask(f, "GET /feed.en.atom HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: "
                 "close\r\n\r\nabc");
    assert_null(strstr(f->answer, "<feed")); /* a GET with a body is none of ours */
    (void)ask(f, "\x16\x03\x01garbage\r\n\r\n");
    assert_null(strstr(f->answer, "<feed"));
    assert_int_equal(get(f, "/feed.en.atom", ""), 200);
}

static void a_head_has_no_body(void **state)
{
    struct fixture *f = *state;
    feed_server_show(f->server, pages_of(SAMPLE_ROAD));
    assert_int_equal(ask(f, "HEAD /feed.en.atom HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                     200);
    assert_header(f, "ETag: \"");
    assert_null(strstr(f->answer, "<feed"));
}

static void requests_are_counted(void **state)
{
    struct fixture *f = *state;
    (void)get(f, "/feed.en.atom", "");
    feed_server_show(f->server, pages_of(SAMPLE_ROAD));
    (void)get(f, "/feed.en.atom", "");
    (void)get(f, "/feed.en.atom", "If-None-Match: *\r\n");
    (void)get(f, "/cap/none.xml", "");
    char *text = metrics_render(f->metrics);
    static const char *const lines[] = {
        "desg_feed_requests_total{what=\"atom\",result=\"away\"} 1",
        "desg_feed_requests_total{what=\"atom\",result=\"sent\"} 1",
        "desg_feed_requests_total{what=\"atom\",result=\"unchanged\"} 1",
        "desg_feed_requests_total{what=\"cap\",result=\"refused\"} 1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(text, lines[i]))
            fail_msg("no '%s'", lines[i]);
    free(text);
}

static void an_address_that_is_taken_is_refused(void **state)
{
    struct fixture *f = *state;
    char address[32];
    struct error err = { 0 };
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", feed_server_port(f->server));
    assert_null(feed_server_new(address, f->metrics, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "outward.feed.listen"));
}

static void the_same_broadcasts_have_the_same_tags_at_every_replica(void **state)
{
    (void)state;
    struct feed_pages *one = pages_of(SAMPLE_ROAD);
    struct feed_pages *other = pages_of(SAMPLE_ROAD);
    assert_int_equal(one->count, other->count);
    for (size_t i = 0; i < one->count; i++) {
        assert_string_equal(one->pages[i].path, other->pages[i].path);
        assert_string_equal(one->pages[i].etag, other->pages[i].etag);
        assert_string_equal(one->pages[i].modified, other->pages[i].modified);
    }
    feed_pages_destroy(&one);
    feed_pages_destroy(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(until_it_knows_something_it_says_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pages_say_what_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_it_already_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_appeal_withdrawn_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_can_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_has_no_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_is_taken_is_refused, set_up, tear_down),
        cmocka_unit_test(the_same_broadcasts_have_the_same_tags_at_every_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
