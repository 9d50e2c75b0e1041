"""rows_redis - Redis that loses what it acknowledged, changes its history, is split in two, stalls, forgets its functions."""
import shutil
import signal
import subprocess
import time

from cluster import COUNT_EVENTS, SENTINELS, SERVERS, ClusterDesk, Scratch, Split, SplitDesk, cut_aof_tail, marks, read_info, redis_cli
from harness import CannotRun, URGENT_TEXT, need, row, wait_until
from suite import free_port

REWINDS = "desg_ingest_rewinds_total"
DEBUG = ("--enable-debug-command", "yes")


def rewinds(desk):
    return sum(desk.metric_sum(name, REWINDS) for name in desk.processes if name.startswith("ingest"))


def wait_for_rewind(desk, before, seconds=60.0):
    wait_until(lambda: rewinds(desk) > before, seconds, "a replay from the mark")


def events_in(desk):
    """Events the desk's own Redis holds."""
    held = desk.redis_cli("EVAL_RO", COUNT_EVENTS, "0")
    assert isinstance(held, int), f"Redis does not count: {held}"
    return held


def wait_for_more(held, more, seconds=60.0):
    """held() tells how many; waits until there are so many more. Returns how many then."""
    first = held()
    wait_until(lambda: held() >= first + more, seconds, f"{more} more events")
    return held()


def replication(desk):
    """What the desk's own Redis says of its history and role."""
    return read_info(redis_cli(("-s", f"{desk.run_directory}/redis.sock"), "INFO", "replication"))


def replid(desk):
    return replication(desk)["master_replid"]


def redis_directory(desk):
    return desk.state / "redis"


def events_in_copy(fault, desk):
    """What a Redis would load from the files as they are: looked at in a copy, before anybody applies anything again."""
    copy = fault.temporary() / f"copy-{time.monotonic_ns()}"
    with Scratch(copy, fault.temporary() / "scratch.log", files=redis_directory(desk)) as scratch:
        return scratch.events()


# --- one Redis ---

@row(18, "kill -9 Redis, same node again, tail of its file cut", quick=True)
def restart_without_the_tail(fault):
    with fault.desk() as desk:
        load = fault.load(desk, per_second=40)
        urgent = fault.urgent(desk)
        lost = 0
        for _ in range(2):
            before = rewinds(desk)
            wait_for_more(lambda: events_in(desk), 60)
            desk.processes["redis"].kill9()
            held = events_in_copy(fault, desk)
            cut_aof_tail(redis_directory(desk), fault.random.randint(20000, 60000))
            kept = events_in_copy(fault, desk)
            assert kept < held, f"nothing was lost: {held} events, {kept} in the file"
            lost += held - kept
            desk.restart("redis")
            wait_for_rewind(desk, before)
        fault.note("acknowledged_and_lost", lost)
        load.enough()
        urgent.stop()
        fault.check(desk, "LDUBH")


@row(24, "Redis empty after a restart")
def empty_after_a_restart(fault):
    with fault.desk(ingests=2) as desk:
        load = fault.load(desk, per_second=40)
        before = rewinds(desk)
        held = wait_for_more(lambda: events_in(desk), 120)
        desk.processes["redis"].kill9()
        shutil.rmtree(redis_directory(desk) / "appendonlydir")
        desk.restart("redis")
        wait_for_rewind(desk, before)
        fault.note("acknowledged_and_lost", held)
        load.enough()
        fault.check(desk, "LDUBH")


STALL_S = 5.0


def stall(desk, kind):
    """Redis gives no answer for STALL_S."""
    redis = desk.processes["redis"]
    if kind == "stopped":
        redis.signal(signal.SIGSTOP)
        return
    command = ("DEBUG", "SLEEP", str(STALL_S)) if kind == "sleeps" else ("CLIENT", "PAUSE", str(int(STALL_S * 1000)), "ALL")
    subprocess.Popen(["redis-cli", "-s", f"{desk.run_directory}/redis.sock", *command],  # pylint: disable=consider-using-with
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@row(25, "Redis stalls for 5 s")
def stalls(fault):
    with fault.desk(redis_options=DEBUG) as desk:
        load = fault.load(desk, per_second=20)
        urgent = fault.urgent(desk)
        waits = []
        for number, kind in enumerate(("stopped", "sleeps", "paused")):
            wait_for_more(lambda: events_in(desk), 20)
            known = set(desk.dispatched())
            stall(desk, kind)
            began = time.monotonic()
            wait_until(lambda: desk.metric_sum("route", "desg_route_redis_state") > 0, STALL_S, f"route finds that Redis {kind}")
            player = fault.post(desk, desk.item(URGENT_TEXT, person=f"stall{number}", urgent=True))
            assert player.accepted
            wait_until(lambda: len(set(desk.dispatched()) - known) >= 1, STALL_S, f"an alert while Redis {kind}")
            waits.append(time.monotonic() - began)
            assert waits[-1] < STALL_S, f"the alert came when Redis had its {STALL_S:g} s behind it"
            fault.pause(max(0.0, began + STALL_S - time.monotonic()))
            desk.processes["redis"].signal(signal.SIGCONT)
            wait_until(lambda: desk.metric_sum("route", "desg_route_redis_state") == 0, 60, f"route finds Redis again that {kind}")
        fault.note("alerted_after_s", max(waits))
        assert desk.metric_sum("route", "desg_route_provisional_alerts_total") >= 3, "no alert went past Redis"
        load.enough()
        urgent.stop()
        fault.check(desk, "LDUTBH")


def libraries(desk):
    """{name: code} of the function libraries there."""
    return {entry["library_name"]: entry["library_code"] for entry in desk.redis_cli("FUNCTION", "LIST", "WITHCODE") or []}


@row(26, "functions missing, or of an old version")
def functions_missing(fault):
    with fault.desk() as desk:
        load = fault.load(desk, per_second=35)
        wait_for_more(lambda: events_in(desk), 20)
        whole = libraries(desk)
        (name, code), = whole.items()

        def harm_and_wait(*commands):
            losses = desk.metric_sum("route", "desg_store_losses_total")
            for command in commands:
                answer = desk.redis_cli(*command)
                assert answer in ("OK", command[-1].split("name=")[-1].split("\n")[0]), f"{command[:2]}: {answer}"
            assert libraries(desk) != whole or desk.metric_sum("route", "desg_store_losses_total") > losses
            wait_until(lambda: libraries(desk).get(name) == code, 60, "the library loaded again")
            wait_until(lambda: desk.metric_sum("route", "desg_store_losses_total") > losses, 60, "a call that failed for it")
            wait_for_more(lambda: events_in(desk), 20)

        def library(called, function):
            return f"#!lua name={called}\nredis.register_function('{function}', function() return 1 end)"
        harm_and_wait(("FUNCTION", "DELETE", name))
        harm_and_wait(("FUNCTION", "FLUSH"))
        harm_and_wait(("FUNCTION", "DELETE", name), ("FUNCTION", "LOAD", library("desg_0", "desg_0_apply")))
        assert set(libraries(desk)) == {"desg_0", name}, "the older version is left to whoever still uses it"
        # An older build of the same version, with half of the functions.
        harm_and_wait(("FUNCTION", "LOAD", "REPLACE", library(name, f"{name}_hello")))
        load.enough()
        fault.note("losses", int(desk.metric_sum("route", "desg_store_losses_total")))
        fault.check(desk, "LDUBH")


@row(46, "FLUSHALL by hand under load", quick=True)
def flushed_by_hand(fault):
    """The history stays the same: only the marks that are gone tell of it."""
    with fault.desk(ingests=2) as desk:
        load = fault.load(desk, per_second=40)
        urgent = fault.urgent(desk)
        lost = 0
        history = replid(desk)
        for how in ("SYNC", "ASYNC"):
            before = rewinds(desk)
            held = wait_for_more(lambda: events_in(desk), 80)
            assert desk.redis_cli("FLUSHALL", how) == "OK"
            lost += held
            wait_for_rewind(desk, before)
        assert replid(desk) == history
        fault.note("acknowledged_and_lost", lost)
        load.enough()
        urgent.stop()
        fault.check(desk, "LDUBH")


@row(47, "Redis restored from an older image")
def restored_from_an_older_image(fault):
    """First its files, as a volume snapshot has them: a start, so a new history. Then its memory, as the snapshot of a virtual
    machine has it: older data under the same history, told only by marks that stand lower (they are set once a second)."""
    with fault.desk(redis_options=DEBUG) as desk:
        load = fault.load(desk, per_second=40)
        before = rewinds(desk)
        wait_for_more(lambda: events_in(desk), 60)
        image = fault.temporary() / "image"
        shutil.copytree(redis_directory(desk), image)
        held = wait_for_more(lambda: events_in(desk), 100)
        desk.processes["redis"].kill9()
        shutil.rmtree(redis_directory(desk))
        shutil.copytree(image, redis_directory(desk))
        kept = events_in_copy(fault, desk)
        assert kept <= held - 90, f"{held} events, {kept} in the older image"
        desk.restart("redis")
        wait_for_rewind(desk, before)
        fault.note("files_lost", held - kept)

        wait_for_more(lambda: events_in(desk), 60)
        assert desk.redis_cli("SAVE") == "OK"
        saved, saved_marks = events_in(desk), marks(desk.redis_cli)
        wait_until(lambda: marks(desk.redis_cli) != saved_marks, 60, "a mark that the image does not have")
        held = wait_for_more(lambda: events_in(desk), 60)
        history = replid(desk)
        before = rewinds(desk)
        assert desk.redis_cli("DEBUG", "RELOAD", "NOSAVE") == "OK"
        assert replid(desk) == history, "the history was to stay the same"
        wait_for_rewind(desk, before)
        fault.note("memory_lost", held - saved)
        load.enough()
        fault.check(desk, "LDUBH")


# --- one master, two replicas, three Sentinels ---

def lose_at_failover(fault, desk, load_s):
    """What is acknowledged during load_s is on the master alone; then that is killed. Returns (new master, events lost)."""
    cluster = desk.cluster
    old = cluster.master()
    cluster.lag(old)
    wait_for_more(lambda: cluster.events(old), 20)
    fault.pause(load_s)
    behind = [name for name in SERVERS if name != old and desk.processes[name].is_alive()]
    held = cluster.events(old)
    kept = max(cluster.events(name) for name in behind)
    assert held > kept, f"nothing is to be lost: {held} events at {old}, {kept} behind it"
    before = rewinds(desk)
    cluster.kill(old)
    new = cluster.wait_for_failover(old)
    wait_for_rewind(desk, before)
    return new, held - kept


@row(19, "failover to a lagging replica", quick=True)
def failover_to_a_lagging_replica(fault):
    with fault.desk(kind=ClusterDesk) as desk:
        load = fault.load(desk, per_second=30)
        urgent = fault.urgent(desk)
        began = time.monotonic()
        _, lost = lose_at_failover(fault, desk, fault.random.uniform(0.5, 2.0))
        fault.note("failover_s", time.monotonic() - began)
        fault.note("acknowledged_and_lost", lost)
        desk.cluster.heal()
        load.enough()
        urgent.stop()
        fault.check(desk, "LDUTBH")


def split_network(fault):
    need("ip", "nsenter", "unshare", root=True)
    try:
        split = Split()
    except (OSError, subprocess.CalledProcessError) as problem:
        raise CannotRun(f"network namespaces: {problem}") from None
    fault.cleanup(split.end)
    return split


BEYOND = {0: (), 1: ("sentinel-1",), 2: ("redis-2",)}  # by seed: who is cut off together with the master and its route


@row(20, "split brain: master and a route apart from the Sentinels")
def split_brain(fault):
    """Alone, or with a Sentinel, the old master is not trusted for long; urgent messages then go past it. With a replica it goes on
    acknowledging beside the new one until the network is whole again."""
    split, variant = split_network(fault), fault.seed % 3
    here = [name for name in SENTINELS if name not in BEYOND[variant]]
    with fault.desk(kind=SplitDesk, split=split, beyond=BEYOND[variant]) as desk:
        cluster, old, worker = desk.cluster, SERVERS[0], desk.processes["classify-1"]
        load = fault.load(desk, per_second=25)
        worker.signal(signal.SIGSTOP)  # until the other zone's worker and route have done work beyond the cable
        wait_until(lambda: all(desk.metric_sum("route-2", "desg_store_connections_total", lane) for lane in ("urgent", "bulk")), 20,
                   "both lanes of route-2 at work")
        wait_for_more(lambda: cluster.events(old), 40)
        before = rewinds(desk)
        split.cut()
        began = time.monotonic()
        at_cut = cluster.events(old)
        new = cluster.wait_for_failover(old, here)
        if BEYOND[variant] == ("redis-2",):
            wait_for_more(lambda: cluster.events(old), 20)  # beside the new master
        else:
            wait_until(lambda: desk.metric_sum("route-2", "desg_route_redis_state") > 0, 60, "route-2 trusts the old master no more")
            fault.note("trusted_s", time.monotonic() - began)
            known = set(desk.dispatched())
            fault.post(desk, desk.item(URGENT_TEXT, person="split", urgent=True))
            posted = time.monotonic()
            wait_until(lambda: set(desk.dispatched()) - known, 5, "an alert while the network is split")
            fault.note("alerted_s", time.monotonic() - posted)
        fault.note("acknowledged_and_lost", cluster.events(old) - at_cut)
        assert cluster.events(old) > at_cut, "the old master acknowledged nothing"
        worker.signal(signal.SIGCONT)
        fault.pause(max(0.0, began + fault.random.uniform(7, 10) - time.monotonic()))
        assert cluster.role(old) == "master" and cluster.role(new) == "master" and cluster.replid(old) != cluster.replid(new)
        split.join()
        fault.note("split_s", time.monotonic() - began)
        left = time.monotonic()
        wait_until(lambda: "master_found connection=bulk address=" + cluster.members[new].address in desk.log("route-2"), 20,
                   "route-2 with the new master")
        fault.note("found_after_s", time.monotonic() - left)
        wait_until(lambda: cluster.role(old) == "slave" and cluster.is_in_step(), 40, "the old master follows the new one")
        wait_for_rewind(desk, before)
        fault.note("rewinds", int(rewinds(desk) - before))
        load.enough()
        fault.check(desk, "LDUBH")


@row(21, "two failovers in a row, the second to the other replica")
def two_failovers(fault):
    with fault.desk(kind=ClusterDesk) as desk:
        load = fault.load(desk, per_second=25)
        first = desk.cluster.master()
        second, lost = lose_at_failover(fault, desk, fault.random.uniform(0.2, 1.0))
        wait_until(lambda: desk.cluster.members[second].info("replication").get("connected_slaves") == "1", 40,
                   "the other replica follows the new master")
        third, more = lose_at_failover(fault, desk, fault.random.uniform(0.2, 1.0))
        assert len({first, second, third}) == 3
        fault.note("acknowledged_and_lost", lost + more)
        desk.cluster.heal()
        load.enough()
        fault.check(desk, "LDUBH")


def flip(desk, twin):
    """Redis becomes its twin's replica and master again; nobody's connection is closed for it. Returns events lost at least."""
    address = ("127.0.0.1", twin.member.port)
    wait_until(lambda: twin.member.info("replication").get("master_link_status") == "up", 60, "the twin in step")
    assert twin.ask("REPLICAOF", "NO", "ONE") == "OK"
    kept = twin.events()
    held = wait_for_more(lambda: events_in(desk), 15)
    assert desk.redis_cli("REPLICAOF", *map(str, address)) == "OK"
    wait_until(lambda: replication(desk).get("master_link_status") == "up", 60, "Redis in step with its twin")
    assert desk.redis_cli("REPLICAOF", "NO", "ONE") == "OK"
    return held - kept


@row(22, "planned failover under load; REPLICAOF flip, connections kept")
def planned_failover(fault):
    with fault.desk(kind=ClusterDesk) as desk:
        load = fault.load(desk, per_second=30)
        urgent = fault.urgent(desk)
        wait_for_more(lambda: desk.cluster.events(desk.cluster.master()), 20)
        before = rewinds(desk)
        old, new = desk.cluster.fail_over()
        assert desk.cluster.replid(new) and old != new
        wait_for_rewind(desk, before)
        wait_until(desk.cluster.is_in_step, 40, "the demoted master follows")
        load.enough()
        urgent.stop()
        fault.check(desk, "LDUTH")
    with fault.desk() as desk:
        load = fault.load(desk, per_second=25)
        wait_for_more(lambda: events_in(desk), 20)
        port = free_port()
        assert desk.redis_cli("CONFIG", "SET", "port", str(port)) == "OK"
        with Scratch(fault.temporary() / "twin", fault.temporary() / "twin.log") as twin:
            lost, before = 0, rewinds(desk)
            for _ in range(2):
                assert twin.ask("REPLICAOF", "127.0.0.1", port) == "OK"
                lost += flip(desk, twin)
                wait_for_rewind(desk, before)
                before = rewinds(desk)
                wait_until(lambda: desk.metric_sum("route", "desg_route_redis_state") == 0, 60, "route finds its master again")
        fault.note("acknowledged_and_lost", lost)
        load.enough()
        fault.check(desk, "LDUBH")
