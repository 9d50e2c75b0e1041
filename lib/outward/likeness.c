/* How alike two texts are: the share of neighbouring pairs of words they have in common (Jaccard),
 * after case and accents are folded away. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "outward/text.h"

struct shingles {
    uint64_t *hashes; /* sorted, each once */
    size_t count;
};

static char *fold(const char *text)
{
    utf8proc_uint8_t *folded = NULL;
    const utf8proc_option_t options = UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                      UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK |
                                      UTF8PROC_IGNORE;
    if (utf8proc_map((const uint8_t *)text, 0, &folded, options) < 0)
        return strdup(text);
    return (char *)folded;
}

/* Bytes of the letter or digit at text; 0: it is none. */
static size_t letter_at(const char *text)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t bytes = utf8proc_iterate((const uint8_t *)text, -1, &point);
    if (bytes <= 0 || point == 0)
        return 0;
    utf8proc_category_t category = utf8proc_category(point);
    bool is_letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    bool is_number = category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
    return is_letter || is_number ? (size_t)bytes : 0;
}

/* FNV-1a, 64 bits: to compare, not to protect. */
static uint64_t hash_word(const char *word, size_t bytes)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)word[i]) * UINT64_C(1099511628211);
    return hash;
}

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one;
    uint64_t b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

static void keep_each_once(struct shingles *shingles)
{
    if (shingles->count < 2)
        return;
    qsort(shingles->hashes, shingles->count, sizeof *shingles->hashes, compare);
    size_t kept = 1;
    for (size_t i = 1; i < shingles->count; i++)
        if (shingles->hashes[i] != shingles->hashes[kept - 1])
            shingles->hashes[kept++] = shingles->hashes[i];
    shingles->count = kept;
}

static bool read_shingles(const char *text, struct shingles *out)
{
    char *folded = fold(text);
    *out = (struct shingles){ 0 };
    if (folded)
        out->hashes = calloc(strlen(folded) / 2 + 2, sizeof *out->hashes);
    if (!out->hashes) {
        free(folded);
        return false;
    }
    uint64_t before = 0;
    size_t words = 0;
    for (const char *c = folded; *c;) {
        const char *word = c;
        for (size_t bytes = letter_at(c); bytes > 0; bytes = letter_at(c))
            c += bytes;
        if (c == word) {
            c++;
            continue;
        }
        uint64_t hash = hash_word(word, (size_t)(c - word));
        if (words++ > 0)
            out->hashes[out->count++] = before * UINT64_C(0x9E3779B97F4A7C15) + hash;
        before = hash;
    }
    if (words == 1)
        out->hashes[out->count++] = before;
    free(folded);
    keep_each_once(out);
    return true;
}

static double share_in_common(const struct shingles *one, const struct shingles *other)
{
    size_t common = 0;
    for (size_t i = 0, j = 0; i < one->count && j < other->count;) {
        uint64_t a = one->hashes[i];
        uint64_t b = other->hashes[j];
        common += a == b;
        i += a <= b;
        j += b <= a;
    }
    size_t all = one->count + other->count - common;
    return all ? (double)common / (double)all : 0.0;
}

double text_likeness(const char *one, const char *other)
{
    struct shingles a;
    struct shingles b = { 0 };
    double likeness = 0;
    if (read_shingles(one, &a) && read_shingles(other, &b))
        likeness = share_in_common(&a, &b);
    free(a.hashes);
    free(b.hashes);
    return likeness;
}
