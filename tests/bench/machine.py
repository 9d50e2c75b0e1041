"""machine - what the benchmark asks of the machine: CPU time and memory of processes, the machine itself, a few words of RESP."""
import os
import platform
import socket
import statistics
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


class CannotRun(Exception):
    """Something could not be measured: the reason as one line."""


def cpu_seconds(pid):
    """User and system time of all threads since the start."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss_mib(pid):
    """Memory of its own and its share of what it shares."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    raise CannotRun(f"no Pss of process {pid}")


def steal_share(before):
    """Share of all CPU time since before (from cpu_times) that the host took away."""
    now = cpu_times()
    total = sum(now) - sum(before)
    return (now[7] - before[7]) / total if total else 0.0


def cpu_times():
    with open("/proc/stat", encoding="ascii") as file:
        return [int(field) for field in file.readline().split()[1:9]]


def ask_git(top, *words):
    """What git says of the checkout; "" where there is no git, or no checkout."""
    try:
        return subprocess.run(["git", "-C", top, *words], capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def describe(top):
    commit = ask_git(top, "rev-parse", "--short", "HEAD")
    changed = ask_git(top, "status", "--porcelain", "lib", "services", "proto")
    return {"date": time.strftime("%Y-%m-%d %H:%M"), "commit": (commit or "unknown")
            + ("+changes" if changed else ""), "cores": os.cpu_count(), "kernel": platform.release(),
            "load_average": round(os.getloadavg()[0], 2)}


class Redis:
    """One connection, simple answers only."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        line = self.file.readline()
        if line[:1] == b":":
            return int(line[1:])
        if line[:1] == b"$":
            return self.file.read(int(line[1:]) + 2)[:-2].decode()
        if line[:1] == b"+":
            return line[1:].strip().decode()
        raise CannotRun(f"Redis answered {line.decode().strip()!r} to {words[0]}")

    def close(self):
        self.file.close()
        self.socket.close()


class Spread:
    """A figure of several rounds."""

    def __init__(self, values=()):
        self.values = list(values)

    def add(self, value):
        self.values.append(value)

    @property
    def median(self):
        return statistics.median(self.values)

    def __str__(self):
        if len(self.values) == 1:
            return number(self.values[0])
        return f"{number(self.median)} ({number(min(self.values))}-{number(max(self.values))})"


def number(value):
    magnitude = abs(value)
    if magnitude >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if magnitude >= 100 else f"{value:.1f}" if magnitude >= 10 else f"{value:.2f}"
