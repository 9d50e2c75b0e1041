"""suite - the whole desk as child processes of one Python program: private Redis, services, simulators.

Used by ./run and by the system tests. A Suite keeps its state (secrets, journals, Redis's append-only file) in a directory
and finds it again at the next start. No child outlives its Suite: each asks the kernel to be killed with its parent.
"""
import base64
import contextlib
import ctypes
import datetime
import fcntl
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import outward

TOP = pathlib.Path(__file__).resolve().parents[2]
SIMULATORS = TOP / "tests" / "simulators"
REDIS_CONF = TOP / "deploy" / "redis" / "redis.conf"
REDIS_USERS = ("route", "notify", "desk", "cli")
LONGEST_SOCKET_PATH = 100  # of 107 bytes in sockaddr_un, less what libzmq adds
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class AlreadyRunning(Exception):
    """Another Suite holds the state directory."""


class RedisError(Exception):
    """What Redis answered instead: LOADING while it reads its data back in, a right that is missing."""


class DidNotStart(Exception):
    """A process ended or did not become ready."""


def _ports():
    """Port numbers from a random place on, for ever. None that the kernel gives to outgoing connections: one of those would take the
    port between its choice here and the service's listening on it (ip_local_port_range)."""
    lowest = 10_000
    beyond = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    first = secrets.randbelow(beyond - lowest)
    return (lowest + (first + number) % (beyond - lowest) for number in itertools.count())


PORTS = _ports()


def free_port():
    """A port that nobody listens on, never the same twice."""
    for port in PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket: the control sockets of the services."""

    def __init__(self, path, timeout=10.0):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def http_get(connection, path):
    """(status, body) or None if nobody answers."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def read_redis(done):
    """The answer that redis-cli --json printed; None if Redis was not there. An error is no JSON, and no exit status either."""
    text = done.stdout.strip()
    if text.startswith("error:"):
        raise RedisError(text)
    return json.loads(text) if done.returncode == 0 and text else None


def _before_exec():
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """One child: its command, its log, whether it lives."""

    def __init__(self, name, command, log, control=None, environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.control = control
        self.environment = environment
        self.popen = None
        self.starts = 0

    def start(self):
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          preexec_fn=_before_exec, env=self.environment)
        self.starts += 1

    @property
    def pid(self):
        return self.popen.pid if self.popen else None

    def is_alive(self):
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number):
        if self.is_alive():
            self.popen.send_signal(number)

    def kill9(self):
        self.signal(signal.SIGKILL)
        if self.popen:
            self.popen.wait()

    def stop(self, seconds=25.0):
        """SIGTERM, then SIGKILL if it takes too long. Returns the exit status (None if it never ran)."""
        if not self.popen:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return -signal.SIGKILL

    def memory_kib(self):
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
                for line in status:
                    if line.startswith("VmRSS:"):
                        return int(line.split()[1])
        except OSError:
            pass
        return 0

    def tail(self, lines=15):
        try:
            return "\n".join(pathlib.Path(self.log).read_text("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return ""


class Suite:
    """All processes of one desk.

    state: directory for secrets, journals, Redis and logs. build: folder with the programs.
    ingests, workers: how many of each. changes: nested dict merged into the configuration. is_outward: replies and broadcasts go out,
    to a simulator of the platforms. The services sign in to Redis as users of their own, with the least rights, unless changes say
    something of Redis.
    """

    def __init__(self, state, build=TOP / "build" / "dev", ingests=1, workers=2, redis_options=(),
                 changes=None, dispatch_options=(), is_outward=False, outlets_options=()):
        self.state = pathlib.Path(state)
        self.build = pathlib.Path(build)
        self.ingests = ingests
        self.workers = workers
        self.redis_options = list(redis_options)
        self.dispatch_options = list(dispatch_options)
        self.changes = changes or {}
        self.is_outward = is_outward
        self.outlets_options = list(outlets_options)
        self.has_users = "redis" not in self.changes.get("common", {})
        self.processes = {}
        self.short_directory = None
        self.lock = None
        self.ports = {}
        self.dispatch_host = "127.0.0.1"

    # --- places ---

    def _make_directories(self):
        for name in ("log", "redis", "secrets", "secrets/desk-tokens", "secrets/outward", "secrets/redis", "notify", "notify-outbox", "desk"):
            (self.state / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(1, self.ingests + 1):
            (self.state / f"ingest-{number}").mkdir(exist_ok=True, mode=0o700)
        os.chmod(self.state, 0o700)
        self.run_directory = (self.state / "run").absolute()
        if len(str(self.run_directory)) + 24 > LONGEST_SOCKET_PATH:
            self.short_directory = pathlib.Path(tempfile.mkdtemp(prefix="desg-"))
            self.run_directory = self.short_directory
        else:
            self.run_directory.mkdir(exist_ok=True, mode=0o700)

    def _take_lock(self):
        self.state.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.state / "lock", "a+", encoding="ascii")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock.seek(0)
            holder = self.lock.read().strip() or "unknown"
            self.lock.close()
            self.lock = None
            raise AlreadyRunning(f"already running as process {holder} with its state in {self.state}: "
                                 "stop it, or use another --state directory") from None
        self.lock.truncate(0)
        self.lock.write(str(os.getpid()))
        self.lock.flush()

    def secret(self, name, make=lambda: secrets.token_hex(32)):
        """The secret's file; made at the first start, the same ever after."""
        path = self.state / "secrets" / name
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(make() + "\n")
        return path

    def secret_text(self, name):
        return self.secret(name).read_text("ascii").strip()

    # --- who may ask desk ---

    def token_path(self, agent):
        return self.state / "secrets" / "desk-tokens" / f"{agent}.token"

    def add_token(self, agent, roles="agent,supervisor,restricted,auditor"):
        """A token of agent's own, known to desk from its next look at the file on."""
        token = self.secret(f"desk-tokens/{agent}.token").read_text("ascii").strip()
        digest = hashlib.sha256(token.encode()).hexdigest()
        path = self.state / "secrets" / "desk-tokens.txt"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        lines = [line for line in lines if not line.startswith(digest)] + [f"{digest} {agent} {roles}"]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return token

    def admit(self, agent, roles="agent,supervisor,restricted,auditor", seconds=60.0):
        """Gives agent a token and waits until desk, if it runs, knows it."""
        token = self.add_token(agent, roles)
        desk = self.processes.get("desk")
        if desk is None or not desk.is_alive():
            return token
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            desk.signal(signal.SIGHUP)
            time.sleep(0.02)
            status, body = self.ask_desk("GET", "/v1/session", token)
            if status == 200 and set(json.loads(body)["roles"]) == set(roles.split(",")):
                return token
        raise DidNotStart(f"desk did not take the token of {agent}")

    def ask_desk(self, method, path, token, body=None, key=None, name="desk", timeout=15.0):
        """(status, body) of desk's API; (0, b"") if nobody answers."""
        connection = UnixConnection(self.run_directory / f"{name}.api", timeout)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            with contextlib.suppress(BrokenPipeError):  # refused before the body was read: the answer is there all the same
                connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    @staticmethod
    def _dated_key():
        return f"{datetime.date.today().isoformat()} {secrets.token_hex(32)}"

    # --- configuration ---

    def endpoint(self, name):
        return f"ipc://{self.run_directory}/{name}.ipc"

    def ingest_name(self, number):
        return f"ingest-{number}"

    def ingest_config(self, number):
        meta = [str(self.secret("meta-app"))]
        return {
            "listen": f"127.0.0.1:{self.ports[self.ingest_name(number)]}",
            "admin_listen": "",
            "classify_endpoint": self.endpoint(f"ingest-{number}"),
            "route_endpoints": [self.endpoint("route-urgent")],
            "id_key_file": str(self.secret("id-key")),
            "journal": {"directory": str((self.state / f"ingest-{number}").absolute()), "size_mib": 256,
                        "keys_file": str(self.secret("journal-keys", self._dated_key))},
            "channels": [
                {"name": "facebook", "adapter": "meta", "path": "/hooks/facebook", "secret_files": meta,
                 "verify_token_file": str(self.secret("meta-verify-token"))},
                {"name": "instagram", "adapter": "meta", "path": "/hooks/instagram", "secret_files": meta,
                 "verify_token_file": str(self.secret("meta-verify-token"))},
                {"name": "whatsapp", "adapter": "meta", "path": "/hooks/whatsapp", "secret_files": meta,
                 "verify_token_file": str(self.secret("meta-verify-token"))},
                {"name": "x", "adapter": "x", "path": "/hooks/x",
                 "secret_files": [str(self.secret("x-consumer"))]},
                {"name": "web", "adapter": "web", "path": "/v1/intake/web",
                 "secret_files": [str(self.secret("web-form"))]},
            ],
        }

    def config(self, ingest=1):
        """The configuration as one dict; every service reads its part of the one file."""
        dispatch = self.ports["dispatch"]
        config = {
            "common": {"force": "gwent", "run_directory": str(self.run_directory), "log_level": "info",
                       "redis": {"address": f"unix:{self.run_directory}/redis.sock"}},
            "ingest": self.ingest_config(ingest),
            "classify": {
                "admin_listen": "",
                "ingest_endpoints": [self.endpoint(f"ingest-{n}") for n in range(1, self.ingests + 1)],
                "route_urgent_endpoints": [self.endpoint("route-urgent")],
                "route_bulk_endpoints": [self.endpoint("route-bulk")],
                "notify_endpoints": [self.endpoint("notify")],
                "rules_directory": str(TOP / "services" / "classify" / "rules"),
                "model": str(TOP / "services" / "classify" / "model" / "desk.model"),
            },
            "route": {
                "admin_listen": "",
                "urgent_endpoint": self.endpoint("route-urgent"),
                "bulk_endpoint": self.endpoint("route-bulk"),
                "notify_endpoints": [self.endpoint("notify")],
            },
            "notify": {
                "admin_listen": "",
                "endpoint": self.endpoint("notify"),
                "listen": f"127.0.0.1:{self.ports['notify']}",
                "source": "/force/gwent/social-desk",
                "dispatch": {"url": f"http://127.0.0.1:{dispatch}/alerts"},
                "second_path": {"url": f"http://127.0.0.1:{dispatch}/second"},
                "callback_secret_files": [str(self.secret("dispatch-callback"))],
                "journal": {"directory": str((self.state / "notify").absolute()), "size_mib": 64,
                            "keys_file": str(self.secret("journal-keys", self._dated_key))},
            },
            "desk": {
                "admin_listen": "",
                "tokens_file": str((self.state / "secrets" / "desk-tokens.txt").absolute()),
                "id_key_file": str(self.secret("id-key")),
                "journal": {"directory": str((self.state / "desk").absolute()), "size_mib": 64,
                            "keys_file": str(self.secret("journal-keys", self._dated_key))},
            },
            "client": {
                "agent": "control-room",
                "tokens_directory": str((self.state / "secrets" / "desk-tokens").absolute()),
            },
        }
        if self.has_users:
            config["common"]["redis"]["passwords_directory"] = str((self.state / "secrets" / "redis").absolute())
        if self.is_outward:
            config["outward"] = outward.config(self.secret_path, self.ports["outlets"], self.ports["feed"], self.endpoint)
            config["notify"]["outbox_journal"] = {
                "directory": str((self.state / "notify-outbox").absolute()), "size_mib": 256,
                "keys_file": str(self.secret("journal-keys", self._dated_key))}
            config["desk"]["order_endpoint"] = self.endpoint("desk-orders")
        return merge(config, self.changes)

    def secret_path(self, name):
        """Absolute: services are told of it."""
        return self.secret(name).absolute()

    def config_path(self, ingest=1):
        return self.state / ("desg.yaml" if ingest == 1 else f"desg-{ingest}.yaml")

    def write_config(self):
        for number in range(1, self.ingests + 1):
            # JSON is YAML: one writer that quotes everything right.
            self.config_path(number).write_text(json.dumps(self.config(number), indent=2) + "\n", "utf-8")

    def write_environment(self):
        """For a shell: where the desg command finds this desk, and where webhooks go."""
        (self.state / "env").write_text(
            f"export DESG_CONFIG='{self.config_path().absolute()}'\n"
            f"export DESG_WEBHOOKS='http://127.0.0.1:{self.ports['ingest-1']}'\n"
            f"export DESG_SECRETS='{(self.state / 'secrets').absolute()}'\n"
            f"export PATH='{(self.build / 'bin').absolute()}':\"$PATH\"\n", "utf-8")

    # --- life ---

    def prepare(self):
        """Lock, directories, ports, secrets, configuration: all but processes."""
        self._take_lock()
        self._make_directories()
        for name in [self.ingest_name(n) for n in range(1, self.ingests + 1)] + ["notify", "dispatch", "outlets", "feed"]:
            self.ports.setdefault(name, free_port())
        self.add_token("control-room")
        if self.has_users:
            self.write_users()
        self.write_config()
        self.write_environment()
        self._declare()

    def write_users(self):
        """Redis's users. The default one stays: this Redis listens on a socket that its folder guards."""
        for user in REDIS_USERS:
            self.secret(f"redis/{user}")
        path = self.state / "redis-users.acl"
        subprocess.run([self.build / "bin" / "desg", "redis-acl", "--passwords", self.state / "secrets" / "redis", "--force", "gwent",
                        "--out", path], check=True)
        lines = path.read_text("ascii").splitlines()
        path.write_text("\n".join(["user default on nopass ~* &* +@all", *lines[1:]]) + "\n", "ascii")

    def _declare(self):
        log = lambda name: self.state / "log" / f"{name}.log"
        control = lambda name: self.run_directory / f"{name}.sock"

        def service(program, name, ingest=1):
            self.processes[name] = Process(
                name, [self.build / "bin" / f"desg-{program}", "--config", self.config_path(ingest), "--name", name],
                log(name), control(name))

        redis = self.state / "redis"
        self.processes["redis"] = Process(
            "redis", ["redis-server", REDIS_CONF, "--port", "0", "--unixsocket", f"{self.run_directory}/redis.sock",
                      "--unixsocketperm", "700", "--dir", redis.absolute(),
                      "--aclfile", (self.state / "redis-users.acl").absolute() if self.has_users else "", *self.redis_options], log("redis"))
        self.processes["dispatch"] = Process(
            "dispatch", [sys.executable, SIMULATORS / "dispatch.py", "--port", self.ports["dispatch"],
                         "--callback", f"http://127.0.0.1:{self.ports['notify']}/callbacks/dispatch",
                         "--secret-file", self.secret("dispatch-callback"),
                         "--ledger", self.state / "dispatch.jsonl", *self.dispatch_options], log("dispatch"))
        if self.is_outward:
            places = self.state / "places.json"
            places.write_text(json.dumps(outward.places(self.secret_path), indent=2) + "\n", "utf-8")
            self.processes["outlets"] = Process(
                "outlets", [sys.executable, SIMULATORS / "outlets.py", "--port", self.ports["outlets"], "--places", places,
                            "--ledger", self.state / "outlets.jsonl", "--ingest", f"http://127.0.0.1:{self.ports['ingest-1']}",
                            "--meta-secret-file", self.secret("meta-app"), "--x-secret-file", self.secret("x-consumer"),
                            *self.outlets_options], log("outlets"))
        service("notify", "notify")
        service("route", "route")
        service("desk", "desk")
        for number in range(1, self.ingests + 1):
            service("ingest", self.ingest_name(number), number)
        for number in range(1, self.workers + 1):
            service("classify", f"classify-{number}")

    def add_worker(self):
        """One more classify worker, started. Returns its name."""
        number = 1 + sum(name.startswith("classify-") for name in self.processes)
        name = f"classify-{number}"
        self.processes[name] = Process(
            name, [self.build / "bin" / "desg-classify", "--config", self.config_path(), "--name", name],
            self.state / "log" / f"{name}.log", self.run_directory / f"{name}.sock")
        self.processes[name].start()
        return name

    def start(self, names=None):
        if not self.processes:
            self.prepare()
        for name in names or list(self.processes):
            self.processes[name].start()
        for name in names or list(self.processes):
            self.wait_ready(name)
        return self

    def wait_ready(self, name, seconds=60.0):
        deadline = time.monotonic() + seconds
        process = self.processes[name]
        while time.monotonic() < deadline:
            if not process.is_alive():
                raise DidNotStart(f"{name} ended with {process.popen.returncode}:\n{process.tail()}")
            if self._is_ready(name):
                return
            time.sleep(0.01)
        raise DidNotStart(f"{name} was not ready within {seconds:g} s:\n{process.tail()}")

    def _is_ready(self, name):
        if name == "redis":
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(f"{self.run_directory}/redis.sock")
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
            return False
        if name in ("dispatch", "second", "outlets"):
            return http_get(http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=1), "/ready") is not None
        answer = http_get(UnixConnection(self.processes[name].control, 1.0), "/readyz")
        return answer is not None and answer[0] == 200

    def status(self, name):
        answer = http_get(UnixConnection(self.processes[name].control), "/status")
        return json.loads(answer[1]) if answer and answer[0] == 200 else None

    def restart(self, name):
        self.processes[name].start()
        self.wait_ready(name)

    def stop(self):
        """Stops all, the way of the messages first. Returns {name: exit status}."""
        order = sorted(self.processes, key=lambda name: (
            0 if name.startswith("ingest") else 1 if name.startswith("classify") else
            {"desk": 2, "route": 3, "notify": 4, "dispatch": 5, "outlets": 5, "redis": 6}.get(name, 7)))
        statuses = {}
        for name in order:
            statuses[name] = self.processes[name].stop()
        if self.short_directory:
            shutil.rmtree(self.short_directory, ignore_errors=True)
        if self.lock:
            self.lock.close()
            self.lock = None
        self.processes = {}
        return statuses

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def outlets(self):
        return outward.Outlets(self.ports["outlets"])

    # --- the desg command ---

    def desg(self, *arguments, timeout=60.0):
        """Runs the desg command; returns CompletedProcess. An agent named for the first time is admitted first."""
        agent = arguments[arguments.index("--agent") + 1] if "--agent" in arguments else None
        if agent and arguments[0] != "audit" and not self.token_path(agent).exists():
            self.admit(agent)
        return subprocess.run([self.build / "bin" / "desg", "--config", self.config_path(), *arguments],
                              capture_output=True, text=True, timeout=timeout, check=False)

    def redis_cli(self, *arguments):
        out = subprocess.run(["redis-cli", "-s", f"{self.run_directory}/redis.sock", "--json", *arguments],
                             capture_output=True, text=True, errors="replace", timeout=60, check=False)
        return read_redis(out)


def merge(base, changes):
    """changes over base, dict by dict; None removes a key."""
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged
