/* Rule files as bytes: refused with a reason or taken; what is taken compiles to expressions. The
 * pattern compiler itself is left out: it takes its time and never sees what the public sends. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "triage/phrase.h"
#include "triage/rule_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compile_all(const struct rule_source *rule)
{
    char expression[PHRASE_REGEX_BYTES];
    for (unsigned i = 0; i < rule->phrases_count; i++) {
        struct error err = { 0 };
        int rc =
            phrase_compile(rule->phrases[i], rule->language == RULE_LANGUAGE_CY, expression, &err);
        assert(rc == 0); /* the file was checked */
        size_t length = strlen(expression);
        assert(length > 2 && expression[0] == ' ' && expression[length - 1] == ' ');
        for (const char *end = expression; (end = strchr(end, PHRASE_PART_END)) != NULL; end++)
            assert(end[-1] == ' ' && end[1] >= '1' && end[1] <= '9' && end[2] == ' ');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct rule_file *file = rule_file_parse("fuzz.yaml", data, size, &err);
    assert((file != NULL) == (err.kind == ERROR_NONE));
    for (unsigned i = 0; file && i < file->rules_count; i++)
        compile_all(&file->rules[i]);
    rule_file_destroy(&file);
    return 0;
}
