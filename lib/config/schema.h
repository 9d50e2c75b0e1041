/* schema - checks a configuration's tree against libcyaml schemas, strictly, before libcyaml reads
 * it: every mistake is named with file, line, column, key and what to write instead. */
#ifndef DESG_CONFIG_SCHEMA_H
#define DESG_CONFIG_SCHEMA_H

#include <cyaml/cyaml.h>

#include "config/document.h"
#include "error/error.h"

/* Checks the mapping node, called key in messages, and all below it. Refuses with ERROR_CONFIG keys
 * that are unknown, missing or given twice, and values of the wrong type, length or range. */
int schema_check(const struct document *document, int mapping, const char *key,
                 const cyaml_schema_field_t *fields, struct error *err) MUST_USE;

/* "a, b, c" of the fields' keys, cut to fit. */
void schema_list_keys(const cyaml_schema_field_t *fields, char *out, size_t out_bytes);

#endif
