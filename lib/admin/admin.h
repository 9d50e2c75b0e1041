/* admin - the side door of every process, by libmicrohttpd: /healthz, /readyz and /metrics over TCP
 * (for Kubernetes and Prometheus) and the same plus control paths over a Unix socket (for the desg
 * command): <run_directory>/<name>.sock, mode 0600. Handlers run on the admin thread: they must be
 * quick, thread-safe and take no lock a loop holds for long. */
#ifndef DESG_ADMIN_H
#define DESG_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "metrics/metrics.h"

struct admin;

struct admin_request {
    const char *method; /* GET or POST */
    const char *path;
    const char *body; /* POST: the whole body, at most 1 MiB, NUL-terminated; GET: "" */
    size_t body_bytes;
    void *internal;
};

/* Value of a query parameter, percent-decoded; NULL if absent. Valid during the handler. */
const char *admin_query(const struct admin_request *request, const char *name);

struct admin_answer {
    unsigned status;          /* 200 unless set */
    const char *content_type; /* application/json unless set; a literal */
    char *body;               /* malloc'ed by the handler, freed by admin; NULL = empty */
    size_t body_bytes;        /* 0: strlen(body) */
};

typedef void admin_handler(void *arg, const struct admin_request *request,
                           struct admin_answer *answer);

enum admin_scope {
    ADMIN_PUBLIC /* TCP and control socket */,
    ADMIN_CONTROL /* control socket only */
};

/* listen: "127.0.0.1:9101", "[::]:9101", or "" for no TCP side. control_path: "" for none; a stale
 * socket is replaced. ERROR_CONFIG: an address that cannot be bound, with the reason. */
struct admin *admin_new(const char *listen, const char *control_path, struct error *err) MUST_USE;

/* Registers before admin_start. path is exact, such as /status. Kept by pointer: literals. */
void admin_handle(struct admin *self, const char *path, enum admin_scope scope,
                  admin_handler *handler, void *arg);

/* The TCP port listened on (a listen address with port 0 takes a free one); 0 without TCP side. */
uint16_t admin_port(const struct admin *self);

int admin_start(struct admin *self, struct error *err) MUST_USE;

/* Stops the thread, removes the control socket. */
void admin_destroy(struct admin **self_p);

#endif
