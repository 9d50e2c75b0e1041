"""rows_network - networks that divide, lose, slow down, forget and lie. Each process is in a namespace of its own; TCP with CURVE."""
import json
import os
import time

import shim
import suite
import threads
from harness import CALM_TEXT, row, wait_until
from network import PORTS, Cut, Impostor, Names, NetworkDesk, knock, make_pair, own_network, secret_key

WAYS = ("both", "there", "back")
RECOVERED_S = 60.0  # some 5 s where nobody else wants the machine
HEALED_S = 60.0  # and TCP itself waits longer each time it sends again
WORKERS = ("classify-1", "classify-2")
# Two pairs at once, of four places: each pair of roles that speak to each other, in every run.
ROUNDS = ((("hub", "ingest-1"), ("route", "redis")), (("ingest-1", "classify"), ("notify", "hub")),
          (("ingest-1", "route"), ("classify", "notify")), (("classify", "route"), ("notify", "redis")),
          (("route", "notify"), ("desk", "redis")))


def dispatching(desk, name="ingest-1"):
    return (desk.status(name) or {}).get("detail", {}).get("dispatch", {})


def workers_up(desk, name="ingest-1"):
    return sorted(worker["name"] for worker in dispatching(desk, name).get("workers", []) if worker["state"] == "up")


def wait_for_workers(desk, *names, ingest="ingest-1", seconds=HEALED_S):
    wait_until(lambda: workers_up(desk, ingest) == sorted(names), seconds, f"{', '.join(names)} in touch with {ingest}")


def wait_for_progress(fault, desk, since, seconds=HEALED_S):
    """What is taken now, and what came before, gets done. Returns the seconds since then."""
    fault.post(desk, desk.item(CALM_TEXT, person="after"))
    newest = desk.status("ingest-1")["detail"]["journal"]["newest_sequence"]
    wait_until(lambda: dispatching(desk).get("done_through", 0) >= newest, seconds, "what was answered 200 is done")
    return time.monotonic() - since


@row(27, "partition of each pair of roles, both and one way")
def partitions(fault):
    """Each pair in every run; which way by turns with the seed, so that three seeds in a row have all three for each pair."""
    network = own_network(fault)
    with fault.desk(kind=NetworkDesk, network=network) as desk:
        load = fault.load(desk, per_second=12)
        fault.urgent(desk)
        dropped, healed_s = 0, 0.0

        def cut(one, other, way):
            group = lambda name: [network.hub] if name == "hub" else [desk.place(n) for n in (
                fault.random.choice([WORKERS, WORKERS[:1]]) if name == "classify" else [name])]
            return Cut([network.cut(a, b, way) for a in group(one) for b in group(other)])
        for index, pairs in enumerate(ROUNDS):
            cuts = {(*pair, WAYS[(fault.seed + index + number) % 3]): None for number, pair in enumerate(pairs)}
            for pair in cuts:
                cuts[pair] = cut(*pair)
            fault.pause(fault.random.uniform(3.5, 5.0))  # a peer that says nothing for 3 s is down
            for (one, other, way), made in cuts.items():
                hits = made.remove()
                assert hits > 0, f"nothing was on its way between {one} and {other} ({way})"
                dropped += hits
            healed_s = max(healed_s, wait_for_progress(fault, desk, time.monotonic()))
        fault.note("dropped_packets", dropped)
        fault.note("healed_max_s", healed_s)
        wait_for_workers(desk, *WORKERS)
        load.enough()
        fault.check(desk, "LDUBH")


def everywhere(desk, network, rule):
    """The rule in all places, for what comes from elsewhere."""
    return Cut([place.filter(['iifname "lo" accept', rule]) for place in [network.hub, *network.places]])


@row(28, "30 % loss, then resets mid-stream")
def loss_and_resets(fault):
    network = own_network(fault)
    with fault.desk(kind=NetworkDesk, network=network) as desk:
        load = fault.load(desk, per_second=25)
        fault.pause(1.0)
        loss = everywhere(desk, network, "numgen random mod 100 < 30 counter drop")
        fault.pause(9.0)
        lost = loss.remove()
        resets = everywhere(desk, network, "meta l4proto tcp numgen random mod 100 < 3 counter reject with tcp reset")
        fault.pause(6.0)
        reset = resets.remove()
        fault.note("lost_packets", lost)
        fault.note("resets", reset)
        assert lost > 100 and reset > 5
        fault.note("healed_s", wait_for_progress(fault, desk, time.monotonic(), 30.0))
        load.enough()
        fault.note("quarantined", len(fault.check(desk, "LDUBH").held.quarantined))


@row(29, "1 Mbit link, bulk saturated")
def slow_link(fault):
    """Bulk has a link of its own into route; urgent messages share the programs with it, but not the wire."""
    network = own_network(fault)
    with fault.desk(kind=NetworkDesk, network=network, bulk_mbit=1) as desk:
        fault.urgent(desk, 3)
        began = time.monotonic()
        load = fault.load(desk, per_second=3000, seconds=0)
        wait_until(lambda: desk.bulk_figures()["bytes"] > 100_000, 30, "bulk on the link")
        before, since, behind = desk.bulk_figures(), time.monotonic(), 0
        while time.monotonic() < since + 6.0:
            told = dispatching(desk)
            behind = max(behind, told.get("newest_sequence", 0) - told.get("done_through", 0))
            fault.pause(0.2)
        after, seconds = desk.bulk_figures(), time.monotonic() - since
        kbit_per_s = (after["bytes"] - before["bytes"]) * 8 / 1000 / seconds
        fault.note("kbit_per_s", int(kbit_per_s))
        fault.note("backlog", behind)
        assert after["over"] > before["over"] and 700 < kbit_per_s < 1100, f"the link was not full: {before} {after}"
        assert behind > 200, "bulk was never behind"
        load.wait()
        newest = desk.status("ingest-1")["detail"]["journal"]["newest_sequence"]
        wait_until(lambda: dispatching(desk).get("done_through", 0) >= newest, 90, "all through the slow link")
        fault.note("through_s", time.monotonic() - began)
        fault.check(desk, "LDUTBH")


def forget_connections(desk, network, roles):
    """Translators forget all connections that are up between services and to Redis. Returns (how many, Cut)."""
    forgotten, cuts = 0, []
    for name, ports in roles.items():
        for port in ports:
            flows, cut = network.lose_mappings(desk.place(name), PORTS[port])
            assert flows, f"nobody was in touch with {name} on its port for {port}"
            forgotten += len(flows)
            cuts.append(cut)
    return forgotten, Cut(cuts)


@row(30, "half-open peers: forgotten connections, peers at another address")
def half_open(fault):
    """First every connection goes nowhere while both its ends live. Then a worker, and then route, fall silent without a word, each
    followed by another of its kind at another address; who was cut off goes on running and comes back at the end."""
    network = own_network(fault)
    names = Names(network, fault.temporary())
    fault.cleanup(names.close)
    listening = {"ingest-1": ("ingest",), "route": ("urgent", "bulk"), "notify": ("notify",), "redis": ("redis",)}
    with fault.desk(kind=NetworkDesk, network=network, names=names) as desk:
        wait_for_workers(desk, *WORKERS)
        load = fault.load(desk, per_second=20)
        fault.urgent(desk)
        fault.pause(1.0)
        forgotten, cut = forget_connections(desk, network, listening)
        since = time.monotonic()
        fault.note("forgotten", forgotten)
        fault.note("recovered_s", wait_for_progress(fault, desk, since, RECOVERED_S))
        wait_for_workers(desk, *WORKERS, seconds=RECOVERED_S)
        assert forgotten >= 10 and cut.remove() > 0
        again = sum(len(desk.place(name).flows(PORTS[port])) for name, ports in listening.items() for port in ports)
        assert again >= forgotten - 2, f"{forgotten} connections before, {again} after"

        silent = network.cut_off(desk.place("classify-1"))
        since = time.monotonic()
        late = desk.add_worker()
        wait_for_workers(desk, "classify-2", late, seconds=RECOVERED_S)
        fault.note("worker_moved_s", wait_for_progress(fault, desk, since, RECOVERED_S))
        assert silent.remove() > 0
        wait_for_workers(desk, *WORKERS, late)

        cut_off = network.cut_off(desk.place("route"))
        former = desk.replace("route", "route-2")
        fault.cleanup(former.kill9)
        since = time.monotonic()
        desk.processes["route-2"].start()
        desk.publish()
        wait_until(lambda: len(desk.place("route").flows(PORTS["urgent"])) == 4, RECOVERED_S, "all found the new route")
        fault.note("route_found_s", time.monotonic() - since)
        fault.note("route_moved_s", wait_for_progress(fault, desk, since))  # ingest offers again what was answered Busy, ever more slowly
        assert cut_off.remove() > 0
        fault.pause(1.0)
        former.kill9()
        former.control.unlink(missing_ok=True)  # gone with its machine
        load.enough()
        fault.check(desk, "LDUBH")


@row(31, "IP reuse: HTTP, garbage, silence, another socket, no CURVE at the port", quick=True)
def address_reused(fault):
    network = own_network(fault)
    ports = {"route": ("urgent", "bulk"), "ingest-1": ("ingest",), "notify": ("notify",)}
    with fault.desk(kind=NetworkDesk, network=network) as desk:
        load = fault.load(desk, per_second=12)
        secret = secret_key(desk.state / "keys" / "desk_secret")
        wait_for_workers(desk, *WORKERS)
        connected = lambda: {name: sorted(len(desk.place(name).flows(PORTS[port])) for port in own) for name, own in ports.items()}
        whole = {"route": [2, 3], "ingest-1": [2], "notify": [4]}  # route has two, one for each lane
        wait_until(lambda: connected() == whole, 60, "one connection for each two that speak to each other")
        kinds = list(Impostor.KINDS)
        fault.random.shuffle(kinds)
        back_s, met = 0.0, 0
        for kind, name in zip(kinds, ("route", "ingest-1", "notify", "route", "notify")):
            fault.kill(desk, name)
            impostor = Impostor(desk.place(name), kind, [PORTS[port] for port in ports[name]], secret)
            fault.cleanup(impostor.close)
            wait_until(lambda: impostor.count() >= len(ports[name]), 60, f"{kind} met at the address of {name}")
            fault.pause(3.0)
            met += impostor.count()
            impostor.close()
            desk.restart(name)
            since = time.monotonic()
            wait_for_progress(fault, desk, since, RECOVERED_S)
            wait_until(lambda: connected() == whole, RECOVERED_S, f"all in touch again with {name}, once each, after {kind}")
            back_s = max(back_s, time.monotonic() - since)
        fault.note("met", met)
        fault.note("back_max_s", back_s)
        load.enough()
        fault.check(desk, "LDUBH")


@row(32, "slow or dead DNS; headless set changes")
def dns(fault):
    """Services find each other and Redis by name. A name server that does not answer, or late, stalls nobody; what changed is found."""
    network = own_network(fault)
    names = Names(network, fault.temporary())
    fault.cleanup(names.close)
    with fault.desk(kind=NetworkDesk, network=network, names=names, ingests=2, is_started=False) as desk:
        desk.publish(ingest=[desk.place("ingest-1").address])
        desk.start(list(desk.processes))
        wait_for_workers(desk, *WORKERS)
        assert workers_up(desk, "ingest-2") == [], "found without a name"
        since = time.monotonic()
        desk.publish()
        wait_for_workers(desk, *WORKERS, ingest="ingest-2", seconds=RECOVERED_S)
        fault.note("new_ingest_s", time.monotonic() - since)

        load = fault.load(desk, per_second=20)
        urgent = fault.urgent(desk, 3)
        for mode in ("silent", "slow"):
            names.mode = mode
            wait_until(lambda mode=mode: names.asked.get(mode, 0) >= 4, 15, f"somebody asks a {mode} name server")
            fault.pause(4.0)
        urgent.stop()
        names.mode = "silent"
        for name in ("ingest-1", "notify"):
            fault.kill(desk, name, 0.3)
        since = time.monotonic()
        wait_for_workers(desk, *WORKERS, seconds=RECOVERED_S)
        wait_until(lambda: len(desk.place("notify").flows(PORTS["notify"])) == 4, RECOVERED_S, "all in touch with notify")
        fault.note("redialled_s", time.monotonic() - since)
        names.mode = "slow"
        former = desk.replace("route", "route-2")
        former.kill9()
        desk.publish()
        since = time.monotonic()
        desk.processes["route-2"].start()
        former.control.unlink(missing_ok=True)
        wait_until(lambda: len(desk.place("route").flows(PORTS["urgent"])) == 4, RECOVERED_S + 2 * names.slow_s, "all found the new route")
        fault.note("new_route_s", time.monotonic() - since)
        names.mode = "answers"
        desk.wait_ready("route-2")
        load.enough()
        fault.note("asked_in_vain", names.asked["silent"])
        fault.check(desk, "LDUTBH")


# A ZAP handler that is started and never answers; or none at all, though all calls say that there is one.
BROKEN_ZAP = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
static int is(const char *kind)
{
    const char *broken = getenv("SHIM_ZAP");
    return broken && strcmp(broken, kind) == 0;
}
char *zmq_z85_encode(char *text, const unsigned char *key, size_t size)
{
    static int has_slept;
    char thread[16] = "";
    if (is("dead") && !has_slept && prctl(PR_GET_NAME, thread) == 0 && strcmp(thread, "zap") == 0)
        sleep(has_slept = 5); /* a self-test waits 3 s */
    return ((char *(*)(char *, const unsigned char *, size_t))dlsym(RTLD_NEXT, "zmq_z85_encode"))(text, key, size);
}
int zmq_bind(void *socket, const char *address)
{
    if (is("absent") && strcmp(address, "inproc://zeromq.zap.01") == 0)
        return 0;
    return ((int (*)(void *, const char *))dlsym(RTLD_NEXT, "zmq_bind"))(socket, address);
}
"""


def starts_without_zap(fault, desk, name, kind):
    """What a service says that is started with a broken ZAP handler. It must not listen."""
    library = shim.build(fault.temporary(), "shim_zap", BROKEN_ZAP)
    log = fault.temporary() / f"{name}-zap-{kind}.log"
    process = suite.Process(name, desk.processes[name].command, log,
                            environment={**os.environ, "LD_PRELOAD": str(library), "SHIM_ZAP": kind})
    process.start()
    fault.cleanup(process.kill9)
    wait_until(lambda: not process.is_alive(), 15, f"{name} ends, as its ZAP handler is {kind}")
    assert process.popen.returncode > 0, f"{name} ended with {process.popen.returncode}"
    said = log.read_text("utf-8", "replace")
    assert "start_failed" in said and " started " not in said
    return said


def stranger(desk):
    """The configuration of a desk whose keys nobody allowed."""
    pair = make_pair(desk.state.absolute() / "keys", "stranger")
    path = desk.state / "stranger.yaml"
    path.write_text(json.dumps(suite.merge(desk.config(), {"common": {"curve": {
        "public_key_file": str(pair), "secret_key_file": f"{pair}_secret"}}})), "utf-8")
    return path


@row(33, "unknown CURVE key; ZAP thread dead, at start-up and later")
def unknown_key(fault):
    network = own_network(fault)
    with fault.desk(kind=NetworkDesk, network=network) as desk:
        load = fault.load(desk, per_second=15)
        wait_for_workers(desk, *WORKERS)
        turned_away = lambda: desk.metric_sum("ingest-1", "desg_link_refused_packets_total", 'reason="key"')
        spoken_plainly = lambda: desk.metric_sum("ingest-1", "desg_link_refused_packets_total", 'reason="handshake"')
        strange = stranger(desk)
        before = turned_away()
        name = desk.add_worker(strange)
        wait_until(lambda: turned_away() >= before + 2, 20, "the stranger turned away, and again")
        assert name not in workers_up(desk), "the stranger was let in"
        desk.processes.pop(name).stop()
        before = spoken_plainly()
        assert knock(desk.place("ingest-1").address, PORTS["ingest"], b"NULL"), "a caller without CURVE was let in"
        wait_until(lambda: spoken_plainly() > before, 20, "a caller without CURVE counted")

        # Nobody can be asked about keys any more: nobody new comes in, known or not; who is there goes on.
        pid = desk.processes["ingest-1"].pid
        hung = [threads.Hung(pid, number) for number, thread in threads.of(pid).items() if thread == "zap"]
        assert len(hung) == 1, f"no such thread: {sorted(threads.of(pid).values())}"
        fault.cleanup(hung[0].release)
        late, name = desk.add_worker(), desk.add_worker(strange)
        fault.note("without_zap_s", wait_for_progress(fault, desk, time.monotonic()))
        fault.pause(5.0)
        assert hung[0].is_hung() and workers_up(desk) == sorted(WORKERS), f"let in unasked: {workers_up(desk)}"
        hung[0].release()
        since = time.monotonic()
        wait_for_workers(desk, *WORKERS, late)
        fault.note("let_in_s", time.monotonic() - since)
        desk.processes.pop(name).stop()

        # A start finds it out.
        assert desk.processes["notify"].stop() == 0
        assert "did not refuse" in starts_without_zap(fault, desk, "notify", "dead")
        assert "lets an unknown key in" in starts_without_zap(fault, desk, "notify", "absent")
        desk.restart("notify")
        load.enough()
        fault.check(desk, "LDUBH")
