"""The overlays, pod by pod, as processes with what their manifests give them: they come up, take messages to the desk, and drain."""
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import manifests
from pods import Pods, run, wait_until

SMALL = manifests.TOP / "deploy/kubernetes/overlays/small"
FORCE = manifests.TOP / "deploy/kubernetes/overlays/force"
PROGRAMS = manifests.TOP / "build/ci/bin"
UP_S = 120

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not all(map(shutil.which, ("ip", "redis-server", "curl", "setpriv"))),
                                reason="needs root, iproute2, redis-server and curl")


def running(tmp_path, objects, prepare=None):
    made = Pods(tmp_path, objects, ["facebook", "instagram", "whatsapp", "x", "web"], PROGRAMS, prepare)
    try:
        try:
            made.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        yield made
    finally:
        made.destroy()


@pytest.fixture
def small(tmp_path):
    yield from running(tmp_path, manifests.render(SMALL))


def make_curve(secrets):
    run(PROGRAMS / "desg", "keys", "make", secrets / "curve")


@pytest.fixture
def small_with_curve(tmp_path):
    shutil.copytree(SMALL.parents[1], tmp_path / "kubernetes")
    folder = tmp_path / "kubernetes/overlays/curve"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text("resources: [ ../small ]\ncomponents: [ ../../components/curve ]\n", "utf-8")
    yield from running(tmp_path, manifests.render(folder), make_curve)


@pytest.fixture
def force(tmp_path):
    yield from running(tmp_path, manifests.render(FORCE), make_curve)


@pytest.fixture
def small_with_adopt(tmp_path):
    """The overlay as it runs, and the Job that adopt writes once ingest-web has one replica less."""
    shutil.copytree(SMALL.parents[1], tmp_path / "kubernetes")
    folder = tmp_path / "kubernetes/overlays/less"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text("resources: [ ../small ]\nreplicas: [ { name: ingest-web, count: 1 } ]\n", "utf-8")
    job = json.loads(run(tmp_path / "kubernetes/adopt", "ingest-web-1", "--overlay", folder))
    yield from running(tmp_path, manifests.render(SMALL) + [job])


def is_ready(pods, pod):
    assert pod.process.poll() is None, f"{pod.name} ended:\n{pods.text(pod)[-3000:]}"
    return pod.workload.component == "redis" or pods.ask(pod, "/readyz")[0] == 200


def write_in(pods, pod, text, number):
    """A signed message into the web form of that pod; the status."""
    secret = (pods.secrets / "webhook-web/secret").read_bytes().strip()
    body = json.dumps({"id": f"try-{number}", "text": text})
    at = str(int(time.time()))
    signature = hmac.new(secret, f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return pods.curl("-d", body, "-H", "Content-Type: application/json", "-H", f"X-Desk-Timestamp: {at}", "-H", f"X-Desk-Signature-256: sha256={signature}",
                     f"http://{pod.address}:8080/v1/intake/web")[0]


def waiting(pods):
    """Conversations in all queues, as the desk tells a person."""
    text = pods.desg("--json", "queue")
    return sum(each.get("depth", 0) for each in json.loads(text)) if text.startswith("[") else -1


def check_peers(pods):
    """Each finds all pods behind the names in its configuration."""
    for channel in {pod.workload.labels["desg/channel"] for pod in pods.of("ingest")}:
        for pod in pods.of("classify", channel):
            for link in ("ingest", "route-urgent", "route-bulk", "notify"):
                wait_until(lambda: pods.metric(pod, f'desg_link_peers{{link="{link}"}}') == 2, f"{pod.name} sees two of {link}")
        for pod in pods.of("ingest", channel):
            wait_until(lambda: pods.metric(pod, "desg_ingest_workers") == 2, f"{pod.name} has two workers")
    for pod in pods.of("route"):
        wait_until(lambda: pods.metric(pod, "desg_route_redis_state") == 0, f"{pod.name} has Redis")


def test_it_comes_up_takes_messages_to_the_desk_and_drains(small):
    for pod in small.pods:
        small.start(pod)
    wait_until(lambda: all(is_ready(small, pod) for pod in small.pods), "all are ready", UP_S)
    assert all(small.ask(pod, "/healthz")[0] == 200 for pod in small.pods if pod.workload.desg)
    check_peers(small)
    for number in range(6):
        assert write_in(small, small.of("ingest", "web")[number % 2], "when is the station open on saturday", number) == 200
    assert write_in(small, small.of("ingest", "web")[0], "there is a man with a knife in the house, help", 9) == 200
    wait_until(lambda: waiting(small) == 7, "the desk has all seven")
    wait_until(lambda: sum(small.metric(pod, "desg_notify_alerts_open") for pod in small.of("notify")) >= 1, "the urgent one is an alert")
    for pod in small.pods:
        if pod.workload.desg:
            limit = manifests.bytes_of(pod.workload.desg["resources"]["limits"]["memory"])
            assert small.metric(pod, "process_resident_memory_bytes") < limit / 2, f"{pod.name} is near its limit at rest"
    for pod in reversed(small.pods):
        assert small.stop(pod) == 0, f"{pod.name} did not drain:\n{small.text(pod)[-2000:]}"


def test_with_curve_each_finds_its_neighbours_and_a_stranger_nobody(small_with_curve):
    pods = small_with_curve
    for pod in pods.pods:
        pods.start(pod)
    wait_until(lambda: all(is_ready(pods, pod) for pod in pods.pods), "all are ready", UP_S)
    check_peers(pods)
    assert write_in(pods, pods.of("ingest", "web")[0], "when is the station open on saturday", 1) == 200
    wait_until(lambda: waiting(pods) == 1, "the desk has it")
    assert all("link_unprotected" not in pods.text(pod) for pod in pods.pods)

    stranger = pods.of("classify", "web")[0]
    pods.stop(stranger)
    pods.data["curve-classify"] = {"own": pods.data["curve-desk"]["own"], "own_secret": pods.data["curve-desk"]["own_secret"]}
    pods.start(stranger)
    wait_until(lambda: "key_refused" in pods.text(pods.of("ingest", "web")[0]), "ingest refuses a key it was not given")
    wait_until(lambda: pods.ask(stranger, "/readyz")[0] == 503, "and whoever is refused is not ready")
    wait_until(lambda: pods.metric(pods.of("ingest", "web")[0], "desg_ingest_workers") == 1, "one worker is left")


def redis_masters(pods):
    return [pod for pod in pods.of("redis") if pods.redis(pod, "role").startswith("master")]


def test_force_comes_up_and_outlives_the_machine_of_its_master(force):
    for pod in force.pods:
        force.start(pod)
    wait_until(lambda: all(is_ready(force, pod) for pod in force.pods), "all are ready", UP_S)
    check_peers(force)
    for number in range(4):
        assert write_in(force, force.of("ingest", "web")[number % 2], "when is the station open on saturday", number) == 200
    wait_until(lambda: waiting(force) == 4, "the desk has all four")
    for pod in force.of("route"):
        wait_until(lambda: (answering := force.metric(pod, "desg_store_sentinels_answering")) > 0 and answering % 3 == 0,
                   f"each of {pod.name}'s connections has three Sentinels")

    wait_until(lambda: len(redis_masters(force)) == 1, "one master")
    wait_until(lambda: all("num-slaves\n2" in force.sentinel(pod, "master", "desg") for pod in force.of("redis")), "Sentinels know whom to promote")
    master = redis_masters(force)[0]
    force.stop(master, signal.SIGKILL)
    for number in range(4, 8):
        assert write_in(force, force.of("ingest", "web")[number % 2], "when is the station open on saturday", number) == 200
    wait_until(lambda: redis_masters(force) not in ([], [master]), "another master")
    wait_until(lambda: waiting(force) == 8, "the desk has all eight")
    force.start(master)
    wait_until(lambda: len(redis_masters(force)) == 1 and force.redis(master, "role").startswith("slave"), "the old one is a replica")


def test_the_job_of_adopt_hands_on_what_an_ingest_that_was_scaled_in_left(small_with_adopt):
    pods = small_with_adopt
    job = next(pod for pod in pods.pods if pod.workload.kind == "Job")
    redis, gone = pods.of("redis")[0], pods.of("ingest", "web")[1]
    others = [pod for pod in pods.pods if pod not in (job, redis)]
    for pod in others:
        pods.start(pod)
    wait_until(lambda: all(is_ready(pods, pod) for pod in others), "all are ready, without Redis", UP_S)
    for number in range(5):
        assert write_in(pods, gone, "when is the station open on saturday", number) == 200, "journalled, though Redis is away"
    assert pods.stop(gone) == 0
    pods.start(redis)
    pods.start(job)
    assert job.process.wait(timeout=120) == 0, pods.text(job)[-2000:]
    wait_until(lambda: waiting(pods) >= 0, "the desk has found Redis")
    assert waiting(pods) == 5, "all five, as the job is done"


def test_what_is_missing_stops_its_own_pod_alone_with_a_line_that_says_what_to_do(small):
    web = small.of("ingest", "web")[0]
    del small.data["webhook-web"]["secret"]
    small.data["desk"]["tokens"] = small.data["id-key"]["id-key"]
    started = [web, small.of("desk")[0], small.of("ingest", "facebook")[0], small.of("classify", "facebook")[0]]
    for pod in started:
        small.start(pod)
    assert web.process.wait(timeout=60) == 78 and "/etc/desg/webhook/secret" in small.text(web)
    assert started[1].process.wait(timeout=60) == 78 and "tokens" in small.text(started[1])
    for pod in started[2:]:
        wait_until(lambda: is_ready(small, pod), f"{pod.name} goes on", UP_S)
