#include "config/override.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VARIABLE_BYTES = 96, DEPTH_MAX = 4 };

/* The way from the root to a group of keys. */
struct way {
    const char *keys[DEPTH_MAX];
    size_t depth;
};

static bool is_single(enum cyaml_type type)
{
    return type == CYAML_INT || type == CYAML_UINT || type == CYAML_BOOL || type == CYAML_FLOAT ||
           type == CYAML_ENUM || type == CYAML_STRING;
}

static bool is_list_of_single(const cyaml_schema_value_t *value)
{
    return value->type == CYAML_SEQUENCE && is_single(value->sequence.entry->type);
}

/* prefix_KEY in capitals into out; false if it does not fit. */
static bool name_variable(const char *prefix, const char *key, char out[static VARIABLE_BYTES])
{
    int length = snprintf(out, VARIABLE_BYTES, "%s_%s", prefix, key);
    for (char *c = out; *c; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
        else if (*c == '-')
            *c = '_';
    }
    return length > 0 && length < VARIABLE_BYTES;
}

static int set(struct document *document, const struct way *way, const cyaml_schema_field_t *field,
               const char *variable, const char *value, struct error *err)
{
    int mapping = document_root(document);
    for (size_t i = 0; i < way->depth; i++) {
        mapping = document_child(document, mapping, way->keys[i]);
        if (!mapping)
            return error_set(err, ERROR_CONFIG,
                             "%s: cannot be set, because %s: is not a group of keys in %s",
                             variable, way->keys[i], document->path);
    }
    return is_single(field->value.type)
               ? document_override(document, mapping, field->key, value, variable, err)
               : document_override_list(document, mapping, field->key, value, variable, err);
}

static int override_group(struct document *document, const struct way *way, const char *prefix,
                          const cyaml_schema_field_t *fields, struct error *err)
{
    for (; fields->key; fields++) {
        char variable[VARIABLE_BYTES];
        if (!name_variable(prefix, fields->key, variable))
            continue;
        if (fields->value.type == CYAML_MAPPING && way->depth < DEPTH_MAX) {
            struct way below = *way;
            below.keys[below.depth++] = fields->key;
            if (override_group(document, &below, variable, fields->value.mapping.fields, err) != 0)
                return -1;
            continue;
        }
        const char *value = getenv(variable); /* once, at start, before there are threads */
        if (!value)
            continue;
        if (!is_single(fields->value.type) && !is_list_of_single(&fields->value))
            return error_set(err, ERROR_CONFIG,
                             "%s: is a list of groups: write it in %s; only single values and "
                             "lists of them can be set from the environment",
                             variable, document->path);
        if (set(document, way, fields, variable, value, err) != 0)
            return -1;
    }
    return 0;
}

int override_part(struct document *document, const char *part, const cyaml_schema_field_t *fields,
                  struct error *err)
{
    char prefix[VARIABLE_BYTES];
    if (!name_variable("DESG", part, prefix))
        return 0;
    const struct way way = { .keys = { part }, .depth = 1 };
    return override_group(document, &way, prefix, fields, err);
}
