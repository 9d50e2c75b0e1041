/* source_progress - what ingest's dispatcher decides between the packets about its source, the
 * journal and custody: which answers still count, what a History or a Marked does to the mark and
 * to what the journal keeps, what a Hello and a Mark quote, which records of a page go into custody
 * and which sequences are not there. Pure: what it needs of the journal goes through the functions
 * given, time comes with the call. The dispatcher runs it; so does the simulator (tests/sim).
 * Threads: the owner's. */
#ifndef DESG_INGEST_SOURCE_PROGRESS_H
#define DESG_INGEST_SOURCE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "desg/v1/packet.pb-c.h"
#include "ids/ids.h"
#include "ingest/custody.h"
#include "ingest/noted_verdicts.h"
#include "journal/journal.h"

/* The journal, as journal.h has it, and the splitter. */
struct source_journal {
    uint64_t (*incarnation_of)(void *arg, uint64_t sequence);
    bool (*find_incarnation)(void *arg, uint64_t incarnation, uint64_t *first, uint64_t *last);
    void (*note)(void *arg, uint64_t sequence, uint32_t index, uint16_t kind, const void *bytes,
                 size_t length);
    void (*retain)(void *arg, uint64_t sequence);
    void (*release)(void *arg, uint64_t sequence);
    /* The record's events; a damaged record is one UNREADABLE event. */
    void (*split)(void *arg, const struct journal_record *record, bool is_replayed,
                  struct split *out);
    void *arg;
};

/* A mark that was stored, waiting until it is safe to delete behind it. */
struct source_stored_mark {
    uint64_t sequence;
    int64_t at_ms;
};

enum {
    /* A mark frees records only when the same history still has it this much later: a master that
     * was cut off or a replica that lags takes marks back, and what was deleted meanwhile would be
     * gone. Sentinel has long decided by then. */
    SOURCE_RELEASE_AFTER_MS = 60000,
    SOURCE_STORED_MARKS_MAX = 32,
    /* What was applied longer than this after a mark was stored is applied again: the machine may
     * have been set back to an image taken since. */
    SOURCE_BEAT_TRUSTED_MS = 15000
};

/* Of the journal, at start. */
struct source_found {
    uint64_t newest;   /* sequence: up to it, records are replayed */
    uint64_t released; /* sequence */
};

struct source_counts {
    uint64_t answers[CUSTODY_REFUSED + 1]; /* by enum custody_answer */
    uint64_t foreign;                      /* meant for another start or journal */
};

struct source_progress {
    struct custody *custody; /* borrowed */
    struct source_journal journal;
    struct id source;
    uint64_t incarnation;            /* of this start */
    uint64_t found_at_start;         /* newest sequence then: up to it, records are replayed */
    uint64_t firm;                   /* released: what was applied up to there no Redis lacks */
    uint64_t known_mark_incarnation; /* as stored in Redis, so that MARK can quote it */
    uint64_t known_mark_sequence;
    uint64_t known_mark_beat;
    uint64_t hello_number;
    uint64_t beat_at_hello; /* the one known when the last Hello went */
    uint64_t marks_sent;    /* by this start: their beats are incarnation + 1 … marks_sent */
    uint64_t began_at_mark; /* the one of them under which the last history began; 0: none did */
    int64_t beat_at_ms;     /* when the last mark that was stored was sent, or the replay began */
    int64_t mark_sent_ms;
    uint64_t applied_at_beat; /* answers that something was applied, then */
    uint64_t applied_at_sent;
    struct source_stored_mark stored[SOURCE_STORED_MARKS_MAX]; /* oldest first */
    size_t stored_count;
    struct source_counts counts;
    struct noted_verdicts noted; /* perhaps not yet in the journal */
};

/* All pointers are borrowed and outlive self. */
void source_progress_init(struct source_progress *self, struct custody *custody,
                          const struct source_journal *journal, const struct id *source,
                          uint64_t incarnation, const struct source_found *found);

/* What a batch carries as incarnation and every answer repeats: answers to an earlier start, to a
 * journal this one was restored from, or from before a replay do not count. */
uint64_t source_progress_fence(const struct source_progress *self);

/* What workers and routes (peer, as custody numbers them) answer about events. False: another kind
 * of packet. */
bool source_progress_answers(struct source_progress *self, uint64_t peer,
                             const Desg__V1__Packet *packet, int64_t now_ms);

/* What a History or a Marked led to. */
struct source_rewind {
    bool is_rewound;      /* everything behind mark is replayed */
    bool is_mark_unknown; /* Redis has a mark of an incarnation this journal does not know */
    uint64_t mark;
};
struct source_rewind source_progress_history(struct source_progress *self,
                                             const Desg__V1__History *history, int64_t now_ms);
struct source_rewind source_progress_marked(struct source_progress *self,
                                            const Desg__V1__Marked *marked, int64_t now_ms);

/* Fills a message to be sent to *route now; it points into self. False: nothing now. */
bool source_progress_next_hello(struct source_progress *self, int64_t now_ms, uint64_t *route,
                                Desg__V1__Hello *hello);
bool source_progress_next_mark(struct source_progress *self, int64_t now_ms, uint64_t *route,
                               Desg__V1__Mark *mark);

/* Writes what custody wants noted beside its records. */
void source_progress_flush_notes(struct source_progress *self);

/* Puts the records of page, read from first on, into custody; last is the end of what was asked
 * for. gap (may be NULL) is told which sequences are not in the journal. */
typedef void source_gap(void *arg, uint64_t first, uint64_t last);
void source_progress_load(struct source_progress *self, const struct journal_page *page,
                          uint64_t first, uint64_t last, int64_t now_ms, int64_t now_unix_ms,
                          source_gap *gap, void *gap_arg);

#endif
