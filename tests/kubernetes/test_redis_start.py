"""The force overlay's Redis starts by its own scripts: three servers, three Sentinels, each in a network of its own, no cluster."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import manifests
from pods import Network, run, wait_until

OVERLAY = manifests.TOP / "deploy/kubernetes/overlays/force"
NUMBERS = range(3)

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("redis-server"),
                                reason="needs root, iproute2 and redis-server")


class Cluster:
    """Pods redis-0 to redis-2: what the manifests mount lies below a folder each, paths in the scripts are changed to it."""

    def __init__(self, folder):
        self.folder = folder
        self.network = Network(77)
        self.running = {}
        objects = manifests.render(OVERLAY)
        self.data = next(each["data"] for each in objects if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith("redis-config"))
        run(manifests.TOP / "deploy/kubernetes/new-secrets", folder / "secrets", "web")

    def build(self):
        self.network.build()
        self.addresses = [self.network.add(f"redis-{i}") for i in NUMBERS]
        hosts = [f"{address} redis-{i}\n" for i, address in enumerate(self.addresses)]
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(hosts), "utf-8")
        for i in NUMBERS:
            self.mount(i)

    def inside(self, number, *words):
        return run("ip", "netns", "exec", self.network.space(f"redis-{number}"), *words, check=False)

    def mount(self, number):
        pod = self.folder / f"redis-{number}"
        for name in ("etc/config", "etc/users", "etc/passwords", "data", "run"):
            (pod / name).mkdir(parents=True)
        for name, text in self.data.items():
            for path, place in (("/etc/redis/", f"{pod}/etc/"), ("/data", f"{pod}/data"), ("/run/redis/", f"{pod}/run/")):
                text = text.replace(path, place)
            (pod / "etc/config" / name).write_text(text, "utf-8")
        shutil.copy(self.folder / "secrets/redis-users/users.acl", pod / "etc/users")
        for user in ("replica", "sentinel"):
            shutil.copy(self.folder / "secrets/redis-passwords" / user, pod / "etc/passwords")

    def start(self, number, script):
        pod = self.folder / f"redis-{number}"
        inside = f"mount --bind {self.folder}/hosts /etc/hosts && exec sh {pod}/etc/config/{script}"
        with open(self.folder / f"{script}-{number}.log", "ab") as log:
            self.running[number, script] = subprocess.Popen(["ip", "netns", "exec", self.network.space(f"redis-{number}"), "unshare", "-m", "sh", "-c", inside],
                                                            env={**os.environ, "POD_NAME": f"redis-{number}"}, stdout=log, stderr=log)

    def start_all(self):
        for i in NUMBERS:
            self.start(i, "start-redis")
            self.start(i, "start-sentinel")

    def stop(self, number):
        for script in ("start-redis", "start-sentinel"):
            process = self.running.pop((number, script), None)
            if process:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def destroy(self):
        for i in NUMBERS:
            self.stop(i)
        self.network.destroy()

    def redis(self, number, *words):
        password = (self.folder / "secrets/redis-passwords/route").read_text("utf-8").strip()
        return self.inside(number, "redis-cli", "--user", "route", "--pass", password, "--no-auth-warning", *words)

    def role(self, number):
        return (self.redis(number, "role").splitlines() or ["away"])[0]

    def masters(self):
        return [i for i in NUMBERS if self.role(i) == "master"]

    def in_step(self, master, replicas):
        """It has so many replicas, and every Sentinel that runs names it and knows the others."""
        return self.masters() == [master] and f"connected_slaves:{replicas}" in self.redis(master, "info", "replication") and all(
            self.sentinel(i) == self.addresses[master] for i in NUMBERS if (i, "start-sentinel") in self.running)

    def sentinel(self, number):
        return self.inside(number, "redis-cli", "-p", "26379", "sentinel", "get-master-addr-by-name", "desg").split("\n")[0]

    def know_all(self):
        """They ask the master for its replicas every 10 s: until then nobody could be promoted."""
        texts = [self.inside(i, "redis-cli", "-p", "26379", "sentinel", "master", "desg") for i in NUMBERS]
        return all("num-other-sentinels\n2" in text and "num-slaves\n2" in text for text in texts)


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    try:
        try:
            made.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        yield made
    finally:
        made.destroy()


def test_it_starts_fails_over_takes_the_old_master_back_and_starts_again_with_what_it_knew(cluster):
    cluster.start_all()
    wait_until(lambda: cluster.in_step(0, 2) and cluster.know_all(), "redis-0 is the first master, with two replicas")
    assert cluster.redis(0, "hset", "desg:{gwent}:t", "f", "1") == "1"

    cluster.stop(0)
    wait_until(lambda: len(cluster.masters()) == 1 and cluster.in_step(cluster.masters()[0], 1), "another is promoted")
    master = cluster.masters()[0]
    assert cluster.redis(master, "hset", "desg:{gwent}:t", "g", "2") == "1"

    cluster.start(0, "start-redis")
    cluster.start(0, "start-sentinel")
    wait_until(lambda: cluster.in_step(master, 2) and cluster.know_all(), "the old master comes back as a replica")
    wait_until(lambda: cluster.redis(0, "config", "get", "dir") and "slave_repl_offset" in cluster.redis(0, "info", "replication"), "it replicates")

    for i in NUMBERS:
        cluster.stop(i)
    cluster.start_all()
    wait_until(lambda: cluster.in_step(master, 2), "after all went at once, the last master is master, not the first")
    assert cluster.redis(master, "hget", "desg:{gwent}:t", "g") == "2"
    for i in NUMBERS:
        password = pathlib.Path(cluster.folder / "secrets/redis-passwords/sentinel").read_text("utf-8").strip()
        assert password not in (cluster.folder / f"start-redis-{i}.log").read_text("utf-8")


def test_without_a_name_of_its_own_it_says_what_is_missing(cluster):
    (cluster.folder / "hosts").write_text("127.0.0.1 localhost\n", "utf-8")
    cluster.start(0, "start-redis")
    process = cluster.running.pop((0, "start-redis"))
    assert process.wait(timeout=30) == 1
    assert "is its Service there, and DNS?" in (cluster.folder / "start-redis-0.log").read_text("utf-8")
