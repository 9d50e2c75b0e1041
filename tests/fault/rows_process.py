"""rows_process - processes that are killed, stopped, hung, starved, replaced."""
import concurrent.futures
import os
import signal
import subprocess
import time

import groups
import ledger
import oracle
import platforms
import shim
import suite
import threads
import wire
from harness import CALM_TEXT, URGENT_TEXT, need, row, wait_until

AWAY_S = 0.3
ROLES = ("ingest-1", "classify-1", "route", "notify")
NO_REPEATS = {"duplicate_share": 0.0, "rebatch_share": 0.0}  # so that what route sees twice was repeated by us
APPLIED = "desg_route_applied_total"


@row(1, "kill -9 ingest at random", quick=True)
def kill_ingest_at_random(fault):
    with fault.desk() as desk:
        load = fault.load(desk, per_second=80)
        kills = 6
        for _ in range(kills):
            fault.pause(fault.random.uniform(0.3, 1.5))
            retries = load.player.retries
            fault.kill(desk, "ingest-1")
            fault.pause(AWAY_S)
            wait_until(lambda before=retries: load.player.retries > before, 30, "a platform notices")
            desk.restart("ingest-1")
        load.enough(800)
        assert desk.processes["ingest-1"].starts == kills + 1
        fault.note("kills", kills)
        fault.check(desk, "LDUBH")


def killed_at(fault, desk, name, call, number):
    """Has name killed at its number-th such call from now on, then starts it again. Returns False if it never got there."""
    tracer = fault.strace(desk, name, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
    process = desk.processes[name]
    try:
        wait_until(lambda: not process.is_alive(), 20, f"{name} at {call} number {number}")
    except AssertionError:
        return False
    finally:
        tracer.stop()
        if not process.is_alive():
            desk.restart(name)
    return process.starts > 1


@row(2, "kill -9 ingest at each journal syscall", quick=True)
def kill_ingest_at_each_syscall(fault):
    with fault.desk() as desk:
        calls = [(call, number) for number in (1, 2, 3, 4) for call in ("pwrite64", "fdatasync")]
        calls += [("writev", 1), ("lseek", 1), ("writev", 3), ("lseek", 3)]
        load = fault.load(desk, per_second=25, connections=4)
        reached = [(call, number) for call, number in calls if killed_at(fault, desk, "ingest-1", call, number)]
        load.enough()
        fault.note("killed_at", len(reached))
        assert {call for call, _ in reached} >= {"pwrite64", "fdatasync"} and len(reached) >= len(calls) - 2, f"only {reached}"
        fault.check(desk, "LD")


@row(3, "kill -9 classify while holding batches; all workers at once")
def kill_classify(fault):
    with fault.desk() as desk:
        load = fault.load(desk, per_second=120)
        for _ in range(6):
            fault.kill(desk, fault.random.choice(["classify-1", "classify-2"]), fault.random.uniform(0.05, 0.4))
        desk.processes["classify-1"].kill9()
        desk.processes["classify-2"].kill9()
        before = set(desk.dispatched())
        fault.post(desk, desk.item(URGENT_TEXT, person="alone", urgent=True))
        posted_at = time.monotonic()
        wait_until(lambda: set(desk.dispatched()) - before, 60, "an alert without any worker")
        fault.note("bypass_s", time.monotonic() - posted_at)
        wait_until(lambda: desk.metric_sum("ingest-1", "desg_ingest_bypasses_total"), 30, "a bypass in the metrics")
        load.enough()
        assert not any(desk.processes[name].is_alive() for name in ("classify-1", "classify-2"))
        for name in ("classify-1", "classify-2"):
            desk.restart(name)
        book = fault.check(desk, "LDUBH")
        assert not book.held.quarantined, "a killed worker made poison of what it held"


@row(4, "kill -9 route between FCALL and DONE", quick=True)
def kill_route_between(fault):
    """Each reading of an answer is made to take 120 ms: most of a lane's time lies between the function's running and the word of it. That
    a kill fell there is shown by what the next route finds applied already."""
    with fault.desk() as desk:
        load = fault.load(desk, per_second=40, shares=NO_REPEATS)
        kills = repeated = 0
        while kills < 4 or repeated < 2 and kills < 12:
            pid = desk.processes["route"].pid  # its lanes, not its sockets' thread: they alone read what Redis says
            lanes = [thread for thread, name in threads.of(pid).items() if name.startswith("desg-route") and thread != pid]
            tracer = fault.strace(desk, "route", "-e", "trace=read", "-e", "inject=read:delay_enter=120000", only=lanes)
            fault.pause(fault.random.uniform(0.5, 1.0))
            fault.kill(desk, "route")
            tracer.stop()
            desk.restart("route")
            kills += 1
            wait_until(lambda: desk.metric_sum("route", APPLIED) > 0, 60, "the new route applies")
            fault.pause(0.3)
            repeated += desk.metric_sum("route", APPLIED, 'outcome="duplicate"')
        load.enough(800)
        fault.note("kills", kills)
        fault.note("applied_twice", int(repeated))
        assert repeated > 0, f"{kills} kills, but none between FCALL and DONE"
        fault.check(desk, "LDH")


@row(5, "kill -9 notify between POST and its acknowledgement", quick=True)
def kill_notify_between(fault):
    with fault.desk() as desk:
        for number in range(5):
            before = {entry["key"] for entry in ledger.dispatch_ledger(desk)["entries"]}
            reuses = ledger.dispatch_ledger(desk)["reuses"]
            desk.dispatch_control(hang=1, ack="none")  # takes it, never says so
            fault.post(desk, desk.item(URGENT_TEXT, person=f"p{number}", urgent=True))
            wait_until(lambda: {e["key"] for e in ledger.dispatch_ledger(desk)["entries"]} - before, 60, "the POST at dispatch")
            fault.kill(desk, "notify", fault.random.uniform(0.05, 0.5))
            wait_until(lambda: ledger.dispatch_ledger(desk)["reuses"] > reuses, 60, "the same key again")
        desk.dispatch_control(hang=0, ack="once")
        fault.note("same_key_again", ledger.dispatch_ledger(desk)["reuses"])
        book = fault.check(desk, "LDUH")
        assert len(book.urgent()) == 5 and len(book.alerts) == 5


@row(6, "kill -9 all at once, restart in random order", quick=True)
def kill_all(fault):
    with fault.desk(ingests=2) as desk:
        load = fault.load(desk, per_second=60)
        for _ in range(2):
            fault.pause(fault.random.uniform(1.0, 3.0))
            for process in desk.processes.values():
                process.signal(signal.SIGKILL)
            assert {process.popen.wait() for process in desk.processes.values()} == {-signal.SIGKILL}
            names = list(desk.processes)
            fault.random.shuffle(names)
            for name in names:
                desk.processes[name].start()
            for name in names:
                desk.wait_ready(name)
        load.enough()
        fault.check(desk, "LDUH")


AGENTS = ("anna", "ben", "carys", "dai")


def claim_at_once(desk, conversation, agents):
    """What each of them got who asks for the same conversation at the same moment."""
    with concurrent.futures.ThreadPoolExecutor(len(agents)) as pool:
        return list(pool.map(lambda agent: desk.desg("claim", conversation, "--agent", agent, "--json", timeout=30), agents))


@row(7, "SIGSTOP 10 s / SIGCONT each role")
def stop_and_continue(fault):
    stopped_s = 10.0
    with fault.desk(ingests=2) as desk:
        fault.post(desk, *(desk.item(CALM_TEXT, person=f"claim{n}") for n in range(len(ROLES))))
        wait_until(lambda: len(desk.queue("general")) >= len(ROLES), 60, "work to claim")
        waiting = [entry["conversation"] for entry in desk.queue("general")]
        for agent in AGENTS:
            desk.admit(agent)
        load = fault.load(desk, per_second=20)
        urgent = fault.urgent(desk, 3)
        notify_away = (0.0, 0.0)
        for name, conversation in zip(ROLES, waiting):
            desk.processes[name].signal(signal.SIGSTOP)
            began = time.time()
            fault.pause(stopped_s - 0.5)
            assert threads.state(desk.processes[name].pid, desk.processes[name].pid) == "T", f"{name} runs"
            if name == "route":  # asked while it is stopped, answered when it goes on
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    asked = pool.submit(claim_at_once, desk, conversation, AGENTS)
                    fault.pause(0.5)
                    desk.processes[name].signal(signal.SIGCONT)
                    got = asked.result()
            else:
                fault.pause(0.5)
                desk.processes[name].signal(signal.SIGCONT)
                got = claim_at_once(desk, conversation, AGENTS)
            if name == "notify":
                notify_away = (began - 1.0, time.time())
            assert sum(done.returncode == 0 for done in got) == 1, f"{name}: {[done.returncode for done in got]} claimed one thing"
        load.enough()
        # Nobody but notify speaks to dispatch: what was answered while it was stopped is measured from its return.
        urgent.stop()
        for expected, at in urgent.player.accepted.items():
            if notify_away[0] <= at <= notify_away[1]:
                urgent.player.accepted[expected] = notify_away[1]
        fault.check(desk, "LDUTBH")
        assert all(process.starts == 1 for process in desk.processes.values())


@row(8, "application thread hung, I/O thread alive")
def hang_one_thread(fault):
    with fault.desk() as desk:
        worker = desk.processes["classify-1"]
        load = fault.load(desk, per_second=60)
        most_s = 0.0
        for _ in range(2):
            fault.pause(fault.random.uniform(0.5, 1.0))
            thread = next(number for number, name in threads.of(worker.pid).items() if name == "classifier")
            hung = threads.Hung(worker.pid, thread)
            fault.cleanup(hung.release)
            began = time.monotonic()
            newest = desk.status("ingest-1")["detail"]["journal"]["newest_sequence"]
            wait_until(lambda: desk.status("ingest-1")["detail"]["dispatch"]["done_through"] > newest + 20, 30,
                       "what the hung worker held, and what came after, done by the other")
            most_s = max(most_s, time.monotonic() - began)
            assert hung.is_hung() and worker.is_alive()
            fault.pause(max(0.0, began + 4.0 - time.monotonic()))
            assert hung.is_hung()
            hung.release()
        load.enough()
        fault.note("requeued_s", most_s)
        assert worker.starts == 1
        book = fault.check(desk, "LDUBH")
        assert not book.held.quarantined


@row(34, "duplicate webhooks: ×3, re-batched, at two ingests at once", quick=True)
def duplicate_webhooks(fault):
    with fault.desk(ingests=2) as desk:
        plan = fault.plan(250, duplicate_share=1.0, rebatch_share=1.0, forge_share=0.0)
        loads = []
        for number in (1, 2):
            for _ in range(2):  # each plan holds most deliveries twice: four to six of each, two of them at the same moment
                load = desk.play(plan, 6)
                load.player.addresses = [("127.0.0.1", desk.ports[desk.ingest_name(number)])]
                fault.players[desk].append(load.player)
                loads.append(load)
        for load in loads:
            load.wait()
        answered = sum(load.player.events_answered for load in loads)
        book = fault.check(desk, "LDU")
        seen = sum(desk.metric_sum("route", APPLIED, f'outcome="{outcome}"') for outcome in ("new", "duplicate"))
        fault.note("told", answered)
        assert answered >= 4 * len(book.accepted) and seen >= 2 * len(book.accepted), "nothing came twice"
        stored = [desk.metric_sum(desk.ingest_name(number), "desg_ingest_deliveries_total") for number in (1, 2)]
        assert min(stored) > 400, f"one ingest had it all: {stored}"
        assert len({event["event"] for event in book.held.events}) == len(book.accepted), "something was made up"


def behind(desk):
    """Bodies that ingest has stored and that are not done yet."""
    dispatch = (desk.status("ingest-1") or {}).get("detail", {}).get("dispatch")
    return dispatch["newest_sequence"] - dispatch["done_through"] if dispatch else 0


def flood(fault, desk, bodies, events, people):
    """So many bodies of so many calm messages each, as fast as they are taken."""
    run = f"{fault.random.getrandbits(32):08x}"
    writer = platforms.Writer(run, int(time.time()) // 86400 * 86400000)
    plan = []
    for _ in range(bodies):
        items = [desk.item(CALM_TEXT, person=f"flood{fault.random.randrange(people)}") for _ in range(events)]
        plan.append((0.0, writer.meta(items), False))
    load = desk.play(plan, 0)
    fault.players[desk].append(load.player)
    return load


@row(37, "bulk flood and one urgent message a second", quick=True)
def bulk_flood(fault):
    with fault.desk() as desk:
        workers = [desk.processes[name] for name in desk.processes if name.startswith("classify")]
        began, backlog, bodies, events = time.monotonic(), 0, 3000, 8
        for worker in workers:  # bulk is behind from the first, however fast they are
            worker.signal(signal.SIGSTOP)
        load = flood(fault, desk, bodies, events, 300)
        wait_until(lambda: behind(desk) >= 20, 30, "bulk is behind")
        urgent = fault.urgent(desk, 3)
        for worker in workers:
            worker.signal(signal.SIGCONT)
        while load.is_playing():
            backlog = max(backlog, behind(desk))
            fault.pause(0.1)
        load.wait()
        seconds = time.monotonic() - began
        while behind(desk) and time.monotonic() < fault.deadline:
            fault.pause(0.1)
        fault.note("events_per_s", int(bodies * events / seconds))
        fault.note("backlog_bodies", backlog)
        assert load.player.retries == 0 and urgent.player.retries == 0
        fault.check(desk, "LDUTBH", seconds=90)


@row(40, "workers 0 → 8 → 1 under load; rolling restart of every role")
def scale_and_roll(fault):
    with fault.desk(workers=0, ingests=2) as desk:
        load = fault.load(desk, per_second=60)
        fault.pause(1.5)
        names = [desk.add_worker() for _ in range(8)]
        for name in names:
            desk.wait_ready(name)
        wait_until(lambda: desk.status("ingest-1")["detail"]["dispatch"]["provisional_records"] == 0, 90, "verdicts for all")
        fault.urgent(desk, 3)
        fault.pause(2.0)
        wait_until(lambda: sum(worker["state"] == "up" for worker in desk.status("ingest-1")["detail"]["dispatch"]["workers"]) == 8, 30,
                   "eight workers up")
        for name in names[1:]:
            assert desk.processes.pop(name).stop() == 0, f"{name} did not end well"
        rolled = 0
        for name in ("ingest-1", "ingest-2", "classify-1", "route", "notify"):
            assert desk.processes[name].stop() == 0, f"{name} did not end well"
            desk.restart(name)
            rolled += 1
            fault.pause(0.5)
        load.enough()
        fault.note("rolled", rolled)
        book = fault.check(desk, "LDUTBH")
        assert not book.held.quarantined


def no_web(plan):
    """Without the web form's: their time stamps are checked against the clock."""
    kept = [entry for entry in plan if entry[1].path != "/v1/intake/web"]
    return [(index / len(kept), *entry[1:]) for index, entry in enumerate(kept)]


@row(42, "clock jumps by an hour, both ways, and drift: each role, Redis")
def clock_jumps(fault):
    names = ["ingest-1", "classify-1", "route", "notify", "redis"]
    with fault.desk(is_started=False) as desk:
        clocks = {name: shim.Clock(fault.temporary(), name) for name in names}
        for name, clock in clocks.items():
            desk.processes[name].environment = clock.environment()
        desk.start()
        fault.post(desk, desk.item(CALM_TEXT, person="fenced"))
        conversation = wait_until(lambda: desk.queue("general"), 60, "work to claim")[0]["conversation"]
        first = desk.json("claim", conversation, "--agent", "anna")
        load = desk.play(no_web(fault.plan(1500)), 32)
        fault.players[desk].append(load.player)
        fault.urgent(desk, 2)
        for name in names:
            for seconds, drift in ((3600, 0), (-3600, 0), (0, 500000), (0, 0)):
                clocks[name].set(seconds, drift)
                fault.pause(fault.random.uniform(1.0, 1.8))
                if name == "redis" and seconds == 3600:
                    now = int(desk.redis_cli("TIME")[0])
                    assert now > time.time() + 3000, "Redis's clock did not jump"
                    second = desk.json("claim", conversation, "--agent", "ben")  # anna's lease has run out an hour too early
        load.wait()
        assert second["fence"] > first["fence"]
        seen = desk.json("show", conversation)["events"][-1]["event"]
        late = desk.desg("close", conversation, "--agent", "anna", "--fence", str(first["fence"]), "--last-event", seen)
        assert late.returncode == 65, f"a lost lease closed the conversation: {late.returncode}"
        for name in names:
            desk.assert_all_alive()
            assert desk.processes[name].starts == 1
        fault.check(desk, "LDUTBH")


@row(43, "memory limit with OOM kill; CPU starvation")
def starve(fault):
    need(root=True)
    with fault.desk(is_started=False, ingests=2) as desk:
        held = {}
        for name in ("ingest-1", "classify-1", "route", "notify"):
            held[name] = groups.Group(f"desg-fault-{os.getpid()}-{name}", memory_mib=160)
            fault.cleanup(held[name].remove)
            desk.processes[name].command = held[name].command(desk.processes[name].command)
        slow = groups.Group(f"desg-fault-{os.getpid()}-slow", cpu_share=0.1)
        fault.cleanup(slow.remove)
        desk.start()
        load = fault.load(desk, per_second=60)
        flooding = flood(fault, desk, 400, 25, 200)  # under the limit, nobody is killed for that
        flooding.wait()
        assert not any(group.out_of_memory_kills() for group in held.values())
        supervisor = fault.supervise(desk, *held)
        for name, group in held.items():
            hog = group.hog(158, desk.processes[name].pid)
            fault.cleanup(hog.wait)
            fault.cleanup(hog.kill)
            wait_until(group.out_of_memory_kills, 60, f"the kernel kills {name}")
            hog.kill()
            hog.wait()
            wait_until(lambda name=name: any(ended == (name, -signal.SIGKILL) for ended in supervisor.ended), 30, f"{name} is dead")
            wait_until(desk.processes[name].is_alive, 30, f"{name} is back")
            desk.wait_ready(name)
        supervisor.is_paused = True
        fault.note("oom_kills", len(supervisor.ended))
        for name in held:
            slow.add(desk.processes[name].pid)
        fault.pause(6.0)
        fault.note("throttled", slow.throttled())
        assert slow.throttled() > 0
        for folder in slow.folders:
            for pid in (folder / "cgroup.procs").read_text("ascii").split():
                (folder.parent / "cgroup.procs").write_text(pid, "ascii")
        load.enough()
        fault.check(desk, "LDUBH")


def faults_told(desk):
    """(how many faults were inside third-party libraries, [where our own code failed]), from what the shim wrote into the logs."""
    library, ours = 0, []
    for name in ROLES:
        lines = desk.log(name).splitlines()
        for number, line in enumerate(lines):
            if "shim_malloc.so(" in line:  # the handler; then libc's trampoline; then who failed
                frames = [frame for frame in lines[number + 1:number + 5] if "libc.so" not in frame]
                if frames and "/bin/desg-" in frames[0]:
                    ours.append(f"{name}: {frames[0].rpartition('/')[2]}")
                else:
                    library += 1
    return library, ours


@row(44, "malloc failures")
def malloc_failures(fault):
    with fault.desk(is_started=False) as desk:
        failures = shim.MallocFailures(fault.temporary(), fault.random.getrandbits(31))
        for name in ROLES:
            desk.processes[name].environment = failures.environment()
        desk.start()
        supervisor = fault.supervise(desk, *ROLES)
        load = fault.load(desk, per_second=40)
        for per_million in (100, 1000, 10000):
            failures.arm(per_million)
            fault.pause(6.0)
        failures.arm(0)
        load.enough()
        wait_until(lambda: all(desk.processes[name].is_alive() for name in ROLES), 60, "all are back")
        for name in ROLES:
            desk.wait_ready(name)
        ends = [status for _, status in supervisor.ended]
        fault.note("failed", failures.failed())
        fault.note("ends", {str(status): ends.count(status) for status in sorted(set(ends))})
        assert failures.failed() > 50, "hardly an allocation failed"
        library, ours = faults_told(desk)
        fault.note("faults_in_libraries", library)
        assert not ours, f"a fault in our own code: {ours}"
        assert -signal.SIGBUS not in ends and ends.count(-signal.SIGSEGV) == library
        assert 78 not in ends, "want of memory was taken for a wrong configuration: nothing would start it again"
        # What could not be unpacked twice waits for a person, who offers it again.
        fault.settle(desk)
        set_aside = [entry["event"] for entry in desk.json("quarantine", "list")]
        fault.note("offered_again", len(set_aside))
        for event in set_aside:
            assert desk.desg("quarantine", "retry", event, timeout=30).returncode == 0
        fault.check(desk, "LDUH")


def adopt(fault, desk, name, seconds):
    """desg adopt of that ingest's journal, to its end. Returns the exit status."""
    number = int(name.rpartition("-")[2])
    command = [desk.build / "bin" / "desg", "--config", desk.config_path(number), "adopt", "--name", name, "--for", str(seconds)]
    log = open(desk.state / "log" / "adopt.log", "ab")  # closed with the process
    adopter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    log.close()
    fault.cleanup(adopter.kill)
    return adopter


@row(41, "ingest scaled in with a backlog; adopter")
def scale_in(fault):
    with fault.desk(ingests=2) as desk:
        desk.processes["route"].signal(signal.SIGSTOP)
        load = fault.load(desk, per_second=60, seconds=5)
        load.wait()
        # Gone without a word, its volume left behind with what nobody has applied yet.
        dispatch = desk.status("ingest-2")["detail"]["dispatch"]
        backlog = dispatch["newest_sequence"] - dispatch["done_through"]
        assert backlog > 50, f"a backlog of {backlog} only"
        fault.note("left_behind", backlog)
        desk.processes["ingest-2"].kill9()
        gone = desk.processes.pop("ingest-2")
        desk.ingests = 1
        desk.processes["route"].signal(signal.SIGCONT)
        wait_until(lambda: desk.status("ingest-1")["detail"]["dispatch"]["deferred_records"] == 0, 90, "ingest-1's own backlog done")
        wrong = oracle.Book(desk, fault.players[desk]).wrong("L")
        assert wrong, "nothing was missing before the adoption"
        killed = adopt(fault, desk, "ingest-2", 60)
        fault.pause(fault.random.uniform(0.1, 0.6))
        killed.kill()  # at any moment: started again
        killed.wait()
        more = fault.load(desk, per_second=30, seconds=4)
        began = time.monotonic()
        adopter = adopt(fault, desk, "ingest-2", 90)
        assert adopter.wait(100) == 0, f"desg adopt ended with {adopter.returncode}"
        fault.note("adopted_s", time.monotonic() - began)
        again = adopt(fault, desk, "ingest-2", 60)
        assert again.wait(70) == 0, "adopting what is done already"
        more.wait()
        fault.check(desk, "LDUH")
        assert gone.popen.returncode == -signal.SIGKILL


COUNT_MARKED = """
local total, marked = 0, 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'e:' then
      total = total + 1
      if string.find(fields[i + 1], ARGV[2], 1, true) then marked = marked + 1 end
    end
  end
end
return { total, marked }
"""


@row(45, "rolling upgrade of wire versions N / N+1")
def next_version(fault):
    """Half the packets come from version N+1: with fields, and now and then a kind, that N does not know."""
    with fault.desk(is_started=False) as desk:
        upgraded = {"share": 0.5}
        relays = {}
        for name in ("ingest-1", "route-urgent", "route-bulk", "notify"):
            path = f"{desk.run_directory}/n-{name}.ipc"
            relays[name] = wire.Relay(path, f"{desk.run_directory}/{name}.ipc", lambda: fault.random.random() < upgraded["share"])
            fault.cleanup(relays[name].close)
        through = lambda name: f"ipc://{desk.run_directory}/n-{name}.ipc"
        desk.changes = suite.merge(desk.changes, {
            "ingest": {"route_endpoints": [through("route-urgent")]},
            "classify": {"ingest_endpoints": [through("ingest-1")], "route_urgent_endpoints": [through("route-urgent")],
                         "route_bulk_endpoints": [through("route-bulk")], "notify_endpoints": [through("notify")]},
            "route": {"notify_endpoints": [through("notify")]}})
        desk.write_config()
        desk.start()
        fault.urgent(desk, 2)
        load = fault.load(desk, per_second=50)
        for name in ("classify-1", "route", "ingest-1", "notify", "classify-2"):  # the roll-out
            fault.pause(1.5)
            upgraded["share"] = min(1.0, upgraded["share"] + 0.1)
            assert desk.processes[name].stop() == 0
            desk.restart(name)
        load.enough()
        book = fault.check(desk, "LDUH")
        total, marked = desk.redis_cli("EVAL", COUNT_MARKED, "0", "desg:{gwent}:conv:*", wire.MARKER.decode())
        fault.note("packets_of_next", sum(relay.rewritten for relay in relays.values()))
        fault.note("kinds_unknown", sum(relay.unknown for relay in relays.values()))
        fault.note("fields_kept", f"{marked} of {total}")
        assert total >= len(book.accepted) and marked > total * 0.4, f"{marked} of {total} events kept what they did not know"
        for name in ("ingest-1", "classify-1", "route", "notify"):
            refused = desk.metric_sum(name, "desg_link_refused_packets_total", 'reason="unknown_kind"')
            assert refused > 0, f"{name} never met an unknown kind"
        assert all(relay.rewritten > 0 for name, relay in relays.items() if name != "notify")
        assert not book.held.quarantined
