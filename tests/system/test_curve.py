"""CURVE: a desk over TCP with certificates works, and a process with a key nobody allowed is kept out."""
import ctypes
import shutil

import suite
from desk import make_plan, SEED, wait_until


def make_pair(directory, name):
    """A certificate as docs/operations.md makes one: public half name, secret half name_secret."""
    czmq = ctypes.CDLL("libczmq.so.4")
    czmq.zcert_new.restype = ctypes.c_void_p
    czmq.zcert_save.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    path = directory / name
    assert czmq.zcert_save(czmq.zcert_new(), str(path).encode()) == 0
    return path


def tcp_desk(state):
    """Changes of the configuration: every endpoint over TCP on loopback, one pair for all processes of the desk."""
    keys = state / "keys"
    allowed = keys / "allowed"
    allowed.mkdir(parents=True)
    own = make_pair(keys, "desk")
    shutil.copy(own, allowed / "server.pub")
    ports = {name: suite.free_port() for name in ("ingest", "urgent", "bulk", "notify")}
    at = {name: f"tcp://127.0.0.1:{port}" for name, port in ports.items()}
    curve = {"public_key_file": str(own), "secret_key_file": str(own) + "_secret", "allowed_keys_directory": str(allowed)}
    return keys, {
        "common": {"curve": curve},
        "ingest": {"classify_endpoint": at["ingest"], "route_endpoints": [at["urgent"]]},
        "classify": {"ingest_endpoints": [at["ingest"]], "route_urgent_endpoints": [at["urgent"]],
                     "route_bulk_endpoints": [at["bulk"]], "notify_endpoints": [at["notify"]]},
        "route": {"urgent_endpoint": at["urgent"], "bulk_endpoint": at["bulk"], "notify_endpoints": [at["notify"]]},
        "notify": {"endpoint": at["notify"]},
    }


def test_a_desk_over_tcp_with_certificates_leaves_a_clean_ledger(make_desk, state):
    _, changes = tcp_desk(state)
    desk = make_desk(changes=changes)
    player = desk.play(make_plan(SEED, 0.3), 0).wait()
    book = desk.settle(player)
    assert book["urgent"] == book["alerts_accepted"] > 5


def test_a_worker_with_an_unknown_key_gets_nothing(make_desk, state):
    keys, changes = tcp_desk(state)
    desk = make_desk(workers=0, changes=changes)
    stranger = make_pair(keys, "stranger")
    desk.changes = suite.merge(desk.changes, {"common": {"curve": {
        "public_key_file": str(stranger), "secret_key_file": str(stranger) + "_secret"}}})
    desk.write_config()
    worker = desk.add_worker()
    desk.wait_ready(worker)
    player = desk.make_player()
    desk.post(player, desk.item("is there any news about my case?"))
    wait_until(lambda: desk.json("queue", "urgent-review"), 15, "with no worker let in it goes to urgent-review")
    workers = desk.status("ingest-1")["detail"]["dispatch"]["workers"]
    assert workers == [], "the stranger was let in"
