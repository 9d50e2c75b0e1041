#ifndef DESG_SIM_PROCESSES_H
#define DESG_SIM_PROCESSES_H

#include "world.h"

void processes_make(struct world *world);
void processes_destroy(struct world *world);
/* SIGTERM. */
void process_drain(struct world *world, struct process *process);

#endif
