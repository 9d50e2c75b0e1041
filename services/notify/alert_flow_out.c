/* The way out: posts, what came of them, the ladder, digests. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "notify/alert_flow_inside.h"
#include "notify/alert_journal.h"

enum { ALARM_PAUSE_MS = 60000, ATTEMPTS_TOLD = 3 };

static const char CONTENT_TYPE[] = "application/cloudevents+json; charset=utf-8";

/* A post and what it was about; comes back through the inbox. */
struct flow_post {
    struct inbox_item item;
    struct outbound_post post;
    struct alert_flow *flow;
    struct id id;
    enum alert_body body;
    uint32_t number;
    uint32_t attempt;
    bool is_first;
};

static void flow_post_free(struct inbox_item *item)
{
    struct flow_post *post = (struct flow_post *)item;
    outbound_post_clear(&post->post);
    free(post);
}

/* --- rendering --- */

/* A digest's reminders and second path speak of the digest as of an alert without a person. */
static int render_of_digest(struct alert_flow *self, const struct alert_post *post, char **body,
                            size_t *length, char key[static ALERT_KEY_BYTES], struct error *err)
{
    const Desg__V1__AlertDigest *digest = post->entry->digest;
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.channel = digest->channel;
    event.platform_time_ms = digest->at_ms;
    uint8_t *bytes = malloc(desg__v1__event__get_packed_size(&event) + 1);
    if (!bytes)
        abort();
    Desg__V1__Alert alert = DESG__V1__ALERT__INIT;
    alert.alert_id = digest->digest_id;
    alert.event = (ProtobufCBinaryData){ desg__v1__event__pack(&event, bytes), bytes };
    int rc = alert_render(post->body, &alert, self->options.source, post->number, body, length, key,
                          err);
    free(bytes);
    return rc;
}

/* A member whose record was lost is still named. */
static int render_digest(struct alert_flow *self, const Desg__V1__AlertDigest *digest, char **body,
                         size_t *length, char key[static ALERT_KEY_BYTES], struct error *err)
{
    size_t count = digest->n_alert_ids;
    const Desg__V1__Alert **members = calloc(count + 1, sizeof(Desg__V1__Alert *));
    Desg__V1__Alert *stubs = calloc(count + 1, sizeof *stubs);
    if (!members || !stubs)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct id id;
        memcpy(id.bytes, digest->alert_ids[i].data, ID_BYTES);
        const struct alert_entry *member = alert_book_find(self->book, &id);
        desg__v1__alert__init(&stubs[i]);
        stubs[i].alert_id = digest->alert_ids[i];
        members[i] = member && member->alert ? member->alert : &stubs[i];
    }
    int rc = alert_render_digest(digest, members, self->options.source, body, length, key, err);
    free(members);
    free(stubs);
    return rc;
}

static int render(struct alert_flow *self, const struct alert_post *post, char **body,
                  size_t *length, char key[static ALERT_KEY_BYTES], struct error *err)
{
    const struct alert_entry *entry = post->entry;
    if (entry->digest && post->body == ALERT_RAISED)
        return render_digest(self, entry->digest, body, length, key, err);
    if (entry->digest)
        return render_of_digest(self, post, body, length, key, err);
    return alert_render(post->body, entry->alert, self->options.source, post->number, body, length,
                        key, err);
}

/* --- what came of a post --- */

/* As every log has it that names the same delivery. */
static const char *traced(const struct flow_post *post, char text[static TRACE_TEXT_BYTES])
{
    trace_text(post->post.trace, text);
    return text;
}

static bool is_worth_telling(uint32_t attempt)
{
    return attempt <= ATTEMPTS_TOLD || (attempt & (attempt - 1)) == 0; /* then 4, 8, 16 … */
}

static void journal_attempt(struct alert_flow *self, const struct flow_post *post)
{
    struct error err = { 0 };
    Desg__V1__AlertAttempt fact = DESG__V1__ALERT_ATTEMPT__INIT;
    fact.alert_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)post->id.bytes };
    fact.path = (char *)alert_path_name(alert_path_of(post->body));
    fact.key = (char *)post->post.key;
    fact.at_ms = clock_unix_ms();
    fact.http_status = post->post.http_status;
    fact.error = (char *)post->post.error;
    if (alert_journal_attempt(self->options.journal, &fact, &err) != 0)
        flow_journal_refused(self, &err);
}

static void journal_accepted(struct alert_flow *self, const struct flow_post *post)
{
    struct error err = { 0 };
    Desg__V1__AlertAccepted fact = DESG__V1__ALERT_ACCEPTED__INIT;
    fact.alert_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)post->id.bytes };
    fact.path = (char *)alert_path_name(alert_path_of(post->body));
    fact.key = (char *)post->post.key;
    fact.at_ms = clock_unix_ms();
    fact.receipt = (char *)post->post.receipt;
    if (alert_journal_accepted(self->options.journal, &fact, &err) != 0)
        flow_journal_refused(self, &err); /* after a restart it goes out again, same key */
}

/* Somebody must look at this path; once a minute is enough to say so. */
static void alarm_path(struct alert_flow *self, const struct flow_post *post, enum answer answer,
                       int64_t now_ms)
{
    enum alert_path path = alert_path_of(post->body);
    struct flow_path_state *state = &self->paths[path];
    gauge_set(self->metrics.refused[path], 1);
    if (state->has_alarmed && now_ms - state->alarmed_ms < ALARM_PAUSE_MS)
        return;
    state->has_alarmed = true;
    state->alarmed_ms = now_ms;
    log_error("path_refused", KV("path", alert_path_name(path)), KV("key", post->post.key),
              KV("answer", answer_name(answer)), KV("status", post->post.http_status),
              KV("remedy", answer == ANSWER_KEY_KNOWN
                               ? "dispatch knows the key with other bytes: compare both"
                               : "check address, credentials and format of this path"));
}

static void note_failure(struct alert_flow *self, const struct flow_post *post, enum answer answer,
                         int64_t now_ms)
{
    enum alert_path path = alert_path_of(post->body);
    struct flow_path_state *state = &self->paths[path];
    if (post->post.http_status != 0)
        (void)snprintf(state->last_error, sizeof state->last_error, "status %u",
                       post->post.http_status);
    else
        (void)snprintf(state->last_error, sizeof state->last_error, "%s", post->post.error);
    if (answer_needs_person(answer))
        alarm_path(self, post, answer, now_ms);
    char trace[TRACE_TEXT_BYTES];
    if (is_worth_telling(post->attempt))
        log_warn("post_failed", KV("key", post->post.key), KV("trace", traced(post, trace)),
                 KV("path", alert_path_name(path)), KV("attempt", post->attempt),
                 KV("answer", answer_name(answer)), KV("error", state->last_error),
                 KV("retry_after_ms", post->post.retry_after_ms),
                 KV("took_ms", post->post.took_ms));
}

static void note_accepted(struct alert_flow *self, const struct flow_post *post,
                          const struct alert_outcome *outcome, int64_t now_ms)
{
    const struct alert_entry *entry = outcome->entry;
    char trace[TRACE_TEXT_BYTES];
    log_info("post_accepted", KV("key", post->post.key), KV("trace", traced(post, trace)),
             KV("path", alert_path_name(alert_path_of(post->body))), KV("attempt", post->attempt),
             KV("status", post->post.http_status), KV("took_ms", post->post.took_ms));
    if (entry->kind == ALERT_STANDING_TEST)
        return;
    journal_accepted(self, post);
    if (outcome->is_state_changed)
        histogram_observe(self->metrics.accept_seconds,
                          (double)(now_ms - entry->opened_ms) / 1000.0);
}

static void run_answered(struct inbox_item *item)
{
    struct flow_post *post = (struct flow_post *)item;
    struct alert_flow *self = post->flow;
    enum alert_path path = alert_path_of(post->body);
    enum answer answer = answer_of(post->post.http_status);
    struct alert_outcome outcome;
    int64_t now_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&self->lock);
    counter_add(self->metrics.attempts[path][answer], 1);
    alert_book_answered(self->book, &post->id, post->body, post->number, post->is_first, answer,
                        post->post.retry_after_ms, now_ms, &outcome);
    if (answer == ANSWER_ACCEPTED) {
        self->paths[path].last_error[0] = '\0';
        self->paths[path].has_alarmed = false;
        gauge_set(self->metrics.refused[path], 0);
    } else {
        note_failure(self, post, answer, now_ms);
        if (outcome.entry && outcome.entry->kind != ALERT_STANDING_TEST &&
            is_worth_telling(post->attempt))
            journal_attempt(self, post);
    }
    if (outcome.entry && outcome.is_accepted)
        note_accepted(self, post, &outcome, now_ms);
    (void)pthread_mutex_unlock(&self->lock);
    flow_post_free(item);
}

static void on_answered(void *arg, struct outbound_post *outbound)
{
    (void)outbound;
    struct flow_post *post = arg;
    inbox_post(post->flow->options.inbox, &post->item);
}

/* --- what is due --- */

static void send(struct alert_flow *self, const struct alert_post *due)
{
    struct error err = { 0 };
    struct flow_post *post = calloc(1, sizeof *post);
    if (!post)
        abort();
    post->item.run = run_answered;
    post->item.discard = flow_post_free;
    post->flow = self;
    post->id = due->entry->id;
    post->body = due->body;
    post->number = due->number;
    post->attempt = due->attempt;
    post->is_first = due->is_first;
    post->post.target = (unsigned)due->path;
    post->post.content_type = CONTENT_TYPE;
    post->post.done = on_answered;
    post->post.arg = post;
    post->post.trace = due->entry->alert ? alert_trace(due->entry->alert)
                                         : trace_of_id(due->entry->id.bytes); /* a digest */
    char key[ALERT_KEY_BYTES] = "";
    if (render(self, due, &post->post.body, &post->post.length, key, &err) == 0) {
        (void)snprintf(post->post.key, sizeof post->post.key, "%s", key);
        outbound_send(self->options.outbound, &post->post);
        return;
    }
    /* Intake made every event readable, so this is our own fault; tried again, and heard. */
    log_error("body_not_rendered", KV("error", err.text));
    (void)snprintf(post->post.error, sizeof post->post.error, "not-rendered");
    inbox_post(self->options.inbox, &post->item);
}

static void step(struct alert_flow *self, const struct alert_step *due, int64_t now_ms)
{
    struct error err = { 0 };
    char id[ID_TEXT_BYTES];
    id_text(due->entry->id.bytes, id);
    const char *action = ladder_action_name(due->action);
    if (due->action == LADDER_SUPERVISOR) {
        log_error("alert_unacknowledged", KV("alert", id), KV("step", due->step),
                  KV("age_ms", now_ms - due->entry->opened_ms),
                  KV("remedy", "a supervisor must tell dispatch by another way"));
    } else {
        log_warn("alert_unacknowledged", KV("alert", id), KV("step", due->step),
                 KV("action", action), KV("age_ms", now_ms - due->entry->opened_ms));
    }
    Desg__V1__AlertEscalated fact = DESG__V1__ALERT_ESCALATED__INIT;
    fact.alert_id = (ProtobufCBinaryData){ ID_BYTES, due->entry->id.bytes };
    fact.step = due->step;
    fact.action = (char *)action;
    fact.at_ms = clock_unix_ms();
    if (alert_journal_escalated(self->options.journal, &fact, &err) != 0)
        flow_journal_refused(self, &err); /* after a restart the step is taken again: same key */
}

static void tick_test(struct alert_flow *self, int64_t now_ms)
{
    switch (standing_test_tick(&self->test, now_ms)) {
    case STANDING_TEST_NOTHING:
        break;
    case STANDING_TEST_BEGIN:
        if (!self->is_draining)
            flow_begin_test(self, now_ms);
        break;
    case STANDING_TEST_FAILED:
        gauge_set(self->metrics.test_failed, 1);
        alert_book_drop(self->book, &self->test.id);
        log_error("standing_test_failed",
                  KV("remedy", "the way to dispatch and back is broken: tell dispatch by another "
                               "way until the next test comes back"));
        break;
    }
}

int64_t alert_flow_run(struct alert_flow *self)
{
    (void)pthread_mutex_lock(&self->lock);
    int64_t now_ms = clock_monotonic_ms();
    struct alert_entry *digest = NULL;
    struct alert_step due_step;
    struct alert_post due_post;
    while (alert_book_next_digest(self->book, now_ms, clock_unix_ms(), &digest))
        (void)flow_store_digest(self, digest); /* unstored: it is posted all the same */
    while (alert_book_next_step(self->book, now_ms, &due_step))
        step(self, &due_step, now_ms);
    while (alert_book_next_post(self->book, now_ms, &due_post))
        send(self, &due_post);
    int64_t due_ms = alert_book_due_ms(self->book, now_ms);
    (void)pthread_mutex_unlock(&self->lock);
    return due_ms;
}

void alert_flow_tick(struct alert_flow *self)
{
    (void)pthread_mutex_lock(&self->lock);
    int64_t now_ms = clock_monotonic_ms();
    tick_test(self, now_ms);
    size_t count = alert_book_end_long_quiet(self->book, now_ms);
    if (count > 0)
        log_warn("alerts_not_quiet", KV("alerts", count),
                 KV("remedy", "old alerts go out marked replayed: Redis or another replica could "
                              "not say whether they were told before"));
    flow_keep_journal(self, now_ms);
    flow_show(self, now_ms);
    (void)pthread_mutex_unlock(&self->lock);
}
