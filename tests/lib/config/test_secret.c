#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

struct fixture {
    char directory[64];
    char path[96];
};

static int make_folder(void **state)
{
    static struct fixture fixture;
    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/desg-secret-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    (void)snprintf(fixture.path, sizeof fixture.path, "%s/secret", fixture.directory);
    *state = &fixture;
    return 0;
}

static int remove_folder(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path);
    return rmdir(f->directory);
}

static void write_bytes(const char *path, const void *bytes, size_t length, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void drops_one_final_newline_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        { "opensesame", "opensesame" },       { "opensesame\n", "opensesame" },
        { "opensesame\r\n", "opensesame" },   { "opensesame\n\n", "opensesame\n" },
        { " open sesame ", " open sesame " }, { "x", "x" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        write_bytes(f->path, cases[i][0], strlen(cases[i][0]), 0600);
        char *secret = config_read_secret("ingest.secret", f->path, &err);
        if (!secret)
            fail_msg("%s", err.text);
        assert_string_equal(secret, cases[i][1]);
        free(secret);
    }
}

static void assert_refused(const char *path, const char *expected)
{
    struct error err = { 0 };
    char *secret = config_read_secret("ingest.secret", path, &err);
    if (secret)
        fail_msg("accepted, but expected: %s", expected);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "ingest.secret: "));
    assert_non_null(strstr(err.text, path));
    assert_null(strstr(err.text, "opensesame"));
    if (!strstr(err.text, expected))
        fail_msg("got: %s", err.text);
}

static void refuses_a_file_without_a_secret(void **state)
{
    struct fixture *f = *state;
    assert_refused(f->path, "No such file");
    assert_refused(f->directory, "is not a file");
    write_bytes(f->path, "", 0, 0600);
    assert_refused(f->path, "is empty");
    write_bytes(f->path, "\n", 1, 0600);
    assert_refused(f->path, "is empty");
    write_bytes(f->path, "opensesame\0x", 12, 0600);
    assert_refused(f->path, "NUL byte");
    char *large = calloc(1, 70000);
    assert_non_null(large);
    memset(large, 'x', 70000);
    write_bytes(f->path, large, 70000, 0600);
    free(large);
    assert_refused(f->path, "at most 65536");
}

static void refuses_a_fifo_without_waiting(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_refused(f->path, "is not a file");
}

static void refuses_a_secret_anyone_may_read(void **state)
{
    struct fixture *f = *state;
    static const mode_t refused[] = { 0604, 0602, 0644, 0666 };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        write_bytes(f->path, "opensesame", 10, refused[i]);
        assert_refused(f->path, "chmod o-rwx");
    }
    struct error err = { 0 };
    write_bytes(f->path, "opensesame", 10, 0640); /* a group is the operator's choice */
    char *secret = config_read_secret("ingest.secret", f->path, &err);
    assert_non_null(secret);
    free(secret);
}

/* As kubelet lays it out: secret -> ..data/secret, ..data -> ..2026_01_01, mode 0644. */
static void takes_a_kubernetes_mount_and_no_other_link(void **state)
{
    struct fixture *f = *state;
    char dated[128];
    char data[128];
    char file[192];
    (void)snprintf(dated, sizeof dated, "%s/..2026_01_01", f->directory);
    (void)snprintf(data, sizeof data, "%s/..data", f->directory);
    (void)snprintf(file, sizeof file, "%s/secret", dated);
    assert_int_equal(mkdir(dated, 0755), 0);
    assert_int_equal(symlink("..2026_01_01", data), 0);
    write_bytes(file, "opensesame\n", 11, 0644);
    assert_int_equal(symlink("..data/secret", f->path), 0);
    struct error err = { 0 };
    char *secret = config_read_secret("ingest.secret", f->path, &err);
    if (!secret)
        fail_msg("%s", err.text);
    assert_string_equal(secret, "opensesame");
    free(secret);
    assert_refused(file, "chmod o-rwx");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(symlink("..2026_01_01/secret", f->path), 0);
    assert_refused(f->path, "chmod o-rwx");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(unlink(data), 0);
    assert_int_equal(rmdir(dated), 0);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(drops_one_final_newline_and_nothing_else),
        with_folder(refuses_a_file_without_a_secret),
        with_folder(refuses_a_fifo_without_waiting),
        with_folder(refuses_a_secret_anyone_may_read),
        with_folder(takes_a_kubernetes_mount_and_no_other_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
