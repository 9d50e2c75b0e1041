/* status_command - desg status: every process, every queue, what is degraded, in plain words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/table.h"

static const struct column process_columns[] = {
    { "name", "PROCESS", COLUMN_TEXT },
    { "state", "STATE", COLUMN_TEXT },
    { "pid", "PID", COLUMN_NUMBER },
    { "uptime_ms", "UP", COLUMN_DURATION },
    { "backlog", "BACKLOG", COLUMN_NUMBER },
    { "note", "NOTE", COLUMN_TEXT },
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

static void add_note(json_t *process, const char *note)
{
    const char *before = json_string_value(json_object_get(process, "note"));
    json_t *joined = before && *before ? json_sprintf("%s; %s", before, note) : json_string(note);
    (void)json_object_set_new(process, "note", joined);
}

/* What ingest's dispatcher says of itself, in words. */
static void note_dispatch(json_t *process, const json_t *dispatch)
{
    if (!dispatch)
        return;
    int64_t backlog = number_at(dispatch, "unloaded_records") + number_at(dispatch, "held_events") +
                      number_at(dispatch, "deferred_records") +
                      number_at(dispatch, "provisional_records");
    (void)json_object_set_new(process, "backlog", json_integer(backlog));
    if (json_is_true(json_object_get(dispatch, "route_busy")))
        add_note(process, "Redis or route away: keeping messages for later");
    if (json_array_size(json_object_get(dispatch, "workers")) == 0)
        add_note(process, "no classifier: messages go to urgent-review");
    if (number_at(dispatch, "provisional_records") > 0)
        add_note(process, "some applied unclassified, to be looked at again");
    if (!json_is_true(json_object_get(dispatch, "history_known")))
        add_note(process, "Redis not met yet");
}

static void note_detail(json_t *process, const json_t *detail)
{
    const char *service = json_string_value(json_object_get(process, "service"));
    if (service && strcmp(service, "ingest") == 0)
        note_dispatch(process, json_object_get(detail, "dispatch"));
    const json_t *redis = json_object_get(detail, "redis");
    const char *redis_state = json_string_value(json_object_get(redis, "state"));
    const char *problem = json_string_value(json_object_get(redis, "problem"));
    if (redis_state && strcmp(redis_state, "ready") != 0)
        add_note(process, problem && *problem ? problem : redis_state);
    const json_t *journal = json_object_get(detail, "journal");
    const char *state = json_string_value(json_object_get(journal, "state"));
    if (state && strcmp(state, "roomy") != 0)
        add_note(process, state);
    int64_t open = number_at(detail, "alerts_unaccepted");
    if (open > 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "%" PRId64 " alerts not accepted by dispatch", open);
        add_note(process, text);
    }
    const char *dispatch =
        json_string_value(json_object_get(json_object_get(detail, "dispatch"), "state"));
    if (dispatch && strcmp(dispatch, "up") != 0)
        add_note(process, "dispatch does not take alerts");
}

static json_t *ask_process(const char *run_directory, const char *name)
{
    struct error err = { 0 };
    json_t *status = NULL;
    if (control_ask(run_directory, name, "GET", "/status", &status, &err) != 200 || !status) {
        json_decref(status);
        return json_pack("{s:s, s:s, s:s}", "name", name, "state", "silent", "note",
                         err.text[0] ? err.text : "answered no status");
    }
    (void)json_object_set_new(status, "name", json_string(name));
    note_detail(status, json_object_get(status, "detail"));
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

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static json_t *ask_queues(const struct command_line *line, char *problem, size_t problem_bytes)
{
    struct error err = { 0 };
    json_t *queues = NULL;
    AUTO(store_destroy) struct store *store = command_open_store(line, &err);
    if (!store || store_queues_list(store, &queues, &err) != 0) {
        (void)snprintf(problem, problem_bytes, "%s", err.text);
        return json_array();
    }
    (void)snprintf(problem, problem_bytes, "%s", store_problem(store));
    return queues;
}

static bool is_silent(const json_t *process)
{
    const char *state = json_string_value(json_object_get(process, "state"));
    return state && strcmp(state, "silent") == 0;
}

int command_status(const struct command_line *line)
{
    struct error err = { 0 };
    char problem[512] = "";
    AUTO(drop_json) json_t *names = control_names(line->common->run_directory, &err);
    if (!names)
        return command_fail(&err);
    AUTO(drop_json) json_t *processes = ask_all(line->common->run_directory, names);
    AUTO(drop_json) json_t *queues = ask_queues(line, problem, sizeof problem);
    bool is_whole = json_array_size(processes) > 0;
    size_t index;
    const json_t *process;
    json_array_foreach(processes, index, process) is_whole = is_whole && !is_silent(process);
    if (line->is_json) {
        AUTO(drop_json)
        json_t *all = json_pack("{s:O, s:O, s:s}", "processes", processes, "queues", queues,
                                "redis_problem", problem);
        (void)command_print_json(all);
        return is_whole ? 0 : EXIT_NOTHING;
    }
    if (problem[0])
        (void)printf("Redis: %s\n\n", problem);
    table_print(processes, process_columns);
    (void)putchar('\n');
    if (json_array_size(queues) > 0)
        table_print(queues, queue_columns);
    return is_whole ? 0 : EXIT_NOTHING;
}
