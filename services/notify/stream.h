/* stream - the thread that asks Redis: reads the alert stream, acknowledges what is journalled, and
 * looks what others know of alerts that are open here. Fresh alerts never wait for it. */
#ifndef DESG_NOTIFY_STREAM_H
#define DESG_NOTIFY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "ids/ids.h"
#include "notify/alert_flow.h"
#include "notify/rebuild.h"
#include "service/service.h"

struct stream;

struct stream_options {
    struct service *service;
    struct id source;     /* of our own journal */
    struct rebuild known; /* the sources that must have caught up, as far as known yet */
    int64_t take_over_ms; /* another replica silent for so long has gone */
    /* Each on the stream's thread, quick. */
    void (*deliver)(void *arg, const char *stream_id, const uint8_t *order, size_t length);
    size_t (*open_rows)(void *arg, size_t *cursor, struct alert_open_row *rows, size_t max);
    void (*elsewhere)(void *arg, const struct alert_elsewhere *news);
    void (*heard_of)(void *arg, const struct id *source);
    void (*looked_up)(void *arg, const struct callback_message *message,
                      struct callback_ticket *ticket, bool is_asked, bool is_known);
    void *arg;
};

struct stream *stream_new(const struct stream_options *options, struct error *err) MUST_USE;

/* Reads no more; what is to be written still is. */
void stream_drain(struct stream *self);
void stream_destroy(struct stream **self_p);

/* What was read as stream_id is dealt with: is_stored, or to be read again. Any thread. */
void stream_done(struct stream *self, const char *stream_id, bool is_stored);

/* Does Redis know the alert of message? looked_up gets the answer. Any thread. */
void stream_look_up(struct stream *self, const struct callback_message *message,
                    struct callback_ticket *ticket);

/* "ready", "away" or "refused", and why; for /status. Any thread. */
const char *stream_condition(struct stream *self, char *problem, size_t problem_bytes);

#endif
