/* process - a real desg-notify for tests, in a folder of its own: configuration, secrets, journal,
 * control socket. What it needs and does not get ends the program with a line that says why. */
#ifndef DESG_TEST_NOTIFY_PROCESS_H
#define DESG_TEST_NOTIFY_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct process;

struct process_options {
    const char *name; /* NULL: notify */
    uint16_t dispatch_port;
    bool has_second_path;      /* /second on the same port */
    const char *redis_address; /* NULL: one that is away */
    const char *ladder;        /* YAML flow list; NULL: one step after an hour */
    const char *more;          /* further lines of notify:, each indented by two; NULL: none */
};

/* Starts it and returns once it is ready. */
struct process *process_new(const struct process_options *options);
/* Ends it (kill -9 if it must) and removes the folder. */
void process_destroy(struct process **self_p);

void process_kill(struct process *self);  /* SIGKILL, reaped */
void process_start(struct process *self); /* after process_kill or process_stop: the same folder */
/* SIGTERM; returns the exit code, or -1 if it did not end in 10 s. */
int process_stop(struct process *self);

const char *process_endpoint(const struct process *self); /* for AlertOrders */
/* What it wrote to its log so far; freed by the caller. */
char *process_log(struct process *self);

/* GET of the control socket. A new reference; NULL: no answer or no JSON. */
json_t *process_control(struct process *self, const char *path);
/* GET /metrics: the value of the series that begins with text; -1: none. */
double process_metric(struct process *self, const char *series);
/* Waits until it is wanted. */
bool process_wait_metric(struct process *self, const char *series, double wanted,
                         int64_t timeout_ms);
/* Waits until detail.<name> of /status is value. */
bool process_wait_status(struct process *self, const char *name, json_int_t value,
                         int64_t timeout_ms);

/* POSTs a signed callback; returns the status, 0: no answer. secret NULL: the right one. */
unsigned process_callback(struct process *self, const char *body, const char *secret);

#endif
