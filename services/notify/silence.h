/* silence - which other replicas of notify have reported nothing to Redis for so long that their
 * open alerts are anybody's. Only time in which Redis was watched counts. Pure. Threads: one. */
#ifndef DESG_NOTIFY_SILENCE_H
#define DESG_NOTIFY_SILENCE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "ids/ids.h"

enum { SILENCE_SOURCES_MAX = 64 };

struct silence {
    struct silence_row {
        struct id source;
        json_int_t reports;
        int64_t heard_ms; /* monotonic; when the number was last another */
    } rows[SILENCE_SOURCES_MAX];
    size_t count;
    struct id own;
    int64_t limit_ms;
};

void silence_init(struct silence *self, const struct id *own_source, int64_t limit_ms);

/* Redis could not be asked: the time until it can is nobody's silence. */
void silence_interrupted(struct silence *self);

/* rows: as store_sources gives them. Fills out with those silent for limit_ms; returns how many. */
size_t silence_heard(struct silence *self, const json_t *rows, int64_t now_ms,
                     struct id out[static SILENCE_SOURCES_MAX]);

#endif
