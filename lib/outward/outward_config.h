/* outward_config - the part `outward` of the configuration, read by desk and notify: the force's
 * accounts and outlets, reply windows, wordings, who approves. Every field has its meaning and
 * default in lib/outward/README.md. Windows and limits are data with an edition date: platforms
 * change them (reference: each platform's own pages, as named there). */
#ifndef DESG_OUTWARD_CONFIG_H
#define DESG_OUTWARD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

struct outward_text { /* one item in both languages: neither may be missing */
    char *en;
    char *cy;
};

struct outward_account {     /* answers private messages */
    char *channel;           /* facebook, instagram, whatsapp, x, web */
    char *account;           /* as the platform numbers it (WhatsApp: the phone number id) */
    char *base_url;          /* https://graph.facebook.com/v25.0, https://api.x.com, … */
    char *token_file;        /* bearer or page token; X: the access token */
    char *token_secret_file; /* X, OAuth 1.0a: with the next two */
    char *consumer_key_file;
    char *consumer_secret_file;
    char *ca_file;
    bool has_human_agent; /* Meta granted the Human Agent permission */
    uint32_t per_minute;  /* sends at most; 0: the channel's own default */
};

enum outlet_kind_code {
    OUTLET_FACEBOOK,
    OUTLET_X,
    OUTLET_MASTODON,
    OUTLET_WEBHOOK,
    OUTLET_FEED, /* Atom with CAP, DATEX II, XPUB: served here, nothing is called */
};

struct outward_outlet {
    char *name;
    char *kind;    /* facebook, x, mastodon, webhook, feed */
    char *account; /* page id, X user id */
    char *url;     /* base address; webhook: the subscriber's own */
    char *token_file;
    char *token_secret_file;
    char *consumer_key_file;
    char *consumer_secret_file;
    char *signature_secret_file; /* webhook */
    char *ca_file;
    char *language;          /* en, cy: that one alone; NULL: both (Mastodon: one post for each) */
    uint32_t characters_max; /* Mastodon's own; 0: the kind's default */
    uint32_t per_minute;
    uint32_t timeout_ms; /* default 10000 */
};

/* How long a person may be answered after their last message, from a date on. */
struct outward_window {
    char *channel;
    char *from;           /* date, YYYY-MM-DD: the newest not in the future holds */
    uint32_t hours;       /* anything may be said; 0: always */
    uint32_t human_hours; /* with the human-agent tag, by a person alone; 0: not */
    uint32_t text_max;    /* of one message */
    char *text_unit;      /* characters, bytes */
};

struct outward_receipts {
    bool *is_on;                 /* default true */
    uint32_t again_after_hours;  /* default 24 */
    struct outward_text text;    /* {reference} stands for the number */
    struct outward_text neutral; /* sensitive categories: says nothing of what it is about */
    char **sensitive_categories;
    unsigned sensitive_categories_count;
};

struct outward_approval {
    bool *needs_second;     /* default true: somebody else than the author */
    uint32_t similar_hours; /* near-duplicates of the last hours are pointed out; default 24 */
};

struct outward_feed {
    char *listen;   /* HTTP, read by everyone; NULL: none */
    char *base_url; /* as the public sees it */
    char *title_en, *title_cy;
    char *sender; /* CAP sender: name@domain */
    char *sender_name_en, *sender_name_cy;
    char *publish_endpoint;  /* ZeroMQ XPUB; NULL: none */
    char *snapshot_endpoint; /* ZeroMQ ROUTER; NULL: none */
    uint32_t keep_hours;     /* what is over stays in the feed; default 24 */
};

struct outward_config {
    struct outward_account *accounts;
    unsigned accounts_count;
    struct outward_outlet *outlets;
    unsigned outlets_count;
    struct outward_window *windows; /* none: the built-in table */
    unsigned windows_count;
    struct outward_receipts receipts;
    struct outward_approval approval;
    struct outward_feed feed;
    uint32_t urgent_share_percent; /* of an account's bucket, kept for urgent replies; default 20 */
    uint32_t unknown_after_s;      /* then a person decides; default 60 */
    uint32_t probe_minutes;        /* tokens are tried; default 60 */
    uint32_t lease_ms;             /* of a place; default 10000 */
};

extern const cyaml_schema_field_t outward_config_fields[];

/* Fills defaults and refuses what cannot be, naming the key (duplicate names, unknown kinds, a
 * wording in one language). */
int outward_config_check(void *config, struct error *err);

/* NULL: none. Borrowed. */
const struct outward_account *outward_account_of(const struct outward_config *self,
                                                 const char *channel, const char *account);
const struct outward_outlet *outward_outlet_of(const struct outward_config *self, const char *name);

#endif
