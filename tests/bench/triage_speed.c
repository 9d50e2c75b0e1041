/* bench_triage - what a verdict costs beside Hyperscan alone, looking for the same phrases in the
 * same text (normalised before the clock starts). The two take turns, by sets of all texts.
 *
 * --rules DIRECTORY [--model FILE] --texts FILE --seconds S [--peer]: prints JSON; the peer takes
 * long to compile.
 * --severities instead of --seconds: prints each text's severity, one number a line.
 * --sketch: prints what the sketch in each verdict costs, as JSON.
 * --memory: judges all once and prints the most memory the process had, KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bare_patterns.h"
#include "figures.h"
#include "triage/model_file.h"
#include "triage/normalise.h"
#include "triage/sketch.h"
#include "triage/triage.h"

struct bench {
    struct triage *triage;
    struct model_file *model;       /* NULL: rules alone */
    struct bare_patterns *patterns; /* NULL with --severities */
    struct texts texts;
    Desg__V1__Event *events;
    char **normalised;
    size_t *normalised_bytes;
    uint64_t hits;
};

static void normalise_all(struct bench *self, struct error *err)
{
    struct normalised *window = normalised_new(err);
    for (size_t i = 0; window && i < self->texts.count; i++) {
        (void)normalise(window, self->texts.text[i], strlen(self->texts.text[i]), 0);
        self->normalised[i] = strdup(window->text);
        self->normalised_bytes[i] = window->length;
    }
    normalised_destroy(&window);
}

static void open_bench(struct bench *self, int argc, char **argv)
{
    struct error err = { 0 };
    struct triage_options options = { 0 };
    const char *model_path = option_text(argc, argv, "--model", "");
    if (model_path[0] != '\0') {
        self->model = model_file_load(model_path, &err);
        if (!self->model)
            give_up("%s", err.text);
        options.model = model_file_model(self->model);
    }
    const char *directory = option_text(argc, argv, "--rules", "");
    struct rule_set *rules = rule_set_load(directory, &err);
    texts_load(&self->texts, option_text(argc, argv, "--texts", ""));
    self->events = calloc(self->texts.count, sizeof *self->events);
    self->normalised = calloc(self->texts.count, sizeof *self->normalised);
    self->normalised_bytes = calloc(self->texts.count, sizeof *self->normalised_bytes);
    if (rules)
        self->triage = triage_new(&rules, &options, &err);
    if (!self->triage || !self->events || !self->normalised || !self->normalised_bytes)
        give_up("cannot load the rules: %s", err.text);
    if (option_is_set(argc, argv, "--peer"))
        self->patterns = bare_patterns_new(directory);
    normalise_all(self, &err);
    if (err.kind != ERROR_NONE)
        give_up("cannot scan: %s", err.text);
    for (size_t i = 0; i < self->texts.count; i++) {
        self->events[i] = (Desg__V1__Event)DESG__V1__EVENT__INIT;
        self->events[i].kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
        self->events[i].channel = (char *)"facebook";
        self->events[i].text = (char *)self->texts.text[i];
    }
}

static void judge_all(struct bench *self)
{
    struct verdict verdict;
    for (size_t i = 0; i < self->texts.count; i++)
        triage_judge(self->triage, &self->events[i], &verdict);
}

/* Not getrusage's figure, which holds what the program had that started this one. */
static void say_memory(struct bench *self)
{
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    judge_all(self);
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmHWM:", strlen("VmHWM:")) == 0)
            (void)printf("%ld\n", strtol(line + strlen("VmHWM:"), NULL, 10));
    }
    if (status)
        (void)fclose(status);
}

static void say_severities(struct bench *self)
{
    struct verdict verdict;
    for (size_t i = 0; i < self->texts.count; i++) {
        triage_judge(self->triage, &self->events[i], &verdict);
        (void)printf("%d\n", (int)verdict.message.severity);
    }
}

static void scan_all(struct bench *self)
{
    for (size_t i = 0; self->patterns && i < self->texts.count; i++)
        bare_patterns_find(self->patterns, self->normalised[i], self->normalised_bytes[i],
                           &self->hits);
}

/* Processor time of this thread: what else runs on the machine does not count. */
static int64_t used_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void measure(struct bench *self, double seconds)
{
    int64_t until_ns = used_ns() + (int64_t)(seconds * 1e9);
    int64_t judged_ns = 0;
    int64_t scanned_ns = 0;
    size_t messages = 0;
    size_t text_bytes = 0;
    for (size_t i = 0; i < self->texts.count; i++)
        text_bytes += strlen(self->texts.text[i]);
    for (int64_t at_ns = used_ns(); at_ns < until_ns; messages += self->texts.count) {
        judge_all(self);
        int64_t between_ns = used_ns();
        scan_all(self);
        judged_ns += between_ns - at_ns;
        scanned_ns += used_ns() - between_ns;
        at_ns = used_ns();
    }
    (void)printf("{\"messages\": %zu, \"triage_us\": %.3f, \"hyperscan_us\": %.3f, "
                 "\"text_bytes\": %.0f, \"patterns\": %zu, \"hits_per_message\": %.2f}\n",
                 messages, (double)judged_ns / 1e3 / (double)messages,
                 (double)scanned_ns / 1e3 / (double)messages,
                 (double)text_bytes / (double)self->texts.count,
                 self->patterns ? bare_patterns_count(self->patterns) : 0,
                 (double)self->hits / (double)messages);
}

/* What the sketch is of a verdict's time: of texts that are normalised already, as the scan has
 * them. */
static void say_sketch(struct bench *self)
{
    enum { TIMES = 100 };
    struct error err = { 0 };
    struct sketcher *sketcher = sketcher_new(&err);
    struct normalised *window = normalised_new(&err);
    uint8_t sketch[SKETCH_MAX_BYTES];
    int64_t drawn_ns = 0;
    size_t bytes = 0;
    if (!sketcher || !window)
        give_up("cannot sketch: %s", err.text);
    for (size_t i = 0; i < self->texts.count; i++) {
        (void)normalise(window, self->texts.text[i], strlen(self->texts.text[i]), 0);
        int64_t from_ns = used_ns();
        for (int time = 0; time < TIMES; time++)
            bytes += sketcher_draw(sketcher, &self->events[i], window, sketch);
        drawn_ns += used_ns() - from_ns;
    }
    (void)printf("{\"sketch_us\": %.3f, \"sketch_bytes\": %.0f}\n",
                 (double)drawn_ns / 1e3 / TIMES / (double)self->texts.count,
                 (double)bytes / TIMES / (double)self->texts.count);
    sketcher_destroy(&sketcher);
    normalised_destroy(&window);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    open_bench(&bench, argc, argv);
    if (option_is_set(argc, argv, "--severities"))
        say_severities(&bench);
    else if (option_is_set(argc, argv, "--memory"))
        say_memory(&bench);
    else if (option_is_set(argc, argv, "--sketch"))
        say_sketch(&bench);
    else
        measure(&bench, option_number(argc, argv, "--seconds", 1));
    for (size_t i = 0; i < bench.texts.count; i++)
        free(bench.normalised[i]);
    free(bench.normalised);
    free(bench.normalised_bytes);
    free(bench.events);
    texts_clear(&bench.texts);
    bare_patterns_destroy(&bench.patterns);
    triage_destroy(&bench.triage);
    model_file_destroy(&bench.model);
    return EXIT_SUCCESS;
}
