#include "triage/model_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "stamp/stamp.h"
#include "triage/features.h"

/* All numbers little-endian, all floats as their IEEE bits:
 *   0  magic, then whole length, features' version, three table sizes, number of categories, length
 *      of the record (32 bits each), the date, heads, limits, category names, zeros
 *   HEADER_BYTES  urgent table, topic table, language table, record, SHA-256 of all before it */
enum {
    MAGIC_BYTES = 8,
    HEADER_BYTES = 6208, /* a multiple of a cache line */
    ALIGNMENT = 64,
    FLOATS_MAX_ABS = 1000000,
    LEAST_BYTES = HEADER_BYTES + CRYPTO_SHA256_BYTES
};

static const char magic[MAGIC_BYTES] = "desgmod2";

struct model_file {
    uint8_t *bytes;
    struct linear_model linear;
    struct model model;
    char date[MODEL_FILE_DATE_BYTES];
    char edition[MODEL_FILE_EDITION_BYTES];
    char *record;
};

struct cursor {
    uint8_t *at;
    bool is_writing;
};

/* --- one description for reading and writing --- */

static void pass_u32(struct cursor *cursor, uint32_t *value)
{
    uint8_t *at = cursor->at;
    if (cursor->is_writing) {
        for (unsigned i = 0; i < sizeof *value; i++)
            at[i] = (uint8_t)(*value >> (8 * i));
    } else {
        *value = 0;
        for (unsigned i = 0; i < sizeof *value; i++)
            *value |= (uint32_t)at[i] << (8 * i);
    }
    cursor->at += sizeof *value;
}

static void pass_unsigned(struct cursor *cursor, unsigned *value)
{
    uint32_t bits = *value;
    pass_u32(cursor, &bits);
    *value = bits;
}

static void pass_float(struct cursor *cursor, float *value)
{
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    pass_u32(cursor, &bits);
    memcpy(value, &bits, sizeof bits);
}

static void pass_head(struct cursor *cursor, struct linear_head *head)
{
    pass_float(cursor, &head->scale);
    pass_float(cursor, &head->bias);
}

static void pass_text(struct cursor *cursor, char *text, size_t bytes)
{
    if (cursor->is_writing)
        memcpy(cursor->at, text, bytes);
    else
        memcpy(text, cursor->at, bytes);
    cursor->at += bytes;
}

struct lengths {
    uint32_t whole;
    uint32_t features_version;
    uint32_t record;
};

static void pass_header(struct cursor *cursor, struct linear_model *model, char *date,
                        struct lengths *lengths)
{
    uint32_t categories = (uint32_t)model->category_count;
    pass_u32(cursor, &lengths->whole);
    pass_u32(cursor, &lengths->features_version);
    pass_unsigned(cursor, &model->urgent_bits);
    pass_unsigned(cursor, &model->topic_bits);
    pass_unsigned(cursor, &model->language_bits);
    pass_u32(cursor, &categories);
    pass_u32(cursor, &lengths->record);
    model->category_count = categories;
    pass_text(cursor, date, MODEL_FILE_DATE_BYTES);
    pass_head(cursor, &model->urgent);
    for (size_t i = 0; i < LINEAR_TOPIC_COLUMNS; i++)
        pass_head(cursor, &model->topics[i]);
    for (size_t i = 0; i < LINEAR_RULE_COLUMNS; i++) {
        pass_float(cursor, &model->urgent_rules[i]);
        for (size_t j = 0; j < LINEAR_TOPIC_COLUMNS; j++)
            pass_float(cursor, &model->topic_rules[i][j]);
    }
    pass_head(cursor, &model->language);
    pass_float(cursor, &model->language_sure);
    pass_float(cursor, &model->language_unsure);
    pass_float(cursor, &model->language_mixed);
    pass_float(cursor, &model->thresholds.urgent);
    pass_float(cursor, &model->thresholds.review);
    pass_float(cursor, &model->thresholds.category);
    pass_float(cursor, &model->thresholds.restricted);
    for (size_t i = 0; i < LINEAR_CATEGORIES_MAX; i++)
        pass_text(cursor, model->categories[i], MODEL_CATEGORY_BYTES);
}

/* --- what can be --- */

static bool are_bits(unsigned bits)
{
    return bits >= LINEAR_BITS_MIN && bits <= LINEAR_BITS_MAX;
}

static bool is_number(float value)
{
    return isfinite(value) && fabsf(value) <= FLOATS_MAX_ABS;
}

static bool is_head(const struct linear_head *head)
{
    return is_number(head->scale) && is_number(head->bias);
}

static bool is_share(float value)
{
    return value >= 0 && value <= 1; /* not a NaN either */
}

static bool is_name(const char *name)
{
    size_t length = strnlen(name, MODEL_CATEGORY_BYTES);
    if (length == 0 || length == MODEL_CATEGORY_BYTES)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static bool is_date(const char *date)
{
    static const char form[MODEL_FILE_DATE_BYTES] = "dddd-dd-dd";
    for (size_t i = 0; i < MODEL_FILE_DATE_BYTES; i++) {
        bool is_digit = date[i] >= '0' && date[i] <= '9';
        if (form[i] == 'd' ? !is_digit : date[i] != form[i])
            return false;
    }
    return true;
}

/* Returns what is wrong, or NULL. */
static const char *fault_of(const struct linear_model *model, const char *date)
{
    if (!is_date(date))
        return "its date is not like 2026-11-22";
    if (!are_bits(model->urgent_bits) || !are_bits(model->topic_bits) ||
        !are_bits(model->language_bits))
        return "a table is of an impossible size";
    if (model->category_count == 0 || model->category_count > LINEAR_CATEGORIES_MAX)
        return "it has no categories or too many";
    for (size_t i = 0; i < model->category_count; i++) {
        if (!is_name(model->categories[i]))
            return "a category's name is not of small letters and hyphens";
    }
    for (size_t i = 0; i < LINEAR_TOPIC_COLUMNS; i++) {
        if (!is_head(&model->topics[i]))
            return "a head is not a number";
    }
    for (size_t i = 0; i < LINEAR_RULE_COLUMNS; i++) {
        if (!is_number(model->urgent_rules[i]) || model->urgent_rules[i] < 0)
            return "what a rule adds is below 0";
        for (size_t j = 0; j < LINEAR_TOPIC_COLUMNS; j++) {
            if (!is_number(model->topic_rules[i][j]))
                return "what a rule adds is not a number";
        }
    }
    if (!is_head(&model->urgent) || !is_head(&model->language) ||
        !is_number(model->language_sure) || !is_number(model->language_unsure) ||
        !is_number(model->language_mixed))
        return "a head is not a number";
    const struct model_thresholds *thresholds = &model->thresholds;
    if (!is_share(thresholds->urgent) || !is_share(thresholds->review) ||
        !is_share(thresholds->category) || !is_share(thresholds->restricted))
        return "a threshold is not between 0 and 1";
    return NULL;
}

static size_t table_bytes(const struct linear_model *model)
{
    return ((size_t)1 << model->urgent_bits) + ((size_t)LINEAR_TOPIC_COLUMNS << model->topic_bits) +
           ((size_t)1 << model->language_bits);
}

/* --- reading --- */

static int refuse(struct error *err, const char *name, const char *what)
{
    return error_set(err, ERROR_CONFIG,
                     "model '%s' is refused: %s; train it again or take the one before", name,
                     what);
}

static bool has_right_checksum(const uint8_t *bytes, size_t length)
{
    uint8_t checksum[CRYPTO_SHA256_BYTES];
    crypto_sha256(bytes, length - sizeof checksum, checksum);
    return memcmp(checksum, bytes + length - sizeof checksum, sizeof checksum) == 0;
}

static int take_tables(struct model_file *self, size_t length, uint32_t record_bytes,
                       const char *name, struct error *err)
{
    struct linear_model *linear = &self->linear;
    size_t tables = table_bytes(linear);
    if (record_bytes > MODEL_FILE_RECORD_MAX_BYTES ||
        length != (size_t)HEADER_BYTES + tables + record_bytes + CRYPTO_SHA256_BYTES)
        return refuse(err, name, "its length does not fit its tables");
    const int8_t *at = (const int8_t *)self->bytes + HEADER_BYTES;
    linear->urgent_weights = at;
    linear->topic_weights = at + ((size_t)1 << linear->urgent_bits);
    linear->language_weights =
        linear->topic_weights + ((size_t)LINEAR_TOPIC_COLUMNS << linear->topic_bits);
    self->record = strndup((const char *)self->bytes + HEADER_BYTES + tables, record_bytes);
    return self->record ? 0 : error_set(err, ERROR_SYSTEM, "no memory for a model's record");
}

static int take_bytes(struct model_file *self, size_t length, const char *name, struct error *err)
{
    if (length < LEAST_BYTES || memcmp(self->bytes, magic, sizeof magic) != 0)
        return refuse(err, name, "it is not a model of this kind");
    struct lengths lengths = { 0 };
    struct cursor cursor = { self->bytes + MAGIC_BYTES, false };
    pass_header(&cursor, &self->linear, self->date, &lengths);
    assert(cursor.at <= self->bytes + HEADER_BYTES);
    if (lengths.whole != length)
        return refuse(err, name, "it is cut or has something behind it");
    if (!has_right_checksum(self->bytes, length))
        return refuse(err, name, "its checksum is wrong: it was damaged or changed by hand");
    if (lengths.features_version != FEATURES_VERSION)
        return refuse(err, name, "it was trained for other features than this program's");
    const char *fault = fault_of(&self->linear, self->date);
    if (fault)
        return refuse(err, name, fault);
    return take_tables(self, length, lengths.record, name, err);
}

static void name_edition(struct model_file *self, size_t length)
{
    enum { SHOWN_BYTES = 4 };
    char hex[2 * SHOWN_BYTES + 1];
    crypto_hex(self->bytes + length - CRYPTO_SHA256_BYTES, SHOWN_BYTES, hex);
    (void)snprintf(self->edition, sizeof self->edition, "%.10s+%s", self->date, hex);
}

static struct model_file *room_for(size_t length, struct error *err)
{
    struct model_file *self = calloc(1, sizeof *self);
    if (self)
        self->bytes = aligned_alloc(ALIGNMENT, (length / ALIGNMENT + 1) * ALIGNMENT);
    if (self && self->bytes)
        return self;
    model_file_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory for a model of %zu bytes", length);
    return NULL;
}

struct model_file *model_file_read(const uint8_t *bytes, size_t length, const char *name,
                                   struct error *err)
{
    assert((bytes || length == 0) && name && err);
    if (length > MODEL_FILE_MAX_BYTES) {
        (void)refuse(err, name, "it is over 2 MiB");
        return NULL;
    }
    struct model_file *self = room_for(length, err);
    if (!self)
        return NULL;
    if (length > 0)
        memcpy(self->bytes, bytes, length);
    if (take_bytes(self, length, name, err) != 0) {
        model_file_destroy(&self);
        return NULL;
    }
    name_edition(self, length);
    self->model = (struct model){
        .edition = self->edition,
        .arg = &self->linear,
        .thresholds = self->linear.thresholds,
        .categories = (const char(*)[MODEL_CATEGORY_BYTES])self->linear.categories,
        .category_count = self->linear.category_count,
        .judge = linear_model_judge,
    };
    return self;
}

static void free_bytes(uint8_t **bytes_p)
{
    free(*bytes_p);
}

struct model_file *model_file_load(const char *path, struct error *err)
{
    assert(path && err);
    FILE *stream = fopen(path, "rbe");
    if (!stream) {
        (void)error_set(err, ERROR_CONFIG, "cannot open model '%s': %s", path, strerror(errno));
        return NULL;
    }
    struct model_file *self = NULL;
    uint8_t *bytes = malloc(MODEL_FILE_MAX_BYTES + 1);
    size_t length = bytes ? fread(bytes, 1, MODEL_FILE_MAX_BYTES + 1, stream) : 0;
    if (!bytes)
        (void)error_set(err, ERROR_SYSTEM, "no memory to read model '%s'", path);
    else if (ferror(stream))
        (void)error_set(err, ERROR_CONFIG, "cannot read model '%s': %s", path, strerror(errno));
    else
        self = model_file_read(bytes, length, path, err);
    free(bytes);
    (void)fclose(stream); /* read only: nothing to lose */
    return self;
}

void model_file_destroy(struct model_file **self_p)
{
    struct model_file *self = *self_p;
    if (!self)
        return;
    free(self->bytes);
    free(self->record);
    free(self);
    *self_p = NULL;
}

const struct model *model_file_model(const struct model_file *self)
{
    return &self->model;
}

const struct linear_model *model_file_linear(const struct model_file *self)
{
    return &self->linear;
}

const char *model_file_record(const struct model_file *self)
{
    return self->record;
}

uint64_t model_file_stamp(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? stamp_file(STAMP_START, &status) | 1 : 0;
}

/* --- writing --- */

static void put_bytes(struct cursor *cursor, const void *bytes, size_t length)
{
    memcpy(cursor->at, bytes, length);
    cursor->at += length;
}

static void lay_out(uint8_t *bytes, const struct linear_model *model, const char *date,
                    const char *record, size_t length)
{
    struct linear_model copy = *model; /* the description passes both ways */
    char date_bytes[MODEL_FILE_DATE_BYTES];
    memcpy(date_bytes, date, sizeof date_bytes);
    struct lengths lengths = { (uint32_t)length, FEATURES_VERSION, (uint32_t)strlen(record) };
    struct cursor cursor = { bytes, true };
    put_bytes(&cursor, magic, sizeof magic);
    pass_header(&cursor, &copy, date_bytes, &lengths);
    cursor.at = bytes + HEADER_BYTES;
    put_bytes(&cursor, model->urgent_weights, (size_t)1 << model->urgent_bits);
    put_bytes(&cursor, model->topic_weights, (size_t)LINEAR_TOPIC_COLUMNS << model->topic_bits);
    put_bytes(&cursor, model->language_weights, (size_t)1 << model->language_bits);
    put_bytes(&cursor, record, strlen(record));
    crypto_sha256(bytes, length - CRYPTO_SHA256_BYTES, cursor.at);
}

static int write_whole(const char *path, const uint8_t *bytes, size_t length, struct error *err)
{
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return error_set(err, ERROR_INVALID, "the path of a model is too long");
    FILE *stream = fopen(fresh, "wbe");
    bool is_written = stream && fwrite(bytes, 1, length, stream) == length && fflush(stream) == 0 &&
                      fsync(fileno(stream)) == 0;
    if (stream && fclose(stream) != 0)
        is_written = false;
    if (!is_written || rename(fresh, path) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot write model '%s': %s", path, strerror(errno));
    return 0;
}

int model_file_write(const char *path, const struct linear_model *model, const char *date,
                     const char *record, struct error *err)
{
    assert(path && model && date && record && err);
    char date_bytes[MODEL_FILE_DATE_BYTES] = "";
    if (strlen(date) == sizeof date_bytes - 1)
        memcpy(date_bytes, date, sizeof date_bytes);
    const char *fault = fault_of(model, date_bytes);
    if (fault)
        return error_set(err, ERROR_INVALID, "cannot write model '%s': %s", path, fault);
    size_t length = HEADER_BYTES + table_bytes(model) + strlen(record) + CRYPTO_SHA256_BYTES;
    if (strlen(record) > MODEL_FILE_RECORD_MAX_BYTES || length > MODEL_FILE_MAX_BYTES)
        return error_set(err, ERROR_INVALID,
                         "cannot write model '%s': %zu bytes, at most 2 MiB: make a table smaller",
                         path, length);
    AUTO(free_bytes) uint8_t *bytes = calloc(1, length);
    if (!bytes)
        return error_set(err, ERROR_SYSTEM, "no memory for a model of %zu bytes", length);
    lay_out(bytes, model, date_bytes, record, length);
    return write_whole(path, bytes, length, err);
}
