#include "unpack/unpack.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "log/log.h"

struct memory {
    ProtobufCAllocator allocator;
    bool was_short;
};

static void *take(void *arg, size_t size)
{
    struct memory *self = arg;
    void *taken = malloc(size ? size : 1); /* NULL for 0 would look like a want of it */
    self->was_short |= !taken;
    return taken;
}

static void give_back(void *arg, void *pointer)
{
    (void)arg;
    free(pointer);
}

void *unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
             struct error *err)
{
    static const uint8_t nothing[1] = { 0 };
    assert(descriptor && (bytes || length == 0));
    struct memory memory = { .allocator = { take, give_back, &memory } };
    void *message =
        protobuf_c_message_unpack(descriptor, &memory.allocator, length, bytes ? bytes : nothing);
    if (message)
        return message;
    if (memory.was_short)
        (void)error_set(err, ERROR_SYSTEM, "no memory to decode %s of %zu bytes",
                        descriptor->short_name, length);
    else
        (void)error_set(err, ERROR_INVALID, "%s of %zu bytes cannot be decoded",
                        descriptor->short_name, length);
    return NULL;
}

/* No handler of ours has memory either, and abort would leave texts in a core. */
static void end_without_memory(const char *what)
{
    log_error("out_of_memory", KV("error", what));
    _exit(EX_OSERR);
}

void *unpack_or_end(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length)
{
    struct error err = { 0 };
    void *message = unpack(descriptor, bytes, length, &err);
    if (!message && err.kind == ERROR_SYSTEM)
        end_without_memory(err.text);
    return message;
}

void *unpack_copy(const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(length + 1);
    if (!bytes)
        end_without_memory("no memory to copy a message");
    (void)protobuf_c_message_pack(message, bytes);
    void *copy = unpack_or_end(message->descriptor, bytes, length);
    free(bytes);
    if (!copy)
        abort(); /* what was just packed */
    return copy;
}
