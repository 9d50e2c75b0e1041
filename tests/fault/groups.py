"""groups - control groups made for a row (version 1 or 2), removed with it."""
import os
import pathlib
import signal
import subprocess
import sys
import time

from harness import CannotRun

ROOT = pathlib.Path("/sys/fs/cgroup")
MIB = 1024 * 1024
HOG = """
import mmap, sys, time
size = int(sys.argv[1])
memory = mmap.mmap(-1, size)
for at in range(0, size, 4096):
    memory[at] = 1
time.sleep(600)
"""


class Group:
    """Processes whose command goes through command() start inside it."""

    def __init__(self, name, memory_mib=None, cpu_share=None):
        self.is_v2 = (ROOT / "cgroup.controllers").exists()
        self.folders = []
        try:
            if memory_mib:
                folder = self._make("memory", name)
                self._write(folder / ("memory.max" if self.is_v2 else "memory.limit_in_bytes"), memory_mib * MIB)
            if cpu_share:
                folder = self._make("cpu", name)
                if self.is_v2:
                    self._write(folder / "cpu.max", f"{int(cpu_share * 100000)} 100000")
                else:
                    self._write(folder / "cpu.cfs_period_us", 100000)
                    self._write(folder / "cpu.cfs_quota_us", int(cpu_share * 100000))
        except OSError as error:
            self.remove()
            raise CannotRun(f"control groups: {error}") from None

    def _make(self, controller, name):
        folder = ROOT / name if self.is_v2 else ROOT / controller / name
        if folder not in self.folders:
            folder.mkdir()
            self.folders.append(folder)
        return folder

    @staticmethod
    def _write(path, value):
        path.write_text(str(value), "ascii")

    def add(self, pid):
        for folder in self.folders:
            for thread in os.listdir(f"/proc/{pid}/task") if not self.is_v2 else [pid]:
                self._write(folder / ("tasks" if not self.is_v2 else "cgroup.procs"), thread)

    def command(self, command):
        """The same command, started inside."""
        enter = "; ".join(f"echo $$ > '{folder}/cgroup.procs'" for folder in self.folders)
        return ["/bin/sh", "-c", f'{enter}; exec "$0" "$@"', *command]

    def figure(self, file, key):
        for folder in self.folders:
            path = folder / file
            if path.exists():
                for line in path.read_text("ascii").splitlines():
                    if line.split()[0] == key:
                        return int(line.split()[1])
        return 0

    def out_of_memory_kills(self):
        return self.figure("memory.events" if self.is_v2 else "memory.oom_control", "oom_kill")

    def throttled(self):
        return self.figure("cpu.stat", "nr_throttled")

    def hog(self, mib, victim):
        """Fills the group from inside, with the victim the first that the kernel would kill. Returns its Popen."""
        pathlib.Path(f"/proc/{victim}/oom_score_adj").write_text("1000", "ascii")
        return subprocess.Popen(self.command([sys.executable, "-c", HOG, str(mib * MIB)]), stdin=subprocess.DEVNULL)

    def remove(self):
        for folder in self.folders:
            deadline = time.monotonic() + 10
            while folder.exists() and time.monotonic() < deadline:
                for pid in (folder / "cgroup.procs").read_text("ascii").split():
                    os.kill(int(pid), signal.SIGKILL)
                try:
                    folder.rmdir()
                except OSError:
                    time.sleep(0.05)
