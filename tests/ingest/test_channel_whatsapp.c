/* WhatsApp Cloud API: every type of message, statuses, hidden numbers. */
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define VALUE(value)                                                                               \
    "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"880\",\"changes\":[{"          \
    "\"field\":\"messages\",\"value\":{\"messaging_product\":\"whatsapp\",\"metadata\":{"          \
    "\"display_phone_number\":\"441490000000\",\"phone_number_id\":\"770\"}," value "}}]}]}"
#define MESSAGE(type, part)                                                                        \
    VALUE("\"contacts\":[{\"profile\":{\"name\":\"T. Ester\"},\"wa_id\":\"447700900123\"}],"       \
          "\"messages\":[{\"from\":\"447700900123\",\"id\":\"wamid.1\",\"timestamp\":"             \
          "\"1770833200\",\"type\":\"" type "\"" part "}]")
#define WHO "whatsapp/770 person=447700900123 name=T. Ester object=wamid.1"
#define AT  " at=1770833200000"

static void tells_messages(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "text", MESSAGE("text", ",\"text\":{\"body\":\"Someone is following me\"}"),
          "MESSAGE " WHO AT " as=text \"Someone is following me\"\n" },
        { "answer to another",
          MESSAGE("text", ",\"context\":{\"from\":\"4414\",\"id\":\"wamid.0\"},\"text\":{\"body\":"
                          "\"yes\"}"),
          "MESSAGE " WHO " target=wamid.0" AT " as=text \"yes\"\n" },
        { "picture with caption",
          MESSAGE("image", ",\"image\":{\"id\":\"9001\",\"mime_type\":\"image/jpeg\",\"sha256\":"
                           "\"x\",\"caption\":\"look\"}"),
          "MESSAGE " WHO AT " as=image +image(9001) \"look\"\n" },
        { "document", MESSAGE("document", ",\"document\":{\"id\":\"9002\",\"filename\":\"a.pdf\"}"),
          "MESSAGE " WHO AT " as=document +document(9002a.pdf)\n" },
        { "voice", MESSAGE("audio", ",\"audio\":{\"id\":\"9003\",\"voice\":true}"),
          "MESSAGE " WHO AT " as=audio +audio(9003)\n" },
        { "place",
          MESSAGE("location", ",\"location\":{\"latitude\":51.7,\"longitude\":-3.25,\"name\":"
                              "\"Bridge\",\"address\":\"River Road\"}"),
          "MESSAGE " WHO AT " as=location place=51.700000, -3.250000, Bridge, River Road "
          "+location(Bridge)\n" },
        { "cards", MESSAGE("contacts", ",\"contacts\":[{\"name\":{\"formatted_name\":\"B\"}}]"),
          "MESSAGE " WHO AT " as=contacts +contacts(B)\n" },
        { "button of a list",
          MESSAGE("interactive", ",\"interactive\":{\"type\":\"list_reply\",\"list_reply\":{\"id\":"
                                 "\"1\",\"title\":\"Report\",\"description\":\"d\"}}"),
          "POSTBACK " WHO AT " as=list_reply \"Report\"\n" },
        { "form whose answer is no object",
          MESSAGE("interactive", ",\"interactive\":{\"type\":\"nfm_reply\",\"nfm_reply\":{\"name\":"
                                 "\"flow\",\"body\":\"Sent\",\"response_json\":\"[1]\"}}"),
          "POSTBACK " WHO AT " as=nfm_reply \"[1]\"\n" },
        { "template button",
          MESSAGE("button", ",\"button\":{\"payload\":\"P\",\"text\":\"Call me\"}"),
          "POSTBACK " WHO AT " as=button \"Call me\"\n" },
        { "reaction",
          MESSAGE("reaction", ",\"reaction\":{\"message_id\":\"wamid.0\",\"emoji\":\"\\u2764\"}"),
          "REACTION " WHO " target=wamid.0" AT " reaction=❤ as=reaction\n" },
        { "reaction taken off, emoji missing",
          MESSAGE("reaction", ",\"reaction\":{\"message_id\":\"wamid.0\"}"),
          "REACTION " WHO " target=wamid.0" AT " as=reaction\n" },
        { "taken back", MESSAGE("revoke", ",\"revoke\":{\"original_message_id\":\"wamid.0\"}"),
          "UNSEND " WHO " target=wamid.0" AT " as=revoke\n" },
        { "edited",
          MESSAGE("edit", ",\"edit\":{\"original_message_id\":\"wamid.0\",\"message\":{\"type\":"
                          "\"text\",\"text\":{\"body\":\"new\"}}}"),
          "EDIT " WHO " target=wamid.0" AT " as=edit \"new\"\n" },
        { "an edit of an edit is no edit",
          MESSAGE("edit", ",\"edit\":{\"original_message_id\":\"wamid.0\",\"message\":{\"type\":"
                          "\"edit\",\"edit\":{\"original_message_id\":\"wamid.0\"}}}"),
          "UNKNOWN " WHO AT " as=edit raw\n" },
        { "number changed",
          MESSAGE("system", ",\"system\":{\"type\":\"user_changed_number\",\"body\":\"changed\"}"),
          "NOTICE " WHO AT " as=system \"changed\"\n" },
        { "unsupported", MESSAGE("unsupported", ",\"errors\":[{\"code\":131051}]"),
          "UNKNOWN " WHO AT " as=unsupported raw\n" },
        { "an order", MESSAGE("order", ",\"order\":{}"), "UNKNOWN " WHO AT " as=order raw\n" },
        { "a type whose part is missing", MESSAGE("text", ""), "UNKNOWN " WHO AT " as=text raw\n" },
        { "opened the chat", MESSAGE("request_welcome", ""), "skipped 1\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void tells_people_who_hide_their_number(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "both ids",
          VALUE(
              "\"contacts\":[{\"profile\":{\"name\":\"T\",\"username\":\"tt\"},\"wa_id\":\"4477\","
              "\"user_id\":\"GB.134\"}],\"messages\":[{\"from\":\"4477\",\"from_user_id\":"
              "\"GB.134\",\"id\":\"w\",\"type\":\"text\",\"text\":{\"body\":\"a\"}}]"),
          "MESSAGE whatsapp/770 person=GB.134 name=T handle=tt contact=4477 object=w as=text "
          "\"a\"\n" },
        { "no number at all",
          VALUE("\"contacts\":[{\"profile\":{\"name\":\"T\"},\"user_id\":\"GB.134\"}],\"messages\":"
                "[{\"from_user_id\":\"GB.134\",\"id\":\"w\",\"type\":\"text\",\"text\":{\"body\":"
                "\"a\"}}]"),
          "MESSAGE whatsapp/770 person=GB.134 name=T object=w as=text \"a\"\n" },
        { "the id in from",
          VALUE("\"contacts\":[{\"profile\":{\"name\":\"T\"},\"wa_id\":\"GB.134\"}],\"messages\":[{"
                "\"from\":\"GB.134\",\"id\":\"w\",\"type\":\"text\",\"text\":{\"body\":\"a\"}}]"),
          "MESSAGE whatsapp/770 person=GB.134 name=T object=w as=text \"a\"\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void tells_statuses_and_notices(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "on its way",
          VALUE("\"statuses\":[{\"id\":\"o\",\"status\":\"sent\",\"timestamp\":\"1770833300\","
                "\"recipient_id\":\"4477\",\"biz_opaque_callback_data\":\"desk:0f1e/"
                "1\"},{\"id\":\"o\","
                "\"status\":\"delivered\",\"recipient_id\":\"4477\"}]"),
          "OUTCOME whatsapp/770 person=4477 object=o at=1770833300000 as=sent ref=desk:0f1e/1\n"
          "OUTCOME whatsapp/770 person=4477 object=o as=delivered\n" },
        { "read",
          VALUE("\"statuses\":[{\"id\":\"o\",\"status\":\"read\",\"timestamp\":\"1770833300\","
                "\"recipient_id\":\"4477\"}]"),
          "OUTCOME whatsapp/770 person=4477 object=o at=1770833300000 as=read\n" },
        { "failed: an outcome, and a notice that an agent sees",
          VALUE(
              "\"statuses\":[{\"id\":\"o\",\"status\":\"failed\",\"timestamp\":\"1770833300\","
              "\"recipient_id\":\"4477\",\"biz_opaque_callback_data\":\"desk:0f1e/0\",\"errors\":["
              "{\"code\":131047,\"title\":\"Re-engagement message\"}]}]"),
          "OUTCOME whatsapp/770 person=4477 object=o at=1770833300000 as=failed ref=desk:0f1e/0 "
          "\"131047\"\n"
          "NOTICE whatsapp/770 person=4477 target=o at=1770833300000 as=failed \"131047 "
          "Re-engagement message\"\n" },
        { "to a person who hides the number",
          VALUE("\"statuses\":[{\"id\":\"o\",\"status\":\"read\",\"recipient_id\":\"4477\","
                "\"recipient_user_id\":\"GB.134\"}]"),
          "OUTCOME whatsapp/770 person=GB.134 object=o as=read\n" },
        { "another program's mark is not ours",
          VALUE("\"statuses\":[{\"id\":\"o\",\"status\":\"sent\",\"biz_opaque_callback_data\":"
                "\"crm\"}]"),
          "OUTCOME whatsapp/770 object=o as=sent\n" },
        { "played, deleted",
          VALUE("\"statuses\":[{\"id\":\"o\",\"status\":\"played\"},{\"id\":\"o\","
                "\"status\":\"deleted\"}]"),
          "skipped 2\n" },
        { "of nothing that has a name", VALUE("\"statuses\":[{\"status\":\"failed\"}]"),
          "UNKNOWN whatsapp/770 as=status raw\n" },
        { "a status nobody knows", VALUE("\"statuses\":[{\"id\":\"o\",\"status\":\"lost\"}]"),
          "UNKNOWN whatsapp/770 as=status raw\n" },
        { "errors of the account", VALUE("\"errors\":[{\"code\":130429,\"title\":\"Limit\"}]"),
          "NOTICE whatsapp/770 as=errors \"130429 Limit\"\n" },
        { "a value with none of them", VALUE("\"surprise\":1"),
          "UNKNOWN whatsapp/770 as=value raw\n" },
        { "the account itself",
          "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"880\",\"changes\":[{"
          "\"field\":\"account_update\",\"value\":{\"event\":\"VERIFIED\"}}]}]}",
          "NOTICE whatsapp/880 as=account_update \"account_update\"\n" },
        { "somebody rang",
          "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"880\",\"changes\":[{"
          "\"field\":\"calls\",\"value\":{\"calls\":[]}}]}]}",
          "UNKNOWN whatsapp/880 as=calls raw\n" },
        { "no changes", "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"880\"}]}",
          "skipped 1\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void a_message_and_its_status_come_together(void **state)
{
    (void)state;
    const struct split_case both = {
        "both lists",
        VALUE("\"messages\":[{\"from\":\"4477\",\"id\":\"w\",\"type\":\"text\",\"text\":{\"body\":"
              "\"a\"}}],\"statuses\":[{\"id\":\"o\",\"status\":\"sent\"}]"),
        "MESSAGE whatsapp/770 person=4477 object=w as=text \"a\"\n"
        "OUTCOME whatsapp/770 object=o as=sent\n"
    };
    assert_splits("meta", &both, 1);
}

/* Ids are over message and status: the same again is the same, another status another. */
static void each_status_is_one_event(void **state)
{
    (void)state;
    static const char body[] =
        VALUE("\"statuses\":[{\"id\":\"o\",\"status\":\"sent\"},{\"id\":"
              "\"o\",\"status\":\"read\"},{\"id\":\"o\",\"status\":\"sent\","
              "\"timestamp\":\"1770833300\"},{\"id\":\"p\",\"status\":\"sent\"}]");
    struct told told = tell("meta", body);
    assert_int_equal(told.count, 4);
    assert_memory_equal(told.split.events[0].id.bytes, told.split.events[2].id.bytes, ID_BYTES);
    assert_memory_not_equal(told.split.events[0].id.bytes, told.split.events[1].id.bytes, ID_BYTES);
    assert_memory_not_equal(told.split.events[0].id.bytes, told.split.events[3].id.bytes, ID_BYTES);
    told_clear(&told);
    assert_true(
        split_counter("desg_ingest_events_total", "channel=\"whatsapp\",kind=\"outcome\"") >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_messages),
        cmocka_unit_test(tells_people_who_hide_their_number),
        cmocka_unit_test(tells_statuses_and_notices),
        cmocka_unit_test(a_message_and_its_status_come_together),
        cmocka_unit_test(each_status_is_one_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
