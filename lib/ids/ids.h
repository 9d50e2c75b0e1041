/* ids - who is who, the same at every replica and after every replay (docs/delivery.md, Ids).
 * Event and conversation ids are HMAC-SHA-256 under the force's id key, first 16 bytes: a plain
 * hash would let a reader of logs test whether a known telephone number wrote in. The key is one
 * secret, backed up, never rotated. Fields are length-prefixed before hashing, so no two different
 * tuples meet. Threads: a key is read-only. */
#ifndef DESG_IDS_H
#define DESG_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum { ID_BYTES = 16, ID_TEXT_BYTES = 33, ID_KEY_MIN_BYTES = 32 };

struct id {
    uint8_t bytes[ID_BYTES];
};

struct id_key;

/* Reads the key from a file of at least ID_KEY_MIN_BYTES bytes (a final newline is not part of it).
 */
struct id_key *id_key_load(const char *path, struct error *err) MUST_USE;
struct id_key *id_key_new(const void *secret, size_t length);
void id_key_destroy(struct id_key **self_p);

/* verb: the event's kind as a small number; object_id: the platform's id, or the canonical event
 * where it has none. */
struct id id_of_event(const struct id_key *key, const char *channel, const char *account, int kind,
                      const char *object_id, uint32_t edit_version);
/* scope: empty for private messages, the post's id for comments and mentions. */
struct id id_of_conversation(const struct id_key *key, const char *channel, const char *account,
                             const char *person, const char *scope);
/* Of what a person decided: agent by name, and the key the client made for it. */
struct id id_of_fact(const struct id_key *key, const char *agent, const char *client_key);
/* From the event id alone: needs no key downstream. */
struct id id_of_alert(const uint8_t event_id[static ID_BYTES]);
/* Of a digest, from the alert ids it names, in order. */
struct id id_of_digest(const struct id *alert_ids, size_t count);

struct id id_random(void);
void id_text(const uint8_t id[static ID_BYTES], char out[static ID_TEXT_BYTES]);
/* 32 hex digits → id. Returns 0 or -1. */
int id_parse(const char *text, struct id *out);

#endif
