/* outbox_book_inside - what the files of the book share: outbox_book.c (items, places, what is
 * next), outbox_answers.c (what came of a step), outbox_replay.c (from the journal). Nobody else
 * includes it. */
#ifndef DESG_NOTIFY_OUTBOX_BOOK_INSIDE_H
#define DESG_NOTIFY_OUTBOX_BOOK_INSIDE_H

#include "notify/outbox_book.h"

struct outbox_book {
    struct outbox_book_options options;
    struct outbox_place **places;
    size_t place_count;
    struct outbox_item **buckets;
    size_t bucket_count; /* a power of two */
    size_t known;
    struct outbox_tell *tells; /* first_tell to tell_count are waiting */
    size_t first_tell, tell_count, tell_capacity;
    uint64_t random;
    uint64_t projected; /* the journal is in Redis up to here */
    bool is_draining;
};

struct outbox_item *book_add(struct outbox_book *self, const struct id *id);
/* Reads class, thread and times of item->what. */
void book_describe(struct outbox_item *item);
void book_list(struct outbox_item *item);
void book_unlist(struct outbox_item *item);
void book_make_room(struct outbox_item *item, uint32_t parts);
/* Nothing more will be done. */
void book_end(struct outbox_book *self, struct outbox_item *item, int64_t now_ms);
void book_leave_works(struct outbox_item *item);
void book_look_anew(struct outbox_item *item, int64_t now_ms);
void book_copy(char *out, size_t bytes, const char *text);

/* A tell about item's present part. Valid until the next. */
struct outbox_tell *book_tell(struct outbox_book *self, struct outbox_item *item,
                              Desg__V1__SendOutcome outcome, const char *error, int64_t unix_ms);
/* Marks it as the item's last and ends the item. */
void book_tell_last(struct outbox_book *self, struct outbox_item *item, struct outbox_tell *tell,
                    int64_t now_ms);

#endif
