#include "notify/percent.h"

#include <stdint.h>
#include <string.h>

#include "crypto/crypto.h"

static bool is_plain(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

bool percent_encode(const char *text, size_t length, char *out, size_t bytes)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        size_t needed = is_plain(text[i]) ? 1 : PERCENT_WORST;
        if (at + needed >= bytes) {
            out[0] = '\0';
            return false;
        }
        if (needed == 1) {
            out[at++] = text[i];
            continue;
        }
        out[at++] = '%';
        out[at++] = hex[(uint8_t)text[i] >> 4];
        out[at++] = hex[(uint8_t)text[i] & 15];
    }
    out[at] = '\0';
    return true;
}

size_t percent_decode(char *text, bool is_form)
{
    size_t length = strlen(text);
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '%' && length - i > 2 && crypto_unhex(text + i + 1, 2, text + at, 1)) {
            at++;
            i += 2;
            continue;
        }
        char c = text[i];
        if (is_form && c == '+')
            c = ' ';
        text[at++] = c;
    }
    text[at] = '\0';
    return at;
}
