#include "cli/broadcast_file.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "cli/answer.h"
#include "cli/time_word.h"

enum { PLACE_BYTES = 300, NAME_BYTES = 120, POINTS_MAX = 500, LIST_MAX = 64 };

/* --- what a broadcast has: decides how an unquoted word of YAML is read --- */

/* PASSED: filled in by desk; a broadcast that desk showed may be handed back as it is. */
enum kind { TEXT, NUMBER, WHOLE, TRUTH, WHEN, WORDS, POINTS, GROUP, PASSED };

struct member {
    const char *key;
    const struct member *members; /* GROUP, POINTS: of each */
    enum kind kind;
    bool may_be_past; /* WHEN */
};

static const struct member point_members[] = {
    { "latitude", NULL, NUMBER, false },
    { "longitude", NULL, NUMBER, false },
    { NULL, NULL, TEXT, false },
};
static const struct member words_members[] = {
    { "headline", NULL, TEXT, false },    { "text", NULL, TEXT, false },
    { "instruction", NULL, TEXT, false }, { "area", NULL, TEXT, false },
    { "ended", NULL, TEXT, false },       { NULL, NULL, TEXT, false },
};
static const struct member area_members[] = {
    { "polygon", point_members, POINTS, false },
    { "centre", point_members, GROUP, false },
    { "radius_km", NULL, NUMBER, false },
    { NULL, NULL, TEXT, false },
};
static const struct member owed_members[] = {
    { "by", NULL, TEXT, false },         { "reason", NULL, TEXT, false },
    { "due_at_ms", NULL, WHOLE, false }, { "due_at", NULL, WHEN, false },
    { NULL, NULL, TEXT, false },
};
static const struct member members[] = {
    { "kind", NULL, TEXT, false },
    { "en", words_members, GROUP, false },
    { "cy", words_members, GROUP, false },
    { "area", area_members, GROUP, false },
    { "starts_at_ms", NULL, WHOLE, false },
    { "starts_at", NULL, WHEN, true },
    { "expires_at_ms", NULL, WHOLE, false },
    { "expires_at", NULL, WHEN, false },
    { "publish_at_ms", NULL, WHOLE, false },
    { "publish_at", NULL, WHEN, false },
    { "outlets", NULL, WORDS, false },
    { "road", NULL, TEXT, false },
    { "road_state", NULL, TEXT, false },
    { "urgency", NULL, TEXT, false },
    { "severity", NULL, TEXT, false },
    { "certainty", NULL, TEXT, false },
    { "welsh_owed", owed_members, GROUP, false },
    { "says_ended", NULL, TRUTH, false },
    { "may_thread", NULL, TRUTH, false },
    { "incident", NULL, TEXT, false },
    { "id", NULL, PASSED, false },
    { "version", NULL, PASSED, false },
    { "author", NULL, PASSED, false },
    { "written_at_ms", NULL, PASSED, false },
    { "earlier_ms", NULL, PASSED, false },
    { NULL, NULL, TEXT, false },
};

static const struct member *find_member(const struct member *table, const char *key)
{
    for (; table->key; table++)
        if (strcmp(table->key, key) == 0)
            return table;
    return NULL;
}

/* What somebody called a member, fit for a terminal. */
static void printable(const char *text, char out[static NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%.60s", text);
    for (char *c = out; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

/* --- YAML --- */

struct reading {
    const char *name;
    yaml_document_t *yaml;
};

static json_t *wrong(const struct reading *self, const yaml_node_t *node, const char *what,
                     const char *remedy, struct error *err)
{
    char shown[NAME_BYTES];
    printable(what, shown);
    (void)error_set(err, ERROR_INVALID, "%s:%zu:%zu: %s: %s", self->name, node->start_mark.line + 1,
                    node->start_mark.column + 1, shown, remedy);
    return NULL;
}

static json_t *read_number(const struct reading *self, const yaml_node_t *node, const char *key,
                           bool is_whole, struct error *err)
{
    const char *text = (const char *)node->data.scalar.value;
    char *end = NULL;
    errno = 0;
    if (is_whole) {
        long long number = strtoll(text, &end, 10);
        if (end != text && *end == '\0' && errno == 0)
            return json_integer(number);
        return wrong(self, node, key, "write a whole number", err);
    }
    double number = strtod(text, &end);
    if (end != text && *end == '\0' && isfinite(number))
        return json_real(number);
    return wrong(self, node, key, "write a number such as 51.82", err);
}

/* Said to be left out. */
static bool is_nothing(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = (const char *)node->data.scalar.value;
    return *text == '\0' || strcmp(text, "null") == 0 || strcmp(text, "~") == 0;
}

static json_t *read_scalar(const struct reading *self, const yaml_node_t *node,
                           const struct member *member, struct error *err)
{
    const char *text = (const char *)node->data.scalar.value;
    if (member->kind == NUMBER || member->kind == WHOLE)
        return read_number(self, node, member->key, member->kind == WHOLE, err);
    if (member->kind == TRUTH) {
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            return json_boolean(text[0] == 't');
        return wrong(self, node, member->key, "write true or false", err);
    }
    json_t *value = json_stringn(text, node->data.scalar.length);
    return value ? value : wrong(self, node, member->key, "write it in UTF-8", err);
}

static json_t *read_group(const struct reading *self, const yaml_node_t *node, const char *what,
                          const struct member *table, struct error *err);

static const yaml_node_t *item_at(const struct reading *self, const yaml_node_t *list, size_t at)
{
    return yaml_document_get_node(self->yaml, list->data.sequence.items.start[at]);
}

static json_t *read_list(const struct reading *self, const yaml_node_t *node,
                         const struct member *member, struct error *err)
{
    static const struct member word = { "outlets", NULL, TEXT, false };
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count > (member->kind == POINTS ? POINTS_MAX : LIST_MAX))
        return wrong(self, node, member->key, "too many of them", err);
    AUTO(answer_drop) json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = item_at(self, node, i);
        json_t *value = NULL;
        if (member->kind == POINTS && item->type == YAML_MAPPING_NODE)
            value = read_group(self, item, member->key, member->members, err);
        else if (member->kind == WORDS && item->type == YAML_SCALAR_NODE)
            value = read_scalar(self, item, &word, err);
        else
            value = wrong(self, item, member->key,
                          member->kind == POINTS ? "write { latitude: …, longitude: … }"
                                                 : "write a name",
                          err);
        if (!value)
            return NULL;
        (void)json_array_append_new(list, value);
    }
    return json_incref(list);
}

static json_t *read_value(const struct reading *self, const yaml_node_t *node,
                          const struct member *member, struct error *err)
{
    bool is_list = member->kind == WORDS || member->kind == POINTS;
    if (is_nothing(node))
        return json_null();
    if (node->type == YAML_SCALAR_NODE && member->kind != GROUP && !is_list)
        return read_scalar(self, node, member, err);
    if (node->type == YAML_SEQUENCE_NODE && is_list)
        return read_list(self, node, member, err);
    if (node->type == YAML_MAPPING_NODE && member->kind == GROUP)
        return read_group(self, node, member->key, member->members, err);
    return wrong(self, node, member->key,
                 is_list                 ? "write a list"
                 : member->kind == GROUP ? "write members of it below, indented"
                                         : "write one word or text; put it in quotes if it has : "
                                           "or # in it",
                 err);
}

static json_t *read_group(const struct reading *self, const yaml_node_t *node, const char *what,
                          const struct member *table, struct error *err)
{
    AUTO(answer_drop) json_t *object = json_object();
    if (node->type != YAML_MAPPING_NODE)
        return wrong(self, node, what, "write members, such as kind: advice", err);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(self->yaml, pair->key);
        const char *name = key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value
                                                         : "a list or group as a name";
        const struct member *member = find_member(table, name);
        if (!member || key->type != YAML_SCALAR_NODE)
            return wrong(self, key, name, "is not known: see desg broadcast --help", err);
        if (member->kind == PASSED)
            continue;
        if (json_object_get(object, name))
            return wrong(self, key, name, "is there twice: write it once", err);
        json_t *value =
            read_value(self, yaml_document_get_node(self->yaml, pair->value), member, err);
        if (!value)
            return NULL;
        (void)json_object_set_new(object, name, value);
    }
    return json_incref(object);
}

static json_t *not_yaml(const char *name, const yaml_parser_t *parser, struct error *err)
{
    if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
        (void)error_set(err, ERROR_SYSTEM, "%s: no memory to read it", name);
    else if (parser->error == YAML_READER_ERROR)
        (void)error_set(err, ERROR_INVALID, "%s: byte %zu: %s: write the file in UTF-8", name,
                        parser->problem_offset, parser->problem);
    else
        (void)error_set(err, ERROR_INVALID,
                        "%s:%zu:%zu: not YAML: %s: put texts with : or # in quotes; check the "
                        "indentation (spaces, never tabs) and the line before",
                        name, parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                        parser->problem);
    return NULL;
}

static json_t *parse_yaml(const char *name, const char *text, size_t length, struct error *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    json_t *value = NULL;
    if (!yaml_parser_initialize(&parser)) {
        (void)error_set(err, ERROR_SYSTEM, "%s: no memory to read it", name);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    if (!yaml_parser_load(&parser, &document)) {
        value = not_yaml(name, &parser, err);
        yaml_parser_delete(&parser);
        return value;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    const struct reading reading = { .name = name, .yaml = &document };
    if (root)
        value = read_group(&reading, root, "a broadcast", members, err);
    else
        (void)error_set(err, ERROR_INVALID, "%s: is empty: see desg broadcast --help", name);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return value;
}

/* --- JSON --- */

static int check_names(const char *name, const json_t *object, const struct member *table,
                       struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        const struct member *member = find_member(table, key);
        char shown[NAME_BYTES];
        printable(key, shown);
        if (!member)
            return error_set(err, ERROR_INVALID, "%s: %s: is not known: see desg broadcast --help",
                             name, shown);
        if (member->kind == GROUP && json_is_object(value) &&
            check_names(name, value, member->members, err) != 0)
            return -1;
    }
    return 0;
}

static json_t *parse_json(const char *name, const char *text, size_t length, struct error *err)
{
    json_error_t problem;
    AUTO(answer_drop) json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (!value) {
        (void)error_set(err, ERROR_INVALID, "%s:%d:%d: not JSON: %s", name, problem.line,
                        problem.column, problem.text);
        return NULL;
    }
    if (check_names(name, value, members, err) != 0)
        return NULL;
    for (const struct member *member = members; member->key; member++)
        if (member->kind == PASSED)
            (void)json_object_del(value, member->key);
    return json_incref(value);
}

/* --- both --- */

/* expires_at: 3h → expires_at_ms. */
static int resolve_times(const char *name, json_t *object, const struct member *table,
                         int64_t now_unix_ms, struct error *err)
{
    for (; table->key; table++) {
        json_t *value = json_object_get(object, table->key);
        if (table->kind == GROUP && json_is_object(value) &&
            resolve_times(name, value, table->members, now_unix_ms, err) != 0)
            return -1;
        if (table->kind != WHEN || !value)
            continue;
        char key[NAME_BYTES];
        struct error why = { 0 };
        int64_t at_ms = 0;
        (void)snprintf(key, sizeof key, "%s_ms", table->key);
        if (json_object_get(object, key))
            return error_set(err, ERROR_INVALID, "%s: %s and %s: write one of them", name,
                             table->key, key);
        if (json_is_null(value)) {
            (void)json_object_del(object, table->key);
            continue;
        }
        if (!json_is_string(value))
            return error_set(err, ERROR_INVALID, "%s: %s: write a time such as 18:30 or 3h", name,
                             table->key);
        if (time_word_ahead(json_string_value(value), now_unix_ms, table->may_be_past, &at_ms,
                            &why) != 0)
            return error_set(err, ERROR_INVALID, "%s: %s: %s", name, table->key, why.text);
        (void)json_object_del(object, table->key);
        (void)json_object_set_new(object, key, json_integer(at_ms));
    }
    return 0;
}

json_t *broadcast_file_parse(const char *name, const char *text, size_t length, int64_t now_unix_ms,
                             struct error *err)
{
    assert(name && text && err);
    size_t first = 0;
    while (first < length && strchr(" \t\r\n", text[first]))
        first++;
    bool is_json = first < length && text[first] == '{';
    AUTO(answer_drop)
    json_t *value =
        is_json ? parse_json(name, text, length, err) : parse_yaml(name, text, length, err);
    if (!value || resolve_times(name, value, members, now_unix_ms, err) != 0)
        return NULL;
    return json_incref(value);
}

json_t *broadcast_file_read(const char *path, int64_t now_unix_ms, struct error *err)
{
    assert(path && err);
    bool is_input = strcmp(path, "-") == 0;
    const char *name = is_input ? "standard input" : path;
    FILE *file = is_input ? stdin : fopen(path, "re");
    char *text = malloc(BROADCAST_FILE_MAX_BYTES + 1);
    json_t *value = NULL;
    if (!file || !text) {
        (void)error_set(err, ERROR_INVALID, "%s: cannot be read: %s", name, strerror(errno));
    } else {
        size_t length = fread(text, 1, BROADCAST_FILE_MAX_BYTES + 1, file);
        if (ferror(file))
            (void)error_set(err, ERROR_INVALID, "%s: cannot be read: %s", name, strerror(errno));
        else if (length > BROADCAST_FILE_MAX_BYTES)
            (void)error_set(err, ERROR_INVALID, "%s: has over %d bytes: no broadcast is that long",
                            name, BROADCAST_FILE_MAX_BYTES);
        else
            value = broadcast_file_parse(name, text, length, now_unix_ms, err);
    }
    if (file && !is_input)
        (void)fclose(file);
    free(text);
    return value;
}
