/* faults - what goes wrong in a run, when and how much, and the end of it. */
#ifndef DESG_SIM_FAULTS_H
#define DESG_SIM_FAULTS_H

#include "world.h"

/* Chooses the size of the world, its weather and how long faults go on. */
void faults_choose(struct world *world);
/* Plans posts and the first fault. */
void faults_begin(struct world *world);
/* The network is sound, every process and node comes back. */
void faults_end(struct world *world);

#endif
