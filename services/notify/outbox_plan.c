#include "notify/outbox_plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "crypto/crypto.h"
#include "ids/reference.h"
#include "outward/broadcast.h"
#include "outward/feed_documents.h"
#include "outward/outlet.h"
#include "outward/text.h"
#include "outward/window.h"

enum { PARTS_MAX = 32, PLATFORM_TEXT_MAX = 60000 };

static const char REFERENCE[] = "{reference}";

/* --- life --- */

static void *no_memory(struct error *err)
{
    (void)error_set(err, ERROR_SYSTEM, "no memory for what goes out");
    return NULL;
}

static struct outbox_plan *plan_new(size_t count, struct error *err)
{
    struct outbox_plan *self = calloc(1, sizeof *self);
    if (!self)
        return no_memory(err);
    self->parts = calloc(count, sizeof *self->parts);
    self->count = count;
    if (self->parts)
        return self;
    free(self);
    return no_memory(err);
}

void outbox_plan_destroy(struct outbox_plan **self_p)
{
    struct outbox_plan *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->parts[i].text);
    free(self->parts);
    free(self);
    *self_p = NULL;
}

void outbox_plan_free(void *plan)
{
    struct outbox_plan *self = plan;
    outbox_plan_destroy(&self);
}

/* --- replies and receipts --- */

static int plan_text(const struct outbox_way *way, const char *text, int64_t unix_ms,
                     struct outbox_plan **out, struct error *err)
{
    struct text_parts cut;
    struct window window =
        window_of(way->config, way->account->channel, way->account->has_human_agent, unix_ms,
                  unix_ms); /* for the limit alone */
    size_t max = window.text_max ? window.text_max : PLATFORM_TEXT_MAX;
    if (text_split(text, max, window.is_in_bytes ? TEXT_BYTES : TEXT_CHARACTERS, PARTS_MAX, &cut,
                   err) != 0)
        return -1;
    struct outbox_plan *plan = cut.count > 0
                                   ? plan_new(cut.count, err)
                                   : (error_set(err, ERROR_INVALID, "there is no text"), NULL);
    for (size_t i = 0; plan && i < cut.count; i++) {
        plan->parts[i].text = cut.parts[i];
        cut.parts[i] = NULL;
    }
    text_parts_free(&cut);
    *out = plan;
    return plan ? 0 : -1;
}

/* text with the number in the place of each {reference}. */
static char *fill(const char *text, const char *reference)
{
    size_t room = strlen(text) + 1;
    for (const char *at = strstr(text, REFERENCE); at; at = strstr(at + 1, REFERENCE))
        room += REFERENCE_BYTES;
    char *filled = malloc(room);
    char *end = filled;
    while (filled && *text) {
        bool is_place = strncmp(text, REFERENCE, sizeof REFERENCE - 1) == 0;
        size_t length = is_place ? strlen(reference) : 1;
        memcpy(end, is_place ? reference : text, length);
        end += length;
        text += is_place ? sizeof REFERENCE - 1 : 1;
    }
    if (filled)
        *end = '\0';
    return filled;
}

static char *receipt_text(const struct outward_receipts *config, const Desg__V1__ReceiptItem *item,
                          Desg__V1__Language language)
{
    const struct outward_text *wording = item->is_sensitive ? &config->neutral : &config->text;
    char reference[REFERENCE_BYTES];
    struct id conversation;
    memcpy(conversation.bytes, item->conversation_id.data, ID_BYTES);
    reference_write(&conversation, reference);
    char *en = fill(wording->en, reference);
    char *cy = fill(wording->cy, reference);
    char *text = NULL;
    if (en && cy && language == DESG__V1__LANGUAGE__LANGUAGE_EN)
        text = strdup(en);
    else if (en && cy && language == DESG__V1__LANGUAGE__LANGUAGE_CY)
        text = strdup(cy);
    else if (en && cy && asprintf(&text, "%s\n\n%s", cy, en) < 0)
        text = NULL;
    free(en);
    free(cy);
    return text;
}

static int plan_receipt(const struct outbox_way *way, const Desg__V1__OutboxItem *given,
                        int64_t unix_ms, struct outbox_plan **out, struct error *err)
{
    const Desg__V1__ReceiptItem *item = given->receipt;
    const struct outward_receipts *config = &way->config->receipts;
    if (item->conversation_id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "it names no conversation");
    if (config->is_on && !*config->is_on)
        return error_set(err, ERROR_INVALID, "receipts are off");
    bool is_known = given->language != DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED;
    char *text = receipt_text(config, item, is_known ? given->language : item->language);
    if (!text)
        return no_memory(err) ? 0 : -1;
    int rc = plan_text(way, text, unix_ms, out, err);
    free(text);
    return rc;
}

/* --- broadcasts --- */

static int plan_nothing(const char *object_id, struct outbox_plan **out, struct error *err)
{
    *out = plan_new(1, err);
    if (!*out)
        return -1;
    (*out)->parts[0].deed = OUTBOX_NOTHING;
    (void)snprintf((*out)->parts[0].object_id, PLATFORM_OBJECT_BYTES, "%s", object_id);
    return 0;
}

static int plan_feed(const Desg__V1__BroadcastItem *item, struct outbox_plan **out,
                     struct error *err)
{
    static const Desg__V1__BroadcastState states[] = {
        [DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL] =
            DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED,
        [DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END] =
            DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED,
    };
    char identifier[CAP_IDENTIFIER_BYTES];
    Desg__V1__BroadcastState state = states[item->action];
    cap_identifier(item->broadcast,
                   state ? state : DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED,
                   identifier);
    return plan_nothing(identifier, out, err);
}

static void move_text(struct outbox_part *part, struct broadcast_post *post)
{
    part->text = post->text;
    part->language = post->language;
    part->is_reply = post->is_reply;
    post->text = NULL;
}

static void name_object(struct outbox_part *part, const struct outbox_posted *posted, size_t i)
{
    memcpy(part->object_id, posted->objects[i], sizeof part->object_id);
}

/* New posts. At its end a post that cannot be edited is followed by another that says so. */
static int plan_sends(struct broadcast_posts *posts, const struct outbox_posted *posted,
                      bool is_following, struct outbox_plan **out, struct error *err)
{
    *out = plan_new(posts->count, err);
    if (!*out)
        return -1;
    for (size_t i = 0; i < posts->count; i++) {
        move_text(&(*out)->parts[i], &posts->posts[i]);
        if (i == 0 && is_following && posted->count > 0) {
            (*out)->parts[i].is_reply = true;
            name_object(&(*out)->parts[i], posted, posted->count - 1);
        }
    }
    return 0;
}

/* Each post there is gets the text in its place; what there is too many of goes. */
static int plan_edits(struct broadcast_posts *posts, const struct outbox_posted *posted,
                      bool can_remove, bool is_repairable, struct outbox_plan **out,
                      struct error *err)
{
    size_t extra = can_remove && posted->count > posts->count ? posted->count - posts->count : 0;
    *out = plan_new(posts->count + extra, err);
    if (!*out)
        return -1;
    (*out)->is_repairable = is_repairable;
    for (size_t i = 0; i < posts->count + extra; i++) {
        struct outbox_part *part = &(*out)->parts[i];
        if (i < posts->count)
            move_text(part, &posts->posts[i]);
        if (i < posted->count) {
            part->deed = i < posts->count ? OUTBOX_EDIT : OUTBOX_REMOVE;
            part->is_reply = false;
            name_object(part, posted, i);
        }
    }
    return 0;
}

static bool find_in_language(const struct outbox_posted *posted, const char *language,
                             const bool *is_taken, size_t *found)
{
    for (size_t i = 0; i < posted->count; i++)
        if (!is_taken[i] && posted->languages[i] && strcmp(posted->languages[i], language) == 0) {
            *found = i;
            return true;
        }
    return false;
}

/* Each post there is gets the text of its language; a language that is new gets a post, and what
 * has no text any more, or is in nobody knows which, goes. */
static int plan_edits_by_language(struct broadcast_posts *posts, const struct outbox_posted *posted,
                                  bool is_repairable, struct outbox_plan **out, struct error *err)
{
    size_t at = 0;
    bool *is_taken = calloc(posted->count + 1, sizeof *is_taken);
    *out = is_taken ? plan_new(posts->count + posted->count, err) : no_memory(err);
    for (size_t i = 0; *out && i < posts->count; i++) {
        struct outbox_part *part = &(*out)->parts[at++];
        size_t found = 0;
        move_text(part, &posts->posts[i]);
        if (!find_in_language(posted, part->language, is_taken, &found))
            continue;
        is_taken[found] = true;
        part->deed = OUTBOX_EDIT;
        part->is_reply = false;
        name_object(part, posted, found);
    }
    for (size_t i = 0; *out && i < posted->count; i++) {
        if (is_taken[i])
            continue;
        (*out)->parts[at].deed = OUTBOX_REMOVE;
        name_object(&(*out)->parts[at++], posted, i);
    }
    free(is_taken);
    if (!*out)
        return -1;
    (*out)->count = at;
    (*out)->is_repairable = is_repairable;
    return 0;
}

/* Where each post has a language of its own, and there may be two. */
static bool has_languages(const struct outbox_way *way)
{
    return outlet_limits(way->outlet).has_languages && !way->outlet->language &&
           way->platform->remove;
}

static int plan_removals(const struct outbox_posted *posted, struct outbox_plan **out,
                         struct error *err)
{
    *out = plan_new(posted->count, err);
    if (!*out)
        return -1;
    for (size_t i = 0; i < posted->count; i++) { /* the last of a thread first */
        (*out)->parts[i].deed = OUTBOX_REMOVE;
        name_object(&(*out)->parts[i], posted, posted->count - 1 - i);
    }
    return 0;
}

static int plan_posts(const struct outbox_way *way, const Desg__V1__BroadcastItem *item,
                      struct broadcast_posts *posts, const struct outbox_posted *posted,
                      struct outbox_plan **out, struct error *err)
{
    const struct platform *platform = way->platform;
    bool is_cancel = item->action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL;
    bool is_end = item->action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END;
    bool is_appeal = item->broadcast->kind == DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL;
    bool is_document = strcmp(way->outlet->kind, "webhook") == 0;
    if (is_document || item->action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_POST)
        return plan_sends(posts, posted, false, out, err);
    if ((is_cancel || is_end) && posted->count == 0)
        return plan_nothing("", out, err);
    if (is_cancel && platform->remove && (is_appeal || !platform->edit))
        return plan_removals(posted, out, err); /* a person who was found is to be forgotten */
    if (platform->edit && posted->count > 0 && has_languages(way))
        return plan_edits_by_language(posts, posted, is_cancel, out, err);
    if (platform->edit && posted->count > 0)
        return plan_edits(posts, posted, platform->remove != NULL, is_cancel, out, err);
    if (is_end && !item->broadcast->says_ended && platform->remove)
        return plan_removals(posted, out, err);
    return plan_sends(posts, posted, is_end, out, err);
}

static int plan_broadcast(const struct outbox_way *way, const Desg__V1__BroadcastItem *item,
                          const struct outbox_posted *posted, struct outbox_plan **out,
                          struct error *err)
{
    struct broadcast_posts posts = { 0 };
    if (!item->broadcast)
        return error_set(err, ERROR_INVALID, "it names no broadcast");
    if (!way->platform)
        return plan_feed(item, out, err);
    if (broadcast_posts(way->outlet, item->broadcast, item->action, &posts, err) != 0)
        return -1;
    int rc = plan_posts(way, item, &posts, posted, out, err);
    broadcast_posts_free(&posts);
    return rc;
}

int outbox_plan_make(const struct outbox_way *way, const Desg__V1__OutboxItem *item,
                     const struct outbox_posted *posted, int64_t unix_ms, struct outbox_plan **out,
                     struct error *err)
{
    *out = NULL;
    if (item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST && way->outlet)
        return plan_broadcast(way, item->broadcast, posted, out, err);
    if (item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_REPLY && way->account)
        return plan_text(way, item->reply->text, unix_ms, out, err);
    if (item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT && way->account)
        return plan_receipt(way, item, unix_ms, out, err);
    return error_set(err, ERROR_INVALID, "it is not for this place");
}

bool outbox_plan_remove_instead(const struct outbox_way *way, struct outbox_plan *self,
                                uint32_t part)
{
    if (!self->is_repairable || self->parts[part].deed != OUTBOX_EDIT || !way->platform->remove)
        return false;
    self->parts[part].deed = OUTBOX_REMOVE;
    return true;
}

/* --- may it be said now? --- */

/* The window counts from when they wrote; a clock that is ahead wins nothing. */
static int64_t receipted_unix_ms(const Desg__V1__ReceiptItem *item)
{
    return item->written_at_ms > 0 && item->written_at_ms < item->received_at_ms
               ? item->written_at_ms
               : item->received_at_ms;
}

int outbox_plan_window(const struct outbox_way *way, const Desg__V1__OutboxItem *item,
                       bool is_person_known, int64_t last_person_unix_ms, int64_t unix_ms,
                       bool *is_human_agent, struct error *err)
{
    bool is_reply = item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    *is_human_agent = false;
    if (item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST || (is_reply && !is_person_known))
        return 0; /* begun before: Redis has said so, and the platform judges for itself */
    if (!is_reply)
        last_person_unix_ms = receipted_unix_ms(item->receipt);
    /* Only what a person wrote may bear the mark; a receipt is the machine's. */
    struct window window =
        window_of(way->config, way->account->channel, is_reply && way->account->has_human_agent,
                  last_person_unix_ms, unix_ms);
    *is_human_agent = window.state == WINDOW_HUMAN && is_reply;
    if (window.state == WINDOW_OPEN || *is_human_agent)
        return 0;
    char why[128];
    window_explain(&window, way->account->channel, unix_ms, why, sizeof why);
    return error_set(err, ERROR_INVALID, "%s", why);
}

/* --- requests --- */

struct secrets {
    char *token, *token_secret, *consumer_key, *consumer_secret, *signature_secret;
};

static void wipe(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

static void secrets_clear(struct secrets *secrets)
{
    wipe(&secrets->token);
    wipe(&secrets->token_secret);
    wipe(&secrets->consumer_key);
    wipe(&secrets->consumer_secret);
    wipe(&secrets->signature_secret);
}

static int read_secret(const char *key, const char *path, char **out, struct error *err)
{
    struct error why = { 0 };
    if (!path)
        return 0;
    *out = config_read_secret(key, path, &why);
    if (*out)
        return 0;
    return error_set(err, ERROR_CONFIG, "%s cannot be read", key);
}

static int read_secrets(const struct outbox_way *way, struct secrets *out, struct error *err)
{
    const struct outward_account *a = way->account;
    const struct outward_outlet *o = way->outlet;
    *out = (struct secrets){ 0 };
    if (read_secret("token_file", a ? a->token_file : o->token_file, &out->token, err) == 0 &&
        read_secret("token_secret_file", a ? a->token_secret_file : o->token_secret_file,
                    &out->token_secret, err) == 0 &&
        read_secret("consumer_key_file", a ? a->consumer_key_file : o->consumer_key_file,
                    &out->consumer_key, err) == 0 &&
        read_secret("consumer_secret_file", a ? a->consumer_secret_file : o->consumer_secret_file,
                    &out->consumer_secret, err) == 0 &&
        read_secret("signature_secret_file", a ? NULL : o->signature_secret_file,
                    &out->signature_secret, err) == 0)
        return 0;
    secrets_clear(out);
    return -1;
}

static struct platform_self self_of(const struct outbox_way *way, const struct secrets *secrets)
{
    return (struct platform_self){
        .base_url = way->account ? way->account->base_url : way->outlet->url,
        .account = way->account ? way->account->account : way->outlet->account,
        .token = secrets->token,
        .token_secret = secrets->token_secret,
        .consumer_key = secrets->consumer_key,
        .consumer_secret = secrets->consumer_secret,
        .signature_secret = secrets->signature_secret,
    };
}

static void address(const Desg__V1__OutboxItem *item, struct platform_message *out)
{
    if (item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_REPLY) {
        out->person = item->reply->person;
        out->object_id = item->reply->object_id;
        out->contact = item->reply->contact;
    } else if (item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT) {
        out->person = item->receipt->person;
        out->object_id = item->receipt->object_id;
        out->contact = item->receipt->contact;
    }
}

void outbox_plan_message(const struct outbox_request *ask, struct outbox_marks *marks,
                         struct platform_message *out)
{
    const struct outbox_part *part = &ask->plan->parts[ask->part];
    char id[ID_TEXT_BYTES];
    id_text(ask->item->id.data, id);
    (void)snprintf(marks->ref, sizeof marks->ref, "desk:%s/%u", id, ask->part);
    (void)snprintf(marks->key, sizeof marks->key, "%s.%u", id, ask->part);
    *out = (struct platform_message){
        .text = part->text,
        .language = part->language,
        .ref = marks->ref,
        .key = marks->key,
        .is_human_agent = ask->is_human_agent,
        .is_reply = part->is_reply,
        .at_ms = ask->unix_ms,
    };
    crypto_random(out->nonce, sizeof out->nonce);
    address(ask->item, out);
    if (ask->way->account)
        return;
    out->object_id = part->object_id;
    if (part->is_reply && part->object_id[0] == '\0')
        out->object_id = ask->before;
    out->is_reply = part->is_reply && out->object_id[0] != '\0';
    if (strcmp(ask->way->outlet->kind, "webhook") == 0) {
        out->body = part->text;
        out->content_type = "application/json";
    }
}

static int make_request(const struct outbox_request *ask, enum outbox_request_kind kind,
                        const struct platform_self *self, const struct platform_message *message,
                        struct platform_request *out, struct error *err)
{
    const struct platform *platform = ask->way->platform;
    if (kind == OUTBOX_REQUEST_LOOK)
        return platform->look_up(self, message, out, err);
    switch (ask->plan->parts[ask->part].deed) {
    case OUTBOX_EDIT:
        return platform->edit(self, message, out, err);
    case OUTBOX_REMOVE:
        return platform->remove(self, message, out, err);
    default:
        return platform->send(self, message, out, err);
    }
}

int outbox_plan_request(const struct outbox_request *ask, enum outbox_request_kind kind,
                        struct platform_request *out, struct error *err)
{
    struct secrets secrets;
    struct outbox_marks marks;
    struct platform_message message;
    assert(ask->part < ask->plan->count && ask->way->platform);
    if (read_secrets(ask->way, &secrets, err) != 0)
        return -1;
    const struct platform_self self = self_of(ask->way, &secrets);
    outbox_plan_message(ask, &marks, &message);
    int rc = make_request(ask, kind, &self, &message, out, err);
    secrets_clear(&secrets);
    return rc;
}

int outbox_plan_probe(const struct outbox_way *way, int64_t unix_ms, struct platform_request *out,
                      struct error *err)
{
    struct secrets secrets;
    uint8_t nonce[16];
    if (read_secrets(way, &secrets, err) != 0)
        return -1;
    const struct platform_self self = self_of(way, &secrets);
    crypto_random(nonce, sizeof nonce);
    int rc = way->platform->probe(&self, unix_ms, nonce, out, err);
    secrets_clear(&secrets);
    return rc;
}
