/* desk_api - desk's API without HTTP: tokens, journal and audit chain as they are, a real Redis,
 * and requests put straight to dispatch. Accounts and outlets are invented. */
#ifndef DESG_TEST_DESK_API_H
#define DESG_TEST_DESK_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "desk/dispatch.h"
#include "outward/outward_config.h"
#include "redis_server.h"
#include "sample.h"

struct desk_api {
    char directory[64];
    struct redis_server *server;
    struct config_redis redis;
    struct store_queues queues;
    struct metrics *metrics;
    struct config *config;
    struct outward_config *outward; /* of config */
    struct journal *journal;
    struct chain *chain;
    struct fact_index *index;
    struct id_key *id_key;
    struct api api;
    struct dispatch *dispatch;
    struct store *store; /* the test's own */
    unsigned keys;
};

/* Holders are called as their token: mair (agent), nia (comms), owen (comms), sian (supervisor,
 * restricted), gwyn (auditor); a token is "token-of-NAME-" and zeros. */
int desk_api_new(void **state);
int desk_api_free(void **state);
/* Empties Redis: a test's set-up. */
int desk_api_empty(void **state);
/* What desk's startup does after Redis was emptied: the facts of its log from record from on, once
 * more. How many they were. */
size_t desk_api_replay(struct desk_api *self, uint64_t from);
/* Forgets what this desk knows of its facts, as one that was started anew with a full index. */
void desk_api_forget(struct desk_api *self);

/* key NULL: a new one where the method is POST. body may be NULL. *answer may be NULL; else the
 * caller drops it. The status. */
unsigned desk_api_ask(struct desk_api *self, const char *agent, const char *method,
                      const char *path, const char *key, json_t *body, json_t **answer);
unsigned desk_api_get(struct desk_api *self, const char *agent, const char *path, json_t **answer);
/* Takes body over; fails the test unless the answer's status is status. The answer. */
json_t *desk_api_post(struct desk_api *self, const char *agent, const char *path, json_t *body,
                      unsigned status);
void desk_api_token(const char *agent, char out[static 64]);

const char *text_at(const json_t *object, const char *name);
/* Facts in this desk's audit log of a kind, by fact_kind. */
size_t desk_api_facts(struct desk_api *self, const char *kind);

/* Applies the event as route does; id of its conversation. */
struct id desk_api_hear(struct desk_api *self, struct sample *sample);
/* A road closure that can go out as it is, at page and feed. */
json_t *desk_api_closure(void);

#endif
