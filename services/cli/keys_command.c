/* keys_command - desg keys: CURVE certificates for every hop, made, looked at, renewed. Needs no
 * desk; check --config alone needs a configuration. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/key_folder.h"
#include "cli/keys_check.h"
#include "link/certificate.h"

enum { NAMES_BYTES = 1024 };

static const char all_services[] = "ingest,classify,route,notify,desk";

static int usage(const char *text)
{
    struct error err = { 0 };
    (void)error_set(&err, ERROR_INVALID, "%s: see desg keys --help", text);
    return command_usage(&err);
}

static int answer(int rc, const struct error *err)
{
    if (rc == 0)
        return 0;
    return err->kind == ERROR_INVALID ? command_usage(err) : command_fail(err);
}

/* ---- make ---- */

/* name, or name@service for another program. */
static int make_one(const char *directory, char *word, struct error *err)
{
    char *listener = strchr(word, '@');
    if (listener)
        *listener++ = '\0';
    if (listener && strcmp(listener, "notify") != 0 && strcmp(listener, "desk") != 0)
        return error_set(err, ERROR_INVALID,
                         "other programs call notify (what is broadcast) or desk (orders), not "
                         "'%.40s'",
                         listener);
    if (key_folder_make(directory, word, listener, err) != 0)
        return -1;
    (void)printf("%s/%s\n", directory, word);
    return 0;
}

static int make(const char *directory, const char *names)
{
    char words[NAMES_BYTES];
    char *rest = NULL;
    struct error err = { 0 };
    int length = snprintf(words, sizeof words, "%s", names);
    if (length < 0 || (size_t)length >= sizeof words)
        return usage("too many names");
    int rc = 0;
    for (char *word = strtok_r(words, ",", &rest); word && rc == 0;
         word = strtok_r(NULL, ",", &rest))
        rc = make_one(directory, word, &err);
    return answer(rc, &err);
}

/* ---- list ---- */

static bool has(const char *directory, const char *name, const char *rest)
{
    char path[PATH_MAX];
    struct error ignored = { 0 };
    return key_folder_path(directory, name, rest, path, &ignored) == 0 && access(path, F_OK) == 0;
}

static const char *state_of(const char *directory, const char *name)
{
    if (has(directory, name, "new"))
        return has(directory, name, "old") ? "switching" : "renewed";
    return has(directory, name, "old") ? "switched" : "in use";
}

static json_t *describe(const char *directory, const char *name)
{
    char path[PATH_MAX];
    struct error err = { 0 };
    struct certificate certificate = { .public_key = "" };
    if (key_folder_path(directory, name, "own", path, &err) != 0 ||
        certificate_read(path, &certificate, &err) != 0)
        return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "public_key", "", "made_at", "",
                         "state", "unreadable");
    return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "public_key", certificate.public_key,
                     "made_at", certificate.made_at, "state", state_of(directory, name));
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static void print_rows(const json_t *rows)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("%-12s %-40s  %-24s  %s\n", "NAME", "PUBLIC KEY", "MADE", "STATE");
    json_array_foreach((json_t *)rows, i, row)(void)
        printf("%-12s %-40s  %-24s  %s\n", text_of(row, "name"), text_of(row, "public_key"),
               text_of(row, "made_at"), text_of(row, "state"));
}

static int list(const char *directory, bool is_json)
{
    struct error err = { 0 };
    struct key_names names;
    if (key_folder_names(directory, &names, &err) != 0)
        return command_fail(&err);
    json_t *rows = json_array();
    for (size_t i = 0; i < names.count; i++)
        (void)json_array_append_new(rows, describe(directory, names.names[i])); /* or a row less */
    int rc = names.count > 0 ? 0 : EXIT_NOTHING;
    if (is_json)
        (void)command_print_json(rows);
    else
        print_rows(rows);
    json_decref(rows);
    key_names_clear(&names);
    return rc;
}

/* ---- check ---- */

struct nothing {
    char *agent;
};

/* The file's part for desg may hold what it likes here: only common is looked at. */
static int check_config(const char *path)
{
    static const cyaml_schema_field_t fields[] = {
        CYAML_FIELD_STRING_PTR("agent", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct nothing,
                               agent, 0, 64),
        CYAML_FIELD_END
    };
    struct error err = { 0 };
    struct config *config = config_load(path, "keys", fields, sizeof(struct nothing), &err);
    if (!config)
        return command_fail(&err);
    int faults =
        config->common.curve
            ? keys_check_config(config->common.curve, path, stdout, &err)
            : error_set(&err, ERROR_CONFIG,
                        "%s: has no common.curve, so there are no keys to check, and what goes "
                        "over tcp:// is plain: set common.curve.keys_directory, or name the "
                        "folder: desg keys check DIR",
                        path);
    config_destroy(&config);
    return faults < 0 ? command_fail(&err) : faults > 0 ? EXIT_NOTHING : 0;
}

static int check(const struct command_line *line)
{
    struct error err = { 0 };
    if (line->word_count < 2)
        return check_config(line->config_path);
    int faults = keys_check_folder(line->words[1], stdout, &err);
    return faults < 0 ? command_fail(&err) : faults > 0 ? EXIT_NOTHING : 0;
}

/* ---- renew, switch, retire ---- */

struct step {
    const char *name;
    int (*run)(const char *directory, const char *name, struct error *err);
    const char *next;
};

static const struct step steps[] = {
    { "renew", key_folder_renew,
      "hand out the allowed folders of all others, then: desg keys switch" },
    { "switch", key_folder_switch,
      "hand out its own folder and restart it, then: desg keys retire" },
    { "retire", key_folder_retire, "hand out the allowed folders of all others: it is done" },
};

static int take_step(const struct step *step, const struct command_line *line)
{
    struct error err = { 0 };
    if (line->word_count != 3)
        return usage("write a folder and whose pair");
    int rc = step->run(line->words[1], line->words[2], &err);
    if (rc == 0)
        (void)printf("next: %s\n", step->next);
    return answer(rc, &err);
}

int command_keys(const struct command_line *line)
{
    const char *word = line->word_count > 0 ? line->words[0] : "";
    const char *directory = line->word_count > 1 ? line->words[1] : NULL;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strcmp(steps[i].name, word) == 0)
            return take_step(&steps[i], line);
    if (strcmp(word, "check") == 0 && line->word_count <= 2)
        return check(line);
    if (!directory || line->word_count > 2)
        return usage("write make, list, check, renew, switch or retire, and a folder");
    if (strcmp(word, "make") == 0)
        return make(directory, line->limit_seconds ? line->limit_seconds : all_services);
    if (strcmp(word, "list") == 0)
        return list(directory, line->is_json);
    return usage("there is no such word");
}
