#include "train/vectors.h"

#include <math.h>
#include <stdlib.h>

#include "triage/features.h"
#include "triage/linear_model.h"

struct bag {
    struct solver_entry *entries;
    size_t count;
    size_t room;
    unsigned bits;
    double norm;
};

static void free_bag(struct bag *bag)
{
    free(bag->entries);
}

static int put(struct bag *bag, const uint32_t *hashes, size_t count, float value,
               struct error *err)
{
    if (bag->count + count > bag->room) {
        size_t room = 2 * (bag->room + count);
        struct solver_entry *entries = reallocarray(bag->entries, room, sizeof *entries);
        if (!entries)
            return error_set(err, ERROR_SYSTEM, "no memory for a vector");
        bag->entries = entries;
        bag->room = room;
    }
    for (size_t i = 0; i < count; i++)
        bag->entries[bag->count++] =
            (struct solver_entry){ (uint32_t)features_slot(hashes[i], bag->bits), value };
    bag->norm += (double)count * (double)value * (double)value;
    return 0;
}

static int by_slot(const void *a, const void *b)
{
    const struct solver_entry *first = a;
    const struct solver_entry *second = b;
    return (first->slot > second->slot) - (first->slot < second->slot);
}

static int by_number(const void *a, const void *b)
{
    return (int)*(const uint8_t *)a - (int)*(const uint8_t *)b;
}

static int put_evidence(struct bag *bag, const struct model_evidence *evidence, struct error *err)
{
    uint8_t columns[LINEAR_RULE_COLUMNS];
    size_t count = linear_model_rule_columns(evidence, columns);
    const uint32_t hashes[LINEAR_RULE_COLUMNS] = { 0 };
    if (put(bag, hashes, count, 1, err) != 0) /* makes room */
        return -1;
    qsort(columns, count, 1, by_number);
    for (size_t i = 0; i < count; i++)
        bag->entries[bag->count - count + i].slot = (UINT32_C(1) << bag->bits) + columns[i];
    return 0;
}

/* Makes each slot stand once and the vector about one long. */
static int finish(struct bag *bag, struct solver_rows *rows, const struct model_evidence *evidence,
                  struct error *err)
{
    if (bag->count > 0)
        qsort(bag->entries, bag->count, sizeof *bag->entries, by_slot);
    size_t kept = 0;
    for (size_t i = 0; i < bag->count; i++) {
        if (kept > 0 && bag->entries[kept - 1].slot == bag->entries[i].slot)
            bag->entries[kept - 1].value += bag->entries[i].value;
        else
            bag->entries[kept++] = bag->entries[i];
    }
    for (size_t i = 0; i < kept; i++)
        bag->entries[i].value = (float)((double)bag->entries[i].value / sqrt(bag->norm));
    bag->count = kept;
    if (evidence && put_evidence(bag, evidence, err) != 0)
        return -1;
    return solver_rows_add(rows, bag->entries, bag->count, err);
}

int vectors_add(struct solver_rows *rows, unsigned bits, const char *text, size_t from, size_t to,
                size_t words_max, const struct model_evidence *evidence, struct error *err)
{
    AUTO(free_bag) struct bag bag = { .bits = bits };
    struct feature_reader reader;
    struct feature_word word;
    features_begin(&reader, text, to, from);
    for (size_t words = 0; words < words_max && features_next(&reader, &word); words++) {
        if (word.is_neutral)
            continue;
        if (put(&bag, word.words, word.word_count, FEATURES_WORD_VALUE, err) != 0 ||
            put(&bag, word.grams, word.gram_count, FEATURES_GRAM_VALUE, err) != 0)
            return -1;
    }
    return finish(&bag, rows, evidence, err);
}

int vectors_add_language(struct solver_rows *rows, unsigned bits, const char *text, size_t length,
                         size_t words_max, struct error *err)
{
    AUTO(free_bag) struct bag bag = { .bits = bits };
    struct feature_reader reader;
    struct feature_word word;
    size_t words = 0;
    features_begin(&reader, text, length, 0);
    while (words < words_max && features_next(&reader, &word)) {
        if (!word.has_letter)
            continue;
        words++;
        if (put(&bag, word.words, 1, 1, err) != 0 ||
            put(&bag, word.grams, word.gram_count, 1, err) != 0 ||
            put(&bag, word.letters, word.letter_count, 1, err) != 0)
            return -1;
    }
    return finish(&bag, rows, NULL, err);
}

struct found_windows {
    struct text_window *out;
    size_t count;
    size_t most;
};

static void keep_window(void *arg, const struct linear_block *window)
{
    struct found_windows *found = arg;
    if (found->count < found->most)
        found->out[found->count++] = (struct text_window){ window->from, window->to };
}

size_t vectors_windows(const char *text, size_t length, struct text_window *out, size_t most)
{
    struct found_windows found = { .out = out, .most = most };
    struct linear_windows windows = { .tell = keep_window, .arg = &found };
    struct feature_reader reader;
    struct feature_word word;
    features_begin(&reader, text, length, 0);
    while (features_next(&reader, &word)) {
        if (!word.is_neutral)
            linear_windows_add(&windows, &word, 0);
    }
    linear_windows_end(&windows);
    return found.count;
}
