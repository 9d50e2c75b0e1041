/* call - one call of a function with any number of arguments, bytes among them, copied as they are
 * added. For what is asked now and then; events have vectors of their own (apply.c). */
#ifndef DESG_STORE_CALL_H
#define DESG_STORE_CALL_H

#include "store/internal.h"

struct call;

/* function: its name without the library's prefix. Ends the process without memory, as hiredis
 * does. */
struct call *call_new(const struct store *store, const char *function);
void call_free(struct call **self_p);

void call_bytes(struct call *self, const void *bytes, size_t length);
void call_text(struct call *self, const char *text); /* control characters become blanks */
void call_format(struct call *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 32 hex digits; "" for what is no id. */
void call_id(struct call *self, const ProtobufCBinaryData *id);
/* As protobuf has it on the wire. */
void call_message(struct call *self, const ProtobufCMessage *message);

/* The answer, an array of at least expected elements that begins with the history. NULL as
 * store_command. history may be NULL. */
redisReply *call_send(struct store *store, const struct call *self, size_t expected, char *history,
                      struct error *err) MUST_USE;

/* The same for one that may answer "refused" and why: ERROR_INVALID then. */
redisReply *call_ask(struct store *store, const struct call *self, size_t expected,
                     struct error *err) MUST_USE;

#endif
