/* Calls: one libcurl multi handle, one thread. */
#include "notify/outbound.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock/clock.h"
#include "log/log.h"
#include "notify/outbound_inside.h"

enum { WAIT_MS = 500, RETRY_AFTER_MAX_S = 86400 };

/* One call on its way. */
struct exchange {
    struct outbound_call *call;
    CURL *curl;
    struct curl_slist *headers;
    int64_t started_ms;
    size_t answer_room;
    struct exchange *next;
};

void outbound_call_clear(struct outbound_call *call)
{
    free(call->answer);
    free(call->answer_headers);
    call->answer = call->answer_headers = NULL;
    call->answer_bytes = call->answer_headers_bytes = 0;
}

const char *outbound_header(void *call, const char *name)
{
    const struct outbound_call *self = call;
    const char *end = self->answer_headers + self->answer_headers_bytes;
    for (const char *at = self->answer_headers; at && at < end;) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

/* --- one exchange --- */

static void add_header(struct exchange *exchange, const char *line)
{
    struct curl_slist *longer = curl_slist_append(exchange->headers, line);
    if (!longer)
        abort();
    exchange->headers = longer;
}

static void forget_headers(struct exchange *exchange)
{
    for (struct curl_slist *line = exchange->headers; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data)); /* tokens, signatures */
    curl_slist_free_all(exchange->headers);
}

/* Keeps the start of the answer and reads past the rest. */
static size_t on_answer(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = arg;
    struct outbound_call *call = exchange->call;
    size_t length = size * count;
    size_t left = OUTBOUND_ANSWER_MAX_BYTES - call->answer_bytes;
    size_t kept = length < left ? length : left;
    if (call->answer_bytes + kept > exchange->answer_room) {
        size_t room = 2 * (call->answer_bytes + kept);
        exchange->answer_room = room < OUTBOUND_ANSWER_MAX_BYTES ? room : OUTBOUND_ANSWER_MAX_BYTES;
        call->answer = realloc(call->answer, exchange->answer_room + 1);
        if (!call->answer)
            abort();
    }
    memcpy(call->answer + call->answer_bytes, bytes, kept);
    call->answer_bytes += kept;
    call->answer[call->answer_bytes] = '\0';
    call->is_cut = call->is_cut || kept < length;
    return length;
}

static bool set_limits(CURL *curl, const struct outbound_call *call)
{
    bool is_set = true;
#define SET(option, value) (is_set = curl_easy_setopt(curl, option, value) == CURLE_OK && is_set)
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, ""); /* none, whatever the environment says */
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "desg/" DESG_VERSION);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    if (call->ca_file)
        SET(CURLOPT_CAINFO, call->ca_file);
    if (!call->is_repeatable) { /* else libcurl sends again what died on a connection used before */
        SET(CURLOPT_FRESH_CONNECT, 1L);
        SET(CURLOPT_FORBID_REUSE, 1L);
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    }
    return is_set;
}

static bool set_request(struct exchange *exchange)
{
    const struct outbound_call *call = exchange->call;
    CURL *curl = exchange->curl;
    bool is_set = true;
    SET(CURLOPT_URL, call->url);
    if (call->body || strcmp(call->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, call->body ? call->body : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->body ? call->length : 0));
    }
    SET(CURLOPT_CUSTOMREQUEST, call->method);
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_PRIVATE, exchange);
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

/* libcurl counts the bytes of requests it gave to the connection: none, and nobody has anything.
 * A send that failed may have left some before it did. */
static bool is_unsent(CURL *curl, CURLcode code)
{
    long written = 1;
    return code != CURLE_SEND_ERROR &&
           curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &written) == CURLE_OK && written == 0;
}

static void append(struct outbound_call *call, const char *text, size_t length)
{
    memcpy(call->answer_headers + call->answer_headers_bytes, text, length);
    call->answer_headers_bytes += length;
    call->answer_headers[call->answer_headers_bytes++] = '\0';
}

/* Name, NUL, value, NUL, … */
static void keep_headers(const struct exchange *exchange)
{
    struct outbound_call *call = exchange->call;
    call->answer_headers = malloc(OUTBOUND_ANSWER_HEADERS_MAX_BYTES);
    if (!call->answer_headers)
        abort();
    for (struct curl_header *header = NULL;
         (header = curl_easy_nextheader(exchange->curl, CURLH_HEADER, -1, header)) != NULL;) {
        size_t name = strlen(header->name);
        size_t value = strcspn(header->value, "\r\n"); /* libcurl leaves one where it is empty */
        if (name + value + 2 > OUTBOUND_ANSWER_HEADERS_MAX_BYTES - call->answer_headers_bytes)
            return; /* more than any platform sends */
        append(call, header->name, name);
        append(call, header->value, value);
    }
}

static void take_answer(const struct exchange *exchange, CURLcode code)
{
    struct outbound_call *call = exchange->call;
    long status = 0;
    curl_off_t retry_after_s = 0;
    if (code != CURLE_OK) { /* half an answer is none: whether it was taken is unknown */
        call->is_unsent = is_unsent(exchange->curl, code);
        (void)snprintf(call->error, sizeof call->error, "%s", error_name(code));
        outbound_call_clear(call);
        return;
    }
    if (curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        call->http_status = (unsigned)status;
    if (curl_easy_getinfo(exchange->curl, CURLINFO_RETRY_AFTER, &retry_after_s) == CURLE_OK &&
        retry_after_s > 0)
        call->retry_after_ms =
            (retry_after_s < RETRY_AFTER_MAX_S ? (int64_t)retry_after_s : RETRY_AFTER_MAX_S) * 1000;
    keep_headers(exchange);
}

/* Ends the exchange and hands the call back. */
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
    struct outbound_call *call = exchange->call;
    call->took_ms = clock_monotonic_ms() - exchange->started_ms;
    forget_headers(exchange);
    free(exchange);
    call->done(call->arg, call);
}

static void begin(struct outbound *self, struct outbound_call *call)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        abort();
    exchange->call = call;
    exchange->started_ms = clock_monotonic_ms();
    exchange->next = self->exchanges;
    self->exchanges = exchange;
    exchange->curl = curl_easy_init();
    if (!exchange->curl)
        abort();
    if (call->prepare)
        call->prepare(call);
    for (size_t i = 0; i < call->header_count; i++)
        add_header(exchange, call->headers[i]);
    add_header(exchange, "Expect:"); /* do not wait for 100-continue */
    bool is_late = call->not_after_ms != 0 && clock_monotonic_ms() >= call->not_after_ms;
    if (!is_late && set_limits(exchange->curl, call) && set_request(exchange) &&
        curl_multi_add_handle(self->multi, exchange->curl) == CURLM_OK)
        return;
    call->is_unsent = true;
    (void)snprintf(call->error, sizeof call->error, is_late ? "too-late" : "not-started");
    finish(self, exchange);
}

/* --- the thread --- */

static struct outbound_call *take_waiting(struct outbound *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct outbound_call *call = self->first;
    self->first = NULL;
    self->end = &self->first;
    (void)pthread_mutex_unlock(&self->lock);
    return call;
}

static void begin_waiting(struct outbound *self)
{
    for (struct outbound_call *call = take_waiting(self), *next; call; call = next) {
        next = call->next;
        begin(self, call);
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

static void stop_all(struct outbound *self)
{
    while (self->exchanges) {
        struct exchange *exchange = self->exchanges;
        exchange->call->is_unsent = is_unsent(exchange->curl, CURLE_OK);
        (void)snprintf(exchange->call->error, sizeof exchange->call->error, "stopped");
        outbound_call_clear(exchange->call);
        finish(self, exchange);
    }
    for (struct outbound_call *call = take_waiting(self), *next; call; call = next) {
        next = call->next;
        call->is_unsent = true;
        (void)snprintf(call->error, sizeof call->error, "stopped");
        call->done(call->arg, call);
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
    stop_all(self);
    return NULL;
}

/* --- life --- */

int outbound_check_url(const char *url, struct error *err)
{
    CURLU *parsed = curl_url();
    CURLUcode code = parsed ? curl_url_set(parsed, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
    curl_url_cleanup(parsed);
    if (code == CURLUE_OK)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "'%s' is not an address to post to: %s; write such as "
                     "https://dispatch.example/v1/alerts",
                     url, curl_url_strerror(code));
}

struct outbound *outbound_make(void)
{
    struct outbound *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->end = &self->first;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    return self;
}

int outbound_run(struct outbound *self, struct service *service, const char *name,
                 struct error *err)
{
    self->heartbeat = service ? service_heartbeat_new(service, name) : NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(self->multi = curl_multi_init()))
        return error_set(err, ERROR_SYSTEM, "cannot start libcurl");
    if (pthread_create(&self->thread, NULL, outbound_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the outbound thread");
    self->has_thread = true;
    (void)pthread_setname_np(self->thread, name); /* for debuggers only */
    return 0;
}

struct outbound *outbound_open(struct service *service, const char *name, struct error *err)
{
    struct outbound *self = outbound_make();
    if (outbound_run(self, service, name, err) != 0)
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
    outbound_close_targets(self);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void outbound_start(struct outbound *self, struct outbound_call *call)
{
    outbound_call_clear(call);
    call->http_status = 0;
    call->is_unsent = call->is_cut = false;
    call->error[0] = '\0';
    call->retry_after_ms = call->took_ms = 0;
    call->next = NULL;
    (void)pthread_mutex_lock(&self->lock);
    *self->end = call;
    self->end = &call->next;
    (void)pthread_mutex_unlock(&self->lock);
    (void)curl_multi_wakeup(self->multi); /* else it wakes within WAIT_MS */
}
