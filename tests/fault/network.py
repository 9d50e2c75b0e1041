"""network - desks spread over network namespaces of their own, and what can happen between them.

    network = own_network(fault)
    with fault.desk(kind=NetworkDesk, network=network) as desk:
        cut = network.cut(desk.place("classify-1"), desk.place("route"))
        ...
        assert cut.hits() > 0                 # packets really were dropped
        cut.remove()

Each process of a NetworkDesk has a place: a namespace with an address of its own, joined to the others by a bridge in the namespace
that the caller is in from then on (the hub: platforms, dispatch, the desg command). Services speak to each other, and to Redis, over
TCP; their control sockets are files and stay within reach. The machine's own network is not touched, and nothing of ours outlives the
last process and descriptor that holds it.
"""
import contextlib
import ctypes
import itertools
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading

import suite
from desk import Desk
from harness import CannotRun, need

CLONE_NEWNET = 0x40000000
SUBNET = "10.77.30"
HUB_HOST = 1
PORTS = {"http": 8080, "callbacks": 8090, "ingest": 5601, "urgent": 5611, "bulk": 5612, "notify": 5621, "redis": 6379}
ZONE = "desg.test"
BULK_ADDRESS = f"{SUBNET}.200"


def enter_network(descriptor):
    """This thread, and whatever it starts, is in that namespace from now on."""
    if suite.LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


def new_network():
    """Puts this thread into a new namespace. Returns a descriptor of it."""
    if suite.LIBC.unshare(CLONE_NEWNET) != 0:
        raise PermissionError("a network namespace of our own is not allowed")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command[:6])} …: {done.stderr.strip()[:300]}")
    return done.stdout


class Filter:
    """Rules of nftables in one place, each with a counter, until removed."""

    def __init__(self, place, table, incoming, outgoing):
        self.place, self.table, self.is_there = place, table, True
        lines = [f"table inet {table} {{"]
        for chain, hook, rules in (("arriving", "input", incoming), ("leaving", "output", outgoing)):
            lines += [f"chain {chain} {{", f"type filter hook {hook} priority 0; policy accept;", *rules, "}"]
        run(*place.prefix, "nft", "-f", "-", text="\n".join([*lines, "}"]) + "\n")

    def counts(self):
        """Packets that met each rule, in their order."""
        rules = json.loads(run(*self.place.prefix, "nft", "-j", "list", "table", "inet", self.table))["nftables"]
        return [part["counter"]["packets"] for rule in rules for part in rule.get("rule", {}).get("expr", []) if "counter" in part]

    def hits(self):
        return sum(self.counts())

    def remove(self):
        """Returns how often its rules were met."""
        hits = self.hits()
        if self.is_there:
            run(*self.place.prefix, "nft", "delete", "table", "inet", self.table)
            self.is_there = False
        return hits


class Cut:
    """Several filters as one."""

    def __init__(self, filters):
        self.filters = filters

    def hits(self):
        return sum(part.hits() for part in self.filters)

    def remove(self):
        return sum(part.remove() for part in self.filters)


class Place:
    """One namespace with one address. prefix: words before a command that is to run in it."""

    def __init__(self, network, name, host, descriptor, prefix):
        self.network, self.name, self.host = network, name, host
        self.address = f"{SUBNET}.{host}"
        self.descriptor, self.prefix = descriptor, prefix
        self.link = f"desg-{host}"  # its end at the bridge

    def filter(self, incoming=(), outgoing=()):
        return Filter(self, f"desg_{next(self.network.numbers)}", incoming, outgoing)

    @contextlib.contextmanager
    def inside(self):
        """This thread is in it: sockets made here stay here."""
        enter_network(self.descriptor)
        try:
            yield self
        finally:
            enter_network(self.network.hub.descriptor)

    def flows(self, port):
        """{(own port, address, port)} of the connections that are up and lead to or from that port."""
        found = set()
        for line in run(*self.prefix, "ss", "-Htn", "state", "established").splitlines():
            ends = re.findall(r"\[?(?:::ffff:)?([0-9.]+)\]?:(\d+)", line)
            if len(ends) == 2 and str(port) in (ends[0][1], ends[1][1]):
                found.add((int(ends[0][1]), ends[1][0], int(ends[1][1])))
        return found

    def connections_taken(self):
        """How many connections were ever accepted here (PassiveOpens, RFC 4022)."""
        names, values = [line.split() for line in run(*self.prefix, "cat", "/proc/net/snmp").splitlines() if line.startswith("Tcp:")]
        return int(values[names.index("PassiveOpens")])


class Network:
    """The hub, a bridge and the places on it."""

    def __init__(self):
        self.numbers = itertools.count(1)
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.places = []
        try:
            self.hub = Place(self, "hub", HUB_HOST, new_network(), ())
            run("ip", "-batch", "-", text=f"link set lo up\nlink add desg-bridge type bridge\n"
                f"address add {self.hub.address}/24 dev desg-bridge\nlink set desg-bridge up\n")
        except BaseException:
            self.end()
            raise

    def place(self, name):
        """A new one, joined to the others."""
        descriptor = new_network()
        enter_network(self.hub.descriptor)
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
        place = Place(self, name, HUB_HOST + 10 + len(self.places), descriptor, ("nsenter", f"--net={path}", "--"))
        self.places.append(place)
        run("ip", "-batch", "-", text=f"link add {place.link} type veth peer name desg0 netns {path}\n"
            f"link set {place.link} master desg-bridge up\n")
        run(*place.prefix, "ip", "-batch", "-", text=f"link set lo up\naddress add {place.address}/24 dev desg0\nlink set desg0 up\n")
        return place

    def cut(self, one, other, way="both"):
        """Nothing gets through any more, and nobody is told. way: both, there (from one to other) or back."""
        filters = []
        if way in ("both", "there"):
            filters.append(other.filter([f"ip saddr {one.address} counter drop"]))
        if way in ("both", "back"):
            filters.append(one.filter([f"ip saddr {other.address} counter drop"]))
        return Cut(filters)

    def cut_off(self, place):
        """As after a loss of power: nothing comes from it, nothing reaches it, and nobody is told."""
        return Cut([place.filter(["counter drop"], ["counter drop"])])

    def lose_mappings(self, place, port):
        """What a translator does that forgot its connections: those to and from port that are up now go nowhere; new ones do."""
        flows = sorted(place.flows(port))
        arriving = [f"ip saddr {address} tcp sport {theirs} tcp dport {own} counter drop" for own, address, theirs in flows]
        leaving = [f"ip daddr {address} tcp dport {theirs} tcp sport {own} counter drop" for own, address, theirs in flows]
        return flows, Cut([place.filter(arriving, leaving)])

    def slow(self, place, address, mbit):
        """A second, slow way into place, to an address of its own there. Returns a function that gives its figures."""
        link = f"{place.link}-slow"
        path = f"/proc/{os.getpid()}/fd/{place.descriptor}"
        run("ip", "-batch", "-", text=f"link add {link} type veth peer name desg1 netns {path}\nlink set {link} master desg-bridge up\n")
        run(*place.prefix, "sh", "-c", "for what in all desg0 desg1; do echo 1 > /proc/sys/net/ipv4/conf/$what/arp_ignore; "
            "echo 0 > /proc/sys/net/ipv4/conf/$what/rp_filter; done")
        run(*place.prefix, "ip", "-batch", "-", text=f"address add {address}/32 dev desg1\nlink set desg1 up\n")
        run("tc", "qdisc", "add", "dev", link, "root", "tbf", "rate", f"{mbit}mbit", "burst", "8kb", "latency", "200ms")

        def figures():
            told = run("tc", "-s", "qdisc", "show", "dev", link)
            number = lambda pattern: int(re.search(pattern, told).group(1))
            return {"bytes": number(r"Sent (\d+) bytes"), "dropped": number(r"dropped (\d+)"), "over": number(r"overlimits (\d+)")}
        return figures

    def end(self):
        """Back to the machine's network."""
        enter_network(self.before)
        for place in [*self.places, *([self.hub] if hasattr(self, "hub") else [])]:
            os.close(place.descriptor)
        os.close(self.before)


def own_network(fault):
    """A Network until the end of the row."""
    need("ip", "nft", "tc", "ss", "nsenter", "unshare", root=True)
    try:
        network = Network()
    except OSError as problem:
        raise CannotRun(f"network namespaces: {problem}") from None
    fault.cleanup(network.end)
    return network


class NetworkDesk(Desk):
    """A Desk each of whose processes has a place in a Network; dispatch, the platforms and the desg command are in its hub.

    names: a Names, then the services find each other, and Redis, by name; else by address. All ingests are one name, as a headless
    service. bulk_mbit: bulk has a link of its own into route, so slow; bulk_figures() tells of it."""

    def __init__(self, state, network, names=None, bulk_mbit=None, **options):
        self.network, self.names = network, names
        self.bulk_mbit, self.bulk_figures = bulk_mbit, None
        self.at = {}  # process -> Place
        options["dispatch_options"] = ["--address", "0.0.0.0", *options.get("dispatch_options", [])]
        super().__init__(state, **options)

    # --- places ---

    def place(self, name):
        if name == "dispatch":
            return self.network.hub
        if name not in self.at:
            self.at[name] = self.network.place(name)
        return self.at[name]

    def host(self, name):
        """What others are told."""
        return f"{name}.{ZONE}" if self.names else self.place(name).address

    def publish(self, **others):
        """What the names lead to from now on: where each role is, but for those named here."""
        ingests = [self.place(self.ingest_name(n)).address for n in range(1, self.ingests + 1)]
        table = {"ingest": ingests, **{name: [self.place(name).address] for name in ("route", "notify", "redis")}, **others}
        self.names.table = {f"{name}.{ZONE}": addresses for name, addresses in table.items()}

    def tcp(self, name, port):
        return f"tcp://{self.host(name)}:{PORTS[port]}"

    def replace(self, name, new_name):
        """The role gets another process, not started, at a place with another address. Returns the one there was: it goes on, and
        is the caller's to end."""
        former = self.processes.pop(name)
        self.at[name] = self.at[new_name] = self.network.place(new_name)
        self.write_config()
        self.plain[new_name] = [new_name if word == name else word for word in self.plain[name]]
        self.processes[new_name] = suite.Process(new_name, [], self.state / "log" / f"{new_name}.log",
                                                 self.run_directory / f"{new_name}.sock")
        self._declare_one(new_name)
        return former

    # --- configuration ---

    def make_player(self, **options):
        player = super().make_player(**options)
        player.addresses = [(self.place(self.ingest_name(n)).address, PORTS["http"]) for n in range(1, self.ingests + 1)]
        return player

    def config(self, ingest=1):
        ingests = ["ingest"] if self.names else [self.ingest_name(n) for n in range(1, self.ingests + 1)]
        own = self.place(self.ingest_name(ingest)).address
        bind = lambda name, port: f"tcp://{self.place(name).address}:{PORTS[port]}"
        bulk = f"tcp://{BULK_ADDRESS}:{PORTS['bulk']}" if self.bulk_mbit else None
        dispatch = f"http://{self.network.hub.address}:{self.ports['dispatch']}"
        keys = self.state.absolute() / "keys"
        ours = {
            "common": {"redis": {"address": f"{self.host('redis')}:{PORTS['redis']}"},
                       "curve": {"public_key_file": str(keys / "desk"), "secret_key_file": str(keys / "desk_secret"),
                                 "allowed_keys_directory": str(keys / "allowed")}},
            "ingest": {"listen": f"{own}:{PORTS['http']}", "classify_endpoint": f"tcp://{own}:{PORTS['ingest']}",
                       "route_endpoints": [self.tcp("route", "urgent")]},
            "classify": {"ingest_endpoints": [self.tcp(name, "ingest") for name in ingests],
                         "route_urgent_endpoints": [self.tcp("route", "urgent")],
                         "route_bulk_endpoints": [bulk or self.tcp("route", "bulk")],
                         "notify_endpoints": [self.tcp("notify", "notify")]},
            "route": {"urgent_endpoint": bind("route", "urgent"), "bulk_endpoint": bulk or bind("route", "bulk"),
                      "notify_endpoints": [self.tcp("notify", "notify")]},
            "notify": {"endpoint": bind("notify", "notify"), "listen": f"{self.place('notify').address}:{PORTS['callbacks']}",
                       "dispatch": {"url": f"{dispatch}/alerts"}, "second_path": {"url": f"{dispatch}/second"}},
        }
        return suite.merge(suite.merge(super().config(ingest), ours), self.changes)

    # --- processes ---

    def prepare(self):
        allowed = self.state.absolute() / "keys" / "allowed"
        if not allowed.exists():
            allowed.mkdir(parents=True)
            shutil.copy(make_pair(allowed.parent, "desk"), allowed / "server.pub")
        super().prepare()
        if self.names:
            self.publish()

    def _declare(self):
        super()._declare()
        if self.bulk_mbit:
            self.bulk_figures = self.network.slow(self.place("route"), BULK_ADDRESS, self.bulk_mbit)
        self.plain = {name: list(process.command) for name, process in self.processes.items()}
        for name in self.processes:
            self._declare_one(name)

    def _declare_one(self, name):
        process, command = self.processes[name], list(self.plain[name])
        if name == "redis":
            command[command.index("--port") + 1] = str(PORTS["redis"])
            command += ["--bind", "0.0.0.0", "--protected-mode", "no"]
        if name == "dispatch":
            command[command.index("--callback") + 1] = \
                f"http://{self.place('notify').address}:{PORTS['callbacks']}/callbacks/dispatch"
            process.command = command
            return
        process.command = [*self.place(name).prefix, *(self.names.prefix if self.names else ()), *command]

    def add_worker(self, config=None):
        """One more, at a place of its own; config: a file other than the desk's."""
        number = 1 + max(int(name.split("-")[1]) for name in self.plain if name.startswith("classify-"))
        name = f"classify-{number}"
        self.plain[name] = [str(self.build / "bin" / "desg-classify"), "--config", str(config or self.config_path()), "--name", name]
        self.processes[name] = suite.Process(name, [], self.state / "log" / f"{name}.log", self.run_directory / f"{name}.sock")
        self._declare_one(name)
        self.processes[name].start()
        return name


class Names:
    """A DNS server of our own at the hub, and the words that make it a process's only one. Modes: answers, silent, slow (slow_s)."""

    def __init__(self, network, directory):
        self.table = {}  # name -> [addresses]
        self.mode, self.slow_s = "answers", 2.0
        self.asked = {}  # mode -> questions
        path = directory / "resolv.conf"
        path.write_text(f"nameserver {network.hub.address}\n", "ascii")
        self.prefix = ("unshare", "--mount", "sh", "-c", f"mount --bind '{path.absolute()}' /etc/resolv.conf && exec \"$0\" \"$@\"")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((network.hub.address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                question, who = self.socket.recvfrom(2048)
            except OSError:
                return
            if len(question) < 17:
                continue
            self.asked[self.mode] = self.asked.get(self.mode, 0) + 1
            if self.mode == "answers":
                self._answer(question, who)
            elif self.mode == "slow":
                threading.Timer(self.slow_s, self._answer, (question, who)).start()

    def _answer(self, question, who):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("ascii", "replace"))
            at += 1 + question[at]
        kind, = struct.unpack(">H", question[at + 1:at + 3])
        addresses = self.table.get(".".join(labels).lower())
        found = (addresses or []) if kind == 1 else []
        head = question[:2] + struct.pack(">HHHHH", 0x8180 if addresses is not None else 0x8183, 1, len(found), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address) for address in found)
        with contextlib.suppress(OSError):  # whoever asked is gone
            self.socket.sendto(head + question[12:at + 5] + body, who)

    def close(self):
        with contextlib.suppress(OSError):  # it has no other end; but this wakes the thread
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Sockets:
    """Listeners of libzmq's, by hand, until closed."""

    PUB, ROUTER = 1, 6
    LINGER, CURVE_SERVER, CURVE_SECRETKEY = 17, 47, 49

    def __init__(self):
        self.library = ctypes.CDLL("libzmq.so.5")
        self.library.zmq_ctx_new.restype = self.library.zmq_socket.restype = ctypes.c_void_p
        self.library.zmq_socket.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self.library.zmq_setsockopt.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        self.library.zmq_bind.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.library.zmq_close.argtypes = self.library.zmq_ctx_term.argtypes = [ctypes.c_void_p]
        self.context = self.library.zmq_ctx_new()
        self.open = []

    def _set(self, handle, option, value):
        number = ctypes.c_int(value)
        assert self.library.zmq_setsockopt(handle, option, ctypes.byref(number), 4) == 0

    def _make(self, kind):
        handle = self.library.zmq_socket(self.context, kind)
        self._set(handle, self.LINGER, 0)
        self.open.append(handle)
        return handle

    def listen(self, kind, address, port, secret=None):
        """secret: the listener's key, for CURVE."""
        handle = self._make(kind)
        if secret:
            self._set(handle, self.CURVE_SERVER, 1)
            assert self.library.zmq_setsockopt(handle, self.CURVE_SECRETKEY, secret, len(secret) + 1) == 0
        assert self.library.zmq_bind(handle, f"tcp://{address}:{port}".encode()) == 0, f"port {port} is taken"

    def close(self):
        for handle in self.open:
            self.library.zmq_close(handle)
        if self.context:
            self.library.zmq_ctx_term(self.context)
        self.open, self.context = [], None


class Impostor:
    """Somebody else who listens where a role of ours did, until closed.

    Kinds: http, garbage (after a greeting that is well-formed), silent; and with libzmq socket (a PUB that has the desk's own keys)
    and plain (no CURVE)."""

    KINDS = ("http", "garbage", "silent", "socket", "plain")

    def __init__(self, place, kind, ports, secret=None):
        self.place, self.kind, self.ports = place, kind, ports
        self.before = place.connections_taken()
        self.listeners, self.open, self.sockets = [], [], None
        with place.inside():
            if kind in ("socket", "plain"):
                self.sockets = Sockets()
            for port in ports:
                if kind == "socket":
                    self.sockets.listen(Sockets.PUB, place.address, port, secret)
                elif kind == "plain":
                    self.sockets.listen(Sockets.ROUTER, place.address, port)
                else:
                    self.listeners.append(socket.create_server((place.address, port)))
                    threading.Thread(target=self._serve, args=(self.listeners[-1],), daemon=True).start()

    def _serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                if self.kind == "http":
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                    connection.close()
                    continue
                if self.kind == "garbage":
                    connection.sendall(greeting(b"CURVE", is_server=True) + os.urandom(512))
            self.open.append(connection)

    def count(self):
        """Connections taken, as the kernel counts them: one that libzmq ends at the greeting is gone before anybody could see it up."""
        return self.place.connections_taken() - self.before

    def close(self):
        if self.sockets:
            self.sockets.close()
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in self.open:
            connection.close()
        self.listeners, self.open = [], []


def greeting(mechanism, is_server=False):
    """What a ZMTP 3.0 connection begins with."""
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes([is_server]) + bytes(31)


def knock(address, port, mechanism, seconds=10.0):
    """Calls with that mechanism. Returns whether the other side ended it, having said no more than its own greeting."""
    said = b""
    with socket.create_connection((address, port), seconds) as caller:
        caller.sendall(greeting(mechanism))
        with contextlib.suppress(ConnectionResetError):
            while piece := caller.recv(4096):
                said += piece
                if len(said) > len(greeting(mechanism)):
                    return False
    return True


def make_pair(directory, name):
    """A certificate as docs/operations.md makes one: public half name, secret half name_secret."""
    czmq = ctypes.CDLL("libczmq.so.4")
    czmq.zcert_new.restype = ctypes.c_void_p
    czmq.zcert_save.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    path = directory / name
    assert czmq.zcert_save(czmq.zcert_new(), str(path).encode()) == 0
    return path


def secret_key(path):
    """The secret half of a certificate, as libzmq takes it."""
    return re.search(r'secret-key = "(.{40})"', path.read_text("ascii")).group(1).encode()

