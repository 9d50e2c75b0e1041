#include "ids/reference.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

enum { BITS_PER_LETTER = 5, GROUP_LETTERS = 5, LETTERS = 10, REST_BITS = 14 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

uint64_t reference_bits(const struct id *conversation)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof bits; i++)
        bits = bits << 8 | conversation->bytes[i];
    return bits & ~UINT64_C(0) << REST_BITS;
}

void reference_write(const struct id *conversation, char out[static REFERENCE_BYTES])
{
    uint64_t bits = reference_bits(conversation);
    size_t at = 0;
    for (int i = 0; i < LETTERS; i++) {
        if (i == GROUP_LETTERS)
            out[at++] = '-';
        out[at++] = alphabet[bits >> (64 - BITS_PER_LETTER)];
        bits <<= BITS_PER_LETTER;
    }
    out[at] = '\0';
}

/* As people say and write them. */
static char meant(char c)
{
    if (c == 'O' || c == 'o')
        return '0';
    if (strchr("IiLl", c))
        return '1';
    return (char)toupper((unsigned char)c);
}

int reference_read(const char *text, uint64_t *bits)
{
    uint64_t value = 0;
    size_t count = 0;
    for (const char *at = text; *at; at++) {
        if (*at == '-' || *at == ' ')
            continue;
        const char *letter = strchr(alphabet, meant(*at));
        if (!letter || ++count > LETTERS)
            return -1;
        value = value << BITS_PER_LETTER | (uint64_t)(letter - alphabet);
    }
    if (count != LETTERS)
        return -1;
    *bits = value << REST_BITS;
    return 0;
}
