#include "side_by_side.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct child {
    pid_t pid; /* 0: over, or not begun */
    FILE *said;
    time_t began;
};

static void die(const char *why)
{
    perror(why);
    abort();
}

static void begin(struct child *child, const struct CMUnitTest *test)
{
    child->began = time(NULL);
    child->said = tmpfile();
    if (!child->said)
        die("tmpfile");
    (void)fflush(NULL); /* a child must not say again what waits to be written */
    child->pid = fork();
    if (child->pid < 0)
        die("fork");
    if (child->pid > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(fileno(child->said), STDOUT_FILENO) < 0 ||
        dup2(fileno(child->said), STDERR_FILENO) < 0)
        _exit(126);
    const struct CMUnitTest tests[] = { *test };
    exit(cmocka_run_group_tests_name(test->name, tests, NULL, NULL)); /* leaks are looked for */
}

static void print_said(struct child *child)
{
    char bytes[4096];
    size_t length = 0;
    rewind(child->said);
    while ((length = fread(bytes, 1, sizeof bytes, child->said)) > 0)
        (void)fwrite(bytes, 1, length, stdout);
    (void)fflush(stdout);
    (void)fclose(child->said);
}

/* Waits for any one; whether it failed. */
static bool end_one(struct child *children, const struct CMUnitTest *tests, size_t count)
{
    int status = 0;
    pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0)
        die("waitpid");
    for (size_t i = 0; i < count; i++) {
        if (children[i].pid != pid)
            continue;
        children[i].pid = 0;
        print_said(&children[i]);
        (void)printf("%s: about %ld s\n", tests[i].name, (long)(time(NULL) - children[i].began));
        bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (WIFSIGNALED(status))
            (void)printf("[  FAILED  ] %s: signal %d\n", tests[i].name, WTERMSIG(status));
        return !is_well;
    }
    die("a child nobody knows");
    return true;
}

int side_by_side(const struct CMUnitTest *tests, size_t count, size_t at_once)
{
    const char *wanted = getenv("DESG_TEST_AT_ONCE");
    struct child *children = calloc(count, sizeof *children);
    int failed = 0;
    if (!children)
        die("calloc");
    if (wanted && strtoul(wanted, NULL, 10) > 0)
        at_once = strtoul(wanted, NULL, 10);
    for (size_t begun = 0, over = 0; over < count;) {
        if (begun < count && begun - over < at_once) {
            begin(&children[begun], &tests[begun]);
            begun++;
            continue;
        }
        failed += end_one(children, tests, count);
        over++;
    }
    (void)printf("%zu cases, %d failed\n", count, failed);
    free(children);
    return failed;
}
