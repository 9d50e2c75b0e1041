"""rows_input - what comes in is out of order, poisonous or hostile; what goes out is refused, ignored, half answered."""
import contextlib
import hmac
import itertools
import json
import resource
import socket
import threading
import time

import ledger
import platforms
import shim
import suite
from harness import URGENT_TEXT, Desk, percentile, row, wait_until

PREFIX = "desg:{gwent}:conv:"


# --- 35 ---

def told_of(channel, base):
    """One conversation's life: (name, item), each a minute after the other."""
    def item(number, kind, text="", target="m"):
        clock = time.strftime("%H:%M:%S", time.gmtime(base + 60 * number))
        return {"id": f"{kind}{number}", "at": clock, "channel": channel, "kind": kind, "person": "p", "text": text, "lang": "en",
                "urgent": False, **({"target": target} if target else {})}
    life = [item(0, "message", "there is a man at the bus stop shouting at people", ""),
            item(1, "edit", "there is a man at the bus stop, he has a knife and is stabbing people now"),
            item(2, "edit", "it was a misunderstanding, he has left"),
            item(3, "unsend") if channel != "facebook" else item(3, "reaction", "👍")]
    return life if channel != "whatsapp" else life[:2] + life[3:]  # it does not count its edits: the ledger knows one of each message


# What may differ: when Desg saw what, ids (each permutation is told by another person of other messages).
EVENT_KEYS = ("kind", "text", "edit_version", "platform_time_ms", "is_public", "reaction")
CONVERSATION_KEYS = ("state", "queue", "severity", "category", "grade", "language", "restricted", "account", "channel", "first", "last")


def comparable(conversation):
    events = sorted(conversation["events"], key=lambda event: (event["platform_time_ms"], event["kind"], event["edit_version"]))
    return json.dumps({
        **{key: conversation.get(key) for key in CONVERSATION_KEYS},
        "events": [{**{key: event.get(key) for key in EVENT_KEYS},
                    **{key: event["verdict"].get(key) for key in ("severity", "category", "language")}} for event in events]},
        sort_keys=True)


def wait_applied(desk):
    wait_until(lambda: (status := desk.status("ingest-1"))
               and status["detail"]["dispatch"]["done_through"] >= status["detail"]["journal"]["newest_sequence"], 60, "all applied")


@row(35, "reordered and late edits, unsend before the message")
def any_order(fault):
    with fault.desk() as desk:
        player = desk.make_player()
        fault.players[desk].append(player)
        midnight_ms, base = int(time.time()) // 86400 * 86400000, int(time.time()) // 86400 * 86400
        waiting, pool, lives = [], {}, 0
        for channel in ("facebook", "instagram", "whatsapp"):
            life = told_of(channel, base)
            for order in itertools.permutations(range(len(life))):
                lives += 1
                writer = platforms.Writer(f"{fault.random.getrandbits(40):010x}", midnight_ms)
                make = writer.whatsapp if channel == "whatsapp" else writer.meta
                deliveries = [make([{**item, "person": f"{channel}{lives}"}]) for item in life]  # written in order, sent in another
                waiting.append([deliveries[index] for index in order])
        for step in range(4):
            for deliveries in waiting:
                assert step >= len(deliveries) or player.post(pool, 0, deliveries[step]), player.faults
            wait_applied(desk)  # so that they are really applied in this order
        fault.note("permutations", lives)
        book = fault.check(desk, "LDUH")
        assert len(book.held.events) == sum(map(len, waiting))
        found = {}
        for key in desk.redis_cli("KEYS", PREFIX + "*"):
            conversation = desk.json("show", key[len(PREFIX):])
            found.setdefault(conversation["channel"], {}).setdefault(comparable(conversation), []).append(key[-8:])
        kinds = {channel: len(ends) for channel, ends in found.items()}
        assert set(kinds) == {"facebook", "instagram", "whatsapp"}
        different = {channel: sorted(map(len, ends.values())) for channel, ends in found.items() if len(ends) > 1}
        if different:
            fault.say(differences(found))
        assert not different, f"conversations that ended otherwise for another order: {different}"


def differences(found):
    told = []
    for channel, ends in found.items():
        first, *others = [json.loads(end) for end in ends]
        for other in others:
            told += [f"{channel} {key}: {first[key]} / {other[key]}" for key in first if first[key] != other[key] and key != "events"]
            told += [f"{channel} event {a['kind']} {key}: {a[key]} / {b[key]}" for a, b in zip(first["events"], other["events"])
                     for key in a if a[key] != b[key] and key != "text"]
    return "; ".join(sorted(set(told))[:12])


# --- 36 ---

def signature(desk, body):
    return "sha256=" + hmac.digest(desk.secret_text("meta-app").encode(), body, "sha256").hex()


def answer_of(connection):
    """The status of an answer, 0 for none."""
    data = b""
    with contextlib.suppress(OSError):
        while b"\r\n" not in data and (piece := connection.recv(4096)):
            data += piece
    words = data.split(b" ", 2)
    return int(words[1]) if data.startswith(b"HTTP/1.") and words[1].isdigit() else 0


def send_raw(desk, *pieces, source="127.0.0.1", timeout=10.0):
    with socket.create_connection(("127.0.0.1", desk.ports["ingest-1"]), timeout, (source, 0)) as connection:
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
        return answer_of(connection)


def head(path, *lines, method="POST"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: desk", *lines, "", ""]).encode("latin-1")


def post_raw(desk, body, path="/hooks/facebook", sign=True, **options):
    lines = [f"Content-Length: {len(body)}"] + ([f"X-Hub-Signature-256: {signature(desk, body)}"] if sign else [])
    return send_raw(desk, head(path, *lines), body, **options)


def message_body(mid, text):
    now = int(time.time() * 1000)
    return json.dumps({"object": "page", "entry": [{"id": platforms.PAGE, "time": now, "messaging": [
        {"sender": {"id": "6200000000000077"}, "recipient": {"id": platforms.PAGE}, "timestamp": now,
         "message": {"mid": mid, "text": text}}]}]}).encode()


UNREADABLE = [b"[" * 1_000_000 + b"]" * 1_000_000, b'{"object":' * 100_000 + b"1" + b"}" * 100_000, b"\xff\xfe\x00", b'{"object":"page"', b"",
              b'{"object":"page","object":"page","entry":[]}', b'{"object":"martian_page","entry":[{"id":"1"}]}']
READABLE = {"m_lone": b"lone \\ud83d end", "m_nul": b"nul \\u0000 inside", "m_utf8": b"raw \xff\xfe bytes", "m_cut": b"cut \xf0\x9f\x98"}


@row(36, "poison: crashes classify, breaks the parser, oversize, deep, half an emoji", quick=True)
def poison(fault):
    marker = "zzpoisonzz"
    with fault.desk(is_started=False) as desk:
        for name in ("classify-1", "classify-2"):
            desk.processes[name].environment = shim.poison_environment(fault.temporary(), marker)
        desk.start()
        supervisor = fault.supervise(desk, "classify-1", "classify-2")
        load = fault.load(desk, per_second=40)
        poisonous = [desk.item(f"please help {marker}", person=f"poison{number}") for number in range(3)]
        for item in poisonous:
            fault.pause(0.4)
            fault.post(desk, item)
        before = len(desk.queue("needs-review"))
        for body in UNREADABLE:
            assert post_raw(desk, body) == 200
        assert post_raw(desk, b"x" * (5 << 20)) == 413
        for mid, text in READABLE.items():
            assert post_raw(desk, message_body(mid, "@@").replace(b"@@", text)) == 200
        wait_until(lambda: len(desk.json("quarantine", "list")) >= len(poisonous), 90, "poison in quarantine")
        load.enough()
        fault.note("workers_died", len(supervisor.ended))
        assert {status for _, status in supervisor.ended} == {-6}, "a worker died of something else"
        assert 2 * len(poisonous) <= len(supervisor.ended) <= 4 * len(poisonous), f"{len(supervisor.ended)} deaths"
        wait_until(lambda: len(desk.queue("needs-review")) > before, 60, "unreadable bodies before a person")
        wait_until(lambda: all(desk.processes[name].is_alive() for name in ("classify-1", "classify-2")), 30, "both workers again")
        supervisor.is_paused = True
        book = fault.check(desk, "LDUH", poison={item["id"] for item in poisonous})
        set_aside = desk.json("quarantine", "list")
        assert len(set_aside) == len(poisonous), f"{len(set_aside)} in quarantine: neighbours of poison are none"
        assert all(ledger.alert_id(entry["event"]) in book.alerts for entry in set_aside), "poison of unknown severity raised no alert"
        held = {event.get("object_id") for event in book.held.events}
        assert set(READABLE) <= held, f"lost for half an emoji: {set(READABLE) - held}"
        unreadable = sum(event["kind"] in ("unreadable", "unknown") for event in book.held.events)
        assert unreadable >= len(UNREADABLE) - 1, f"{unreadable} of {len(UNREADABLE)} unreadable bodies held"
        assert not any(process.starts > 1 for name, process in desk.processes.items() if not name.startswith("classify"))


# --- 38 ---

def challenge(desk):
    token = desk.secret_text("meta-verify-token")
    return f"/hooks/facebook?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444"


class Probe(threading.Thread):
    """Asks for health and for the platform's verification again and again, and how long that took."""

    def __init__(self, desk):
        super().__init__(daemon=True)
        self.desk, self.waits, self.failures, self.over = desk, [], [], threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.2):
            began = time.monotonic()
            health = suite.http_get(suite.UnixConnection(self.desk.processes["ingest-1"].control, 5.0), "/healthz")
            try:
                status = send_raw(self.desk, head(challenge(self.desk), method="GET"), timeout=5.0)
            except OSError as error:
                status = type(error).__name__
            if status != 200 or not health or health[0] != 200:
                self.failures.append((status, health and health[0]))
            self.waits.append(time.monotonic() - began)

    def stop(self):
        self.over.set()
        self.join(15)


def framing_corpus(desk):
    """(pieces, statuses that are right) of requests that two readers could understand differently."""
    body = message_body("m_smuggled", "smuggled")
    signed = f"X-Hub-Signature-256: {signature(desk, body)}"
    length = f"Content-Length: {len(body)}"
    path = "/hooks/facebook"
    for lines in ([length, "Content-Length: 3"], [length, length], [length, "Transfer-Encoding: chunked"],
                  ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: chunked, chunked"],
                  ["Content-Length: -1"], ["Content-Length: 0x10"], ["Content-Length: 99999999999999999999"], ["Content-Length: +5"]):
        yield [head(path, signed, *lines), body], {400, 413, 0}
    yield [b"POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\nContent-Length : 5\r\n\r\nhello"], {400, 403, 0}
    yield [b"POST /hooks/facebook HTTP/1.1\r\n Host: desk\r\nContent-Length: 5\r\n\r\nhello"], {400, 0}
    yield [b"POST /hooks/facebook HTTP/1.1\r\nContent-Length: 0\r\n\r\n"], {400}
    yield [b"\x00" * 4000], {400, 0}
    yield [b"GET " + b"a" * 100_000], {400, 414, 431, 0}


@row(38, "slowloris, smuggling corpus, 10,000 connections, wrong signatures")
def hostile(fault):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fault.cleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    connections = min(10_000, hard - 500)
    with fault.desk(changes={"ingest": {"http": {"request_deadline_ms": 3000}}}) as desk:
        probe = Probe(desk)
        fault.cleanup(probe.over.set)
        load = fault.load(desk, per_second=30)
        refused = {reason: desk.metric_sum("ingest-1", "desg_ingest_rejected_total", f'"{reason}"')
                   for reason in ("framing", "signature_wrong", "signature_missing", "too_slow")}
        for pieces, right in framing_corpus(desk):
            status = send_raw(desk, *pieces, timeout=8.0)
            assert status in right, f"{pieces[0][:60]} answered {status}"
        for _ in range(300):
            assert post_raw(desk, b"{}", sign=False) == 403
        for number in range(300):
            body = b'{"n":%d}' % number
            wrong = signature(desk, body + b" ")
            assert send_raw(desk, head("/hooks/facebook", f"Content-Length: {len(body)}", f"X-Hub-Signature-256: {wrong}"), body) == 403
        with contextlib.ExitStack() as stack:
            drips = []
            most = refused_connections = 0
            for number in range(connections):
                try:
                    connection = stack.enter_context(socket.create_connection(
                        ("127.0.0.1", desk.ports["ingest-1"]), 2, (f"127.0.{3 + number // 250 // 200}.{1 + number // 250 % 200}", 0)))
                except OSError:
                    refused_connections += 1
                    continue
                if number % 10 == 0:
                    drips.append(connection)
                    with contextlib.suppress(OSError):
                        connection.send([b"POST /hooks/facebook HT", head("/hooks/facebook", "Content-Length: 1000")][number // 10 % 2])
            for _ in range(20):
                for connection in drips:
                    with contextlib.suppress(OSError):
                        connection.settimeout(0.5)
                        connection.send(b"x")
                most = max(most, desk.metric_sum("ingest-1", "desg_ingest_connections"))
                fault.pause(0.2)
            fault.note("connections", connections - refused_connections)
            fault.note("held", int(most))
        load.enough()
        probe.stop()
        fault.note("probe_p99_s", percentile(probe.waits, 0.99))
        fault.note("probes", len(probe.waits))
        wait_until(lambda: desk.metric_sum("ingest-1", "desg_ingest_connections") < 20, 60, "idle connections are closed")
        assert most > 500, "hardly a connection was there"
        assert len(probe.failures) <= len(probe.waits) // 100, f"{len(probe.failures)} of {len(probe.waits)}: {probe.failures[:5]}"
        for reason, before in refused.items():
            assert desk.metric_sum("ingest-1", "desg_ingest_rejected_total", f'"{reason}"') > before, f"nothing was {reason}"
        book = fault.check(desk, "LDUBH")
        assert "m_smuggled" not in {event.get("object_id") for event in book.held.events}
        assert desk.processes["ingest-1"].starts == 1


# --- 39 ---

SECOND_PATH_S = 10.5  # ten, and a turn of notify


class TwoPaths(Desk):
    """The second path is a system of its own."""

    def _declare(self):
        super()._declare()
        first = self.processes["dispatch"]
        command = list(first.command)
        command[command.index("--port") + 1] = str(self.ports["second"])
        command[command.index("--ledger") + 1] = str(self.state / "second.jsonl")
        self.processes["second"] = suite.Process("second", command, self.state / "log" / "second.log")

    def prepare(self):
        self.ports.update({"second": suite.free_port(), "dispatch": suite.free_port()})
        self.changes = suite.merge(self.changes, {"notify": {
            "dispatch": {"url": f"http://dispatch.test:{self.ports['dispatch']}/alerts"},
            "second_path": {"url": f"http://127.0.0.1:{self.ports['second']}/second"}}})
        super().prepare()

    def second_entries(self):
        path = self.state / "second.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@row(39, "dispatch: 500s, 429, hangs, half a reply, 422, DNS gone, down")
def dispatch_misbehaves(fault):
    with fault.desk(kind=TwoPaths, is_started=False) as desk:
        names = shim.Names(fault.temporary())
        names.set(False)  # from the start: what was looked up once is known for a minute
        desk.processes["notify"].environment = names.environment()
        desk.start()
        second_s = {}

        def urgent(case):
            before, posted_at = len(desk.second_entries()), time.time()
            fault.post(desk, *(desk.item(URGENT_TEXT, person=f"{case}{number}", urgent=True) for number in range(3)))
            return before, posted_at

        def second_path(case, before, posted_at):
            wait_until(lambda: len(desk.second_entries()) >= before + 3, 60, f"{case}: three alerts on the second path")
            second_s[case] = max(entry["at"] for entry in desk.second_entries()[before:]) - posted_at
            limit_s = fault.here(desk, SECOND_PATH_S)
            assert second_s[case] <= limit_s, f"{case}: on the second path after {second_s[case]:.1f} s, more than {limit_s:.1f} s"

        def first_path(case, count, seconds=60):
            wait_until(lambda: len(desk.dispatched()) >= count, seconds, f"{case}: {count} alerts on the first path")

        def lasting(case, **options):
            """As long as this lasts the first path takes nothing; the second does in time."""
            desk.dispatch_control(**options)
            second_path(case, *urgent(case))

        count = 3
        second_path("no name", *urgent("no name"))
        assert not desk.dispatched(), "the name was not gone"
        names.set(True)
        first_path("no name", count)
        urgent("well")
        first_path("well", count := count + 3)
        lasting("500", refuse=10_000, refuse_status=500)
        desk.dispatch_control(refuse=0)
        first_path("500", count := count + 3)
        lasting("429", refuse=10_000, refuse_status=429, retry_after="1")
        desk.dispatch_control(refuse=0)
        first_path("429", count := count + 3)
        for case in ("drop", "half", "conflict"):  # taken, but not said well
            reuses = ledger.dispatch_ledger(desk)["reuses"]
            desk.dispatch_control(ack="none", **{case: 3})
            urgent(case)
            first_path(case, count := count + 3)
            if case != "conflict":
                wait_until(lambda before=reuses: ledger.dispatch_ledger(desk)["reuses"] > before, 60, f"{case}: the same key again")
        wait_until(lambda: desk.metric_sum("notify", "desg_notify_path_refused") > 0 or "path_refused" in desk.log("notify"), 60,
                   "a 422 rings a bell")
        desk.dispatch_control(hang=10_000, ack="none")
        second_path("hang", *urgent("hang"))
        desk.dispatch_control(hang=0, ack="once")
        first_path("hang", count := count + 3)
        desk.processes["dispatch"].kill9()
        second_path("down", *urgent("down"))
        fault.pause(8.0)
        desk.restart("dispatch")
        first_path("down", count + 3)
        for case, seconds in second_s.items():
            fault.note(f"second path, {case}", seconds)
        book = fault.check(desk, "LDUH", seconds=90)
        assert len(book.urgent()) == count + 3
