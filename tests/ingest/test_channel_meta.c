/* Messenger and Instagram: every kind of messaging event, and what is the same after a retry. */
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* One messaging event in its envelope. */
#define PAGE(event)                                                                                \
    "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":1770832921123,\"messaging\":["       \
    "{\"sender\":{\"id\":\"62\"},\"recipient\":{\"id\":\"108\"},\"timestamp\":"                    \
    "1770832920874," event "}]}]}"
#define STANDBY(event)                                                                             \
    "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":1770832921123,\"standby\":["         \
    "{\"sender\":{\"id\":\"62\"},\"recipient\":{\"id\":\"108\"},\"timestamp\":"                    \
    "1770832920874," event "}]}]}"
#define INSTAGRAM(event)                                                                           \
    "{\"object\":\"instagram\",\"entry\":[{\"id\":\"178\",\"time\":1770833100000,\"messaging\":["  \
    "{\"sender\":{\"id\":\"99\"},\"recipient\":{\"id\":\"178\"},\"timestamp\":"                    \
    "1770833099000," event "}]}]}"

static void tells_messages(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "a text with escapes",
          PAGE("\"message\":{\"mid\":\"m_1\",\"text\":\"d\\u0175r ar yr A55 \\ud83c\\udf0a\"}"),
          "MESSAGE facebook/108 person=62 object=m_1 at=1770832920874 as=message \"dŵr ar yr A55 "
          "🌊\"\n" },
        { "quick reply, and an answer to an earlier message",
          PAGE("\"message\":{\"mid\":\"m_2\",\"text\":\"Yes\",\"quick_reply\":{\"payload\":\"Y\"},"
               "\"reply_to\":{\"mid\":\"m_1\",\"is_self_reply\":false}}"),
          "MESSAGE facebook/108 person=62 object=m_2 target=m_1 at=1770832920874 as=quick_reply "
          "\"Yes\"\n" },
        { "picture and shared link with null payload",
          PAGE("\"message\":{\"mid\":\"m_3\",\"attachments\":[{\"type\":\"image\",\"payload\":"
               "{\"url\":\"https://cdn.example/a.jpg?sig=1\"}},{\"type\":\"fallback\",\"payload\":"
               "null,\"title\":\"News\",\"url\":\"https://news.example/x\"}]}"),
          "MESSAGE facebook/108 person=62 object=m_3 at=1770832920874 as=message "
          "+image(https://cdn.example/a.jpg?sig=1) +fallback(https://news.example/xNews)\n" },
        { "sticker, its id a number",
          PAGE("\"message\":{\"mid\":\"m_4\",\"attachments\":[{\"type\":\"sticker\",\"payload\":"
               "{\"url\":\"https://cdn.example/s\",\"sticker_id\":369239263222822}}]}"),
          "MESSAGE facebook/108 person=62 object=m_4 at=1770832920874 as=message "
          "+sticker(https://cdn.example/s369239263222822)\n" },
        { "older location",
          PAGE("\"message\":{\"mid\":\"m_5\",\"attachments\":[{\"title\":\"Pin\",\"url\":\"https://"
               "maps.example/p\",\"type\":\"location\",\"payload\":{\"coordinates\":{\"lat\":51.6,"
               "\"long\":-3.1}}}]}"),
          "MESSAGE facebook/108 person=62 object=m_5 at=1770832920874 as=message place=51.600000, "
          "-3.100000 +location(https://maps.example/pPin)\n" },
        { "neither text nor attachment: somebody must look",
          PAGE("\"message\":{\"mid\":\"m_6\",\"new_thing\":{\"a\":1}}"),
          "UNKNOWN facebook/108 person=62 object=m_6 at=1770832920874 as=message raw\n" },
        { "unknown keys beside it do no harm",
          PAGE("\"hop_context\":[],\"message\":{\"mid\":\"m_7\",\"seq\":12,\"text\":\"a\","
               "\"nlp\":{}}"),
          "MESSAGE facebook/108 person=62 object=m_7 at=1770832920874 as=message \"a\"\n" },
        { "checkbox plugin: user_ref instead of id, time as text of seconds",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":\"1770832921\",\"messaging\":[{"
          "\"sender\":{\"user_ref\":\"ref-5\"},\"recipient\":{\"id\":\"108\"},\"timestamp\":"
          "\"1770832920\",\"message\":{\"mid\":\"m_8\",\"text\":\"a\"}}]}]}",
          "MESSAGE facebook/108 person=ref-5 object=m_8 at=1770832920000 as=message \"a\"\n" },
        { "another app holds the thread", STANDBY("\"message\":{\"mid\":\"m_9\",\"text\":\"a\"}"),
          "MESSAGE facebook/108 person=62 object=m_9 at=1770832920874 as=message standby \"a\"\n" },
        { "no mid", PAGE("\"message\":{\"text\":\"a\"}"),
          "MESSAGE facebook/108 person=62 at=1770832920874 as=message \"a\"\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

/* What the Page itself wrote, through another program. */
#define ECHO(metadata)                                                                             \
    "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":1,\"messaging\":[{\"sender\":"       \
    "{\"id\":\"108\"},\"recipient\":{\"id\":\"62\"},\"timestamp\":1770832920874,\"message\":"      \
    "{\"is_echo\":true,\"metadata\":" metadata ",\"mid\":\"m_e\",\"text\":\"Diolch\"}}]}]}"
#define ECHO_TOLD                                                                                  \
    "ECHO facebook/108 person=62 object=m_e at=1770832920874 as=message_echo \"Diolch\"\n"

static void tells_what_happens_to_messages(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "edit, its count a number",
          PAGE("\"message_edit\":{\"mid\":\"m_1\",\"text\":\"new\",\"num_edit\":2}"),
          "EDIT facebook/108 person=62 object=m_1 target=m_1 edit=2 at=1770832920874 \"new\"\n" },
        { "edit, its count a text",
          PAGE("\"message_edit\":{\"mid\":\"m_1\",\"text\":\"new\",\"num_edit\":\"2\"}"),
          "EDIT facebook/108 person=62 object=m_1 target=m_1 edit=2 at=1770832920874 \"new\"\n" },
        { "reaction put on",
          PAGE("\"reaction\":{\"reaction\":\"love\",\"emoji\":\"\\u2764\",\"action\":\"react\","
               "\"mid\":\"m_1\"}"),
          "REACTION facebook/108 person=62 target=m_1 at=1770832920874 reaction=❤\n" },
        { "reaction taken off", PAGE("\"reaction\":{\"action\":\"unreact\",\"mid\":\"m_1\"}"),
          "REACTION facebook/108 person=62 target=m_1 at=1770832920874\n" },
        { "reaction by name only",
          PAGE("\"reaction\":{\"reaction\":\"sad\",\"action\":\"react\",\"mid\":\"m_1\"}"),
          "REACTION facebook/108 person=62 target=m_1 at=1770832920874 reaction=sad\n" },
        { "postback", PAGE("\"postback\":{\"mid\":\"m_p\",\"title\":\"Start\",\"payload\":\"GO\"}"),
          "POSTBACK facebook/108 person=62 object=m_p at=1770832920874 \"Start\"\n" },
        { "standby postback lacks payload", STANDBY("\"postback\":{\"title\":\"Start\"}"),
          "POSTBACK facebook/108 person=62 at=1770832920874 standby \"Start\"\n" },
        { "read", PAGE("\"read\":{\"watermark\":1770832920000,\"seq\":38}"),
          "READ facebook/108 person=62 at=1770832920000\n" },
        { "echo of our own, with our mark",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":1,\"messaging\":[{\"sender\":"
          "{\"id\":\"108\"},\"recipient\":{\"id\":\"62\"},\"timestamp\":1770832920874,\"message\":"
          "{\"is_echo\":true,\"app_id\":26390203743090,\"metadata\":\"desk:0f1e/"
          "0\",\"mid\":\"m_e\","
          "\"text\":\"Diolch\",\"attachments\":[{\"type\":\"image\",\"payload\":{\"url\":\"u\","
          "\"attachment_id\":5}}]}}]}]}",
          "ECHO facebook/108 person=62 object=m_e at=1770832920874 as=message_echo ref=desk:0f1e/0 "
          "+image(u) \"Diolch\"\n" },
        { "echo of another program, with what it put there", ECHO("\"reply-7\""), ECHO_TOLD },
        { "echo with a mark longer than any of ours",
          ECHO("\"desk:0123456789012345678901234567890123456789012345678901234567890123456789\""),
          ECHO_TOLD },
        { "echo whose mark is no text", ECHO("{\"desk:\":1}"), ECHO_TOLD },
        { "delivery receipt, mids absent, timestamp absent",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"messaging\":[{\"sender\":{\"id\":"
          "\"62\"},\"recipient\":{\"id\":\"108\"},\"delivery\":{\"watermark\":1}}]}]}",
          "skipped 1\n" },
        { "referral", PAGE("\"referral\":{\"ref\":\"x\",\"source\":\"SHORTLINK\"}"),
          "skipped 1\n" },
        { "opt-in", PAGE("\"optin\":{\"type\":\"one_time_notif_req\"}"), "skipped 1\n" },
        { "thread handed to us",
          PAGE("\"pass_thread_control\":{\"new_owner_app_id\":\"123\",\"metadata\":\"m\"}"),
          "NOTICE facebook/108 person=62 at=1770832920874 as=pass_thread_control "
          "\"pass_thread_control: app 123\"\n" },
        { "policy enforcement has no sender",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"messaging\":[{\"recipient\":{\"id\":"
          "\"108\"},\"timestamp\":1770832920874,\"policy_enforcement\":{\"action\":\"block\","
          "\"reason\":\"spam\"}}]}]}",
          "NOTICE facebook/108 at=1770832920874 as=policy_enforcement \"block: spam\"\n" },
        { "a kind nobody knows yet", PAGE("\"hologram\":{\"id\":7}"),
          "UNKNOWN facebook/108 person=62 as=messaging raw\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

#undef ECHO
#undef ECHO_TOLD

static void tells_instagram(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "unsent", INSTAGRAM("\"message\":{\"mid\":\"aWdf1\",\"is_deleted\":true}"),
          "UNSEND instagram/178 person=99 object=aWdf1 target=aWdf1 at=1770833099000\n" },
        { "story mention",
          INSTAGRAM("\"message\":{\"mid\":\"s1\",\"attachments\":[{\"type\":\"story_mention\","
                    "\"payload\":{\"url\":\"https://cdn.example/s\"}}]}"),
          "MESSAGE instagram/178 person=99 object=s1 at=1770833099000 as=message "
          "+story_mention(https://cdn.example/s)\n" },
        { "story reply",
          INSTAGRAM(
              "\"message\":{\"mid\":\"s2\",\"text\":\"help\",\"reply_to\":{\"story\":{\"url\":"
              "\"https://cdn.example/t\",\"id\":\"178x\"}}}"),
          "MESSAGE instagram/178 person=99 object=s2 at=1770833099000 as=message "
          "+story_reply(https://cdn.example/t178x) \"help\"\n" },
        { "heart without payload",
          INSTAGRAM("\"message\":{\"mid\":\"s3\",\"attachments\":[{\"type\":\"like_heart\"}]}"),
          "MESSAGE instagram/178 person=99 object=s3 at=1770833099000 as=message +like_heart()\n" },
        { "media the platform will not show",
          INSTAGRAM("\"message\":{\"mid\":\"s4\",\"is_unsupported\":true}"),
          "UNKNOWN instagram/178 person=99 object=s4 at=1770833099000 as=unsupported raw\n" },
        { "seen names a message", INSTAGRAM("\"read\":{\"mid\":\"s2\"}"),
          "READ instagram/178 person=99 target=s2 at=1770833099000\n" },
        { "echo under the messages field",
          "{\"object\":\"instagram\",\"entry\":[{\"id\":\"178\",\"messaging\":[{\"sender\":{\"id\":"
          "\"178\"},\"recipient\":{\"id\":\"99\"},\"timestamp\":1770833099000,\"message\":{\"mid\":"
          "\"e\",\"text\":\"a\",\"is_echo\":true}}]}]}",
          "ECHO instagram/178 person=99 object=e at=1770833099000 as=message_echo \"a\"\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void tells_odd_envelopes(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "no entries", "{\"object\":\"page\",\"entry\":[]}", "skipped 1\n" },
        { "an entry with nothing", "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":1}]}",
          "skipped 1\n" },
        { "an entry that is none", "{\"object\":\"page\",\"entry\":[7]}",
          "UNKNOWN facebook/ as=entry raw\n" },
        { "a messaging event that is none",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"messaging\":[null,\"x\"]}]}",
          "UNKNOWN facebook/108 as=messaging raw\nUNKNOWN facebook/108 as=messaging raw\n" },
        { "entry is no list", "{\"object\":\"page\",\"entry\":{}}",
          "UNKNOWN facebook/ as=envelope raw\n" },
        { "an object nobody subscribed to", "{\"object\":\"permissions\",\"entry\":[{}]}",
          "UNKNOWN facebook/ as=permissions raw\n" },
        { "another shape altogether", "{\"hello\":[1,2]}", "UNKNOWN facebook/ as=object raw\n" },
        { "the dashboard's Test button",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"0\",\"time\":1770833000,\"changes\":[{"
          "\"field\":"
          "\"messages\",\"value\":{\"sender\":{\"id\":\"12334\"},\"recipient\":{\"id\":\"23245\"},"
          "\"timestamp\":\"1527459824\",\"message\":{\"mid\":\"test_message_id\",\"text\":"
          "\"test_message\"}}}]}]}",
          "MESSAGE facebook/0 person=12334 object=test_message_id at=1527459824000 as=message "
          "\"test_message\"\n" },
        { "a field nobody knows",
          "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"changes\":[{\"field\":\"leadgen\","
          "\"value\":{\"leadgen_id\":1}}]}]}",
          "UNKNOWN facebook/108 as=leadgen raw\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void tells_every_event_of_a_batch(void **state)
{
    (void)state;
    static const char body[] =
        "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"messaging\":[{\"sender\":{\"id\":\"62\"}"
        ","
        "\"message\":{\"mid\":\"a\",\"text\":\"1\"}},{\"sender\":{\"id\":\"63\"},\"delivery\":{}},"
        "{\"sender\":{\"id\":\"63\"},\"message\":{\"mid\":\"b\",\"text\":\"2\"}}]},{\"id\":\"109\","
        "\"standby\":[{\"sender\":{\"id\":\"62\"},\"message\":{\"mid\":\"c\",\"text\":\"3\"}}]}]}";
    const struct split_case all = { "two entries", body,
                                    "MESSAGE facebook/108 person=62 object=a as=message \"1\"\n"
                                    "MESSAGE facebook/108 person=63 object=b as=message \"2\"\n"
                                    "MESSAGE facebook/109 person=62 object=c as=message standby "
                                    "\"3\"\nskipped 1\n" };
    assert_splits("meta", &all, 1);
}

static void gives_the_same_ids_when_batched_anew(void **state)
{
    (void)state;
    struct told together =
        tell("meta", "{\"object\":\"page\",\"entry\":[{\"id\":\"108\",\"time\":1770832921123,"
                     "\"messaging\":[{\"sender\":{\"id\":\"62\"},\"timestamp\":1770832920874,"
                     "\"message\":{\"mid\":\"a\",\"text\":\"1\"}},{\"sender\":{\"id\":\"62\"},"
                     "\"timestamp\":1770832920875,\"message\":{\"text\":\"no mid\"}}]}]}");
    struct told alone = tell(
        "meta", "{\"entry\":[{\"messaging\":[{\"message\":{\"text\":\"no mid\"},\"timestamp\":"
                "1770832920875,\"sender\":{\"id\":\"62\"}}],\"time\":1770832999999,\"id\":"
                "\"108\"},{\"id\":\"108\",\"time\":5,\"messaging\":[{\"message\":{\"text\":"
                "\"1\",\"mid\":\"a\"},\"sender\":{\"id\":\"62\"},\"timestamp\":1770832920874}]}"
                "],\"object\":\"page\"}");
    assert_int_equal(together.count, 2);
    assert_int_equal(alone.count, 2);
    assert_memory_equal(&together.split.events[0].id, &alone.split.events[1].id, ID_BYTES);
    assert_memory_equal(&together.split.events[1].id, &alone.split.events[0].id, ID_BYTES);
    assert_memory_not_equal(&together.split.events[0].id, &together.split.events[1].id, ID_BYTES);
    assert_memory_equal(together.events[0]->conversation_id.data,
                        alone.events[0]->conversation_id.data, ID_BYTES);
    told_clear(&together);
    told_clear(&alone);
}

static void gives_different_things_different_ids(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        PAGE("\"message\":{\"mid\":\"m\",\"text\":\"a\"}"),
        INSTAGRAM("\"message\":{\"mid\":\"m\",\"text\":\"a\"}"),
        PAGE("\"message\":{\"mid\":\"M\",\"text\":\"a\"}"), /* ids are case-sensitive */
        PAGE("\"message_edit\":{\"mid\":\"m\",\"text\":\"a\",\"num_edit\":1}"),
        PAGE("\"message_edit\":{\"mid\":\"m\",\"text\":\"a\",\"num_edit\":2}"),
        PAGE("\"message\":{\"mid\":\"m\",\"is_deleted\":true}"),
        PAGE("\"reaction\":{\"mid\":\"m\",\"action\":\"react\",\"emoji\":\"x\"}"),
        PAGE("\"reaction\":{\"mid\":\"m\",\"action\":\"unreact\",\"emoji\":\"x\"}"),
        PAGE("\"read\":{\"watermark\":1770832920000}"),
        PAGE("\"read\":{\"watermark\":1770832920001}"),
        "{\"object\":\"page\",\"entry\":[{\"id\":\"109\",\"messaging\":[{\"sender\":{\"id\":\"62\"}"
        ","
        "\"message\":{\"mid\":\"m\",\"text\":\"a\"}}]}]}",
    };
    struct told told[COUNT(bodies)];
    for (size_t i = 0; i < COUNT(bodies); i++) {
        told[i] = tell("meta", bodies[i]);
        assert_int_equal(told[i].count, 1);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&told[i].split.events[0].id, &told[j].split.events[0].id,
                                    ID_BYTES);
    }
    for (size_t i = 0; i < COUNT(bodies); i++)
        told_clear(&told[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_messages),
        cmocka_unit_test(tells_what_happens_to_messages),
        cmocka_unit_test(tells_instagram),
        cmocka_unit_test(tells_odd_envelopes),
        cmocka_unit_test(tells_every_event_of_a_batch),
        cmocka_unit_test(gives_the_same_ids_when_batched_anew),
        cmocka_unit_test(gives_different_things_different_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
