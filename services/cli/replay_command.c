/* replay_command - desg replay: has each ingest here offer again what it stored since a time, or
 * offers what an archive holds of it. */
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/time_word.h"
#include "clock/clock.h"

struct replay {
    char path[160];
    json_t *taken; /* [{"ingest", "records", …}] of those that took it */
    size_t faults;
};

/* Other services have no such path: they are passed over. */
static void ask_one(struct replay *self, const struct command_line *line, const char *name)
{
    struct error err = { 0 };
    json_t *answer = NULL;
    int status = control_ask(line->common->run_directory, name, "POST", self->path, &answer, &err);
    if (status == 200 && answer) {
        (void)json_object_set_new(answer, "ingest", json_string(name));
        (void)json_array_append_new(self->taken, answer);
        return;
    }
    if (status != 404) {
        const char *said = json_string_value(json_object_get(answer, "error"));
        (void)fprintf(stderr, "desg: %s: %s\n", name,
                      said          ? said
                      : err.text[0] ? err.text
                                    : "it refused");
        self->faults++;
    }
    json_decref(answer);
}

static void ask_all(struct replay *self, const struct command_line *line, const json_t *names)
{
    size_t index;
    const json_t *name;
    json_array_foreach(names, index, name)
    {
        bool is_meant = !line->ingest || strcmp(line->ingest, json_string_value(name)) == 0;
        if (is_meant)
            ask_one(self, line, json_string_value(name));
    }
}

static void print_taken(const json_t *taken)
{
    size_t index;
    const json_t *answer;
    json_array_foreach(taken, index, answer)(void)
        printf("%s: %lld deliveries are offered again; desg status tells how many are left.\n",
               json_string_value(json_object_get(answer, "ingest")),
               (long long)json_integer_value(json_object_get(answer, "records")));
}

static int read_times(const struct command_line *line, int64_t *since_ms, int64_t *until_ms,
                      struct error *err)
{
    int64_t now_ms = clock_unix_ms();
    *until_ms = now_ms;
    if (!line->since)
        return error_set(err, ERROR_INVALID,
                         "say since when: --since 2h or --since '2026-02-11 17:42'");
    if (time_word_parse(line->since, now_ms, since_ms, err) != 0 ||
        (line->until && time_word_parse(line->until, now_ms, until_ms, err) != 0))
        return -1;
    if (*until_ms < *since_ms)
        return error_set(err, ERROR_INVALID, "--until lies before --since");
    return 0;
}

int command_replay(const struct command_line *line)
{
    struct error err = { 0 };
    struct replay replay = { 0 };
    int64_t since_ms = 0;
    int64_t until_ms = 0;
    if (read_times(line, &since_ms, &until_ms, &err) != 0)
        return command_fail(&err);
    if (line->archive)
        return command_adopt_archive(line, since_ms, until_ms);
    (void)snprintf(replay.path, sizeof replay.path, "/replay?since_ms=%lld&until_ms=%lld",
                   (long long)since_ms, (long long)until_ms);
    AUTO(answer_drop) json_t *names = control_names(line->common->run_directory, &err);
    if (!names)
        return command_fail(&err);
    AUTO(answer_drop) json_t *taken = json_array();
    replay.taken = taken;
    ask_all(&replay, line, names);
    if (json_array_size(taken) == 0 && replay.faults == 0) {
        (void)error_set(&err, ERROR_UNAVAILABLE, "%s%s runs here: replay where its socket is",
                        line->ingest ? "no ingest named " : "no ingest",
                        line->ingest ? line->ingest : "");
        return command_fail(&err);
    }
    if (line->is_json)
        (void)command_print_json(taken);
    else
        print_taken(taken);
    return replay.faults > 0 ? EXIT_AWAY : 0;
}
