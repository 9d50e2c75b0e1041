#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "model_fixture.h"
#include "triage/model_file.h"

/* Where in the file what stands; see model_file.c. */
enum {
    AT_LENGTH = 8,
    AT_FEATURES = 12,
    AT_URGENT_BITS = 16,
    AT_CATEGORY_COUNT = 28,
    AT_RECORD_LENGTH = 32,
    AT_DATE = 36,
    AT_URGENT_SCALE = 47
};

struct files {
    char directory[64];
    char path[96];
    struct model_fixture fixture;
    uint8_t *bytes;
    size_t length;
};

static void read_bytes(struct files *self)
{
    FILE *file = fopen(self->path, "rbe");
    assert_non_null(file);
    self->bytes = calloc(1, MODEL_FILE_MAX_BYTES + 1);
    assert_non_null(self->bytes);
    self->length = fread(self->bytes, 1, MODEL_FILE_MAX_BYTES, file);
    (void)fclose(file);
}

static int setup(void **state)
{
    struct error err = { 0 };
    struct files *self = calloc(1, sizeof *self);
    assert_non_null(self);
    (void)snprintf(self->directory, sizeof self->directory, "/tmp/desg-model-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    (void)snprintf(self->path, sizeof self->path, "%s/test.model", self->directory);
    model_fixture_init(&self->fixture);
    model_fixture_alarm(&self->fixture, "gyllell");
    if (model_file_write(self->path, &self->fixture.model, "2026-01-31", "{\"rows\": 3}", &err) !=
        0)
        fail_msg("%s", err.text);
    read_bytes(self);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct files *self = *state;
    (void)unlink(self->path);
    assert_int_equal(rmdir(self->directory), 0); /* and nothing else is left */
    free(self->bytes);
    free(self);
    return 0;
}

static void what_was_written_judges_as_before(void **state)
{
    struct files *self = *state;
    struct error err = { 0 };
    struct model_file *file = model_file_load(self->path, &err);
    if (!file)
        fail_msg("%s", err.text);
    static const struct model_evidence nothing = { 0 };
    static const char text[] = " mae ganddo gyllell ";
    const struct model *model = model_file_model(file);
    struct model_opinion opinion;
    assert_int_equal(model->judge(model->arg, text, strlen(text), &nothing, &opinion), 0);
    struct model_opinion before = model_fixture_judge(&self->fixture, text, NULL);
    assert_float_equal(opinion.urgent, before.urgent, 0);
    assert_int_equal(strncmp(model->edition, "2026-01-31+", 11), 0);
    assert_int_equal(strlen(model->edition), 19);
    assert_string_equal(model_file_record(file), "{\"rows\": 3}");
    assert_int_equal(model->category_count, 2);
    assert_string_equal(model->categories[1], "thanks");
    assert_float_equal(model->thresholds.review, 0.5, 1e-6);
    model_file_destroy(&file);
    assert_null(file);
}

static void the_same_model_is_the_same_file(void **state)
{
    struct files *self = *state;
    struct error err = { 0 };
    uint8_t *before = self->bytes;
    size_t length = self->length;
    assert_int_equal(
        model_file_write(self->path, &self->fixture.model, "2026-01-31", "{\"rows\": 3}", &err), 0);
    read_bytes(self);
    assert_int_equal(self->length, length);
    assert_memory_equal(self->bytes, before, length);
    free(before);
}

static void assert_refused(const struct files *self, const uint8_t *bytes, size_t length,
                           const char *why)
{
    struct error err = { 0 };
    struct model_file *file = model_file_read(bytes, length, "test.model", &err);
    (void)self;
    if (file)
        fail_msg("taken, though %s", why);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "test.model"));
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void any_flipped_bit_is_noticed(void **state)
{
    struct files *self = *state;
    struct error err = { 0 };
    for (size_t at = 0; at < self->length; at += at < 400 ? 1 : 997) {
        self->bytes[at] ^= 0x10;
        struct model_file *file = model_file_read(self->bytes, self->length, "x", &err);
        if (file)
            fail_msg("byte %zu may be anything", at);
        assert_int_equal(err.kind, ERROR_CONFIG);
        self->bytes[at] ^= 0x10;
    }
}

static void a_cut_or_longer_file_is_refused(void **state)
{
    struct files *self = *state;
    assert_refused(self, self->bytes, 0, "not a model");
    assert_refused(self, self->bytes, 20, "not a model");
    assert_refused(self, self->bytes, self->length - 1, "cut");
    assert_refused(self, self->bytes, self->length / 2, "cut");
    assert_refused(self, self->bytes, self->length + 1, "behind");
    assert_refused(self, self->bytes, MODEL_FILE_MAX_BYTES + 1, "2 MiB"); /* not even read */
}

/* As somebody would who wants to harm and can reckon checksums. */
static void seal(struct files *self)
{
    crypto_sha256(self->bytes, self->length - CRYPTO_SHA256_BYTES,
                  self->bytes + self->length - CRYPTO_SHA256_BYTES);
}

static void what_cannot_be_is_refused_even_with_the_right_checksum(void **state)
{
    struct files *self = *state;
    static const struct {
        size_t at;
        uint8_t value;
        const char *why;
    } table[] = {
        { AT_FEATURES, 99, "other features" },          { AT_URGENT_BITS, 31, "impossible size" },
        { AT_URGENT_BITS, 2, "impossible size" },       { AT_URGENT_BITS, 17, "does not fit" },
        { AT_CATEGORY_COUNT, 0, "no categories" },      { AT_CATEGORY_COUNT, 31, "too many" },
        { AT_CATEGORY_COUNT, 5, "category's name" },    { AT_RECORD_LENGTH, 3, "does not fit" },
        { AT_RECORD_LENGTH + 3, 0xFF, "does not fit" }, { AT_DATE, 'x', "date" },
        { AT_URGENT_SCALE + 3, 0x7F, "not a number" }, /* very large */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t before = self->bytes[table[i].at];
        self->bytes[table[i].at] = table[i].value;
        seal(self);
        assert_refused(self, self->bytes, self->length, table[i].why);
        self->bytes[table[i].at] = before;
    }
    seal(self);
    struct error err = { 0 };
    struct model_file *file = model_file_read(self->bytes, self->length, "x", &err);
    assert_non_null(file);
    model_file_destroy(&file);
}

static void writes_nothing_that_could_not_be_read(void **state)
{
    struct files *self = *state;
    struct error err = { 0 };
    struct linear_model wrong = self->fixture.model;
    assert_int_equal(model_file_write(self->path, &wrong, "yesterday", "{}", &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    wrong.thresholds.review = NAN;
    assert_int_equal(model_file_write(self->path, &wrong, "2026-01-31", "{}", &err), -1);
    wrong = self->fixture.model;
    wrong.urgent_rules[3] = -1; /* a rule would lower */
    assert_int_equal(model_file_write(self->path, &wrong, "2026-01-31", "{}", &err), -1);
    assert_non_null(strstr(err.text, "below 0"));
    wrong = self->fixture.model;
    wrong.topic_bits = LINEAR_BITS_MAX;
    assert_int_equal(model_file_write(self->path, &wrong, "2026-01-31", "{}", &err), -1);
    assert_non_null(strstr(err.text, "2 MiB"));
    struct model_file *file = model_file_load(self->path, &err); /* the one before is whole */
    assert_non_null(file);
    model_file_destroy(&file);
}

static void says_where_no_file_is(void **state)
{
    struct files *self = *state;
    struct error err = { 0 };
    assert_null(model_file_load("/nowhere/desk.model", &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "/nowhere/desk.model"));
    assert_int_equal(model_file_stamp("/nowhere/desk.model"), 0);
    assert_int_equal(
        model_file_write("/nowhere/desk.model", &self->fixture.model, "2026-01-31", "{}", &err),
        -1);
    assert_int_equal(err.kind, ERROR_SYSTEM);
}

static void a_stamp_changes_with_the_file(void **state)
{
    struct files *self = *state;
    struct error err = { 0 };
    uint64_t before = model_file_stamp(self->path);
    assert_int_not_equal(before, 0);
    assert_int_equal(model_file_stamp(self->path), before);
    assert_int_equal(model_file_write(self->path, &self->fixture.model, "2026-02-01", "{}", &err),
                     0);
    assert_int_not_equal(model_file_stamp(self->path), before);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(what_was_written_judges_as_before),
        WITH_FILE(the_same_model_is_the_same_file),
        WITH_FILE(any_flipped_bit_is_noticed),
        WITH_FILE(a_cut_or_longer_file_is_refused),
        WITH_FILE(what_cannot_be_is_refused_even_with_the_right_checksum),
        WITH_FILE(writes_nothing_that_could_not_be_read),
        WITH_FILE(says_where_no_file_is),
        WITH_FILE(a_stamp_changes_with_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
