"""ledger - holds what the platforms were told (200) against what Desg holds and what dispatch accepted.

An event that was answered 200 and is not in Redis exactly once is missing (or doubled); an urgent one must be in dispatch's
ledger under its alert id, alone or named by a digest.
"""
import concurrent.futures
import hashlib
import hmac
import http.client
import json
import time

URGENT = ("urgent", "life-at-risk")


def alert_id(event_id):
    """The alert id of an event: from the event id alone (lib/ids)."""
    return hmac.digest(b"desg alert", bytes.fromhex(event_id), hashlib.sha256)[:16].hex()


class Held:
    """All events in Redis, through the desg command, as an agent would see them."""

    def __init__(self, suite):
        self.events = []
        prefix = "desg:{gwent}:conv:"
        ids = [key[len(prefix):] for key in suite.redis_cli("KEYS", prefix + "*") or []]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            conversations = list(pool.map(lambda name: self._show(suite, name), ids))
        for conversation in conversations:
            for event in conversation["events"]:
                event["queue"] = conversation.get("queue", "")
                event["state"] = conversation.get("state", "")
                self.events.append(event)
        self.quarantined = {row["event"] for row in json.loads(suite.desg("quarantine", "list", "--json").stdout or "[]")}
        self.index = {}
        for event in self.events:
            for key in self._keys(event):
                self.index.setdefault(key, []).append(event)

    @staticmethod
    def _show(suite, name):
        shown = suite.desg("show", name, "--json")
        if shown.returncode != 0:
            raise RuntimeError(f"desg show {name}: {shown.stderr}")
        return json.loads(shown.stdout)

    @staticmethod
    def _keys(event):
        kind, channel = event["kind"], event.get("channel", "")
        if kind in ("unsend", "reaction"):
            yield channel, kind, event.get("target_object_id", "")
        elif kind == "edit":
            yield channel, kind, event.get("target_object_id") or event.get("object_id"), event.get("edit_version", 0)
        else:
            yield channel, kind, event.get("object_id", "")

    def find(self, expected):
        """The events held for one that the platform told of: exactly one if all is well."""
        if expected.kind in ("unsend", "reaction"):
            key = (expected.channel, expected.kind, expected.target)
        elif expected.kind == "edit" and expected.edit_version:
            key = (expected.channel, expected.kind, expected.target, expected.edit_version)
        elif expected.kind == "edit":
            return [event for event in self.events if event["kind"] == "edit" and event["channel"] == expected.channel
                    and expected.target in (event.get("target_object_id"), event.get("object_id"))]
        else:
            key = (expected.channel, expected.kind, expected.object_id)
        return self.index.get(key, [])


def dispatch_ledger(suite):
    connection = http.client.HTTPConnection(suite.dispatch_host, suite.ports["dispatch"], timeout=30)
    connection.request("GET", "/ledger")
    ledger = json.loads(connection.getresponse().read())
    connection.close()
    return ledger


def accepted_alerts(suite):
    """Alert ids that the dispatch system accepted on its first path, alone or in a digest."""
    return {alert for entry in dispatch_ledger(suite)["entries"] if entry["path"] == "/alerts" for alert in entry["alerts"]}


def is_settled(suite):
    """Nothing is on its way any more."""
    for name, process in suite.processes.items():
        if not process.is_alive():
            return False
        if name.startswith("ingest"):
            status = suite.status(name)
            dispatch = status and status["detail"].get("dispatch")
            if not dispatch or dispatch["done_through"] < status["detail"]["journal"]["newest_sequence"] or any(
                    dispatch[key] for key in ("unloaded_records", "held_events", "deferred_records", "provisional_records")):
                return False
        elif name.startswith("notify"):
            status = suite.status(name)
            if not status or status["detail"].get("alerts_unaccepted", 0):
                return False
    return not (suite.redis_cli("XLEN", "desg:{gwent}:alerts") or 0)


def wait_settled(suite, seconds=60.0, is_quiet=is_settled):
    """Polls until is_quiet(suite) three times in a row; False if it never was."""
    deadline = time.monotonic() + seconds
    quiet = 0
    while time.monotonic() < deadline:
        quiet = quiet + 1 if is_quiet(suite) else 0
        if quiet == 3:
            return True
        time.sleep(0.1)
    return False


def balance(suite, player):
    """The ledger as one dict, with what is missing by label (never by content)."""
    held = Held(suite)
    alerts = accepted_alerts(suite)
    missing, doubled, late, urgent, queued, found_events = [], [], [], 0, 0, 0
    for expected in player.accepted:
        found = held.find(expected)
        if not found:
            missing.append(f"{expected.label} {expected.channel} {expected.kind}")
            continue
        if len(found) > 1:
            doubled.append(f"{expected.label} {expected.channel} {expected.kind}")
        found_events += 1
        event = found[0]
        queued += event["queue"] != ""
        if expected.is_urgent or (event.get("verdict") or {}).get("severity") in URGENT:
            urgent += 1
            if alert_id(event["event"]) not in alerts:
                late.append(f"{expected.label} event {event['event']}")
    return {
        "accepted": len(player.accepted), "events": found_events, "queued": queued, "urgent": urgent,
        "alerts_accepted": urgent - len(late), "duplicates_collapsed": player.events_answered - len(player.accepted),
        "quarantined": len(held.quarantined), "missing": len(missing) + len(doubled),
        "missing_events": missing, "doubled_events": doubled, "urgent_not_accepted": late, "faults": player.faults,
    }


def is_clean(ledger):
    return not ledger["missing"] and not ledger["urgent_not_accepted"] and not ledger["faults"]
