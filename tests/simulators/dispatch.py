"""dispatch - a dispatch system to test against: accepts alerts, can be slow, refuse, hang, forget, acknowledge twice.

POST /alerts    the first path. Idempotency-Key (quoted or not): the same key and body get the same answer, the same key with
                another body 422. Each accepted key is written to the ledger file before the answer.
POST /second    the second path: the same, in a ledger of its own.
POST /control   JSON object of the options below; answers the options in force.
GET  /ledger    everything accepted. GET /ready: 200.

Options: slow_ms (wait before the answer), refuse (answer the next N with refuse_status and retry_after), hang (accept, never
answer), drop (accept, then close without an answer), half (accept, then close within the answer), conflict (accept, then answer
422), forget (lose the keys), ack (none, once, twice), ack_delay_ms.
"""
import argparse
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import queue
import threading
import time
import urllib.parse

DEFAULTS = {"slow_ms": 0, "refuse": 0, "refuse_status": 503, "retry_after": "", "hang": 0, "drop": 0, "half": 0,
            "conflict": 0, "forget": False,
            "ack": "once", "ack_delay_ms": 20, "dispatcher": "sim-dispatcher-7"}


class Ledger:
    """What was accepted, kept in a file over restarts."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.lock = threading.Lock()
        self.entries = {}  # (path, key) -> entry
        self.reuses = 0
        self.conflicts = 0
        if self.path.exists():
            for line in self.path.read_text("utf-8").splitlines():
                entry = json.loads(line)
                self.entries[entry["path"], entry["key"]] = entry

    def accept(self, path, key, body, trace=""):
        """(status, entry, is_new)"""
        digest = hashlib.sha256(body).hexdigest()
        with self.lock:
            known = self.entries.get((path, key))
            if known:
                if known["sha256"] != digest:
                    self.conflicts += 1
                    return 422, known, False
                self.reuses += 1
                return 202, known, False
            envelope = json.loads(body)
            entry = {"path": path, "key": key, "sha256": digest, "at": time.time(), "type": envelope.get("type", ""),
                     "receipt": f"D{len(self.entries) + 1:06d}", "alerts": alert_ids(envelope), "bytes": len(body), "trace": trace}
            self.entries[path, key] = entry
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            return 202, entry, True

    def forget(self):
        with self.lock:
            self.entries.clear()

    def describe(self):
        with self.lock:
            return {"entries": list(self.entries.values()), "reuses": self.reuses, "conflicts": self.conflicts}


def alert_ids(envelope):
    """Every alert id the body names: its own, or those of a digest."""
    found = []

    def walk(value, name):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, name)
        elif name in ("alert_id", "alert", "alert_ids", "alerts") and isinstance(value, str) and len(value) == 32:
            found.append(value)

    walk(envelope.get("data", {}), "")
    return found


class Acknowledger(threading.Thread):
    """Tells notify, signed, that a dispatcher has seen an alert."""

    def __init__(self, url, secret, options):
        super().__init__(daemon=True)
        self.url = urllib.parse.urlsplit(url)
        self.secret = secret
        self.options = options
        self.waiting = queue.Queue()

    def acknowledge(self, entry):
        times = {"none": 0, "once": 1, "twice": 2}[self.options["ack"]]
        due = time.monotonic() + self.options["ack_delay_ms"] / 1000
        for alert in entry["alerts"]:
            for _ in range(times):
                self.waiting.put((due, alert, entry["receipt"]))

    def run(self):
        while True:
            due, alert, receipt = self.waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            self._tell(alert, receipt)

    def _tell(self, alert, receipt):
        body = json.dumps({"alert": alert, "action": "acknowledged", "dispatcher": self.options["dispatcher"],
                           "log_number": receipt}).encode()
        for attempt in range(200):
            stamp = str(int(time.time()))
            signature = hmac.new(self.secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=2)
            try:
                connection.request("POST", self.url.path, body, {
                    "Content-Type": "application/json", "X-Desk-Timestamp": stamp,
                    "X-Desk-Signature-256": f"sha256={signature}"})
                if connection.getresponse().status in (200, 202, 404):
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(min(1.0, 0.05 * (attempt + 1)))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Quiet: the ledger is the record."""

    def _answer(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/ledger":
            self._answer(200, self.server.ledger.describe())
        elif self.path == "/ready":
            self._answer(200, {"ready": True})
        else:
            self._answer(404, {"error": "no such path"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control":
            self.server.control(json.loads(body))
            self._answer(200, self.server.options)
        elif self.path in ("/alerts", "/second"):
            self._on_alert(body)
        else:
            self._answer(404, {"error": "no such path"})

    def _on_alert(self, body):
        options = self.server.options
        key = self.headers.get("Idempotency-Key", "").strip('"')
        if not key:
            self._answer(400, {"error": "Idempotency-Key is missing"})
            return
        if self.path == "/alerts":
            if options["slow_ms"]:
                time.sleep(options["slow_ms"] / 1000)
            if self.server.takes_one("refuse"):
                retry = [("Retry-After", str(options["retry_after"]))] if options["retry_after"] != "" else []
                self._answer(options["refuse_status"], {"error": "refused as told"}, retry)
                return
        status, entry, is_new = self.server.ledger.accept(self.path, key, body, self.headers.get("traceparent", ""))
        if self.path == "/alerts" and status == 202:
            if is_new and ".u" not in key:
                self.server.acknowledger.acknowledge(entry)
            if self.server.takes_one("hang"):
                time.sleep(60)
            if self.server.takes_one("drop"):
                self.close_connection = True
                return
            if self.server.takes_one("half"):
                self.wfile.write(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{\"rec")
                self.close_connection = True
                return
            if self.server.takes_one("conflict"):
                status = 422
        self._answer(status, {"receipt": entry["receipt"]})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, ledger, callback, secret, options):
        super().__init__(address, Handler)
        self.ledger = ledger
        self.options = options
        self.lock = threading.Lock()
        self.acknowledger = Acknowledger(callback, secret, options)
        self.acknowledger.start()

    def takes_one(self, name):
        """True while the counter of that option is above zero, counting it down."""
        with self.lock:
            if self.options[name] > 0:
                self.options[name] -= 1
                return True
            return False

    def control(self, changes):
        unknown = set(changes) - set(DEFAULTS)
        if unknown:
            raise ValueError(f"unknown options {sorted(unknown)}")
        with self.lock:
            self.options.update(changes)
            if self.options["forget"]:
                self.ledger.forget()
                self.options["forget"] = False


def main():
    parser = argparse.ArgumentParser(description="A dispatch system to test against.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("--callback", required=True, help="address of notify's callback")
    parser.add_argument("--secret-file", required=True, help="secret that signs callbacks")
    parser.add_argument("--ledger", required=True, help="file that records what was accepted")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()
    options = dict(DEFAULTS)
    for pair in arguments.set:
        name, _, value = pair.partition("=")
        options[name] = type(DEFAULTS[name])(value)
    secret = pathlib.Path(arguments.secret_file).read_bytes().strip()
    Server((arguments.address, arguments.port), Ledger(arguments.ledger), arguments.callback, secret, options).serve_forever()


if __name__ == "__main__":
    main()
