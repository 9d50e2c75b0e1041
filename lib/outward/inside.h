/* inside - what the files of this module share and nobody else needs. */
#ifndef DESG_OUTWARD_INSIDE_H
#define DESG_OUTWARD_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "outward/outward_config.h"

/* --- configuration --- */

/* "": as if the key were left out. */
void outward_drop_empty(char **text);
/* Sets what was left out. False without memory. */
bool outward_set_default(char **text, const char *fallback);
/* Base addresses are joined with "/…". */
void outward_drop_slash(char *url);
int outward_check_address(const char *key, const char *url, struct error *err) MUST_USE;

int accounts_config_check(struct outward_config *config, struct error *err) MUST_USE;
int outlets_config_check(struct outward_config *config, struct error *err) MUST_USE;

/* YYYY-MM-DD to the start of that day, UTC. False: no such date. */
bool window_date(const char *text, int64_t *at_ms);

#endif
