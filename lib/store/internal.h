/* internal - what the files of store share. hiredis stays behind it. */
#ifndef DESG_STORE_INTERNAL_H
#define DESG_STORE_INTERNAL_H

#include <hiredis/hiredis.h>

#include "store/endpoint.h"
#include "store/sentinel.h"
#include "store/store.h"
#include "store/tls.h"

enum {
    STORE_FUNCTION_ARGS_MAX = 16,
    STORE_WORD_BYTES = 65,
    STORE_PROBLEM_BYTES = 384,
    STORE_FORCE_MAX_BYTES = 64
};

struct store_scratch; /* apply.c: the argument vectors of one call */

struct store {
    const struct config_redis *redis;
    const struct store_queues *queues;
    char *label;
    char *password; /* NULL: none */
    char force[STORE_FORCE_MAX_BYTES + 1];
    char prefix[STORE_FORCE_MAX_BYTES + 16]; /* desg:{force}: */
    struct endpoint endpoint;                /* where the connection goes */
    struct sentinels *sentinels;             /* NULL: the address is configured */
    redisContext *connection;                /* NULL: none */
    struct tls *tls;                         /* NULL: plain */
    enum store_state state;
    char problem[STORE_PROBLEM_BYTES];
    int64_t tried_at_ms; /* monotonic; the last attempt to connect */
    struct store_scratch *scratch;
    redisReply *held; /* the answer that results of the last store_apply point into */
    struct counter *connections_total;
    struct counter *losses_total;
    struct counter *moves_total;
    struct gauge *sentinels_answering;
    int64_t isolation_asked_at_ms;     /* monotonic */
    bool is_guest;                     /* no advice on settings */
    bool is_stream_fresh;              /* the alert stream was not read on this connection yet */
    bool are_sentinels_silent;         /* said so in the log */
    bool was_refused;                  /* the last call failed in its function, for itself */
    char advised[STORE_PROBLEM_BYTES]; /* advice on settings last written to the log */
};

/* Drops the connection: what was under way has an unknown outcome. Notes why as the problem line.
 */
int store_lose(struct store *self, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Connected and checked, or ERROR_UNAVAILABLE with the problem line. */
int store_need(struct store *self, struct error *err) MUST_USE;

/* One command. NULL with ERROR_UNAVAILABLE after any failure or error answer; the connection is
 * then lost. */
redisReply *store_command(struct store *self, int argc, const char **argv, const size_t *lengths,
                          struct error *err) MUST_USE;

/* Whether the text of a fault caught in a function, or of an error answer, is about what was asked
 * rather than about Redis (away, full, read-only, busy, its ACL). */
bool store_is_own_fault(const char *text);
/* The same for an error answer: it has to come from inside a function, too. */
bool store_is_function_fault(const char *text);

/* Calls function name (without the library's prefix) with NUL-terminated arguments. The answer is
 * an array of at least expected elements. history may be NULL. */
redisReply *store_call(struct store *self, const char *name, const char *const *args, size_t count,
                       size_t expected, char *history, struct error *err) MUST_USE;

/* Copies element 0 of an answer. */
int store_take_history(struct store *self, const redisReply *reply, char *history,
                       struct error *err) MUST_USE;

/* check.c: all the questions put to a fresh connection, before deadline_ms (monotonic). Returns
 * the state and fills problem unless it is STORE_READY. */
enum store_state store_examine(struct store *self, int64_t deadline_ms);

/* check.c: STORE_AWAY if neither most Sentinels answer nor a replica is in step: then another may
 * be master by now. */
enum store_state store_check_isolation(struct store *self, int64_t deadline_ms);

/* master.c: the address the Sentinels name, asked before deadline_ms. -1: problem says why. */
int store_find_master(struct store *self, int64_t deadline_ms, char address[ENDPOINT_TEXT_BYTES]);
/* Whether the connection is still to the master, as far as can be known without waiting. */
bool store_trusts_master(struct store *self);
/* Sets the gauge; a line in the log when all fell silent or one is back. */
void store_show_sentinels(struct store *self);

void store_reply_free(redisReply **reply_p);

/* The answer's text; "" for what is none. */
const char *store_text(const redisReply *reply);

/* apply.c */
/* A word of a header: letters, digits and . _ - : others become _, nothing becomes "-". */
const char *store_word(const char *text, char out[static STORE_WORD_BYTES]);
struct store_scratch *store_scratch_new(void);
void store_scratch_destroy(struct store_scratch **self_p);

#endif
