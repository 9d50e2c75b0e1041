/* fact_index - where the facts of late stand in the journal, by their ids: a request that comes
 * again with its key gets the answer it had. Holds the newest so many and forgets the rest; the
 * store knows those by their ids as well. Threads: any. */
#ifndef DESG_DESK_FACT_INDEX_H
#define DESG_DESK_FACT_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "ids/ids.h"

struct fact_index;

struct fact_index *fact_index_new(size_t facts_max);
void fact_index_destroy(struct fact_index **self_p);

enum fact_found {
    FACT_UNKNOWN, /* and from now on in hand: end it with fact_index_put or fact_index_drop */
    FACT_IN_HAND, /* by another request */
    FACT_STORED   /* *sequence says where */
};
enum fact_found fact_index_begin(struct fact_index *self, const struct id *fact,
                                 uint64_t *sequence);
/* It is in the journal. */
void fact_index_put(struct fact_index *self, const struct id *fact, uint64_t sequence);
/* It came to nothing, or nobody knows: the next one may try. */
void fact_index_drop(struct fact_index *self, const struct id *fact);

#endif
