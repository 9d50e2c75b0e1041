/* loading - which record of the journal is being split just now, kept where it outlives the
 * process: one page of a file beside the journal, mapped shared, so that noting it costs a store
 * and no system call, and what was noted is there after kill -9 and after a crash. A record at
 * which three starts in a row ended is set aside: it is never split again by this version, but goes
 * raw to a person. So one record cannot keep ingest from starting. Threads: each reader its own;
 * the rest from any after loading_open. */
#ifndef DESG_INGEST_LOADING_H
#define DESG_INGEST_LOADING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "ids/ids.h"

struct loading;

enum loading_reader { LOADING_DISPATCHER, LOADING_SEARCH, LOADING_READERS };

enum {
    LOADING_DEATHS = 3,
    /* From the first to the last of them: a pod that crashes is started again after 10, 20, 40 s …
     */
    LOADING_WINDOW_MS = 600000
};

/* Opens or makes the file "loading" in directory, for the journal source; judges how the last start
 * ended. A file of another source or version is begun anew. ERROR_SYSTEM: it cannot be made; ingest
 * works without, but a record that ends it would do so at each start. */
struct loading *loading_open(const char *directory, const struct id *source, int64_t now_unix_ms,
                             struct error *err) MUST_USE;
/* Does nothing for NULL, as all below. */
void loading_close(struct loading **self_p);

void loading_begin(struct loading *self, enum loading_reader reader, uint64_t sequence);
void loading_end(struct loading *self, enum loading_reader reader);

bool loading_is_set_aside(const struct loading *self, uint64_t sequence);
/* Set aside by this very start: 0: none. */
uint64_t loading_newly_set_aside(const struct loading *self);

#endif
