/* The force's own form: JSON and form fields tell the same. */
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct told tell_form(const char *body, const char *submission_id)
{
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    delivery.adapter = (char *)"web";
    delivery.content_type = (char *)"application/x-www-form-urlencoded; charset=utf-8";
    delivery.submission_id = (char *)submission_id;
    delivery.body.data = (uint8_t *)body;
    delivery.body.len = strlen(body);
    return tell_delivery(&delivery);
}

static void assert_form(const char *body, const char *lines)
{
    struct told told = tell_form(body, "sub-1");
    char *got = told_lines(&told);
    assert_string_equal(got, lines);
    free(got);
    told_clear(&told);
}

static void tells_json(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "everything",
          "{\"id\":\"f-1\",\"submitted_at\":\"2026-02-11T18:19:00Z\",\"language\":\"cy-GB\","
          "\"name\":"
          "\"T. Ester\",\"contact\":{\"email\":\"t@example.org\",\"phone\":\"01490 000000\"},"
          "\"location\":{\"lat\":51.5,\"lon\":-3,\"text\":\"ger yr ysgol\"},\"text\":\"mae rhywun "
          "yn torri i "
          "mewn\",\"attachments\":[{\"sha256\":\"ab\",\"mime\":\"image/png\",\"size\":4}]}",
          "MESSAGE web/web person=f-1 name=T. Ester contact=t@example.org, 01490 000000 object=f-1 "
          "at=1770833940000 as=form language=cy place=ger yr ysgol (51.5, -3) +image/png(ab) \"mae "
          "rhywun yn torri i mewn\"\n" },
        { "the least", "{\"id\":\"f-2\",\"text\":\"help\"}",
          "MESSAGE web/web person=f-2 object=f-2 as=form \"help\"\n" },
        { "a site that vouches for the person", "{\"id\":\"f-3\",\"person\":\"p9\",\"text\":\"a\"}",
          "MESSAGE web/web person=p9 object=f-3 as=form \"a\"\n" },
        { "contact and place in words",
          "{\"id\":\"f-4\",\"text\":\"a\",\"contact\":\"t@example.org\",\"location\":\"the "
          "bridge\"}",
          "MESSAGE web/web person=f-4 contact=t@example.org object=f-4 as=form place=the bridge "
          "\"a\"\n" },
        { "a clock years off says nothing",
          "{\"id\":\"f-5\",\"text\":\"a\",\"submitted_at\":\"2003-01-01T00:00:00Z\"}",
          "MESSAGE web/web person=f-5 object=f-5 as=form \"a\"\n" },
        { "no text: somebody looks at its fields", "{\"id\":\"f-6\",\"subject\":\"x\"}",
          "UNKNOWN web/web person=f-6 object=f-6 as=form raw\n" },
        { "not JSON", "help me", "UNREADABLE web/web as=not-json raw\n" },
    };
    assert_splits("web", cases, COUNT(cases));
}

static void tells_form_fields(void **state)
{
    (void)state;
    assert_form("text=mae+d%C5%B5r%21&name=T&email=t%40example.org&language=cy&lat=51.5&lon=-3",
                "MESSAGE web/web person=sub-1 name=T contact=t@example.org object=sub-1 as=form "
                "language=cy place=51.5, -3 \"mae dŵr!\"\n");
    assert_form("id=f-7&message=help%",
                "MESSAGE web/web person=f-7 object=f-7 as=form \"help%\"\n");
    assert_form("text=a%00b%ff", "MESSAGE web/web person=sub-1 object=sub-1 as=form \"a\xef\xbf\xbd"
                                 "b\xef\xbf\xbd\"\n");
    assert_form("text=a&text=b", "UNREADABLE web/web as=not-a-form raw\n");
    assert_form("", "UNKNOWN web/web person=sub-1 object=sub-1 as=form raw\n");
}

static void the_same_submission_is_one_event(void **state)
{
    (void)state;
    struct told first = tell_form("text=a", "sub-1");
    struct told again = tell_form("text=a", "sub-1");
    struct told other = tell_form("text=a", "sub-2");
    assert_memory_equal(&first.split.events[0].id, &again.split.events[0].id, ID_BYTES);
    assert_memory_not_equal(&first.split.events[0].id, &other.split.events[0].id, ID_BYTES);
    assert_memory_not_equal(first.events[0]->conversation_id.data,
                            other.events[0]->conversation_id.data, ID_BYTES);
    told_clear(&first);
    told_clear(&again);
    told_clear(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_json),
        cmocka_unit_test(tells_form_fields),
        cmocka_unit_test(the_same_submission_is_one_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
