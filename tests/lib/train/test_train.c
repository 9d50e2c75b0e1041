#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/train.h"
#include "triage/message_file.h"
#include "triage/model_file.h"
#include "triage/normalise.h"

enum { MESSAGES = 660 };

struct folder {
    char directory[64];
    char messages[96];
    char first[96];
    char second[96];
};

/* Messages no one would send, each of its category's own word, some urgent, half of them Welsh; one
 * writer's after the other's. */
static void write_messages(const char *path, const char *const sources[static 4])
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (int i = 0; i < MESSAGES; i++) {
        const char *category = message_categories[i % MESSAGE_CATEGORIES];
        bool is_welsh = i / MESSAGE_CATEGORIES % 2;
        bool is_urgent = i % 3 == 0;
        const char *restricted = strcmp(category, "sexual-offences") == 0 ? "sexual-offence"
                                 : strcmp(category, "intelligence") == 0  ? "intelligence"
                                                                          : "none";
        (void)fprintf(
            file,
            "{\"id\": \"hand-x-%04d\", \"lang\": \"%s\", \"text\": \"%s %s number%d %s\", "
            "\"urgent\": %s, \"category\": \"%s\", \"restricted\": \"%s\", \"flags\": [], "
            "\"spelling\": \"good\", \"source\": \"%s\"}\n",
            i, is_welsh ? "cy" : "en",
            is_welsh ? "mae hyn yn digwydd yma gyda" : "there is this thing here about", category,
            i % 7, is_urgent ? "knife blood now" : "last year thanks", is_urgent ? "true" : "false",
            category, restricted, sources[i % 4]);
    }
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    struct folder *self = calloc(1, sizeof *self);
    assert_non_null(self);
    (void)snprintf(self->directory, sizeof self->directory, "/tmp/desg-train-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    (void)snprintf(self->messages, sizeof self->messages, "%s/hand.jsonl", self->directory);
    (void)snprintf(self->first, sizeof self->first, "%s/first.model", self->directory);
    (void)snprintf(self->second, sizeof self->second, "%s/second.model", self->directory);
    static const char *const writers[] = { "desk-a", "desk-b", "desk-scenes", "desk-voices" };
    write_messages(self->messages, writers);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct folder *self = *state;
    (void)unlink(self->messages);
    (void)unlink(self->first);
    (void)unlink(self->second);
    assert_int_equal(rmdir(self->directory), 0);
    free(self);
    return 0;
}

static struct train_settings small(void)
{
    struct train_settings settings = train_settings_usual;
    settings.urgent_bits = 14;
    settings.topic_bits = 10;
    settings.language_bits = 12;
    return settings;
}

static int train_to(const struct folder *self, const char *out, struct error *err)
{
    const char *const files[] = { self->messages };
    const struct train_settings settings = small();
    const struct train_options options = {
        .message_files = files,
        .message_file_count = 1,
        .date = "2026-01-31",
        .out = out,
        .settings = &settings,
    };
    return train_model(&options, err);
}

static struct model_opinion judge(const struct model_file *file, const char *text)
{
    static const struct model_evidence nothing = { 0 };
    struct error err = { 0 };
    struct model_opinion opinion;
    struct normalised *window = normalised_new(&err);
    assert_non_null(window);
    (void)normalise(window, text, strlen(text), 0);
    const struct model *model = model_file_model(file);
    assert_int_equal(model->judge(model->arg, window->text, window->length, &nothing, &opinion), 0);
    normalised_destroy(&window);
    return opinion;
}

static size_t read_all(const char *path, uint8_t *bytes, size_t room)
{
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    size_t length = fread(bytes, 1, room, file);
    (void)fclose(file);
    return length;
}

static void learns_and_makes_the_same_file_again(void **state)
{
    struct folder *self = *state;
    struct error err = { 0 };
    if (train_to(self, self->first, &err) != 0 || train_to(self, self->second, &err) != 0)
        fail_msg("%s", err.text);
    static uint8_t first[MODEL_FILE_MAX_BYTES];
    static uint8_t second[MODEL_FILE_MAX_BYTES];
    size_t length = read_all(self->first, first, sizeof first);
    assert_int_equal(read_all(self->second, second, sizeof second), length);
    assert_memory_equal(first, second, length);
    struct model_file *file = model_file_load(self->first, &err);
    assert_non_null(file);
    const struct model_thresholds *thresholds = &model_file_model(file)->thresholds;
    struct model_opinion urgent = judge(file, "there is fraud here, a knife and blood now");
    struct model_opinion calm = judge(file, "mae hyn yn lost-property, last year thanks");
    assert_true(urgent.urgent >= thresholds->review);
    assert_true(calm.urgent < thresholds->review);
    assert_string_equal(urgent.category, "fraud");
    assert_string_equal(calm.category, "lost-property");
    assert_int_equal(calm.language, DESG__V1__LANGUAGE__LANGUAGE_CY);
    assert_true(judge(file, "there is sexual-offences here").sexual_offence >
                judge(file, "there is fraud here").sexual_offence);
    const char *record = model_file_record(file);
    assert_non_null(strstr(record, "\"name\": \"hand.jsonl\""));
    assert_null(strstr(record, "/tmp")); /* nothing of the machine */
    assert_non_null(strstr(record, "\"rows\": 660"));
    assert_non_null(strstr(record, "liblinear"));
    model_file_destroy(&file);
}

static void refuses_messages_that_rules_were_written_from_alone(void **state)
{
    static const char *const tuned[] = { "desk-hand", "desk-hand", "desk-template", "desk-hand" };
    struct folder *self = *state;
    struct error err = { 0 };
    write_messages(self->messages, tuned);
    assert_int_equal(train_to(self, self->first, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "writers who did not know the rules"));
}

static void refuses_what_it_cannot_learn_from(void **state)
{
    struct folder *self = *state;
    struct error err = { 0 };
    FILE *file = fopen(self->messages, "ae");
    assert_non_null(file);
    (void)fprintf(file, "{\"id\": \"hand-x-9999\"\n");
    assert_int_equal(fclose(file), 0);
    assert_int_equal(train_to(self, self->first, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "hand.jsonl:661"));
    file = fopen(self->messages, "we"); /* nothing at all */
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(train_to(self, self->first, &err), -1);
    assert_non_null(strstr(err.text, "nothing to learn from"));
    assert_int_not_equal(access(self->first, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(learns_and_makes_the_same_file_again, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_messages_that_rules_were_written_from_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refuses_what_it_cannot_learn_from, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
