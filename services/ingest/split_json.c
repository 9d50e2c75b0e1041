#include "ingest/split_json.h"

#include <stdlib.h>

#include "ingest/json_repair.h"

static const char *reason_of(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_stack_overflow:
        return "too-deep";
    case json_error_duplicate_key:
        return "key-twice";
    case json_error_premature_end_of_input:
        return "cut-short";
    default:
        return "not-json";
    }
}

/* jansson takes want of memory inside a string for bad syntax: a good body would pass for an
 * unreadable one. After a restart it is read again from the journal. */
static void *allocate_or_end(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory)
        abort();
    return memory;
}

void split_json_prepare(void)
{
    json_set_alloc_funcs(allocate_or_end, free);
}

json_t *split_json_read(struct builder *builder, const uint8_t *body, size_t length)
{
    struct repaired repaired;
    json_repair(body, length, &repaired);
    json_error_t error = { 0 };
    json_t *root = json_loadb(repaired.text, repaired.length, JSON_REJECT_DUPLICATES, &error);
    repaired_clear(&repaired);
    if (json_is_object(root))
        return root;
    builder_unreadable(builder, body, length, root ? "not-an-object" : reason_of(&error));
    json_decref(root);
    return NULL;
}

void split_json_free(json_t **root_p)
{
    json_decref(*root_p);
    *root_p = NULL;
}
