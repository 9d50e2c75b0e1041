"""Redis silent and notify down at once: an urgent message reaches dispatch as soon as notify is back, Redis still away."""
import signal
import time

import pytest

from desk import CALM_TEXT, URGENT_TEXT, wait_until

CALM = 60  # more than a probe takes, and older than the urgent one
REACHES_DISPATCH_S = 60.0  # after notify's restart: tried again every 5 s at the latest


@pytest.mark.slow
def test_urgent_with_redis_and_notify_away(make_desk):
    desk = make_desk()
    player = desk.make_player()
    before = len(desk.dispatched())
    desk.processes["redis"].signal(signal.SIGSTOP)
    desk.processes["notify"].kill9()
    desk.post(player, *(desk.item(CALM_TEXT, person=f"p{n}") for n in range(CALM)))
    desk.post(player, desk.item(URGENT_TEXT, urgent=True))
    time.sleep(3.0)  # by now it was answered Busy by all
    assert len(desk.dispatched()) == before
    desk.processes["notify"].start()
    wait_until(lambda: len(desk.dispatched()) > before, REACHES_DISPATCH_S, "the urgent one at dispatch, Redis still away")
    desk.processes["redis"].signal(signal.SIGCONT)
    desk.settle(player)
