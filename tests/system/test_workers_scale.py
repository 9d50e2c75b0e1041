"""Classify workers 0, 4, 1 while messages flow: with none, people see everything; with some, real verdicts replace that."""
import collections

import pytest

import ledger
from desk import CALM_TEXT, SEED, URGENT_TEXT, make_plan, wait_until

ALERTS_A_MINUTE = 5


def unclassified_alerts(desk):
    """[(minute, account)] of alerts that came alone, and the number of digests."""
    alone, digests, named = collections.Counter(), 0, 0
    for entry in ledger.dispatch_ledger(desk)["entries"]:
        if entry["path"] != "/alerts":
            continue
        if "digest" in entry["type"]:
            digests += 1
            named += len(entry["alerts"])
        elif entry["type"].endswith("raised.v1"):
            alone[int(entry["at"] // 60)] += 1
    return alone, digests, named


@pytest.mark.slow
def test_no_worker_then_four_then_one(make_desk):
    desk = make_desk(workers=0)
    calm = [desk.item(CALM_TEXT, person=f"p{n}") for n in range(30)]
    player = desk.make_player()
    desk.post(player, *calm, desk.item(URGENT_TEXT, person="p99", urgent=True))
    wait_until(lambda: len(desk.queue("urgent-review")) == 31, 60, "everything in urgent-review")
    told = wait_until(lambda: (found := unclassified_alerts(desk))[1] and sum(found[0].values()) + found[2] >= 31 and found, 90,
                      "each alert alone or named by a digest")
    assert max(told[0].values()) <= ALERTS_A_MINUTE, f"alone per minute: {dict(told[0])}"
    assert 1 <= told[1] <= 5, f"{told[1]} digests"

    load = desk.play(make_plan(SEED), 12.0)
    for _ in range(4):
        desk.wait_ready(desk.add_worker())
    wait_until(lambda: not any(row["severity"] == "unclassified" for row in desk.queue("urgent-review")), 60,
               "real verdicts replace unclassified")
    for number in (1, 2, 3):
        assert desk.processes.pop(f"classify-{number}").stop() == 0
    player.accepted.update(load.wait().accepted)
    desk.settle(player)
    urgent = [row for row in desk.queue("urgent") if row["channel"] == "facebook"]
    assert urgent, "the urgent one has its own verdict"
    for item in calm:
        event, = [e for e in ledger.Held(desk).events if e.get("object_id", "").endswith(item["id"])] or [None]
        assert event["queue"] != "urgent-review" and event["verdict"]["severity"] == "routine"
        break


def test_a_worker_that_comes_and_goes_loses_nothing(make_desk):
    desk = make_desk(workers=1)
    load = desk.play(make_plan(SEED, 0.7), 4.0)
    for _ in range(3):
        name = desk.add_worker()
        desk.wait_ready(name)
        assert desk.processes.pop(name).stop() == 0, "a drained worker ends with 0"
    book = desk.settle(load.wait())
    assert book["quarantined"] == 0
