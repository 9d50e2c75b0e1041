/* courier - route's or classify's side of the hop to notify, for tests: orders alerts, waits for
 * Alerted. Alerts of number n are invented and the same each time. */
#ifndef DESG_TEST_NOTIFY_COURIER_H
#define DESG_TEST_NOTIFY_COURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/alert.pb-c.h"
#include "ids/ids.h"

struct courier_alert {
    uint8_t event_id[ID_BYTES];
    uint8_t event[512];
    uint8_t verdict[128];
    struct id id;
    Desg__V1__Alert alert;
    char id_text[ID_TEXT_BYTES];
};

/* severity 0: no verdict; -1: unclassified. The text holds "gyllell" and n. */
void courier_alert_init(struct courier_alert *self, uint32_t n, int severity);

struct courier;

struct courier *courier_new(const char *endpoint);
void courier_destroy(struct courier **self_p);

/* Orders alert until Alerted comes (again every second, as route does) or timeout_ms are over. */
bool courier_order(struct courier *self, const struct courier_alert *alert, int64_t timeout_ms);

#endif
