"""The rights that docs/operations.md gives the user of Redis are enough for all of the way in and for the desk."""
import pathlib
import re

from desk import CALM_TEXT, URGENT_TEXT, wait_until

MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "operations.md"
PASSWORD = "0123456789abcdef0123456789abcdef"


def test_the_rights_in_the_manual_are_enough(make_desk, state):
    line = re.search(r"^user desg .*$", MANUAL.read_text("utf-8"), re.M).group()
    words = line.replace(">PASSWORD", f">{PASSWORD}").replace("{gwent}", "*").split()
    assert "-@all" in words and len(words) > 20
    secret = state / "redis-password"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD, "ascii")
    desk = make_desk(workers=1, dispatch_options=("--set", "ack=none"), redis_options=["--" + words[0], *words[1:]],
                     changes={"common": {"redis": {"username": "desg", "password_file": str(secret)}}})
    player = desk.make_player()
    desk.post(player, desk.item(CALM_TEXT, person="p1"), desk.item(URGENT_TEXT, person="p2", urgent=True))
    desk.settle(player)
    alert = wait_until(lambda: desk.json("alerts"), 20, "an alert")[0]
    assert desk.desg("ack", alert["alert"], "--dispatcher", "Rhys", "--log-number", "42").returncode == 0
    conversation = desk.json("claim")["conversation"]
    for words in (("note", conversation, "--text", "rang back"), ("heartbeat", conversation),
                  ("grade", conversation, "routine", "--reason", "a film scene"), ("show", conversation),
                  ("close", conversation), ("queue",), ("queue", "general"), ("alerts", "--all"), ("quarantine", "list"),
                  ("trace", conversation), ("trace", alert["alert"]), ("audit",), ("status",)):
        done = desk.desg(*words)
        assert done.returncode == 0, (words, done.stderr)
    desk.redis_cli("FLUSHALL")  # what rebuilds has no more rights
    wait_until(lambda: desk.desg("show", conversation).returncode == 0
               and desk.json("show", conversation)["state"] == "closed", 60, "rebuilt")
    refused = [entry for entry in desk.redis_cli("ACL", "LOG") if entry["reason"] != "auth"]
    assert not refused, refused
