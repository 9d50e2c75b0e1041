/* bare_intake - the limit that desg-ingest is held against: libmicrohttpd (epoll, pool of 2), HMAC
 * over the body, LMDB group commit with fdatasync by one committer thread, 200. Nothing else: no
 * limits, no deadlines, no seal, no checks but the signature.
 *
 * --directory D --secret-file F --size-mib N; --answer-only: any POST gets 200 at once (a dispatch
 * system that costs nothing). --port N (0: any). Prints its port; on SIGTERM the records it holds.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>
#include <microhttpd.h>

#include "config/config.h"
#include "crypto/crypto.h"
#include "figures.h"

enum { GROUP_MAX = 1024, BODY_MAX_BYTES = 1 << 20, SIGNATURE_BYTES = 2 * CRYPTO_SHA256_BYTES };

struct post {
    struct MHD_Connection *connection;
    struct post *next;
    char *body;
    size_t length;
    unsigned status; /* 0: not decided */
};

struct intake {
    char *secret; /* NULL: answer only */
    MDB_env *env;
    MDB_dbi records;
    uint64_t sequence;
    struct MHD_Response *empty;
    pthread_t committer;
    pthread_mutex_t lock;
    pthread_cond_t has_more;
    struct post *first, *last; /* guarded by lock, as is_ending */
    bool is_ending;
};

/* ---- committer ---- */

static struct post *take_group(struct intake *self)
{
    (void)pthread_mutex_lock(&self->lock);
    while (!self->first && !self->is_ending)
        (void)pthread_cond_wait(&self->has_more, &self->lock);
    struct post *group = self->first;
    struct post *last = group;
    for (int i = 1; last && last->next && i < GROUP_MAX; i++)
        last = last->next;
    self->first = last ? last->next : NULL;
    if (!self->first)
        self->last = NULL;
    if (last)
        last->next = NULL;
    (void)pthread_mutex_unlock(&self->lock);
    return group;
}

static int store(struct intake *self, const struct post *group)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(self->env, NULL, 0, &txn);
    for (const struct post *post = group; post && rc == 0; post = post->next) {
        uint64_t sequence = self->sequence++;
        MDB_val key = { sizeof sequence, &sequence };
        MDB_val value = { post->length, post->body };
        rc = mdb_put(txn, self->records, &key, &value, MDB_APPEND);
    }
    if (rc == 0)
        return mdb_txn_commit(txn); /* synced */
    mdb_txn_abort(txn);
    return rc;
}

static void *commit(void *arg)
{
    struct intake *self = arg;
    for (struct post *group; (group = take_group(self));) {
        int rc = store(self, group);
        if (rc != 0)
            give_up("LMDB: %s", mdb_strerror(rc));
        while (group) {
            struct post *post = group;
            group = post->next; /* resumed, it may be gone at once */
            post->status = MHD_HTTP_OK;
            MHD_resume_connection(post->connection);
        }
    }
    return NULL;
}

static void enqueue(struct intake *self, struct post *post)
{
    MHD_suspend_connection(post->connection);
    (void)pthread_mutex_lock(&self->lock);
    if (self->last)
        self->last->next = post;
    else
        self->first = post;
    self->last = post;
    (void)pthread_cond_signal(&self->has_more);
    (void)pthread_mutex_unlock(&self->lock);
}

/* ---- HTTP ---- */

static bool is_genuine(const struct intake *self, const struct post *post)
{
    static const char scheme[] = "sha256=";
    const char *given =
        MHD_lookup_connection_value(post->connection, MHD_HEADER_KIND, "X-Hub-Signature-256");
    uint8_t expected[CRYPTO_SHA256_BYTES];
    uint8_t claimed[CRYPTO_SHA256_BYTES];
    if (!given || strncmp(given, scheme, sizeof scheme - 1) != 0 ||
        !crypto_unhex(given + sizeof scheme - 1, strlen(given) - (sizeof scheme - 1), claimed,
                      sizeof claimed))
        return false;
    crypto_hmac_sha256(self->secret, strlen(self->secret), post->body, post->length, expected);
    return crypto_equal(expected, claimed, sizeof expected);
}

static enum MHD_Result take(struct post *post, const char *bytes, size_t length)
{
    if (post->length + length > BODY_MAX_BYTES)
        return MHD_NO;
    char *body = realloc(post->body, post->length + length);
    if (!body)
        return MHD_NO;
    memcpy(body + post->length, bytes, length);
    post->body = body;
    post->length += length;
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **con_cls)
{
    (void)path;
    (void)method;
    (void)version;
    struct intake *self = arg;
    struct post *post = *con_cls;
    if (!post) {
        *con_cls = post = calloc(1, sizeof *post);
        if (post)
            post->connection = connection;
        return post ? MHD_YES : MHD_NO;
    }
    if (*upload_data_size > 0) {
        enum MHD_Result result = take(post, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return result;
    }
    if (post->status == 0 && self->secret) {
        post->status = is_genuine(self, post) ? 0 : MHD_HTTP_FORBIDDEN;
        if (post->status == 0) {
            enqueue(self, post);
            return MHD_YES;
        }
    }
    return MHD_queue_response(connection, post->status ? post->status : MHD_HTTP_OK, self->empty);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode how)
{
    (void)arg;
    (void)connection;
    (void)how;
    struct post *post = *con_cls;
    if (post)
        free(post->body);
    free(post);
    *con_cls = NULL;
}

/* ---- life ---- */

static void open_journal(struct intake *self, const char *directory, size_t size_mib)
{
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&self->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(self->env, size_mib << 20);
    if (rc == 0)
        rc = mdb_env_open(self->env, directory, MDB_NOTLS, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(self->env, NULL, 0, &txn);
    if (rc == 0)
        rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &self->records);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    if (rc != 0)
        give_up("cannot open LMDB in %s: %s", directory, mdb_strerror(rc));
    (void)pthread_mutex_init(&self->lock, NULL);
    (void)pthread_cond_init(&self->has_more, NULL);
    if (pthread_create(&self->committer, NULL, commit, self) != 0)
        give_up("cannot start the committer");
}

static void close_journal(struct intake *self)
{
    MDB_stat stat = { 0 };
    MDB_txn *txn = NULL;
    (void)pthread_mutex_lock(&self->lock);
    self->is_ending = true;
    (void)pthread_cond_signal(&self->has_more);
    (void)pthread_mutex_unlock(&self->lock);
    (void)pthread_join(self->committer, NULL);
    if (mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn) == 0) {
        (void)mdb_stat(txn, self->records, &stat); /* failing, it says 0 records */
        mdb_txn_abort(txn);
    }
    (void)printf("%zu\n", stat.ms_entries);
    mdb_env_close(self->env);
}

int main(int argc, char **argv)
{
    struct intake intake = { 0 };
    struct error err = { 0 };
    sigset_t ending;
    int number = 0;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ending, NULL); /* before any thread */
    if (!option_is_set(argc, argv, "--answer-only")) {
        intake.secret =
            config_read_secret("--secret-file", option_text(argc, argv, "--secret-file", ""), &err);
        if (!intake.secret)
            give_up("%s", err.text);
        open_journal(&intake, option_text(argc, argv, "--directory", "."),
                     (size_t)option_number(argc, argv, "--size-mib", 1024));
    }
    intake.empty = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME,
                         (uint16_t)option_number(argc, argv, "--port", 0), NULL, NULL, on_request,
                         &intake, MHD_OPTION_THREAD_POOL_SIZE, 2U, MHD_OPTION_NOTIFY_COMPLETED,
                         on_completed, &intake, MHD_OPTION_END);
    if (!daemon || !intake.empty)
        give_up("cannot listen");
    (void)printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)fflush(stdout);
    (void)sigwait(&ending, &number);
    MHD_stop_daemon(daemon);
    if (intake.secret)
        close_journal(&intake);
    MHD_destroy_response(intake.empty);
    free(intake.secret);
    return EXIT_SUCCESS;
}
