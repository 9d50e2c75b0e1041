"""desk - what the stories share: a Suite with a hand on its processes, its metrics, its messages and its ledger."""
import http.client
import json
import os
import pathlib
import random
import re
import secrets
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "deploy" / "local"), str(TOP / "tests" / "simulators")]
import ledger  # noqa: E402
import platforms  # noqa: E402
import suite  # noqa: E402

BUILD = pathlib.Path(os.environ.get("DESG_BUILD", TOP / "build" / "ci"))
DAY = TOP / "tests" / "simulators" / "sample_day" / "day.jsonl"
SEED = int(os.environ.get("DESG_SEED", "20"))
SETTLE_S = 90.0

URGENT_TEXT = "he is not moving now, loads of blood, send someone please"
CALM_TEXT = "Hi, what time does the front desk at Newport Central open on Sundays please"


def wait_until(is_true, seconds, what):
    """Polls until is_true() gives something true, and returns that; fails saying what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = is_true()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def make_plan(seed, copies=1.0, **shares):
    """The sample day copies times over, as deliveries spread evenly; each copy has messages of its own."""
    day = platforms.load_day(DAY)
    plan = []
    for number in range(max(1, int(-(-copies // 1)))):
        part = day if copies >= number + 1 else day[:int(len(day) * (copies - number))]
        start_ms = int(time.time() * 1000) - 86400000
        copy = platforms.Planner(part, seed + number, secrets.token_hex(4), start_ms, **shares).deliveries()
        plan += [delivery for _, *delivery in copy]
    return [(index / len(plan), *delivery) for index, delivery in enumerate(plan)]


class Load:
    """A plan being played beside the story."""

    def __init__(self, desk, plan, seconds, **options):
        self.player = desk.make_player(**options)
        self.plan = plan
        self.thread = threading.Thread(target=self.player.play, args=(plan, seconds), daemon=True)
        self.thread.start()

    def is_playing(self):
        return self.thread.is_alive()

    def enough(self, at_least=300, seconds=150.0):
        """Ends a plan that is longer than the story: it lasts as long as that does, be it fast or slow, and until so much was told."""
        wait_until(lambda: len(self.player.accepted) >= at_least, seconds, f"{at_least} events answered 200")
        assert self.is_playing(), "the plan was over before the story"
        self.player.is_enough = True
        return self.wait(seconds)

    def wait(self, seconds=150.0):
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "the platforms did not get rid of their deliveries"
        return self.player


class Desk(suite.Suite):
    """A Suite as the stories use it."""

    def __init__(self, state, **options):
        build = options.pop("build", BUILD)
        options["changes"] = suite.merge({"notify": {"test_interval_s": 0}},  # alerts are counted: only those of messages
                                         options.get("changes") or {})
        super().__init__(state, build=build, **options)
        self.random = random.Random(SEED)
        self.sent = 0

    # --- messages ---

    def make_player(self, **options):
        addresses = [("127.0.0.1", self.ports[self.ingest_name(n)]) for n in range(1, self.ingests + 1)]
        return platforms.Player(addresses, platforms.secrets_from(self.state / "secrets"), **options)

    def play(self, plan, seconds, **options):
        return Load(self, plan, seconds, **options)

    def item(self, text=CALM_TEXT, channel="facebook", kind="message", person="p1", **more):
        self.sent += 1
        clock = time.strftime("%H:%M:%S", time.gmtime())
        return {"id": f"s{self.sent:05d}", "at": clock, "channel": channel, "kind": kind, "person": person, "text": text,
                "lang": "en", "urgent": False, **more}

    def post(self, player, *items, trace=""):
        """Posts items, each in a body of its own, until they are answered 200; trace: a traceparent sent along."""
        midnight_ms = int(time.time()) // 86400 * 86400000
        writer = platforms.Writer(secrets.token_hex(4), midnight_ms)
        pool = {}
        for item in items:
            channel = item["channel"]
            delivery = (writer.web(item, False) if channel == "web" else writer.x(item, False) if channel == "x" else
                        writer.whatsapp([item]) if channel == "whatsapp" else writer.meta([item]))
            delivery.trace = trace
            assert player.post(pool, 0, delivery), player.faults
        for connection in pool.values():
            connection.close()

    # --- what they say of themselves ---

    def metrics(self, name):
        """{metric with labels: value} of a process."""
        answer = suite.http_get(suite.UnixConnection(self.processes[name].control, 20.0), "/metrics")
        assert answer and answer[0] == 200, f"{name} answers no metrics"
        pairs = (line.rsplit(" ", 1) for line in answer[1].decode().splitlines() if line and line[0] != "#")
        return {key: float(value) for key, value in pairs}

    def metric_sum(self, name, metric, label=""):
        return sum(value for key, value in self.metrics(name).items() if re.split(r"[{ ]", key)[0] == metric and label in key)

    def private_kib(self, name):
        """Memory of its own: without the pages of its journal, which are the file's."""
        with open(f"/proc/{self.processes[name].pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

    def log(self, name):
        return pathlib.Path(self.processes[name].log).read_text("utf-8", "replace")

    def json(self, *arguments):
        """What a desg command prints as JSON."""
        done = self.desg(*arguments, "--json")
        assert done.returncode == 0, f"desg {' '.join(arguments)}: {done.returncode} {done.stderr}"
        return json.loads(done.stdout)

    def queue(self, name):
        return self.json("queue", name, "--limit", "2000")

    def dispatch_control(self, **options):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["dispatch"], timeout=30)
        connection.request("POST", "/control", json.dumps(options))
        assert connection.getresponse().status == 200
        connection.close()

    def dispatched(self):
        """{alert id: when dispatch first accepted it, alone or in a digest} on the first path."""
        accepted = {}
        for entry in ledger.dispatch_ledger(self)["entries"]:
            if entry["path"] == "/alerts":
                for alert in entry["alerts"]:
                    accepted[alert] = min(entry["at"], accepted.get(alert, entry["at"]))
        return accepted

    # --- the reckoning ---

    def assert_all_alive(self):
        ended = {name: process.popen.returncode for name, process in self.processes.items() if not process.is_alive()}
        assert not ended, f"ended by themselves: {ended}"

    def settle(self, player, seconds=SETTLE_S):
        """Waits until nothing is on its way, then holds what was answered 200 against what Desg and dispatch hold."""
        settled = ledger.wait_settled(self, seconds)
        self.assert_all_alive()
        assert settled, f"not settled within {seconds:g} s: {self.backlog()}"
        book = ledger.balance(self, player)
        wrong = {key: book[key][:10] for key in ("missing_events", "doubled_events", "urgent_not_accepted", "faults") if book[key]}
        assert not wrong, f"of {book['accepted']} accepted: {wrong}"
        assert book["accepted"] > 0 and book["events"] == book["accepted"]
        return book

    def backlog(self):
        told = {}
        for name, process in self.processes.items():
            if process.control and process.is_alive():
                status = self.status(name) or {}
                detail = status.get("detail", {})
                told[name] = {key: detail[key] for key in ("dispatch", "unaccepted", "alerts_unaccepted", "redis") if key in detail}
        return json.dumps({**told, "stream": self.redis_cli("XLEN", "desg:{gwent}:alerts")})
