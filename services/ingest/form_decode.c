#include "ingest/form_decode.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "ingest/json_repair.h"

/* Decodes in[0..length) into out of at least length bytes; returns the length written. */
static size_t percent_decode(const uint8_t *in, size_t length, uint8_t *out)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = in[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%' && i + 2 < length &&
                   crypto_unhex((const char *)in + i + 1, 2, &byte, 1)) {
            i += 2;
        }
        out[written++] = byte;
    }
    return written;
}

/* in as text in buffer: decoded first behind where the repaired text will lie. */
static const char *decode(const uint8_t *in, size_t length, char *buffer)
{
    uint8_t *decoded = (uint8_t *)buffer + 3 * length + 1;
    size_t decoded_bytes = percent_decode(in, length, decoded);
    (void)utf8_repair(decoded, decoded_bytes, buffer);
    return buffer;
}

/* Adds one name=value. Returns 0, or -1 for a name twice. */
static int add_field(json_t *fields, const uint8_t *field, size_t length, char *buffer)
{
    const uint8_t *equals = memchr(field, '=', length);
    size_t name_bytes = equals ? (size_t)(equals - field) : length;
    size_t value_bytes = equals ? length - name_bytes - 1 : 0;
    const char *name = decode(field, name_bytes, buffer);
    if (json_object_get(fields, name))
        return -1;
    char *value = buffer + 4 * name_bytes + 2;
    return json_object_set_new(
        fields, name, json_string(decode(field + length - value_bytes, value_bytes, value)));
}

json_t *form_decode(const uint8_t *body, size_t length)
{
    json_t *fields = json_object();
    char *buffer = malloc(4 * length + 8);
    if (!fields || !buffer)
        abort(); /* the record is in the journal: a restart reads it again */
    int outcome = 0;
    for (size_t at = 0; at < length && outcome == 0;) {
        const uint8_t *ampersand = memchr(body + at, '&', length - at);
        size_t field_bytes = ampersand ? (size_t)(ampersand - body) - at : length - at;
        if (field_bytes > 0)
            outcome = add_field(fields, body + at, field_bytes, buffer);
        if (json_object_size(fields) > FORM_FIELDS_MAX)
            outcome = -1;
        at += field_bytes + 1;
    }
    free(buffer);
    if (outcome != 0) {
        json_decref(fields);
        return NULL;
    }
    return fields;
}
