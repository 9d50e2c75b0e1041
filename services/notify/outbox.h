/* outbox - everything that goes out but alerts, apart from them: its own loop, its own connections
 * to Redis, its own outbounds, its own journal. What is slow or broken here delays no alert; a slow
 * outlet delays no reply. Threads: as said per function. */
#ifndef DESG_NOTIFY_OUTBOX_H
#define DESG_NOTIFY_OUTBOX_H

#include <stdbool.h>

#include <jansson.h>

#include "error/error.h"
#include "notify/notify_config.h"
#include "outward/outward_config.h"
#include "service/service.h"

struct outbox_options {
    struct service *service;
    const struct outward_config *outward; /* borrowed, as the next */
    const struct notify_journal_config *journal;
};

struct outbox;

/* Reads the journal, starts the threads. Registers /outbox at the control socket. */
struct outbox *outbox_new(const struct outbox_options *options, struct error *err) MUST_USE;
/* Gives the places up, joins the threads. */
void outbox_destroy(struct outbox **self_p);

/* Any thread. */
void outbox_drain(struct outbox *self);
bool outbox_is_drained(struct outbox *self);
/* Adds "outbox" to detail. */
void outbox_describe(struct outbox *self, json_t *detail);

#endif
