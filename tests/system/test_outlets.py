"""The platforms' simulator itself: a test that it lets through what a platform refuses would show nothing."""
import http.client
import http.server
import json
import secrets
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

import outlet_apis as apis
import outward
import suite
from desk import wait_until

PLACES = {"facebook": ("facebook", "1088"), "page": ("facebook", "1088"), "instagram": ("instagram", "1784"),
          "whatsapp": ("whatsapp", "7700"), "x": ("x", "3001"), "mastodon": ("mastodon", "11"), "subscriber": ("webhook", ""),
          "mail": ("mail", "")}


class Outlets:
    """A running simulator, and requests to it as a sender would make them."""

    def __init__(self, directory, ingest=""):
        self.directory, self.port = directory, suite.free_port()
        self.secret = {name: secrets.token_hex(8) for name in ("token", "token_secret", "consumer_key", "consumer_secret", "signature")}
        for name, text in self.secret.items():
            (directory / name).write_text(text, "ascii")
        files = {name: str(directory / name) for name in self.secret}
        (directory / "places.json").write_text(json.dumps(
            {name: {"kind": kind, "account": account, "secrets": files} for name, (kind, account) in PLACES.items()}), "ascii")
        self.process = suite.Process("outlets", [
            sys.executable, suite.SIMULATORS / "outlets.py", "--port", self.port, "--places", directory / "places.json",
            "--ledger", directory / "ledger.jsonl", "--ingest", ingest, "--meta-secret-file", directory / "signature",
            "--x-secret-file", directory / "consumer_secret"], directory / "log")
        self.process.start()
        wait_until(lambda: suite.http_get(http.client.HTTPConnection("127.0.0.1", self.port, timeout=1), "/ready"), 60, "ready")

    def ask(self, method, path, body=None, headers=(), timeout=30):
        """(status, JSON, headers); status 0 for no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        try:
            connection.request(method, path, raw, {"Content-Type": "application/json", **dict(headers)})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers
        except (OSError, http.client.HTTPException):
            return 0, {}, {}
        finally:
            connection.close()

    def control(self, place="", **options):
        assert self.ask("POST", "/control", {"place": place, **options})[0] == 200

    def taken(self, place, operation="accept"):
        return [entry for entry in self.ask("GET", f"/ledger?place={place}")[1] if entry["op"] == operation]

    def unanswered(self, place):
        """How many POSTs had no answer there."""
        return self.ask("GET", "/requests")[1][place].get("POST 0", 0)

    def bearer(self):
        return {"Authorization": "Bearer " + self.secret["token"]}

    def oauth(self, method, path, nonce=None, at=None, form=()):
        url, _, query = f"http://127.0.0.1:{self.port}{path}".partition("?")
        own = {"oauth_consumer_key": self.secret["consumer_key"], "oauth_token": self.secret["token"], "oauth_version": "1.0",
               "oauth_nonce": nonce or secrets.token_hex(8), "oauth_timestamp": str(at or int(time.time())),
               "oauth_signature_method": "HMAC-SHA1"}
        signature = apis.oauth_signature(method, url, list(own.items()) + urllib.parse.parse_qsl(query) + list(form),
                                         self.secret["consumer_secret"], self.secret["token_secret"])
        pairs = {**own, "oauth_signature": signature}
        return {"Authorization": "OAuth " + ", ".join(f'{key}="{urllib.parse.quote(value, safe="")}"' for key, value in pairs.items())}

    def messenger(self, text="hello", account="1088", place="facebook", person="62", **more):
        body = {"recipient": {"id": person}, "messaging_type": "RESPONSE", "message": {"text": text, "metadata": "desk:1/0"}, **more}
        return self.ask("POST", f"/{place}/v25.0/{account}/messages", body, self.bearer())

    def x_post(self, text, **more):
        return self.ask("POST", "/x/2/tweets", {"text": text, **more}, self.oauth("POST", "/x/2/tweets"))


@pytest.fixture
def outlets(tmp_path):
    made = Outlets(tmp_path)
    yield made
    made.process.stop()


def test_oauth_1_as_the_published_example_has_it():
    parameters = [("oauth_consumer_key", "ck-docs"), ("oauth_nonce", "nonce123"), ("oauth_signature_method", "HMAC-SHA1"),
                  ("oauth_timestamp", "1770833400"), ("oauth_token", "tk-docs"), ("oauth_version", "1.0"),
                  ("status", "Ffordd ar gau: A55 + J11 (dŵr) 100%!")]
    assert apis.oauth_signature("POST", "https://api.example.com/1.1/x.json", parameters, "ck-secret", "tk-secret") \
        == "bj6aifFOguw8qQPV2u1pzlpG6+A="


@pytest.mark.parametrize("text, length", [
    ("ŵŷâêîôû", 7), ("…", 2), ("•€", 4), ("–—‘’“”£", 7), ("https://force.example/a/very/long/path?with=more", 23),
    ("👨‍👩‍👧‍👦", 2), ("🏴󠁧󠁢󠁷󠁬󠁳󠁿", 2), ("🇬🇧", 2), ("👍🏽", 2), ("1️⃣", 2), ("w" + "\u0302", 1), ("日本", 4)])
def test_weighted_length(text, length):
    assert apis.x_length(text) == length


def test_messenger_takes_what_it_should_and_nothing_else(outlets):
    status, answer, headers = outlets.messenger()
    assert status == 200 and answer["recipient_id"] == "62" and json.loads(headers["X-Page-Usage"])["call_count"] >= 0
    entry, = outlets.taken("facebook")
    assert entry["ref"] == "desk:1/0" and entry["object_id"] == answer["message_id"] and entry["told"] == "answer"
    assert entry["text_sha256"] == apis.digest("hello") and "hello" not in (outlets.directory / "ledger.jsonl").read_text()

    def code(reply):
        return reply[1]["error"]["code"], reply[1]["error"].get("error_subcode", 0)
    assert code(outlets.messenger("a" * 2000)) == (100, 0)
    assert code(outlets.messenger("ŵ" * 501, "1784", "instagram")) == (100, 0)
    assert outlets.messenger("ŵ" * 500, "1784", "instagram")[0] == 200
    assert code(outlets.messenger(account="99")) == (100, 33)
    assert code(outlets.messenger(tag="ACCOUNT_UPDATE", messaging_type="MESSAGE_TAG")) == (100, 0)
    assert code(outlets.messenger(messaging_type="MESSAGE_TAG")) == (100, 0)
    outlets.control("facebook", window_closed=["62"])
    assert code(outlets.messenger()) == (10, 2018278) and outlets.messenger(person="63")[0] == 200
    assert outlets.messenger(messaging_type="MESSAGE_TAG", tag="HUMAN_AGENT")[0] == 200
    outlets.control("facebook", token_dead=True, window_closed=False)
    assert code(outlets.messenger()) == (190, 463)
    outlets.control("facebook", token_dead=False, gone=["62"])
    assert code(outlets.messenger()) == (551, 1545041)
    assert outlets.ask("GET", "/facebook/v25.0/me?fields=id", None, outlets.bearer())[1] == {"id": "1088"}
    assert outlets.ask("GET", "/facebook/v25.0/me")[0] == 400, "without a token"


def test_whatsapp_window_and_limits(outlets):
    def send(text="hi"):
        return outlets.ask("POST", "/whatsapp/v25.0/7700/messages", {
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "447700900123", "type": "text",
            "text": {"body": text}, "biz_opaque_callback_data": "desk:2/0"}, outlets.bearer())
    status, answer, _ = send()
    assert status == 200 and answer["messages"][0]["id"].startswith("wamid.")
    assert outlets.taken("whatsapp")[0]["ref"] == "desk:2/0"
    assert send("a" * 4097)[1]["error"]["code"] == 100
    outlets.control("whatsapp", window_closed=True)
    assert send()[1]["error"]["code"] == 131047
    outlets.control("whatsapp", window_closed=False, rate_limit=1, rate_window_s=60)
    assert [send()[0], send()[1].get("error", {}).get("code")] == [200, 130429]


def test_x_checks_signature_length_duplicates_and_limits(outlets):
    status, answer, headers = outlets.x_post("first")
    assert status == 201 and int(headers["x-rate-limit-reset"]) >= time.time() - 1
    assert outlets.x_post("first")[1]["errors"][0]["code"] == 187
    assert outlets.x_post("second", reply={"in_reply_to_tweet_id": answer["data"]["id"]})[0] == 201
    assert outlets.taken("x")[1]["parent"] == answer["data"]["id"]
    assert outlets.x_post("third", reply={"in_reply_to_tweet_id": "9"})[0] == 403
    assert outlets.x_post("ŵ" * 280)[0] == 201 and outlets.x_post("日" * 141)[1]["errors"][0]["code"] == 186
    assert outlets.x_post("fourth", unheard="of")[0] == 400
    path = "/x/2/tweets"
    for spoilt in ({}, {"Authorization": "Bearer x"}, outlets.oauth("PUT", path), outlets.oauth("POST", "/x/2/other"),
                   outlets.oauth("POST", path, at=int(time.time()) - 4000)):
        assert outlets.ask("POST", path, {"text": "unsigned"}, spoilt)[0] == 401
    signed = outlets.oauth("POST", path, nonce="once")
    assert [outlets.ask("POST", path, {"text": text}, signed)[0] for text in ("one", "two")] == [201, 401], "a nonce is for one"
    listed = outlets.ask("GET", "/x/2/users/3001/tweets?max_results=5", None, outlets.oauth("GET", "/x/2/users/3001/tweets?max_results=5"))
    assert listed[1]["data"][0]["text"] == "one" and len(listed[1]["data"]) == 4
    deleted = [outlets.ask("DELETE", f"/x/2/tweets/{answer['data']['id']}", None,
                           outlets.oauth("DELETE", f"/x/2/tweets/{answer['data']['id']}"))[1]["data"]["deleted"] for _ in range(2)]
    assert deleted == [True, False]
    direct = "/x/2/dm_conversations/with/4002/messages"
    status, answer, _ = outlets.ask("POST", direct, {"text": "to you"}, outlets.oauth("POST", direct))
    assert status == 201 and answer["data"]["dm_conversation_id"] == "3001-4002"
    events = "/x/2/dm_conversations/with/4002/dm_events"
    assert outlets.ask("GET", events, None, outlets.oauth("GET", events))[1]["data"][0]["text"] == "to you"
    outlets.control("x", rate_limit=1, rate_window_s=60)
    assert [outlets.x_post(text)[0] for text in ("a", "b")] == [201, 429]


def test_a_page_posts_lists_edits_removes_and_knows_duplicates(outlets):
    def ask(method, path, **body):
        return outlets.ask(method, "/page/v25.0/" + path, body or None, outlets.bearer())
    post = ask("POST", "1088/feed", message="A465 closed")[1]["id"]
    assert post.startswith("1088_")
    assert ask("POST", "1088/feed", message="A465 closed")[1]["error"]["code"] == 506
    assert ask("GET", "1088/feed")[1]["data"][0]["message"] == "A465 closed"
    assert ask("POST", post, message="A465 open")[1] == {"success": True}
    assert ask("GET", post)[1]["message"] == "A465 open"
    outlets.control("page", refuses_delete=True)
    assert ask("DELETE", post)[0] == 403
    outlets.control("page", refuses_delete=False)
    assert ask("DELETE", post)[1] == {"success": True} and ask("DELETE", post)[0] == 400
    assert [entry["op"] for entry in outlets.ask("GET", "/ledger?place=page")[1]] == ["accept", "change", "remove"]


def test_mastodon_keeps_its_key_and_its_language(outlets):
    def send(text, key, language="cy", **more):
        return outlets.ask("POST", "/mastodon/api/v1/statuses", {"status": text, "language": language, **more},
                           {**outlets.bearer(), "Idempotency-Key": key})
    first = send("A465 ar gau", "k1")
    assert first[0] == 200 and first[1]["language"] == "cy" and first[2]["X-RateLimit-Reset"].endswith("Z")
    assert send("A465 ar gau", "k1")[1]["id"] == first[1]["id"] and len(outlets.taken("mastodon")) == 1
    assert send("something else", "k1")[0] == 422
    assert send("a" * 501, "k2")[0] == 422
    assert send("a" * 470 + " https://force.example/" + "x" * 100, "k3")[0] == 200, "an address counts 23"
    path = f"/mastodon/api/v1/statuses/{first[1]['id']}"
    assert outlets.ask("PUT", path, {"status": "A465 ar agor"}, outlets.bearer())[1]["text"] == "A465 ar agor"
    assert outlets.ask("DELETE", path, None, outlets.bearer())[0] == 200 and outlets.ask("GET", path, None, outlets.bearer())[0] == 404
    outlets.control("mastodon", token_dead=True)
    assert send("x", "k4")[0] == 401


def test_a_subscriber_checks_the_signature(outlets):
    def send(body=b"<alert/>", at=None, spoil="", key="k"):
        at = str(at or int(time.time()))
        mac = apis.hmac.digest(outlets.secret["signature"].encode(), at.encode() + b"." + body, "sha256").hex()
        return outlets.ask("POST", "/subscriber/hook", body + spoil.encode(), {
            "X-Desk-Timestamp": at, "X-Desk-Signature-256": "sha256=" + mac, "Content-Type": "application/cap+xml",
            "Idempotency-Key": key})[0]
    assert [send(), send(), len(outlets.taken("subscriber"))] == [202, 202, 1]
    assert send(spoil=" ") == 401 and send(at=int(time.time()) - 4000) == 401 and send(key="") == 400


def test_mail(outlets):
    def send(**body):
        return outlets.ask("POST", "/mail/messages", {"to": "p@mail.example", "text": "dear", "reference": "desk:3/0", **body},
                           outlets.bearer())
    assert send()[0] == 202 and send(to="nobody")[0] == 400
    assert outlets.ask("GET", "/mail/messages?reference=desk:3/0", None, outlets.bearer())[1]["messages"][0]["to"] == "p@mail.example"


def test_what_is_taken_and_not_answered_is_in_the_ledger(outlets):
    outlets.control("facebook", silent_share=1.0)
    assert outlets.ask("POST", "/facebook/v25.0/1088/messages", {"recipient": {"id": "62"}, "messaging_type": "RESPONSE",
                                                                   "message": {"text": "x"}}, outlets.bearer(), timeout=0.3)[0] == 0
    wait_until(lambda: outlets.unanswered("facebook") == 1, 30, "it has come, though nobody waits for an answer")
    outlets.control("facebook", silent_share=0.0, reset_share=1.0)
    assert outlets.messenger("y")[0] == 0
    outlets.control("facebook", reset_share=0.0, lost_share=1.0)
    assert outlets.ask("POST", "/facebook/v25.0/1088/messages", b"{}", outlets.bearer(), timeout=0.3)[0] == 0
    wait_until(lambda: outlets.unanswered("facebook") == 3, 30, "it has come and is lost")
    outlets.control("facebook", lost_share=0.0, error_share=1.0)
    assert outlets.messenger("z")[0] == 503
    outlets.control("facebook", error_share=0.0, limited_share=1.0)
    assert outlets.messenger("z")[1]["error"]["code"] == 613
    assert [entry["told"] for entry in outlets.taken("facebook")] == ["silence", "reset"]


def test_the_same_seed_draws_the_same(outlets):
    def play():
        outlets.control("facebook", reset_share=0.5, seed=7)
        return [outlets.messenger(str(n))[0] for n in range(20)]
    first = play()
    assert play() == first and 0 in first and 200 in first


def test_unknown_options_and_places_are_refused(outlets):
    assert outlets.ask("POST", "/control", {"place": "facebook", "rate": 3})[0] == 400
    assert outlets.ask("POST", "/control", {"place": "nowhere", "hang": True})[0] == 404
    assert outlets.ask("POST", "/facebook/v25.0/1088/unheard", {}, outlets.bearer())[0] == 404


class Ingest(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Quiet."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((self.path, json.loads(body), dict(self.headers), body))
        self.send_response(503 if len(self.server.came) == 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_echoes_come_signed_and_again_until_they_are_taken(tmp_path):
    ingest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ingest)
    ingest.came = []
    threading.Thread(target=ingest.serve_forever, daemon=True).start()
    outlets = Outlets(tmp_path, f"http://127.0.0.1:{ingest.server_port}")
    try:
        outlets.messenger("over here")
        wait_until(lambda: len(ingest.came) == 2, 60, "the echo, again after 503")
        path, body, headers, raw = ingest.came[1]
        message = body["entry"][0]["messaging"][0]["message"]
        assert path == "/hooks/facebook" and message["is_echo"] and message["metadata"] == "desk:1/0"
        assert headers["X-Hub-Signature-256"] == "sha256=" + apis.hmac.digest(outlets.secret["signature"].encode(), raw, "sha256").hex()
        outlets.x_post("on X")
        wait_until(lambda: len(ingest.came) == 3, 60, "X's")
        post = ingest.came[2][1]["tweet_create_events"][0]
        assert post["user"]["id_str"] == "3001"
        comment = outlets.ask("POST", "/comment", {"place": "x", "object_id": post["id_str"], "text": "is it open?"})[1]["comment"]
        wait_until(lambda: len(ingest.came) == 4, 60, "the comment")
        assert ingest.came[3][1]["tweet_create_events"][0]["in_reply_to_status_id_str"] == post["id_str"]
        assert ingest.came[3][1]["tweet_create_events"][0]["id_str"] == comment
    finally:
        outlets.process.stop()
        ingest.shutdown()


def test_posted_twice_is_told_from_what_only_looks_like_it():
    def entry(place, ref="", text="t", person="", operation="accept", number=[0], **more):
        number[0] += 1
        return {"place": place, "op": operation, "kind": "message" if person else "post", "ref": ref, "object_id": f"o{number[0]}",
                "person": person, "text_sha256": text, "language": "", "parent": "", **more}
    assert not outward.posted_twice([entry("facebook", "desk:1/0", person="p"), entry("facebook", "desk:1/1", person="p"),
                                     entry("facebook", "desk:2/0", person="p")]), "parts, and the same words said anew"
    assert outward.posted_twice([entry("facebook", "desk:1/0", person="p"), entry("facebook", "desk:1/0", person="p")])
    assert outward.posted_twice([entry("x", person="p"), entry("x", person="p")])
    assert not outward.posted_twice([entry("x", person="p"), entry("x", person="q"), entry("x-post"), entry("mastodon")])
    assert not outward.posted_twice([entry("mastodon", language="en"), entry("mastodon", language="cy")])
    first = entry("page")
    assert outward.posted_twice([first, entry("page")])
    assert not outward.posted_twice([first, {**first, "op": "remove"}, entry("page")]), "removed, then posted anew"
