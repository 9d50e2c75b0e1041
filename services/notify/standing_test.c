#include "notify/standing_test.h"

#include <string.h>

void standing_test_init(struct standing_test *self, int64_t interval_ms, int64_t now_ms)
{
    *self = (struct standing_test){ .interval_ms = interval_ms,
                                    .next_ms = now_ms + STANDING_TEST_FIRST_AFTER_MS };
}

enum standing_test_duty standing_test_tick(struct standing_test *self, int64_t now_ms)
{
    if (self->is_under_way && now_ms >= self->deadline_ms) {
        self->is_under_way = false;
        self->is_failed = true;
        return STANDING_TEST_FAILED;
    }
    if (self->interval_ms == 0 || self->is_under_way || now_ms < self->next_ms)
        return STANDING_TEST_NOTHING;
    return STANDING_TEST_BEGIN;
}

void standing_test_begun(struct standing_test *self, const struct id *id, int64_t now_ms)
{
    self->is_under_way = true;
    self->id = *id;
    self->deadline_ms = now_ms + STANDING_TEST_DEADLINE_MS;
    self->next_ms = now_ms + self->interval_ms;
}

bool standing_test_came_back(struct standing_test *self, const struct id *id, int64_t now_unix_ms)
{
    if (!self->is_under_way || memcmp(self->id.bytes, id->bytes, ID_BYTES) != 0)
        return false;
    self->is_under_way = false;
    self->is_failed = false;
    self->came_back_unix_ms = now_unix_ms;
    return true;
}
