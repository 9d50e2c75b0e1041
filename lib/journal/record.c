#include "journal/record.h"

#include <assert.h>
#include <string.h>

#include "crypto/crypto.h"
#include "journal/bytes.h"

/* A record's value: offsets. */
enum {
    AT_CRC = 0,
    AT_KIND = 4,
    AT_FLAGS = 6,
    AT_SEQUENCE = 8,
    AT_INCARNATION = 16,
    AT_STORED_AT = 24,
    AT_LENGTH = 32,
};

/* A note's value: CRC, flags, the key once more (the CRC and the seal bind them), bytes. */
enum { NOTE_AT_CRC = 0, NOTE_AT_FLAGS = 4, NOTE_AT_KEY = 6 };

enum { FLAG_SEALED = 1, FORMAT_ONE = 1 << 8, FLAGS_KNOWN = FLAG_SEALED | FORMAT_ONE };

void record_key(uint64_t sequence, uint8_t out[static RECORD_KEY_BYTES])
{
    sequence = htobe64(sequence);
    memcpy(out, &sequence, sizeof sequence);
}

void record_part_key(uint64_t sequence, uint16_t part, uint8_t out[static RECORD_PART_KEY_BYTES])
{
    record_key(sequence, out);
    part = htobe16(part);
    memcpy(out + RECORD_KEY_BYTES, &part, sizeof part);
}

uint64_t record_key_sequence(const uint8_t key[static RECORD_KEY_BYTES])
{
    uint64_t sequence;
    memcpy(&sequence, key, sizeof sequence);
    return be64toh(sequence);
}

size_t record_value_bytes(size_t body_bytes, bool is_sealed)
{
    return RECORD_HEADER_BYTES + body_bytes + (is_sealed ? SEAL_OVERHEAD_BYTES : 0);
}

void record_encode(const struct record *head, const void *body, size_t body_bytes,
                   const struct keyring *keyring, uint8_t *out)
{
    size_t value_bytes = record_value_bytes(body_bytes, keyring != NULL);
    assert(value_bytes <= UINT32_MAX);
    put16(out + AT_KIND, head->kind);
    put16(out + AT_FLAGS, (uint16_t)(FORMAT_ONE | (keyring ? FLAG_SEALED : 0)));
    put64(out + AT_SEQUENCE, head->sequence);
    put64(out + AT_INCARNATION, head->incarnation);
    put64(out + AT_STORED_AT, (uint64_t)head->stored_at_ms);
    put32(out + AT_LENGTH, (uint32_t)(value_bytes - RECORD_HEADER_BYTES));
    if (keyring)
        keyring_seal(keyring, out + AT_KIND, RECORD_HEADER_BYTES - AT_KIND, body, body_bytes,
                     out + RECORD_HEADER_BYTES);
    else if (body_bytes)
        memcpy(out + RECORD_HEADER_BYTES, body, body_bytes);
    put32(out + AT_CRC, crypto_crc32c(out + AT_KIND, value_bytes - AT_KIND));
}

size_t record_claimed_bytes(const uint8_t *value, size_t length, size_t body_max_bytes)
{
    if (length < RECORD_HEADER_BYTES)
        return 0;
    size_t claimed = (size_t)RECORD_HEADER_BYTES + get32(value + AT_LENGTH);
    return claimed <= record_value_bytes(body_max_bytes, true) ? claimed : 0;
}

bool record_peek(const uint8_t *value, size_t length, struct record *out)
{
    if (length < RECORD_HEADER_BYTES)
        return false;
    *out = (struct record){
        .sequence = get64(value + AT_SEQUENCE),
        .incarnation = get64(value + AT_INCARNATION),
        .stored_at_ms = (int64_t)get64(value + AT_STORED_AT),
        .kind = get16(value + AT_KIND),
        .is_sealed = (get16(value + AT_FLAGS) & FLAG_SEALED) != 0,
        .stored = value + RECORD_HEADER_BYTES,
        .stored_bytes = get32(value + AT_LENGTH),
    };
    return true;
}

bool record_decode(const uint8_t *value, size_t length, uint64_t sequence, struct record *out)
{
    struct record record;
    if (!record_peek(value, length, &record) ||
        record.stored_bytes != length - RECORD_HEADER_BYTES || record.sequence != sequence ||
        get32(value + AT_CRC) != crypto_crc32c(value + AT_KIND, length - AT_KIND))
        return false;
    if ((get16(value + AT_FLAGS) & ~FLAGS_KNOWN) != 0 ||
        (record.is_sealed && record.stored_bytes < SEAL_OVERHEAD_BYTES))
        return false;
    *out = record;
    return true;
}

size_t record_body_bytes(const struct record *self)
{
    return self->stored_bytes - (self->is_sealed ? SEAL_OVERHEAD_BYTES : 0);
}

int record_open(const struct record *self, const struct keyring *keyring, uint8_t *out,
                struct error *err)
{
    if (!self->is_sealed) {
        if (self->stored_bytes)
            memcpy(out, self->stored, self->stored_bytes);
        return 0;
    }
    if (!keyring)
        return error_set(err, ERROR_INVALID, "it is sealed and there is no key file");
    const uint8_t *header = self->stored - RECORD_HEADER_BYTES;
    return keyring_open(keyring, header + AT_KIND, RECORD_HEADER_BYTES - AT_KIND, self->stored,
                        self->stored_bytes, out, err);
}

void note_key(uint64_t sequence, uint32_t index, uint16_t kind, uint8_t out[static NOTE_KEY_BYTES])
{
    record_key(sequence, out);
    index = htobe32(index);
    kind = htobe16(kind);
    memcpy(out + RECORD_KEY_BYTES, &index, sizeof index);
    memcpy(out + RECORD_KEY_BYTES + sizeof index, &kind, sizeof kind);
}

void note_key_read(const uint8_t key[static NOTE_KEY_BYTES], uint32_t *index, uint16_t *kind)
{
    memcpy(index, key + RECORD_KEY_BYTES, sizeof *index);
    memcpy(kind, key + RECORD_KEY_BYTES + sizeof *index, sizeof *kind);
    *index = be32toh(*index);
    *kind = be16toh(*kind);
}

size_t note_value_bytes(size_t length, bool is_sealed)
{
    return NOTE_HEADER_BYTES + length + (is_sealed ? SEAL_OVERHEAD_BYTES : 0);
}

void note_encode(const uint8_t key[static NOTE_KEY_BYTES], const void *bytes, size_t length,
                 const struct keyring *keyring, uint8_t *out)
{
    put16(out + NOTE_AT_FLAGS, (uint16_t)(FORMAT_ONE | (keyring ? FLAG_SEALED : 0)));
    memcpy(out + NOTE_AT_KEY, key, NOTE_KEY_BYTES);
    if (keyring)
        keyring_seal(keyring, out + NOTE_AT_FLAGS, NOTE_HEADER_BYTES - NOTE_AT_FLAGS, bytes, length,
                     out + NOTE_HEADER_BYTES);
    else if (length)
        memcpy(out + NOTE_HEADER_BYTES, bytes, length);
    size_t value_bytes = note_value_bytes(length, keyring != NULL);
    put32(out + NOTE_AT_CRC, crypto_crc32c(out + NOTE_AT_FLAGS, value_bytes - NOTE_AT_FLAGS));
}

size_t note_room_bytes(size_t length)
{
    return length < NOTE_HEADER_BYTES ? 0 : length - NOTE_HEADER_BYTES;
}

int note_decode(const uint8_t key[static NOTE_KEY_BYTES], const uint8_t *value, size_t length,
                const struct keyring *keyring, uint8_t *out, size_t *out_bytes, struct error *err)
{
    if (length < NOTE_HEADER_BYTES ||
        get32(value + NOTE_AT_CRC) !=
            crypto_crc32c(value + NOTE_AT_FLAGS, length - NOTE_AT_FLAGS) ||
        memcmp(value + NOTE_AT_KEY, key, NOTE_KEY_BYTES) != 0)
        return error_set(err, ERROR_INVALID, "its check sum is wrong");
    size_t stored_bytes = length - NOTE_HEADER_BYTES;
    if (!(get16(value + NOTE_AT_FLAGS) & FLAG_SEALED)) {
        if (stored_bytes)
            memcpy(out, value + NOTE_HEADER_BYTES, stored_bytes);
        *out_bytes = stored_bytes;
        return 0;
    }
    if (!keyring)
        return error_set(err, ERROR_INVALID, "it is sealed and there is no key file");
    if (keyring_open(keyring, value + NOTE_AT_FLAGS, NOTE_HEADER_BYTES - NOTE_AT_FLAGS,
                     value + NOTE_HEADER_BYTES, stored_bytes, out, err) != 0)
        return -1;
    *out_bytes = stored_bytes - SEAL_OVERHEAD_BYTES;
    return 0;
}

bool note_find_key(uint64_t sequence, const uint8_t *value, size_t length,
                   uint8_t key[static NOTE_KEY_BYTES])
{
    if (length < NOTE_HEADER_BYTES)
        return false;
    memcpy(key, value + NOTE_AT_KEY, NOTE_KEY_BYTES);
    return record_key_sequence(key) == sequence;
}
