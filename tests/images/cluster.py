"""cluster - a rendered overlay as containers on one private network: the same images, limits, mounts, variables, names and users that the
manifests give the pods; the desk of the system tests otherwise, with its ledger."""
import concurrent.futures
import contextlib
import hashlib
import http.client
import ipaddress
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "system")]
import desk as system_desk  # noqa: E402
import platforms  # noqa: E402
import suite  # noqa: E402
from podman import Failed  # noqa: E402

USER = 10001
JOURNAL_MIB = 64  # the manifests' own would fill a small machine
RESTARTS_MAX = 5  # in the whole test
ORACLE = "oracle"  # the tests' own user of Redis


def mac_address(address):
    """The same at each start: neighbours that still know another would send into the void for a while."""
    return "02:de:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed)


class Container:
    """One pod's container, handled as the system tests handle a process. name: podman's."""

    def __init__(self, podman, spec, name, address, log, control):
        self.podman = podman
        self.spec = spec
        self.name = name
        self.address = address
        self.log = log
        self.control = control
        self.known_pid = None

    @property
    def pid(self):
        if self.known_pid is None or not os.path.exists(f"/proc/{self.known_pid}"):
            self.known_pid = self.podman.inspect(self.name)["State"]["Pid"] or None
        return self.known_pid

    def is_alive(self):
        return self.pid is not None

    def start(self):
        self.known_pid = None
        self.podman.run("start", self.name)

    def signal(self, number):
        if self.is_alive():
            os.kill(self.pid, number)

    def stop(self, seconds=None):
        """SIGTERM, SIGKILL after the grace period of the manifest. Returns the exit status."""
        grace = self.spec.grace_s if seconds is None else int(seconds)
        self.podman.run("stop", "-t", grace, self.name, timeout=grace + 60)
        self.known_pid = None
        return self.podman.inspect(self.name)["State"]["ExitCode"]

    def wait(self, seconds=60):
        """Its exit status once it ended by itself."""
        return int(self.podman.run("wait", self.name, timeout=seconds).stdout)

    def restarts(self):
        return self.podman.inspect(self.name)["RestartCount"]

    def tail(self, lines=15):
        with contextlib.suppress(OSError):
            return "\n".join(pathlib.Path(self.log).read_text("utf-8", "replace").splitlines()[-lines:])
        return ""

    def ask(self, path, port, timeout=2.0):
        return suite.http_get(http.client.HTTPConnection(self.address, port, timeout=timeout), path)

    def exhaust_memory(self):
        """Uses up the memory limit from inside the container's group, so that the kernel kills the service: it was made the first
        choice, and this process, which does not count as the container's, the last."""
        limit = self.spec.memory_limit
        pid = self.pid
        pathlib.Path(f"/proc/{pid}/oom_score_adj").write_text("1000", "ascii")
        hog = subprocess.Popen([sys.executable, "-c", HOG, str(memory_group(pid)), str(limit * 2), str(pid)])
        try:
            hog.wait(60)
        finally:
            hog.kill()
            hog.wait()
        assert not is_same_process(pid, self.spec.name), f"{self.name} outlived its limit of {limit} bytes"
        self.known_pid = None


# Joins the group, takes memory a little at a time, ends as soon as the victim is gone.
HOG = """
import os, pathlib, sys, time
group, limit, victim = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
(group / "cgroup.procs").write_text(str(os.getpid()), "ascii")
held = []
while os.path.exists("/proc/" + victim) and len(held) << 20 < limit:
    held.append(bytearray(os.urandom(4096) * 256))
deadline = time.monotonic() + 10
while os.path.exists("/proc/" + victim) and time.monotonic() < deadline:
    time.sleep(0.01)
"""


def memory_group(pid):
    """Folder of the control group that limits the memory of a process: version 1 or 2."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text("ascii").splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return pathlib.Path("/sys/fs/cgroup/memory") / path[1:]
    path = next(line.split(":", 2)[2] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text("ascii").splitlines() if line.startswith("0::"))
    return pathlib.Path("/sys/fs/cgroup") / path[1:]


def is_same_process(pid, name):
    with contextlib.suppress(OSError):
        return name.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


class Platforms(platforms.Player):
    """Each path has doors of its own: the ingests of its channel."""

    def __init__(self, doors, *arguments, **options):
        self.doors = doors
        super().__init__(list(range(max(map(len, doors.values())))), *arguments, **options)

    def _post_once(self, pool, address, delivery, is_forged):
        doors = self.doors[delivery.path]
        return super()._post_once(pool, doors[address % len(doors)], delivery, is_forged)


class Cluster(system_desk.Desk):
    """manifests: the overlay, rendered. channels: those that are started. tag: of the images. prefix: of the containers' names, where
    another cluster is there as well."""

    def __init__(self, podman, manifests, state, channels, tag, prefix=""):
        super().__init__(state)
        self.podman = podman
        self.manifests = manifests
        self.tag = tag
        self.prefix = prefix
        self.channels = channels
        self.pods = [pod for pod in manifests.pods() if pod.channel is None or pod.channel in channels]
        self.network = f"desg-{secrets.token_hex(4)}"
        self.dispatch_process = None

    # --- what the manifests leave to the operator ---

    def _secrets(self):
        """{Secret: {key: text}}: those of deploy/kubernetes/new-secrets, with what the simulators sign with put in before."""
        directory = self.state / "cluster-secrets"
        own = {"webhook-facebook/secret": self.secret_text("meta-app"), "webhook-web/secret": self.secret_text("web-form"),
               "dispatch/callback": self.secret_text("dispatch-callback"),
               "desk/tokens": (self.state / "secrets" / "desk-tokens.txt").read_text("utf-8").strip()}
        for name, text in own.items():
            path = directory / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(text + "\n", "utf-8")
        directory.chmod(0o700)
        channels = sorted({pod.channel for pod in self.pods if pod.channel})
        subprocess.run([self.build / "bin" / "desg", "keys", "make", directory / "curve"], stdout=subprocess.DEVNULL, timeout=60, check=True)
        subprocess.run([TOP / "deploy" / "kubernetes" / "new-secrets", directory, *channels], stdout=subprocess.DEVNULL, timeout=60, check=True)
        folders = {each.name: each for each in directory.iterdir() if each.is_dir()}
        for own in (directory / "curve").glob("*/own"):  # as new-secrets calls them
            folders |= {f"curve-{own.parent.name}": own.parent, f"curve-allowed-{own.parent.name}": own.parent / "allowed"}
        found = {name: {file.name: file.read_text("utf-8") for file in each.iterdir() if file.is_file()} for name, each in folders.items()}
        # One user for the tests, who look at everything.
        self.oracle_password = secrets.token_hex(32)
        digest = hashlib.sha256(self.oracle_password.encode()).hexdigest()
        found["redis-users"]["users.acl"] += f"user {ORACLE} on #{digest} ~* &* +@all\n"
        return found

    def _write_files(self, directory, files, items):
        directory.mkdir(mode=0o750)
        for key, path in (items or {key: key for key in files}).items():
            (directory / path).write_text(files[key], "utf-8")
            (directory / path).chmod(0o440)
            os.chown(directory / path, USER, USER)
        os.chown(directory, USER, USER)

    def _folder(self, pod, mount):
        """The folder on this machine that stands for a volume."""
        if mount.kind == "empty":
            return self.run_directory
        return self.state / "volumes" / (mount.source if mount.kind == "claim" else f"{pod.name}-{mount.source}")

    def folder_at(self, name, path):
        """The same, by where the pod of that name has it."""
        pod = self.processes[name].spec
        return self._folder(pod, next(mount for mount in pod.mounts() if mount.path == path))

    def replace_file(self, name, path, text):
        """As a Secret or ConfigMap changes under a pod: at once, with the same rights."""
        path = pathlib.PurePosixPath(path)
        file = self.folder_at(name, str(path.parent)) / path.name
        beside = file.with_name(f"..{file.name}")
        beside.touch(mode=0o440)
        beside.write_text(text, "utf-8")
        os.chown(beside, USER, USER)
        beside.rename(file)

    def read_file(self, name, path):
        path = pathlib.PurePosixPath(path)
        return (self.folder_at(name, str(path.parent)) / path.name).read_text("utf-8")

    def _source(self, pod, mount):
        """That folder, filled; None: an optional one that nobody made."""
        directory = self._folder(pod, mount)
        if directory.exists():
            return directory
        if mount.kind == "claim":
            directory.mkdir()
            os.chown(directory, 0, USER)  # what fsGroup makes of an empty volume
            directory.chmod(0o2775)
        elif mount.kind == "configmap":
            self._write_files(directory, self.manifests.config_maps[mount.source]["data"], mount.items)
        elif mount.source in self.secret_files:
            self._write_files(directory, self.secret_files[mount.source], mount.items)
        else:
            assert mount.is_optional, f"{pod.name} wants the Secret {mount.source}, which these tests do not know"
            return None
        return directory

    # --- life ---

    def prepare(self):
        self._take_lock()
        self._make_directories()
        (self.state / "volumes").mkdir(mode=0o755)
        os.chmod(self.state, 0o755)  # the user of the containers passes through
        os.chown(self.run_directory, USER, USER)
        for agent in ("control-room",):
            self.add_token(agent)
        for name in ("meta-app", "x-consumer", "web-form", "dispatch-callback"):
            self.secret(name)
        self.secret_files = self._secrets()
        self.podman.run("network", "create", "--internal", self.network)
        subnet = json.loads(self.podman.run("network", "inspect", self.network).stdout)[0]["subnets"][0]
        self.gateway = subnet["gateway"]
        hosts = ipaddress.ip_network(subnet["subnet"]).hosts()
        self.addresses = {pod.name: str(host) for pod, host in zip(self.pods, list(hosts)[9:])}
        self.ports["dispatch"] = suite.free_port()
        self.dispatch_host = self.gateway
        self._write_client_config()
        for pod in self.pods:
            self._create(pod)

    def _write_client_config(self):
        """For the desg command on this machine."""
        redis = next(pod for pod in self.pods if pod.component == "redis")
        self.redis_address = (self.addresses[redis.name], redis.port("redis"))
        password = self.state / "secrets" / "oracle"
        password.write_text(self.oracle_password + "\n", "ascii")
        password.chmod(0o600)
        config = {"common": {"force": "gwent", "run_directory": str(self.run_directory),
                             "redis": {"address": "%s:%d" % self.redis_address, "username": ORACLE, "password_file": str(password)}},
                  "client": {"agent": "control-room", "tokens_directory": str((self.state / "secrets" / "desk-tokens").absolute())}}
        self.config_path().write_text(json.dumps(config), "utf-8")

    def _changes(self, pod):
        """Variables that these tests add."""
        dispatch = f"http://{self.gateway}:{self.ports['dispatch']}"
        return {
            "ingest": {"DESG_INGEST_JOURNAL_SIZE_MIB": JOURNAL_MIB},
            "notify": {"DESG_NOTIFY_JOURNAL_SIZE_MIB": JOURNAL_MIB, "DESG_NOTIFY_OUTBOX_JOURNAL_SIZE_MIB": JOURNAL_MIB,
                       "DESG_NOTIFY_DISPATCH_URL": f"{dispatch}/alerts", "DESG_NOTIFY_SECOND_PATH_URL": f"{dispatch}/second",
                       "DESG_NOTIFY_TEST_INTERVAL_S": 0},
            "desk": {"DESG_DESK_JOURNAL_SIZE_MIB": JOURNAL_MIB},
        }.get(pod.component, {})

    def _image(self, pod):
        """Ours, whatever registry the overlay names."""
        return f"localhost/desg-{pod.component}:{self.tag}"

    def create_again(self, name, restart):
        """The stopped pod's container anew; restart: podman's policy."""
        self.podman.run("rm", "-f", "-t", "0", self.processes[name].name)
        self._create(self.processes[name].spec, restart)

    def _create(self, pod, restart="always"):
        log = self.state / "log" / f"{pod.name}.log"
        user = pod.spec["securityContext"]
        assert pod.container["securityContext"]["readOnlyRootFilesystem"] and pod.container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        name = self.prefix + pod.name
        options = ["--name", name, "--network", self.network, "--ip", self.addresses[pod.name], "--hostname", pod.name,
                   "--mac-address", mac_address(self.addresses[pod.name]), "--memory", pod.memory_limit, "--memory-swap", pod.memory_limit,
                   "--restart", restart, "--no-healthcheck",
                   "--user", f"{user['runAsUser']}:{user['runAsGroup']}", "--group-add", user["fsGroup"], "--read-only", "--read-only-tmpfs=false",
                   "--cap-drop", "all", "--security-opt", "no-new-privileges", "--log-driver", "k8s-file", "--log-opt", f"path={log}"]
        for alias in {*self.manifests.service_names(pod), pod.owner, pod.name}:
            options += ["--network-alias", alias]
        for variable, value in {**pod.environment(), **self._changes(pod)}.items():
            options += ["--env", f"{variable}={value}"]
        for mount in pod.mounts():
            source = self._source(pod, mount)
            if source:
                options += ["--volume", f"{source.absolute()}:{mount.path}:{'ro' if mount.is_read_only else 'rw'}"]
        command = pod.words("command")
        if command:
            options += ["--entrypoint", json.dumps(command)]
        self.podman.run("create", *options, self._image(pod), *pod.words("args"))
        control = None if pod.component == "redis" else self.run_directory / f"{pod.name}.sock"
        self.processes[pod.name] = Container(self.podman, pod, name, self.addresses[pod.name], log, control)

    def start(self, names=None):
        if not self.processes:
            self.prepare()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: self.processes[name].start(), names or list(self.processes)))
        self._start_dispatch()
        for name in names or list(self.processes):
            self.wait_ready(name)
        return self

    def _start_dispatch(self):
        """The dispatch system, on the network's gateway: this machine, as the containers see it."""
        if self.dispatch_process:
            return
        callback = next(self.addresses[pod.name] for pod in self.pods if pod.component == "notify")
        self.dispatch_process = suite.Process("dispatch", [
            sys.executable, suite.SIMULATORS / "dispatch.py", "--address", self.gateway, "--port", self.ports["dispatch"],
            "--callback", f"http://{callback}:8081/callbacks/dispatch", "--secret-file", self.secret("dispatch-callback"),
            "--ledger", self.state / "dispatch.jsonl"], self.state / "log" / "dispatch.log")
        self.dispatch_process.start()
        system_desk.wait_until(lambda: suite.http_get(http.client.HTTPConnection(self.gateway, self.ports["dispatch"], timeout=1), "/ready"),
                               60, "dispatch answers")

    def wait_ready(self, name, seconds=60.0):
        deadline = time.monotonic() + seconds
        container = self.processes[name]
        while True:
            is_ready, answer = self._ask_ready(name)
            if is_ready:
                return
            restarts = container.restarts()
            if time.monotonic() > deadline or restarts > RESTARTS_MAX:
                raise suite.DidNotStart(f"{name} was not ready within {seconds:g} s, restarted {restarts} times; asked, it said: {answer}\n"
                                        f"{container.tail()}")
            time.sleep(0.1)

    def _ask_ready(self, name):
        """(whether it is ready, what it answered), as the manifest's readiness probe asks."""
        container = self.processes[name]
        probe = container.spec.probe("readinessProbe")
        if not probe:
            return self._ask_redis()
        answer = container.ask(*probe)
        if answer is None:
            return False, "nothing"
        return answer[0] == 200, f"{answer[0]} {answer[1].decode(errors='replace')}"

    def _ask_redis(self):
        """It answers with an error while it reads its data back in: to be asked again, as every client does."""
        try:
            answer = self.redis_cli("PING")
        except suite.RedisError as error:
            return False, str(error)
        return answer == "PONG", answer or "nothing"

    def of(self, component):
        return [name for name, container in self.processes.items() if container.spec.component == component]

    def stop(self):
        for container in self.processes.values():
            with contextlib.suppress(Failed, subprocess.TimeoutExpired):
                self.podman.run("rm", "-f", "-t", "0", container.name)
        self.processes = {}
        if self.dispatch_process:
            self.dispatch_process.stop(5)
            self.dispatch_process = None
        with contextlib.suppress(Failed):
            self.podman.run("network", "rm", "-f", self.network)
        if self.short_directory:
            subprocess.run(["rm", "-rf", str(self.short_directory)], check=False)
        if self.lock:
            self.lock.close()
            self.lock = None

    # --- messages and ledger ---

    def make_player(self, **options):
        doors = {}
        for pod in self.pods:
            if pod.component == "ingest":
                path = "/v1/intake/web" if pod.channel == "web" else f"/hooks/{pod.channel}"
                doors.setdefault(path, []).append((self.addresses[pod.name], pod.port("http")))
        return Platforms(doors, platforms.secrets_from(self.state / "secrets"), **options)

    def redis_cli(self, *arguments):
        host, port = self.redis_address
        command = ["redis-cli", "-h", host, "-p", str(port), "--user", ORACLE, "--json", *arguments]
        try:
            out = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=False,
                                 env={**os.environ, "REDISCLI_AUTH": self.oracle_password})
        except subprocess.TimeoutExpired:
            return None  # it does not run
        return suite.read_redis(out)
