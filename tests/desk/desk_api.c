#include "desk_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock/clock.h"
#include "config/config.h"
#include "crypto/crypto.h"

enum { TOKEN_BYTES = 64, PATH_BYTES = 128, WORKERS = 1 };
static const int64_t hour_ms = INT64_C(3600) * 1000;

static const char outward_yaml[] =
    "common: { force: testforce, redis: { address: \"unix:/nowhere\" } }\n"
    "outward:\n"
    "  accounts:\n"
    "    - { channel: facebook, account: \"1001\", base_url: \"https://graph.example\",\n"
    "        token_file: /nowhere, has_human_agent: true }\n"
    "    - { channel: whatsapp, account: \"1002\", base_url: \"https://graph.example\",\n"
    "        token_file: /nowhere }\n"
    "  outlets:\n"
    "    - { name: page, kind: facebook, account: \"1001\", url: \"https://graph.example\",\n"
    "        token_file: /nowhere }\n"
    "    - { name: short, kind: mastodon, url: \"https://social.example\", token_file: /nowhere }\n"
    "    - { name: feed, kind: feed }\n"
    "  feed:\n"
    "    listen: 127.0.0.1:0\n"
    "    base_url: https://feed.example\n"
    "    title_en: Notices\n"
    "    title_cy: Hysbysiadau\n"
    "    sender: desk@police.example\n"
    "    sender_name_en: Test Police\n"
    "    sender_name_cy: Heddlu Prawf\n";

static const struct {
    const char *name;
    const char *roles;
} holders[] = {
    { "mair", "agent" },   { "nia", "comms" },
    { "owen", "comms" },   { "sian", "supervisor,restricted" },
    { "gwyn", "auditor" },
};

void desk_api_token(const char *agent, char out[static TOKEN_BYTES])
{
    (void)snprintf(out, TOKEN_BYTES, "token-of-%s-0000000000000000000000000000", agent);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void write_tokens(const char *path)
{
    char lines[1024] = "", token[TOKEN_BYTES], hex[2 * CRYPTO_SHA256_BYTES + 1];
    uint8_t hash[CRYPTO_SHA256_BYTES];
    for (size_t i = 0; i < sizeof holders / sizeof holders[0]; i++) {
        size_t length = strlen(lines);
        desk_api_token(holders[i].name, token);
        crypto_sha256(token, strlen(token), hash);
        crypto_hex(hash, sizeof hash, hex);
        (void)snprintf(lines + length, sizeof lines - length, "%s %s %s\n", hex, holders[i].name,
                       holders[i].roles);
    }
    write_file(path, lines);
}

static void open_config(struct desk_api *self)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/desg.yaml", self->directory);
    write_file(path, outward_yaml);
    self->config =
        config_load(path, "outward", outward_config_fields, sizeof(struct outward_config), &err);
    if (!self->config)
        fail_msg("%s", err.text);
    self->outward = self->config->service;
    if (outward_config_check(self->outward, &err) != 0)
        fail_msg("%s", err.text);
}

static void open_chain(struct desk_api *self)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/journal", self->directory);
    assert_int_equal(mkdir(path, 0700), 0);
    const struct journal_options journal = {
        .directory = path, .max_bytes = 16 << 20, .retention_ms = hour_ms, .metrics = self->metrics
    };
    self->journal = journal_open(&journal, &err);
    if (!self->journal)
        fail_msg("%s", err.text);
    const struct chain_options chain = { .journal = self->journal,
                                         .retention_ms = hour_ms,
                                         .metrics = self->metrics };
    self->chain = chain_new(&chain, &err);
    if (!self->chain)
        fail_msg("%s", err.text);
    self->index = fact_index_new(4096);
}

static void open_dispatch(struct desk_api *self)
{
    static const char secret[] = "an invented key of the force, 32 bytes";
    struct error err = { 0 };
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/tokens", self->directory);
    write_tokens(path);
    self->id_key = id_key_new(secret, sizeof secret);
    self->api = (struct api){ .journal = self->journal,
                              .chain = self->chain,
                              .index = self->index,
                              .id_key = self->id_key,
                              .source = journal_source(self->journal),
                              .name = "desk",
                              .lease_s = 120,
                              .outward = self->outward };
    const struct dispatch_options options = { .api = &self->api,
                                              .tokens_file = path,
                                              .redis = &self->redis,
                                              .force = "testforce",
                                              .queues = &self->queues,
                                              .metrics = self->metrics,
                                              .workers = WORKERS };
    self->dispatch = dispatch_new(&options, &err);
    if (!self->dispatch)
        fail_msg("%s", err.text);
    const struct store_options store = {
        .redis = &self->redis, .force = "testforce", .queues = &self->queues, .label = "test"
    };
    self->store = store_new(&store, &err);
    assert_non_null(self->store);
}

int desk_api_new(void **state)
{
    struct desk_api *self = calloc(1, sizeof *self);
    assert_non_null(self);
    (void)snprintf(self->directory, sizeof self->directory, "/tmp/desg-desk-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    self->server = redis_server_new("noeviction", true);
    self->redis.address = (char *)redis_server_address(self->server);
    self->redis.timeout_ms = 2000;
    self->metrics = metrics_new();
    open_config(self);
    open_chain(self);
    open_dispatch(self);
    *state = self;
    return 0;
}

int desk_api_free(void **state)
{
    struct desk_api *self = *state;
    char command[128];
    store_destroy(&self->store);
    dispatch_destroy(&self->dispatch);
    chain_destroy(&self->chain);
    journal_close(&self->journal);
    fact_index_destroy(&self->index);
    id_key_destroy(&self->id_key);
    config_destroy(&self->config);
    metrics_destroy(&self->metrics);
    redis_server_destroy(&self->server);
    (void)snprintf(command, sizeof command, "rm -rf %s", self->directory);
    int rc = system(command); /* NOLINT(cert-env33-c): a folder this test made */
    free(self);
    return rc;
}

int desk_api_empty(void **state)
{
    struct desk_api *self = *state;
    free(redis_server_ask(self->server, "FLUSHALL"));
    return 0;
}

struct replay {
    struct store *store;
    uint64_t from; /* chain_read may begin with the record before */
    size_t count;
};

static bool apply_again(void *arg, const struct chain_link *link)
{
    struct replay *replay = arg;
    struct error err = { 0 };
    char history[STORE_HISTORY_BYTES];
    if (link->record->number < replay->from)
        return true;
    if (store_facts_apply(replay->store, &link->fact, 1, history, &err) != 0)
        fail_msg("%s", err.text);
    replay->count++;
    return true;
}

size_t desk_api_replay(struct desk_api *self, uint64_t from)
{
    struct error err = { 0 };
    struct replay replay = { .store = self->store, .from = from };
    if (chain_read(self->chain, from, apply_again, &replay, &err) != 0)
        fail_msg("%s", err.text);
    return replay.count;
}

void desk_api_forget(struct desk_api *self)
{
    fact_index_destroy(&self->index);
    self->index = fact_index_new(4096);
    self->api.index = self->index;
}

unsigned desk_api_ask(struct desk_api *self, const char *agent, const char *method,
                      const char *path, const char *key, json_t *body, json_t **answer)
{
    char token[TOKEN_BYTES], authorization[TOKEN_BYTES + 8], own_key[32], copy[PATH_BYTES];
    struct http_answer got = { 0 };
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    desk_api_token(agent, token);
    (void)snprintf(authorization, sizeof authorization, "Bearer %s", token);
    (void)snprintf(own_key, sizeof own_key, "key-%u-of-test", ++self->keys);
    (void)snprintf(copy, sizeof copy, "%s", path);
    struct http_request request = { .method = method,
                                    .path = copy,
                                    .authorization = authorization,
                                    .idempotency_key = key ? key : own_key,
                                    .body = text ? text : "",
                                    .body_bytes = text ? strlen(text) : 0 };
    for (char *at = strchr(copy, '?'), *rest = NULL; at; at = NULL) {
        *at = '\0';
        for (char *pair = strtok_r(at + 1, "&", &rest); pair; pair = strtok_r(NULL, "&", &rest)) {
            struct http_query *query = &request.query[request.query_count++];
            query->name = pair;
            query->value = strchr(pair, '=') + 1;
            query->value[-1] = '\0';
        }
    }
    dispatch_order(self->dispatch, &request, &got);
    if (answer)
        *answer = got.body ? json_loadb(got.body, got.body_bytes, 0, NULL) : NULL;
    free(got.body);
    free(text);
    return got.status;
}

unsigned desk_api_get(struct desk_api *self, const char *agent, const char *path, json_t **answer)
{
    return desk_api_ask(self, agent, "GET", path, NULL, NULL, answer);
}

json_t *desk_api_post(struct desk_api *self, const char *agent, const char *path, json_t *body,
                      unsigned status)
{
    json_t *answer = NULL;
    unsigned got = desk_api_ask(self, agent, "POST", path, NULL, body, &answer);
    if (got != status) {
        char *text = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
        fail_msg("%s: %u instead of %u: %s", path, got, status, text ? text : "");
    }
    json_decref(body);
    return answer;
}

const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

struct wanted {
    const char *kind;
    size_t count;
};

static bool count_kind(void *arg, const struct chain_link *link)
{
    struct wanted *wanted = arg;
    wanted->count += link->fact && strcmp(fact_kind(link->fact), wanted->kind) == 0;
    return true;
}

size_t desk_api_facts(struct desk_api *self, const char *kind)
{
    struct error err = { 0 };
    struct wanted wanted = { .kind = kind };
    assert_int_equal(chain_read(self->chain, 1, count_kind, &wanted, &err), 0);
    return wanted.count;
}

struct id desk_api_hear(struct desk_api *self, struct sample *sample)
{
    struct error err = { 0 };
    struct store_result result;
    char history[STORE_HISTORY_BYTES];
    sample_pack(sample);
    struct store_event event = sample_event(sample);
    if (store_apply(self->store, &event, 1, &result, history, &err) != 0)
        fail_msg("%s", err.text);
    if (result.outcome == STORE_ERROR)
        fail_msg("%s", result.error);
    return sample->conversation;
}

json_t *desk_api_closure(void)
{
    int64_t now_ms = clock_unix_ms();
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s}, s:s, s:s, s:I, s:I, s:[s, s]}",
                     "kind", "road-closure", "en", "headline", "Invented road closed", "text",
                     "The invented road is closed at the bridge after a collision.", "area",
                     "The bridge", "cy", "headline", "Ffordd ddychmygol ar gau", "text",
                     "Mae'r ffordd ddychmygol ar gau wrth y bont wedi gwrthdrawiad.", "area",
                     "Y bont", "road", "B4999", "road_state", "road-closed", "starts_at_ms",
                     (json_int_t)now_ms, "expires_at_ms", (json_int_t)(now_ms + 2 * hour_ms),
                     "outlets", "page", "feed");
}
