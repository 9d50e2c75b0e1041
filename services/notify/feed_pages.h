/* feed_pages - the feed as the pages it is served in. Pure; a want of memory ends the program. */
#ifndef DESG_NOTIFY_FEED_PAGES_H
#define DESG_NOTIFY_FEED_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "notify/feed_book.h"
#include "outward/outward_config.h"

enum { FEED_PATH_BYTES = 64, FEED_ETAG_BYTES = 36, FEED_DATE_BYTES = 32 };

struct feed_page {
    char path[FEED_PATH_BYTES]; /* /feed.en.atom, /feed.cy.atom, /datex.xml, /cap/….xml */
    const char *type;
    char *body; /* NULL: gone for good (410) */
    size_t length;
    char etag[FEED_ETAG_BYTES];     /* of its content alone: the same at every replica */
    char modified[FEED_DATE_BYTES]; /* as HTTP has it */
};

struct feed_pages {
    struct feed_page *pages; /* by path */
    size_t count;
};

struct feed_pages *feed_pages_new(const struct outward_feed *feed, const struct feed_book *book,
                                  int64_t now_ms);
void feed_pages_destroy(struct feed_pages **self_p);

/* NULL: there is none. */
const struct feed_page *feed_pages_find(const struct feed_pages *self, const char *path);

#endif
