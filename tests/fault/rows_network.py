"""rows_network - networks that divide, lose, slow down, forget and lie. Each process is in a namespace of its own; TCP with CURVE."""
import json
import time

import ledger
import shim
import suite
import threads
from harness import CALM_TEXT, URGENT_TEXT, need, row, wait_until
from network import PORTS, Cut, Impostor, Names, NetworkDesk, make_pair, own_network, secret_key

WAYS = ("both", "there", "back")
RECOVERED_S = 10.0
HEALED_S = 30.0  # on a busy machine, and TCP itself waits longer each time it sends again
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


def alert_wait(fault, desk, seconds=HEALED_S):
    """How long an urgent message posted now takes to reach dispatch."""
    known = set(desk.dispatched())
    fault.post(desk, desk.item(URGENT_TEXT, person="alone", urgent=True))
    posted = time.monotonic()
    wait_until(lambda: set(desk.dispatched()) - known, seconds, "an alert")
    return time.monotonic() - posted


@row(27, "partition of each pair of roles, both and one way")
def partitions(fault):
    """Each pair in every run; which way by turns with the seed, so that three seeds in a row have all three for each pair."""
    network = own_network(fault)
    with fault.desk(kind=NetworkDesk, network=network) as desk:
        load = fault.load(desk, per_second=12, seconds=len(ROUNDS) * 6)
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
        load.wait()
        fault.check(desk, "LDUBH")


def everywhere(desk, network, rule):
    """The rule in all places, for what comes from elsewhere."""
    return Cut([place.filter(['iifname "lo" accept', rule]) for place in [network.hub, *network.places]])


@row(28, "30 % loss, then resets mid-stream", quick=True)
def loss_and_resets(fault):
    network = own_network(fault)
    with fault.desk(kind=NetworkDesk, network=network) as desk:
        load = fault.load(desk, per_second=25, seconds=16)
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
        fault.note("healed_s", wait_for_progress(fault, desk, time.monotonic()))
        load.wait()
        fault.check(desk, "LDUBH")
