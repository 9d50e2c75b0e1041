/* stream - the thread that speaks with Redis: reads the alert stream, acknowledges what is
 * journalled, writes what became of each alert. Alerts never wait for it: when Redis is away it
 * keeps what is to be written (bounded) and tries again; when Redis is back it says so, so that the
 * states are written anew. */
#ifndef DESG_NOTIFY_STREAM_H
#define DESG_NOTIFY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "ids/ids.h"
#include "service/service.h"

struct stream;

struct stream_options {
    struct service *service;
    /* Each on the stream's thread, quick. */
    void (*deliver)(void *arg, const char *stream_id, const uint8_t *order, size_t length);
    void (*back)(void *arg);
    void *arg;
};

struct stream *stream_new(const struct stream_options *options, struct error *err) MUST_USE;

/* Reads no more; what is to be written still is. */
void stream_drain(struct stream *self);
void stream_destroy(struct stream **self_p);

/* What was read as stream_id is dealt with: is_stored, or to be read again. Any thread. */
void stream_done(struct stream *self, const char *stream_id, bool is_stored);

/* What became of alert; takes fields. Any thread. */
void stream_state(struct stream *self, const struct id *alert, const char *state, json_t *fields);

/* "ready", "away" or "refused", and why; for /status. Any thread. */
const char *stream_condition(struct stream *self, char *problem, size_t problem_bytes);

#endif
