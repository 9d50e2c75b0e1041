"""out - what the stories of the way out share: people who write, staff who answer and publish, and what the platforms took of it."""
import json
import pathlib
import secrets
import sys
import time

from desk import CALM_TEXT, TOP, Desk, wait_until

sys.path[:0] = [str(TOP / "deploy" / "local")]
import day_out  # noqa: E402
import outward  # noqa: E402,F401
import platforms  # noqa: E402
import suite  # noqa: E402

AGENT, COMMS, SECOND = "control-room", "comms-1", "comms-2"
ROLES = {COMMS: "comms", SECOND: "comms"}
HOUR_S = 3600
# Short, so that a story need not wait a minute; no receipts, so that what goes out is what the story sends.
QUICK = {"outward": {"unknown_after_s": 3, "lease_ms": 3000, "receipts": {"is_on": False}}}
PLACE = {"facebook": "facebook", "instagram": "instagram", "whatsapp": "whatsapp", "x": "x", "web": "mail"}


class OutDesk(Desk):
    """A desk that answers and publishes, with the platforms beside it."""

    def __init__(self, state, **options):
        options["changes"] = suite.merge(QUICK, options.get("changes") or {})
        super().__init__(state, **{"is_outward": True, "workers": 1, **options})
        self.player = None

    def start(self, names=None):
        super().start(names)
        if "outlets" in (names or self.processes):
            self.outlets.control(retry_after_s=1)  # Meta's usual waits are minutes: a story has not that long
        self.player = self.player or self.make_player()
        return self

    # --- people write ---

    def receive(self, text=CALM_TEXT, channel="facebook", person="p1", hours_ago=0.0, **more):
        """A person writes; returns the conversation once desk shows it."""
        before = set(self.redis_cli("KEYS", "desg:{gwent}:conv:*") or [])
        start_ms = int((time.time() - hours_ago * HOUR_S) * 1000)
        writer = platforms.Writer(secrets.token_hex(4), start_ms)
        item = {**self.item(text, channel, person=person, **more), "at": "00:00:00"}
        delivery = (writer.web(item, False) if channel == "web" else writer.x(item, False) if channel == "x" else
                    writer.whatsapp([item]) if channel == "whatsapp" else writer.meta([item]))
        assert self.player.post({}, 0, delivery), self.player.faults
        expected = delivery.expected[0]

        def conversation():
            for key in set(self.redis_cli("KEYS", "desg:{gwent}:conv:*") or []) - before or before:
                name = key.rsplit(":", 1)[1]
                shown = self.desg("show", name, "--json")
                if shown.returncode == 0 and any(event.get("object_id") == expected.object_id
                                                 for event in json.loads(shown.stdout)["events"]):
                    return name
            return None
        return wait_until(conversation, 60, "the conversation of a message")

    # --- staff ---

    def token(self, agent):
        if not self.token_path(agent).exists():
            return self.admit(agent, ROLES.get(agent, "agent,supervisor,restricted,auditor"))
        return self.token_path(agent).read_text("ascii").strip()

    def ask(self, method, path, body=None, agent=AGENT, key=None):
        """(status, JSON)"""
        key = key or (secrets.token_hex(16) if method == "POST" else None)
        status, answer = self.ask_desk(method, path, self.token(agent), body, key)
        return status, json.loads(answer) if answer else {}

    def do(self, method, path, body=None, agent=AGENT, key=None):
        """The answer; while desk or Redis is away it is asked again, with the same key, as any client would."""
        key = key or (secrets.token_hex(16) if method == "POST" else None)
        deadline = time.monotonic() + 90
        while True:
            status, answer = self.ask(method, path, body, agent, key)
            if 200 <= status < 300:
                return answer
            assert status in (0, 503) and time.monotonic() < deadline, f"{method} {path}: {status} {answer}"
            time.sleep(0.05)

    def claim(self, conversation, agent=AGENT):
        return self.do("POST", "/v1/claims", {"conversation": conversation}, agent)["fence"]

    def say(self, conversation, text, fence=None, agent=AGENT, **more):
        """Answers; returns the item's id."""
        fence = fence or self.claim(conversation, agent)
        answer = self.do("POST", f"/v1/conversations/{conversation}/replies", {"fence": fence, "text": text, **more}, agent)
        return item_of(answer)

    def item_now(self, item):
        status, told = self.ask("GET", f"/v1/items/{item}")
        return told if status == 200 else {"state": f"answered {status}"}

    def wait_item(self, item, *states, seconds=60):
        """Waits until the item is in one of these states."""
        def told():
            now = self.item_now(item)
            return now if now["state"] in states else None
        try:
            return wait_until(told, seconds, f"item {item} {' or '.join(states)}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.item_now(item)}") from None

    def waiting(self, state):
        return [row["item"] for row in self.do("GET", f"/v1/items?state={state}")["items"]]

    def took(self, *places, operation="accept"):
        return self.outlets.entries(*places, operation=operation)

    def sent_to(self, channel):
        """What the platform of that channel took for persons."""
        return [entry for entry in self.took(PLACE[channel]) if entry["kind"] == "message"]

    # --- broadcasts ---

    def draft(self, base=None, agent=COMMS, **changes):
        """(broadcast, version)"""
        answer = self.do("POST", "/v1/broadcasts", day_out.broadcast(base or day_out.CLOSURE, **changes), agent)
        return answer["broadcast"], answer["version"]

    def approve(self, broadcast, version, agent=SECOND):
        return self.do("POST", f"/v1/broadcasts/{broadcast}/approval", {"version": version}, agent)

    def publish(self, broadcast, version, agent=COMMS):
        return self.do("POST", f"/v1/broadcasts/{broadcast}/publication", {"version": version}, agent)

    def release(self, base=None, **changes):
        """Drafted, approved, published."""
        broadcast, version = self.draft(base, **changes)
        self.approve(broadcast, version)
        self.publish(broadcast, version)
        return broadcast

    def update(self, broadcast, base=None, **changes):
        answer = self.do("POST", f"/v1/broadcasts/{broadcast}/versions", day_out.broadcast(base or day_out.CLOSURE, **changes), COMMS)
        self.approve(broadcast, answer["version"])
        self.publish(broadcast, answer["version"])
        return answer["version"]

    def cancel(self, broadcast, reason="over"):
        return self.do("POST", f"/v1/broadcasts/{broadcast}/cancellation", {"reason": reason}, COMMS)

    def shown(self, broadcast):
        return self.do("GET", f"/v1/broadcasts/{broadcast}", agent=COMMS)

    def rows(self, broadcast, action="post", version=None):
        """{outlet: row} of an action."""
        return {row["outlet"]: row for row in self.shown(broadcast)["rows"]
                if row["action"] == action and version in (None, row["version"])}

    def wait_rows(self, broadcast, states, action="post", version=None, seconds=90):
        """Waits until each outlet named is in its state: {outlet: state}."""
        def are_so():
            rows = self.rows(broadcast, action, version)
            return rows if all(rows.get(outlet, {}).get("state") == state for outlet, state in states.items()) else None
        try:
            return wait_until(are_so, seconds, f"{action} of {broadcast}: {states}")
        except AssertionError as error:
            now = {outlet: (row["state"], row.get("error")) for outlet, row in self.rows(broadcast, action, version).items()}
            raise AssertionError(f"{error}; they are {now}") from None


def item_of(answer):
    """A reply's item has the id of the fact that decided it."""
    return answer.get("item") or answer["fact"]


def all_sent(outlets):
    return {outlet: "sent" for outlet in outlets}


def logs(desk):
    return "".join(pathlib.Path(process.log).read_text("utf-8", "replace") for process in desk.processes.values())
