/* answers - outcomes of events, gathered and sent as one Done, Busy or Refused per peer and source.
 * Pure but for the function that sends. Threads: the lane's. */
#ifndef DESG_ROUTE_ANSWERS_H
#define DESG_ROUTE_ANSWERS_H

#include "route/held.h"

enum answer_kind { ANSWER_DONE, ANSWER_BUSY, ANSWER_REFUSED };

struct answer {
    struct address to;
    enum answer_kind kind;
    Desg__V1__DoneOutcome outcome; /* DONE */
    const uint8_t *verdict;        /* DONE: the verdict that stands; borrowed until sent */
    size_t verdict_length;
    bool is_alerted;    /* BUSY */
    const char *reason; /* BUSY, REFUSED: a literal, without content */
};

/* Sends one packet to peer; nobody hears of a failure: the sender keeps custody and offers again.
 */
typedef void answers_send_fn(void *arg, link_peer peer, const Desg__V1__Packet *packet);

/* Sends all in as few packets as go: one for those alike in peer, source, incarnation, kind and
 * reason, at most LINK_BATCH_MAX_ITEMS each. Reorders answers. history goes into each Done. */
void answers_send(struct answer *answers, size_t count, const char *history, answers_send_fn *send,
                  void *arg);

#endif
