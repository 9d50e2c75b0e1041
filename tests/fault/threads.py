"""threads - stops one thread of a running process and leaves the others alone, as a debugger could: no hook in the program.

ptrace belongs to the thread that attached: use it from the main thread only.
"""
import ctypes
import os
import pathlib

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 17, 0x4206, 0x4207
WALL = 0x40000000


def _ptrace(request, thread):
    if LIBC.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {thread}: {os.strerror(ctypes.get_errno())}")


def of(pid):
    """{thread number: name}"""
    return {int(task.name): (task / "comm").read_text("ascii", "replace").strip()
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


def state(pid, thread):
    """One letter, as in ps: t is stopped by a tracer."""
    return pathlib.Path(f"/proc/{pid}/task/{thread}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]


class Hung:
    """A thread that does not run until release()."""

    def __init__(self, pid, thread):
        self.pid, self.thread = pid, thread
        _ptrace(PTRACE_SEIZE, thread)
        _ptrace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, WALL)

    def is_hung(self):
        return state(self.pid, self.thread) == "t"

    def release(self):
        if self.thread:
            thread, self.thread = self.thread, 0
            try:
                _ptrace(PTRACE_DETACH, thread)
            except OSError:
                pass  # it was killed meanwhile
