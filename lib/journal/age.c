#include "journal/age.h"

#include <endian.h>
#include <string.h>

#include "crypto/crypto.h"

enum {
    STEP_MAX_MS = 60 * 1000, /* an idle journal ticks every few seconds */
    MARKS_PER_RETENTION = 64,
    SAVE_EVERY_MS = 5000,
    AT_CRC = 0,
    AT_FORMAT = 4,
    AT_SEEN = 8,
    AT_MARKS = 16,
    MARK_BYTES = 16,
    FORMAT = 1,
};

void age_tick(struct age *self, int64_t monotonic_ms)
{
    int64_t step_ms = self->ticked_ms ? monotonic_ms - self->ticked_ms : 0;
    self->ticked_ms = monotonic_ms;
    if (step_ms <= 0)
        return;
    if (step_ms > STEP_MAX_MS) /* the machine stood still, or its clock is wrong */
        step_ms = STEP_MAX_MS;
    self->seen_ms += step_ms;
    self->unsaved_ms += step_ms;
}

static void remove_oldest(struct age *self)
{
    self->mark_count--;
    memmove(&self->marks[0], &self->marks[1], self->mark_count * sizeof self->marks[0]);
}

static bool is_old(const struct age *self, size_t index, int64_t retention_ms)
{
    return self->marks[index].seen_ms <= self->seen_ms - retention_ms;
}

void age_mark(struct age *self, uint64_t next_sequence, int64_t retention_ms)
{
    if (self->mark_count > 0) {
        const struct age_mark *last = &self->marks[self->mark_count - 1];
        if (last->next_sequence >= next_sequence ||
            self->seen_ms - last->seen_ms < retention_ms / MARKS_PER_RETENTION)
            return;
    }
    while (self->mark_count > 1 && is_old(self, 1, retention_ms))
        remove_oldest(self); /* the next one says it all */
    if (self->mark_count == AGE_MARKS_MAX)
        remove_oldest(self); /* its records count as younger than they are */
    self->marks[self->mark_count++] =
        (struct age_mark){ .seen_ms = self->seen_ms, .next_sequence = next_sequence };
    self->is_mark_unsaved = true;
}

uint64_t age_old_through(const struct age *self, int64_t retention_ms)
{
    for (size_t i = self->mark_count; i > 0; i--)
        if (is_old(self, i - 1, retention_ms))
            return self->marks[i - 1].next_sequence - 1;
    return 0;
}

bool age_is_save_due(const struct age *self)
{
    return self->is_mark_unsaved || self->unsaved_ms >= SAVE_EVERY_MS;
}

void age_saved(struct age *self)
{
    self->is_mark_unsaved = false;
    self->unsaved_ms = 0;
}

static void put64(uint8_t *out, uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, sizeof value);
}

static uint64_t get64(const uint8_t *in)
{
    uint64_t value;
    memcpy(&value, in, sizeof value);
    return le64toh(value);
}

size_t age_encode(const struct age *self, uint8_t *out)
{
    size_t length = AT_MARKS + self->mark_count * MARK_BYTES;
    uint32_t format = htole32(FORMAT);
    memcpy(out + AT_FORMAT, &format, sizeof format);
    put64(out + AT_SEEN, (uint64_t)self->seen_ms);
    for (size_t i = 0; i < self->mark_count; i++) {
        put64(out + AT_MARKS + i * MARK_BYTES, (uint64_t)self->marks[i].seen_ms);
        put64(out + AT_MARKS + i * MARK_BYTES + 8, self->marks[i].next_sequence);
    }
    uint32_t crc = htole32(crypto_crc32c(out + AT_FORMAT, length - AT_FORMAT));
    memcpy(out + AT_CRC, &crc, sizeof crc);
    return length;
}

bool age_decode(const void *bytes, size_t length, struct age *out)
{
    *out = (struct age){ 0 };
    const uint8_t *in = bytes;
    if (length < AT_MARKS || length > AGE_STORED_MAX_BYTES || (length - AT_MARKS) % MARK_BYTES != 0)
        return false;
    uint32_t crc;
    memcpy(&crc, in + AT_CRC, sizeof crc);
    if (le32toh(crc) != crypto_crc32c(in + AT_FORMAT, length - AT_FORMAT))
        return false;
    out->seen_ms = (int64_t)get64(in + AT_SEEN);
    out->mark_count = (length - AT_MARKS) / MARK_BYTES;
    for (size_t i = 0; i < out->mark_count; i++)
        out->marks[i] = (struct age_mark){
            .seen_ms = (int64_t)get64(in + AT_MARKS + i * MARK_BYTES),
            .next_sequence = get64(in + AT_MARKS + i * MARK_BYTES + 8),
        };
    return true;
}
