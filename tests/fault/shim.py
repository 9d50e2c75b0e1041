"""shim - libraries put before a program's own (LD_PRELOAD), compiled for the row: faults inside a process that needs no hook for them."""
import mmap
import os
import shutil
import struct
import subprocess
import time

from harness import CannotRun

# Every PER_MILLION-th allocation on average fails, decided by a seed; the counter's file says how many did.
MALLOC = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
struct counters { _Atomic uint64_t armed_per_million, calls, failed; };
static struct counters *counters;
static _Atomic uint64_t state;
static void on_fault(int number)
{
    void *frames[64];
    backtrace_symbols_fd(frames, backtrace(frames, 64), 2);
    signal(number, SIG_DFL);
    raise(number);
}
__attribute__((constructor)) static void begin(void)
{
    void *first[1];
    (void)backtrace(first, 1); /* loads what it needs now */
    signal(SIGSEGV, on_fault); /* says where, in the log */
    const char *path = getenv("SHIM_COUNTERS"), *seed = getenv("SHIM_SEED");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    state = (seed ? strtoull(seed, NULL, 10) : 1) + (uint64_t)getpid();
    void *map = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        counters = map;
}
static int fails(void)
{
    if (!counters || !counters->armed_per_million)
        return 0;
    counters->calls++;
    uint64_t x = atomic_fetch_add(&state, 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    if ((x ^ (x >> 31)) % 1000000 >= counters->armed_per_million)
        return 0;
    counters->failed++;
    errno = ENOMEM;
    return 1;
}
void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails() ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return n && fails() ? NULL : __libc_realloc(p, n); }
"""

# Taking an event apart that holds the marker ends the process, as a fault in the parser would.
POISON = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <protobuf-c/protobuf-c.h>
typedef ProtobufCMessage *(*unpack_function)(const ProtobufCMessageDescriptor *, ProtobufCAllocator *, size_t, const uint8_t *);
ProtobufCMessage *protobuf_c_message_unpack(const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator, size_t length,
                                            const uint8_t *data)
{
    static unpack_function next;
    if (!next)
        next = (unpack_function)dlsym(RTLD_NEXT, "protobuf_c_message_unpack");
    const char *marker = getenv("SHIM_MARKER");
    if (marker && strcmp(descriptor->name, "desg.v1.Event") == 0 && memmem(data, length, marker, strlen(marker)))
        abort();
    return next(descriptor, allocator, length, data);
}
"""


# The calendar's clock moves by what the file says (nanoseconds), and drifts; libfaketime does not get along with jemalloc.
CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
struct shift { int64_t offset_ns, drift_per_million, since_ns; };
static volatile struct shift *shift;
__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHIM_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (map != MAP_FAILED)
        shift = map;
}
int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, out);
    if (rc != 0 || !shift || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return rc;
    int64_t ns = (int64_t)out->tv_sec * 1000000000 + out->tv_nsec;
    ns += shift->offset_ns + (ns - shift->since_ns) / 1000000 * shift->drift_per_million;
    out->tv_sec = ns / 1000000000;
    out->tv_nsec = ns % 1000000000;
    return 0;
}
int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
"""


# Names under .test are this machine while the switch's file says so, and unknown for now otherwise.
RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef int (*resolve_function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    resolve_function next = (resolve_function)dlsym(RTLD_NEXT, "getaddrinfo");
    size_t length = node ? strlen(node) : 0;
    if (length < 5 || strcmp(node + length - 5, ".test") != 0)
        return next(node, service, hints, out);
    const char *path = getenv("SHIM_DNS");
    return path && access(path, F_OK) == 0 ? next("127.0.0.1", service, hints, out) : EAI_AGAIN;
}
"""


def build(directory, name, source):
    """The shared library of that source."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise CannotRun("no C compiler for the shim")
    library = directory / f"{name}.so"
    if not library.exists():
        code = directory / f"{name}.c"
        code.write_text(source, "ascii")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, code, "-ldl"], check=True, capture_output=True)
    return library


class MallocFailures:
    """Allocations of processes started with environment() fail while armed."""

    def __init__(self, directory, seed):
        self.library = build(directory, "shim_malloc", MALLOC)
        self.path = directory / "shim-counters"
        self.path.write_bytes(bytes(4096))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)
        self.seed = seed

    def environment(self):
        return {**os.environ, "LD_PRELOAD": str(self.library), "SHIM_COUNTERS": str(self.path), "SHIM_SEED": str(self.seed)}

    def arm(self, per_million):
        self.map[0:8] = struct.pack("<Q", per_million)

    def failed(self):
        return struct.unpack("<Q", self.map[16:24])[0]


class Clock:
    """The calendar's clock of one process started with environment(). Its monotonic clock goes on as ever."""

    def __init__(self, directory, name):
        self.library = build(directory, "shim_clock", CLOCK)
        self.path = directory / f"clock-{name}"
        self.path.write_bytes(bytes(4096))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def environment(self):
        return {**os.environ, "LD_PRELOAD": str(self.library), "SHIM_CLOCK": str(self.path)}

    def set(self, seconds, drift_per_million=0):
        self.map[0:24] = struct.pack("<qqq", int(seconds * 1e9), drift_per_million, time.time_ns())


def poison_environment(directory, marker):
    return {**os.environ, "LD_PRELOAD": str(build(directory, "shim_poison", POISON)), "SHIM_MARKER": marker}


class Names:
    """Names under .test for processes started with environment(): there, or gone."""

    def __init__(self, directory):
        self.library = build(directory, "shim_resolver", RESOLVER)
        self.switch = directory / "names-are-there"
        self.switch.touch()

    def environment(self):
        return {**os.environ, "LD_PRELOAD": str(self.library), "SHIM_DNS": str(self.switch)}

    def set(self, is_there):
        self.switch.touch() if is_there else self.switch.unlink()
