"""platforms - the platforms' side of a day: turns invented messages into the webhooks Facebook, Instagram, WhatsApp, X and a web
form would send, signs them as they do, and posts them with retries, duplicates, re-batching and wrong signatures.

Everything is decided by a seed. What was answered 200 is recorded: the ledger that the rest of the system is held against.
"""
import base64
import collections
import hashlib
import hmac
import http.client
import json
import pathlib
import queue
import random
import threading
import time
import urllib.parse

PAGE = "108800000000001"
INSTAGRAM = "178414000000001"
BUSINESS = "880000000000001"
PHONE = "770000000000001"
X_ACCOUNT = "3001"

# One thing the platform says happened, as the ledger knows it: what Desg must hold exactly once.
Expected = collections.namedtuple("Expected", "label channel kind object_id target edit_version is_urgent")


def load_day(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def meta_json(value):
    """As Meta writes it on the wire: escaped, lower-case hex, and the slash, too."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode("ascii")


class Secrets:
    """What the platforms share with the force."""

    def __init__(self, meta_app, x_consumer, web_form):
        self.meta_app = meta_app.encode()
        self.x_consumer = x_consumer.encode()
        self.web_form = web_form.encode()


class Delivery:
    """One POST: path, body, the events in it. Headers are made at sending time (the web form signs a time stamp)."""

    def __init__(self, path, body, expected, content_type="application/json", submission=None):
        self.path = path
        self.body = body
        self.expected = expected
        self.content_type = content_type
        self.submission = submission
        self.trace = ""  # traceparent sent along

    def headers(self, secrets, is_forged=False):
        spoil = (lambda mac: bytes([mac[0] ^ 1]) + mac[1:]) if is_forged else (lambda mac: mac)
        headers = {"Content-Type": self.content_type, "Connection": "keep-alive"}
        if self.path == "/hooks/x":
            mac = spoil(hmac.digest(secrets.x_consumer, self.body, "sha256"))
            headers["x-twitter-webhooks-signature"] = "sha256=" + base64.b64encode(mac).decode()
        elif self.path.startswith("/hooks/"):
            mac = spoil(hmac.digest(secrets.meta_app, self.body, "sha256"))
            headers["X-Hub-Signature-256"] = "sha256=" + mac.hex()
        else:
            stamp = str(int(time.time()))
            mac = spoil(hmac.digest(secrets.web_form, stamp.encode() + b"." + self.body, "sha256"))
            headers["X-Desk-Timestamp"] = stamp
            headers["X-Desk-Signature-256"] = "sha256=" + mac.hex()
            if self.submission:
                headers["Idempotency-Key"] = f'"{self.submission}"'
        if self.trace:
            headers["traceparent"] = self.trace
        return headers


class Writer:
    """Makes the platforms' bodies of a day. run distinguishes one playing of the day from the next."""

    def __init__(self, run, start_ms):
        self.run = run
        self.start_ms = start_ms
        self.edits = collections.Counter()

    def mid(self, label):
        return f"m_{self.run}_{label}"

    def person(self, item, width=16):
        number = int(hashlib.sha256(item["person"].encode()).hexdigest()[:12], 16)
        return str(number)[:width].rjust(width, "6")

    def at_ms(self, item):
        hours, minutes, seconds = (int(part) for part in item["at"].split(":"))
        return self.start_ms + ((hours * 60 + minutes) * 60 + seconds) * 1000

    def expected(self, item, kind, object_id, target="", edit_version=0):
        return Expected(item["id"], item["channel"], kind, object_id, target, edit_version, bool(item.get("urgent")))

    # --- Meta ---

    def messaging(self, item):
        """One element of messaging[] for Facebook or Instagram, and what is expected of it."""
        account = PAGE if item["channel"] == "facebook" else INSTAGRAM
        frame = {"sender": {"id": self.person(item)}, "recipient": {"id": account}, "timestamp": self.at_ms(item)}
        mid, target = self.mid(item["id"]), self.mid(item.get("target") or "")
        kind = item["kind"]
        if kind == "edit":
            self.edits[target] += 1
            frame["message_edit"] = {"mid": target, "text": item["text"], "num_edit": self.edits[target]}
            return account, frame, self.expected(item, "edit", target, target, self.edits[target])
        if kind == "unsend" and item["channel"] == "instagram":
            frame["message"] = {"mid": target, "is_deleted": True}
            return account, frame, self.expected(item, "unsend", target, target)
        if kind == "reaction":
            frame["reaction"] = {"reaction": "other", "emoji": item["text"] or "👍", "action": "react", "mid": target}
            return account, frame, self.expected(item, "reaction", "", target)
        if kind == "postback":
            frame["postback"] = {"mid": mid, "title": item["text"], "payload": "GET_STARTED"}
            return account, frame, self.expected(item, "postback", mid)
        frame["message"] = {"mid": mid, "text": item["text"]}
        return account, frame, self.expected(item, "message", mid)

    def change(self, item):
        """One element of changes[]: a comment or mention."""
        comment = f"222{int(hashlib.sha256((self.run + item['id']).encode()).hexdigest()[:10], 16)}_333"
        if item["channel"] == "instagram":
            value = {"id": comment, "from": {"id": self.person(item), "username": item["person"]}, "text": item["text"],
                     "media": {"id": "17900000000000001", "media_product_type": "FEED"}}
            return INSTAGRAM, {"field": "comments", "value": value}, self.expected(item, "comment", comment)
        value = {"from": {"id": self.person(item), "name": item["person"]}, "item": "comment", "verb": "add",
                 "post_id": f"{PAGE}_222", "comment_id": comment, "parent_id": f"{PAGE}_222", "message": item["text"],
                 "created_time": self.at_ms(item) // 1000}
        if item["kind"] == "mention":
            value.update({"sender_id": self.person(item), "sender_name": item["person"]})
            return PAGE, {"field": "mention", "value": value}, self.expected(item, "mention", comment)
        return PAGE, {"field": "feed", "value": value}, self.expected(item, "comment", comment)

    def meta(self, items):
        """One body of object page or instagram for items of one of these channels."""
        entries, expected = [], []
        for item in items:
            is_public = item["kind"] in ("comment", "mention")
            account, part, event = self.change(item) if is_public else self.messaging(item)
            entries.append({"id": account, "time": self.at_ms(item) + 200, "changes" if is_public else "messaging": [part]})
            expected.append(event)
        channel = items[0]["channel"]
        body = meta_json({"object": "page" if channel == "facebook" else "instagram", "entry": entries})
        return Delivery(f"/hooks/{channel}", body, expected)

    def whatsapp(self, items):
        messages, contacts, expected = [], [], []
        for item in items:
            number = "447700900" + self.person(item)[-3:]
            wamid, target = f"wamid.{self.run}{item['id']}", f"wamid.{self.run}{item.get('target') or ''}"
            message = {"from": number, "id": wamid, "timestamp": str(self.at_ms(item) // 1000)}
            event = self.expected(item, "message", wamid)
            if item["kind"] == "edit":
                self.edits[target] += 1
                message.update({"type": "edit", "edit": {"original_message_id": target, "message": {
                    "type": "text", "text": {"body": item["text"]}}}})
                event = self.expected(item, "edit", target, target)
            elif item["kind"] == "unsend":
                message.update({"type": "revoke", "revoke": {"original_message_id": target}})
                event = self.expected(item, "unsend", target, target)
            elif item["kind"] == "reaction":
                message.update({"type": "reaction", "reaction": {"message_id": target, "emoji": item["text"] or "👍"}})
                event = self.expected(item, "reaction", "", target)
            elif item["kind"] == "postback":
                message.update({"type": "button", "button": {"payload": "START", "text": item["text"]}})
                event = self.expected(item, "postback", wamid)
            else:
                message.update({"type": "text", "text": {"body": item["text"]}})
            messages.append(message)
            contacts.append({"profile": {"name": item["person"]}, "wa_id": number})
            expected.append(event)
        value = {"messaging_product": "whatsapp", "metadata": {"display_phone_number": "441492000000", "phone_number_id": PHONE},
                 "contacts": contacts, "messages": messages}
        body = meta_json({"object": "whatsapp_business_account", "entry": [
            {"id": BUSINESS, "changes": [{"field": "messages", "value": value}]}]})
        return Delivery("/hooks/whatsapp", body, expected)

    # --- X ---

    def x_number(self, label):
        return str(1900000000000000000 + int(hashlib.sha256((self.run + label).encode()).hexdigest()[:12], 16))

    def x(self, item, is_envelope):
        """A direct message or mention, in the classic body or the newer envelope. One event a body, as X does."""
        number, sender = self.x_number(item["id"]), self.person(item, 10)
        if item["kind"] in ("mention", "comment"):
            post = {"created_at": time.strftime("%a %b %d %H:%M:%S +0000 %Y", time.gmtime(self.at_ms(item) / 1000)),
                    "id": int(number), "id_str": number, "text": item["text"], "truncated": False,
                    "user": {"id_str": sender, "name": item["person"], "screen_name": item["person"]},
                    "entities": {"user_mentions": [{"screen_name": "force", "id_str": X_ACCOUNT, "indices": [0, 6]}]},
                    "timestamp_ms": str(self.at_ms(item))}
            body = {"for_user_id": X_ACCOUNT, "tweet_create_events": [post]}
            return Delivery("/hooks/x", json.dumps(body, ensure_ascii=False).encode(), [self.expected(item, "mention", number)])
        event = {"type": "message_create", "id": number, "created_timestamp": str(self.at_ms(item)), "message_create": {
            "target": {"recipient_id": X_ACCOUNT}, "sender_id": sender, "message_data": {
                "text": item["text"], "entities": {"hashtags": [], "symbols": [], "user_mentions": [], "urls": []}}}}
        if is_envelope:
            body = {"data": {"event_uuid": "-" + number, "filter": {"user_id": X_ACCOUNT}, "event_type": "dm.received",
                             "tag": "desk-dm", "payload": {"direct_message_events": [event], "users": {
                                 sender: {"data": {"id": sender, "username": item["person"], "name": item["person"]}}}}}}
        else:
            body = {"for_user_id": X_ACCOUNT, "direct_message_events": [event], "users": {
                sender: {"id": sender, "name": item["person"], "screen_name": item["person"]}}}
        return Delivery("/hooks/x", json.dumps(body, ensure_ascii=False).encode(), [self.expected(item, "message", number)])

    # --- the force's web form ---

    def web(self, item, is_form):
        submission = f"w-{self.run}-{item['id']}"
        language = {"cy": "cy-GB", "en": "en-GB"}.get(item.get("lang"), "")
        event = self.expected(item, "message", submission)
        if is_form:
            body = urllib.parse.urlencode({"id": submission, "language": language, "name": item["person"],
                                           "text": item["text"]}).encode()
            return Delivery("/v1/intake/web", body, [event], "application/x-www-form-urlencoded", submission)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at_ms(item) / 1000))
        body = json.dumps({"id": submission, "submitted_at": stamp, "language": language, "name": item["person"],
                           "contact": {"email": f"{item['person']}@mail.example"}, "text": item["text"]},
                          ensure_ascii=False).encode()
        return Delivery("/v1/intake/web", body, [event], submission=submission)


class Planner:
    """Splits a day into deliveries: some bodies hold several events, some come twice, some come again batched otherwise."""

    def __init__(self, day, seed, run, start_ms, duplicate_share=0.05, rebatch_share=0.05, forge_share=0.01):
        self.random = random.Random(seed)
        self.writer = Writer(run, start_ms)
        self.shares = (duplicate_share, rebatch_share, forge_share)
        self.day = day

    def deliveries(self):
        """[(item time as share of the day, Delivery, is_forged)] in order of sending."""
        plan = []
        waiting = collections.defaultdict(list)
        for item in self.day:
            channel = item["channel"]
            if channel in ("facebook", "instagram", "whatsapp"):
                waiting[channel].append(item)
                if self.random.random() < 0.7 or len(waiting[channel]) == 4:
                    self._add_meta(plan, waiting.pop(channel))
            elif channel == "x":
                self._add(plan, item, self.writer.x(item, self.random.random() < 0.5))
            else:
                self._add(plan, item, self.writer.web(item, self.random.random() < 0.4))
        for items in waiting.values():
            self._add_meta(plan, items)
        return plan

    def _add_meta(self, plan, items):
        make = self.writer.whatsapp if items[0]["channel"] == "whatsapp" else self.writer.meta
        edits = self.writer.edits.copy()
        self._add(plan, items[-1], make(items))
        if self.random.random() < self.shares[1]:  # the same events again, one by one
            self.writer.edits = edits
            for item in items:
                self._add(plan, item, make([item]), is_extra=True)

    def _add(self, plan, item, delivery, is_extra=False):
        share = (self.writer.at_ms(item) - self.writer.start_ms) / 86400000
        if not is_extra and self.random.random() < self.shares[2]:
            plan.append((share, delivery, True))
        plan.append((share, delivery, False))
        if self.random.random() < self.shares[0]:
            plan.append((share, delivery, False))


class Player:
    """Posts deliveries over a few kept-alive connections to one or more ingests and keeps the ledger."""

    def __init__(self, addresses, secrets, connections=8, patience_s=120.0):
        self.addresses = addresses  # [(host, port)]
        self.secrets = secrets
        self.connections = connections
        self.patience_s = patience_s
        self.lock = threading.Lock()
        self.accepted = {}  # Expected -> time of the first 200
        self.posts = 0
        self.events_answered = 0  # 200s count each event of each delivery, again for a repeat
        self.retries = 0
        self.forged_refused = 0
        self.faults = []  # what should not have been
        self.is_stopping = False
        self.is_enough = False

    def play(self, plan, seconds=0.0, progress=None):
        """Posts the plan spread over seconds (0: at full speed). Returns when each delivery that was begun was answered 200."""
        jobs = queue.Queue()
        threads = [threading.Thread(target=self._work, args=(jobs, n), daemon=True) for n in range(self.connections)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        for number, (share, delivery, is_forged) in enumerate(plan):
            while seconds and not self.is_over() and time.monotonic() < began + share * seconds:
                time.sleep(min(0.05, max(0.001, began + share * seconds - time.monotonic())))
            if self.is_over():
                break
            jobs.put((delivery, is_forged))
            if progress:
                progress(number + 1, len(plan))
        for _ in threads:
            jobs.put(None)
        for thread in threads:
            thread.join()

    def is_over(self):
        """No more of the plan is begun: with is_enough what was begun is posted until it is answered, with is_stopping it is dropped."""
        return self.is_stopping or self.is_enough

    def _work(self, jobs, number):
        pool = {}
        while (job := jobs.get()) is not None:
            self.post(pool, number, *job)
        for connection in pool.values():
            connection.close()

    def post(self, pool, number, delivery, is_forged=False):
        """Until it is answered 200 (or 403 for a forged one), as the platforms retry."""
        deadline = time.monotonic() + self.patience_s
        attempt = 0
        while not self.is_stopping:
            address = self.addresses[(number + attempt) % len(self.addresses)]
            status = self._post_once(pool, address, delivery, is_forged)
            if status == 200 and not is_forged:
                self._record(delivery)
                return True
            if is_forged and status in (401, 403):
                with self.lock:
                    self.forged_refused += 1
                return True
            if status is not None and status < 500 and status != 429:
                with self.lock:
                    self.faults.append(f"{delivery.path}: {'forged ' if is_forged else ''}delivery answered {status}")
                return False
            if time.monotonic() > deadline:
                with self.lock:
                    self.faults.append(f"{delivery.path}: not answered 200 within {self.patience_s:g} s")
                return False
            with self.lock:
                self.retries += 1
            time.sleep(min(1.0, 0.02 * 2 ** min(attempt, 6)))
            attempt += 1
        return False

    def _post_once(self, pool, address, delivery, is_forged):
        connection = pool.get(address)
        if connection is None:
            connection = pool[address] = http.client.HTTPConnection(*address, timeout=10)
        with self.lock:
            self.posts += 1
        try:
            connection.request("POST", delivery.path, delivery.body, delivery.headers(self.secrets, is_forged))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            connection.close()
            pool.pop(address, None)
            return None

    def _record(self, delivery):
        now = time.time()
        with self.lock:
            self.events_answered += len(delivery.expected)
            for event in delivery.expected:
                self.accepted.setdefault(event, now)


def secrets_from(directory):
    read = lambda name: (pathlib.Path(directory) / name).read_text("ascii").strip()
    return Secrets(read("meta-app"), read("x-consumer"), read("web-form"))
