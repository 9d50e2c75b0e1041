#include "notify/platform_answer.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"

enum { CLOCKS_DIFFER_MS = 30000, WAIT_MAX_MS = 86400000 };

/* --- outcomes --- */

const struct platform_fault *platform_fault_find(const struct platform_fault *rows, size_t count,
                                                 int32_t code, int32_t subcode)
{
    const int32_t wanted[][2] = { { code, subcode }, { code, FAULT_ANY }, { FAULT_ANY, subcode } };
    for (size_t step = 0; step < sizeof wanted / sizeof wanted[0]; step++)
        for (size_t i = 0; i < count; i++)
            if (rows[i].code == wanted[step][0] && rows[i].subcode == wanted[step][1])
                return &rows[i];
    return NULL;
}

static void set(struct platform_result *out, Desg__V1__SendOutcome outcome, const char *word)
{
    out->outcome = outcome;
    (void)snprintf(out->error, sizeof out->error, "%s", word);
}

void platform_result_fault(struct platform_result *out, const struct platform_fault *fault,
                           int32_t code)
{
    set(out, fault->outcome, fault->word);
    out->code = code;
    out->after_ms = (int64_t)fault->after_s * 1000;
    out->is_token_dead = fault->outcome == OUTCOME(BLOCKED);
    out->is_window_closed = fault->flags & FAULT_WINDOW;
    out->is_duplicate = fault->flags & FAULT_DUPLICATE;
}

/* RFC 9110, section 15, as for requests that must not be made twice: what a server or a gateway
 * says after it may have passed the request on leaves the outcome open. */
static const struct {
    unsigned status;
    Desg__V1__SendOutcome outcome;
    const char *word;
} statuses[] = {
    { 401, OUTCOME(BLOCKED), "token-dead" },     { 403, OUTCOME(REFUSED), "forbidden" },
    { 404, OUTCOME(REFUSED), "no-such-object" }, { 408, OUTCOME(LATER), "not-all-received" },
    { 409, OUTCOME(REFUSED), "conflict" },       { 410, OUTCOME(REFUSED), "gone" },
    { 413, OUTCOME(REFUSED), "too-large" },      { 425, OUTCOME(LATER), "too-early" },
    { 429, OUTCOME(LATER), "rate-limit" },
};

void platform_result_status(struct platform_result *out, const struct platform_answer *answer)
{
    unsigned status = answer->http_status;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status) {
            set(out, statuses[i].outcome, statuses[i].word);
            out->is_token_dead = statuses[i].outcome == OUTCOME(BLOCKED);
            return;
        }
    }
    if (status == 0 && answer->is_unsent)
        set(out, OUTCOME(LATER), "no-connection");
    else if (status == 0)
        set(out, OUTCOME(UNKNOWN), "no-answer");
    else if (status == 503 && answer->header(answer->arg, "Retry-After"))
        set(out, OUTCOME(LATER), "over-capacity");
    else if (status >= 300 && status < 400)
        set(out, OUTCOME(REFUSED), "redirected");
    else if (status >= 400 && status < 500)
        set(out, OUTCOME(REFUSED), "refused");
    else
        set(out, OUTCOME(UNKNOWN), status < 300 ? "answer-not-understood" : "server-error");
}

void platform_result_sent(struct platform_result *out, const char *object_id)
{
    set(out, OUTCOME(SENT), "");
    if (strlen(object_id) < sizeof out->object_id)
        memcpy(out->object_id, object_id, strlen(object_id) + 1);
}

bool platform_is_ok(const struct platform_answer *answer)
{
    return answer->http_status >= 200 && answer->http_status < 300;
}

json_t *platform_json(const struct platform_answer *answer)
{
    return answer->body ? json_loadb(answer->body, answer->length, 0, NULL) : NULL;
}

const char *platform_text(const json_t *object, const char *name,
                          char room[static PLATFORM_NUMBER_BYTES])
{
    const json_t *value = json_object_get(object, name);
    if (json_is_string(value))
        return json_string_value(value);
    if (!json_is_integer(value))
        return "";
    (void)snprintf(room, PLATFORM_NUMBER_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return room;
}

int32_t platform_code(const json_t *object, const char *name)
{
    json_int_t code = json_integer_value(json_object_get(object, name));
    return code > 0 && code <= INT32_MAX ? (int32_t)code : 0;
}

json_t *platform_first(const json_t *array)
{
    return json_array_get(array, 0);
}

/* --- rates --- */

static bool number_of(const char *text, int64_t most, int64_t *out)
{
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits == 0 || digits > 15 || text[digits] != '\0')
        return false;
    *out = strtoll(text, NULL, 10);
    return *out <= most;
}

static int64_t reset_of(const char *text, enum platform_reset form)
{
    int64_t seconds = 0;
    int64_t at_ms = 0;
    if (!text)
        return 0;
    if (form == RESET_UNIX_SECONDS)
        return number_of(text, INT64_C(99999999999), &seconds) ? seconds * 1000 : 0;
    return clock_parse_rfc3339(text, strlen(text), &at_ms) == 0 ? at_ms : 0;
}

void platform_rate(const struct platform_answer *answer,
                   const struct platform_rate_headers *headers, struct platform_result *out)
{
    int64_t limit = 0;
    int64_t remaining = 0;
    if (!number_of(answer->header(answer->arg, headers->limit), INT32_MAX, &limit) ||
        !number_of(answer->header(answer->arg, headers->remaining), INT32_MAX, &remaining) ||
        limit == 0)
        return;
    uint32_t used = remaining >= limit ? 0 : (uint32_t)(100 * (limit - remaining) / limit);
    if (used > out->used_percent)
        out->used_percent = used;
    int64_t reset_ms = reset_of(answer->header(answer->arg, headers->reset), headers->form);
    if (remaining == 0 && reset_ms > out->reset_ms)
        out->reset_ms = reset_ms;
}

static int64_t http_date_ms(const char *text)
{
    /* RFC 9110, section 5.6.7: the present form and the two old ones. */
    static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                         "%a %b %d %H:%M:%S %Y" };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm when = { 0 };
        const char *end = strptime(text, forms[i], &when);
        if (end && *end == '\0')
            return (int64_t)timegm(&when) * 1000;
    }
    return 0;
}

static int64_t bounded_wait_ms(int64_t wait_ms)
{
    if (wait_ms < 0)
        return 0;
    return wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
}

int64_t platform_retry_after_ms(const struct platform_answer *answer, int64_t now_ms)
{
    const char *text = answer->header(answer->arg, "Retry-After");
    int64_t seconds = 0;
    if (!text)
        return 0;
    if (number_of(text, INT32_MAX, &seconds))
        return bounded_wait_ms(seconds * 1000);
    int64_t at_ms = http_date_ms(text);
    return at_ms > 0 ? bounded_wait_ms(at_ms - now_ms) : 0;
}

void platform_result_wait(struct platform_result *out, const struct platform_answer *answer,
                          int64_t now_ms)
{
    int64_t retry_after_ms = platform_retry_after_ms(answer, now_ms);
    if (out->outcome != OUTCOME(LATER))
        return;
    if (retry_after_ms > 0)
        out->after_ms = retry_after_ms;
    else if (out->reset_ms > now_ms)
        out->after_ms = bounded_wait_ms(out->reset_ms - now_ms);
}

/* --- what was posted --- */

/* The next word of *text, or NULL; *text moves behind it. */
static const char *next_word(const char **text, size_t *length)
{
    static const char white[] = " \t\r\n";
    const char *word = *text + strspn(*text, white);
    *length = strcspn(word, white);
    *text = word + *length;
    return *length ? word : NULL;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Theirs is before, a short link, after; ours is before, any link, after. */
static bool same_around_link(const char *ours, size_t our_length, const char *theirs,
                             size_t their_length, const char *link, size_t link_length)
{
    size_t before = (size_t)(link - theirs);
    while (before + link_length < their_length && is_letter(link[link_length]))
        link_length++;
    size_t after = their_length - before - link_length;
    return our_length > before + after && memcmp(ours, theirs, before) == 0 &&
           memcmp(ours + our_length - after, link + link_length, after) == 0 &&
           is_letter(ours[before]) &&
           memchr(ours + before, '.', our_length - before - after) != NULL;
}

/* One byte of ours and how many bytes of theirs say it. */
static size_t same_byte(char ours, const char *theirs, size_t left, bool is_escaped)
{
    static const struct {
        char plain;
        const char *escaped;
    } entities[] = { { '<', "&lt;" }, { '>', "&gt;" }, { '&', "&amp;" } };
    for (size_t i = 0; is_escaped && i < sizeof entities / sizeof entities[0]; i++) {
        size_t length = strlen(entities[i].escaped);
        if (ours == entities[i].plain && left >= length &&
            memcmp(theirs, entities[i].escaped, length) == 0)
            return length;
    }
    return left > 0 && *theirs == ours ? 1 : 0;
}

static bool same_word(const char *ours, size_t our_length, const char *theirs, size_t their_length,
                      const char *short_link)
{
    const char *link =
        short_link ? memmem(theirs, their_length, short_link, strlen(short_link)) : NULL;
    if (link && same_around_link(ours, our_length, theirs, their_length, link, strlen(short_link)))
        return true;
    for (size_t i = 0; i < our_length; i++) {
        size_t said = same_byte(ours[i], theirs, their_length, short_link != NULL);
        if (said == 0)
            return false;
        theirs += said;
        their_length -= said;
    }
    return their_length == 0;
}

bool platform_same_text(const char *ours, const char *theirs, const char *short_link)
{
    for (;;) {
        size_t our_length = 0;
        size_t their_length = 0;
        const char *our_word = next_word(&ours, &our_length);
        const char *their_word = next_word(&theirs, &their_length);
        if (!our_word || !their_word)
            return our_word == their_word;
        if (!same_word(our_word, our_length, their_word, their_length, short_link))
            return false;
    }
}

static bool time_of(const json_t *row, const char *name, int64_t *at_ms)
{
    const json_t *value = json_object_get(row, name);
    return json_is_string(value) &&
           clock_parse_rfc3339(json_string_value(value), json_string_length(value), at_ms) == 0;
}

static bool is_same_row(const struct platform_listing *listing, const json_t *row,
                        const struct platform_message *message)
{
    const char *text = json_string_value(json_object_get(row, listing->text));
    return text && (!listing->is_candidate || listing->is_candidate(row, message)) &&
           platform_same_text(message->text, text, listing->short_link);
}

enum platform_found platform_find(const struct platform_listing *listing,
                                  const struct platform_message *message, int64_t since_ms,
                                  char object_id[static PLATFORM_OBJECT_BYTES])
{
    bool is_whole = !listing->has_more && json_array_size(listing->rows) < listing->asked;
    bool is_doubtful = !json_is_array(listing->rows) || !message->text;
    size_t i;
    json_t *row;
    json_array_foreach(listing->rows, i, row)
    {
        int64_t at_ms = 0;
        bool has_time = time_of(row, listing->time, &at_ms);
        bool is_old = has_time && at_ms < since_ms - CLOCKS_DIFFER_MS;
        is_whole = is_whole || is_old;
        if (is_doubtful || is_old || !is_same_row(listing, row, message))
            continue;
        char room[PLATFORM_NUMBER_BYTES];
        const char *id = platform_text(row, listing->id, room);
        if (has_time && id[0] != '\0' && strlen(id) < PLATFORM_OBJECT_BYTES) {
            memcpy(object_id, id, strlen(id) + 1);
            return PLATFORM_IS_THERE;
        }
        is_doubtful = true; /* it looks like ours, but when it was, or its name, is not said */
    }
    return is_whole && !is_doubtful ? PLATFORM_IS_NOT : PLATFORM_CANNOT_SAY;
}
