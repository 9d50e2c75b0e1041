/* One POST, every way it can end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "fake_dispatch.h"
#include "notify/outbound.h"

enum { WAIT_S = 20, TIMEOUT_MS = 700 };

struct fixture {
    struct fake_dispatch *dispatch;
    struct outbound *outbound;
    char url[64];
    char directory[64];
    char token_file[96];
    char secret_file[96];
};

struct reply {
    pthread_mutex_t lock;
    pthread_cond_t came;
    unsigned count;
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-outbound-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->token_file, sizeof f->token_file, "%s/token", f->directory);
    (void)snprintf(f->secret_file, sizeof f->secret_file, "%s/secret", f->directory);
    write_file(f->token_file, "token-one\n");
    write_file(f->secret_file, "signing\n");
    f->dispatch = fake_dispatch_new();
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/alerts",
                   fake_dispatch_port(f->dispatch));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    outbound_destroy(&f->outbound);
    fake_dispatch_destroy(&f->dispatch);
    (void)unlink(f->token_file);
    (void)unlink(f->secret_file);
    (void)rmdir(f->directory);
    free(f);
    return 0;
}

static void start(struct fixture *f, const struct outbound_target *target)
{
    struct error err = { 0 };
    f->outbound = outbound_new(NULL, target, 1, &err);
    if (!f->outbound)
        fail_msg("%s", err.text);
}

static struct outbound_target plain_target(const struct fixture *f)
{
    return (struct outbound_target){ .url = f->url,
                                     .connect_timeout_ms = TIMEOUT_MS,
                                     .timeout_ms = TIMEOUT_MS };
}

static void on_done(void *arg, struct outbound_post *post)
{
    (void)post;
    struct reply *reply = arg;
    (void)pthread_mutex_lock(&reply->lock);
    reply->count++;
    (void)pthread_cond_signal(&reply->came);
    (void)pthread_mutex_unlock(&reply->lock);
}

static void fill(struct outbound_post *post, struct reply *reply)
{
    *post = (struct outbound_post){ .content_type = "application/cloudevents+json",
                                    .body = strdup("{\"a\":1}"),
                                    .length = 7,
                                    .key = "00ff.v1",
                                    .done = on_done,
                                    .arg = reply };
}

static void wait_for(struct reply *reply, unsigned count)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    int rc = 0;
    (void)pthread_mutex_lock(&reply->lock);
    while (reply->count < count && rc == 0)
        rc = pthread_cond_timedwait(&reply->came, &reply->lock, &until);
    unsigned came = reply->count;
    (void)pthread_mutex_unlock(&reply->lock);
    assert_int_equal(came, count);
}

static struct outbound_post post_and_wait(struct fixture *f)
{
    struct reply reply = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };
    struct outbound_post post;
    fill(&post, &reply);
    outbound_send(f->outbound, &post);
    wait_for(&reply, 1);
    outbound_post_clear(&post);
    return post;
}

static void takes_status_and_receipt(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    start(f, &target);
    struct outbound_post post = post_and_wait(f);
    assert_int_equal(post.http_status, 202);
    assert_string_equal(post.error, "");
    assert_string_equal(post.receipt, "D-0001");
    struct fake_request request = fake_dispatch_request(f->dispatch, "/alerts", NULL, 0);
    assert_string_equal(request.body, "{\"a\":1}");
    assert_string_equal(request.key, "00ff.v1");
    assert_string_equal(request.content_type, "application/cloudevents+json");
    assert_string_equal(request.authorization, "");
    assert_string_equal(request.signature, "");
    free(request.body);
}

static void passes_the_trace_on_where_there_is_one(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    start(f, &target);
    (void)post_and_wait(f);
    struct fake_request request = fake_dispatch_request(f->dispatch, "/alerts", NULL, 0);
    assert_string_equal(request.traceparent, "");
    free(request.body);

    const struct trace trace = { 0x4bf92f3577b34da6U, 0xa3ce929d0e0e4736U };
    struct trace passed = { 0 };
    struct reply reply = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };
    struct outbound_post post;
    fill(&post, &reply);
    post.trace = trace;
    outbound_send(f->outbound, &post);
    wait_for(&reply, 1);
    outbound_post_clear(&post);
    request = fake_dispatch_request(f->dispatch, "/alerts", NULL, 1);
    assert_true(trace_parse(request.traceparent, &passed));
    assert_true(passed.high == trace.high && passed.low == trace.low);
    free(request.body);
}

static void quotes_signs_and_shows_its_token(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    target.quote_key = true;
    target.token_file = f->token_file;
    target.signature_secret_file = f->secret_file;
    start(f, &target);
    (void)post_and_wait(f);
    struct fake_request request = fake_dispatch_request(f->dispatch, "/alerts", NULL, 0);
    assert_string_equal(request.key, "\"00ff.v1\"");
    assert_string_equal(request.authorization, "Bearer token-one");
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char wanted[96] = "sha256=";
    crypto_hmac_sha256("signing", 7, "{\"a\":1}", 7, mac);
    crypto_hex(mac, sizeof mac, wanted + 7);
    assert_string_equal(request.signature, wanted);
    free(request.body);

    write_file(f->token_file, "token-two\n"); /* rotated */
    (void)post_and_wait(f);
    request = fake_dispatch_request(f->dispatch, "/alerts", NULL, 1);
    assert_string_equal(request.authorization, "Bearer token-two");
    free(request.body);
    char long_token[9000];
    memset(long_token, 'x', sizeof long_token - 1);
    long_token[sizeof long_token - 1] = '\0';
    const char *const unfit[] = { long_token, "two\nlines" }; /* the last good one stays */
    for (unsigned i = 0; i < 2; i++) {
        write_file(f->token_file, unfit[i]);
        (void)post_and_wait(f);
        request = fake_dispatch_request(f->dispatch, "/alerts", NULL, 2 + i);
        assert_string_equal(request.authorization, "Bearer token-two");
        free(request.body);
    }
    assert_int_equal(unlink(f->token_file), 0); /* the mount blinks: the same */
    (void)post_and_wait(f);
    request = fake_dispatch_request(f->dispatch, "/alerts", NULL, 4);
    assert_string_equal(request.authorization, "Bearer token-two");
    free(request.body);
}

static void redirects_are_answers_not_directions(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    start(f, &target);
    fake_dispatch_script(
        f->dispatch, &(struct fake_script){
                         .path = "/alerts", .times = 1, .status = 307, .location = "/elsewhere" });
    struct outbound_post post = post_and_wait(f);
    assert_int_equal(post.http_status, 307);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/elsewhere", NULL), 0);
}

static void reads_retry_after(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    start(f, &target);
    fake_dispatch_script(
        f->dispatch,
        &(struct fake_script){ .path = "/alerts", .times = 1, .status = 429, .retry_after = "7" });
    struct outbound_post post = post_and_wait(f);
    assert_int_equal(post.http_status, 429);
    assert_int_equal(post.retry_after_ms, 7000);
    fake_dispatch_script(f->dispatch,
                         &(struct fake_script){ .path = "/alerts",
                                                .times = 1,
                                                .status = 503,
                                                .retry_after = "Fri, 31 Dec 2100 23:59:59 GMT" });
    post = post_and_wait(f);
    assert_int_equal(post.retry_after_ms, 86400000);
    fake_dispatch_script(f->dispatch,
                         &(struct fake_script){
                             .path = "/alerts", .times = 1, .status = 503, .retry_after = "soon" });
    assert_int_equal(post_and_wait(f).retry_after_ms, 0);
}

static void a_hang_ends_at_the_time_out(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    start(f, &target);
    fake_dispatch_script(
        f->dispatch, &(struct fake_script){ .path = "/alerts", .times = 1, .manner = FAKE_HANG });
    struct outbound_post post = post_and_wait(f);
    assert_int_equal(post.http_status, 0);
    assert_string_equal(post.error, "timeout");
    assert_true(post.took_ms >= TIMEOUT_MS - 50);
}

static void half_an_answer_is_none(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    start(f, &target);
    fake_dispatch_script(
        f->dispatch, &(struct fake_script){ .path = "/alerts", .times = 1, .manner = FAKE_HALF });
    struct outbound_post post = post_and_wait(f);
    assert_int_equal(post.http_status, 0);
    assert_string_equal(post.error, "cut-off");
    fake_dispatch_script(
        f->dispatch, &(struct fake_script){ .path = "/alerts", .times = 1, .manner = FAKE_DROP });
    post = post_and_wait(f);
    assert_int_equal(post.http_status, 0);
    assert_string_equal(post.error, "cut-off");
}

static void nobody_listening_and_no_such_name(void **state)
{
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    start(f, &target);
    fake_dispatch_down(f->dispatch);
    assert_string_equal(post_and_wait(f).error, "no-connection");
    fake_dispatch_up(f->dispatch);
    assert_int_equal(post_and_wait(f).http_status, 202);
    outbound_destroy(&f->outbound);
    target.url = "http://no-such-host.invalid/alerts";
    start(f, &target);
    struct outbound_post post = post_and_wait(f);
    assert_int_equal(post.http_status, 0);
    assert_true(strcmp(post.error, "no-address") == 0 || strcmp(post.error, "timeout") == 0);
}

static void one_that_hangs_does_not_hold_the_others(void **state)
{
    enum { OTHERS = 20 };
    struct fixture *f = *state;
    struct outbound_target target = plain_target(f);
    target.timeout_ms = 15000;
    start(f, &target);
    struct reply hanging = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };
    struct reply reply = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };
    struct outbound_post slow;
    struct outbound_post posts[OTHERS];
    fake_dispatch_script(
        f->dispatch, &(struct fake_script){ .path = "/alerts", .times = 1, .manner = FAKE_HANG });
    fill(&slow, &hanging);
    outbound_send(f->outbound, &slow);
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", NULL, 1, 10000));
    for (size_t i = 0; i < OTHERS; i++) {
        fill(&posts[i], &reply);
        outbound_send(f->outbound, &posts[i]);
    }
    wait_for(&reply, OTHERS);
    for (size_t i = 0; i < OTHERS; i++) {
        assert_int_equal(posts[i].http_status, 202);
        outbound_post_clear(&posts[i]);
    }
    outbound_destroy(&f->outbound); /* with one on its way: handed back, not lost */
    wait_for(&hanging, 1);
    assert_string_equal(slow.error, "stopped");
    outbound_post_clear(&slow);
}

static void refuses_bad_addresses_and_missing_secrets(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct outbound_target target = plain_target(f);
    target.url = "http://[::1";
    assert_null(outbound_new(NULL, &target, 1, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    target = plain_target(f);
    target.token_file = "/nonexistent/token";
    assert_null(outbound_new(NULL, &target, 1, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    write_file(f->token_file, "two\nlines");
    target.token_file = f->token_file;
    assert_null(outbound_new(NULL, &target, 1, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_null(strstr(err.text, "lines\"")); /* the token itself is not told */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(takes_status_and_receipt),
        T(passes_the_trace_on_where_there_is_one),
        T(quotes_signs_and_shows_its_token),
        T(redirects_are_answers_not_directions),
        T(reads_retry_after),
        T(a_hang_ends_at_the_time_out),
        T(half_an_answer_is_none),
        T(nobody_listening_and_no_such_name),
        T(one_that_hangs_does_not_hold_the_others),
        T(refuses_bad_addresses_and_missing_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
