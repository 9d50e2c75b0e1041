#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outward/outward_config.h"

struct fixture {
    char path[64];
    struct config *config;
};

static int make_file(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->path, sizeof f->path, "/tmp/desg-outward-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    (void)close(fd);
    *state = f;
    return 0;
}

static int remove_file(void **state)
{
    struct fixture *f = *state;
    config_destroy(&f->config);
    (void)unlink(f->path);
    free(f);
    return 0;
}

/* Reads the part as desk and notify do. NULL: refused. */
static const struct outward_config *load(struct fixture *f, const char *part, struct error *err)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    (void)fprintf(file, "common: { force: gwent, redis: { address: \"unix:/tmp/r.sock\" } }\n%s",
                  part);
    (void)fclose(file);
    config_destroy(&f->config);
    f->config =
        config_load(f->path, "outward", outward_config_fields, sizeof(struct outward_config), err);
    if (!f->config || outward_config_check(f->config->service, err) != 0)
        return NULL;
    return f->config->service;
}

static const struct outward_config *load_or_fail(struct fixture *f, const char *part)
{
    struct error err = { 0 };
    const struct outward_config *config = load(f, part, &err);
    if (!config)
        fail_msg("%s", err.text);
    return config;
}

static void takes_a_file_without_the_part(void **state)
{
    const struct outward_config *config = load_or_fail(*state, "");
    assert_int_equal(config->accounts_count, 0);
    assert_int_equal(config->outlets_count, 0);
    assert_int_equal(config->urgent_share_percent, 20);
    assert_int_equal(config->unknown_after_s, 60);
    assert_int_equal(config->probe_minutes, 60);
    assert_int_equal(config->lease_ms, 10000);
    assert_true(*config->approval.needs_second);
    assert_int_equal(config->approval.similar_hours, 24);
    assert_null(config->feed.listen);
    assert_int_equal(config->feed.keep_hours, 24);
}

static void has_receipts_in_both_languages_of_itself(void **state)
{
    const struct outward_receipts *receipts = &load_or_fail(*state, "")->receipts;
    assert_true(*receipts->is_on);
    assert_int_equal(receipts->again_after_hours, 24);
    const char *const texts[] = { receipts->text.en, receipts->text.cy, receipts->neutral.en,
                                  receipts->neutral.cy };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_non_null(strstr(texts[i], "{reference}"));
        assert_non_null(strstr(texts[i], "999"));
    }
    assert_true(strlen(receipts->text.en) + strlen(receipts->text.cy) + 2 <= 1000);
    assert_null(strstr(receipts->neutral.en, "police"));
    assert_null(strstr(receipts->neutral.cy, "heddlu"));
    assert_int_equal(receipts->sensitive_categories_count, 6);
    assert_string_equal(receipts->sensitive_categories[0], "sexual-offences");
}

static void keeps_what_is_switched_off(void **state)
{
    const struct outward_config *config =
        load_or_fail(*state, "outward:\n"
                             "  receipts: { is_on: false }\n"
                             "  approval: { needs_second: false }\n");
    assert_false(*config->receipts.is_on);
    assert_false(*config->approval.needs_second);
}

static void fills_what_a_platform_has_of_itself(void **state)
{
    const struct outward_config *config = load_or_fail(
        *state, "outward:\n"
                "  accounts:\n"
                "    - { channel: facebook, account: \"108\", token_file: /t, ca_file: \"\" }\n"
                "    - { channel: x, account: \"3001\", token_file: /t, base_url: "
                "\"https://api.x.com/\" }\n"
                "    - { channel: web, account: form, base_url: \"http://127.0.0.1:8025\" }\n"
                "  outlets:\n"
                "    - { name: page, kind: facebook, account: \"108\", token_file: /t }\n"
                "    - { name: council, kind: webhook, url: \"https://c.example/hook/\", "
                "signature_secret_file: /s }\n");
    const struct outward_account *page = outward_account_of(config, "facebook", "108");
    assert_non_null(page);
    assert_string_equal(page->base_url, "https://graph.facebook.com/v25.0");
    assert_int_equal(page->per_minute, 600);
    assert_null(page->ca_file);
    assert_false(page->has_human_agent);
    assert_string_equal(outward_account_of(config, "x", "3001")->base_url, "https://api.x.com");
    assert_null(outward_account_of(config, "x", "108"));
    assert_null(outward_account_of(config, "whatsapp", "108"));
    const struct outward_outlet *outlet = outward_outlet_of(config, "page");
    assert_string_equal(outlet->url, "https://graph.facebook.com/v25.0");
    assert_int_equal(outlet->timeout_ms, 10000);
    assert_int_equal(outlet->per_minute, 30);
    assert_string_equal(outward_outlet_of(config, "council")->url, "https://c.example/hook/");
    assert_null(outward_outlet_of(config, "elsewhere"));
}

#define FACEBOOK                                                                                   \
    "outward: { outlets: [ { name: page, kind: facebook, account: \"1\", token_file: /t"
#define WINDOW    "outward: { windows: [ { channel: x, "
#define FEED_BODY "listen: \"127.0.0.1:1\", base_url: \"https://a.example\", sender: a@b.example"

static void refuses_and_says_where(void **state)
{
    static const struct {
        const char *part, *said;
    } cases[] = {
        { "outward: { accounts: [ { channel: telegram, account: a, token_file: /t } ] }",
          "accounts[1].channel 'telegram'" },
        { "outward: { accounts: [ { channel: facebook, account: a } ] }",
          "accounts[1].token_file is missing" },
        { "outward: { accounts: [ { channel: facebook, account: \"a:b\", token_file: /t } ] }",
          "accounts[1].account" },
        { "outward: { accounts: [ { channel: web, account: a } ] }",
          "accounts[1].base_url is missing" },
        { "outward: { accounts: [ { channel: web, account: a, base_url: \"ftp://a\" } ] }",
          "accounts[1].base_url 'ftp://a'" },
        { "outward: { accounts: [ { channel: web, account: a, base_url: \"https://\" } ] }",
          "accounts[1].base_url" },
        { "outward: { accounts: [ { channel: x, account: a, token_file: /t, token_secret_file: /s "
          "} "
          "] }",
          "accounts[1] has 1 of" },
        { "outward: { accounts: [ { channel: facebook, account: a, token_file: /t, "
          "consumer_key_file: /s } ] }",
          "for X alone" },
        { "outward: { accounts: [ { channel: facebook, account: a, token_file: /t }, { channel: "
          "facebook, account: a, token_file: /u } ] }",
          "accounts[2]: this account of facebook is there twice" },
        { "outward: { accounts: [ { channel: facebook, account: a, token_file: /t, per_minute: "
          "70000 } ] }",
          "accounts[1]: outward.accounts.per_minute is 70000: write 1 to 60000" },
        { FACEBOOK ", characters_max: 12 } ] }", "characters_max is 12" },
        { FACEBOOK ", timeout_ms: 12 } ] }", "timeout_ms is 12" },
        { FACEBOOK ", language: fr } ] }", "outlets[1].language 'fr'" },
        { FACEBOOK ", signature_secret_file: /s } ] }", "for webhooks alone" },
        { FACEBOOK " }, { name: page, kind: facebook, account: \"1\", token_file: /t } ] }",
          "outlets[2]: name 'page' is there twice" },
        { "outward: { outlets: [ { name: Page, kind: facebook, account: a, token_file: /t } ] }",
          "outlets[1].name" },
        { "outward: { outlets: [ { name: p, kind: myspace } ] }", "outlets[1].kind 'myspace'" },
        { "outward: { outlets: [ { name: p, kind: facebook, token_file: /t } ] }",
          "outlets[1].account is missing" },
        { "outward: { outlets: [ { name: p, kind: mastodon, token_file: /t } ] }",
          "outlets[1].url is missing" },
        { "outward: { outlets: [ { name: p, kind: webhook, url: \"https://a.example\" } ] }",
          "outlets[1].signature_secret_file is missing" },
        { "outward: { outlets: [ { name: p, kind: webhook, url: \"https://a.example\", "
          "signature_secret_file: /s, language: cy } ] }",
          "both languages side by side" },
        { "outward: { outlets: [ { name: p, kind: feed } ] }", "outward.feed.listen is missing" },
        { "outward: { outlets: [ { name: p, kind: feed, url: \"https://a.example\" } ] }",
          "outward.feed.base_url" },
        { "outward: { outlets: [ { name: p, kind: feed }, { name: q, kind: feed } ], feed: "
          "{ " FEED_BODY " } }",
          "outlets[2]: a second feed" },
        { "outward: { feed: { listen: \"127.0.0.1:1\", base_url: \"https://a.example\" } }",
          "outward.feed.sender is missing" },
        { "outward: { feed: { " FEED_BODY ", title_en: News } }", "title_cy is missing" },
        { "outward: { feed: { " FEED_BODY ", sender_name_cy: Heddlu } }",
          "sender_name_en is missing" },
        { "outward: { feed: { sender: \"a b\" } }", "outward.feed.sender" },
        { "outward: { feed: { publish_endpoint: \"ipc://a\" } }", "snapshot_endpoint is missing" },
        { WINDOW "from: \"2026-02-30\", hours: 1, text_max: 100 } ] }",
          "windows[1].from '2026-02-30' is no date" },
        { WINDOW "from: yesterday, hours: 1, text_max: 100 } ] }", "is no date" },
        { WINDOW "from: \"2026-02-03\", hours: 24, human_hours: 24, text_max: 100 } ] }",
          "human_hours is 24, no longer than hours" },
        { WINDOW "from: \"2026-02-03\", hours: 0, human_hours: 24, text_max: 100 } ] }",
          "which means always" },
        { WINDOW "from: \"2026-02-03\", hours: 24, text_max: 3 } ] }", "text_max is 3" },
        { WINDOW "from: \"2026-02-03\", hours: 24, text_max: 100, text_unit: words } ] }",
          "text_unit 'words'" },
        { WINDOW "from: \"2026-02-03\", hours: 1, text_max: 100 }, { channel: x, from: "
                 "\"2026-02-03\", hours: 2, text_max: 100 } ] }",
          "windows[2]: x from 2026-02-03 is there twice" },
        { WINDOW "hours: 1, text_max: 100 } ] }", "from is missing" },
        { "outward: { receipts: { text: { en: \"{reference} 999\" } } }",
          "outward.receipts.text.cy is missing" },
        { "outward: { receipts: { neutral: { cy: \"{reference} 999\" } } }",
          "outward.receipts.neutral.en is missing" },
        { "outward: { receipts: { text: { en: \"999\", cy: \"{reference} 999\" } } }",
          "text.en has no {reference}" },
        { "outward: { receipts: { text: { en: \"{reference} 999\", cy: \"{reference}\" } } }",
          "text.cy does not say 999" },
        { "outward: { receipts: { again_after_hours: 9000 } }", "again_after_hours is 9000" },
        { "outward: { urgent_share_percent: 91 }", "urgent_share_percent is 91" },
        { "outward: { lease_ms: 999 }", "lease_ms is 999" },
        { "outward: { approval: { similar_hours: 9000 } }", "similar_hours is 9000" },
        { "outward: { probe_hours: 1 }", "has no key 'probe_hours'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        if (load(*state, cases[i].part, &err))
            fail_msg("taken: %s", cases[i].part);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].said))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].said);
    }
}

/* The example shows the defaults: whoever copies it changes nothing by it. */
static void takes_the_example(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    const struct outward_config *built_in = load_or_fail(f, "");
    char *en = strdup(built_in->receipts.text.en);
    char *cy = strdup(built_in->receipts.text.cy);
    char *neutral = strdup(built_in->receipts.neutral.cy);
    config_destroy(&f->config);
    f->config =
        config_load(EXAMPLE, "outward", outward_config_fields, sizeof(struct outward_config), &err);
    if (!f->config)
        fail_msg("%s", err.text);
    assert_non_null(f->config);
    assert_int_equal(outward_config_check(f->config->service, &err), 0);
    const struct outward_config *config = f->config->service;
    assert_int_equal(config->accounts_count, 5);
    assert_int_equal(config->outlets_count, 5);
    assert_string_equal(config->receipts.text.en, en);
    assert_string_equal(config->receipts.text.cy, cy);
    assert_string_equal(config->receipts.neutral.cy, neutral);
    assert_int_equal(config->receipts.sensitive_categories_count, 6);
    free(en);
    free(cy);
    free(neutral);
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)
    const struct CMUnitTest tests[] = {
        WITH_FILE(takes_a_file_without_the_part),
        WITH_FILE(has_receipts_in_both_languages_of_itself),
        WITH_FILE(keeps_what_is_switched_off),
        WITH_FILE(fills_what_a_platform_has_of_itself),
        WITH_FILE(refuses_and_says_where),
        WITH_FILE(takes_the_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
