"""What everybody is told: in both languages, approved by a second person, at each outlet once, and taken back everywhere."""
import http.client
import json
import re
import sys
import time
import xml.etree.ElementTree as xml

import pytest

import day_out
from desk import TOP, wait_until
from out import COMMS, SECOND, OutDesk, all_sent
from outward import posted_twice

sys.path[:0] = [str(TOP / "tests" / "lib" / "outward" / "schemas")]
import valid  # noqa: E402

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
ATOM = "{http://www.w3.org/2005/Atom}"
OUTLETS = day_out.CLOSURE["outlets"]
POSTED = ["page", "x-post", "mastodon", "subscriber", "radio"]
COUNTED_S = 60  # notify counts what waits for a person every 5 s
AHEAD_S = 10  # of what must not have come yet when the story has said all it has to say


@pytest.fixture
def desk(state, request):
    desk = OutDesk(state / "desk-1", **getattr(request, "param", {}))
    desk.start()
    yield desk
    for language in ("en", "cy"):
        cap_messages(desk, language)  # what any story leaves to be read is valid
    desk.stop()


def in_ms(seconds):
    return int((time.time() + seconds) * 1000)


def fetch(desk, path):
    """(status, body) of what the public reads."""
    connection = http.client.HTTPConnection("127.0.0.1", desk.ports["feed"], timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def cap_messages(desk, language="en"):
    """The CAP documents the feed names, newest first. Feed and documents are valid, whatever the story."""
    status, body = fetch(desk, f"/feed.{language}.atom")
    if status != 200:
        return []
    assert not valid.faults("atom", body), valid.faults("atom", body)
    links = [link.get("href") for entry in xml.fromstring(body).iter(ATOM + "entry") for link in entry.iter(ATOM + "link")
             if link.get("type") == "application/cap+xml"]
    documents = [fetch(desk, re.sub(r"^https?://[^/]+", "", link))[1] for link in links]
    assert not valid.faults("cap", *documents), valid.faults("cap", *documents)
    return [xml.fromstring(document) for document in documents]


def test_a_closure_goes_to_every_outlet_in_both_languages(desk):
    broadcast = desk.release()
    rows = desk.wait_rows(broadcast, all_sent(OUTLETS))
    page, = desk.outlets.standing("page")
    assert page["text"].index("Gilwern") and "A465 ar gau" in page["text"] and "A465 closed" in page["text"]
    assert page["text"].index("A465 ar gau") < page["text"].index("A465 closed"), "Welsh first"
    post, = desk.outlets.standing("x-post")
    assert "A465" in post["text"], "X itself counted at most 280"
    assert sorted(made["language"] for made in desk.outlets.standing("mastodon")) == ["cy", "en"]
    assert [len(desk.took(place)) for place in ("subscriber", "radio")] == [1, 1], "each signed: the subscriber checked"
    assert rows["facebook"]["object_ids"] == [page["object_id"]]
    cap = wait_until(lambda: cap_messages(desk), 60, "the feed")[0]
    assert cap.find(CAP + "msgType").text == "Alert" and {i.find(CAP + "language").text for i in cap.iter(CAP + "info")} == {"en-GB", "cy-GB"}
    assert desk.shown(broadcast)["state"] == "published" and not posted_twice(desk.took())


def test_an_update_edits_or_posts_and_a_cancel_takes_back(desk):
    broadcast = desk.release()
    desk.wait_rows(broadcast, all_sent(OUTLETS))
    changed = {language: {**day_out.CLOSURE[language], "text": text} for language, text in (
        ("en", "Closed until 8pm: a lorry has to be lifted."), ("cy", "Ar gau tan 8yh: rhaid codi lori."))}
    version = desk.update(broadcast, **changed)
    assert version == 2
    desk.wait_rows(broadcast, all_sent(OUTLETS), action="update", version=2)
    page, = desk.outlets.standing("page")
    assert "8pm" in page["text"], "edited in place"
    assert all("8" in made["text"] for made in desk.outlets.standing("mastodon"))
    assert "8" in desk.outlets.standing("x-post")[-1]["text"]
    cap = wait_until(lambda: [m for m in cap_messages(desk) if m.find(CAP + "msgType").text == "Update"], 60, "an Update")[0]
    assert cap.find(CAP + "references").text.count(",") == 2
    desk.cancel(broadcast)
    desk.wait_rows(broadcast, all_sent(OUTLETS), action="cancel")
    for place in ("page", "x-post", "mastodon"):
        assert all("8" not in made["text"] for made in desk.outlets.standing(place)), f"{place} still says it"
    wait_until(lambda: [m for m in cap_messages(desk) if m.find(CAP + "msgType").text == "Cancel"], 60, "a Cancel")
    assert desk.shown(broadcast)["state"] == "cancelled" and not posted_twice(desk.took())
    status, answer = desk.ask("POST", f"/v1/broadcasts/{broadcast}/versions", day_out.broadcast(day_out.CLOSURE), COMMS)
    assert status in (409, 422) and answer["detail"], "what is cancelled is not changed any more"


def test_what_an_outlet_will_not_take_back_is_an_open_task(desk):
    broadcast = desk.release(day_out.APPEAL)
    desk.wait_rows(broadcast, all_sent(day_out.APPEAL["outlets"]))
    desk.outlets.control("x-post", refuses_delete=True)
    desk.outlets.control("page", refuses_delete=True, refuses_edit=True)
    desk.cancel(broadcast, "found safe and well")
    rows = desk.wait_rows(broadcast, {"mastodon": "sent", "facebook": "refused", "x": "refused"}, action="cancel")
    remains = [outlet for outlet, row in rows.items() if row["state"] == "refused"]
    assert {"facebook", "x"} <= set(remains) and "mastodon" not in remains
    tasks = desk.waiting("task")
    assert len(tasks) >= len(remains)
    listed = desk.desg("tasks")
    assert listed.returncode == 0 and all(task in listed.stdout for task in tasks)
    for task in tasks:
        assert desk.desg("tasks", "done", task).returncode == 0
    wait_until(lambda: desk.waiting("task") == [], 60, "no task is open any more")


@pytest.mark.parametrize("outlet, place", [("facebook", "page"), ("mastodon", "mastodon"), ("x", "x-post")])
def test_a_removal_that_was_done_and_not_answered_is_no_task(desk, outlet, place):
    broadcast = desk.release(day_out.APPEAL, outlets=[outlet])
    desk.wait_rows(broadcast, {outlet: "sent"})
    desk.outlets.control(place, reset_share=1.0)
    desk.cancel(broadcast, "found safe and well")
    wait_until(lambda: desk.took(place, operation="remove"), 60, "it is removed")
    desk.outlets.control(place, reset_share=0.0)
    wait_until(lambda: desk.rows(broadcast, "cancel")[outlet]["state"] in ("sent", "refused"), 90, "it is tried again")
    assert desk.rows(broadcast, "cancel")[outlet]["state"] == "sent" and desk.waiting("task") == []


def test_at_its_end_it_says_so_by_itself(desk):
    broadcast = desk.release(expires_at_ms=in_ms(AHEAD_S), outlets=["facebook", "mastodon", "feed"])
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"})
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"}, action="end", seconds=AHEAD_S + 60)
    assert "open again" in desk.outlets.standing("page")[-1]["text"] and "ar agor eto" in desk.outlets.standing("page")[-1]["text"]
    wait_until(lambda: desk.shown(broadcast)["state"] == "expired", 20, "expired")


@pytest.mark.slow
def test_a_schedule_is_kept(desk):
    due = in_ms(AHEAD_S)
    broadcast = desk.release(day_out.ADVICE, publish_at_ms=due)
    assert desk.shown(broadcast)["state"] == "scheduled" and not desk.took(*POSTED)
    desk.processes["notify"].kill9()
    desk.restart("notify")
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"}, seconds=AHEAD_S + 60)
    assert min(entry["at_ms"] for entry in desk.took(*POSTED)) >= due
    other = desk.release(day_out.ADVICE, publish_at_ms=in_ms(600), en={**day_out.ADVICE["en"], "headline": "Another", "text": "Later"})
    desk.cancel(other)
    wait_until(lambda: desk.shown(other)["state"] == "cancelled", 60, "cancelled before its time")
    assert len(desk.took("page")) == 1


def test_a_schedule_is_written_approved_and_read_with_desg(desk, state):
    file = state / "advice.yaml"
    file.write_text(json.dumps({key: value for key, value in day_out.broadcast(day_out.ADVICE).items() if key != "starts_at_ms"}), "utf-8")
    desk.token(COMMS)
    desk.token(SECOND)

    def desg(*words, agent=COMMS, code=0):
        done = desk.desg("broadcast", *words, "--agent", agent)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr
    broadcast = json.loads(desg("draft", "--file", str(file), "--at", "60m", "--json"))["broadcast"]
    for words in (("--at", "30m"), ("--road", "A48", "--at", "30m")):
        refused = desg("publish", broadcast, *words, code=64)
        assert "desg broadcast update ID --at TIME" in refused and "approved" in refused
    desg("approve", broadcast, agent=SECOND)
    assert "Scheduled" in desg("publish", broadcast) and "scheduled" in desg("show", broadcast)
    assert "scheduled: version 1" in desg("show", broadcast) and "publish " in desg("show", broadcast)
    listed = desg("list", "--state", "scheduled")
    assert broadcast in listed and " FOR " in listed and broadcast not in desg("list", "--state", "published")
    desg("update", broadcast, "--at", "90m")
    assert "approve" in desg("publish", broadcast, "2", code=65), "another time is another version"
    desg("approve", broadcast, "2", agent=SECOND)
    assert "Scheduled" in desg("publish", broadcast, "2") and "scheduled: version 2" in desg("show", broadcast)
    assert not desk.took(*POSTED)
    desg("update", broadcast, "--at", "")
    desg("approve", broadcast, "3", agent=SECOND)
    assert "Published" in desg("publish", broadcast, "3")
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"}, action="update", version=3)
    assert len(desk.took("page")) == 1 and desk.shown(broadcast)["scheduled_version"] == 0


def test_the_desg_command_says_what_is_wrong_even_if_it_is_one_thing(desk, tmp_path):
    file = tmp_path / "closure.json"
    file.write_text(json.dumps(day_out.broadcast(day_out.CLOSURE)), "utf-8")
    desk.token(COMMS)
    for words, told in ((("--outlet", "nowhere"), "outlets[0] is not in the configuration"), (("--urgency", "Tomorrow"), "urgency"),
                        (("--text-en", "word " * 80), "outlet 'x'"),
                        (("--polygon", "51.80,-3.1 51.82,-3.08 51.82,-3.1 51.80,-3.08"), "polygon"),
                        (("--polygon", "51.80,-3.1 51.82,-3.08 51.82,-3.1 51.80,-3.08 51.80,-3.1"), "polygon")):
        done = desk.desg("broadcast", "draft", "--file", str(file), "--agent", COMMS, *words)
        assert done.returncode == 65 and told in done.stderr, (words, done.stderr)


def test_slow_and_dead_outlets_hold_up_nobody(desk):
    desk.outlets.control("x-post", hang=True)
    desk.outlets.control("subscriber", hang=True)
    broadcast = desk.release()
    desk.wait_rows(broadcast, all_sent(["facebook", "mastodon", "radio", "feed"]))
    item = desk.say(desk.receive(), "a reply beside it")
    desk.wait_item(item, "sent")
    assert desk.rows(broadcast)["x"]["state"] != "sent" and desk.rows(broadcast)["subscriber"]["state"] != "sent", "they hang still"
    desk.outlets.control("subscriber", hang=False)
    desk.wait_rows(broadcast, {"subscriber": "sent"}, seconds=120)
    assert not posted_twice(desk.took())


@pytest.mark.slow
def test_a_crash_in_the_fan_out_posts_nothing_twice(desk):
    desk.outlets.control(slow_ms=60)
    broadcasts = []
    for number in range(3):
        broadcasts.append(desk.release(road=f"A40{number}", en={**day_out.CLOSURE["en"], "headline": f"A40{number} closed"},
                                       cy={**day_out.CLOSURE["cy"], "headline": f"A40{number} ar gau"}))
        desk.processes["notify"].kill9()
        desk.restart("notify")
    for broadcast in broadcasts:
        wait_until(lambda one=broadcast: all(row["state"] in ("sent", "unknown") for row in desk.rows(one).values())
                   and len(desk.rows(one)) == len(OUTLETS), 60, "each outlet has it, or a person is asked")
    assert not posted_twice(desk.took())


def test_who_answers_a_broadcast_is_tied_to_it(desk):
    broadcast = desk.release(day_out.ADVICE)
    rows = desk.wait_rows(broadcast, {"facebook": "sent"})
    comment = desk.outlets.comment("page", rows["facebook"]["object_ids"][0], "Is this real? I got one of those texts")
    wait_until(lambda: desk.shown(broadcast)["replies"] == 1, 20, "the comment is tied to the broadcast")
    assert comment
    desk.update(broadcast, day_out.ADVICE, en={**day_out.ADVICE["en"], "text": "There are more of them. Do not follow the link."})
    updated = desk.wait_rows(broadcast, {"facebook": "sent"}, action="update", version=2)
    assert updated["facebook"]["object_ids"] == rows["facebook"]["object_ids"], "it is edited"
    assert desk.shown(broadcast)["replies"] == 1, "one post, counted once"


GOOD = day_out.CLOSURE
CROSSED = [{"latitude": 51.8, "longitude": -3.1}, {"latitude": 51.9, "longitude": -3.0}, {"latitude": 51.9, "longitude": -3.1},
           {"latitude": 51.8, "longitude": -3.0}, {"latitude": 51.8, "longitude": -3.1}]


@pytest.mark.parametrize("what, changes, word", [
    ("no Welsh", {"cy": None}, "[Ww]elsh|cy"), ("Welsh without a headline", {"cy": {"text": "x"}}, "[Ww]elsh|cy|headline"),
    ("no English", {"en": None}, "[Ee]nglish|en"), ("no expiry", {"expires_at_ms": None}, "expir"),
    ("an expiry in the past", {"expires_at_ms": 1700000000000}, "expir|past"),
    ("an end before the start", {"starts_at_ms": 4102444800000}, "start|expir"),
    ("an open polygon", {"area": {"polygon": GOOD["area"]["polygon"][:-1]}}, "polygon|clos|area"),
    ("a polygon that crosses itself", {"area": {"polygon": CROSSED}}, "cross|polygon|area"),
    ("a polygon of two points", {"area": {"polygon": GOOD["area"]["polygon"][:2]}}, "polygon|point|area"),
    ("a place off the globe", {"area": {"centre": {"latitude": 95.0, "longitude": 0.0}, "radius_km": 1}}, "latitude|area"),
    ("an unknown outlet", {"outlets": ["facebook", "myspace"]}, "myspace|outlet"), ("no outlet", {"outlets": []}, "outlet"),
    ("an outlet twice", {"outlets": ["facebook", "facebook"]}, "twice|outlet"), ("an unknown kind", {"kind": "party"}, "kind|party"),
    ("an unknown word of CAP", {"urgency": "Tomorrow"}, "urgency|Tomorrow"), ("an unheard member", {"surprise": 1}, "surprise"),
    ("too long for X", {"outlets": ["x"], "en": {**GOOD["en"], "text": "long " * 200}}, "x|280|long")])
def test_bad_drafts_are_refused(refusing_desk, what, changes, word):
    draft = {key: value for key, value in {**day_out.broadcast(GOOD), **changes}.items() if value is not None}
    status, answer = refusing_desk.ask("POST", "/v1/broadcasts", draft, COMMS)
    assert status in (400, 409, 422), f"{what}: {status} {answer}"
    assert re.search(word, str(answer)), f"{what}: {answer}"


@pytest.fixture(scope="module")
def refusing_desk(tmp_path_factory):
    """One desk for all that is refused."""
    desk = OutDesk(tmp_path_factory.mktemp("refusing"))
    desk.start(["redis", "dispatch", "outlets", "route", "notify", "desk"])  # route: Redis has its functions from it
    yield desk
    desk.stop()


def test_how_long_is_said_before_approval(refusing_desk):
    status, answer = refusing_desk.ask("POST", "/v1/broadcasts/preview", day_out.broadcast(
        GOOD, en={**GOOD["en"], "text": "word " * 100}), COMMS)
    assert status == 200
    shown = {row["outlet"]: row for row in answer["outlets"]}
    assert shown["x"]["problem"] and not shown["facebook"].get("problem")
    assert all(post["length"] <= (post["max"] or post["length"]) for post in shown["facebook"]["posts"])
    assert refusing_desk.outlets.entries(*POSTED) == [], "a preview posts nothing"


def test_nobody_approves_alone(refusing_desk):
    desk = refusing_desk
    broadcast, version = desk.draft()
    path = f"/v1/broadcasts/{broadcast}"
    status, answer = desk.ask("POST", f"{path}/publication", {"version": version}, COMMS)
    assert status == 409 and answer["detail"], "not approved yet"
    status, answer = desk.ask("POST", f"{path}/approval", {"version": version}, COMMS)
    assert status in (403, 409, 422) and re.search("author|somebody else|second", answer["detail"] + answer.get("remedy", ""))
    assert desk.ask("POST", f"{path}/approval", {"version": version + 1}, SECOND)[0] in (404, 409, 422), "no such version"
    agent = desk.admit("plain", "agent")
    assert desk.ask_desk("POST", f"{path}/approval", agent, {"version": version}, "key-of-plain")[0] == 403
    desk.approve(broadcast, version)
    newer = desk.do("POST", f"{path}/versions", day_out.broadcast(GOOD, road="A466"), COMMS)["version"]
    status, answer = desk.ask("POST", f"{path}/publication", {"version": newer}, COMMS)
    assert status == 409 and answer["detail"], "what was approved is another version"
    assert desk.ask("GET", f"/v1/broadcasts/{'0' * 32}", agent=COMMS)[0] == 404
    assert desk.took(*POSTED) == []


def test_near_duplicates_are_pointed_out(refusing_desk):
    desk = refusing_desk
    first = desk.release(day_out.ADVICE, outlets=["feed"])
    draft = day_out.broadcast(day_out.ADVICE, outlets=["feed"], en={**day_out.ADVICE["en"], "text": day_out.ADVICE["en"]["text"] + " Thanks."})
    preview = desk.do("POST", "/v1/broadcasts/preview", draft, COMMS)
    assert first in str(preview), "the preview names the one it is like"
    assert first in str(desk.do("POST", "/v1/broadcasts", draft, COMMS)), "and so does the draft's answer"


def test_welsh_that_is_owed_is_an_open_task(refusing_desk):
    desk = refusing_desk
    draft = {key: value for key, value in day_out.broadcast(day_out.ADVICE, outlets=["feed"]).items() if key != "cy"}
    desk.token(COMMS)
    desk.token(SECOND)
    draft["welsh_owed"] = {"by": COMMS, "reason": "life at risk, translator called", "due_at_ms": in_ms(5)}
    answer = desk.do("POST", "/v1/broadcasts", draft, COMMS)
    desk.approve(answer["broadcast"], answer["version"])
    desk.publish(answer["broadcast"], answer["version"])
    tasks = wait_until(lambda: [row for row in desk.do("GET", "/v1/items?state=task")["items"] if row.get("broadcast") == answer["broadcast"]],
                       60, "a task: Welsh owed")
    assert tasks
    wait_until(lambda: desk.metric_sum("notify", "desg_outbox_welsh_overdue") == 1, 5 + COUNTED_S, "its time has come, and the Welsh is not there")
    desk.update(answer["broadcast"], day_out.ADVICE, outlets=["feed"])
    wait_until(lambda: not [row for row in desk.do("GET", "/v1/items?state=task")["items"] if row.get("broadcast") == answer["broadcast"]],
               60, "the Welsh is there: no task any more")
    wait_until(lambda: desk.metric_sum("notify", "desg_outbox_welsh_overdue") == 0, COUNTED_S, "and nothing overdue")


def test_the_desg_command_publishes(desk, tmp_path):
    file = tmp_path / "draft.json"
    file.write_text(json.dumps(day_out.broadcast(day_out.ADVICE), ensure_ascii=False), "utf-8")
    desk.token(COMMS)
    desk.token(SECOND)
    drafted = desk.desg("broadcast", "draft", "--file", str(file), "--agent", COMMS, "--json")
    assert drafted.returncode == 0, drafted.stderr
    broadcast = json.loads(drafted.stdout)["broadcast"]
    refused = desk.desg("broadcast", "approve", broadcast, "--agent", COMMS)
    assert refused.returncode != 0 and refused.stderr
    for step, agent in (("approve", SECOND), ("publish", COMMS)):
        done = desk.desg("broadcast", step, broadcast, "--agent", agent)
        assert done.returncode == 0, done.stderr
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"})
    shown = desk.desg("broadcast", "show", broadcast, "--agent", COMMS)
    assert shown.returncode == 0 and "mastodon" in shown.stdout and "sent" in shown.stdout
    assert broadcast in desk.desg("broadcast", "list", "--agent", COMMS).stdout
    done = desk.desg("broadcast", "cancel", broadcast, "--reason", "a hoax", "--agent", COMMS)
    assert done.returncode == 0, done.stderr
    desk.wait_rows(broadcast, {"facebook": "sent", "mastodon": "sent"}, action="cancel")
