/* Cutting texts. A cut at white space after a whole sentence reads best; between words comes next;
 * a word longer than a whole part is cut between graphemes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utf8proc.h>

#include "outward/text.h"

enum { SENTENCE_SHARE = 4, ABBREVIATION_BYTES = 8 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static size_t skip_space(const char *text, size_t at)
{
    while (is_space(text[at]))
        at++;
    return at;
}

/* Bytes of the first grapheme of text; a byte that is not UTF-8 is one by itself. */
static size_t grapheme_bytes(const char *text)
{
    const uint8_t *c = (const uint8_t *)text;
    utf8proc_int32_t one;
    utf8proc_int32_t next;
    utf8proc_int32_t state = 0;
    utf8proc_ssize_t step = utf8proc_iterate(c, -1, &one);
    if (step <= 0)
        return 1;
    size_t bytes = (size_t)step;
    while (c[bytes] && (step = utf8proc_iterate(c + bytes, -1, &next)) > 0) {
        if (utf8proc_grapheme_break_stateful(one, next, &state))
            break;
        bytes += (size_t)step;
        one = next;
    }
    return bytes;
}

static size_t length_of(const char *text, size_t bytes, enum text_unit unit)
{
    char *part = strndup(text, bytes);
    if (!part)
        return SIZE_MAX;
    size_t length = text_length(part, unit);
    free(part);
    return length;
}

/* Ends of the graphemes of text[0..bytes), in order. */
struct ends {
    size_t *at;
    size_t count;
};

static bool read_ends(const char *text, struct ends *ends)
{
    ends->at = calloc(strlen(text) + 1, sizeof *ends->at);
    if (!ends->at)
        return false;
    for (size_t at = 0; text[at];) {
        at += grapheme_bytes(text + at);
        ends->at[ends->count++] = at;
    }
    return true;
}

/* The first end beyond at. */
static size_t end_after(const struct ends *ends, size_t at)
{
    size_t low = 0;
    size_t high = ends->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ends->at[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where the longest run of graphemes from start on ends that is at most max long; start: not even
 * one is. Doubles, then halves: what is found was measured. */
static size_t reach(const char *text, size_t start, const struct ends *ends, size_t max,
                    enum text_unit unit)
{
    size_t first = end_after(ends, start);
    size_t good = first; /* ends before this one fit */
    size_t step = 1;
    size_t bad = ends->count;
    while (good < ends->count) {
        size_t tried = good + step - 1 < ends->count ? good + step - 1 : ends->count - 1;
        if (length_of(text + start, ends->at[tried] - start, unit) > max) {
            bad = tried;
            break;
        }
        good = tried + 1;
        step *= 2;
    }
    while (good < bad) {
        size_t middle = good + (bad - good) / 2;
        if (length_of(text + start, ends->at[middle] - start, unit) > max)
            bad = middle;
        else
            good = middle + 1;
    }
    return good == first ? start : ends->at[good - 1];
}

/* Does the full stop at text[dot] belong to a shortened word, of those seen in texts of the police?
 * Then no sentence ends there. */
static bool is_abbreviation(const char *text, size_t start, size_t dot)
{
    static const char *const words[] = { "mr",     "mrs",   "ms",  "dr",   "st",   "rd",  "ave",
                                         "no",     "nos",   "tel", "ff",   "rhif", "e.g", "i.e",
                                         "h.y",    "a.y.b", "jct", "cyff", "insp", "sgt", "nr",
                                         "approx", "a.m",   "p.m", "y.b",  "y.h" };
    size_t from = dot;
    while (from > start && !is_space(text[from - 1]) && text[from - 1] != '(')
        from--;
    size_t length = dot - from;
    if (length == 1 && !(text[from] >= '0' && text[from] <= '9'))
        return true; /* an initial */
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == length && strncasecmp(words[i], text + from, length) == 0)
            return true;
    return false;
}

static size_t closing_mark(const char *text, size_t at)
{
    static const char *const marks[] = { "\"", "'", ")", "]", "\u201d", "\u2019", "\u00bb" };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strncmp(text + at, marks[i], strlen(marks[i])) == 0)
            return strlen(marks[i]);
    return 0;
}

/* Does a sentence end right before text[at], which is white space? */
static bool is_sentence_end(const char *text, size_t start, size_t at)
{
    static const char ellipsis[] = "\u2026";
    if (text[at] == '\n')
        return true;
    size_t back = at;
    while (back > start) { /* over quotation marks and brackets */
        size_t mark = back - 1;
        while (mark > start && ((unsigned char)text[mark] & 0xC0) == 0x80)
            mark--;
        if (closing_mark(text, mark) != back - mark)
            break;
        back = mark;
    }
    if (back == start)
        return false;
    char last = text[back - 1];
    if (last == '!' || last == '?')
        return true;
    if (back - start >= sizeof ellipsis - 1 &&
        strncmp(text + back - (sizeof ellipsis - 1), ellipsis, sizeof ellipsis - 1) == 0)
        return true;
    size_t next = skip_space(text, at);
    return last == '.' && !(text[next] >= 'a' && text[next] <= 'z') &&
           !is_abbreviation(text, start, back - 1);
}

/* The best place to cut text[start..limit]: there is white space behind it, or a word is cut at
 * limit. */
static size_t best_cut(const char *text, size_t start, size_t limit)
{
    size_t least = start + (limit - start) / SENTENCE_SHARE;
    size_t word = start; /* none yet */
    for (size_t at = limit; at > start; at--) {
        if (!is_space(text[at]) || is_space(text[at - 1]))
            continue;
        if (at >= least && is_sentence_end(text, start, at))
            return at;
        if (word == start)
            word = at;
        if (at < least)
            break;
    }
    return word == start ? limit : word;
}

static int add_part(struct text_parts *out, const char *text, size_t bytes, size_t parts_max,
                    struct error *err)
{
    if (out->count == parts_max)
        return error_set(err, ERROR_INVALID,
                         "the text needs more than %zu parts: write a shorter one", parts_max);
    char **grown = realloc(out->parts, (out->count + 1) * sizeof *grown);
    char *part = strndup(text, bytes);
    if (grown)
        out->parts = grown;
    if (!grown || !part) {
        free(part);
        return error_set(err, ERROR_SYSTEM, "no memory to cut a text");
    }
    out->parts[out->count++] = part;
    return 0;
}

static int cut(const char *text, size_t max, enum text_unit unit, size_t parts_max,
               const struct ends *ends, struct text_parts *out, struct error *err)
{
    for (size_t start = 0; text[start];) {
        size_t limit = reach(text, start, ends, max, unit);
        if (limit == start)
            return error_set(err, ERROR_INVALID,
                             "one character of the text is longer than the %zu that fit", max);
        size_t end = text[limit] == '\0' ? limit : best_cut(text, start, limit);
        if (add_part(out, text + start, end - start, parts_max, err) != 0)
            return -1;
        start = text[end] == '\0' ? end : skip_space(text, end);
    }
    return 0;
}

int text_split(const char *text, size_t max, enum text_unit unit, size_t parts_max,
               struct text_parts *out, struct error *err)
{
    assert(text && out && err);
    struct text_parts parts = { 0 };
    struct ends ends = { 0 };
    if (!read_ends(text, &ends))
        return error_set(err, ERROR_SYSTEM, "no memory to cut a text");
    int rc = cut(text, max, unit, parts_max, &ends, &parts, err);
    free(ends.at);
    if (rc != 0) {
        text_parts_free(&parts);
        return -1;
    }
    *out = parts;
    return 0;
}

void text_parts_free(struct text_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        free(parts->parts[i]);
    free(parts->parts);
    *parts = (struct text_parts){ 0 };
}
