/* test_feed_documents_samples - invented broadcasts, each a case of its own. */
#ifndef DESG_TEST_FEED_DOCUMENTS_SAMPLES_H
#define DESG_TEST_FEED_DOCUMENTS_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "outward/outward_config.h"

#define SAMPLE_NOW_MS INT64_C(1770833520000) /* 2026-02-11T18:12:00Z */

extern const struct outward_feed sample_feed;

enum feed_sample {
    SAMPLE_ROAD,          /* version 1, polygon, both languages */
    SAMPLE_ROAD_UPDATED,  /* version 3; 2 never went out */
    SAMPLE_ROAD_REOPENED, /* expired, and says so */
    SAMPLE_ROAD_EXPIRED,  /* expired without a word */
    SAMPLE_ROAD_PLANNED,  /* a lane, tomorrow, no coordinates */
    SAMPLE_INCIDENT,      /* circle, text full of what XML must escape */
    SAMPLE_ADVICE,        /* cancelled; Welsh owed */
    SAMPLE_APPEAL,
    SAMPLE_APPEAL_WITHDRAWN,
    SAMPLE_COUNT
};

/* Freed with desg__v1__broadcast_news__free_unpacked. */
Desg__V1__BroadcastNews *sample_news(enum feed_sample which);

#endif
