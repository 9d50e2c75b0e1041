/* desg - the desk's command line. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "log/log.h"

struct command {
    const char *name;
    int (*run)(const struct command_line *line);
    const char *usage;
    size_t most_words;
};

static const struct command commands[] = {
    { "queue", command_queue, "queue [NAME]                 the queues, or what waits in one", 1 },
    { "show", command_show,
      "show CONVERSATION            all of a conversation, with why it was judged so", 1 },
    { "claim", command_claim,
      "claim [CONVERSATION]         the most pressing one (of --queue Q), or this one", 1 },
    { "heartbeat", command_heartbeat,
      "heartbeat CONVERSATION       keeps your claim for another lease", 1 },
    { "release", command_release,
      "release CONVERSATION         back into its queue at its original age", 1 },
    { "close", command_close,
      "close CONVERSATION           done; refused if something newer came than --last-event", 1 },
    { "grade", command_grade,
      "grade CONVERSATION SEVERITY  how bad it is, by your word; needs --reason", 2 },
    { "note", command_note,
      "note CONVERSATION            a remark for colleagues: --text, or standard input", 1 },
    { "alerts", command_alerts,
      "alerts [--all]               alerts not acknowledged by dispatch, or all", 0 },
    { "ack", command_ack,
      "ack ALERT                    dispatch knows: needs --dispatcher and --log-number", 1 },
    { "trace", command_trace,
      "trace ID                     the story of an event, alert or conversation", 1 },
    { "status", command_status,
      "status                       every process and queue, and what is degraded", 0 },
    { "quarantine", command_quarantine,
      "quarantine list|show|retry [EVENT]   what could not be handled", 2 },
    { "audit", command_audit,
      "audit [verify]               who did and saw what; verify: is the log whole?", 1 },
    { "replay", command_replay,
      "replay --since TIME          has ingest offer again what it stored since then", 0 },
    { "adopt", command_adopt,
      "adopt                        hands on what the journal of an ingest that is gone holds", 0 },
};

static void print_help(void)
{
    (void)puts("Usage: desg [--config FILE] [--json] COMMAND …\n\n"
               "Commands:");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)printf("  %s\n", commands[i].usage);
    (void)puts(
        "\nOptions:\n"
        "  --config FILE      configuration (default $DESG_CONFIG, then /etc/desg/desg.yaml)\n"
        "  --json             JSON on one line, for programs\n"
        "  --agent NAME       whose token: NAME.token in client.tokens_directory (default "
        "$DESG_AGENT);\n"
        "                     for audit: by this agent\n"
        "  --token-file FILE  your token (default $DESG_TOKEN_FILE, client.token_file)\n"
        "  --desk URL         the desk to ask (default client.url, then those that run here)\n"
        "  --insecure         the address may be plain http to another machine; https is checked "
        "all "
        "the same\n"
        "  --reason TEXT      for close and grade\n"
        "  --text TEXT        for note\n"
        "  --dispatcher NAME  for ack: to whom it was told\n"
        "  --log-number N     for ack: dispatch's incident number\n"
        "  --queue NAME       for claim: from this queue only\n"
        "  --fence N          for heartbeat, release, close, grade: the claim's fence "
        "(default: your\n"
        "                     own claim's)\n"
        "  --last-event ID    for close and grade: the last event you saw\n"
        "  --limit N          rows at most: 1 to 2000, for audit to 10000 (default 50)\n"
        "  --all              for alerts: acknowledged ones, too\n"
        "  --since TIME       for replay and audit: 2h (ago), '2026-02-11 17:42' or "
        "2026-02-11T17:42:00Z\n"
        "  --until TIME       for replay: no later than this (default: now)\n"
        "  --ingest NAME      for replay: this one only (default: all that run here)\n"
        "  --archive DIR      for replay: what the journals' archive DIR holds of that time\n"
        "  --into DIR         with --archive: an empty directory to work in\n"
        "  --name NAME        for adopt and --archive: of the process (default ingest)\n"
        "  --for SECONDS      for adopt and --archive: give up after so long\n"
        "  --help, --version\n\n"
        "Exit codes: 0 done, 1 nothing there, 64 bad arguments, 65 refused, 71 the machine "
        "failed,\n"
        "75 something needed is away (try again), 78 configuration.");
}

struct arguments {
    const char *config_path;
    const char *token_file;
    char token_path[PATH_MAX];
    struct command_line line;
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

static int parse_limit(const char *text, size_t *limit)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || end == text || value < 1 || value > COMMAND_AUDIT_MAX)
        return bad_arguments("--limit takes 1 to 2000 (audit: 1 to 10000), not ", text);
    *limit = value;
    return 0;
}

static int take_option(int option, struct arguments *out)
{
    switch (option) {
    case 'c':
        out->config_path = optarg;
        return 0;
    case 'j':
        out->line.is_json = true;
        return 0;
    case 'a':
        out->line.agent = optarg;
        return 0;
    case 'q':
        out->line.queue = optarg;
        return 0;
    case 'f':
        out->line.fence = optarg;
        return 0;
    case 'e':
        out->line.last_event = optarg;
        return 0;
    case 'A':
        out->line.is_all = true;
        return 0;
    case 'p':
        out->line.is_insecure = true;
        return 0;
    case 's':
        out->line.since = optarg;
        return 0;
    case 'u':
        out->line.until = optarg;
        return 0;
    case 'i':
        out->line.ingest = optarg;
        return 0;
    case 'R':
        out->line.archive = optarg;
        return 0;
    case 'I':
        out->line.into = optarg;
        return 0;
    case 'n':
        out->line.name = optarg;
        return 0;
    case 'F':
        out->line.limit_seconds = optarg;
        return 0;
    case 't':
        out->token_file = optarg;
        return 0;
    case 'd':
        out->line.desk = optarg;
        return 0;
    case 'r':
        out->line.reason = optarg;
        return 0;
    case 'T':
        out->line.text = optarg;
        return 0;
    case 'D':
        out->line.dispatcher = optarg;
        return 0;
    case 'N':
        out->line.log_number = optarg;
        return 0;
    case 'l':
        return parse_limit(optarg, &out->line.limit);
    default:
        return bad_arguments("this option is not known", "");
    }
}

/* Returns -1 to go on, or the exit code. */
static int parse_options(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },
        { "agent", required_argument, NULL, 'a' },
        { "queue", required_argument, NULL, 'q' },
        { "fence", required_argument, NULL, 'f' },
        { "last-event", required_argument, NULL, 'e' },
        { "limit", required_argument, NULL, 'l' },
        { "all", no_argument, NULL, 'A' },
        { "since", required_argument, NULL, 's' },
        { "until", required_argument, NULL, 'u' },
        { "ingest", required_argument, NULL, 'i' },
        { "archive", required_argument, NULL, 'R' },
        { "into", required_argument, NULL, 'I' },
        { "name", required_argument, NULL, 'n' },
        { "token-file", required_argument, NULL, 't' },
        { "desk", required_argument, NULL, 'd' },
        { "insecure", no_argument, NULL, 'p' },
        { "reason", required_argument, NULL, 'r' },
        { "text", required_argument, NULL, 'T' },
        { "dispatcher", required_argument, NULL, 'D' },
        { "log-number", required_argument, NULL, 'N' },
        { "for", required_argument, NULL, 'F' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "hV", options, NULL)) != -1;) {
        if (option == 'h') {
            print_help();
            return 0;
        }
        if (option == 'V') {
            (void)puts("desg " DESG_VERSION);
            return 0;
        }
        int code = take_option(option, out);
        if (code != 0)
            return code;
    }
    return -1;
}

static int parse_words(int argc, char **argv, struct arguments *out)
{
    if (optind == argc) {
        print_help();
        return EXIT_USAGE;
    }
    out->command = find_command(argv[optind]);
    if (!out->command)
        return bad_arguments("there is no command ", argv[optind]);
    out->line.word_count = (size_t)(argc - optind - 1);
    if (out->line.word_count > out->command->most_words)
        return bad_arguments("too many words for ", argv[optind]);
    for (size_t i = 0; i < out->line.word_count; i++)
        out->line.words[i] = argv[optind + 1 + (int)i];
    if (out->line.limit > COMMAND_LIST_MAX && out->command->run != command_audit)
        return bad_arguments("--limit takes 1 to 2000 (Redis serves nobody else meanwhile) for ",
                             argv[optind]);
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
    const char *named = first_given(arguments->token_file, getenv("DESG_TOKEN_FILE"), NULL);
    const char *agent = first_given(arguments->line.agent, getenv("DESG_AGENT"), NULL);
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
    struct arguments arguments = { .line = { .limit = 50 } };
    int code = parse_options(argc, argv, &arguments);
    if (code < 0)
        code = parse_words(argc, argv, &arguments);
    if (code >= 0)
        return code;
    const char *path =
        first_given(arguments.config_path, getenv("DESG_CONFIG"), "/etc/desg/desg.yaml");
    log_setup("desg", LOG_LEVEL_ERROR, STDERR_FILENO);
    struct error err = { 0 };
    AUTO(config_destroy)
    struct config *config =
        config_load(path, "client", client_fields, sizeof(struct client_part), &err);
    if (!config)
        return command_fail(&err);
    const struct client_part *client = config->service;
    arguments.line.common = &config->common;
    arguments.line.config_path = path;
    arguments.line.token_file = find_token_file(&arguments, client);
    if (!arguments.line.desk)
        arguments.line.desk = client->url;
    return arguments.command->run(&arguments.line);
}
