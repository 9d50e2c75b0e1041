"""Wrong configuration, secrets, rules and Redis: refused with file, line and remedy, or degraded and saying so."""
import json
import os
import shutil
import subprocess

import pytest

import ledger
import suite
from desk import TOP, URGENT_TEXT, wait_until

CONFIG, MACHINE = 78, 71
PROGRAMS = ("ingest", "classify", "route", "notify")


def start(desk, program, path):
    return subprocess.run([desk.build / "bin" / f"desg-{program}", "--config", path, "--name", "probe"],
                          capture_output=True, text=True, timeout=60, check=False)


def refusal(desk, program, config):
    """What a program says of a configuration that it must refuse."""
    path = desk.state / "wrong.yaml"
    path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2), "utf-8")
    done = start(desk, program, path)
    assert done.returncode == CONFIG, f"{done.returncode}: {done.stdout}{done.stderr}"
    assert "wrong.yaml" in done.stderr or "secrets" in done.stderr, done.stderr
    return done.stderr


@pytest.fixture
def desk(make_desk):
    return make_desk(is_started=False, workers=1)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_broken_file_is_refused_with_its_line(desk, program):
    told = refusal(desk, program, "common:\n  force: gwent\n  run_directory: [unclosed\n")
    assert "wrong.yaml:" in told
    assert f"{program}" in start(desk, program, desk.state / "absent.yaml").stderr + program
    assert start(desk, program, desk.state / "absent.yaml").returncode == CONFIG


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_key_is_refused_with_the_known_ones(desk, program):
    config = desk.config()
    config[program]["lisen"] = "127.0.0.1:1"
    told = refusal(desk, program, config)
    assert "lisen" in told and "write one of" in told
    line = next(n for n, text in enumerate((desk.state / "wrong.yaml").read_text().splitlines(), 1) if "lisen" in text)
    assert f"wrong.yaml:{line}:" in told


def test_values_out_of_range_and_of_the_wrong_kind(desk):
    config = desk.config()
    config["ingest"]["journal"]["size_mib"] = "5s"
    assert "size_mib" in refusal(desk, "ingest", config)
    config["ingest"]["journal"]["size_mib"] = 1
    told = refusal(desk, "ingest", config)
    assert "ingest.journal.size_mib" in told and "4" in told.split("size_mib")[1], told


def test_a_missing_or_empty_or_readable_secret_stops_the_start(desk):
    config = desk.config()  # asking again would make a new secret for a missing one
    for name, program in (("meta-app", "ingest"), ("id-key", "ingest"), ("journal-keys", "ingest"), ("dispatch-callback", "notify")):
        secret = desk.secret(name)
        kept = secret.read_bytes()
        for spoil in (secret.unlink, lambda: secret.write_bytes(b""), lambda: secret.write_bytes(b"\n")):
            spoil()
            told = refusal(desk, program, config)
            assert name in told, told
            secret.write_bytes(kept)
        secret.chmod(0o644)
        assert name in refusal(desk, program, config)
        secret.chmod(0o600)
        assert kept.strip().decode() not in told


BAD_RULES = """edition: "2026-11-22"
category: burglary
rules:
  - id: burglary.probe.en
    language: en
    severity: urgent
    weight: 0.9
    flags: []
    restricted: none
    context_sensitive: false
    phrases:
      - "a good one here"
      - "%s"
"""


@pytest.mark.parametrize("phrase, line", [("he (has a knife", 13), ("knife[0-9]+", 13), ("x\n bad: [", 13)],
                         ids=["open-bracket", "regular-expression", "broken-yaml"])
def test_a_rules_file_with_a_bad_pattern(desk, phrase, line):
    rules = desk.state / "rules"
    shutil.copytree(TOP / "services" / "classify" / "rules", rules)
    text = BAD_RULES % phrase if "\n" not in phrase else BAD_RULES.replace('"%s"', "[unclosed")
    (rules / "bad.yaml").write_text(text, "utf-8")
    config = desk.config()
    config["classify"]["rules_directory"] = str(rules)
    path = desk.state / "wrong.yaml"
    path.write_text(json.dumps(config), "utf-8")
    done = start(desk, "classify", path)
    assert done.returncode == CONFIG and "bad.yaml:" in done.stderr, done.stderr
    told = done.stderr.split("bad.yaml:")[1]
    assert abs(int(told.split(":")[0]) - line) <= 1, told
    assert len(told) > 30, "a remedy"


def test_checking_a_configuration_tries_rules_and_model_too(desk):
    def check():
        return subprocess.run([desk.build / "bin" / "desg-classify", "--config", path, "--check-config"],
                              capture_output=True, text=True, timeout=60, check=False)

    model = desk.state / "spoilt.model"
    model.write_bytes((TOP / "services" / "classify" / "model" / "desk.model").read_bytes())
    config = desk.config()
    config["classify"]["model"] = str(model)
    path = desk.state / "checked.yaml"
    path.write_text(json.dumps(config), "utf-8")
    assert check().returncode == 0
    model.write_bytes(model.read_bytes()[:-100])
    done = check()
    assert done.returncode == CONFIG and "spoilt.model" in done.stderr and "checked.yaml" in done.stderr, done.stderr
    rules = desk.state / "no-rules"
    rules.mkdir()
    config["classify"]["rules_directory"] = str(rules)
    path.write_text(json.dumps(config), "utf-8")
    done = check()
    assert done.returncode == CONFIG and "no-rules" in done.stderr, done.stderr


def test_rules_that_go_bad_while_running_leave_the_old_ones_at_work(make_desk, state):
    rules = state / "rules"
    shutil.copytree(TOP / "services" / "classify" / "rules", rules)
    desk = make_desk(workers=1, changes={"classify": {"rules_directory": str(rules)}})
    (rules / "bad.yaml").write_text("rules:\n  - id: [broken\n", "utf-8")
    wait_until(lambda: "rules_refused" in desk.log("classify-1"), 100, "the refusal in the log")  # it looks every 5 s, and twice
    assert "bad.yaml" in desk.log("classify-1")
    wait_until(lambda: desk.metric_sum("classify-1", "desg_classify_reload_failures_total") >= 1, 30, "and counted")
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, urgent=True))
    assert desk.settle(player)["urgent"] == 1


@pytest.mark.parametrize("options, remedy", [
    (("--maxmemory-policy", "allkeys-lru"), "set maxmemory-policy noeviction"),
    (("--appendonly", "no"), "set appendonly yes"),
], ids=["evicts", "no-aof"])
def test_a_redis_that_may_lose_things_gets_none(make_desk, options, remedy):
    desk = make_desk(is_started=False, workers=1, redis_options=options)
    start_all_but_one(desk, "route")
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, urgent=True), desk.item(person="p2"))
    assert player.retries == 0
    wait_until(lambda: len(desk.dispatched()) == 1, 60, "the urgent one at dispatch")
    wait_until(lambda: remedy in desk.log("route"), 60, "the remedy in route's log")
    assert "ERROR" in next(line for line in desk.log("route").splitlines() if remedy in line).upper()
    wait_until(lambda: remedy in desk.desg("status").stdout, 30, "the remedy in desg status")
    wait_until(lambda: desk.metrics("route")["desg_route_redis_state"] == 2, 30, "the metric")
    assert not desk.redis_cli("KEYS", "desg:{gwent}:conv:*"), "nothing was applied"
    wait_until(lambda: readiness(desk, "route") == 503, 30, "route is not ready")
    assert readiness(desk, "notify") == 200
    for name, value in (("maxmemory-policy", "noeviction"), ("appendonly", "yes")):
        desk.redis_cli("CONFIG", "SET", name, value)
    desk.settle(player)
    assert len(ledger.accepted_alerts(desk)) == 1
    wait_until(lambda: readiness(desk, "route") == 200, 30, "route is ready again")


# --- one process set up wrong: it says so and is not ready, all others go on ---

def readiness(desk, name):
    answer = suite.http_get(suite.UnixConnection(desk.processes[name].control), "/readyz")
    return answer[0] if answer else 0


def start_all_but_one(desk, wrong):
    """All are started; the one set up wrong is not waited for."""
    for process in desk.processes.values():
        process.start()
    for name in desk.processes:
        if name != wrong:
            desk.wait_ready(name)


def goes_on(desk, wrong):
    """Every other process is ready, and an urgent message reaches dispatch. Returns the player."""
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, urgent=True))
    wait_until(lambda: len(desk.dispatched()) == 1, 60, "the urgent one at dispatch")
    others = [name for name, process in desk.processes.items() if process.control and name != wrong]
    assert {name: readiness(desk, name) for name in others} == dict.fromkeys(others, 200)
    return player


def test_a_wrong_password_of_redis_keeps_route_unready_until_it_is_right(make_desk):
    desk = make_desk(is_started=False, workers=1)
    password = desk.secret("redis/route")
    right = password.read_text("ascii")
    password.write_text("0" * 64 + "\n", "ascii")
    start_all_but_one(desk, "route")
    wait_until(lambda: readiness(desk, "route") == 503, 60, "route is not ready")
    player = goes_on(desk, "route")
    line = wait_until(lambda: next((line for line in desk.log("route").splitlines() if "refused our sign-in" in line), None), 30, "why, in the log")
    assert "check common.redis.username and password_file against its ACL" in line
    wait_until(lambda: "refused our sign-in" in desk.desg("status").stdout, 30, "why, in desg status")
    assert right.strip() not in desk.log("route") and "0" * 64 not in desk.log("route")
    beside = password.with_name("route.part")
    beside.touch(mode=0o600)
    beside.write_text(right, "ascii")
    beside.rename(password)
    wait_until(lambda: readiness(desk, "route") == 200, 60, "route is ready with the right one, and was not restarted")
    desk.settle(player)
    assert len(ledger.accepted_alerts(desk)) == 1


@pytest.mark.parametrize("program, secret", [("route", "redis/route"), ("notify", "redis/notify"), ("desk", "redis/desk"), ("ingest-1", "web-form")])
def test_a_missing_secret_stops_one_and_no_other(make_desk, program, secret):
    desk = make_desk(is_started=False, workers=1)
    path = desk.secret(secret)
    kept = path.read_bytes()
    path.unlink()
    start_all_but_one(desk, program)
    assert desk.processes[program].popen.wait(60) == CONFIG
    assert str(path.name) in desk.log(program) and "start_failed" in desk.log(program)
    others = [name for name, process in desk.processes.items() if process.control and name != program]
    assert {name: readiness(desk, name) for name in others} == dict.fromkeys(others, 200)
    path.touch(mode=0o600)
    path.write_bytes(kept)
    desk.restart(program)
    desk.settle(goes_on(desk, program))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a volume")
@pytest.mark.parametrize("program, part, key", [("ingest-1", "ingest", "journal"), ("notify", "notify", "journal"), ("desk", "desk", "journal")])
def test_a_volume_without_space_stops_one_and_no_other(make_desk, state, program, part, key):
    volume = state / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", volume], check=True)
    try:
        desk = make_desk(is_started=False, workers=1)
        desk.changes[part] = {key: {"directory": str(volume), "size_mib": 64}}
        desk.write_config()
        start_all_but_one(desk, program)
        assert desk.processes[program].popen.wait(60) in (MACHINE, CONFIG)
        line = next(line for line in desk.log(program).splitlines() if "start_failed" in line)
        assert str(volume) in line and ("size_mib" in line or "room" in line or "space" in line), line
        others = [name for name, process in desk.processes.items() if process.control and name != program]
        assert {name: readiness(desk, name) for name in others} == dict.fromkeys(others, 200)
        subprocess.run(["mount", "-o", "remount,size=256m", volume], check=True)
        desk.restart(program)
        desk.settle(goes_on(desk, program))
        desk.stop()
    finally:
        subprocess.run(["umount", "-l", volume], check=False)
