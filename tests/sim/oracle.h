/* oracle - what must be true: at each step no mark without its data, and bounded memory; when the
 * faults have ended, every event of each delivery answered 200 on the master with a real verdict
 * (or in quarantine), and its alert accepted by dispatch. */
#ifndef DESG_SIM_ORACLE_H
#define DESG_SIM_ORACLE_H

#include "sim_ingest.h"
#include "sim_redis.h"

void oracle_mark_stored(struct world *world, const char *where, const struct model_state *state,
                        size_t source);
/* A node became master, or its data went back. */
void oracle_state_changed(struct world *world, const char *where, const struct model_state *state);
/* The master lost more than a failover or a restart can: what no journal holds any more is excused.
 */
void oracle_data_gone(struct world *world);
/* A record left the journal of source. What went with the master's data and was too old before its
 * ingest spoke to that master again is excused too. */
void oracle_record_deleted(struct world *world, const struct sim_record *record, size_t source);
size_t oracle_redis_clients(struct world *world, struct redis_client **clients);

/* Nothing is left to do. */
bool oracle_is_settled(struct world *world);
/* At the end. */
void oracle_judge(struct world *world);

#endif
