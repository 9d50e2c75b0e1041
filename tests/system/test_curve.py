"""CURVE: a desk over TCP with the keys of desg keys works, its keys change under load, and a key nobody allowed is kept out."""
import ctypes
import json
import shutil

import suite
from desk import CALM_TEXT, SEED, URGENT_TEXT, make_plan, wait_until

SERVICES = ("ingest", "classify", "route", "notify", "desk")


def make_pair(directory, name):
    """A certificate made with the library: public half name, secret half name_secret."""
    czmq = ctypes.CDLL("libczmq.so.4")
    czmq.zcert_new.restype = ctypes.c_void_p
    czmq.zcert_save.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    path = directory / name
    assert czmq.zcert_save(czmq.zcert_new(), str(path).encode()) == 0
    return path


def keys(desk, *words):
    done = desk.desg("keys", *(str(word) for word in words))
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def tcp_desk(folder):
    """Changes of the configuration: every endpoint over TCP on loopback, keys of desg keys in folder."""
    ports = {name: suite.free_port() for name in ("ingest", "urgent", "bulk", "notify")}
    at = {name: f"tcp://127.0.0.1:{port}" for name, port in ports.items()}
    ingest, notify = f"{at['ingest']}#ingest", f"{at['notify']}#notify"
    urgent, bulk = f"{at['urgent']}#route", f"{at['bulk']}#route"
    return {
        "common": {"curve": {"keys_directory": str(folder)}},
        "ingest": {"classify_endpoint": at["ingest"], "route_endpoints": [urgent]},
        "classify": {"ingest_endpoints": [ingest], "route_urgent_endpoints": [urgent], "route_bulk_endpoints": [bulk],
                     "notify_endpoints": [notify]},
        "route": {"urgent_endpoint": at["urgent"], "bulk_endpoint": at["bulk"], "notify_endpoints": [notify]},
        "notify": {"endpoint": at["notify"]},
    }


def make_tcp_desk(make_desk, state, **options):
    """A desk, its keys made, all on TCP. Started."""
    folder = (state / "keys").absolute()
    desk = make_desk(is_started=False, changes=tcp_desk(folder), **options)
    keys(desk, "make", folder)
    assert keys(desk, "check") == ""
    return desk.start(), folder


def readiness(desk, name):
    answer = suite.http_get(suite.UnixConnection(desk.processes[name].control), "/readyz")
    return answer[0] if answer else 0


def add_worker_with(desk, folder, name="classify"):
    """A worker whose keys are those in folder; started, not waited for."""
    config = desk.state / f"stranger-{len(desk.processes)}.yaml"
    config.write_text(json.dumps(suite.merge(desk.config(), {"common": {"curve": {
        "keys_directory": None, "public_key_file": str(folder / "own"), "secret_key_file": str(folder / "own_secret"),
        "allowed_keys_directory": str(folder / "allowed")}}})), "utf-8")
    number = 1 + sum(process.startswith(f"{name}-") for process in desk.processes)
    made = f"{name}-{number}"
    desk.processes[made] = suite.Process(made, [desk.build / "bin" / f"desg-{name}", "--config", config, "--name", made],
                                         desk.state / "log" / f"{made}.log", desk.run_directory / f"{made}.sock")
    desk.processes[made].start()
    wait_until(lambda: desk.status(made), 60, f"{made} answers")
    return made


def workers_of(desk, ingest="ingest-1"):
    dispatch = (desk.status(ingest) or {}).get("detail", {}).get("dispatch", {})
    return {worker["name"] for worker in dispatch.get("workers", [])}


def test_a_desk_over_tcp_with_certificates_leaves_a_clean_ledger(make_desk, state):
    desk, _ = make_tcp_desk(make_desk, state)
    player = desk.play(make_plan(SEED, 0.3), 0).wait()
    book = desk.settle(player)
    assert book["urgent"] == book["alerts_accepted"] > 5
    for name in ("ingest-1", "classify-1", "route", "notify"):
        assert "link_unprotected" not in desk.log(name) and "key_refused" not in desk.log(name)
        assert desk.metric_sum(name, "desg_curve_refused_total") == 0


def test_keys_named_in_the_environment_alone_are_everybodys(make_desk, state, monkeypatch):
    """As a pod that mounts them gets them: the file has no group curve."""
    folder = (state / "keys").absolute()
    desk = make_desk(is_started=False, changes={**tcp_desk(folder), "common": {}}, workers=1)
    done = desk.desg("keys", "check")
    assert done.returncode == 78 and done.stdout == "", done
    assert f"{desk.config_path()}: has no common.curve" in done.stderr and "common.curve.keys_directory" in done.stderr
    keys(desk, "make", folder)
    monkeypatch.setenv("DESG_COMMON_CURVE_KEYS_DIRECTORY", str(folder))
    assert keys(desk, "check") == ""
    desk.start()
    for name in ("ingest-1", "classify-1", "route", "notify"):
        assert "curve_started" in desk.log(name) and "link_unprotected" not in desk.log(name), name
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, urgent=True))
    assert desk.settle(player)["urgent"] == 1
    (folder / "classify" / "allowed" / "notify.pub").unlink()
    done = desk.desg("keys", "check")
    assert done.returncode == 1 and "classify.notify_endpoints" in done.stdout


def test_every_pair_is_changed_under_load_and_nothing_is_lost(make_desk, state):
    desk, folder = make_tcp_desk(make_desk, state)
    load = desk.play(make_plan(SEED, 8), 600)  # ended by the story
    old = state / "old-classify"
    shutil.copytree(folder / "classify", old)
    for service in ("notify", "route", "ingest", "classify"):
        before = (folder / service / "own").read_text("utf-8")
        names = [name for name in desk.processes if name == service or name.startswith(f"{service}-")]
        keys(desk, "renew", folder, service)
        assert keys(desk, "check") == ""
        assert "renewed" in keys(desk, "list", folder)
        keys(desk, "switch", folder, service)
        for name in names:  # one process after the other, as a roll-out does
            assert desk.processes[name].stop() == 0
            desk.restart(name)
        others = [name for name in desk.processes if name.startswith(("ingest", "classify", "route", "notify"))]
        wait_until(lambda: all(readiness(desk, name) == 200 for name in others), 60, f"all ready with the next pair of {service}")
        wait_until(lambda: workers_of(desk) == {"classify-1", "classify-2"}, 60, f"all workers there with the next pair of {service}")
        keys(desk, "retire", folder, service)
        assert keys(desk, "check") == ""
        assert (folder / service / "own").read_text("utf-8") != before
        assert desk.desg("keys", "retire", str(folder), service).returncode == 78
    wait_until(lambda: sum(expected.is_urgent for expected in list(load.player.accepted)) > 10, 120, "some of them urgent")
    book = desk.settle(load.enough())
    assert book["urgent"] == book["alerts_accepted"] > 10
    shutil.rmtree(old / "allowed")  # it knows all others, and has a pair that was retired
    shutil.copytree(folder / "classify" / "allowed", old / "allowed")
    late = add_worker_with(desk, old)
    wait_until(lambda: readiness(desk, late) == 503, 60, "the worker with the last pair turned away")
    assert workers_of(desk) == {"classify-1", "classify-2"}
    desk.processes.pop(late).stop()


def test_an_unknown_key_is_refused_and_both_sides_say_so(make_desk, state):
    desk, folder = make_tcp_desk(make_desk, state, workers=1)
    strange = state / "strange"
    keys(desk, "make", strange, "--for", "classify")
    for path in (folder / "classify" / "allowed").iterdir():  # it knows whom it calls, and nobody knows it
        shutil.copy(path, strange / "classify" / "allowed")
    name = add_worker_with(desk, strange / "classify")
    wait_until(lambda: readiness(desk, name) == 503, 60, "the stranger is not ready")
    for listener, metric in (("ingest-1", 'link="classify"'), ("route", 'link="route-urgent"'), ("notify", 'link="notify"')):
        wait_until(lambda: "key_refused" in desk.log(listener), 60, f"{listener} says who was refused")
        line = next(line for line in desk.log(listener).splitlines() if "key_refused" in line)
        key = next(row["public_key"] for row in json.loads(keys(desk, "list", strange, "--json")))
        assert key in line and "allowed folder" in line and "127.0.0.1" in line, line
        wait_until(lambda: desk.metric_sum(listener, "desg_curve_refused_total") > 0, 60, f"{listener} counts it")
        wait_until(lambda: desk.metric_sum(listener, "desg_link_refused_packets_total", 'reason="key"') > 0, 60, metric)
        assert readiness(desk, listener) == 200, "who refuses is well"
    wait_until(lambda: desk.metric_sum(name, "desg_curve_unwelcome_connections") >= 3, 60, "it is unwelcome at each of them")
    assert "key_unwelcome" in desk.log(name) and "public certificate into the listener's allowed folder" in desk.log(name)
    player = desk.make_player()
    desk.post(player, desk.item(CALM_TEXT))  # others go on
    desk.settle(player)
    assert workers_of(desk) == {"classify-1"}
    for service in ("ingest", "route", "notify"):  # and it comes in by itself, once it is let in
        shutil.copy(strange / "classify" / "own", folder / service / "allowed" / "classify-2.pub")
    wait_until(lambda: readiness(desk, name) == 200, 60, "the stranger let in")
    wait_until(lambda: workers_of(desk) == {"classify-1", name}, 60, "it works")


def test_with_no_worker_let_in_messages_go_to_review(make_desk, state):
    desk, folder = make_tcp_desk(make_desk, state, workers=0)
    strange = state / "strange"
    keys(desk, "make", strange, "--for", "classify")
    for path in (folder / "classify" / "allowed").iterdir():
        shutil.copy(path, strange / "classify" / "allowed")
    add_worker_with(desk, strange / "classify")
    player = desk.make_player()
    desk.post(player, desk.item("is there any news about my case?"))
    wait_until(lambda: desk.json("queue", "urgent-review"), 60, "with no worker let in it goes to urgent-review")
    assert workers_of(desk) == set(), "the stranger was let in"


def test_one_key_under_two_names_harms_nobody(make_desk, state):
    desk, folder = make_tcp_desk(make_desk, state, workers=1)
    for service in ("ingest", "route", "notify"):
        shutil.copy(folder / "classify" / "own", folder / service / "allowed" / "again.pub")
        (folder / service / "allowed" / "noise.txt").write_text("no certificate\n", "ascii")
    desk.processes["classify-1"].kill9()
    desk.restart("classify-1")
    player = desk.make_player()
    desk.post(player, desk.item(CALM_TEXT))
    desk.settle(player)
    wait_until(lambda: "certificates_passed_over" in desk.log("ingest-1"), 30, "ingest says so")
    done = desk.desg("keys", "check")
    assert done.returncode == 1 and "noise.txt" in done.stdout


def test_desg_keys_finds_what_is_wrong_and_overwrites_nothing(make_desk, state):
    folder = (state / "keys").absolute()
    desk = make_desk(is_started=False, changes=tcp_desk(folder))
    assert desk.desg("keys", "check").returncode == 78  # no folder
    keys(desk, "make", folder)
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_dir()} == {0o700}
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert desk.desg("keys", "make", str(folder)).returncode == 78
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert desk.desg("keys", "make", str(folder), "--for", "../evil").returncode == 64
    assert desk.desg("keys", "switch", str(folder), "route").returncode == 78
    assert desk.desg("keys", "frobnicate", str(folder)).returncode == 64
    secret = folder / "route" / "own_secret"
    text = secret.read_bytes()

    def faults():
        done = desk.desg("keys", "check")
        return done.returncode, done.stdout

    secret.chmod(0o644)
    assert faults()[0] == 1 and "chmod o-rwx" in faults()[1]
    secret.chmod(0o600)
    secret.write_bytes((folder / "notify" / "own_secret").read_bytes())
    assert faults()[0] == 1 and "two different pairs" in faults()[1]
    secret.write_bytes(text)
    (folder / "ingest" / "allowed" / "classify.pub").unlink()
    assert faults()[0] == 1 and "ingest/allowed/classify.pub" in faults()[1]
    shutil.copy(folder / "classify" / "own", folder / "ingest" / "allowed" / "classify.pub")
    (folder / "classify" / "allowed" / "notify.pub").unlink()
    assert faults()[0] == 1 and "classify.notify_endpoints" in faults()[1]
    assert secret.read_text("utf-8") not in faults()[1]
    done = desk.processes["classify-1"]
    done.start()
    assert done.popen.wait(60) == 78 and "notify.pub" in desk.log("classify-1")
