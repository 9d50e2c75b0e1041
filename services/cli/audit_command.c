/* audit_command - desg audit: who did and saw what; desg audit verify: is the log whole? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/audit_chain.h"
#include "cli/command.h"
#include "cli/table.h"
#include "cli/time_word.h"
#include "clock/clock.h"

enum { PATH_BYTES = 320, PAGE_RECORDS = 1000, ROWS_MAX = 100000 };

static const struct column columns[] = {
    { "at_ms", "TIME", COLUMN_TIME },      { "agent", "AGENT", COLUMN_TEXT },
    { "kind", "WHAT", COLUMN_TEXT },       { "conversation", "CONVERSATION", COLUMN_TEXT },
    { "detail", "DETAIL", COLUMN_TEXT },   { "desk", "DESK", COLUMN_TEXT },
    { "number", "NUMBER", COLUMN_NUMBER }, { NULL, NULL, COLUMN_TEXT },
};

static const struct column verify_columns[] = {
    { "desk", "DESK", COLUMN_TEXT },
    { "source", "SOURCE", COLUMN_TEXT },
    { "records", "RECORDS", COLUMN_NUMBER },
    { "first", "FIRST", COLUMN_NUMBER },
    { "last", "LAST", COLUMN_NUMBER },
    { "break", "BROKEN", COLUMN_TEXT },
    { NULL, NULL, COLUMN_TEXT },
};

/* What a reader of the log does with one page. */
typedef void take_page(void *arg, const json_t *page);

/* Reads the whole chain of the desk chosen. filter: more of the query, or "". */
static int read_chain(struct api_client *desk, const char *filter, take_page *take, void *arg,
                      struct error *err)
{
    json_int_t from = 0;
    do {
        char path[PATH_BYTES];
        AUTO(answer_drop) json_t *page = NULL;
        (void)snprintf(path, sizeof path, "/v1/audit?from=%lld&limit=%d%s", (long long)from,
                       PAGE_RECORDS, filter);
        if (api_get(desk, path, &page, NULL, err) != 0)
            return -1;
        take(arg, page);
        json_int_t next = json_integer_value(json_object_get(page, "next"));
        from = next > from ? next : 0;
    } while (from > 0);
    return 0;
}

/* --- verify --- */

struct verification {
    struct audit_chain *chain;
    json_t *head; /* as it was when the reading began */
};

static void verify_page(void *arg, const json_t *page)
{
    struct verification *verification = arg;
    struct id source = { { 0 } };
    const char *text = json_string_value(json_object_get(page, "source"));
    const char *name = json_string_value(json_object_get(page, "desk"));
    size_t index;
    const json_t *row;
    if (text && id_parse(text, &source) != 0)
        memset(&source, 0, sizeof source);
    if (!verification->chain) {
        verification->chain = audit_chain_new(name ? name : "", &source);
        verification->head = json_incref(json_object_get(page, "head"));
    }
    json_array_foreach(json_object_get(page, "records"), index, row)
        audit_chain_add(verification->chain, row);
}

static json_t *describe_all(struct audit_chain *const *chains, size_t count, bool *is_whole)
{
    json_t *rows = json_array();
    *is_whole = true;
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(rows, audit_chain_describe(chains[i]));
        *is_whole = *is_whole && audit_chain_is_whole(chains[i]);
    }
    return rows;
}

static int print_verdict(const struct command_line *line, struct audit_chain *const *chains,
                         size_t count)
{
    size_t unread = 0;
    bool is_whole = false;
    audit_chains_compare(chains, count, &unread);
    AUTO(answer_drop) json_t *rows = describe_all(chains, count, &is_whole);
    if (line->is_json) {
        AUTO(answer_drop)
        json_t *all = json_pack("{s:b, s:O, s:I}", "whole", (int)is_whole, "desks", rows,
                                "heads_of_desks_not_read", (json_int_t)unread);
        (void)command_print_json(all);
        return is_whole ? 0 : EXIT_REFUSED;
    }
    table_print(rows, verify_columns);
    if (unread > 0)
        (void)printf("\n%zu notes of other desks' chains could not be checked: those desks were "
                     "not read.\n",
                     unread);
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row) if (json_is_string(json_object_get(row, "break")))(void)
        printf("\n%s is broken: %s\n", json_string_value(json_object_get(row, "desk")),
               json_string_value(json_object_get(row, "break")));
    return is_whole ? 0 : EXIT_REFUSED;
}

static int verify(const struct command_line *line, struct api_client *desk)
{
    struct error err = { 0 };
    struct audit_chain *chains[API_DESKS_MAX] = { 0 };
    size_t count = 0;
    int code = -1;
    for (; count < api_client_desks(desk); count++) {
        struct verification verification = { 0 };
        api_client_choose(desk, count);
        int rc = read_chain(desk, "", verify_page, &verification, &err);
        if (rc == 0)
            audit_chain_end(verification.chain, verification.head);
        json_decref(verification.head);
        chains[count] = verification.chain;
        if (rc != 0) {
            (void)error_wrap(&err, "%s", api_client_place(desk, count));
            code = command_fail(&err);
            count++;
            break;
        }
    }
    if (code < 0)
        code = print_verdict(line, chains, count);
    for (size_t i = 0; i < count; i++)
        audit_chain_destroy(&chains[i]);
    return code;
}

/* --- list --- */

static const char *detail_of(const json_t *fact)
{
    static const char *const keys[] = { "what", "severity", "log_number", "event", "queue" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *text = json_string_value(json_object_get(fact, keys[i]));
        if (text)
            return text;
    }
    return "";
}

static void list_page(void *arg, const json_t *page)
{
    json_t *rows = arg;
    size_t index;
    json_t *record;
    json_array_foreach(json_object_get(page, "records"), index, record)
    {
        json_t *fact = json_object_get(record, "fact");
        json_t *row = fact ? json_copy(fact) : json_object();
        if (!fact)
            (void)json_object_set_new(row, "kind", json_string("damaged"));
        (void)json_object_set_new(row, "detail", json_string(detail_of(fact)));
        (void)json_object_set(row, "desk", json_object_get(page, "desk"));
        if (json_object_get(record, "number"))
            (void)json_object_set(row, "number", json_object_get(record, "number"));
        (void)json_array_append_new(rows, row);
        if (json_array_size(rows) > ROWS_MAX)
            (void)json_array_remove(rows, 0);
    }
}

static int by_time(const void *a, const void *b)
{
    json_int_t left = json_integer_value(json_object_get(*(json_t *const *)a, "at_ms"));
    json_int_t right = json_integer_value(json_object_get(*(json_t *const *)b, "at_ms"));
    return left < right ? -1 : left > right;
}

/* The newest limit rows of all desks, oldest first. */
static json_t *newest_rows(json_t *rows, size_t limit)
{
    size_t count = json_array_size(rows);
    json_t **sorted = calloc(count + 1, sizeof(void *));
    json_t *newest = json_array();
    if (!sorted)
        abort();
    for (size_t i = 0; i < count; i++)
        sorted[i] = json_array_get(rows, i);
    qsort(sorted, count, sizeof(void *), by_time);
    for (size_t i = count > limit ? count - limit : 0; i < count; i++)
        (void)json_array_append(newest, sorted[i]);
    free(sorted);
    return newest;
}

static int make_filter(const struct command_line *line, char *filter, size_t bytes,
                       struct error *err)
{
    int64_t since_ms = 0;
    if (line->since && time_word_parse(line->since, clock_unix_ms(), &since_ms, err) != 0)
        return -1;
    char *agent = api_escape(line->agent ? line->agent : "");
    (void)snprintf(filter, bytes, "&since=%" PRId64 "%s%.200s", since_ms,
                   line->agent ? "&agent=" : "", agent);
    free(agent);
    return 0;
}

static int list(const struct command_line *line, struct api_client *desk)
{
    struct error err = { 0 };
    char filter[PATH_BYTES - 64];
    AUTO(answer_drop) json_t *rows = json_array();
    int rc = make_filter(line, filter, sizeof filter, &err);
    for (size_t i = 0; rc == 0 && i < api_client_desks(desk); i++) {
        api_client_choose(desk, i);
        rc = read_chain(desk, filter, list_page, rows, &err);
    }
    if (rc != 0)
        return command_fail(&err);
    AUTO(answer_drop) json_t *newest = newest_rows(rows, line->limit);
    if (line->is_json)
        return command_print_json(newest);
    if (json_array_size(newest) == 0)
        (void)puts("Nothing is in the log.");
    else
        table_print(newest, columns);
    return 0;
}

int command_audit(const struct command_line *line)
{
    struct error err = { 0 };
    bool is_verify = line->word_count > 0 && strcmp(line->words[0], "verify") == 0;
    if (line->word_count > 0 && !is_verify) {
        (void)fprintf(stderr, "desg: 'audit %s' is not known: write audit or audit verify\n",
                      line->words[0]);
        return EXIT_USAGE;
    }
    AUTO(api_client_destroy) struct api_client *desk = command_open_desk(line, &err);
    if (!desk)
        return command_fail(&err);
    return is_verify ? verify(line, desk) : list(line, desk);
}
