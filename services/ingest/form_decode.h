/* form_decode - application/x-www-form-urlencoded to a JSON object of texts, so that a form and a
 * JSON body are read by the same code. Pure. */
#ifndef DESG_INGEST_FORM_DECODE_H
#define DESG_INGEST_FORM_DECODE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { FORM_FIELDS_MAX = 256 };

/* NULL: a field named twice, or more than FORM_FIELDS_MAX of them. What is not UTF-8 becomes
 * U+FFFD; a broken % stays as it is. The caller releases the object. */
json_t *form_decode(const uint8_t *body, size_t length);

#endif
