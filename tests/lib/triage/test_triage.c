#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules_fixture.h"
#include "triage/scan.h"
#include "triage/triage.h"

static const char rules_of_test[] =
    "edition: \"2026-01-31\"\n"
    "category: violence\n"
    "rules:\n"
    "  - {id: knife.en, language: en, severity: urgent, weight: 0.5, flags: [weapon],\n"
    "     phrases: [\"(a|has) knife\"], unless: [\"kitchen knife\", \"film\"]}\n"
    "  - {id: kill.en, language: en, severity: life-at-risk, weight: 0.9, category: threat,\n"
    "     flags: [life-at-risk, weapon], phrases: [\"kill me\"]}\n"
    "  - {id: rape.en, language: en, severity: urgent, weight: 0.8, category: sexual-offence,\n"
    "     restricted: sexual-offence, phrases: [\"raped me\"]}\n"
    "  - {id: informant.en, language: en, severity: attention, weight: 0.4, category: "
    "intelligence,\n"
    "     restricted: intelligence, phrases: [\"i know who\"]}\n"
    "  - {id: back.en, language: en, severity: attention, weight: 0.3, context_sensitive: true,\n"
    "     phrases: [\"he's back\"]}\n"
    "  - {id: cyllell.cy, language: cy, severity: urgent, weight: 0.6, flags: [weapon],\n"
    "     phrases: [\"~cyllell\"]}\n"
    "  - {id: update.en, language: en, severity: routine, weight: 0.1, category: update-request,\n"
    "     phrases: [\"any update\"]}\n"
    "  - {id: breath.en, language: en, severity: life-at-risk, weight: 1,\n"
    "     phrases: [\"not breathing\"]}\n";

static int setup(void **state)
{
    (void)rules_fixture_setup(state);
    rules_write(*state, "test.yaml", rules_of_test);
    return 0;
}

static bool has_reason(const struct verdict *verdict, const char *id)
{
    for (size_t i = 0; i < verdict->message.n_reasons; i++) {
        if (strcmp(verdict->message.reasons[i]->rule, id) == 0)
            return true;
    }
    return false;
}

static bool has_flag(const struct verdict *verdict, Desg__V1__Flag flag)
{
    for (size_t i = 0; i < verdict->message.n_flags; i++) {
        if (verdict->message.flags[i] == flag)
            return true;
    }
    return false;
}

static void takes_the_gravest_of_what_hits(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    struct verdict verdict;
    judge_text(triage, "he has a knife, he said he will kill me. any update?", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_true(verdict.message.is_urgent);
    assert_string_equal(verdict.message.category, "threat");
    assert_string_equal(verdict.message.grade, "immediate");
    assert_int_equal(verdict.message.n_flags, 2);
    assert_true(has_flag(&verdict, DESG__V1__FLAG__FLAG_WEAPON));
    assert_true(has_flag(&verdict, DESG__V1__FLAG__FLAG_LIFE_AT_RISK));
    assert_int_equal(verdict.message.n_reasons, 3);
    assert_string_equal(verdict.message.reasons[0]->rule, "kill.en"); /* heaviest first */
    assert_string_equal(verdict.message.reasons[1]->rule, "knife.en");
    assert_true(verdict.message.score > 0.95F && verdict.message.score < 1);
    assert_int_equal(verdict.message.language, DESG__V1__LANGUAGE__LANGUAGE_EN);
    assert_int_equal(strncmp(verdict.message.rules_edition, "2026-01-31+", 11), 0);
    assert_string_equal(verdict.message.model_edition, "");
    triage_destroy(&triage);
}

static void leaves_ordinary_talk_routine(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    static const char *const texts[] = { "When is the station open?", "any update on my bike",
                                         "Diolch am eich help", "ok" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct verdict verdict;
        judge_text(triage, texts[i], &verdict);
        assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
        assert_false(verdict.message.is_urgent);
        assert_string_equal(verdict.message.grade, "resolution");
    }
    triage_destroy(&triage);
}

static void points_at_the_words_in_the_original(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    static const struct {
        const char *text;
        const char *words;
    } table[] = {
        { "kill me", "kill me" },
        { "\xF0\x9F\x98\xA8\xF0\x9F\x98\xA8 he will K\xC3\x8DLL   me!!!", "K\xC3\x8DLL   me" },
        { "wedi dod i mewn i\xE2\x80\x99r t\xC5\xB7 \xE2\x80\x93 kiLLLLl meeee", "kiLLLLl meeee" },
        { "\xFF\xFE\x80 kill\xE2\x80\x8B me \xC3", "kill\xE2\x80\x8B me" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct verdict verdict;
        judge_text(triage, table[i].text, &verdict);
        assert_int_equal(verdict.message.n_reasons, 1);
        const Desg__V1__Reason *reason = verdict.message.reasons[0];
        assert_true(reason->offset_bytes + reason->length_bytes <= strlen(table[i].text));
        if (reason->length_bytes != strlen(table[i].words) ||
            memcmp(table[i].text + reason->offset_bytes, table[i].words, reason->length_bytes) != 0)
            fail_msg("%zu: '%.*s'", i, (int)reason->length_bytes,
                     table[i].text + reason->offset_bytes);
    }
    triage_destroy(&triage);
}

static void points_at_the_shortest_hit_after_a_gap(void **state)
{
    struct rules_fixture *f = *state;
    char *text = rule_text("gap.en", "urgent", "\"kill ...9 me\"", "");
    rules_write(f, "gap.yaml", text);
    free(text);
    struct triage *triage = rules_triage(f, NULL);
    struct verdict verdict;
    judge_text(triage, "oh kill time then kill only me", &verdict);
    assert_string_equal(verdict.message.reasons[0]->rule, "gap.en");
    assert_int_equal(verdict.message.reasons[0]->offset_bytes, 18);
    assert_int_equal(verdict.message.reasons[0]->length_bytes, 12);
    triage_destroy(&triage);
}

static void finds_what_is_hidden_in_pages_of_chat(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    static const size_t sizes[] = { 5000, 14000, 16300, 16384, 33000, 200000 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static const char chat[] = "lovely weather in town today and the match was good ";
        size_t length = sizes[i];
        char *text = malloc(length + 64);
        assert_non_null(text);
        for (size_t j = 0; j < length; j++)
            text[j] = chat[j % (sizeof chat - 1)];
        size_t bytes = (size_t)snprintf(text + length, 64, " he will kill me now ok");
        assert_true(bytes < 64);
        struct verdict verdict;
        judge_text(triage, text, &verdict);
        assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
        assert_int_equal(verdict.message.reasons[0]->offset_bytes, length + 9);
        assert_int_equal(verdict.message.reasons[0]->length_bytes, 7);
        free(text);
    }
    triage_destroy(&triage);
}

static void reviews_what_is_too_long_and_still_looks(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    size_t length = (size_t)SCAN_TEXT_MAX_BYTES + 10;
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, ' ', length);
    text[length] = '\0';
    struct verdict verdict;
    judge_text(triage, text, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_REVIEW);
    assert_true(has_reason(&verdict, "triage.too-long"));
    memcpy(text + 100, "kill me", 7);
    judge_text(triage, text, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_string_equal(verdict.message.category, "threat");
    assert_true(has_reason(&verdict, "triage.too-long"));
    free(text);
    triage_destroy(&triage);
}

static void guards_undo_hits_near_them_only(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    struct verdict verdict;
    judge_text(triage, "is it legal to carry a kitchen knife", &verdict);
    assert_int_equal(verdict.message.n_reasons, 0);
    judge_text(triage, "in that film the man has a knife", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    char text[1000];
    static const size_t far = 2 * (size_t)RULE_GUARD_REACH_CHARACTERS;
    size_t start = (size_t)snprintf(text, sizeof text, "we saw a film ");
    for (size_t i = 0; i < far; i++)
        text[start + i] = "abcd "[i % 5];
    (void)snprintf(text + start + far, 100, " and now he has a knife");
    judge_text(triage, text, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_URGENT);
    triage_destroy(&triage);
}

static void a_flood_of_hits_is_never_less_than_one(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    static const size_t count = 3000;
    char *text = malloc(count * 8 + 64);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * 8, "a knife ", 9);
    memcpy(text + count * 8, "film kill me", 13);
    struct verdict verdict;
    judge_text(triage, text, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_true(has_reason(&verdict, "knife.en"));
    free(text);
    triage_destroy(&triage);
}

static void marks_restricted_work_and_context(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    struct verdict verdict;
    judge_text(triage, "i know who raped me", &verdict);
    assert_int_equal(verdict.message.restricted,
                     DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE);
    judge_text(triage, "i know who did it", &verdict);
    assert_int_equal(verdict.message.restricted,
                     DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE);
    assert_false(verdict.message.is_context_sensitive);
    judge_text(triage, "hes back", &verdict);
    assert_int_equal(verdict.message.restricted, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    assert_true(verdict.message.is_context_sensitive);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_ATTENTION);
    triage_destroy(&triage);
}

static void finds_welsh_whatever_its_mutation(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    static const char *const texts[] = { "Mae ganddo gyllell nawr", "ei chyllell hi",
                                         "yn fy nghyllell i", "CYLLELL!" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct verdict verdict;
        judge_text(triage, texts[i], &verdict);
        assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_URGENT);
    }
    triage_destroy(&triage);
}

static void judges_by_kind(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    static const struct {
        int kind;
        Desg__V1__Severity with_threat;
        Desg__V1__Severity empty;
    } table[] = {
        { DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_ATTENTION },
        { DESG__V1__EVENT_KIND__EVENT_KIND_EDIT, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_ATTENTION },
        { DESG__V1__EVENT_KIND__EVENT_KIND_COMMENT, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_ATTENTION },
        { DESG__V1__EVENT_KIND__EVENT_KIND_MENTION, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_ATTENTION },
        { DESG__V1__EVENT_KIND__EVENT_KIND_POSTBACK, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_ATTENTION },
        { DESG__V1__EVENT_KIND__EVENT_KIND_READ, DESG__V1__SEVERITY__SEVERITY_ROUTINE,
          DESG__V1__SEVERITY__SEVERITY_ROUTINE },
        { DESG__V1__EVENT_KIND__EVENT_KIND_ECHO, DESG__V1__SEVERITY__SEVERITY_ROUTINE,
          DESG__V1__SEVERITY__SEVERITY_ROUTINE },
        { DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME, DESG__V1__SEVERITY__SEVERITY_ROUTINE,
          DESG__V1__SEVERITY__SEVERITY_ROUTINE },
        { DESG__V1__EVENT_KIND__EVENT_KIND_UNSEND, DESG__V1__SEVERITY__SEVERITY_ROUTINE,
          DESG__V1__SEVERITY__SEVERITY_ROUTINE },
        { DESG__V1__EVENT_KIND__EVENT_KIND_REACTION, DESG__V1__SEVERITY__SEVERITY_ROUTINE,
          DESG__V1__SEVERITY__SEVERITY_ROUTINE },
        { DESG__V1__EVENT_KIND__EVENT_KIND_NOTICE, DESG__V1__SEVERITY__SEVERITY_ATTENTION,
          DESG__V1__SEVERITY__SEVERITY_ATTENTION },
        { DESG__V1__EVENT_KIND__EVENT_KIND_UNKNOWN, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_REVIEW },
        { DESG__V1__EVENT_KIND__EVENT_KIND_UNREADABLE, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_REVIEW },
        { DESG__V1__EVENT_KIND__EVENT_KIND_UNSPECIFIED, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK,
          DESG__V1__SEVERITY__SEVERITY_REVIEW },
        { 77, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK, DESG__V1__SEVERITY__SEVERITY_REVIEW },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct verdict verdict;
        Desg__V1__Event event = DESG__V1__EVENT__INIT;
        event.kind = (Desg__V1__EventKind)table[i].kind;
        triage_judge(triage, &event, &verdict);
        assert_int_equal(verdict.message.severity, table[i].empty);
        event.text = (char *)"he will kill me";
        triage_judge(triage, &event, &verdict);
        assert_int_equal(verdict.message.severity, table[i].with_threat);
    }
    triage_destroy(&triage);
}

static void looks_at_everything_a_person_wrote(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    struct verdict verdict;
    Desg__V1__Attachment attachment = DESG__V1__ATTACHMENT__INIT;
    Desg__V1__Attachment *attachments[] = { &attachment };
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.n_attachments = 1;
    event.attachments = attachments;
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_ATTENTION);
    assert_string_equal(verdict.message.category, "attachment");
    attachment.title = (char *)"he will kill me.mp4";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_int_equal(verdict.message.reasons[0]->length_bytes, 0); /* not a place in the text */
    event.n_attachments = 0;
    event.text = (char *)"hello";
    event.location_text = (char *)"in the kitchen, he has knife";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_URGENT);
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_UNREADABLE;
    event.text = (char *)"";
    event.raw = (ProtobufCBinaryData){ 21, (uint8_t *)"{\"text\":\"kill me\"\0xxx" };
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    triage_destroy(&triage);
}

static void sends_unknown_languages_to_review(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    struct verdict verdict;
    static const char *const texts[] = {
        "pomocy on ma w domu",
        "\xD0\xBF\xD0\xBE\xD0\xBC\xD0\xBE\xD0\xB3\xD0\xB8\xD1\x82\xD0\xB5", /* Cyrillic */
        "\xE6\x95\x91\xE5\x91\xBD\xE5\x95\x8A",                             /* Chinese */
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        judge_text(triage, texts[i], &verdict);
        assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_REVIEW);
        assert_true(has_reason(&verdict, "triage.unknown-language"));
        assert_string_equal(verdict.message.category, "unknown-language");
    }
    triage_destroy(&triage);
}

static void takes_the_hint_when_words_do_not_tell(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    struct verdict verdict;
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = (char *)"xyzzy";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.language, DESG__V1__LANGUAGE__LANGUAGE_UNSURE);
    event.language_hint = (char *)"cy-GB";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.language, DESG__V1__LANGUAGE__LANGUAGE_CY);
    event.text = (char *)"there is a man in the house";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.language, DESG__V1__LANGUAGE__LANGUAGE_EN);
    triage_destroy(&triage);
}

static void uses_the_words_of_the_force_for_grades(void **state)
{
    struct triage_options options = { .model = NULL };
    options.grades[DESG__V1__SEVERITY__SEVERITY_URGENT] = "grade-1";
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    judge_text(triage, "he has knife", &verdict);
    assert_string_equal(verdict.message.grade, "grade-1");
    judge_text(triage, "kill me", &verdict);
    assert_string_equal(verdict.message.grade, "immediate");
    triage_destroy(&triage);
}

struct said {
    struct model_opinion opinion;
    int rc;
};

static int judge_as_said(const void *arg, const char *text, size_t length,
                         const struct model_evidence *evidence, struct model_opinion *out)
{
    assert_non_null(evidence);
    const struct said *said = arg;
    assert_int_equal(text[0], ' ');
    assert_int_equal(text[length - 1], ' ');
    *out = said->opinion;
    return said->rc;
}

static struct model model_that_says(const struct said *said)
{
    static const struct model_thresholds thresholds = {
        .urgent = 0.9F, .review = 0.6F, .category = 0.3F, .restricted = 0.8F
    };
    return (struct model){
        .edition = "m1", .arg = said, .thresholds = thresholds, .judge = judge_as_said
    };
}

static void a_model_only_raises(void **state)
{
    struct said said = { .opinion = { .urgent = 0.95F } };
    const struct model model = model_that_says(&said);
    const struct triage_options options = { .model = &model };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_URGENT);
    assert_string_equal(verdict.message.model_edition, "m1");
    assert_true(has_reason(&verdict, "triage.model"));
    said.opinion.urgent = 0.7F;
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_REVIEW);
    said.opinion.urgent = 0.5F;
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    assert_false(has_reason(&verdict, "triage.model"));
    triage_destroy(&triage);
}

static void what_a_rule_says_stands_unless_the_model_thinks_it_unlikely(void **state)
{
    struct said said = { .opinion = { .urgent = 0.25F } };
    const struct model model = model_that_says(&said);
    const struct triage_options options = { .model = &model };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    judge_text(triage, "he will kill me", &verdict); /* above two fifths of the review threshold */
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    said.opinion.urgent = 0.23F;
    judge_text(triage, "he will kill me", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_ATTENTION);
    assert_true(has_reason(&verdict, "kill.en"));
    Desg__V1__Event event = DESG__V1__EVENT__INIT; /* the model is not asked of the place */
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = (char *)"come here";
    event.location_text = (char *)"he will kill me";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    triage_destroy(&triage);
}

static void what_a_certain_rule_says_stands_whatever_the_model_thinks(void **state)
{
    struct said said = { .opinion = { .urgent = 0 } };
    const struct model model = model_that_says(&said);
    const struct triage_options options = { .model = &model };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    judge_text(triage, "not breathing", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    triage_destroy(&triage);
}

static void a_model_that_cannot_judge_makes_a_person_look(void **state)
{
    struct said said = { .rc = -1 };
    const struct model model = model_that_says(&said);
    const struct triage_options options = { .model = &model };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_REVIEW);
    assert_true(has_reason(&verdict, "triage.failed"));
    assert_string_equal(verdict.message.model_edition, ""); /* it took no part */
    judge_text(triage, "he will kill me", &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    triage_destroy(&triage);
}

static void thresholds_are_the_channels_the_forces_or_the_models(void **state)
{
    struct said said = { .opinion = { .urgent = 0.5F } };
    const struct model model = model_that_says(&said);
    const struct triage_channel channels[] = { { (char *)"web", { .review = 0.4F } } };
    struct triage_options options = { .model = &model, .channels = channels, .channel_count = 1 };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = (char *)"good morning";
    event.channel = (char *)"facebook";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    event.channel = (char *)"web";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_REVIEW);
    triage_destroy(&triage);
    options.thresholds.urgent = 0.45F;
    triage = rules_triage(*state, &options);
    event.channel = (char *)"facebook";
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_URGENT);
    triage_destroy(&triage);
}

static void a_model_names_category_class_and_language_where_rules_are_silent(void **state)
{
    struct said said = { .opinion = { .category = "fraud",
                                      .category_surety = 0.6F,
                                      .intelligence = 0.85F,
                                      .language = DESG__V1__LANGUAGE__LANGUAGE_CY } };
    const struct model model = model_that_says(&said);
    const struct triage_options options = { .model = &model };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    judge_text(triage, "good morning", &verdict);
    assert_string_equal(verdict.message.category, "fraud");
    assert_int_equal(verdict.message.restricted,
                     DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE);
    /* Not sure of the language, and no hint: */
    assert_int_equal(verdict.message.language, DESG__V1__LANGUAGE__LANGUAGE_UNSURE);
    said.opinion.is_language_sure = true;
    said.opinion.category_surety = 0.2F;
    said.opinion.sexual_offence = 0.9F;
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.language, DESG__V1__LANGUAGE__LANGUAGE_CY);
    assert_int_equal(verdict.message.restricted,
                     DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE);
    judge_text(triage, "he will kill me", &verdict);
    assert_string_not_equal(verdict.message.category, "fraud"); /* not sure: the rule's */
    said.opinion.category_surety = 1;
    judge_text(triage, "he will kill me", &verdict);
    assert_string_equal(verdict.message.category, "fraud");
    triage_destroy(&triage);
}

static void a_category_that_is_restricted_restricts(void **state)
{
    struct said said = { .opinion = { .category = "sexual-offences", .category_surety = 0.6F } };
    const struct model model = model_that_says(&said);
    const struct triage_options options = { .model = &model };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.restricted,
                     DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE);
    said.opinion.category = "intelligence";
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.restricted,
                     DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE);
    said.opinion.category = "fraud";
    judge_text(triage, "good morning", &verdict);
    assert_int_equal(verdict.message.restricted, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE);
    triage_destroy(&triage);
}

static void the_models_words_are_places_in_the_original(void **state)
{
    /* The judge names bytes of the normalised text, " mae o yn ty plis ". */
    struct said said = {
        .opinion = { .urgent = 0.95F, .places = { { 10, 12, 2 }, { 5, 6, 1 } }, .place_count = 2 }
    };
    const struct model model = model_that_says(&said);
    const struct triage_options options = { .model = &model };
    struct triage *triage = rules_triage(*state, &options);
    struct verdict verdict;
    const char *text = "Mae o yn T\xC5\xB7 plis";
    judge_text(triage, text, &verdict);
    assert_int_equal(verdict.message.n_reasons, 2);
    assert_int_equal(verdict.message.reasons[0]->offset_bytes, 9);
    assert_int_equal(verdict.message.reasons[0]->length_bytes, 3);
    assert_true(verdict.message.reasons[0]->weight > verdict.message.reasons[1]->weight);
    assert_int_equal(verdict.message.reasons[1]->offset_bytes, 4);
    assert_int_equal(verdict.message.reasons[1]->length_bytes, 1);
    triage_destroy(&triage);
}

static void gives_at_most_sixteen_reasons_the_gravest_first(void **state)
{
    struct rules_fixture *f = *state;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    (void)fprintf(file, "edition: \"2026-02-01\"\ncategory: many\nrules:\n");
    for (int i = 0; i < 40; i++)
        (void)fprintf(file,
                      "  - {id: many.%d.en, language: en, severity: %s, weight: 0.%d5, phrases: "
                      "[\"word%d\"]}\n",
                      i, i == 39 ? "urgent" : "attention", i % 10, i);
    (void)fclose(file);
    rules_write(f, "many.yaml", text);
    free(text);
    struct triage *triage = rules_triage(f, NULL);
    char words[1024] = "";
    for (int i = 0; i < 40; i++)
        (void)snprintf(words + strlen(words), sizeof words - strlen(words), "word%d ", i);
    struct verdict verdict;
    judge_text(triage, words, &verdict);
    assert_int_equal(verdict.message.n_reasons, VERDICT_REASONS_MAX);
    assert_string_equal(verdict.message.reasons[0]->rule, "many.39.en");
    for (size_t i = 2; i < VERDICT_REASONS_MAX; i++)
        assert_true(verdict.message.reasons[i - 1]->weight >= verdict.message.reasons[i]->weight);
    assert_true(desg__v1__verdict__get_packed_size(&verdict.message) <= VERDICT_PACKED_MAX_BYTES);
    triage_destroy(&triage);
}

static void says_the_same_of_the_same_event(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    uint8_t first[VERDICT_PACKED_MAX_BYTES];
    uint8_t again[VERDICT_PACKED_MAX_BYTES];
    struct verdict verdict;
    judge_text(triage, "he has a knife and will kill me, mae ganddo gyllell", &verdict);
    size_t length = desg__v1__verdict__pack(&verdict.message, first);
    judge_text(triage, "something else in between", &verdict);
    judge_text(triage, "he has a knife and will kill me, mae ganddo gyllell", &verdict);
    assert_int_equal(desg__v1__verdict__pack(&verdict.message, again), length);
    assert_memory_equal(first, again, length);
    triage_destroy(&triage);
}

#define WITH_RULES(test) cmocka_unit_test_setup_teardown(test, setup, rules_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RULES(takes_the_gravest_of_what_hits),
        WITH_RULES(leaves_ordinary_talk_routine),
        WITH_RULES(points_at_the_words_in_the_original),
        WITH_RULES(points_at_the_shortest_hit_after_a_gap),
        WITH_RULES(finds_what_is_hidden_in_pages_of_chat),
        WITH_RULES(reviews_what_is_too_long_and_still_looks),
        WITH_RULES(guards_undo_hits_near_them_only),
        WITH_RULES(a_flood_of_hits_is_never_less_than_one),
        WITH_RULES(marks_restricted_work_and_context),
        WITH_RULES(finds_welsh_whatever_its_mutation),
        WITH_RULES(judges_by_kind),
        WITH_RULES(looks_at_everything_a_person_wrote),
        WITH_RULES(sends_unknown_languages_to_review),
        WITH_RULES(takes_the_hint_when_words_do_not_tell),
        WITH_RULES(uses_the_words_of_the_force_for_grades),
        WITH_RULES(a_model_only_raises),
        WITH_RULES(what_a_rule_says_stands_unless_the_model_thinks_it_unlikely),
        WITH_RULES(what_a_certain_rule_says_stands_whatever_the_model_thinks),
        WITH_RULES(a_model_that_cannot_judge_makes_a_person_look),
        WITH_RULES(thresholds_are_the_channels_the_forces_or_the_models),
        WITH_RULES(a_model_names_category_class_and_language_where_rules_are_silent),
        WITH_RULES(a_category_that_is_restricted_restricts),
        WITH_RULES(the_models_words_are_places_in_the_original),
        WITH_RULES(gives_at_most_sixteen_reasons_the_gravest_first),
        WITH_RULES(says_the_same_of_the_same_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
