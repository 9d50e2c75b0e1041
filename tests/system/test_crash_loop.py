"""One record that ends ingest whenever it is read: after three ends it is set aside, and everything else flows."""
import hmac
import http.client
import json
import os

import pytest

from desk import CALM_TEXT, URGENT_TEXT, wait_until

MARKER = "THIS BODY ENDS ITS READER"


def crashing(desk):
    """The environment of an ingest whose parser cannot stand the marker."""
    library = desk.build / "tests" / "crash_at_marker.so"
    if not library.exists():
        pytest.skip(f"{library} is not built")
    return {**os.environ, "LD_PRELOAD": str(library.absolute()), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def post_raw(desk, text):
    """Sends a body; ingest may end before the 200 leaves."""
    body = json.dumps({"object": "page", "entry": [{"id": "1", "time": 1, "note": text}]}).encode()
    mac = hmac.digest(desk.secret_text("meta-app").encode(), body, "sha256").hex()
    connection = http.client.HTTPConnection("127.0.0.1", desk.ports["ingest-1"], timeout=30)
    try:
        connection.request("POST", "/hooks/facebook", body, {"X-Hub-Signature-256": f"sha256={mac}"})
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()


def test_a_record_that_ends_ingest_is_set_aside_and_the_rest_flows(make_desk):
    desk = make_desk(is_started=False, workers=1)
    ingest = desk.processes["ingest-1"]
    ingest.environment = crashing(desk)
    desk.start()
    player = desk.make_player()
    desk.post(player, desk.item(CALM_TEXT, person="p1"))
    desk.settle(player)
    desk.processes["classify-1"].kill9()  # so that what comes now is read again at each start
    post_raw(desk, MARKER)
    wait_until(lambda: not ingest.is_alive(), 60, "it ended")
    for _ in range(2):
        ingest.start()
        wait_until(lambda: not ingest.is_alive(), 30, "it ended again")
    assert "record_set_aside" not in desk.log("ingest-1")
    desk.restart("ingest-1")
    wait_until(lambda: "record_set_aside sequence=2" in desk.log("ingest-1"), 60, "said aloud")
    desk.restart("classify-1")
    desk.post(player, desk.item(URGENT_TEXT, person="p2", urgent=True))
    row, = wait_until(lambda: desk.json("quarantine", "list"), 60, "a person sees it")
    assert "ingest ended" in row["reason"]
    desk.settle(player)
    assert ingest.is_alive() and ingest.starts == 4
    wait_until(lambda: desk.metric_sum("ingest-1", "desg_ingest_set_aside_records_total") >= 1, 30, "and counted")
    desk.processes["ingest-1"].kill9()
    desk.restart("ingest-1")  # and it stays so
    assert desk.json("quarantine", "show", row["event"])["event"] == row["event"]
    desk.settle(player)
    assert desk.desg("quarantine", "retry", row["event"]).returncode in (0, 75), "asking for it again is safe"
    desk.assert_all_alive()
