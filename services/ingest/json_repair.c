#include "ingest/json_repair.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

enum { INT64_SURE_DIGITS = 18, SURROGATE_PAIR_CHARS = 12, ESCAPE_CHARS = 6 };

static const char replacement[] = "\xef\xbf\xbd";

/* A pass over the body that writes, or with out NULL only counts what it would write: a clean body,
 * the usual one, is then never copied. */
struct pass {
    const uint8_t *in;
    size_t length;
    size_t at;
    char *out;
    size_t written;
    bool changed;
};

static void put(struct pass *pass, const void *bytes, size_t length)
{
    if (pass->out)
        memcpy(pass->out + pass->written, bytes, length);
    pass->written += length;
}

static void put_changed(struct pass *pass, const char *text, size_t length, size_t consumed)
{
    put(pass, text, length);
    pass->at += consumed;
    pass->changed = true;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the UTF-8 sequence at bytes, 0 if it is none (overlong, surrogate, beyond U+10FFFF). */
static size_t utf8_length(const uint8_t *bytes, size_t left)
{
    uint8_t first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t want = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || want > left)
        return 0;
    for (size_t i = 1; i < want; i++)
        if (!is_continuation(bytes[i]))
            return 0;
    uint8_t second = bytes[1];
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return want;
}

static void copy_character(struct pass *pass)
{
    size_t length = utf8_length(pass->in + pass->at, pass->length - pass->at);
    if (length == 0 || pass->in[pass->at] == 0) {
        put_changed(pass, replacement, sizeof replacement - 1, 1);
        return;
    }
    put(pass, pass->in + pass->at, length);
    pass->at += length;
}

/* Value of the \uXXXX at offset, -1 if there is none. */
static int escape_at(const struct pass *pass, size_t offset)
{
    const char *text = (const char *)pass->in + offset;
    uint8_t value[2];
    if (offset + ESCAPE_CHARS > pass->length || text[0] != '\\' || text[1] != 'u' ||
        !crypto_unhex(text + 2, 4, value, sizeof value))
        return -1;
    return value[0] << 8 | value[1];
}

static void copy_escape(struct pass *pass)
{
    static const char escaped_replacement[] = "\\ufffd";
    size_t left = pass->length - pass->at;
    int value = escape_at(pass, pass->at);
    if (value < 0) {
        if (left < 2 || pass->in[pass->at + 1] >= 0x80 || pass->in[pass->at + 1] == 0) {
            put(pass, "\\", 1); /* broken: the parser says so */
            pass->at++;
            return;
        }
        put(pass, pass->in + pass->at, 2);
        pass->at += 2;
        return;
    }
    bool is_high = value >= 0xd800 && value <= 0xdbff;
    int second = is_high ? escape_at(pass, pass->at + ESCAPE_CHARS) : -1;
    if (is_high && second >= 0xdc00 && second <= 0xdfff) {
        put(pass, pass->in + pass->at, SURROGATE_PAIR_CHARS);
        pass->at += SURROGATE_PAIR_CHARS;
        return;
    }
    if (value == 0 || (value >= 0xd800 && value <= 0xdfff)) {
        put_changed(pass, escaped_replacement, ESCAPE_CHARS, ESCAPE_CHARS);
        return;
    }
    put(pass, pass->in + pass->at, ESCAPE_CHARS);
    pass->at += ESCAPE_CHARS;
}

static void copy_string(struct pass *pass)
{
    put(pass, "\"", 1);
    pass->at++;
    while (pass->at < pass->length) {
        uint8_t byte = pass->in[pass->at];
        if (byte == '\\') {
            copy_escape(pass);
            continue;
        }
        copy_character(pass);
        if (byte == '"')
            return;
    }
}

static bool is_number_part(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || byte == '-' || byte == '+' || byte == '.' ||
           byte == 'e' || byte == 'E';
}

static void copy_number(struct pass *pass)
{
    size_t start = pass->at;
    bool is_integer = true;
    size_t digits = 0;
    for (; pass->at < pass->length && is_number_part(pass->in[pass->at]); pass->at++) {
        uint8_t byte = pass->in[pass->at];
        if (byte >= '0' && byte <= '9')
            digits++;
        else if (byte != '-' || pass->at != start)
            is_integer = false;
    }
    const char *number = (const char *)pass->in + start;
    size_t length = pass->at - start;
    size_t first_digit = number[0] == '-' ? 1 : 0;
    bool is_too_big = is_integer && digits > INT64_SURE_DIGITS && number[first_digit] != '0' &&
                      (digits > INT64_SURE_DIGITS + 1 ||
                       memcmp(number + first_digit, "9223372036854775807", digits) > 0);
    if (!is_too_big) {
        put(pass, number, length);
        return;
    }
    put(pass, "\"", 1);
    put(pass, number, length);
    put(pass, "\"", 1);
    pass->changed = true;
}

static void run(struct pass *pass)
{
    if (pass->length >= 3 && memcmp(pass->in, "\xef\xbb\xbf", 3) == 0)
        put_changed(pass, "", 0, 3);
    while (pass->at < pass->length) {
        uint8_t byte = pass->in[pass->at];
        if (byte == '"')
            copy_string(pass);
        else if (byte == '-' || (byte >= '0' && byte <= '9'))
            copy_number(pass);
        else
            copy_character(pass);
    }
}

void json_repair(const uint8_t *body, size_t length, struct repaired *out)
{
    struct pass count = { .in = body, .length = length };
    run(&count);
    *out = (struct repaired){ .text = (const char *)body, .length = length };
    if (!count.changed)
        return;
    out->owned = malloc(count.written + 1);
    if (!out->owned)
        abort(); /* the record is in the journal: a restart reads it again */
    struct pass write = { .in = body, .length = length, .out = out->owned };
    run(&write);
    out->text = out->owned;
    out->length = write.written;
}

void repaired_clear(struct repaired *self)
{
    free(self->owned);
    *self = (struct repaired){ 0 };
}

size_t utf8_repair(const uint8_t *bytes, size_t length, char *out)
{
    struct pass pass = { .in = bytes, .length = length, .out = out };
    while (pass.at < length)
        copy_character(&pass);
    out[pass.written] = '\0';
    return pass.written;
}
