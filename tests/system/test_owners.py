"""Who sends: one replica of notify at a time owns a place, however often it changes, and urgent replies go before all others."""
import json
import signal

import pytest

import day_out
import suite
from desk import URGENT_TEXT, wait_until
from out import OutDesk
from outward import posted_twice

TEXT = "Thank you, an officer will ring you within the hour."


class TwoNotifies(OutDesk):
    """A second replica, with journals, ports and a feed of its own."""

    def prepare(self):
        super().prepare()
        config = self.config()
        for name in ("notify-2", "feed-2"):
            self.ports.setdefault(name, suite.free_port())
        for name in ("journal", "outbox_journal"):
            directory = self.state / f"notify-2-{name}"
            directory.mkdir(exist_ok=True, mode=0o700)
            config["notify"][name]["directory"] = str(directory)
        config["notify"].update(endpoint=self.endpoint("notify-2"), listen=f"127.0.0.1:{self.ports['notify-2']}")
        config["outward"]["feed"].update(listen=f"127.0.0.1:{self.ports['feed-2']}", publish_endpoint=self.endpoint("broadcasts-2"),
                                         snapshot_endpoint=self.endpoint("broadcasts-snapshot-2"))
        path = self.state / "desg-notify-2.yaml"
        path.write_text(json.dumps(config, indent=2), "utf-8")
        self.processes["notify-2"] = suite.Process(
            "notify-2", [self.build / "bin" / "desg-notify", "--config", path, "--name", "notify-2"],
            self.state / "log" / "notify-2.log", self.run_directory / "notify-2.sock")

    def owners(self):
        """{place: name of the replica}"""
        return {row["place"]: row.get("owner", "").split(".")[0] for row in self.do("GET", "/v1/places")["places"]}


@pytest.fixture
def pair(state):
    desk = TwoNotifies(state / "desk-1")
    desk.start()
    yield desk
    for process in desk.processes.values():
        process.signal(signal.SIGCONT)
    desk.stop()


@pytest.fixture
def desk(state, request):
    desk = OutDesk(state / "desk-1", **getattr(request, "param", {}))
    desk.start()
    yield desk
    desk.stop()


def owned_by(pair, names):
    return wait_until(lambda: (lambda owners: owners if owners and set(owners.values()) <= names else None)(pair.owners()),
                      90, f"each place owned by {names}")


@pytest.mark.slow
def test_the_other_replica_goes_on(pair):
    owned_by(pair, {"notify", "notify-2"})
    items = []
    pair.outlets.control(slow_ms=200)
    for turn, (gone, stays) in enumerate((("notify", "notify-2"), ("notify-2", "notify"))):
        items += [pair.say(pair.receive(channel=channel, person=f"o{turn}"), f"{TEXT} {turn}") for channel in ("facebook", "x", "web")]
        broadcast = pair.release(road=f"B{turn}", en={**day_out.CLOSURE["en"], "headline": f"B{turn} closed"},
                                 cy={**day_out.CLOSURE["cy"], "headline": f"B{turn} ar gau"})
        pair.processes[gone].kill9()
        owned_by(pair, {stays})
        for item in items:
            pair.wait_item(item, "sent", "unknown", seconds=60)
        wait_until(lambda one=broadcast: all(row["state"] in ("sent", "unknown") for row in pair.rows(one).values())
                   and len(pair.rows(one)) == 6, 60, "each outlet has it, or a person is asked")
        pair.restart(gone)
    assert not posted_twice(pair.took())


@pytest.mark.slow
def test_a_replica_that_was_stopped_sends_nothing_when_it_wakes(pair):
    """It still believes that it owns its places: the fence says otherwise."""
    owned_by(pair, {"notify", "notify-2"})
    pair.outlets.control(limited_share=1.0)
    items = [pair.say(pair.receive(channel=channel, person="z"), f"{TEXT} {channel}") for channel in ("facebook", "instagram", "x", "web")]
    for item in items:
        pair.wait_item(item, "later")
    for asleep, awake in (("notify", "notify-2"), ("notify-2", "notify")):
        pair.processes[asleep].signal(signal.SIGSTOP)
        owned_by(pair, {awake})
        pair.outlets.control(limited_share=0.0)
        for item in items:
            pair.wait_item(item, "sent", seconds=60)
        pair.processes[asleep].signal(signal.SIGCONT)
        wait_until(lambda one=asleep: pair.status(one), 60, "it is awake")
        items = [pair.say(pair.receive(channel=channel, person=f"{asleep}"), f"{TEXT} {asleep}") for channel in ("facebook", "x")]
        for item in items:
            pair.wait_item(item, "sent", seconds=60)
    assert not posted_twice(pair.took()) and not pair.waiting("unknown")


def test_a_replica_gone_for_good_together_with_redis(pair):
    """Its journal alone knows what it sent: nobody sends that again by himself. What the one that is left sent is known."""
    pair.processes["notify-2"].kill9()
    owned_by(pair, {"notify"})
    mine = pair.say(pair.receive(channel="facebook", person="m"), f"{TEXT} mine")
    pair.wait_item(mine, "sent")
    pair.restart("notify-2")
    pair.processes["notify"].signal(signal.SIGSTOP)
    owned_by(pair, {"notify-2"})
    pair.processes["notify"].signal(signal.SIGCONT)
    theirs = [pair.say(pair.receive(channel=channel, person="t"), f"{TEXT} theirs") for channel in ("x", "web")]
    for item in theirs:
        pair.wait_item(item, "sent")
    for name in ("notify-2", "notify"):
        pair.processes[name].kill9()
    pair.redis_cli("FLUSHALL")
    pair.restart("notify")
    pair.wait_item(mine, "sent", seconds=60)
    for item in theirs:
        pair.wait_item(item, "unknown", seconds=60)
    owned_by(pair, {"notify"})
    after = pair.say(pair.receive(channel="x", person="later"), f"{TEXT} later")
    pair.wait_item(after, "sent", seconds=60)
    assert not posted_twice(pair.took()) and len(pair.took()) == 4
    assert sorted(pair.waiting("unknown")) == sorted(theirs)
    pair.restart("notify-2")
    for item in theirs:
        pair.wait_item(item, "sent", seconds=60)
    assert len(pair.took()) == 4 and not pair.waiting("unknown")


def few_a_minute(number):
    """The accounts of the suite, each allowed so little."""
    def change(desk):
        accounts = desk.config()["outward"]["accounts"]
        desk.changes = suite.merge(desk.changes, {"outward": {"accounts": [{**account, "per_minute": number} for account in accounts]}})
        desk.write_config()
        desk.processes["notify"].stop()
        desk.restart("notify")
    return change


def test_an_urgent_reply_has_its_share(desk):
    few_a_minute(60)(desk)
    urgent = desk.receive(URGENT_TEXT, person="urgent", urgent=True)
    fence = desk.claim(urgent)
    calm = desk.receive(person="calm")
    calm_fence = desk.claim(calm)
    routine = [desk.say(calm, f"{TEXT} {number}", calm_fence) for number in range(40)]
    wait_until(lambda: desk.sent_to("facebook"), 60, "the first of many")
    before = len(desk.sent_to("facebook"))
    item = desk.say(urgent, "Stay where you are, they are coming.", fence)
    desk.wait_item(item, "sent")
    overtaken_by = [entry["ref"] for entry in desk.sent_to("facebook")][before:]
    place = next(number for number, ref in enumerate(overtaken_by) if item in ref)
    assert place <= 5, f"{place} of those who can wait went out before it"
    waiting = [item for item in routine if desk.item_now(item)["state"] in ("queued", "later")]
    assert len(waiting) > 5, "those who can wait, wait"
    assert all(desk.item_now(item)["state"] in ("queued", "later", "sending", "sent") for item in routine)


def test_a_thread_on_x_where_it_is_allowed(desk):
    """Too long for one post: several, each an answer to the one before; found again one by one after a time-out."""
    long = {language: {**day_out.CLOSURE[language], "text": " ".join(f"{word} {number}." for number in range(40))}
            for language, word in (("en", "Diversion number"), ("cy", "Gwyriad rhif"))}
    status, answer = desk.ask("POST", "/v1/broadcasts", day_out.broadcast(day_out.CLOSURE, outlets=["x"], **long), "comms-1")
    assert status in (409, 422) and "x" in str(answer), "not without being allowed"
    desk.outlets.control("x-post", reset_share=0.4, has_echo=False, seed=5)
    broadcast = desk.release(outlets=["x"], may_thread=True, **long)
    row = desk.wait_rows(broadcast, {"x": "sent"}, seconds=90)["x"]
    posts = desk.outlets.standing("x-post")
    assert len(posts) == len(row["object_ids"]) > 2
    assert [post["parent"] for post in posts[1:]] == [post["object_id"] for post in posts[:-1]] and not posts[0]["parent"]
    assert not posted_twice(desk.took())
    desk.outlets.control("x-post", reset_share=0.0)
    desk.cancel(broadcast)
    desk.wait_rows(broadcast, {"x": "sent"}, action="cancel", seconds=60)
    assert not [post for post in desk.outlets.standing("x-post") if "Diversion" in post["text"]], "all of it is taken back"


@pytest.mark.slow
def test_what_desk_answered_outlives_desk_redis_and_notify(desk):
    """All three killed at once after the 200s."""
    desk.outlets.control(limited_share=1.0)
    items = [desk.say(desk.receive(channel=channel, person="d"), f"{TEXT} {channel}") for channel in ("facebook", "whatsapp", "x")]
    broadcast = desk.release(day_out.ADVICE)
    for name in ("desk", "notify", "redis"):
        desk.processes[name].kill9()
    desk.outlets.control(limited_share=0.0)
    desk.restart("redis")
    desk.redis_cli("FLUSHALL")
    desk.restart("notify")
    desk.restart("desk")
    for item in items:
        desk.wait_item(item, "sent", seconds=90)
    wait_until(lambda: desk.ask("GET", f"/v1/broadcasts/{broadcast}")[0] == 200, 60, "the broadcast")
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"}, seconds=60)
    assert not posted_twice(desk.took()) and len(desk.took()) == len(items) + 3
