#include <math.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model_fixture.h"

static struct model_fixture fixture;

static int setup(void **state)
{
    (void)state;
    model_fixture_init(&fixture);
    return 0;
}

static struct model_opinion judge(const char *text)
{
    return model_fixture_judge(&fixture, text, NULL);
}

static void tells_urgent_by_words_and_names_them(void **state)
{
    (void)state;
    model_fixture_alarm(&fixture, "gyllell");
    assert_true(judge(" bore da ").urgent < 0.1F);
    struct model_opinion opinion = judge(" mae ganddo gyllell ");
    assert_true(opinion.urgent > 0.9F);
    assert_int_equal(opinion.place_count, 1);
    assert_int_equal(opinion.places[0].from, 12);
    assert_int_equal(opinion.places[0].to, 19);
}

static void names_the_weightiest_words_first_and_not_too_many(void **state)
{
    (void)state;
    static const char *const words[] = { "one", "two", "three", "four", "five" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        model_fixture_alarm(&fixture, words[i]);
    struct model_opinion opinion = judge(" one two three four five ");
    assert_int_equal(opinion.place_count, MODEL_PLACES_MAX);
    for (size_t i = 1; i < opinion.place_count; i++)
        assert_true(opinion.places[i - 1].weight >= opinion.places[i].weight);
}

/* Fills text with so many words of chat around an alarm. */
static void bury(char *text, size_t room, size_t before, size_t after)
{
    size_t used = (size_t)snprintf(text, room, " ");
    for (size_t i = 0; i < before; i++)
        used += (size_t)snprintf(text + used, room - used, "chat%zu ", i % 10);
    used += (size_t)snprintf(text + used, room - used, "gyllell ");
    for (size_t i = 0; i < after; i++)
        used += (size_t)snprintf(text + used, room - used, "chat%zu ", i % 10);
}

static void pages_of_chat_hide_nothing(void **state)
{
    (void)state;
    static char text[16 << 10];
    float least = 1;
    model_fixture_alarm(&fixture, "gyllell");
    for (size_t before = 0; before < 400; before += 7) {
        bury(text, sizeof text, before, 400 - before);
        struct model_opinion opinion = judge(text);
        least = fminf(least, opinion.urgent);
        assert_int_equal(opinion.place_count, 1);
        assert_int_equal(opinion.places[0].from, strstr(text, "gyllell") - text);
    }
    assert_true(least > 0.5F);
}

/* The same run of words among ever more of them: it may be one by chance. Less each time, but
 * little. */
static void one_run_of_many_says_a_little_less(void **state)
{
    (void)state;
    static char text[16 << 10];
    float before = 1;
    model_fixture_alarm(&fixture, "gyllell");
    for (size_t words = 160; words <= 1280; words *= 2) {
        bury(text, sizeof text, words / 2, words / 2);
        float among_many = judge(text).urgent;
        assert_true(among_many < before);
        before = among_many;
    }
    assert_true(before > 0.5F); /* and yet flagged */
}

static void what_rules_found_only_raises(void **state)
{
    (void)state;
    static const char *const texts[] = { " bore da ", " mae ganddo gyllell ", " one two three " };
    model_fixture_alarm(&fixture, "gyllell");
    for (size_t i = 0; i < LINEAR_RULE_COLUMNS; i++)
        fixture.model.urgent_rules[i] = (float)(i % 3);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct model_evidence evidence = { 0 };
        float before = judge(texts[i]).urgent;
        for (unsigned n = 0; n < MODEL_CATEGORIES_MAX; n++) {
            evidence.categories |= UINT32_C(1) << n;
            evidence.grave_categories |= n % 2 ? UINT32_C(1) << n : 0;
            float now = model_fixture_judge(&fixture, texts[i], &evidence).urgent;
            assert_true(now >= before);
            before = now;
        }
        evidence.is_sexual_offence = evidence.is_intelligence = true;
        assert_true(model_fixture_judge(&fixture, texts[i], &evidence).urgent >= before);
    }
}

static void good_manners_change_no_score(void **state)
{
    (void)state;
    static const char *const texts[] = {
        " hello there mae ganddo gyllell ",
        " mae ganddo gyllell please ",
        " plis mae ganddo \xF0\x9F\x98\xAD gyllell os gwelwch yn dda ",
    };
    model_fixture_alarm(&fixture, "gyllell");
    float plain = judge(" mae ganddo gyllell ").urgent;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct model_opinion opinion = judge(texts[i]);
        assert_true(opinion.urgent >= plain && opinion.urgent <= plain);
        assert_int_equal(opinion.places[0].from, strstr(texts[i], "gyllell") - texts[i]);
    }
}

static void names_category_and_restricted_class(void **state)
{
    (void)state;
    model_fixture_topic(&fixture, "diolch", 1);
    model_fixture_topic(&fixture, "sgam", 0);
    model_fixture_topic(&fixture, "cyfrinach", 3); /* behind the categories: intelligence */
    assert_string_equal(judge(" diolch i chi ").category, "thanks");
    assert_string_equal(judge(" mae o yn sgam ").category, "fraud");
    struct model_opinion opinion = judge(" mae yn cyfrinach ");
    assert_true(opinion.intelligence > 0.5F);
    assert_true(opinion.sexual_offence < 0.5F);
    struct model_evidence evidence = { .categories = 1 };
    fixture.model.topic_rules[0][0] = 10;
    opinion = model_fixture_judge(&fixture, " bore da ", &evidence);
    assert_string_equal(opinion.category, "fraud");
    assert_true(opinion.category_surety > 0.9F);
}

static void tells_languages_both_and_neither(void **state)
{
    (void)state;
    static const char *const welsh[] = { "mae", "wedi", "gyda", "rhywun", "bore" };
    static const char *const english[] = { "there", "was", "with", "someone", "morning" };
    for (size_t i = 0; i < sizeof welsh / sizeof welsh[0]; i++) {
        model_fixture_language(&fixture, welsh[i], INT8_MAX);
        model_fixture_language(&fixture, english[i], -INT8_MAX);
    }
    assert_int_equal(judge(" mae rhywun gyda bore ").language, DESG__V1__LANGUAGE__LANGUAGE_CY);
    assert_int_equal(judge(" there was someone ").language, DESG__V1__LANGUAGE__LANGUAGE_EN);
    assert_true(judge(" there was someone ").is_language_sure);
    assert_int_equal(judge(" mae rhywun wedi gyda there was someone with ").language,
                     DESG__V1__LANGUAGE__LANGUAGE_MIXED);
    assert_int_equal(judge(" 12345 678 ").language, DESG__V1__LANGUAGE__LANGUAGE_UNSURE);
    assert_false(judge(" 12345 678 ").is_language_sure);
    assert_int_equal(judge(" xqz ").language, DESG__V1__LANGUAGE__LANGUAGE_UNSURE);
}

static void a_word_or_two_is_sure_only_when_it_is_far_off(void **state)
{
    (void)state;
    model_fixture_language(&fixture, "bore", INT8_MAX);
    fixture.model.language_sure = 1;
    assert_true(judge(" bore ").is_language_sure);
    fixture.model.language_sure = 1000;
    assert_false(judge(" bore ").is_language_sure);
    assert_int_equal(judge(" bore ").language, DESG__V1__LANGUAGE__LANGUAGE_CY);
}

static void says_little_of_nothing(void **state)
{
    (void)state;
    struct model_opinion opinion = judge(" ");
    assert_true(opinion.urgent <= 0 && opinion.category_surety <= 0);
    assert_null(opinion.category);
    assert_int_equal(opinion.place_count, 0);
}

#define WITH_MODEL(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(tells_urgent_by_words_and_names_them),
        WITH_MODEL(names_the_weightiest_words_first_and_not_too_many),
        WITH_MODEL(pages_of_chat_hide_nothing),
        WITH_MODEL(one_run_of_many_says_a_little_less),
        WITH_MODEL(what_rules_found_only_raises),
        WITH_MODEL(good_manners_change_no_score),
        WITH_MODEL(names_category_and_restricted_class),
        WITH_MODEL(tells_languages_both_and_neither),
        WITH_MODEL(a_word_or_two_is_sure_only_when_it_is_far_off),
        WITH_MODEL(says_little_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
