#include <assert.h>

#include "notify/alert_book_inside.h"

enum { BREAKER_RELEASE_SPREAD_MS = 500, UPDATE_GIVE_UP_AFTER = 10 };

static bool is_first_try(enum alert_body body, const struct alert_send *send)
{
    return send->failures == 0 && (body == ALERT_RAISED || body == ALERT_SECOND);
}

static bool is_ready_to_go(const struct alert_entry *entry, const struct alert_send *send)
{
    return send->is_wanted && !send->is_in_flight && entry->storage != ALERT_STORING &&
           !entry->is_quiet;
}

static bool is_second_due(const struct alert_book *self, const struct alert_entry *entry,
                          int64_t now_ms)
{
    const struct alert_send *raised = &entry->sends[ALERT_RAISED];
    return self->has_second_path && raised->is_wanted && !raised->is_accepted && !entry->is_quiet &&
           (raised->failures >= ALERT_SECOND_AFTER_FAILURES ||
            now_ms - entry->opened_ms >= ALERT_SECOND_AFTER_MS);
}

/* What nobody was told yet goes before what was said already; then life at risk, then the oldest.
 */
static bool goes_before(const struct alert_post *a, const struct alert_post *b)
{
    bool a_is_news = a->body == ALERT_RAISED || a->body == ALERT_SECOND;
    bool b_is_news = b->body == ALERT_RAISED || b->body == ALERT_SECOND;
    if (a_is_news != b_is_news)
        return a_is_news;
    if (a->entry->is_life_at_risk != b->entry->is_life_at_risk)
        return a->entry->is_life_at_risk;
    return a->entry->opened_ms < b->entry->opened_ms;
}

static void consider(const struct alert_book *self, struct alert_entry *entry, enum alert_body body,
                     int64_t now_ms, struct alert_post *best)
{
    const struct alert_send *send = &entry->sends[body];
    if (!is_ready_to_go(entry, send) || now_ms < send->next_try_ms)
        return;
    struct alert_post post = { .entry = entry,
                               .body = body,
                               .path = alert_path_of(body),
                               .number = send->number,
                               .attempt = send->failures + 1,
                               .is_first = is_first_try(body, send) };
    if (!pace_allows(&self->paces[post.path], post.is_first, now_ms) ||
        (self->is_draining && !post.is_first))
        return;
    if (!best->entry || goes_before(&post, best))
        *best = post;
}

bool alert_book_next_post(struct alert_book *self, int64_t now_ms, struct alert_post *out)
{
    struct alert_post best = { 0 };
    for (size_t i = 0; i < self->table.live_count; i++) {
        struct alert_entry *entry = self->table.live[i];
        if (is_second_due(self, entry, now_ms))
            book_want_second(self, entry, now_ms);
        for (unsigned body = 0; body < ALERT_BODY_COUNT; body++)
            consider(self, entry, (enum alert_body)body, now_ms, &best);
    }
    if (!best.entry)
        return false;
    best.entry->sends[best.body].is_in_flight = true;
    pace_started(&self->paces[best.path], best.is_first, now_ms);
    *out = best;
    return true;
}

void alert_book_drain(struct alert_book *self)
{
    self->is_draining = true;
}

bool alert_book_has_in_flight(const struct alert_book *self)
{
    return self->paces[ALERT_PATH_FIRST].in_flight + self->paces[ALERT_PATH_SECOND].in_flight > 0;
}

/* The receiver is back: do not wait out ten seconds of back-off, but do not rush it either. */
static void release_waiting(struct alert_book *self, enum alert_path path, int64_t now_ms)
{
    for (size_t i = 0; i < self->table.live_count; i++)
        for (unsigned body = 0; body < ALERT_BODY_COUNT; body++) {
            struct alert_send *send = &self->table.live[i]->sends[body];
            int64_t soon_ms = now_ms + pace_random(&self->paces[path], BREAKER_RELEASE_SPREAD_MS);
            if (alert_path_of((enum alert_body)body) == path && !send->is_held &&
                send->next_try_ms > soon_ms)
                send->next_try_ms = soon_ms;
        }
}

/* Without waiting for the journal: what is known by then is for alert.updated. */
static void body_accepted(struct alert_book *self, struct alert_entry *entry, enum alert_body body,
                          int64_t now_ms, struct alert_outcome *out)
{
    out->is_accepted = true;
    if (body == ALERT_RAISED) {
        out->is_state_changed = entry->state == ALERT_OPEN;
        book_raised_accepted(self, entry, now_ms);
        return;
    }
    entry->sends[body].is_wanted = false;
    entry->sends[body].is_accepted = true;
}

/* 422: the receiver has this key with other bytes. The alert is there; what we know goes as an
 * update, the second path hears of it, and the ladder runs on until somebody acknowledges. */
static void key_known(struct alert_book *self, struct alert_entry *entry, enum alert_body body,
                      int64_t now_ms, struct alert_outcome *out)
{
    if (body == ALERT_UPDATED) {
        entry->sends[body].is_wanted = false;
        book_want_update(entry, now_ms); /* the next number, if there is one */
        return;
    }
    bool was_accepted = entry->sends[ALERT_RAISED].is_accepted;
    body_accepted(self, entry, body, now_ms, out);
    if (body != ALERT_RAISED)
        return;
    if (!was_accepted && !book_has_news(entry))
        book_want_update(entry, now_ms);
    book_want_second(self, entry, now_ms);
}

static void failed(struct alert_book *self, struct alert_entry *entry, enum alert_body body,
                   enum answer answer, int64_t retry_after_ms, int64_t now_ms)
{
    struct alert_send *send = &entry->sends[body];
    struct pace *pace = &self->paces[alert_path_of(body)];
    send->failures++;
    send->is_held = retry_after_ms > 0;
    send->next_try_ms = now_ms + pace_delay_ms(pace, answer, send->failures, retry_after_ms);
    if (body == ALERT_RAISED && send->is_wanted && answer_needs_person(answer))
        book_want_second(self, entry, now_ms);
    if (body == ALERT_UPDATED && entry->state >= ALERT_ACKNOWLEDGED &&
        answer_needs_person(answer) && send->failures >= UPDATE_GIVE_UP_AFTER)
        send->is_wanted = false; /* a person has the alert; only the verdict is not taken */
}

void alert_book_answered(struct alert_book *self, const struct id *id, enum alert_body body,
                         uint32_t number, bool is_first, enum answer answer, int64_t retry_after_ms,
                         int64_t now_ms, struct alert_outcome *out)
{
    *out = (struct alert_outcome){ 0 };
    enum alert_path path = alert_path_of(body);
    if (pace_finished(&self->paces[path], is_first, answer))
        release_waiting(self, path, now_ms);
    struct alert_entry *entry = alert_table_find(&self->table, id);
    if (!entry || !entry->sends[body].is_in_flight)
        return;
    out->entry = entry;
    entry->sends[body].is_in_flight = false;
    if (entry->sends[body].number == number) { /* else overtaken by the next update or reminder */
        if (answer == ANSWER_ACCEPTED)
            body_accepted(self, entry, body, now_ms, out);
        else if (answer == ANSWER_KEY_KNOWN)
            key_known(self, entry, body, now_ms, out);
        else
            failed(self, entry, body, answer, retry_after_ms, now_ms);
    }
    book_settle(self, entry, now_ms);
}

/* --- ladder --- */

void book_take_step(struct alert_book *self, struct alert_entry *entry, uint32_t step,
                    enum ladder_action action, int64_t now_ms)
{
    entry->steps_taken = step;
    entry->last_action = action;
    if (action == LADDER_SECOND_PATH)
        book_want_second(self, entry, now_ms);
    else if (action == LADDER_SUPERVISOR)
        entry->is_escalated = true;
    else if (entry->sends[ALERT_RAISED].is_accepted) /* else the first body is still being tried */
        book_want(entry, ALERT_REMINDER, step, now_ms);
}

static int64_t step_due_ms(const struct alert_book *self, const struct alert_entry *entry)
{
    if (entry->state >= ALERT_ACKNOWLEDGED || entry->is_quiet ||
        entry->steps_taken >= self->ladder_count ||
        (entry->kind != ALERT_SINGLE && entry->kind != ALERT_DIGEST))
        return INT64_MAX;
    return entry->opened_ms + (int64_t)self->ladder[entry->steps_taken].after_s * 1000;
}

bool alert_book_next_step(struct alert_book *self, int64_t now_ms, struct alert_step *out)
{
    for (size_t i = 0; i < self->table.live_count; i++) {
        struct alert_entry *entry = self->table.live[i];
        if (now_ms < step_due_ms(self, entry) || entry->storage == ALERT_STORING)
            continue;
        enum ladder_action action = self->ladder[entry->steps_taken].action;
        *out =
            (struct alert_step){ .entry = entry, .step = entry->steps_taken + 1, .action = action };
        book_take_step(self, entry, out->step, action, now_ms);
        return true;
    }
    return false;
}

/* --- when --- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t send_due_ms(const struct alert_book *self, const struct alert_entry *entry,
                           enum alert_body body)
{
    const struct alert_send *send = &entry->sends[body];
    const struct pace *pace = &self->paces[alert_path_of(body)];
    if (!is_ready_to_go(entry, send) || (self->is_draining && !is_first_try(body, send)))
        return INT64_MAX;
    return pace_due_ms(pace, is_first_try(body, send), send->next_try_ms);
}

static int64_t entry_due_ms(const struct alert_book *self, const struct alert_entry *entry)
{
    int64_t due_ms = step_due_ms(self, entry);
    for (unsigned body = 0; body < ALERT_BODY_COUNT; body++)
        due_ms = earlier(due_ms, send_due_ms(self, entry, (enum alert_body)body));
    const struct alert_send *second = &entry->sends[ALERT_SECOND];
    if (self->has_second_path && entry->sends[ALERT_RAISED].is_wanted && !second->is_wanted &&
        !second->is_accepted && entry->kind != ALERT_STANDING_TEST && !entry->is_quiet)
        due_ms = earlier(due_ms, entry->opened_ms + ALERT_SECOND_AFTER_MS);
    return due_ms;
}

int64_t alert_book_due_ms(const struct alert_book *self, int64_t now_ms)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < self->table.live_count && due_ms > now_ms; i++)
        due_ms = earlier(due_ms, entry_due_ms(self, self->table.live[i]));
    due_ms = earlier(due_ms, gather_due_ms(self, now_ms));
    return due_ms;
}
