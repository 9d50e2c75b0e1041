/* api - what a handler of the API gets and gives: who asks, for what, with a store of its worker's
 * own. routes.c holds the table of all; openapi.yaml describes it, and a test that both agree. */
#ifndef DESG_DESK_API_H
#define DESG_DESK_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "desk/chain.h"
#include "desk/fact_index.h"
#include "desk/http_server.h"
#include "desk/tokens.h"
#include "ids/ids.h"
#include "outward/outward_config.h"
#include "projector/projector.h"
#include "store/outbox.h"
#include "store/store.h"

enum {
    API_NAME_MAX_BYTES = 64,
    API_KEY_MAX_BYTES = 128,
    API_LIMIT_DEFAULT = 50,
    /* Rows of a list from Redis, which serves nobody else meanwhile: 2,000 take it 17 ms,
     * 10,000 took 140 to 210. */
    API_LIST_MAX = 2000
};

struct api_call;
typedef void api_handler(struct api_call *call);

enum api_kind {
    API_READ,
    API_CHANGE, /* takes an Idempotency-Key */
    API_KEEP    /* POST that decides nothing: no key */
};

/* What a {name} in a path is. */
enum api_place { PLACE_NONE, PLACE_ID, PLACE_QUEUE, PLACE_REFERENCE };

struct route {
    const char *method;
    const char *path; /* as in openapi.yaml; at most one {name} */
    enum api_kind kind;
    enum api_place place;
    unsigned roles;    /* any of these; 0: anybody, without a token */
    const char *query; /* names taken, between blanks: " limit state " */
    api_handler *handler;
};

extern const struct route routes[];
extern const size_t routes_count;

/* What all handlers share. */
struct api {
    struct journal *journal;
    struct chain *chain;
    struct fact_index *index;
    struct projector *projector;
    struct id_key *id_key;
    struct id source;
    const char *name; /* of this desk */
    uint32_t lease_s;
    const struct outward_config *outward;
};

struct api_call {
    struct api *api;
    struct store *store;
    const struct route *route;
    const struct http_request *request;
    struct token_holder holder;
    struct id id;                      /* PLACE_ID */
    char name[API_NAME_MAX_BYTES + 1]; /* PLACE_QUEUE, PLACE_REFERENCE */
    char key[API_KEY_MAX_BYTES + 1];   /* API_CHANGE */
    json_t *body;                      /* an object; empty where none was sent */
    json_t *beside; /* members of the answer that are not in its fact; NULL: none */
    struct http_answer *answer;
};

/* --- parsing, free of I/O --- */

/* Finds the route of method and path and fills route, id and name. 0, or the status: 404 (no such
 * path, or an id that is none) or 405 (*allow says what is taken). */
unsigned api_match(const char *method, const char *path, struct api_call *call, const char **allow);
/* Query parameters the route takes, each once. */
bool api_check_query(const struct api_call *call, struct http_answer *answer);
/* An Idempotency-Key of 8 to API_KEY_MAX_BYTES visible ASCII characters where the route wants one.
 */
bool api_check_key(struct api_call *call, struct http_answer *answer);
/* The body as an object. */
bool api_parse_body(struct api_call *call);
/* 1 to most, API_LIMIT_DEFAULT if not given. */
bool api_limit(struct api_call *call, size_t most, size_t *limit);
/* NULL: not given. */
const char *api_query(const struct api_call *call, const char *name);
/* Whole numbers from 0. */
bool api_query_number(struct api_call *call, const char *name, uint64_t *out);

/* Members of the body. Each says what is wrong with 422 and returns false. */
bool body_check_names(struct api_call *call, const char *const *names, size_t count);
/* Text of least to most bytes; *out NULL where it is missing and least is 0. */
bool body_text(struct api_call *call, const char *name, size_t least, size_t most,
               const char **out);
bool body_fence(struct api_call *call, uint64_t *fence);
bool body_id(struct api_call *call, const char *name, bool is_required, struct id *out,
             bool *is_given);
bool body_severity(struct api_call *call, const char *name, Desg__V1__Severity *out);
/* A whole number from least to most. */
bool body_number(struct api_call *call, const char *name, int64_t least, int64_t most,
                 int64_t *out);
/* Refuses with 422: the member name must be so. false. */
bool body_refuse(struct api_call *call, const char *name, const char *must_be);

/* --- answering --- */

/* Takes value over. */
void api_answer(struct api_call *call, unsigned status, json_t *value);
/* application/problem+json; kind ends the type's URN, such as stale-fence. Takes more over, an
 * object of further members, or NULL. */
void api_problem(struct http_answer *answer, unsigned status, const char *kind, const char *detail,
                 const char *remedy, json_t *more);
/* There is nothing there, or nothing for this caller: one answer for both. */
void api_absent(struct api_call *call);
/* The store or the journal could not now: 503 with what err says. */
void api_unavailable(struct api_call *call, const struct error *err);

/* For http_server: a problem by its status. */
void api_http_problem(unsigned status, const char *detail, const char *remedy,
                      struct http_answer *answer);

/* --- rights --- */

static inline bool api_sees_restricted(const struct api_call *call)
{
    return (call->holder.roles & ROLE_RESTRICTED) != 0;
}
/* Is the object, a row of the store's, restricted? */
bool api_is_restricted(const json_t *row);
/* Drops the rows the caller may not see. */
void api_drop_restricted(const struct api_call *call, json_t *rows);
/* The conversation if the caller may see it: 0 with *out (if not NULL) filled, -1 with the answer
 * given. */
int api_conversation(struct api_call *call, const struct id *conversation, json_t **out);

/* A row of quarantine with its content if the caller may see it: 0 with *out (if not NULL) and the
 * conversation it belongs to, -1 with the answer given. */
int api_quarantined(struct api_call *call, const struct id *event, json_t **out,
                    struct id *conversation);

/* Is the conversation not for this caller: restricted, or without an event as yet? While Redis is
 * filled again, what people said may be there before what it was said to, and only that says
 * whether it is restricted. */
bool api_hides(const struct api_call *call, const json_t *conversation);
/* May the caller see the conversation that row names (one that names none: yes)? 1 yes, 0 no, -1
 * Redis is away. One that is not there may be restricted. */
int api_sees_conversation(struct api_call *call, const json_t *row, struct error *err);

/* State, owner, fence and so on of a conversation: nothing anybody wrote. */
json_t *api_claim_of(const json_t *conversation);

/* --- facts --- */

/* What comes of a fact: done or answered. */
enum fact_outcome {
    FACT_NEW,      /* go on */
    FACT_REPEATED, /* answered as the first time */
    FACT_ANSWERED  /* refused, or another request has it in hand */
};

/* Starts the fact of this call: id from agent and key, agent, time. FACT_NEW must end with
 * api_fact_store or api_fact_drop. answer_of makes the answer from a stored fact. */
typedef json_t *api_fact_answer(struct api_call *call, const Desg__V1__Fact *fact);
enum fact_outcome api_fact_begin(struct api_call *call, Desg__V1__Fact *fact, struct id *id,
                                 api_fact_answer *answer_of);
/* Journals it and answers 200 with answer_of. */
void api_fact_store(struct api_call *call, const struct id *id, const void *bytes, size_t length,
                    api_fact_answer *answer_of);
void api_fact_drop(struct api_call *call, const struct id *id);
/* Its members as fact_describe has them. */
api_fact_answer api_fact_plain;
/* Stores what a function in Redis decided, unless it knew the key for another change; frees
 * done->fact. */
void api_fact_store_done(struct api_call *call, const struct id *id, const Desg__V1__Fact *asked,
                         struct store_fact_done *done, api_fact_answer *answer_of);
/* The key was used for another change: 422. */
void api_key_used(struct api_call *call);
/* Journals fact under a random id, for what has no key; 0, or -1 with the answer given. */
int api_fact_note(struct api_call *call, Desg__V1__Fact *fact);
/* Refuses changes at once while the journal takes none. */
bool api_can_store(struct api_call *call);

/* A fact as JSON, for answers and the audit. */
json_t *fact_describe(const Desg__V1__Fact *fact);
const char *fact_kind(const Desg__V1__Fact *fact);
/* Is what was stored what is asked for? */
bool fact_is_same(const Desg__V1__Fact *asked, const Desg__V1__Fact *stored);

/* --- handlers --- */

api_handler api_openapi, api_session, api_status;
api_handler api_queues, api_queue, api_conversation_show, api_claim_show, api_alerts, api_trace;
api_handler api_quarantine, api_quarantine_show, api_quarantine_removal;
api_handler api_claim, api_heartbeat, api_release, api_close, api_grade, api_note, api_acknowledge;
api_handler api_language;
api_handler api_audit;
api_handler api_reply, api_items, api_item, api_settlement, api_places, api_reference;
api_handler api_freeze_show, api_freeze, api_freeze_lift;
api_handler api_broadcasts, api_broadcast, api_draft, api_preview, api_update;
api_handler api_approve, api_publish, api_cancel;

#endif
