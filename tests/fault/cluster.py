"""cluster - one Redis master, two replicas, three Sentinels on free ports, and a Desk that finds its Redis through them.

    with fault.desk(kind=ClusterDesk) as desk:
        old = desk.cluster.master()
        desk.cluster.lag(old)                 # its replicas get nothing from now on
        ...
        desk.cluster.kill(old)
        desk.cluster.wait_for_failover(old)
        desk.cluster.heal()                   # all members run, one master, replicas in step

Each member has a configuration file of its own, which Sentinel rewrites as in life: a killed master that comes back thinks it is
one until it is told. The members are processes of the desk ("redis-1" …, "sentinel-1" …), so they end with it.
"""
import json
import pathlib
import re
import shutil
import signal
import subprocess

import network
import suite
from desk import Desk, wait_until

NAME = "desg"  # what the Sentinels call the master
SERVERS = ("redis-1", "redis-2", "redis-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
QUORUM = 2
DOWN_AFTER_MS = 1500
FAILOVER_S = 40.0  # elections may be repeated on a busy machine
STEP_S = 40.0
COUNT_EVENTS = """
local found = 0
for _, key in ipairs(redis.call('KEYS', 'desg:*:conv:*')) do
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 2) == 'e:' then found = found + 1 end
  end
end
return found
"""


def redis_cli(where, *arguments, prefix=(), seconds=10.0):
    """The answer to one command as JSON gives it; None if there was none in time. Errors, and INFO, are text.

    where: redis-cli's own words for it, such as ("-s", path)."""
    try:
        out = subprocess.run([*prefix, "redis-cli", *map(str, where), "--json", *map(str, arguments)],
                             capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None
    text = out.stdout.strip()
    try:
        return json.loads(text) if out.returncode == 0 and text else None
    except ValueError:
        return text


def read_info(text):
    """{name: value} of an INFO answer; {} of none."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line) if isinstance(text, str) else {}


def marks(ask):
    """{source: (incarnation, sequence)} of the marks in a Redis; ask(*command) asks it."""
    found = {}
    for key in ask("KEYS", "desg:*:mark:*") or []:
        incarnation, sequence = ask("HMGET", key, "incarnation", "sequence")
        found[key.rsplit(":", 1)[1]] = (incarnation, int(sequence or 0))
    return found


class Member:
    """One server or Sentinel: where it is and how it runs. prefix: words before each command, such as nsenter's."""

    def __init__(self, name, directory, host="127.0.0.1", prefix=()):
        self.name = name
        self.directory = directory
        self.host = host
        self.prefix = tuple(prefix)
        self.port = suite.free_port()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def file(self):
        return self.directory / f"{self.name.split('-')[0]}.conf"

    def ask(self, *arguments, seconds=10.0):
        return redis_cli(("-h", self.host, "-p", self.port), *arguments, prefix=self.prefix, seconds=seconds)

    def info(self, section):
        return read_info(self.ask("INFO", section, seconds=3.0))


class Cluster:
    """The six of them. places: {name: (host, prefix)} where one is not on the caller's loopback; settings: lines for redis.conf."""

    def __init__(self, directory, places=None, min_replicas=0, settings=()):
        self.directory = pathlib.Path(directory)
        self.min_replicas = min_replicas
        self.settings = list(settings)
        self.members = {}
        for name in (*SERVERS, *SENTINELS):
            host, prefix = (places or {}).get(name, ("127.0.0.1", ()))
            self.members[name] = Member(name, self.directory / name, host, prefix)
        self.processes = {}

    # --- life ---

    def _write_server(self, member, master):
        lines = [f"port {member.port}", f"bind {member.host}", "protected-mode no", f"dir {member.directory}",
                 "appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction", 'save ""',
                 "slowlog-log-slower-than -1", "crash-log-enabled no", "daemonize no", "enable-debug-command yes",
                 f"min-replicas-to-write {self.min_replicas}", "min-replicas-max-lag 2", "repl-diskless-sync-delay 0",
                 "repl-backlog-size 256mb", "repl-timeout 10", *self.settings]
        if member is not master:
            lines.append(f"replicaof {master.host} {master.port}")
        member.file.write_text("\n".join(lines) + "\n", "ascii")

    def _write_sentinel(self, member, master):
        member.file.write_text("\n".join([
            f"port {member.port}", f"bind {member.host}", "protected-mode no", f"dir {member.directory}",
            f"sentinel monitor {NAME} {master.host} {master.port} {QUORUM}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}", f"sentinel failover-timeout {NAME} 3000",
            f"sentinel parallel-syncs {NAME} 2"]) + "\n", "ascii")

    def declare(self, log):
        """{name: Process}, not started. log(name) gives the log's path."""
        master = self.members[SERVERS[0]]
        for name, member in self.members.items():
            member.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            program = "redis-server" if name in SERVERS else "redis-sentinel"
            if not member.file.exists():
                (self._write_server if name in SERVERS else self._write_sentinel)(member, master)
            self.processes[name] = suite.Process(name, [*member.prefix, program, member.file], log(name))
        return self.processes

    def start(self):
        """All members; returns when the replicas are in step and every Sentinel knows the others and the replicas."""
        for name in SERVERS:
            self.processes[name].start()
        wait_until(self.is_in_step, STEP_S, "replicas in step")  # Sentinels look for replicas only every 10 s
        for name in SENTINELS:
            self.processes[name].start()
        wait_until(self.do_all_know_all, STEP_S, "Sentinels that know each other")

    def kill(self, *names):
        for name in names:
            self.processes[name].kill9()

    def restart(self, *names):
        for name in names:
            if not self.processes[name].is_alive():
                self.processes[name].start()
        for name in names:
            wait_until(lambda name=name: self.members[name].ask("PING", seconds=2.0) == "PONG", STEP_S, f"{name} answers")

    def stop(self, *names):
        """SIGSTOP."""
        for name in names:
            self.processes[name].signal(signal.SIGSTOP)

    def go_on(self, *names):
        for name in names:
            self.processes[name].signal(signal.SIGCONT)

    # --- what they say ---

    def ask(self, name, *arguments, seconds=10.0):
        return self.members[name].ask(*arguments, seconds=seconds)

    def named_by(self, sentinel):
        """The server a Sentinel names, or None."""
        said = self.ask(sentinel, "SENTINEL", "get-master-addr-by-name", NAME, seconds=3.0)
        if not isinstance(said, list):
            return None
        return next((name for name in SERVERS if self.members[name].address == ":".join(said)), None)

    def master(self, sentinels=SENTINELS):
        """The server most Sentinels name."""
        named = [self.named_by(sentinel) for sentinel in sentinels]
        known = [name for name in named if name]
        assert known, "no Sentinel names a master"
        return max(known, key=known.count)

    def replicas(self):
        master = self.master()
        return [name for name in SERVERS if name != master]

    def role(self, name):
        return self.members[name].info("replication").get("role")

    def replid(self, name):
        return self.members[name].info("replication").get("master_replid")

    def events(self, name):
        """How many events this server holds, whatever its role."""
        held = self.ask(name, "EVAL_RO", COUNT_EVENTS, "0")
        assert isinstance(held, int), f"{name} does not count: {held}"
        return held

    def marks(self, name):
        return marks(self.members[name].ask)

    def is_in_step(self, servers=SERVERS):
        """One of them is master, the others its replicas, none behind."""
        info = {name: self.members[name].info("replication") for name in servers}
        masters = [name for name in servers if info[name].get("role") == "master"]
        if len(masters) != 1:
            return False
        online = sum(re.match(r"slave\d+$", key) is not None and "state=online" in value for key, value in info[masters[0]].items())
        return online >= len(servers) - 1 and all(info[name].get("master_link_status") == "up" for name in servers if name != masters[0])

    def do_all_know_all(self):
        for name in SENTINELS:
            said = self.ask(name, "SENTINEL", "master", NAME, seconds=3.0)
            if not isinstance(said, dict) or said.get("num-other-sentinels") != "2" or said.get("num-slaves") != "2":
                return False
        return True

    # --- faults ---

    def lag(self, master):
        """The replicas of master get nothing any more: what it acknowledges from now on is on no other server.

        A stopped replica would not do: its socket's buffers take in all that a test writes, and it reads them when it goes on.
        """
        assert self.ask(master, "ACL", "SETUSER", "default", "-psync", "-sync") == "OK"
        self.ask(master, "CLIENT", "KILL", "TYPE", "replica")
        wait_until(lambda: self.members[master].info("replication").get("connected_slaves") == "0", 10, "replicas cut off")

    def unlag(self, master):
        assert self.ask(master, "ACL", "SETUSER", "default", "+@all") == "OK"

    def wait_for_failover(self, old, sentinels=SENTINELS, seconds=FAILOVER_S):
        """Waits until these Sentinels agree on another master, which takes changes. Returns it."""
        def moved():
            named = {self.named_by(sentinel) for sentinel in sentinels}
            name = named.pop() if len(named) == 1 else None
            return name if name and name != old and self.role(name) == "master" else None
        return wait_until(moved, seconds, f"another master than {old}")

    def fail_over(self):
        """A planned failover. Returns (old, new)."""
        old = self.master()

        def has_begun():
            return any(self.ask(sentinel, "SENTINEL", "FAILOVER", NAME) == "OK" for sentinel in SENTINELS)
        wait_until(has_begun, FAILOVER_S, "a failover begun")
        return old, self.wait_for_failover(old)

    def heal(self):
        """All members run; waits until one is master and the others follow it."""
        self.go_on(*self.processes)
        self.restart(*self.processes)
        wait_until(self.is_in_step, STEP_S, "one master and its replicas")


class ClusterDesk(Desk):
    """A Desk whose Redis is a Cluster. cluster: options of Cluster."""

    def __init__(self, state, cluster=None, **options):
        self.cluster = Cluster(pathlib.Path(state).absolute() / "cluster", **(cluster or {}))
        redis = {"address": NAME, "sentinels": [self.cluster.members[name].address for name in SENTINELS]}
        options["changes"] = suite.merge({"common": {"redis": redis}}, options.get("changes") or {})
        super().__init__(state, **options)

    def _declare(self):
        super()._declare()
        services = self.processes
        del services["redis"]
        self.processes = {**self.cluster.declare(lambda name: self.state / "log" / f"{name}.log"), **services}

    def start(self, names=None):
        if not self.processes:
            self.prepare()
        if names is None:
            self.cluster.start()
            names = [name for name in self.processes if name not in self.cluster.members]
        return super().start(names)

    def _is_ready(self, name):
        member = self.cluster.members.get(name)
        return member.ask("PING", seconds=2.0) == "PONG" if member else super()._is_ready(name)

    def redis_cli(self, *arguments):
        return self.cluster.ask(self.cluster.master(), *arguments)


# --- a network that can be split ---

class Split:
    """Two places of a Network, joined by one cable that can be cut: the one the caller and all it starts is in from now on ("here"),
    and another, for processes started with the prefix .there. The machine's own network is not touched; end() goes back to it."""

    def __init__(self):
        self.network = network.Network()
        try:
            beyond = self.network.place("there")
        except BaseException:
            self.network.end()
            raise
        self.here_address, self.there_address = self.network.hub.address, beyond.address
        self.there, self.cable = beyond.prefix, beyond.link

    def cut(self):
        """Nothing gets through any more, and nobody is told."""
        network.run("ip", "link", "set", self.cable, "down")

    def join(self):
        network.run("ip", "link", "set", self.cable, "up")

    def end(self):
        """Back to the machine's network; ours go with their last process."""
        self.network.end()


class SplitDesk(ClusterDesk):
    """A ClusterDesk in two zones: the first master, "route-2" and "classify-2", which hands on to route-2 only, are beyond a Split's
    cable, and whoever else is named in beyond; all else is here.

    The services speak to each other over Unix sockets, which no network divides: the worst case, for ingest hears both routes."""

    ZONE_2 = ("route-2", "classify-2")

    def __init__(self, state, split, beyond=(), **options):
        self.split = split
        there = (SERVERS[0], *beyond)
        places = {name: (split.there_address, split.there) if name in there else (split.here_address, ()) for name in (*SERVERS, *SENTINELS)}
        options["cluster"] = {**(options.get("cluster") or {}), "places": places}
        super().__init__(state, **options)

    def config(self, ingest=1):
        config = super().config(ingest)
        config["ingest"]["route_endpoints"].append(self.endpoint("route-2-urgent"))
        return config

    def _declare(self):
        super()._declare()
        path = self.state / "desg-zone-2.yaml"
        urgent, bulk = self.endpoint("route-2-urgent"), self.endpoint("route-2-bulk")
        own = {"route": {"urgent_endpoint": urgent, "bulk_endpoint": bulk},
               "classify": {"route_urgent_endpoints": [urgent], "route_bulk_endpoints": [bulk]}}
        path.write_text(json.dumps(suite.merge(self.config(), own), indent=2) + "\n", "utf-8")
        for name in self.ZONE_2:
            program = self.build / "bin" / f"desg-{name.split('-')[0]}"
            self.processes[name] = suite.Process(name, [*self.split.there, program, "--config", path, "--name", name],
                                                 self.state / "log" / f"{name}.log", self.run_directory / f"{name}.sock")


# --- one Redis alone: the Suite's own ---

def aof_tail(directory):
    """The file of the append-only file that grows."""
    return max((pathlib.Path(directory) / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def cut_aof_tail(directory, size):
    """Takes the last size bytes, as a machine does that lost power before they were on its disk. Returns how many are left."""
    path = aof_tail(directory)
    left = max(0, path.stat().st_size - size)
    with open(path, "r+b") as file:
        file.truncate(left)
    return left


class Scratch:
    """A Redis started on a copy of somebody's files, to see what is in them, or as another one's replica."""

    def __init__(self, directory, log, files=None, options=()):
        self.directory = pathlib.Path(directory)
        if files:
            shutil.copytree(files, self.directory)
        self.directory.mkdir(exist_ok=True)
        self.member = Member("redis-scratch", self.directory)
        self.process = suite.Process("scratch", [
            "redis-server", "--port", self.member.port, "--bind", "127.0.0.1", "--dir", self.directory.absolute(),
            "--appendonly", "yes", "--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0", *options], log)
        self.process.start()
        wait_until(lambda: self.member.ask("PING", seconds=2.0) == "PONG", STEP_S, "a Redis on a copy")

    def ask(self, *arguments):
        return self.member.ask(*arguments)

    def events(self):
        return self.ask("EVAL_RO", COUNT_EVENTS, "0")

    def stop(self):
        self.process.kill9()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
