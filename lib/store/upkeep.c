#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/internal.h"
#include "store/plan.h"

enum { NUMBER_BYTES = 24 };

int store_archive(struct store *self, int64_t after_ms, size_t limit, size_t *count,
                  struct error *err)
{
    assert(self && after_ms >= 0 && count);
    char after[NUMBER_BYTES], most[NUMBER_BYTES], days[NUMBER_BYTES];
    (void)snprintf(after, sizeof after, "%" PRId64, after_ms);
    (void)snprintf(most, sizeof most, "%zu", limit);
    (void)snprintf(days, sizeof days, "%u", store_tombstone_days(self->queues));
    const char *args[] = { after, most, days };
    AUTO(store_reply_free) redisReply *reply = store_call(self, "archive", args, 3, 2, NULL, err);
    if (!reply)
        return -1;
    if (reply->element[1]->type != REDIS_REPLY_INTEGER || reply->element[1]->integer < 0)
        return store_lose(self, err, "function archive answered no number");
    *count = (size_t)reply->element[1]->integer;
    return 0;
}
