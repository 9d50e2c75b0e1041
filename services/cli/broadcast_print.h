/* broadcast_print - a broadcast, its rows and its preview, for people. */
#ifndef DESG_CLI_BROADCAST_PRINT_H
#define DESG_CLI_BROADCAST_PRINT_H

#include <stdint.h>

#include <jansson.h>

/* As GET /v1/broadcasts/{broadcast} answers. */
void broadcast_print(const json_t *broadcast, int64_t now_unix_ms);

/* Each outlet's posts with their lengths, what is wrong, and what it is like. */
void broadcast_print_preview(const json_t *preview);

/* Broadcasts of the last hours that say much the same. */
void broadcast_print_similar(const json_t *similar);

#endif
