/* model_file - a trained model in one small file: weights, thresholds, the training record and a
 * checksum over all of it. A file that was damaged, cut, made for other features or holds what
 * cannot be is refused with the reason. Reading needs nothing of what trained it. Threads: what was
 * loaded is const, so any. */
#ifndef DESG_TRIAGE_MODEL_FILE_H
#define DESG_TRIAGE_MODEL_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "triage/linear_model.h"

enum {
    MODEL_FILE_MAX_BYTES = 2 << 20,
    MODEL_FILE_RECORD_MAX_BYTES = 64 << 10,
    MODEL_FILE_DATE_BYTES = 11,   /* 2026-11-22 and a NUL */
    MODEL_FILE_EDITION_BYTES = 20 /* date, + and 8 digits of the checksum, and a NUL */
};

struct model_file;

/* ERROR_CONFIG: it cannot be read or is no good; the text names path, fault and remedy. */
struct model_file *model_file_load(const char *path, struct error *err) MUST_USE;
/* The same from memory, which is copied; name stands in errors. */
struct model_file *model_file_read(const uint8_t *bytes, size_t length, const char *name,
                                   struct error *err) MUST_USE;
void model_file_destroy(struct model_file **self_p);

/* Both last as long as the file. */
const struct model *model_file_model(const struct model_file *self);
const struct linear_model *model_file_linear(const struct model_file *self);
/* What it was trained from: JSON. */
const char *model_file_record(const struct model_file *self);

/* Writes a model, the same bytes for the same arguments; the file is whole or not there. date such
 * as 2026-11-22. ERROR_INVALID: what cannot be read back; ERROR_SYSTEM: the disk. */
int model_file_write(const char *path, const struct linear_model *model, const char *date,
                     const char *record, struct error *err) MUST_USE;

/* A number that changes when the file is written anew; 0 if it is not there. For noticing, not for
 * proving. */
uint64_t model_file_stamp(const char *path);

#endif
