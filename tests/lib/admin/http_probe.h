/* http_probe - one raw HTTP request at a time, for tests: just the bytes given, so that what no
 * proper client would send can be sent. Every wait ends after PROBE_TIMEOUT_S. */
#ifndef DESG_HTTP_PROBE_H
#define DESG_HTTP_PROBE_H

#include <stddef.h>
#include <stdint.h>

enum { PROBE_TIMEOUT_S = 5, PROBE_ANSWER_BYTES = 128 << 10 };

struct probe_answer {
    int status; /* 0: the connection ended without an answer */
    char text[PROBE_ANSWER_BYTES];
    const char *body; /* in text, after the empty line; "" if there is none */
};

/* Returns a connected socket, or -1. */
int probe_connect_tcp(uint16_t port);
/* The same from another loopback address, such as "127.0.0.2". */
int probe_connect_tcp_from(const char *source, uint16_t port);
int probe_connect_unix(const char *path);

/* Sends all of it, reads until the other side closes or the answer is whole, closes fd. A peer that
 * stops reading early is no failure. */
void probe_exchange(int fd, const void *request, size_t length, struct probe_answer *answer);

/* "<method> <target> HTTP/1.1" with Connection: close and body, NULL for none. */
void probe_request(int fd, const char *method, const char *target, const char *body,
                   struct probe_answer *answer);

#endif
