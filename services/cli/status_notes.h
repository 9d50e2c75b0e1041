/* status_notes - what is degraded by a process's /status, in plain words. */
#ifndef DESG_CLI_STATUS_NOTES_H
#define DESG_CLI_STATUS_NOTES_H

#include <jansson.h>

/* status: what GET /status answered. Returns a new array of {"state", "text"}, empty if all is
 * well. ingest says so itself; of the others it is read from their figures. */
json_t *status_notes(const json_t *status);

#endif
