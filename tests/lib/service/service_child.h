/* service_child - the probe service as a child process in a temporary folder, for tests. */
#ifndef DESG_SERVICE_CHILD_H
#define DESG_SERVICE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILD_DEADLINE_MS = 30000, CHILD_OUTPUT_BYTES = 32 << 10, CHILD_PATH_BYTES = 100 };

struct service_child {
    char directory[CHILD_PATH_BYTES];
    char config[CHILD_PATH_BYTES + 20];  /* <directory>/desg.yaml */
    char control[CHILD_PATH_BYTES + 20]; /* <directory>/run/probe.sock */
    char output[CHILD_PATH_BYTES + 20];  /* what it wrote to stdout and stderr */
    char text[CHILD_OUTPUT_BYTES];       /* filled by service_child_output */
    pid_t pid;                           /* 0: none runs */
};

/* Makes the folder. */
void service_child_init(struct service_child *self);
/* Kills what still runs, removes the folder. */
void service_child_clear(struct service_child *self);

/* Writes desg.yaml: common with grace_ms, and the given lines below "probe:". */
void service_child_configure(const struct service_child *self, unsigned grace_ms,
                             const char *probe_lines);

/* Starts the program with these arguments (NULL ends them); "CONFIG" stands for the file's path. */
void service_child_start(struct service_child *self, const char *const *arguments);
/* Starts it with --config and waits for the log line "started". */
void service_child_up(struct service_child *self);

/* Its exit code; -1 for a death by signal. Fails the test when the deadline is over. */
int service_child_wait(struct service_child *self);
/* Starts it with arguments and waits for its end. */
int service_child_run(struct service_child *self, const char *const *arguments);

const char *service_child_output(struct service_child *self);
/* Waits until its output has text in it. */
void service_child_await(struct service_child *self, const char *text);

#endif
