/* What is said in public on Facebook and Instagram. */
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define FEED(value)                                                                                \
    "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":1770833000,\"changes\":[{\"field\":" \
    "\"feed\",\"value\":{" value "}}]}]}"
#define FROM    "\"from\":{\"id\":\"6244\",\"name\":\"A. Tester\"},"
#define COMMENT "\"post_id\":\"108_222\",\"comment_id\":\"222_333\",\"created_time\":1770832999,"

static void tells_the_feed(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "a comment",
          FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"add\",\"parent_id\":\"108_222\","
                            "\"message\":\"Is the road open now?\""),
          "COMMENT facebook/108 person=6244 name=A. Tester object=222_333 target=108_222 "
          "at=1770832999000 as=feed.comment public \"Is the road open now?\"\n" },
        { "edited",
          FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"edited\",\"message\":\"Is it?\""),
          "EDIT facebook/108 person=6244 name=A. Tester object=222_333 target=222_333 "
          "at=1770832999000 as=feed.comment public \"Is it?\"\n" },
        { "removed", FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"remove\""),
          "UNSEND facebook/108 person=6244 name=A. Tester object=222_333 target=222_333 "
          "at=1770832999000 as=feed.comment public\n" },
        { "hidden by an agent", FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"hide\""),
          "skipped 1\n" },
        { "author hidden by privacy",
          FEED(COMMENT "\"item\":\"comment\",\"verb\":\"add\",\"message\":\"help\""),
          "COMMENT facebook/108 object=222_333 target=108_222 at=1770832999000 as=feed.comment "
          "public \"help\"\n" },
        { "our own comment",
          FEED("\"from\":{\"id\":\"108\"}," COMMENT "\"item\":\"comment\",\"verb\":\"add\""),
          "skipped 1\n" },
        { "a visitor's post with a picture",
          FEED(FROM "\"item\":\"photo\",\"verb\":\"add\",\"post_id\":\"108_5\",\"published\":1,"
                    "\"photo\":\"https://cdn.example/p\",\"created_time\":1770832998,\"message\":"
                    "\"Tree down\""),
          "MENTION facebook/108 person=6244 name=A. Tester object=108_5 at=1770832998000 "
          "as=feed.photo public +photo(https://cdn.example/p) \"Tree down\"\n" },
        { "a like", FEED(FROM "\"item\":\"reaction\",\"verb\":\"add\",\"reaction_type\":\"like\""),
          "skipped 1\n" },
        { "an item nobody knows",
          FEED(FROM "\"item\":\"hologram\",\"verb\":\"add\","
                    "\"post_id\":\"1\""),
          "UNKNOWN facebook/108 as=feed raw\n" },
        { "a verb nobody knows", FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"sing\""),
          "UNKNOWN facebook/108 person=6244 name=A. Tester object=222_333 target=222_333 "
          "at=1770832999000 as=feed.comment public raw\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void tells_mentions_and_instagram_comments(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "mention in a post",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"changes\":[{\"field\":\"mention\","
          "\"value\":{\"item\":\"post\",\"verb\":\"add\",\"post_id\":\"77_1\",\"sender_id\":"
          "\"6244\","
          "\"sender_name\":\"A. Tester\",\"message\":\"@force help\"}}]}]}",
          "MENTION facebook/108 person=6244 name=A. Tester object=77_1 as=mention.post public "
          "\"@force help\"\n" },
        { "mention with a post id only",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"changes\":[{\"field\":\"mention\","
          "\"value\":{\"post_id\":\"77_2\"}}]}]}",
          "MENTION facebook/108 object=77_2 as=mention public\n" },
        { "Instagram comment",
          "{\"object\":\"instagram\",\"entry\":[{\"id\":\"178\",\"time\":1770833000,\"changes\":[{"
          "\"field\":\"comments\",\"value\":{\"id\":\"c1\",\"from\":{\"id\":\"99\",\"username\":"
          "\"tester\"},\"text\":\"ble mae o?\",\"media\":{\"id\":\"md1\",\"media_product_type\":"
          "\"FEED\"}}}]}]}",
          "COMMENT instagram/178 person=99 handle=tester object=c1 target=md1 as=comments public "
          "\"ble mae o?\"\n" },
        { "Instagram comment, the change being the entry",
          "{\"object\":\"instagram\",\"entry\":[{\"id\":\"178\",\"time\":1770833000,\"field\":"
          "\"comments\",\"value\":{\"id\":\"c1\",\"from\":{\"id\":\"99\",\"username\":\"tester\"},"
          "\"text\":\"a\",\"media\":{\"id\":\"md1\"},\"parent_id\":\"c0\"}}]}",
          "COMMENT instagram/178 person=99 handle=tester object=c1 target=c0 as=comments public "
          "\"a\"\n" },
        { "our own",
          "{\"object\":\"instagram\",\"entry\":[{\"id\":\"178\",\"changes\":[{\"field\":"
          "\"comments\","
          "\"value\":{\"id\":\"c2\",\"from\":{\"id\":\"178\"},\"text\":\"a\"}}]}]}",
          "skipped 1\n" },
        { "Instagram mention",
          "{\"object\":\"instagram\",\"entry\":[{\"id\":\"178\",\"changes\":[{\"field\":"
          "\"mentions\","
          "\"value\":{\"media_id\":\"m9\",\"comment_id\":\"c9\"}}]}]}",
          "MENTION instagram/178 object=c9 as=mentions public\n" },
        { "a value that is none",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"changes\":[{\"field\":\"feed\","
          "\"value\":null},5]}]}",
          "UNKNOWN facebook/108 as=feed raw\nUNKNOWN facebook/108 as=change raw\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void conversations_hang_under_the_post(void **state)
{
    (void)state;
    struct told one = tell("meta", FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"add\""));
    struct told same_post =
        tell("meta", FEED(FROM "\"post_id\":\"108_222\",\"comment_id\":\"222_444\",\"item\":"
                               "\"comment\",\"verb\":\"add\""));
    struct told other_post =
        tell("meta", FEED(FROM "\"post_id\":\"108_9\",\"comment_id\":\"9_1\",\"item\":\"comment\","
                               "\"verb\":\"add\""));
    struct told removed =
        tell("meta", FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"remove\""));
    const void *conversation = one.events[0]->conversation_id.data;
    assert_memory_equal(same_post.events[0]->conversation_id.data, conversation, ID_BYTES);
    assert_memory_equal(removed.events[0]->conversation_id.data, conversation, ID_BYTES);
    assert_memory_not_equal(other_post.events[0]->conversation_id.data, conversation, ID_BYTES);
    told_clear(&one);
    told_clear(&same_post);
    told_clear(&other_post);
    told_clear(&removed);
}

static void hidden_authors_are_not_one_person(void **state)
{
    (void)state;
    struct told one = tell("meta", FEED(COMMENT "\"item\":\"comment\",\"verb\":\"add\""));
    struct told other = tell("meta", FEED("\"post_id\":\"108_222\",\"comment_id\":\"222_9\","
                                          "\"item\":\"comment\",\"verb\":\"add\""));
    struct told edit =
        tell("meta", FEED(COMMENT "\"item\":\"comment\",\"verb\":\"edit\",\"message\":\"x\""));
    const void *conversation = one.events[0]->conversation_id.data;
    assert_memory_not_equal(other.events[0]->conversation_id.data, conversation, ID_BYTES);
    assert_memory_equal(edit.events[0]->conversation_id.data, conversation, ID_BYTES);
    told_clear(&one);
    told_clear(&other);
    told_clear(&edit);
}

static void two_edits_are_two_events(void **state)
{
    (void)state;
    struct told first =
        tell("meta", FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"edit\",\"message\":\"a\""));
    struct told second =
        tell("meta", FEED(FROM COMMENT "\"item\":\"comment\",\"verb\":\"edit\",\"message\":\"b\""));
    assert_memory_not_equal(&first.split.events[0].id, &second.split.events[0].id, ID_BYTES);
    told_clear(&first);
    told_clear(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_feed),
        cmocka_unit_test(tells_mentions_and_instagram_comments),
        cmocka_unit_test(conversations_hang_under_the_post),
        cmocka_unit_test(hidden_authors_are_not_one_person),
        cmocka_unit_test(two_edits_are_two_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
