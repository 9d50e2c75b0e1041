/* Model files as bytes. Even first byte: the rest is a file. Odd: so many bytes of a good one are
 * changed and its checksum put right, as somebody could who wants to harm; then the rest is a text
 * for it to judge. Refused, or judged with figures that can be and places inside the text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "model_fixture.h"
#include "triage/model_file.h"
#include "triage/normalise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANGE_BYTES = 4, CHANGES_MAX = 64 };

struct good {
    uint8_t *bytes;
    size_t length;
};

static struct good make_good(void)
{
    static struct model_fixture fixture;
    char path[] = "/tmp/desg-fuzz-model-XXXXXX";
    struct error err = { 0 };
    struct good good = { calloc(1, MODEL_FILE_MAX_BYTES), 0 };
    int fd = mkstemp(path);
    assert(fd >= 0 && good.bytes);
    model_fixture_init(&fixture);
    model_fixture_alarm(&fixture, "help");
    int rc = model_file_write(path, &fixture.model, "2026-01-31", "{}", &err);
    assert(rc == 0);
    FILE *file = fopen(path, "rbe");
    assert(file);
    good.length = fread(good.bytes, 1, MODEL_FILE_MAX_BYTES, file);
    (void)fclose(file);
    (void)close(fd);
    (void)unlink(path);
    return good;
}

static bool is_likelihood(float value)
{
    return value >= 0 && value <= 1; /* not a NaN */
}

static void judge(const struct model *model, const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct normalised *window = normalised_new(&err);
    const struct model_evidence evidence = { .categories = size > 0 ? data[0] : 0,
                                             .severity = DESG__V1__SEVERITY__SEVERITY_REVIEW };
    struct model_opinion opinion;
    assert(window);
    (void)normalise(window, (const char *)data, size, 0);
    int rc = model->judge(model->arg, window->text, window->length, &evidence, &opinion);
    assert(rc == 0);
    assert(is_likelihood(opinion.urgent) && is_likelihood(opinion.category_surety));
    assert(is_likelihood(opinion.sexual_offence) && is_likelihood(opinion.intelligence));
    assert(opinion.place_count <= MODEL_PLACES_MAX);
    for (size_t i = 0; i < opinion.place_count; i++)
        assert(opinion.places[i].from < opinion.places[i].to &&
               opinion.places[i].to < window->length);
    normalised_destroy(&window);
}

static void try_file(const uint8_t *bytes, size_t length, const uint8_t *text, size_t text_length)
{
    struct error err = { 0 };
    struct model_file *file = model_file_read(bytes, length, "fuzz", &err);
    if (file)
        judge(model_file_model(file), text, text_length);
    else
        assert(err.kind == ERROR_CONFIG && err.text[0] != '\0');
    model_file_destroy(&file);
}

/* Each change is place (3 bytes) and value (1 byte). Returns the bytes of data it took. */
static size_t change(uint8_t *bytes, size_t length, const uint8_t *data, size_t size, size_t count)
{
    size_t taken = 0;
    for (size_t i = 0; i < count && taken + CHANGE_BYTES <= size; i++) {
        size_t at =
            (size_t)data[taken] | (size_t)data[taken + 1] << 8 | (size_t)data[taken + 2] << 16;
        bytes[at % length] = data[taken + 3];
        taken += CHANGE_BYTES;
    }
    crypto_sha256(bytes, length - CRYPTO_SHA256_BYTES, bytes + length - CRYPTO_SHA256_BYTES);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct good good;
    if (!good.bytes)
        good = make_good();
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0) {
        try_file(data + 1, size - 1, (const uint8_t *)"help", strlen("help"));
        return 0;
    }
    uint8_t *bytes = malloc(good.length);
    assert(bytes);
    memcpy(bytes, good.bytes, good.length);
    size_t taken = change(bytes, good.length, data + 1, size - 1, data[0] % CHANGES_MAX);
    try_file(bytes, good.length, data + 1 + taken, size - 1 - taken);
    free(bytes);
    return 0;
}
