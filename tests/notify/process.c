#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock/clock.h"
#include "crypto/crypto.h"

enum { PATH_BYTES = 160, READY_MS = 20000, STOP_MS = 15000, POLL_MS = 20, ANSWER_BYTES = 1 << 20 };

static const char SECRET[] = "callback-secret-of-the-tests";

struct process {
    pid_t pid; /* 0: not running */
    char name[32];
    char directory[64];
    char config[PATH_BYTES];
    char socket[PATH_BYTES];
    char endpoint[PATH_BYTES];
    char log[PATH_BYTES];
    char tsan_options[PATH_BYTES];
    uint16_t callback_port;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "process: %s: %s\n", what, strerror(errno));
    abort();
}

static void pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (!file)
        die(path);
    if (fputs(text, file) < 0 || fclose(file) != 0 || chmod(path, 0600) != 0)
        die(path);
}

static void write_config(struct process *self, const struct process_options *options)
{
    char redis[PATH_BYTES + 64] = "";
    char second[PATH_BYTES] = "";
    char secret[PATH_BYTES];
    char journal[PATH_BYTES];
    (void)snprintf(secret, sizeof secret, "%s/secret", self->directory);
    (void)snprintf(journal, sizeof journal, "%s/journal", self->directory);
    if (mkdir(journal, 0700) != 0)
        die(journal);
    write_file(secret, SECRET);
    if (options->redis_address)
        (void)snprintf(redis, sizeof redis, "  redis: { address: \"%s\", timeout_ms: 1000 }\n",
                       options->redis_address);
    else
        (void)snprintf(redis, sizeof redis, "  redis: { address: \"unix:%s/no-redis\" }\n",
                       self->directory);
    if (options->has_second_path)
        (void)snprintf(second, sizeof second,
                       "  second_path: { url: \"http://127.0.0.1:%u/second\" }\n",
                       options->dispatch_port);
    char config[4096];
    (void)snprintf(config, sizeof config,
                   "common:\n  force: testforce\n  run_directory: %s\n  grace_ms: 8000\n%s"
                   "notify:\n  endpoint: %s\n  listen: 127.0.0.1:0\n"
                   "  dispatch: { url: \"http://127.0.0.1:%u/alerts\" }\n%s"
                   "  callback_secret_files: [ %s ]\n  ladder: %s\n"
                   "  journal: { directory: %s, size_mib: 16 }\n%s",
                   self->directory, redis, self->endpoint, options->dispatch_port, second, secret,
                   options->ladder ? options->ladder : "[ { after_s: 3600, action: supervisor } ]",
                   journal, options->more ? options->more : "  test_interval_s: 0\n");
    write_file(self->config, config);
}

/* libzmq hands messages over by atomics that ThreadSanitizer cannot see in it. */
static void write_tsan_options(struct process *self)
{
    char path[PATH_BYTES - 16];
    (void)snprintf(path, sizeof path, "%s/tsan", self->directory);
    write_file(path, "called_from_lib:libzmq.so\ncalled_from_lib:libczmq.so\nrace:libzmq.so\n");
    (void)snprintf(self->tsan_options, sizeof self->tsan_options, "suppressions=%s", path);
}

/* --- control socket --- */

struct answer {
    size_t length;
    char *text;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    struct answer *answer = arg;
    size_t length = size * count;
    if (answer->length + length >= ANSWER_BYTES)
        return 0;
    memcpy(answer->text + answer->length, bytes, length);
    answer->length += length;
    answer->text[answer->length] = '\0';
    return length;
}

static char *get(const struct process *self, const char *path)
{
    char url[PATH_BYTES];
    struct answer answer = { .text = calloc(1, ANSWER_BYTES) };
    CURL *curl = curl_easy_init();
    if (!curl || !answer.text)
        die("memory");
    (void)snprintf(url, sizeof url, "http://control%s", path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, self->socket);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    (void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK)
        return answer.text;
    free(answer.text);
    return NULL;
}

json_t *process_control(struct process *self, const char *path)
{
    char *text = get(self, path);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return json;
}

double process_metric(struct process *self, const char *series)
{
    char *text = get(self, "/metrics");
    double value = -1;
    size_t length = strlen(series);
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, series, length) == 0 && line[length] == ' ')
            value = strtod(line + length, NULL);
        if (*line == '\0')
            break;
    }
    free(text);
    return value;
}

static json_int_t status_number(struct process *self, const char *name)
{
    json_t *status = process_control(self, "/status");
    const json_t *value = json_object_get(json_object_get(status, "detail"), name);
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    json_decref(status);
    return number;
}

bool process_wait_status(struct process *self, const char *name, json_int_t value,
                         int64_t timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    while (status_number(self, name) != value) {
        if (clock_monotonic_ms() > until_ms)
            return false;
        pause_ms(POLL_MS);
    }
    return true;
}

bool process_wait_metric(struct process *self, const char *series, double wanted,
                         int64_t timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    while (process_metric(self, series) != wanted) {
        if (clock_monotonic_ms() > until_ms)
            return false;
        pause_ms(POLL_MS);
    }
    return true;
}

/* --- life --- */

static void dump_log(struct process *self)
{
    char *log = process_log(self);
    (void)fprintf(stderr, "%s", log);
    free(log);
}

void process_start(struct process *self)
{
    self->pid = fork();
    if (self->pid < 0)
        die("fork");
    if (self->pid == 0) {
        (void)setenv("TSAN_OPTIONS", self->tsan_options,
                     0); /* before exec in a child of one thread */
        int log = open(self->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log >= 0 && dup2(log, STDERR_FILENO) >= 0)
            (void)execl(DESG_NOTIFY_PROGRAM, "desg-notify", "--config", self->config, "--name",
                        self->name, (char *)NULL);
        _exit(126);
    }
    int64_t until_ms = clock_monotonic_ms() + READY_MS;
    json_int_t port = -1;
    while ((port = status_number(self, "callback_port")) <= 0) {
        if (clock_monotonic_ms() > until_ms || waitpid(self->pid, NULL, WNOHANG) != 0) {
            dump_log(self);
            die("desg-notify did not start");
        }
        pause_ms(POLL_MS);
    }
    self->callback_port = (uint16_t)port;
}

struct process *process_new(const struct process_options *options)
{
    struct process *self = calloc(1, sizeof *self);
    if (!self)
        die("memory");
    (void)snprintf(self->name, sizeof self->name, "%s", options->name ? options->name : "notify");
    (void)snprintf(self->directory, sizeof self->directory, "/tmp/desg-notify-XXXXXX");
    if (!mkdtemp(self->directory))
        die(self->directory);
    (void)snprintf(self->config, sizeof self->config, "%s/desg.yaml", self->directory);
    (void)snprintf(self->socket, sizeof self->socket, "%s/%s.sock", self->directory, self->name);
    (void)snprintf(self->endpoint, sizeof self->endpoint, "ipc://%s/hop", self->directory);
    (void)snprintf(self->log, sizeof self->log, "%s/log", self->directory);
    write_config(self, options);
    write_tsan_options(self);
    process_start(self);
    return self;
}

void process_kill(struct process *self)
{
    if (self->pid == 0)
        return;
    (void)kill(self->pid, SIGKILL);
    (void)waitpid(self->pid, NULL, 0);
    self->pid = 0;
}

int process_stop(struct process *self)
{
    int status = 0;
    (void)kill(self->pid, SIGTERM);
    int64_t until_ms = clock_monotonic_ms() + STOP_MS;
    while (waitpid(self->pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > until_ms)
            return -1;
        pause_ms(POLL_MS);
    }
    self->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

/* A sanitizer's word about the program is a failure of the test. */
static bool is_sane(struct process *self)
{
    char *log = process_log(self);
    bool is_so = !strstr(log, "Sanitizer") && !strstr(log, "runtime error");
    free(log);
    return is_so;
}

void process_destroy(struct process **self_p)
{
    struct process *self = *self_p;
    if (!self)
        return;
    process_kill(self);
    if (!is_sane(self)) {
        dump_log(self);
        die("a sanitizer found something");
    }
    if (getenv("DESG_TEST_SHOW_LOG"))
        dump_log(self);
    (void)nftw(self->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(self);
    *self_p = NULL;
}

const char *process_endpoint(const struct process *self)
{
    return self->endpoint;
}

char *process_log(struct process *self)
{
    char *text = calloc(1, ANSWER_BYTES);
    FILE *file = fopen(self->log, "re");
    if (!text)
        die("memory");
    if (file) {
        (void)!fread(text, 1, ANSWER_BYTES - 1, file); /* short: what there is */
        (void)fclose(file);
    }
    return text;
}

static size_t on_nothing(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

unsigned process_callback(struct process *self, const char *body, const char *secret)
{
    char url[PATH_BYTES];
    char stamp[32];
    char header[128];
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    const char *key = secret ? secret : SECRET;
    (void)snprintf(stamp, sizeof stamp, "%lld", (long long)(clock_unix_ms() / 1000));
    struct hmac *hmac = hmac_new(key, strlen(key));
    hmac_update(hmac, stamp, strlen(stamp));
    hmac_update(hmac, ".", 1);
    hmac_update(hmac, body, strlen(body));
    hmac_finish(hmac, mac);
    hmac_destroy(&hmac);
    crypto_hex(mac, sizeof mac, hex);
    (void)snprintf(header, sizeof header, "X-Desk-Signature-256: sha256=%s", hex);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    (void)snprintf(header, sizeof header, "X-Desk-Timestamp: %s", stamp);
    headers = curl_slist_append(headers, header);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/callbacks/dispatch", self->callback_port);
    CURL *curl = curl_easy_init();
    if (!curl)
        die("memory");
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 10000L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_nothing);
    long status = 0;
    if (curl_easy_perform(curl) == CURLE_OK)
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return (unsigned)status;
}
