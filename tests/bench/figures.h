/* figures - what the benchmark programs share: a clock, percentiles, options and files of texts. */
#ifndef DESG_BENCH_FIGURES_H
#define DESG_BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t now_ns(void); /* CLOCK_MONOTONIC: the same in all processes of a machine */

/* Sorts values; share 0.5 is the median. 0 if there are none. */
double percentile(double *values, size_t count, double share);

/* Value of --name VALUE on the command line, or fallback. A missing value ends the program. */
const char *option_text(int argc, char **argv, const char *name, const char *fallback);
double option_number(int argc, char **argv, const char *name, double fallback);
bool option_is_set(int argc, char **argv, const char *name);

/* Ends the program with a line that says why. */
void give_up(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Invented messages: a file of lines "1<tab>text" (urgent) and "0<tab>text". */
struct texts {
    char *memory;
    const char **text;
    bool *is_urgent;
    size_t count;
};
void texts_load(struct texts *self, const char *path);
void texts_clear(struct texts *self);

#endif
