"""rows_disk - disks that lose their power, fail, fill, dawdle, flip bits or come back from a snapshot."""
import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import disk
from harness import CALM_TEXT, URGENT_TEXT, CannotRun, row, wait_until
from suite import free_port

STATE = "desg_journal_state"
ROOMY, GETTING_FULL, FULL = 0, 1, 2
EXIT_CONFIG, EXIT_DISK = 78, 71
MIB = 1 << 20
PAGE_BYTES = 4096
INGEST = "ingest-1"
RELEASED_S = 100.0  # a record is released a minute after Redis has its mark, lest a failover takes the mark back
SLOW_S = 240.0


@contextlib.contextmanager
def volume(fault, kind=disk.Ext4, **options):
    """A disk of the row's own."""
    try:
        with kind(fault.temporary() / f"volume-{time.monotonic_ns()}", **options) as made:
            yield made
    except disk.CannotMount as reason:
        raise CannotRun(str(reason)) from reason


def journal_on(made, size_mib=64, **more):
    """Options of a desk whose first ingest keeps its journal there."""
    directory = made.path / "journal"
    directory.mkdir(mode=0o700, exist_ok=True)
    os.sync()
    return {"changes": {"ingest": {"journal": {"directory": str(directory), "size_mib": size_mib, **more}}}}


def journal_of(desk, name=INGEST):
    """The journal's part of an ingest's status; None while it does not answer."""
    status = desk.status(name)
    return status["detail"]["journal"] if status else None


def metric(desk, name, default=-1.0):
    """A number of ingest's; default while it does not answer."""
    try:
        return desk.metric_sum(INGEST, name)
    except (AssertionError, OSError):
        return default


def wait_for_accepted(fault, desk, more, seconds=60.0):
    wanted = fault.accepted(desk) + more
    wait_until(lambda: fault.accepted(desk) >= wanted, seconds, f"{more} more deliveries accepted")


def stands_still(fault, desk, seconds=1.0):
    """Waits until nothing was accepted for so long: what was on its way to be answered is."""
    def has_stood_still():
        before = fault.accepted(desk)
        fault.pause(seconds)
        return fault.accepted(desk) == before
    wait_until(has_stood_still, 10 * seconds, "no delivery accepted any more")


def wait_for_state(desk, state, seconds=60.0):
    wait_until(lambda: metric(desk, STATE) == state, seconds, f"journal state {state}")


def refused(load):
    """Answers other than 200 that the platforms met, and came back for."""
    return load.player.retries


# --- power, errors, slowness ---

@row(9, "Power loss of ingest's disk", quick=True)
def power_loss(fault):
    with volume(fault) as made, fault.desk(**journal_on(made)) as desk:
        supervisor = fault.supervise(desk, INGEST)
        load = fault.load(desk, per_second=60)
        urgent = fault.urgent(desk)
        for cut in range(2):
            wait_for_accepted(fault, desk, fault.random.randint(40, 160))
            supervisor.is_paused = True
            made.cut_power()
            stands_still(fault, desk)  # else it answers 200 without a disk
            assert cut or refused(load) > 0 or not desk.processes[INGEST].is_alive(), "nothing was refused"
            desk.processes[INGEST].kill9()
            made.mend()
            supervisor.is_paused = False
            wait_until(lambda: journal_of(desk), 60, "ingest is back")
        load.enough()
        urgent.stop()
        fault.note("refused", refused(load))
        fault.check(desk, "LDUBH")


def fd_events(trace):
    """[(call, fd, failed)] of a strace output, in order."""
    found = re.findall(r"^\d+ +(\w+)\((\d+).*?\)? += (-1 EIO|\S+)", trace.read_text("utf-8", "replace"), re.M)
    return [(call, int(fd), result == "-1 EIO") for call, fd, result in found]


@row(10, "fdatasync EIO once, then always", quick=True)
def failing_sync(fault):
    with fault.desk() as desk:
        supervisor = fault.supervise(desk, INGEST)
        load = fault.load(desk, per_second=50)
        wait_for_accepted(fault, desk, 50)
        data = desk.state / INGEST / "data.mdb"
        tracer = fault.strace(desk, INGEST, "-P", str(data.absolute()), "-e", "trace=fdatasync,close,pwrite64,writev",
                              "-e", "inject=fdatasync:error=EIO:when=3")
        wait_until(lambda: metric(desk, "desg_journal_reopened_total") == 1, 60, "the journal was opened anew")
        wait_for_accepted(fault, desk, 20)
        tracer.stop()
        events = fd_events(tracer.output)
        failed = next(index for index, (call, _, is_failed) in enumerate(events) if call == "fdatasync" and is_failed)
        fd = events[failed][1]
        after = next(call for call, at, _ in events[failed + 1:] if at == fd)
        assert after == "close", f"after the failed sync came {after} on the same descriptor"
        assert not supervisor.ended, f"once is no reason to end: {supervisor.ended}"
        tracer = fault.strace(desk, INGEST, "-P", str(data.absolute()), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1+")
        wait_until(lambda: supervisor.ended, 60, "ingest gives up")
        tracer.stop()
        wait_until(lambda: journal_of(desk), 60, "ingest is back")
        assert supervisor.ended[0] == (INGEST, EXIT_DISK), f"ended with {supervisor.ended[0]}"
        load.enough()
        assert refused(load) > 0, "the groups that failed were not refused"
        fault.note("refused", refused(load))
        fault.check(desk, "LDUBH")


@row(11, "Short and failing writes")
def failing_writes(fault):
    with fault.desk(is_started=False) as desk:
        ingest = desk.processes[INGEST]
        sound = ingest.command
        try:
            ingest.command = disk.fiu(sound, pwrite=0.03, writev=0.03, pwrite_reduce=0.02, writev_reduce=0.02)
        except disk.CannotMount as reason:
            raise CannotRun(str(reason)) from reason
        supervisor = fault.supervise(desk, INGEST, pause_s=0.1)
        desk.start([name for name in desk.processes if name != INGEST])
        ingest.start()
        wait_until(lambda: journal_of(desk), 60, "ingest is ready between two failures")
        load = fault.load(desk, per_second=40)
        fault.pause(10)
        failures = desk.log(INGEST).count("journal_write_failed")
        ingest.command = sound  # the disk is mended
        ingest.kill9()
        load.enough()
        fault.note("failed_writes", failures)
        fault.note("starts", ingest.starts)
        assert failures >= 3 and refused(load) > 0, "the writes did not fail"
        assert any(status == EXIT_DISK for _, status in supervisor.ended), f"never gave up: {supervisor.ended}"
        wait_until(lambda: journal_of(desk), 60, "ingest is back")
        fault.check(desk, "LDUH")


@row(14, "Slow disk, 500 ms a flush")
def slow_disk(fault):
    with fault.desk(ingests=2) as desk:
        tracer = fault.strace(desk, "ingest-2", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=500000")
        urgent = fault.urgent(desk)  # its one connection is with the first
        load = fault.load(desk, per_second=120, seconds=10, connections=96)
        group = 0
        while load.is_playing():
            group = max(group, desk.metric_sum("ingest-2", "desg_journal_group_records"))
            fault.pause(0.1)
        load.wait()
        commits = desk.metric_sum("ingest-2", "desg_journal_commits_total")
        slow = desk.metric_sum("ingest-2", "desg_journal_commit_seconds_sum") / commits
        tracer.stop()
        assert slow > 0.2, f"a commit took {slow:.3f} s: that disk was not slow"
        assert group >= 8, f"groups did not grow: {group} records"
        fault.note("largest_group", group)
        fault.note("commit_s", slow)
        urgent.stop()
        fault.check(desk, "LDUTBH")


# --- no room ---

@row(12, "Disk full while running, and the journal full behind it", limit_s=SLOW_S)
def full_disk(fault):
    with volume(fault, size_mib=48) as made, fault.desk(**journal_on(made, 4)) as desk:
        made.fill()
        assert made.free_bytes() == 0
        load = fault.load(desk, per_second=60, seconds=4)
        load.wait()  # the journal has had all its blocks from the start
        assert refused(load) == 0 and metric(desk, STATE) == ROOMY
        desk.processes["redis"].signal(signal.SIGSTOP)
        flood = fault.load(desk, per_second=6000, seconds=0, connections=16)
        seen = set()
        wait_until(lambda: seen.add(metric(desk, STATE)) or FULL in seen, 60, "a full journal")
        words = desk.desg("status").stdout
        journal = journal_of(desk)
        assert "full" in words, f"desg status does not say so: {words[:400]}"
        assert journal["state"] == "full"
        wait_until(lambda: refused(flood) > 0, 60, "a 503")
        fault.note("accepted_until_full", fault.accepted(desk))
        desk.processes["redis"].signal(signal.SIGCONT)
        wait_until(lambda: 0 <= metric(desk, STATE) < FULL, RELEASED_S, "room again, with no operator and the disk still full")
        made.unfill()
        flood.wait()
        fault.note("refused", refused(flood))
        book = fault.check(desk, "LDUBH")
        wait_for_state(desk, ROOMY)
        assert book.accepted


@row(50, "A full disk that answers EIO")
def full_disk_says_eio(fault):
    with volume(fault, size_mib=160) as made, fault.desk(**journal_on(made)) as desk:
        data = str(made.path / "journal" / "data.mdb")
        load = fault.load(desk, per_second=50)
        wait_for_accepted(fault, desk, 30)
        made.fill(leave_bytes=2 * MIB)
        tracer = fault.strace(desk, INGEST, "-P", data, "-e", "trace=pwrite64,writev", "-e", "inject=pwrite64,writev:error=EIO")
        wait_for_state(desk, FULL)
        wait_until(lambda: refused(load) > 0, 60, "a 503")
        fault.pause(2)
        tracer.stop()
        made.unfill()
        wait_for_state(desk, ROOMY)
        assert desk.processes[INGEST].starts == 1, "full was taken for broken"
        assert "journal_write_refused" in desk.log(INGEST)
        load.enough()
        fault.note("refused", refused(load))
        fault.check(desk, "LDUBH")


def limit(desk, name, soft):
    """Sets a running ingest's soft limit. Returns what it was."""
    pid = desk.processes[INGEST].pid
    was, hard = resource.prlimit(pid, name)
    resource.prlimit(pid, name, (soft, hard))
    return was


@row(13, "Out of inodes, descriptors, file size")
def out_of_small_things(fault):
    with volume(fault, size_mib=128, options=("-N", "32")) as made:
        options = journal_on(made)
        with fault.desk(**options) as desk:
            supervisor = fault.supervise(desk, INGEST)
            taken = take_inodes(made.path)
            load = fault.load(desk, per_second=40)
            wait_for_accepted(fault, desk, 30)
            desk.processes[INGEST].kill9()  # and starts, with no inode left for a new file
            wait_until(lambda: journal_of(desk), 60, "ingest is back")
            wait_for_accepted(fault, desk, 30)
            held = len(os.listdir(f"/proc/{desk.processes[INGEST].pid}/fd"))
            was = limit(desk, resource.RLIMIT_NOFILE, held + 1)
            crowd = fault.load(desk, per_second=40, seconds=0, connections=12)
            fault.pause(1.5)
            limit(desk, resource.RLIMIT_NOFILE, was)
            wait_until(lambda: journal_of(desk), 60, "ingest answers again")
            crowd.wait()
            fault.post(desk, *[desk.item(person=f"after{number}") for number in range(10)])
            fault.note("ended_without_descriptors", len(supervisor.ended) - 1)  # libzmq 4.3.4 aborts when its ipc:// listener gets none
            squeezed = len(supervisor.ended)
            limit(desk, resource.RLIMIT_FSIZE, 32 * 1024)
            wait_until(lambda: len(supervisor.ended) > squeezed and journal_of(desk), 60, "ingest gave up and is back")
            assert supervisor.ended[squeezed] == (INGEST, EXIT_DISK), f"ended with {supervisor.ended}"
            load.enough()
            for path in taken:
                path.unlink()
            fault.note("inodes_taken", len(taken))
            fault.note("refused", refused(load) + refused(crowd))
            fault.check(desk, "LDUBH")


def take_inodes(folder):
    taken = []
    with contextlib.suppress(OSError):
        while True:
            path = folder / f"desg-inode-{len(taken)}"
            path.touch()
            taken.append(path)
    assert os.statvfs(folder).f_ffree == 0 and taken, "there are inodes left"
    return taken


# --- what lies in the file ---

def private(desk, *items):
    """Posts messages that no reckoning expects: they are going to be destroyed."""
    player = desk.make_player()
    desk.post(player, *items)
    return player


@row(15, "Torn and flipped bytes in the journal")
def flipped_bytes(fault):
    changes = {"ingest": {"journal": {"keys_file": None, "size_mib": 16}}}  # not sealed: else we could not find it
    with fault.desk(changes=changes) as desk:
        load = fault.load(desk, per_second=40, seconds=3)
        load.wait()
        fault.settle(desk)
        for name in ("route", "classify-1", "classify-2"):
            desk.processes[name].signal(signal.SIGSTOP)
        marker = f"zq{fault.random.getrandbits(60):x}"
        private(desk, desk.item(f"{CALM_TEXT} {marker}"))
        fault.post(desk, *[desk.item(CALM_TEXT, person=f"n{number}") for number in range(6)])
        newest = journal_of(desk)["newest_sequence"]
        desk.processes[INGEST].kill9()
        flip(desk.state / INGEST / "data.mdb", marker.encode(), fault.random)
        garbage_behind(desk.state / INGEST / "data.mdb", fault.random)
        for name in ("route", "classify-1", "classify-2"):
            desk.processes[name].signal(signal.SIGCONT)
        desk.restart(INGEST)
        assert journal_of(desk)["newest_sequence"] == newest, "the tail was cut though it was sound"
        wait_until(lambda: metric(desk, "desg_journal_damaged_records_total") == 1, 60, "the damage is seen")
        assert "journal_record_damaged" in desk.log(INGEST)
        fault.check(desk, "LDUH")
        review = desk.queue("needs-review")
        assert "damaged" in str(desk.json("quarantine")).lower() or review, "no person is told"
        fault.note("damaged", 1)


def flip(path, needle, randomness):
    """One bit of each place where the needle stands."""
    data = bytearray(path.read_bytes())
    at = data.find(needle)
    assert at >= 0, "the record is not in the file"
    with open(path, "r+b") as file:
        while at >= 0:
            file.seek(at)
            file.write(bytes([data[at] ^ (1 << randomness.randrange(8))]))
            at = data.find(needle, at + 1)


def last_page(data):
    """The newer of the file's two heads tells its last page in use."""
    heads = []
    for page in (0, 1):
        head = data[page * PAGE_BYTES + 16:page * PAGE_BYTES + 152]
        assert int.from_bytes(head[0:4], "little") == 0xBEEFC0DE, "that is no journal"
        heads.append((int.from_bytes(head[128:136], "little"), int.from_bytes(head[120:128], "little")))
    return max(heads)[1]


def garbage_behind(path, randomness):
    """What a torn write may leave behind the last page in use."""
    data = path.read_bytes()
    start = (last_page(data) + 1) * PAGE_BYTES
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(randomness.randbytes(min(64 * PAGE_BYTES, len(data) - start)))


@row(16, "Recycled space full of old valid records")
def recycled_space(fault):
    with fault.desk(changes={"ingest": {"journal": {"size_mib": 16}}}) as desk:
        fault.load(desk, per_second=60, seconds=4).wait()
        fault.settle(desk)
        newest = journal_of(desk)["newest_sequence"]
        desk.processes[INGEST].kill9()
        path = desk.state / INGEST / "data.mdb"
        data = path.read_bytes()
        used = (last_page(data) + 1) * PAGE_BYTES
        old = data[2 * PAGE_BYTES:used]
        with open(path, "r+b") as file:  # pages of records, check sums and all, wherever there is room
            file.seek(used)
            file.write((old * (len(data) // len(old) + 1))[:len(data) - used])
        desk.restart(INGEST)
        journal = journal_of(desk)
        assert journal["newest_sequence"] == newest, "something rose from the dead"
        fault.load(desk, per_second=60, seconds=4).wait()
        desk.processes[INGEST].kill9()
        desk.restart(INGEST)
        fault.check(desk, "LDUH")
        assert metric(desk, "desg_journal_damaged_records_total") == 0
        fault.note("old_pages", (len(data) - used) // PAGE_BYTES)


# --- a journal that goes back in time ---

@row(17, "Numbers used again after a lost tail", quick=True)
def lost_tail(fault):
    with fault.desk() as desk:
        fault.load(desk, per_second=50, seconds=2).wait()
        fault.settle(desk)
        desk.processes[INGEST].kill9()
        path = desk.state / INGEST / "data.mdb"
        shutil.copyfile(path, fault.temporary() / "earlier.mdb")
        desk.restart(INGEST)
        before = journal_of(desk)
        fault.load(desk, per_second=50, seconds=3).wait()
        fault.settle(desk)  # applied and marked in Redis, under numbers that the journal is going to forget
        lost = journal_of(desk)["newest_sequence"]
        assert lost > before["newest_sequence"]
        desk.processes[INGEST].kill9()
        shutil.copyfile(fault.temporary() / "earlier.mdb", path)
        desk.restart(INGEST)
        after = journal_of(desk)
        assert after["newest_sequence"] == before["newest_sequence"] and after["incarnation"] != before["incarnation"]
        fault.post(desk, *[desk.item(URGENT_TEXT if number % 5 == 0 else CALM_TEXT, urgent=number % 5 == 0, person=f"again{number}")
                           for number in range(20)])
        assert journal_of(desk)["newest_sequence"] < lost, "the numbers do not meet: nothing was tried"
        fault.note("numbers_lost", lost - before["newest_sequence"])
        fault.check(desk, "LDUBH")


@row(48, "Ingest's volume restored from a snapshot")
def restored_volume(fault):
    with volume(fault, size_mib=128) as made, fault.desk(**journal_on(made)) as desk:
        load = fault.load(desk, per_second=60)
        wait_for_accepted(fault, desk, 120)
        snapshot = fault.temporary() / "snapshot.img"
        with made.frozen() as image:
            shutil.copyfile(image, snapshot)
        wait_for_accepted(fault, desk, 120)
        load.enough()
        fault.settle(desk)  # what came after the snapshot lives in Redis alone, once the volume is set back
        before = journal_of(desk)
        desk.processes[INGEST].kill9()
        made.put_back(snapshot)
        desk.restart(INGEST)
        after = journal_of(desk)
        assert after["source"] == before["source"] and after["incarnation"] != before["incarnation"]
        assert after["newest_sequence"] < before["newest_sequence"], "the snapshot is not older"
        fault.load(desk, per_second=60, seconds=4).wait()
        fault.note("records_set_back", before["newest_sequence"] - after["newest_sequence"])
        fault.check(desk, "LDUBH")


@row(49, "A second process opens a journal", quick=True)
def second_process(fault):
    with fault.desk() as desk:
        load = fault.load(desk, per_second=40, seconds=5)
        wait_for_accepted(fault, desk, 20)
        environment = {**os.environ, "DESG_INGEST_LISTEN": f"127.0.0.1:{free_port()}",
                       "DESG_INGEST_CLASSIFY_ENDPOINT": desk.endpoint("second")}
        command = [desk.build / "bin" / "desg-ingest", "--config", desk.config_path(), "--name", "second"]
        for _ in range(3):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            said = done.stdout + done.stderr
            assert done.returncode == EXIT_CONFIG, f"{done.returncode}: {said[-400:]}"
            assert f"belongs to process {desk.processes[INGEST].pid}" in said, said[-400:]
        load.wait()
        assert refused(load) == 0 and desk.processes[INGEST].starts == 1
        desk.processes[INGEST].kill9()  # an owner that died leaves nothing to clear
        desk.restart(INGEST)
        fault.check(desk, "LDUBH")


READER = """
import ctypes, sys, time
lmdb = ctypes.CDLL("liblmdb.so.0")
RDONLY, NOTLS = 0x20000, 0x200000
env, txn = ctypes.c_void_p(), ctypes.c_void_p()
assert lmdb.mdb_env_create(ctypes.byref(env)) == 0
assert lmdb.mdb_env_open(env, sys.argv[1].encode(), RDONLY | NOTLS, 0o600) == 0
assert lmdb.mdb_txn_begin(env, None, RDONLY, ctypes.byref(txn)) == 0
print("reading", flush=True)
time.sleep(600)
"""


@row(51, "A long reader from outside, killed in the end", limit_s=SLOW_S)
def long_reader(fault):
    try:
        ctypes.CDLL("liblmdb.so.0")
    except OSError as reason:
        raise CannotRun(str(reason)) from reason
    with fault.desk(changes={"ingest": {"journal": {"size_mib": 4}}}) as desk:
        load = fault.load(desk, per_second=60, seconds=4)
        load.wait()
        fault.settle(desk)
        reader = subprocess.Popen([sys.executable, "-c", READER, str((desk.state / INGEST).absolute())], stdout=subprocess.PIPE)
        fault.cleanup(reader.stdout.close)
        fault.cleanup(reader.wait)
        fault.cleanup(reader.kill)
        assert reader.stdout.readline() == b"reading\n"
        flood = fault.load(desk, per_second=5000, seconds=0, connections=16)
        wait_for_state(desk, FULL, 60)
        fault.note("accepted_until_full", fault.accepted(desk))
        first = journal_of(desk)["oldest_sequence"]
        wait_until(lambda: journal_of(desk)["oldest_sequence"] > first, RELEASED_S, "deletions")
        assert metric(desk, STATE) == FULL, "the reader holds nothing back"
        assert desk.processes[INGEST].starts == 1 and metric(desk, "desg_journal_reopened_total") == 0, "full was taken for broken"
        reader.kill()  # it leaves its place in the table of readers behind
        reader.wait()
        wait_until(lambda: 0 <= metric(desk, STATE) < FULL, 60, "room again once the reader is gone")
        flood.wait()
        fault.note("refused", refused(flood))
        fault.check(desk, "LDUBH")


# --- Redis's disk and memory ---


@row(23, "Redis's disk full; Redis out of memory")
def redis_without_room(fault):
    with volume(fault, kind=disk.Tmpfs, size_mib=48) as made:
        options = ("--dir", str(made.path), "--auto-aof-rewrite-percentage", "0")
        with fault.desk(redis_options=options) as desk:
            load = fault.load(desk, per_second=50)
            urgent = fault.urgent(desk)
            wait_for_accepted(fault, desk, 80)
            for what in ("disk", "memory"):
                if what == "disk":
                    made.fill()
                else:
                    assert desk.redis_cli("CONFIG", "SET", "maxmemory", "1mb") == "OK"
                held = applied(desk)
                wait_until(lambda: is_refusing(desk), 60, f"Redis without {what} takes no writes")
                told = len(desk.dispatched())
                wait_for_accepted(fault, desk, 60)
                wait_until(lambda: len(desk.dispatched()) > told, 60, "an alert while nothing can be applied")
                fault.note(f"applied_without_{what}", applied(desk) - held)
                if what == "disk":
                    made.unfill()
                else:
                    assert desk.redis_cli("CONFIG", "SET", "maxmemory", "0") == "OK"
                before = applied(desk)
                wait_until(lambda: applied(desk) > before, 60, "applied again")
            load.enough()
            urgent.stop()
            fault.check(desk, "LDUBH")


def applied(desk):
    return desk.metric_sum("route", "desg_route_applied_total")


def is_refusing(desk):
    """Redis answers a write with MISCONF or OOM."""
    done = subprocess.run(["redis-cli", "-s", f"{desk.run_directory}/redis.sock", "SET", "desg-test:probe", "1"], capture_output=True,
                          text=True, timeout=10, check=False)
    return any(word in done.stdout + done.stderr for word in ("MISCONF", "OOM"))


