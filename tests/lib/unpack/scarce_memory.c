#include "scarce_memory.h"

#include <stdint.h>

void *__real_malloc(size_t size); /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c): ld's name */
void *__wrap_malloc(size_t size); /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c) */

static size_t calls_left = SIZE_MAX;
static size_t failed;

void memory_lasts(size_t count)
{
    calls_left = count;
    failed = 0;
}

size_t memory_is_plenty(void)
{
    calls_left = SIZE_MAX;
    return failed;
}

void *__wrap_malloc(size_t size) /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c) */
{
    if (calls_left == 0) {
        failed++;
        return NULL;
    }
    if (calls_left != SIZE_MAX)
        calls_left--;
    return __real_malloc(size);
}
