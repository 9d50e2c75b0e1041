#include "store/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/functions.h"

enum { FIRST_ROOM = 16 };

struct call {
    char **arguments;
    size_t *lengths;
    size_t count, room;
};

static void *must(void *memory)
{
    if (!memory)
        abort(); /* as protobuf-c and hiredis do */
    return memory;
}

/* Room for one argument more of so many bytes. */
static char *add(struct call *self, size_t length)
{
    if (self->count == self->room) {
        self->room = self->room ? 2 * self->room : FIRST_ROOM;
        self->arguments = must(realloc(self->arguments, self->room * sizeof(char *)));
        self->lengths = must(realloc(self->lengths, self->room * sizeof(size_t)));
    }
    char *argument = must(malloc(length + 1));
    argument[length] = '\0';
    self->arguments[self->count] = argument;
    self->lengths[self->count++] = length;
    return argument;
}

struct call *call_new(const struct store *store, const char *function)
{
    struct call *self = must(calloc(1, sizeof *self));
    call_text(self, "FCALL");
    call_format(self, STORE_LIBRARY "_%s", function);
    call_text(self, "1");
    call_text(self, store->prefix);
    return self;
}

void call_free(struct call **self_p)
{
    struct call *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->arguments[i]);
    free(self->arguments);
    free(self->lengths);
    free(self);
    *self_p = NULL;
}

void call_bytes(struct call *self, const void *bytes, size_t length)
{
    char *argument = add(self, length);
    if (length > 0)
        memcpy(argument, bytes, length);
}

void call_text(struct call *self, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    char *argument = add(self, length);
    for (size_t i = 0; i < length; i++) {
        argument[i] = text[i];
        if ((unsigned char)text[i] < ' ')
            argument[i] = ' ';
    }
}

void call_format(struct call *self, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text)
        abort(); /* numbers and short words: ours alone */
    call_bytes(self, text, (size_t)length);
}

void call_id(struct call *self, const ProtobufCBinaryData *id)
{
    char text[ID_TEXT_BYTES] = "";
    if (id->len == ID_BYTES)
        id_text(id->data, text);
    call_text(self, text);
}

void call_message(struct call *self, const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = (uint8_t *)add(self, length);
    (void)protobuf_c_message_pack(message, bytes);
}

redisReply *call_send(struct store *store, const struct call *self, size_t expected, char *history,
                      struct error *err)
{
    if (store_need(store, err) != 0)
        return NULL;
    redisReply *reply =
        store_command(store, (int)self->count, (const char **)self->arguments, self->lengths, err);
    if (!reply)
        return NULL;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < expected)
        (void)store_lose(store, err, "function %s answered too little", self->arguments[1]);
    else if (store_take_history(store, reply, history, err) == 0)
        return reply;
    store_reply_free(&reply);
    return NULL;
}

redisReply *call_ask(struct store *store, const struct call *self, size_t expected,
                     struct error *err)
{
    redisReply *reply = call_send(store, self, 2, NULL, err);
    if (!reply)
        return NULL;
    if (strcmp(store_text(reply->element[1]), "refused") == 0)
        (void)error_set(err, ERROR_INVALID, "%s",
                        reply->elements > 2 ? store_text(reply->element[2]) : "refused");
    else if (reply->elements < expected)
        (void)store_lose(store, err, "function %s answered too little", self->arguments[1]);
    else
        return reply;
    store_reply_free(&reply);
    return NULL;
}
