"""rows_network - networks that lose, delay, divide and lie, between roles in network namespaces of their own, over TCP with CURVE."""
import json
import pathlib
import subprocess
import sys
import time

import suite
import threads
from harness import CALM_TEXT, URGENT_TEXT, CannotRun, need, row, wait_until
from network import PORTS, ROLES, NetDesk, Names, Network, make_certificate

PAIRS = (("ingest", "classify"), ("ingest", "route"), ("classify", "route"), ("classify", "notify"), ("route", "notify"),
         ("route", "redis"), ("notify", "redis"), ("notify", "here"))
WAYS = ("both", "from", "to")
NOTICED_S = 3.0  # a peer that says nothing for so long is down
HEALED_S = 20.0


def make_network(fault, places=ROLES):
    need("ip", "nsenter", "unshare", "nft", "tc", "ss", root=True)
    try:
        network = Network(places)
    except (OSError, subprocess.SubprocessError) as problem:
        raise CannotRun(f"network namespaces: {problem}") from None
    fault.cleanup(network.end)
    return network


def wait_for_progress(fault, desk, seconds=HEALED_S, since=None):
    """What is committed now gets done. Returns how long that took since the moment given."""
    since = since or time.monotonic()
    fault.post(desk, desk.item(CALM_TEXT, person="after"))
    newest = desk.newest()
    wait_until(lambda: desk.done_through() >= newest, seconds, "what was answered 200 is done")
    return time.monotonic() - since


def wait_for_workers(desk, count, seconds=HEALED_S):
    wait_until(lambda: desk.workers() == count, seconds, f"{count} workers at ingest")


@row(27, "partition of each pair of roles, both and one way", limit_s=200)
def partitions(fault):
    """Each pair in turn; which way by turns with the seed, so that three seeds in a row have all three for each pair."""
    network = make_network(fault)
    with fault.desk(kind=NetDesk, network=network) as desk:
        load = fault.load(desk, per_second=15, seconds=len(PAIRS) * 6)
        urgent = fault.urgent(desk)
        healed_s = 0.0
        for index, (one, other) in enumerate(PAIRS):
            ways = WAYS[(fault.seed + index) % len(WAYS)]
            network.cut(one, other, ways)
            fault.pause(NOTICED_S + fault.random.uniform(0.5, 1.5))
            caught = network.caught()
            network.rules()
            assert caught > 0, f"nothing was on its way between {one} and {other} ({ways})"
            healed_s = max(healed_s, wait_for_progress(fault, desk))
        fault.note("healed_max_s", healed_s)
        load.wait()
        urgent.stop()
        fault.check(desk, "LDUH")


@row(28, "30 % loss, then resets mid-stream", quick=True)
def loss_and_resets(fault):
    network = make_network(fault)
    with fault.desk(kind=NetDesk, network=network) as desk:
        load = fault.load(desk, per_second=30, seconds=18)
        network.rules("numgen random mod 100 < 30 counter drop")
        fault.pause(10)
        lost = network.caught()
        network.rules("meta l4proto tcp numgen random mod 100 < 3 counter reject with tcp reset")
        fault.pause(6)
        reset = network.caught()
        network.rules()
        fault.note("lost_packets", lost)
        fault.note("resets", reset)
        assert lost > 100 and reset > 5
        fault.note("healed_s", wait_for_progress(fault, desk))
        load.wait()
        fault.check(desk, "LDUH")


@row(29, "1 Mbit link, bulk saturated")
def slow_link(fault):
    """Bulk has a link of its own to route; urgent shares nothing with it but the programs."""
    network = make_network(fault)
    with fault.desk(kind=NetDesk, network=network, bulk_link=True) as desk:
        network.slow("route", 1, "1mbit")
        urgent = fault.urgent(desk, 3)
        sent_before, _ = network.sent("route", 1)
        began = time.monotonic()
        # What hurries a bulk event on by another way would not fill the link: only calm texts.
        load = fault.load(desk, per_second=1500, seconds=0)
        fault.pause(3)
        sent_at, met_at = network.sent("route", 1)
        fault.pause(4)
        sent, met = network.sent("route", 1)
        fault.note("kbit_per_s", (sent - sent_at) * 8 / 4000)
        fault.note("limit_met", met - met_at)
        load.wait()
        wait_until(lambda: desk.done_through() >= desk.newest(), 90, "all through the slow link")
        fault.note("through_s", time.monotonic() - began)
        assert met > met_at and sent - sent_at > 300_000, "the link was not full"
        urgent.stop()
        fault.check(desk, "LDUTBH")


@row(30, "half-open peer: connections forgotten on the way, a peer back at another address")
def half_open(fault):
    network = make_network(fault, (*ROLES, "elsewhere"))
    with fault.desk(kind=NetDesk, network=network) as desk:
        load = fault.load(desk, per_second=20, seconds=22)
        urgent = fault.urgent(desk)
        wait_for_progress(fault, desk)
        forgotten = network.ports_between("classify", "route") + network.ports_between("classify", "ingest") + \
            network.ports_between("ingest", "route") + network.ports_between("route", "redis") + network.ports_between("notify", "redis")
        assert len(forgotten) >= 10, forgotten
        listed = "{ " + ", ".join(map(str, sorted(set(forgotten)))) + " }"
        network.rules(f"tcp sport {listed} counter drop", f"tcp dport {listed} counter drop")
        recovered_s = wait_for_progress(fault, desk, 15)
        fault.note("forgotten", len(forgotten))
        fault.note("recovered_s", recovered_s)
        assert network.caught() > 0 and recovered_s < 10
        fault.pause(2)
        network.rules(f"ip saddr {network.address('classify')} counter drop", f"ip daddr {network.address('classify')} counter drop")
        began = time.monotonic()
        for name in ("classify-1", "classify-2"):  # no word of it reaches anybody
            fault.kill(desk, name)
            desk.processes.pop(name)
        for _ in range(2):
            desk.restart(desk.declare_worker("elsewhere"))
        moved_s = wait_for_progress(fault, desk, 15, began)
        fault.note("moved_s", moved_s)
        assert moved_s < 10
        wait_for_workers(desk, 2)
        load.wait()
        urgent.stop()
        network.rules()
        fault.check(desk, "LDUH")


def start_impostor(fault, network, place, kind, ports):
    """Somebody else listens where a role of ours did. Returns the process; .log has a line for each connection."""
    log = fault.temporary() / f"impostor-{place}-{kind.replace(' ', '-')}.log"
    program = pathlib.Path(__file__).with_name("network.py")
    process = suite.Process("impostor", [*network.prefix(place), sys.executable, program, kind, network.address(place),
                                         *map(str, ports)], log)
    process.start()
    fault.cleanup(process.kill9)
    wait_until(lambda: process.is_alive() and "ready" in log.read_text("utf-8"), 10, "the impostor listens")
    return process


@row(31, "IP reuse: the port answers HTTP, garbage, another kind of socket, nothing")
def address_reused(fault):
    network = make_network(fault)
    ports = {"route": (PORTS["urgent"], PORTS["bulk"]), "ingest": (PORTS["ingest"],), "notify": (PORTS["notify"],)}
    with fault.desk(kind=NetDesk, network=network) as desk:
        load = fault.load(desk, per_second=15, seconds=30)
        kinds = ["http", "garbage", "other socket", "silence"]
        fault.random.shuffle(kinds)
        back_s = 0.0
        for place, kind in zip(("route", "ingest", "notify", "route"), kinds):
            name = "ingest-1" if place == "ingest" else place
            fault.kill(desk, name)
            other = start_impostor(fault, network, place, kind, ports[place])
            fault.pause(5.0)
            met = pathlib.Path(other.log).read_text("utf-8").count(kind)
            other.kill9()
            assert met > 0, f"nobody went to {place}'s address ({kind})"
            desk.restart(name)
            began = time.monotonic()
            wait_for_workers(desk, 2)
            wait_for_progress(fault, desk)
            back_s = max(back_s, time.monotonic() - began)
            fault.note(f"met_{kind.replace(' ', '_')}", met)
        fault.note("back_max_s", back_s)
        assert back_s < 10
        load.wait()
        fault.check(desk, "LDUH")


@row(32, "slow or dead DNS; headless set changes")
def dns(fault):
    """ingest.desg.test is a headless service: one address for each replica. Only the workers look it up."""
    network = make_network(fault, (*ROLES, "ingest-2"))
    name, first, second = "ingest.desg.test", network.address("ingest"), network.address("ingest-2")
    names = Names(network.router("classify"), name, [first])
    fault.cleanup(names.close)
    resolver = fault.temporary() / "resolv.conf"
    resolver.write_text(f"nameserver {network.router('classify')}\n", "ascii")
    changes = {"classify": {"ingest_endpoints": [f"tcp://{name}:{PORTS['ingest']}"]}}
    with fault.desk(kind=NetDesk, network=network, resolver=resolver, ingests=2, changes=changes) as desk:
        wait_for_workers(desk, 2)
        assert desk.workers("ingest-2") == 0, "found without a name"
        names.addresses = [first, second]
        began = time.monotonic()
        wait_until(lambda: desk.workers("ingest-2") == 2, 10, "the new address is found")
        fault.note("found_s", time.monotonic() - began)
        load = fault.load(desk, per_second=20, seconds=16)
        urgent = fault.urgent(desk, 2)
        for mode in ("silent", "slow"):
            names.mode, asked = mode, names.asked
            fault.pause(7.0)
            assert names.asked > asked, f"nobody asked the {mode} name server"
        names.mode, names.addresses = "silent", [second]  # where its connections break nobody can be asked
        for ingest in ("ingest-1", "ingest-2"):
            fault.kill(desk, ingest, 0.5)
        began = time.monotonic()
        wait_until(lambda: desk.workers("ingest-1") == desk.workers("ingest-2") == 2, 10, "known addresses are dialled without DNS")
        fault.note("again_s", time.monotonic() - began)
        urgent_until = time.monotonic()
        names.mode, names.addresses = "answer", [first, second]
        load.wait()
        fault.note("dead_s", urgent_until - began)
        fault.check(desk, "LDUH")


@row(33, "unknown CURVE key; ZAP thread hung")
def curve(fault):
    network = make_network(fault, (*ROLES, "stranger"))
    with fault.desk(kind=NetDesk, network=network) as desk:
        load = fault.load(desk, per_second=20, seconds=15)
        wait_for_workers(desk, 2)
        strange = make_certificate(desk.state.absolute() / "keys", "stranger")
        path = desk.state / "stranger.yaml"
        path.write_text(json.dumps(suite.merge(desk.config(), {"common": {"curve": {
            "public_key_file": str(strange), "secret_key_file": f"{strange}_secret"}}})), "utf-8")
        refused = lambda: desk.metric_sum("ingest-1", "desg_link_refused_packets_total", "handshake")
        before = refused()
        stranger = desk.declare_worker("stranger", path)
        desk.processes[stranger].start()
        wait_until(lambda: refused() >= before + 2, 20, "the stranger is turned away, and again")
        assert desk.workers() == 2, "the stranger was let in"
        desk.processes.pop(stranger).stop()

        pid = desk.processes["ingest-1"].pid
        asked = [number for number, thread in threads.of(pid).items() if thread.startswith("zap")]
        fault.note("zap_threads", len(asked))
        assert asked, f"no such thread: {sorted(threads.of(pid).values())}"
        hung = [threads.Hung(pid, number) for number in asked]
        for thread in hung:
            fault.cleanup(thread.release)
        late = desk.declare_worker("classify")
        desk.processes[late].start()
        stranger = desk.declare_worker("stranger", path)
        desk.processes[stranger].start()
        fault.note("without_zap_s", wait_for_progress(fault, desk))
        fault.pause(4.0)
        assert all(thread.is_hung() for thread in hung)
        assert desk.workers() == 2, "somebody was let in though nobody could be asked"
        for thread in hung:
            thread.release()
        wait_for_workers(desk, 3)
        desk.processes.pop(stranger).stop()
        load.wait()
        fault.check(desk, "LDUH")
