#include "link/security.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/config.h"
#include "link/monitor.h"
#include "log/log.h"

enum { KEY_BYTES = 32, SELF_TEST_MS = 3000 };

static const char zap_endpoint[] = "inproc://zeromq.zap.01";
static const char zap_domain[] = "desg";

/* libzmq asks the ZAP handler of the socket's own context; zauth answers in czmq's. Where these are
 * two, a thread passes questions and answers on. */
struct relay {
    void *questions; /* ROUTER in the links' context */
    void *answers;   /* DEALER in czmq's */
    void *control;   /* PAIR: the thread's end of the way to stop it */
    void *stop;
    pthread_t thread;
    bool is_running;
};

struct link_security {
    void *context;
    char *directory;
    zcert_t *own;
    zactor_t *auth;
    struct relay relay;
};

static zcert_t *load_certificate(const char *path, const char *what, struct error *err)
{
    zcert_t *certificate = zcert_load(path);
    if (!certificate)
        (void)error_set(err, ERROR_CONFIG,
                        "cannot read the %s certificate '%s': it must be a czmq certificate "
                        "(zcert); make one with zcertutil",
                        what, path);
    return certificate;
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
    if (memcmp(zcert_public_key(own), zcert_public_key(public_half), KEY_BYTES) != 0) {
        (void)error_set(err, ERROR_CONFIG, "'%s' and '%s' are halves of two different pairs",
                        public_file, secret_file);
        return NULL;
    }
    zcert_t *result = own;
    own = NULL;
    return result;
}

/* ---- ZAP handler ---- */

/* zauth crashes where it cannot bind, so look first. */
static int check_free(void *context, struct error *err)
{
    void *probe = zmq_socket(context, ZMQ_REP);
    if (!probe)
        return error_set(err, ERROR_SYSTEM, "cannot make a socket: %s", zmq_strerror(zmq_errno()));
    bool is_free = zmq_bind(probe, zap_endpoint) == 0;
    if (is_free)
        (void)zmq_unbind(probe, zap_endpoint); /* at once, where zmq_close takes its time */
    (void)zmq_close(probe);
    if (!is_free)
        return error_set(err, ERROR_CONFIG,
                         "this process has a ZAP handler already: one "
                         "link_security serves all its links");
    return 0;
}

/* Threads have names for debuggers, and for tests that stop one of them. */
static void run_auth(zsock_t *pipe, void *arg)
{
    (void)pthread_setname_np(pthread_self(), "zap");
    zauth(pipe, arg);
}

static void *run_relay(void *arg)
{
    struct relay *relay = arg;
    (void)pthread_setname_np(pthread_self(), "zap-relay");
    (void)zmq_proxy_steerable(relay->questions, relay->answers, NULL, relay->control);
    return NULL;
}

static int start_thread(struct relay *relay)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* signals are the service's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    relay->is_running = pthread_create(&relay->thread, NULL, run_relay, relay) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return relay->is_running ? 0 : -1;
}

static const char control_endpoint[] = "inproc://link-zap-control";

static int start_relay(struct link_security *self, void *auth_context, struct error *err)
{
    struct relay *relay = &self->relay;
    relay->questions = zmq_socket(self->context, ZMQ_ROUTER);
    relay->answers = zmq_socket(auth_context, ZMQ_DEALER);
    relay->control = zmq_socket(self->context, ZMQ_PAIR);
    relay->stop = zmq_socket(self->context, ZMQ_PAIR);
    if (relay->questions && relay->answers && relay->control && relay->stop &&
        zmq_connect(relay->answers, zap_endpoint) == 0 &&
        zmq_bind(relay->control, control_endpoint) == 0 &&
        zmq_connect(relay->stop, control_endpoint) == 0 &&
        zmq_bind(relay->questions, zap_endpoint) == 0 && start_thread(relay) == 0)
        return 0;
    return error_set(err, ERROR_SYSTEM, "cannot start the ZAP relay: %s",
                     zmq_strerror(zmq_errno()));
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

static void stop_relay(struct relay *relay)
{
    if (relay->is_running) {
        (void)zmq_send(relay->stop, "TERMINATE", 9, 0);
        (void)pthread_join(relay->thread, NULL);
    }
    /* A closed socket gives its inproc names back only when libzmq's reaper comes round: the next
     * relay wants them now. */
    if (relay->questions)
        (void)zmq_unbind(relay->questions, zap_endpoint);
    if (relay->control)
        (void)zmq_unbind(relay->control, control_endpoint);
    close_now(&relay->questions);
    close_now(&relay->answers);
    close_now(&relay->control);
    close_now(&relay->stop);
}

static int start_handler(struct link_security *self, struct error *err)
{
    sigset_t all;
    sigset_t before;
    zsys_handler_set(NULL); /* before czmq starts: signals are the service's */
    void *auth_context = zsys_init();
    if (check_free(self->context, err) != 0 ||
        (auth_context != self->context && check_free(auth_context, err) != 0))
        return -1;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    self->auth = zactor_new(run_auth, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!self->auth || zstr_sendx(self->auth, "CURVE", self->directory, NULL) != 0 ||
        zsock_wait(self->auth) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the ZAP handler");
    return auth_context == self->context ? 0 : start_relay(self, auth_context, err);
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
    if (!(self->own = load_own(public_file, secret_file, err)) || start_handler(self, err) != 0)
        return -1;
    return self_test(self, err);
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
    self->context = context;
    self->directory = strdup(allowed_directory);
    if (start(self, public_file, secret_file, err) != 0)
        link_security_destroy(&self);
    else
        log_info("curve_started", KV("public_key", zcert_public_txt(self->own)),
                 KV("allowed", self->directory));
    return self;
}

int link_security_open(void *context, const struct config_curve *curve, struct link_security **out,
                       struct error *err)
{
    if (!curve)
        return 0;
    *out = link_security_new(context, curve->public_key_file, curve->secret_key_file,
                             curve->allowed_keys_directory, err);
    return *out ? 0 : -1;
}

void link_security_destroy(struct link_security **self_p)
{
    if (!self_p || !*self_p)
        return;
    struct link_security *self = *self_p;
    stop_relay(&self->relay);
    zactor_destroy(&self->auth);
    zcert_destroy(&self->own);
    free(self->directory);
    free(self);
    *self_p = NULL;
}

int security_listener_key(const struct link_security *self, const char *name,
                          char out[static SECURITY_KEY_TEXT_BYTES], struct error *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s.pub", self->directory,
                          name[0] != '\0' ? name : "server");
    if (length < 0 || (size_t)length >= sizeof path)
        return error_set(err, ERROR_CONFIG, "the path of certificate '%s' is too long", name);
    AUTO(zcert_destroy) zcert_t *certificate = load_certificate(path, "listener's", err);
    if (!certificate)
        return -1;
    memcpy(out, zcert_public_txt(certificate), SECURITY_KEY_TEXT_BYTES);
    return 0;
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
