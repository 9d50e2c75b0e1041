"""Answers to people: to whom, when, how long, how often."""
import json
import re
import secrets

import pytest

import day_out
from desk import wait_until
from out import AGENT, PLACE, OutDesk, logs
from outward import PHONE, posted_twice

TEXT = "Thank you, an officer will ring you within the hour."
MARK = re.compile(r"desk:[0-9a-f]{32}/0\Z")


@pytest.fixture
def desk(state, request):
    desk = OutDesk(state / "desk-1", **getattr(request, "param", {}))
    desk.start()
    yield desk
    desk.stop()


def receipts_on(**more):
    return {"changes": {"outward": {"receipts": {"is_on": True, **more}}}}


@pytest.mark.parametrize("channel", ["facebook", "instagram", "whatsapp", "x", "web"])
def test_a_reply_goes_to_the_person_who_wrote(desk, channel):
    conversation = desk.receive(channel=channel, person="p77")
    event = desk.json("show", conversation)["events"][0]
    item = desk.say(conversation, TEXT, event=event["event"], last_event=event["event"])
    told = desk.wait_item(item, "sent")
    entry, = desk.sent_to(channel)
    assert entry["person"] == (event["contact"] if channel == "web" else event["person"])
    assert told["object_ids"] == [entry["object_id"]] and told["place"] == f"{channel}:{event['account']}"
    assert channel == "x" or MARK.match(entry["ref"]), "our mark comes back in echoes"
    assert not entry["tag"], "no human tag within the standard window"
    shown = json.dumps(desk.json("show", conversation))
    assert item in shown and TEXT in shown, "the reply and its state are in the conversation"


def test_our_own_words_come_back_as_no_new_ticket(desk):
    conversation = desk.receive(channel="facebook")
    fence = desk.claim(conversation)
    item = desk.say(conversation, TEXT, fence)
    desk.wait_item(item, "sent")
    desk.do("POST", f"/v1/conversations/{conversation}/close", {"fence": fence, "reason": "answered"})
    wait_until(lambda: desk.item_now(item).get("echo"), 60, "the echo found its reply")
    assert desk.json("show", conversation)["state"] == "closed"
    assert desk.json("queue") == [] or all(row["depth"] == 0 for row in desk.json("queue"))


def test_whatsapp_says_that_it_was_delivered(desk):
    item = desk.say(desk.receive(channel="whatsapp"), TEXT)
    desk.wait_item(item, "sent")
    wait_until(lambda: desk.item_now(item).get("outcome") == "delivered", 60, "delivered")


def test_a_stale_fence_or_last_event_is_refused_with_what_changed(desk):
    conversation = desk.receive(person="p5")
    path, fence = f"/v1/conversations/{conversation}/replies", desk.claim(conversation)
    first = desk.json("show", conversation)["events"][0]["event"]
    status, answer = desk.ask("POST", path, {"fence": fence - 1 or 99, "text": TEXT})
    assert status == 409 and answer["current"]["fence"] == fence and answer["remedy"]
    status, answer = desk.ask("POST", path, {"fence": fence, "text": TEXT}, agent="somebody-else")
    assert status == 409 and answer["current"]["owner"] == AGENT
    desk.receive("and another thing", person="p5")
    status, answer = desk.ask("POST", path, {"fence": fence, "text": TEXT, "last_event": first})
    assert status == 409 and answer["remedy"], "somebody wrote since"
    for body in ({}, {"fence": fence}, {"fence": fence, "text": ""}, {"fence": fence, "text": "a" * 200000},
                 {"fence": fence, "text": TEXT, "event": "0" * 32}, {"fence": fence, "text": TEXT, "unheard": 1}):
        status, answer = desk.ask("POST", path, body)
        assert status in (400, 404, 409, 413, 422) and answer["detail"], body
    assert desk.sent_to("facebook") == []


def test_what_was_delivered_late_stands_further_up_and_is_named(desk):
    """By the platform's clock it is old, to the desk it is what came last: that is what an answer has to have seen."""
    conversation = desk.receive(person="p8")
    first = desk.json("show", conversation)["last_event"]
    assert "came last" not in desk.desg("show", conversation).stdout
    desk.receive("this was on its way for an hour", person="p8", hours_ago=1.0)
    shown, fence = desk.json("show", conversation), desk.claim(conversation)
    assert shown["events"][-1]["event"] == first != shown["last_event"]
    assert f"came last, though not newest by its time: {shown['last_event']}" in desk.desg("show", conversation).stdout
    path = f"/v1/conversations/{conversation}/replies"
    assert desk.ask("POST", path, {"fence": fence, "text": TEXT, "last_event": first})[0] == 409
    item = desk.say(conversation, TEXT, fence, last_event=shown["last_event"])
    desk.wait_item(item, "sent")
    other = desk.receive(person="p9")
    item = desk.say(other, TEXT)
    wait_until(lambda: desk.item_now(item).get("echo"), 60, "our own words come back")
    assert "came last" not in desk.desg("show", other).stdout


@pytest.mark.parametrize("desk", [receipts_on()], indirect=True)
def test_a_dead_token_is_seen_though_only_receipts_wait(desk):
    desk.outlets.control("facebook", token_dead=True)
    desk.receive(person="p80")
    wait_until(lambda: next(row for row in desk.do("GET", "/v1/places")["places"] if row["place"].startswith("facebook:"))["blocked"],
               60, "the account shows as blocked")
    wait_until(lambda: desk.desg("status").returncode == 1, 60, "desg status is not content")
    assert "BLOCKED" in desk.desg("places").stdout


@pytest.mark.parametrize("desk", [receipts_on()], indirect=True)
def test_a_receipt_keeps_to_the_window_from_when_the_person_wrote(desk):
    """Held up at the platform for longer than its window: the machine may not write any more, and never with the human tag."""
    late = desk.receive(person="p90", hours_ago=25.0)
    soon = desk.receive(person="p91", hours_ago=20.0)
    wait_until(lambda: desk.json("show", soon)["receipt"]["state"] == "sent", 60, "a receipt within the window")
    wait_until(lambda: desk.json("show", late)["receipt"]["state"] == "refused", 60, "none outside it")
    assert [entry["person"] for entry in desk.sent_to("facebook")] == [desk.json("show", soon)["events"][0]["person"]]
    assert not desk.waiting("task"), "nobody has to see to it"


def test_at_send_time_it_is_checked_again(desk):
    """Held up by the platform's limit; meanwhile the person writes again: it is not sent, and says why."""
    desk.outlets.control("facebook", limited_share=1.0)
    conversation = desk.receive(person="p6")
    newest = desk.json("show", conversation)["events"][-1]["event"]
    item = desk.say(conversation, TEXT, last_event=newest)
    desk.wait_item(item, "later", "queued", "sending")
    desk.receive("Never mind, it is sorted", person="p6")
    desk.outlets.control("facebook", limited_share=0.0)
    told = desk.wait_item(item, "refused")
    assert told["error"] and desk.sent_to("facebook") == []
    assert item in desk.waiting("task"), "whoever wrote it is told"


def test_what_somebody_else_has_claimed_by_now_is_not_sent(desk):
    """Held up by the platform's limit; meanwhile its writer gave the conversation back and another one has it. The day that ./run plays
    knows both kinds of an answer kept back."""
    day = day_out.Day(desk)
    first, second = day_out.AGENTS
    desk.outlets.control("facebook", limited_share=1.0)
    conversation = desk.receive(person="p7")
    fence = desk.claim(conversation, first)
    newest = desk.json("show", conversation)["last_event"]
    given_back = desk.say(conversation, TEXT, fence, first, last_event=newest)
    desk.do("POST", f"/v1/conversations/{conversation}/release", {"fence": fence}, first)
    fence = desk.claim(conversation, second)
    overtaken = desk.say(conversation, TEXT, fence, second, last_event=newest)
    desk.receive("Never mind, it is sorted", person="p7")
    desk.outlets.control("facebook", limited_share=0.0)
    assert "claimed again" in desk.wait_item(given_back, "refused")["error"]
    assert desk.wait_item(overtaken, "refused")["error"].startswith(day_out.NEWER)
    assert desk.sent_to("facebook") == [] and {given_back, overtaken} <= set(desk.waiting("task"))
    day.items = [given_back, overtaken]
    assert day.balance()["replies_stale"] == 2 and not day.faults, day.faults


def test_the_same_key_sends_once(desk):
    conversation = desk.receive()
    fence, key = desk.claim(conversation), secrets.token_hex(16)
    body = {"fence": fence, "text": TEXT}
    answers = [desk.ask("POST", f"/v1/conversations/{conversation}/replies", body, key=key) for _ in range(3)]
    assert {status for status, _ in answers} == {200} and len({answer["item"] for _, answer in answers}) == 1
    desk.say(conversation, "a second thing", fence)
    wait_until(lambda: len(desk.sent_to("facebook")) == 2, 60, "both")
    assert desk.ask("POST", f"/v1/conversations/{conversation}/replies", {**body, "text": "other"}, key=key)[0] == 422


@pytest.mark.parametrize("channel, longest, measure", [("facebook", 2000, len), ("instagram", 1001, lambda text: len(text.encode())),
                                                       ("whatsapp", 4097, len)])
def test_long_texts_go_in_order_in_parts(desk, channel, longest, measure):
    text = " ".join(f"Mae'r frawddeg hon yn rhif {number} ac mae'n sôn am dŷ bach." for number in range(120))
    item = desk.say(desk.receive(channel=channel), text)
    told = desk.wait_item(item, "sent", seconds=40)
    parts = [made["text"] for made in desk.outlets.standing(PLACE[channel])]
    assert len(parts) == told["parts"] > 1 and all(measure(part) < longest for part in parts)
    assert " ".join(part.strip() for part in parts) == text, "nothing is lost, and all in order"
    assert all(part.rstrip().endswith(".") for part in parts), "cut at ends of sentences"


def test_the_window_of_each_platform(desk):
    """Facebook: a day, then a week with the human tag, for a person's words alone; WhatsApp: a day."""
    desk.outlets.control("facebook", window_closed=True)  # the platform itself would refuse what lacks the tag
    late = desk.receive(channel="facebook", person="p1", hours_ago=30)
    desk.wait_item(desk.say(late, TEXT), "sent")
    assert [entry["tag"] for entry in desk.sent_to("facebook")] == ["HUMAN_AGENT"]
    for channel, hours in (("facebook", 170), ("whatsapp", 25), ("instagram", 170)):
        conversation = desk.receive(channel=channel, person=f"late-{channel}", hours_ago=hours)
        status, answer = desk.ask("POST", f"/v1/conversations/{conversation}/replies",
                                  {"fence": desk.claim(conversation), "text": TEXT})
        assert status in (409, 422), f"{channel} after {hours} h: {status} {answer}"
        assert "999" not in answer["detail"] and len(answer["detail"] + answer.get("remedy", "")) > 40, "other ways are named"
    assert len(desk.sent_to("facebook")) == 1 and not desk.sent_to("whatsapp") and not desk.sent_to("instagram")
    shown = desk.desg("show", late).stdout
    assert re.search(r"[Rr]epl|answer", shown) and re.search(r"\d+ ?(d|h|min|days|hours)", shown), "the countdown"


@pytest.mark.parametrize("desk", [receipts_on()], indirect=True)
def test_a_receipt_once_in_the_language_of_the_message(desk):
    english = desk.receive("Hello, can you tell me when the police station in Newport opens on Sunday please?", person="en")
    welsh = desk.receive("Bore da, allwch chi ddweud wrtha i pryd mae'r orsaf heddlu yn agor ddydd Sul os gwelwch yn dda?", person="cy")
    unsure = desk.receive("12345 67?", person="both")
    wait_until(lambda: len(desk.sent_to("facebook")) == 3, 60, "three receipts")
    by_person = {made["person"]: made for made in desk.outlets.standing("facebook")}

    def receipt(conversation):
        return by_person[desk.json("show", conversation)["events"][0]["person"]]["text"]
    assert "999" in receipt(english) and "automatic" in receipt(english) and "Diolch" not in receipt(english)
    assert "Diolch" in receipt(welsh) and "Thank" not in receipt(welsh)
    assert "Diolch" in receipt(unsure) and "Thank" in receipt(unsure)
    reference = re.search(r"\b[0-9A-Z]{5}[- ]?[0-9A-Z]{5}\b", receipt(english)).group()
    assert desk.do("GET", f"/v1/references/{reference.replace(' ', '%20')}")["conversation"] == english
    assert desk.ask("GET", "/v1/references/00000-00000")[0] == 404
    assert all(not entry["tag"] for entry in desk.sent_to("facebook")), "never with the human tag"
    desk.receive("And what about the bank holiday?", person="en")
    marker = desk.receive("Somebody new, to wait for", person="later")
    wait_until(lambda: len(desk.sent_to("facebook")) == 4, 60, "the new one's receipt")
    person = desk.json("show", marker)["events"][0]["person"]
    assert desk.sent_to("facebook")[-1]["person"] == person, "none for a second message within a day"


@pytest.mark.parametrize("desk", [receipts_on()], indirect=True)
def test_what_a_person_wishes_counts_over_what_they_write_in(desk):
    short = desk.receive("Hoffwn i siarad â rhywun am rywbeth a welais yn y stryd neithiwr", person="short", kind="postback")
    wisher = desk.receive("Get started", person="wisher", kind="postback")
    assert "Wish noted" in desk.desg("language", wisher, "cy").stdout
    assert desk.desg("language", wisher, "fr").returncode == 65
    assert "language-wished" in [row["kind"] for row in desk.json("audit", "--limit", "1000")]

    def wish():
        done = desk.desg("show", wisher, "--json")
        return done.returncode == 0 and json.loads(done.stdout).get("language_wish")

    def receipt(person, text):
        conversation = desk.receive(text, person=person)
        platform_id = desk.json("show", conversation)["events"][0]["person"]

        def sent():
            return [made["text"] for made in desk.outlets.standing("facebook") if made["person"] == platform_id]
        return wait_until(sent, 60, f"a receipt for {person}")[0]
    text = receipt("wisher", "Hello, can you tell me when the police station in Newport opens on Sunday please?")
    assert "Diolch" in text and "Thank" not in text, "they wrote English, and wished for Welsh"
    text = receipt("short", "12 34?")
    assert "Diolch" in text and "Thank" not in text, "too short to tell: as their conversation"
    row, = [row for row in desk.json("queue", desk.json("show", wisher)["queue"]) if row["conversation"] == wisher]
    assert (row["language"], row["language_wish"]) == ("en", "cy")
    desk.redis_cli("FLUSHALL")
    wait_until(lambda: wish() == "cy" and desk.json("show", wisher)["state"] == "open", 60, "the wish in the new Redis")
    assert "wants to be written to in: cy" in desk.desg("show", wisher).stdout


@pytest.mark.parametrize("desk", [receipts_on()], indirect=True)
def test_a_receipt_is_neutral_never_late_and_never_twice(desk):
    desk.receive("My husband hits me and I am scared of him coming home tonight", person="quiet")
    wait_until(lambda: desk.sent_to("facebook"), 60, "a receipt")
    text = desk.outlets.standing("facebook")[0]["text"].lower()
    assert "999" in text and not re.search(r"police|heddlu|abuse|crime|husband", text), "says nothing of what it is about"
    desk.receive("Yesterday's news", person="old", hours_ago=3)
    desk.redis_cli("FLUSHALL")
    conversations = 2
    wait_until(lambda: len(desk.redis_cli("KEYS", "desg:{gwent}:conv:*") or []) == conversations, 60, "Redis is filled again")
    desk.wait_item(desk.say(desk.receive(person="after"), "one answer"), "sent", seconds=60)
    entries = desk.sent_to("facebook")
    assert not posted_twice(entries) and len([e for e in entries if e["person"] == entries[0]["person"]]) == 1


@pytest.mark.parametrize("desk", [receipts_on()], indirect=True)
def test_no_receipt_for_a_comment_everybody_reads(desk):
    desk.receive("Well done you lot", kind="comment", person="c1")
    item = desk.say(desk.receive(person="m1"), TEXT)
    desk.wait_item(item, "sent")
    wait_until(lambda: len(desk.sent_to("facebook")) >= 2, 60, "the reply and one receipt")
    assert len({entry["person"] for entry in desk.sent_to("facebook")}) == 1


@pytest.mark.slow
def test_429_is_later_never_failed(desk):
    desk.outlets.control(rate_limit=1, rate_window_s=2)
    items = [desk.say(desk.receive(channel=channel, person=f"r{number}"), f"{TEXT} {number}")
             for number, channel in enumerate(["facebook", "facebook", "facebook", "whatsapp", "whatsapp", "web", "web"])]
    for item in items:
        desk.wait_item(item, "sent", seconds=60)
    assert not posted_twice(desk.took()) and len(desk.took()) == len(items)
    assert not desk.waiting("task") and not desk.waiting("unknown")
    refused = desk.outlets.requests()
    assert sum(count for place in ("facebook", "whatsapp", "mail") for key, count in refused[place].items()
               if key in ("POST 429", "POST 400")) < 40, "no storm"


@pytest.mark.parametrize("desk", [{"changes": {"outward": {"probe_minutes": 1}}}], indirect=True)
def test_a_dead_token_blocks_its_account_visibly_and_heals(desk):
    token = desk.secret("outward/whatsapp-token")
    good = token.read_text("ascii")
    token.write_text("expired\n", "ascii")
    conversation = desk.receive(channel="whatsapp")
    item = desk.say(conversation, TEXT)
    desk.wait_item(item, "blocked")
    place = f"whatsapp:{PHONE}"
    wait_until(lambda: is_blocked(desk, place), 60, "its place is blocked")
    wait_until(lambda: place in (status := desk.desg("status")).stdout and status.returncode != 0, 60, "nobody can overlook it")
    wait_until(lambda: " error notify " in desk.log("notify"), 60, "it raises an alarm")
    other = desk.say(desk.receive(channel="facebook", person="other"), TEXT)
    desk.wait_item(other, "sent")
    token.write_text(good, "ascii")
    desk.wait_item(item, "sent", seconds=240)  # looked at once a minute
    wait_until(lambda: not is_blocked(desk, place), 60, "the block is lifted by itself")
    assert len(desk.sent_to("whatsapp")) == 1


def is_blocked(desk, place):
    return any(row["place"] == place and row.get("blocked") for row in desk.do("GET", "/v1/places")["places"])


@pytest.mark.parametrize("channel, options", [("facebook", {"window_closed": True}), ("facebook", {"gone": None}),
                                              ("whatsapp", {"window_closed": True}), ("x", {"gone": None})])
def test_what_the_platform_refuses_for_good_is_a_task_for_a_person(desk, channel, options):
    conversation = desk.receive(channel=channel)
    person = desk.json("show", conversation)["events"][0]["person"]
    desk.outlets.control(PLACE[channel], has_human_agent=False, **{key: value or [person] for key, value in options.items()})
    item = desk.say(conversation, TEXT)
    told = desk.wait_item(item, "refused")
    assert told["error"] and told["code"] and item in desk.waiting("task")
    done = desk.desg("tasks", "done", item)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: item not in desk.waiting("task"), 60, "the task is closed")
    assert desk.sent_to(channel) == []


def test_the_desg_command_answers(desk):
    conversation = desk.receive()
    desk.claim(conversation)
    done = desk.desg("reply", conversation, "--text", TEXT)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: len(desk.sent_to("facebook")) == 1, 60, "the answer")
    refused = desk.desg("reply", desk.receive(person="unclaimed"), "--text", TEXT, "--agent", "nobody-claimed")
    assert refused.returncode != 0 and refused.stderr
    assert desk.desg("reply", conversation).returncode != 0


def test_no_words_and_no_tokens_in_the_logs(desk):
    conversation = desk.receive(person="secretive")
    secret_text = "the spare key is under the blue flowerpot"
    desk.wait_item(desk.say(conversation, secret_text), "sent")
    event = desk.json("show", conversation)["events"][0]
    written = logs(desk)
    for never in (secret_text, event["person"], desk.secret_text("outward/meta-page-token")):
        assert never not in written
