/* ingest - the service put together: configuration → id key → splitter → dispatcher → journal →
 * dispatcher's thread → webhook listener, and back down in the order that loses nothing. */
#ifndef DESG_INGEST_INGEST_H
#define DESG_INGEST_INGEST_H

#include "service/service.h"

enum { INGEST_RECORD_DELIVERY = 1 }; /* kind of every record in ingest's journal */

extern const struct service_spec ingest_service;

#endif
