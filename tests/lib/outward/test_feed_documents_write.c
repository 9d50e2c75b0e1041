/* Writes the samples' documents into the directory named: for test_feed_documents.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outward/feed_documents.h"
#include "test_feed_documents_samples.h"

static void write_file(const char *directory, const char *name, char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
    free(text);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return EXIT_FAILURE;
    Desg__V1__BroadcastNews *news[SAMPLE_COUNT];
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        char name[64];
        news[i] = sample_news((enum feed_sample)i);
        (void)snprintf(name, sizeof name, "%d.cap.xml", i);
        write_file(argv[1], name,
                   cap_document(&sample_feed, news[i]->broadcast, news[i]->state, news[i]->at_ms));
    }
    const Desg__V1__BroadcastNews *const *all = (const Desg__V1__BroadcastNews *const *)news;
    write_file(argv[1], "en.atom.xml",
               atom_document(&sample_feed, all, SAMPLE_COUNT, "en", SAMPLE_NOW_MS));
    write_file(argv[1], "cy.atom.xml",
               atom_document(&sample_feed, all, SAMPLE_COUNT, "cy", SAMPLE_NOW_MS));
    write_file(argv[1], "empty.atom.xml", atom_document(&sample_feed, all, 0, "cy", SAMPLE_NOW_MS));
    write_file(argv[1], "all.datex.xml",
               datex_document(&sample_feed, all, SAMPLE_COUNT, SAMPLE_NOW_MS));
    write_file(argv[1], "empty.datex.xml", datex_document(&sample_feed, all, 0, SAMPLE_NOW_MS));
    for (int i = 0; i < SAMPLE_COUNT; i++)
        desg__v1__broadcast_news__free_unpacked(news[i], NULL);
    return EXIT_SUCCESS;
}
