/* alert_book_inside - what the files of the book share: alert_book.c (intake, closing, counts),
 * alert_posts.c (posts, ladder, when), alert_digest.c (gathering), alert_replay.c (the journal at
 * start). Nobody else includes it. */
#ifndef DESG_NOTIFY_ALERT_BOOK_INSIDE_H
#define DESG_NOTIFY_ALERT_BOOK_INSIDE_H

#include "notify/alert_book.h"
#include "notify/alert_table.h"
#include "notify/pace.h"

struct gather; /* members of a digest to come, of one account */

struct alert_book {
    struct alert_table table;
    struct ladder_step ladder[ALERT_LADDER_MAX_STEPS];
    size_t ladder_count;
    bool has_second_path;
    bool is_draining;
    int64_t retention_ms;
    struct gather *gathers;
    struct pace paces[ALERT_PATH_COUNT];
};

/* The body is to be posted from now on; number of updates and reminders. */
void book_want(struct alert_entry *entry, enum alert_body body, uint32_t number, int64_t now_ms);
void book_want_second(const struct alert_book *self, struct alert_entry *entry, int64_t now_ms);
void book_want_update(struct alert_entry *entry, int64_t now_ms);
/* There is something to say beyond the first body. */
bool book_has_news(const struct alert_entry *entry);

/* The first body is with dispatch, by our post or because a dispatcher speaks of it. */
void book_raised_accepted(struct alert_book *self, struct alert_entry *entry, int64_t now_ms);
/* Closes the entry if nothing is left to do for it. */
void book_settle(struct alert_book *self, struct alert_entry *entry, int64_t now_ms);

/* The ladder's effect, live and at replay. */
void book_take_step(struct alert_book *self, struct alert_entry *entry, uint32_t step,
                    enum ladder_action action, int64_t now_ms);

void gather_add(struct alert_book *self, const struct alert_entry *entry, int64_t now_ms);
void gather_remove(struct alert_book *self, const struct id *id);
void gather_clear(struct alert_book *self);
/* When the next digest is due; INT64_MAX: none gathers. */
int64_t gather_due_ms(const struct alert_book *self, int64_t now_ms);
/* A new entry for digest, or NULL if it is known. */
struct alert_entry *digest_add(struct alert_book *self, const Desg__V1__AlertDigest *digest,
                               int64_t opened_ms, int64_t opened_unix_ms);

#endif
