/* Rule files as bytes: refused with a reason or taken; what is taken compiles, and looks through a
 * text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "triage/rule_edition.h"
#include "triage/rule_file.h"
#include "triage/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct rule_set *rules)
{
    static const char text[] = "he haaaas a knife, mae ganddo gyllell \xF0\x9F\x94\xAA 999 now";
    struct error err = { 0 };
    struct scan scan;
    struct scanner *scanner = scanner_new(rules, &err);
    assert(scanner);
    scanner_scan(scanner, text, sizeof text - 1, &scan);
    for (size_t i = 0; i < scan.hit_count; i++)
        assert(scan.hits[i].offset_bytes + scan.hits[i].length_bytes < sizeof text);
    scanner_destroy(&scanner);
}

/* Takes over file. */
static void compile(struct rule_file *file)
{
    struct error err = { 0 };
    struct rule_edition *edition = calloc(1, sizeof *edition);
    assert(edition);
    edition->count = 1;
    edition->files[0].name = strdup("fuzz.yaml");
    edition->files[0].rules = file;
    edition->rules_count = file->rules_count;
    struct rule_set *rules = file->rules_count > 0 ? rule_set_new(edition, &err) : NULL;
    if (rules)
        look(rules);
    else /* such as a guard that is not known */
        assert(file->rules_count == 0 || err.kind == ERROR_CONFIG);
    rule_set_destroy(&rules);
    rule_edition_destroy(&edition);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct rule_file *file = rule_file_parse("fuzz.yaml", data, size, &err);
    assert((file != NULL) == (err.kind == ERROR_NONE));
    if (file)
        compile(file);
    return 0;
}
