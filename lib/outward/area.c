#include "outward/area.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { POINTS_MIN = 4, RADIUS_MAX_KM = 500 };

static bool __attribute__((format(printf, 2, 3)))
refuse(char problem[static AREA_PROBLEM_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(problem, AREA_PROBLEM_BYTES, format, args);
    va_end(args);
    return false;
}

static bool is_on_earth(const Desg__V1__Point *point)
{
    return isfinite(point->latitude) && isfinite(point->longitude) &&
           fabs(point->latitude) <= 90.0 && fabs(point->longitude) <= 180.0;
}

static bool is_same(const Desg__V1__Point *a, const Desg__V1__Point *b)
{
    return a->latitude == b->latitude && a->longitude == b->longitude;
}

/* Which way c lies of the line from a to b: left above 0, right below. Places a force covers are
 * small enough to be flat. */
static double side(const Desg__V1__Point *a, const Desg__V1__Point *b, const Desg__V1__Point *c)
{
    return (b->longitude - a->longitude) * (c->latitude - a->latitude) -
           (b->latitude - a->latitude) * (c->longitude - a->longitude);
}

/* c is known to lie on the line through a and b. */
static bool is_between(const Desg__V1__Point *a, const Desg__V1__Point *b, const Desg__V1__Point *c)
{
    return fmin(a->longitude, b->longitude) <= c->longitude &&
           c->longitude <= fmax(a->longitude, b->longitude) &&
           fmin(a->latitude, b->latitude) <= c->latitude &&
           c->latitude <= fmax(a->latitude, b->latitude);
}

static bool do_meet(const Desg__V1__Point *a, const Desg__V1__Point *b, const Desg__V1__Point *c,
                    const Desg__V1__Point *d)
{
    double c_side = side(a, b, c);
    double d_side = side(a, b, d);
    double a_side = side(c, d, a);
    double b_side = side(c, d, b);
    if (((c_side > 0) != (d_side > 0)) && ((a_side > 0) != (b_side > 0)) && c_side != 0 &&
        d_side != 0 && a_side != 0 && b_side != 0)
        return true;
    return (c_side == 0 && is_between(a, b, c)) || (d_side == 0 && is_between(a, b, d)) ||
           (a_side == 0 && is_between(c, d, a)) || (b_side == 0 && is_between(c, d, b));
}

/* The side after this one may only share its first point: it must not run back along it. */
static bool turns_back(const Desg__V1__Point *a, const Desg__V1__Point *b, const Desg__V1__Point *c)
{
    double along = (b->longitude - a->longitude) * (c->longitude - b->longitude) +
                   (b->latitude - a->latitude) * (c->latitude - b->latitude);
    return side(a, b, c) == 0 && along < 0;
}

static bool crosses(Desg__V1__Point *const *points, size_t sides, size_t *first, size_t *second)
{
    for (size_t i = 0; i < sides; i++) {
        *first = i + 1;
        *second = (i + 1) % sides + 1;
        if (turns_back(points[i], points[i + 1], points[(i + 1) % sides + 1]))
            return true;
        for (size_t j = i + 2; j < sides; j++) {
            if (i == 0 && j == sides - 1)
                continue; /* neighbours, round the corner */
            *second = j + 1;
            if (do_meet(points[i], points[i + 1], points[j], points[j + 1]))
                return true;
        }
    }
    return false;
}

static bool check_polygon(const Desg__V1__Area *area, char problem[static AREA_PROBLEM_BYTES])
{
    size_t count = area->n_polygon;
    size_t first;
    size_t second;
    if (count < POINTS_MIN)
        return refuse(
            problem, "area.polygon has %zu points: draw at least 4, the last the same as the first",
            count);
    if (count > AREA_POINTS_MAX)
        return refuse(problem, "area.polygon has %zu points: draw at most %d", count,
                      AREA_POINTS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!is_on_earth(area->polygon[i]))
            return refuse(problem,
                          "area.polygon: point %zu is nowhere on earth: latitude is -90 to 90, "
                          "longitude -180 to 180",
                          i + 1);
    if (!is_same(area->polygon[0], area->polygon[count - 1]))
        return refuse(problem, "area.polygon is not closed: repeat the first point as the last");
    for (size_t i = 0; i + 1 < count; i++)
        if (is_same(area->polygon[i], area->polygon[i + 1]))
            return refuse(problem, "area.polygon: points %zu and %zu are the same: remove one",
                          i + 1, i + 2);
    if (crosses(area->polygon, count - 1, &first, &second))
        return refuse(problem,
                      "area.polygon crosses itself: side %zu meets side %zu: draw it around", first,
                      second);
    return true;
}

bool area_is_drawn(const Desg__V1__Area *area)
{
    return area && (area->n_polygon > 0 || area->centre || area->radius_km != 0);
}

bool area_check(const Desg__V1__Area *area, char problem[static AREA_PROBLEM_BYTES])
{
    if (!area_is_drawn(area))
        return true;
    bool has_circle = area->centre || area->radius_km != 0;
    if (area->n_polygon > 0 && has_circle)
        return refuse(problem, "area has both polygon and circle: choose one");
    if (area->n_polygon > 0)
        return check_polygon(area, problem);
    if (!area->centre)
        return refuse(problem, "area.centre is missing: a circle needs it beside radius_km");
    if (!is_on_earth(area->centre))
        return refuse(problem, "area.centre is nowhere on earth: latitude is -90 to 90, longitude "
                               "-180 to 180");
    if (!isfinite(area->radius_km) || area->radius_km <= 0 || area->radius_km > RADIUS_MAX_KM)
        return refuse(problem, "area.radius_km: write more than 0 and at most %d", RADIUS_MAX_KM);
    return true;
}
