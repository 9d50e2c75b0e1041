/* X: twitter-text, configuration v3 (280, scale 100, default weight 200, ranges of weight 100, URL
 * 23, emoji parsing on). Mastodon: API documentation, "characters_reserved_per_url" and mentions.
 *
 * A link whose top-level domain is not in our list may or may not be shortened there: it counts as
 * the longer of the two, so that what we call short enough is. */
#include "outward/weighted.h"

#include <utf8proc.h>

enum {
    LINK_LENGTH = 23,
    EMOJI_WEIGHT = 2,
    ZERO_WIDTH_JOINER = 0x200D,
    EMOJI_PRESENTATION = 0xFE0F,
    KEYCAP = 0x20E3,
    TAG_END = 0xE007F
};

static bool is_pictograph(int32_t c)
{
    return c >= 0xA9 &&
           utf8proc_get_property(c)->boundclass == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;
}

static bool is_skin_tone(int32_t c)
{
    return c >= 0x1F3FB && c <= 0x1F3FF;
}

static bool is_tag(int32_t c)
{
    return c >= 0xE0020 && c <= 0xE007E;
}

static bool is_regional(int32_t c)
{
    return c >= 0x1F1E6 && c <= 0x1F1FF;
}

/* One picture with what changes it: presentation, skin tone, or the tags of a flag. */
static size_t picture_at(const struct points *points, size_t i)
{
    if (!is_pictograph(points_at(points, i)))
        return 0;
    size_t at = i + 1;
    if (points_at(points, at) == EMOJI_PRESENTATION || is_skin_tone(points_at(points, at)))
        at++;
    size_t tag = at;
    while (is_tag(points_at(points, tag)))
        tag++;
    if (tag > at && points_at(points, tag) == TAG_END)
        at = tag + 1;
    return at - i;
}

/* How many points from i on are one emoji; 0: none. */
static size_t emoji_at(const struct points *points, size_t i)
{
    int32_t c = points_at(points, i);
    if (is_regional(c))
        return is_regional(points_at(points, i + 1)) ? 2 : 0;
    if ((c >= '0' && c <= '9') || c == '#' || c == '*') {
        size_t at = i + 1 + (points_at(points, i + 1) == EMOJI_PRESENTATION);
        return points_at(points, at) == KEYCAP ? at + 1 - i : 0;
    }
    size_t count = picture_at(points, i);
    if (count == 1 && c < 0x1100) /* (c) and (r) by themselves are letters */
        return 0;
    while (count > 0 && points_at(points, i + count) == ZERO_WIDTH_JOINER) {
        size_t next = picture_at(points, i + count + 1);
        if (next == 0)
            break;
        count += 1 + next;
    }
    return count;
}

static size_t weight(int32_t c)
{
    bool is_light = c <= 4351 || (c >= 8192 && c <= 8205) || (c >= 8208 && c <= 8223) ||
                    (c >= 8242 && c <= 8247);
    return is_light ? 1 : 2;
}

static size_t plain_weight(const struct points *points, size_t from, size_t count)
{
    size_t sum = 0;
    for (size_t i = from; i < from + count; i++)
        sum += weight(points->at[i]);
    return sum;
}

static size_t link_length(const struct link *link, size_t own_length)
{
    return link->is_known || own_length < LINK_LENGTH ? LINK_LENGTH : own_length;
}

size_t weighted_x(const struct points *points)
{
    size_t sum = 0;
    for (size_t i = 0; i < points->count;) {
        struct link link = points_link(points, i);
        size_t emoji = link.count ? 0 : emoji_at(points, i);
        if (link.count)
            sum += link_length(&link, plain_weight(points, i, link.count));
        else
            sum += emoji ? EMOJI_WEIGHT : weight(points->at[i]);
        i += link.count ? link.count : emoji ? emoji : 1;
    }
    return sum;
}

static bool is_of_name(int32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_of_domain(int32_t c)
{
    return is_of_name(c) || c == '.' || c == '-';
}

/* @name@domain: how many points behind the name do not count. */
static size_t mention_domain(const struct points *points, size_t i)
{
    if (points->at[i] != '@' || (i > 0 && is_of_name(points->at[i - 1])))
        return 0;
    size_t at = i + 1;
    while (is_of_name(points_at(points, at)))
        at++;
    if (at == i + 1 || points_at(points, at) != '@')
        return 0;
    size_t end = at + 1;
    while (is_of_domain(points_at(points, end)))
        end++;
    while (end > at + 1 && !is_of_name(points_at(points, end - 1)))
        end--;
    return end > at + 1 ? end - at : 0;
}

size_t weighted_mastodon(const struct points *points)
{
    size_t sum = 0;
    for (size_t i = 0; i < points->count;) {
        struct link link = points_link(points, i);
        if (link.count && link.has_scheme) {
            sum += link_length(&link, link.count);
            i += link.count;
            continue;
        }
        size_t domain = mention_domain(points, i);
        if (domain == 0) {
            sum++;
            i++;
            continue;
        }
        size_t name = 1;
        while (is_of_name(points_at(points, i + name)))
            name++;
        sum += name;
        i += name + domain;
    }
    return sum;
}
