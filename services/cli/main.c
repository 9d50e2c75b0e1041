/* desg - the desk's command line. */
#include <getopt.h>
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
    { "release", command_release,
      "release CONVERSATION         back into its queue at its original age", 1 },
    { "close", command_close,
      "close CONVERSATION           done; refused if something newer came than --last-event", 1 },
    { "alerts", command_alerts,
      "alerts [--all]               alerts not acknowledged by dispatch, or all", 0 },
    { "trace", command_trace,
      "trace ID                     the story of an event, alert or conversation", 1 },
    { "status", command_status,
      "status                       every process and queue, and what is degraded", 0 },
    { "quarantine", command_quarantine,
      "quarantine list|show|retry [EVENT]   what could not be handled", 2 },
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
        "  --agent NAME       who acts (default $DESG_AGENT, desk.agent, your user name)\n"
        "  --queue NAME       for claim: from this queue only\n"
        "  --fence N          for release and close: the claim's fence (default: your own "
        "claim's)\n"
        "  --last-event ID    for close: the last event you saw\n"
        "  --limit N          rows at most (default 50)\n"
        "  --all              for alerts: acknowledged ones, too\n"
        "  --since TIME       for replay: 2h (ago), '2026-02-11 17:42' or "
        "2026-02-11T17:42:00Z\n"
        "  --until TIME       for replay: no later than this (default: now)\n"
        "  --ingest NAME      for replay: this one only (default: all that run here)\n"
        "  --name NAME        for adopt: of the process (default ingest)\n"
        "  --for SECONDS      for adopt: give up after so long\n"
        "  --help, --version\n\n"
        "Exit codes: 0 done, 1 nothing there, 64 bad arguments, 65 refused, 71 the machine "
        "failed,\n"
        "75 something needed is away (try again), 78 configuration.");
}

struct arguments {
    const char *config_path;
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
    if (*end != '\0' || end == text || value < 1 || value > 10000)
        return bad_arguments("--limit takes 1 to 10000, not ", text);
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
    case 's':
        out->line.since = optarg;
        return 0;
    case 'u':
        out->line.until = optarg;
        return 0;
    case 'i':
        out->line.ingest = optarg;
        return 0;
    case 'n':
        out->line.name = optarg;
        return 0;
    case 'F':
        out->line.limit_seconds = optarg;
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
        { "config", required_argument, NULL, 'c' }, { "json", no_argument, NULL, 'j' },
        { "agent", required_argument, NULL, 'a' },  { "queue", required_argument, NULL, 'q' },
        { "fence", required_argument, NULL, 'f' },  { "last-event", required_argument, NULL, 'e' },
        { "limit", required_argument, NULL, 'l' },  { "all", no_argument, NULL, 'A' },
        { "since", required_argument, NULL, 's' },  { "until", required_argument, NULL, 'u' },
        { "ingest", required_argument, NULL, 'i' }, { "name", required_argument, NULL, 'n' },
        { "for", required_argument, NULL, 'F' },    { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },      { NULL, 0, NULL, 0 },
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
    return -1;
}

static const char *first_given(const char *a, const char *b, const char *c)
{
    return a && *a ? a : b && *b ? b : c;
}

/* What a command line reads of the file: the common part, and who acts if nobody says. */
struct desk_part {
    char *agent;
};
static const cyaml_schema_field_t desk_fields[] = {
    CYAML_FIELD_STRING_PTR("agent", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct desk_part,
                           agent, 1, 256),
    CYAML_FIELD_END,
};

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
    struct config *config = config_load(path, "desk", desk_fields, sizeof(struct desk_part), &err);
    if (!config)
        return command_fail(&err);
    const struct desk_part *desk = config->service;
    arguments.line.common = &config->common;
    arguments.line.config_path = path;
    arguments.line.agent =
        first_given(first_given(arguments.line.agent, getenv("DESG_AGENT"), desk->agent),
                    getenv("USER"), "nobody");
    return arguments.command->run(&arguments.line);
}
