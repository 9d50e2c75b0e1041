/* archive_format - how an archive file looks as bytes (README.md, Archive): a header, then frames.
 * A frame holds the value of a record or note exactly as the journal stored it, sealed if it was,
 * under a CRC-32C of its own. Numbers are little-endian. Pure. Threads: any. */
#ifndef DESG_JOURNAL_ARCHIVE_FORMAT_H
#define DESG_JOURNAL_ARCHIVE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ids/ids.h"
#include "journal/journal.h"
#include "journal/record.h"

enum {
    ARCHIVE_VERSION = 1,
    ARCHIVE_HEADER_BYTES = 64,
    ARCHIVE_FRAME_BYTES = 32, /* of a frame's head, before its payload */
    ARCHIVE_PAYLOAD_MAX_BYTES =
        RECORD_HEADER_BYTES + JOURNAL_RECORD_MAX_BYTES + SEAL_OVERHEAD_BYTES,
};

struct archive_header {
    uint32_t version;
    uint64_t file; /* random; in each frame, so that bytes of another file or out of a message that
                      look like a frame are none */
    struct id source;
    uint64_t first_sequence;
    uint64_t incarnation; /* of the journal that wrote the file */
    int64_t created_unix_ms;
};

enum archive_frame_kind {
    ARCHIVE_FRAME_RECORD = 1, /* a record's value; its notes follow */
    ARCHIVE_FRAME_NOTE = 2,
    ARCHIVE_FRAME_LOST = 3, /* the journal itself could not read this record; no payload */
    ARCHIVE_FRAME_END = 4,  /* the file was closed; sequence is the last one in it */
};

struct archive_frame {
    enum archive_frame_kind kind;
    uint64_t file;
    uint64_t sequence;
    const uint8_t *payload;
    size_t length;
};

void archive_header_encode(const struct archive_header *header,
                           uint8_t out[static ARCHIVE_HEADER_BYTES]);
/* Is it an archive file at all? */
bool archive_header_is_ours(const uint8_t *bytes, size_t length);
/* Returns false if it is damaged. */
bool archive_header_decode(const uint8_t *bytes, size_t length, struct archive_header *out);

/* Writes the head in front of frame->length bytes of payload that stand behind it already. */
void archive_frame_seal(const struct archive_frame *frame, uint8_t *head);
/* Reads kind, sequence and length of a head that looks like one. */
bool archive_frame_peek(const uint8_t *head, size_t length, struct archive_frame *out);
/* Checks head and payload, frame->length bytes behind it, and points frame->payload at them. */
bool archive_frame_check(const uint8_t *head, struct archive_frame *frame);

#endif
