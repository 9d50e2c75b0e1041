#include "triage/normalise.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

enum {
    WINDOW_START_SEARCH_BYTES = 64,
    LATIN_END = 0x250,
    CUTS_MAX = NORMALISE_WINDOW_BYTES / 2 /* a cut has two letters in the window */
};

struct normalised *normalised_new(struct error *err)
{
    struct normalised *self = calloc(1, sizeof *self);
    if (self) {
        self->text = malloc(NORMALISE_WINDOW_BYTES + 1);
        self->origin = malloc(NORMALISE_WINDOW_BYTES * sizeof *self->origin);
        self->cuts = malloc(CUTS_MAX * sizeof *self->cuts);
    }
    if (self && self->text && self->origin && self->cuts)
        return self;
    normalised_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory for a window of text");
    return NULL;
}

void normalised_destroy(struct normalised **self_p)
{
    if (!*self_p)
        return;
    free((*self_p)->text);
    free((*self_p)->origin);
    free((*self_p)->cuts);
    free(*self_p);
    *self_p = NULL;
}

static bool is_apostrophe(int32_t codepoint)
{
    switch (codepoint) {
    case '\'':
    case '`':
    case 0xB4:   /* acute accent, typed instead */
    case 0x2B9:  /* modifier letter prime */
    case 0x2BC:  /* modifier letter apostrophe */
    case 0x2018: /* left, right and reversed single quotation marks */
    case 0x2019:
    case 0x201B:
    case 0x2032: /* prime */
    case 0xFF07: /* full width */
        return true;
    default:
        return false;
    }
}

/* An already folded codepoint: bytes of a letter or digit, nothing, or one space. */
static size_t put_folded(int32_t codepoint, char *out)
{
    if (is_apostrophe(codepoint))
        return 0;
    switch (utf8proc_category(codepoint)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return (size_t)utf8proc_encode_char(codepoint, (utf8proc_uint8_t *)out);
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
        return 0;
    case UTF8PROC_CATEGORY_SK:
        if (codepoint >= 0x1F3FB && codepoint <= 0x1F3FF) /* skin tones */
            return 0;
        *out = ' ';
        return 1;
    default:
        *out = ' ';
        return 1;
    }
}

bool normalise_is_emoji(int32_t codepoint)
{
    /* The blocks of pictographs and of miscellaneous symbols (Unicode 15, Blocks.txt), without the
     * skin tones, which only colour the emoji before them, and without letters in frames but SOS.
     */
    bool is_in_block = codepoint == 0x1F198 || (codepoint >= 0x1F300 && codepoint <= 0x1FAFF) ||
                       (codepoint >= 0x2600 && codepoint <= 0x27BF);
    return is_in_block && utf8proc_category(codepoint) == UTF8PROC_CATEGORY_SO;
}

static size_t fold_wide(int32_t codepoint, char *out)
{
    enum { MOST = 24, BYTES_EACH = 4 };
    _Static_assert(MOST * BYTES_EACH <= NORMALISE_CODEPOINT_BYTES, "room for every codepoint");
    utf8proc_int32_t parts[MOST];
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char(
        codepoint, parts, MOST,
        (utf8proc_option_t)(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD |
                            UTF8PROC_STRIPMARK | UTF8PROC_IGNORE | UTF8PROC_STABLE),
        &boundary);
    if (count < 0 || count > MOST) {
        *out = ' ';
        return 1;
    }
    size_t used = 0;
    for (utf8proc_ssize_t i = 0; i < count; i++)
        used += put_folded(parts[i], out + used);
    return used;
}

#define NOTHING '\''

/* What an ASCII byte becomes: a letter or digit in lower case, NOTHING, or a space. By rows of 32.
 */
static const char ascii_folded[] = "                                "
                                   "       '        0123456789      "
                                   " abcdefghijklmnopqrstuvwxyz     "
                                   "'abcdefghijklmnopqrstuvwxyz     ";

size_t normalise_codepoint(int32_t codepoint, char *out)
{
    if (codepoint >= 0 && codepoint < 0x80) {
        *out = ascii_folded[codepoint];
        return *out != NOTHING;
    }
    if (is_apostrophe(codepoint)) /* before decomposing: an acute accent would become a space */
        return 0;
    if (normalise_is_emoji(codepoint))
        return (size_t)utf8proc_encode_char(codepoint, (utf8proc_uint8_t *)out);
    return fold_wide(codepoint, out);
}

static void put_byte(struct normalised *self, char byte, size_t from)
{
    self->text[self->length] = byte;
    self->origin[self->length++] = (uint32_t)from;
}

static void put_gap(struct normalised *self, size_t from)
{
    if (self->text[self->length - 1] != ' ')
        put_byte(self, ' ', from);
}

/* One letter or digit of ASCII. The third of a letter in a row is left out and marks the second;
 * 999 is a number, not a drawl. */
static void put_letter(struct normalised *self, char letter, size_t from)
{
    const char *end = self->text + self->length;
    bool is_letter = letter > '9';
    self->letters += is_letter;
    if (!is_letter || end[-1] != letter || self->length < 2 || end[-2] != letter) {
        put_byte(self, letter, from);
        return;
    }
    uint32_t second = (uint32_t)self->length - 1;
    if (self->cut_count == 0 || self->cuts[self->cut_count - 1] != second)
        self->cuts[self->cut_count++] = second;
}

static void put_wide(struct normalised *self, int32_t codepoint, size_t from)
{
    char bytes[NORMALISE_CODEPOINT_BYTES];
    size_t count = normalise_codepoint(codepoint, bytes);
    bool is_emoji = normalise_is_emoji(codepoint);
    if (count == 1 && (unsigned char)bytes[0] < 0x80 && bytes[0] != ' ') {
        put_letter(self, bytes[0], from);
        return;
    }
    bool is_letter = count > 0 && !is_emoji && !memchr(bytes, ' ', count);
    self->letters += is_letter;
    self->foreign_letters += is_letter && codepoint >= LATIN_END && (unsigned char)*bytes >= 0x80;
    if (is_emoji)
        put_gap(self, from);
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == ' ')
            put_gap(self, from);
        else
            put_byte(self, bytes[i], from);
    }
    if (is_emoji)
        put_gap(self, from);
}

size_t normalise(struct normalised *self, const char *text, size_t length, size_t from)
{
    assert(self && (text || length == 0) && from <= length && length <= UINT32_MAX);
    self->length = self->letters = self->foreign_letters = self->cut_count = 0;
    put_byte(self, ' ', from);
    size_t at = from;
    while (at < length && self->length < NORMALISE_WINDOW_BYTES - NORMALISE_CODEPOINT_BYTES - 1) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x80) {
            char folded = ascii_folded[byte];
            if (folded == ' ')
                put_gap(self, at);
            else if (folded != NOTHING)
                put_letter(self, folded, at);
            at++;
            continue;
        }
        utf8proc_int32_t codepoint = 0;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                 (utf8proc_ssize_t)(length - at), &codepoint);
        if (step < 1) { /* not UTF-8: a gap, and try again at the next byte */
            step = 1;
            codepoint = ' ';
        }
        if (codepoint < 0x80)
            put_gap(self, at);
        else
            put_wide(self, codepoint, at);
        at += (size_t)step;
    }
    put_gap(self, at);
    self->text[self->length] = '\0';
    return at;
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

size_t normalise_next_window(const char *text, size_t length, size_t from, size_t end)
{
    assert(from < end && end <= length);
    if (end - from <= 2 * (size_t)NORMALISE_OVERLAP_BYTES)
        return end;
    size_t start = end - NORMALISE_OVERLAP_BYTES;
    for (size_t i = 0; i < WINDOW_START_SEARCH_BYTES; i++) {
        if (text[start + i] == ' ')
            return start + i;
    }
    while (start < end && is_continuation(text[start]))
        start++;
    return start;
}

static size_t codepoint_bytes(const char *text, size_t length, size_t at)
{
    utf8proc_int32_t codepoint = 0;
    utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                             (utf8proc_ssize_t)(length - at), &codepoint);
    return step < 1 ? 1 : (size_t)step;
}

void normalised_place(const struct normalised *self, const char *text, size_t length, size_t from,
                      size_t to, uint32_t *offset_bytes, uint32_t *length_bytes)
{
    assert(from < to && to < self->length);
    size_t start = self->origin[from];
    size_t end = self->origin[to]; /* behind marks and letters left out */
    size_t last = self->origin[to - 1];
    if (end <= last) /* one codepoint became words of its own */
        end = last + codepoint_bytes(text, length, last);
    *offset_bytes = (uint32_t)start;
    *length_bytes = (uint32_t)(end - start);
}
