/* broadcast - is a broadcast fit to go out, and how does it read at each outlet? Pure. */
#ifndef DESG_OUTWARD_BROADCAST_H
#define DESG_OUTWARD_BROADCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "desg/v1/outward.pb-c.h"
#include "error/error.h"
#include "outward/outward_config.h"
#include "outward/text.h"

/* All that is wrong, at most 16 lines: what, where, what to do. Missing Welsh without an override,
 * expiry missing or past or before the start, an area not closed or crossing itself or with too few
 * points, outlets unknown or named twice, a text too long for an outlet (how long it is and may
 * be), control characters, CAP words unknown. */
enum { BROADCAST_PROBLEMS_MAX = 16, BROADCAST_PROBLEM_BYTES = 200 };
struct broadcast_problems {
    char lines[BROADCAST_PROBLEMS_MAX][BROADCAST_PROBLEM_BYTES];
    size_t count;
};
void broadcast_check(const struct outward_config *config, const Desg__V1__Broadcast *broadcast,
                     int64_t now_ms, struct broadcast_problems *out);

/* What is posted at outlet for action, in order: one post, or one for each language, or a thread.
 * Both languages in one post where the outlet has none of its own; Welsh first. ERROR_INVALID: too
 * long. */
struct broadcast_post {
    char *text;
    const char *language; /* en, cy; NULL: both in one */
    bool is_reply;        /* follows the one before it in a thread */
};
struct broadcast_posts {
    struct broadcast_post *posts;
    size_t count;
};
int broadcast_posts(const struct outward_outlet *outlet, const Desg__V1__Broadcast *broadcast,
                    Desg__V1__BroadcastAction action, struct broadcast_posts *out,
                    struct error *err) MUST_USE;
void broadcast_posts_free(struct broadcast_posts *posts);

/* [{"outlet","posts":[{"text","language","length","max"}],"problem"}]: the preview before approval.
 */
json_t *broadcast_preview(const struct outward_config *config,
                          const Desg__V1__Broadcast *broadcast);

/* Words of the API and the command for the enumerations, and back (0: unknown). */
const char *broadcast_kind_word(Desg__V1__BroadcastKind kind);
Desg__V1__BroadcastKind broadcast_kind_from(const char *word);
const char *broadcast_state_word(Desg__V1__BroadcastState state);
const char *road_state_word(Desg__V1__RoadState state);
Desg__V1__RoadState road_state_from(const char *word);

/* JSON as the API has it, both ways. From: ERROR_INVALID names the member; the result is freed with
 * protobuf's free_unpacked. */
json_t *broadcast_to_json(const Desg__V1__Broadcast *broadcast);
Desg__V1__Broadcast *broadcast_from_json(const json_t *value, struct error *err) MUST_USE;

#endif
