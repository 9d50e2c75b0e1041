/* http_clients - who is connected, how many from one address, and who is over time. libmicrohttpd's
 * own time-out starts anew with every byte, so one byte a second would hold a connection for ever:
 * here each phase of a connection has an absolute end. Threads: any. */
#ifndef DESG_INGEST_HTTP_CLIENTS_H
#define DESG_INGEST_HTTP_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ingest/ingest_config.h"
#include "metrics/metrics.h"

enum {
    CLIENT_IDLE_MS = 75 * 1000, /* between requests: longer than proxies keep a connection */
    CLIENT_ANSWER_MS = 5 * 1000 /* to read our answer */
};

enum client_phase {
    CLIENT_IDLE,      /* no request begun (or its first line not complete) */
    CLIENT_RECEIVING, /* head or body is coming */
    CLIENT_WAITING,   /* suspended; whoever suspended it keeps its time */
    CLIENT_ANSWERING
};

struct http_clients;
struct client;  /* one connection */
struct address; /* one address with something open */

struct http_clients *http_clients_new(const struct ingest_http_config *config,
                                      struct metrics *metrics, struct error *err) MUST_USE;
void http_clients_destroy(struct http_clients **self_p);

/* May another connection from peer be taken? Trusted proxies always. */
bool http_clients_admits(struct http_clients *self, const struct sockaddr *peer);

/* NULL: no memory; the connection is then not watched and must be refused. */
struct client *client_open(struct http_clients *self, int socket_fd, const struct sockaddr *peer);
void client_close(struct http_clients *self, struct client *client);
void client_phase(struct client *client, enum client_phase phase, int64_t ends_at_ms);

/* Behind a trusted proxy: counts one more request for the address its header names (the last one
 * that is no proxy of ours) into *address, NULL where nothing is counted. Returns false when that
 * address has too many at once. */
bool client_enter_request(struct http_clients *self, const struct client *client,
                          const char *forwarded, struct address **address);
void client_leave_request(struct http_clients *self, struct address *address);

/* Ends the connections whose time is over; a request half sent is told so with 408. Returns how
 * many requests it cut off. */
size_t http_clients_sweep(struct http_clients *self, int64_t now_ms);
size_t http_clients_count(struct http_clients *self);

#endif
