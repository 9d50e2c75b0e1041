/* triage_command - desg triage: why a text is judged as it is, how good the judging is, and what a
 * new edition would change. Needs no desk: rules are opened here. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/triage_edition.h"
#include "cli/triage_explain.h"
#include "cli/triage_files.h"
#include "cli/triage_print.h"
#include "cli/triage_shadow.h"
#include "train/train.h"

enum { STDIN_MAX_BYTES = 1 << 20, EXIT_LOST = 3 };

#define BY_USUALLY "source,lang,category"

static int bad_usage(const char *what)
{
    (void)fprintf(stderr, "desg: %s: see desg triage --help\n", what);
    return EXIT_USAGE;
}

/* --- which edition --- */

struct triage_grades {
    char *routine;
    char *attention;
    char *review;
    char *urgent;
    char *life_at_risk;
};

/* What is read of the classify part. The rest is checked by desg-classify --check-config. */
struct triage_part {
    char *rules_directory;
    char *model;
    struct triage_thresholds thresholds;
    struct triage_channel *channels;
    unsigned channels_count;
    struct triage_grades grades;
};

#define PASSED_OVER(key) CYAML_FIELD_IGNORE(key, CYAML_FLAG_OPTIONAL)
#define OPTIONAL_TEXT(key, structure, member)                                                      \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           PATH_MAX)

static const cyaml_schema_field_t threshold_fields[] = {
    CYAML_FIELD_FLOAT("urgent", CYAML_FLAG_OPTIONAL, struct triage_thresholds, urgent),
    CYAML_FIELD_FLOAT("review", CYAML_FLAG_OPTIONAL, struct triage_thresholds, review),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t channel_fields[] = {
    CYAML_FIELD_STRING_PTR("channel", CYAML_FLAG_POINTER, struct triage_channel, name, 1, PATH_MAX),
    CYAML_FIELD_FLOAT("urgent", CYAML_FLAG_OPTIONAL, struct triage_channel, thresholds.urgent),
    CYAML_FIELD_FLOAT("review", CYAML_FLAG_OPTIONAL, struct triage_channel, thresholds.review),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t channel_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct triage_channel, channel_fields),
};
static const cyaml_schema_field_t grade_fields[] = {
    OPTIONAL_TEXT("routine", struct triage_grades, routine),
    OPTIONAL_TEXT("attention", struct triage_grades, attention),
    OPTIONAL_TEXT("review", struct triage_grades, review),
    OPTIONAL_TEXT("urgent", struct triage_grades, urgent),
    OPTIONAL_TEXT("life-at-risk", struct triage_grades, life_at_risk),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t triage_fields[] = {
    CYAML_FIELD_STRING_PTR("rules_directory", CYAML_FLAG_POINTER, struct triage_part,
                           rules_directory, 1, PATH_MAX),
    OPTIONAL_TEXT("model", struct triage_part, model),
    CYAML_FIELD_MAPPING("thresholds", CYAML_FLAG_OPTIONAL, struct triage_part, thresholds,
                        threshold_fields),
    CYAML_FIELD_SEQUENCE("channel_thresholds", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct triage_part, channels, &channel_entry, 0, CYAML_UNLIMITED),
    CYAML_FIELD_MAPPING("grades", CYAML_FLAG_OPTIONAL, struct triage_part, grades, grade_fields),
    PASSED_OVER("admin_listen"),
    PASSED_OVER("ingest_endpoints"),
    PASSED_OVER("route_urgent_endpoints"),
    PASSED_OVER("route_bulk_endpoints"),
    PASSED_OVER("notify_endpoints"),
    PASSED_OVER("channels"),
    PASSED_OVER("shadow"),
    PASSED_OVER("credit"),
    CYAML_FIELD_END,
};

/* What a command judges by; the configuration, if there is one, must outlive the edition. */
struct opened {
    struct config *config;
    struct triage_edition *edition;
};

static void opened_close(struct opened *self)
{
    triage_edition_destroy(&self->edition);
    config_destroy(&self->config);
}

static struct triage_options options_of(const struct triage_part *part)
{
    return (struct triage_options){
        .thresholds = part->thresholds,
        .channels = part->channels,
        .channel_count = part->channels_count,
        .grades = {
            [DESG__V1__SEVERITY__SEVERITY_ROUTINE] = part->grades.routine,
            [DESG__V1__SEVERITY__SEVERITY_ATTENTION] = part->grades.attention,
            [DESG__V1__SEVERITY__SEVERITY_REVIEW] = part->grades.review,
            [DESG__V1__SEVERITY__SEVERITY_URGENT] = part->grades.urgent,
            [DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK] = part->grades.life_at_risk,
        },
    };
}

static int open_configured(const struct command_line *line, struct triage_edition_options *options,
                           struct opened *out, struct error *err)
{
    out->config =
        config_load(line->config_path, "classify", triage_fields, sizeof(struct triage_part), err);
    if (!out->config)
        return error_wrap(err, "no --rules DIR, and");
    const struct triage_part *part = out->config->service;
    options->rules_directory = part->rules_directory;
    if (!options->model && part->model && part->model[0] != '\0')
        options->model = part->model;
    options->triage = options_of(part);
    return 0;
}

static int open_edition(const struct command_line *line, struct opened *out, struct error *err)
{
    struct triage_edition_options options = {
        .rules_directory = line->rules,
        .model = line->model,
        .channel = line->channel,
    };
    if (!line->rules && open_configured(line, &options, out, err) != 0)
        return -1;
    out->edition = triage_edition_open(&options, err);
    return out->edition ? 0 : -1;
}

/* --- explain --- */

/* All of standard input without its last newline; NUL, which no event holds, as a space. */
static char *read_stdin(struct error *err)
{
    char *text = calloc(1, STDIN_MAX_BYTES + 1);
    if (!text) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the text");
        return NULL;
    }
    size_t length = fread(text, 1, STDIN_MAX_BYTES, stdin);
    if (ferror(stdin)) {
        (void)error_set(err, ERROR_SYSTEM, "cannot read standard input: %s", strerror(errno));
        free(text);
        return NULL;
    }
    for (char *nul = text; (nul = memchr(nul, '\0', length - (size_t)(nul - text)));)
        *nul = ' ';
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    return text;
}

static bool is_styled(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no_color && no_color[0] != '\0');
}

static int print_json(const json_t *value)
{
    enum { DIGITS = 6 };
    (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    (void)putchar('\n');
    return 0;
}

static int explain_text(const struct command_line *line, const char *text)
{
    struct error err = { 0 };
    struct verdict verdict;
    int64_t took_ns = 0;
    AUTO(opened_close) struct opened opened = { 0 };
    if (open_edition(line, &opened, &err) != 0)
        return command_fail(&err);
    struct triage_edition *edition = opened.edition;
    triage_edition_judge(edition, text, &verdict, NULL); /* the first finds nothing in any cache */
    triage_edition_judge(edition, text, &verdict, &took_ns);
    AUTO(answer_drop) json_t *explained = triage_explain(edition, text, &verdict.message, took_ns);
    if (line->is_json)
        return print_json(explained);
    triage_explain_print(explained, text, &verdict.message, is_styled());
    return 0;
}

static int explain(const struct command_line *line)
{
    struct error err = { 0 };
    if (strcmp(line->explain, "-") != 0)
        return explain_text(line, line->explain);
    char *text = read_stdin(&err);
    int code = text ? explain_text(line, text) : command_fail(&err);
    free(text);
    return code;
}

/* --- eval and compare --- */

static void close_file(FILE **file_p)
{
    if (*file_p && fclose(*file_p) != 0)
        (void)fprintf(stderr, "desg: cannot write all verdicts: %s\n", strerror(errno));
}

static int measure(const struct command_line *line, struct triage_edition *edition,
                   struct triage_edition *new_edition, const char *const *paths, size_t count)
{
    struct error err = { 0 };
    AUTO(close_file) FILE *verdicts = NULL;
    if (line->verdicts && !(verdicts = fopen(line->verdicts, "we"))) {
        (void)error_set(&err, ERROR_INVALID, "cannot write '%s': %s", line->verdicts,
                        strerror(errno));
        return command_fail(&err);
    }
    const struct triage_files files = {
        .edition = edition,
        .new_edition = new_edition,
        .by = line->by ? line->by : BY_USUALLY,
        .is_held_out_only = line->is_held_out,
        .verdicts = verdicts,
        .progress = isatty(STDERR_FILENO) ? stderr : NULL,
        .complaints = stderr,
    };
    AUTO(answer_drop) json_t *report = triage_files_measure(&files, paths, count, &err);
    if (!report)
        return command_fail(&err);
    if (line->is_json)
        (void)print_json(report);
    else if (new_edition)
        triage_print_comparison(report);
    else
        triage_print_report(report);
    return json_integer_value(json_object_get(report, "lost")) > 0 ? EXIT_LOST : 0;
}

/* Files of --eval, each time it is given, and the words behind. */
static int evaluate(const struct command_line *line)
{
    struct error err = { 0 };
    const char *paths[COMMAND_GIVEN_MAX + COMMAND_WORDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < line->given_count; i++)
        paths[count++] = line->given[i].value;
    for (size_t i = 0; i < line->word_count; i++)
        paths[count++] = line->words[i];
    AUTO(opened_close) struct opened opened = { 0 };
    return open_edition(line, &opened, &err) == 0
               ? measure(line, opened.edition, NULL, paths, count)
               : command_fail(&err);
}

static int compare(const struct command_line *line)
{
    struct error err = { 0 };
    if (line->word_count < 2)
        return bad_usage("triage --compare takes OLD NEW FILE");
    AUTO(triage_edition_destroy)
    struct triage_edition *edition = triage_edition_open_pair(line->compare, &err);
    AUTO(triage_edition_destroy)
    struct triage_edition *new_edition =
        edition ? triage_edition_open_pair(line->words[0], &err) : NULL;
    if (!new_edition)
        return command_fail(&err);
    return measure(line, edition, new_edition, line->words + 1, line->word_count - 1);
}

/* --- shadow --- */

static int show_shadow(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(config_destroy)
    struct config *config =
        config_load(line->config_path, "classify", triage_fields, sizeof(struct triage_part), &err);
    AUTO(answer_drop)
    json_t *shadows = config ? triage_shadow_ask(config->common.run_directory, &err) : NULL;
    if (!shadows)
        return command_fail(&err);
    if (line->is_json)
        (void)print_json(shadows);
    else
        triage_shadow_print(shadows);
    return json_array_size(shadows) > 0 ? 0 : EXIT_NOTHING;
}

/* --- train --- */

static int train(const struct command_line *line)
{
    struct error err = { 0 };
    const struct train_options options = {
        .message_files = line->words,
        .message_file_count = line->word_count,
        .sets_directory = line->sets,
        .rules_directory = line->rules,
        .date = line->edition,
        .out = line->out,
        .report = stdout,
    };
    if (!line->edition || !line->out || line->word_count == 0)
        return bad_usage("triage --train takes --edition DATE --out FILE and files of messages");
    return train_model(&options, &err) == 0 ? 0 : command_fail(&err);
}

int command_triage(const struct command_line *line)
{
    bool is_eval = line->given_count > 0;
    int asked = (line->explain != NULL) + is_eval + (line->compare != NULL) + line->is_shadow +
                line->is_train;
    if (asked != 1)
        return bad_usage("triage takes one of --explain TEXT, --eval FILE, --compare OLD NEW FILE, "
                         "--shadow, --train FILE");
    if (line->is_train)
        return train(line);
    if (line->compare)
        return compare(line);
    if (is_eval)
        return evaluate(line);
    if (line->word_count > 0)
        return bad_usage("triage --explain takes one text: write it in quotes");
    return line->is_shadow ? show_shadow(line) : explain(line);
}
