/* requests - webhooks as Facebook sends them, made and signed before the clock starts: each a
 * message of its own with its own sender, so that each is one event and one conversation. */
#ifndef DESG_BENCH_REQUESTS_H
#define DESG_BENCH_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "figures.h"
#include "ids/ids.h"

struct request {
    char *bytes; /* head and body */
    size_t length;
    bool is_urgent;
    struct id conversation; /* only with an id key */
    int64_t due_ns;         /* when it was due, or sent if nothing was planned */
    int64_t answered_ns;    /* 0: not yet, or not with 200 */
    int64_t claimable_ns;   /* 0: not seen in Redis */
};

struct requests_options {
    size_t count;
    const char *tag; /* makes ids differ from those of another run */
    const char *secret_file;
    const char *id_key_file; /* NULL: conversations are not looked for */
    const struct texts *texts;
};

struct requests {
    struct request *all;
    size_t count;
    size_t body_bytes; /* of all together */
};

void requests_make(struct requests *self, const struct requests_options *options);
void requests_clear(struct requests *self);

#endif
