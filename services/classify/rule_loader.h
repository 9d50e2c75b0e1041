/* rule_loader - gets new rules and a new model ready in a thread of its own: testing each rule by
 * its examples takes time in which the worker must go on. Threads: one owner calls all functions;
 * what it made is handed over whole. */
#ifndef DESG_CLASSIFY_RULE_LOADER_H
#define DESG_CLASSIFY_RULE_LOADER_H

#include <stdint.h>

#include "error/error.h"
#include "triage/triage.h"

struct rule_loader;

enum rule_loader_state {
    RULE_LOADER_IDLE,
    RULE_LOADER_BUSY,
    RULE_LOADER_LOADED, /* once: *out is the caller's */
    RULE_LOADER_FAILED  /* once: err says why */
};

/* What is loaded. Strings are borrowed. */
struct triage_source {
    const char *rules_directory;
    const char *model; /* NULL or "": none */
    struct triage_options options;
};

/* Loads it here and now. A model that is no good leaves a triage without one and fills model_err:
 * rules alone are better than nothing. NULL and err: the rules are no good. */
struct triage *triage_source_open(const struct triage_source *source, struct error *model_err,
                                  struct error *err) MUST_USE;
/* A number that changes when a file of it does; 0 if the rules cannot be read. */
uint64_t triage_source_stamp(const struct triage_source *source);

struct rule_loader *rule_loader_new(const struct triage_source *source, struct error *err) MUST_USE;

/* Starts loading; while one runs, another follows it. */
int rule_loader_begin(struct rule_loader *self, struct error *err) MUST_USE;

/* Never waits. model_err is filled when the triage came without the model that it should have. */
enum rule_loader_state rule_loader_poll(struct rule_loader *self, struct triage **out,
                                        struct error *model_err, struct error *err);

/* Waits for a load that runs. */
void rule_loader_destroy(struct rule_loader **self_p);

#endif
