/* status_command - desg status: every process, every queue, what is degraded, in plain words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/status_notes.h"
#include "cli/status_outward.h"
#include "cli/table.h"
#include "clock/clock.h"

static const struct column process_columns[] = {
    { "name", "PROCESS", COLUMN_TEXT },
    { "state", "STATE", COLUMN_TEXT },
    { "pid", "PID", COLUMN_NUMBER },
    { "uptime_ms", "UP", COLUMN_DURATION },
    { "backlog", "BACKLOG", COLUMN_NUMBER },
    { "note", "DEGRADED", COLUMN_TEXT },
    { NULL, NULL, COLUMN_TEXT },
};

static const struct column queue_columns[] = {
    { "name", "QUEUE", COLUMN_TEXT },
    { "depth", "WAITING", COLUMN_NUMBER },
    { "oldest_waiting_ms", "OLDEST", COLUMN_DURATION },
    { "claimed", "CLAIMED", COLUMN_NUMBER },
    { NULL, NULL, COLUMN_TEXT },
};

static int64_t number_at(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "redis-away, deferred": for the table. */
static json_t *join_states(const json_t *notes)
{
    json_t *joined = json_string("");
    size_t index;
    const json_t *note;
    json_array_foreach(notes, index, note)
    {
        json_t *longer = json_sprintf("%s%s%s", json_string_value(joined), index > 0 ? ", " : "",
                                      json_string_value(json_object_get(note, "state")));
        json_decref(joined);
        joined = longer;
    }
    return joined;
}

/* What ingest has not got rid of. */
static void count_backlog(json_t *process)
{
    const json_t *dispatch = json_object_get(json_object_get(process, "detail"), "dispatch");
    if (!json_object_get(dispatch, "unloaded_records"))
        return;
    int64_t backlog = number_at(dispatch, "unloaded_records") + number_at(dispatch, "held_events") +
                      number_at(dispatch, "deferred_records") +
                      number_at(dispatch, "provisional_records");
    (void)json_object_set_new(process, "backlog", json_integer(backlog));
}

static void judge(json_t *process, json_t *notes)
{
    (void)json_object_set_new(process, "note", join_states(notes));
    (void)json_object_set_new(process, "degraded", notes);
}

static json_t *ask_process(const char *run_directory, const char *name)
{
    struct error err = { 0 };
    json_t *status = NULL;
    if (control_ask(run_directory, name, "GET", "/status", &status, &err) != 200 || !status) {
        json_decref(status);
        json_t *silent = json_pack("{s:s, s:s}", "name", name, "state", "silent");
        judge(silent, json_pack("[{s:s, s:s}]", "state", "silent", "text",
                                err.text[0] ? err.text : "answered no status"));
        return silent;
    }
    (void)json_object_set_new(status, "name", json_string(name));
    count_backlog(status);
    judge(status, status_notes(status));
    return status;
}

static json_t *ask_all(const char *run_directory, const json_t *names)
{
    json_t *processes = json_array();
    size_t index;
    const json_t *name;
    json_array_foreach(names, index, name)(void)
        json_array_append_new(processes, ask_process(run_directory, json_string_value(name)));
    return processes;
}

/* What Redis says, as far as it answers. */
static json_t *ask_redis(const struct command_line *line, json_t **outward, char *problem,
                         size_t problem_bytes)
{
    struct error err = { 0 };
    json_t *queues = NULL;
    AUTO(store_destroy) struct store *store = command_open_store(line, &err);
    if (!store || store_queues_list(store, &queues, &err) != 0) {
        (void)snprintf(problem, problem_bytes, "%s", err.text);
        return json_array();
    }
    *outward = status_outward_ask(store, &err);
    (void)snprintf(problem, problem_bytes, "%s", *outward ? store_problem(store) : err.text);
    return queues;
}

static void print_banner(const json_t *outward)
{
    AUTO(answer_drop) json_t *lines = status_outward_banner(outward, clock_unix_ms());
    size_t index;
    const json_t *text;
    json_array_foreach(lines, index, text) table_print_text(json_string_value(text), 0);
    if (json_array_size(lines) > 0)
        (void)putchar('\n');
}

static bool is_silent(const json_t *process)
{
    const char *state = json_string_value(json_object_get(process, "state"));
    return state && strcmp(state, "silent") == 0;
}

static void print_degraded(const json_t *processes)
{
    bool has_any = false;
    size_t index;
    const json_t *process;
    json_array_foreach(processes, index, process)
    {
        size_t at;
        const json_t *note;
        json_array_foreach(json_object_get(process, "degraded"), at, note)
        {
            (void)printf("%s", has_any ? "" : "\nDegraded:\n");
            has_any = true;
            AUTO(answer_drop)
            json_t *line =
                json_sprintf("%s: %s", json_string_value(json_object_get(process, "name")),
                             json_string_value(json_object_get(note, "text")));
            table_print_text(json_string_value(line), 2);
        }
    }
}

int command_status(const struct command_line *line)
{
    struct error err = { 0 };
    char problem[512] = "";
    AUTO(answer_drop) json_t *names = control_names(line->common->run_directory, &err);
    if (!names)
        return command_fail(&err);
    AUTO(answer_drop) json_t *processes = ask_all(line->common->run_directory, names);
    AUTO(answer_drop) json_t *outward = NULL;
    AUTO(answer_drop) json_t *queues = ask_redis(line, &outward, problem, sizeof problem);
    bool is_whole = json_array_size(processes) > 0 && !status_outward_is_blocked(outward);
    size_t index;
    const json_t *process;
    json_array_foreach(processes, index, process) is_whole = is_whole && !is_silent(process);
    if (line->is_json) {
        AUTO(answer_drop)
        json_t *all = json_pack("{s:O, s:O, s:O?, s:s}", "processes", processes, "queues", queues,
                                "outward", outward, "redis_problem", problem);
        (void)command_print_json(all);
        return is_whole ? 0 : EXIT_NOTHING;
    }
    print_banner(outward);
    if (problem[0])
        (void)printf("Redis: %s\n\n", problem);
    table_print(processes, process_columns);
    print_degraded(processes);
    (void)putchar('\n');
    if (json_array_size(queues) > 0)
        table_print(queues, queue_columns);
    return is_whole ? 0 : EXIT_NOTHING;
}
