#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metrics.h"

static int make(void **state)
{
    *state = metrics_new();
    return *state ? 0 : -1;
}

static int drop(void **state)
{
    struct metrics *metrics = *state;
    metrics_destroy(&metrics);
    metrics_destroy(&metrics); /* takes NULL */
    return metrics ? -1 : 0;
}

static void assert_rendered(struct metrics *metrics, const char *expected)
{
    char *text = metrics_render(metrics);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_has(struct metrics *metrics, const char *line)
{
    char *text = metrics_render(metrics);
    if (!strstr(text, line))
        fail_msg("no '%s' in:\n%s", line, text);
    free(text);
}

static void an_empty_registry_renders_nothing(void **state)
{
    assert_rendered(*state, "");
}

static void counts_and_sets(void **state)
{
    struct counter *counter = metrics_counter(*state, "desg_events_total", "", "Events");
    counter_add(counter, 1);
    counter_add(counter, 41);
    assert_int_equal(counter_value(counter), 42);
    struct gauge *gauge = metrics_gauge(*state, "desg_backlog", "", "Waiting");
    gauge_set(gauge, -7);
    assert_int_equal(gauge_value(gauge), -7);
    assert_rendered(*state, "# HELP desg_backlog Waiting\n# TYPE desg_backlog gauge\n"
                            "desg_backlog -7\n"
                            "# HELP desg_events_total Events\n# TYPE desg_events_total counter\n"
                            "desg_events_total 42\n");
}

/* Seconds are what Prometheus wants; milliseconds are what clocks here tell. */
static void a_gauge_of_milliseconds_is_shown_in_seconds(void **state)
{
    struct gauge *gauge = metrics_gauge_of_ms(*state, "desg_oldest_seconds", "", "Age");
    gauge_set(gauge, 2047);
    assert_int_equal(gauge_value(gauge), 2047);
    assert_rendered(*state, "# HELP desg_oldest_seconds Age\n# TYPE desg_oldest_seconds gauge\n"
                            "desg_oldest_seconds 2.047\n");
    gauge_set(gauge, -50);
    assert_rendered(*state, "# HELP desg_oldest_seconds Age\n# TYPE desg_oldest_seconds gauge\n"
                            "desg_oldest_seconds -0.050\n");
}

static void series_of_one_name_stand_together_under_one_help(void **state)
{
    counter_add(metrics_counter(*state, "desg_b_total", "lane=\"urgent\"", "B\\C\nD"), 2);
    counter_add(metrics_counter(*state, "desg_a_total", "", "A"), 1);
    counter_add(metrics_counter(*state, "desg_b_total", "lane=\"bulk\"", "B\\C\nD"), 3);
    counter_add(metrics_counter(*state, "desg_b_total", "", "B\\C\nD"), 4);
    assert_rendered(*state, "# HELP desg_a_total A\n# TYPE desg_a_total counter\n"
                            "desg_a_total 1\n"
                            "# HELP desg_b_total B\\\\C\\nD\n# TYPE desg_b_total counter\n"
                            "desg_b_total 4\n"
                            "desg_b_total{lane=\"bulk\"} 3\n"
                            "desg_b_total{lane=\"urgent\"} 2\n");
}

static void the_same_name_and_labels_are_the_same_series(void **state)
{
    char name[] = "desg_events_total"; /* copied, not kept */
    struct counter *first = metrics_counter(*state, name, "channel=\"x\"", "Events");
    memset(name, '_', sizeof name - 1);
    assert_ptr_equal(metrics_counter(*state, "desg_events_total", "channel=\"x\"", "Events"),
                     first);
    assert_ptr_not_equal(metrics_counter(*state, "desg_events_total", "channel=\"web\"", "Events"),
                         first);
    struct gauge *gauge = metrics_gauge(*state, "desg_backlog", "", "Waiting");
    assert_ptr_equal(metrics_gauge(*state, "desg_backlog", "", "Waiting"), gauge);
}

static void series_stay_where_they_are_as_others_come(void **state)
{
    struct counter *first = metrics_counter(*state, "desg_m_total", "", "M");
    for (int i = 0; i < 500; i++) {
        char labels[32];
        (void)snprintf(labels, sizeof labels, "n=\"%d\"", (i * 7919) % 500);
        (void)metrics_counter(*state, i % 2 ? "desg_a_total" : "desg_z_total", labels, "More");
    }
    counter_add(first, 5);
    assert_ptr_equal(metrics_counter(*state, "desg_m_total", "", "M"), first);
    assert_has(*state, "\ndesg_m_total 5\n");
}

static void an_observation_falls_into_its_bucket_and_all_above(void **state)
{
    static const struct {
        double seconds;
        const char *below, *in;
    } cases[] = {
        { 0, NULL, "5e-05" },         { 0.00005, NULL, "5e-05" }, { 0.000051, "5e-05", "0.0001" },
        { 0.001, "0.0005", "0.001" }, { 0.25, "0.1", "0.25" },    { 0.26, "0.25", "0.5" },
        { 60, "30", "60" },           { 60.001, "60", "+Inf" },   { INFINITY, "60", "+Inf" },
        { -1, NULL, "5e-05" },        { NAN, NULL, "5e-05" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        char line[96];
        (void)snprintf(name, sizeof name, "desg_case_%zu_seconds", i);
        struct histogram *histogram = metrics_histogram(*state, name, "", "Case");
        histogram_observe(histogram, cases[i].seconds);
        (void)snprintf(line, sizeof line, "%s_bucket{le=\"%s\"} 1\n", name, cases[i].in);
        assert_has(*state, line);
        (void)snprintf(line, sizeof line, "%s_bucket{le=\"+Inf\"} 1\n", name);
        assert_has(*state, line);
        if (cases[i].below) {
            (void)snprintf(line, sizeof line, "%s_bucket{le=\"%s\"} 0\n", name, cases[i].below);
            assert_has(*state, line);
        }
    }
}

static void a_histogram_has_sum_count_and_labels(void **state)
{
    struct histogram *histogram =
        metrics_histogram(*state, "desg_flush_seconds", "channel=\"x\"", "Flush");
    histogram_observe(histogram, 0.0025);
    histogram_observe(histogram, 1.5);
    assert_has(*state, "# TYPE desg_flush_seconds histogram\n"
                       "desg_flush_seconds_bucket{channel=\"x\",le=\"5e-05\"} 0\n");
    assert_has(*state, "desg_flush_seconds_bucket{channel=\"x\",le=\"0.0025\"} 1\n");
    assert_has(*state, "desg_flush_seconds_bucket{channel=\"x\",le=\"2.5\"} 2\n");
    assert_has(*state, "desg_flush_seconds_bucket{channel=\"x\",le=\"+Inf\"} 2\n"
                       "desg_flush_seconds_sum{channel=\"x\"} 1.502500000\n"
                       "desg_flush_seconds_count{channel=\"x\"} 2\n");
}

enum { THREADS = 4, TURNS = 5000 };

static void *count_and_render(void *arg)
{
    struct metrics *metrics = arg;
    for (int i = 0; i < TURNS; i++) {
        counter_add(metrics_counter(metrics, "desg_events_total", "", "Events"), 1);
        histogram_observe(metrics_histogram(metrics, "desg_flush_seconds", "", "Flush"), 0.001);
        gauge_set(metrics_gauge(metrics, "desg_backlog", i % 2 ? "a=\"1\"" : "", "Waiting"), i);
        if (i % 1000 == 0)
            free(metrics_render(metrics));
    }
    return NULL;
}

static void no_count_is_lost_between_threads(void **state)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_and_render, *state), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_has(*state, "desg_events_total 20000\n");
    assert_has(*state, "desg_flush_seconds_count 20000\n");
    assert_has(*state, "desg_flush_seconds_sum 20.000000000\n");
}

#define with_registry(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_registry(an_empty_registry_renders_nothing),
        with_registry(counts_and_sets),
        with_registry(a_gauge_of_milliseconds_is_shown_in_seconds),
        with_registry(series_of_one_name_stand_together_under_one_help),
        with_registry(the_same_name_and_labels_are_the_same_series),
        with_registry(series_stay_where_they_are_as_others_come),
        with_registry(an_observation_falls_into_its_bucket_and_all_above),
        with_registry(a_histogram_has_sum_count_and_labels),
        with_registry(no_count_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
