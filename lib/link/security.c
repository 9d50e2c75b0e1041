#include "link/security.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "link/monitor.h"
#include "link/zap.h"
#include "log/log.h"

enum { KEY_BYTES = 32, SELF_TEST_MS = 3000 };

static const char zap_domain[] = "desg";

struct link_security {
    void *context;
    char *directory;
    zcert_t *own;
    struct zap *zap;
    struct gauge *unwelcome_gauge; /* NULL: nobody counts */
    atomic_uint unwelcome;         /* connections whose listener refuses our key */
};

static zcert_t *load_certificate(const char *path, const char *what, struct error *err)
{
    zcert_t *certificate = zcert_load(path);
    if (!certificate)
        (void)error_set(err, ERROR_CONFIG,
                        "cannot read the %s certificate '%s': it must be a czmq certificate "
                        "(zcert); desg keys make makes them",
                        what, path);
    return certificate;
}

/* The same is asked of every other secret: nobody else may read it. */
static int check_guarded(const char *secret_file, struct error *err)
{
    char *text = config_read_secret("common.curve.secret_key_file", secret_file, err);
    if (!text)
        return -1;
    explicit_bzero(text, strlen(text));
    free(text);
    return 0;
}

static zcert_t *load_own(const char *public_file, const char *secret_file, struct error *err)
{
    static const uint8_t no_key[KEY_BYTES];
    AUTO(zcert_destroy) zcert_t *public_half = load_certificate(public_file, "public", err);
    AUTO(zcert_destroy) zcert_t *own = NULL;
    if (!public_half || !(own = load_certificate(secret_file, "secret", err)))
        return NULL;
    if (memcmp(zcert_secret_key(own), no_key, KEY_BYTES) == 0) {
        (void)error_set(err, ERROR_CONFIG,
                        "'%s' holds no secret key: name the file with the secret half",
                        secret_file);
        return NULL;
    }
    if (check_guarded(secret_file, err) != 0)
        return NULL;
    if (memcmp(zcert_public_key(own), zcert_public_key(public_half), KEY_BYTES) != 0) {
        (void)error_set(err, ERROR_CONFIG, "'%s' and '%s' are halves of two different pairs",
                        public_file, secret_file);
        return NULL;
    }
    zcert_t *result = own;
    own = NULL;
    return result;
}

/* ---- self-test: CURVE without a working ZAP handler lets any key in ---- */

static int dial_with_unknown_key(const struct link_security *self, void *caller,
                                 const char *address, struct error *err)
{
    char public_key[SECURITY_KEY_TEXT_BYTES];
    char secret_key[SECURITY_KEY_TEXT_BYTES];
    if (zmq_curve_keypair(public_key, secret_key) != 0 ||
        zmq_setsockopt(caller, ZMQ_CURVE_SERVERKEY, zcert_public_key(self->own), KEY_BYTES) != 0 ||
        zmq_setsockopt(caller, ZMQ_CURVE_PUBLICKEY, public_key, sizeof public_key) != 0 ||
        zmq_setsockopt(caller, ZMQ_CURVE_SECRETKEY, secret_key, sizeof secret_key) != 0 ||
        zmq_connect(caller, address) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot test CURVE on %s: %s", address,
                         zmq_strerror(zmq_errno()));
    return 0;
}

static int expect_refusal(void *monitor, struct error *err)
{
    zmq_pollitem_t item = { .socket = monitor, .events = ZMQ_POLLIN };
    int64_t until_ms = zclock_mono() + SELF_TEST_MS;
    for (int64_t left_ms = SELF_TEST_MS; left_ms > 0; left_ms = until_ms - zclock_mono()) {
        (void)zmq_poll(&item, 1, left_ms);
        enum monitor_event event = monitor_next(monitor);
        if (event == MONITOR_REFUSED_KEY)
            return 0;
        if (event == MONITOR_OPENED)
            return error_set(err, ERROR_CONFIG,
                             "CURVE lets an unknown key in: refusing to listen; is libzmq built "
                             "with CURVE, and is there nothing but keys of peers in the allowed "
                             "directory?");
    }
    return error_set(err, ERROR_SYSTEM, "CURVE did not refuse an unknown key within %d ms",
                     SELF_TEST_MS);
}

static int test_refusal(const struct link_security *self, void *listener, void *caller,
                        struct error *err)
{
    char address[64];
    size_t size = sizeof address;
    if (security_apply_listener(self, listener, err) != 0)
        return -1;
    if (zmq_bind(listener, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(listener, ZMQ_LAST_ENDPOINT, address, &size) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot test CURVE on the loopback address: %s",
                         zmq_strerror(zmq_errno()));
    void *monitor = monitor_open(self->context, caller, err);
    if (!monitor)
        return -1;
    int rc = dial_with_unknown_key(self, caller, address, err);
    if (rc == 0)
        rc = expect_refusal(monitor, err);
    monitor_close(&monitor, caller);
    return rc;
}

static void close_now(void **socket_p)
{
    const int linger_ms = 0;
    if (!*socket_p)
        return;
    (void)zmq_setsockopt(*socket_p, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    (void)zmq_close(*socket_p); /* fails only for what is no socket */
    *socket_p = NULL;
}

static int self_test(const struct link_security *self, struct error *err)
{
    AUTO(close_now) void *listener = zmq_socket(self->context, ZMQ_ROUTER);
    AUTO(close_now) void *caller = zmq_socket(self->context, ZMQ_DEALER);
    if (!listener || !caller)
        return error_set(err, ERROR_SYSTEM, "cannot test CURVE: %s", zmq_strerror(zmq_errno()));
    return test_refusal(self, listener, caller, err);
}

/* ---- interface ---- */

static int start(struct link_security *self, const char *public_file, const char *secret_file,
                 struct error *err)
{
    struct stat info;
    if (!self->directory)
        return error_set(err, ERROR_SYSTEM, "no memory for CURVE");
    if (stat(self->directory, &info) != 0 || !S_ISDIR(info.st_mode))
        return error_set(err, ERROR_CONFIG,
                         "there is no folder '%s': it must hold the public certificate of each "
                         "peer allowed",
                         self->directory);
    if (!(self->own = load_own(public_file, secret_file, err)) ||
        !(self->zap = zap_new(self->context, zap_domain, self->directory, err)))
        return -1;
    zap_set_quiet(self->zap, true);
    if (self_test(self, err) != 0)
        return -1;
    zap_set_quiet(self->zap, false);
    return 0;
}

struct link_security *link_security_new(void *context, const char *public_file,
                                        const char *secret_file, const char *allowed_directory,
                                        struct error *err)
{
    assert(context && public_file && secret_file && allowed_directory);
    struct link_security *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for CURVE");
        return NULL;
    }
    zsys_handler_set(NULL); /* before czmq starts: signals are the service's */
    self->context = context;
    self->directory = strdup(allowed_directory);
    if (start(self, public_file, secret_file, err) != 0)
        link_security_destroy(&self);
    else
        log_info("curve_started", KV("public_key", zcert_public_txt(self->own)),
                 KV("allowed", self->directory));
    return self;
}

static void count(struct link_security *self, struct metrics *metrics)
{
    self->unwelcome_gauge =
        metrics_gauge(metrics, "desg_curve_unwelcome_connections", "",
                      "Connections of ours whose listener refuses our CURVE key");
    zap_count(self->zap, metrics_counter(metrics, "desg_curve_refused_total", "",
                                         "Callers refused because their CURVE key is not allowed"));
}

int link_security_open(void *context, const struct config_curve *curve, struct metrics *metrics,
                       struct link_security **out, struct error *err)
{
    if (!curve)
        return 0;
    *out = link_security_new(context, curve->public_key_file, curve->secret_key_file,
                             curve->allowed_keys_directory, err);
    if (*out && metrics)
        count(*out, metrics);
    return *out ? 0 : -1;
}

void link_security_destroy(struct link_security **self_p)
{
    if (!self_p || !*self_p)
        return;
    struct link_security *self = *self_p;
    zap_destroy(&self->zap);
    zcert_destroy(&self->own);
    free(self->directory);
    free(self);
    *self_p = NULL;
}

/* A listener whose pair is being renewed has two public halves: NAME.pub, and NAME.new.pub. */
static int certificate_path(const struct link_security *self, const char *name, const char *end,
                            char out[static PATH_MAX], struct error *err)
{
    int length =
        snprintf(out, PATH_MAX, "%s/%s%s", self->directory, name[0] != '\0' ? name : "server", end);
    if (length >= 0 && length < PATH_MAX)
        return 0;
    return error_set(err, ERROR_CONFIG, "the path of certificate '%s' is too long", name);
}

int security_listener_key(const struct link_security *self, const char *name, unsigned turn,
                          char out[static SECURITY_KEY_TEXT_BYTES], bool *has_another,
                          struct error *err)
{
    char path[PATH_MAX];
    char renewed[PATH_MAX];
    if (certificate_path(self, name, ".pub", path, err) != 0 ||
        certificate_path(self, name, ".new.pub", renewed, err) != 0)
        return -1;
    *has_another = access(renewed, R_OK) == 0;
    bool is_renewed = *has_another && turn % 2 == 1;
    AUTO(zcert_destroy)
    zcert_t *certificate = load_certificate(is_renewed ? renewed : path, "listener's", err);
    if (!certificate)
        return -1;
    memcpy(out, zcert_public_txt(certificate), SECURITY_KEY_TEXT_BYTES);
    return 0;
}

void security_count_unwelcome(const struct link_security *self, int change)
{
    struct link_security *mutable_self = (struct link_security *)self; /* a count, atomic */
    unsigned now = atomic_fetch_add(&mutable_self->unwelcome, (unsigned)change) + (unsigned)change;
    if (self->unwelcome_gauge)
        gauge_set(self->unwelcome_gauge, (int64_t)now);
}

const char *security_own_key(const struct link_security *self)
{
    return zcert_public_txt(self->own);
}

bool link_security_is_unwelcome(const struct link_security *self)
{
    return self && atomic_load(&self->unwelcome) > 0;
}

int security_apply_listener(const struct link_security *self, void *socket, struct error *err)
{
    const int is_server = 1;
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &is_server, sizeof is_server) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(self->own), KEY_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, zap_domain, sizeof zap_domain - 1) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot set CURVE on a socket: %s",
                         zmq_strerror(zmq_errno()));
    return 0;
}

int security_apply_caller(const struct link_security *self, void *socket, const char *listener_key,
                          struct error *err)
{
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, listener_key, SECURITY_KEY_TEXT_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, zcert_public_key(self->own), KEY_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(self->own), KEY_BYTES) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot set CURVE on a socket: %s",
                         zmq_strerror(zmq_errno()));
    return 0;
}
