/* stamp - a number that changes when files do: what is asked every second is compared, not read. It
 * need not withstand anybody. Pure; threads: any. */
#ifndef DESG_STAMP_STAMP_H
#define DESG_STAMP_STAMP_H

#include <stdint.h>

#include <sys/stat.h>

#define STAMP_START UINT64_C(0xCBF29CE484222325)

uint64_t stamp_mix(uint64_t stamp, uint64_t value);

/* Mixes in which file it is, how long, and when it was written. */
uint64_t stamp_file(uint64_t stamp, const struct stat *status);

#endif
