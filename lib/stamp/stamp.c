#include "stamp/stamp.h"

uint64_t stamp_mix(uint64_t stamp, uint64_t value)
{
    enum { SHIFT = 29 };
    stamp = (stamp ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return stamp ^ (stamp >> SHIFT);
}

uint64_t stamp_file(uint64_t stamp, const struct stat *status)
{
    stamp = stamp_mix(stamp, (uint64_t)status->st_ino);
    stamp = stamp_mix(stamp, (uint64_t)status->st_size);
    stamp = stamp_mix(stamp, (uint64_t)status->st_mtim.tv_sec);
    return stamp_mix(stamp, (uint64_t)status->st_mtim.tv_nsec);
}
