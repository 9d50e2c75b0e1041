/* said - what a broadcast says in one language for one action. Pure. */
#ifndef DESG_OUTWARD_SAID_H
#define DESG_OUTWARD_SAID_H

#include <stdbool.h>

#include <jansson.h>

#include "desg/v1/outward.pb-c.h"

enum said_language { SAID_CY, SAID_EN, SAID_LANGUAGES }; /* in the order they are shown */

/* "cy", "en" */
const char *said_language_word(enum said_language language);

/* NULL: not given in that language. */
const Desg__V1__BroadcastText *said_words(const Desg__V1__Broadcast *broadcast,
                                          enum said_language language);

struct said_how {
    Desg__V1__BroadcastAction action;
    bool has_area;      /* there is room for a line that says where */
    bool is_bare;       /* cancelled, ended: without the headline, which may be long */
    bool welsh_follows; /* says so: the Welsh is owed */
};
/* To be freed; NULL without memory. The language must be given. */
char *said_text(const Desg__V1__Broadcast *broadcast, enum said_language language,
                const struct said_how *how);

/* An appeal that is cancelled or has ended names nobody and no place any more. */
bool said_is_withdrawn(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastAction action);
/* Takes out of such an appeal who and where it was about: its headline is what is said now. Its
 * fields are in protobuf's own memory, as unpacked. Done again it changes nothing. */
void said_withdraw(Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastAction action);

/* What concerns everyone: without whose it is, what it belongs to, and where it goes. */
json_t *broadcast_public_json(const Desg__V1__Broadcast *broadcast);

#endif
