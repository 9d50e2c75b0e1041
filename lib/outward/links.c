#include <string.h>

#include "outward/points.h"

enum { HOST_MAX = 253, LABEL_MAX = 63, LINK_MAX = 4096, TLD_MAX = 24 };

static bool is_digit(int32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters with accents, Welsh ones among them, and the combining marks that make them. */
static bool is_accented(int32_t c)
{
    return (c >= 0xC0 && c <= 0x24F && c != 0xD7 && c != 0xF7) || (c >= 0x300 && c <= 0x36F) ||
           (c >= 0x1E00 && c <= 0x1EFF);
}

static bool is_among(int32_t c, const char *set)
{
    return c > 0 && c < 128 && strchr(set, (char)c) != NULL;
}

static bool is_host(int32_t c, bool has_scheme)
{
    if (is_letter(c) || is_digit(c) || is_accented(c) || c == '-')
        return true;
    return has_scheme && (c == '_' || (c > 0x2FF && (c < 0x2000 || c > 0x206F) && c < 0xFE00));
}

static bool is_path(int32_t c)
{
    return is_letter(c) || is_digit(c) || is_accented(c) || (c >= 0x400 && c <= 0x4FF) ||
           c == 0x2013 || is_among(c, "!*';:=+,.$/%#[]-_~@|&?");
}

static bool is_path_end(int32_t c)
{
    return is_letter(c) || is_digit(c) || is_accented(c) || (c >= 0x400 && c <= 0x4FF) ||
           is_among(c, "=_#/+-&)");
}

static size_t scheme_at(const struct points *points, size_t i)
{
    static const char *const schemes[] = { "https://", "http://" };
    for (size_t k = 0; k < sizeof schemes / sizeof schemes[0]; k++) {
        size_t n = 0;
        while (schemes[k][n] &&
               (points_at(points, i + n) | (is_letter(schemes[k][n]) ? 32 : 0)) == schemes[k][n])
            n++;
        if (schemes[k][n] == '\0')
            return n;
    }
    return 0;
}

/* points[from..from+length) as a top-level domain: 2 letters at least. */
static bool read_tld(const struct points *points, size_t from, size_t length, bool *is_known)
{
    char word[TLD_MAX];
    if (length < 2 || length >= TLD_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        int32_t c = points_at(points, from + i);
        if (!is_letter(c) && !is_digit(c) && c != '-')
            return false;
        word[i] = (char)c;
    }
    *is_known = is_top_level_domain(word, length);
    return *is_known || is_letter(word[0]);
}

/* How many points from i on are a host that ends in a top-level domain; the longest such. */
static size_t host_at(const struct points *points, size_t i, bool has_scheme, bool *is_known)
{
    size_t best = 0;
    size_t label = i;
    unsigned labels = 0;
    for (size_t at = i; at - i <= HOST_MAX; at++) {
        int32_t c = points_at(points, at);
        if (is_host(c, has_scheme))
            continue;
        size_t length = at - label;
        bool is_fine = length > 0 && length <= LABEL_MAX && points_at(points, label) != '-' &&
                       points_at(points, at - 1) != '-';
        if (!is_fine)
            break;
        bool known = false;
        bool is_end = !is_among(c, "@+_");
        if (labels > 0 && is_end && read_tld(points, label, length, &known) &&
            (known || (has_scheme && !*is_known))) {
            best = at - i;
            *is_known = known;
        }
        if (c != '.')
            break;
        label = at + 1;
        labels++;
    }
    return best;
}

/* The inside of brackets counts only if they are closed. */
static size_t closing_bracket(const struct points *points, size_t open)
{
    size_t at = open + 1;
    while (is_path(points_at(points, at)))
        at++;
    return points_at(points, at) == ')' && at > open + 1 ? at : 0;
}

static size_t path_end(const struct points *points, size_t i)
{
    size_t at = i;
    size_t end = i;
    while (at - i <= LINK_MAX) {
        int32_t c = points_at(points, at);
        size_t close = c == '(' ? closing_bracket(points, at) : 0;
        if (close)
            at = close;
        else if (!is_path(c))
            break;
        if (close || is_path_end(points_at(points, at)))
            end = at + 1;
        at++;
    }
    return end;
}

static bool may_begin(const struct points *points, size_t i, bool has_scheme)
{
    if (i == 0)
        return true;
    int32_t before = points->at[i - 1];
    if (is_letter(before) || is_digit(before) || is_among(before, "@$#") || before == 0xFF20 ||
        before == 0xFF03)
        return false;
    return has_scheme || !(is_among(before, "-_./") || is_accented(before));
}

struct link points_link(const struct points *points, size_t i)
{
    struct link none = { 0 };
    struct link link = { 0 };
    int32_t first = points_at(points, i);
    if (!is_letter(first) && !is_digit(first) && !is_accented(first))
        return none;
    size_t scheme = scheme_at(points, i);
    link.has_scheme = scheme > 0;
    if (!may_begin(points, i, link.has_scheme))
        return none;
    size_t host = host_at(points, i + scheme, link.has_scheme, &link.is_known);
    if (host == 0)
        return none;
    size_t end = i + scheme + host;
    if (points_at(points, end) == ':' && is_digit(points_at(points, end + 1)))
        for (end += 2; is_digit(points_at(points, end));)
            end++;
    if (is_among(points_at(points, end), "/?"))
        end = path_end(points, end);
    link.count = end - i;
    return link.count + (scheme ? 0 : strlen("https://")) <= LINK_MAX ? link : none;
}
