#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_kind {
    OPTION_TEXT,   /* a const char * of the command line */
    OPTION_FLAG,   /* a bool of it */
    OPTION_LIMIT,  /* its limit */
    OPTION_MEMBER, /* kept as given, in order: it may come again */
    OPTION_MARK,   /* the same without a value */
    OPTION_HELP,
    OPTION_VERSION
};

struct rule {
    const char *name;
    enum option_kind kind;
    size_t offset;        /* TEXT, FLAG */
    const char *commands; /* words with a space on either side; NULL: all of them */
};

#define TEXT(name, member, commands)                                                               \
    {                                                                                              \
        name, OPTION_TEXT, offsetof(struct command_line, member), commands                         \
    }
#define FLAG(name, member, commands)                                                               \
    {                                                                                              \
        name, OPTION_FLAG, offsetof(struct command_line, member), commands                         \
    }
#define MEMBER(name)                                                                               \
    {                                                                                              \
        name, OPTION_MEMBER, 0, " broadcast "                                                      \
    }

static const struct rule rules[] = {
    TEXT("config", config_path, NULL),
    FLAG("json", is_json, NULL),
    TEXT("agent", agent, NULL),
    TEXT("token-file", token_file, NULL),
    TEXT("desk", desk, NULL),
    FLAG("insecure", is_insecure, NULL),
    TEXT("queue", queue, " queue claim "),
    TEXT("fence", fence, " heartbeat release close grade reply "),
    TEXT("last-event", last_event, " close grade reply "),
    TEXT("event", event, " reply "),
    TEXT("text", text, " note reply "),
    TEXT("reason", reason, " close grade broadcast freeze "),
    TEXT("dispatcher", dispatcher, " ack "),
    TEXT("log-number", log_number, " ack "),
    { "limit", OPTION_LIMIT, 0, " queue alerts quarantine audit broadcast unknown tasks " },
    FLAG("all", is_all, " alerts "),
    FLAG("fold", is_fold, " queue "),
    TEXT("since", since, " replay audit "),
    TEXT("until", until, " replay freeze "),
    TEXT("minutes", minutes, " freeze "),
    { "except", OPTION_MEMBER, 0, " freeze " },
    TEXT("ingest", ingest, " replay "),
    TEXT("archive", archive, " replay "),
    TEXT("into", into, " replay "),
    TEXT("name", name, " replay adopt "),
    TEXT("for", limit_seconds, " replay adopt drain keys "),
    TEXT("secret-file", secret_file, " verify "),
    TEXT("timestamp", timestamp, " verify "),
    TEXT("signature", signature, " verify "),
    TEXT("rules", rules, " triage "),
    TEXT("model", model, " triage "),
    TEXT("channel", channel, " triage "),
    TEXT("explain", explain, " triage "),
    { "eval", OPTION_MEMBER, 0, " triage " },
    TEXT("compare", compare, " triage "),
    TEXT("by", by, " triage "),
    TEXT("verdicts", verdicts, " triage "),
    FLAG("shadow", is_shadow, " triage "),
    FLAG("train", is_train, " triage "),
    TEXT("edition", edition, " triage "),
    TEXT("sets", sets, " triage "),
    TEXT("out", out, " triage redis-acl "),
    TEXT("passwords", passwords, " redis-acl "),
    TEXT("force", force, " redis-acl "),
    FLAG("held-out", is_held_out, " triage "),
    TEXT("state", state, " broadcast "),
    TEXT("file", file, " broadcast "),
    MEMBER("kind"),
    MEMBER("headline-en"),
    MEMBER("headline-cy"),
    MEMBER("text-en"),
    MEMBER("text-cy"),
    MEMBER("instruction-en"),
    MEMBER("instruction-cy"),
    MEMBER("area-en"),
    MEMBER("area-cy"),
    MEMBER("ended-en"),
    MEMBER("ended-cy"),
    MEMBER("polygon"),
    MEMBER("centre"),
    MEMBER("radius-km"),
    MEMBER("starts"),
    MEMBER("expires"),
    MEMBER("at"),
    MEMBER("outlet"),
    MEMBER("road"),
    MEMBER("road-state"),
    MEMBER("urgency"),
    MEMBER("severity"),
    MEMBER("certainty"),
    MEMBER("incident"),
    MEMBER("welsh-owed"),
    MEMBER("welsh-due"),
    { "says-ended", OPTION_MARK, 0, " broadcast " },
    { "may-thread", OPTION_MARK, 0, " broadcast " },
    { "help", OPTION_HELP, 0, NULL },
    { "version", OPTION_VERSION, 0, NULL },
};
enum { RULES = sizeof rules / sizeof rules[0], FIRST_VALUE = 256 };
_Static_assert((int)RULES < (int)OPTIONS_MAX, "struct options remembers each");

static int bad_arguments(const char *what, const char *value)
{
    (void)fprintf(stderr, "desg: %s%s: see desg --help\n", what, value);
    return EXIT_USAGE;
}

static int parse_limit(const char *text, size_t *limit)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || end == text || errno != 0 || value < 1 || value > COMMAND_AUDIT_MAX)
        return bad_arguments("--limit takes 1 to 2000 (audit: 1 to 10000), not ", text);
    *limit = value;
    return 0;
}

static int keep(struct command_line *line, const char *name, const char *value)
{
    if (line->given_count == COMMAND_GIVEN_MAX)
        return bad_arguments("too many options: one too many is --", name);
    line->given[line->given_count++] = (struct command_given){ .name = name, .value = value };
    return 0;
}

static int take(const struct rule *rule, const char *value, struct options *out)
{
    char *field = (char *)&out->line + rule->offset;
    switch (rule->kind) {
    case OPTION_TEXT:
        memcpy(field, &value, sizeof value);
        return 0;
    case OPTION_FLAG:
        *(bool *)field = true;
        return 0;
    case OPTION_LIMIT:
        return parse_limit(value, &out->line.limit);
    case OPTION_MEMBER:
    case OPTION_MARK:
        return keep(&out->line, rule->name, value);
    case OPTION_HELP:
        out->wants_help = true;
        return 0;
    case OPTION_VERSION:
        out->wants_version = true;
        return 0;
    }
    return EXIT_USAGE;
}

static bool has_value(const struct rule *rule)
{
    return rule->kind == OPTION_TEXT || rule->kind == OPTION_LIMIT || rule->kind == OPTION_MEMBER;
}

int options_parse(int argc, char **argv, struct options *out)
{
    struct option options[RULES + 1];
    memset(options, 0, sizeof options);
    for (int i = 0; i < RULES; i++)
        options[i] =
            (struct option){ .name = rules[i].name,
                             .has_arg = has_value(&rules[i]) ? required_argument : no_argument,
                             .val = FIRST_VALUE + i };
    for (int option; (option = getopt_long(argc, argv, "hV", options, NULL)) != -1;) {
        int at = option - FIRST_VALUE;
        if (option == 'h')
            out->wants_help = true;
        else if (option == 'V')
            out->wants_version = true;
        else if (at < 0 || at >= RULES)
            return bad_arguments("this option is not known", "");
        else if (take(&rules[at], optarg, out) != 0)
            return EXIT_USAGE;
        else
            out->is_given[at] = true;
    }
    return 0;
}

int options_check(const struct options *self, const char *command)
{
    char word[32];
    (void)snprintf(word, sizeof word, " %.28s ", command);
    for (int i = 0; i < RULES; i++) {
        if (!self->is_given[i] || !rules[i].commands || strstr(rules[i].commands, word))
            continue;
        (void)fprintf(stderr, "desg: %s takes no --%s: see desg %s --help\n", command,
                      rules[i].name, command);
        return EXIT_USAGE;
    }
    return 0;
}
