"""harness - what the rows of the fault plan share: a desk of real programs, load beside it, and the invariants by their letters.

A row is a function of one Fault:

    @row(1, "kill -9 of ingest at random moments", quick=True)
    def kill_ingest(fault):
        with fault.desk() as desk:
            load = fault.load(desk, per_second=60, seconds=10)
            ...                                  # the fault; assert that it really happened
            load.wait()
            fault.check(desk, "LDUH")

Whatever a row makes (mounts, namespaces, control groups, stopped processes) it hands to fault.cleanup(): undone in the opposite order,
also after a failure or Ctrl-C. Children die with the *thread* that started them (PR_SET_PDEATHSIG): start processes in the main
thread, or let fault.supervise() do it.
"""
import contextlib
import functools
import itertools
import json
import math
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "system"), str(TOP / "deploy" / "local"), str(TOP / "tests" / "simulators")]
import desk as desk_module  # noqa: E402
import oracle  # noqa: E402
import platforms  # noqa: E402
from desk import CALM_TEXT, URGENT_TEXT, Desk, wait_until  # noqa: E402,F401

ROWS = {}  # number -> Row
LIMIT_S = 300.0  # a row that takes longer hangs: it has failed
SANITIZER_FACTOR = 3.0  # programs under a sanitizer start and work so many times slower
SETTLE_S = 120.0
URGENT_P99_S = 1.0


class CannotRun(Exception):
    """This kernel, or this user, cannot do what the row needs: left out, with the reason."""


class TookTooLong(AssertionError):
    """The row did not end in its time."""


class Row:
    def __init__(self, number, name, run, quick, limit_s):
        self.number, self.name, self.run, self.quick, self.limit_s = number, name, run, quick, limit_s


def row(number, name, quick=False, limit_s=LIMIT_S):
    """Registers a row of the fault plan."""
    def register(function):
        assert number not in ROWS, f"row {number} is there twice"
        ROWS[number] = Row(number, name, function, quick, limit_s)
        return function
    return register


def need(*programs, root=False):
    """Raises CannotRun where a program (or root) is missing."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise CannotRun(f"{', '.join(missing)} is not installed")
    if root and os.geteuid() != 0:
        raise CannotRun("needs root")


def percentile(values, share):
    """The nearest rank; 0 for nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0


class Urgent:
    """One urgent message after the other, each by another person, on one connection of its own."""

    def __init__(self, desk, per_second):
        self.desk = desk
        self.player = desk.make_player(connections=1)
        self.player.patience_s = 60.0
        self.period_s = 1.0 / per_second
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        number, due = 0, time.monotonic()
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            number += 1
            due = max(due + self.period_s, time.monotonic())
            item = self.desk.item(URGENT_TEXT, urgent=True, person=f"urgent{number}")
            with contextlib.suppress(AssertionError):  # said by player.faults
                self.desk.post(self.player, item)

    def stop(self):
        self.stopping.set()
        self.thread.join(70)
        assert not self.thread.is_alive(), "the urgent message was never answered"
        return self.player


class Machine:
    """How much of the machine others had since this was made: nobody is quicker than they let him be."""

    def __init__(self, desk):
        self.desk = desk
        self.total, self.busy, self.own = self.read()

    def read(self):
        """Seconds of all cores: (all, not idle, ours: the row's, its children's and the desk's)."""
        tick = os.sysconf("SC_CLK_TCK")
        fields = [int(field) / tick for field in pathlib.Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
        own = sum(os.times()[:4])
        for process in list(self.desk.processes.values()):
            with contextlib.suppress(OSError, IndexError):
                if process.popen and process.popen.returncode is None:
                    words = pathlib.Path(f"/proc/{process.pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
                    own += (int(words[11]) + int(words[12])) / tick
        return sum(fields), sum(fields) - fields[3] - fields[4], own

    def slowed(self):
        """So many times longer takes what needs the whole machine."""
        total, busy, own = (now - then for now, then in zip(self.read(), (self.total, self.busy, self.own)))
        others = max(0.0, busy - own) / total if total else 0.0
        return 1 / (1 - min(others, 0.9))


class Samples(threading.Thread):
    """Memory and descriptors of each process of a desk, four times a second; a process that comes later, or was started again
    before it was looked at once, counts from its third second."""

    def __init__(self, desk):
        super().__init__(daemon=True)
        self.desk = desk
        self.first, self.last, self.peak = {}, {}, {}
        self.machine = Machine(desk)
        self.held_up_s = 0.0  # the longest this thread was late: what the machine itself did to everybody
        self.pids = {name: process.pid for name, process in desk.processes.items() if process.is_alive()}
        self.seen_at = {name: 0.0 for name in self.pids}
        self.stopping = threading.Event()
        self.start()

    @staticmethod
    def read(pid):
        """(KiB of its own, descriptors), or None."""
        try:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
                own = [int(line.split()[1]) for line in status if line.startswith("RssAnon:")]
            return (own[0], len(os.listdir(f"/proc/{pid}/fd"))) if own else None
        except OSError:
            return None

    def run(self):
        due = time.monotonic() + 0.25
        while not self.stopping.wait(0.25):
            self.held_up_s = max(self.held_up_s, time.monotonic() - due)
            self.take()
            due = time.monotonic() + 0.25

    def take(self):
        for name, process in list(self.desk.processes.items()):
            sample = process.control and process.popen and process.popen.returncode is None and self.read(process.pid)
            if sample and name not in self.first and self.pids.get(name) != process.pid:
                self.pids[name], self.seen_at[name] = process.pid, time.monotonic() + 3.0
            if sample and time.monotonic() > self.seen_at[name]:
                self.first.setdefault(name, sample)
                self.last[name] = sample
                peak = self.peak.get(name, (0, 0))
                self.peak[name] = (max(peak[0], sample[0]), max(peak[1], sample[1]))


class Supervisor(threading.Thread):
    """Starts again, as systemd or Kubernetes would, what ends by itself or is killed. Its thread must outlive its children."""

    def __init__(self, desk, names, pause_s):
        super().__init__(daemon=True)
        self.desk, self.names, self.pause_s = desk, names, pause_s
        self.ended = []  # (name, exit status)
        self.is_paused = False
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            for name in list(self.names or self.desk.processes):
                process = self.desk.processes.get(name)
                if self.is_paused or not process or not process.popen or process.is_alive():
                    continue
                self.ended.append((name, process.popen.returncode))
                if self.over.wait(self.pause_s):
                    return
                process.start()


class Fault:
    """One run of one row."""

    def __init__(self, row_, seed, keep=False, say=lambda _: None):
        self.row = row_
        self.seed = seed
        self.random = random.Random(f"{row_.number}/{seed}")
        self.keep = keep
        self.say = say
        self.notes = {}
        self.began = time.monotonic()
        self.limit_s = row_.limit_s * (SANITIZER_FACTOR if oracle.is_sanitized(desk_module.BUILD) else 1.0)
        self.deadline = self.began + self.limit_s
        self.undo = contextlib.ExitStack()
        self.players = {}  # desk -> [players]
        self.urgents = {}  # desk -> [Urgent]
        self.samples = {}
        self.supervisors = {}
        self.directory = None
        self.desks = 0

    # --- surroundings ---

    def temporary(self):
        """The row's directory; removed at the end unless kept. A short path: Unix sockets have 107 bytes for theirs."""
        if not self.directory:
            self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"desg-fault-{self.row.number}-"))
        return self.directory

    def cleanup(self, function, *arguments, **options):
        """Called at the end of the row whatever happens, last first."""
        self.undo.callback(function, *arguments, **options)

    def note(self, key, value):
        """A figure for the table."""
        self.notes[key] = round(value, 3) if isinstance(value, float) else value

    @contextlib.contextmanager
    def desk(self, kind=Desk, is_started=True, state=None, **options):
        """A desk, started, in a fresh directory; stopped at the end. kind: a class made from Desk."""
        self.desks += 1
        desk = kind(state or self.temporary() / f"desk-{self.desks}", **options)
        desk.random = self.random
        self.players[desk], self.urgents[desk] = [], []
        try:
            desk.start() if is_started else desk.prepare()
            self.samples[desk] = Samples(desk)
            yield desk
        finally:
            self._end(desk)

    def _end(self, desk):
        for player in self.players.pop(desk, []):
            player.is_stopping = True
        for urgent in self.urgents.pop(desk, []):
            urgent.stopping.set()
        if desk in self.samples:
            self.samples.pop(desk).stopping.set()
        supervisor = self.supervisors.pop(desk, None)
        if supervisor:
            supervisor.is_paused = True
        for process in desk.processes.values():
            process.signal(signal.SIGCONT)
        try:
            desk.stop()
        finally:
            if supervisor:
                supervisor.over.set()

    def here(self, desk, seconds):
        """A limit in seconds of a machine of our own, on this one: by what others left of it, and how long it held us up."""
        samples = self.samples[desk]
        return seconds * samples.machine.slowed() + samples.held_up_s

    # --- load ---

    def deliveries(self, **shares):
        """Deliveries of the sample day, for ever, each message only once. The seed is drawn now: who asks for the next ones, and in which
        thread, leaves the row's moments as they are."""
        day, own = platforms.load_day(desk_module.DAY), random.Random(self.random.getrandbits(64))
        start_ms = int(time.time() * 1000) - 86400000

        def days():
            while True:
                run = f"{own.getrandbits(32):08x}"
                planner = platforms.Planner(day, own.getrandbits(30), run, start_ms, **shares)
                yield from ((delivery, is_forged) for _, delivery, is_forged in planner.deliveries())
        return days()

    def plan(self, deliveries, **shares):
        """So many of them, evenly spread."""
        return [(index / deliveries, *delivery) for index, delivery in enumerate(itertools.islice(self.deliveries(**shares), deliveries))]

    def load(self, desk, per_second, seconds=None, shares=None, **options):
        """Deliveries at that rate beside the row (seconds 0: per_second of them at full speed). Returns a Load: wait() for its end. Without
        seconds they come until enough(): for as long as the row needs them, be the machine fast or slow."""
        if seconds is None:
            plan = ((index / per_second, *delivery) for index, delivery in enumerate(self.deliveries(**(shares or {}))))
            seconds = 1.0
        else:
            plan = self.plan(int(per_second * (seconds or 1)), **(shares or {}))
        load = desk.play(plan, seconds, **options)
        self.players[desk].append(load.player)
        return load

    def urgent(self, desk, per_second=1.0):
        """Urgent messages beside the row until settle() or check(); what they took to reach dispatch is noted by check()."""
        urgent = Urgent(desk, per_second)
        self.players[desk].append(urgent.player)
        self.urgents[desk].append(urgent)
        return urgent

    def post(self, desk, *items):
        """Posts single messages now; they count like the load's. Returns the player."""
        player = desk.make_player()
        self.players[desk].append(player)
        desk.post(player, *items)
        return player

    def accepted(self, desk):
        """Deliveries answered 200 so far."""
        return sum(len(player.accepted) for player in self.players[desk])

    # --- faults ---

    def kill(self, desk, name, away_s=0.0):
        """kill -9; with away_s started again after that, and waited for."""
        assert desk.processes[name].is_alive(), f"{name} was dead already"
        desk.processes[name].kill9()
        assert desk.processes[name].popen.returncode == -signal.SIGKILL
        if away_s:
            self.pause(away_s)
            desk.restart(name)

    def pause(self, seconds):
        """The moment itself is what matters: the one place that waits for time to pass."""
        time.sleep(seconds)

    def supervise(self, desk, *names, pause_s=0.3):
        """From now on each of these (none: all) is started again when it ended. Returns the Supervisor with its list .ended."""
        supervisor = Supervisor(desk, names, pause_s)
        self.supervisors[desk] = supervisor
        return supervisor

    def strace(self, desk, name, *options, only=()):
        """strace on a running process and all its threads, or only some of them. Returns a Popen: its stop() lets go, what it wrote
        is in .output."""
        need("strace")
        output = self.temporary() / f"strace-{name}-{time.monotonic_ns()}"
        whom = [f"--attach={thread}" for thread in only] or ["-f", f"--attach={desk.processes[name].pid}"]
        tracer = subprocess.Popen(["strace", "-qq", "-o", output, *options, *whom],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        tracer.output = output
        tracer.stop = functools.partial(self._detach, tracer)
        self.cleanup(tracer.stop)
        pid = desk.processes[name].pid
        wait_until(lambda: tracer.poll() is not None or self._is_traced(pid, only), 10, f"strace on {name}")
        if tracer.poll() is not None and desk.processes[name].is_alive():
            raise CannotRun(f"strace: {tracer.stderr.read().decode(errors='replace').strip()[:200]}")
        return tracer

    @staticmethod
    def _is_traced(pid, only):
        """These threads (none: all) have a tracer, or there is no process any more."""
        try:
            for thread in only or os.listdir(f"/proc/{pid}/task"):
                status = pathlib.Path(f"/proc/{pid}/task/{thread}/status").read_text("ascii", "replace")
                if "\nTracerPid:\t0\n" in status and "\nState:\tZ" not in status:
                    return False
            return True
        except OSError:
            return True

    @staticmethod
    def _detach(tracer):
        if tracer.poll() is None:
            tracer.terminate()
            try:
                tracer.wait(5)
            except subprocess.TimeoutExpired:
                tracer.kill()
                tracer.wait()

    # --- the reckoning ---

    def settle(self, desk, seconds=SETTLE_S):
        """Ends the urgent messages and waits until nothing is on its way."""
        for urgent in self.urgents[desk]:
            urgent.stop()
        settled = oracle.wait_settled(desk, seconds)
        desk.assert_all_alive()
        assert settled, f"not settled within {seconds:g} s: {desk.backlog()}"

    def check(self, desk, letters, seconds=SETTLE_S, **options):
        """Settles, then holds what was answered 200 against what Desg and dispatch hold. Letters as in the fault plan.

        Returns the Book. Options go to oracle.Book (e.g. poison=…)."""
        unknown = set(letters) - set("LDUTBH")
        assert not unknown, f"no such invariant: {unknown}"
        self.settle(desk, seconds)
        book = oracle.Book(desk, self.players[desk], **options)
        self.note("events", len(book.accepted))
        wrong = book.wrong(letters)
        urgent = [urgent.player for urgent in self.urgents[desk]]
        if urgent:
            waits = book.urgent_waits(urgent)
            self.note("urgent_p99_s", percentile(waits, 0.99))
            self.note("urgent_max_s", max(waits, default=0.0))
        if "T" in letters:
            assert urgent and waits, "T was asked for, but no urgent message was sent"
            limit_s = self.here(desk, URGENT_P99_S)
            self.note("urgent_limit_s", limit_s)
            if percentile(waits, 0.99) >= limit_s:
                wrong["T"] = f"urgent p99 {percentile(waits, 0.99):.2f} s of {len(waits)}, more than {limit_s:.2f} s"
        if "B" in letters:
            grown = self._grown(desk)
            if grown:
                wrong["B"] = grown
        if "H" in letters:
            unwell = oracle.unwell(desk)
            if unwell:
                wrong["H"] = unwell
        assert not wrong, f"of {len(book.accepted)} accepted: {json.dumps(wrong)}"
        return book

    GROWTH_KIB = 24 * 1024
    PEAK_KIB = 96 * 1024
    GROWTH_DESCRIPTORS = 32  # connections to dispatch that libcurl keeps for the next

    def _grown(self, desk):
        """What is not as it was at the row's start, once it had 10 s to calm down. A sanitizer keeps freed memory and shadows
        of it: under one, descriptors alone are judged."""
        samples = self.samples[desk]
        is_memory_judged = not oracle.is_sanitized(desk.build)

        def grown():
            samples.take()
            found = {}
            for name, (kib, descriptors) in samples.last.items():
                first_kib, first_descriptors = samples.first[name]
                is_bigger = kib - first_kib > self.GROWTH_KIB or samples.peak[name][0] - first_kib > self.PEAK_KIB
                if is_memory_judged and is_bigger:
                    found[name] = f"{first_kib} KiB at first, {samples.peak[name][0]} at most, {kib} now"
                elif descriptors - first_descriptors > self.GROWTH_DESCRIPTORS:
                    found[name] = f"{first_descriptors} descriptors at first, {descriptors} now"
            return found
        deadline = time.monotonic() + 10
        while grown() and time.monotonic() < deadline:
            time.sleep(0.25)
        most = {name: peak[0] - samples.first[name][0] for name, peak in samples.peak.items()}
        self.note("grown_kib", max(most.values(), default=0))
        return grown()

    # --- the end ---

    def finish(self, is_good):
        """Undoes all; where the state is kept, says where."""
        try:
            self.undo.close()
        finally:
            if self.directory and (self.keep or not is_good):
                self.say(f"state kept in {self.directory}")
            elif self.directory:
                shutil.rmtree(self.directory, ignore_errors=True)
