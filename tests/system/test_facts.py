"""What people decided is kept: it outlives Redis, a killed desk, and shows whoever changed it afterwards."""
import json
import os
import secrets
import shutil
import threading

import pytest

import suite
from desk import CALM_TEXT, URGENT_TEXT, wait_until

REFUSED, CONFIG = 65, 78
RESTRICTED_TEXT = "I was raped by my uncle last week and I am scared"
CLOSED_TEXT = "Thanks, the window was mended yesterday, nothing else to tell"
LOWERED_TEXT = "hurry please he has a knife and he is bleeding on the floor"
SILENT_DISPATCH = ("--set", "ack=none")


def conversation_of(desk, text):
    """The conversation in which somebody wrote text."""
    for queue in desk.json("queue"):
        for row in desk.queue(queue["name"]):
            if any(event.get("text") == text for event in desk.json("show", row["conversation"])["events"]):
                return row["conversation"]
    return None


def post(desk, path, body=None, key=None, agent="control-room"):
    status, answer = desk.ask_desk("POST", path, desk.admit(agent) if not desk.token_path(agent).exists()
                                   else desk.token_path(agent).read_text().strip(), body or {}, key or secrets.token_hex(16))
    return status, json.loads(answer or "{}")


def claim(desk, conversation):
    return desk.json("claim", conversation)["fence"]


def decide_all(desk):
    """Closes one conversation, lowers one, notes on it, acknowledges the alerts. Returns what must still hold."""
    closed, lowered = conversation_of(desk, CLOSED_TEXT), conversation_of(desk, LOWERED_TEXT)
    claim(desk, closed)
    assert desk.desg("close", closed, "--reason", "answered").returncode == 0
    claim(desk, lowered)
    assert desk.desg("grade", lowered, "routine", "--reason", "a film scene").returncode == 0
    assert desk.desg("note", lowered, "--text", "rang back, all is well").returncode == 0
    assert desk.desg("release", lowered).returncode == 0
    alerts = wait_until(lambda: desk.json("alerts"), 60, "an open alert")
    for alert in alerts:
        done = desk.desg("ack", alert["alert"], "--dispatcher", "Rhys", "--log-number", "42")
        assert done.returncode == 0, done.stderr
    assert desk.json("alerts") == []
    return {"closed": closed, "lowered": lowered, "alerts": {alert["alert"] for alert in alerts}}


def assert_held(desk, held):
    def is_so():
        shown = desk.desg("show", held["closed"], "--json"), desk.desg("show", held["lowered"], "--json")
        if any(done.returncode for done in shown):
            return False
        closed, lowered = (json.loads(done.stdout) for done in shown)
        return (closed["state"] == "closed" and lowered["severity"] == 1
                and "rang back, all is well" in json.dumps(lowered, ensure_ascii=False))
    wait_until(is_so, 60, "closed, lowered and noted as before")
    wait_until(lambda: {a["alert"] for a in desk.json("alerts", "--all") if a["state"] == "acknowledged"} >= held["alerts"]
               and not desk.json("alerts"), 90, "the alerts acknowledged as before")


@pytest.fixture
def desk(make_desk, request):
    desk = make_desk(workers=1, dispatch_options=SILENT_DISPATCH, changes=getattr(request, "param", {}))
    desk.player = desk.make_player()
    desk.post(desk.player, desk.item(CLOSED_TEXT, person="p1"), desk.item(LOWERED_TEXT, person="p2", urgent=True),
              desk.item(CALM_TEXT, person="p3"))
    desk.settle(desk.player)
    return desk


def test_decisions_survive_an_emptied_redis(desk):
    held = decide_all(desk)
    desk.redis_cli("FLUSHALL")
    assert_held(desk, held)
    desk.processes["redis"].stop()
    shutil.rmtree(desk.state / "redis" / "appendonlydir")
    desk.restart("redis")
    assert_held(desk, held)
    # What was not there when it was closed opens it again, before and after.
    desk.post(desk.player, desk.item("they broke it again just now", person="p1"))
    wait_until(lambda: desk.json("show", held["closed"])["state"] == "open", 60, "a new event opens it again")
    desk.redis_cli("FLUSHALL")
    wait_until(lambda: desk.desg("show", held["closed"]).returncode == 0
               and len(desk.json("show", held["closed"])["events"]) == 2
               and desk.json("show", held["closed"])["state"] == "open", 60, "it stays open")


def test_a_fact_that_redis_refuses_holds_up_no_other(desk):
    broken, sound = conversation_of(desk, CLOSED_TEXT), conversation_of(desk, CALM_TEXT)
    for conversation in (broken, sound):
        assert desk.desg("note", conversation, "--text", "rang back").returncode == 0

    def degraded():
        row, = [row for row in desk.json("status")["processes"] if row["name"] == "desk"]
        return {note["state"]: note["text"] for note in row.get("degraded", [])}

    prefix = desk.redis_cli("KEYS", "desg:*:queues")[0][:-len("queues")]
    source = desk.status("desk")["detail"]["journal"]["source"]
    assert desk.redis_cli("SET", f"{prefix}conv:{broken}", "rubbish") == "OK"
    desk.redis_cli("HSET", f"{prefix}mark:{source}", "sequence", "0")  # all of it again
    wait_until(lambda: "facts-put-aside" in degraded(), 60, "the fact is put aside")
    assert degraded()["facts-put-aside"].startswith("1 records"), degraded()
    assert "WRONGTYPE" in degraded()["facts-put-aside"] and "rang back" not in degraded()["facts-put-aside"]
    wait_until(lambda: "facts-replaying" not in degraded(), 60, "those behind it are applied")
    assert desk.desg("note", sound, "--text", "and again").returncode == 0
    wait_until(lambda: "fact_put_aside" in desk.log("desk"), 30, "said in the log")
    desk.redis_cli("DEL", f"{prefix}conv:{broken}")
    desk.processes["desk"].stop()
    desk.restart("desk")
    # A desk that has only just started knows of none put aside: what was in it says that it was tried again.
    wait_until(lambda: "rang back" in desk.desg("show", broken, "--json").stdout, 60, "it is tried again")
    wait_until(lambda: "facts-put-aside" not in degraded(), 60, "and not put aside any more")


def test_what_was_taken_out_of_quarantine_stays_out(desk):
    """Also where Redis was emptied, and the event cannot be handled there either."""
    conversation = conversation_of(desk, CALM_TEXT)
    prefix = desk.redis_cli("KEYS", "desg:*:queues")[0][:-len("queues")]
    key = f"{prefix}conv:{conversation}"

    def told(event=""):
        return [line for line in desk.log("route").splitlines() if "event_quarantined" in line and event in line]

    desk.redis_cli("SET", key, "rubbish")
    desk.post(desk.player, desk.item("and the fence is down, too", person="p3"))
    row, = wait_until(lambda: desk.json("quarantine", "list"), 60, "in quarantine")
    event, idempotency_key = row["event"], secrets.token_hex(16)
    answered = post(desk, f"/v1/quarantine/{event}/removal", {}, idempotency_key)
    assert answered[0] == 200 and answered[1]["event"] == event
    assert desk.json("quarantine", "list") == [], "at once"
    assert post(desk, f"/v1/quarantine/{event}/removal", {}, idempotency_key) == answered
    assert post(desk, f"/v1/quarantine/{event}/removal")[0] == 404
    before = len(told(event))
    desk.redis_cli("EVAL", "redis.call('FLUSHALL') return redis.call('SET', KEYS[1], 'rubbish')", "1", key)
    wait_until(lambda: len(told(event)) > before, 60, "set aside again by the rebuild")
    wait_until(lambda: conversation_of(desk, CLOSED_TEXT), 60, "rebuilt")
    wait_until(lambda: desk.status("desk")["detail"]["projector"]["is_caught_up"], 60, "the fact applied again")
    assert event not in json.dumps(desk.json("quarantine", "list"))


def test_a_repeat_is_the_same_and_a_stale_fence_is_told_what_changed(desk):
    conversation = conversation_of(desk, CALM_TEXT)
    path = f"/v1/conversations/{conversation}"
    fence, key = claim(desk, conversation), secrets.token_hex(16)
    status, answer = post(desk, f"{path}/close", {"fence": fence - 1})
    assert status == 409 and answer["current"]["fence"] == fence and answer["remedy"]
    status, answer = post(desk, f"{path}/close", {"fence": fence}, agent="somebody-else")
    assert status == 409 and answer["current"]["owner"] == "control-room"
    first = post(desk, f"{path}/close", {"fence": fence, "reason": "done"}, key)
    assert first[0] == 200 and len(first[1]["covered"]) == 1
    assert post(desk, f"{path}/close", {"fence": fence, "reason": "done"}, key) == first
    status, answer = post(desk, f"{path}/notes", {"text": "hm"}, key)
    assert status == 422 and answer["type"].endswith("key-used")
    status, answer = post(desk, f"{path}/close", {"fence": fence, "reason": "something else"}, key)
    assert status == 422 and answer["type"].endswith("key-used"), "another body is another change"
    desk.processes["desk"].stop()
    desk.restart("desk")
    assert post(desk, f"{path}/close", {"fence": fence, "reason": "done"}, key) == first, "after a restart, too"
    assert sum(row["kind"] == "closed" for row in desk.json("audit")) == 1


def test_a_key_acknowledges_one_alert_alone(desk):
    desk.post(desk.player, desk.item(URGENT_TEXT, person="p2", urgent=True))
    desk.settle(desk.player)
    alerts = wait_until(lambda: len(desk.json("alerts")) == 2 and desk.json("alerts"), 60, "two alerts of one conversation")
    assert len({alert["conversation"] for alert in alerts}) == 1
    key, body = secrets.token_hex(16), {"dispatcher": "Rhys", "log_number": "42"}
    assert post(desk, f"/v1/alerts/{alerts[0]['alert']}/acknowledgement", body, key)[0] == 200
    for _ in range(2):
        status, answer = post(desk, f"/v1/alerts/{alerts[1]['alert']}/acknowledgement", body, key)
        assert status == 422 and answer["type"].endswith("key-used")
        desk.processes["desk"].stop()
        shutil.rmtree(desk.state / "desk")  # then only Redis knows the key
        (desk.state / "desk").mkdir(mode=0o700)
        desk.restart("desk")
    assert [row["alert"] for row in desk.json("alerts")] == [alerts[1]["alert"]]


def test_what_was_answered_is_there_after_a_kill(desk):
    """kill -9 in the middle of decisions, many times: each that was answered 200 outlives that and a FLUSHALL."""
    conversation = conversation_of(desk, CALM_TEXT)
    path, answered, is_over = f"/v1/conversations/{conversation}/notes", {}, threading.Event()

    def write(writer):
        number = 0
        while not is_over.is_set():
            number += 1
            text, key = f"note {writer}-{number}", secrets.token_hex(16)
            while not is_over.is_set():
                status, body = post(desk, path, {"text": text}, key)
                if status == 200:
                    answered[text] = body["fact"]
                    break
                assert status in (0, 503, 409), body

    writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    for turn in range(8):
        before = len(answered)
        wait_until(lambda: len(answered) > before + 2 + turn, 60, "notes answered")
        desk.processes["desk"].kill9()
        desk.restart("desk")
    is_over.set()
    for writer in writers:
        writer.join(30)
    desk.redis_cli("FLUSHALL")
    wait_until(lambda: desk.desg("show", conversation).returncode == 0, 60, "the conversation again")
    wait_until(lambda: all(text in json.dumps(desk.json("show", conversation)) for text in answered), 60, "every note")
    kept = [row["fact"] for row in desk.json("audit", "--limit", "10000") if row["kind"] == "noted"]
    assert set(answered.values()) <= set(kept)
    assert desk.json("audit", "verify")["whole"]


@pytest.mark.parametrize("desk", [{"desk": {"journal": {"keys_file": None}}}], indirect=True)
def test_verify_finds_a_changed_byte(desk):
    decide_all(desk)
    verdict = desk.json("audit", "verify")
    assert verdict["whole"] and verdict["desks"][0]["records"] > 10
    assert desk.desg("audit").returncode == 0
    desk.processes["desk"].stop()
    journal = desk.state / "desk" / "data.mdb"
    content = journal.read_bytes()
    assert b"rang back, all is well" in content, "not sealed in this story"
    journal.write_bytes(content.replace(b"rang back, all is well", b"rang back, all is hell"))
    desk.restart("desk")
    told = desk.desg("audit", "verify", "--json")
    verdict = json.loads(told.stdout)
    assert told.returncode == REFUSED and not verdict["whole"]
    assert "record" in verdict["desks"][0]["break"]
    assert "is broken" in desk.desg("audit", "verify").stdout
    assert desk.desg("note", conversation_of(desk, CALM_TEXT), "--text", "it goes on").returncode == 0


def test_the_restricted_are_absent_for_whoever_has_no_right(desk):
    token = desk.admit("plain", "agent,supervisor")
    before = desk.ask_desk("GET", "/v1/queues", token)
    desk.post(desk.player, desk.item(RESTRICTED_TEXT, person="p9"))
    desk.settle(desk.player)
    secret = conversation_of(desk, RESTRICTED_TEXT)
    event = desk.json("show", secret)["events"][0]["event"]
    nobody = "0" * 32

    def ask(method, path, body=None):
        status, answer = desk.ask_desk(method, path, token, body, secrets.token_hex(16) if method == "POST" else None)
        return status, answer.decode()

    def queues():
        return {q["name"]: q["depth"] for q in json.loads(desk.ask_desk("GET", "/v1/queues", token)[1])["queues"]}

    after = json.loads(desk.ask_desk("GET", "/v1/queues", token)[1])["queues"]
    assert [(q["name"], q["depth"]) for q in after] == [(q["name"], q["depth"]) for q in json.loads(before[1])["queues"]]
    assert secret not in ask("GET", "/v1/queues/restricted?limit=1000")[1]
    assert secret not in ask("GET", "/v1/alerts?state=all&limit=1000")[1]
    for method, path, body in (("GET", "/v1/conversations/{}", None), ("GET", "/v1/conversations/{}/claim", None),
                               ("GET", "/v1/trace/{}", None), ("POST", "/v1/conversations/{}/notes", {"text": "x"}),
                               ("POST", "/v1/conversations/{}/language", {"language": "cy"}),
                               ("POST", "/v1/conversations/{}/close", {"fence": 1}),
                               ("POST", "/v1/conversations/{}/heartbeat", {"fence": 1})):
        assert ask(method, path.format(secret), body) == ask(method, path.format(nobody), body), path
        assert ask(method, path.format(secret), body)[0] == 404
    assert ask("GET", f"/v1/trace/{event}") == ask("GET", f"/v1/trace/{nobody}")
    assert ask("POST", "/v1/claims", {"conversation": secret})[0] == 404
    # A conversation turns restricted by its second message: its alert goes with it, and a queue that holds nothing else
    # looks like an empty one.
    lowered = conversation_of(desk, LOWERED_TEXT)
    assert lowered in ask("GET", "/v1/alerts?state=all&limit=1000")[1]
    alert = next(row["alert"] for row in desk.json("alerts") if row["conversation"] == lowered)
    assert "urgent" in queues()
    desk.post(desk.player, desk.item(RESTRICTED_TEXT, person="p2"))
    desk.settle(desk.player)
    wait_until(lambda: lowered not in ask("GET", "/v1/alerts?state=all&limit=1000")[1], 60, "its alert is absent")
    body = {"dispatcher": "Rhys", "log_number": "1"}
    assert (ask("POST", f"/v1/alerts/{alert}/acknowledgement", body) ==
            ask("POST", f"/v1/alerts/{nobody}/acknowledgement", body))
    only_hidden = queues()
    assert all(depth > 0 for depth in only_hidden.values()), "neither empty ones nor those with hidden ones alone"
    claimed = set()
    while True:
        status, answer = ask("POST", "/v1/claims", {})
        if status == 204:
            break
        assert status == 200
        claimed.add(json.loads(answer)["conversation"])
    assert len(claimed) == 2 and not {secret, lowered} & claimed
    assert desk.ask_desk("GET", "/v1/audit", token)[0] == 403
    assert desk.json("claim")["conversation"] in (secret, lowered), "who has the right gets it"


def test_who_asks_matters_and_redis_away_is_said(desk):
    path = "/v1/queues"
    assert desk.ask_desk("GET", path, "x" * 40)[0] == 401
    auditor = desk.admit("auditor", "auditor")
    assert desk.ask_desk("GET", path, auditor)[0] == 403
    assert desk.ask_desk("GET", "/v1/audit?limit=1", auditor)[0] == 200
    assert desk.desg("queue", "--token-file", "/nowhere").returncode == CONFIG
    conversation = conversation_of(desk, CALM_TEXT)
    desk.processes["redis"].kill9()
    status, answer = post(desk, f"/v1/conversations/{conversation}/notes", {"text": "x"})
    assert status == 503 and "Redis" in answer["detail"]
    assert desk.desg("queue").returncode == 75
    desk.restart("redis")
    wait_until(lambda: desk.desg("queue").returncode == 0, 60, "reads again")


@pytest.mark.parametrize("desk", [{"desk": {"journal": {"size_mib": 4}}}], indirect=True)
def test_a_full_journal_is_said_and_nothing_is_deleted(desk):
    conversation, answered = conversation_of(desk, CALM_TEXT), 0
    for _ in range(600):
        status, answer = post(desk, f"/v1/conversations/{conversation}/notes", {"text": "x" * 16000})
        if status != 200:
            break
        answered += 1
    assert status == 503 and "journal" in answer["detail"] and answered > 20
    token = desk.token_path("control-room").read_text().strip()
    assert desk.ask_desk("GET", "/v1/queues", token)[0] == 200, "lists go on"
    assert desk.ask_desk("GET", f"/v1/conversations/{conversation}", token)[0] == 503, "no content without its view on record"
    assert desk.status("desk")["detail"]["journal"]["state"] == "full"
    desk.processes["desk"].stop()
    desk.changes["desk"]["journal"]["size_mib"] = 32
    desk.write_config()
    desk.restart("desk")
    verdict = desk.json("audit", "verify")
    assert verdict["whole"] and verdict["desks"][0]["first"] == 1 and verdict["desks"][0]["records"] > answered
    assert sum(row["kind"] == "noted" for row in desk.json("audit", "--limit", "10000")) == answered


def test_two_desks_are_one_desk(desk):
    (desk.state / "desk-2").mkdir(mode=0o700)
    second = suite.Process("desk-2", [desk.build / "bin" / "desg-desk", "--config", desk.config_path(), "--name", "desk-2"],
                           desk.state / "log" / "desk-2.log", desk.run_directory / "desk-2.sock",
                           {**os.environ, "DESG_DESK_JOURNAL_DIRECTORY": str(desk.state / "desk-2")})
    desk.processes["desk-2"] = second
    desk.restart("desk-2")
    conversation = conversation_of(desk, CALM_TEXT)
    fence, key = claim(desk, conversation), secrets.token_hex(16)
    token = desk.token_path("control-room").read_text().strip()
    path = f"/v1/conversations/{conversation}/close"
    first = desk.ask_desk("POST", path, token, {"fence": fence}, key, name="desk-2")
    again = desk.ask_desk("POST", path, token, {"fence": fence}, key)
    assert first[0] == again[0] == 200 and json.loads(first[1]) == json.loads(again[1]), "whoever is asked"
    desk.processes["desk"].kill9()
    assert desk.desg("note", conversation, "--text", "said to the other").returncode == 0
    desk.restart("desk")
    desk.redis_cli("FLUSHALL")
    wait_until(lambda: desk.desg("show", conversation).returncode == 0
               and desk.json("show", conversation)["state"] == "closed"
               and "said to the other" in json.dumps(desk.json("show", conversation)), 60, "the facts of both")
    verdict = desk.json("audit", "verify")
    assert verdict["whole"] and {row["desk"] for row in verdict["desks"]} == {"desk", "desk-2"}
