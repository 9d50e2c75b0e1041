/* desk_commands - queue, claim, alerts, trace: what waits, for the people at the desk. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/claimed.h"
#include "cli/command.h"
#include "cli/fold.h"
#include "cli/table.h"

enum { PATH_BYTES = 320 };

static const struct column queue_list_columns[] = {
    { "name", "QUEUE", COLUMN_TEXT },
    { "depth", "WAITING", COLUMN_NUMBER },
    { "oldest_waiting_ms", "OLDEST", COLUMN_DURATION },
    { "claimed", "CLAIMED", COLUMN_NUMBER },
    { NULL, NULL, COLUMN_TEXT },
};

static const struct column queue_columns[] = {
    { "conversation", "CONVERSATION", COLUMN_TEXT },
    { "severity", "SEVERITY", COLUMN_SEVERITY },
    { "category", "CATEGORY", COLUMN_TEXT },
    { "language", "LANG", COLUMN_TEXT },
    { "channel", "CHANNEL", COLUMN_TEXT },
    { "waiting_ms", "WAITING", COLUMN_DURATION },
    { "deadline_ms", "DUE IN", COLUMN_DURATION },
    { "events", "EVENTS", COLUMN_NUMBER },
    { "owner", "OWNER", COLUMN_TEXT },
    { "copies", "ALIKE", COLUMN_TEXT }, /* left off where nothing is */
    { NULL, NULL, COLUMN_TEXT },
};

static const struct column alert_columns[] = {
    { "alert", "ALERT", COLUMN_TEXT },
    { "state", "STATE", COLUMN_TEXT },
    { "severity", "SEVERITY", COLUMN_SEVERITY },
    { "opened_at_ms", "OPENED", COLUMN_TIME },
    { "dispatcher", "DISPATCHER", COLUMN_TEXT },
    { "log_number", "LOG", COLUMN_TEXT },
    { "conversation", "CONVERSATION", COLUMN_TEXT },
    { NULL, NULL, COLUMN_TEXT },
};

static const struct column trace_columns[] = {
    { "at_ms", "TIME", COLUMN_TIME },  { "where", "WHERE", COLUMN_TEXT },
    { "what", "WHAT", COLUMN_TEXT },   { "event", "EVENT", COLUMN_TEXT },
    { "alert", "ALERT", COLUMN_TEXT }, { "state", "STATE", COLUMN_TEXT },
    { "agent", "AGENT", COLUMN_TEXT }, { "trace", "TRACE", COLUMN_TEXT },
    { NULL, NULL, COLUMN_TEXT },
};

/* Prints what a query gave: JSON, or a table, or that there is nothing. */
static int print_rows(const struct command_line *line, const json_t *rows,
                      const struct column *columns, const char *nothing)
{
    if (line->is_json)
        return command_print_json(rows);
    if (json_array_size(rows) == 0)
        (void)printf("%s\n", nothing);
    else
        table_print(rows, columns);
    return 0;
}

/* GETs path and prints the array it holds under key. */
static int show_rows(const struct command_line *line, const char *path, const char *key,
                     const struct column *columns, const char *nothing)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_get(desk, path, &answer, NULL, &err) != 0)
        return command_fail(&err);
    const json_t *rows = json_object_get(answer, key);
    return print_rows(line, rows, columns, nothing);
}

/* What the person asked for stands in the place of what was guessed. */
static void put_wishes(json_t *rows)
{
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        const char *wish = json_string_value(json_object_get(row, "language_wish"));
        if (wish)
            (void)json_object_set_new(row, "language", json_sprintf("%s wished", wish));
    }
}

static int print_queue(const struct command_line *line, const char *name, json_t *rows)
{
    enum { COLUMNS = sizeof queue_columns / sizeof queue_columns[0] };
    struct column columns[COLUMNS];
    size_t folded = line->is_fold ? fold_rows(rows) : 0;
    memcpy(columns, queue_columns, sizeof columns);
    if (!line->is_json && !fold_mark(rows))
        columns[COLUMNS - 2] = columns[COLUMNS - 1];
    if (!line->is_json)
        put_wishes(rows);
    int code = print_rows(line, rows, columns, "Nothing waits in this queue.");
    if (folded > 0 && !line->is_json)
        (void)printf(
            "%zu near-copies are folded into the lines marked +. All, each to be claimed by "
            "itself: desg queue %s --limit %zu\n",
            folded, name, line->limit);
    return code;
}

int command_queue(const struct command_line *line)
{
    char path[PATH_BYTES];
    struct error err = { 0 };
    AUTO(answer_drop) json_t *answer = NULL;
    const char *name = line->word_count > 0 ? line->words[0] : line->queue;
    if (!name)
        return show_rows(line, "/v1/queues", "queues", queue_list_columns,
                         "No queue holds anything yet.");
    char *escaped = api_escape(name);
    (void)snprintf(path, sizeof path, "/v1/queues/%.200s?limit=%zu", escaped, line->limit);
    free(escaped);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_get(desk, path, &answer, NULL, &err) != 0)
        return command_fail(&err);
    return print_queue(line, name, json_object_get(answer, "conversations"));
}

int command_claim(const struct command_line *line)
{
    struct error err = { 0 };
    char conversation[ID_TEXT_BYTES];
    AUTO(answer_drop) json_t *claim = NULL;
    AUTO(answer_drop) json_t *body = json_object();
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || (line->word_count > 0 && claimed_word(line, 0, desk, conversation, &err) != 0))
        return command_fail(&err);
    if (line->word_count > 0)
        (void)json_object_set_new(body, "conversation", json_string(conversation));
    if (line->queue)
        (void)json_object_set_new(body, "queue", json_string(line->queue));
    if (api_post(desk, "/v1/claims", body, &claim, NULL, &err) != 0)
        return command_fail(&err);
    if (!claim) {
        (void)(line->is_json ? puts("null") : puts("Nothing waits."));
        return EXIT_NOTHING;
    }
    if (line->is_json)
        return command_print_json(claim);
    (void)printf("Claimed %s from %s for %s: fence %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
                 " s\n",
                 answer_text(claim, "conversation"), answer_text(claim, "queue"),
                 answer_text(claim, "agent"), json_integer_value(json_object_get(claim, "fence")),
                 json_integer_value(json_object_get(claim, "lease_ms")) / 1000);
    return 0;
}

int command_alerts(const struct command_line *line)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/v1/alerts?state=%s&limit=%zu",
                   line->is_all ? "all" : "open", line->limit);
    return show_rows(line, path, "alerts", alert_columns,
                     line->is_all ? "There were no alerts." : "No alert is open.");
}

int command_trace(const struct command_line *line)
{
    struct error err = { 0 };
    struct id id;
    char path[PATH_BYTES];
    long status = 0;
    AUTO(answer_drop) json_t *answer = NULL;
    if (command_id(line, 0, "id of an event, alert or conversation", &id, &err) != 0)
        return command_fail(&err);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    (void)snprintf(path, sizeof path, "/v1/trace/%s", line->words[0]);
    if (desk && api_get(desk, path, &answer, &status, &err) != 0 && status == 404) {
        (void)fprintf(stderr, "desg: nothing is known of %s\n", line->words[0]);
        return EXIT_NOTHING;
    }
    if (!answer)
        return command_fail(&err);
    return print_rows(line, json_object_get(answer, "story"), trace_columns, "");
}
