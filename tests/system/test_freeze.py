"""One command, and nothing scheduled or automatic goes out but what was named."""
import time

import pytest

import day_out
from desk import wait_until
from out import COMMS, SECOND, OutDesk

AHEAD_S = 8  # of what must not have come yet when the story has said all it has to say
TEXT = "Thank you, an officer will ring you within the hour."


@pytest.fixture
def desk(state):
    desk = OutDesk(state / "desk-1", changes={"outward": {"receipts": {"is_on": True}}})
    desk.start()
    yield desk
    desk.stop()


def freeze(desk, *options, agent=COMMS):
    desk.token(agent)
    done = desk.desg("freeze", *options, "--agent", agent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def leaves_given(desk, but=""):
    """When each part of a reply or post had leave to go out: only from then on it may be at its platform. Without those of one item."""
    given = []
    for key in desk.redis_cli("KEYS", "desg:{gwent}:item:*") or []:
        fields = desk.redis_cli("HGETALL", key) or {}
        given += [int(value.split()[0]) for name, value in fields.items() if name[0] == "i" and name[1:].isdigit() and not key.endswith(but or "-")]
    return given


def in_ms(seconds):
    return int((time.time() + seconds) * 1000)


def test_a_freeze_holds_what_is_scheduled_and_automatic_and_lets_people_answer(desk):
    freeze(desk, "--minutes", "30", "--reason", "royal visit", "--except", "outlet:mastodon")
    until = desk.do("GET", "/v1/freeze")["until_ms"]
    assert in_ms(29 * 60) < until <= in_ms(31 * 60)
    wait_until(lambda: any(word in desk.desg("status").stdout.lower() for word in ("freeze", "frozen")), 60, "a banner nobody overlooks")
    conversation = desk.receive("Hello, who do I ask about a lost dog?", person="f1")
    broadcast = desk.release(publish_at_ms=in_ms(AHEAD_S))
    item = desk.say(conversation, TEXT)
    desk.wait_item(item, "sent")
    desk.wait_rows(broadcast, {"mastodon": "sent"})
    assert [entry["ref"][:37] for entry in desk.sent_to("facebook")] == [f"desk:{item}"], "the reply, but no receipt"
    assert not desk.took("page", "x-post", "subscriber"), "what is scheduled waits"
    assert all(row["state"] not in ("refused", "unknown") for row in desk.rows(broadcast).values())
    freeze(desk, "lift")
    desk.wait_rows(broadcast, {outlet: "sent" for outlet in day_out.CLOSURE["outlets"]})
    wait_until(lambda: "frozen" not in desk.desg("status").stdout.lower(), 60, "no banner any more")


def test_a_freeze_ends_by_itself(desk):
    desk.token(COMMS)
    desk.token(SECOND)
    until = in_ms(2 * AHEAD_S)
    desk.do("POST", "/v1/freeze", {"until_ms": until, "reason": "drill", "except": []}, COMMS)
    broadcast = desk.release(day_out.ADVICE, publish_at_ms=in_ms(AHEAD_S))
    assert desk.shown(broadcast)["state"] == "scheduled", "due while the freeze lasts"
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"})
    first = min(entry["at_ms"] for entry in desk.took("page", "mastodon"))
    frozen = [row for row in desk.json("audit") if row["kind"] == "frozen"]
    assert len(frozen) == 1 and first >= until, "not before its end"
    assert desk.do("GET", "/v1/freeze").get("until_ms", 0) == 0


def test_a_freeze_during_the_fan_out(desk):
    """Nothing leaves after the freeze's time stamp; what was under way is finished or waits."""
    desk.token(COMMS)
    desk.token(SECOND)
    conversation = desk.receive(person="f2")
    desk.outlets.control(slow_ms=400)
    broadcast = desk.release(publish_at_ms=in_ms(AHEAD_S))
    wait_until(lambda: leaves_given(desk), AHEAD_S + 60, "it began")
    freeze(desk, "--minutes", "5", "--reason", "stop")
    frozen_ms = in_ms(0)
    item = desk.say(conversation, TEXT)
    desk.wait_item(item, "sent")
    given = leaves_given(desk, but=item)
    assert all(at <= frozen_ms for at in given), "nothing but the reply had leave to go out after the freeze"
    assert len(desk.took("page", "x-post", "mastodon", "subscriber", "radio")) <= len(given)
    desk.outlets.control(slow_ms=0)
    freeze(desk, "lift")
    desk.wait_rows(broadcast, {outlet: "sent" for outlet in day_out.CLOSURE["outlets"]})


def test_a_freeze_outlives_redis_and_bad_ones_are_refused(desk):
    freeze(desk, "--minutes", "30", "--reason", "mourning")
    desk.redis_cli("FLUSHALL")
    wait_until(lambda: desk.ask("GET", "/v1/freeze")[1].get("until_ms"), 60, "the freeze again")
    freeze(desk, "lift")
    for body in ({}, {"until_ms": in_ms(-60), "reason": "x", "except": []}, {"until_ms": "soon", "reason": "x"},
                 {"until_ms": in_ms(60), "reason": "x", "except": ["outlet:nowhere"]}):
        status, answer = desk.ask("POST", "/v1/freeze", body, COMMS)
        assert status in (400, 409, 422) and answer["detail"], body
    plain = desk.admit("plain", "agent")
    assert desk.ask_desk("POST", "/v1/freeze", plain, {"until_ms": in_ms(60), "reason": "x", "except": []}, "key-of-plain")[0] == 403
    assert desk.desg("freeze", "--minutes", "-3").returncode != 0
    assert desk.do("GET", "/v1/freeze").get("until_ms", 0) == 0
