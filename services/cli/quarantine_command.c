/* quarantine_command - desg quarantine list|show|retry: what could not be handled, and another try
 * at it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/table.h"
#include "clock/clock.h"

enum { RETRY_WAIT_MS = 10000, RETRY_POLL_MS = 300, PATH_BYTES = 160 };

static const struct column columns[] = {
    { "event", "EVENT", COLUMN_TEXT },     { "at_ms", "SINCE", COLUMN_TIME },
    { "channel", "CHANNEL", COLUMN_TEXT }, { "severity", "SEVERITY", COLUMN_SEVERITY },
    { "reason", "REASON", COLUMN_TEXT },   { NULL, NULL, COLUMN_TEXT },
};

static int list(const struct command_line *line, struct api_client *desk)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    (void)snprintf(path, sizeof path, "/v1/quarantine?limit=%zu", line->limit);
    if (api_get(desk, path, &answer, NULL, &err) != 0)
        return command_fail(&err);
    const json_t *rows = json_object_get(answer, "events");
    if (line->is_json)
        return command_print_json(rows);
    if (json_array_size(rows) == 0)
        (void)puts("Nothing is in quarantine.");
    else
        table_print(rows, columns);
    return 0;
}

static int read_row(const struct command_line *line, struct api_client *desk, json_t **row,
                    struct error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/v1/quarantine/%s", line->words[1]);
    return api_get(desk, path, row, NULL, err);
}

static int show(const struct command_line *line, struct api_client *desk)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *row = NULL;
    if (read_row(line, desk, &row, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(row);
    char *text = json_dumps(row, JSON_INDENT(2));
    if (text)
        table_print_text(text, 0);
    free(text);
    return 0;
}

/* Asks each ingest whether the event is in its journal, until one takes it. */
static int offer_again(const struct command_line *line, const char *event, int64_t received_at_ms,
                       struct error *err)
{
    char path[160];
    AUTO(answer_drop) json_t *names = control_names(line->common->run_directory, err);
    if (!names)
        return -1;
    (void)snprintf(path, sizeof path, "/retry?event=%s&received_at_ms=%lld", event,
                   (long long)received_at_ms);
    size_t index;
    const json_t *name;
    json_array_foreach(names, index, name)
    {
        AUTO(answer_drop) json_t *answer = NULL;
        struct error ignored = { 0 };
        if (control_ask(line->common->run_directory, json_string_value(name), "POST", path, &answer,
                        &ignored) == 200)
            return 0;
    }
    return error_set(
        err, ERROR_INVALID,
        "no ingest that runs here has event %s in its journal: it may be on another machine, "
        "or older than the journal keeps",
        event);
}

static bool is_applied(const struct command_line *line, struct api_client *desk)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    (void)snprintf(path, sizeof path, "/v1/trace/%s", line->words[1]);
    if (api_get(desk, path, &answer, NULL, &err) != 0)
        return false;
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(answer, "story"), index, row)
    {
        const char *what = json_string_value(json_object_get(row, "what"));
        if (what && strcmp(what, "applied") == 0)
            return true;
    }
    return false;
}

static int remove_row(const struct command_line *line, struct api_client *desk, struct error *err)
{
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    (void)snprintf(path, sizeof path, "/v1/quarantine/%s/removal", line->words[1]);
    return api_post(desk, path, NULL, &answer, NULL, err);
}

static int retry(const struct command_line *line, struct api_client *desk)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *row = NULL;
    if (read_row(line, desk, &row, &err) != 0 ||
        offer_again(line, line->words[1],
                    json_integer_value(json_object_get(row, "received_at_ms")), &err) != 0)
        return command_fail(&err);
    int64_t deadline_ms = clock_monotonic_ms() + RETRY_WAIT_MS;
    const struct timespec pause = { .tv_nsec = RETRY_POLL_MS * 1000000L };
    while (!is_applied(line, desk)) {
        if (clock_monotonic_ms() > deadline_ms) {
            (void)error_set(&err, ERROR_UNAVAILABLE,
                            "offered again, but not applied yet: it stays in quarantine");
            return command_fail(&err);
        }
        (void)nanosleep(&pause, NULL);
    }
    if (remove_row(line, desk, &err) != 0)
        return command_fail(&err);
    if (line->is_json) {
        AUTO(answer_drop)
        json_t *answer = json_pack("{s:s, s:s}", "event", line->words[1], "state", "applied");
        return command_print_json(answer);
    }
    (void)printf("Applied %s; it has left quarantine.\n", line->words[1]);
    return 0;
}

int command_quarantine(const struct command_line *line)
{
    struct error err = { 0 };
    struct id event;
    const char *verb = line->word_count > 0 ? line->words[0] : "list";
    bool is_show = strcmp(verb, "show") == 0;
    bool is_retry = strcmp(verb, "retry") == 0;
    if (!is_show && !is_retry && strcmp(verb, "list") != 0) {
        (void)fprintf(stderr, "desg: 'quarantine %s' is not known: write list, show or retry\n",
                      verb);
        return EXIT_USAGE;
    }
    if ((is_show || is_retry) && command_id(line, 1, "event", &event, &err) != 0)
        return command_fail(&err);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk)
        return command_fail(&err);
    if (is_show)
        return show(line, desk);
    return is_retry ? retry(line, desk) : list(line, desk);
}
