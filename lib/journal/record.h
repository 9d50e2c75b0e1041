/* record - how a record and a note look as bytes in the journal file (README.md, File format).
 * Numbers are little-endian in values and big-endian in keys, so that keys sort by sequence. The
 * CRC-32C covers everything behind it: sequence, header, stored bytes. Pure. Threads: any. */
#ifndef DESG_JOURNAL_RECORD_H
#define DESG_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/seal.h"
#include "error/error.h"

enum {
    RECORD_KEY_BYTES = 8,
    RECORD_PART_KEY_BYTES = 10,
    RECORD_HEADER_BYTES = 36,
    /* A longer value is cut into parts, each a run of at most 16 pages: one long run may not be
     * found among free pages although there is room. 16 is LMDB's page header. */
    RECORD_PART_BYTES = 16 * 4096 - 16,
    NOTE_KEY_BYTES = 14,
    NOTE_HEADER_BYTES = 20,
};

struct record {
    uint64_t sequence;
    uint64_t incarnation;
    int64_t stored_at_ms;
    uint16_t kind;
    bool is_sealed;
    const uint8_t *stored; /* borrowed from the value */
    size_t stored_bytes;
};

void record_key(uint64_t sequence, uint8_t out[static RECORD_KEY_BYTES]);
void record_part_key(uint64_t sequence, uint16_t part, uint8_t out[static RECORD_PART_KEY_BYTES]);
uint64_t record_key_sequence(const uint8_t key[static RECORD_KEY_BYTES]);

size_t record_value_bytes(size_t body_bytes, bool is_sealed);

/* Writes the value into out (record_value_bytes). head: sequence, incarnation, stored_at_ms, kind.
 */
void record_encode(const struct record *head, const void *body, size_t body_bytes,
                   const struct keyring *keyring, uint8_t *out);

/* How long the whole value says it is, from its first part, unchecked; 0 if it cannot be one. */
size_t record_claimed_bytes(const uint8_t *value, size_t length, size_t body_max_bytes);

/* Reads the header without the CRC. Returns false if value is too short for one. */
bool record_peek(const uint8_t *value, size_t length, struct record *out);

/* Checks the value stored under sequence and points out into it. Returns false if it is damaged. */
bool record_decode(const uint8_t *value, size_t length, uint64_t sequence, struct record *out);

size_t record_body_bytes(const struct record *self);
/* Opens the body into out (record_body_bytes). ERROR_INVALID: no key for it, or altered. */
int record_open(const struct record *self, const struct keyring *keyring, uint8_t *out,
                struct error *err) MUST_USE;

void note_key(uint64_t sequence, uint32_t index, uint16_t kind, uint8_t out[static NOTE_KEY_BYTES]);
void note_key_read(const uint8_t key[static NOTE_KEY_BYTES], uint32_t *index, uint16_t *kind);

size_t note_value_bytes(size_t length, bool is_sealed);
void note_encode(const uint8_t key[static NOTE_KEY_BYTES], const void *bytes, size_t length,
                 const struct keyring *keyring, uint8_t *out);
/* Room that note_decode needs for a value of length bytes. */
size_t note_room_bytes(size_t length);
/* Opens the note's bytes into out (note_room_bytes) and stores their length. ERROR_INVALID: damaged
 * or no key for it. */
int note_decode(const uint8_t key[static NOTE_KEY_BYTES], const uint8_t *value, size_t length,
                const struct keyring *keyring, uint8_t *out, size_t *out_bytes,
                struct error *err) MUST_USE;
/* Finds the key inside a note's value, for where no database has it. Returns false if value is too
 * short or belongs to another sequence. */
bool note_find_key(uint64_t sequence, const uint8_t *value, size_t length,
                   uint8_t key[static NOTE_KEY_BYTES]);

#endif
