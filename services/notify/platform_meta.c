/* The Graph API. Sources: developers.facebook.com, Messenger Platform "Error codes" (18 Mar 2026),
 * "Send messages" (5 May 2026), changelog (1 Jun 2026); WhatsApp "Error codes" (15 May 2026); Graph
 * API "Rate limits". Errors are told by code and subcode, never by HTTP status or words. */
#include "notify/platform_meta.h"

#include <string.h>

#include "notify/platform_request.h"

static const struct platform_fault faults[] = {
    /* Windows and persons. */
    { 10, 2018278, OUTCOME(REFUSED), FAULT_WINDOW, 0, "window-closed" },
    { 10, 2534022, OUTCOME(REFUSED), FAULT_WINDOW, 0, "window-closed" }, /* Instagram */
    { 131047, FAULT_ANY, OUTCOME(REFUSED), FAULT_WINDOW, 0, "window-closed" },
    { 551, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "person-unavailable" },
    /* Sources differ: one page calls it a closed window. Final for this message either way. */
    { 200, 1545041, OUTCOME(REFUSED), 0, 0, "person-unavailable" },
    { 551, 1545041, OUTCOME(REFUSED), 0, 0, "person-unavailable" },
    { FAULT_ANY, 2018218, OUTCOME(REFUSED), 0, 0, "no-profile" },
    { 131026, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "undeliverable" },
    { 10900, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "private-reply-refused" },
    { 10903, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "private-reply-refused" },
    { 10904, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "private-reply-refused" },
    { FAULT_ANY, 2534014, OUTCOME(REFUSED), 0, 0, "private-reply-refused" },
    /* What was asked. */
    { 100, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "bad-parameter" },
    { 100, 33, OUTCOME(REFUSED), 0, 0, "no-such-object" },
    { 100, 2018001, OUTCOME(REFUSED), 0, 0, "no-such-person" },
    { 131051, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "unsupported-type" },
    { 506, FAULT_ANY, OUTCOME(UNKNOWN), FAULT_DUPLICATE, 0, "duplicate" },
    /* Permission for one kind of request may be missing while all others go: never the account. */
    { 10, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "permission-missing" },
    { 200, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "permission-missing" },
    { 230, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "permission-missing" },
    /* The account: a person must mend it. */
    { 190, FAULT_ANY, OUTCOME(BLOCKED), 0, 0, "token-dead" },
    { 190, 458, OUTCOME(BLOCKED), 0, 0, "app-not-installed" },
    { 190, 460, OUTCOME(BLOCKED), 0, 0, "password-changed" },
    { 190, 463, OUTCOME(BLOCKED), 0, 0, "token-expired" },
    { 190, 467, OUTCOME(BLOCKED), 0, 0, "token-invalid" },
    { 10, 1893063, OUTCOME(BLOCKED), 0, 0, "page-restricted" },
    { 368, FAULT_ANY, OUTCOME(BLOCKED), 0, 0, "blocked-for-abuse" },
    /* Not now. The platform calls 1 an error it does not know itself: it may have gone out. */
    { 1, FAULT_ANY, OUTCOME(UNKNOWN), 0, 0, "unknown-there" },
    { 2, FAULT_ANY, OUTCOME(LATER), 0, 0, "temporary" },
    { 2, 2018344, OUTCOME(LATER), 0, 0, "temporary" },
    { 4, FAULT_ANY, OUTCOME(LATER), 0, 0, "app-limit" },
    { 17, FAULT_ANY, OUTCOME(LATER), 0, 0, "user-limit" },
    { 32, FAULT_ANY, OUTCOME(LATER), 0, 0, "page-limit" },
    { 613, FAULT_ANY, OUTCOME(LATER), 0, 0, "rate-limit" },
    { 613, 1996, OUTCOME(LATER), 0, 0, "inconsistent-use" },
    { 80001, FAULT_ANY, OUTCOME(LATER), 0, 300, "page-limit" },
    { 80002, FAULT_ANY, OUTCOME(LATER), 0, 300, "instagram-limit" },
    { 80006, FAULT_ANY, OUTCOME(LATER), 0, 300, "messenger-limit" },
    { 80007, FAULT_ANY, OUTCOME(LATER), 0, 300, "whatsapp-limit" },
    { 80008, FAULT_ANY, OUTCOME(LATER), 0, 300, "whatsapp-limit" },
    { 130429, FAULT_ANY, OUTCOME(LATER), 0, 0, "throughput" },
    { 131056, FAULT_ANY, OUTCOME(LATER), 0, 6, "pair-rate" }, /* one in 6 s to one person */
    { 131048, FAULT_ANY, OUTCOME(LATER), 0, 3600, "spam-limit" },
    { 131049, FAULT_ANY, OUTCOME(LATER), 0, 3600, "person-limit" },
};

const struct platform_fault *platform_meta_faults(size_t *count)
{
    *count = sizeof faults / sizeof faults[0];
    return faults;
}

/* --- usage: percent of the limit, as integers --- */

static void use(struct platform_result *out, const json_t *usage)
{
    static const char *const names[] = { "call_count", "total_time", "total_cputime" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int32_t percent = platform_code(usage, names[i]);
        uint32_t used = percent < 100 ? (uint32_t)percent : 100;
        if (used > out->used_percent)
            out->used_percent = used;
    }
}

static void read_usage(const struct platform_answer *answer, const char *name,
                       struct platform_result *out)
{
    const char *text = answer->header(answer->arg, name);
    json_t *usage = text ? json_loads(text, 0, NULL) : NULL;
    use(out, usage);
    json_decref(usage);
}

/* {"<account>":[{"call_count",…,"estimated_time_to_regain_access": minutes}]} */
static void read_business_usage(const struct platform_answer *answer, int64_t now_ms,
                                struct platform_result *out)
{
    const char *text = answer->header(answer->arg, "X-Business-Use-Case-Usage");
    json_t *accounts = text ? json_loads(text, 0, NULL) : NULL;
    const char *account;
    json_t *rows;
    json_object_foreach(accounts, account, rows)
    {
        size_t i;
        json_t *row;
        json_array_foreach(rows, i, row)
        {
            int32_t minutes = platform_code(row, "estimated_time_to_regain_access");
            int64_t until_ms = now_ms + (int64_t)minutes * 60000;
            use(out, row);
            if (minutes > 0 && until_ms > out->reset_ms)
                out->reset_ms = until_ms;
        }
    }
    json_decref(accounts);
}

/* --- answers --- */

/* What it made: a message, a WhatsApp message, or a post (also the probed account itself). */
static const char *made(const json_t *body, char room[static PLATFORM_NUMBER_BYTES])
{
    const char *id = platform_text(body, "message_id", room);
    if (id[0] == '\0')
        id = platform_text(platform_first(json_object_get(body, "messages")), "id", room);
    return id[0] ? id : platform_text(body, "id", room);
}

static void judge(const struct platform_answer *answer, const json_t *body,
                  struct platform_result *out)
{
    const json_t *error = json_object_get(body, "error");
    int32_t code = platform_code(error, "code");
    const struct platform_fault *fault = platform_fault_find(
        faults, sizeof faults / sizeof faults[0], code, platform_code(error, "error_subcode"));
    char room[PLATFORM_NUMBER_BYTES];
    const char *id = made(body, room);
    platform_result_status(out, answer);
    out->code = code;
    if (answer->http_status == 0)
        return;
    if (error && fault)
        platform_result_fault(out, fault, code);
    else if (!error && platform_is_ok(answer) &&
             (id[0] || json_is_true(json_object_get(body, "success"))))
        platform_result_sent(out, id);
}

void platform_meta_sent(const struct platform_answer *answer, int64_t now_ms,
                        struct platform_result *out)
{
    *out = (struct platform_result){ 0 };
    json_t *body = platform_json(answer);
    judge(answer, body, out);
    json_decref(body);
    read_usage(answer, "X-App-Usage", out);
    read_usage(answer, "X-Page-Usage", out);
    read_business_usage(answer, now_ms, out);
    platform_result_wait(out, answer, now_ms);
}

/* --- requests --- */

int platform_meta_request(const struct platform_self *self, const char *method,
                          const char *const *segments, json_t *body, struct platform_request *out,
                          struct error *err)
{
    bool has_body = body != NULL;
    if (platform_request_start(out, method, self->base_url, segments, err) != 0 ||
        platform_request_bearer(out, self->token, err) != 0) {
        json_decref(body);
        return platform_request_drop(out);
    }
    if (has_body && platform_request_json(out, body, err) != 0)
        return platform_request_drop(out);
    return 0;
}

int platform_meta_probe(const struct platform_self *self, int64_t now_ms, const uint8_t nonce[16],
                        struct platform_request *out, struct error *err)
{
    (void)now_ms;
    (void)nonce; /* a bearer token is not signed */
    const char *const segments[] = { self->account ? self->account : "", NULL };
    if (platform_meta_request(self, "GET", segments, NULL, out, err) != 0 ||
        platform_request_query(out, "fields", "id", err) != 0)
        return platform_request_drop(out);
    return 0;
}
