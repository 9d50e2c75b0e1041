/* outlet - what an outlet takes: how long, in which unit, in which languages. Pure. */
#ifndef DESG_OUTWARD_OUTLET_H
#define DESG_OUTWARD_OUTLET_H

#include <stdbool.h>
#include <stddef.h>

#include "outward/outward_config.h"
#include "outward/text.h"

struct outlet_limits {
    enum outlet_kind_code kind;
    size_t max; /* 0: no limit */
    enum text_unit unit;
    bool has_languages; /* a post says which one it is in: one for each */
    bool has_threads;
    bool has_room; /* for the line that says where */
};
struct outlet_limits outlet_limits(const struct outward_outlet *outlet);

#endif
