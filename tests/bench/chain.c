#include "chain.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"

enum { SOURCE_BYTES = 16, FIRST_ANSWER_S = 10, LOOK_MS = 1 };

static uint8_t source[SOURCE_BYTES] = { 1, 2, 3 };
static uint8_t event[CHAIN_EVENT_BYTES] = { 4, 5, 6 };

void chain_batch_fill(struct chain_batch *self, size_t count, uint64_t first)
{
    self->message = (Desg__V1__Batch)DESG__V1__BATCH__INIT;
    self->message.source = (ProtobufCBinaryData){ sizeof source, source };
    self->message.incarnation = 1;
    self->message.items = self->pointers;
    self->message.n_items = count;
    for (size_t i = 0; i < count; i++) {
        self->positions[i] = (Desg__V1__Position)DESG__V1__POSITION__INIT;
        self->positions[i].sequence = first + i;
        self->items[i] = (Desg__V1__Item)DESG__V1__ITEM__INIT;
        self->items[i].position = &self->positions[i];
        self->items[i].event = (ProtobufCBinaryData){ sizeof event, event };
        self->pointers[i] = &self->items[i];
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail */
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void pause_ms(double ms)
{
    const struct timespec pause = { (time_t)(ms / 1000), (long)(ms * 1e6) % 1000000000L };
    (void)nanosleep(&pause, NULL);
}

static void measure(struct chain *chain, double seconds)
{
    int64_t give_up_ns = now_ns() + FIRST_ANSWER_S * 1000000000LL;
    while (atomic_load(&chain->done) == 0 && now_ns() < give_up_ns)
        pause_ms(LOOK_MS);
    if (atomic_load(&chain->done) == 0)
        give_up("nothing came back in %d s", FIRST_ANSWER_S);
    uint64_t done = atomic_load(&chain->done);
    double cpu_s = cpu_seconds();
    int64_t began_ns = now_ns();
    pause_ms(seconds * 1000);
    done = atomic_load(&chain->done) - done;
    cpu_s = cpu_seconds() - cpu_s;
    double took_s = (double)(now_ns() - began_ns) / 1e9;
    (void)printf("{\"done\": %llu, \"rate\": %.0f, \"cpu_s_per_10000\": %.4f}\n",
                 (unsigned long long)done, (double)done / took_s,
                 done > 0 ? cpu_s * 1e4 / (double)done : 0.0);
}

int chain_main(int argc, char **argv, void *(*const stages[3])(void *chain))
{
    struct chain chain = { .batch = (size_t)option_number(argc, argv, "--batch", 1) };
    char directory[] = "/tmp/desg-chain-XXXXXX";
    pthread_t threads[3];
    if (chain.batch == 0 || chain.batch > CHAIN_BATCH_MAX || !mkdtemp(directory))
        give_up("--batch: write 1 to %d", CHAIN_BATCH_MAX);
    (void)snprintf(chain.ingest_endpoint, sizeof chain.ingest_endpoint, "ipc://%s/i", directory);
    (void)snprintf(chain.route_endpoint, sizeof chain.route_endpoint, "ipc://%s/r", directory);
    for (size_t i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, stages[i], &chain) != 0)
            give_up("cannot start a thread");
    measure(&chain, option_number(argc, argv, "--seconds", 1));
    atomic_store(&chain.is_over, true);
    for (size_t i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    (void)unlink(chain.ingest_endpoint + strlen("ipc://")); /* libzmq may have done so */
    (void)unlink(chain.route_endpoint + strlen("ipc://"));
    (void)rmdir(directory);
    return EXIT_SUCCESS;
}
