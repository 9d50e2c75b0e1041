/* desg-sim - runs the delivery protocol of ingest, classify and route through seeded faults. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "classify/tally.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "simulate.h"

enum {
    JOBS_MAX = 64,
    TERMINAL_PROGRESS_S = 2, /* between two looks at how far it is: on one line of a terminal, */
    LINE_PROGRESS_S = 10     /* or as lines of a log */
};

struct settings {
    uint64_t first, last;
    size_t jobs;
    bool is_traced;
    bool is_catch;    /* a broken variant: one seed must fail */
    bool is_terminal; /* stderr is one */
    bool tells_progress;
    enum mutant mutant;
};

/* What a job tells of each seed. */
struct line {
    uint64_t seed;
    struct run_result result;
};

struct total {
    uint64_t seeds, failed, first_failed;
    int64_t simulated_us, faulty_us;
    struct world_counts counts;
};

static const char *const mutant_names[] = {
    [MUTANT_NONE] = "none",
    [MUTANT_MARK_WITHOUT_HISTORY] = "mark-without-history",
    [MUTANT_NO_FENCE] = "no-fence",
    [MUTANT_TOKEN_IN_KEY] = "token-in-key",
    [MUTANT_MARK_WITHOUT_BEAT] = "mark-without-beat",
    [MUTANT_BREAK_IS_DEATH] = "break-is-death",
    [MUTANT_MARK_OF_ANOTHER_PAST] = "mark-of-another-past",
};

static const char usage_text[] =
    "usage: desg-sim [--seeds A..B] [--jobs N] [--progress] [--mutant NAME [--catch]]\n"
    "       desg-sim --seed N [--trace] [--mutant NAME]\n"
    "\n"
    "  --seeds A..B   runs these seeds (1..200)\n"
    "  --jobs N       in N processes (1)\n"
    "  --progress     tells on stderr how far it is (done anyway on a terminal)\n"
    "  --seed N       runs one\n"
    "  --trace        and tells what happens in it\n"
    "  --mutant NAME  runs a variant broken on purpose: mark-without-history,\n"
    "                 no-fence, token-in-key, mark-without-beat, break-is-death,\n"
    "                 mark-of-another-past\n"
    "  --catch        succeeds when a seed fails, and stops there\n";

static bool parse_seeds(const char *text, struct settings *out)
{
    char *end = NULL;
    out->first = strtoull(text, &end, 10);
    if (end == text || strncmp(end, "..", 2) != 0)
        return false;
    const char *second = end + 2;
    out->last = strtoull(second, &end, 10);
    return end != second && *end == '\0' && out->first <= out->last;
}

static bool parse_mutant(const char *text, enum mutant *out)
{
    for (size_t i = 0; i < sizeof mutant_names / sizeof mutant_names[0]; i++)
        if (strcmp(mutant_names[i], text) == 0) {
            *out = (enum mutant)i;
            return true;
        }
    return false;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end = NULL;
    *out = strtoull(text, &end, 10);
    return end != text && *end == '\0';
}

static int parse(int argc, char **argv, struct settings *out)
{
    static const struct option options[] = {
        { "seeds", required_argument, NULL, 'r' },
        { "seed", required_argument, NULL, 's' },
        { "jobs", required_argument, NULL, 'j' },
        { "trace", no_argument, NULL, 't' },
        { "mutant", required_argument, NULL, 'm' },
        { "catch", no_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { "progress", no_argument, NULL, 'p' },
        { 0 },
    };
    uint64_t number = 0;
    bool is_well = true;
    for (int option = 0; is_well && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'r':
            is_well = parse_seeds(optarg, out);
            break;
        case 's':
            is_well = parse_number(optarg, &out->first);
            out->last = out->first;
            break;
        case 'j':
            is_well = parse_number(optarg, &number) && number >= 1 && number <= JOBS_MAX;
            out->jobs = number;
            break;
        case 't':
            out->is_traced = true;
            break;
        case 'c':
            out->is_catch = true;
            break;
        case 'p':
            out->tells_progress = true;
            break;
        case 'm':
            is_well = parse_mutant(optarg, &out->mutant);
            break;
        case 'h':
            (void)fputs(usage_text, stdout);
            exit(EXIT_SUCCESS);
        default:
            is_well = false;
        }
    }
    if (is_well && optind == argc)
        return 0;
    (void)fputs(usage_text, stderr);
    return -1;
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- a job: every jobs-th seed --- */

static void run_job(const struct settings *settings, size_t job, int fd)
{
    struct error err = { 0 };
    struct metrics *metrics = metrics_new();
    struct tally *tally = tally_new(metrics, &err);
    if (!tally)
        _exit(EXIT_FAILURE);
    for (uint64_t seed = settings->first + job; seed <= settings->last; seed += settings->jobs) {
        struct line line = { .seed = seed };
        simulate(&(struct run_options){ .seed = seed,
                                        .mutant = settings->mutant,
                                        .is_traced = settings->is_traced,
                                        .metrics = metrics,
                                        .tally = tally },
                 &line.result);
        (void)fflush(stdout);
        if (write(fd, &line, sizeof line) != sizeof line)
            break; /* nobody listens any more */
    }
    tally_destroy(&tally);
    metrics_destroy(&metrics);
}

/* --- the parent --- */

static void add_counts(struct world_counts *sum, const struct world_counts *more)
{
    uint64_t *into = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;
    for (size_t i = 0; i < sizeof *sum / sizeof *into; i++)
        into[i] += from[i];
}

static void take_line(const struct settings *settings, struct total *total, const struct line *line)
{
    total->seeds++;
    total->simulated_us += line->result.simulated_us;
    total->faulty_us += line->result.faulty_us;
    add_counts(&total->counts, &line->result.counts);
    if (!line->result.has_failed)
        return;
    total->failed++;
    if (total->first_failed == 0 || line->seed < total->first_failed)
        total->first_failed = line->seed;
    if (settings->is_terminal)
        (void)fputs("\r", stderr); /* over the progress */
    (void)printf("seed %" PRIu64 ": %s\n", line->seed, line->result.problem);
    if (!settings->is_catch)
        (void)printf("    desg-sim --seed %" PRIu64 " --trace%s%s\n", line->seed,
                     settings->mutant ? " --mutant " : "",
                     settings->mutant ? mutant_names[settings->mutant] : "");
    (void)fflush(stdout);
}

static void show_progress(const struct settings *settings, const struct total *total, double took_s)
{
    uint64_t seeds = settings->last - settings->first + 1;
    double seeds_a_minute = (double)total->seeds / took_s * 60;
    (void)fprintf(stderr,
                  "%s%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64
                  " failed, %.0f seeds and %.0f faulty hours a minute, %.0f min left%s",
                  settings->is_terminal ? "\r" : "", total->seeds, seeds, total->failed,
                  seeds_a_minute, (double)total->faulty_us / 3.6e9 / took_s * 60,
                  seeds_a_minute > 0 ? (double)(seeds - total->seeds) / seeds_a_minute : 0,
                  settings->is_terminal ? "  " : "\n");
    (void)fflush(stderr);
}

static void show_total(const struct total *total, double took_s)
{
    const struct world_counts *c = &total->counts;
    (void)printf(
        "%" PRIu64 " seeds, %" PRIu64
        " failed; %.0f hours simulated (%.0f with faults) in %.0f s: %.0f faulty hours a minute\n",
        total->seeds, total->failed, (double)total->simulated_us / 3.6e9,
        (double)total->faulty_us / 3.6e9, took_s, (double)total->faulty_us / 3.6e9 / took_s * 60);
    (void)printf("%" PRIu64 " crashes, %" PRIu64 " failovers, %" PRIu64
                 " restarts of Redis, %" PRIu64 " flushes, %" PRIu64 " restored images, %" PRIu64
                 " replays from a mark, %" PRIu64 " marks, %" PRIu64 " records deleted, %" PRIu64
                 " quarantined, %" PRIu64 " packets\n",
                 c->crashes, c->failovers, c->restarts, c->flushes, c->restores, c->rewinds,
                 c->marks, c->deletions, c->quarantined, c->packets);
}

static double seconds_since(double began_s)
{
    double took_s = seconds_now() - began_s;
    return took_s > 0.001 ? took_s : 0.001;
}

static void collect(const struct settings *settings, int fd, struct total *total)
{
    struct line line;
    double began_s = seconds_now();
    double shown_s = began_s;
    double apart_s = settings->is_terminal ? TERMINAL_PROGRESS_S : LINE_PROGRESS_S;
    ssize_t got = 0;
    while ((got = read(fd, &line, sizeof line)) == sizeof line || (got < 0 && errno == EINTR)) {
        if (got != sizeof line)
            continue;
        take_line(settings, total, &line);
        if (settings->is_catch && total->failed > 0)
            break;
        if (settings->tells_progress && seconds_now() - shown_s > apart_s) {
            shown_s = seconds_now();
            show_progress(settings, total, seconds_since(began_s));
        }
    }
    double took_s = seconds_since(began_s);
    if (settings->tells_progress && (!settings->is_terminal || shown_s > began_s)) {
        show_progress(settings, total, took_s);
        (void)fputs(settings->is_terminal ? "\n" : "", stderr);
    }
    show_total(total, took_s);
}

static int run_all(const struct settings *settings, struct total *total)
{
    int ends[2];
    pid_t children[JOBS_MAX];
    if (pipe(ends) != 0)
        return -1;
    for (size_t job = 0; job < settings->jobs; job++) {
        children[job] = fork();
        if (children[job] < 0)
            return -1;
        if (children[job] == 0) {
            (void)close(ends[0]);
            run_job(settings, job, ends[1]);
            exit(EXIT_SUCCESS);
        }
    }
    (void)close(ends[1]);
    collect(settings, ends[0], total);
    (void)close(ends[0]);
    int rc = 0;
    for (size_t job = 0; job < settings->jobs; job++) {
        int status = 0;
        (void)waitpid(children[job], &status, 0);
        bool is_stopped = settings->is_catch && WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE;
        if (status != 0 && !is_stopped)
            rc = -1;
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct settings settings = { .first = 1, .last = 200, .jobs = 1 };
    settings.is_terminal = settings.tells_progress = isatty(STDERR_FILENO);
    if (parse(argc, argv, &settings) != 0)
        return 64;
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 10); /* big empty tables cost only what is touched */
    log_setup("desg-sim", LOG_LEVEL_ERROR, -1);
    struct total total = { 0 };
    if (run_all(&settings, &total) != 0) {
        (void)fputs("a job ended early\n", stderr);
        return EXIT_FAILURE;
    }
    bool has_failed = total.failed > 0;
    return has_failed == settings.is_catch ? EXIT_SUCCESS : EXIT_FAILURE;
}
