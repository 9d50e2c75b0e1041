#include "ids/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    VERSION_HEX = 2,
    TRACE_HEX = 32,
    SPAN_HEX = 16,
    FLAGS_HEX = 2,
    TRACE_AT = VERSION_HEX + 1,
    SPAN_AT = TRACE_AT + TRACE_HEX + 1,
    FLAGS_AT = SPAN_AT + SPAN_HEX + 1,
    WHOLE = FLAGS_AT + FLAGS_HEX
};

static uint64_t half_of(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof number; i++)
        number = number << 8 | bytes[i];
    return number;
}

void trace_maker_start(struct trace_maker *self)
{
    struct id chance = id_random();
    self->high = half_of(chance.bytes);
    atomic_init(&self->next, half_of(chance.bytes + sizeof(uint64_t)));
}

/* A counter, and a mix of its bits that gives each number another (splitmix64). */
struct trace trace_make(struct trace_maker *self)
{
    uint64_t low =
        atomic_fetch_add_explicit(&self->next, 0x9E3779B97F4A7C15U, memory_order_relaxed);
    low = (low ^ low >> 30) * 0xBF58476D1CE4E5B9U;
    low = (low ^ low >> 27) * 0x94D049BB133111EBU;
    low ^= low >> 31;
    return (struct trace){ .high = self->high, .low = low ? low : 1 };
}

bool trace_is_set(struct trace trace)
{
    return trace.high != 0 || trace.low != 0;
}

/* count lowercase hex digits as a number. */
static bool read_hex(const char *text, size_t count, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        const char *digits = "0123456789abcdef";
        const char *found = text[i] ? strchr(digits, text[i]) : NULL;
        if (!found)
            return false;
        *out = *out << 4 | (uint64_t)(found - digits);
    }
    return true;
}

bool trace_parse(const char *parent, struct trace *out)
{
    uint64_t version = 0, span = 0, flags = 0;
    struct trace trace;
    size_t length = strnlen(parent, WHOLE + 1);
    if (length < WHOLE || !read_hex(parent, VERSION_HEX, &version) || version == 0xFF)
        return false;
    /* A later version may say more behind it. */
    if (length > WHOLE && (version == 0 || parent[WHOLE] != '-'))
        return false;
    bool is_well = parent[TRACE_AT - 1] == '-' && parent[SPAN_AT - 1] == '-' &&
                   parent[FLAGS_AT - 1] == '-' &&
                   read_hex(parent + TRACE_AT, TRACE_HEX / 2, &trace.high) &&
                   read_hex(parent + TRACE_AT + TRACE_HEX / 2, TRACE_HEX / 2, &trace.low) &&
                   read_hex(parent + SPAN_AT, SPAN_HEX, &span) &&
                   read_hex(parent + FLAGS_AT, FLAGS_HEX, &flags);
    if (!is_well || !trace_is_set(trace) || span == 0)
        return false;
    *out = trace;
    return true;
}

struct trace trace_of_id(const uint8_t id[static ID_BYTES])
{
    return (struct trace){ .high = half_of(id), .low = half_of(id + sizeof(uint64_t)) };
}

void trace_text(struct trace trace, char out[static TRACE_TEXT_BYTES])
{
    out[0] = '\0';
    if (trace_is_set(trace))
        (void)snprintf(out, TRACE_TEXT_BYTES, "%016" PRIx64 "%016" PRIx64, trace.high, trace.low);
}

void trace_parent(struct trace trace, char out[static TRACE_PARENT_BYTES])
{
    struct id chance = id_random();
    uint64_t span = half_of(chance.bytes);
    (void)snprintf(out, TRACE_PARENT_BYTES, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-01",
                   trace.high, trace.low, span ? span : 1);
}
