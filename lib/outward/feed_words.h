/* feed_words - what feeds say of a broadcast in each language, beside its own text. Pure. */
#ifndef DESG_OUTWARD_FEED_WORDS_H
#define DESG_OUTWARD_FEED_WORDS_H

#include <stdbool.h>

#include "desg/v1/outward.pb-c.h"
#include "outward/outward_config.h"

enum feed_language { FEED_EN, FEED_CY, FEED_LANGUAGES };

/* en-GB, cy-GB. */
const char *feed_tag(enum feed_language language);
/* NULL: this language was not given. */
const Desg__V1__BroadcastText *feed_text(const Desg__V1__Broadcast *broadcast,
                                         enum feed_language language);
/* "Road closed", or once it is over "Road reopened". */
const char *feed_event(const Desg__V1__Broadcast *broadcast, enum feed_language language,
                       bool is_over);
/* CAP 1.2 category and responseType. */
const char *feed_category(Desg__V1__BroadcastKind kind);
const char *feed_response(Desg__V1__BroadcastKind kind);
const char *feed_sender_name(const struct outward_feed *feed, enum feed_language language);
/* Where, in words; never empty. */
const char *feed_area(const struct outward_feed *feed, const Desg__V1__Broadcast *broadcast,
                      enum feed_language language);
/* A word is said once it is over: cancelled, "now reopened", an appeal that has ended. */
bool feed_has_end(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state);
/* An appeal that is over names nobody and no place any more. */
bool feed_is_withdrawn(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state);
/* said_withdraw of such an appeal. */
void feed_withdraw(Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state);
/* All that is said now that it is over; its first line, or the headline of one that holds. language
 * is one that was given. The caller frees it. */
char *feed_over(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state,
                enum feed_language language);
char *feed_headline(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state,
                    enum feed_language language);

#endif
