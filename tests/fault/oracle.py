"""oracle - the ledger that every row is held against: what was answered 200, what Redis holds, what dispatch accepted.

After healing: the ledger is part of Redis, each id once; every urgent id is in dispatch under one key or named in a digest; nothing
is on its way; each ingest's mark stands at its newest record.
"""
import collections

import ledger

RAISED = "raised.v1"


def is_settled(desk):
    """Nothing is on its way, and each mark in Redis has reached the end of its journal."""
    if not ledger.is_settled(desk):
        return False
    return not marks_behind(desk)


def wait_settled(desk, seconds):
    return ledger.wait_settled(desk, seconds, is_settled)


def marks_behind(desk):
    """{ingest: "marked of newest"} for each whose mark is below its newest record."""
    behind = {}
    for name in desk.processes:
        if not name.startswith("ingest"):
            continue
        status = desk.status(name)
        if not status:
            behind[name] = "silent"
            continue
        marked, newest = status["detail"]["dispatch"]["marked"], status["detail"]["journal"]["newest_sequence"]
        if marked < newest:
            behind[name] = f"{marked} of {newest}"
    return behind


def is_sanitized(build):
    """Whether the programs of a build folder are built with AddressSanitizer or ThreadSanitizer."""
    program = (build / "bin" / "desg-ingest").read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def unwell(desk):
    """What a healed desk must not show: ended processes, a Redis or dispatch that somebody still finds away."""
    found = {}
    for name, process in desk.processes.items():
        if not process.is_alive():
            found[name] = f"ended with {process.popen.returncode}"
            continue
        detail = (desk.status(name) or {}).get("detail") if process.control else {}
        if detail is None:
            found[name] = "silent"
        elif detail.get("redis", {}).get("state", "ready") != "ready":
            found[name] = f"redis {detail['redis']['state']}"
        elif name.startswith("ingest") and not detail["dispatch"]["history_known"]:
            found[name] = "knows no history"
    if not found and desk.desg("status").returncode != 0:
        found["desg status"] = "not whole"
    return found


class Book:
    """One reckoning. poison: labels of messages that must be in quarantine instead of a conversation."""

    def __init__(self, desk, players, poison=()):
        self.desk = desk
        self.players = players
        self.poison = set(poison)
        self.accepted = {}
        for player in players:
            for expected, at in player.accepted.items():
                self.accepted[expected] = min(at, self.accepted.get(expected, at))
        self.held = ledger.Held(desk)
        self.dispatch = ledger.dispatch_ledger(desk)
        self.alerts = {alert for entry in self._first_path() for alert in entry["alerts"]}

    def _first_path(self):
        return [entry for entry in self.dispatch["entries"] if entry["path"] == "/alerts"]

    def event_of(self, expected):
        """The event held for it, or None."""
        found = self.held.find(expected)
        return found[0] if found else None

    def wrong(self, letters):
        """{letter: what is wrong}, by label and id, never by content."""
        found = {}
        assert self.accepted, "nothing was accepted: the row shows nothing"
        if "L" in letters:
            self._put(found, "L", [self._name(e) for e in self.accepted if e.label not in self.poison and not self.held.find(e)],
                      "answered 200 and not held")
            self._put(found, "L", [f"{name}: {why}" for name, why in marks_behind(self.desk).items()], "marks behind")
            self._put(found, "L", [fault for player in self.players for fault in player.faults], "not as a platform expects")
        if "D" in letters:
            ids = collections.Counter(event["event"] for event in self.held.events)
            self._put(found, "D", [event for event, count in ids.items() if count > 1], "ids held twice")
            self._put(found, "D", [self._name(e) for e in self.accepted if len(self.held.find(e)) > 1], "held twice")
        if "U" in letters:
            self._put(found, "U", [f"{self._name(e)} {event['event']}" for e, event in self.urgent()
                                   if ledger.alert_id(event["event"]) not in self.alerts], "urgent and not at dispatch")
            self._put(found, "U", self.alerts_with_two_keys(), "alerts under two keys")
            if self.dispatch["conflicts"]:
                self._put(found, "U", [str(self.dispatch["conflicts"])], "keys that came with another body")
        return found

    @staticmethod
    def _put(found, letter, what, why):
        if what:
            found.setdefault(letter, {})[why] = what[:8] + ([f"… {len(what)} in all"] if len(what) > 8 else [])

    @staticmethod
    def _name(expected):
        return f"{expected.label} {expected.channel} {expected.kind}"

    def urgent(self):
        """[(expected, event)] of what is urgent, by the platforms' word or by the verdict."""
        found = []
        for expected in self.accepted:
            event = self.event_of(expected)
            if event and (expected.is_urgent or (event.get("verdict") or {}).get("severity") in ledger.URGENT):
                found.append((expected, event))
        return found

    def alerts_with_two_keys(self):
        keys = collections.defaultdict(set)
        for entry in self._first_path():
            if entry["type"].endswith(RAISED):
                for alert in entry["alerts"]:
                    keys[alert].add(entry["key"])
        return [alert for alert, used in keys.items() if len(used) > 1]

    def urgent_waits(self, players):
        """Seconds from the first 200 to dispatch, for each urgent message of these players that arrived."""
        at = {}
        for entry in self._first_path():
            for alert in entry["alerts"]:
                at[alert] = min(entry["at"], at.get(alert, entry["at"]))
        waits = []
        for player in players:
            for expected, answered_at in player.accepted.items():
                event = self.event_of(expected)
                arrived = event and at.get(ledger.alert_id(event["event"]))
                if arrived:
                    waits.append(max(0.0, arrived - answered_at))
        return waits
