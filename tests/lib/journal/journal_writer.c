/* journal_writer - a process with a journal, for the crash tests to kill.
 *   journal_writer write DIRECTORY RECORDS [BODY_BYTES [SIZE_MIB [PAUSE_MS]]]
 *     says "run ID", then "stored SEQUENCE NUMBER" for each record once it is on disk (or "failed
 *     NUMBER"), then "done". Up to 8 records wait at a time.
 *   journal_writer list DIRECTORY [SIZE_MIB]
 *     opens it as a restarted process would: "source ID", "incarnation N", "newest SEQUENCE", then
 *     "record SEQUENCE INCARNATION RUN NUMBER" or "damaged SEQUENCE" each, then "done".
 * What it says goes out with one write each, unbuffered: who reads it knows what was acknowledged.
 */
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ids/ids.h"
#include "journal/journal.h"

enum { WINDOW = 8, BODY_DEFAULT_BYTES = 600, SIZE_DEFAULT_MIB = 4, DAY_MS = 86400000 };

struct body {
    struct id run;
    uint64_t number;
};

struct writer {
    struct journal *journal;
    sem_t window;
    atomic_int failed;
};

struct asked {
    struct writer *writer;
    uint64_t number;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char line[200];
    va_list values;
    va_start(values, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is right above */
    int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        _exit(3); /* nobody listens: the test is over */
}

static uint64_t number_of(const char *text)
{
    return strtoull(text, NULL, 10);
}

static void on_answer(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct asked *asked = arg;
    if (outcome == JOURNAL_STORED)
        say("stored %" PRIu64 " %" PRIu64 "\n", sequence, asked->number);
    else {
        say("failed %" PRIu64 "\n", asked->number);
        atomic_fetch_add(&asked->writer->failed, 1);
    }
    (void)sem_post(&asked->writer->window);
    free(asked);
}

static int append(struct writer *writer, const struct id *run, uint64_t number, size_t body_bytes)
{
    struct error err = { 0 };
    struct asked *asked = malloc(sizeof *asked);
    uint8_t *bytes = calloc(1, body_bytes);
    if (!asked || !bytes) {
        free(asked);
        free(bytes);
        return -1;
    }
    *asked = (struct asked){ .writer = writer, .number = number };
    const struct body body = { .run = *run, .number = number };
    for (size_t i = sizeof body; i < body_bytes; i++)
        bytes[i] = (uint8_t)(number + i);
    memcpy(bytes, &body, sizeof body);
    int rc = journal_append(writer->journal, 1, bytes, body_bytes, on_answer, asked, &err);
    free(bytes);
    if (rc == 0)
        return 0;
    say("refused %" PRIu64 "\n", number);
    (void)sem_post(&writer->window);
    free(asked);
    return 0;
}

static struct journal *open_journal(const char *directory, uint64_t size_mib,
                                    struct metrics *metrics)
{
    const struct journal_options options = { .directory = directory,
                                             .max_bytes = size_mib << 20,
                                             .retention_ms = 3 * (int64_t)DAY_MS,
                                             .metrics = metrics };
    struct error err = { 0 };
    struct journal *journal = journal_open(&options, &err);
    if (!journal)
        (void)fprintf(stderr, "%s\n", err.text);
    return journal;
}

static void pause_ms(uint64_t ms)
{
    const struct timespec pause = { .tv_sec = (time_t)(ms / 1000),
                                    .tv_nsec = (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&pause, NULL);
}

struct plan {
    const char *directory;
    uint64_t records;
    size_t body_bytes;
    uint64_t size_mib;
    uint64_t pause_ms;
};

static int run_write(const struct plan *plan)
{
    struct metrics *metrics = metrics_new();
    struct writer writer = { .journal = open_journal(plan->directory, plan->size_mib, metrics) };
    if (!writer.journal)
        return 2;
    char text[ID_TEXT_BYTES];
    const struct id run = id_random();
    id_text(run.bytes, text);
    say("run %s\n", text);
    (void)sem_init(&writer.window, 0, WINDOW);
    for (uint64_t number = 1; number <= plan->records; number++) {
        while (sem_wait(&writer.window) != 0)
            continue;
        if (append(&writer, &run, number, plan->body_bytes) != 0)
            return 4;
        if (plan->pause_ms)
            pause_ms(plan->pause_ms);
    }
    journal_close(&writer.journal);
    metrics_destroy(&metrics);
    say("done\n");
    return atomic_load(&writer.failed) ? 5 : 0;
}

/* Is it, to the last byte, what a writer wrote? */
static bool is_whole(const struct journal_record *record, struct body *body)
{
    if (record->body_bytes < sizeof *body)
        return false;
    memcpy(body, record->body, sizeof *body);
    for (size_t i = sizeof *body; i < record->body_bytes; i++)
        if (record->body[i] != (uint8_t)(body->number + i))
            return false;
    return true;
}

static void list_record(const struct journal_record *record)
{
    struct body body;
    if (record->is_damaged || !is_whole(record, &body)) {
        say("damaged %" PRIu64 "\n", record->sequence);
        return;
    }
    char text[ID_TEXT_BYTES];
    id_text(body.run.bytes, text);
    say("record %" PRIu64 " %016" PRIx64 " %s %" PRIu64 "\n", record->sequence, record->incarnation,
        text, body.number);
}

static int run_list(const char *directory, uint64_t size_mib)
{
    struct metrics *metrics = metrics_new();
    struct journal *journal = open_journal(directory, size_mib, metrics);
    struct journal_page *page = calloc(1, sizeof *page);
    if (!journal || !page) {
        free(page);
        return 2;
    }
    struct journal_stats stats;
    struct error err = { 0 };
    char text[ID_TEXT_BYTES];
    const struct id source = journal_source(journal);
    id_text(source.bytes, text);
    journal_stats(journal, &stats);
    say("source %s\nincarnation %016" PRIx64 "\nnewest %" PRIu64 "\n", text,
        journal_incarnation(journal), stats.newest_sequence);
    uint64_t from = 0;
    size_t count = 1;
    while (count > 0) {
        if (journal_read(journal, from, JOURNAL_PAGE_MAX_RECORDS, 1 << 20, page, &err) != 0)
            return 6;
        count = page->count;
        for (size_t i = 0; i < count; i++) {
            list_record(&page->records[i]);
            from = page->records[i].sequence + 1;
        }
        journal_page_clear(page);
    }
    free(page);
    journal_close(&journal);
    metrics_destroy(&metrics);
    say("done\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "write") == 0) {
        const struct plan plan = {
            .directory = argv[2],
            .records = number_of(argv[3]),
            .body_bytes = argc > 4 ? number_of(argv[4]) : BODY_DEFAULT_BYTES,
            .size_mib = argc > 5 ? number_of(argv[5]) : SIZE_DEFAULT_MIB,
            .pause_ms = argc > 6 ? number_of(argv[6]) : 0,
        };
        return run_write(&plan);
    }
    if (argc >= 3 && strcmp(argv[1], "list") == 0)
        return run_list(argv[2], argc > 3 ? number_of(argv[3]) : SIZE_DEFAULT_MIB);
    (void)fprintf(stderr, "usage: journal_writer write DIRECTORY RECORDS… | list DIRECTORY\n");
    return 64;
}
