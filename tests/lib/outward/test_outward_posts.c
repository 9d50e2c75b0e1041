#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "sample.h"

enum { PAGE, X, TOOT, COUNCIL, FEED, X_CYMRAEG };
#define POST   DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_POST
#define UPDATE DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_UPDATE
#define CANCEL DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL
#define END    DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END

static struct broadcast_posts post(const struct sample *sample, int outlet,
                                   Desg__V1__BroadcastAction action)
{
    struct broadcast_posts posts;
    struct error err = { 0 };
    if (broadcast_posts(&sample->outlets[outlet], &sample->broadcast, action, &posts, &err) != 0)
        fail_msg("%s", err.text);
    return posts;
}

/* One post, with this text and language. */
static void expect_one(const struct sample *sample, int outlet, Desg__V1__BroadcastAction action,
                       const char *language, const char *text)
{
    struct broadcast_posts posts = post(sample, outlet, action);
    assert_int_equal(posts.count, 1);
    assert_string_equal(posts.posts[0].text, text);
    assert_false(posts.posts[0].is_reply);
    if (language)
        assert_string_equal(posts.posts[0].language, language);
    else
        assert_null(posts.posts[0].language);
    broadcast_posts_free(&posts);
    assert_int_equal(posts.count, 0);
}

static void puts_welsh_first_in_one_post(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    expect_one(&sample, X, POST, NULL,
               "A55 ar gau rhwng cyffyrdd 11 a 12\nMae lori wedi troi drosodd.\nDefnyddiwch ffordd "
               "arall.\n\nA55 closed between junctions 11 and 12\nA lorry has overturned.\nPlease "
               "use another road.");
}

static void says_where_there_is_room(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    expect_one(
        &sample, PAGE, POST, NULL,
        "A55 ar gau rhwng cyffyrdd 11 a 12\nMae lori wedi troi drosodd.\nDefnyddiwch ffordd "
        "arall.\nLleoliad: A55 ger Bangor\n\nA55 closed between junctions 11 and 12\nA lorry "
        "has overturned.\nPlease use another road.\nWhere: A55 near Bangor");
}

static void posts_once_in_each_language_where_posts_have_one(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    struct broadcast_posts posts = post(&sample, TOOT, POST);
    assert_int_equal(posts.count, 2);
    assert_string_equal(posts.posts[0].language, "cy");
    assert_string_equal(posts.posts[1].language, "en");
    assert_non_null(strstr(posts.posts[0].text, "ar gau"));
    assert_null(strstr(posts.posts[0].text, "closed"));
    assert_non_null(strstr(posts.posts[1].text, "closed"));
    assert_false(posts.posts[0].is_reply || posts.posts[1].is_reply);
    broadcast_posts_free(&posts);
    sample.outlets[TOOT].language = (char *)"en";
    posts = post(&sample, TOOT, POST);
    assert_int_equal(posts.count, 1);
    assert_string_equal(posts.posts[0].language, "en");
    broadcast_posts_free(&posts);
}

static void posts_one_language_alone_where_asked(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    expect_one(&sample, X_CYMRAEG, POST, "cy",
               "A55 ar gau rhwng cyffyrdd 11 a 12\nMae lori wedi troi drosodd.\nDefnyddiwch ffordd "
               "arall.");
}

static void says_that_the_welsh_follows(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.cy = NULL;
    expect_one(&sample, X, POST, "en",
               "A55 closed between junctions 11 and 12\nA lorry has overturned.\nPlease use "
               "another road.\nFersiwn Gymraeg i ddilyn.");
    sample.outlets[X].language = (char *)"en"; /* there, nobody waits for it */
    expect_one(&sample, X, POST, "en",
               "A55 closed between junctions 11 and 12\nA lorry has overturned.\nPlease use "
               "another road.");
}

static void marks_an_update(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.en.instruction = sample.cy.instruction = (char *)"";
    expect_one(&sample, X, UPDATE, NULL,
               "DIWEDDARIAD: A55 ar gau rhwng cyffyrdd 11 a 12\nMae lori wedi troi drosodd.\n\n"
               "UPDATE: A55 closed between junctions 11 and 12\nA lorry has overturned.");
}

static void marks_what_is_cancelled(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    expect_one(&sample, X, CANCEL, NULL,
               "CANSLWYD: A55 ar gau rhwng cyffyrdd 11 a 12\nNid yw hyn yn berthnasol mwyach.\n\n"
               "CANCELLED: A55 closed between junctions 11 and 12\nThis no longer applies.");
}

static void name_a_person(struct sample *sample)
{
    static const double corners[] = { 51.5, -3.1, 51.6, -3.1, 51.6, -3.0, 51.5, -3.1 };
    static char instruction[] = "Ring us if you see Marker Person.";
    sample->broadcast.kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL;
    sample->en.headline = (char *)"Missing: Marker Person";
    sample->cy.headline = (char *)"Ar goll: Marker Person";
    sample->en.text = sample->cy.text = (char *)"Marker Person, last seen in a red coat.";
    sample->en.instruction = sample->cy.instruction = instruction;
    sample->en.area = sample->cy.area = (char *)"Marker pier";
    sample->broadcast.road = (char *)"Marker road";
    sample_draw(sample, corners, 4);
}

static void names_nobody_when_an_appeal_is_withdrawn(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    name_a_person(&sample);
    for (int outlet = PAGE; outlet <= COUNCIL; outlet++) {
        static const Desg__V1__BroadcastAction actions[] = { CANCEL, END };
        for (size_t i = 0; i < 2; i++) {
            struct broadcast_posts posts = post(&sample, outlet, actions[i]);
            assert_in_range(posts.count, 1, 2);
            for (size_t j = 0; j < posts.count; j++)
                assert_null(strstr(posts.posts[j].text, "Marker"));
            broadcast_posts_free(&posts);
        }
    }
}

static void gives_a_subscriber_what_is_said_of_an_appeal_that_is_over(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    name_a_person(&sample);
    sample.en.ended = (char *)"The person was found near Marker pier.";
    struct broadcast_posts posts = post(&sample, COUNCIL, CANCEL);
    assert_int_equal(posts.count, 1);
    assert_null(strstr(posts.posts[0].text, "Marker"));
    assert_null(strstr(posts.posts[0].text, "latitude"));
    json_t *document = json_loads(posts.posts[0].text, 0, NULL);
    const json_t *broadcast = json_object_get(document, "broadcast");
    const json_t *en = json_object_get(broadcast, "en");
    assert_string_equal(json_string_value(json_object_get(broadcast, "kind")), "appeal");
    assert_string_equal(json_string_value(json_object_get(en, "headline")),
                        "This appeal has been withdrawn. Please do not share it.");
    assert_int_equal(json_object_size(en), 1);
    assert_int_equal(json_object_size(json_object_get(broadcast, "cy")), 1);
    json_decref(document);
    broadcast_posts_free(&posts);
    posts = post(&sample, COUNCIL, UPDATE); /* while it lasts it is what it is about */
    assert_non_null(strstr(posts.posts[0].text, "Missing: Marker Person"));
    broadcast_posts_free(&posts);
}

static void says_that_the_road_is_open_only_if_asked(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    expect_one(&sample, X, END, NULL,
               "DAETH I BEN: A55 ar gau rhwng cyffyrdd 11 a 12\n\n"
               "ENDED: A55 closed between junctions 11 and 12");
    sample.broadcast.says_ended = 1;
    expect_one(&sample, X, END, NULL,
               "Mae'r A55 wedi ailagor erbyn hyn.\n\nThe A55 has now reopened.");
    sample.broadcast.road = (char *)"";
    expect_one(&sample, X, END, NULL,
               "Mae'r ffordd wedi ailagor erbyn hyn.\n\nThe road has now reopened.");
    sample.broadcast.kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ADVICE;
    expect_one(&sample, X, END, NULL,
               "DAETH I BEN: A55 ar gau rhwng cyffyrdd 11 a 12\n\n"
               "ENDED: A55 closed between junctions 11 and 12");
}

static void says_the_end_in_the_authors_words(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.says_ended = 1;
    sample.cy.ended = (char *)"Mae'r A55 ar agor. Diolch.";
    sample.en.ended = (char *)"The A55 is open. Thank you.";
    expect_one(&sample, X, END, NULL, "Mae'r A55 ar agor. Diolch.\n\nThe A55 is open. Thank you.");
}

static void says_that_it_is_over_however_long_the_headline_is(void **state)
{
    (void)state;
    struct sample sample;
    char headline[400];
    memset(headline, 'a', sizeof headline - 1);
    headline[sizeof headline - 1] = '\0';
    static const Desg__V1__BroadcastAction actions[] = { CANCEL, END };
    for (int kind = 1; kind <= 4; kind++)
        for (size_t i = 0; i < 4; i++) {
            sample_init(&sample);
            sample.broadcast.kind = (Desg__V1__BroadcastKind)kind;
            sample.broadcast.says_ended = i >= 2;
            sample.en.headline = sample.cy.headline = headline;
            sample.en.ended = sample.cy.ended = i == 3 ? headline : (char *)"";
            sample.broadcast.road = headline;
            sample.outlets[X].characters_max = 140;
            struct broadcast_posts posts = post(&sample, X, actions[i % 2]);
            for (size_t j = 0; j < posts.count; j++)
                assert_true(text_length(posts.posts[j].text, TEXT_X_WEIGHTED) <= 140);
            broadcast_posts_free(&posts);
        }
}

static void refuses_what_is_too_long(void **state)
{
    (void)state;
    struct sample sample;
    struct broadcast_posts posts = { .count = 77 };
    struct error err = { 0 };
    char text[600];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sample_init(&sample);
    sample.en.text = text;
    assert_int_equal(broadcast_posts(&sample.outlets[X], &sample.broadcast, POST, &posts, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(posts.count, 77); /* untouched */
    assert_int_equal(broadcast_posts(&sample.outlets[TOOT], &sample.broadcast, POST, &posts, &err),
                     -1);
    assert_non_null(strstr(err.text, "outlet 'toot': English is"));
    sample.outlets[PAGE].characters_max = 300;
    sample.broadcast.may_thread = 1; /* a page has none */
    assert_int_equal(broadcast_posts(&sample.outlets[PAGE], &sample.broadcast, POST, &posts, &err),
                     -1);
    assert_null(strstr(err.text, "thread"));
}

static void makes_a_thread_of_a_long_one(void **state)
{
    (void)state;
    struct sample sample;
    char text[700];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "Mae'r ffordd ar gau. "[i % 21];
    text[sizeof text - 1] = '\0';
    sample_init(&sample);
    sample.cy.text = text;
    sample.broadcast.may_thread = 1;
    struct broadcast_posts posts = post(&sample, X, POST);
    assert_true(posts.count >= 4);
    for (size_t i = 0; i < posts.count; i++) {
        assert_int_equal(posts.posts[i].is_reply, i > 0);
        assert_string_equal(posts.posts[i].language, i + 1 < posts.count ? "cy" : "en");
        assert_true(text_length(posts.posts[i].text, TEXT_X_WEIGHTED) <= 280);
    }
    broadcast_posts_free(&posts);
    posts = post(&sample, TOOT, POST); /* a thread in each language */
    assert_int_equal(posts.count, 3);
    assert_false(posts.posts[0].is_reply);
    assert_true(posts.posts[1].is_reply);
    assert_false(posts.posts[2].is_reply);
    broadcast_posts_free(&posts);
}

static void writes_the_same_document_for_a_subscriber_each_time(void **state)
{
    (void)state;
    struct sample sample;
    static uint8_t id[16] = { 0xAB };
    sample_init(&sample);
    sample.broadcast.id = (ProtobufCBinaryData){ sizeof id, id };
    sample.broadcast.author = (char *)"comms-1";
    sample.broadcast.incident = (char *)"20260211-0123";
    sample.broadcast.welsh_owed = &sample.owed;
    struct broadcast_posts one = post(&sample, COUNCIL, CANCEL);
    struct broadcast_posts other = post(&sample, COUNCIL, CANCEL);
    assert_int_equal(one.count, 1);
    assert_null(one.posts[0].language);
    assert_string_equal(one.posts[0].text, other.posts[0].text);
    json_t *document = json_loads(one.posts[0].text, 0, NULL);
    assert_non_null(document);
    assert_string_equal(json_string_value(json_object_get(document, "action")), "cancel");
    const json_t *broadcast = json_object_get(document, "broadcast");
    assert_string_equal(json_string_value(json_object_get(broadcast, "id")),
                        "ab000000000000000000000000000000");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(broadcast, "cy"), "headline")),
        sample.cy.headline);
    static const char *const ours[] = { "author", "incident", "outlets", "welsh_owed",
                                        "may_thread" };
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        assert_null(json_object_get(broadcast, ours[i]));
    json_decref(document);
    broadcast_posts_free(&one);
    broadcast_posts_free(&other);
}

static void posts_nothing_to_the_feed(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    struct broadcast_posts posts = post(&sample, FEED, POST);
    assert_int_equal(posts.count, 0);
    broadcast_posts_free(&posts);
}

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void previews_what_will_be_posted(void **state)
{
    (void)state;
    struct sample sample;
    char text[300];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sample_init(&sample);
    sample.en.text = text;
    sample.names[5] = (char *)"elsewhere";
    json_t *preview = broadcast_preview(&sample.config, &sample.broadcast);
    assert_int_equal(json_array_size(preview), 6);
    for (size_t i = 0; i < 6; i++) {
        const json_t *row = json_array_get(preview, i);
        static const size_t posts[] = { 1, 0, 2, 1, 0, 0 };
        assert_string_equal(member(row, "outlet"), sample.names[i]);
        assert_int_equal(json_array_size(json_object_get(row, "posts")), posts[i]);
        assert_int_equal(member(row, "problem") != NULL, i == 1 || i == 5);
    }
    assert_non_null(strstr(member(json_array_get(preview, 1), "problem"), "may be 280"));
    assert_non_null(strstr(member(json_array_get(preview, 5), "problem"), "configuration"));
    const json_t *toot = json_array_get(json_object_get(json_array_get(preview, 2), "posts"), 0);
    assert_string_equal(member(toot, "language"), "cy");
    assert_int_equal(json_integer_value(json_object_get(toot, "max")), 500);
    assert_int_equal(json_integer_value(json_object_get(toot, "length")),
                     text_length(member(toot, "text"), TEXT_MASTODON));
    json_decref(preview);
}

static void takes_the_instances_own_limit(void **state)
{
    (void)state;
    struct sample sample;
    struct broadcast_posts posts;
    struct error err = { 0 };
    sample_init(&sample);
    sample.outlets[TOOT].characters_max = 140;
    posts = post(&sample, TOOT, POST);
    broadcast_posts_free(&posts);
    sample.cy.text = (char *)"Mae lori wedi troi drosodd ac mae'r ffordd ar gau i'r ddau gyfeiriad "
                             "tan y bore.";
    assert_int_equal(broadcast_posts(&sample.outlets[TOOT], &sample.broadcast, POST, &posts, &err),
                     -1);
    sample.outlets[TOOT].characters_max = 1000;
    posts = post(&sample, TOOT, POST);
    broadcast_posts_free(&posts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_welsh_first_in_one_post),
        cmocka_unit_test(says_where_there_is_room),
        cmocka_unit_test(posts_once_in_each_language_where_posts_have_one),
        cmocka_unit_test(posts_one_language_alone_where_asked),
        cmocka_unit_test(says_that_the_welsh_follows),
        cmocka_unit_test(marks_an_update),
        cmocka_unit_test(marks_what_is_cancelled),
        cmocka_unit_test(names_nobody_when_an_appeal_is_withdrawn),
        cmocka_unit_test(gives_a_subscriber_what_is_said_of_an_appeal_that_is_over),
        cmocka_unit_test(says_that_the_road_is_open_only_if_asked),
        cmocka_unit_test(says_the_end_in_the_authors_words),
        cmocka_unit_test(says_that_it_is_over_however_long_the_headline_is),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(makes_a_thread_of_a_long_one),
        cmocka_unit_test(writes_the_same_document_for_a_subscriber_each_time),
        cmocka_unit_test(posts_nothing_to_the_feed),
        cmocka_unit_test(previews_what_will_be_posted),
        cmocka_unit_test(takes_the_instances_own_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
