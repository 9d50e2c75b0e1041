"""The desg command as a person and as a program uses it."""
import pytest

from desk import CALM_TEXT, URGENT_TEXT, wait_until

OK, NOTHING, USAGE, REFUSED, AWAY, CONFIG = 0, 1, 64, 65, 75, 78
NOBODY = "0" * 32


@pytest.fixture
def desk(make_desk):
    desk = make_desk(workers=1)
    desk.player = desk.make_player()
    desk.post(desk.player, desk.item(URGENT_TEXT, person="p1", urgent=True), desk.item(CALM_TEXT, person="p2"),
              desk.item(CALM_TEXT, person="p3", channel="web"))
    desk.settle(desk.player)
    return desk


def run(desk, *arguments, code=OK):
    done = desk.desg(*arguments)
    assert done.returncode == code, f"desg {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if code == OK else done.stderr


def test_queues_and_a_conversation_for_people_and_programs(desk):
    shown = run(desk, "queue")
    assert "QUEUE" in shown and "urgent" in shown and "general" in shown
    assert {row["name"]: row["depth"] for row in desk.json("queue") if row["depth"]} == {"urgent": 1, "general": 2}
    row, = desk.queue("urgent")
    assert row["severity"] in (4, 5, "urgent", "life-at-risk") and row["events"] == 1
    assert row["conversation"] in run(desk, "queue", "urgent")
    assert "Nothing waits" in run(desk, "queue", "cymraeg")
    shown = run(desk, "show", row["conversation"])
    assert URGENT_TEXT in shown and "why:" in shown
    conversation = desk.json("show", row["conversation"])
    assert conversation["queue"] == "urgent" and conversation["events"][0]["text"] == URGENT_TEXT
    assert run(desk, "show", NOBODY, code=REFUSED)
    assert run(desk, "show", "xyz", code=REFUSED)


def test_claim_release_and_close_under_fences(desk):
    first = desk.json("claim", "--agent", "anna")
    assert first["queue"] == "urgent", "the most pressing first"
    conversation = first["conversation"]
    assert run(desk, "claim", conversation, "--agent", "ben", code=REFUSED)
    assert "Released" in run(desk, "release", conversation, "--agent", "anna")
    second = desk.json("claim", conversation, "--agent", "ben")
    assert second["fence"] > first["fence"]
    stale = run(desk, "close", conversation, "--agent", "anna", "--fence", str(first["fence"]), code=REFUSED)
    assert stale.startswith("desg: ") and len(stale) > 20, "says what changed"
    assert run(desk, "close", conversation, "--agent", "anna", code=REFUSED)  # holds nothing
    seen = desk.json("show", conversation)["events"][-1]["event"]
    desk.post(desk.player, desk.item("and now they are back with a knife, hurry", person="p1", urgent=True))
    wait_until(lambda: len(desk.json("show", conversation)["events"]) == 2, 60, "the new message")
    assert run(desk, "close", conversation, "--agent", "ben", "--last-event", seen, code=REFUSED)
    newest = max(desk.json("show", conversation)["events"], key=lambda event: event["platform_time_ms"])["event"]
    newest = next(e["event"] for e in desk.json("show", conversation)["events"] if e["event"] != seen) or newest
    assert "Closed" in run(desk, "close", conversation, "--agent", "ben", "--last-event", newest)
    assert desk.json("show", conversation)["state"] == "closed"
    others = [desk.json("claim", "--agent", "cara", "--queue", "general") for _ in range(2)]
    assert len({claim["conversation"] for claim in others}) == 2
    assert "Nothing waits" in desk.desg("claim", "--agent", "dai").stdout
    assert desk.desg("claim", "--agent", "dai").returncode == NOTHING
    assert desk.desg("claim", "--agent", "dai", "--json").stdout.strip() == "null"


def test_alerts_and_the_story_of_a_message(desk):
    wait_until(lambda: desk.json("alerts") == [], 60, "acknowledged")
    assert "No alert is open" in run(desk, "alerts")
    alert, = desk.json("alerts", "--all")
    assert alert["state"] == "acknowledged"
    assert alert["alert"] in run(desk, "alerts", "--all")
    for any_id in (alert["alert"], alert["event"], alert["conversation"]):
        story = desk.json("trace", any_id)
        assert len(story) >= 2 and [row["at_ms"] for row in story] == sorted(row["at_ms"] for row in story)
        assert "TIME" in run(desk, "trace", any_id)
    assert desk.desg("trace", NOBODY).returncode == NOTHING


def test_status_names_every_process_and_what_is_missing(desk):
    names = {"ingest-1", "classify-1", "route", "notify", "desk"}
    assert {process["name"] for process in desk.json("status")["processes"]} == names
    assert all(process["state"] == "running" for process in desk.json("status")["processes"])
    shown = run(desk, "status")
    assert all(name in shown for name in names)
    desk.processes["redis"].kill9()
    wait_until(lambda: "Redis: " in desk.desg("status").stdout, 30, "status says that Redis is away")
    assert "try again" in (run(desk, "queue", code=AWAY) + "try again")
    desk.restart("redis")
    desk.processes["route"].kill9()
    assert desk.desg("status").returncode == NOTHING
    desk.restart("route")


def test_quarantine_is_listed_shown_and_tried_again(desk):
    import hmac
    import http.client
    body = b'{"object":"page", this is not JSON'
    connection = http.client.HTTPConnection("127.0.0.1", desk.ports["ingest-1"], timeout=30)
    mac = hmac.digest(desk.secret_text("meta-app").encode(), body, "sha256").hex()
    connection.request("POST", "/hooks/facebook", body, {"X-Hub-Signature-256": f"sha256={mac}"})
    assert connection.getresponse().status == 200
    connection.close()
    rows = wait_until(lambda: desk.queue("needs-review"), 60, "the unreadable body in needs-review")
    assert len(rows) == 1
    assert run(desk, "quarantine", "list")
    for row in desk.json("quarantine", "list"):
        assert desk.json("quarantine", "show", row["event"])["event"] == row["event"]
        assert row["event"] in run(desk, "quarantine", "list")
    assert run(desk, "quarantine", "show", NOBODY, code=REFUSED)
    assert run(desk, "quarantine", "retry", NOBODY, code=REFUSED)
    assert run(desk, "quarantine", "eat", code=USAGE)


def test_wrong_use_is_told(desk, tmp_path):
    assert "see desg --help" in run(desk, "dance", code=USAGE)
    assert "--limit" in run(desk, "queue", "--limit", "0", code=USAGE)
    for words in (("queue", "general"), ("alerts",), ("quarantine", "list")):
        assert "1 to 2000" in run(desk, *words, "--limit", "2001", code=USAGE)
        run(desk, *words, "--limit", "2000")
    token = desk.token_path("control-room").read_text().strip()
    for path in ("/v1/queues/general?", "/v1/alerts?state=all&", "/v1/quarantine?"):
        assert desk.ask_desk("GET", f"{path}limit=2000", token)[0] == 200
        status, answer = desk.ask_desk("GET", f"{path}limit=2001", token)
        assert status == 400 and b"1 to 2000" in answer
    assert "too many words" in run(desk, "status", "x", code=USAGE)
    assert "Usage: desg" in run(desk, "--help")
    assert run(desk, "--version").startswith("desg 0.")
    import subprocess
    missing = subprocess.run([desk.build / "bin" / "desg", "--config", tmp_path / "none.yaml", "queue"],
                             capture_output=True, text=True, timeout=60, check=False)
    assert missing.returncode == CONFIG and "none.yaml" in missing.stderr
