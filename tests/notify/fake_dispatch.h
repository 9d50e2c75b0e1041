/* fake_dispatch - a receiver of alerts for tests, on a free port of this machine: keeps what it was
 * sent and answers as told. Honours keys as a real one: the same key with other bytes gets 422, the
 * same key again the stored answer. Every failure of its own ends the program. */
#ifndef DESG_TEST_FAKE_DISPATCH_H
#define DESG_TEST_FAKE_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_dispatch;

struct fake_request {
    char path[32];
    char key[96]; /* as it came, quotes and all */
    char authorization[96];
    char signature[96];
    char content_type[64];
    char traceparent[64];
    char *body;
    size_t length;
    int64_t at_ms;
    unsigned answered; /* status; 0: none */
};

enum fake_manner {
    FAKE_ANSWER,
    FAKE_HANG,      /* no answer for as long as the sender waits */
    FAKE_HALF,      /* headers and half the body, then closes */
    FAKE_DROP,      /* closes without an answer */
    FAKE_TAKE_HANG, /* keeps key and bytes as accepted, then hangs: the reply is lost */
};

/* How the next requests to a path are answered; used up one per request, then 202. */
struct fake_script {
    const char *path;
    unsigned times;
    enum fake_manner manner;
    unsigned status;
    const char *retry_after; /* NULL: not said */
    const char *location;    /* NULL: not said */
};

struct fake_dispatch *fake_dispatch_new(void);
void fake_dispatch_destroy(struct fake_dispatch **self_p);

uint16_t fake_dispatch_port(const struct fake_dispatch *self);
void fake_dispatch_script(struct fake_dispatch *self, const struct fake_script *script);
/* Nobody listens on the port / again somebody does, with all it knew. */
void fake_dispatch_down(struct fake_dispatch *self);
void fake_dispatch_up(struct fake_dispatch *self);
/* Lets what hangs go. */
void fake_dispatch_release(struct fake_dispatch *self);

/* Waits until count requests to path were received (key_end: whose key ends so; NULL = any). */
bool fake_dispatch_wait(struct fake_dispatch *self, const char *path, const char *key_end,
                        size_t count, int64_t timeout_ms);
size_t fake_dispatch_count(struct fake_dispatch *self, const char *path, const char *key_end);
/* A copy of the index-th (from 0) such request; body to be freed by the caller. Ends the program if
 * there is none. */
struct fake_request fake_dispatch_request(struct fake_dispatch *self, const char *path,
                                          const char *key_end, size_t index);

#endif
