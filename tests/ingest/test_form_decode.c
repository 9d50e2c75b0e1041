#include "ingest/form_decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void reads_fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *json;
    } cases[] = {
        { "", "{}" },
        { "a=1&b=2", "{\"a\":\"1\",\"b\":\"2\"}" },
        { "a=b=c", "{\"a\":\"b=c\"}" },
        { "a", "{\"a\":\"\"}" },
        { "a=&&b=", "{\"a\":\"\",\"b\":\"\"}" },
        { "=x", "{\"\":\"x\"}" },
        { "a=%41+%2b", "{\"a\":\"A +\"}" },
        { "a%3d=1", "{\"a=\":\"1\"}" },
        { "a=%", "{\"a\":\"%\"}" },
        { "a=%4", "{\"a\":\"%4\"}" },
        { "a=%zz", "{\"a\":\"%zz\"}" },
        { "a=%00", "{\"a\":\"\xef\xbf\xbd\"}" },
        { "a=%c5%b5", "{\"a\":\"ŵ\"}" },
        { "a=%c5", "{\"a\":\"\xef\xbf\xbd\"}" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *fields = form_decode((const uint8_t *)cases[i].body, strlen(cases[i].body));
        assert_non_null(fields);
        char *json = json_dumps(fields, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(json, cases[i].json);
        free(json);
        json_decref(fields);
    }
}

static void refuses_a_name_twice_and_too_many(void **state)
{
    (void)state;
    assert_null(form_decode((const uint8_t *)"a=1&%61=2", 9));
    char body[(FORM_FIELDS_MAX + 1) * 8];
    size_t length = 0;
    for (int i = 0; i <= FORM_FIELDS_MAX; i++)
        length += (size_t)snprintf(body + length, sizeof body - length, "f%d&", i);
    assert_null(form_decode((const uint8_t *)body, length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fields),
        cmocka_unit_test(refuses_a_name_twice_and_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
