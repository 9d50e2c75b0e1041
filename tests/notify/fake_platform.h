/* fake_platform - a platform for tests, on a free port of this machine: keeps what it was asked and
 * answers as told, else with a new id. Every failure of its own ends the program. */
#ifndef DESG_TEST_FAKE_PLATFORM_H
#define DESG_TEST_FAKE_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_platform;

enum platform_manner {
    PLATFORM_ANSWERS,
    PLATFORM_TAKES_AND_HANGS, /* what was asked is done; the answer never comes */
    PLATFORM_DROPS            /* closes without an answer */
};

/* How the next requests whose method and path fit are answered; used up one per request. */
struct platform_script {
    const char *method;   /* NULL: any */
    const char *path_end; /* NULL: any */
    unsigned times;
    enum platform_manner manner;
    unsigned status;
    const char *body;        /* NULL: {} */
    const char *retry_after; /* NULL: not said */
};

struct fake_platform *fake_platform_new(void);
void fake_platform_destroy(struct fake_platform **self_p);
uint16_t fake_platform_port(const struct fake_platform *self);
void fake_platform_script(struct fake_platform *self, const struct platform_script *script);
/* Lets what hangs go. */
void fake_platform_release(struct fake_platform *self);

/* Requests so far whose method is it and whose path ends so (NULL: any). */
size_t fake_platform_count(struct fake_platform *self, const char *method, const char *path_end);
bool fake_platform_wait(struct fake_platform *self, const char *method, const char *path_end,
                        size_t count, int64_t timeout_ms);
/* Copy of the index-th such request's body; to be freed. */
char *fake_platform_body(struct fake_platform *self, const char *method, const char *path_end,
                         size_t index);

#endif
