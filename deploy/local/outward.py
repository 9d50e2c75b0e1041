"""outward - the suite's way out: accounts and outlets of the configuration, the simulator that stands for their platforms, and what a
ledger says of what it took."""
import collections
import http.client
import json

PAGE, INSTAGRAM, PHONE, X_ACCOUNT = "108800000000001", "178414000000001", "770000000000001", "3001"

META = {"token": "outward/meta-page-token"}
X = {"token": "outward/x-token", "token_secret": "outward/x-token-secret", "consumer_key": "outward/x-consumer-key",
     "consumer_secret": "x-consumer"}
# The simulator's places: name -> kind, account, secrets.
PLACES = {
    "facebook": ("facebook", PAGE, META),
    "page": ("facebook", PAGE, META),
    "instagram": ("instagram", INSTAGRAM, META),
    "whatsapp": ("whatsapp", PHONE, {"token": "outward/whatsapp-token"}),
    "x": ("x", X_ACCOUNT, X),
    "x-post": ("x", X_ACCOUNT, X),
    "mastodon": ("mastodon", "11", {"token": "outward/mastodon-token"}),
    "subscriber": ("webhook", "", {"signature": "outward/subscriber"}),
    "radio": ("webhook", "", {"signature": "outward/radio"}),
    "mail": ("mail", "", {"token": "outward/mail-token"}),
}
# An outlet of the configuration -> the simulator's place; the feed is served, not posted.
OUTLETS = {"facebook": "page", "x": "x-post", "mastodon": "mastodon", "subscriber": "subscriber", "radio": "radio", "feed": None}
# What goes to a person: at these places a text comes once.
PERSONAL = ("facebook", "instagram", "whatsapp", "x", "mail")


def places(secret):
    """What the simulator is told. secret(name): path of a secret's file."""
    return {name: {"kind": kind, "account": account, "secrets": {key: str(secret(file)) for key, file in files.items()}}
            for name, (kind, account, files) in PLACES.items()}


def _files(secret, name):
    """Keys of the configuration that name this place's secrets."""
    key = {"signature": "signature_secret_file"}
    return {key.get(which, f"{which}_file"): str(secret(file)) for which, file in PLACES[name][2].items()}


def config(secret, outlets_port, feed_port, endpoint):
    """The part `outward` of the configuration."""
    def base(name):
        return f"http://127.0.0.1:{outlets_port}/{name}"

    def account(channel, name, number, path=""):
        return {"channel": channel, "account": number, "base_url": base(name) + path, "per_minute": 6000, **_files(secret, name)}

    def outlet(name, kind, path="", **more):
        at = OUTLETS[name]
        return {"name": name, "kind": kind, "url": base(at) + path, "per_minute": 6000, "timeout_ms": 3000, **_files(secret, at), **more}
    return {
        "accounts": [
            {**account("facebook", "facebook", PAGE, "/v25.0"), "has_human_agent": True},
            {**account("instagram", "instagram", INSTAGRAM, "/v25.0"), "has_human_agent": True},
            account("whatsapp", "whatsapp", PHONE, "/v25.0"),
            account("x", "x", X_ACCOUNT),
            account("web", "mail", "web"),
        ],
        "outlets": [
            outlet("facebook", "facebook", "/v25.0", account=PAGE),
            outlet("x", "x", account=X_ACCOUNT),
            outlet("mastodon", "mastodon", account="11"),
            outlet("subscriber", "webhook", "/hook"),
            outlet("radio", "webhook", "/hook"),
            {"name": "feed", "kind": "feed"},
        ],
        "feed": {"listen": f"127.0.0.1:{feed_port}", "base_url": f"http://127.0.0.1:{feed_port}",
                 "sender": "socialdesk@force.example", "publish_endpoint": endpoint("broadcasts"),
                 "snapshot_endpoint": endpoint("broadcasts-snapshot")},
    }


class Outlets:
    """The simulator, as a story or a ledger asks it."""

    def __init__(self, port):
        self.port = port

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"{method} {path}: {answer.status} {told}")
        return told

    def control(self, place="", **options):
        """Options of outlets.py, for one place or all."""
        return self.ask("POST", "/control", {"place": place, **options})

    def entries(self, *names, operation="accept"):
        """What these places (none: all) took, in order."""
        return [entry for entry in self.ask("GET", "/ledger") if entry["place"] in (names or PLACES) and operation in ("", entry["op"])]

    def standing(self, place):
        """What stands there now, oldest first, with its text."""
        return self.ask("GET", f"/objects?place={place}")

    def requests(self):
        return self.ask("GET", "/requests")

    def comment(self, place, object_id, text, person="6200000000000077"):
        return self.ask("POST", "/comment", {"place": place, "object_id": object_id, "text": text, "person": person})["comment"]


def posted_twice(entries):
    """What a place took twice: a person the same part of a reply, everybody the same post. [(place, key, object ids)]

    Our own mark is the best witness; where a platform carries none, the text itself is. A webhook's key and Mastodon's make a repeat
    the same delivery: the simulator writes those once. A text that was removed may be posted anew."""
    standing = collections.defaultdict(list)
    for entry in entries:
        what = entry["ref"] or entry["text_sha256"]
        at = entry["place"], entry["kind"], entry["person"], entry["language"], entry["parent"] if not entry["ref"] else "", what
        if entry["op"] == "accept":
            standing[at].append(entry["object_id"])
        elif entry["op"] == "remove":
            for ids in standing.values():
                if entry["object_id"] in ids:
                    ids.remove(entry["object_id"])
    return [(at[0], at[-1], ids) for at, ids in standing.items() if len(ids) > 1]
