"""An ingest that goes for good: /drained says when it may; desg adopt hands on what it left; desg replay offers again by hand."""
import http.client
import json
import os
import signal
import subprocess

import pytest

import platforms
import suite
from desk import CALM_TEXT, SEED, URGENT_TEXT, make_plan, wait_until

REFUSED, AWAY, CONFIG = 65, 75, 78
SETTLES_S = 60


def drained(desk, name):
    """(status, what is left) of GET /drained."""
    status, body = suite.http_get(suite.UnixConnection(desk.processes[name].control), "/drained")
    return status, json.loads(body)


def adopt(desk, number, *arguments, timeout=90):
    return subprocess.run([desk.build / "bin" / "desg", "--config", desk.config_path(number), "adopt", "--name", f"ingest-{number}",
                           *arguments], capture_output=True, text=True, timeout=timeout, check=False)


def player_of(desk, number):
    """A platform that sends to that ingest only."""
    return platforms.Player([("127.0.0.1", desk.ports[f"ingest-{number}"])], platforms.secrets_from(desk.state / "secrets"))


def test_drained_only_when_all_is_applied_and_marked(make_desk):
    desk = make_desk(workers=1, changes={"ingest": {"admin_listen": f"127.0.0.1:{suite.free_port()}"}})
    player = desk.make_player()
    assert drained(desk, "ingest-1")[0] == 200, "nothing was ever taken"
    desk.processes["redis"].kill9()
    desk.post(player, *[desk.item(CALM_TEXT, person=f"p{n}") for n in range(5)])
    status, left = drained(desk, "ingest-1")
    assert status == 503 and left["drained"] is False and left["unmarked_records"] == 5
    wait_until(lambda: "Redis" in drained(desk, "ingest-1")[1]["waits_for"], 10, "it says what it waits for")
    desk.restart("redis")
    wait_until(lambda: drained(desk, "ingest-1")[0] == 200, SETTLES_S, "drained once Redis has it all")
    assert drained(desk, "ingest-1")[1]["unmarked_records"] == 0
    host = desk.config()["ingest"]["admin_listen"]
    connection = http.client.HTTPConnection(host, timeout=5)
    assert suite.http_get(connection, "/drained")[0] == 200, "for probes, too"
    desk.settle(player)


def drain(desk, name, *arguments, timeout=90):
    return subprocess.run([desk.build / "bin" / "desg", "--config", desk.config_path(1), "drain", name, *arguments],
                          capture_output=True, text=True, timeout=timeout, check=False)


def test_drain_ends_the_intake_and_waits_until_nothing_is_left(make_desk):
    desk = make_desk(workers=1, ingests=2)
    first = player_of(desk, 1)
    second = player_of(desk, 2)
    desk.processes["redis"].kill9()
    desk.post(second, *[desk.item(CALM_TEXT, person=f"p{n}") for n in range(5)])
    early = drain(desk, "ingest-2", "--for", "3")
    assert early.returncode == AWAY and "5 records are not applied and marked yet; waits for" in early.stderr
    ready, _ = suite.http_get(suite.UnixConnection(desk.processes["ingest-2"].control), "/readyz")
    assert ready == 503, "a Service sends no webhooks there any more"
    healthy, _ = suite.http_get(suite.UnixConnection(desk.processes["ingest-2"].control), "/healthz")
    assert healthy == 200, "and nobody restarts it"
    connection = http.client.HTTPConnection("127.0.0.1", desk.ports["ingest-2"], timeout=30)
    connection.request("POST", "/hooks/facebook", body=b"{}", headers={"Content-Type": "application/json"})
    assert connection.getresponse().status == 503
    desk.restart("redis")
    desk.post(first, desk.item(CALM_TEXT, person="p10"))
    done = drain(desk, "ingest-2", "--for", "60")
    assert done.returncode == 0 and "ingest-2 is drained" in done.stdout, done.stderr
    assert desk.processes.pop("ingest-2").stop() == 0
    first.accepted.update(second.accepted)
    assert desk.settle(first)["accepted"] == 6


def test_drain_is_for_an_ingest_that_runs(make_desk):
    desk = make_desk(workers=1)
    assert drain(desk, "route").returncode == REFUSED, "it takes no webhooks"
    assert drain(desk, "nobody").returncode == AWAY
    assert drain(desk, "ingest-1", "--for", "soon").returncode == 64
    ready, _ = suite.http_get(suite.UnixConnection(desk.processes["ingest-1"].control), "/readyz")
    assert ready == 200, "and none of these ended its intake"


def test_adopts_what_a_scaled_in_ingest_left(make_desk):
    desk = make_desk(workers=1, ingests=2)
    first = player_of(desk, 1)
    second = player_of(desk, 2)
    desk.processes["redis"].kill9()
    desk.post(second, desk.item(URGENT_TEXT, person="p1", urgent=True),
              *[desk.item(CALM_TEXT, person=f"p{n}") for n in range(2, 40)])
    desk.processes["ingest-2"].kill9()
    assert adopt(desk, 2, "--for", "1").returncode == AWAY, "Redis is away: the rest stays in the journal"
    desk.restart("redis")
    desk.post(first, desk.item(CALM_TEXT, person="p50"))
    done = adopt(desk, 2, "--for", "60")
    assert done.returncode == 0, done.stderr
    assert " adopted " in done.stderr
    again = adopt(desk, 2, "--for", "60")
    assert again.returncode == 0, "nothing is left: it says so at once"
    del desk.processes["ingest-2"]
    first.accepted.update(second.accepted)
    assert desk.settle(first)["accepted"] == 40


def test_adopts_under_load_and_says_how_far_it_is(make_desk):
    desk = make_desk(workers=1, ingests=2)
    player = player_of(desk, 2)
    for name in ("route", "classify-1"):
        desk.processes[name].signal(signal.SIGSTOP)
    player.play(make_plan(SEED, 2), 0)
    desk.processes["ingest-2"].kill9()
    gone = desk.processes.pop("ingest-2")
    orphan = suite.Process("ingest-2", [desk.build / "bin" / "desg-ingest", "--adopt", "--config", desk.config_path(2), "--name", "ingest-2"],
                           desk.state / "log" / "adopting.log", gone.control)
    orphan.start()

    def said():
        return orphan.log.read_text("utf-8")

    def states():
        told = suite.http_get(suite.UnixConnection(gone.control), "/status")
        return [note["state"] for note in json.loads(told[1])["detail"]["degraded"]] if told else []
    try:
        wait_until(lambda: "adopting" in states(), 60, "it says that it adopts")
        wait_until(lambda: "adopting records_left=" in said() and "records_per_second=" in said(), 60, "it says how far it is")
        for name in ("route", "classify-1"):
            desk.processes[name].signal(signal.SIGCONT)
        assert orphan.popen.wait(120) == 0, said()
    finally:
        orphan.kill9()
    desk.settle(player)


def test_adoption_is_refused_where_it_would_do_harm(make_desk):
    desk = make_desk(workers=0, ingests=2)
    held = adopt(desk, 2)
    assert held.returncode == CONFIG and "ingest-2.sock" in held.stderr, held.stderr
    command = [desk.build / "bin" / "desg-ingest", "--adopt", "--config", desk.config_path(2), "--name", "orphan"]
    held = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert held.returncode == CONFIG and "belongs to process" in held.stderr, held.stderr
    desk.processes["ingest-2"].stop()
    journal = desk.state / "ingest-2"
    (journal / "data.mdb").rename(journal / "elsewhere")
    none = adopt(desk, 2)
    assert none.returncode == CONFIG and "there is no journal" in none.stderr, none.stderr
    assert not (journal / "data.mdb").exists(), "it makes none"
    assert adopt(desk, 2, "--for", "soon").returncode == CONFIG
    plain = subprocess.run([*command[:1], "--for", "5", *command[2:]], capture_output=True, text=True, timeout=60, check=False)
    assert plain.returncode == CONFIG and "--for goes with --adopt" in plain.stderr


def test_replay_by_hand_brings_back_what_redis_lost_behind_its_mark(make_desk):
    desk = make_desk(workers=1)
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, person="p1", urgent=True),
              *[desk.item(CALM_TEXT, person=f"p{n}") for n in range(2, 20)])
    desk.settle(player)
    marks = [key for key in desk.redis_cli("KEYS", "*") if ":mark:" in key]
    assert marks, "the marks stay, so nothing tells ingest"
    lost = [key for key in desk.redis_cli("KEYS", "*") if key not in marks]
    assert desk.redis_cli("DEL", *lost) == len(lost)
    assert desk.desg("replay").returncode == 65 and "--since" in desk.desg("replay").stderr
    assert desk.desg("replay", "--since", "soon").returncode == 65
    assert desk.desg("replay", "--since", "1h", "--ingest", "nobody").returncode == AWAY
    answer, = desk.json("replay", "--since", "1h")
    assert answer["ingest"] == "ingest-1" and answer["records"] == 19
    desk.settle(player)
    assert "19 deliveries are offered again" in desk.desg("replay", "--since", "1h").stdout
    desk.settle(player)  # copies collapse


@pytest.mark.parametrize("since", ["2h", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01 10:30:00+01:00"])
def test_replay_takes_times_as_people_write_them(make_desk, since):
    desk = make_desk(workers=0)
    player = desk.make_player()
    desk.post(player, desk.item(CALM_TEXT))
    answer, = desk.json("replay", "--since", since)
    assert answer["records"] == 1
    wait_until(lambda: desk.log("ingest-1").count("replay_asked") == 1, 30, "logged")


@pytest.mark.slow
def test_what_only_the_archive_holds_comes_back(make_desk):
    desk = make_desk(is_started=False, workers=1, ingests=2,
                     changes={"ingest": {"journal": {"size_mib": 4, "archive_directory": "ARCHIVE"}}})
    archive = (desk.state / "archive").absolute()
    archive.mkdir(mode=0o700)
    desk.changes["ingest"]["journal"]["archive_directory"] = str(archive)
    desk.write_config()
    desk.start([name for name in desk.processes if name != "ingest-2"])
    player = player_of(desk, 1)

    def oldest():
        return desk.status("ingest-1")["detail"]["journal"]["oldest_sequence"]

    deadline_rounds = 60
    while oldest() <= 1 and deadline_rounds > 0:
        desk.post(player, *[desk.item(CALM_TEXT * 30, person=f"p{n}") for n in range(60)])
        deadline_rounds -= 1
        wait_until(lambda: desk.metric_sum("ingest-1", "desg_ingest_held_events") == 0, 30, "applied")
        if desk.status("ingest-1")["detail"]["journal"]["state"] != "roomy":  # a mark frees records a minute later
            wait_until(lambda: oldest() > 1, 120, "finished records go to the archive")
    assert oldest() > 1 and list(archive.glob("*.desgarchive"))
    assert desk.redis_cli("FLUSHALL") == "OK"
    wait_until(lambda: "archive_needed" in desk.log("ingest-1"), 30, "it says what is needed")
    into = desk.state / "into"
    big = {"DESG_INGEST_JOURNAL_SIZE_MIB": "64", **os.environ}
    command = [desk.build / "bin" / "desg", "--config", desk.config_path(2), "replay", "--archive", archive, "--since", "1d",
               "--into", into, "--name", "ingest-2", "--for", "150"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=big, check=False)
    assert done.returncode == 0, done.stderr
    assert "archive_imported" in done.stderr
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, env=big, check=False)
    assert again.returncode == CONFIG and "there is a journal" in again.stderr
    del desk.processes["ingest-2"]
    desk.settle(player)
