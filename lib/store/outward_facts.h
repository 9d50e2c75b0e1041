/* outward_facts - what people decide of what goes out, as functions/outward.lua takes it; and what
 * the files about the outbox share. */
#ifndef DESG_STORE_OUTWARD_FACTS_H
#define DESG_STORE_OUTWARD_FACTS_H

#include <jansson.h>

#include "store/internal.h"
#include "store/outbox.h"

enum { STORE_ITEM_HEAD_BYTES = 128 };

/* The word Redis keeps for what a fact says of what goes out; NULL: it says nothing of that. */
const char *store_outward_word(const Desg__V1__Fact *fact);
/* Whether it can be one. ERROR_INVALID. */
int store_outward_check(const Desg__V1__Fact *fact, struct error *err) MUST_USE;
struct call;
/* As the functions take one. */
void store_outward_add(struct call *call, const Desg__V1__Fact *fact);
/* One call with those of facts that are about what goes out and can be. Answers as desg_facts. */
redisReply *store_outward_send(struct store *self, const Desg__V1__Fact *const *facts, size_t count,
                               char *history, struct error *err) MUST_USE;

/* kind, conversation or broadcast, version, action, decided at: as functions/outbox.lua has it. */
int store_item_head(const Desg__V1__OutboxItem *item, char out[static STORE_ITEM_HEAD_BYTES],
                    struct error *err) MUST_USE;

/* outbox.c. null is NULL. */
int store_json(struct store *self, const redisReply *text, json_t **out,
               struct error *err) MUST_USE;
/* What a row of an item lacks when it comes from Lua. */
void store_mend_row(json_t *row);

#endif
