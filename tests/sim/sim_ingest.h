/* sim_ingest - an ingest: its journal on a disk of its own, and custody with source_progress, the
 * code of the service, in the hands of this model of its dispatcher. */
#ifndef DESG_SIM_INGEST_H
#define DESG_SIM_INGEST_H

#include "ids/ids.h"
#include "world.h"

enum { RECORD_NOTES_MAX = 8, NOTE_BYTES_MAX = 80 };

struct sim_note {
    uint32_t index;
    uint16_t kind;
    uint16_t length;
    uint8_t bytes[NOTE_BYTES_MAX];
};

struct sim_record {
    uint64_t sequence;
    uint64_t incarnation;
    uint32_t start; /* which start wrote it */
    int64_t stored_at_ms;
    uint16_t delivery;
    bool is_deleted;
    bool is_lost; /* in a part of the journal that a snapshot does not have */
    size_t note_count;
    struct sim_note notes[RECORD_NOTES_MAX];
};

struct sim_ingest;

struct sim_ingest *sim_ingest_new(struct world *world, struct process *process);
void sim_ingest_destroy(struct sim_ingest **self_p);
void sim_ingest_start(struct sim_ingest *self);
/* The process ended; its disk stays. */
void sim_ingest_stop(struct sim_ingest *self);

void sim_ingest_peer_up(struct sim_ingest *self, enum port port, link_peer peer,
                        const struct process *other, uint32_t credit);
void sim_ingest_peer_down(struct sim_ingest *self, enum port port, link_peer peer, bool is_drain);
void sim_ingest_packet(struct sim_ingest *self, enum port port, link_peer peer,
                       const Desg__V1__Packet *packet);

/* A platform posts. */
void sim_ingest_post(struct sim_ingest *self, size_t delivery);
void sim_ingest_drain(struct sim_ingest *self);
bool sim_ingest_is_drained(const struct sim_ingest *self);

/* --- the disk --- */
void sim_ingest_take_snapshot(struct sim_ingest *self);
/* The volume as it was: only while the process is down. */
void sim_ingest_restore_snapshot(struct sim_ingest *self);
void sim_ingest_slow_disk(struct sim_ingest *self, int64_t until_us);
void sim_ingest_fail_disk(struct sim_ingest *self);
void sim_ingest_fill_disk(struct sim_ingest *self, int64_t until_us);

/* All records ever written, newest last. */
const struct sim_record *sim_ingest_records(const struct sim_ingest *self, size_t *count);
/* The number of the start that had this incarnation; 0: none. */
uint32_t sim_ingest_start_of(const struct sim_ingest *self, uint64_t incarnation);
uint64_t sim_ingest_newest(const struct sim_ingest *self);
const struct id *sim_ingest_source(const struct sim_ingest *self);
/* Counts what happened until now in events' deaths. */
void sim_ingest_count_deaths(struct sim_ingest *self);
bool sim_ingest_is_idle(const struct sim_ingest *self);
void sim_ingest_describe(const struct sim_ingest *self, char *out, size_t length);

#endif
