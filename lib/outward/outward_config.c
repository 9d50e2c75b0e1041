#include "outward/outward_config.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outward/inside.h"

enum {
    WORD_MAX_BYTES = 40,
    NAME_MAX_BYTES = 63,
    ACCOUNT_MAX_BYTES = 120,
    URL_MAX_BYTES = 512,
    /* Both languages, a blank line and the number fit into the shortest message there is:
     * Instagram's 1000 bytes. */
    WORDING_MAX_BYTES = 480,
    ACCOUNTS_MAX = 64,
    OUTLETS_MAX = 64,
    WINDOWS_MAX = 64,
    CATEGORIES_MAX = 32,
    YEAR_HOURS = 8784,
    TEXT_LIMIT = 100000
};

#define OPTIONAL_STRING(key, structure, member, max)                                               \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0, max)

static const cyaml_schema_field_t account_fields[] = {
    CYAML_FIELD_STRING_PTR("channel", CYAML_FLAG_POINTER, struct outward_account, channel, 1,
                           WORD_MAX_BYTES),
    CYAML_FIELD_STRING_PTR("account", CYAML_FLAG_POINTER, struct outward_account, account, 1,
                           ACCOUNT_MAX_BYTES),
    OPTIONAL_STRING("base_url", struct outward_account, base_url, URL_MAX_BYTES),
    OPTIONAL_STRING("token_file", struct outward_account, token_file, PATH_MAX),
    OPTIONAL_STRING("token_secret_file", struct outward_account, token_secret_file, PATH_MAX),
    OPTIONAL_STRING("consumer_key_file", struct outward_account, consumer_key_file, PATH_MAX),
    OPTIONAL_STRING("consumer_secret_file", struct outward_account, consumer_secret_file, PATH_MAX),
    OPTIONAL_STRING("ca_file", struct outward_account, ca_file, PATH_MAX),
    CYAML_FIELD_BOOL("has_human_agent", CYAML_FLAG_OPTIONAL, struct outward_account,
                     has_human_agent),
    CYAML_FIELD_UINT("per_minute", CYAML_FLAG_OPTIONAL, struct outward_account, per_minute),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t account_entry = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct outward_account, account_fields) };

static const cyaml_schema_field_t outlet_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct outward_outlet, name, 1,
                           NAME_MAX_BYTES),
    CYAML_FIELD_STRING_PTR("kind", CYAML_FLAG_POINTER, struct outward_outlet, kind, 1,
                           WORD_MAX_BYTES),
    OPTIONAL_STRING("account", struct outward_outlet, account, ACCOUNT_MAX_BYTES),
    OPTIONAL_STRING("url", struct outward_outlet, url, URL_MAX_BYTES),
    OPTIONAL_STRING("token_file", struct outward_outlet, token_file, PATH_MAX),
    OPTIONAL_STRING("token_secret_file", struct outward_outlet, token_secret_file, PATH_MAX),
    OPTIONAL_STRING("consumer_key_file", struct outward_outlet, consumer_key_file, PATH_MAX),
    OPTIONAL_STRING("consumer_secret_file", struct outward_outlet, consumer_secret_file, PATH_MAX),
    OPTIONAL_STRING("signature_secret_file", struct outward_outlet, signature_secret_file,
                    PATH_MAX),
    OPTIONAL_STRING("ca_file", struct outward_outlet, ca_file, PATH_MAX),
    OPTIONAL_STRING("language", struct outward_outlet, language, WORD_MAX_BYTES),
    CYAML_FIELD_UINT("characters_max", CYAML_FLAG_OPTIONAL, struct outward_outlet, characters_max),
    CYAML_FIELD_UINT("per_minute", CYAML_FLAG_OPTIONAL, struct outward_outlet, per_minute),
    CYAML_FIELD_UINT("timeout_ms", CYAML_FLAG_OPTIONAL, struct outward_outlet, timeout_ms),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t outlet_entry = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct outward_outlet, outlet_fields) };

static const cyaml_schema_field_t window_fields[] = {
    CYAML_FIELD_STRING_PTR("channel", CYAML_FLAG_POINTER, struct outward_window, channel, 1,
                           WORD_MAX_BYTES),
    CYAML_FIELD_STRING_PTR("from", CYAML_FLAG_POINTER, struct outward_window, from, 1,
                           WORD_MAX_BYTES),
    CYAML_FIELD_UINT("hours", CYAML_FLAG_DEFAULT, struct outward_window, hours),
    CYAML_FIELD_UINT("human_hours", CYAML_FLAG_OPTIONAL, struct outward_window, human_hours),
    CYAML_FIELD_UINT("text_max", CYAML_FLAG_DEFAULT, struct outward_window, text_max),
    OPTIONAL_STRING("text_unit", struct outward_window, text_unit, WORD_MAX_BYTES),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t window_entry = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct outward_window, window_fields) };

static const cyaml_schema_field_t wording_fields[] = {
    OPTIONAL_STRING("en", struct outward_text, en, WORDING_MAX_BYTES),
    OPTIONAL_STRING("cy", struct outward_text, cy, WORDING_MAX_BYTES), CYAML_FIELD_END
};

static const cyaml_schema_value_t category_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1,
                                                                        WORD_MAX_BYTES) };

static const cyaml_schema_field_t receipts_fields[] = {
    CYAML_FIELD_BOOL_PTR("is_on", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct outward_receipts,
                         is_on),
    CYAML_FIELD_UINT("again_after_hours", CYAML_FLAG_OPTIONAL, struct outward_receipts,
                     again_after_hours),
    CYAML_FIELD_MAPPING("text", CYAML_FLAG_OPTIONAL, struct outward_receipts, text, wording_fields),
    CYAML_FIELD_MAPPING("neutral", CYAML_FLAG_OPTIONAL, struct outward_receipts, neutral,
                        wording_fields),
    CYAML_FIELD_SEQUENCE("sensitive_categories", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct outward_receipts, sensitive_categories, &category_entry, 0,
                         CATEGORIES_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t approval_fields[] = {
    CYAML_FIELD_BOOL_PTR("needs_second", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct outward_approval, needs_second),
    CYAML_FIELD_UINT("similar_hours", CYAML_FLAG_OPTIONAL, struct outward_approval, similar_hours),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t feed_fields[] = {
    OPTIONAL_STRING("listen", struct outward_feed, listen, PATH_MAX),
    OPTIONAL_STRING("base_url", struct outward_feed, base_url, URL_MAX_BYTES),
    OPTIONAL_STRING("title_en", struct outward_feed, title_en, WORDING_MAX_BYTES),
    OPTIONAL_STRING("title_cy", struct outward_feed, title_cy, WORDING_MAX_BYTES),
    OPTIONAL_STRING("sender", struct outward_feed, sender, URL_MAX_BYTES),
    OPTIONAL_STRING("sender_name_en", struct outward_feed, sender_name_en, WORDING_MAX_BYTES),
    OPTIONAL_STRING("sender_name_cy", struct outward_feed, sender_name_cy, WORDING_MAX_BYTES),
    OPTIONAL_STRING("publish_endpoint", struct outward_feed, publish_endpoint, PATH_MAX),
    OPTIONAL_STRING("snapshot_endpoint", struct outward_feed, snapshot_endpoint, PATH_MAX),
    CYAML_FIELD_UINT("keep_hours", CYAML_FLAG_OPTIONAL, struct outward_feed, keep_hours),
    CYAML_FIELD_END
};

const cyaml_schema_field_t outward_config_fields[] = {
    CYAML_FIELD_SEQUENCE("accounts", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct outward_config, accounts, &account_entry, 0, ACCOUNTS_MAX),
    CYAML_FIELD_SEQUENCE("outlets", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct outward_config,
                         outlets, &outlet_entry, 0, OUTLETS_MAX),
    CYAML_FIELD_SEQUENCE("windows", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct outward_config,
                         windows, &window_entry, 0, WINDOWS_MAX),
    CYAML_FIELD_MAPPING("receipts", CYAML_FLAG_OPTIONAL, struct outward_config, receipts,
                        receipts_fields),
    CYAML_FIELD_MAPPING("approval", CYAML_FLAG_OPTIONAL, struct outward_config, approval,
                        approval_fields),
    CYAML_FIELD_MAPPING("feed", CYAML_FLAG_OPTIONAL, struct outward_config, feed, feed_fields),
    CYAML_FIELD_UINT("urgent_share_percent", CYAML_FLAG_OPTIONAL, struct outward_config,
                     urgent_share_percent),
    CYAML_FIELD_UINT("unknown_after_s", CYAML_FLAG_OPTIONAL, struct outward_config,
                     unknown_after_s),
    CYAML_FIELD_UINT("probe_minutes", CYAML_FLAG_OPTIONAL, struct outward_config, probe_minutes),
    CYAML_FIELD_UINT("lease_ms", CYAML_FLAG_OPTIONAL, struct outward_config, lease_ms),
    CYAML_FIELD_END
};

void outward_drop_empty(char **text)
{
    if (*text && (*text)[0] == '\0') {
        free(*text);
        *text = NULL;
    }
}

bool outward_set_default(char **text, const char *fallback)
{
    if (!*text)
        *text = strdup(fallback); /* malloc: what libcyaml made is freed the same way */
    return *text != NULL;
}

void outward_drop_slash(char *url)
{
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        url[--length] = '\0';
}

int outward_check_address(const char *key, const char *url, struct error *err)
{
    const char *rest = strncmp(url, "https://", 8) == 0  ? url + 8
                       : strncmp(url, "http://", 7) == 0 ? url + 7
                                                         : "";
    if (*rest == '\0' || *rest == '/' || url[strcspn(url, " \t\r\n\"<>")] != '\0')
        return error_set(err, ERROR_CONFIG,
                         "%s '%.80s': write an http or https address, such as "
                         "https://social.example",
                         key, url);
    return 0;
}

static bool set_true(bool **value)
{
    if (!*value) {
        *value = malloc(sizeof **value);
        if (*value)
            **value = true;
    }
    return *value != NULL;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_SYSTEM, "outward: no memory to read it");
}

static int check_window(const struct outward_window *window, unsigned number, struct error *err)
{
    char key[WORD_MAX_BYTES];
    (void)snprintf(key, sizeof key, "outward.windows[%u]", number);
    int64_t from_ms;
    if (!window_date(window->from, &from_ms))
        return error_set(err, ERROR_CONFIG, "%s.from '%s' is no date: write one such as 2026-04-27",
                         key, window->from);
    if (window->text_unit && strcmp(window->text_unit, "characters") != 0 &&
        strcmp(window->text_unit, "bytes") != 0)
        return error_set(err, ERROR_CONFIG,
                         "%s.text_unit '%s' is not known: write characters or bytes", key,
                         window->text_unit);
    if (window->human_hours != 0 && window->human_hours <= window->hours)
        return error_set(err, ERROR_CONFIG,
                         "%s.human_hours is %u, no longer than hours: write more, or 0 for none",
                         key, window->human_hours);
    if (window->human_hours != 0 && window->hours == 0)
        return error_set(err, ERROR_CONFIG,
                         "%s.hours is 0, which means always: leave human_hours out", key);
    if (config_check_range("outward.windows.hours", window->hours, 0, YEAR_HOURS, err) != 0 ||
        config_check_range("outward.windows.human_hours", window->human_hours, 0, YEAR_HOURS,
                           err) != 0 ||
        config_check_range("outward.windows.text_max", window->text_max, 20, TEXT_LIMIT, err) != 0)
        return error_wrap(err, "%s", key);
    return 0;
}

static int check_windows(struct outward_config *config, struct error *err)
{
    for (unsigned i = 0; i < config->windows_count; i++) {
        struct outward_window *window = &config->windows[i];
        outward_drop_empty(&window->text_unit);
        if (check_window(window, i + 1, err) != 0)
            return -1;
        for (unsigned j = 0; j < i; j++)
            if (strcmp(window->channel, config->windows[j].channel) == 0 &&
                strcmp(window->from, config->windows[j].from) == 0)
                return error_set(err, ERROR_CONFIG,
                                 "outward.windows[%u]: %s from %s is there twice: remove one",
                                 i + 1, window->channel, window->from);
        if (!outward_set_default(&window->text_unit, "characters"))
            return no_memory(err);
    }
    return 0;
}

/* Both languages or neither, and what every receipt has to say. */
static int check_wording(const char *key, struct outward_text *text,
                         const struct outward_text *usual, struct error *err)
{
    outward_drop_empty(&text->en);
    outward_drop_empty(&text->cy);
    if (!text->en != !text->cy)
        return error_set(err, ERROR_CONFIG, "%s.%s is missing: write the text in both languages",
                         key, text->en ? "cy" : "en");
    if (!outward_set_default(&text->en, usual->en) || !outward_set_default(&text->cy, usual->cy))
        return no_memory(err);
    const char *const both[] = { text->en, text->cy };
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        if (!strstr(both[i], "{reference}"))
            return error_set(err, ERROR_CONFIG,
                             "%s.%s has no {reference}: write it where the number belongs", key,
                             i == 0 ? "en" : "cy");
        if (!strstr(both[i], "999"))
            return error_set(err, ERROR_CONFIG,
                             "%s.%s does not say 999: tell people in danger to call it", key,
                             i == 0 ? "en" : "cy");
    }
    return 0;
}

static bool fill_categories(struct outward_receipts *receipts)
{
    static const char *const usual[] = { "sexual-offences", "domestic-abuse",    "child-at-risk",
                                         "hate-crime",      "suicide-self-harm", "intelligence" };
    enum { COUNT = sizeof usual / sizeof usual[0] };
    if (receipts->sensitive_categories_count > 0)
        return true;
    free(receipts->sensitive_categories);
    receipts->sensitive_categories = calloc(COUNT, sizeof *receipts->sensitive_categories);
    for (size_t i = 0; receipts->sensitive_categories && i < COUNT; i++) {
        if (!outward_set_default(&receipts->sensitive_categories[i], usual[i]))
            return false;
        receipts->sensitive_categories_count++;
    }
    return receipts->sensitive_categories != NULL;
}

static int check_receipts(struct outward_receipts *receipts, struct error *err)
{
    static const struct outward_text usual = {
        .en = (char *)"Thank you for your message to the police. We have received it. Your "
                      "reference number is {reference}. This is an automatic reply. If anyone is "
                      "in danger now, call 999.",
        .cy = (char *)"Diolch am eich neges i'r heddlu. Rydym wedi ei derbyn. Eich cyfeirnod yw "
                      "{reference}. Ateb awtomatig yw hwn. Os oes rhywun mewn perygl nawr, "
                      "ffoniwch 999.",
    };
    static const struct outward_text neutral = {
        .en = (char *)"Thank you for your message. Reference: {reference}. This is an automatic "
                      "reply. In an emergency call 999.",
        .cy = (char *)"Diolch am eich neges. Cyfeirnod: {reference}. Ateb awtomatig yw hwn. Mewn "
                      "argyfwng ffoniwch 999.",
    };
    receipts->again_after_hours = config_default_u32(receipts->again_after_hours, 24);
    if (check_wording("outward.receipts.text", &receipts->text, &usual, err) != 0 ||
        check_wording("outward.receipts.neutral", &receipts->neutral, &neutral, err) != 0 ||
        config_check_range("outward.receipts.again_after_hours", receipts->again_after_hours, 1,
                           YEAR_HOURS, err) != 0)
        return -1;
    return set_true(&receipts->is_on) && fill_categories(receipts) ? 0 : no_memory(err);
}

/* Both languages or neither, then the default. */
static int check_pair(const char *keys, char **en, char **cy, const struct outward_text *usual,
                      struct error *err)
{
    outward_drop_empty(en);
    outward_drop_empty(cy);
    if (!*en != !*cy)
        return error_set(err, ERROR_CONFIG, "outward.feed.%s_%s is missing: write both languages",
                         keys, *en ? "cy" : "en");
    return outward_set_default(en, usual->en) && outward_set_default(cy, usual->cy)
               ? 0
               : no_memory(err);
}

static bool has_feed_outlet(const struct outward_config *config)
{
    for (unsigned i = 0; i < config->outlets_count; i++)
        if (strcmp(config->outlets[i].kind, "feed") == 0)
            return true;
    return false;
}

static int check_feed_names(const struct outward_config *config, struct error *err)
{
    const struct outward_feed *feed = &config->feed;
    if (feed->base_url)
        outward_drop_slash(feed->base_url);
    if (feed->base_url && outward_check_address("outward.feed.base_url", feed->base_url, err) != 0)
        return -1;
    if (feed->sender && feed->sender[strcspn(feed->sender, " ,<&\t\r\n")] != '\0')
        return error_set(err, ERROR_CONFIG,
                         "outward.feed.sender: CAP allows neither spaces nor any of , < & in it: "
                         "write one such as alerts@force.example");
    const bool is_served = feed->listen || has_feed_outlet(config);
    if (is_served && (!feed->listen || !feed->base_url || !feed->sender))
        return error_set(err, ERROR_CONFIG,
                         "outward.feed.%s is missing: a feed that is served needs listen, base_url "
                         "and sender",
                         !feed->listen     ? "listen"
                         : !feed->base_url ? "base_url"
                                           : "sender");
    if (!feed->publish_endpoint != !feed->snapshot_endpoint)
        return error_set(
            err, ERROR_CONFIG,
            "outward.feed.%s is missing: who subscribes needs the snapshot, too; write "
            "both endpoints or neither",
            feed->publish_endpoint ? "snapshot_endpoint" : "publish_endpoint");
    return 0;
}

static int check_feed(struct outward_config *config, struct error *err)
{
    static const struct outward_text title = {
        .en = (char *)"Police: road closures and advice",
        .cy = (char *)"Heddlu: ffyrdd ar gau a chyngor",
    };
    static const struct outward_text sender_name = { .en = (char *)"Police",
                                                     .cy = (char *)"Heddlu" };
    struct outward_feed *feed = &config->feed;
    outward_drop_empty(&feed->listen);
    outward_drop_empty(&feed->base_url);
    outward_drop_empty(&feed->sender);
    outward_drop_empty(&feed->publish_endpoint);
    outward_drop_empty(&feed->snapshot_endpoint);
    feed->keep_hours = config_default_u32(feed->keep_hours, 24);
    if (check_pair("title", &feed->title_en, &feed->title_cy, &title, err) != 0 ||
        check_pair("sender_name", &feed->sender_name_en, &feed->sender_name_cy, &sender_name,
                   err) != 0 ||
        config_check_range("outward.feed.keep_hours", feed->keep_hours, 1, YEAR_HOURS, err) != 0)
        return -1;
    return check_feed_names(config, err);
}

static int check_numbers(struct outward_config *config, struct error *err)
{
    config->urgent_share_percent = config_default_u32(config->urgent_share_percent, 20);
    config->unknown_after_s = config_default_u32(config->unknown_after_s, 60);
    config->probe_minutes = config_default_u32(config->probe_minutes, 60);
    config->lease_ms = config_default_u32(config->lease_ms, 10000);
    config->approval.similar_hours = config_default_u32(config->approval.similar_hours, 24);
    if (config_check_range("outward.urgent_share_percent", config->urgent_share_percent, 1, 90,
                           err) != 0 ||
        config_check_range("outward.unknown_after_s", config->unknown_after_s, 1, 3600, err) != 0 ||
        config_check_range("outward.probe_minutes", config->probe_minutes, 1, 1440, err) != 0 ||
        config_check_range("outward.lease_ms", config->lease_ms, 1000, 120000, err) != 0 ||
        config_check_range("outward.approval.similar_hours", config->approval.similar_hours, 1,
                           YEAR_HOURS, err) != 0)
        return -1;
    return set_true(&config->approval.needs_second) ? 0 : no_memory(err);
}

int outward_config_check(void *arg, struct error *err)
{
    struct outward_config *config = arg;
    assert(config && err);
    if (accounts_config_check(config, err) != 0 || outlets_config_check(config, err) != 0 ||
        check_windows(config, err) != 0 || check_receipts(&config->receipts, err) != 0 ||
        check_feed(config, err) != 0)
        return -1;
    return check_numbers(config, err);
}

const struct outward_account *outward_account_of(const struct outward_config *self,
                                                 const char *channel, const char *account)
{
    for (unsigned i = 0; i < self->accounts_count; i++)
        if (strcmp(self->accounts[i].channel, channel) == 0 &&
            strcmp(self->accounts[i].account, account) == 0)
            return &self->accounts[i];
    return NULL;
}

const struct outward_outlet *outward_outlet_of(const struct outward_config *self, const char *name)
{
    for (unsigned i = 0; i < self->outlets_count; i++)
        if (strcmp(self->outlets[i].name, name) == 0)
            return &self->outlets[i];
    return NULL;
}
