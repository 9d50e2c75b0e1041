/* window - may this person be answered now, and how? Pure: the caller says what time it is. Counted
 * from the person's own last message, by the platform's clock. Sources of the built-in table:
 * platforms' policies as named in window.c, each with its date. */
#ifndef DESG_OUTWARD_WINDOW_H
#define DESG_OUTWARD_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "outward/outward_config.h"

enum window_state {
    WINDOW_OPEN,   /* anything */
    WINDOW_HUMAN,  /* only text a person wrote, marked as such (HUMAN_AGENT) */
    WINDOW_CLOSED, /* nothing: the way is another channel, or the person writes again */
};

struct window {
    enum window_state state;
    int64_t until_ms;       /* of the present state; INT64_MAX: for ever */
    int64_t human_until_ms; /* 0: no such time */
    uint32_t text_max;
    bool is_in_bytes;
};

/* last_person_at_ms 0: the person never wrote: closed where the channel has a window.
 * has_human_agent: the account may use the tag. */
struct window window_of(const struct outward_config *config, const char *channel,
                        bool has_human_agent, int64_t last_person_at_ms, int64_t now_ms);

/* Why nothing may be said and which other ways there are: one line for an agent. */
void window_explain(const struct window *window, const char *channel, int64_t now_ms, char *out,
                    size_t bytes);

#endif
