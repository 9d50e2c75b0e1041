"""One trace id from the webhook to whoever is told: W3C traceparent, in requests, in logs, in the story of a message."""
import re

import pytest

import ledger
from desk import CALM_TEXT, URGENT_TEXT, wait_until
from out import OutDesk

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01\Z")


@pytest.fixture
def desk(state):
    desk = OutDesk(state / "desk-1")
    desk.start()
    yield desk
    desk.stop()


def told(desk):
    """What dispatch took: the entries of alerts raised, once there is one."""
    return wait_until(lambda: [entry for entry in ledger.dispatch_ledger(desk)["entries"] if entry["alerts"] and ".v" in entry["key"]],
                      60, "dispatch has an alert")


def trace_of(desk, any_id):
    """The one trace id in the story of an event or alert."""
    traces = {row["trace"] for row in desk.json("trace", any_id) if "trace" in row}
    assert len(traces) == 1, traces
    return traces.pop()


def test_the_senders_trace_reaches_dispatch_and_the_logs(desk):
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, urgent=True), trace=f"00-{TRACE}-{SPAN}-01")
    entry, = told(desk)
    trace, span = PARENT.match(entry["trace"]).groups()
    assert trace == TRACE and span != SPAN, "the same trace, a span of our own"
    alert, = entry["alerts"]
    desk.settle(player)
    for event in ("alert_opened", "post_accepted"):
        lines = wait_until(lambda event=event: [line for line in desk.log("notify").splitlines() if f" {event} " in line], 30, event)
        assert all(f"trace={TRACE}" in line for line in lines), event
    assert trace_of(desk, alert) == TRACE
    assert TRACE in desk.desg("trace", alert).stdout


@pytest.mark.parametrize("parent", ["", "00-" + "0" * 32 + f"-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", "'; DROP TABLE"])
def test_without_a_proper_one_ingest_makes_its_own(desk, parent):
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, urgent=True), desk.item(CALM_TEXT, person="p2"), trace=parent)
    entry, = told(desk)
    trace = PARENT.match(entry["trace"]).group(1)
    assert trace not in (TRACE, "0" * 32)
    desk.settle(player)
    events = [event["event"] for event in ledger.Held(desk).events]
    assert len(events) == 2
    traces = {trace_of(desk, event) for event in events}
    assert trace in traces and len(traces) == 2, "one for each delivery"


def test_an_answer_goes_out_under_the_trace_of_the_message(desk):
    conversation = desk.receive(channel="facebook", person="p77")
    event = desk.json("show", conversation)["events"][0]["event"]
    item = desk.say(conversation, "Thank you, an officer will ring you.", event=event, last_event=event)
    desk.wait_item(item, "sent")
    entry, = desk.sent_to("facebook")
    assert PARENT.match(entry["trace"]).group(1) == trace_of(desk, event)
