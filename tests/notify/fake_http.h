/* fake_http - the HTTP server under the tests' stand-ins for other people's systems: a thread per
 * connection, each request handed over whole. What goes wrong ends the test. */
#ifndef DESG_TEST_FAKE_HTTP_H
#define DESG_TEST_FAKE_HTTP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <microhttpd.h>

struct fake_http;

/* body has a NUL behind its length bytes. On a connection's thread. */
typedef enum MHD_Result fake_http_handler(void *arg, struct MHD_Connection *connection,
                                          const char *method, const char *path, const char *body,
                                          size_t length);

/* A port that is this test's until the descriptor is closed, whether somebody listens there or not:
 * else an outgoing connection of anybody's may get it while a stand-in is down. */
int fake_http_keep_port(uint16_t *port);
/* *port 0: any, which it then is. */
struct fake_http *fake_http_start(uint16_t *port, fake_http_handler *handle, void *arg);
/* Every handler has to have returned or to return soon. Does nothing for NULL. */
void fake_http_stop(struct fake_http **self_p);

/* A condition that waits by the monotonic clock, and the moment in ms from now for it. */
void fake_http_cond_init(pthread_cond_t *condition);
struct timespec fake_http_after_ms(int64_t ms);

#endif
