/* rule_loader - gets new rules ready in a thread of its own: testing each by its examples takes
 * time in which the worker must go on. Threads: one owner calls all functions; what it made is
 * handed over whole. */
#ifndef DESG_CLASSIFY_RULE_LOADER_H
#define DESG_CLASSIFY_RULE_LOADER_H

#include "error/error.h"
#include "triage/triage.h"

struct rule_loader;

enum rule_loader_state {
    RULE_LOADER_IDLE,
    RULE_LOADER_BUSY,
    RULE_LOADER_LOADED, /* once: *out is the caller's */
    RULE_LOADER_FAILED  /* once: err says why */
};

/* Strings and options are borrowed. */
struct rule_loader *rule_loader_new(const char *directory, const struct triage_options *options,
                                    struct error *err) MUST_USE;

/* Starts loading; while one runs, another follows it. */
int rule_loader_begin(struct rule_loader *self, struct error *err) MUST_USE;

/* Never waits. */
enum rule_loader_state rule_loader_poll(struct rule_loader *self, struct triage **out,
                                        struct error *err);

/* Waits for a load that runs. */
void rule_loader_destroy(struct rule_loader **self_p);

#endif
