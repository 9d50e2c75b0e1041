"""A platform that took it and never said so: never sent again blindly; looked for first, then a person decides."""
import threading
import time

import pytest

import day_out
from desk import wait_until
from out import COMMS, PLACE, OutDesk
from outward import posted_twice

TEXT = "Thank you, an officer will ring you within the hour."


@pytest.fixture
def desk(state, request):
    desk = OutDesk(state / "desk-1", **getattr(request, "param", {}))
    desk.start()
    yield desk
    desk.stop()


def patient(seconds):
    """So long it is looked for before a person is asked; from then on there is but one look a minute."""
    return {"changes": {"outward": {"unknown_after_s": seconds}}}


@pytest.mark.parametrize("desk", [patient(20)], indirect=True)
@pytest.mark.parametrize("channel", ["facebook", "instagram", "whatsapp", "x"])
def test_an_echo_says_that_it_is_there(desk, channel):
    desk.outlets.control(PLACE[channel], reset_share=1.0, echo_delay_ms=300)
    item = desk.say(desk.receive(channel=channel), TEXT)
    told = desk.wait_item(item, "sent", seconds=40)
    entry, = desk.sent_to(channel)
    assert entry["told"] == "reset" and told["object_ids"] == [entry["object_id"]]
    assert desk.waiting("unknown") == []


def unknown_reply(desk, **fault):
    """A reply on Messenger of which neither answer nor echo comes. Returns (conversation, item)."""
    desk.outlets.control("facebook", has_echo=False, **fault)
    conversation = desk.receive()
    item = desk.say(conversation, TEXT)
    desk.wait_item(item, "unknown", seconds=60)
    wait_until(lambda: item in desk.waiting("unknown"), 60, "it waits for a person")
    desk.outlets.control("facebook", **{key: 0.0 for key in fault})
    return conversation, item


def test_a_person_says_it_is_there(desk):
    _, item = unknown_reply(desk, reset_share=1.0)
    listed = desk.desg("unknown", "list")
    assert listed.returncode == 0 and item in listed.stdout and TEXT not in listed.stdout
    assert item in str(desk.json("unknown", "list"))
    done = desk.desg("unknown", "there", item)
    assert done.returncode == 0, done.stderr
    desk.wait_item(item, "sent", "settled")
    assert desk.waiting("unknown") == [] and len(desk.sent_to("facebook")) == 1


def test_a_person_says_send_it_again(desk):
    conversation, item = unknown_reply(desk, cut_share=1.0)
    assert desk.sent_to("facebook") == []
    done = desk.desg("unknown", "again", item)
    assert done.returncode == 0, done.stderr
    desk.wait_item(item, "sent", seconds=30)
    assert len(desk.sent_to("facebook")) == 1
    again = desk.desg("unknown", "again", item)
    assert again.returncode != 0 and again.stderr, "what was sent is not sent again"
    assert desk.desg("unknown", "there", "0" * 32).returncode != 0
    assert len(desk.sent_to("facebook")) == 1 and conversation


def test_two_people_who_say_send_again_send_it_once(desk):
    _, item = unknown_reply(desk, cut_share=1.0)
    agents = ["control-room", "agent-2", "agent-3"]
    for agent in agents:
        desk.token(agent)
    answers = []
    threads = [threading.Thread(target=lambda a=agent: answers.append(
        desk.ask("POST", f"/v1/items/{item}/settlement", {"as": "again"}, agent=a)[0])) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    desk.wait_item(item, "sent", seconds=30)
    assert 200 in answers and len(desk.sent_to("facebook")) == 1


def test_bad_settlements_are_refused(desk):
    _, item = unknown_reply(desk, cut_share=1.0)
    for body in ({}, {"as": "maybe"}, {"as": "again", "unheard": 1}):
        status, answer = desk.ask("POST", f"/v1/items/{item}/settlement", body)
        assert status in (400, 422) and answer["detail"], body
    assert desk.ask("POST", f"/v1/items/{'0' * 32}/settlement", {"as": "there"})[0] in (404, 409)
    auditor = desk.admit("auditor", "auditor")
    assert desk.ask_desk("POST", f"/v1/items/{item}/settlement", auditor, {"as": "there"}, "key-of-auditor")[0] == 403
    assert item in desk.waiting("unknown")


@pytest.mark.slow
def test_x_and_the_page_are_asked_what_they_have(desk):
    """No echo, no answer: own messages by text and time, the Page's and X's own posts."""
    desk.outlets.control("x", reset_share=1.0, has_echo=False)
    item = desk.say(desk.receive(channel="x"), TEXT)
    desk.outlets.control("page", reset_share=1.0, has_echo=False)
    desk.outlets.control("x-post", reset_share=1.0, has_echo=False)
    broadcast = desk.release(outlets=["facebook", "x"])
    told = desk.wait_item(item, "sent", seconds=40)
    assert told["object_ids"] == [desk.sent_to("x")[0]["object_id"]]
    rows = desk.wait_rows(broadcast, {"facebook": "sent", "x": "sent"}, seconds=40)
    for place, outlet in (("page", "facebook"), ("x-post", "x")):
        taken = [entry["object_id"] for entry in desk.took(place)]
        assert rows[outlet]["object_ids"] == taken and len(taken) == len(set(taken))
    assert not posted_twice(desk.took())


def test_what_has_a_key_is_simply_sent_again(desk):
    desk.outlets.control("mastodon", reset_share=0.6, seed=4)
    desk.outlets.control("subscriber", reset_share=0.6, seed=4)
    broadcast = desk.release(outlets=["mastodon", "subscriber"])
    desk.wait_rows(broadcast, {"mastodon": "sent", "subscriber": "sent"}, seconds=60)
    assert len(desk.took("mastodon")) == 2, "one status for each language"
    assert not posted_twice(desk.took())


@pytest.mark.slow
def test_a_killed_notify_does_not_send_twice(desk):
    """Killed while the platform thinks: what it took is found by its echo, what it never heard of is asked of a person or sent."""
    desk.outlets.control(slow_ms=150, echo_delay_ms=400)
    items = []
    for number in range(6):
        items.append(desk.say(desk.receive(person=f"k{number}"), f"{TEXT} {number}"))
        wait_until(lambda: desk.item_now(items[-1])["state"] != "queued", 60, "it is on its way")
        desk.processes["notify"].kill9()
        desk.restart("notify")
    desk.outlets.control(slow_ms=0)
    for item in items:
        told = desk.wait_item(item, "sent", "unknown", seconds=60)
        if told["state"] == "unknown":
            wait_until(lambda one=item: one in desk.waiting("unknown") or desk.item_now(one)["state"] == "sent", 60, "a person is asked")
    entries = desk.sent_to("facebook")
    assert not posted_twice(entries)
    for item in items:
        assert desk.item_now(item)["state"] == "unknown" or any(item in entry["ref"] for entry in entries)


@pytest.mark.slow
def test_nothing_goes_out_while_redis_is_away_and_all_of_it_later(desk):
    items = [desk.say(desk.receive(person=f"w{number}"), f"{TEXT} {number}") for number in range(2)]
    for item in items:
        desk.wait_item(item, "sent")
    desk.outlets.control(limited_share=1.0)
    late = desk.say(desk.receive(person="late"), TEXT)
    desk.wait_item(late, "later")
    desk.processes["redis"].kill9()
    wait_until(lambda: desk.desg("queue").returncode == 75, 60, "desk says that Redis is away")
    # What had leave to go out before that has met the limit by now.
    wait_until(lambda: desk.metrics("notify")["desg_notify_redis_ready"] == 0, 60, "notify finds that Redis is away")
    desk.outlets.control(limited_share=0.0)
    before = len(desk.took())
    time.sleep(3)  # its next tries would come in that time
    assert len(desk.took()) == before, "a freeze could not be read: nothing goes out"
    desk.restart("redis")
    desk.wait_item(late, "sent", seconds=60)
    assert not posted_twice(desk.took())


@pytest.mark.slow
def test_an_emptied_redis_brings_back_what_waits_and_sends_nothing_twice(desk):
    sent = desk.say(desk.receive(person="s1"), TEXT)
    desk.wait_item(sent, "sent")
    broadcast = desk.release(day_out.ADVICE)
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent", "feed": "sent"})
    _, unsure = unknown_reply(desk, reset_share=1.0)
    desk.outlets.control("whatsapp", limited_share=1.0)
    waiting = desk.say(desk.receive(channel="whatsapp", person="s2"), TEXT)
    before = len(desk.took())
    desk.redis_cli("FLUSHALL")
    desk.outlets.control("whatsapp", limited_share=0.0)
    desk.wait_item(waiting, "sent", seconds=90)
    desk.wait_item(sent, "sent", seconds=60)
    wait_until(lambda: unsure in desk.waiting("unknown"), 60, "what a person was asked is asked still")
    wait_until(lambda: desk.ask("GET", f"/v1/broadcasts/{broadcast}", agent=COMMS)[0] == 200, 60, "the broadcast")
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"}, seconds=60)
    assert len(desk.took()) == before + 1 and not posted_twice(desk.took())
