#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/listen.h"

static void takes_numeric_addresses(void **state)
{
    (void)state;
    static const char *const cases[] = { "127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        uint16_t port = 0;
        int fd = listen_tcp(cases[i], &port, &err);
        if (fd < 0 && strstr(err.text, "Address family not supported"))
            continue; /* a machine without IPv6 */
        if (fd < 0)
            fail_msg("%s", err.text);
        assert_true(port > 0);
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        assert_int_equal(close(fd), 0);
    }
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "9101",        ":9101",           "127.0.0.1",    "127.0.0.1:",
        "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:999999",
        "::1:9101",    "[::1:9101",       "::1]:9101",    "localhost:9101",
        "http://a:80", "127.0.0.1:80 ",   "1.2.3:0x",     "[127.0.0.1",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        uint16_t port = 7;
        if (listen_tcp(cases[i], &port, &err) >= 0)
            fail_msg("'%s' accepted", cases[i]);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, cases[i]));
        assert_non_null(strstr(err.text, "such as 127.0.0.1:9101"));
        assert_int_equal(port, 7);
    }
}

static void refuses_an_address_of_another_machine(void **state)
{
    (void)state;
    struct error err = { 0 };
    uint16_t port = 0;
    assert_int_equal(listen_tcp("192.0.2.1:0", &port, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "cannot listen on 192.0.2.1:0: Cannot assign"));
}

static void replaces_a_stale_socket_and_nothing_else(void **state)
{
    (void)state;
    char directory[] = "/tmp/desg-listen-XXXXXX";
    char path[64];
    struct error err = { 0 };
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/a.sock", directory);
    int fd = listen_unix(path, &err);
    if (fd < 0)
        fail_msg("%s", err.text);
    assert_int_equal(listen_unix(path, &err), -1); /* alive */
    assert_non_null(strstr(err.text, "another process answers"));
    assert_int_equal(close(fd), 0); /* as after kill -9: the file stays */
    fd = listen_unix(path, &err);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);

    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(listen_unix(path, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "is not a socket"));
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void refuses_a_path_no_socket_can_have(void **state)
{
    (void)state;
    char path[200];
    struct error err = { 0 };
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(listen_unix(path, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "common.run_directory"));
    assert_int_equal(listen_unix("", &err), -1);
    assert_int_equal(listen_unix("/nowhere/at/all/a.sock", &err), -1);
    assert_non_null(strstr(err.text, "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_numeric_addresses),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(refuses_an_address_of_another_machine),
        cmocka_unit_test(replaces_a_stale_socket_and_nothing_else),
        cmocka_unit_test(refuses_a_path_no_socket_can_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
