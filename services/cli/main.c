/* desg - the desk's command line. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/help_pages.h"
#include "cli/options.h"
#include "log/log.h"

struct command {
    const char *name;
    int (*run)(const struct command_line *line);
    const char *usage;
    size_t most_words;
    bool is_alone; /* needs no configuration */
};

static const struct command commands[] = {
    { "queue", command_queue, "queue [NAME]                 the queues, or what waits in one", 1,
      false },
    { "show", command_show,
      "show CONVERSATION            all of a conversation, with why it was judged so", 1, false },
    { "claim", command_claim,
      "claim [CONVERSATION]         the most pressing one (of --queue Q), or this one", 1, false },
    { "heartbeat", command_heartbeat,
      "heartbeat CONVERSATION       keeps your claim for another lease", 1, false },
    { "release", command_release,
      "release CONVERSATION         back into its queue at its original age", 1, false },
    { "close", command_close,
      "close CONVERSATION           done; refused if something newer came than --last-event", 1,
      false },
    { "grade", command_grade,
      "grade CONVERSATION SEVERITY  how bad it is, by your word; needs --reason", 2, false },
    { "note", command_note,
      "note CONVERSATION            a remark for colleagues: --text, or standard input", 1, false },
    { "language", command_language,
      "language CONVERSATION cy|en|both   how the person wants to be written to; none: unsaid", 2,
      false },
    { "reply", command_reply,
      "reply CONVERSATION           answers the person: --text, or - for standard input", 1,
      false },
    { "alerts", command_alerts,
      "alerts [--all]               alerts not acknowledged by dispatch, or all", 0, false },
    { "ack", command_ack,
      "ack ALERT                    dispatch knows: needs --dispatcher and --log-number", 1,
      false },
    { "broadcast", command_broadcast,
      "broadcast draft|preview|show|approve|publish|update|cancel|list   what everyone is told", 3,
      false },
    { "freeze", command_freeze,
      "freeze [lift|show]           halts every scheduled and automatic text to the public", 1,
      false },
    { "unknown", command_unknown,
      "unknown list|there|again [ITEM]      what may have been sent: you say", 2, false },
    { "tasks", command_tasks,
      "tasks [done ITEM]            what of the way out waits for a person's hand", 2, false },
    { "places", command_places,
      "places                       accounts and outlets: who sends there, what waits", 0, false },
    { "trace", command_trace,
      "trace ID                     the story of an event, alert or conversation", 1, false },
    { "status", command_status,
      "status                       every process and queue, and what is degraded", 0, false },
    { "quarantine", command_quarantine,
      "quarantine list|show|retry [EVENT]   what could not be handled", 2, false },
    { "audit", command_audit,
      "audit [verify]               who did and saw what; verify: is the log whole?", 1, false },
    { "replay", command_replay,
      "replay --since TIME          has ingest offer again what it stored since then", 0, false },
    { "drain", command_drain,
      "drain NAME                   ends an ingest's intake, waits until its journal may go", 1,
      false },
    { "adopt", command_adopt,
      "adopt                        hands on what the journal of an ingest that is gone holds", 0,
      false },
    { "triage", command_triage,
      "triage --explain TEXT|--eval FILE    why judged so; how good the judging is",
      COMMAND_WORDS_MAX, true },
    { "keys", command_keys,
      "keys make|list|check|renew|switch|retire [DIR]   CURVE certificates for every hop", 3,
      true },
    { "redis-acl", command_redis_acl,
      "redis-acl                    the users of Redis with least rights, for its aclfile", 0,
      true },
    { "verify", command_verify,
      "verify [BODY]                is a webhook of ours genuine? needs no configuration", 1,
      true },
};

struct arguments {
    struct options options;
    char token_path[PATH_MAX];
    const struct command *command;
};

static int bad_arguments(const char *what, const char *value)
{
    (void)fprintf(stderr, "desg: %s%s: see desg --help\n", what, value);
    return EXIT_USAGE;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_help(void)
{
    (void)puts(help_page("beginning"));
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)printf("  %s\n", commands[i].usage);
    (void)puts(help_page("end"));
}

/* The page of the command named, or the list of all. */
static int help_for(const char *name)
{
    if (!name) {
        print_help();
        return 0;
    }
    if (!find_command(name) || !help_page(name))
        return bad_arguments("there is no command ", name);
    (void)puts(help_page(name));
    return 0;
}

/* Returns -1 to go on, or the exit code. */
static int parse_words(int argc, char **argv, struct arguments *out)
{
    struct command_line *line = &out->options.line;
    if (out->options.wants_help)
        return help_for(optind < argc ? argv[optind] : NULL);
    if (out->options.wants_version) {
        (void)puts("desg " DESG_VERSION);
        return 0;
    }
    if (optind == argc) {
        print_help();
        return EXIT_USAGE;
    }
    const char *name = argv[optind];
    if (strcmp(name, "help") == 0)
        return help_for(optind + 1 < argc ? argv[optind + 1] : NULL);
    out->command = find_command(name);
    if (!out->command)
        return bad_arguments("there is no command ", name);
    line->word_count = (size_t)(argc - optind - 1);
    if (line->word_count > out->command->most_words)
        return bad_arguments("too many words for ", name);
    for (size_t i = 0; i < line->word_count; i++)
        line->words[i] = argv[optind + 1 + (int)i];
    if (options_check(&out->options, name) != 0)
        return EXIT_USAGE;
    if (line->limit > COMMAND_LIST_MAX && out->command->run != command_audit)
        return bad_arguments("--limit takes 1 to 2000 (Redis serves nobody else meanwhile) for ",
                             name);
    return -1;
}

static const char *first_given(const char *a, const char *b, const char *c)
{
    return a && *a ? a : b && *b ? b : c;
}

/* What a command line reads of the file beside the common part. */
struct client_part {
    char *agent;
    char *url;
    char *token_file;
    char *tokens_directory;
};
static const cyaml_schema_field_t client_fields[] = {
    CYAML_FIELD_STRING_PTR("agent", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct client_part,
                           agent, 0, 64),
    CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct client_part, url,
                           0, 200),
    CYAML_FIELD_STRING_PTR("token_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct client_part, token_file, 0, PATH_MAX),
    CYAML_FIELD_STRING_PTR("tokens_directory", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct client_part, tokens_directory, 0, PATH_MAX),
    CYAML_FIELD_END,
};

/* The file with the caller's token: named outright, or of the agent named, or the usual one. */
static const char *find_token_file(struct arguments *arguments, const struct client_part *client)
{
    const char *named =
        first_given(arguments->options.line.token_file, getenv("DESG_TOKEN_FILE"), NULL);
    const char *agent = first_given(arguments->options.line.agent, getenv("DESG_AGENT"), NULL);
    if (arguments->command->run == command_audit)
        agent = getenv("DESG_AGENT"); /* --agent says whose deeds are asked for */
    if (named)
        return named;
    if (!agent && client->token_file && client->token_file[0] != '\0')
        return client->token_file;
    if (!client->tokens_directory || client->tokens_directory[0] == '\0')
        return first_given(client->token_file, NULL, NULL);
    (void)snprintf(arguments->token_path, sizeof arguments->token_path, "%s/%s.token",
                   client->tokens_directory,
                   agent ? agent : first_given(client->agent, getenv("USER"), "nobody"));
    return arguments->token_path;
}

int main(int argc, char **argv)
{
    struct arguments arguments = { .options.line.limit = 50 };
    struct command_line *line = &arguments.options.line;
    int code = options_parse(argc, argv, &arguments.options);
    if (code == 0)
        code = parse_words(argc, argv, &arguments);
    if (code >= 0)
        return code;
    line->config_path =
        first_given(line->config_path, getenv("DESG_CONFIG"), "/etc/desg/desg.yaml");
    log_setup("desg", LOG_LEVEL_ERROR, STDERR_FILENO);
    if (arguments.command->is_alone)
        return arguments.command->run(line);
    struct error err = { 0 };
    AUTO(config_destroy)
    struct config *config =
        config_load(line->config_path, "client", client_fields, sizeof(struct client_part), &err);
    if (!config)
        return command_fail(&err);
    const struct client_part *client = config->service;
    line->common = &config->common;
    line->token_file = find_token_file(&arguments, client);
    if (!line->desk)
        line->desk = client->url;
    return arguments.command->run(line);
}
