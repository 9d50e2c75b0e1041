"""The desk without a cluster: deploy/compose starts it from the same images, under the same limits."""
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import secrets
import subprocess
import tempfile
import time

import pytest
import yaml

import suite
from desk import wait_until
from manifests import bytes_of

TOP = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = TOP / "deploy" / "compose"
URGENT = "there is smoke in the stairwell and we cannot get out, please send someone"


@pytest.fixture(scope="module")
def file():
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))


def test_limits_are_those_of_the_manifests(file, manifests):
    pods = {pod.component: pod for pod in manifests.pods()}
    assert set(pods) == {"ingest", "classify", "route", "notify", "desk", "redis"}
    for component, pod in pods.items():
        service = file["services"][component]
        assert int(service["mem_limit"].removesuffix("m")) << 20 == pod.memory_limit, component
        assert set(pod.container["resources"]["limits"]) == {"memory"}, "a limit that compose has to have, too"
        assert not {"cpus", "cpu_quota", "cpu_shares", "memswap_limit", "deploy"} & set(service), component
    assert bytes_of("256Mi") == 256 << 20


def test_who_is_stopped_has_as_long_as_in_a_pod(file, manifests):
    for pod in manifests.pods():
        assert file["services"][pod.component]["stop_grace_period"] == f"{pod.spec['terminationGracePeriodSeconds']}s", pod.name


def test_redis_may_fill_as_much_as_in_a_pod(file, manifests):
    pod = next(pod for pod in manifests.pods() if pod.component == "redis")
    text = next(manifests.config_maps[mount.source]["data"]["redis.conf"] for mount in pod.mounts() if mount.kind == "configmap")
    settings = dict(line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#"))
    service = file["services"]["redis"]
    assert service["command"][service["command"].index("--maxmemory") + 1] == settings["maxmemory"] == "512mb"


def test_every_container_is_locked(file):
    for name, service in file["services"].items():
        assert service["user"] == "10001:10001" and service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"] and service["pids_limit"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert file["networks"]["inside"]["internal"]


def test_each_service_has_the_secrets_its_configuration_names_and_no_others(file):
    config = yaml.safe_load((COMPOSE / "desg.yaml").read_text("utf-8"))
    named = {part: set(re.findall(r"/run/secrets/([\w.-]+)", json.dumps(config[part]))) for part in ("ingest", "classify", "route", "notify", "desk")}
    for part in ("route", "notify", "desk"):
        named[part].add(part)  # the password of its own user of Redis
    for part, names in named.items():
        assert set(file["services"][part].get("secrets", [])) == names, part
    assert {name for service in file["services"].values() for name in service.get("secrets", [])} == set(file["secrets"])


class Started:
    def __init__(self, state, environment):
        self.state = state
        self.environment = environment

    def call(self, program, *arguments):
        return subprocess.run([COMPOSE / program, *arguments], env=self.environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def desk(tag):
    state = tempfile.TemporaryDirectory(prefix="desg-c-")
    ports = {f"DESG_{name}_PORT": str(suite.free_port()) for name in ("WEBHOOK", "CALLBACK", "DESK", "DISPATCH")}
    started = Started(pathlib.Path(state.name), {**os.environ, **ports, "DESG_TAG": tag, "DESG_STATE": state.name, "DESG_JOURNAL_MIB": "64",
                                                 "DESG_PROJECT": f"desg-{secrets.token_hex(3)}"})
    yield started
    started.call("down", "--engine", "podman", "--data")
    state.cleanup()


def post(desk, text):
    body = json.dumps({"id": f"try-{secrets.token_hex(4)}", "name": "Try", "text": text}).encode()
    stamp = str(int(time.time()))
    key = (desk.state / "secrets" / "web-form").read_bytes().strip()
    connection = http.client.HTTPConnection("127.0.0.1", int(desk.environment["DESG_WEBHOOK_PORT"]), timeout=30)
    connection.request("POST", "/v1/intake/web", body, {
        "Content-Type": "application/json", "X-Desk-Timestamp": stamp,
        "X-Desk-Signature-256": "sha256=" + hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()})
    return connection.getresponse().status


def alerts(desk):
    connection = http.client.HTTPConnection("127.0.0.1", int(desk.environment["DESG_DISPATCH_PORT"]), timeout=30)
    connection.request("GET", "/ledger")
    return {alert for entry in json.loads(connection.getresponse().read())["entries"] for alert in entry["alerts"]}


def waits(desk):
    """How many conversations wait in the most pressing queue; -1: the desk does not say."""
    told = desk.call("desg", "status", "--json")
    return json.loads(told.stdout)["queues"][0]["depth"] if told.returncode == 0 else -1


def test_one_command_starts_a_desk_another_stops_it_and_the_next_goes_on(desk):
    done = desk.call("up", "--engine", "podman")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deploy/compose/desg status" in done.stdout
    assert oct((desk.state / "secrets" / "web-form").stat().st_mode & 0o777) == "0o440"
    assert post(desk, URGENT) == 200
    wait_until(lambda: alerts(desk), 60, "the alert is at dispatch")
    wait_until(lambda: waits(desk) == 1, 60, "it is in a queue")
    assert desk.call("down", "--engine", "podman").returncode == 0
    again = desk.call("up", "--engine", "podman")
    assert again.returncode == 0, again.stdout + again.stderr
    wait_until(lambda: waits(desk) == 1, 60, "it is there still")
