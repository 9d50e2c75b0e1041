/* One alert, one body: bytes are compared with golden copies, because a changed byte under an old
 * key is refused by a receiver that honours keys (422). A wanted change raises
 * ALERT_RENDER_VERSION. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "alert/alert.h"
#include "alert/alert_text.h"

#define P(literal) ((char *)(literal)) /* protobuf-c never writes, but says char * */

static const char SOURCE[] = "/force/gwent/social-desk";

struct sample {
    Desg__V1__Event event;
    Desg__V1__Attachment attachment;
    Desg__V1__Attachment *attachments[1];
    Desg__V1__Verdict verdict;
    Desg__V1__Flag flags[2];
    Desg__V1__Reason reason;
    Desg__V1__Reason *reasons[1];
    uint8_t event_id[ID_BYTES];
    uint8_t conversation_id[ID_BYTES];
    uint8_t event_bytes[4096];
    uint8_t verdict_bytes[1024];
    struct id alert_id;
    Desg__V1__Alert alert;
};

static void pack_sample(struct sample *s)
{
    size_t event_length = desg__v1__event__pack(&s->event, s->event_bytes);
    size_t verdict_length = desg__v1__verdict__pack(&s->verdict, s->verdict_bytes);
    alert_order_init(&s->alert, &s->alert_id, s->event_id, s->event_bytes, event_length,
                     s->verdict_bytes, verdict_length);
}

static void fill_event(struct sample *s)
{
    memset(s->event_id, 0x11, ID_BYTES);
    memset(s->conversation_id, 0x22, ID_BYTES);
    desg__v1__attachment__init(&s->attachment);
    s->attachment.type = P("location");
    s->attachment.url = P("https://signed.example/for-minutes");
    s->attachment.title = P("Bont");
    s->attachment.latitude = 53.2261;
    s->attachment.longitude = -4.128;
    s->attachments[0] = &s->attachment;
    desg__v1__event__init(&s->event);
    s->event.id = (ProtobufCBinaryData){ ID_BYTES, s->event_id };
    s->event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    s->event.channel = P("facebook");
    s->event.account = P("1001");
    s->event.person = P("2002");
    s->event.person_name = P("Siân Prawf");
    s->event.person_handle = P("sian.prawf");
    s->event.contact = P("07700 900123");
    s->event.conversation_id = (ProtobufCBinaryData){ ID_BYTES, s->conversation_id };
    s->event.object_id = P("m_1");
    s->event.platform_time_ms = 1770831720123;
    s->event.received_at_ms = 1770831721000;
    s->event.text = P("Mae gyllell ganddo \"nawr\" – helpwch ni\nplîs \xF0\x9F\x98\xB1");
    s->event.n_attachments = 1;
    s->event.attachments = s->attachments;
    s->event.location_text = P("Stryd Fawr, Bangor");
    s->event.language_hint = P("cy");
}

static void fill_verdict(struct sample *s)
{
    desg__v1__reason__init(&s->reason);
    s->reason.rule = P("weapon.knife.cy");
    s->reasons[0] = &s->reason;
    s->flags[0] = DESG__V1__FLAG__FLAG_LIFE_AT_RISK;
    s->flags[1] = DESG__V1__FLAG__FLAG_WEAPON;
    desg__v1__verdict__init(&s->verdict);
    s->verdict.is_urgent = 1;
    s->verdict.severity = DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK;
    s->verdict.grade = P("immediate");
    s->verdict.category = P("violence");
    s->verdict.n_flags = 2;
    s->verdict.flags = s->flags;
    s->verdict.language = DESG__V1__LANGUAGE__LANGUAGE_CY;
    s->verdict.n_reasons = 1;
    s->verdict.reasons = s->reasons;
    s->verdict.rules_edition = P("2026-02-01.ab12");
}

static int setup(void **state)
{
    struct sample *s = calloc(1, sizeof *s);
    if (!s)
        return -1;
    fill_event(s);
    fill_verdict(s);
    pack_sample(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static char *render(enum alert_body body, const Desg__V1__Alert *alert, uint32_t number,
                    char key[static ALERT_KEY_BYTES])
{
    struct error err = { 0 };
    char *out = NULL;
    size_t length = 0;
    if (alert_render(body, alert, SOURCE, number, &out, &length, key, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(strlen(out), length);
    return out;
}

static void assert_renders(enum alert_body body, const Desg__V1__Alert *alert, uint32_t number,
                           const char *wanted_key, const char *wanted)
{
    char key[ALERT_KEY_BYTES];
    char *out = render(body, alert, number, key);
    assert_string_equal(key, wanted_key);
    assert_string_equal(out, wanted);
    free(out);
}

#define ALERT_ID "c55b98a0327ace9fb9299b8d463ffb0a"
#define EVENT_ID "11111111111111111111111111111111"
#define CONV_ID  "22222222222222222222222222222222"
#define TAIL                                                                                       \
    "\"source\":\"/force/gwent/social-desk\",\"specversion\":\"1.0\",\"subject\":\"" ALERT_ID      \
    "\",\"time\":\"2026-02-11T17:42:00.123Z\",\"type\":\"uk.police.desk.alert."

static const char GOLDEN_RAISED[] =
    "{\"data\":{\"account\":\"1001\",\"alert\":\"" ALERT_ID "\",\"attachments\":[{\"latitude\":"
    "53.2261,\"longitude\":-4.128,\"title\":\"Bont\",\"type\":\"location\"}],\"channel\":"
    "\"facebook\",\"conversation\":\"" CONV_ID "\",\"event\":\"" EVENT_ID "\",\"kind\":\"message\","
    "\"language_hint\":\"cy\",\"location\":\"Stryd Fawr, Bangor\",\"object\":\"m_1\",\"person\":{"
    "\"contact\":\"07700 900123\",\"handle\":\"sian.prawf\",\"id\":\"2002\",\"name\":\"Siân "
    "Prawf\"},\"platform_time\":\"2026-02-11T17:42:00.123Z\",\"render_version\":1,\"text\":\"Mae "
    "gyllell ganddo \\\"nawr\\\" – helpwch ni\\nplîs \xF0\x9F\x98\xB1\"},\"datacontenttype\":"
    "\"application/json\",\"id\":\"" ALERT_ID ".v1\"," TAIL "raised.v1\"}";

static const char GOLDEN_UPDATED[] =
    "{\"data\":{\"alert\":\"" ALERT_ID "\",\"channel\":\"facebook\",\"conversation\":\"" CONV_ID
    "\",\"event\":\"" EVENT_ID "\",\"number\":2,\"platform_time\":\"2026-02-11T17:42:00.123Z\","
    "\"render_version\":1,\"verdict\":{\"category\":\"violence\",\"flags\":[\"life-at-risk\","
    "\"weapon\"],\"grade\":\"immediate\",\"language\":\"cy\",\"restricted\":\"none\",\"rules\":["
    "\"weapon.knife.cy\"],\"rules_edition\":\"2026-02-01.ab12\",\"severity\":\"life-at-risk\"}},"
    "\"datacontenttype\":\"application/json\",\"id\":\"" ALERT_ID ".u2\"," TAIL "updated.v1\"}";

static const char GOLDEN_REMINDER[] =
    "{\"data\":{\"alert\":\"" ALERT_ID "\",\"channel\":\"facebook\",\"conversation\":\"" CONV_ID
    "\",\"event\":\"" EVENT_ID "\",\"platform_time\":\"2026-02-11T17:42:00.123Z\","
    "\"render_version\":1,\"step\":3},\"datacontenttype\":\"application/json\",\"id\":\"" ALERT_ID
    ".r3\"," TAIL "reminder.v1\"}";

static const char GOLDEN_SECOND[] =
    "{\"data\":{\"alert\":\"" ALERT_ID "\",\"channel\":\"facebook\",\"conversation\":\"" CONV_ID
    "\",\"event\":\"" EVENT_ID "\",\"platform_time\":\"2026-02-11T17:42:00.123Z\","
    "\"render_version\":1},\"datacontenttype\":\"application/json\",\"id\":\"" ALERT_ID ".s\"," TAIL
    "raised.v1\"}";

static void each_body_is_its_golden_copy(void **state)
{
    struct sample *s = *state;
    assert_renders(ALERT_RAISED, &s->alert, 0, ALERT_ID ".v1", GOLDEN_RAISED);
    assert_renders(ALERT_UPDATED, &s->alert, 2, ALERT_ID ".u2", GOLDEN_UPDATED);
    assert_renders(ALERT_REMINDER, &s->alert, 3, ALERT_ID ".r3", GOLDEN_REMINDER);
    assert_renders(ALERT_SECOND, &s->alert, 0, ALERT_ID ".s", GOLDEN_SECOND);
}

/* Two ingest replicas, three paths, a replay: whatever differs between them never shows. */
static void first_body_depends_on_the_event_alone(void **state)
{
    struct sample *s = *state;
    s->event.received_at_ms += 86400000;
    s->verdict.severity = DESG__V1__SEVERITY__SEVERITY_REVIEW;
    s->verdict.is_unclassified = 1;
    s->attachment.url = P("https://signed.example/another-signature");
    pack_sample(s);
    s->alert.is_replayed = 1;
    s->alert.is_provisional = 1;
    s->alert.is_digest_member = 1;
    s->alert.render_version = 0;
    assert_renders(ALERT_RAISED, &s->alert, 0, ALERT_ID ".v1", GOLDEN_RAISED);
    s->alert.verdict.len = 0;
    assert_renders(ALERT_RAISED, &s->alert, 7, ALERT_ID ".v1", GOLDEN_RAISED);
}

static void unknown_fields_of_a_newer_event_do_not_matter(void **state)
{
    static const uint8_t newer[] = { 0xFA, 0x3F, 4, 'n', 'e', 'w', '!' }; /* field 1023, bytes */
    struct sample *s = *state;
    memcpy(s->event_bytes + s->alert.event.len, newer, sizeof newer);
    s->alert.event.len += sizeof newer;
    assert_renders(ALERT_RAISED, &s->alert, 0, ALERT_ID ".v1", GOLDEN_RAISED);
    assert_renders(ALERT_SECOND, &s->alert, 0, ALERT_ID ".s", GOLDEN_SECOND);
}

static void bodies_beside_the_first_hold_nothing_a_person_wrote_or_is(void **state)
{
    struct sample *s = *state;
    static const char *const hidden[] = { "gyllell", "Prawf",  "sian",    "2002", "07700",
                                          "1001",    "Stryd",  "Bont",    "m_1",  "53.2",
                                          "signed",  "person", "account", "text" };
    static const enum alert_body bodies[] = { ALERT_SECOND, ALERT_REMINDER, ALERT_UPDATED };
    for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++) {
        char key[ALERT_KEY_BYTES];
        char *out = render(bodies[b], &s->alert, 1, key);
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
            if (strstr(out, hidden[i]))
                fail_msg("body %d holds '%s'", (int)bodies[b], hidden[i]);
        free(out);
    }
}

static void second_body_says_nothing_of_the_verdict(void **state)
{
    struct sample *s = *state;
    char key[ALERT_KEY_BYTES];
    char *out = render(ALERT_SECOND, &s->alert, 0, key);
    assert_null(strstr(out, "violence"));
    assert_null(strstr(out, "life-at-risk"));
    free(out);
}

static void update_tells_of_a_replay_and_does_without_a_verdict(void **state)
{
    struct sample *s = *state;
    s->alert.is_replayed = 1;
    s->alert.verdict.len = 0;
    char key[ALERT_KEY_BYTES];
    char *out = render(ALERT_UPDATED, &s->alert, 1, key);
    assert_non_null(strstr(out, "\"is_replayed\":true"));
    assert_null(strstr(out, "verdict"));
    free(out);
}

static void standing_test_is_marked(void **state)
{
    struct sample *s = *state;
    s->alert.is_standing_test = 1;
    char key[ALERT_KEY_BYTES];
    char *out = render(ALERT_RAISED, &s->alert, 0, key);
    assert_non_null(strstr(out, "\"is_test\":true"));
    free(out);
}

static void long_text_is_complete(void **state)
{
    struct sample *s = *state;
    char text[3001];
    memset(text, 'h', sizeof text - 1);
    text[3000] = '\0';
    s->event.text = text;
    pack_sample(s);
    char key[ALERT_KEY_BYTES];
    char *out = render(ALERT_RAISED, &s->alert, 0, key);
    assert_non_null(strstr(out, text));
    free(out);
}

static void broken_utf8_is_replaced_never_refused(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        { "help\xFF", "\"help\xEF\xBF\xBD\"" },
        { "\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"" },                 /* overlong */
        { "\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" }, /* surrogate */
        { "a\xF0\x9F\x98", "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
        { "\xF4\x90\x80\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
        { "\xC5\xB4 \xE2\x80\xA8", "\"\xC5\xB4 \xE2\x80\xA8\"" },
        { "", "\"\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *text = alert_text(cases[i].in, strlen(cases[i].in), 0);
        char *out = json_dumps(text, JSON_ENCODE_ANY);
        assert_string_equal(out, cases[i].out);
        free(out);
        json_decref(text);
    }
}

static void broken_utf8_in_an_event_still_gives_valid_json(void **state)
{
    struct sample *s = *state;
    s->event.text = P("\xFF\xFEhelp");
    s->event.person_name = P("\xC3");
    s->event.channel = P("\x80");
    pack_sample(s);
    char key[ALERT_KEY_BYTES];
    char *out = render(ALERT_RAISED, &s->alert, 0, key);
    json_t *parsed = json_loads(out, 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    free(out);
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    json_t *text = alert_text("ab\xC5\xB4", 4, 3);
    assert_string_equal(json_string_value(text), "ab");
    json_decref(text);
    text = alert_text("ab\xC5\xB4", 4, 4);
    assert_string_equal(json_string_value(text), "ab\xC5\xB4");
    json_decref(text);
    text = alert_text("a\0b", 3, 0);
    assert_string_equal(json_string_value(text), "a\xEF\xBF\xBD"
                                                 "b");
    json_decref(text);
}

static void unreadable_event_shows_its_raw_start(void **state)
{
    struct sample *s = *state;
    s->event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_UNREADABLE;
    s->event.text = P("");
    s->event.raw = (ProtobufCBinaryData){ 5, (uint8_t *)"\xFFhelp" };
    pack_sample(s);
    char key[ALERT_KEY_BYTES];
    char *out = render(ALERT_RAISED, &s->alert, 0, key);
    assert_non_null(strstr(out, "\"raw\":\"\xEF\xBF\xBDhelp\""));
    assert_non_null(strstr(out, "\"kind\":\"unreadable\""));
    free(out);
}

static void refuses_what_cannot_be_decoded_and_leaves_outputs_alone(void **state)
{
    struct sample *s = *state;
    struct error err = { 0 };
    char *out = NULL;
    size_t length = 7;
    char key[ALERT_KEY_BYTES] = "untouched";
    s->alert.event = (ProtobufCBinaryData){ 3, (uint8_t *)"\xFF\xFF\xFF" };
    assert_int_equal(alert_render(ALERT_RAISED, &s->alert, SOURCE, 0, &out, &length, key, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    s->alert.alert_id.len = 15;
    assert_int_equal(alert_render(ALERT_SECOND, &s->alert, SOURCE, 0, &out, &length, key, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_null(out);
    assert_int_equal(length, 7);
    assert_string_equal(key, "untouched");
}

static void digest_names_every_alert(void **state)
{
    struct sample *s = *state;
    char text[302];
    memset(text, 'x', 301);
    text[301] = '\0';
    s->event.text = text;
    pack_sample(s);
    struct sample *other = calloc(1, sizeof *other);
    assert_non_null(other);
    fill_event(other);
    fill_verdict(other);
    memset(other->event_id, 0x33, ID_BYTES);
    pack_sample(other);

    struct id ids[2] = { s->alert_id, other->alert_id };
    struct id digest_id = id_of_digest(ids, 2);
    ProtobufCBinaryData named[2] = { s->alert.alert_id, other->alert.alert_id };
    Desg__V1__AlertDigest digest = DESG__V1__ALERT_DIGEST__INIT;
    digest.digest_id = (ProtobufCBinaryData){ ID_BYTES, digest_id.bytes };
    digest.channel = P("facebook");
    digest.account = P("1001");
    digest.n_alert_ids = 2;
    digest.alert_ids = named;
    digest.at_ms = 1770831720123;
    const Desg__V1__Alert *members[2] = { &other->alert, &s->alert }; /* any order */
    struct error err = { 0 };
    char *out = NULL;
    size_t length = 0;
    char key[ALERT_KEY_BYTES];
    assert_int_equal(alert_render_digest(&digest, members, SOURCE, &out, &length, key, &err), 0);
    json_t *body = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    json_t *alerts = json_object_get(json_object_get(body, "data"), "alerts");
    assert_int_equal(json_array_size(alerts), 2);
    json_t *first = json_array_get(alerts, 0);
    assert_string_equal(json_string_value(json_object_get(first, "alert")), ALERT_ID);
    assert_int_equal(strlen(json_string_value(json_object_get(first, "text"))), 200);
    assert_null(strstr(out, "Prawf"));
    char id[ID_TEXT_BYTES];
    id_text(digest_id.bytes, id);
    assert_memory_equal(key, id, 32);
    assert_string_equal(key + 32, ".v1");
    json_decref(body);
    free(out);

    members[0] = &s->alert; /* one is missing */
    out = NULL;
    assert_int_equal(alert_render_digest(&digest, members, SOURCE, &out, &length, key, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_null(out);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_body_is_its_golden_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(first_body_depends_on_the_event_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_fields_of_a_newer_event_do_not_matter, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bodies_beside_the_first_hold_nothing_a_person_wrote_or_is,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(second_body_says_nothing_of_the_verdict, setup, teardown),
        cmocka_unit_test_setup_teardown(update_tells_of_a_replay_and_does_without_a_verdict, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(standing_test_is_marked, setup, teardown),
        cmocka_unit_test_setup_teardown(long_text_is_complete, setup, teardown),
        cmocka_unit_test(broken_utf8_is_replaced_never_refused),
        cmocka_unit_test_setup_teardown(broken_utf8_in_an_event_still_gives_valid_json, setup,
                                        teardown),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test_setup_teardown(unreadable_event_shows_its_raw_start, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_cannot_be_decoded_and_leaves_outputs_alone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(digest_names_every_alert, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
