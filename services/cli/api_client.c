#include "cli/api_client.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "cli/desk_url.h"
#include "config/config.h"
#include "ids/ids.h"

enum {
    ANSWER_MAX_BYTES = 64 << 20,
    CONNECT_TIMEOUT_MS = 2000,
    TIMEOUT_MS = 15000, /* a desk answers or refuses within 10 s */
    TRIES = 3,
    PAUSE_MS = 300,
    HEADER_BYTES = 512
};

struct api_client {
    char *token;
    bool is_url;
    size_t desk_count;
    size_t chosen;
    bool is_chosen;
    char places[API_DESKS_MAX][API_PLACE_BYTES];
    json_t *problem; /* of the last refusal */
};

struct answer {
    char *text;
    size_t length;
};

static int is_api_socket(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".api") == 0;
}

static int find_sockets(struct api_client *self, const char *run_directory, struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(run_directory, &entries, is_api_socket, alphasort);
    for (int i = 0; i < count; i++) {
        if (self->desk_count < API_DESKS_MAX &&
            snprintf(self->places[self->desk_count], API_PLACE_BYTES, "%s/%s", run_directory,
                     entries[i]->d_name) < API_PLACE_BYTES)
            self->desk_count++;
        free(entries[i]);
    }
    free(entries);
    if (self->desk_count > 0)
        return 0;
    return error_set(err, ERROR_UNAVAILABLE,
                     "no desk runs here (%s has no .api socket): start desg-desk, or say where one "
                     "is with --desk URL",
                     run_directory);
}

static int take_url(struct api_client *self, const struct api_options *options, struct error *err)
{
    size_t length = strlen(options->url);
    while (length > 0 && options->url[length - 1] == '/')
        length--;
    if (length >= API_PLACE_BYTES)
        return error_set(err, ERROR_CONFIG, "desk's address has %zu bytes: at most %d", length,
                         API_PLACE_BYTES - 1);
    (void)snprintf(self->places[0], API_PLACE_BYTES, "%.*s", (int)length, options->url);
    self->desk_count = 1;
    return desk_url_check(self->places[0], options->may_be_plain, err);
}

struct api_client *api_client_new(const struct api_options *options, struct error *err)
{
    struct api_client *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a request");
        return NULL;
    }
    self->token = config_read_secret("token", options->token_file, err);
    int rc = self->token ? 0 : -1;
    self->is_url = options->url && options->url[0] != '\0';
    if (rc == 0 && self->is_url)
        rc = take_url(self, options, err);
    else if (rc == 0)
        rc = find_sockets(self, options->run_directory, err);
    if (rc != 0)
        api_client_destroy(&self);
    return self;
}

void api_client_destroy(struct api_client **self_p)
{
    if (*self_p && (*self_p)->token) {
        explicit_bzero((*self_p)->token, strlen((*self_p)->token));
        free((*self_p)->token);
    }
    if (*self_p)
        json_decref((*self_p)->problem);
    free(*self_p);
    *self_p = NULL;
}

const json_t *api_client_problem(const struct api_client *self)
{
    return self->problem;
}

size_t api_client_desks(const struct api_client *self)
{
    return self->desk_count;
}

const char *api_client_place(const struct api_client *self, size_t desk)
{
    return self->places[desk];
}

void api_client_choose(struct api_client *self, size_t desk)
{
    self->chosen = desk;
    self->is_chosen = true;
}

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    struct answer *answer = arg;
    size_t length = size * count;
    if (answer->length + length > ANSWER_MAX_BYTES)
        return 0;
    char *text = realloc(answer->text, answer->length + length + 1);
    if (!text)
        return 0;
    memcpy(text + answer->length, data, length);
    answer->text = text;
    answer->length += length;
    return length;
}

/* One request, and its parts. */
struct call {
    const char *method;
    const char *path;
    char *body; /* NULL: none */
    char key[ID_TEXT_BYTES];
    long status;
    struct answer answer;
};

static struct curl_slist *headers_of(const struct api_client *self, const struct call *call)
{
    char line[HEADER_BYTES];
    struct curl_slist *headers = NULL;
    (void)snprintf(line, sizeof line, "Authorization: Bearer %s", self->token);
    headers = curl_slist_append(headers, line);
    explicit_bzero(line, sizeof line);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    if (strcmp(call->method, "POST") == 0) {
        (void)snprintf(line, sizeof line, "Idempotency-Key: %s", call->key);
        headers = curl_slist_append(headers, line);
    }
    return headers;
}

static CURLcode send_once(const struct api_client *self, size_t desk, struct call *call)
{
    char url[API_PLACE_BYTES + 1024];
    CURL *curl = curl_easy_init();
    if (!curl)
        return CURLE_OUT_OF_MEMORY;
    struct curl_slist *headers = headers_of(self, call);
    (void)snprintf(url, sizeof url, "%s%s", self->is_url ? self->places[desk] : "http://localhost",
                   call->path);
    free(call->answer.text);
    call->answer = (struct answer){ 0 };
    call->status = 0;
    if (!self->is_url)
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, self->places[desk]);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (strncasecmp(url, "https:", 6) != 0)
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* one would read the token */
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &call->answer);
    if (strcmp(call->method, "POST") == 0)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body ? call->body : "");
    CURLcode rc = curl_easy_perform(curl);
    if (rc == CURLE_OK)
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &call->status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return rc;
}

/* Each desk in turn, a few times: the key makes a repeat the same change. */
static int send_call(const struct api_client *self, struct call *call, struct error *err)
{
    const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
    CURLcode rc = CURLE_OK;
    for (int i = 0; i < TRIES; i++) {
        size_t first = self->is_chosen ? self->chosen : 0;
        size_t last = self->is_chosen ? self->chosen + 1 : self->desk_count;
        for (size_t desk = first; desk < last; desk++) {
            rc = send_once(self, desk, call);
            if (rc == CURLE_OK && call->status != 503)
                return 0;
        }
        if (i + 1 < TRIES)
            (void)nanosleep(&pause, NULL);
    }
    if (rc == CURLE_OK)
        return 0; /* 503 says why */
    return error_set(err, ERROR_UNAVAILABLE, "desk does not answer: %s", curl_easy_strerror(rc));
}

static int refuse(long status, const json_t *problem, struct error *err)
{
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *remedy = json_string_value(json_object_get(problem, "remedy"));
    enum error_kind kind = status == 401   ? ERROR_CONFIG
                           : status >= 500 ? ERROR_UNAVAILABLE
                                           : ERROR_INVALID;
    if (!detail)
        return error_set(err, kind, "desk answered %ld", status);
    bool is_sentence = *detail && strchr(".!?", detail[strlen(detail) - 1]);
    return error_set(err, kind, "%s%s%s", detail,
                     !remedy       ? ""
                     : is_sentence ? " "
                                   : ". ",
                     remedy ? remedy : "");
}

static int ask(struct api_client *self, struct call *call, json_t **out, long *status,
               struct error *err)
{
    *out = NULL;
    json_decref(self->problem);
    self->problem = NULL;
    int rc = send_call(self, call, err);
    if (status)
        *status = call->status;
    json_t *value =
        call->answer.length ? json_loadb(call->answer.text, call->answer.length, 0, NULL) : NULL;
    free(call->answer.text);
    if (rc == 0 && (call->status < 200 || call->status > 299)) {
        rc = refuse(call->status, value, err);
        self->problem = json_incref(value);
    } else if (rc == 0 && call->status != 204 && !value)
        rc = error_set(err, ERROR_UNAVAILABLE, "desk's answer is not understood");
    if (rc == 0)
        *out = value;
    else
        json_decref(value);
    return rc;
}

int api_get(struct api_client *self, const char *path, json_t **out, long *status,
            struct error *err)
{
    struct call call = { .method = "GET", .path = path };
    return ask(self, &call, out, status, err);
}

int api_post(struct api_client *self, const char *path, const json_t *body, json_t **out,
             long *status, struct error *err)
{
    struct call call = { .method = "POST", .path = path };
    struct id key = id_random();
    id_text(key.bytes, call.key);
    call.body = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !call.body)
        return error_set(err, ERROR_SYSTEM, "no memory for a request");
    int rc = ask(self, &call, out, status, err);
    free(call.body);
    return rc;
}

char *api_escape(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    char *out = malloc(3 * strlen(text) + 1);
    if (!out)
        abort(); /* a word of the command line */
    char *at = out;
    for (const unsigned char *from = (const unsigned char *)text; *from; from++) {
        if (strchr(plain, *from)) {
            *at++ = (char)*from;
            continue;
        }
        *at++ = '%';
        *at++ = hex[*from >> 4];
        *at++ = hex[*from & 15];
    }
    *at = '\0';
    return out;
}
