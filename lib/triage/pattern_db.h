/* pattern_db - many regular expressions looked for at once, by Hyperscan (or Vectorscan).
 * Compiling takes seconds, so the result can be kept in a file; a file that is damaged, or was made
 * from other patterns, by another version or for another processor, is not used.
 * Threads: a pattern_db is read-only and shared; a pattern_scratch belongs to one thread. */
#ifndef DESG_TRIAGE_PATTERN_DB_H
#define DESG_TRIAGE_PATTERN_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum { PATTERN_DB_KEY_BYTES = 32 };

struct pattern_db;
struct pattern_scratch;

/* Compiles count expressions; a pattern's number is its index. On failure NULL; *bad is the index
 * of the expression at fault, or count if it is none of them. ERROR_CONFIG: an expression is too
 * large, or this processor has no SSSE3. */
struct pattern_db *pattern_db_compile(const char *const *expressions, size_t count, size_t *bad,
                                      struct error *err) MUST_USE;

/* What a file of these expressions is known by: they, the library's version, this processor, and
 * content, which the caller chooses. */
void pattern_db_key(const char *const *expressions, size_t count,
                    const uint8_t content[static PATTERN_DB_KEY_BYTES],
                    uint8_t key[static PATTERN_DB_KEY_BYTES]);

/* Reads a file that pattern_db_save wrote under the same key. ERROR_UNAVAILABLE: there is none, or
 * it cannot be used: compile. */
struct pattern_db *pattern_db_open(const char *path, const uint8_t key[static PATTERN_DB_KEY_BYTES],
                                   struct error *err) MUST_USE;
/* Replaces the file at path in one step. */
int pattern_db_save(const struct pattern_db *self, const char *path,
                    const uint8_t key[static PATTERN_DB_KEY_BYTES], struct error *err) MUST_USE;
void pattern_db_destroy(struct pattern_db **self_p);

struct pattern_scratch *pattern_scratch_new(const struct pattern_db *db,
                                            struct error *err) MUST_USE;
void pattern_scratch_destroy(struct pattern_scratch **self_p);

/* Called for each place where a hit of a pattern ends, in order, with the leftmost start of such a
 * hit. Returns whether to go on. */
typedef bool pattern_found(void *arg, uint32_t pattern, size_t from, size_t to);

int pattern_db_find(const struct pattern_db *self, struct pattern_scratch *scratch,
                    const char *text, size_t length, pattern_found *found, void *arg,
                    struct error *err) MUST_USE;

#endif
