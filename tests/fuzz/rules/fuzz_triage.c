/* Text from the public, as bytes: always a verdict, its places inside the text, the same when asked
 * again. The first byte chooses the event's kind. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "triage/triage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules_text[] =
    "edition: \"2026-01-31\"\ncategory: test\nrules:\n"
    "  - {id: a.en, language: en, severity: urgent, weight: 0.5, phrases: [\"kill ... me\"],\n"
    "     unless: [\"film\"]}\n"
    "  - {id: b.en, language: en, severity: attention, weight: 0.5, phrases: [\"help*\", \"a\"]}\n"
    "  - {id: c.cy, language: cy, severity: review, weight: 0.5, phrases: [\"~cyllell\"]}\n";

static struct triage *make_triage(void)
{
    struct error err = { 0 };
    struct triage_options options = { .model = NULL };
    struct rule_edition *edition = calloc(1, sizeof *edition);
    assert(edition);
    edition->count = 1;
    edition->files[0].name = strdup("fuzz.yaml");
    edition->files[0].rules =
        rule_file_parse("fuzz.yaml", (const uint8_t *)rules_text, sizeof rules_text - 1, &err);
    assert(edition->files[0].rules);
    edition->rules_count = edition->files[0].rules->rules_count;
    struct rule_set *rules = rule_set_new(edition, &err);
    rule_edition_destroy(&edition);
    assert(rules);
    struct triage *triage = triage_new(&rules, &options, &err);
    assert(triage);
    return triage;
}

static void judge(struct triage *triage, int kind, const char *text, size_t length)
{
    struct verdict verdict;
    uint8_t first[VERDICT_PACKED_MAX_BYTES];
    uint8_t again[VERDICT_PACKED_MAX_BYTES];
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = (Desg__V1__EventKind)kind;
    event.text = (char *)text;
    event.raw = (ProtobufCBinaryData){ length, (uint8_t *)text };
    triage_judge(triage, &event, &verdict);
    assert(verdict.message.severity >= DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    assert(verdict.message.score >= 0 && verdict.message.score <= 1);
    for (size_t i = 0; i < verdict.message.n_reasons; i++) {
        const Desg__V1__Reason *reason = verdict.message.reasons[i];
        assert((size_t)reason->offset_bytes + reason->length_bytes <= strlen(text));
    }
    size_t bytes = desg__v1__verdict__pack(&verdict.message, first);
    triage_judge(triage, &event, &verdict);
    assert(desg__v1__verdict__pack(&verdict.message, again) == bytes);
    assert(memcmp(first, again, bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct triage
        *triage; /* compiled once for all inputs; libFuzzer has no end to free it at */
    if (size == 0)
        return 0;
    if (!triage)
        triage = make_triage();
    char *text = malloc(size);
    assert(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    judge(triage, data[0] % 16, text, size - 1);
    free(text);
    return 0;
}
