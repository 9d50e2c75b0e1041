/* The users of Redis: passwords and the force are put into the lines, nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/redis_users.h"

static const char two[] = "user default off resetchannels -@all\n"
                          "user route on resetchannels ~desg:* -@all +fcall\n"
                          "user cli on resetchannels %R~desg:* %RW~desg:{*}: -@all +fcall\n"
                          "user probe on nopass resetchannels -@all +ping\n";

struct folder {
    char path[64];
};

static int make_folder(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->path, sizeof f->path, "/tmp/desg-users-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    *state = f;
    return 0;
}

static void path_of(const struct folder *f, const char *name, char out[static 96])
{
    (void)snprintf(out, 96, "%s/%s", f->path, name);
}

static int remove_folder(void **state)
{
    static const char *const names[] = { "route", "route.new", "route.old", "cli" };
    struct folder *f = *state;
    char path[96];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_of(f, names[i], path);
        (void)unlink(path);
    }
    (void)rmdir(f->path);
    free(f);
    return 0;
}

static void put(const struct folder *f, const char *name, const char *password, int mode)
{
    char path[96];
    path_of(f, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0 && fchmod(fd, (mode_t)mode) == 0);
    assert_int_equal(write(fd, password, strlen(password)), strlen(password));
    assert_int_equal(close(fd), 0);
}

static int write_users(const char *users, const char *force, const char *directory, char **text,
                       struct error *err)
{
    size_t length = 0;
    FILE *out = open_memstream(text, &length);
    assert_non_null(out);
    int rc = redis_users_write(users, force, directory, out, err);
    assert_int_equal(fclose(out), 0);
    return rc;
}

static void without_passwords_the_lines_stay_as_they_are(void **state)
{
    (void)state;
    char *text = NULL;
    struct error err = { 0 };
    assert_int_equal(write_users(two, NULL, NULL, &text, &err), 0);
    assert_string_equal(text, two);
    free(text);
}

static void a_force_narrows_the_keys(void **state)
{
    (void)state;
    char *text = NULL;
    struct error err = { 0 };
    assert_int_equal(write_users(two, "gwent", NULL, &text, &err), 0);
    assert_non_null(strstr(text, "user route on resetchannels ~desg:{gwent}:* -@all +fcall\n"));
    assert_non_null(strstr(text, " %R~desg:{gwent}:* %RW~desg:{gwent}: -@all"));
    free(text);
}

static void all_passwords_of_a_user_count_and_who_has_none_is_off(void **state)
{
    struct folder *f = *state;
    char *text = NULL;
    struct error err = { 0 };
    put(f, "route", "0123456789abcdef\n", 0600);
    put(f, "route.new", "fedcba9876543210\n", 0600);
    assert_int_equal(write_users(two, NULL, f->path, &text, &err), 0);
    assert_non_null(strstr(text,
                           "user route on "
                           "#9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f "
                           "#3465f6e6975baa864ca957f0914ecda9bf7eb601ac31ac20a5dc3d329279a843 "
                           "resetchannels"));
    assert_non_null(strstr(text, "user cli off resetchannels"));
    assert_non_null(strstr(text, "user probe on nopass"));
    assert_null(strstr(text, "0123456789abcdef\n"));
    free(text);
}

static void a_service_without_a_good_password_is_refused_with_what_to_do(void **state)
{
    struct folder *f = *state;
    static const struct {
        const char *password;
        int mode;
        const char *told;
    } cases[] = { { NULL, 0, "openssl rand -hex 32" },
                  { "short\n", 0600, "at least 16" },
                  { "0123456789abcdef\n", 0644, "chmod o-rwx" },
                  { "\n", 0600, "is empty" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = NULL;
        struct error err = { 0 };
        if (cases[i].password)
            put(f, "route", cases[i].password, cases[i].mode);
        assert_int_equal(write_users(two, NULL, f->path, &text, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].told))
            fail_msg("%s", err.text);
        free(text);
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_passwords_the_lines_stay_as_they_are),
        cmocka_unit_test(a_force_narrows_the_keys),
        T(all_passwords_of_a_user_count_and_who_has_none_is_off),
        T(a_service_without_a_good_password_is_refused_with_what_to_do),
    };
    return cmocka_run_group_tests_name("redis users", tests, NULL, NULL);
}
