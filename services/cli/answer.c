#include "cli/answer.h"

void answer_drop(json_t **value_p)
{
    json_decref(*value_p);
    *value_p = NULL;
}

const char *answer_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
