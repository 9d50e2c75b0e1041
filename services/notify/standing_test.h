/* standing_test - the regular test message: goes to dispatch like any alert and must come back
 * acknowledged within a minute. Pure. */
#ifndef DESG_NOTIFY_STANDING_TEST_H
#define DESG_NOTIFY_STANDING_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "ids/ids.h"

enum { STANDING_TEST_DEADLINE_MS = 60000, STANDING_TEST_FIRST_AFTER_MS = 2000 };

struct standing_test {
    int64_t interval_ms; /* 0: off */
    int64_t next_ms;
    bool is_under_way;
    struct id id;
    int64_t deadline_ms;
    bool is_failed;            /* the last one that ended did not come back */
    int64_t came_back_unix_ms; /* the last time one did; 0: never */
};

enum standing_test_duty {
    STANDING_TEST_NOTHING,
    STANDING_TEST_BEGIN, /* send one and say standing_test_begun */
    STANDING_TEST_FAILED /* the one called id did not come back: forget it, alarm */
};

void standing_test_init(struct standing_test *self, int64_t interval_ms, int64_t now_ms);
enum standing_test_duty standing_test_tick(struct standing_test *self, int64_t now_ms);
void standing_test_begun(struct standing_test *self, const struct id *id, int64_t now_ms);
/* Returns false if id is not the one under way. */
bool standing_test_came_back(struct standing_test *self, const struct id *id, int64_t now_unix_ms);

#endif
