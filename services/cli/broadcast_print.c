#include "cli/broadcast_print.h"

#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/table.h"
#include "cli/window_words.h"
#include "error/error.h"

enum { WORD_BYTES = 64 };

static const struct column row_columns[] = {
    { "outlet", "OUTLET", COLUMN_TEXT },
    { "version", "VERSION", COLUMN_NUMBER },
    { "action", "ACTION", COLUMN_TEXT },
    { "state", "STATE", COLUMN_TEXT },
    { "at_ms", "SINCE", COLUMN_TIME },
    { "error", "WHY", COLUMN_TEXT },
    { "made", "IS THERE AS", COLUMN_TEXT },
    { "item", "ITEM", COLUMN_TEXT },
    { NULL, NULL, COLUMN_TEXT },
};

static void print_line(const char *title, const char *text)
{
    if (!*text)
        return;
    (void)printf("  %s ", title);
    table_print_text(text, 0);
}

static void print_when(const char *title, const json_t *object, const char *key, int64_t now_ms)
{
    char word[WORD_BYTES];
    int64_t at_ms = json_integer_value(json_object_get(object, key));
    if (at_ms <= 0)
        return;
    window_time(at_ms, now_ms, word, sizeof word);
    (void)printf("  %s %s\n", title, word);
}

static void print_words(const char *language, const json_t *words)
{
    static const char *const parts[] = { "headline", "text", "instruction", "area", "ended" };
    if (!json_is_object(words))
        return;
    (void)printf("\n  %s\n", language);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (*answer_text(words, parts[i])) {
            (void)printf("    %s\n", parts[i]);
            table_print_text(answer_text(words, parts[i]), 6);
        }
}

static void print_area(const json_t *area)
{
    const json_t *centre = json_object_get(area, "centre");
    size_t points = json_array_size(json_object_get(area, "polygon"));
    if (points > 0)
        (void)printf("  area     a polygon of %zu points\n", points);
    else if (centre)
        (void)printf("  area     %g km around %.5f,%.5f\n",
                     json_number_value(json_object_get(area, "radius_km")),
                     json_number_value(json_object_get(centre, "latitude")),
                     json_number_value(json_object_get(centre, "longitude")));
}

/* "facebook, x, feed" */
static json_t *join(const json_t *texts)
{
    json_t *joined = json_string("");
    size_t index;
    const json_t *text;
    json_array_foreach(texts, index, text)
    {
        json_t *longer = json_sprintf("%s%s%s", json_string_value(joined), index > 0 ? ", " : "",
                                      json_string_value(text) ? json_string_value(text) : "?");
        json_decref(joined);
        joined = longer;
    }
    return joined;
}

static void print_rows(const json_t *broadcast)
{
    AUTO(answer_drop) json_t *rows = json_deep_copy(json_object_get(broadcast, "rows"));
    if (json_array_size(rows) == 0)
        return;
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)(void)
        json_object_set_new(row, "made", join(json_object_get(row, "object_ids")));
    (void)putchar('\n');
    table_print(rows, row_columns);
}

static void print_who(const json_t *broadcast)
{
    print_line("author  ", answer_text(broadcast, "author"));
    print_line("approved", answer_text(broadcast, "approved_by"));
    print_line("publish.", answer_text(broadcast, "published_by"));
    print_line("cancel. ", answer_text(broadcast, "cancelled_by"));
    print_line("reason  ", answer_text(broadcast, "reason"));
}

/* Where the newest version is not the one that is out. */
static void print_public(const json_t *broadcast)
{
    json_int_t newest = json_integer_value(json_object_get(broadcast, "version"));
    json_int_t public = json_integer_value(json_object_get(broadcast, "published_version"));
    json_int_t scheduled = json_integer_value(json_object_get(broadcast, "scheduled_version"));
    if (public > 0 && public != newest)
        (void)printf("  PUBLIC: version %" JSON_INTEGER_FORMAT " is what people read\n", public);
    if (scheduled > 0)
        (void)printf("  scheduled: version %" JSON_INTEGER_FORMAT "\n", scheduled);
}

void broadcast_print(const json_t *broadcast, int64_t now_unix_ms)
{
    const json_t *content = json_object_get(broadcast, "content");
    const json_t *owed = json_object_get(content, "welsh_owed");
    AUTO(answer_drop) json_t *outlets = join(json_object_get(content, "outlets"));
    json_int_t replies = json_integer_value(json_object_get(broadcast, "replies"));
    (void)printf(
        "Broadcast %s, version %" JSON_INTEGER_FORMAT ", %s\n", answer_text(broadcast, "broadcast"),
        json_integer_value(json_object_get(broadcast, "version")), answer_text(broadcast, "state"));
    print_line("kind    ", answer_text(content, "kind"));
    print_line("road    ", answer_text(content, "road"));
    print_line("state   ", answer_text(content, "road_state"));
    print_public(broadcast);
    print_who(broadcast);
    print_when("starts  ", content, "starts_at_ms", now_unix_ms);
    print_when("expires ", content, "expires_at_ms", now_unix_ms);
    print_when("publish ", content, "publish_at_ms", now_unix_ms);
    print_area(json_object_get(content, "area"));
    print_line("incident", answer_text(content, "incident"));
    print_line("outlets ", json_string_value(outlets));
    if (owed) {
        print_line("WELSH OWED:", answer_text(owed, "reason"));
        print_when("        by", owed, "due_at_ms", now_unix_ms);
    }
    print_words("Cymraeg", json_object_get(content, "cy"));
    print_words("English", json_object_get(content, "en"));
    print_rows(broadcast);
    if (replies > 0)
        (void)printf("\n%" JSON_INTEGER_FORMAT " answered it\n", replies);
}

static void print_post(const json_t *post)
{
    const char *language = answer_text(post, "language");
    json_int_t most = json_integer_value(json_object_get(post, "max"));
    (void)printf("  %s%s%" JSON_INTEGER_FORMAT, language, *language ? ", " : "",
                 json_integer_value(json_object_get(post, "length")));
    if (most > 0)
        (void)printf(" of %" JSON_INTEGER_FORMAT, most);
    (void)putchar('\n');
    table_print_text(answer_text(post, "text"), 4);
}

void broadcast_print_similar(const json_t *similar)
{
    size_t index;
    const json_t *row;
    json_array_foreach(similar, index, row)
    {
        double likeness = json_number_value(json_object_get(row, "likeness"));
        const char *id =
            json_is_string(row) ? json_string_value(row) : answer_text(row, "broadcast");
        (void)printf("LIKE broadcast %s (%s): the same said again? (%.0f %%)\n", id,
                     answer_text(row, "state"), likeness * 100);
    }
}

void broadcast_print_preview(const json_t *preview)
{
    size_t index;
    const json_t *outlet;
    const json_t *problem;
    json_array_foreach(json_object_get(preview, "outlets"), index, outlet)
    {
        size_t at;
        const json_t *post;
        (void)printf("%s%s\n", index > 0 ? "\n" : "", answer_text(outlet, "outlet"));
        print_line("PROBLEM:", answer_text(outlet, "problem"));
        json_array_foreach(json_object_get(outlet, "posts"), at, post) print_post(post);
        if (at == 0 && *answer_text(outlet, "problem") == '\0')
            (void)puts("  all of it, in a document: no limit");
    }
    json_array_foreach(json_object_get(preview, "problems"), index, problem)
    {
        (void)printf("%sPROBLEM: ", index == 0 ? "\n" : "");
        table_print_text(json_string_value(problem) ? json_string_value(problem) : "?", 0);
    }
    broadcast_print_similar(json_object_get(preview, "similar"));
}
