/* unpack - a serialised message taken apart (and, by way of its bytes, a message copied), with the
 * two ways to fail kept apart. protobuf-c says NULL both for bytes that are none and for a want of
 * memory; whoever refuses, sets aside or passes over what cannot be read has to know which, or a
 * good message pays for a full machine. Threads: any. */
#ifndef DESG_UNPACK_H
#define DESG_UNPACK_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "error/error.h"

/* The message in bytes[0..length), to be freed with its own free_unpacked(message, NULL). NULL with
 * ERROR_INVALID: the bytes are no such message, and never will be. NULL with ERROR_SYSTEM: no
 * memory now, the bytes are as good as before. bytes may be NULL for length 0. */
void *unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
             struct error *err) MUST_USE;

/* For what lies in a journal of ours, where nobody could be told to come again: NULL only if the
 * bytes are no such message. Without memory it says so and ends the process with EX_OSERR: it is
 * started again and reads the same, where passing it over would lose it. */
void *unpack_or_end(const ProtobufCMessageDescriptor *descriptor, const void *bytes,
                    size_t length) MUST_USE;

/* A copy of message, to be freed as any that was unpacked. Never NULL: without memory, or for a
 * message that cannot be packed, the process ends. */
void *unpack_copy(const ProtobufCMessage *message) MUST_USE;

#endif
