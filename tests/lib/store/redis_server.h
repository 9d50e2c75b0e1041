/* redis_server - a private redis-server for one test program: a Unix socket in a temporary folder,
 * append-only file on, no TCP port. Every failure ends the program with a line that says why. */
#ifndef DESG_TEST_REDIS_SERVER_H
#define DESG_TEST_REDIS_SERVER_H

#include <stdbool.h>

struct redis_server;

/* policy: maxmemory-policy; is_durable: appendonly. Returns when it answers. */
struct redis_server *redis_server_new(const char *policy, bool is_durable);
/* Kills it and removes its folder. */
void redis_server_destroy(struct redis_server **self_p);

const char *redis_server_address(const struct redis_server *self); /* unix:/… */

void redis_server_freeze(struct redis_server *self); /* SIGSTOP */
void redis_server_thaw(struct redis_server *self);
void redis_server_kill(struct redis_server *self); /* SIGKILL; the files stay */
void redis_server_start(struct redis_server *self);

/* One command, words separated by blanks; the answer as text (integers too), "" for nil, freed by
 * the caller. An error answer is returned with a leading '-'. */
char *redis_server_ask(struct redis_server *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
long long redis_server_number(struct redis_server *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Loads an empty function library desg_<version>. */
void redis_server_load_library(struct redis_server *self, unsigned version);

#endif
