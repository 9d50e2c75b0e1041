"""Pods that somebody set up wrong: each ends with a line that says what to do, or is not ready and says why; the others go on, and once it
is right nothing was lost."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from cluster import Cluster, USER
from desk import CALM_TEXT, URGENT_TEXT, wait_until
from manifests import Manifests, render

TOP = pathlib.Path(__file__).resolve().parents[2]
CONFIG, MACHINE = 78, 71
CONFIG_FILE = "/etc/desg/config/desg.yaml"


def of_all(names, action):
    """action for each name, at once."""
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(action, names)))


def readiness(cluster, name):
    spec = cluster.processes[name].spec
    answer = cluster.processes[name].ask(*spec.probe("readinessProbe"))
    return answer[0] if answer else 0


def line_of(cluster, name, word):
    """The last line of its log with that word; "": none."""
    return next((line for line in reversed(cluster.log(name).splitlines()) if word in line), "")


def start_wrong(cluster, names, spoil):
    """Stops these pods, spoils what they find at their next start, starts them. A restart would go on until it is right: none here."""
    of_all(names, lambda name: cluster.processes[name].stop())
    for name in names:
        cluster.create_again(name, "no")
        spoil(name)
    of_all(names, lambda name: cluster.processes[name].start())


def start_right(cluster, names):
    of_all(names, lambda name: cluster.processes[name].stop())
    for name in names:
        cluster.create_again(name, "always")
    of_all(names, lambda name: cluster.processes[name].start())
    for name in names:
        cluster.wait_ready(name)


def goes_on(cluster, wrong, player):
    """Everybody else is ready, and what is urgent reaches dispatch. The wrong ones are the last of their kind: the platforms ask the first."""
    others = [name for name, container in cluster.processes.items() if name not in wrong and container.spec.component != "redis"]
    for name in others:
        wait_until(lambda name=name: readiness(cluster, name) == 200, 90, f"{name} is ready")
    before = len(cluster.dispatched())
    for number, channel in enumerate(cluster.channels):
        cluster.post(player, cluster.item(URGENT_TEXT, channel=channel, person=f"wrong-{cluster.sent}-{number}", urgent=True))
    wait_until(lambda: len(cluster.dispatched()) >= before + len(cluster.channels), 90, "the urgent ones at dispatch")


def test_a_bad_configmap_stops_those_who_read_it_and_nobody_else(cluster):
    names = [cluster.of(component)[-1] for component in ("ingest", "classify", "route", "notify", "desk")]
    right = {name: cluster.read_file(name, CONFIG_FILE) for name in names}
    line = {}

    def spoil(name):
        part = cluster.processes[name].spec.component
        text = right[name].replace(f"{part}:\n", f"{part}:\n  lisen: everywhere\n", 1)
        line[name] = next(number for number, each in enumerate(text.splitlines(), 1) if "lisen" in each)
        cluster.replace_file(name, CONFIG_FILE, text)

    start_wrong(cluster, names, spoil)
    assert of_all(names, lambda name: cluster.processes[name].wait()) == dict.fromkeys(names, CONFIG)
    for name in names:
        told = line_of(cluster, name, "lisen")
        assert f"{CONFIG_FILE}:{line[name]}:" in told and "write one of" in told, f"{name}: {told}"
        assert not cluster.processes[name].is_alive()
    player = cluster.make_player()
    goes_on(cluster, names, player)
    for name in names:
        cluster.replace_file(name, CONFIG_FILE, right[name])
    start_right(cluster, names)
    cluster.settle(player)


class Volumes:
    def __init__(self):
        self.mounted = []

    def mount(self, folder):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=8m,mode=2775,gid={USER}", "tmpfs", folder], check=True)
        self.mounted.append(folder)

    def take_away(self):
        while self.mounted:
            subprocess.run(["umount", "-l", self.mounted.pop()], check=True)


@pytest.fixture
def volumes():
    """Volumes of 8 MiB over folders, for a while."""
    made = Volumes()
    yield made
    made.take_away()


def test_a_volume_without_space_stops_its_pod_and_nobody_else(cluster, volumes):
    names = [cluster.of(component)[-1] for component in ("ingest", "notify", "desk")]
    start_wrong(cluster, names, lambda name: volumes.mount(cluster.folder_at(name, "/var/lib/desg")))
    ended = of_all(names, lambda name: cluster.processes[name].wait())
    for name in names:
        told = line_of(cluster, name, "start_failed")
        assert ended[name] in (MACHINE, CONFIG) and "/var/lib/desg/" in told, f"{name}: {ended[name]} {told}"
        assert "size_mib" in told or "room" in told or "space" in told, f"{name}: {told}"
        assert not cluster.processes[name].is_alive()
    player = cluster.make_player()
    goes_on(cluster, names, player)
    volumes.take_away()
    start_right(cluster, names)
    cluster.settle(player)


def test_a_wrong_password_of_redis_keeps_route_unready_until_it_is_right(cluster):
    name = cluster.of("route")[0]
    right = cluster.read_file(name, "/etc/desg/redis/route")
    wrong = "0" * 64
    start_wrong(cluster, [name], lambda name: cluster.replace_file(name, "/etc/desg/redis/route", wrong + "\n"))
    wait_until(lambda: readiness(cluster, name) == 503, 90, "route is not ready")
    wait_until(lambda: "refused our sign-in" in cluster.log(name), 90, "route says why")
    assert "check common.redis.username and password_file against its ACL" in line_of(cluster, name, "refused our sign-in")
    player = cluster.make_player()
    goes_on(cluster, [name], player)
    pid = cluster.processes[name].pid
    cluster.replace_file(name, "/etc/desg/redis/route", right)
    wait_until(lambda: readiness(cluster, name) == 200, 90, "route is ready with the right one")
    assert cluster.processes[name].pid == pid and wrong not in cluster.log(name) and right.strip() not in cluster.log(name)
    cluster.settle(player)
    start_right(cluster, [name])


@pytest.fixture
def secured(podman, tag):
    """A cluster of one channel, with CURVE between its pods."""
    with tempfile.TemporaryDirectory(prefix="desg-k-") as state, contextlib.ExitStack() as stack:
        os.chmod(state, 0o755)
        folder = pathlib.Path(state) / "kubernetes"
        shutil.copytree(TOP / "deploy" / "kubernetes", folder)
        overlay = folder / "overlays" / "secured"
        overlay.mkdir()
        (overlay / "kustomization.yaml").write_text("resources: [ ../small ]\ncomponents: [ ../../components/curve ]\n", "utf-8")
        made = Cluster(podman, Manifests(render(overlay)), pathlib.Path(state) / "s", ("web",), tag, prefix="secured-")
        stack.callback(made.stop)
        yield made.start()


def test_an_unknown_curve_key_is_let_in_nowhere_until_somebody_allows_it(secured):
    name = secured.of("classify")[0]
    listeners = [*secured.of("ingest"), *secured.of("route"), *secured.of("notify")]
    stranger = secured.state / "stranger"
    subprocess.run([secured.build / "bin" / "desg", "keys", "make", stranger, "--for", "classify"], stdout=subprocess.DEVNULL, check=True)
    listed = subprocess.run([secured.build / "bin" / "desg", "keys", "list", stranger, "--json"], capture_output=True, check=True).stdout
    public = json.loads(listed)[0]["public_key"]
    assert all(readiness(secured, each) == 200 and "link_unprotected" not in secured.log(each) for each in [name, *listeners])

    def spoil(name):
        for half in ("own", "own_secret"):
            secured.replace_file(name, f"/etc/desg/curve/{half}", (stranger / "classify" / half).read_text("utf-8"))

    start_wrong(secured, [name], spoil)
    wait_until(lambda: readiness(secured, name) == 503, 90, "the stranger is not ready")
    wait_until(lambda: "key_unwelcome" in secured.log(name), 90, "the stranger says why")
    assert "public certificate into the listener's allowed folder" in line_of(secured, name, "key_unwelcome")
    for listener in listeners:
        wait_until(lambda: public in line_of(secured, listener, "key_refused"), 90, f"{listener} says who was refused")
    player = secured.make_player()
    secured.post(player, secured.item(CALM_TEXT, channel="web"))
    goes_on(secured, [name], player)
    for listener in listeners:
        secured.replace_file(listener, "/etc/desg/curve-allowed/late.pub", (stranger / "classify" / "own").read_text("utf-8"))
    wait_until(lambda: readiness(secured, name) == 200, 60, "the stranger was let in")
    secured.settle(player)
