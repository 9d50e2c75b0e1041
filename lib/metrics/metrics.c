#include "metrics/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds in nanoseconds, with the text Prometheus sees. The last bucket (+Inf) has no bound.
 */
static const struct {
    uint64_t nanoseconds;
    const char *text;
} bounds[] = {
    { 50000, "5e-05" },    { 100000, "0.0001" },  { 250000, "0.00025" }, { 500000, "0.0005" },
    { 1000000, "0.001" },  { 2500000, "0.0025" }, { 5000000, "0.005" },  { 10000000, "0.01" },
    { 25000000, "0.025" }, { 50000000, "0.05" },  { 100000000, "0.1" },  { 250000000, "0.25" },
    { 500000000, "0.5" },  { 1000000000, "1" },   { 2500000000, "2.5" }, { 5000000000, "5" },
    { 10000000000, "10" }, { 30000000000, "30" }, { 60000000000, "60" },
};
enum { BOUNDS_COUNT = sizeof bounds / sizeof bounds[0], BUCKETS_COUNT = BOUNDS_COUNT + 1 };

/* A single observation is at most this, so that the sum in nanoseconds cannot run over (584 years
 * together). */
#define OBSERVATION_MAX_SECONDS 1e6

struct counter {
    _Atomic uint64_t value;
};

struct gauge {
    _Atomic int64_t value;
};

struct histogram {
    _Atomic uint64_t buckets[BUCKETS_COUNT];
    _Atomic uint64_t sum_nanoseconds;
};

enum kind { COUNTER, GAUGE, GAUGE_OF_MS, HISTOGRAM };

static const char *const kind_names[] = { "counter", "gauge", "gauge", "histogram" };

struct series {
    enum kind kind;
    char *name;
    char *labels;
    const char *help;
    union {
        struct counter counter;
        struct gauge gauge;
        struct histogram histogram;
    } value;
};

struct metrics {
    pthread_mutex_t lock;
    struct series **series; /* sorted by name, then labels; each one stays where it is */
    size_t count;
    size_t capacity;
};

/* Metrics are made at start: without memory for them nothing else would work. */
static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct metrics *metrics_new(void)
{
    struct metrics *self = must(calloc(1, sizeof *self));
    if (pthread_mutex_init(&self->lock, NULL) != 0)
        abort();
    return self;
}

void metrics_destroy(struct metrics **self_p)
{
    struct metrics *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        free(self->series[i]->name);
        free(self->series[i]->labels);
        free(self->series[i]);
    }
    free(self->series);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

static bool is_name(const char *text)
{
    if (!*text || (*text >= '0' && *text <= '9'))
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") ==
           strlen(text);
}

static int compare(const struct series *a, const char *name, const char *labels)
{
    int order = strcmp(a->name, name);
    return order ? order : strcmp(a->labels, labels);
}

/* First place whose series does not come before name and labels. */
static size_t place_of(const struct metrics *self, const char *name, const char *labels)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(self->series[middle], name, labels) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct series *insert(struct metrics *self, size_t place, struct series *made)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 64;
        self->series = must(realloc(self->series, self->capacity * sizeof(struct series *)));
    }
    memmove(&self->series[place + 1], &self->series[place],
            (self->count - place) * sizeof(struct series *));
    self->series[place] = made;
    self->count++;
    return made;
}

static struct series *find_or_make(struct metrics *self, enum kind kind, const char *name,
                                   const char *labels, const char *help)
{
    assert(self && name && labels && help && is_name(name));
    (void)pthread_mutex_lock(&self->lock);
    size_t place = place_of(self, name, labels);
    struct series *found = NULL;
    if (place < self->count && compare(self->series[place], name, labels) == 0) {
        found = self->series[place];
        assert(found->kind == kind);
    } else {
        struct series *made = must(calloc(1, sizeof *made));
        made->kind = kind;
        made->name = must(strdup(name));
        made->labels = must(strdup(labels));
        made->help = help;
        found = insert(self, place, made);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return found;
}

struct counter *metrics_counter(struct metrics *self, const char *name, const char *labels,
                                const char *help)
{
    return &find_or_make(self, COUNTER, name, labels, help)->value.counter;
}

struct gauge *metrics_gauge(struct metrics *self, const char *name, const char *labels,
                            const char *help)
{
    return &find_or_make(self, GAUGE, name, labels, help)->value.gauge;
}

struct gauge *metrics_gauge_of_ms(struct metrics *self, const char *name, const char *labels,
                                  const char *help)
{
    return &find_or_make(self, GAUGE_OF_MS, name, labels, help)->value.gauge;
}

struct histogram *metrics_histogram(struct metrics *self, const char *name, const char *labels,
                                    const char *help)
{
    return &find_or_make(self, HISTOGRAM, name, labels, help)->value.histogram;
}

void counter_add(struct counter *self, uint64_t amount)
{
    atomic_fetch_add_explicit(&self->value, amount, memory_order_relaxed);
}

uint64_t counter_value(const struct counter *self)
{
    return atomic_load_explicit(&self->value, memory_order_relaxed);
}

void gauge_set(struct gauge *self, int64_t value)
{
    atomic_store_explicit(&self->value, value, memory_order_relaxed);
}

int64_t gauge_value(const struct gauge *self)
{
    return atomic_load_explicit(&self->value, memory_order_relaxed);
}

void histogram_observe(struct histogram *self, double seconds)
{
    if (!(seconds > 0)) /* a clock that stepped back, or not a number */
        seconds = 0;
    if (seconds > OBSERVATION_MAX_SECONDS)
        seconds = OBSERVATION_MAX_SECONDS;
    uint64_t nanoseconds = (uint64_t)llround(seconds * 1e9);
    size_t i = 0;
    while (i < BOUNDS_COUNT && nanoseconds > bounds[i].nanoseconds)
        i++;
    atomic_fetch_add_explicit(&self->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->sum_nanoseconds, nanoseconds, memory_order_relaxed);
}

static void put_help(FILE *out, const struct series *series)
{
    (void)fprintf(out, "# HELP %s ", series->name);
    for (const char *c = series->help; *c; c++) {
        if (*c == '\\')
            (void)fputs("\\\\", out);
        else if (*c == '\n')
            (void)fputs("\\n", out);
        else
            (void)fputc(*c, out);
    }
    (void)fprintf(out, "\n# TYPE %s %s\n", series->name, kind_names[series->kind]);
}

static void put_name(FILE *out, const struct series *series, const char *suffix)
{
    if (*series->labels)
        (void)fprintf(out, "%s%s{%s} ", series->name, suffix, series->labels);
    else
        (void)fprintf(out, "%s%s ", series->name, suffix);
}

static void put_histogram(FILE *out, const struct series *series)
{
    const struct histogram *histogram = &series->value.histogram;
    const char *comma = *series->labels ? "," : "";
    uint64_t sum = atomic_load_explicit(&histogram->sum_nanoseconds, memory_order_relaxed);
    uint64_t total = 0;
    for (size_t i = 0; i < BUCKETS_COUNT; i++) {
        total += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        (void)fprintf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", series->name, series->labels, comma,
                      i < BOUNDS_COUNT ? bounds[i].text : "+Inf", (unsigned long long)total);
    }
    put_name(out, series, "_sum");
    (void)fprintf(out, "%llu.%09llu\n", (unsigned long long)(sum / 1000000000),
                  (unsigned long long)(sum % 1000000000));
    put_name(out, series, "_count");
    (void)fprintf(out, "%llu\n", (unsigned long long)total);
}

static void put_seconds(FILE *out, int64_t milliseconds)
{
    uint64_t size = milliseconds < 0 ? 0 - (uint64_t)milliseconds : (uint64_t)milliseconds;
    (void)fprintf(out, "%s%llu.%03llu\n", milliseconds < 0 ? "-" : "",
                  (unsigned long long)(size / 1000), (unsigned long long)(size % 1000));
}

static void put_series(FILE *out, const struct series *series)
{
    switch (series->kind) {
    case COUNTER:
        put_name(out, series, "");
        (void)fprintf(out, "%llu\n", (unsigned long long)counter_value(&series->value.counter));
        return;
    case GAUGE:
        put_name(out, series, "");
        (void)fprintf(out, "%lld\n", (long long)gauge_value(&series->value.gauge));
        return;
    case GAUGE_OF_MS:
        put_name(out, series, "");
        put_seconds(out, gauge_value(&series->value.gauge));
        return;
    case HISTOGRAM:
        put_histogram(out, series);
        return;
    }
}

char *metrics_render(struct metrics *self)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = must(open_memstream(&text, &length));
    (void)pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->count; i++) {
        if (i == 0 || strcmp(self->series[i - 1]->name, self->series[i]->name) != 0)
            put_help(out, self->series[i]);
        put_series(out, self->series[i]);
    }
    (void)pthread_mutex_unlock(&self->lock);
    (void)fclose(out);
    return must(text);
}
