#include "journal/archive_format.h"

#include <string.h>

#include "crypto/crypto.h"
#include "journal/bytes.h"

enum {
    HEADER_AT_CRC = 8, /* over all behind it */
    HEADER_AT_VERSION = 12,
    HEADER_AT_SOURCE = 16,
    HEADER_AT_FIRST = 32,
    HEADER_AT_INCARNATION = 40,
    HEADER_AT_CREATED = 48,
    HEADER_AT_FILE = 56,
    FRAME_AT_MAGIC = 0,
    FRAME_AT_CRC = 4, /* over all behind it, payload included */
    FRAME_AT_KIND = 8,
    FRAME_AT_LENGTH = 12,
    FRAME_AT_SEQUENCE = 16,
    FRAME_AT_FILE = 24,
};

static const uint8_t HEADER_MAGIC[8] = { 'D', 'E', 'S', 'G', 'A', 'R', 'C', 'H' };
static const uint8_t FRAME_MAGIC[4] = { 0xd5, 'F', 'r', 0x9a };

static uint32_t header_crc(const uint8_t *bytes)
{
    return crypto_crc32c(bytes + HEADER_AT_VERSION, ARCHIVE_HEADER_BYTES - HEADER_AT_VERSION);
}

void archive_header_encode(const struct archive_header *header,
                           uint8_t out[static ARCHIVE_HEADER_BYTES])
{
    memcpy(out, HEADER_MAGIC, sizeof HEADER_MAGIC);
    put32(out + HEADER_AT_VERSION, header->version);
    memcpy(out + HEADER_AT_SOURCE, header->source.bytes, sizeof header->source.bytes);
    put64(out + HEADER_AT_FIRST, header->first_sequence);
    put64(out + HEADER_AT_INCARNATION, header->incarnation);
    put64(out + HEADER_AT_CREATED, (uint64_t)header->created_unix_ms);
    put64(out + HEADER_AT_FILE, header->file);
    put32(out + HEADER_AT_CRC, header_crc(out));
}

bool archive_header_is_ours(const uint8_t *bytes, size_t length)
{
    return length >= ARCHIVE_HEADER_BYTES && memcmp(bytes, HEADER_MAGIC, sizeof HEADER_MAGIC) == 0;
}

bool archive_header_decode(const uint8_t *bytes, size_t length, struct archive_header *out)
{
    if (!archive_header_is_ours(bytes, length) || get32(bytes + HEADER_AT_CRC) != header_crc(bytes))
        return false;
    *out = (struct archive_header){
        .version = get32(bytes + HEADER_AT_VERSION),
        .file = get64(bytes + HEADER_AT_FILE),
        .first_sequence = get64(bytes + HEADER_AT_FIRST),
        .incarnation = get64(bytes + HEADER_AT_INCARNATION),
        .created_unix_ms = (int64_t)get64(bytes + HEADER_AT_CREATED),
    };
    memcpy(out->source.bytes, bytes + HEADER_AT_SOURCE, sizeof out->source.bytes);
    return true;
}

static uint32_t frame_crc(const uint8_t *head, size_t length)
{
    return crypto_crc32c(head + FRAME_AT_KIND, ARCHIVE_FRAME_BYTES - FRAME_AT_KIND + length);
}

void archive_frame_seal(const struct archive_frame *frame, uint8_t *head)
{
    memcpy(head + FRAME_AT_MAGIC, FRAME_MAGIC, sizeof FRAME_MAGIC);
    put32(head + FRAME_AT_KIND, frame->kind);
    put32(head + FRAME_AT_LENGTH, (uint32_t)frame->length);
    put64(head + FRAME_AT_SEQUENCE, frame->sequence);
    put64(head + FRAME_AT_FILE, frame->file);
    put32(head + FRAME_AT_CRC, frame_crc(head, frame->length));
}

bool archive_frame_peek(const uint8_t *head, size_t length, struct archive_frame *out)
{
    if (length < ARCHIVE_FRAME_BYTES || memcmp(head, FRAME_MAGIC, sizeof FRAME_MAGIC) != 0)
        return false;
    uint32_t kind = get32(head + FRAME_AT_KIND);
    uint32_t payload_bytes = get32(head + FRAME_AT_LENGTH);
    if (kind < ARCHIVE_FRAME_RECORD || kind > ARCHIVE_FRAME_END ||
        payload_bytes > ARCHIVE_PAYLOAD_MAX_BYTES)
        return false;
    *out = (struct archive_frame){
        .kind = (enum archive_frame_kind)kind,
        .file = get64(head + FRAME_AT_FILE),
        .sequence = get64(head + FRAME_AT_SEQUENCE),
        .length = payload_bytes,
    };
    return true;
}

bool archive_frame_check(const uint8_t *head, struct archive_frame *frame)
{
    if (get32(head + FRAME_AT_CRC) != frame_crc(head, frame->length))
        return false;
    frame->payload = head + ARCHIVE_FRAME_BYTES;
    return true;
}
