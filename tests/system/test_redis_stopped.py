"""Redis away under load: webhooks go on being answered 200, urgent messages reach dispatch meanwhile, queues catch up."""
import os
import signal
import time

import pytest

import ledger
from desk import SEED, URGENT_TEXT, make_plan, wait_until

OUTAGE_S = float(os.environ.get("DESG_OUTAGE_S", "15"))
GROWTH_KIB = 24 * 1024  # what any process may grow by, without the pages of its journal


def event_ids(desk, player):
    held = ledger.Held(desk)
    return {expected: held.find(expected)[0]["event"] for expected in player.accepted}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_redis_away_under_load(make_desk, how):
    desk = make_desk()
    first = desk.play(make_plan(SEED, 0.3), 0).wait()
    desk.settle(first)
    services = [name for name, process in desk.processes.items() if process.control]
    before_kib = {name: desk.private_kib(name) for name in services}
    before_alerts = len(desk.dispatched())

    desk.processes["redis"].signal(how)
    went_at = time.time()
    copies = max(1.0, OUTAGE_S / 15)
    load = desk.play(make_plan(SEED + 1, copies, forge_share=0.0), OUTAGE_S - 2)
    player = load.wait(OUTAGE_S + 130)
    extra = desk.make_player()
    desk.post(extra, desk.item(URGENT_TEXT, urgent=True))  # one more, with Redis long silent
    urgent = sum(expected.is_urgent for expected in player.accepted) + 1
    # Redis is still away: dispatch has them all the same.
    wait_until(lambda: len(desk.dispatched()) - before_alerts >= urgent, 60,
               f"{urgent} urgent messages at dispatch while Redis is away")
    assert player.retries == 0 and extra.retries == 0, "a webhook was not answered 200 at once"
    desk.assert_all_alive() if how == signal.SIGSTOP else None
    time.sleep(max(0.0, went_at + OUTAGE_S - time.time()))
    grown_kib = {name: desk.private_kib(name) - before_kib[name] for name in services}
    assert desk.desg("status").returncode in (0, 1)

    back_at = time.time()
    if how == signal.SIGKILL:
        desk.restart("redis")
    else:
        desk.processes["redis"].signal(signal.SIGCONT)
    player.accepted.update(extra.accepted)
    player.accepted.update(first.accepted)
    book = desk.settle(player)
    assert book["queued"] > 0.9 * book["events"]  # reads and reactions open no work
    assert all(desk.processes[name].starts == 1 for name in services)
    assert max(grown_kib.values()) < GROWTH_KIB, f"grown by KiB: {grown_kib}"

    ids, accepted_at = event_ids(desk, player), desk.dispatched()
    for expected in player.accepted:
        if expected.is_urgent:
            assert accepted_at[ledger.alert_id(ids[expected])] < back_at, f"{expected.label}: only after Redis was back"
