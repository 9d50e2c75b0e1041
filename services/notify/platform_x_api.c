/* X API v2. Sources: docs.x.com (Aug 2026): "Response codes and errors", "Rate limits", OAuth 1.0a;
 * openapi.json 2.167. Codes are those of v1.1, which v2 still sends in places; v2's own problems
 * are told by the end of their type. */
#include "notify/platform_x_api.h"

#include <string.h>

#include "crypto/crypto.h"
#include "notify/oauth1.h"
#include "notify/platform_request.h"

enum { NONCE_BYTES = 16 };

static const struct platform_fault faults[] = {
    { 187, FAULT_ANY, OUTCOME(UNKNOWN), FAULT_DUPLICATE, 0, "duplicate" },
    { 32, FAULT_ANY, OUTCOME(BLOCKED), 0, 0, "not-authenticated" },
    { 89, FAULT_ANY, OUTCOME(BLOCKED), 0, 0, "token-dead" },
    { 261, FAULT_ANY, OUTCOME(BLOCKED), 0, 0, "app-not-allowed" },
    { 326, FAULT_ANY, OUTCOME(BLOCKED), 0, 0, "account-locked" },
    { 453, FAULT_ANY, OUTCOME(BLOCKED), 0, 0, "access-level" },
    { 226, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "looks-automated" },
    { 349, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "person-unavailable" },
    { 150, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "person-unavailable" },
    { 186, FAULT_ANY, OUTCOME(REFUSED), 0, 0, "too-long" },
    /* "There was an error sending your message": looked up before it is sent again. */
    { 151, FAULT_ANY, OUTCOME(UNKNOWN), 0, 0, "error-sending" },
    { 131, FAULT_ANY, OUTCOME(UNKNOWN), 0, 0, "internal-error" },
    { 130, FAULT_ANY, OUTCOME(LATER), 0, 0, "over-capacity" },
    { 88, FAULT_ANY, OUTCOME(LATER), 0, 0, "rate-limit" },
    { 185, FAULT_ANY, OUTCOME(LATER), 0, 3600, "daily-limit" }, /* asked again each hour */
};

static const struct {
    const char *type; /* behind the last '/' */
    struct platform_fault fault;
} problems[] = {
    { "client-forbidden", { 0, 0, OUTCOME(BLOCKED), 0, 0, "app-not-allowed" } },
    { "unsupported-authentication", { 0, 0, OUTCOME(BLOCKED), 0, 0, "token-unfit" } },
    { "usage-capped", { 0, 0, OUTCOME(LATER), 0, 3600, "usage-cap" } },
    { "resource-not-found", { 0, 0, OUTCOME(REFUSED), 0, 0, "no-such-object" } },
    { "not-authorized-for-resource", { 0, 0, OUTCOME(REFUSED), 0, 0, "forbidden" } },
    { "invalid-request", { 0, 0, OUTCOME(REFUSED), 0, 0, "bad-parameter" } },
};

static const struct platform_fault no_such_object = {
    0, 0, OUTCOME(REFUSED), 0, 0, "no-such-object",
};
static const struct platform_fault duplicate = {
    0, 0, OUTCOME(UNKNOWN), FAULT_DUPLICATE, 0, "duplicate",
};

const struct platform_fault *platform_x_faults(size_t *count)
{
    *count = sizeof faults / sizeof faults[0];
    return faults;
}

/* --- answers --- */

static const struct platform_fault *problem_of(const json_t *problem)
{
    const char *type = json_string_value(json_object_get(problem, "type"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *end = type ? strrchr(type, '/') : NULL;
    if (detail && strcasestr(detail, "duplicate content"))
        return &duplicate;
    for (size_t i = 0; end && i < sizeof problems / sizeof problems[0]; i++)
        if (strcmp(end + 1, problems[i].type) == 0)
            return &problems[i].fault;
    return NULL;
}

/* {"errors":[{"code"}]}, {"code"} or a problem, which may also stand in errors. */
static void judge_fault(const json_t *body, struct platform_result *out)
{
    const json_t *first = platform_first(json_object_get(body, "errors"));
    int32_t code = platform_code(first, "code");
    if (code == 0)
        code = platform_code(body, "code");
    const struct platform_fault *fault =
        platform_fault_find(faults, sizeof faults / sizeof faults[0], code, FAULT_ANY);
    if (!fault)
        fault = problem_of(body);
    if (!fault)
        fault = problem_of(first);
    out->code = code;
    if (fault)
        platform_result_fault(out, fault, code);
}

static void judge(const struct platform_answer *answer, const json_t *body,
                  struct platform_result *out)
{
    const json_t *data = json_object_get(body, "data");
    char room[PLATFORM_NUMBER_BYTES];
    const char *id = platform_text(data, "dm_event_id", room);
    if (id[0] == '\0')
        id = platform_text(data, "id", room);
    platform_result_status(out, answer);
    if (answer->http_status == 0)
        return;
    if (platform_is_ok(answer) && (id[0] || json_is_true(json_object_get(data, "deleted"))))
        platform_result_sent(out, id);
    else if (platform_is_ok(answer) && json_is_false(json_object_get(data, "deleted")))
        platform_result_fault(out, &no_such_object, 0);
    else
        judge_fault(body, out);
}

void platform_x_sent(const struct platform_answer *answer, int64_t now_ms,
                     struct platform_result *out)
{
    static const struct platform_rate_headers limits[] = {
        { "x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset",
          RESET_UNIX_SECONDS },
        { "x-user-limit-24hour-limit", "x-user-limit-24hour-remaining", "x-user-limit-24hour-reset",
          RESET_UNIX_SECONDS },
        { "x-app-limit-24hour-limit", "x-app-limit-24hour-remaining", "x-app-limit-24hour-reset",
          RESET_UNIX_SECONDS },
    };
    *out = (struct platform_result){ 0 };
    json_t *body = platform_json(answer);
    judge(answer, body, out);
    json_decref(body);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        platform_rate(answer, &limits[i], out);
    platform_result_wait(out, answer, now_ms);
}

enum platform_found platform_x_find(const struct platform_answer *answer,
                                    const struct platform_message *message, int64_t since_ms,
                                    bool (*is_candidate)(const json_t *row,
                                                         const struct platform_message *message),
                                    char object_id[static PLATFORM_OBJECT_BYTES])
{
    if (!platform_is_ok(answer))
        return PLATFORM_CANNOT_SAY;
    json_t *body = platform_json(answer);
    const json_t *meta = json_object_get(body, "meta");
    const json_t *count = json_object_get(meta, "result_count");
    json_t *none = json_array();
    json_t *rows = json_object_get(body, "data");
    bool is_empty = !rows && json_is_integer(count) && json_integer_value(count) == 0;
    const struct platform_listing listing = {
        .rows = is_empty ? none : rows,
        .id = "id",
        .text = "text",
        .time = "created_at",
        .asked = PLATFORM_X_LISTED,
        .has_more = !meta || json_object_get(meta, "next_token") != NULL,
        .short_link = "https://t.co/",
        .is_candidate = is_candidate,
    };
    enum platform_found found = platform_find(&listing, message, since_ms, object_id);
    json_decref(none);
    json_decref(body);
    return found;
}

/* --- requests --- */

int platform_x_sign(const struct platform_self *self, int64_t at_ms, const uint8_t nonce[16],
                    struct platform_request *out, struct error *err)
{
    const char *const four[] = { self->consumer_key, self->consumer_secret, self->token,
                                 self->token_secret };
    size_t given = 0;
    for (size_t i = 0; i < 4; i++)
        given += four[i] && four[i][0] != '\0';
    bool is_oauth2 = given == 1 && self->token && self->token[0] != '\0';
    if (is_oauth2)
        return platform_request_bearer(out, self->token, err);
    if (given != 4)
        return error_set(err, ERROR_CONFIG,
                         "X needs token_file, token_secret_file, consumer_key_file and "
                         "consumer_secret_file, or token_file alone: %zu of them are there",
                         given);
    char text[2 * NONCE_BYTES + 1];
    char value[PLATFORM_HEADER_BYTES];
    crypto_hex(nonce, NONCE_BYTES, text);
    const struct oauth1_keys keys = {
        .consumer_key = self->consumer_key,
        .consumer_secret = self->consumer_secret,
        .token = self->token,
        .token_secret = self->token_secret,
        .nonce = text,
        .timestamp_s = at_ms / 1000,
        .version = "1.0",
    };
    const struct oauth1_request request = { .method = out->method, .url = out->url };
    if (oauth1_authorization(&keys, &request, value, sizeof value, err) != 0)
        return -1;
    return platform_request_header(out, err, "Authorization: %s", value);
}

int platform_x_probe(const struct platform_self *self, int64_t now_ms, const uint8_t nonce[16],
                     struct platform_request *out, struct error *err)
{
    static const char *const segments[] = { "2", "users", "me", NULL };
    if (platform_request_start(out, "GET", self->base_url, segments, err) != 0 ||
        platform_x_sign(self, now_ms, nonce, out, err) != 0)
        return platform_request_drop(out);
    return 0;
}
