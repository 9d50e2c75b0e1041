/* answer - what the other side's answer to a POST means for what was posted (design.md §7). Pure.
 */
#ifndef DESG_NOTIFY_ANSWER_H
#define DESG_NOTIFY_ANSWER_H

#include <stdbool.h>

enum answer {
    ANSWER_ACCEPTED,    /* 2xx */
    ANSWER_LATER,       /* 408, 409, 425, 429: alive but not now; same key, same bytes */
    ANSWER_FAILED,      /* 5xx, no answer, cut off, timed out: same key, same bytes */
    ANSWER_KEY_KNOWN,   /* 422: the key was used with other bytes */
    ANSWER_REFUSED,     /* other 3xx and 4xx: somebody must act; tried on, slowly */
    ANSWER_CREDENTIALS, /* 401, 403: somebody must act; tried on, slowly */
    ANSWER_GONE         /* 410: somebody must act; tried on, slowly */
};

/* http_status 0: no whole answer came. */
enum answer answer_of(unsigned http_status);

/* A fault no waiting heals. */
bool answer_needs_person(enum answer answer);

/* For logs, metrics and the journal: accepted, later, failed, key-known, refused, credentials,
 * gone. */
const char *answer_name(enum answer answer);

#endif
