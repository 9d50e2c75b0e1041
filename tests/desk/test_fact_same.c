/* A key answers the change it was made for, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "desk/api.h"

static struct id one = { { 1 } }, other = { { 2 } };

static ProtobufCBinaryData bytes_of(struct id *id)
{
    return (ProtobufCBinaryData){ ID_BYTES, id->bytes };
}

static void a_grade_is_its_severity_its_reason_and_its_claim(void **state)
{
    (void)state;
    Desg__V1__Graded grade = DESG__V1__GRADED__INIT;
    grade.severity = DESG__V1__SEVERITY__SEVERITY_ROUTINE;
    grade.reason = (char *)"a film scene";
    Desg__V1__Graded change = grade;
    Desg__V1__Fact stored = DESG__V1__FACT__INIT;
    stored.conversation_id = bytes_of(&one);
    stored.fence = 7;
    stored.what_case = DESG__V1__FACT__WHAT_GRADED;
    stored.graded = &grade;
    Desg__V1__Fact asked = stored;
    asked.graded = &change;
    asked.at_ms = 5; /* stamped anew at each try */
    assert_true(fact_is_same(&asked, &stored));
    change.severity = DESG__V1__SEVERITY__SEVERITY_URGENT;
    assert_false(fact_is_same(&asked, &stored));
    change = grade;
    change.reason = (char *)"no film";
    assert_false(fact_is_same(&asked, &stored));
    change = grade;
    asked.fence = 8;
    assert_false(fact_is_same(&asked, &stored));
    asked.fence = 7;
    asked.conversation_id = bytes_of(&other);
    assert_false(fact_is_same(&asked, &stored));
}

static void an_acknowledgement_is_of_one_alert(void **state)
{
    (void)state;
    Desg__V1__AlertTaken taken = DESG__V1__ALERT_TAKEN__INIT;
    taken.alert_id = bytes_of(&one);
    taken.dispatcher = (char *)"Rhys";
    taken.log_number = (char *)"42";
    Desg__V1__AlertTaken change = taken;
    Desg__V1__Fact stored = DESG__V1__FACT__INIT;
    stored.conversation_id = bytes_of(&one);
    stored.what_case = DESG__V1__FACT__WHAT_ALERT_TAKEN;
    stored.alert_taken = &taken;
    Desg__V1__Fact asked = stored;
    asked.alert_taken = &change;
    asked.conversation_id = (ProtobufCBinaryData){ 0 }; /* the function found it */
    assert_true(fact_is_same(&asked, &stored));
    change.alert_id = bytes_of(&other);
    assert_false(fact_is_same(&asked, &stored));
    change = taken;
    change.log_number = (char *)"43";
    assert_false(fact_is_same(&asked, &stored));
}

static void a_removal_is_of_one_event_and_kinds_differ(void **state)
{
    (void)state;
    Desg__V1__QuarantineTaken taken = DESG__V1__QUARANTINE_TAKEN__INIT;
    taken.event_id = bytes_of(&one);
    Desg__V1__QuarantineTaken change = taken;
    Desg__V1__Released released = DESG__V1__RELEASED__INIT;
    Desg__V1__Fact stored = DESG__V1__FACT__INIT;
    stored.what_case = DESG__V1__FACT__WHAT_QUARANTINE_TAKEN;
    stored.quarantine_taken = &taken;
    Desg__V1__Fact asked = stored;
    asked.quarantine_taken = &change;
    assert_true(fact_is_same(&asked, &stored));
    change.event_id = bytes_of(&other);
    assert_false(fact_is_same(&asked, &stored));
    asked.what_case = DESG__V1__FACT__WHAT_RELEASED;
    asked.released = &released;
    assert_false(fact_is_same(&asked, &stored));
}

static void a_reply_is_its_words_its_claim_and_what_it_answers(void **state)
{
    (void)state;
    Desg__V1__Replied given = DESG__V1__REPLIED__INIT, filled = DESG__V1__REPLIED__INIT;
    Desg__V1__OutboxItem items[2] = { DESG__V1__OUTBOX_ITEM__INIT, DESG__V1__OUTBOX_ITEM__INIT };
    Desg__V1__ReplyItem asked_reply = DESG__V1__REPLY_ITEM__INIT;
    asked_reply.text = (char *)"Hello.";
    Desg__V1__ReplyItem stored_reply = asked_reply;
    stored_reply.event_id = bytes_of(&one); /* the function found it, and whom to address */
    stored_reply.person = (char *)"2002";
    items[0].what_case = items[1].what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    items[0].reply = &asked_reply;
    items[1].reply = &stored_reply;
    given.item = &items[0];
    filled.item = &items[1];
    Desg__V1__Fact stored = DESG__V1__FACT__INIT;
    stored.conversation_id = bytes_of(&one);
    stored.fence = 7;
    stored.what_case = DESG__V1__FACT__WHAT_REPLIED;
    stored.replied = &filled;
    Desg__V1__Fact asked = stored;
    asked.replied = &given;
    assert_true(fact_is_same(&asked, &stored));
    asked_reply.event_id = bytes_of(&other);
    assert_false(fact_is_same(&asked, &stored));
    asked_reply.event_id = bytes_of(&one);
    asked_reply.text = (char *)"Goodbye.";
    assert_false(fact_is_same(&asked, &stored));
    asked_reply.text = (char *)"Hello.";
    asked.fence = 8;
    assert_false(fact_is_same(&asked, &stored));
}

static void a_draft_is_its_words_whatever_was_filled_in(void **state)
{
    (void)state;
    Desg__V1__BroadcastText words = DESG__V1__BROADCAST_TEXT__INIT;
    words.headline = (char *)"Invented road closed";
    Desg__V1__Broadcast given = DESG__V1__BROADCAST__INIT;
    given.en = &words;
    Desg__V1__Broadcast filled = given;
    int64_t earlier_ms[] = { 5 };
    filled.id = bytes_of(&one);
    filled.version = 2;
    filled.author = (char *)"nia";
    filled.written_at_ms = 9;
    filled.earlier_ms = earlier_ms;
    filled.n_earlier_ms = 1;
    Desg__V1__Drafted drafts[2] = { DESG__V1__DRAFTED__INIT, DESG__V1__DRAFTED__INIT };
    drafts[0].broadcast = &given;
    drafts[1].broadcast = &filled;
    Desg__V1__Fact asked = DESG__V1__FACT__INIT;
    asked.what_case = DESG__V1__FACT__WHAT_DRAFTED;
    asked.drafted = &drafts[0];
    Desg__V1__Fact stored = asked;
    stored.drafted = &drafts[1];
    assert_true(fact_is_same(&asked, &stored));
    given.id = bytes_of(&other); /* an update of another */
    assert_false(fact_is_same(&asked, &stored));
    given.id = bytes_of(&one);
    given.road = (char *)"A40";
    assert_false(fact_is_same(&asked, &stored));
}

static void a_freeze_is_its_end_and_its_exceptions(void **state)
{
    (void)state;
    char *except[] = { (char *)"feed" };
    char *others[] = { (char *)"page" };
    Desg__V1__Frozen frozen = DESG__V1__FROZEN__INIT;
    frozen.until_ms = 5;
    frozen.except = except;
    frozen.n_except = 1;
    Desg__V1__Frozen change = frozen;
    Desg__V1__Fact stored = DESG__V1__FACT__INIT;
    stored.what_case = DESG__V1__FACT__WHAT_FROZEN;
    stored.frozen = &frozen;
    Desg__V1__Fact asked = stored;
    asked.frozen = &change;
    assert_true(fact_is_same(&asked, &stored));
    change.until_ms = 0;
    assert_false(fact_is_same(&asked, &stored));
    change = frozen;
    change.except = others;
    assert_false(fact_is_same(&asked, &stored));
}

static void versions_items_and_reasons_count(void **state)
{
    (void)state;
    Desg__V1__Approved approved = DESG__V1__APPROVED__INIT;
    approved.broadcast_id = bytes_of(&one);
    approved.version = 1;
    Desg__V1__Approved newer = approved;
    newer.version = 2;
    Desg__V1__Fact stored = DESG__V1__FACT__INIT;
    stored.what_case = DESG__V1__FACT__WHAT_APPROVED;
    stored.approved = &approved;
    Desg__V1__Fact asked = stored;
    assert_true(fact_is_same(&asked, &stored));
    asked.approved = &newer;
    assert_false(fact_is_same(&asked, &stored));
    Desg__V1__Settled there = DESG__V1__SETTLED__INIT;
    there.item_id = bytes_of(&one);
    there.as = DESG__V1__SETTLED_AS__SETTLED_AS_THERE;
    Desg__V1__Settled again = there;
    again.as = DESG__V1__SETTLED_AS__SETTLED_AS_AGAIN;
    stored.what_case = asked.what_case = DESG__V1__FACT__WHAT_SETTLED;
    stored.settled = asked.settled = &there;
    assert_true(fact_is_same(&asked, &stored));
    asked.settled = &again;
    assert_false(fact_is_same(&asked, &stored));
    Desg__V1__Cancelled cancelled = DESG__V1__CANCELLED__INIT;
    cancelled.broadcast_id = bytes_of(&one);
    Desg__V1__Cancelled other_reason = cancelled;
    other_reason.reason = (char *)"another road";
    stored.what_case = asked.what_case = DESG__V1__FACT__WHAT_CANCELLED;
    stored.cancelled = &cancelled;
    asked.cancelled = &other_reason;
    assert_false(fact_is_same(&asked, &stored));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grade_is_its_severity_its_reason_and_its_claim),
        cmocka_unit_test(an_acknowledgement_is_of_one_alert),
        cmocka_unit_test(a_removal_is_of_one_event_and_kinds_differ),
        cmocka_unit_test(a_reply_is_its_words_its_claim_and_what_it_answers),
        cmocka_unit_test(a_draft_is_its_words_whatever_was_filled_in),
        cmocka_unit_test(a_freeze_is_its_end_and_its_exceptions),
        cmocka_unit_test(versions_items_and_reasons_count),
    };
    return cmocka_run_group_tests_name("desk fact same", tests, NULL, NULL);
}
