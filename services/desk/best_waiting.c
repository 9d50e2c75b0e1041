#include "desk/best_waiting.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "desk/api.h"

enum { ROWS_LOOKED_AT = 2000, TRIES = 32 };

static const char *const first_queues[] = { "urgent", "urgent-review", "needs-review" };

static bool is_first_queue(const char *name)
{
    for (size_t i = 0; i < sizeof first_queues / sizeof first_queues[0]; i++)
        if (strcmp(first_queues[i], name) == 0)
            return true;
    return false;
}

/* Number at of the rows that wait and may be seen; NULL: there are not so many. */
static const json_t *waiting_row(const json_t *rows, size_t at)
{
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        const char *state = json_string_value(json_object_get(row, "state"));
        bool waits = state && strcmp(state, "open") == 0 && !api_is_restricted(row);
        if (waits && at-- == 0)
            return row;
    }
    return NULL;
}

static int claim_row(struct store *store, const char *agent, const json_t *row, json_t **out,
                     struct error *err)
{
    struct id id;
    const char *text = json_string_value(json_object_get(row, "conversation"));
    if (!text || id_parse(text, &id) != 0)
        return error_set(err, ERROR_INVALID, "a queue names no conversation");
    return store_claim(store, agent, "", &id, out, err);
}

/* The first of the queue that is really there: others may be claiming, too. */
static int claim_from(struct store *store, const char *agent, const char *queue, json_t **out,
                      struct error *err)
{
    json_t *rows = NULL;
    if (store_queue_list(store, queue, ROWS_LOOKED_AT, &rows, err) != 0)
        return -1;
    int rc = 0;
    *out = NULL;
    for (size_t at = 0; at < TRIES && !*out; at++) {
        const json_t *row = waiting_row(rows, at);
        if (!row)
            break;
        rc = claim_row(store, agent, row, out, err);
        if (rc != 0 && err->kind != ERROR_INVALID)
            break;
        rc = 0; /* somebody was faster: the next one */
    }
    json_decref(rows);
    return rc;
}

/* Of the queues behind the first ones, the one whose first deadline comes first. NULL: none waits.
 * The name lives as long as queues. */
static int earliest_queue(struct store *store, const json_t *queues, const char **name,
                          struct error *err)
{
    double earliest = 0;
    size_t index;
    const json_t *queue;
    *name = NULL;
    json_array_foreach(queues, index, queue)
    {
        json_t *rows = NULL;
        const char *candidate = json_string_value(json_object_get(queue, "name"));
        if (!candidate || is_first_queue(candidate) ||
            json_number_value(json_object_get(queue, "depth")) < 1)
            continue;
        if (store_queue_list(store, candidate, ROWS_LOOKED_AT, &rows, err) != 0)
            return -1;
        const json_t *row = waiting_row(rows, 0);
        double deadline_ms = json_number_value(json_object_get(row, "deadline_ms"));
        if (row && (!*name || deadline_ms < earliest)) {
            earliest = deadline_ms;
            *name = candidate;
        }
        json_decref(rows);
    }
    return 0;
}

static int claim_from_the_rest(struct store *store, const char *agent, json_t **out,
                               struct error *err)
{
    json_t *queues = NULL;
    if (store_queues_list(store, &queues, err) != 0)
        return -1;
    int rc = 0;
    for (int i = 0; i < TRIES && rc == 0 && !*out; i++) {
        const char *name = NULL;
        rc = earliest_queue(store, queues, &name, err);
        if (rc != 0 || !name)
            break;
        rc = claim_from(store, agent, name, out, err);
    }
    json_decref(queues);
    return rc;
}

int best_waiting_claim(struct store *store, const char *agent, const char *queue, json_t **out,
                       struct error *err)
{
    *out = NULL;
    if (queue)
        return claim_from(store, agent, queue, out, err);
    for (size_t i = 0; i < sizeof first_queues / sizeof first_queues[0]; i++) {
        if (claim_from(store, agent, first_queues[i], out, err) != 0)
            return -1;
        if (*out)
            return 0;
    }
    return claim_from_the_rest(store, agent, out, err);
}
