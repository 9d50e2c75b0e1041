/* area - is what somebody drew a place on the map? Pure. */
#ifndef DESG_OUTWARD_AREA_H
#define DESG_OUTWARD_AREA_H

#include <stdbool.h>
#include <stddef.h>

#include "desg/v1/outward.pb-c.h"

enum { AREA_POINTS_MAX = 500, AREA_PROBLEM_BYTES = 160 };

/* False: what is wrong with it, and what to do. Neither polygon nor circle is fine. */
bool area_check(const Desg__V1__Area *area, char problem[static AREA_PROBLEM_BYTES]);

/* A polygon or a circle is there: words alone are not needed. */
bool area_is_drawn(const Desg__V1__Area *area);

#endif
