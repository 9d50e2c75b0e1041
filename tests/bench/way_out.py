"""way_out - does an outlet that hangs hold up what must not wait? Urgent alerts and replies, with all outlets well and with one of them
hanging, measured in turn in one run: what counts is the ratio."""
import json
import secrets
import shutil
import sys
import tempfile
import time

import measures
from machine import CannotRun

sys.path[:0] = [str(measures.TOP / "deploy" / "local"), str(measures.TOP / "tests" / "simulators")]
import day_out  # noqa: E402
import platforms  # noqa: E402
import suite as suite_module  # noqa: E402

URGENT_TEXT = "he is not moving now, loads of blood, send someone please"
CALM_TEXT = "Hi, what time does the front desk at Newport Central open on Sundays please"
HANGING = "x-post"
WAIT_S = 20.0


def percentile(values, share):
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


class Desk(suite_module.Suite):
    """A desk with the platforms beside it, one worker, no receipts and no standing test."""

    def __init__(self, bench):
        self.folder = tempfile.mkdtemp(prefix="desg-bench-")
        super().__init__(self.folder, build=bench.build, workers=1, is_outward=True, changes={
            "notify": {"test_interval_s": 0},
            "outward": {"receipts": {"is_on": False}}})
        self.run = secrets.token_hex(4)
        self.count = 0

    def wait_ready(self, name, seconds=20.0):
        super().wait_ready(name, 120.0 if name.startswith("classify") else seconds)

    def begin(self):
        self.start()
        self.player = platforms.Player([("127.0.0.1", self.ports["ingest-1"])], platforms.secrets_from(self.state / "secrets"))
        self.agent = day_out.Person(self, "agent-1", "agent,supervisor")
        self.writer = day_out.Person(self, "comms-1", "comms")
        self.approver = day_out.Person(self, "comms-2", "comms")

    def end(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_for(self, look, what):
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.002)
        raise CannotRun(f"not within {WAIT_S:g} s: {what}")

    def post(self, text):
        """One message; when it was answered 200."""
        self.count += 1
        item = {"id": f"b{self.count:05d}", "at": "00:00:00", "channel": "facebook", "kind": "message", "person": f"b{self.count}",
                "text": text, "lang": "en"}
        delivery = platforms.Writer(self.run, int(time.time() * 1000)).meta([item])
        if not self.player.post({}, 0, delivery):
            raise CannotRun("; ".join(self.player.faults))
        return time.time()

    def lines(self, name):
        """Of a simulator's ledger file."""
        path = self.state / name
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def alert_ms(self):
        """From 200 to the platform until dispatch has the alert."""
        before = len(self.lines("dispatch.jsonl"))
        posted_at = self.post(URGENT_TEXT)
        entries = self.wait_for(lambda: self.lines("dispatch.jsonl")[before:], "an alert at dispatch")
        return max(0.0, (entries[0]["at"] - posted_at) * 1000)

    def reply_ms(self):
        """From the agent's word until the platform has it."""
        self.post(CALM_TEXT)
        claimed = self.wait_for(lambda: (lambda got: got[1] if got[0] == 200 else None)(self.agent.ask("POST", "/v1/claims", {})),
                                "a conversation to claim")
        path = f"/v1/conversations/{claimed['conversation']}"
        asked_ms = time.time() * 1000
        item = self.agent.do("POST", f"{path}/replies", {"fence": claimed["fence"], "text": f"Answer number {self.count}."})["fact"]
        entry = self.wait_for(lambda: next((entry for entry in self.lines("outlets.jsonl") if item in entry["ref"]), None), "a reply")
        self.agent.ask("POST", f"{path}/close", {"fence": claimed["fence"], "reason": "answered"})
        return max(0.0, entry["at_ms"] - asked_ms)

    def publish(self):
        """One broadcast to all outlets; what has to be done is done before it returns, but the posting."""
        self.count += 1
        road = f"B{self.count}"
        draft = day_out.broadcast(day_out.CLOSURE, road=road, en={**day_out.CLOSURE["en"], "headline": f"{road} closed"},
                                  cy={**day_out.CLOSURE["cy"], "headline": f"{road} ar gau"})
        made = self.writer.do("POST", "/v1/broadcasts", draft)
        path = f"/v1/broadcasts/{made['broadcast']}"
        self.approver.do("POST", f"{path}/approval", {"version": made["version"]})
        self.writer.do("POST", f"{path}/publication", {"version": made["version"]})


def sample(desk, is_hanging, count):
    """(alert ms, reply ms) of so many, each beside a broadcast to all outlets."""
    desk.outlets.control(HANGING, hang=is_hanging)
    alerts, replies = [], []
    for _ in range(count):
        desk.publish()
        alerts.append(desk.alert_ms())
        replies.append(desk.reply_ms())
    return alerts, replies


def measure_outward(bench):
    result = measures.Result()
    count = max(2, int(bench.sizes.urgent_s * 5))
    for _ in range(bench.sizes.rounds):
        desk = Desk(bench)
        try:
            desk.begin()
            sample(desk, False, 2)  # connections, caches
            well = sample(desk, False, count)
            hanging = sample(desk, True, count)
        finally:
            desk.end()
        for what, good, bad in (("urgent alert", well[0], hanging[0]), ("reply", well[1], hanging[1])):
            result.add(f"{what} p50 ms, all outlets well", percentile(good, 0.5))
            result.add(f"{what} p50 ms, one outlet hanging", percentile(bad, 0.5))
            result.add(f"{what} worst ms, all outlets well", max(good))
            result.add(f"{what} worst ms, one outlet hanging", max(bad))
            result.add(f"{what}: one hanging / none, median", percentile(bad, 0.5) / max(percentile(good, 0.5), 0.1))
    for what in ("urgent alert", "reply"):
        result.aim(f"{what}: an outlet that hangs does not delay it", f"{what}: one hanging / none, median", lambda ratio: ratio < 1.5, "< 1.5 ×")
    return result
