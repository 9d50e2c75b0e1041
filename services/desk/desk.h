/* desk - the process put together: journal, audit chain, projection into Redis, tokens, the API. */
#ifndef DESG_DESK_DESK_H
#define DESG_DESK_DESK_H

#include "service/service.h"

/* What service_main needs. */
extern const struct service_spec desk_service;

#endif
