#include "notify/outbound.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <jansson.h>

#include "clock/clock.h"
#include "config/config.h"
#include "crypto/crypto.h"
#include "log/log.h"

enum { WAIT_MS = 500, ANSWER_BODY_MAX_BYTES = 16 << 10, HEADER_MAX_BYTES = 8 << 10 };

struct target {
    struct outbound_target options;
    char *token;
    char *signature_secret;
};

/* One POST on its way. */
struct exchange {
    struct outbound_post *post;
    CURL *curl;
    struct curl_slist *headers;
    int64_t started_ms;
    char answer[ANSWER_BODY_MAX_BYTES + 1];
    size_t answer_bytes;
    struct exchange *next;
};

struct outbound {
    struct target targets[OUTBOUND_TARGETS_MAX];
    size_t target_count;
    CURLM *multi;
    struct heartbeat *heartbeat;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_stopping;
    struct exchange *exchanges; /* the thread's own */
    pthread_mutex_t lock;       /* guards both below */
    struct outbound_post *first;
    struct outbound_post **end;
};

void outbound_post_clear(struct outbound_post *post)
{
    free(post->body);
    post->body = NULL;
}

/* --- secrets --- */

static void replace_secret(char **secret, char *fresh)
{
    if (!fresh)
        return;
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = fresh;
}

static char *read_token(const char *path, struct error *err)
{
    char *token = config_read_secret("token_file", path, err);
    if (!token || (strlen(token) <= HEADER_MAX_BYTES - 64 && !strpbrk(token, "\r\n")))
        return token;
    (void)error_set(err, ERROR_CONFIG, "%s: the token is too long or has several lines", path);
    explicit_bzero(token, strlen(token));
    free(token);
    return NULL;
}

/* Also before each post, as files are rotated: what is unfit leaves the last good one. */
static int read_secrets(struct target *target, struct error *err)
{
    if (target->options.token_file) {
        char *token = read_token(target->options.token_file, err);
        replace_secret(&target->token, token);
        if (!token)
            return -1;
    }
    if (target->options.signature_secret_file) {
        char *secret =
            config_read_secret("signature_secret_file", target->options.signature_secret_file, err);
        replace_secret(&target->signature_secret, secret);
        if (!secret)
            return -1;
    }
    return 0;
}

/* --- one exchange --- */

/* One line, in up to three parts. */
static void add_header(struct exchange *exchange, const char *start, const char *middle,
                       const char *end)
{
    char line[HEADER_MAX_BYTES];
    int length = snprintf(line, sizeof line, "%s%s%s", start, middle, end);
    assert(length > 0 && (size_t)length < sizeof line); /* secrets are bounded when read */
    struct curl_slist *longer = curl_slist_append(exchange->headers, line);
    if (!longer)
        abort();
    exchange->headers = longer;
    explicit_bzero(line, sizeof line);
}

static void add_headers(struct exchange *exchange, const struct target *target)
{
    const struct outbound_post *post = exchange->post;
    bool is_quoted = target->options.quote_key;
    add_header(exchange, "Content-Type: ", post->content_type, "");
    add_header(exchange, "Expect:", "", ""); /* do not wait for 100-continue */
    if (post->key[0] != '\0')
        add_header(exchange, is_quoted ? "Idempotency-Key: \"" : "Idempotency-Key: ", post->key,
                   is_quoted ? "\"" : "");
    if (target->token)
        add_header(exchange, "Authorization: Bearer ", target->token, "");
    if (!target->signature_secret)
        return;
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    crypto_hmac_sha256(target->signature_secret, strlen(target->signature_secret), post->body,
                       post->length, mac);
    crypto_hex(mac, sizeof mac, hex);
    add_header(exchange, "X-Hub-Signature-256: sha256=", hex, "");
}

/* Keeps the start of the answer and reads past the rest. */
static size_t on_answer(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = arg;
    size_t room = ANSWER_BODY_MAX_BYTES - exchange->answer_bytes;
    size_t length = size * count;
    size_t kept = length < room ? length : room;
    memcpy(exchange->answer + exchange->answer_bytes, bytes, kept);
    exchange->answer_bytes += kept;
    return length;
}

static bool set_options(struct exchange *exchange, const struct target *target)
{
    const struct outbound_target *options = &target->options;
    const struct outbound_post *post = exchange->post;
    CURL *curl = exchange->curl;
    bool is_set = true;
#define SET(option, value) (is_set = curl_easy_setopt(curl, option, value) == CURLE_OK && is_set)
    SET(CURLOPT_URL, options->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, ""); /* none, whatever the environment says */
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "desg/" DESG_VERSION);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, post->body);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->length);
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_PRIVATE, exchange);
    if (options->ca_file)
        SET(CURLOPT_CAINFO, options->ca_file);
#undef SET
    return is_set;
}

static const char *error_name(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "no-address";
    case CURLE_COULDNT_CONNECT:
        return "no-connection";
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 and other nonsense instead of an answer */
        return "cut-off";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return "tls";
    default:
        return "other";
    }
}

static void take_receipt(const struct exchange *exchange, struct outbound_post *post)
{
    static const char *const names[] = { "receipt", "id" };
    json_t *answer = json_loadb(exchange->answer, exchange->answer_bytes, 0, NULL);
    const char *receipt = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !receipt; i++)
        receipt = json_string_value(json_object_get(answer, names[i]));
    size_t length = receipt ? strlen(receipt) : 0;
    bool is_plain = length > 0 && length < sizeof post->receipt;
    for (size_t i = 0; i < length && is_plain; i++)
        is_plain = receipt[i] > ' ' && receipt[i] <= '~';
    if (is_plain)
        memcpy(post->receipt, receipt, length + 1);
    json_decref(answer);
}

static void take_answer(const struct exchange *exchange, CURLcode code)
{
    struct outbound_post *post = exchange->post;
    long status = 0;
    curl_off_t retry_after_s = 0;
    post->took_ms = clock_monotonic_ms() - exchange->started_ms;
    if (code != CURLE_OK) { /* half an answer is none: whether it was taken is unknown */
        (void)snprintf(post->error, sizeof post->error, "%s", error_name(code));
        return;
    }
    if (curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        post->http_status = (unsigned)status;
    if (curl_easy_getinfo(exchange->curl, CURLINFO_RETRY_AFTER, &retry_after_s) == CURLE_OK &&
        retry_after_s > 0)
        post->retry_after_ms = retry_after_s < 86400 ? (int64_t)retry_after_s * 1000 : 86400000;
    if (status >= 200 && status < 300)
        take_receipt(exchange, post);
}

/* Ends the exchange and hands the post back. */
static void finish(struct outbound *self, struct exchange *exchange)
{
    struct exchange **link = &self->exchanges;
    while (*link != exchange)
        link = &(*link)->next;
    *link = exchange->next;
    if (exchange->curl) {
        (void)curl_multi_remove_handle(self->multi, exchange->curl); /* only fails if not added */
        curl_easy_cleanup(exchange->curl);
    }
    struct outbound_post *post = exchange->post;
    curl_slist_free_all(exchange->headers);
    free(exchange);
    post->done(post->arg, post);
}

static void begin(struct outbound *self, struct outbound_post *post)
{
    assert(post->target < self->target_count);
    struct target *target = &self->targets[post->target];
    struct error err = { 0 };
    if (read_secrets(target, &err) != 0)
        log_warn("secret_not_read", KV("target", post->target), KV("error", err.text));
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        abort();
    exchange->post = post;
    exchange->started_ms = clock_monotonic_ms();
    exchange->next = self->exchanges;
    self->exchanges = exchange;
    exchange->curl = curl_easy_init();
    if (!exchange->curl)
        abort();
    add_headers(exchange, target);
    if (set_options(exchange, target) &&
        curl_multi_add_handle(self->multi, exchange->curl) == CURLM_OK)
        return;
    (void)snprintf(post->error, sizeof post->error, "not-started");
    finish(self, exchange);
}

/* --- the thread --- */

static void begin_waiting(struct outbound *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct outbound_post *post = self->first;
    self->first = NULL;
    self->end = &self->first;
    (void)pthread_mutex_unlock(&self->lock);
    while (post) {
        struct outbound_post *next = post->next;
        begin(self, post);
        post = next;
    }
}

static void finish_answered(struct outbound *self)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(self->multi, &left)) != NULL;) {
        struct exchange *exchange = NULL;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange) !=
                CURLE_OK)
            continue;
        take_answer(exchange, message->data.result);
        finish(self, exchange);
    }
}

static void *outbound_thread(void *arg)
{
    struct outbound *self = arg;
    while (!atomic_load(&self->is_stopping)) {
        int running = 0;
        if (self->heartbeat)
            heartbeat_beat(self->heartbeat);
        begin_waiting(self);
        CURLMcode code = curl_multi_perform(self->multi, &running);
        finish_answered(self);
        if (code == CURLM_OK)
            code = curl_multi_poll(self->multi, NULL, 0, WAIT_MS, NULL);
        if (code != CURLM_OK)
            log_error("outbound_stumbled", KV("curl", curl_multi_strerror(code)));
    }
    begin_waiting(self);
    while (self->exchanges) {
        struct outbound_post *post = self->exchanges->post;
        (void)snprintf(post->error, sizeof post->error, "stopped");
        finish(self, self->exchanges);
    }
    return NULL;
}

/* --- life --- */

static int add_target(struct outbound *self, const struct outbound_target *options,
                      struct error *err)
{
    struct target *target = &self->targets[self->target_count++];
    target->options = *options;
    CURLU *url = curl_url();
    CURLUcode code = url ? curl_url_set(url, CURLUPART_URL, options->url, 0) : CURLUE_OUT_OF_MEMORY;
    curl_url_cleanup(url);
    if (code != CURLUE_OK)
        return error_set(err, ERROR_CONFIG,
                         "'%s' is not an address to post to: %s; write such as "
                         "https://dispatch.example/v1/alerts",
                         options->url, curl_url_strerror(code));
    return read_secrets(target, err);
}

static int start(struct outbound *self, const struct outbound_target *targets, size_t count,
                 struct error *err)
{
    assert(count <= OUTBOUND_TARGETS_MAX);
    for (size_t i = 0; i < count; i++)
        if (add_target(self, &targets[i], err) != 0)
            return -1;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(self->multi = curl_multi_init()))
        return error_set(err, ERROR_SYSTEM, "cannot start libcurl");
    if (pthread_create(&self->thread, NULL, outbound_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the outbound thread");
    self->has_thread = true;
    return 0;
}

struct outbound *outbound_new(struct service *service, const struct outbound_target *targets,
                              size_t count, struct error *err)
{
    struct outbound *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the outbound thread");
        return NULL;
    }
    self->end = &self->first;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    self->heartbeat = service ? service_heartbeat_new(service, "outbound") : NULL;
    if (start(self, targets, count, err) != 0)
        outbound_destroy(&self);
    return self;
}

void outbound_destroy(struct outbound **self_p)
{
    struct outbound *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        atomic_store(&self->is_stopping, true);
        (void)curl_multi_wakeup(self->multi); /* else it wakes within WAIT_MS */
        (void)pthread_join(self->thread, NULL);
    }
    if (self->multi)
        (void)curl_multi_cleanup(self->multi); /* all handles are removed */
    for (size_t i = 0; i < self->target_count; i++) {
        replace_secret(&self->targets[i].token, calloc(1, 1));
        replace_secret(&self->targets[i].signature_secret, calloc(1, 1));
        free(self->targets[i].token);
        free(self->targets[i].signature_secret);
    }
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void outbound_send(struct outbound *self, struct outbound_post *post)
{
    post->http_status = 0;
    post->error[0] = post->receipt[0] = '\0';
    post->retry_after_ms = 0;
    post->next = NULL;
    (void)pthread_mutex_lock(&self->lock);
    *self->end = post;
    self->end = &post->next;
    (void)pthread_mutex_unlock(&self->lock);
    (void)curl_multi_wakeup(self->multi); /* else it wakes within WAIT_MS */
}
