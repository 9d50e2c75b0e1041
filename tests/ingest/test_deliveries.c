/* One journalled body shown as it came, over a real journal. */
#include "ingest/deliveries.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "desg/v1/event.pb-c.h"
#include "ingest/ingest.h"

/* The admin door's part: the sequence asked for. */
static const char *asked;

const char *admin_query(const struct admin_request *request, const char *name)
{
    (void)request;
    return strcmp(name, "sequence") == 0 ? asked : NULL;
}

struct fixture {
    char folder[32];
    struct metrics *metrics;
    struct journal *journal;
    pthread_mutex_t lock;
    pthread_cond_t stored;
    uint64_t sequence;
};

static void on_stored(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct fixture *f = arg;
    (void)pthread_mutex_lock(&f->lock);
    f->sequence = outcome == JOURNAL_STORED ? sequence : UINT64_MAX;
    (void)pthread_cond_signal(&f->stored);
    (void)pthread_mutex_unlock(&f->lock);
}

static uint64_t store(struct fixture *f, const void *record, size_t length)
{
    struct error err = { 0 };
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    f->sequence = 0;
    if (journal_append(f->journal, INGEST_RECORD_DELIVERY, record, length, on_stored, f, &err) != 0)
        fail_msg("%s", err.text);
    (void)pthread_mutex_lock(&f->lock);
    int rc = 0;
    while (f->sequence == 0 && rc == 0)
        rc = pthread_cond_timedwait(&f->stored, &f->lock, &until);
    uint64_t sequence = f->sequence;
    (void)pthread_mutex_unlock(&f->lock);
    assert_int_equal(rc, 0);
    return sequence;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    assert_non_null(f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/desg-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->stored, NULL);
    f->metrics = metrics_new();
    const struct journal_options options = {
        .directory = f->folder, .max_bytes = 16 << 20, .retention_ms = 1000, .metrics = f->metrics
    };
    f->journal = journal_open(&options, &err);
    if (!f->journal)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = { "data.mdb", "lock.mdb", "lock" };
    journal_close(&f->journal);
    metrics_destroy(&f->metrics);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", f->folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

static json_t *show(struct fixture *f, const char *sequence, unsigned status)
{
    struct admin_answer answer = { .status = 200 };
    asked = sequence;
    deliveries_show(f->journal, NULL, &answer);
    assert_int_equal(answer.status, status);
    json_t *json = json_loads(answer.body, 0, NULL);
    assert_non_null(json);
    free(answer.body);
    return json;
}

static void shows_a_body_as_it_came(void **state)
{
    struct fixture *f = *state;
    char number[24];
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    delivery.adapter = (char *)"meta";
    delivery.path = (char *)"/hooks/facebook";
    delivery.content_type = (char *)"application/json";
    delivery.received_at_ms = 77;
    delivery.body = (ProtobufCBinaryData){ .len = 5, .data = (uint8_t *)"\xff\x00{}\n" };
    uint8_t record[128];
    size_t length = desg__v1__delivery__pack(&delivery, record);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)store(f, record, length));
    json_t *json = show(f, number, 200);
    assert_string_equal(json_string_value(json_object_get(json, "body_base64")), "/wB7fQo=");
    assert_string_equal(json_string_value(json_object_get(json, "adapter")), "meta");
    assert_string_equal(json_string_value(json_object_get(json, "path")), "/hooks/facebook");
    assert_int_equal(json_integer_value(json_object_get(json, "received_at_ms")), 77);
    json_decref(json);
}

static void shows_a_body_of_megabytes_whole(void **state)
{
    struct fixture *f = *state;
    enum { LENGTH = (3 << 20) + 1 };
    char number[24];
    uint8_t *body = malloc(LENGTH);
    uint8_t *record = malloc(LENGTH + 64);
    assert_true(body && record);
    memset(body, 0, LENGTH);
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    delivery.body = (ProtobufCBinaryData){ .len = LENGTH, .data = body };
    size_t length = desg__v1__delivery__pack(&delivery, record);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)store(f, record, length));
    json_t *json = show(f, number, 200);
    const char *text = json_string_value(json_object_get(json, "body_base64"));
    size_t expected = (size_t)4 * ((LENGTH + 2) / 3);
    assert_int_equal(strlen(text), expected);
    assert_int_equal(strspn(text, "A"), expected - 2); /* one byte over: it ends in == */
    json_decref(json);
    free(body);
    free(record);
}

static void says_why_there_is_nothing_to_show(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = { NULL, "", "x", "0", "-1", "1x", "99999999999999999999" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        json_decref(show(f, bad[i], 400));
    json_decref(show(f, "12345", 404));
    char number[24];
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)store(f, "\xff\xff", 2));
    json_decref(show(f, number, 500)); /* not a delivery */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_a_body_as_it_came, setup, teardown),
        cmocka_unit_test_setup_teardown(shows_a_body_of_megabytes_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(says_why_there_is_nothing_to_show, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
