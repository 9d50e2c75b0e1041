#include "service_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock/clock.h"

enum { ARGUMENTS_MAX = 16, POLL_MS = 2 };

void service_child_init(struct service_child *self)
{
    *self = (struct service_child){ .pid = 0 };
    (void)snprintf(self->directory, sizeof self->directory, "/tmp/desg-service-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    (void)snprintf(self->config, sizeof self->config, "%s/desg.yaml", self->directory);
    (void)snprintf(self->control, sizeof self->control, "%s/run/probe.sock", self->directory);
    (void)snprintf(self->output, sizeof self->output, "%s/output", self->directory);
}

void service_child_clear(struct service_child *self)
{
    if (self->pid) {
        (void)kill(self->pid, SIGKILL);
        (void)waitpid(self->pid, NULL, 0);
    }
    char run[CHILD_PATH_BYTES + 20];
    (void)snprintf(run, sizeof run, "%s/run", self->directory);
    (void)unlink(self->control);
    (void)rmdir(run);
    (void)unlink(self->config);
    (void)unlink(self->output);
    if (rmdir(self->directory) != 0)
        fail_msg("%s is not empty", self->directory);
}

void service_child_configure(const struct service_child *self, unsigned grace_ms,
                             const char *probe_lines)
{
    FILE *file = fopen(self->config, "we");
    assert_non_null(file);
    assert_true(fprintf(file,
                        "common:\n  force: gwent\n  run_directory: %s/run\n  grace_ms: %u\n"
                        "  redis: { address: none }\nprobe:\n%s",
                        self->directory, grace_ms, probe_lines) > 0);
    assert_int_equal(fclose(file), 0);
}

static void become_child(const struct service_child *self, char **argv)
{
    int output = open(self->output, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (output < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        _exit(99);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execv(PROBE_SERVICE, argv);
    _exit(98);
}

void service_child_start(struct service_child *self, const char *const *arguments)
{
    const char *argv[ARGUMENTS_MAX + 2] = { PROBE_SERVICE };
    for (size_t i = 0; arguments[i]; i++) {
        assert_true(i < ARGUMENTS_MAX);
        argv[i + 1] = strcmp(arguments[i], "CONFIG") == 0 ? self->config : arguments[i];
    }
    (void)unlink(self->output);
    self->pid = fork();
    if (self->pid == 0)
        become_child(self, (char **)argv); /* execv changes none of them */
    assert_true(self->pid > 0);
}

int service_child_wait(struct service_child *self)
{
    int64_t deadline_ms = clock_monotonic_ms() + CHILD_DEADLINE_MS;
    int status = 0;
    while (waitpid(self->pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > deadline_ms)
            fail_msg("still running:\n%s", service_child_output(self));
        (void)poll(NULL, 0, POLL_MS);
    }
    self->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int service_child_run(struct service_child *self, const char *const *arguments)
{
    service_child_start(self, arguments);
    return service_child_wait(self);
}

const char *service_child_output(struct service_child *self)
{
    self->text[0] = '\0';
    FILE *file = fopen(self->output, "re");
    if (!file)
        return self->text;
    size_t length = fread(self->text, 1, sizeof self->text - 1, file);
    self->text[length] = '\0';
    (void)fclose(file);
    return self->text;
}

void service_child_await(struct service_child *self, const char *text)
{
    int64_t deadline_ms = clock_monotonic_ms() + CHILD_DEADLINE_MS;
    while (!strstr(service_child_output(self), text)) {
        if (clock_monotonic_ms() > deadline_ms)
            fail_msg("no '%s' in:\n%s", text, self->text);
        (void)poll(NULL, 0, POLL_MS);
    }
}

void service_child_up(struct service_child *self)
{
    static const char *const arguments[] = { "--config", "CONFIG", NULL };
    service_child_start(self, arguments);
    service_child_await(self, " started ");
}
