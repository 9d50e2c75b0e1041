/* classifier - the thread in which a worker lives: its loop, the rules that change under it, its
 * heartbeat and its end. Threads: the functions here may be called from any. */
#ifndef DESG_CLASSIFY_CLASSIFIER_H
#define DESG_CLASSIFY_CLASSIFIER_H

#include <stdbool.h>

#include <jansson.h>

#include "classify/classify_config.h"
#include "service/service.h"

struct classifier;

/* Whether rules and model can be loaded: as classifier_new does, but a bad model is an error. */
int classifier_check_files(const struct classify_config *config, struct error *err) MUST_USE;

/* Loads the rules, connects, starts the thread. Both are borrowed. */
struct classifier *classifier_new(struct service *service, const struct classify_config *config,
                                  struct error *err) MUST_USE;
/* Stops the thread at once. */
void classifier_destroy(struct classifier **self_p);

/* Takes no new events and finishes what is in hand. */
void classifier_drain(struct classifier *self);
bool classifier_is_drained(const struct classifier *self);

/* Loads the rules anew; a bad edition is logged and the old one stays. */
void classifier_reload(struct classifier *self);

/* Whether every listener that it calls lets its key in. Any thread. */
bool classifier_is_ready(const struct classifier *self);

/* Rules, peers, held and in flight, for /status. */
void classifier_describe(struct classifier *self, json_t *detail);

#endif
