/* How a broadcast reads at each outlet. Limits: X 280 weighted (twitter-text v3); Mastodon 500
 * unless its instance says otherwise (API: configuration.statuses.max_characters); a Facebook Page
 * post takes some 63,000 characters, of which we use 60,000. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outward/broadcast.h"
#include "outward/outlet.h"
#include "outward/said.h"

enum { FACEBOOK_MAX = 60000, X_MAX = 280, MASTODON_MAX = 500, THREAD_MAX = 12 };

struct outlet_limits outlet_limits(const struct outward_outlet *outlet)
{
    static const struct {
        const char *kind;
        struct outlet_limits limits;
    } kinds[] = {
        { "facebook", { OUTLET_FACEBOOK, FACEBOOK_MAX, TEXT_CHARACTERS, false, false, true } },
        { "x", { OUTLET_X, X_MAX, TEXT_X_WEIGHTED, false, true, false } },
        { "mastodon", { OUTLET_MASTODON, MASTODON_MAX, TEXT_MASTODON, true, true, true } },
        { "webhook", { OUTLET_WEBHOOK, 0, TEXT_BYTES, false, false, true } },
        { "feed", { OUTLET_FEED, 0, TEXT_BYTES, false, false, true } },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].kind, outlet->kind) == 0) {
            struct outlet_limits limits = kinds[i].limits;
            if (limits.max && outlet->characters_max)
                limits.max = outlet->characters_max;
            return limits;
        }
    assert(!"the configuration was checked");
    abort();
}

/* A broadcast's texts in the languages an outlet takes, Welsh first. */
struct texts {
    char *text[SAID_LANGUAGES];
    const char *language[SAID_LANGUAGES];
    size_t count;
};

static void texts_clear(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->text[i]);
    texts->count = 0;
}

static bool takes(const struct outward_outlet *outlet, enum said_language language)
{
    return !outlet->language || strcmp(outlet->language, said_language_word(language)) == 0;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_SYSTEM, "no memory to write a broadcast's posts");
}

static int write_texts(const struct outward_outlet *outlet, const Desg__V1__Broadcast *broadcast,
                       struct said_how how, struct texts *out, struct error *err)
{
    how.welsh_follows = !outlet->language && !said_words(broadcast, SAID_CY) &&
                        how.action != DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL &&
                        how.action != DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END;
    for (enum said_language i = SAID_CY; i < SAID_LANGUAGES; i++) {
        if (!takes(outlet, i) || !said_words(broadcast, i))
            continue;
        out->text[out->count] = said_text(broadcast, i, &how);
        if (!out->text[out->count])
            return no_memory(err);
        out->language[out->count++] = said_language_word(i);
    }
    if (out->count == 0)
        return error_set(err, ERROR_INVALID,
                         "outlet '%s' takes %s alone, and there is no text in it: write it, or "
                         "leave the outlet out",
                         outlet->name,
                         outlet->language && strcmp(outlet->language, "cy") == 0 ? "Welsh"
                                                                                 : "English");
    return 0;
}

static int add_post(struct broadcast_posts *out, char *text, const char *language, bool is_reply,
                    struct error *err)
{
    struct broadcast_post *grown =
        text ? realloc(out->posts, (out->count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(text);
        return no_memory(err);
    }
    out->posts = grown;
    out->posts[out->count++] = (struct broadcast_post){ text, language, is_reply };
    return 0;
}

/* Adds text in as many posts as it needs. */
static int add_thread(const struct outlet_limits *limits, const char *text, const char *language,
                      bool is_reply, struct broadcast_posts *out, struct error *err)
{
    struct text_parts parts;
    if (text_split(text, limits->max, limits->unit, THREAD_MAX, &parts, err) != 0)
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < parts.count; i++) {
        rc = add_post(out, parts.parts[i], language, is_reply || i > 0, err);
        parts.parts[i] = NULL;
    }
    text_parts_free(&parts);
    return rc;
}

static int too_long(const struct outward_outlet *outlet, const struct outlet_limits *limits,
                    const struct texts *texts, size_t length, struct error *err)
{
    assert(texts->count > 0 && texts->language[0]);
    const char *remedy = limits->has_threads ? "shorten it, or allow a thread" : "shorten it";
    if (texts->count < SAID_LANGUAGES)
        return error_set(err, ERROR_INVALID, "outlet '%s': %s is %zu long and may be %zu: %s",
                         outlet->name, strcmp(texts->language[0], "cy") == 0 ? "Welsh" : "English",
                         length, limits->max, remedy);
    return error_set(err, ERROR_INVALID,
                     "outlet '%s': Welsh %zu and English %zu, together %zu long and may be %zu: %s",
                     outlet->name, text_length(texts->text[0], limits->unit),
                     text_length(texts->text[1], limits->unit), length, limits->max, remedy);
}

/* A post for each language, which says so. */
static int post_each(const struct outward_outlet *outlet, const struct outlet_limits *limits,
                     bool may_thread, const struct texts *texts, struct broadcast_posts *out,
                     struct error *err)
{
    for (size_t i = 0; i < texts->count; i++) {
        size_t length = text_length(texts->text[i], limits->unit);
        if (length > limits->max && !may_thread) {
            const struct texts one = { { texts->text[i] }, { texts->language[i] }, 1 };
            return too_long(outlet, limits, &one, length, err);
        }
        if (add_thread(limits, texts->text[i], texts->language[i], false, out, err) != 0)
            return -1;
    }
    return 0;
}

static char *join(const struct texts *texts)
{
    char *joined = NULL;
    if (texts->count == 1)
        return strdup(texts->text[0]);
    return asprintf(&joined, "%s\n\n%s", texts->text[0], texts->text[1]) < 0 ? NULL : joined;
}

static int post_together(const struct outward_outlet *outlet, const struct outlet_limits *limits,
                         bool may_thread, const struct texts *texts, struct broadcast_posts *out,
                         struct error *err)
{
    char *joined = join(texts);
    if (!joined)
        return no_memory(err);
    size_t length = text_length(joined, limits->unit);
    if (length <= limits->max)
        return add_post(out, joined, texts->count == 1 ? texts->language[0] : NULL, false, err);
    free(joined);
    if (!limits->has_threads || !may_thread)
        return too_long(outlet, limits, texts, length, err);
    for (size_t i = 0; i < texts->count; i++)
        if (add_thread(limits, texts->text[i], texts->language[i], i > 0, out, err) != 0)
            return -1;
    return 0;
}

static const char *action_word(Desg__V1__BroadcastAction action)
{
    switch (action) {
    case DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_UPDATE:
        return "update";
    case DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL:
        return "cancel";
    case DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END:
        return "end";
    default:
        return "post";
    }
}

/* NULL without memory. */
static Desg__V1__Broadcast *copy_of(const Desg__V1__Broadcast *broadcast)
{
    size_t length = desg__v1__broadcast__get_packed_size(broadcast);
    uint8_t *bytes = malloc(length + 1);
    Desg__V1__Broadcast *copy = NULL;
    if (bytes) {
        (void)desg__v1__broadcast__pack(broadcast, bytes);
        copy = desg__v1__broadcast__unpack(NULL, length, bytes);
    }
    free(bytes);
    return copy;
}

/* NULL without memory. */
static json_t *public_json(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastAction action)
{
    if (!said_is_withdrawn(broadcast, action))
        return broadcast_public_json(broadcast);
    Desg__V1__Broadcast *left = copy_of(broadcast);
    if (!left)
        return NULL;
    said_withdraw(left, action);
    json_t *object = broadcast_public_json(left);
    desg__v1__broadcast__free_unpacked(left, NULL);
    return object;
}

/* The same bytes each time: a subscriber sees a repeat by them. */
static int post_document(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastAction action,
                         struct broadcast_posts *out, struct error *err)
{
    json_t *document = json_pack("{s:s, s:o}", "action", action_word(action), "broadcast",
                                 public_json(broadcast, action));
    char *text = document ? json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(document);
    return add_post(out, text, NULL, false, err);
}

static int write_posts(const struct outward_outlet *outlet, const Desg__V1__Broadcast *broadcast,
                       struct said_how how, struct broadcast_posts *out, struct error *err)
{
    struct outlet_limits limits = outlet_limits(outlet);
    struct texts texts = { 0 };
    how.has_area = limits.has_room;
    int rc = write_texts(outlet, broadcast, how, &texts, err);
    if (rc == 0 && limits.has_languages)
        rc = post_each(outlet, &limits, broadcast->may_thread, &texts, out, err);
    else if (rc == 0)
        rc = post_together(outlet, &limits, broadcast->may_thread, &texts, out, err);
    texts_clear(&texts);
    return rc;
}

int broadcast_posts(const struct outward_outlet *outlet, const Desg__V1__Broadcast *broadcast,
                    Desg__V1__BroadcastAction action, struct broadcast_posts *out,
                    struct error *err)
{
    assert(outlet && broadcast && out && err);
    struct broadcast_posts posts = { 0 };
    struct outlet_limits limits = outlet_limits(outlet);
    struct said_how how = { .action = action };
    int rc = 0;
    if (limits.kind == OUTLET_WEBHOOK)
        rc = post_document(broadcast, action, &posts, err);
    else if (limits.kind != OUTLET_FEED)
        rc = write_posts(outlet, broadcast, how, &posts, err);
    bool is_over = action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL ||
                   action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END;
    if (rc != 0 && is_over && err->kind == ERROR_INVALID) {
        how.is_bare = true; /* that it is over must come out, however long the headline is */
        broadcast_posts_free(&posts);
        rc = write_posts(outlet, broadcast, how, &posts, err);
    }
    if (rc != 0) {
        broadcast_posts_free(&posts);
        return -1;
    }
    *out = posts;
    return 0;
}

void broadcast_posts_free(struct broadcast_posts *posts)
{
    for (size_t i = 0; i < posts->count; i++)
        free(posts->posts[i].text);
    free(posts->posts);
    *posts = (struct broadcast_posts){ 0 };
}
