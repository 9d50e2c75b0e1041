/* outbox_plan - what is said for one item, part by part, and the request for each. Pure but for the
 * secrets, which are read from their files for each request, so that a rotated token works at once.
 * Threads: any, one at a time per plan. */
#ifndef DESG_NOTIFY_OUTBOX_PLAN_H
#define DESG_NOTIFY_OUTBOX_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "notify/platform.h"
#include "outward/outward_config.h"

/* A place as the configuration has it: an account or an outlet. */
struct outbox_way {
    const struct outward_config *config;
    const struct outward_account *account; /* one of these two is NULL */
    const struct outward_outlet *outlet;
    const struct platform *platform; /* NULL: nothing is called (feed) */
};

enum outbox_deed {
    OUTBOX_SEND,
    OUTBOX_EDIT,
    OUTBOX_REMOVE,
    OUTBOX_NOTHING /* done by being decided: the feed shows it, or there is nothing to take back */
};

struct outbox_part {
    enum outbox_deed deed;
    char *text;           /* NULL: none */
    const char *language; /* en, cy, NULL */
    bool is_reply;        /* follows object_id, or the part before it where that is "" */
    char object_id[PLATFORM_OBJECT_BYTES];
};

struct outbox_plan {
    struct outbox_part *parts;
    size_t count;       /* ≥ 1 */
    bool is_repairable; /* an edit that is refused becomes a removal */
};

/* What was posted before of a broadcast at this outlet, oldest first. */
struct outbox_posted {
    char (*objects)[PLATFORM_OBJECT_BYTES];
    const char **languages; /* of each: en, cy; NULL: not known */
    size_t count;
};

/* ERROR_INVALID: it can never be sent like this; why. The caller releases *out. */
int outbox_plan_make(const struct outbox_way *way, const Desg__V1__OutboxItem *item,
                     const struct outbox_posted *posted, int64_t unix_ms, struct outbox_plan **out,
                     struct error *err) MUST_USE;
void outbox_plan_destroy(struct outbox_plan **self_p);
/* For outbox_book_options.free_plan. */
void outbox_plan_free(void *plan);

/* A refused edit: takes the post away instead. Returns false if there is no such way. */
bool outbox_plan_remove_instead(const struct outbox_way *way, struct outbox_plan *self,
                                uint32_t part);

struct outbox_request {
    const struct outbox_way *way;
    const Desg__V1__OutboxItem *item;
    const struct outbox_plan *plan;
    uint32_t part;
    const char *before; /* what the platform calls the part before; "" */
    bool is_human_agent;
    int64_t unix_ms;
};

enum outbox_request_kind { OUTBOX_REQUEST_DEED, OUTBOX_REQUEST_LOOK };

/* ERROR_CONFIG: a secret cannot be read or is missing: the account is blocked. ERROR_INVALID: never
 * like this. */
int outbox_plan_request(const struct outbox_request *ask, enum outbox_request_kind kind,
                        struct platform_request *out, struct error *err) MUST_USE;
/* The message as looked_up wants it; strings live as long as plan and marks. */
struct outbox_marks {
    char ref[PLATFORM_REF_BYTES];
    char key[PLATFORM_REF_BYTES];
};
void outbox_plan_message(const struct outbox_request *ask, struct outbox_marks *marks,
                         struct platform_message *out);
int outbox_plan_probe(const struct outbox_way *way, int64_t unix_ms, struct platform_request *out,
                      struct error *err) MUST_USE;

/* May it be answered now? OUTBOX: 0 and *is_human_agent, or -1 with why in words. */
int outbox_plan_window(const struct outbox_way *way, const Desg__V1__OutboxItem *item,
                       bool is_person_known, int64_t last_person_unix_ms, int64_t unix_ms,
                       bool *is_human_agent, struct error *err) MUST_USE;

#endif
