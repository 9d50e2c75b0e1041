/* heartbeats - which of a process's loops still turn. Threads: a loop's own thread beats, any
 * thread asks. */
#ifndef DESG_SERVICE_HEARTBEATS_H
#define DESG_SERVICE_HEARTBEATS_H

#include <stdint.h>

enum { HEARTBEAT_LIMIT_MS = 10000 };

struct heartbeats;
struct heartbeat;

struct heartbeats *heartbeats_new(void);
void heartbeats_destroy(struct heartbeats **self_p);

/* A loop that counts as alive now. name is kept by pointer. */
struct heartbeat *heartbeats_add(struct heartbeats *self, const char *name, int64_t now_ms);
void heartbeat_beat_at(struct heartbeat *self, int64_t now_ms);

/* Name of a loop that has not beaten for longer than HEARTBEAT_LIMIT_MS; NULL: all turn. */
const char *heartbeats_stuck(struct heartbeats *self, int64_t now_ms);

#endif
