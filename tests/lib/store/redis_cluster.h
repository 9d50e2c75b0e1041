/* redis_cluster - a master, a replica and three Sentinels on loopback ports for one test program.
 * Every failure ends the program with a line that says why. */
#ifndef DESG_TEST_REDIS_CLUSTER_H
#define DESG_TEST_REDIS_CLUSTER_H

#include <stdbool.h>

enum { CLUSTER_SERVERS = 2, CLUSTER_SENTINELS = 3 };

struct redis_cluster;

/* Returns when the replica is in step and every Sentinel knows it and the two others. password: of
 * the Sentinels' user desg, who may ask for masters and nothing else; NULL: no sign-in. */
struct redis_cluster *redis_cluster_new(const char *password);
/* Kills all of it and removes its folder. */
void redis_cluster_destroy(struct redis_cluster **self_p);

/* host:port of each Sentinel, for struct config_redis; owned by the cluster. */
char **redis_cluster_sentinels(struct redis_cluster *self);

/* The server (0 or 1) the first Sentinel names. */
int redis_cluster_master(struct redis_cluster *self);
/* host:port of a server */
const char *redis_cluster_address(const struct redis_cluster *self, int server);

/* To a server or a Sentinel. */
void redis_cluster_signal(struct redis_cluster *self, int server, int number);
void redis_cluster_signal_sentinel(struct redis_cluster *self, int sentinel, int number);
void redis_cluster_kill(struct redis_cluster *self, int server);
/* Again, with the files it left. */
void redis_cluster_start(struct redis_cluster *self, int server);

/* Asks the Sentinels for a planned failover; the second waits until all name another master. */
void redis_cluster_begin_fail_over(struct redis_cluster *self);
void redis_cluster_fail_over(struct redis_cluster *self);
void redis_cluster_wait_for_other(struct redis_cluster *self, int than);

/* One command to a server; its answer as redis_server_ask gives it. */
char *redis_cluster_ask(struct redis_cluster *self, int server, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
char *redis_cluster_ask_sentinel(struct redis_cluster *self, int sentinel, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
