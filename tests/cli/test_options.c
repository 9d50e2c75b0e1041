/* What may stand on the command line, and with which command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/help_pages.h"
#include "cli/options.h"

enum { WORDS_MAX = 160 };

/* Points stderr at fd and returns a copy of what it was: what a refusal says is not for the tests'
 * own. */
static int point_stderr(int fd)
{
    int was = dup(STDERR_FILENO);
    assert_true(was >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    (void)close(fd);
    return was;
}

/* Splits text at spaces; parses; checks against the first word that is no option. */
static int parse(const char *text, struct options *out)
{
    static char words[4096];
    static char *argv[WORDS_MAX + 2];
    int argc = 1;
    argv[0] = words;
    (void)snprintf(words, sizeof words, "%s", text);
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word && argc <= WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    argv[argc] = NULL;
    argv[0] = argv[1];
    *out = (struct options){ .line.limit = 50 };
    optind = 0; /* getopt starts anew */
    int was = point_stderr(open("/dev/null", O_WRONLY | O_CLOEXEC));
    int code = options_parse(argc, argv, out);
    if (code == 0 && optind < argc)
        code = options_check(out, argv[optind]);
    (void)close(point_stderr(was));
    return code;
}

static void each_value_comes_where_it_belongs(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse("reply abc --text T --event E --fence 7 --json", &options), 0);
    assert_string_equal(options.line.text, "T");
    assert_string_equal(options.line.event, "E");
    assert_string_equal(options.line.fence, "7");
    assert_true(options.line.is_json);
    assert_int_equal(parse("queue --limit 2000", &options), 0);
    assert_int_equal(options.line.limit, 2000);
    assert_int_equal(parse("broadcast draft --outlet x --says-ended --outlet y", &options), 0);
    assert_int_equal(options.line.given_count, 3);
    assert_string_equal(options.line.given[2].name, "outlet");
    assert_string_equal(options.line.given[2].value, "y");
    assert_null(options.line.given[1].value);
    assert_int_equal(parse("broadcast --help", &options), 0);
    assert_true(options.wants_help);
}

static void what_a_command_does_not_take_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "claim --text T",      "reply x --reason R",
                                         "queue --outlet x",    "freeze --headline-en x",
                                         "show x --limit 3",    "places --state task",
                                         "broadcast --except x" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct options options;
        if (parse(wrong[i], &options) != EXIT_USAGE)
            fail_msg("%s was taken", wrong[i]);
    }
}

static void what_is_no_option_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "queue --surprise",    "queue --limit",
        "queue --limit 0",     "queue --limit x",
        "queue --limit -1",    "queue --json=1",
        "queue --limit 10001", "queue --limit 99999999999999999999"
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct options options;
        if (parse(wrong[i], &options) != EXIT_USAGE)
            fail_msg("%s was taken", wrong[i]);
    }
}

static void no_more_are_kept_than_there_is_room_for(void **state)
{
    (void)state;
    char text[4096] = "broadcast draft";
    size_t length = strlen(text);
    struct options options;
    for (int i = 0; i < COMMAND_GIVEN_MAX; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, " --outlet=x");
    assert_int_equal(parse(text, &options), 0);
    (void)snprintf(text + length, sizeof text - length, " --outlet=x");
    assert_int_equal(parse(text, &options), EXIT_USAGE);
}

static void every_page_is_a_page(void **state)
{
    (void)state;
    assert_null(help_page("dance"));
    for (const struct help_page *page = help_pages; page->name; page++) {
        bool is_frame = strcmp(page->name, "beginning") == 0 || strcmp(page->name, "end") == 0;
        char usage[64];
        (void)snprintf(usage, sizeof usage, "Usage: desg %s", page->name);
        if (!is_frame && strncmp(help_page(page->name), usage, strlen(usage)) != 0)
            fail_msg("the page of %s does not begin with its usage", page->name);
        for (const char *line = help_page(page->name); line; line = strchr(line, '\n')) {
            line += *line == '\n';
            if (strcspn(line, "\n") > 118)
                fail_msg("a line of %s is too long for a terminal", page->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_comes_where_it_belongs),
        cmocka_unit_test(what_a_command_does_not_take_is_refused),
        cmocka_unit_test(what_is_no_option_is_refused),
        cmocka_unit_test(no_more_are_kept_than_there_is_room_for),
        cmocka_unit_test(every_page_is_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
