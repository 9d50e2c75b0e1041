/* intake_support - a webhook listener on a free port with a store of the test's own, and a raw
 * client that can be as rude as a test needs. */
#ifndef DESG_TESTS_INGEST_INTAKE_SUPPORT_H
#define DESG_TESTS_INGEST_INTAKE_SUPPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/http_intake.h"

enum store_mood {
    STORE_AT_ONCE, /* calls back at once, on a thread of its own */
    STORE_HOLDS,   /* keeps callbacks until told */
    STORE_FULL,    /* takes nothing */
    STORE_FAILS    /* calls back with JOURNAL_FAILED */
};

enum { STORE_HELD_MAX = 64 };

/* Stands in for the journal. */
struct fake_store {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    enum store_mood mood;
    bool is_over;
    struct {
        journal_stored *done;
        void *arg;
    } queue[STORE_HELD_MAX];
    size_t queued;
    uint64_t appended;
    uint8_t *last;
    size_t last_bytes;
};

struct intake_fixture {
    char folder[32];
    char secret_path[64];
    char token_path[64];
    char *secret_files[1];
    char *proxies[1];
    uint32_t per_address;
    struct ingest_channel_config channels[3];
    struct ingest_config config;
    struct metrics *metrics;
    struct fake_store store;
    struct http_intake *intake;
};

/* With the configuration changed by tune (may be NULL) before the start. */
struct intake_fixture *intake_fixture_new(void (*tune)(struct ingest_config *config));
/* Stops the intake, lets the store call back what it holds, frees everything. */
void intake_fixture_destroy(struct intake_fixture **self_p);

void store_mood(struct fake_store *store, enum store_mood mood);
/* Calls back all it holds. */
void store_let_go(struct fake_store *store);
uint64_t store_appended(struct fake_store *store);
/* Waits until count were appended; fails the test after 5 s. */
void store_await(struct fake_store *store, uint64_t count);

int client_connect(const struct intake_fixture *fixture);
void client_send(int socket_fd, const void *bytes, size_t length);
void client_say(int socket_fd, const char *text);
/* Reads one answer (head and body by its Content-Length) into out, NUL-terminated. Returns its
 * status, 0 if the connection ended first. Fails the test after 5 s. */
int client_answer(int socket_fd, char *out, size_t room);
/* True if the other side ended the connection within 5 s; what still comes is read and dropped. */
bool client_ended(int socket_fd);

/* "sha256=…" of body under the fixture's secret. */
const char *sign_meta(const char *body, size_t length);
/* A good POST of body with one header line more ("" or "X: y\r\n"). Returns its status. */
int post_meta(int socket_fd, const char *body, const char *more, char *out, size_t room);

uint64_t rejected(const struct intake_fixture *fixture, const char *reason);

#endif
