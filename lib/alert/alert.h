/* alert - one alert, one body: renders what dispatch gets from the event alone, so that every path
 * (stream, provisional, replay) makes the same bytes under the same key. What may vary (verdict,
 * context, state) goes in an update with its own key. Pure: no I/O, no clock. Bodies are
 * CloudEvents 1.0 structured JSON with sorted keys. */
#ifndef DESG_ALERT_H
#define DESG_ALERT_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/alert.pb-c.h"
#include "desg/v1/event.pb-c.h"
#include "desg/v1/verdict.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "ids/trace.h"

enum { ALERT_RENDER_VERSION = 1, ALERT_KEY_BYTES = 64 };

enum alert_body {
    ALERT_RAISED,   /* uk.police.desk.alert.raised.v1: to dispatch, with the text; key <alert
                       id>.v<render version> */
    ALERT_UPDATED,  /* …alert.updated.v1: verdict, category, flags, replayed mark; key <alert
                       id>.u<n> */
    ALERT_REMINDER, /* …alert.reminder.v1: still not acknowledged, step n; key <alert id>.r<n> */
    ALERT_SECOND, /* …alert.raised.v1 for the second path: ids and times only, no text, no person;
                     key <alert id>.s */
};

/* The key body number of an alert goes under. number: as for alert_render. */
void alert_key(enum alert_body body, const struct id *alert_id, uint32_t number,
               char key[static ALERT_KEY_BYTES]);

/* Renders into a new string (the caller frees it) and fills key. source: CloudEvents source, such
 * as /force/gwent/social-desk. number is n of updates and reminders, 0 otherwise. ERROR_INVALID:
 * the event cannot be decoded. */
int alert_render(enum alert_body body, const Desg__V1__Alert *alert, const char *source,
                 uint32_t number, char **out, size_t *out_length, char key[static ALERT_KEY_BYTES],
                 struct error *err) MUST_USE;

/* A digest naming every alert in it (alert ids, event ids, conversation ids, channel, account,
 * times; texts cut to 200 bytes). */
int alert_render_digest(const Desg__V1__AlertDigest *digest, const Desg__V1__Alert *const *members,
                        const char *source, char **out, size_t *out_length,
                        char key[static ALERT_KEY_BYTES], struct error *err) MUST_USE;

/* The trace of the event's delivery; of an alert without one, the trace that has the alert's id. */
struct trace alert_trace(const Desg__V1__Alert *alert);

/* Makes the order for an event and verdict, as route, classify and the tests need it. Borrowed
 * pointers, no copies; id_out receives the alert id the order points to. */
void alert_order_init(Desg__V1__Alert *order, struct id *id_out,
                      const uint8_t event_id[static ID_BYTES], const uint8_t *event,
                      size_t event_length, const uint8_t *verdict, size_t verdict_length);

#endif
