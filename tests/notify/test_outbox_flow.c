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
#include "side_by_side.h"

enum { LONG_MS = 30000, PATH_BYTES = 128, AT_ONCE = 6 };

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

/* A sanitizer's finding in the process fails the test that brought it about. */
static void look_for_findings(struct process *process)
{
    if (!process)
        return;
    char *log = process_log(process);
    bool is_clean = !strstr(log, "Sanitizer:") && !strstr(log, "runtime error:");
    if (!is_clean)
        (void)fprintf(stderr, "%s\n", log);
    free(log);
    assert_true(is_clean);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    look_for_findings(f->process);
    look_for_findings(f->other);
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

static struct process *start_named(struct fixture *f, const char *name)
{
    char more[4096];
    char journal[PATH_BYTES];
    unsigned port = fake_platform_port(f->platform);
    (void)snprintf(journal, sizeof journal, "%s/%s", f->directory, name);
    (void)mkdir(journal, 0700);
    (void)snprintf(
        more, sizeof more,
        "  test_interval_s: 0\n"
        "  outbox_journal: { directory: %s, size_mib: 16 }\n"
        "outward:\n"
        "  unknown_after_s: 1\n"
        "  lease_ms: 3000\n"
        "  accounts:\n"
        "    - { channel: facebook, account: \"1001\", base_url: \"http://127.0.0.1:%u\",\n"
        "        token_file: %s/token, per_minute: 60000 }\n"
        "  outlets:\n"
        "    - { name: page, kind: facebook, account: \"1001\", url: \"http://127.0.0.1:%u\",\n"
        "        token_file: %s/token, per_minute: 6000, timeout_ms: 2000 }\n"
        "    - { name: x, kind: webhook, url: \"http://127.0.0.1:%u/hook\",\n"
        "        signature_secret_file: %s/secret, per_minute: 6000, timeout_ms: 6000 }\n",
        journal, port, f->directory, port, f->directory, port, f->directory);
    return process_new(&(struct process_options){ .name = name,
                                                  .dispatch_port = fake_dispatch_port(f->dispatch),
                                                  .redis_address = f->config.address,
                                                  .more = more });
}

static void start(struct fixture *f)
{
    f->process = start_named(f, "notify");
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

static void wait_metric(struct fixture *f, const char *series, double wanted)
{
    if (!process_wait_metric(f->process, series, wanted, LONG_MS))
        fail_msg("%s is not %g", series, wanted);
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

/* 5,000 characters go in three messages, the next when the one before is there. */
static void a_long_reply_goes_in_parts_in_order(void **state)
{
    struct fixture *f = *state;
    char text[5001] = "";
    for (unsigned n = 0; strlen(text) < 4950; n++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "Sentence number %u. ", n);
    fake_platform_script(f->platform,
                         &(struct platform_script){
                             .path_end = MESSAGES, .times = 1, .status = 429, .retry_after = "1" });
    start(f);
    struct talk talk = begin_talk(f, 1);
    struct id item = reply_in(f, &talk, text);
    wait_state(f, &item, "sent");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 4);
    static const char *const begins[] = { "number 0.", "number 0." };
    for (size_t i = 0; i < 2; i++) { /* 429 is later, and the first part again */
        char *body = fake_platform_body(f->platform, "POST", MESSAGES, i);
        assert_non_null(strstr(body, begins[i]));
        free(body);
    }
    json_t *row = item_of(f, &item);
    assert_int_equal(json_integer_value(json_object_get(row, "parts_sent")), 3);
    json_decref(row);
}

static void two_replies_in_a_conversation_keep_their_order(void **state)
{
    struct fixture *f = *state;
    fake_platform_script(f->platform, &(struct platform_script){ .method = "POST",
                                                                 .path_end = MESSAGES,
                                                                 .times = 2,
                                                                 .status = 429,
                                                                 .retry_after = "1" });
    struct talk talk = begin_talk(f, 1);
    struct id first = reply_in(f, &talk, "first words");
    struct id second = reply_in(f, &talk, "second words");
    start(f);
    wait_state(f, &first, "sent");
    wait_state(f, &second, "sent");
    size_t count = fake_platform_count(f->platform, "POST", MESSAGES);
    char *last = fake_platform_body(f->platform, "POST", MESSAGES, count - 1);
    assert_non_null(strstr(last, "second words"));
    free(last);
}

/* Redis says so at the moment of sending, not at that of writing. */
static void a_reply_whose_conversation_changed_hands_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    json_t *claim = NULL;
    struct talk talk = begin_talk(f, 1);
    struct id item = reply_in(f, &talk, "too late");
    assert_int_equal(
        store_release(f->store, "agent-1", &talk.sample.conversation, talk.fence, &err), 0);
    assert_int_equal(store_claim(f->store, "agent-2", "", &talk.sample.conversation, &claim, &err),
                     0);
    json_decref(claim);
    start(f);
    wait_state(f, &item, "refused");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 0);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:facebook:1001");
    char *log = process_log(f->process);
    assert_non_null(strstr(log, "item_refused"));
    assert_null(strstr(log, "agent-2")); /* who holds it now is for people, not for the log */
    free(log);
}

/* --- nobody knows --- */

/* The time-out of an account is 10 s: what was taken and not answered is looked for, then a person
 * is asked. */
static struct id unknown_reply(struct fixture *f)
{
    fake_platform_script(f->platform, &(struct platform_script){ .method = "POST",
                                                                 .path_end = MESSAGES,
                                                                 .times = 1,
                                                                 .manner = PLATFORM_DROPS });
    start(f);
    struct id item = reply(f, 1);
    wait_state(f, &item, "unknown");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 1);
    return item;
}

static void settle(struct fixture *f, const struct id *item, Desg__V1__SettledAs as)
{
    struct outgoing what;
    outgoing_init(&what, 100 + f->decided++, "agent-1", clock_unix_ms());
    outgoing_settle(&what, item, as);
    (void)decide(f, &what);
}

static void an_answer_that_never_came_is_not_repeated_until_a_person_says_so(void **state)
{
    struct fixture *f = *state;
    struct id item = unknown_reply(f);
    wait_metric(f, "desg_outbox_unknown", 1);
    settle(f, &item, DESG__V1__SETTLED_AS__SETTLED_AS_AGAIN);
    wait_state(f, &item, "sent");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 2);
}

static void a_person_says_it_is_there(void **state)
{
    struct fixture *f = *state;
    struct id item = unknown_reply(f);
    settle(f, &item, DESG__V1__SETTLED_AS__SETTLED_AS_THERE);
    wait_state(f, &item, "settled");
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:facebook:1001");
    assert_true(fake_platform_count(f->platform, "POST", MESSAGES) == 1);
}

/* --- accounts --- */

static void a_dead_token_blocks_its_account_until_the_file_is_renewed(void **state)
{
    static const char dead[] = "{\"error\":{\"message\":\"expired\",\"type\":\"OAuthException\","
                               "\"code\":190,\"error_subcode\":463}}";
    struct fixture *f = *state;
    char path[PATH_BYTES];
    fake_platform_script(
        f->platform,
        &(struct platform_script){
            .method = "POST", .path_end = MESSAGES, .times = 1, .status = 401, .body = dead });
    start(f);
    struct id item = reply(f, 1);
    wait_state(f, &item, "blocked");
    wait_metric(f, "desg_outbox_blocked{place=\"facebook:1001\"}", 1);
    struct id other = reply(f, 2);
    (void)poll(NULL, 0, 2500); /* the file's first look */
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 1);
    (void)snprintf(path, sizeof path, "%s/token", f->directory);
    write_file(path, "a-new-page-token");
    wait_state(f, &item, "sent");
    wait_state(f, &other, "sent");
    wait_metric(f, "desg_outbox_blocked{place=\"facebook:1001\"}", 0);
}

/* --- broadcasts --- */

static struct id publish(struct fixture *f, const struct id *update_of, uint32_t version)
{
    struct outgoing what;
    int64_t now_ms = clock_unix_ms();
    outgoing_init(&what, 100 + f->decided++, "comms-1", now_ms);
    outgoing_draft(&what, update_of);
    what.en.text = (char *)(version == 1 ? "The first words." : "The second words.");
    what.cy.text = (char *)(version == 1 ? "Y geiriau cyntaf." : "Yr ail eiriau.");
    struct id broadcast = decide(f, &what);
    outgoing_init(&what, 100 + f->decided++, "comms-2", now_ms + 1);
    outgoing_approve(&what, &broadcast, version);
    (void)decide(f, &what);
    outgoing_init(&what, 100 + f->decided++, "comms-1", now_ms + 2);
    outgoing_publish(&what, &broadcast, version);
    (void)decide(f, &what);
    return broadcast;
}

static void wait_count(struct fixture *f, const char *method, const char *path_end, size_t count)
{
    if (!fake_platform_wait(f->platform, method, path_end, count, LONG_MS)) {
        char *log = process_log(f->process);
        (void)fprintf(stderr, "%s\n", log);
        free(log);
        fail_msg("%s %s: %zu, not %zu", method, path_end,
                 fake_platform_count(f->platform, method, path_end), count);
    }
}

static void a_broadcast_is_posted_edited_and_taken_back(void **state)
{
    struct fixture *f = *state;
    struct outgoing what;
    start(f);
    struct id broadcast = publish(f, NULL, 1);
    wait_count(f, "POST", FEED, 1);
    wait_count(f, "POST", "/hook", 1);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:outlet:page");
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:outlet:x");
    (void)publish(f, &broadcast, 2);
    wait_count(f, "POST", "/hook", 2);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:outlet:page");
    assert_int_equal(fake_platform_count(f->platform, "POST", FEED), 1); /* edited */
    outgoing_init(&what, 100 + f->decided++, "comms-1", clock_unix_ms());
    outgoing_cancel(&what, &broadcast);
    (void)decide(f, &what);
    wait_count(f, "POST", "/hook", 3);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:outlet:page");
    assert_int_equal(fake_platform_count(f->platform, "POST", FEED), 1);
    char *edited = NULL;
    for (size_t i = 0, posts = fake_platform_count(f->platform, "POST", NULL); i < posts; i++) {
        char *body = fake_platform_body(f->platform, "POST", NULL, i);
        if (strstr(body, "The second words.") && strstr(body, "Yr ail eiriau.") && !edited)
            edited = body;
        else
            free(body);
    }
    assert_non_null(edited);
    free(edited);
}

static void cancel(struct fixture *f, const struct id *broadcast)
{
    struct outgoing what;
    outgoing_init(&what, 100 + f->decided++, "comms-1", clock_unix_ms());
    outgoing_cancel(&what, broadcast);
    (void)decide(f, &what);
}

/* All that is asked of the post at the page from now on is answered so. */
static void answer_at_post(struct fixture *f, unsigned status, const char *body)
{
    static const char *const posts[] = { "m_1", "m_2", "m_3", "m_4", "m_5", "m_6", "m_7", "m_8" };
    for (size_t i = 0; i < sizeof posts / sizeof posts[0]; i++)
        fake_platform_script(
            f->platform, &(struct platform_script){
                             .path_end = posts[i], .times = 100, .status = status, .body = body });
}

static void what_is_not_there_any_more_is_taken_back(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id broadcast = publish(f, NULL, 1);
    wait_count(f, "POST", "/hook", 1);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:outlet:page");
    answer_at_post(f, 400, "{\"error\":{\"code\":100,\"error_subcode\":33}}");
    cancel(f, &broadcast);
    wait_count(f, "POST", "/hook", 2);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:outlet:page");
    assert_int_equal(fake_platform_count(f->platform, "DELETE", NULL), 1);
    wait_redis(f, "0", "ZCARD desg:{testforce}:items-task");
}

static void what_the_platform_does_not_take_back_is_a_persons_task(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id broadcast = publish(f, NULL, 1);
    wait_count(f, "POST", "/hook", 1);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:outlet:page");
    answer_at_post(f, 400,
                   "{\"error\":{\"code\":100}}"); /* a parameter is bad: it is there still */
    cancel(f, &broadcast);
    wait_redis(f, "1", "ZCARD desg:{testforce}:items-task");
    assert_int_equal(fake_platform_count(f->platform, "DELETE", NULL), 1);
}

static void a_hanging_outlet_holds_up_neither_the_others_nor_replies(void **state)
{
    struct fixture *f = *state;
    fake_platform_script(f->platform,
                         &(struct platform_script){ .method = "POST",
                                                    .path_end = "/hook",
                                                    .times = 100,
                                                    .manner = PLATFORM_TAKES_AND_HANGS });
    start(f);
    (void)publish(f, NULL, 1);
    wait_count(f, "POST", "/hook", 1);
    struct id item = reply(f, 1);
    wait_state(f, &item, "sent");
    wait_count(f, "POST", FEED, 1);
    assert_int_equal(fake_platform_count(f->platform, "POST", "/hook"), 1); /* it hangs still */
    wait_count(f, "POST", "/hook", 2);                                      /* under the same key */
    fake_platform_release(f->platform);
}

static void a_freeze_holds_broadcasts_and_no_reply(void **state)
{
    struct fixture *f = *state;
    struct outgoing what;
    outgoing_init(&what, 100 + f->decided++, "comms-1", clock_unix_ms());
    outgoing_freeze(&what, clock_unix_ms() + 600000, "outlet:x");
    (void)decide(f, &what);
    start(f);
    (void)publish(f, NULL, 1);
    struct id item = reply(f, 1);
    wait_state(f, &item, "sent");
    wait_count(f, "POST", "/hook", 1); /* a place of the named list */
    assert_int_equal(fake_platform_count(f->platform, "POST", FEED), 0);
    outgoing_init(&what, 100 + f->decided++, "comms-1", clock_unix_ms());
    outgoing_freeze(&what, 0, NULL);
    (void)decide(f, &what);
    wait_count(f, "POST", FEED, 1);
}

/* --- receipts --- */

static void write_in(struct fixture *f, unsigned conversation, unsigned number,
                     Desg__V1__Language language, const char *category)
{
    struct error err = { 0 };
    struct sample sample;
    struct store_result result;
    char history[STORE_HISTORY_BYTES];
    sample_init(&sample, conversation, number, clock_unix_ms(),
                DESG__V1__SEVERITY__SEVERITY_ATTENTION);
    sample.event.object_id = (char *)(number == 1 ? "m_1" : "m_2");
    sample.verdict.language = language;
    sample.verdict.category = (char *)category;
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    if (store_apply(f->store, &event, 1, &result, history, &err) != 0)
        fail_msg("apply: %s", err.text);
}

static void first_contact_gets_one_word_of_receipt_with_its_number(void **state)
{
    static char sensitive[] = "sexual-offence";
    static char *categories[] = { sensitive };
    struct fixture *f = *state;
    f->queues.receipt_after_hours = 24;
    f->queues.sensitive_categories = categories;
    f->queues.sensitive_categories_count = 1;
    start(f);
    write_in(f, 7, 1, DESG__V1__LANGUAGE__LANGUAGE_EN, "other");
    write_in(f, 7, 2, DESG__V1__LANGUAGE__LANGUAGE_EN, "other");
    wait_count(f, "POST", MESSAGES, 1);
    char *english = fake_platform_body(f->platform, "POST", MESSAGES, 0);
    assert_non_null(strstr(english, "999"));
    assert_null(strstr(english, "{reference}"));
    assert_null(strstr(english, "HUMAN_AGENT"));
    write_in(f, 8, 1, DESG__V1__LANGUAGE__LANGUAGE_UNSURE, "other");
    wait_count(f, "POST", MESSAGES, 2);
    char *both = fake_platform_body(f->platform, "POST", MESSAGES, 1);
    assert_true(strlen(both) > strlen(english) * 3 / 2);
    write_in(f, 9, 1, DESG__V1__LANGUAGE__LANGUAGE_EN, "sexual-offence");
    wait_count(f, "POST", MESSAGES, 3);
    char *neutral = fake_platform_body(f->platform, "POST", MESSAGES, 2);
    assert_string_not_equal(neutral, english);
    free(english);
    free(both);
    free(neutral);
    wait_redis(f, "0", "XLEN desg:{testforce}:outbox:facebook:1001");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 3);
}

/* --- crashes, replicas --- */

static void killed_while_a_call_is_under_way_it_asks_instead_of_repeating(void **state)
{
    struct fixture *f = *state;
    fake_platform_script(f->platform,
                         &(struct platform_script){ .method = "POST",
                                                    .path_end = MESSAGES,
                                                    .times = 1,
                                                    .manner = PLATFORM_TAKES_AND_HANGS });
    start(f);
    struct id item = reply(f, 1);
    wait_count(f, "POST", MESSAGES, 1);
    process_kill(f->process);
    fake_platform_release(f->platform);
    process_start(f->process);
    wait_state(f, &item, "unknown");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 1);
    settle(f, &item, DESG__V1__SETTLED_AS__SETTLED_AS_AGAIN);
    wait_state(f, &item, "sent");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 2);
}

static void another_replica_takes_the_places_of_one_that_died(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id first = reply(f, 1);
    wait_state(f, &first, "sent");
    f->other = start_named(f, "notify-other");
    process_kill(f->process);
    struct id second = reply(f, 2);
    wait_state(f, &second, "sent");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 2);
    process_start(f->process);
    struct id third = reply(f, 3);
    wait_state(f, &third, "sent");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 3);
}

static void a_drain_gives_the_places_to_another_at_once(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id first = reply(f, 1);
    wait_state(f, &first, "sent");
    f->other = start_named(f, "notify-other");
    assert_int_equal(process_stop(f->process), 0);
    struct id second = reply(f, 2);
    wait_state(f, &second, "sent");
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 2);
}

static void an_emptied_redis_gets_no_reply_sent_twice(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id item = reply(f, 1);
    wait_state(f, &item, "sent");
    free(redis_server_ask(f->redis, "FLUSHALL"));
    wait_state(f, &item, "sent"); /* from the journal */
    assert_int_equal(fake_platform_count(f->platform, "POST", MESSAGES), 1);
}

/* How often the platform was asked to say text. */
static size_t times_said(struct fixture *f, const char *text)
{
    size_t said = 0;
    for (size_t i = 0, count = fake_platform_count(f->platform, "POST", MESSAGES); i < count; i++) {
        char *body = fake_platform_body(f->platform, "POST", MESSAGES, i);
        said += strstr(body, text) != NULL;
        free(body);
    }
    return said;
}

/* What a person does who looks at the platform. */
static bool settle_if_unknown(struct fixture *f, const struct id *item, const char *text)
{
    json_t *row = item_of(f, item);
    const char *state = json_string_value(json_object_get(row, "state"));
    bool is_over = state && (strcmp(state, "sent") == 0 || strcmp(state, "settled") == 0);
    if (state && strcmp(state, "unknown") == 0)
        settle(f, item,
               times_said(f, text) > 0 ? DESG__V1__SETTLED_AS__SETTLED_AS_THERE
                                       : DESG__V1__SETTLED_AS__SETTLED_AS_AGAIN);
    json_decref(row);
    return is_over;
}

static void killed_again_and_again_it_says_everything_once(void **state)
{
    enum { REPLIES = 60, KILLS = 8 };
    struct fixture *f = *state;
    struct id items[REPLIES];
    char texts[REPLIES][32];
    for (unsigned n = 0; n < REPLIES / 10; n++) {
        fake_platform_script(f->platform, &(struct platform_script){ .method = "POST",
                                                                     .path_end = MESSAGES,
                                                                     .times = 1,
                                                                     .manner = PLATFORM_DROPS });
    }
    start(f);
    for (unsigned n = 0; n < REPLIES; n++) {
        struct talk talk = begin_talk(f, n + 1);
        (void)snprintf(texts[n], sizeof texts[n], "words number %u of many", n);
        items[n] = reply_in(f, &talk, texts[n]);
        if (n % (REPLIES / KILLS) == 3) {
            (void)fake_platform_wait(f->platform, "POST", MESSAGES, n / 2, 2000);
            process_kill(f->process);
            process_start(f->process);
        }
    }
    int64_t until_ms = clock_monotonic_ms() + 2LL * LONG_MS;
    for (unsigned n = 0; n < REPLIES;) {
        if (settle_if_unknown(f, &items[n], texts[n])) {
            n++;
            continue;
        }
        if (clock_monotonic_ms() > until_ms)
            fail_msg("reply %u is not over", n);
        (void)poll(NULL, 0, 50);
    }
    for (unsigned n = 0; n < REPLIES; n++)
        assert_int_equal(times_said(f, texts[n]), 1);
}

#define WITH_ALL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ALL(killed_again_and_again_it_says_everything_once), /* the longest first */
        WITH_ALL(a_reply_goes_out_once_and_leaves_the_stream),
        WITH_ALL(a_long_reply_goes_in_parts_in_order),
        WITH_ALL(two_replies_in_a_conversation_keep_their_order),
        WITH_ALL(a_reply_whose_conversation_changed_hands_is_refused),
        WITH_ALL(an_answer_that_never_came_is_not_repeated_until_a_person_says_so),
        WITH_ALL(a_person_says_it_is_there),
        WITH_ALL(a_dead_token_blocks_its_account_until_the_file_is_renewed),
        WITH_ALL(a_broadcast_is_posted_edited_and_taken_back),
        WITH_ALL(what_is_not_there_any_more_is_taken_back),
        WITH_ALL(what_the_platform_does_not_take_back_is_a_persons_task),
        WITH_ALL(a_hanging_outlet_holds_up_neither_the_others_nor_replies),
        WITH_ALL(a_freeze_holds_broadcasts_and_no_reply),
        WITH_ALL(first_contact_gets_one_word_of_receipt_with_its_number),
        WITH_ALL(killed_while_a_call_is_under_way_it_asks_instead_of_repeating),
        WITH_ALL(another_replica_takes_the_places_of_one_that_died),
        WITH_ALL(a_drain_gives_the_places_to_another_at_once),
        WITH_ALL(an_emptied_redis_gets_no_reply_sent_twice),
    };
    return side_by_side(tests, sizeof tests / sizeof tests[0], AT_ONCE);
}
