/* Whatever is in a file: a broadcast of known members, or a refusal that says why. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/broadcast_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    json_t *value = broadcast_file_parse("file", (const char *)data, size, 1770831720000, &err);
    if (!value) {
        assert(err.kind != ERROR_NONE && err.text[0] != '\0');
        return 0;
    }
    char *text = json_dumps(value, JSON_COMPACT);
    assert(json_is_object(value) && text);
    assert(!json_object_get(value, "expires_at") && !json_object_get(value, "id"));
    free(text);
    json_decref(value);
    return 0;
}
