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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grade_is_its_severity_its_reason_and_its_claim),
        cmocka_unit_test(an_acknowledgement_is_of_one_alert),
        cmocka_unit_test(a_removal_is_of_one_event_and_kinds_differ),
    };
    return cmocka_run_group_tests_name("desk fact same", tests, NULL, NULL);
}
