/* outbox_commands - desg unknown, tasks, places: what of the way out waits for a person. */
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/table.h"

enum { PATH_BYTES = 160 };

static const struct column unknown_columns[] = {
    { "item", "ITEM", COLUMN_TEXT },
    { "place", "PLACE", COLUMN_TEXT },
    { "kind", "KIND", COLUMN_TEXT },
    { "at_ms", "SINCE", COLUMN_TIME },
    { "parts_sent", "SENT", COLUMN_NUMBER },
    { "parts", "OF", COLUMN_NUMBER },
    { "of", "CONVERSATION OR BROADCAST", COLUMN_TEXT },
    { NULL, NULL, COLUMN_TEXT },
};

static const struct column task_columns[] = {
    { "item", "ITEM", COLUMN_TEXT },
    { "place", "PLACE", COLUMN_TEXT },
    { "kind", "KIND", COLUMN_TEXT },
    { "state", "STATE", COLUMN_TEXT },
    { "at_ms", "SINCE", COLUMN_TIME },
    { "error", "WHY", COLUMN_TEXT },
    { "of", "CONVERSATION OR BROADCAST", COLUMN_TEXT },
    { NULL, NULL, COLUMN_TEXT },
};

static const struct column place_columns[] = {
    { "place", "PLACE", COLUMN_TEXT },       { "state", "STATE", COLUMN_TEXT },
    { "waiting", "WAITING", COLUMN_NUMBER }, { "oldest_ms", "OLDEST", COLUMN_DURATION },
    { "owner", "SENDS THERE", COLUMN_TEXT }, { NULL, NULL, COLUMN_TEXT },
};

/* For the table: what an item is of, and what has no item of its own. */
static void fill_up(json_t *row)
{
    const char *conversation = answer_text(row, "conversation");
    (void)json_object_set_new(
        row, "of", json_string(*conversation ? conversation : answer_text(row, "broadcast")));
    if (*answer_text(row, "item") == '\0')
        (void)json_object_set_new(row, "item", json_string("-"));
    if (strcmp(answer_text(row, "state"), "owed") == 0)
        (void)json_object_set_new(row, "error", json_string("no Welsh yet: due at that time"));
}

static int list(const struct command_line *line, const char *state, const struct column *columns,
                const char *nothing, const char *what_to_do)
{
    struct error err = { 0 };
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    (void)snprintf(path, sizeof path, "/v1/items?state=%s&limit=%zu", state, line->limit);
    if (!desk || api_get(desk, path, &answer, NULL, &err) != 0)
        return command_fail(&err);
    json_t *rows = json_object_get(answer, "items");
    if (line->is_json)
        return command_print_json(rows);
    if (json_array_size(rows) == 0) {
        (void)puts(nothing);
        return 0;
    }
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) fill_up(row);
    table_print(rows, columns);
    (void)printf("\n%s\n", what_to_do);
    return 0;
}

static int settle(const struct command_line *line, const char *as, const char *done)
{
    struct error err = { 0 };
    struct id id;
    char path[PATH_BYTES];
    AUTO(answer_drop) json_t *answer = NULL;
    if (command_id(line, 1, "item", &id, &err) != 0)
        return command_usage(&err);
    (void)snprintf(path, sizeof path, "/v1/items/%s/settlement", line->words[1]);
    AUTO(answer_drop) json_t *body = json_pack("{s:s}", "as", as);
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_post(desk, path, body, &answer, NULL, &err) != 0)
        return command_fail(&err);
    if (line->is_json)
        return command_print_json(answer);
    (void)printf("%s %s\n", done, line->words[1]);
    return 0;
}

static int not_known(const char *command, const char *word, const char *remedy)
{
    (void)fprintf(stderr, "desg: '%s %.20s' is not known: write %s\n", command, word, remedy);
    return EXIT_USAGE;
}

int command_unknown(const struct command_line *line)
{
    static const char what_to_do[] =
        "Look at each account or outlet, then: desg unknown there ITEM (it is there), or\n"
        "desg unknown again ITEM (it is not: it is sent again).";
    const char *word = line->word_count > 0 ? line->words[0] : "list";
    if (strcmp(word, "there") == 0)
        return settle(line, "there", "It is there:");
    if (strcmp(word, "again") == 0)
        return settle(line, "again", "It is sent again:");
    if (strcmp(word, "list") != 0 || line->word_count > 1)
        return not_known("unknown", word, "unknown list, unknown there ITEM or unknown again ITEM");
    return list(line, "unknown", unknown_columns, "Of everything it is known whether it was sent.",
                what_to_do);
}

int command_tasks(const struct command_line *line)
{
    const char *word = line->word_count > 0 ? line->words[0] : "list";
    if (strcmp(word, "done") == 0)
        return settle(line, "by-hand", "Done:");
    if (strcmp(word, "list") != 0 || line->word_count > 1)
        return not_known("tasks", word, "tasks list or tasks done ITEM");
    return list(line, "task", task_columns, "Nothing waits for a person's hand.",
                "See to each by hand, then: desg tasks done ITEM");
}

static void name_state(json_t *row)
{
    bool is_blocked = json_is_true(json_object_get(row, "blocked"));
    const char *owner = answer_text(row, "owner");
    (void)json_object_set_new(row, "state",
                              json_string(is_blocked ? "BLOCKED"
                                          : *owner   ? "up"
                                                     : "nobody sends"));
}

int command_places(const struct command_line *line)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *answer = NULL;
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk || api_get(desk, "/v1/places", &answer, NULL, &err) != 0)
        return command_fail(&err);
    json_t *rows = json_object_get(answer, "places");
    if (line->is_json)
        return command_print_json(rows);
    if (json_array_size(rows) == 0) {
        (void)puts("No account and no outlet has been used yet.");
        return 0;
    }
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) name_state(row);
    table_print(rows, place_columns);
    return 0;
}
