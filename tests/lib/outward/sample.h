/* sample - a configuration and a broadcast with nothing wrong, for tests to spoil. */
#ifndef DESG_TEST_OUTWARD_SAMPLE_H
#define DESG_TEST_OUTWARD_SAMPLE_H

#include <string.h>

#include "outward/broadcast.h"

enum { SAMPLE_OUTLETS = 6 };
static const int64_t SAMPLE_NOW_MS = INT64_C(1770833400000); /* 2026-02-11 18:10 UTC */
static const int64_t SAMPLE_HOUR_MS = 3600000;

struct sample {
    struct outward_outlet outlets[SAMPLE_OUTLETS];
    struct outward_config config;
    Desg__V1__BroadcastText en, cy;
    Desg__V1__WelshOwed owed;
    Desg__V1__Area area;
    Desg__V1__Point points[8];
    Desg__V1__Point *polygon[8];
    char *names[SAMPLE_OUTLETS + 2];
    Desg__V1__Broadcast broadcast;
};

static inline void sample_words(struct sample *self)
{
    desg__v1__broadcast_text__init(&self->en);
    desg__v1__broadcast_text__init(&self->cy);
    self->en.headline = (char *)"A55 closed between junctions 11 and 12";
    self->en.text = (char *)"A lorry has overturned.";
    self->en.instruction = (char *)"Please use another road.";
    self->en.area = (char *)"A55 near Bangor";
    self->cy.headline = (char *)"A55 ar gau rhwng cyffyrdd 11 a 12";
    self->cy.text = (char *)"Mae lori wedi troi drosodd.";
    self->cy.instruction = (char *)"Defnyddiwch ffordd arall.";
    self->cy.area = (char *)"A55 ger Bangor";
}

static inline void sample_init(struct sample *self)
{
    static const char *const kinds[SAMPLE_OUTLETS][2] = {
        { "page", "facebook" },   { "x", "x" },       { "toot", "mastodon" },
        { "council", "webhook" }, { "feed", "feed" }, { "x-cymraeg", "x" },
    };
    memset(self, 0, sizeof *self);
    for (size_t i = 0; i < SAMPLE_OUTLETS; i++) {
        self->outlets[i].name = (char *)kinds[i][0];
        self->outlets[i].kind = (char *)kinds[i][1];
    }
    self->outlets[5].language = (char *)"cy";
    self->config.outlets = self->outlets;
    self->config.outlets_count = SAMPLE_OUTLETS;
    sample_words(self);
    desg__v1__broadcast__init(&self->broadcast);
    desg__v1__welsh_owed__init(&self->owed);
    desg__v1__area__init(&self->area);
    for (size_t i = 0; i < sizeof self->points / sizeof self->points[0]; i++) {
        desg__v1__point__init(&self->points[i]);
        self->polygon[i] = &self->points[i];
    }
    self->area.polygon = self->polygon;
    Desg__V1__Broadcast *broadcast = &self->broadcast;
    broadcast->version = 1;
    broadcast->kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE;
    broadcast->en = &self->en;
    broadcast->cy = &self->cy;
    broadcast->starts_at_ms = SAMPLE_NOW_MS;
    broadcast->expires_at_ms = SAMPLE_NOW_MS + 4 * SAMPLE_HOUR_MS;
    broadcast->road = (char *)"A55";
    broadcast->road_state = DESG__V1__ROAD_STATE__ROAD_STATE_ROAD_CLOSED;
    for (size_t i = 0; i < SAMPLE_OUTLETS; i++)
        self->names[i] = self->outlets[i].name;
    broadcast->outlets = self->names;
    broadcast->n_outlets = SAMPLE_OUTLETS;
}

/* latitude, longitude, latitude, … */
static inline void sample_draw(struct sample *self, const double *numbers, size_t points)
{
    for (size_t i = 0; i < points; i++) {
        self->points[i].latitude = numbers[2 * i];
        self->points[i].longitude = numbers[2 * i + 1];
    }
    self->area.n_polygon = points;
    self->broadcast.area = &self->area;
}

#endif
