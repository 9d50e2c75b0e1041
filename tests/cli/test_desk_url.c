/* Where does a token go? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include "cli/api_client.h"
#include "cli/desk_url.h"

static void it_goes_where_nobody_else_can_read_it(void **state)
{
    (void)state;
    static const char *const safe[] = { "https://desk.example", "https://desk.example:8443/desg",
                                        "HTTPS://192.0.2.7",    "http://127.0.0.1:8090",
                                        "http://127.8.9.10",    "http://localhost:8090/",
                                        "HTTP://LocalHost",     "http://[::1]:8090",
                                        "localhost:8090",       "127.0.0.1:8090" };
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++) {
        struct error err = { 0 };
        if (desk_url_check(safe[i], false, &err) != 0)
            fail_msg("%s: %s", safe[i], err.text);
    }
}

static void it_is_not_sent_in_clear_over_a_network(void **state)
{
    (void)state;
    static const char *const open[] = { "http://desk.example",
                                        "http://192.0.2.7:8090",
                                        "HTTP://desk.example",
                                        "desk.example:8090",
                                        "http://[2001:db8::1]:8090",
                                        "http://128.0.0.1",
                                        "http://0.0.0.0:8090",
                                        "http://127.0.0.1.desk.example",
                                        "http://localhost.desk.example",
                                        "http://localhost@desk.example",
                                        "http://127.0.0.1:8090@desk.example",
                                        "http://desk.example#@localhost",
                                        "http://desk.example?@localhost" };
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        struct error err = { 0 };
        if (desk_url_check(open[i], false, &err) == 0)
            fail_msg("%s was let through", open[i]);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, "--insecure"));
        if (desk_url_check(open[i], true, &err) != 0)
            fail_msg("%s with --insecure: %s", open[i], err.text);
    }
}

static void what_is_no_web_address_is_refused_even_so(void **state)
{
    (void)state;
    static const char *const wrong[] = { "ftp://desk.example", "file:///etc/passwd", "http://", "",
                                         "https://a b" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = { 0 };
        if (desk_url_check(wrong[i], true, &err) == 0)
            fail_msg("%s was let through", wrong[i]);
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
}

static void a_password_in_the_address_is_not_repeated(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_int_equal(desk_url_check("http://agent:gyfrinach@desk.example", false, &err), -1);
    assert_null(strstr(err.text, "gyfrinach"));
}

/* --- the client asks before it asks anybody else --- */

static struct api_client *client_of(const char *token_file, const char *url, bool is_insecure,
                                    struct error *err)
{
    const struct api_options options = { .url = url,
                                         .token_file = token_file,
                                         .may_be_plain = is_insecure };
    return api_client_new(&options, err);
}

static void the_client_refuses_before_anything_is_sent(void **state)
{
    (void)state;
    char token_file[] = "/tmp/desg-token-XXXXXX";
    int file = mkstemp(token_file);
    assert_true(file >= 0);
    assert_int_equal(write(file, "0123456789abcdef\n", 17), 17);
    (void)close(file);
    struct error err = { 0 };
    assert_null(client_of(token_file, "http://desk.example", false, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    char longer[2 * API_PLACE_BYTES] = "https://desk.example/";
    memset(longer + strlen(longer), 'a', sizeof longer - 1 - strlen(longer));
    assert_null(client_of(token_file, longer, true, &err)); /* not cut to another one */
    assert_int_equal(err.kind, ERROR_CONFIG);
    struct api_client *client = client_of(token_file, "http://desk.example/", true, &err);
    (void)unlink(token_file);
    assert_non_null(client);
    assert_string_equal(api_client_place(client, 0), "http://desk.example");
    api_client_destroy(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_where_nobody_else_can_read_it),
        cmocka_unit_test(it_is_not_sent_in_clear_over_a_network),
        cmocka_unit_test(what_is_no_web_address_is_refused_even_so),
        cmocka_unit_test(a_password_in_the_address_is_not_repeated),
        cmocka_unit_test(the_client_refuses_before_anything_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
