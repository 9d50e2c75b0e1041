/* X: both envelopes. */
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define DM(id, from, to, text)                                                                     \
    "{\"type\":\"message_create\",\"id\":\"" id "\",\"created_timestamp\":\"1770833400123\","      \
    "\"message_create\":{\"target\":{\"recipient_id\":\"" to "\"},\"sender_id\":\"" from "\","     \
    "\"message_data\":{\"text\":\"" text "\",\"entities\":{\"urls\":[]}}}}"
#define CLASSIC(part) "{\"for_user_id\":\"3001\"," part "}"
#define ACTIVITY(type, payload)                                                                    \
    "{\"data\":{\"event_uuid\":\"-41\",\"filter\":{\"user_id\":\"3001\"},\"event_type\":\"" type   \
    "\",\"tag\":\"t\",\"payload\":{" payload "}}}"
#define POST(id, author, more)                                                                     \
    "{\"created_at\":\"Wed Feb 11 17:42:00 +0000 2026\",\"id\":" id ",\"id_str\":\"" id            \
    "\",\"user\":{\"id_str\":\"" author "\",\"name\":\"Bob\",\"screen_name\":\"bob_x\"}" more "}"

static void tells_the_classic_body(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "a direct message, its author named in the map",
          CLASSIC("\"direct_message_events\":[" DM(
              "19001", "4002", "3001", "Help") "],\"users\":{"
                                               "\"4002\":{\"id\":\"4002\",\"name\":\"Bob\","
                                               "\"screen_name\":\"bob_x\"}},\"apps\":"
                                               "{}"),
          "MESSAGE x/3001 person=4002 name=Bob handle=bob_x object=19001 at=1770833400123 "
          "as=message_create \"Help\"\n" },
        { "our own comes back",
          CLASSIC("\"direct_message_events\":[" DM("19002", "3001", "4002", "Diolch") "]"),
          "ECHO x/3001 person=4002 object=19002 at=1770833400123 as=message_create \"Diolch\"\n" },
        { "media, its id a 64-bit number, and a link",
          CLASSIC(
              "\"direct_message_events\":[{\"type\":\"message_create\",\"id\":\"19003\","
              "\"created_timestamp\":\"1770833400123\",\"message_create\":{\"target\":{"
              "\"recipient_id\":\"3001\"},\"sender_id\":\"4002\",\"message_data\":{\"text\":"
              "\" https://t.co/a\",\"entities\":{\"urls\":[{\"url\":\"https://t.co/a\","
              "\"expanded_url\":\"https://example.org/x\"}]},\"attachment\":{\"type\":\"media\","
              "\"media\":{\"id\":1900000000000000003,\"type\":\"photo\",\"media_url_https\":"
              "\"https://ton.example/x\"}}}}}]"),
          "MESSAGE x/3001 person=4002 object=19003 at=1770833400123 as=message_create "
          "+photo(https://ton.example/x1900000000000000003) +link(https://example.org/x) \" "
          "https://t.co/a\"\n" },
        { "a mention",
          CLASSIC("\"user_has_blocked\":\"false\",\"tweet_create_events\":[" POST(
              "21001", "4002", ",\"text\":\"@force a &lt;b&gt; &amp; c\",\"lang\":\"en\"") "]"),
          "MENTION x/3001 person=4002 name=Bob handle=bob_x object=21001 at=1770831720000 as=post "
          "language=en public \"@force a <b> & c\"\n" },
        { "a long reply is told in full",
          CLASSIC("\"tweet_create_events\":[" POST(
              "21002", "4002",
              ",\"text\":\"short\",\"truncated\":true,\"extended_tweet\":{"
              "\"full_text\":\"all of it\"},\"in_reply_to_status_id_str\":"
              "\"20000\"") "]"),
          "MENTION x/3001 person=4002 name=Bob handle=bob_x object=21002 target=20000 "
          "at=1770831720000 as=post public \"all of it\"\n" },
        { "repost and own post",
          CLASSIC("\"tweet_create_events\":[" POST(
              "21003", "4002", ",\"retweeted_status\":{}") "," POST("21004", "3001", "") "]"),
          "skipped 2\n" },
        { "somebody deletes a post",
          CLASSIC("\"tweet_delete_events\":[{\"status\":{\"id\":\"21001\",\"user_id\":\"4002\"},"
                  "\"timestamp_ms\":\"1770833500000\"}]"),
          "UNSEND x/3001 person=4002 object=21001 target=21001 at=1770833500000 as=post_delete "
          "public\n" },
        { "read, typing, likes, follows",
          CLASSIC(
              "\"direct_message_mark_read_events\":[{\"created_timestamp\":\"1770833500000\","
              "\"sender_id\":\"4002\",\"target\":{\"recipient_id\":\"3001\"},"
              "\"last_read_event_id\":\"19002\"}],\"direct_message_indicate_typing_events\":[{}],"
              "\"favorite_events\":[{}],\"follow_events\":[{}]"),
          "READ x/3001 person=4002 target=19002 at=1770833500000\nskipped 3\n" },
        { "access withdrawn",
          "{\"user_event\":{\"revoke\":{\"date_time\":\"2026-02-11T17:42:00.000Z\",\"source\":{"
          "\"user_id\":\"63046977\"}}}}",
          "NOTICE x/ as=revoke \"access withdrawn\"\n" },
        { "replay finished",
          "{\"replay_job_status\":{\"webhook_id\":\"1\",\"job_state\":\"Complete\",\"job_id\":"
          "\"2\"}}",
          "NOTICE x/ as=replay_job_status \"Complete\"\n" },
        { "an empty list", CLASSIC("\"tweet_create_events\":[]"), "skipped 1\n" },
        { "a list nobody knows", CLASSIC("\"hologram_events\":[{\"id\":1}]"),
          "UNKNOWN x/3001 as=hologram_events raw\n" },
        { "a direct message of another type",
          CLASSIC("\"direct_message_events\":[{\"type\":\"participants_join\",\"id\":\"5\"}]"),
          "UNKNOWN x/3001 as=direct_message raw\n" },
        { "an item that is none", CLASSIC("\"direct_message_events\":[3]"),
          "UNKNOWN x/3001 as=direct_message_events raw\n" },
        { "nothing at all", "{}", "UNKNOWN x/ as=envelope raw\n" },
    };
    assert_splits("x", cases, COUNT(cases));
}

static void tells_the_activity_envelope(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "a direct message, its author wrapped in data",
          ACTIVITY("dm.received",
                   "\"direct_message_events\":[" DM(
                       "20801", "4002", "3001",
                       "helo") "],\"users\":{\"4002\":{\"data\":{\"id\":\"4002\",\"username\":"
                               "\"bob_x\",\"name\":\"Bob\"}}}"),
          "MESSAGE x/3001 person=4002 name=Bob handle=bob_x object=20801 at=1770833400123 "
          "as=message_create \"helo\"\n" },
        { "our own",
          ACTIVITY("dm.sent", "\"direct_message_events\":[" DM("20802", "3001", "4002", "a") "]"),
          "ECHO x/3001 person=4002 object=20802 at=1770833400123 as=message_create \"a\"\n" },
        { "a mention",
          ACTIVITY("post.mention.create",
                   "\"id\":\"30001\",\"id_str\":\"30001\",\"text\":\"@force tree down\","
                   "\"author_id\":\"4002\",\"conversation_id\":\"30001\",\"created_at\":"
                   "\"2026-02-11T17:42:00.000Z\",\"lang\":\"en\",\"includes\":{\"users\":[{\"id\":"
                   "\"4002\",\"username\":\"bob_x\",\"name\":\"Bob\"}]}"),
          "MENTION x/3001 person=4002 name=Bob handle=bob_x object=30001 at=1770831720000 as=post "
          "language=en public \"@force tree down\"\n" },
        { "encrypted: a person must look",
          ACTIVITY("chat.received",
                   "\"id\":\"c1\",\"created_at_msec\":\"1770833400123\",\"sender_id\":\"4002\","
                   "\"conversation_id\":\"3001:4002\",\"encoded_event\":\"AAAA\""),
          "UNKNOWN x/3001 person=4002 object=c1 at=1770833400123 as=chat.received raw\n" },
        { "our own encrypted", ACTIVITY("chat.sent", "\"id\":\"c2\",\"sender_id\":\"3001\""),
          "skipped 1\n" },
        { "read",
          ACTIVITY("dm.read", "\"sender_id\":\"4002\",\"last_read_event_id\":\"20802\","
                              "\"created_timestamp\":\"1770833400123\""),
          "READ x/3001 person=4002 target=20802 at=1770833400123\n" },
        { "typing", ACTIVITY("dm.indicate_typing", "\"sender_id\":\"4002\""), "skipped 1\n" },
        { "a post deleted", ACTIVITY("post.delete", "\"id\":\"30001\",\"author_id\":\"4002\""),
          "UNSEND x/3001 person=4002 object=30001 target=30001 as=post_delete public\n" },
        { "access withdrawn, its filter empty",
          "{\"data\":{\"event_uuid\":\"1\",\"filter\":{},\"event_type\":\"oauth.revoke\","
          "\"payload\":"
          "{\"date_time\":\"2026-02-11T17:42:00Z\",\"user_id\":\"3001\",\"app_id\":\"7\"}}}",
          "NOTICE x/3001 at=1770831720000 as=oauth.revoke \"access withdrawn\"\n" },
        { "a type nobody knows", ACTIVITY("hologram.received", "\"id\":1"),
          "UNKNOWN x/3001 as=hologram.received raw\n" },
        { "no payload",
          "{\"data\":{\"event_uuid\":\"1\",\"event_type\":\"dm.received\",\"filter\":{\"user_id\":"
          "\"3001\"}}}",
          "UNKNOWN x/3001 as=dm.received raw\n" },
    };
    assert_splits("x", cases, COUNT(cases));
}

static void one_message_is_one_event_in_both_envelopes(void **state)
{
    (void)state;
    struct told classic =
        tell("x", CLASSIC("\"direct_message_events\":[" DM("19001", "4002", "3001", "a") "]"));
    struct told activity =
        tell("x", ACTIVITY("dm.received",
                           "\"direct_message_events\":[" DM("19001", "4002", "3001", "a") "]"));
    struct told other_account =
        tell("x", "{\"for_user_id\":\"3002\",\"direct_message_events\":[" DM("19001", "4002",
                                                                             "3002", "a") "]}");
    assert_memory_equal(&classic.split.events[0].id, &activity.split.events[0].id, ID_BYTES);
    assert_memory_equal(classic.events[0]->conversation_id.data,
                        activity.events[0]->conversation_id.data, ID_BYTES);
    assert_memory_not_equal(&classic.split.events[0].id, &other_account.split.events[0].id,
                            ID_BYTES);
    told_clear(&classic);
    told_clear(&activity);
    told_clear(&other_account);
}

static void one_post_is_one_event_as_mention_and_as_reply(void **state)
{
    (void)state;
    struct told mention =
        tell("x", ACTIVITY("post.mention.create", "\"id\":\"30001\",\"author_id\":"
                                                  "\"4002\",\"text\":\"a\""));
    struct told reply = tell("x", ACTIVITY("post.reply.create", "\"id\":\"30001\",\"author_id\":"
                                                                "\"4002\",\"text\":\"a\""));
    assert_memory_equal(&mention.split.events[0].id, &reply.split.events[0].id, ID_BYTES);
    told_clear(&mention);
    told_clear(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_classic_body),
        cmocka_unit_test(tells_the_activity_envelope),
        cmocka_unit_test(one_message_is_one_event_in_both_envelopes),
        cmocka_unit_test(one_post_is_one_event_as_mention_and_as_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
