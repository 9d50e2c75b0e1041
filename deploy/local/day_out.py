"""day_out - what the desk says on the sample day: agents answer people, two of the communications staff publish three broadcasts.

All of it through desk's API, each person with a token of their own. What was asked is kept, so that the ledger can hold it against
what the platforms took.
"""
import json
import secrets
import threading
import time

AGENTS = ("agent-1", "agent-2")
WRITER, APPROVER = "comms-1", "comms-2"
COMMS = "comms"  # their role
HOUR_MS = 3600 * 1000
ANSWERS = {
    "en": "Thank you for telling us. An officer has read your message and we will be in touch. Ref. {number}.",
    "cy": "Diolch am roi gwybod i ni. Mae swyddog wedi darllen eich neges a byddwn mewn cysylltiad. Cyf. {number}.",
}
NEWER = "something newer came"
KEPT_BACK = (NEWER, "the conversation was claimed again")  # what an answer is stale for at the moment it would go out
TRIES = 5

CLOSURE = {
    "kind": "road-closure", "road": "A465", "road_state": "road-closed", "says_ended": True, "may_thread": False,
    "urgency": "Immediate", "severity": "Moderate", "certainty": "Observed",
    "en": {"headline": "A465 closed at Gilwern", "text": "The A465 is closed both ways at Gilwern after a collision.",
           "instruction": "Please use another route.", "area": "A465 at Gilwern", "ended": "The A465 at Gilwern is open again."},
    "cy": {"headline": "A465 ar gau yng Ngilwern", "text": "Mae'r A465 ar gau i'r ddau gyfeiriad yng Ngilwern ar ôl gwrthdrawiad.",
           "instruction": "Defnyddiwch ffordd arall.", "area": "A465 yng Ngilwern", "ended": "Mae'r A465 yng Ngilwern ar agor eto."},
    "area": {"polygon": [{"latitude": 51.81, "longitude": -3.11}, {"latitude": 51.83, "longitude": -3.11},
                         {"latitude": 51.83, "longitude": -3.08}, {"latitude": 51.81, "longitude": -3.08},
                         {"latitude": 51.81, "longitude": -3.11}]},
    "outlets": ["facebook", "x", "mastodon", "subscriber", "radio", "feed"],
}
ADVICE = {
    "kind": "advice", "urgency": "Expected", "severity": "Minor", "certainty": "Likely",
    "en": {"headline": "Parcel text scam", "text": "Texts about a missed parcel are going round. Do not follow the link.",
           "instruction": "Forward them to 7726.", "area": "Gwent"},
    "cy": {"headline": "Sgam neges parsel", "text": "Mae negeseuon am barsel a gollwyd ar led. Peidiwch â dilyn y ddolen.",
           "instruction": "Anfonwch nhw ymlaen i 7726.", "area": "Gwent"},
    "area": {"centre": {"latitude": 51.65, "longitude": -3.0}, "radius_km": 25.0},
    "outlets": ["facebook", "mastodon", "feed"],
}
APPEAL = {
    "kind": "appeal", "urgency": "Immediate", "severity": "Severe", "certainty": "Observed",
    "en": {"headline": "Have you seen this man?", "text": "We are looking for a man of 81 last seen in Cwmbran at noon.",
           "instruction": "Call 101.", "area": "Cwmbran"},
    "cy": {"headline": "A welsoch chi'r dyn hwn?", "text": "Rydym yn chwilio am ddyn 81 oed a welwyd ddiwethaf yng Nghwmbrân ganol dydd.",
           "instruction": "Ffoniwch 101.", "area": "Cwmbrân"},
    "area": {"centre": {"latitude": 51.6536, "longitude": -3.0225}, "radius_km": 5.0},
    "outlets": ["facebook", "x", "mastodon", "feed"],
}


def broadcast(base, starts_at_ms=None, expires_at_ms=None, **changes):
    """A draft as desk's API takes it: from now on, for two hours unless said otherwise."""
    now_ms = int(time.time() * 1000)
    return {**base, "starts_at_ms": starts_at_ms or now_ms, "expires_at_ms": expires_at_ms or now_ms + 2 * HOUR_MS, **changes}


class Refused(Exception):
    """desk said no."""


class Person:
    """One of the staff, at desk's API."""

    def __init__(self, desk, name, roles):
        self.desk, self.name = desk, name
        self.token = desk.admit(name, roles)

    def ask(self, method, path, body=None, key=None):
        """(status, JSON); 503 and no answer are tried again, with the same key."""
        key = key or (secrets.token_hex(16) if method == "POST" else None)
        deadline = time.monotonic() + 60
        while True:
            status, answer = self.desk.ask_desk(method, path, self.token, body, key)
            if status not in (0, 503) or time.monotonic() > deadline:
                return status, json.loads(answer) if answer else {}
            time.sleep(0.1)

    def do(self, method, path, body=None, key=None):
        status, answer = self.ask(method, path, body, key)
        if status >= 300 or status == 0:
            raise Refused(f"{method} {path}: {status} {answer.get('detail', '')}")
        return answer


class Day:
    """Agents at work while the day is played, then the broadcasts. Use as: start(), …, finish(), then look at what was asked."""

    def __init__(self, desk, replies=60, pause_s=0.0):
        """pause_s: between two answers of an agent."""
        self.desk = desk
        self.pause_s = pause_s
        self.replies_wanted = replies
        self.lock = threading.Lock()
        self.items = []  # replies that desk took
        self.refused = 0  # conversations that cannot be answered from here: no address was left, the window has closed
        self.broadcasts = {}  # name -> id
        self.faults = []
        self.is_over = threading.Event()
        self.agents = [Person(desk, name, "agent,supervisor,restricted") for name in AGENTS]
        self.writer, self.approver = (Person(desk, name, COMMS) for name in (WRITER, APPROVER))
        self.threads = [threading.Thread(target=self._answer_people, args=(agent,), daemon=True) for agent in self.agents]
        self.threads.append(threading.Thread(target=self._publish, daemon=True))

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def finish(self, seconds=60.0):
        """Lets the agents finish: no more than so many replies, no longer than so long."""
        deadline = time.monotonic() + seconds
        self.threads[-1].join(seconds)
        while time.monotonic() < deadline and len(self.items) < self.replies_wanted and any(t.is_alive() for t in self.threads):
            time.sleep(0.05)
        self.is_over.set()
        for thread in self.threads:
            thread.join(30)

    def _fault(self, what):
        with self.lock:
            self.faults.append(what)

    # --- replies ---

    def _answer_people(self, agent):
        while not self.is_over.is_set() and len(self.items) < self.replies_wanted:
            status, claimed = agent.ask("POST", "/v1/claims", {})
            if status != 200:
                self.is_over.wait(0.2)
                continue
            try:
                self._answer(agent, claimed["conversation"], claimed["fence"])
                self.is_over.wait(self.pause_s)
            except Refused as no:
                self._fault(str(no))

    def _answer(self, agent, conversation, fence):
        """Answers the newest message, as far as this person can be answered at all; what nobody would read is closed with the reason."""
        reason = "nothing in it to answer"
        for _ in range(TRIES):
            shown = agent.do("GET", f"/v1/conversations/{conversation}")
            said = [event for event in shown["events"] if event["kind"] == "message"]
            if not said:
                break
            status, answer = agent.ask("POST", f"/v1/conversations/{conversation}/replies",
                                       {"fence": fence, "event": said[-1]["event"], "last_event": shown["last_event"],
                                        "text": self._words(agent, said[-1])})
            reason = self._note(status, answer)
            if reason:
                break
        status = 409
        if reason:
            status, _ = agent.ask("POST", f"/v1/conversations/{conversation}/close", {"fence": fence, "reason": reason})
        if status == 409:  # they write faster than they are read: for whoever claims it next
            agent.ask("POST", f"/v1/conversations/{conversation}/release", {"fence": fence})

    def _words(self, agent, message):
        language = "cy" if message.get("verdict", {}).get("language") == "cy" else "en"
        with self.lock:
            return ANSWERS[language].format(number=f"{agent.name}/{len(self.items) + 1}")

    def _note(self, status, answer):
        """What became of one try, in the words to close with; "" if it is to be read again: somebody wrote at that moment."""
        detail = answer.get("detail", "")
        with self.lock:
            if status in (200, 202):
                self.items.append(answer["item"])
                return "answered"
            if status == 409 and detail.startswith(NEWER):
                return ""
            if status == 409:
                self.refused += 1
                return f"not answered: {detail}"[:500]
        self._fault(f"a reply was answered {status} {detail}")
        return "not answered"

    # --- broadcasts ---

    def publish(self, name, draft):
        """Draft, approval by the other one, publication. Returns the broadcast's id."""
        made = self.writer.do("POST", "/v1/broadcasts", draft)
        path = f"/v1/broadcasts/{made['broadcast']}"
        self.approver.do("POST", f"{path}/approval", {"version": made["version"]})
        self.writer.do("POST", f"{path}/publication", {"version": made["version"]})
        with self.lock:
            self.broadcasts[name] = made["broadcast"]
        return made["broadcast"]

    def _publish(self):
        try:
            self.publish("closure", broadcast(CLOSURE))
            self.publish("advice", broadcast(ADVICE))
            appeal = self.publish("appeal", broadcast(APPEAL))
            self._wait_posted(appeal)
            self.writer.do("POST", f"/v1/broadcasts/{appeal}/cancellation", {"reason": "found safe and well"})
        except (Refused, KeyError) as no:
            self._fault(f"a broadcast: {no}")

    def _wait_posted(self, broadcast_id, seconds=30.0):
        """What is cancelled was there before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rows = self.approver.do("GET", f"/v1/broadcasts/{broadcast_id}")["rows"]
            if rows and all(row["state"] == "sent" for row in rows):
                return
            time.sleep(0.1)
        raise Refused("it was not posted everywhere in time")

    # --- the reckoning ---

    def item(self, item):
        """Asked by an agent: what belongs to a restricted conversation is not there for the communications staff."""
        return self.agents[0].do("GET", f"/v1/items/{item}")

    def is_settled(self):
        """Nothing waits at any place any more."""
        places = self.approver.do("GET", "/v1/places")
        return all(row.get("waiting", 0) == 0 for row in places["places"])

    def balance(self):
        """What was asked, held against what the platforms took."""
        entries = self.desk.outlets.entries(operation="")
        took = {entry["object_id"] for entry in entries if entry["op"] == "accept"}
        tasks = {row["item"] for row in self.agents[0].do("GET", "/v1/items?state=task&limit=1000")["items"] if "item" in row}
        told = [self.item(item) for item in self.items]
        sent = sum(self._is_sent(row, took) for row in told)
        stale = sum(self._is_stale(row, tasks) for row in told)
        if sent + stale < len(told):
            self._fault_replies(told, took, tasks)
        published = sum(self._is_published(name, broadcast_id, took) for name, broadcast_id in self.broadcasts.items())
        return {"replies_asked": len(self.items), "replies_sent": sent, "replies_stale": stale, "replies_refused": self.refused,
                "broadcasts_published": published}

    @staticmethod
    def _is_sent(row, took):
        return row["state"] == "sent" and bool(row["object_ids"]) and set(row["object_ids"]) <= took

    @staticmethod
    def _is_stale(row, tasks):
        """Before it went the person wrote again, or its writer gave the conversation back and another one has it: it was kept back, and
        somebody is told to read and answer anew."""
        return row["state"] == "refused" and not row["object_ids"] and row.get("error", "").startswith(KEPT_BACK) and row["item"] in tasks

    def _fault_replies(self, told, took, tasks):
        for row in told:
            if not self._is_sent(row, took) and not self._is_stale(row, tasks):
                missing = set(row["object_ids"]) - took
                self._fault(f"reply {row['item']} is {row['state']} ({row.get('error') or 'no error'}), {len(missing)} of its "
                            f"{len(row['object_ids'])} messages are not there")

    def _is_published(self, name, broadcast_id, took):
        """Each of its outlets had it; what was cancelled stands nowhere any more, or says so."""
        shown = self.approver.do("GET", f"/v1/broadcasts/{broadcast_id}")
        rows = [row for row in shown["rows"] if row["action"] == "post"]
        missing = [row["outlet"] for row in shown["rows"]
                   if row["state"] != "sent" or not all(made in took for made in row["object_ids"] if row["outlet"] != "feed"
                                                        and row["action"] == "post")]
        if missing or not rows:
            self._fault(f"broadcast {name}: not at {', '.join(missing) or 'any outlet'}")
        return bool(rows) and not missing
