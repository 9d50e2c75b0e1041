#include "service/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(struct signals *self, struct error *err)
{
    sigset_t ours;
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGHUP);
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    self->signal_fd = -1;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd >= 0 && sigaction(SIGPIPE, &ignore, NULL) == 0 &&
        pthread_sigmask(SIG_BLOCK, &ours, NULL) == 0)
        self->signal_fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signal_fd < 0) {
        int reason = errno;
        signals_close(self);
        return error_set(err, ERROR_SYSTEM, "cannot wait for signals: %s", strerror(reason));
    }
    return 0;
}

void signals_close(struct signals *self)
{
    if (self->signal_fd >= 0)
        (void)close(self->signal_fd);
    if (self->wake_fd >= 0)
        (void)close(self->wake_fd);
    self->signal_fd = -1;
    self->wake_fd = -1;
}

enum signals_event signals_wait(struct signals *self, int timeout_ms)
{
    struct pollfd waited[] = { { .fd = self->wake_fd, .events = POLLIN },
                               { .fd = self->signal_fd, .events = POLLIN } };
    for (;;) {
        int ready = poll(waited, 2, timeout_ms);
        if (ready < 0 && errno == EINTR)
            continue; /* a debugger; the longer wait harms nobody */
        if (ready <= 0)
            return SIGNALS_NONE;
        if (waited[0].revents)
            return SIGNALS_WOKEN;
        struct signalfd_siginfo info;
        if (read(self->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
            return info.ssi_signo == SIGHUP ? SIGNALS_RELOAD : SIGNALS_STOP;
    }
}

void signals_wake(struct signals *self)
{
    const uint64_t one = 1;
    ssize_t written = write(self->wake_fd, &one, sizeof one);
    (void)written; /* fails only when it is already awake 2^64 times over */
}
