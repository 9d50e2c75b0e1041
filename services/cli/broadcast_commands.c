/* broadcast_commands - desg broadcast: what is said to everyone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/broadcast_draft.h"
#include "cli/broadcast_print.h"
#include "cli/command.h"
#include "cli/table.h"
#include "clock/clock.h"

enum { PATH_BYTES = 192, VERSION_MAX = 10000 };

static const struct column list_columns[] = {
    { "broadcast", "BROADCAST", COLUMN_TEXT },
    { "version", "VERSION", COLUMN_NUMBER },
    { "state", "STATE", COLUMN_TEXT },
    { "kind", "KIND", COLUMN_TEXT },
    { "author", "AUTHOR", COLUMN_TEXT },
    { "publish_at_ms", "FOR", COLUMN_TIME },
    { "published_at_ms", "PUBLISHED", COLUMN_TIME },
    { "expires_at_ms", "EXPIRES", COLUMN_TIME },
    { NULL, NULL, COLUMN_TEXT },
};

/* Says why, all of it where a draft has several faults, and returns the exit code. */
static int fail(const struct api_client *desk, const struct error *err)
{
    const json_t *problems = desk ? json_object_get(api_client_problem(desk), "problems") : NULL;
    size_t index;
    const json_t *problem;
    if (json_array_size(problems) == 0)
        return command_fail(err);
    (void)fprintf(stderr, "desg: it is not fit to go out:\n");
    json_array_foreach(problems, index, problem)(void)
        fprintf(stderr, "  %s\n", json_string_value(problem) ? json_string_value(problem) : "?");
    return EXIT_REFUSED;
}

/* GET /v1/broadcasts/{words[1]} */
static int fetch(const struct command_line *line, struct api_client *desk, json_t **out,
                 struct error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s", line->words[1]);
    return api_get(desk, path, out, NULL, err);
}

/* --- draft, update, preview --- */

static int post_draft(const struct command_line *line, struct api_client *desk, const char *path,
                      const json_t *base, json_t **out, struct error *err)
{
    AUTO(answer_drop) json_t *draft = broadcast_draft_make(line, base, clock_unix_ms(), err);
    if (!draft)
        return -1;
    if (base && broadcast_draft_is_lopsided(base, draft))
        (void)fprintf(stderr, "desg: only one of English and Welsh is changed: do they still say "
                              "the same?\n");
    return api_post(desk, path, draft, out, NULL, err);
}

static bool says_anything(const struct command_line *line)
{
    if (line->file || line->given_count > 0)
        return true;
    (void)fprintf(stderr, "desg: say what: --file FILE, or members such as --headline-en: see desg "
                          "broadcast --help\n");
    return false;
}

static void say_version(const json_t *answer, const char *done)
{
    const char *id = answer_text(answer, "broadcast");
    json_int_t version = json_integer_value(json_object_get(answer, "version"));
    broadcast_print_similar(json_object_get(answer, "similar"));
    (void)printf("%s %s version %" JSON_INTEGER_FORMAT "\n", done, id, version);
    (void)printf("Nothing is out yet: somebody else reads it (desg broadcast show %s) and\n"
                 "says so: desg broadcast approve %s %" JSON_INTEGER_FORMAT "\n",
                 id, id, version);
}

static int draft(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *answer = NULL;
    if (!says_anything(line))
        return EXIT_USAGE;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || post_draft(line, desk, "/v1/broadcasts", NULL, &answer, &err) != 0)
        return fail(desk, &err);
    if (line->is_json)
        return command_print_json(answer);
    say_version(answer, "Drafted");
    return 0;
}

static int update(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *stands = NULL;
    AUTO(answer_drop) json_t *answer = NULL;
    if (!says_anything(line))
        return EXIT_USAGE;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s/versions", line->words[1]);
    if (!desk || fetch(line, desk, &stands, &err) != 0 ||
        post_draft(line, desk, path, json_object_get(stands, "content"), &answer, &err) != 0)
        return fail(desk, &err);
    if (line->is_json)
        return command_print_json(answer);
    say_version(answer, "Drafted");
    return 0;
}

static int preview(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *stands = NULL;
    AUTO(answer_drop) json_t *answer = NULL;
    if (line->word_count < 2 && !says_anything(line))
        return EXIT_USAGE;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || (line->word_count > 1 && fetch(line, desk, &stands, &err) != 0) ||
        post_draft(line, desk, "/v1/broadcasts/preview", json_object_get(stands, "content"),
                   &answer, &err) != 0)
        return command_fail(&err);
    bool is_fit = json_array_size(json_object_get(answer, "problems")) == 0;
    if (line->is_json)
        (void)command_print_json(answer);
    else
        broadcast_print_preview(answer);
    return is_fit ? 0 : EXIT_REFUSED;
}

/* --- show, list --- */

static int show(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || fetch(line, desk, &answer, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(answer);
    broadcast_print(answer, clock_unix_ms());
    return 0;
}

static int list(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    char *state = api_escape(line->state ? line->state : "");
    (void)snprintf(path, sizeof path, "/v1/broadcasts?limit=%zu%s%.60s", line->limit,
                   *state ? "&state=" : "", state);
    free(state);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_get(desk, path, &answer, NULL, &err) != 0)
        return command_fail(&err);
    const json_t *rows = json_object_get(answer, "broadcasts");
    if (line->is_json)
        return command_print_json(rows);
    if (json_array_size(rows) == 0)
        (void)puts("There are none.");
    else
        table_print(rows, list_columns);
    return 0;
}

/* --- approve, publish, cancel --- */

/* The version meant: the third word; else the newest, where nobody can have read another one. */
static int version_meant(const struct command_line *line, struct api_client *desk, bool has_to_be,
                         json_int_t *out, struct error *err)
{
    AUTO(answer_drop) json_t *answer = NULL;
    if (line->word_count > 2) {
        char *end = NULL;
        errno = 0;
        long version = strtol(line->words[2], &end, 10);
        if (*end != '\0' || end == line->words[2] || errno != 0 || version < 1 ||
            version > VERSION_MAX)
            return error_set(err, ERROR_INVALID, "'%.20s' is no version: they are 1, 2 and so on",
                             line->words[2]);
        *out = version;
        return 0;
    }
    if (fetch(line, desk, &answer, err) != 0)
        return -1;
    *out = json_integer_value(json_object_get(answer, "version"));
    if (has_to_be && *out > 1)
        return error_set(err, ERROR_INVALID,
                         "there are %" JSON_INTEGER_FORMAT
                         " versions: say which one you have read, "
                         "such as desg broadcast %s %s %" JSON_INTEGER_FORMAT,
                         *out, line->words[0], line->words[1], *out);
    return 0;
}

static int decide_version(const struct command_line *line, const char *what, bool has_to_be,
                          const char *done)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    json_int_t version = 0;
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || version_meant(line, desk, has_to_be, &version, &err) != 0)
        return command_fail(&err);
    AUTO(answer_drop) json_t *body = json_pack("{s:I}", "version", version);
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s/%s", line->words[1], what);
    if (api_post(desk, path, body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(answer);
    bool is_scheduled = strcmp(answer_text(answer, "state"), "scheduled") == 0;
    (void)printf("%s %s version %" JSON_INTEGER_FORMAT "%s\n", is_scheduled ? "Scheduled" : done,
                 line->words[1], version,
                 is_scheduled ? ": it goes out at its time, not before" : "");
    return 0;
}

static int approve(const struct command_line *line)
{
    return decide_version(line, "approval", true, "Approved");
}

static int publish(const struct command_line *line)
{
    return decide_version(line, "publication", false, "Published");
}

static int cancel(const struct command_line *line)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(answer_drop)
    json_t *body = line->reason ? json_pack("{s:s}", "reason", line->reason) : NULL;
    if (!body) {
        (void)fprintf(stderr, "desg: say why, in UTF-8: --reason TEXT (for the log; it is not "
                              "published)\n");
        return EXIT_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/broadcasts/%s/cancellation", line->words[1]);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_post(desk, path, body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(answer);
    (void)printf("Cancelled %s: what was posted is edited or removed. desg broadcast show %s tells "
                 "where\n",
                 line->words[1], line->words[1]);
    return 0;
}

/* --- which --- */

struct step {
    const char *word;
    int (*run)(const struct command_line *line);
    size_t ids_least, words_most; /* without the step's own word */
    bool takes_members, takes_reason, takes_list;
};
static const struct step steps[] = {
    { "draft", draft, 0, 0, true, false, false },
    { "preview", preview, 0, 1, true, false, false },
    { "show", show, 1, 1, false, false, false },
    { "approve", approve, 1, 2, false, false, false },
    { "publish", publish, 1, 2, false, false, false },
    { "update", update, 1, 1, true, false, false },
    { "cancel", cancel, 1, 1, false, true, false },
    { "list", list, 0, 0, false, false, true },
};

static int misused(const char *step, const char *what)
{
    (void)fprintf(stderr, "desg: broadcast %s: %s: see desg broadcast --help\n", step, what);
    return EXIT_USAGE;
}

static bool is_given(const struct command_line *line, const char *name)
{
    for (size_t i = 0; i < line->given_count; i++)
        if (strcmp(line->given[i].name, name) == 0)
            return true;
    return false;
}

/* An option that the step would pass over is refused. */
static int check_step(const struct command_line *line, const struct step *step)
{
    struct id id;
    size_t words = line->word_count - 1;
    if (words < step->ids_least)
        return misused(step->word, "say which broadcast: 32 hex digits");
    if (words > step->words_most)
        return misused(step->word, "too many words");
    if (words > 0 && id_parse(line->words[1], &id) != 0)
        return misused(step->word, "its id has 32 hex digits");
    if (step->run == publish && is_given(line, "at"))
        return misused(step->word, "when it goes out is part of what was approved: write it with "
                                   "desg broadcast update ID --at TIME (or draft --at TIME), have "
                                   "that version approved, then publish it");
    if (!step->takes_members && line->given_count > 0)
        return misused(step->word, "it takes no members");
    if (!step->takes_members && line->file)
        return misused(step->word, "it takes no --file");
    if (!step->takes_reason && line->reason)
        return misused(step->word, "it takes no --reason");
    if (!step->takes_list && line->state)
        return misused(step->word, "it takes no --state");
    return 0;
}

int command_broadcast(const struct command_line *line)
{
    const char *word = line->word_count > 0 ? line->words[0] : "";
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(steps[i].word, word) != 0)
            continue;
        int code = check_step(line, &steps[i]);
        return code != 0 ? code : steps[i].run(line);
    }
    (void)fprintf(stderr,
                  "desg: 'broadcast %.20s' is not known: write draft, preview, show, approve, "
                  "publish, update, cancel or list: see desg broadcast --help\n",
                  word);
    return EXIT_USAGE;
}
