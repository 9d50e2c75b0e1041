/* bench_triage - what a verdict costs beside Hyperscan alone on the same text (normalised before
 * the clock starts). The two take turns, message by message sets of all texts.
 *
 * --rules DIRECTORY --cache FILE --texts FILE --seconds S: prints JSON.
 * --severities instead of --seconds: prints each text's severity, one number a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"
#include "triage/normalise.h"
#include "triage/triage.h"

struct bench {
    struct triage *triage;
    const struct pattern_db *patterns;
    struct pattern_scratch *scratch;
    struct texts texts;
    Desg__V1__Event *events;
    char **normalised;
    size_t *normalised_bytes;
    uint64_t hits;
};

static bool on_hit(void *arg, uint32_t pattern, size_t from, size_t to)
{
    (void)pattern;
    (void)from;
    (void)to;
    struct bench *self = arg;
    self->hits++;
    return true;
}

static void normalise_all(struct bench *self, struct error *err)
{
    struct normalised *window = normalised_new(err);
    for (size_t i = 0; window && i < self->texts.count; i++) {
        (void)normalise(window, self->texts.text[i], strlen(self->texts.text[i]), 0,
                        NORMALISE_RUNS_TWO);
        self->normalised[i] = strdup(window->text);
        self->normalised_bytes[i] = window->length;
    }
    normalised_destroy(&window);
}

static void open_bench(struct bench *self, int argc, char **argv)
{
    struct error err = { 0 };
    const struct triage_options options = { 0 };
    struct rule_set *rules = rule_set_load(option_text(argc, argv, "--rules", ""),
                                           option_text(argc, argv, "--cache", NULL), &err);
    texts_load(&self->texts, option_text(argc, argv, "--texts", ""));
    self->events = calloc(self->texts.count, sizeof *self->events);
    self->normalised = calloc(self->texts.count, sizeof *self->normalised);
    self->normalised_bytes = calloc(self->texts.count, sizeof *self->normalised_bytes);
    if (rules)
        self->triage = triage_new(&rules, &options, &err);
    if (!self->triage || !self->events || !self->normalised || !self->normalised_bytes)
        give_up("cannot load the rules: %s", err.text);
    self->patterns = rule_set_patterns(triage_rules(self->triage));
    self->scratch = pattern_scratch_new(self->patterns, &err);
    normalise_all(self, &err);
    if (!self->scratch || err.kind != ERROR_NONE)
        give_up("cannot scan: %s", err.text);
    for (size_t i = 0; i < self->texts.count; i++) {
        self->events[i] = (Desg__V1__Event)DESG__V1__EVENT__INIT;
        self->events[i].kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
        self->events[i].channel = (char *)"facebook";
        self->events[i].text = (char *)self->texts.text[i];
    }
}

static void say_severities(struct bench *self)
{
    struct verdict verdict;
    for (size_t i = 0; i < self->texts.count; i++) {
        triage_judge(self->triage, &self->events[i], &verdict);
        (void)printf("%d\n", (int)verdict.message.severity);
    }
}

static void judge_all(struct bench *self)
{
    struct verdict verdict;
    for (size_t i = 0; i < self->texts.count; i++)
        triage_judge(self->triage, &self->events[i], &verdict);
}

static void scan_all(struct bench *self)
{
    struct error err = { 0 };
    for (size_t i = 0; i < self->texts.count; i++)
        if (pattern_db_find(self->patterns, self->scratch, self->normalised[i],
                            self->normalised_bytes[i], on_hit, self, &err) != 0)
            give_up("%s", err.text);
}

static void measure(struct bench *self, double seconds)
{
    int64_t until_ns = now_ns() + (int64_t)(seconds * 1e9);
    int64_t judged_ns = 0;
    int64_t scanned_ns = 0;
    size_t messages = 0;
    size_t text_bytes = 0;
    for (size_t i = 0; i < self->texts.count; i++)
        text_bytes += strlen(self->texts.text[i]);
    for (int64_t at_ns = now_ns(); at_ns < until_ns; messages += self->texts.count) {
        judge_all(self);
        int64_t between_ns = now_ns();
        scan_all(self);
        judged_ns += between_ns - at_ns;
        scanned_ns += now_ns() - between_ns;
        at_ns = now_ns();
    }
    (void)printf(
        "{\"messages\": %zu, \"triage_us\": %.3f, \"hyperscan_us\": %.3f, "
        "\"text_bytes\": %.0f, \"patterns\": %zu, \"hits_per_message\": %.2f}\n",
        messages, (double)judged_ns / 1e3 / (double)messages,
        (double)scanned_ns / 1e3 / (double)messages, (double)text_bytes / (double)self->texts.count,
        rule_set_pattern_count(triage_rules(self->triage)), (double)self->hits / (double)messages);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    open_bench(&bench, argc, argv);
    if (option_is_set(argc, argv, "--severities"))
        say_severities(&bench);
    else
        measure(&bench, option_number(argc, argv, "--seconds", 1));
    for (size_t i = 0; i < bench.texts.count; i++)
        free(bench.normalised[i]);
    free(bench.normalised);
    free(bench.normalised_bytes);
    free(bench.events);
    texts_clear(&bench.texts);
    pattern_scratch_destroy(&bench.scratch);
    triage_destroy(&bench.triage);
    return EXIT_SUCCESS;
}
