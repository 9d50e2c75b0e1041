#!/usr/bin/python3
"""crash_points - a journal's process killed at each system call it makes on its files, and its disk without power then.

    crash_points.py WRITER [--all] [--seed N]

WRITER is journal_writer. The calls are found by tracing it, not listed here. After each crash the journal is opened again: all that
was acknowledged is there, nothing else is but what was being written, no number is used twice, each start has a new incarnation.
Without --all a sample of the power cuts, and of the kills of a journal being made. Exit 0, 1, or 77 where strace or loop disks are not to be had for any part.
"""
import argparse
import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fault"))
import disk  # noqa: E402

RECORDS, BODY_BYTES, SIZE_MIB, PAUSE_MS = 8, 700, 16, 1
SAMPLE = 24
SKIPPED = 77
HARMLESS = {"close", "fcntl", "fstatfs", "newfstatat", "pread64", "statfs", "mmap", "munmap", "stat", "lseek", "access", "fstat"}
FILES = ("data.mdb", "lock.mdb", "lock")


class Writer:
    """Runs journal_writer on one directory and remembers what it was told."""

    def __init__(self, program, directory):
        self.program = str(program)
        self.directory = pathlib.Path(directory)
        self.told = {}  # sequence -> (run, number), acknowledged
        self.runs = set()
        self.incarnations = set()
        self.source = None

    def strace(self, *options):
        paths = [part for name in FILES for part in ("-P", str(self.directory / name))]
        return ["strace", "-f", "-qq", "-P", str(self.directory), *paths, *options]

    def write(self, prefix=(), records=RECORDS):
        """Returns the exit status; what came through the pipe is acknowledged."""
        command = [*prefix, self.program, "write", self.directory, records, BODY_BYTES, SIZE_MIB, PAUSE_MS]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False, timeout=60)
        run = None
        for line in done.stdout.splitlines():
            kind, *rest = line.split()
            if kind == "run":
                run = rest[0]
                self.runs.add(run)
            elif kind == "stored":
                sequence = int(rest[0])
                assert sequence not in self.told, f"number {sequence} was given twice"
                self.told[sequence] = (run, int(rest[1]))
        return done.returncode

    def check(self):
        """Opens the journal as the next process would, and compares. Returns how many records it holds."""
        command = [self.program, "list", str(self.directory), str(SIZE_MIB)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        lines = [line.split() for line in done.stdout.splitlines()]
        assert done.returncode == 0 and lines[-1:] == [["done"]], f"cannot be opened: {done.returncode} {done.stderr[-300:]}"
        said = {kind: rest for kind, *rest in lines if kind in ("source", "incarnation", "newest")}
        damaged = [rest for kind, *rest in lines if kind == "damaged"]
        records = {int(rest[0]): rest[1:] for kind, *rest in lines if kind == "record"}
        assert not damaged, f"damaged: {damaged}"
        assert self.source in (None, *said["source"]), "another source"
        self.source = said["source"][0]
        assert said["incarnation"][0] not in self.incarnations, "an incarnation came twice"
        self.incarnations.add(said["incarnation"][0])
        assert list(records) == list(range(1, len(records) + 1)), "a gap between the numbers"
        assert int(said["newest"][0]) == len(records)
        per_run = collections.defaultdict(list)
        for sequence, (_, run, number) in records.items():
            assert run in self.runs, f"record {sequence} was invented"
            per_run[run].append(int(number))
        for run, numbers in per_run.items():
            assert numbers == list(range(1, len(numbers) + 1)), f"of a run, not in order: {numbers}"
        lost = [sequence for sequence, told in self.told.items()
                if sequence not in records or (records[sequence][1], int(records[sequence][2])) != told]
        assert not lost, f"acknowledged and lost: {lost}"
        return len(records)


def calls_of(writer, scratch):
    """{call: how often} on the journal's files, in a run to its end. What cannot change a file is left out."""
    trace = scratch / "trace"
    status = writer.write(writer.strace("-o", trace))
    assert status == 0, f"a run that nobody disturbs ends with {status}"
    names = re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text("utf-8", "replace"), re.M)
    trace.unlink()
    counts = collections.Counter(name for name in names if name not in HARMLESS)
    assert counts["fdatasync"] >= 4 and counts["pwrite64"] >= 4, f"that is no journal: {counts}"
    return counts


def points_of(writer, scratch):
    counts = calls_of(writer, scratch)
    return [(call, number) for call, count in sorted(counts.items()) for number in range(1, count + 1)]


def kill_at(writer, call, number):
    """Returns whether the writer got there."""
    status = writer.write(writer.strace("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"))
    return status in (137, -9)


def kill_everywhere(program, scratch, randomness, is_all):
    """Kills at each call: of a journal that is there, and (at a sample of them) of one being made."""
    home = pathlib.Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else scratch
    for what in ("at work", "being made"):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="desg-crash-", dir=home))
        try:
            writer = Writer(program, directory)
            if what == "at work":
                assert writer.write() == 0
            points, reached = points_of(writer, scratch), 0
            if what == "being made" and not is_all:
                points = sorted(randomness.sample(points, min(SAMPLE, len(points))))
            for call, number in points:
                if what == "being made":
                    shutil.rmtree(directory)
                    directory.mkdir(mode=0o700)
                    writer = Writer(program, directory)
                reached += attempt(writer, f"killed {what} at {call} {number}", kill_at, call, number)
                assert writer.write(records=2) == 0, "does not go on"
                attempt(writer, f"after {call} {number}", lambda *_: True)
            print(f"killed {what} at {reached} of {len(points)} calls: {summary(points)}", flush=True)
            assert reached >= len(points) // 2, "too few of them reached: groups fall differently each time, but not that much"
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def attempt(writer, what, crash, *arguments):
    try:
        reached = crash(writer, *arguments)
        writer.check()
        return bool(reached)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from None


def summary(points):
    counts = collections.Counter(call for call, _ in points)
    return ", ".join(f"{call} {count}" for call, count in sorted(counts.items()))


def cut_after_kill(writer, volume, call, number):
    reached = kill_at(writer, call, number)
    volume.cut_power()
    volume.mend()
    return reached


def cut_while_running(writer, volume, randomness):
    """Power goes while it writes: it gets errors for answers, and is stopped."""
    command = [writer.program, "write", str(writer.directory), "100000", str(BODY_BYTES), "16", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    run, wanted = None, randomness.randint(5, 300)
    for line in process.stdout:
        kind, *rest = line.split()
        if kind == "run":
            run = rest[0]
            writer.runs.add(run)
        elif kind == "stored":
            writer.told[int(rest[0])] = (run, int(rest[1]))
            wanted -= 1
        if wanted == 0:
            volume.cut_power()
        if kind in ("failed", "refused"):
            break
    process.kill()
    for line in process.stdout:  # said before it was killed
        kind, *rest = line.split()
        if kind == "stored":
            writer.told[int(rest[0])] = (run, int(rest[1]))
    process.wait()
    process.stdout.close()
    volume.mend()
    return wanted <= 0


def cut_power_everywhere(program, scratch, randomness, is_all):
    with disk.Ext4(scratch, 64) as volume:
        writer = Writer(program, volume.path / "journal")
        make_lasting(writer.directory)
        points = points_of(writer, scratch)
        chosen = points if is_all else sorted(randomness.sample(points, min(SAMPLE, len(points))))
        reached = sum(attempt(writer, f"no power at {call} {number}", cut_after_kill, volume, call, number)
                      for call, number in chosen)
        print(f"power cut at {reached} of {len(chosen)} calls: {summary(chosen)}", flush=True)
        for attempt_number in range(12 if is_all else 5):
            assert attempt(writer, f"no power, attempt {attempt_number}", cut_while_running, volume, randomness), "power never went"
        print(f"power cut under load, {len(writer.told)} acknowledged in all", flush=True)
        for number in range(12 if is_all else 4):  # while it is being made: what is there is a journal, or none
            fresh = Writer(program, volume.path / f"journal-{number}")
            make_lasting(fresh.directory)
            call, at = randomness.choice([point for point in points if point[1] <= 3])
            attempt(fresh, f"no power at {call} {at} of a new one", cut_after_kill, volume, call, at)
            shutil.rmtree(fresh.directory, ignore_errors=True)


def make_lasting(directory):
    """A journal's directory is made by an operator, long before."""
    directory.mkdir(mode=0o700)
    descriptor = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def a_lying_disk_is_found_out(program, scratch):
    """The proof that the proof can fail: syncs that do nothing, and what was acknowledged is gone."""
    with disk.Ext4(scratch, 64) as volume:
        writer = Writer(program, volume.path / "journal")
        make_lasting(writer.directory)
        assert writer.write() == 0
        writer.check()
        lie = ("-o", "/dev/null", "-e", "trace=fdatasync,fsync,pwrite64,writev", "-e", "inject=fdatasync:retval=0", "-e", "inject=fsync:retval=0")
        assert writer.write(writer.strace(*lie)) == 0
        volume.cut_power()
        volume.mend()
        try:
            writer.check()
        except AssertionError as error:
            print(f"a disk that lies about syncs is found out: {str(error)[:80]}", flush=True)
        else:
            raise AssertionError("a disk that does not sync was not noticed: this test sees nothing")


def a_snapshot_is_another_life(program, scratch):
    """A volume copied under load is a journal of its own: same records, other incarnations, so that no mark fits both."""
    with disk.Ext4(scratch / "one", 64) as volume, disk.Ext4(scratch / "two", 64) as restored:
        writer = Writer(program, volume.path / "journal")
        make_lasting(writer.directory)
        assert writer.write() == 0
        command = [program, "write", writer.directory, "100000", BODY_BYTES, "16", "0"]
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        told = dict(writer.told)
        run = process.stdout.readline().split()[1]
        restored.umount()
        count = 0
        for line in process.stdout:
            kind, *rest = line.split()
            if kind == "stored":
                told[int(rest[0])] = (run, int(rest[1]))
                count += 1
            if count == 100:
                with volume.frozen() as image:
                    shutil.copyfile(image, restored.image)
                break
        process.kill()
        process.wait()
        process.stdout.close()
        restored.mount()
        copy = Writer(program, restored.path / "journal")
        copy.told, copy.runs, copy.source = told, writer.runs | {run}, None
        held = copy.check()
        assert held >= len(told)
        writer.runs.add(run)
        writer.told.update(told)
        writer.check()
        assert copy.source == writer.source and not copy.incarnations & writer.incarnations
        before = max(copy.told)
        assert copy.write() == 0 and min(sequence for sequence in copy.told if sequence > before) > held - 1
        copy.check()
        print(f"a snapshot under load holds all of {len(told)} acknowledged, and goes on under incarnations of its own", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("writer", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="desg-crash-"))
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # it cannot look for leaks in a process that is traced
    left_out = 0
    print(f"seed {options.seed}")
    parts = (lambda: kill_everywhere(options.writer, scratch, randomness, options.all), lambda: cut_power_everywhere(options.writer, scratch, randomness, options.all),
             lambda: a_lying_disk_is_found_out(options.writer, scratch), lambda: a_snapshot_is_another_life(options.writer, scratch))
    try:
        for part in parts:
            try:
                part()
            except disk.CannotMount as reason:
                left_out += 1
                print(f"left out: {reason}")
            except FileNotFoundError as reason:
                if reason.filename != "strace":
                    raise
                left_out += 1
                print("left out: strace is not installed")
    except AssertionError as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return SKIPPED if left_out == len(parts) else 0


if __name__ == "__main__":
    sys.exit(main())
