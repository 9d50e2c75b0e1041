"""What somebody tells in confidence is in the conversation and nowhere else that this desk writes."""
import subprocess

import ledger
import suite
import test_bad_input as bad
from desk import wait_until

MARKER = "Zqxjmarkerword"
NAME = "Zqxjmarkername"
TEXT = f"I was raped by my uncle last week and I am scared, {MARKER}"

# Redis's own files hold the conversations in clear: they are protected by the volume they lie on, and are left out here.
NOT_LOOKED_AT = "redis"


def test_a_marker_word_of_a_restricted_message_is_nowhere_else(make_desk):
    desk = make_desk()
    player = desk.make_player()
    items = [desk.item(TEXT, channel=channel, person=NAME) for channel in ("web", "facebook", "whatsapp", "x")]
    desk.post(player, *items)
    # The same word in bodies that go wrong: not JSON, another shape, an unknown kind.
    for body in (b'{"object":"page",' + MARKER.encode(), b'{"object":"page","entry":"' + MARKER.encode() + b'"}',
                 b'{"object":"' + MARKER.encode() + b'"}'):
        assert bad.post(desk, body).status == 200
        assert bad.post(desk, body, signature="sha256=" + "0" * 64).status == 403
    desk.settle(player)
    wait_until(lambda: len(desk.queue("needs-review")) >= 1, 60, "what could not be read")
    conversations = [event for event in ledger.Held(desk).events if MARKER in (event.get("text") or "")]
    assert len(conversations) == 4, "an agent reads the word"
    assert {event["queue"] for event in conversations} == {"restricted"}

    marks = [mark.encode() for mark in (MARKER, NAME)]
    for name, process in desk.processes.items():
        if process.control:
            for path in ("/metrics", "/status", "/healthz"):
                told = suite.http_get(suite.UnixConnection(process.control), path)
                assert told and not any(mark in told[1] for mark in marks), f"{name} {path}"
            with open(f"/proc/{process.pid}/cmdline", "rb") as command:
                assert not any(mark in command.read() for mark in marks)
    for question in (("SLOWLOG", "GET", "128"), ("INFO", "everything"), ("LATENCY", "LATEST")):
        told = subprocess.run(["redis-cli", "-s", f"{desk.run_directory}/redis.sock", *question], capture_output=True,
                              timeout=60, check=True)
        assert not any(mark in told.stdout for mark in marks), question
    for arguments in (("queue",), ("queue", "restricted"), ("alerts", "--all"), ("status",), ("quarantine", "list")):
        shown = desk.desg(*arguments)
        assert not any(mark.decode() in shown.stdout + shown.stderr for mark in marks), arguments
    desk.stop()
    files = [path for path in desk.state.rglob("*") if path.is_file() and path.relative_to(desk.state).parts[0] != NOT_LOOKED_AT]
    assert {"ingest-1", "notify", "log"} <= {path.relative_to(desk.state).parts[0] for path in files}
    for path in files:
        content = path.read_bytes()
        for mark in marks:
            for form in (mark, mark.lower(), mark.upper(), mark.decode().encode("utf-16-le")):
                assert form not in content, f"the marker is in {path.relative_to(desk.state)}"
