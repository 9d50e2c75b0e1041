/* simulate - one run of one seed. */
#ifndef DESG_SIM_SIMULATE_H
#define DESG_SIM_SIMULATE_H

#include "world.h"

struct run_options {
    uint64_t seed;
    enum mutant mutant;
    bool is_traced;
    struct metrics *metrics; /* borrowed, as tally: shared by all runs of the program */
    struct tally *tally;
};

struct run_result {
    bool has_failed;
    char problem[PROBLEM_BYTES];
    int64_t simulated_us;
    int64_t faulty_us;
    struct world_counts counts;
};

void simulate(const struct run_options *options, struct run_result *result);

#endif
