#include "admin/admin.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/listen.h"

enum {
    BODY_MAX_BYTES = 1 << 20,
    DISCARD_MAX_BYTES = 4 << 20, /* of a body that is refused; then the connection is cut */
    CONNECTIONS_MAX = 64,
    CONNECTIONS_PER_ADDRESS_MAX = 16, /* over TCP: nobody shuts out the others */
    IDLE_TIMEOUT_S = 10,
    MEMORY_PER_CONNECTION_BYTES = 16 << 10,
};

struct route {
    const char *path;
    enum admin_scope scope;
    admin_handler *handler;
    void *arg;
};

/* One of the two doors: TCP or the control socket. */
struct door {
    const struct admin *admin;
    enum admin_scope scope; /* the widest this door lets through */
    int socket;             /* -1: none, or owned by the daemon */
    struct MHD_Daemon *daemon;
};

struct admin {
    struct door tcp;
    struct door control;
    char *control_path; /* the file we made; NULL: none */
    uint16_t port;
    bool is_started;
    struct route *routes;
    size_t routes_count;
};

/* What has come in of one request. */
struct exchange {
    char *body;
    size_t body_bytes;
    size_t discarded_bytes;
    unsigned refusal; /* HTTP status decided before the whole request is here; 0: none */
};

const char *admin_query(const struct admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->internal, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned status,
                                   const char *content_type, char *body, size_t body_bytes,
                                   const char *allow)
{
    struct MHD_Response *response =
        body ? MHD_create_response_from_buffer(body_bytes, body, MHD_RESPMEM_MUST_FREE)
             : MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (!response) {
        free(body);
        return MHD_NO;
    }
    bool worked =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) == MHD_YES &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
        (!allow || MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow) == MHD_YES);
    enum MHD_Result result = worked ? MHD_queue_response(connection, status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status)
{
    return answer_with(connection, status, "text/plain; charset=utf-8", NULL, 0,
                       status == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, POST" : NULL);
}

static const struct route *find_route(const struct door *door, const char *path)
{
    for (size_t i = 0; i < door->admin->routes_count; i++) {
        const struct route *route = &door->admin->routes[i];
        if (strcmp(route->path, path) == 0 && route->scope <= door->scope)
            return route;
    }
    return NULL;
}

static bool is_method(const char *method)
{
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_POST) == 0;
}

/* Too big by its own word, before any of the body was read. A length MHD cannot read it refuses
 * itself. */
static bool announces_too_much(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length && strtoull(length, NULL, 10) > BODY_MAX_BYTES;
}

static unsigned refusal_of(const struct door *door, struct MHD_Connection *connection,
                           const char *path, const char *method)
{
    if (!find_route(door, path))
        return MHD_HTTP_NOT_FOUND;
    if (!is_method(method))
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    return announces_too_much(connection) ? MHD_HTTP_CONTENT_TOO_LARGE : 0;
}

/* Keeps a piece of the body, or counts it when the request is refused anyway. */
static enum MHD_Result take_piece(struct exchange *exchange, bool is_get, const char *data,
                                  size_t length)
{
    if (!exchange->refusal && is_get)
        exchange->refusal = MHD_HTTP_BAD_REQUEST; /* a GET brings no body */
    else if (!exchange->refusal && exchange->body_bytes + length > BODY_MAX_BYTES)
        exchange->refusal = MHD_HTTP_CONTENT_TOO_LARGE;
    if (exchange->refusal) {
        exchange->discarded_bytes += length;
        return exchange->discarded_bytes > DISCARD_MAX_BYTES ? MHD_NO : MHD_YES;
    }
    char *grown = realloc(exchange->body, exchange->body_bytes + length + 1);
    if (!grown)
        return MHD_NO;
    memcpy(grown + exchange->body_bytes, data, length);
    exchange->body = grown;
    exchange->body_bytes += length;
    exchange->body[exchange->body_bytes] = '\0';
    return MHD_YES;
}

static enum MHD_Result call_handler(const struct door *door, struct MHD_Connection *connection,
                                    const char *path, const char *method,
                                    const struct exchange *exchange)
{
    const struct route *route = find_route(door, path);
    const struct admin_request request = { .method = method,
                                           .path = path,
                                           .body = exchange->body ? exchange->body : "",
                                           .body_bytes = exchange->body_bytes,
                                           .internal = connection };
    struct admin_answer answer = { .status = MHD_HTTP_OK, .content_type = "application/json" };
    route->handler(route->arg, &request, &answer);
    const char *allow = NULL;
    if (answer.status == MHD_HTTP_METHOD_NOT_ALLOWED) /* the handler takes the other one only */
        allow = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ? "POST" : "GET";
    if (answer.body && answer.body_bytes == 0)
        answer.body_bytes = strlen(answer.body);
    return answer_with(connection, answer.status, answer.content_type, answer.body,
                       answer.body_bytes, allow);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_bytes, void **exchange_p)
{
    (void)version;
    const struct door *door = cls;
    struct exchange *exchange = *exchange_p;
    if (!exchange) { /* headers are here, the body is not */
        unsigned refusal = refusal_of(door, connection, path, method);
        if (refusal)
            return refuse(connection, refusal);
        *exchange_p = calloc(1, sizeof *exchange);
        return *exchange_p ? MHD_YES : MHD_NO;
    }
    if (*data_bytes > 0) {
        bool is_get = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
        enum MHD_Result result = take_piece(exchange, is_get, data, *data_bytes);
        *data_bytes = 0;
        return result;
    }
    if (exchange->refusal)
        return refuse(connection, exchange->refusal);
    return call_handler(door, connection, path, method, exchange);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **exchange_p,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)connection;
    (void)code;
    struct exchange *exchange = *exchange_p;
    if (exchange)
        free(exchange->body);
    free(exchange);
    *exchange_p = NULL;
}

static int open_doors(struct admin *self, const char *listen, const char *control_path,
                      struct error *err)
{
    if (*listen) {
        self->tcp.socket = listen_tcp(listen, &self->port, err);
        if (self->tcp.socket < 0)
            return -1;
    }
    if (*control_path) {
        self->control.socket = listen_unix(control_path, err);
        if (self->control.socket < 0)
            return -1;
        self->control_path = strdup(control_path);
        if (!self->control_path)
            return error_set(err, ERROR_SYSTEM, "no memory for the admin door");
    }
    return 0;
}

struct admin *admin_new(const char *listen, const char *control_path, struct error *err)
{
    assert(listen && control_path);
    struct admin *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the admin door");
        return NULL;
    }
    self->tcp = (struct door){ .admin = self, .scope = ADMIN_PUBLIC, .socket = -1 };
    self->control = (struct door){ .admin = self, .scope = ADMIN_CONTROL, .socket = -1 };
    if (open_doors(self, listen, control_path, err) != 0)
        admin_destroy(&self);
    return self;
}

void admin_handle(struct admin *self, const char *path, enum admin_scope scope,
                  admin_handler *handler, void *arg)
{
    assert(!self->is_started && path[0] == '/' && handler);
    struct route *grown = realloc(self->routes, (self->routes_count + 1) * sizeof *grown);
    if (!grown)
        abort(); /* at start only */
    grown[self->routes_count++] = (struct route){ path, scope, handler, arg };
    self->routes = grown;
}

uint16_t admin_port(const struct admin *self)
{
    return self->port;
}

static int start_door(struct door *door, struct error *err)
{
    if (door->socket < 0)
        return 0;
    door->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, on_request, door,
        MHD_OPTION_LISTEN_SOCKET, door->socket, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_PER_CONNECTION_BYTES, MHD_OPTION_END);
    if (!door->daemon)
        return error_set(err, ERROR_SYSTEM, "cannot start the admin door's thread");
    door->socket = -1; /* the daemon closes it */
    return 0;
}

int admin_start(struct admin *self, struct error *err)
{
    self->is_started = true;
    if (start_door(&self->tcp, err) != 0)
        return -1;
    return start_door(&self->control, err);
}

static void close_door(struct door *door)
{
    if (door->daemon)
        MHD_stop_daemon(door->daemon);
    if (door->socket >= 0)
        (void)close(door->socket);
}

void admin_destroy(struct admin **self_p)
{
    struct admin *self = *self_p;
    if (!self)
        return;
    if (self->control_path)
        (void)unlink(self->control_path);
    close_door(&self->tcp);
    close_door(&self->control);
    free(self->control_path);
    free(self->routes);
    free(self);
    *self_p = NULL;
}
