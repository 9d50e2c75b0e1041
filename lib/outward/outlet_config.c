/* Accounts and outlets of the configuration: what each kind needs. */
#include <stdio.h>
#include <string.h>

#include "outward/inside.h"

enum { KEY_BYTES = 64 };

/* What each needs and gets. Sends per minute stay below what the platforms allow; their own headers
 * slow us down further (platform modules of notify name the sources). */
static const struct account_kind {
    const char *channel;
    const char *base_url; /* NULL: has to be written */
    bool needs_token;
    bool may_sign; /* OAuth 1.0a */
    uint32_t per_minute;
} account_kinds[] = {
    { "facebook", "https://graph.facebook.com/v25.0", true, false, 600 },
    { "instagram", "https://graph.facebook.com/v25.0", true, false, 600 },
    { "whatsapp", "https://graph.facebook.com/v25.0", true, false, 600 },
    { "x", "https://api.x.com", true, true, 12 },
    { "web", NULL, false, false, 60 },
};

static const struct outlet_kind {
    const char *kind;
    const char *url;
    bool needs_url;
    bool needs_account;
    bool needs_token;
    bool may_sign;
    bool needs_signature_secret;
    uint32_t per_minute;
} outlet_kinds[] = {
    { "facebook", "https://graph.facebook.com/v25.0", true, true, true, false, false, 30 },
    { "x", "https://api.x.com", true, true, true, true, false, 6 },
    { "mastodon", NULL, true, false, true, false, false, 30 },
    { "webhook", NULL, true, false, false, false, true, 60 },
    { "feed", NULL, false, false, false, false, false, 60 },
};

static const struct account_kind *kind_of_account(const char *channel)
{
    for (size_t i = 0; i < sizeof account_kinds / sizeof account_kinds[0]; i++)
        if (strcmp(account_kinds[i].channel, channel) == 0)
            return &account_kinds[i];
    return NULL;
}

static const struct outlet_kind *kind_of_outlet(const char *kind)
{
    for (size_t i = 0; i < sizeof outlet_kinds / sizeof outlet_kinds[0]; i++)
        if (strcmp(outlet_kinds[i].kind, kind) == 0)
            return &outlet_kinds[i];
    return NULL;
}

static int missing(const char *key, const char *what, const char *kind, struct error *err)
{
    return error_set(err, ERROR_CONFIG, "%s.%s is missing: %s needs it", key, what, kind);
}

/* OAuth 1.0a takes all three beside the token; a bearer token stands alone. */
static int check_signing(const char *key, bool may_sign, const char *const files[3],
                         struct error *err)
{
    unsigned count = 0;
    for (size_t i = 0; i < 3; i++)
        count += files[i] != NULL;
    if (count > 0 && !may_sign)
        return error_set(err, ERROR_CONFIG,
                         "%s: token_secret_file, consumer_key_file and consumer_secret_file are "
                         "for X alone: leave them out",
                         key);
    if (count != 0 && count != 3)
        return error_set(
            err, ERROR_CONFIG,
            "%s has %u of token_secret_file, consumer_key_file and "
            "consumer_secret_file: write all three (OAuth 1.0a) or none (bearer token)",
            key, count);
    return 0;
}

/* Names that become part of a place's name in Redis, of metrics' labels and of log lines. */
static bool is_name(const char *text, const char *also)
{
    const char *c = text;
    while ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || (*c && strchr(also, *c)))
        c++;
    return *text && *c == '\0';
}

static bool is_account(const char *text)
{
    return is_name(text, "-_.@+ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static int check_account(const char *key, struct outward_account *account, struct error *err)
{
    const struct account_kind *kind = kind_of_account(account->channel);
    outward_drop_empty(&account->base_url);
    outward_drop_empty(&account->token_file);
    outward_drop_empty(&account->token_secret_file);
    outward_drop_empty(&account->consumer_key_file);
    outward_drop_empty(&account->consumer_secret_file);
    outward_drop_empty(&account->ca_file);
    if (!kind)
        return error_set(err, ERROR_CONFIG,
                         "%s.channel '%s' is not known: write facebook, instagram, whatsapp, x or "
                         "web",
                         key, account->channel);
    if (!is_account(account->account))
        return error_set(err, ERROR_CONFIG,
                         "%s.account: write letters, digits and -_.@+ alone, as the platform "
                         "numbers it",
                         key);
    const char *const files[3] = { account->token_secret_file, account->consumer_key_file,
                                   account->consumer_secret_file };
    if (kind->needs_token && !account->token_file)
        return missing(key, "token_file", account->channel, err);
    if (check_signing(key, kind->may_sign, files, err) != 0)
        return -1;
    if (!account->base_url && !kind->base_url)
        return missing(key, "base_url", account->channel, err);
    if (!account->base_url && !outward_set_default(&account->base_url, kind->base_url))
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", key);
    outward_drop_slash(account->base_url);
    account->per_minute = config_default_u32(account->per_minute, kind->per_minute);
    char url_key[KEY_BYTES + 16];
    (void)snprintf(url_key, sizeof url_key, "%s.base_url", key);
    return outward_check_address(url_key, account->base_url, err);
}

int accounts_config_check(struct outward_config *config, struct error *err)
{
    for (unsigned i = 0; i < config->accounts_count; i++) {
        struct outward_account *account = &config->accounts[i];
        char key[KEY_BYTES];
        (void)snprintf(key, sizeof key, "outward.accounts[%u]", i + 1);
        if (check_account(key, account, err) != 0)
            return -1;
        if (config_check_range("outward.accounts.per_minute", account->per_minute, 1, 60000, err) !=
            0)
            return error_wrap(err, "%s", key);
        if (outward_account_of(config, account->channel, account->account) != account)
            return error_set(err, ERROR_CONFIG, "%s: this account of %s is there twice: remove one",
                             key, account->channel);
    }
    return 0;
}

static void drop_empty_of_outlet(struct outward_outlet *outlet)
{
    outward_drop_empty(&outlet->account);
    outward_drop_empty(&outlet->url);
    outward_drop_empty(&outlet->token_file);
    outward_drop_empty(&outlet->token_secret_file);
    outward_drop_empty(&outlet->consumer_key_file);
    outward_drop_empty(&outlet->consumer_secret_file);
    outward_drop_empty(&outlet->signature_secret_file);
    outward_drop_empty(&outlet->ca_file);
    outward_drop_empty(&outlet->language);
}

static int check_language(const char *key, const struct outward_outlet *outlet, struct error *err)
{
    if (!outlet->language)
        return 0;
    if (strcmp(outlet->kind, "feed") == 0 || strcmp(outlet->kind, "webhook") == 0)
        return error_set(err, ERROR_CONFIG,
                         "%s.language: a %s carries both languages side by side: leave it out", key,
                         outlet->kind);
    if (strcmp(outlet->language, "en") != 0 && strcmp(outlet->language, "cy") != 0)
        return error_set(err, ERROR_CONFIG,
                         "%s.language '%s' is not known: write en or cy, or leave it out for both",
                         key, outlet->language);
    return 0;
}

static int check_needs(const char *key, const struct outlet_kind *kind,
                       struct outward_outlet *outlet, struct error *err)
{
    const char *const files[3] = { outlet->token_secret_file, outlet->consumer_key_file,
                                   outlet->consumer_secret_file };
    if (kind->needs_account && !outlet->account)
        return missing(key, "account", outlet->kind, err);
    if (outlet->account && !is_account(outlet->account))
        return error_set(err, ERROR_CONFIG, "%s.account: write letters, digits and -_.@+ alone",
                         key);
    if (kind->needs_token && !outlet->token_file)
        return missing(key, "token_file", outlet->kind, err);
    if (kind->needs_signature_secret && !outlet->signature_secret_file)
        return missing(key, "signature_secret_file", outlet->kind, err);
    if (!kind->needs_signature_secret && outlet->signature_secret_file)
        return error_set(err, ERROR_CONFIG,
                         "%s.signature_secret_file is for webhooks alone: leave it out", key);
    if (check_signing(key, kind->may_sign, files, err) != 0)
        return -1;
    if (kind->needs_url && !outlet->url && !kind->url)
        return missing(key, "url", outlet->kind, err);
    if (!kind->needs_url && outlet->url)
        return error_set(err, ERROR_CONFIG, "%s.url: the feed's address is outward.feed.base_url",
                         key);
    return 0;
}

static int check_outlet(const char *key, struct outward_outlet *outlet, struct error *err)
{
    const struct outlet_kind *kind = kind_of_outlet(outlet->kind);
    drop_empty_of_outlet(outlet);
    if (!is_name(outlet->name, "-"))
        return error_set(err, ERROR_CONFIG, "%s.name: write small letters, digits and dashes", key);
    if (!kind)
        return error_set(err, ERROR_CONFIG,
                         "%s.kind '%s' is not known: write facebook, x, mastodon, webhook or feed",
                         key, outlet->kind);
    if (check_needs(key, kind, outlet, err) != 0 || check_language(key, outlet, err) != 0)
        return -1;
    if (kind->url && !outward_set_default(&outlet->url, kind->url))
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", key);
    if (outlet->url && !kind->needs_signature_secret) /* a subscriber's own stays as it is */
        outward_drop_slash(outlet->url);
    outlet->per_minute = config_default_u32(outlet->per_minute, kind->per_minute);
    outlet->timeout_ms = config_default_u32(outlet->timeout_ms, 10000);
    char url_key[KEY_BYTES + 16];
    (void)snprintf(url_key, sizeof url_key, "%s.url", key);
    return outlet->url ? outward_check_address(url_key, outlet->url, err) : 0;
}

static int check_ranges(const struct outward_outlet *outlet, struct error *err)
{
    if (config_check_range("outward.outlets.per_minute", outlet->per_minute, 1, 60000, err) != 0 ||
        config_check_range("outward.outlets.timeout_ms", outlet->timeout_ms, 500, 120000, err) != 0)
        return -1;
    return outlet->characters_max == 0
               ? 0
               : config_check_range("outward.outlets.characters_max", outlet->characters_max, 140,
                                    100000, err);
}

int outlets_config_check(struct outward_config *config, struct error *err)
{
    unsigned feeds = 0;
    for (unsigned i = 0; i < config->outlets_count; i++) {
        struct outward_outlet *outlet = &config->outlets[i];
        char key[KEY_BYTES];
        (void)snprintf(key, sizeof key, "outward.outlets[%u]", i + 1);
        if (check_outlet(key, outlet, err) != 0)
            return -1;
        if (check_ranges(outlet, err) != 0)
            return error_wrap(err, "%s", key);
        if (outward_outlet_of(config, outlet->name) != outlet)
            return error_set(err, ERROR_CONFIG, "%s: name '%s' is there twice: rename one", key,
                             outlet->name);
        feeds += strcmp(outlet->kind, "feed") == 0;
        if (feeds > 1)
            return error_set(err, ERROR_CONFIG,
                             "%s: a second feed: there is one, described in outward.feed", key);
    }
    return 0;
}
