#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "sample.h"

static const char whole[] =
    "{\"id\":\"00112233445566778899aabbccddeeff\",\"version\":3,\"kind\":\"appeal\","
    "\"en\":{\"headline\":\"H\",\"text\":\"T\",\"instruction\":\"I\",\"area\":\"A\",\"ended\":"
    "\"E\"},"
    "\"cy\":{\"headline\":\"ŵ\",\"text\":\"t\"},"
    "\"area\":{\"polygon\":[{\"latitude\":53.0,\"longitude\":-4.0},{\"latitude\":54.5,"
    "\"longitude\":"
    "-3.25}],\"centre\":{\"latitude\":1.0,\"longitude\":2.0},\"radius_km\":2.5},"
    "\"starts_at_ms\":1,\"expires_at_ms\":2,\"publish_at_ms\":3,\"written_at_ms\":4,"
    "\"outlets\":[\"page\",\"x\"],\"earlier_ms\":[5,6],\"road\":\"A55\",\"road_state\":"
    "\"lane-closed\",\"urgency\":\"Past\",\"severity\":\"Minor\",\"certainty\":\"Likely\","
    "\"welsh_owed\":{\"by\":\"b\",\"reason\":\"r\",\"due_at_ms\":7},\"says_ended\":true,"
    "\"may_thread\":true,\"author\":\"a\",\"incident\":\"n\"}";

static Desg__V1__Broadcast *read(const char *text, struct error *err)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!value)
        fail_msg("the test's own JSON is wrong: %s", text);
    Desg__V1__Broadcast *broadcast = broadcast_from_json(value, err);
    json_decref(value);
    return broadcast;
}

static void keeps_everything_on_the_way_through(void **state)
{
    (void)state;
    struct error err = { 0 };
    Desg__V1__Broadcast *broadcast = read(whole, &err);
    if (!broadcast)
        fail_msg("%s", err.text);
    assert_int_equal(broadcast->id.len, 16);
    assert_int_equal(broadcast->id.data[15], 0xFF);
    assert_int_equal(broadcast->kind, DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL);
    assert_int_equal(broadcast->n_outlets, 2);
    assert_int_equal(broadcast->earlier_ms[1], 6);
    assert_true(broadcast->area->polygon[1]->longitude == -3.25);
    json_t *again = broadcast_to_json(broadcast);
    json_t *before = json_loads(whole, 0, NULL);
    assert_true(json_equal(again, before));
    json_decref(again);
    json_decref(before);
    desg__v1__broadcast__free_unpacked(broadcast, NULL);
}

static void survives_the_wire_in_between(void **state)
{
    (void)state;
    struct error err = { 0 };
    Desg__V1__Broadcast *broadcast = read(whole, &err);
    assert_non_null(broadcast);
    size_t bytes = desg__v1__broadcast__get_packed_size(broadcast);
    uint8_t *packed = malloc(bytes);
    assert_non_null(packed);
    (void)desg__v1__broadcast__pack(broadcast, packed);
    Desg__V1__Broadcast *other = desg__v1__broadcast__unpack(NULL, bytes, packed);
    assert_non_null(other);
    json_t *one = broadcast_to_json(broadcast);
    json_t *two = broadcast_to_json(other);
    assert_true(json_equal(one, two));
    json_decref(one);
    json_decref(two);
    free(packed);
    desg__v1__broadcast__free_unpacked(broadcast, NULL);
    desg__v1__broadcast__free_unpacked(other, NULL);
}

static void takes_an_empty_one_and_nulls_for_what_is_left_out(void **state)
{
    (void)state;
    struct error err = { 0 };
    static const char *const cases[] = {
        "{}", "{\"en\":null,\"cy\":null,\"area\":null,\"welsh_owed\":null,\"road\":null,"
              "\"publish_at_ms\":null,\"outlets\":null,\"says_ended\":null,\"id\":null}"
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Desg__V1__Broadcast *broadcast = read(cases[i], &err);
        assert_non_null(broadcast);
        assert_null(broadcast->en);
        assert_int_equal(broadcast->id.len, 0);
        assert_int_equal(broadcast->n_outlets, 0);
        assert_string_equal(broadcast->road, "");
        desg__v1__broadcast__free_unpacked(broadcast, NULL);
    }
}

static void refuses_and_names_the_member(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "[]", "a broadcast is an object" },
        { "\"a\"", "a broadcast is an object" },
        { "{\"hedline\":1}", "hedline: is not known" },
        { "{\"hedline\":null}", "hedline: is not known" },
        { "{\"en\":\"H\"}", "en: write an object" },
        { "{\"en\":{\"headline\":1}}", "en.headline: write a text" },
        { "{\"cy\":{\"title\":\"a\"}}", "cy.title: is not known" },
        { "{\"id\":\"12\"}", "id: write 32 hex digits" },
        { "{\"id\":12}", "id: write 32 hex digits" },
        { "{\"version\":-1}", "version: write a whole number" },
        { "{\"version\":1.5}", "version: write a whole number" },
        { "{\"kind\":\"closure\"}", "kind: write road-closure" },
        { "{\"kind\":1}", "kind: write road-closure" },
        { "{\"road_state\":\"open\"}", "road_state: write" },
        { "{\"expires_at_ms\":\"soon\"}", "expires_at_ms: write a time" },
        { "{\"expires_at_ms\":-5}", "expires_at_ms: write a time" },
        { "{\"expires_at_ms\":1.5}", "expires_at_ms: write a time" },
        { "{\"says_ended\":1}", "says_ended: write true or false" },
        { "{\"may_thread\":\"yes\"}", "may_thread: write true or false" },
        { "{\"outlets\":\"x\"}", "outlets: write a list" },
        { "{\"outlets\":[\"x\",1]}", "outlets: write a text" },
        { "{\"earlier_ms\":[1,\"a\"]}", "earlier_ms: write a time" },
        { "{\"area\":[]}", "area: write an object" },
        { "{\"area\":{\"polygon\":{}}}", "area.polygon: write a list" },
        { "{\"area\":{\"polygon\":[[1,2]]}}", "area.polygon[0]: write an object" },
        { "{\"area\":{\"polygon\":[{\"latitude\":1,\"longitude\":2},{\"latitude\":1}]}}",
          "area.polygon[1]: write an object with latitude and longitude" },
        { "{\"area\":{\"centre\":{\"latitude\":\"a\",\"longitude\":2}}}",
          "area.centre.latitude: write a number" },
        { "{\"area\":{\"centre\":{\"latitude\":1,\"longitude\":2,\"height\":3}}}",
          "area.centre.height: is not known" },
        { "{\"area\":{\"radius\":1}}", "area.radius: is not known" },
        { "{\"area\":{\"radius_km\":\"1\"}}", "area.radius_km: write a number" },
        { "{\"welsh_owed\":true}", "welsh_owed: write an object" },
        { "{\"welsh_owed\":{\"why\":\"a\"}}", "welsh_owed.why: is not known" },
        { "{\"welsh_owed\":{\"due_at_ms\":\"a\"}}", "welsh_owed.due_at_ms: write a time" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        if (read(cases[i].text, &err))
            fail_msg("taken: %s", cases[i].text);
        assert_int_equal(err.kind, ERROR_INVALID);
        if (!strstr(err.text, cases[i].said))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].said);
    }
}

static void bounds_what_it_takes(void **state)
{
    (void)state;
    struct error err = { 0 };
    json_t *many = json_array();
    for (int i = 0; i < 65; i++)
        (void)json_array_append_new(many, json_string("x"));
    json_t *value = json_pack("{s:o}", "outlets", many);
    assert_null(broadcast_from_json(value, &err));
    json_decref(value);
    many = json_array();
    for (int i = 0; i < 501; i++)
        (void)json_array_append_new(many, json_pack("{s:i, s:i}", "latitude", 1, "longitude", 2));
    value = json_pack("{s:{s:o}}", "area", "polygon", many);
    assert_null(broadcast_from_json(value, &err));
    assert_non_null(strstr(err.text, "500"));
    json_decref(value);
    char *text = calloc(1, 20002);
    assert_non_null(text);
    memset(text, 'a', 20001);
    value = json_pack("{s:s}", "road", text);
    assert_null(broadcast_from_json(value, &err));
    json_decref(value);
    text[20000] = '\0';
    value = json_pack("{s:s}", "road", text);
    Desg__V1__Broadcast *broadcast = broadcast_from_json(value, &err);
    assert_non_null(broadcast);
    desg__v1__broadcast__free_unpacked(broadcast, NULL);
    json_decref(value);
    free(text);
}

/* Somebody may paste a whole message where a name belongs. */
static void shows_little_and_only_plain_letters_of_an_unknown_name(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(read("{\"ŵ\\n0123456789012345678901234567890123456789\":1}", &err));
    assert_non_null(strstr(err.text, "???01234567890123456789"));
    assert_true(strlen(err.text) < 140);
}

static void has_a_word_for_each_value_and_back(void **state)
{
    (void)state;
    for (int i = 1; i <= 4; i++)
        assert_int_equal(broadcast_kind_from(broadcast_kind_word((Desg__V1__BroadcastKind)i)), i);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(road_state_from(road_state_word((Desg__V1__RoadState)i)), i);
    for (int i = 1; i <= 6; i++)
        assert_string_not_equal(broadcast_state_word((Desg__V1__BroadcastState)i), "unknown");
    assert_string_equal(broadcast_kind_word(0), "unknown");
    assert_string_equal(broadcast_kind_word(99), "unknown");
    assert_string_equal(broadcast_state_word(7), "unknown");
    assert_string_equal(road_state_word(4), "unknown");
    assert_int_equal(broadcast_kind_from("unknown"), 0);
    assert_int_equal(broadcast_kind_from(""), 0);
    assert_int_equal(road_state_from("Road-Closed"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_everything_on_the_way_through),
        cmocka_unit_test(survives_the_wire_in_between),
        cmocka_unit_test(takes_an_empty_one_and_nulls_for_what_is_left_out),
        cmocka_unit_test(refuses_and_names_the_member),
        cmocka_unit_test(bounds_what_it_takes),
        cmocka_unit_test(shows_little_and_only_plain_letters_of_an_unknown_name),
        cmocka_unit_test(has_a_word_for_each_value_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
