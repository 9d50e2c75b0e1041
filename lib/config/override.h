/* override - keys of the configuration set from the environment: DESG_<PART>_<KEY>, keys of nested
 * groups joined with '_', such as DESG_INGEST_JOURNAL_SIZE_MIB for ingest.journal.size_mib. Single
 * values, and lists of them with commas between; lists of groups stay in the file. */
#ifndef DESG_CONFIG_OVERRIDE_H
#define DESG_CONFIG_OVERRIDE_H

#include <cyaml/cyaml.h>

#include "config/document.h"
#include "error/error.h"

/* Puts what the environment says for part into the document's mapping of that name. The values are
 * not checked here: schema_check() does, and names the variable. */
int override_part(struct document *document, const char *part, const cyaml_schema_field_t *fields,
                  struct error *err) MUST_USE;

#endif
