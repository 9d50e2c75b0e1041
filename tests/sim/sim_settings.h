/* sim_settings - lengths of the simulated world that several of its parts know. */
#ifndef DESG_SIM_SETTINGS_H
#define DESG_SIM_SETTINGS_H

enum {
    SIM_RETENTION_MS = 120000,  /* hours in a real journal; here old enough to matter in a run */
    SIM_STEPS_MAX = 5000000,    /* a heavy run has a tenth of it */
    SIM_SETTLE_US = 1200000000, /* after the faults: everything must be done by then */
};

#endif
