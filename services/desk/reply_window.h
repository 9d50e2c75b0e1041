/* reply_window - from a conversation as Redis has it: which account answers the person, and whether
 * it may now. Pure: no I/O, no clock. */
#ifndef DESG_DESK_REPLY_WINDOW_H
#define DESG_DESK_REPLY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "ids/ids.h"
#include "outward/outward_config.h"
#include "outward/window.h"

enum { REPLY_EXPLANATION_BYTES = 240 };

struct reply_window {
    const char *channel; /* of the event answered, as account: the conversation's */
    const char *account;
    const struct outward_account *sender; /* NULL: nothing is sent for this account */
    struct window window;
    char explanation[REPLY_EXPLANATION_BYTES];
};

/* event NULL: the newest private message. False: there is none, or the event named is not in it or
 * no private message. */
bool reply_window_of(const struct outward_config *config, const json_t *conversation,
                     const struct id *event, int64_t now_ms, struct reply_window *out);
/* Something may be sent. */
bool reply_window_is_open(const struct reply_window *self);
/* {"state","until_ms","human_until_ms","explanation"}; a time that is none is left out. */
json_t *reply_window_json(const struct reply_window *self);

#endif
