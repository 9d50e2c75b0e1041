/* metrics - counters, gauges and histograms in Prometheus' text format.
 * Names start desg_, end in the unit (_total, _seconds, _bytes). A label's values are few and
 * fixed: never an id, a person or anything a message says. Series live as long as the registry.
 * Threads: creation takes a lock; counter_add, gauge_set and histogram_observe are lock-free from
 * any thread. */
#ifndef DESG_METRICS_H
#define DESG_METRICS_H

#include <stdint.h>

struct metrics;
struct counter;
struct gauge;
struct histogram;

struct metrics *metrics_new(void);
void metrics_destroy(struct metrics **self_p);

/* labels: "" or the inside of the braces, such as channel="x",lane="urgent". The same name and
 * labels give the same series. help is kept by pointer: a string literal. */
struct counter *metrics_counter(struct metrics *self, const char *name, const char *labels,
                                const char *help);
struct gauge *metrics_gauge(struct metrics *self, const char *name, const char *labels,
                            const char *help);
/* The same, set in milliseconds and shown in seconds, the unit that Prometheus wants. */
struct gauge *metrics_gauge_of_ms(struct metrics *self, const char *name, const char *labels,
                                  const char *help);
/* Buckets from 50 µs to 60 s, for seconds. */
struct histogram *metrics_histogram(struct metrics *self, const char *name, const char *labels,
                                    const char *help);

void counter_add(struct counter *self, uint64_t amount);
uint64_t counter_value(const struct counter *self);
void gauge_set(struct gauge *self, int64_t value);
int64_t gauge_value(const struct gauge *self);
void histogram_observe(struct histogram *self, double seconds);

/* All series as Prometheus text, sorted by name. The caller frees it. */
char *metrics_render(struct metrics *self);

#endif
