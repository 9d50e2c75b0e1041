/* The real desg-notify between a real Redis and platforms: what people decided goes out, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock/clock.h"
#include "fake_dispatch.h"
#include "fake_platform.h"
#include "outgoing.h"
#include "process.h"
#include "redis_server.h"
#include "sample.h"

enum { LONG_MS = 30000, PATH_BYTES = 128 };

#define MESSAGES "/1001/messages"
#define FEED     "/1001/feed"

struct fixture {
    char directory[64];
    struct redis_server *redis;
    struct fake_dispatch *dispatch;
    struct fake_platform *platform;
    struct process *process;
    struct process *other;
    struct config_redis config;
    struct store_queues queues;
    struct store *store;
    char more[2][4096];
    unsigned decided;
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    char path[PATH_BYTES];
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-outbox-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(path, sizeof path, "%s/token", f->directory);
    write_file(path, "page-token");
    (void)snprintf(path, sizeof path, "%s/secret", f->directory);
    write_file(path, "signature-secret-of-the-tests");
    f->redis = redis_server_new("noeviction", true);
    f->dispatch = fake_dispatch_new();
    f->platform = fake_platform_new();
    f->config.address = (char *)(uintptr_t)redis_server_address(f->redis);
    f->config.timeout_ms = 2000;
    f->store = store_new(
        &(struct store_options){
            .redis = &f->config, .force = "testforce", .queues = &f->queues, .label = "test" },
        &err);
    assert_non_null(f->store);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_destroy(&f->store);
    process_destroy(&f->process);
    process_destroy(&f->other);
    fake_dispatch_destroy(&f->dispatch);
    fake_platform_destroy(&f->platform);
    redis_server_destroy(&f->redis);
    (void)nftw(f->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* a leftover fails nothing */
    free(f);
    return 0;
}

static struct process *start_named(struct fixture *f, const char *name, unsigned which)
{
    char journal[PATH_BYTES];
    unsigned port = fake_platform_port(f->platform);
    (void)snprintf(journal, sizeof journal, "%s/%s", f->directory, name);
    (void)mkdir(journal, 0700);
    (void)snprintf(
        f->more[which], sizeof f->more[which],
        "  test_interval_s: 0\n"
        "  outbox_journal: { directory: %s, size_mib: 16 }\n"
        "outward:\n"
        "  unknown_after_s: 5\n"
        "  lease_ms: 3000\n"
        "  accounts:\n"
        "    - { channel: facebook, account: \"1001\", base_url: \"http://127.0.0.1:%u\",\n"
        "        token_file: %s/token, per_minute: 60000 }\n"
        "  outlets:\n"
        "    - { name: page, kind: facebook, account: \"1001\", url: \"http://127.0.0.1:%u\",\n"
        "        token_file: %s/token, per_minute: 6000, timeout_ms: 2000 }\n"
        "    - { name: x, kind: webhook, url: \"http://127.0.0.1:%u/hook\",\n"
        "        signature_secret_file: %s/secret, per_minute: 6000, timeout_ms: 2000 }\n",
        journal, port, f->directory, port, f->directory, port, f->directory);
    return process_new(&(struct process_options){ .name = name,
                                                  .dispatch_port = fake_dispatch_port(f->dispatch),
                                                  .redis_address = f->config.address,
                                                  .more = f->more[which] });
}

static void start(struct fixture *f)
{
    f->process = start_named(f, "notify", 0);
}

/* --- what people decide --- */

static struct id decide(struct fixture *f, const struct outgoing *what)
{
    struct store_fact_done done;
    struct error err = { 0 };
    struct id id = { { 0 } };
    if (store_outward_decide(f->store, &what->fact, true, &done, &err) != 0)
        fail_msg("decide: %s", err.text);
    Desg__V1__Fact *fact = desg__v1__fact__unpack(NULL, done.fact_length, done.fact);
    assert_non_null(fact);
    if (fact->what_case == DESG__V1__FACT__WHAT_REPLIED)
        memcpy(id.bytes, fact->replied->item->id.data, ID_BYTES);
    else if (fact->what_case == DESG__V1__FACT__WHAT_DRAFTED)
        memcpy(id.bytes, fact->drafted->broadcast->id.data, ID_BYTES);
    desg__v1__fact__free_unpacked(fact, NULL);
    free(done.fact);
    return id;
}

struct talk {
    struct sample sample;
    uint64_t fence;
};

static struct talk begin_talk(struct fixture *f, unsigned number)
{
    struct talk talk = { 0 };
    struct error err = { 0 };
    struct store_result result;
    char history[STORE_HISTORY_BYTES];
    json_t *claim = NULL;
    sample_init(&talk.sample, number, 1, clock_unix_ms(), DESG__V1__SEVERITY__SEVERITY_ATTENTION);
    talk.sample.event.object_id = (char *)"m_in";
    sample_pack(&talk.sample);
    struct store_event event = sample_event(&talk.sample);
    event.is_replayed = true; /* no word of receipt */
    if (store_apply(f->store, &event, 1, &result, history, &err) != 0)
        fail_msg("apply: %s", err.text);
    if (store_claim(f->store, "agent-1", "", &talk.sample.conversation, &claim, &err) != 0)
        fail_msg("claim: %s", err.text);
    talk.fence = (uint64_t)json_integer_value(json_object_get(claim, "fence"));
    json_decref(claim);
    return talk;
}

static struct id reply_in(struct fixture *f, const struct talk *talk, const char *text)
{
    struct outgoing what;
    outgoing_init(&what, 100 + f->decided++, "agent-1", clock_unix_ms());
    outgoing_reply(&what, &talk->sample.conversation, talk->fence, &talk->sample.event_id, NULL);
    what.reply.text = (char *)text;
    return decide(f, &what);
}

static struct id reply(struct fixture *f, unsigned number)
{
    struct talk talk = begin_talk(f, number);
    return reply_in(f, &talk, "we are on our way to the invented road");
}

/* --- what is seen --- */

static json_t *item_of(struct fixture *f, const struct id *item)
{
    json_t *row = NULL;
    struct error err = { 0 };
    if (store_item_get(f->store, item, &row, &err) != 0)
        fail_msg("get: %s", err.text);
    return row;
}

static void wait_state(struct fixture *f, const struct id *item, const char *wanted)
{
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    for (;;) {
        json_t *row = item_of(f, item);
        const char *state = json_string_value(json_object_get(row, "state"));
        bool is_so = state && strcmp(state, wanted) == 0;
        if (!is_so && clock_monotonic_ms() > until_ms) {
            char *log = process_log(f->process);
            (void)fprintf(stderr, "%s\n", log);
            free(log);
            fail_msg("'%s', not '%s'", state ? state : "-", wanted);
        }
        json_decref(row);
        if (is_so)
            return;
        (void)poll(NULL, 0, 20);
    }
}

static void wait_redis(struct fixture *f, const char *wanted, const char *command)
{
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    for (;;) {
        char *answer = redis_server_ask(f->redis, "%s", command);
        bool is_there = strcmp(answer, wanted) == 0;
        if (!is_there && clock_monotonic_ms() > until_ms)
            fail_msg("'%s' says '%s', not '%s'", command, answer, wanted);
        free(answer);
        if (is_there)
            return;
        (void)poll(NULL, 0, 20);
    }
}

/* --- replies --- */

static void a_reply_goes_out_once_and_leaves_the_stream(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id item = reply(f, 1);
    wait_state(f, &item, "sent");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 1);
    char *body = fake_platform_body(f->platform, "POST", MESSAGES, 0);
    json_t *message = json_loads(body, 0, NULL);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(message, "recipient"), "id")), "2002");
    assert_string_equal(json_string_value(json_object_get(message, "messaging_type")), "RESPONSE");
    json_decref(message);
    free(body);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:facebook:1001");
    json_t *row = item_of(f, &item);
    assert_int_equal(json_array_size(json_object_get(row, "object_ids")), 1);
    json_decref(row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reply_goes_out_once_and_leaves_the_stream, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
