#include "triage/normalise.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

enum { WINDOW_START_SEARCH_BYTES = 64, LATIN_END = 0x250 };

struct normalised *normalised_new(struct error *err)
{
    struct normalised *self = calloc(1, sizeof *self);
    if (self) {
        self->text = malloc(NORMALISE_WINDOW_BYTES + 1);
        self->origin = malloc(NORMALISE_WINDOW_BYTES * sizeof *self->origin);
        self->is_cut = malloc(NORMALISE_WINDOW_BYTES * sizeof *self->is_cut);
    }
    if (self && self->text && self->origin && self->is_cut)
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
    free((*self_p)->is_cut);
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
     * skin tones, which only colour the emoji before them, and without letters in frames. */
    bool is_in_block = (codepoint >= 0x1F300 && codepoint <= 0x1FAFF) ||
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

/* A letter or digit in lower case, or a space. */
static char fold_ascii(unsigned char byte)
{
    bool is_upper = byte >= 'A' && byte <= 'Z';
    bool is_word = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
    if (is_upper)
        return (char)(byte - 'A' + 'a');
    return is_word ? (char)byte : ' ';
}

size_t normalise_codepoint(int32_t codepoint, char *out)
{
    if (is_apostrophe(codepoint)) /* before decomposing: an acute accent would become a space */
        return 0;
    if (normalise_is_emoji(codepoint))
        return (size_t)utf8proc_encode_char(codepoint, (utf8proc_uint8_t *)out);
    if (codepoint >= 0x80)
        return fold_wide(codepoint, out);
    *out = fold_ascii((unsigned char)codepoint);
    return 1;
}

static void put(struct normalised *self, const char *bytes, size_t count, size_t from)
{
    memcpy(self->text + self->length, bytes, count);
    for (size_t i = 0; i < count; i++) {
        self->origin[self->length + i] = (uint32_t)from;
        self->is_cut[self->length + i] = false;
    }
    self->length += count;
}

struct run {         /* of one letter */
    uint64_t letter; /* its bytes; 0: the last thing was no letter */
    size_t count;
};

/* What became more bytes than that is no letter that people draw out. */
static uint64_t letter_of(const char *bytes, size_t count)
{
    uint64_t letter = 0;
    if (count <= sizeof letter)
        memcpy(&letter, bytes, count);
    return letter;
}

static void put_letter(struct normalised *self, struct run *run, const char *bytes, size_t count,
                       size_t from)
{
    uint64_t letter = letter_of(bytes, count);
    bool is_digit = count == 1 && *bytes <= '9';
    run->count = letter == run->letter && letter != 0 ? run->count + 1 : 1;
    run->letter = is_digit ? 0 : letter; /* 999 is a number, not a drawl */
    if (run->count < 3)
        put(self, bytes, count, from);
    else if (count == 1)
        self->is_cut[self->length - 1] = true;
}

static void put_gap(struct normalised *self, struct run *run, size_t from)
{
    run->letter = 0;
    if (self->text[self->length - 1] != ' ')
        put(self, " ", 1, from);
}

/* The short way, which most bytes go. */
static void put_ascii(struct normalised *self, struct run *run, unsigned char byte, size_t from)
{
    char folded = fold_ascii(byte);
    if (byte == '\'' || byte == '`')
        return;
    if (folded == ' ') {
        put_gap(self, run, from);
        return;
    }
    self->letters += folded > '9';
    put_letter(self, run, &folded, 1, from);
}

static void put_codepoint(struct normalised *self, struct run *run, int32_t codepoint, size_t from)
{
    char bytes[NORMALISE_CODEPOINT_BYTES];
    size_t count = normalise_codepoint(codepoint, bytes);
    if (count == 0)
        return;
    if (codepoint >= 0x80 && normalise_is_emoji(codepoint)) {
        put_gap(self, run, from);
        put(self, bytes, count, from);
        put_gap(self, run, from);
        return;
    }
    bool is_gap = memchr(bytes, ' ', count) != NULL;
    if (!is_gap) {
        bool is_digit = count == 1 && *bytes <= '9';
        self->letters += !is_digit;
        self->foreign_letters += codepoint >= LATIN_END && (unsigned char)*bytes >= 0x80;
        put_letter(self, run, bytes, count, from);
        return;
    }
    run->letter = 0;
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != ' ' || self->text[self->length - 1] != ' ')
            put(self, bytes + i, 1, from);
    }
}

size_t normalise(struct normalised *self, const char *text, size_t length, size_t from)
{
    assert(self && (text || length == 0) && from <= length && length <= UINT32_MAX);
    self->length = self->letters = self->foreign_letters = 0;
    put(self, " ", 1, from);
    struct run run = { 0 };
    size_t at = from;
    while (at < length && self->length < NORMALISE_WINDOW_BYTES - NORMALISE_CODEPOINT_BYTES - 1) {
        if ((unsigned char)text[at] < 0x80) {
            put_ascii(self, &run, (unsigned char)text[at], at);
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
        put_codepoint(self, &run, codepoint, at);
        at += (size_t)step;
    }
    if (self->text[self->length - 1] != ' ')
        put(self, " ", 1, at);
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
