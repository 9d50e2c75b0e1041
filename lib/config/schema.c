#include "config/schema.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 160, LIST_BYTES = 256, SHOWN_BYTES = 40 };

static int check_value(const struct document *document, int node, const char *key,
                       const cyaml_schema_value_t *schema, struct error *err);

/* Refuses the value of node: "<place>: <key> <what>". */
static int __attribute__((format(printf, 5, 6)))
refuse(const struct document *document, int node, const char *key, struct error *err,
       const char *format, ...)
{
    char place[DOCUMENT_PLACE_BYTES];
    char what[sizeof err->text];
    document_place(document, node, place);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(err, ERROR_CONFIG, "%s: %s %s", place, key, what);
}

static const char *text_of(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* What a number of this key counts, by our naming rule that a name ends in its unit. */
static const struct {
    const char *suffix, *unit, *sample;
} units[] = {
    { "_ms", "milliseconds", "5000" }, { "_s", "seconds", "60" },
    { "_minutes", "minutes", "10" },   { "_hours", "hours", "72" },
    { "_days", "days", "30" },         { "_bytes", "bytes", "65536" },
    { "_mib", "mebibytes", "1024" },   { "", "a whole number", "8" },
};

static size_t unit_of(const char *key)
{
    size_t length = strlen(key);
    size_t i = 0;
    for (;; i++) {
        size_t suffix = strlen(units[i].suffix);
        if (length >= suffix && strcmp(key + length - suffix, units[i].suffix) == 0)
            return i;
    }
}

static bool is_decimal(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && strspn(text, "0123456789") == length && (length == 1 || *text != '0');
}

static uint64_t largest(const cyaml_schema_value_t *schema)
{
    unsigned bits = schema->data_size >= 8 ? 64 : schema->data_size * 8;
    if (schema->type == CYAML_INT)
        bits--;
    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* libcyaml takes "5s" for 5, "0x10" for 16 and "010" for 8: none of them is what anybody meant. */
static int check_integer(const struct document *document, int node, const char *key,
                         const cyaml_schema_value_t *schema, struct error *err)
{
    const char *text = text_of(document_node(document, node));
    bool is_negative = schema->type == CYAML_INT && *text == '-';
    const char *digits = is_negative ? text + 1 : text;
    uint64_t limit = largest(schema);
    size_t unit = unit_of(key);
    if (!is_decimal(digits))
        return refuse(document, node, key, err,
                      "'%.*s' is not a whole number: write %s, at most %llu, such as %s",
                      SHOWN_BYTES, text, units[unit].unit, (unsigned long long)limit,
                      units[unit].sample);
    errno = 0;
    unsigned long long value = strtoull(digits, NULL, 10);
    if (errno != 0 || value > limit)
        return refuse(document, node, key, err, "'%.*s' is too large: write %s, at most %llu",
                      SHOWN_BYTES, text, units[unit].unit, (unsigned long long)limit);
    return 0;
}

static int check_bool(const struct document *document, int node, const char *key, struct error *err)
{
    static const char *const words[] = { "true", "false", "yes", "no", "on", "off" };
    const char *text = text_of(document_node(document, node));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0)
            return 0;
    return refuse(document, node, key, err, "'%.*s' is neither: write true or false", SHOWN_BYTES,
                  text);
}

static int check_float(const struct document *document, int node, const char *key,
                       struct error *err)
{
    const char *text = text_of(document_node(document, node));
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || strspn(text, "+-.0123456789eE") != strlen(text))
        return refuse(document, node, key, err, "'%.*s' is not a number: write one such as 0.25",
                      SHOWN_BYTES, text);
    return 0;
}

static int check_word(const struct document *document, int node, const char *key,
                      const cyaml_schema_value_t *schema, struct error *err)
{
    const char *text = text_of(document_node(document, node));
    char list[LIST_BYTES] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < schema->enumeration.count; i++) {
        const char *word = schema->enumeration.strings[i].str;
        if (strcmp(text, word) == 0)
            return 0;
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", word);
    }
    return refuse(document, node, key, err, "'%.*s' is not known: write one of %s", SHOWN_BYTES,
                  text, list);
}

static int check_string(const struct document *document, int node, const char *key,
                        const cyaml_schema_value_t *schema, struct error *err)
{
    const yaml_node_t *found = document_node(document, node);
    size_t length = found->data.scalar.length;
    if (length != strlen(text_of(found)))
        return refuse(document, node, key, err, "has a NUL byte in it: remove it");
    if (length < schema->string.min)
        return refuse(document, node, key, err,
                      length == 0 ? "is empty: write text of %u to %u "
                                    "bytes"
                                  : "is too short: write %u to %u bytes",
                      schema->string.min, schema->string.max);
    if (length > schema->string.max)
        return refuse(document, node, key, err, "has %zu bytes: write at most %u", length,
                      schema->string.max);
    return 0;
}

static int check_entries(const struct document *document, int node, const char *key,
                         const cyaml_schema_value_t *schema, struct error *err)
{
    const yaml_node_t *found = document_node(document, node);
    const yaml_node_item_t *first = found->data.sequence.items.start;
    size_t count = (size_t)(found->data.sequence.items.top - first);
    if (count < schema->sequence.min || count > schema->sequence.max)
        return refuse(document, node, key, err, "has %zu entries: write %s %u", count,
                      count < schema->sequence.min ? "at least" : "at most",
                      count < schema->sequence.min ? schema->sequence.min : schema->sequence.max);
    for (size_t i = 0; i < count; i++) {
        char entry_key[KEY_BYTES];
        (void)snprintf(entry_key, sizeof entry_key, "%s[%zu]", key, i + 1);
        if (check_value(document, first[i], entry_key, schema->sequence.entry, err) != 0)
            return -1;
    }
    return 0;
}

static int check_flags(const struct document *document, int node, const char *key,
                       const cyaml_schema_value_t *schema, struct error *err)
{
    const yaml_node_t *found = document_node(document, node);
    for (const yaml_node_item_t *item = found->data.sequence.items.start;
         item < found->data.sequence.items.top; item++) {
        if (document_node(document, *item)->type != YAML_SCALAR_NODE)
            return refuse(document, *item, key, err, "has an entry that is not a word");
        if (check_word(document, *item, key, schema, err) != 0)
            return -1;
    }
    return 0;
}

/* The shape a type takes in YAML. */
static yaml_node_type_t shape_of(enum cyaml_type type)
{
    switch (type) {
    case CYAML_MAPPING:
    case CYAML_BITFIELD:
        return YAML_MAPPING_NODE;
    case CYAML_SEQUENCE:
    case CYAML_SEQUENCE_FIXED:
    case CYAML_FLAGS:
        return YAML_SEQUENCE_NODE;
    default:
        return YAML_SCALAR_NODE;
    }
}

static int check_shape(const struct document *document, int node, const char *key,
                       yaml_node_type_t wanted, struct error *err)
{
    const yaml_node_t *found = document_node(document, node);
    if (found->type == wanted)
        return 0;
    bool is_empty = found->type == YAML_SCALAR_NODE && found->data.scalar.length == 0;
    const char *was = is_empty                            ? "is empty"
                      : found->type == YAML_SCALAR_NODE   ? "is a single value"
                      : found->type == YAML_SEQUENCE_NODE ? "is a list"
                                                          : "is a group of keys";
    const char *remedy = wanted == YAML_SCALAR_NODE     ? "a single value"
                         : wanted == YAML_SEQUENCE_NODE ? "a list, such as [a, b], or [] for none"
                                                        : "keys below it, or { key: value }";
    return refuse(document, node, key, err, "%s: write %s", was, remedy);
}

static bool is_null(const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
    bool may_be = (schema->flags & CYAML_FLAG_POINTER_NULL & ~CYAML_FLAG_POINTER) != 0;
    return may_be && node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0;
}

static int check_value(const struct document *document, int node, const char *key,
                       const cyaml_schema_value_t *schema, struct error *err)
{
    if (schema->type == CYAML_IGNORE || is_null(document_node(document, node), schema))
        return 0;
    if (check_shape(document, node, key, shape_of(schema->type), err) != 0)
        return -1;
    switch (schema->type) {
    case CYAML_INT:
    case CYAML_UINT:
        return check_integer(document, node, key, schema, err);
    case CYAML_BOOL:
        return check_bool(document, node, key, err);
    case CYAML_FLOAT:
        return check_float(document, node, key, err);
    case CYAML_ENUM:
        return check_word(document, node, key, schema, err);
    case CYAML_FLAGS:
        return check_flags(document, node, key, schema, err);
    case CYAML_STRING:
        return check_string(document, node, key, schema, err);
    case CYAML_MAPPING:
        return schema_check(document, node, key, schema->mapping.fields, err);
    case CYAML_SEQUENCE:
    case CYAML_SEQUENCE_FIXED:
        return check_entries(document, node, key, schema, err);
    default:
        return 0; /* left to libcyaml */
    }
}

void schema_list_keys(const cyaml_schema_field_t *fields, char *out, size_t out_bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (const cyaml_schema_field_t *field = fields; field->key && used < out_bytes; field++)
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", field == fields ? "" : ", ",
                                 field->key);
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const char *key)
{
    for (; fields->key; fields++)
        if (strcmp(fields->key, key) == 0)
            return fields;
    return NULL;
}

static int check_name(const struct document *document, const yaml_node_pair_t *pair, int mapping,
                      const char *key, const cyaml_schema_field_t *fields, struct error *err)
{
    const yaml_node_t *name = document_node(document, pair->key);
    if (name->type != YAML_SCALAR_NODE)
        return refuse(document, pair->key, key, err, "has a key that is not a word");
    if (!find_field(fields, text_of(name))) {
        char list[LIST_BYTES];
        schema_list_keys(fields, list, sizeof list);
        return refuse(document, pair->key, key, err, "has no key '%.*s': write one of %s",
                      SHOWN_BYTES, text_of(name), list);
    }
    if (document_find(document, mapping, text_of(name)) != pair->value)
        return refuse(document, pair->key, key, err, "has '%s' twice: remove one", text_of(name));
    return 0;
}

static int check_names(const struct document *document, int mapping, const char *key,
                       const cyaml_schema_field_t *fields, struct error *err)
{
    const yaml_node_t *node = document_node(document, mapping);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++)
        if (check_name(document, pair, mapping, key, fields, err) != 0)
            return -1;
    return 0;
}

int schema_check(const struct document *document, int mapping, const char *key,
                 const cyaml_schema_field_t *fields, struct error *err)
{
    if (check_shape(document, mapping, key, YAML_MAPPING_NODE, err) != 0 ||
        check_names(document, mapping, key, fields, err) != 0)
        return -1;
    for (const cyaml_schema_field_t *field = fields; field->key; field++) {
        char field_key[KEY_BYTES];
        (void)snprintf(field_key, sizeof field_key, "%s.%s", key, field->key);
        int value = document_find(document, mapping, field->key);
        if (value && check_value(document, value, field_key, &field->value, err) != 0)
            return -1;
        if (!value && field->value.type != CYAML_IGNORE &&
            (field->value.flags & CYAML_FLAG_OPTIONAL) == 0)
            return refuse(document, mapping, field_key, err, "is missing: write %s: below %s",
                          field->key, key);
    }
    return 0;
}
