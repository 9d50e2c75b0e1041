/* The force's own web form and anything else it lets in by a shared secret: JSON or form fields,
 * signed with a time stamp, so that a recorded request cannot be sent again later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ids/ids.h"
#include "ingest/channel.h"
#include "ingest/form_decode.h"
#include "ingest/platform_time.h"
#include "ingest/split_json.h"

enum { TIMESTAMP_MAX_DIGITS = 12, SUBMITTED_TRUST_MS = 24 * 60 * 60 * 1000 };

/* "1770832920." into prefix, milliseconds into *unix_ms; false unless text is digits only. */
static bool read_timestamp(const char *text, char prefix[static TIMESTAMP_MAX_DIGITS + 2],
                           int64_t *unix_ms)
{
    size_t length = strlen(text);
    if (length == 0 || length > TIMESTAMP_MAX_DIGITS || strspn(text, "0123456789") != length)
        return false;
    (void)snprintf(prefix, TIMESTAMP_MAX_DIGITS + 2, "%s.", text);
    *unix_ms = strtoll(text, NULL, 10) * 1000;
    return true;
}

/* The client's key without its quotes; empty: it gave none. */
static enum channel_check read_idempotency_key(const struct channel_request *request,
                                               char *submission_id)
{
    bool is_repeated = false;
    const char *key = request->header(request->arg, "Idempotency-Key", &is_repeated);
    if (is_repeated)
        return CHANNEL_KEY_MALFORMED;
    if (!key)
        return CHANNEL_GENUINE;
    size_t length = strlen(key);
    if (length >= 2 && key[0] == '"' && key[length - 1] == '"') {
        key++;
        length -= 2;
    }
    if (length == 0 || length > CHANNEL_SUBMISSION_MAX_BYTES)
        return CHANNEL_KEY_MALFORMED;
    for (size_t i = 0; i < length; i++)
        if (key[i] <= ' ' || key[i] > '~' || key[i] == '"' || key[i] == '\\')
            return CHANNEL_KEY_MALFORMED;
    memcpy(submission_id, key, length);
    submission_id[length] = '\0';
    return CHANNEL_GENUINE;
}

static enum channel_check web_verify(const struct channel *channel,
                                     const struct channel_request *request,
                                     char submission_id[static CHANNEL_SUBMISSION_MAX_BYTES + 1])
{
    char prefix[TIMESTAMP_MAX_DIGITS + 2];
    int64_t signed_at_ms = 0;
    bool is_repeated = false;
    const char *timestamp = request->header(request->arg, "X-Desk-Timestamp", &is_repeated);
    if (!timestamp && !is_repeated)
        return CHANNEL_SIGNATURE_MISSING;
    if (is_repeated || !read_timestamp(timestamp, prefix, &signed_at_ms))
        return CHANNEL_SIGNATURE_MALFORMED;
    enum channel_check check = channel_check_hex(channel, request, "X-Desk-Signature-256", prefix);
    if (check != CHANNEL_GENUINE)
        return check;
    if (llabs(request->now_unix_ms - signed_at_ms) > CHANNEL_CLOCK_SKEW_MS)
        return CHANNEL_TIMESTAMP_STALE;
    check = read_idempotency_key(request, submission_id);
    if (check != CHANNEL_GENUINE || submission_id[0] != '\0')
        return check;
    struct id own = id_random();
    id_text(own.bytes, submission_id);
    return CHANNEL_GENUINE;
}

static const char *first_text(struct builder *builder, const json_t *object, const char *a,
                              const char *b)
{
    const char *text = read_text(builder, object, a);
    return text[0] ? text : read_text(builder, object, b);
}

static const char *read_contact(struct builder *builder, const json_t *form)
{
    const json_t *contact = read_object(form, "contact");
    const json_t *holder = contact ? contact : form;
    const char *mail = read_text(builder, holder, "email");
    const char *phone = first_text(builder, holder, "phone", "telephone");
    if (!contact && mail[0] == '\0' && phone[0] == '\0')
        return read_text(builder, form, "contact");
    return mail[0] && phone[0] ? builder_text(builder, "%s, %s", mail, phone)
           : mail[0]           ? mail
                               : phone;
}

static const char *read_location(struct builder *builder, const json_t *form)
{
    const json_t *location = read_object(form, "location");
    const json_t *holder = location ? location : form;
    const char *words = location ? read_text(builder, location, "text")
                                 : first_text(builder, form, "location", "location_text");
    const char *latitude = first_text(builder, holder, "lat", "latitude");
    const char *longitude = first_text(builder, holder, "lon", "longitude");
    if (latitude[0] == '\0' || longitude[0] == '\0')
        return words;
    return words[0] ? builder_text(builder, "%s (%s, %s)", words, latitude, longitude)
                    : builder_text(builder, "%s, %s", latitude, longitude);
}

static const char *read_language(struct builder *builder, const json_t *form)
{
    const char *language = first_text(builder, form, "language", "lang");
    return builder_text(builder, "%.*s", (int)strcspn(language, "-_"), language);
}

/* The sender's clock may be wrong by years; then nothing is better than a message that looks old.
 */
static int64_t submitted_at(const json_t *form, int64_t received_at_ms)
{
    int64_t said_ms = read_time_ms(form, "submitted_at");
    return llabs(received_at_ms - said_ms) <= SUBMITTED_TRUST_MS ? said_ms : 0;
}

static void attach_files(struct draft *draft, struct builder *builder, const json_t *form)
{
    size_t i;
    json_t *file;
    json_array_foreach(read_array(form, "attachments"), i, file)
    {
        attachment_message *attachment = draft_attach(draft, read_text(builder, file, "mime"));
        if (!attachment)
            return;
        attachment->id = TEXT_FIELD(read_text(builder, file, "sha256"));
        attachment->title = TEXT_FIELD(read_text(builder, file, "name"));
        attachment->url = TEXT_FIELD(read_text(builder, file, "url"));
    }
}

static void add_submission(struct builder *builder, const Desg__V1__Delivery *delivery,
                           const json_t *form)
{
    struct draft draft;
    draft_start(&draft, builder, KIND(MESSAGE), form);
    event_message *event = &draft.event;
    const char *id = read_text(builder, form, "id");
    /* Each submission is a conversation of its own unless the site vouches for who it is: an e-mail
     * address typed into a form proves nothing. */
    const char *person = first_text(builder, form, "person", "session");
    event->object_id = TEXT_FIELD(id[0] ? id : delivery->submission_id);
    event->person = TEXT_FIELD(person[0] ? person : event->object_id);
    event->person_name = TEXT_FIELD(read_text(builder, form, "name"));
    event->text = TEXT_FIELD(first_text(builder, form, "text", "message"));
    event->contact = TEXT_FIELD(read_contact(builder, form));
    event->location_text = TEXT_FIELD(read_location(builder, form));
    event->language_hint = TEXT_FIELD(read_language(builder, form));
    event->platform_time_ms = submitted_at(form, delivery->received_at_ms);
    event->raw_kind = TEXT_FIELD("form");
    attach_files(&draft, builder, form);
    if (event->text[0] == '\0')
        event->kind = KIND(UNKNOWN); /* a person sees all its fields */
    builder_add(builder, &draft);
}

static bool is_form(const Desg__V1__Delivery *delivery)
{
    static const char form_type[] = "application/x-www-form-urlencoded";
    return strncasecmp(delivery->content_type, form_type, sizeof form_type - 1) == 0;
}

static void web_split(const Desg__V1__Delivery *delivery, struct builder *builder)
{
    builder_account(builder, "web", "web");
    AUTO(split_json_free) json_t *form = NULL;
    if (is_form(delivery)) {
        form = form_decode(delivery->body.data, delivery->body.len);
        if (!form)
            builder_unreadable(builder, delivery->body.data, delivery->body.len, "not-a-form");
    } else {
        form = split_json_read(builder, delivery->body.data, delivery->body.len);
    }
    if (form)
        add_submission(builder, delivery, form);
}

const struct channel_adapter channel_web = {
    .name = "web",
    .says_reference = true,
    .verify = web_verify,
    .split = web_split,
};
