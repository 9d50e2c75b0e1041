/* Text from the public, repeated to a long one, judged by the shipped rules: the time must grow as
 * the text does. A text that costs more than its length is a way to hold up the desk. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "triage/triage.h"

enum {
    SHORT_BYTES = 4 << 10,
    TIMES_LONGER = 8,
    FACTOR_MAX = 3,           /* over linear: caches, other work on the machine */
    PAUSE_NS = 20 * 1000000,  /* a short run that was interrupted */
    PER_BYTE_NS_MAX = 100000, /* nothing may cost more than this, however odd */
    TRIES = 2
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct triage *make_triage(void)
{
    struct error err = { 0 };
    const struct triage_options options = { .model = NULL };
    struct rule_set *rules = rule_set_load(RULES_DIRECTORY, &err);
    struct triage *triage = rules ? triage_new(&rules, &options, &err) : NULL;
    if (!triage)
        (void)fprintf(stderr, "%s\n", err.text);
    assert(triage);
    return triage;
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The time to judge the text repeated to so many bytes: the least of some tries. */
static int64_t time_for(struct triage *triage, const uint8_t *data, size_t size, size_t bytes)
{
    struct verdict verdict;
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    char *text = malloc(bytes + 1);
    int64_t least_ns = INT64_MAX;
    assert(text);
    for (size_t i = 0; i < bytes; i++)
        text[i] = data[i % size] != 0 ? (char)data[i % size] : ' ';
    text[bytes] = '\0';
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = text;
    for (int i = 0; i < TRIES; i++) {
        int64_t began_ns = cpu_ns();
        triage_judge(triage, &event, &verdict);
        int64_t took_ns = cpu_ns() - began_ns;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    free(text);
    return least_ns;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct triage *triage; /* made once for all inputs; libFuzzer has no end to free it at */
    if (size == 0 || size > SHORT_BYTES)
        return 0;
    if (!triage)
        triage = make_triage();
    int64_t short_ns = time_for(triage, data, size, SHORT_BYTES);
    int64_t long_ns = time_for(triage, data, size, (size_t)SHORT_BYTES * TIMES_LONGER);
    assert(short_ns < (int64_t)PER_BYTE_NS_MAX * SHORT_BYTES);
    assert(long_ns < short_ns * TIMES_LONGER * FACTOR_MAX + PAUSE_NS);
    return 0;
}
