/* api_client - asks desk's API, HTTP by libcurl: over the Unix sockets (NAME.api) in the run
 * directory, or at a URL. A change is sent with one Idempotency-Key however often it is tried. */
#ifndef DESG_CLI_API_CLIENT_H
#define DESG_CLI_API_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "error/error.h"

enum { API_DESKS_MAX = 16, API_PLACE_BYTES = 256 };

struct api_client;

struct api_options {
    const char *url; /* NULL: the sockets of run_directory */
    const char *run_directory;
    const char *token_file; /* holds the token, nobody else may read it */
    bool may_be_plain;      /* url may be http to another machine */
};

/* ERROR_CONFIG: no token, or a url it must not be sent to. ERROR_UNAVAILABLE: no desk runs here. */
struct api_client *api_client_new(const struct api_options *options, struct error *err) MUST_USE;
void api_client_destroy(struct api_client **self_p);

/* How many desks there are to ask, and where: a URL or a socket's path. */
size_t api_client_desks(const struct api_client *self);
const char *api_client_place(const struct api_client *self, size_t desk);
/* From now on only this one is asked. */
void api_client_choose(struct api_client *self, size_t desk);

/* GET path. 0: *out is the answer (NULL for 204). -1: the problem said, ERROR_INVALID for refusals,
 * ERROR_CONFIG for a token not known, ERROR_UNAVAILABLE. *status is the HTTP status, 0: none;
 * may be NULL. */
int api_get(struct api_client *self, const char *path, json_t **out, long *status,
            struct error *err) MUST_USE;
/* POST; body may be NULL. */
int api_post(struct api_client *self, const char *path, const json_t *body, json_t **out,
             long *status, struct error *err) MUST_USE;

/* What desk answered to the last call it refused: a problem document. NULL: it refused none.
 * Borrowed until the next call. */
const json_t *api_client_problem(const struct api_client *self);

/* Text for a path or query, percent-encoded; freed by the caller. */
char *api_escape(const char *text);

#endif
