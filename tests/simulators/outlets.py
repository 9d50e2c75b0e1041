"""outlets - the platforms' way out, to test against: takes replies and posts as they do, and can be slow, full, deaf or dead.

Each place (--places, a JSON file: name -> {kind, account, secrets: {name: file}}) has its own path /<name>/…; behind it is what
outlet_apis.py knows. What a place took is in the ledger file, one JSON object a line: {place, op (accept, change, remove), kind,
ref, object_id, person, text_sha256, key, parent, language, tag, told, at_ms}. That is the oracle for "posted twice".

POST /control     {"place": name ("" for all), option: value …}; answers the options in force, by place.
GET  /ledger      what was taken and by whom. GET /objects?place=: what stands there now, with its text.
GET  /requests    how many requests each place had, by method and status. GET /ready: 200.
POST /comment     {"place", "object_id", "text", "person"}: somebody answers a post: the webhook goes to ingest, signed.

Options: slow_ms (before anything), hang (takes nothing, answers nothing), lost_share (not taken, no answer), cut_share
(not taken, connection reset), silent_share (taken,
no answer), reset_share (taken, connection reset), error_share (not taken, 503), limited_share (429, at random), rate_limit and
rate_window_s, retry_after_s (said with it; no platform promises that), token_dead, is_restricted, refuses_edit, refuses_delete, refuses_duplicates, window_closed (all, or a list of
persons), has_human_agent, gone (persons that cannot be reached), characters_max, has_echo, echo_delay_ms, echo_share, seed.
"""
import argparse
import base64
import collections
import http.client
import http.server
import json
import pathlib
import queue
import random
import select
import socket
import struct
import threading
import time
import urllib.parse

import outlet_apis as apis

DEFAULTS = {"slow_ms": 0, "hang": False, "lost_share": 0.0, "cut_share": 0.0, "silent_share": 0.0, "reset_share": 0.0, "error_share": 0.0,
            "limited_share": 0.0, "rate_limit": 0, "rate_window_s": 1.0, "retry_after_s": 0, "token_dead": False, "is_restricted": False,
            "refuses_edit": False, "refuses_delete": False, "refuses_duplicates": True, "window_closed": False,
            "has_human_agent": True, "gone": [], "characters_max": 500, "has_echo": True, "echo_delay_ms": 5, "echo_share": 1.0,
            "seed": 1}
SILENCE_S = 60.0  # the longest that a connection is kept without an answer
HOOKS = {"facebook": "/hooks/facebook", "instagram": "/hooks/instagram", "whatsapp": "/hooks/whatsapp", "x": "/hooks/x"}


def now_ms():
    return int(time.time() * 1000)


def meta_json(value):
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode("ascii")


class Silence(Exception):
    """No answer is given, though what came may have been taken."""

    def __init__(self, is_reset):
        super().__init__()
        self.is_reset = is_reset


class Ledger:
    """What the places took, in order, in a file over restarts."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.lock = threading.Lock()
        self.entries = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()] if self.path.exists() else []
        self.file = self.path.open("a", encoding="utf-8")
        self.request = threading.local()  # trace: the traceparent of what this thread serves

    def add(self, entry):
        entry = {**entry, "trace": getattr(self.request, "trace", "")}
        with self.lock:
            self.entries.append(entry)
            self.file.write(json.dumps(entry) + "\n")
            self.file.flush()

    def all(self, place=None):
        with self.lock:
            return [entry for entry in self.entries if place in (None, entry["place"])]


class Place:
    """One account or outlet at its platform."""

    def __init__(self, name, about, ledger, echoes):
        self.name, self.kind, self.account = name, about["kind"], about.get("account", "")
        self.secrets = {key: pathlib.Path(path).read_text("ascii").strip() for key, path in about.get("secrets", {}).items()}
        self.ledger, self.echoes = ledger, echoes
        self.options = dict(DEFAULTS)
        self.random = random.Random(f"{self.options['seed']}/{name}")
        self.lock = threading.RLock()
        self.objects = collections.OrderedDict()  # object_id -> what stands there
        self.keys = {}
        self.nonces = set()
        self.requests = collections.Counter()
        self.reuses = 0
        self.made = sum(entry["op"] == "accept" for entry in ledger.all(name))
        self.window = (0.0, 0)  # when it began, requests in it
        self.current = threading.local()

    def secret(self, name):
        return self.secrets[name]

    def control(self, changes):
        unknown = set(changes) - set(DEFAULTS)
        if unknown:
            raise ValueError(f"unknown options {sorted(unknown)}")
        with self.lock:
            self.options.update(changes)
            if "rate_limit" in changes:
                self.window = (0.0, 0)
            if "seed" in changes:
                self.random = random.Random(f"{changes['seed']}/{self.name}")

    def draws(self, option):
        with self.lock:
            return self.options[option] > 0 and self.random.random() < self.options[option]

    # --- what the routes ask ---

    def use(self):
        """Counts one request. (percent of the limit used with it: above 100 is too many; when the window ends, Unix seconds)"""
        limit, length = self.options["rate_limit"], self.options["rate_window_s"]
        with self.lock:
            began, count = self.window
            if time.time() >= began + length:
                began, count = time.time(), 0
            self.window = (began, count + 1)
            reset_s = int(began + length) + 1
            if self.draws("limited_share"):
                used, reset_s = 101, int(time.time()) + 1
            else:
                used = 100 * (count + 1) // limit if limit else 1
            self.current.is_limited = used > 100
            return used, reset_s

    def usage(self):
        """Percent of Meta's long windows, as its headers tell it: at 100 a sender had better wait for minutes. Our windows are short."""
        limit, count = self.options["rate_limit"], self.window[1]
        return min(100, 100 * count // limit) if limit and not self.options["retry_after_s"] else 1

    def is_new_nonce(self, nonce):
        with self.lock:
            is_new = nonce != "" and nonce not in self.nonces
            self.nonces.add(nonce)
            return is_new

    def is_window_closed(self, person):
        closed = self.options["window_closed"]
        return person in closed if isinstance(closed, list) else closed

    def texts(self, kind):
        """Of what stands there, newest first."""
        return [made["text"] for made in self.newest(kind, len(self.objects))]

    def newest(self, kind, limit=None):
        with self.lock:
            return [made for made in reversed(self.objects.values()) if made["kind"] == kind][:limit]

    def accept(self, kind, prefix, text, **more):
        """From here on the platform has it. A known idempotency key gives what it gave before."""
        with self.lock:
            key = more.get("key", "")
            known = self.keys.get(key) if key else None
            if known:
                if known["text"] != text:
                    raise apis.Refusal(422, {"error": "the key came with another body"})
                self.reuses += 1
                self._tell()
                return known
            self.made += 1
            made = {"kind": kind, "object_id": f"{prefix}{self.made:06d}", "text": text, "at_ms": now_ms(), "ref": "", "person": "",
                    "key": "", "parent": "", "language": "", "tag": "", "answers": "", **more}
            self.objects[made["object_id"]] = made
            if key:
                self.keys[key] = made
            self._write("accept", made)
            return made

    def change(self, object_id, text):
        with self.lock:
            self.objects[object_id]["text"] = text
            self._write("change", self.objects[object_id])
            return self.objects[object_id]

    def remove(self, object_id):
        with self.lock:
            made = self.objects.pop(object_id)
            self._write("remove", made)
            return made

    def _tell(self):
        told = "silence" if self.draws("silent_share") else "reset" if self.draws("reset_share") else "answer"
        self.current.told = told
        return told

    def _write(self, operation, made):
        entry = {key: value for key, value in made.items() if key != "text"}
        self.ledger.add({**entry, "place": self.name, "op": operation, "text_sha256": apis.digest(made["text"]),
                         "told": self._tell(), "at_ms": now_ms()})

    def echo(self, made, metadata=""):
        if self.kind in HOOKS and self.options["has_echo"] and not (self.options["echo_share"] < 1 and not self.draws("echo_share")):
            self.echoes.put(self.options["echo_delay_ms"] / 1000, HOOKS[self.kind], echo_body(self, made, metadata))

    # --- one request ---

    def handle(self, request, path):
        """The answer; Silence if there is none."""
        if self.options["slow_ms"]:
            time.sleep(self.options["slow_ms"] / 1000)
        if self.options["hang"] or (request.method != "GET" and self.draws("lost_share")):
            raise Silence(is_reset=False)
        if request.method != "GET" and self.draws("cut_share"):
            raise Silence(is_reset=True)
        if request.method != "GET" and self.draws("error_share"):
            return apis.Answer(503, {"error": {"message": "Service temporarily unavailable", "type": "OAuthException", "code": 2}})
        function, named = apis.find(self.kind, request.method, path)
        if function is None:
            return apis.Answer(404, {"error": "no such path"})
        self.current.told, self.current.is_limited = "answer", False
        try:
            answer = function(self, request, **named)
        except apis.Refusal as refusal:
            answer = refusal.answer
        if self.current.is_limited and self.options["retry_after_s"]:
            answer.headers.append(("Retry-After", str(self.options["retry_after_s"])))
        if self.current.told != "answer":
            raise Silence(is_reset=self.current.told == "reset")
        return answer


# --- what comes back by webhook ---

def echo_body(place, made, metadata):
    """The platform's own word to the force of what it sent or posted for it."""
    at, person = made["at_ms"], made["person"]
    if place.kind == "whatsapp":
        status = {"id": made["object_id"], "status": "sent", "timestamp": str(at // 1000), "recipient_id": person}
        if metadata:
            status["biz_opaque_callback_data"] = metadata
        return whatsapp_statuses(place, [status, {**status, "status": "delivered"}])
    if place.kind == "x" and made["kind"] == "message":
        event = {"type": "message_create", "id": made["object_id"], "created_timestamp": str(at), "message_create": {
            "target": {"recipient_id": person}, "sender_id": place.account, "source_app_id": "777001", "message_data": {
                "text": made["text"], "entities": {"hashtags": [], "symbols": [], "user_mentions": [], "urls": []}}}}
        return json.dumps({"for_user_id": place.account, "direct_message_events": [event],
                           "apps": {"777001": {"id": "777001", "name": "desk"}}}, ensure_ascii=False).encode()
    if place.kind == "x":
        return x_post_body(place, made, place.account, "force", made["object_id"])
    if made["kind"] == "post":
        value = {"from": {"id": place.account, "name": "Force"}, "item": "status", "verb": "add", "post_id": made["object_id"],
                 "message": made["text"], "created_time": at // 1000, "published": 1}
        return meta_json({"object": "page", "entry": [{"id": place.account, "time": at // 1000, "changes": [
            {"field": "feed", "value": value}]}]})
    message = {"mid": made["object_id"], "text": made["text"], "is_echo": True, "app_id": 777001}
    if metadata:
        message["metadata"] = metadata
    return meta_json({"object": "page" if place.kind == "facebook" else "instagram", "entry": [{
        "id": place.account, "time": at + 5, "messaging": [{"sender": {"id": place.account}, "recipient": {"id": person},
                                                            "timestamp": at, "message": message}]}]})


def whatsapp_statuses(place, statuses):
    value = {"messaging_product": "whatsapp", "metadata": {"display_phone_number": "441492000000",
                                                           "phone_number_id": place.account}, "statuses": statuses}
    return meta_json({"object": "whatsapp_business_account", "entry": [{"id": "880000000000001", "changes": [
        {"field": "messages", "value": value}]}]})


def x_post_body(place, made, user, name, number):
    post = {"created_at": time.strftime("%a %b %d %H:%M:%S +0000 %Y", time.gmtime(made["at_ms"] / 1000)), "id": int(number),
            "id_str": number, "text": made["text"], "truncated": False, "timestamp_ms": str(made["at_ms"]),
            "user": {"id_str": user, "name": name, "screen_name": name},
            "entities": {"user_mentions": [{"screen_name": "force", "id_str": place.account, "indices": [0, 6]}]}}
    if made["parent"]:
        post["in_reply_to_status_id_str"] = made["parent"]
        post["in_reply_to_user_id_str"] = place.account
    return json.dumps({"for_user_id": place.account, "tweet_create_events": [post]}, ensure_ascii=False).encode()


def comment_body(place, told, number):
    """Somebody answers a post of the force's. (body, the platform's id of the comment)"""
    at, person = now_ms(), told.get("person", "6200000000000077")
    if place.kind == "x":
        made = {"at_ms": at, "text": "@force " + told["text"], "parent": told["object_id"]}
        comment = str(2100000000000000000 + number)
        return x_post_body(place, made, person, "somebody", comment), comment
    comment = f"{told['object_id'].split('_')[-1]}_{900000 + number}"
    value = {"from": {"id": person, "name": "Somebody"}, "item": "comment", "verb": "add", "post_id": told["object_id"],
             "comment_id": comment, "parent_id": told["object_id"], "message": told["text"], "created_time": at // 1000}
    return meta_json({"object": "page", "entry": [{"id": place.account, "time": at // 1000, "changes": [
        {"field": "feed", "value": value}]}]}), comment


class Echoes(threading.Thread):
    """Posts webhooks to ingest, signed, until they are answered 200."""

    def __init__(self, url, secrets):
        super().__init__(daemon=True)
        self.url = urllib.parse.urlsplit(url) if url else None
        self.secrets = secrets  # meta, x -> bytes
        self.waiting = queue.PriorityQueue()
        self.lock = threading.Lock()
        self.count = self.delivered = 0

    def put(self, delay_s, path, body):
        if self.url:
            with self.lock:
                self.count += 1
                self.waiting.put((time.monotonic() + delay_s, self.count, path, body))

    def run(self):
        connection = None
        while True:
            due, number, path, body = self.waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            connection = connection or http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=10)
            try:
                connection.request("POST", path, body, self.headers(path, body))
                answer = connection.getresponse()
                answer.read()
                is_taken = answer.status < 500 and answer.status != 429
            except (OSError, http.client.HTTPException):
                connection.close()
                connection, is_taken = None, False
            if is_taken:
                self.delivered += 1
            else:
                self.waiting.put((time.monotonic() + 0.2, number, path, body))

    def headers(self, path, body):
        headers = {"Content-Type": "application/json"}
        if path == "/hooks/x":
            mac = apis.hmac.digest(self.secrets["x"], body, "sha256")
            headers["x-twitter-webhooks-signature"] = "sha256=" + base64.b64encode(mac).decode()
        else:
            headers["X-Hub-Signature-256"] = "sha256=" + apis.hmac.digest(self.secrets["meta"], body, "sha256").hex()
        return headers


# --- the server ---

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Quiet: the ledger is the record."""

    def do_GET(self):
        self._serve(b"")

    def do_POST(self):
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_POST
    do_DELETE = do_POST

    def _serve(self, body):
        url = urllib.parse.urlsplit(self.path)
        name, _, rest = url.path.lstrip("/").partition("/")
        place = self.server.places.get(name)
        if not place:
            self._answer(self.server.about(self.command, url, body))
            return
        self.server.ledger.request.trace = self.headers.get("traceparent", "")
        try:
            request = apis.Request(self.command, f"http://{self.headers.get('Host', '')}{self.path}", self.headers, body)
            answer = place.handle(request, urllib.parse.unquote(rest))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            answer = apis.Answer(400, {"error": {"message": f"not understood: {type(error).__name__}", "code": 100}})
        except Silence as silence:
            place.requests[f"{self.command} 0"] += 1
            self._say_nothing(silence.is_reset)
            return
        place.requests[f"{self.command} {answer.status}"] += 1
        self._answer(answer)

    def _answer(self, answer):
        body = json.dumps(answer.value).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for header, text in answer.headers:
            self.send_header(header, text)
        self.end_headers()
        self.wfile.write(body)

    def _say_nothing(self, is_reset):
        self.close_connection = True
        if is_reset:
            self.server.reset(self.connection)
            return
        select.select([self.connection], [], [], SILENCE_S)  # readable: the caller hung up


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, places, ledger, echoes):
        super().__init__(address, Handler)
        self.ledger, self.echoes = ledger, echoes
        self.places = {name: Place(name, about, ledger, echoes) for name, about in places.items()}
        self.resets = set()
        self.comments = 0
        echoes.start()

    def handle_error(self, request, client_address):
        """A caller that went away is no error."""

    def reset(self, connection):
        """Its closing will send RST."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.resets.add(connection)

    def shutdown_request(self, request):
        if request in self.resets:  # no FIN before
            self.resets.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def about(self, method, url, body):
        """The simulator's own paths."""
        query = dict(urllib.parse.parse_qsl(url.query))
        place = self.places.get(query.get("place", ""))
        if (method, url.path) == ("GET", "/ready"):
            return apis.Answer(200, {"ready": True})
        if (method, url.path) == ("GET", "/ledger"):
            return apis.Answer(200, self.ledger.all(query.get("place")))
        if (method, url.path) == ("GET", "/objects") and place:
            with place.lock:
                return apis.Answer(200, list(place.objects.values()))
        if (method, url.path) == ("GET", "/requests"):
            return apis.Answer(200, {name: {**place.requests, "reuses": place.reuses} for name, place in self.places.items()} |
                               {"echoes": {"made": self.echoes.count, "delivered": self.echoes.delivered}})
        if (method, url.path) == ("POST", "/control"):
            return self._control(json.loads(body))
        if (method, url.path) == ("POST", "/comment"):
            return self._comment(json.loads(body))
        return apis.Answer(404, {"error": "no such path"})

    def _control(self, changes):
        name = changes.pop("place", "")
        if name and name not in self.places:
            return apis.Answer(404, {"error": "no such place"})
        try:
            for place in [self.places[name]] if name else self.places.values():
                place.control(changes)
        except ValueError as error:
            return apis.Answer(400, {"error": str(error)})
        return apis.Answer(200, {name: place.options for name, place in self.places.items()})

    def _comment(self, told):
        place = self.places[told["place"]]
        self.comments += 1
        body, comment = comment_body(place, told, self.comments)
        self.echoes.put(0.0, HOOKS[place.kind], body)
        return apis.Answer(200, {"comment": comment})


def main():
    parser = argparse.ArgumentParser(description="The platforms' way out, to test against.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("--places", required=True, help="JSON file: the places, their kinds, accounts and secrets")
    parser.add_argument("--ledger", required=True, help="file that records what was taken")
    parser.add_argument("--ingest", default="", help="address of ingest: where echoes and comments go")
    parser.add_argument("--meta-secret-file", help="signs what goes to ingest")
    parser.add_argument("--x-secret-file", help="signs what goes to ingest")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=JSON", help="for all places")
    arguments = parser.parse_args()
    secrets = {name: pathlib.Path(path).read_bytes().strip() if path else b"" for name, path in
               (("meta", arguments.meta_secret_file), ("x", arguments.x_secret_file))}
    places = json.loads(pathlib.Path(arguments.places).read_text("utf-8"))
    server = Server((arguments.address, arguments.port), places, Ledger(arguments.ledger), Echoes(arguments.ingest, secrets))
    for pair in arguments.set:
        name, _, value = pair.partition("=")
        for place in server.places.values():
            place.control({name: json.loads(value)})
    server.serve_forever()


if __name__ == "__main__":
    main()
