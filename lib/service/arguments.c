#include "service/arguments.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum {
    NAME_MAX_BYTES = 63,
    OPTION_CONFIG = 256,
    OPTION_NAME,
    OPTION_CHECK,
    OPTION_PROBE,
    OPTION_VERSION,
    OPTION_OWN /* the service's first, then one more each */
};

static const struct option common_options[] = {
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "name", required_argument, NULL, OPTION_NAME },
    { "check-config", no_argument, NULL, OPTION_CHECK },
    { "probe", optional_argument, NULL, OPTION_PROBE },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPTION_VERSION },
};
enum { COMMON_OPTIONS = sizeof common_options / sizeof common_options[0] };

static const char *word_for(const cyaml_schema_value_t *schema)
{
    switch (schema->type) {
    case CYAML_INT:
    case CYAML_UINT:
        return "whole number";
    case CYAML_BOOL:
        return "true or false";
    case CYAML_FLOAT:
        return "number";
    case CYAML_ENUM:
    case CYAML_FLAGS:
        return "word";
    case CYAML_STRING:
        return "text";
    case CYAML_SEQUENCE:
    case CYAML_SEQUENCE_FIXED:
        return "list";
    default:
        return "group";
    }
}

static void print_own_options(const struct service_spec *spec)
{
    for (const struct service_option *own = spec->options; own && own->name; own++) {
        char head[64];
        (void)snprintf(head, sizeof head, "--%s %s", own->name, own->value ? own->value : "");
        (void)printf("    %-17s%s\n", head, own->help);
    }
}

/* The schema is the documentation: prints each key with its type, groups and lists with theirs. */
static void print_keys(const cyaml_schema_field_t *fields, int indent)
{
    for (; fields->key; fields++) {
        const cyaml_schema_value_t *value = &fields->value;
        (void)printf("%*s%-*s %s%s\n", indent, "", 34 - indent, fields->key, word_for(value),
                     value->flags & CYAML_FLAG_OPTIONAL ? "" : ", required");
        if (value->type == CYAML_SEQUENCE)
            value = value->sequence.entry;
        if (value->type == CYAML_MAPPING)
            print_keys(value->mapping.fields, indent + 2);
    }
}

static void print_help(const struct service_spec *spec)
{
    const char *name = spec->name;
    (void)printf("NAME\n"
                 "    desg-%s - %s\n\n"
                 "SYNOPSIS\n"
                 "    desg-%s --config FILE [--name NAME] [--check-config]\n"
                 "    desg-%s --config FILE [--name NAME] --probe [live|ready]\n"
                 "    desg-%s --help | --version\n\n"
                 "DESCRIPTION\n"
                 "    Runs in the foreground and writes one line of key=value fields per decision\n"
                 "    to standard error: ids, sizes and times, never what a message says.\n"
                 "    Reads the parts common: and %s: of FILE. Keys it does not know and\n"
                 "    values of a wrong type are refused, with the line and what to write\n"
                 "    instead.\n\n",
                 name, spec->summary, name, name, name, name);
    (void)printf(
        "OPTIONS\n"
        "    --config FILE    the configuration (YAML); required\n"
        "    --name NAME      name of this process in logs and of its control socket:\n"
        "                     letters, digits, '-', '_', '.'; default %s. Two\n"
        "                     processes that share a run directory need two names.\n"
        "    --check-config   read and check the configuration, say \"FILE: ok\" and exit\n"
        "    --probe [live|ready]\n"
        "                     asks the process that runs with this configuration if\n"
        "                     its loops turn (live), or if it takes work (ready, the\n"
        "                     default): on admin_listen, else on its control socket;\n"
        "                     prints one line; exits 0 if so, 1 if not, 75 if nobody\n"
        "                     answers within 2 s\n"
        "    --help, -h       this page\n"
        "    --version        name and version\n",
        name);
    print_own_options(spec);
    (void)printf("\nSIGNALS\n"
                 "    SIGTERM, SIGINT  take no more, finish what is in hand, exit; after\n"
                 "                     common.grace_ms, or at a second signal, at once. What was\n"
                 "                     not finished is sent again; nothing is lost.\n"
                 "    SIGHUP           read rules again, where the service has any\n\n");
    (void)printf("EXIT STATUS\n"
                 "    0   stopped as asked; --check-config, --probe: all is well\n"
                 "    1   --probe: it answers, but is not ready, or a loop is stuck\n"
                 "    64  wrong arguments\n"
                 "    70  a fault of the program: report it\n"
                 "    71  the machine failed it (disk, memory)\n"
                 "    75  something it needs is away: start it again\n"
                 "    78  configuration: an operator must act; do not restart on it\n\n"
                 "FILES\n"
                 "    <common.run_directory>/<NAME>.sock\n"
                 "                     control socket, mode 0600: /healthz, /readyz, /metrics,\n"
                 "                     /status and control. The first three are also on\n"
                 "                     %s.admin_listen, for probes and Prometheus.\n"
                 "    Secrets are read from files named in the configuration, which others must\n"
                 "    not be able to read.\n\n",
                 name);
    (void)printf("ENVIRONMENT\n"
                 "    DESG_<PART>_<KEY>  sets a single value in the place of the file's, such as\n"
                 "                     DESG_COMMON_LOG_LEVEL=debug. Keys of groups are joined\n"
                 "                     with '_'. Lists stay in the file.\n\n"
                 "CONFIGURATION: KEYS OF %s:\n",
                 name);
    print_keys(spec->fields, 4);
    if (spec->shared) {
        (void)printf("\nCONFIGURATION: KEYS OF %s:\n", spec->shared->name);
        print_keys(spec->shared->fields, 4);
    }
    (void)printf("\nEXAMPLE\n"
                 "    desg-%s --config /etc/desg/desg.yaml --check-config &&\n"
                 "    desg-%s --config /etc/desg/desg.yaml\n",
                 name, name);
}

/* Says what is wrong with the arguments. Returns the exit code. */
static int wrong(const struct service_spec *spec, const char *problem, const char *what)
{
    (void)fprintf(stderr, "desg-%s: %s%s; see desg-%s --help\n", spec->name, problem, what,
                  spec->name);
    return EX_USAGE;
}

/* The name becomes a file name and stands in logs. */
static bool is_name(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= NAME_MAX_BYTES && *text != '.' &&
           length == strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_.");
}

/* The question is optional, and may follow as a word of its own: --probe, --probe=live, --probe
 * live. */
static int take_probe(char **argv, const struct service_spec *spec, struct arguments *out)
{
    const char *question = optarg;
    const char *next = argv[optind];
    if (!question && next && (strcmp(next, "live") == 0 || strcmp(next, "ready") == 0)) {
        question = next;
        optind++;
    }
    if (!question || strcmp(question, "ready") == 0)
        out->probe = "/readyz";
    else if (strcmp(question, "live") == 0)
        out->probe = "/healthz";
    else
        return wrong(spec, "--probe takes live or ready, not ", question);
    return -1;
}

static int take_option(int option, char **argv, const struct service_spec *spec,
                       struct arguments *out)
{
    switch (option) {
    case OPTION_CONFIG:
        out->config = optarg;
        return -1;
    case OPTION_NAME:
        out->name = optarg;
        return is_name(optarg)
                   ? -1
                   : wrong(spec, "--name takes 1 to 63 letters, digits, '-', '_', '.'", "");
    case OPTION_CHECK:
        out->is_check = true;
        return -1;
    case OPTION_PROBE:
        return take_probe(argv, spec, out);
    case 'h':
        print_help(spec);
        return EX_OK;
    case OPTION_VERSION:
        (void)printf("desg-%s %s\n", spec->name, DESG_VERSION);
        return EX_OK;
    case ':':
        return wrong(spec, "a value is missing after ", argv[optind - 1]);
    default:
        if (option < OPTION_OWN)
            return wrong(spec, "unknown option ", argv[optind - 1]);
        out->values[option - OPTION_OWN] = optarg ? optarg : "";
        return -1;
    }
}

/* The common options and the service's own, ended by an empty one. */
static void list_options(const struct service_spec *spec,
                         struct option out[COMMON_OPTIONS + ARGUMENTS_OPTIONS_MAX + 1])
{
    size_t count = 0;
    memcpy(out, common_options, sizeof common_options);
    for (const struct service_option *own = spec->options; own && own->name; own++, count++) {
        assert(count < ARGUMENTS_OPTIONS_MAX);
        out[COMMON_OPTIONS + count] =
            (struct option){ own->name, own->value ? required_argument : no_argument, NULL,
                             OPTION_OWN + (int)count };
    }
    out[COMMON_OPTIONS + count] = (struct option){ 0 };
}

int arguments_parse(int argc, char **argv, const struct service_spec *spec, struct arguments *out)
{
    *out = (struct arguments){ .name = spec->name };
    struct option options[COMMON_OPTIONS + ARGUMENTS_OPTIONS_MAX + 1];
    list_options(spec, options);
    opterr = 0;
    optind = 1;
    for (;;) {
        int option = getopt_long(argc, argv, ":h", options, NULL);
        if (option == -1)
            break;
        int code = take_option(option, argv, spec, out);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return wrong(spec, "unexpected argument ", argv[optind]);
    if (!out->config)
        return wrong(spec, "--config FILE is missing", "");
    return -1;
}
