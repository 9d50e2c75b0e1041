#include "notify/alert_book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "notify/alert_book_inside.h"
#include "unpack/unpack.h"

struct alert_book *alert_book_new(const struct alert_book_options *options)
{
    assert(options->ladder_count <= ALERT_LADDER_MAX_STEPS);
    struct alert_book *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    alert_table_init(&self->table);
    self->ladder_count = options->ladder_count;
    for (size_t i = 0; i < options->ladder_count; i++)
        self->ladder[i] = options->ladder[i];
    self->has_second_path = options->has_second_path;
    self->retention_ms = options->retention_ms;
    for (unsigned path = 0; path < ALERT_PATH_COUNT; path++)
        pace_init(&self->paces[path], options->seed + 2 * (uint64_t)path);
    return self;
}

void alert_book_destroy(struct alert_book **self_p)
{
    struct alert_book *self = *self_p;
    if (!self)
        return;
    gather_clear(self);
    alert_table_clear(&self->table);
    free(self);
    *self_p = NULL;
}

struct alert_entry *alert_book_find(struct alert_book *self, const struct id *id)
{
    return alert_table_find(&self->table, id);
}

/* --- sends --- */

enum alert_path alert_path_of(enum alert_body body)
{
    return body == ALERT_SECOND ? ALERT_PATH_SECOND : ALERT_PATH_FIRST;
}

void book_want(struct alert_entry *entry, enum alert_body body, uint32_t number, int64_t now_ms)
{
    struct alert_send *send = &entry->sends[body];
    bool is_in_flight = send->is_in_flight; /* of an earlier number: its answer is still to come */
    *send = (struct alert_send){
        .is_wanted = true, .is_in_flight = is_in_flight, .number = number, .next_try_ms = now_ms
    };
}

void book_want_second(const struct alert_book *self, struct alert_entry *entry, int64_t now_ms)
{
    const struct alert_send *send = &entry->sends[ALERT_SECOND];
    if (self->has_second_path && !send->is_wanted && !send->is_accepted &&
        (entry->kind == ALERT_SINGLE || entry->kind == ALERT_DIGEST))
        book_want(entry, ALERT_SECOND, 0, now_ms);
}

/* The first body must be there before anything is said about it. */
void book_want_update(struct alert_entry *entry, int64_t now_ms)
{
    const struct alert_send *send = &entry->sends[ALERT_UPDATED];
    if (entry->alert && entry->kind != ALERT_STANDING_TEST && send->number < ALERT_UPDATES_MAX)
        book_want(entry, ALERT_UPDATED, send->number + 1, now_ms);
}

bool book_has_news(const struct alert_entry *entry)
{
    return entry->alert && (entry->alert->verdict.len > 0 || entry->alert->is_replayed);
}

/* --- closing --- */

static bool is_digest_done(const struct alert_book *self, const struct alert_entry *entry)
{
    const struct alert_entry *digest = alert_table_find(&self->table, &entry->digest_id);
    if (!digest)
        return true;
    const struct alert_send *send = &digest->sends[ALERT_RAISED];
    return !send->is_wanted && !send->is_in_flight;
}

static bool is_finished(const struct alert_book *self, const struct alert_entry *entry)
{
    if (entry->state < ALERT_ACKNOWLEDGED && !entry->is_elsewhere)
        return false;
    for (size_t body = 0; body < ALERT_BODY_COUNT; body++)
        if (entry->sends[body].is_wanted || entry->sends[body].is_in_flight)
            return false;
    if (entry->is_elsewhere)
        return true;
    if (entry->kind == ALERT_MEMBER && !entry->has_digest)
        return false; /* its digest is still to be made and needs its text */
    return !entry->has_digest || is_digest_done(self, entry);
}

void book_settle(struct alert_book *self, struct alert_entry *entry, int64_t now_ms)
{
    if (!entry->is_live || !is_finished(self, entry))
        return;
    alert_table_set_live(&self->table, entry, false);
    entry->closed_ms = now_ms;
    desg__v1__alert__free_unpacked(entry->alert, NULL);
    entry->alert = NULL;
    if (!entry->digest)
        return;
    for (size_t i = 0; i < entry->digest->n_alert_ids; i++) {
        struct alert_entry *member =
            alert_table_find_bytes(&self->table, entry->digest->alert_ids[i].data);
        if (member)
            book_settle(self, member, now_ms);
    }
}

/* Each member of a digest that is still known and goes with it. */
static void members_reach(struct alert_book *self, const struct alert_entry *digest,
                          enum alert_state state, int64_t now_ms)
{
    if (!digest->digest)
        return;
    for (size_t i = 0; i < digest->digest->n_alert_ids; i++) {
        struct alert_entry *member =
            alert_table_find_bytes(&self->table, digest->digest->alert_ids[i].data);
        if (!member)
            continue;
        if (member->kind == ALERT_MEMBER && member->state < state)
            member->state = state;
        book_settle(self, member, now_ms);
    }
}

/* The first body is with dispatch, by our post or because a dispatcher speaks of it. */
void book_raised_accepted(struct alert_book *self, struct alert_entry *entry, int64_t now_ms)
{
    struct alert_send *send = &entry->sends[ALERT_RAISED];
    send->is_wanted = false;
    if (send->is_accepted)
        return;
    send->is_accepted = true;
    if (entry->state < ALERT_ACCEPTED)
        entry->state = ALERT_ACCEPTED;
    if (book_has_news(entry))
        book_want_update(entry, now_ms);
    members_reach(self, entry, entry->state, now_ms);
}

/* --- intake --- */

static bool read_verdict(const Desg__V1__Alert *alert, Desg__V1__Severity *severity,
                         bool *is_unclassified)
{
    Desg__V1__Verdict *verdict =
        alert->verdict.len > 0
            ? unpack_or_end(&desg__v1__verdict__descriptor, alert->verdict.data, alert->verdict.len)
            : NULL;
    *severity = verdict ? verdict->severity : DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
    *is_unclassified = !verdict || verdict->is_unclassified;
    bool is_there = verdict != NULL;
    desg__v1__verdict__free_unpacked(verdict, NULL);
    return is_there;
}

static bool is_better_verdict(const Desg__V1__Alert *fresh, const Desg__V1__Alert *old)
{
    Desg__V1__Severity fresh_severity = 0;
    Desg__V1__Severity old_severity = 0;
    bool is_fresh_unclassified = false;
    bool is_old_unclassified = false;
    if (!read_verdict(fresh, &fresh_severity, &is_fresh_unclassified))
        return false;
    if (!read_verdict(old, &old_severity, &is_old_unclassified))
        return true;
    if (is_old_unclassified != is_fresh_unclassified)
        return is_old_unclassified;
    return fresh_severity > old_severity;
}

static void note_severity(struct alert_entry *entry)
{
    Desg__V1__Severity severity = 0;
    bool is_unclassified = false;
    if (read_verdict(entry->alert, &severity, &is_unclassified))
        entry->is_life_at_risk |= severity == DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK;
}

/* Not by the clocks alone: one that is off by an hour must not hold back what has just come in. */
static bool is_old(const Desg__V1__Alert *alert, int64_t now_unix_ms)
{
    if (!alert->is_replayed)
        return false;
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, alert->event.data, alert->event.len);
    bool is_old =
        event && event->received_at_ms > 0 && now_unix_ms - event->received_at_ms > ALERT_OLD_MS;
    desg__v1__event__free_unpacked(event, NULL);
    return is_old;
}

/* Goes on where the replica that has gone left it. What that one said of the verdict last, it may
 * not have lived to tell: the next number but one is surely unused. */
static void go_on(struct alert_book *self, struct alert_entry *entry, const Desg__V1__Alert *alert)
{
    int64_t age_ms = entry->opened_unix_ms - alert->opened_at_ms;
    if (alert->opened_at_ms > 0 && age_ms > 0)
        entry->opened_ms -= age_ms;
    entry->sends[ALERT_UPDATED].number = alert->updates + 1;
    if (entry->kind != ALERT_SINGLE)
        return; /* a member is named in a digest anew */
    entry->steps_taken = alert->steps_taken;
    for (size_t i = 0; i < alert->steps_taken && i < self->ladder_count; i++) {
        entry->last_action = self->ladder[i].action;
        entry->is_escalated |= entry->last_action == LADDER_SUPERVISOR;
    }
    if (alert->is_told)
        book_raised_accepted(self, entry, entry->opened_ms);
}

static void take_new(struct alert_book *self, struct alert_entry *entry,
                     const Desg__V1__Alert *alert, int64_t opened_ms, int64_t opened_unix_ms)
{
    entry->alert = unpack_copy(&alert->base);
    entry->opened_ms = opened_ms;
    entry->opened_unix_ms = opened_unix_ms;
    note_severity(entry);
    entry->storage = alert->is_standing_test ? ALERT_STORED : ALERT_STORING;
    entry->kind = alert->is_standing_test   ? ALERT_STANDING_TEST
                  : alert->is_digest_member ? ALERT_MEMBER
                                            : ALERT_SINGLE;
    entry->is_quiet = entry->kind != ALERT_STANDING_TEST && is_old(alert, opened_unix_ms);
    alert_table_set_live(&self->table, entry, true);
    if (entry->kind != ALERT_MEMBER)
        book_want(entry, ALERT_RAISED, 0, opened_ms);
    else if (!entry->is_quiet)
        gather_add(self, entry, opened_ms);
    if (alert->is_taken_over)
        go_on(self, entry, alert);
}

/* Another replica's so far, and that one has gone. */
static void take_over(struct alert_book *self, struct alert_entry *entry,
                      const Desg__V1__Alert *alert, int64_t opened_ms, int64_t opened_unix_ms)
{
    gather_remove(self, &entry->id);
    desg__v1__alert__free_unpacked(entry->alert, NULL);
    entry->state = ALERT_OPEN;
    entry->is_elsewhere = false;
    entry->has_digest = false;
    for (size_t body = 0; body < ALERT_BODY_COUNT; body++)
        entry->sends[body].is_accepted = false;
    take_new(self, entry, alert, opened_ms, opened_unix_ms);
}

static void take_verdict(struct alert_entry *entry, const Desg__V1__Alert *alert)
{
    Desg__V1__Alert revised = *entry->alert; /* the event is never replaced: one alert, one body */
    revised.verdict = alert->verdict;
    Desg__V1__Alert *copy = unpack_copy(&revised.base);
    desg__v1__alert__free_unpacked(entry->alert, NULL);
    entry->alert = copy;
    note_severity(entry);
}

/* Named in a digest so far, now urgent by itself: goes out alone, even if the digest was
 * acknowledged, for nobody may have read its two hundredth line. */
static void promote(struct alert_book *self, struct alert_entry *entry,
                    const Desg__V1__Alert *alert, int64_t now_ms, int64_t now_unix_ms)
{
    gather_remove(self, &entry->id);
    if (!entry->alert) {
        entry->alert = unpack_copy(&alert->base);
        entry->storage = ALERT_STORING;
        note_severity(entry);
        alert_table_set_live(&self->table, entry, true);
    }
    entry->kind = ALERT_SINGLE;
    entry->state = ALERT_OPEN;
    entry->is_elsewhere = false;
    entry->alert->is_digest_member = 0;
    entry->opened_ms = now_ms;
    entry->promoted_unix_ms = now_unix_ms;
    book_want(entry, ALERT_RAISED, 0, now_ms);
}

/* A second sight of the same alert may know more. */
static enum alert_intake take_again(struct alert_book *self, struct alert_entry *entry,
                                    const Desg__V1__Alert *alert, int64_t now_ms,
                                    int64_t now_unix_ms)
{
    bool is_promoted = entry->kind == ALERT_MEMBER && !alert->is_digest_member;
    if (alert->is_taken_over && (entry->is_elsewhere || entry->is_quiet) &&
        entry->state < ALERT_ACKNOWLEDGED) {
        take_over(self, entry, alert, now_ms, now_unix_ms);
        return ALERT_REVISED;
    }
    if (!entry->alert && !is_promoted)
        return ALERT_KNOWN; /* acknowledged and done */
    bool is_better = entry->alert && is_better_verdict(alert, entry->alert);
    if (is_better)
        take_verdict(entry, alert);
    if (is_promoted)
        promote(self, entry, alert, now_ms, now_unix_ms);
    else if (is_better && entry->sends[ALERT_RAISED].is_accepted)
        book_want_update(entry, now_ms);
    return is_promoted || is_better ? ALERT_REVISED : ALERT_KNOWN;
}

enum alert_intake alert_book_take(struct alert_book *self, const Desg__V1__Alert *alert,
                                  int64_t opened_ms, int64_t opened_unix_ms,
                                  struct alert_entry **entry)
{
    assert(alert->alert_id.len == ID_BYTES);
    struct id id;
    memcpy(id.bytes, alert->alert_id.data, ID_BYTES);
    *entry = alert_table_find(&self->table, &id);
    if (*entry)
        return take_again(self, *entry, alert, opened_ms, opened_unix_ms);
    *entry = alert_table_add(&self->table, &id);
    take_new(self, *entry, alert, opened_ms, opened_unix_ms);
    return ALERT_NEW;
}

void alert_book_stored(struct alert_book *self, const struct id *id, uint64_t sequence)
{
    struct alert_entry *entry = alert_table_find(&self->table, id);
    if (!entry || entry->storage == ALERT_STORED)
        return;
    entry->storage = ALERT_STORED;
    entry->sequence = sequence;
}

void alert_book_moved(struct alert_book *self, const struct id *id, uint64_t sequence)
{
    struct alert_entry *entry = alert_table_find(&self->table, id);
    if (!entry)
        return;
    entry->storage = ALERT_STORED;
    entry->sequence = sequence;
}

void alert_book_unstored(struct alert_book *self, const struct id *id)
{
    struct alert_entry *entry = alert_table_find(&self->table, id);
    if (entry && entry->storage == ALERT_STORING)
        entry->storage = ALERT_UNSTORED;
}

/* A digest is acknowledged too when each of its members is. */
static void acknowledge_digest_of(struct alert_book *self, const struct alert_entry *member,
                                  int64_t now_ms)
{
    struct alert_entry *digest =
        member->has_digest ? alert_table_find(&self->table, &member->digest_id) : NULL;
    if (!digest || !digest->digest || digest->state >= ALERT_ACKNOWLEDGED)
        return;
    for (size_t i = 0; i < digest->digest->n_alert_ids; i++) {
        const struct alert_entry *other =
            alert_table_find_bytes(&self->table, digest->digest->alert_ids[i].data);
        if (other && other->kind == ALERT_MEMBER && other->state < ALERT_ACKNOWLEDGED)
            return;
    }
    (void)alert_book_acknowledge(self, digest, false, now_ms); /* it was not yet */
}

bool alert_book_acknowledge(struct alert_book *self, struct alert_entry *entry, bool is_outcome,
                            int64_t now_ms)
{
    enum alert_state state = is_outcome ? ALERT_RESOLVED : ALERT_ACKNOWLEDGED;
    if (entry->state >= state)
        return false;
    entry->state = state;
    entry->is_escalated = false;
    if (entry->is_quiet)
        alert_book_elsewhere(self, entry, now_ms); /* told before: nothing more to say */
    else if (entry->kind != ALERT_MEMBER)
        book_raised_accepted(self, entry, now_ms); /* who acknowledges it has seen it */
    entry->sends[ALERT_REMINDER].is_wanted = false;
    entry->sends[ALERT_SECOND].is_wanted = false;
    members_reach(self, entry, state, now_ms);
    acknowledge_digest_of(self, entry, now_ms);
    book_settle(self, entry, now_ms);
    return true;
}

void alert_book_acknowledge_unknown(struct alert_book *self, const struct id *id, bool is_outcome,
                                    int64_t now_ms)
{
    struct alert_entry *entry = alert_table_add(&self->table, id);
    entry->state = is_outcome ? ALERT_RESOLVED : ALERT_ACKNOWLEDGED;
    entry->storage = ALERT_STORED;
    entry->is_elsewhere = true;
    entry->acknowledgements = 1;
    entry->opened_ms = entry->closed_ms = now_ms;
}

/* --- told before? --- */

void alert_book_elsewhere(struct alert_book *self, struct alert_entry *entry, int64_t now_ms)
{
    gather_remove(self, &entry->id);
    entry->is_quiet = false;
    entry->is_elsewhere = true;
    if (entry->state < ALERT_ACCEPTED)
        entry->state = ALERT_ACCEPTED;
    for (size_t body = 0; body < ALERT_BODY_COUNT; body++)
        entry->sends[body].is_wanted = false;
    entry->sends[ALERT_RAISED].is_accepted = true;
    book_settle(self, entry, now_ms);
}

void alert_book_end_quiet(struct alert_book *self, struct alert_entry *entry, int64_t now_ms)
{
    if (!entry->is_quiet)
        return;
    entry->is_quiet = false;
    entry->opened_ms = now_ms; /* the ladder counts from here */
    if (entry->kind != ALERT_MEMBER)
        entry->sends[ALERT_RAISED].next_try_ms = now_ms;
    else if (!entry->has_digest)
        gather_add(self, entry, now_ms);
}

size_t alert_book_end_long_quiet(struct alert_book *self, int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < self->table.live_count; i++) {
        struct alert_entry *entry = self->table.live[i];
        if (!entry->is_quiet || now_ms - entry->opened_ms < ALERT_QUIET_MAX_MS)
            continue;
        alert_book_end_quiet(self, entry, now_ms);
        count++;
    }
    return count;
}

void alert_book_drop(struct alert_book *self, const struct id *id)
{
    struct alert_entry *entry = alert_table_find(&self->table, id);
    if (entry && entry->kind == ALERT_STANDING_TEST)
        alert_table_remove(&self->table, entry);
}

/* --- how many --- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_closed_before(const struct alert_entry *entry, int64_t before_ms)
{
    return entry->closed_ms < before_ms;
}

void alert_book_forget(struct alert_book *self, int64_t now_ms)
{
    alert_table_sweep(&self->table, is_closed_before, now_ms - self->retention_ms);
}

uint64_t alert_book_needed_from(const struct alert_book *self, uint64_t newest_sequence)
{
    uint64_t needed = newest_sequence + 1;
    for (size_t i = 0; i < self->table.live_count; i++) {
        const struct alert_entry *entry = self->table.live[i];
        if (entry->sequence != 0 && entry->sequence < needed)
            needed = entry->sequence;
    }
    return needed;
}

struct alert_entry *alert_book_live(const struct alert_book *self, size_t index)
{
    return index < self->table.live_count ? self->table.live[index] : NULL;
}

void alert_book_count(const struct alert_book *self, int64_t now_ms, struct alert_counts *out)
{
    *out = (struct alert_counts){ .known = self->table.count };
    for (size_t i = 0; i < self->table.live_count; i++) {
        const struct alert_entry *entry = self->table.live[i];
        if (entry->kind == ALERT_STANDING_TEST)
            continue;
        out->open += entry->state < ALERT_ACKNOWLEDGED;
        out->unacknowledged += entry->is_escalated;
        out->unstored += entry->storage == ALERT_UNSTORED;
        if (entry->state != ALERT_OPEN)
            continue;
        out->unaccepted++;
        out->oldest_unaccepted_ms = later(out->oldest_unaccepted_ms, now_ms - entry->opened_ms);
    }
}

bool alert_book_is_broken(const struct alert_book *self, enum alert_path path)
{
    return pace_is_broken(&self->paces[path]);
}

/* --- names --- */

const char *alert_state_name(enum alert_state state)
{
    static const char *const names[] = { "open", "accepted", "acknowledged", "resolved" };
    return names[state];
}

const char *alert_path_name(enum alert_path path)
{
    return path == ALERT_PATH_SECOND ? "second" : "first";
}

const char *ladder_action_name(enum ladder_action action)
{
    static const char *const names[] = { "again", "second-path", "supervisor" };
    return names[action];
}
