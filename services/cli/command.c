#include "cli/command.h"

#include <stdio.h>

int command_fail(const struct error *err)
{
    (void)fprintf(stderr, "desg: %s\n", err->text);
    switch (err->kind) {
    case ERROR_INVALID:
        return EXIT_REFUSED;
    case ERROR_UNAVAILABLE:
        return EXIT_AWAY;
    case ERROR_CONFIG:
        return EXIT_CONFIG;
    default:
        return EXIT_MACHINE;
    }
}

int command_usage(const struct error *err)
{
    int code = command_fail(err);
    return code == EXIT_REFUSED ? EXIT_USAGE : code;
}

struct api_client *command_open_desk(const struct command_line *line, struct error *err)
{
    const struct api_options options = {
        .url = line->desk,
        .run_directory = line->common->run_directory,
        .token_file = line->token_file,
        .may_be_plain = line->is_insecure,
    };
    if (line->token_file)
        return api_client_new(&options, err);
    (void)error_set(err, ERROR_CONFIG,
                    "no token: give --token-file, DESG_TOKEN_FILE, or client.token_file in the "
                    "configuration");
    return NULL;
}

struct store *command_open_store(const struct command_line *line, struct error *err)
{
    struct store_options options = {
        .redis = &line->common->redis,
        .force = line->common->force,
        .label = "desg",
    };
    struct store *store = store_new(&options, err);
    if (store && store_check(store) == STORE_AWAY) {
        (void)error_set(err, ERROR_UNAVAILABLE, "%s", store_problem(store));
        store_destroy(&store);
    }
    return store;
}

int command_id(const struct command_line *line, size_t position, const char *what, struct id *out,
               struct error *err)
{
    if (position >= line->word_count)
        return error_set(err, ERROR_INVALID, "say which %s: 32 hex digits", what);
    if (id_parse(line->words[position], out) != 0)
        return error_set(err, ERROR_INVALID, "'%s' is no %s: ids have 32 hex digits",
                         line->words[position], what);
    return 0;
}

int command_print_json(const json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)putchar('\n');
    return 0;
}
