/* describe - events, verdicts and facts as JSON for people. Holds what the public wrote: never for
 * logs.
 */
#ifndef DESG_STORE_DESCRIBE_H
#define DESG_STORE_DESCRIBE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Serialised messages as new references; NULL if they cannot be decoded. */
json_t *describe_event(const void *bytes, size_t length);
json_t *describe_verdict(const void *bytes, size_t length);
/* {"what","agent","at_ms", …}; empty if it cannot be decoded. */
json_t *describe_fact(const void *bytes, size_t length);

#endif
