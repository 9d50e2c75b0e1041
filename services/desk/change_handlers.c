/* What people decide and do. The order is always: the function checks, the fact is journalled, then
 * 200 is answered. What leaves quarantine is looked up, journalled, then applied. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "desk/api.h"
#include "desk/best_waiting.h"
#include "log/log.h"
#include "store/plan.h"
#include "unpack/unpack.h"

enum { REASON_MAX_BYTES = 2000, NOTE_MAX_BYTES = 16384, WORD_MAX_BYTES = 200 };

/* The function refused: says what changed, and how it is now. */
static void answer_refusal(struct api_call *call, const struct id *conversation,
                           const struct error *why)
{
    struct error ignored = { 0 };
    json_t *now = NULL;
    json_t *more = NULL;
    if (why->kind != ERROR_INVALID) {
        api_unavailable(call, why);
        return;
    }
    if (conversation && store_conversation(call->store, conversation, &now, &ignored) == 0) {
        more = json_pack("{s:o}", "current", api_claim_of(now));
        json_decref(now);
    }
    api_problem(call->answer, 409, "changed", why->text,
                "Read the conversation again; claim it if you do not hold it.", more);
}

static void set_conversation(Desg__V1__Fact *fact, struct id *conversation)
{
    fact->conversation_id = (ProtobufCBinaryData){ ID_BYTES, conversation->bytes };
}

static void store_packed(struct api_call *call, const Desg__V1__Fact *fact, const struct id *id,
                         api_fact_answer *answer_of)
{
    size_t length = desg__v1__fact__get_packed_size(fact);
    uint8_t *bytes = malloc(length);
    if (!bytes)
        abort();                             /* a few hundred bytes */
    (void)desg__v1__fact__pack(fact, bytes); /* always writes length bytes */
    api_fact_store(call, id, bytes, length, answer_of);
    free(bytes);
}

/* A decision: the function fills in what it covers, and that is what is journalled. */
static void decide(struct api_call *call, Desg__V1__Fact *fact, const struct id *last_event,
                   const struct id *conversation)
{
    struct error err = { 0 };
    struct id id;
    struct store_fact_done done = { 0 };
    assert(call && call->store);
    if (api_fact_begin(call, fact, &id, api_fact_plain) != FACT_NEW)
        return;
    if (conversation && api_conversation(call, conversation, NULL) != 0) {
        api_fact_drop(call, &id);
        return;
    }
    if (store_fact_decide(call->store, fact, last_event, &done, &err) != 0) {
        api_fact_drop(call, &id);
        answer_refusal(call, conversation, &err);
        return;
    }
    api_fact_store_done(call, &id, fact, &done, api_fact_plain);
}

/* --- leases --- */

/* A claim of the best for those who may not see all: what they may not see is passed over. */
static int claim(struct api_call *call, const char *queue, const struct id *conversation,
                 json_t **out, struct error *err)
{
    if (conversation || api_sees_restricted(call))
        return store_claim(call->store, call->holder.agent, queue ? queue : "", conversation, out,
                           err);
    return best_waiting_claim(call->store, call->holder.agent, queue, out, err);
}

void api_claim(struct api_call *call)
{
    static const char *const names[] = { "queue", "conversation" };
    const char *queue = NULL;
    struct id wanted, id, claimed;
    bool is_given = false;
    struct error err = { 0 };
    json_t *got = NULL;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Claimed what = DESG__V1__CLAIMED__INIT;
    if (!body_check_names(call, names, 2) ||
        !body_text(call, "queue", 0, API_NAME_MAX_BYTES, &queue) ||
        !body_id(call, "conversation", false, &wanted, &is_given))
        return;
    fact.what_case = DESG__V1__FACT__WHAT_CLAIMED;
    fact.claimed = &what;
    if (is_given)
        set_conversation(&fact, &wanted);
    if (api_fact_begin(call, &fact, &id, api_fact_plain) != FACT_NEW)
        return;
    if (is_given && api_conversation(call, &wanted, NULL) != 0) {
        api_fact_drop(call, &id);
        return;
    }
    if (claim(call, queue, is_given ? &wanted : NULL, &got, &err) != 0) {
        api_fact_drop(call, &id);
        answer_refusal(call, is_given ? &wanted : NULL, &err);
        return;
    }
    const char *text = json_string_value(json_object_get(got, "conversation"));
    if (!text || id_parse(text, &claimed) != 0) {
        api_fact_drop(call, &id);
        api_answer(call, 204, NULL); /* nothing waits */
    } else {
        set_conversation(&fact, &claimed);
        fact.fence = (uint64_t)json_number_value(json_object_get(got, "fence"));
        what.lease_s = (uint32_t)(json_number_value(json_object_get(got, "lease_ms")) / 1000);
        what.queue = (char *)json_string_value(json_object_get(got, "queue"));
        if (!what.queue)
            what.queue = (char *)protobuf_c_empty_string;
        store_packed(call, &fact, &id, api_fact_plain);
    }
    json_decref(got);
}

void api_heartbeat(struct api_call *call)
{
    static const char *const names[] = { "fence" };
    uint64_t fence = 0;
    struct error err = { 0 };
    if (!body_check_names(call, names, 1) || !body_fence(call, &fence) ||
        api_conversation(call, &call->id, NULL) != 0)
        return;
    if (store_heartbeat(call->store, call->holder.agent, &call->id, fence, &err) != 0) {
        answer_refusal(call, &call->id, &err);
        return;
    }
    api_answer(call, 200, json_pack("{s:I}", "lease_ms", (json_int_t)call->api->lease_s * 1000));
}

static json_t *release_answer(struct api_call *call, const Desg__V1__Fact *fact)
{
    (void)call;
    json_t *answer = fact_describe(fact);
    (void)json_object_set_new(answer, "state", json_string("open"));
    return answer;
}

void api_release(struct api_call *call)
{
    static const char *const names[] = { "fence" };
    uint64_t fence = 0;
    struct id id;
    struct error err = { 0 };
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Released what = DESG__V1__RELEASED__INIT;
    if (!body_check_names(call, names, 1) || !body_fence(call, &fence))
        return;
    set_conversation(&fact, &call->id);
    fact.what_case = DESG__V1__FACT__WHAT_RELEASED;
    fact.released = &what;
    fact.fence = fence;
    if (api_fact_begin(call, &fact, &id, release_answer) != FACT_NEW)
        return;
    if (api_conversation(call, &call->id, NULL) != 0) {
        api_fact_drop(call, &id);
        return;
    }
    if (store_release(call->store, call->holder.agent, &call->id, fence, &err) != 0) {
        api_fact_drop(call, &id);
        answer_refusal(call, &call->id, &err);
        return;
    }
    store_packed(call, &fact, &id, release_answer);
}

/* --- decisions --- */

void api_close(struct api_call *call)
{
    static const char *const names[] = { "fence", "last_event", "reason" };
    const char *reason = NULL;
    struct id last_event;
    bool is_given = false;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Closed what = DESG__V1__CLOSED__INIT;
    if (!body_check_names(call, names, 3) || !body_fence(call, &fact.fence) ||
        !body_id(call, "last_event", false, &last_event, &is_given) ||
        !body_text(call, "reason", 0, REASON_MAX_BYTES, &reason))
        return;
    if (reason)
        what.reason = (char *)reason;
    set_conversation(&fact, &call->id);
    fact.what_case = DESG__V1__FACT__WHAT_CLOSED;
    fact.closed = &what;
    decide(call, &fact, is_given ? &last_event : NULL, &call->id);
}

void api_grade(struct api_call *call)
{
    static const char *const names[] = { "fence", "last_event", "severity", "reason" };
    const char *reason = NULL;
    struct id last_event;
    bool is_given = false;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Graded what = DESG__V1__GRADED__INIT;
    if (!body_check_names(call, names, 4) || !body_fence(call, &fact.fence) ||
        !body_id(call, "last_event", false, &last_event, &is_given) ||
        !body_severity(call, "severity", &what.severity) ||
        !body_text(call, "reason", 1, REASON_MAX_BYTES, &reason))
        return;
    what.reason = (char *)reason;
    set_conversation(&fact, &call->id);
    fact.what_case = DESG__V1__FACT__WHAT_GRADED;
    fact.graded = &what;
    decide(call, &fact, is_given ? &last_event : NULL, &call->id);
}

void api_note(struct api_call *call)
{
    static const char *const names[] = { "text" };
    const char *text = NULL;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Noted what = DESG__V1__NOTED__INIT;
    if (!body_check_names(call, names, 1) || !body_text(call, "text", 1, NOTE_MAX_BYTES, &text))
        return;
    what.text = (char *)text;
    set_conversation(&fact, &call->id);
    fact.what_case = DESG__V1__FACT__WHAT_NOTED;
    fact.noted = &what;
    decide(call, &fact, NULL, &call->id);
}

static bool body_wish(struct api_call *call, Desg__V1__Language *out)
{
    static const Desg__V1__Language languages[] = { DESG__V1__LANGUAGE__LANGUAGE_CY,
                                                    DESG__V1__LANGUAGE__LANGUAGE_EN,
                                                    DESG__V1__LANGUAGE__LANGUAGE_MIXED,
                                                    DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED };
    const char *word = NULL;
    if (!body_text(call, "language", 1, WORD_MAX_BYTES, &word))
        return false;
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
        *out = languages[i];
        if (strcmp(word, store_wish_word(*out)) == 0)
            return true;
    }
    return body_refuse(call, "language", "cy, en, both or none");
}

/* What the person said of themselves, to whoever it was: no claim is needed. */
void api_language(struct api_call *call)
{
    static const char *const names[] = { "language" };
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__LanguageWish what = DESG__V1__LANGUAGE_WISH__INIT;
    if (!body_check_names(call, names, 1) || !body_wish(call, &what.language))
        return;
    set_conversation(&fact, &call->id);
    fact.what_case = DESG__V1__FACT__WHAT_LANGUAGE_WISH;
    fact.language_wish = &what;
    decide(call, &fact, NULL, &call->id);
}

/* The alert if the caller may see it, and its conversation. */
static int see_alert(struct api_call *call, struct id *conversation, bool *has_conversation)
{
    struct error err = { 0 };
    json_t *alert = NULL;
    if (store_alert_get(call->store, &call->id, &alert, &err) != 0) {
        api_unavailable(call, &err);
        return -1;
    }
    const char *text = json_string_value(json_object_get(alert, "conversation"));
    *has_conversation = text && id_parse(text, conversation) == 0;
    bool is_there = alert && (api_sees_restricted(call) || !api_is_restricted(alert));
    json_decref(alert);
    if (!is_there)
        api_absent(call);
    return is_there ? 0 : -1;
}

void api_acknowledge(struct api_call *call)
{
    static const char *const names[] = { "dispatcher", "log_number" };
    const char *dispatcher = NULL;
    const char *log_number = NULL;
    struct id conversation;
    bool has_conversation = false;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__AlertTaken what = DESG__V1__ALERT_TAKEN__INIT;
    if (!body_check_names(call, names, 2) ||
        !body_text(call, "dispatcher", 1, WORD_MAX_BYTES, &dispatcher) ||
        !body_text(call, "log_number", 1, WORD_MAX_BYTES, &log_number) ||
        see_alert(call, &conversation, &has_conversation) != 0)
        return;
    what.alert_id = (ProtobufCBinaryData){ ID_BYTES, call->id.bytes };
    what.dispatcher = (char *)dispatcher;
    what.log_number = (char *)log_number;
    if (has_conversation)
        set_conversation(&fact, &conversation);
    fact.what_case = DESG__V1__FACT__WHAT_ALERT_TAKEN;
    fact.alert_taken = &what;
    decide(call, &fact, NULL, NULL);
}

void api_quarantine_removal(struct api_call *call)
{
    struct error err = { 0 };
    struct id id;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__QuarantineTaken what = DESG__V1__QUARANTINE_TAKEN__INIT;
    if (!body_check_names(call, NULL, 0))
        return;
    what.event_id = (ProtobufCBinaryData){ ID_BYTES, call->id.bytes };
    fact.what_case = DESG__V1__FACT__WHAT_QUARANTINE_TAKEN;
    fact.quarantine_taken = &what;
    if (api_fact_begin(call, &fact, &id, api_fact_plain) != FACT_NEW)
        return;
    if (api_quarantined(call, &call->id, NULL, NULL) != 0) {
        api_fact_drop(call, &id);
        return;
    }
    store_packed(call, &fact, &id, api_fact_plain);
    /* So that the next list is without it. Where this fails the projector does it, from the journal
     * as after a rebuild. */
    const Desg__V1__Fact *stored = &fact;
    char history[STORE_HISTORY_BYTES];
    if (call->answer->status == 200 &&
        store_facts_apply(call->store, &stored, 1, history, &err) != 0)
        log_debug("removal_left_to_projector", KV("error", err.text));
}
