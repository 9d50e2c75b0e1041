/* Requests to the platforms and what their answers mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "log/log.h"
#include "notify/outbox_flow_inside.h"
#include "notify/outbox_journal.h"

enum { CONNECT_TIMEOUT_MS = 3000, DISK_WAIT_MS = 1000, OWN_WAIT_MS = 5000 };

void outbox_job_free(struct outbox_job *job)
{
    platform_request_clear(&job->request);
    outbound_call_clear(&job->call);
    free(job);
}

static void discard_job(struct inbox_item *item_in)
{
    outbox_job_free((struct outbox_job *)item_in);
}

static struct outbox_job *job_new(struct outbox_flow *self, struct outbox_place *place,
                                  struct outbox_item *item)
{
    struct outbox_job *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    job->item_in.discard = discard_job;
    job->flow = self;
    job->place = place;
    job->item = item;
    if (item) {
        job->part = item->part;
        job->deed = ((const struct outbox_plan *)item->plan)->parts[item->part].deed;
    }
    return job;
}

static struct outbox_request request_of(const struct outbox_flow *self,
                                        const struct outbox_item *item, int64_t unix_ms)
{
    return (struct outbox_request){
        .way = outflow_way(self, item->place),
        .item = item->what,
        .plan = item->plan,
        .part = item->part,
        .before = item->part > 0 && item->objects ? item->objects[item->part - 1] : "",
        .unix_ms = unix_ms,
    };
}

/* --- write --- */

static void run_written(struct inbox_item *item_in)
{
    struct outbox_job *job = (struct outbox_job *)item_in;
    struct outbox_flow *self = job->flow;
    struct outbox_item *item = job->item;
    (void)pthread_mutex_lock(&self->lock);
    if (job->outcome == JOURNAL_STORED && item->is_stored) { /* the item's own record came first */
        item->job = job;
        outbox_book_written(item);
    } else {
        const struct error err = { .kind = ERROR_UNAVAILABLE, .text = "a group was not stored" };
        outflow_not_journalled(self, &err);
        outbox_book_postpone(self->book, item, "journal", DISK_WAIT_MS, clock_monotonic_ms(),
                             clock_unix_ms());
        outbox_job_free(job);
    }
    (void)pthread_mutex_unlock(&self->lock);
}

static void on_written(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct outbox_job *job = arg;
    (void)sequence;
    job->outcome = outcome;
    inbox_post(job->flow->options.inbox, &job->item_in);
}

static int make_request(struct outbox_flow *self, struct outbox_item *item, struct outbox_job *job,
                        struct error *err)
{
    int64_t unix_ms = clock_unix_ms();
    struct outbox_request request = request_of(self, item, unix_ms);
    if (outbox_plan_window(request.way, item->what, item->is_person_known,
                           item->last_person_unix_ms, unix_ms, &request.is_human_agent, err) != 0)
        return -1;
    if (job->deed == OUTBOX_NOTHING)
        return 0;
    return outbox_plan_request(&request, OUTBOX_REQUEST_DEED, &job->request, err);
}

/* What an earlier try left behind is of no use: times, signatures and secrets change. */
static void drop_old_job(struct outbox_item *item)
{
    if (item->job)
        outbox_job_free(item->job);
    item->job = NULL;
}

void outflow_write(struct outbox_flow *self, struct outbox_item *item)
{
    struct error err = { 0 };
    uint8_t hash[CRYPTO_SHA256_BYTES];
    int64_t now_ms = clock_monotonic_ms();
    int64_t unix_ms = clock_unix_ms();
    drop_old_job(item);
    if (!item->is_stored && !item->is_storing)
        outflow_store(self, item);
    if (!item->is_stored && !item->is_storing) { /* an intent alone says nothing after a restart */
        outbox_book_postpone(self->book, item, "journal", DISK_WAIT_MS, now_ms, unix_ms);
        return;
    }
    struct outbox_job *job = job_new(self, item->place, item);
    job->item_in.run = run_written;
    if (make_request(self, item, job, &err) != 0) {
        outbox_job_free(job);
        if (err.kind == ERROR_CONFIG)
            outbox_book_cannot(self->book, item, err.text, now_ms, unix_ms);
        else if (err.kind == ERROR_INVALID)
            outbox_book_refuse(self->book, item, err.text, now_ms, unix_ms);
        else
            outbox_book_postpone(self->book, item, err.text, OWN_WAIT_MS, now_ms, unix_ms);
        return;
    }
    crypto_sha256(job->request.body ? job->request.body : "", job->request.length, hash);
    if (outbox_journal_intent(self->options.journal, item, hash, item->place->fence,
                              outbox_book_intent_at(item, unix_ms), on_written, job, &err) == 0)
        return;
    outbox_job_free(job);
    outflow_not_journalled(self, &err);
    outbox_book_postpone(self->book, item, "journal", DISK_WAIT_MS, now_ms, unix_ms);
}

/* --- call --- */

static struct platform_answer answer_of(const struct outbox_job *job)
{
    return (struct platform_answer){
        .http_status = job->call.http_status,
        .is_unsent = job->call.is_unsent,
        .body = job->call.answer ? job->call.answer : "",
        .length = job->call.answer_bytes,
        .header = outbound_header,
        .arg = (void *)&job->call,
    };
}

/* A removal of what is not there has done its work; what may be said again is not unknown. An edit
 * that is refused so may still be read where it is: Meta has one code for both. */
static void judge(struct outbox_job *job, struct platform_result *result)
{
    struct outbox_plan *plan = job->item->plan;
    const struct outbox_part *part = &plan->parts[job->part];
    if (part->deed == OUTBOX_SEND)
        return;
    if (part->deed == OUTBOX_REMOVE &&
        result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED &&
        strcmp(result->error, "no-such-object") == 0)
        result->outcome = DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT;
    if (result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN)
        result->outcome = DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER;
    if (result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED &&
        outbox_plan_remove_instead(outflow_way(job->flow, job->place), plan, job->part))
        result->outcome = DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER;
    if (part->deed == OUTBOX_REMOVE)
        result->object_id[0] = '\0'; /* nothing is left to be edited */
    else
        (void)snprintf(result->object_id, sizeof result->object_id, "%s", part->object_id);
}

static void run_called(struct inbox_item *item_in)
{
    struct outbox_job *job = (struct outbox_job *)item_in;
    struct outbox_flow *self = job->flow;
    struct outbox_item *item = job->item;
    const struct platform_answer answer = answer_of(job);
    struct platform_result result = { 0 };
    int64_t unix_ms = clock_unix_ms();
    (void)pthread_mutex_lock(&self->lock);
    outflow_way(self, job->place)->platform->sent(&answer, unix_ms, &result);
    if (result.error[0] == '\0' && job->call.error[0] != '\0')
        (void)snprintf(result.error, sizeof result.error, "%s", job->call.error);
    judge(job, &result);
    bool is_outlet = outflow_way(self, job->place)->outlet != NULL;
    histogram_observe(self->metrics.call_seconds[is_outlet], (double)job->call.took_ms / 1000.0);
    outbox_book_answered(self->book, item, &result, job->call.http_status, clock_monotonic_ms(),
                         unix_ms);
    (void)pthread_mutex_unlock(&self->lock);
    outbox_job_free(job);
}

static void on_called(void *arg, struct outbound_call *call)
{
    struct outbox_job *job = arg;
    (void)call;
    inbox_post(job->flow->options.inbox, &job->item_in);
}

/* Of the event answered; what answers none has its own id for it. */
static struct trace trace_of(const struct outbox_item *item)
{
    const Desg__V1__OutboxItem *what = item->what;
    struct trace trace = { 0 };
    if (what && what->what_case == DESG__V1__OUTBOX_ITEM__WHAT_REPLY)
        trace = (struct trace){ what->reply->trace_high, what->reply->trace_low };
    if (what && what->what_case == DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT)
        trace = (struct trace){ what->receipt->trace_high, what->receipt->trace_low };
    return trace_is_set(trace) ? trace : trace_of_id(item->id.bytes);
}

static void add_trace(struct outbox_job *job)
{
    struct outbound_call *call = &job->call;
    char parent[TRACE_PARENT_BYTES];
    if (!job->item || call->header_count == OUTBOUND_HEADERS_MAX)
        return;
    trace_parent(trace_of(job->item), parent);
    (void)snprintf(job->traceparent, sizeof job->traceparent, "traceparent: %s", parent);
    call->headers[call->header_count++] = job->traceparent;
}

static void start(struct outbox_flow *self, struct outbox_job *job, bool is_repeatable)
{
    const struct outbox_way *way = outflow_way(self, job->place);
    struct outbound_call *call = &job->call;
    call->method = job->request.method;
    call->url = job->request.url;
    for (size_t i = 0; i < job->request.header_count; i++)
        call->headers[i] = job->request.headers[i];
    call->header_count = job->request.header_count;
    add_trace(job);
    call->body = job->request.body;
    call->length = job->request.length;
    call->ca_file = way->account ? way->account->ca_file : way->outlet->ca_file;
    call->timeout_ms = way->account ? OUTFLOW_ACCOUNT_TIMEOUT_MS : way->outlet->timeout_ms;
    call->connect_timeout_ms =
        call->timeout_ms < CONNECT_TIMEOUT_MS ? call->timeout_ms : CONNECT_TIMEOUT_MS;
    call->is_repeatable = is_repeatable;
    call->not_after_ms = is_repeatable ? 0 : job->place->ours_until_ms;
    call->done = on_called;
    call->arg = job;
    outbound_start(way->account ? self->options.replies : self->options.broadcasts, call);
}

void outflow_call(struct outbox_flow *self, struct outbox_item *item)
{
    struct outbox_job *job = item->job;
    item->job = NULL;
    if (job->deed == OUTBOX_NOTHING) {
        struct platform_result result = { .outcome = DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT };
        const struct outbox_plan *plan = item->plan;
        memcpy(result.object_id, plan->parts[item->part].object_id, sizeof result.object_id);
        outbox_book_answered(self->book, item, &result, 0, clock_monotonic_ms(), clock_unix_ms());
        outbox_job_free(job);
        return;
    }
    job->item_in.run = run_called;
    start(self, job, false);
}

/* --- look --- */

static void run_looked(struct inbox_item *item_in)
{
    struct outbox_job *job = (struct outbox_job *)item_in;
    struct outbox_flow *self = job->flow;
    struct outbox_item *item = job->item;
    char object_id[PLATFORM_OBJECT_BYTES] = "";
    enum platform_found found = PLATFORM_CANNOT_SAY;
    int64_t unix_ms = clock_unix_ms();
    (void)pthread_mutex_lock(&self->lock);
    if (item->what && item->plan) { /* it may have ended meanwhile */
        const struct platform_answer answer = answer_of(job);
        const struct outbox_request request = request_of(self, item, unix_ms);
        struct outbox_marks marks = { .ref = "" };
        struct platform_message message;
        outbox_plan_message(&request, &marks, &message);
        found = outflow_way(self, job->place)
                    ->platform->looked_up(&answer, &message, job->since_unix_ms, object_id);
    }
    outbox_book_looked(self->book, item, found, object_id, clock_monotonic_ms(), unix_ms);
    (void)pthread_mutex_unlock(&self->lock);
    outbox_job_free(job);
}

void outflow_look_there(struct outbox_flow *self, struct outbox_item *item)
{
    struct error err = { 0 };
    int64_t unix_ms = clock_unix_ms();
    struct outbox_job *job = job_new(self, item->place, item);
    const struct outbox_request request = request_of(self, item, unix_ms);
    job->is_look = true;
    job->since_unix_ms = item->called_unix_ms ? item->called_unix_ms : item->decided_unix_ms;
    if (outbox_plan_request(&request, OUTBOX_REQUEST_LOOK, &job->request, &err) != 0) {
        outbox_job_free(job);
        outbox_book_looked(self->book, item, PLATFORM_CANNOT_SAY, "", clock_monotonic_ms(),
                           unix_ms);
        return;
    }
    job->item_in.run = run_looked;
    start(self, job, true);
}

/* --- probe --- */

static void run_probed(struct inbox_item *item_in)
{
    struct outbox_job *job = (struct outbox_job *)item_in;
    struct outbox_flow *self = job->flow;
    const struct platform_answer answer = answer_of(job);
    struct platform_result result = { 0 };
    int64_t unix_ms = clock_unix_ms();
    (void)pthread_mutex_lock(&self->lock);
    outflow_way(self, job->place)->platform->sent(&answer, unix_ms, &result);
    outbox_book_probed(self->book, job->place, &result, clock_monotonic_ms(), unix_ms);
    (void)pthread_mutex_unlock(&self->lock);
    outbox_job_free(job);
}

void outflow_probe(struct outbox_flow *self, struct outbox_place *place)
{
    struct error err = { 0 };
    struct outbox_job *job = job_new(self, place, NULL);
    int64_t unix_ms = clock_unix_ms();
    if (outbox_plan_probe(outflow_way(self, place), unix_ms, &job->request, &err) == 0) {
        job->item_in.run = run_probed;
        start(self, job, true);
        return;
    }
    struct platform_result dead = { .outcome = DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED,
                                    .is_token_dead = true };
    (void)snprintf(dead.error, sizeof dead.error, "%.*s", (int)sizeof dead.error - 1, err.text);
    outbox_book_probed(self->book, place, err.kind == ERROR_CONFIG ? &dead : NULL,
                       clock_monotonic_ms(), unix_ms);
    outbox_job_free(job);
}
