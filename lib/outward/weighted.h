/* weighted - lengths as X and Mastodon count them. Pure. */
#ifndef DESG_OUTWARD_WEIGHTED_H
#define DESG_OUTWARD_WEIGHTED_H

#include <stddef.h>

#include "outward/points.h"

size_t weighted_x(const struct points *points);
size_t weighted_mastodon(const struct points *points);

#endif
