/* raw_server - a TCP server for tests that answers requests byte by byte as told, plain or in TLS
 * under a certificate of its own for 127.0.0.1. Keeps what it was sent. Every failure of its own
 * ends the program. */
#ifndef DESG_TEST_RAW_SERVER_H
#define DESG_TEST_RAW_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum raw_manner {
    RAW_KEEP,  /* answers and waits for the next request */
    RAW_CLOSE, /* answers and closes */
    RAW_HANG,  /* answers with what there is and holds the connection open */
};

struct raw_script {
    enum raw_manner manner;
    const char *answer; /* all its bytes; NULL: none */
};

struct raw_server;

/* The n-th request gets the n-th answer; those after the last get the last. ca_file NULL: plain;
 * else TLS, and the certificate is written there. */
struct raw_server *raw_server_new(const struct raw_script *scripts, size_t count,
                                  const char *ca_file);
void raw_server_destroy(struct raw_server **self_p);
uint16_t raw_server_port(const struct raw_server *self);
/* Waits for the index-th request (from 0), head and body as they came; NULL: not within 10 s. The
 * caller frees it. */
char *raw_server_request(struct raw_server *self, size_t index);
size_t raw_server_requests(struct raw_server *self);
size_t raw_server_connections(struct raw_server *self);

#endif
