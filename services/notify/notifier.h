/* notifier - the process put together: journal, outbound thread, stream thread, callback listener
 * and the loop that owns the alerts. */
#ifndef DESG_NOTIFY_NOTIFIER_H
#define DESG_NOTIFY_NOTIFIER_H

#include "service/service.h"

/* What service_main needs. */
const struct service_spec *notifier_spec(void);

#endif
