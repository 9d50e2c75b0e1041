#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "link/endpoint.h"

static void takes_what_is_an_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *address;
        const char *certificate;
        enum endpoint_kind kind;
        bool is_local;
    } cases[] = {
        { "ipc:///run/desg/x", "ipc:///run/desg/x", "", ENDPOINT_IPC, true },
        { "tcp://127.0.0.1:5601", "tcp://127.0.0.1:5601", "", ENDPOINT_NUMERIC, true },
        { "tcp://10.0.0.9:1", "tcp://10.0.0.9:1", "", ENDPOINT_NUMERIC, false },
        { "tcp://[::]:5601", "tcp://[::]:5601", "", ENDPOINT_NUMERIC, false },
        { "tcp://[::1]:65535", "tcp://[::1]:65535", "", ENDPOINT_NUMERIC, true },
        { "tcp://*:5601", "tcp://*:5601", "", ENDPOINT_NUMERIC, false },
        { "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "", ENDPOINT_NUMERIC, true },
        { "tcp://localhost:5601", "tcp://localhost:5601", "", ENDPOINT_NAMED, true },
        { "tcp://ingest-0.ingest.desg.svc:5601#ingest", "tcp://ingest-0.ingest.desg.svc:5601",
          "ingest", ENDPOINT_NAMED, false },
        { "tcp://10.0.0.9:5601#route-1.b", "tcp://10.0.0.9:5601", "route-1.b", ENDPOINT_NUMERIC,
          false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint endpoint;
        struct error err = { 0 };
        char address[ENDPOINT_ADDRESS_BYTES];
        if (endpoint_parse(cases[i].text, &endpoint, &err) != 0)
            fail_msg("%s", err.text);
        endpoint_address(&endpoint, NULL, address);
        assert_int_equal(endpoint.kind, cases[i].kind);
        assert_string_equal(address, cases[i].address);
        assert_string_equal(endpoint.certificate, cases[i].certificate);
        assert_int_equal(endpoint_is_local(&endpoint), cases[i].is_local);
    }
}

static void refuses_and_says_what_to_write(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "ipc://",
        "ipc://*",
        "tcp://",
        "tcp://host",
        "tcp://:5601",
        "tcp://host:",
        "tcp://host:65536",
        "tcp://host:-1",
        "tcp://host:1x",
        "tcp://host:000001",
        "tcp://[10.0.0.1]:1",
        "tcp://[::1:5601",
        "tcp://::1:5601",
        "tcp://eth0;x:1",
        "tcp://-x:1",
        "tcp://a b:1",
        "inproc://x",
        "http://host:1",
        "host:5601",
        "tcp://host:1#",
        "tcp://host:1#../../etc/passwd",
        "tcp://host:1#a/b",
        "tcp://host:1#.hidden",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint endpoint = { .port = 4711 };
        struct error err = { 0 };
        if (endpoint_parse(cases[i], &endpoint, &err) == 0)
            fail_msg("'%s' accepted", cases[i]);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_int_equal(endpoint.port, 4711); /* untouched on failure */
        assert_non_null(strstr(err.text, cases[i]));
    }
}

static void a_socket_path_has_its_limit(void **state)
{
    (void)state;
    char text[256];
    struct endpoint endpoint;
    struct error err = { 0 };
    (void)snprintf(text, sizeof text, "ipc:///%0106d", 0);
    assert_int_equal(endpoint_parse(text, &endpoint, &err), 0);
    (void)snprintf(text, sizeof text, "ipc:///%0107d", 0);
    assert_int_equal(endpoint_parse(text, &endpoint, &err), -1);
    assert_non_null(strstr(err.text, "107"));
}

static void an_address_takes_the_resolved_host(void **state)
{
    (void)state;
    struct endpoint endpoint;
    struct error err = { 0 };
    char address[ENDPOINT_ADDRESS_BYTES];
    assert_int_equal(endpoint_parse("tcp://ingest:5601", &endpoint, &err), 0);
    endpoint_address(&endpoint, "10.1.2.3", address);
    assert_string_equal(address, "tcp://10.1.2.3:5601");
    endpoint_address(&endpoint, "fd00::7", address);
    assert_string_equal(address, "tcp://[fd00::7]:5601");
}

static void what_can_be_bound_cannot_always_be_called(void **state)
{
    (void)state;
    static const char *const only_bound[] = { "tcp://*:5601", "tcp://127.0.0.1:*" };
    struct endpoint endpoint;
    struct error err = { 0 };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(endpoint_parse(only_bound[i], &endpoint, &err), 0);
        assert_int_equal(endpoint_check_bind(&endpoint, &err), 0);
        assert_int_equal(endpoint_check_connect(&endpoint, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
    assert_int_equal(endpoint_parse("tcp://ingest:5601", &endpoint, &err), 0);
    assert_int_equal(endpoint_check_connect(&endpoint, &err), 0);
    assert_int_equal(endpoint_check_bind(&endpoint, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_an_endpoint),
        cmocka_unit_test(refuses_and_says_what_to_write),
        cmocka_unit_test(a_socket_path_has_its_limit),
        cmocka_unit_test(an_address_takes_the_resolved_host),
        cmocka_unit_test(what_can_be_bound_cannot_always_be_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
