/* scarce_memory - a malloc that fails when told to, for the code of ours linked with it
 * (-Wl,--wrap=malloc). Threads: one. */
#ifndef DESG_TEST_SCARCE_MEMORY_H
#define DESG_TEST_SCARCE_MEMORY_H

#include <stddef.h>

/* The next count calls of malloc succeed, those behind them fail. */
void memory_lasts(size_t count);
/* Memory is plenty again. Returns how many calls failed. */
size_t memory_is_plenty(void);

#endif
