/* describe - events and verdicts as JSON for people. Holds what the public wrote: never for logs.
 */
#ifndef DESG_STORE_DESCRIBE_H
#define DESG_STORE_DESCRIBE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Serialised messages as new references; NULL if they cannot be decoded. */
json_t *describe_event(const void *bytes, size_t length);
json_t *describe_verdict(const void *bytes, size_t length);

#endif
