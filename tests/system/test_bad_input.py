"""Hostile and broken requests at a running desk: a clear answer, a counter, and what was signed is found by a person."""
import collections
import contextlib
import hmac
import json
import re
import socket
import time

import pytest

from desk import Desk, wait_until

BODY_MAX = 1 << 20
DEADLINE_MS = 1500
PATIENT_MS = 15_000  # so long that a thousand connections are there before the first of them is closed
Answer = collections.namedtuple("Answer", "status text")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """One desk for all: no bad request may spoil it for the next."""
    yield from desk_with(tmp_path_factory.mktemp("desk"), DEADLINE_MS)


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """One for those who hold many connections at once."""
    yield from desk_with(tmp_path_factory.mktemp("patient"), PATIENT_MS)


def desk_with(state, deadline_ms):
    limits = {"ingest": {"http": {"body_max_bytes": BODY_MAX, "request_deadline_ms": deadline_ms}}}
    desk = Desk(state, workers=1, changes=limits)
    try:
        yield desk.start()
    finally:
        desk.stop()


def sign(desk, body, secret="meta-app"):
    return "sha256=" + hmac.digest(desk.secret_text(secret).encode(), body, "sha256").hex()


def connect(desk, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", desk.ports["ingest-1"]), 15, (source, 0))


def read_answer(connection):
    """Status and everything until the other side closes or falls silent after a whole answer."""
    data = b""
    connection.settimeout(15)
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            data += piece
            head, found, rest = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if found and length and len(rest) >= int(length[1]):
                break
    status = re.match(rb"HTTP/1\.[01] (\d+)", data)
    return Answer(int(status[1]) if status else 0, data.decode("latin-1"))


def send(desk, *pieces):
    with connect(desk) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        return read_answer(connection)


def head(path="/hooks/facebook", *lines, method="POST", version="HTTP/1.1"):
    return "\r\n".join([f"{method} {path} {version}", "Host: desk", *lines, "", ""]).encode("latin-1")


def post(desk, body, signature=None, path="/hooks/facebook"):
    signature = sign(desk, body) if signature is None else signature
    lines = [f"Content-Length: {len(body)}"] + ([f"X-Hub-Signature-256: {signature}"] if signature else [])
    return send(desk, head(path, *lines), body)


def rejected(desk, reason):
    return desk.metric_sum("ingest-1", "desg_ingest_rejected_total", f'reason="{reason}"')


@contextlib.contextmanager
def counted(desk, reason, times=1):
    before = rejected(desk, reason)
    yield
    wait_until(lambda: rejected(desk, reason) == before + times, 30, f"{reason} counted {times} more than {before:g}")


def review(desk):
    return sum(row["events"] for row in desk.queue("needs-review"))


@contextlib.contextmanager
def found_by_a_person(desk, events=1):
    before = review(desk)
    yield
    wait_until(lambda: review(desk) >= before + events, 60, f"{events} more in needs-review than {before}")


def message(mid, text, sender="6200000000000011", **more):
    return {"object": "page", "entry": [{"id": "108800000000001", "time": int(time.time() * 1000), "messaging": [
        {"sender": {"id": sender}, "recipient": {"id": "108800000000001"}, "timestamp": int(time.time() * 1000),
         "message": {"mid": mid, "text": text}, **more}]}]}


def body_of(*arguments, **more):
    return json.dumps(message(*arguments, **more)).encode()


def texts(desk):
    """Text of every event held."""
    import ledger
    return [event.get("text", "") for event in ledger.Held(desk).events]


# --- signatures ---

def test_wrong_missing_and_upper_case_signatures(desk):
    body = body_of("m_sig", "hello")
    good = sign(desk, body)
    with counted(desk, "signature_wrong"):
        assert post(desk, body + b" ", good).status == 403
    with counted(desk, "signature_missing"):
        assert post(desk, body, "").status == 403
    for bad in ("sha256=", "sha256=abc", "sha1=" + good[7:], good[7:], good + "00", "sha256=" + "g" * 64):
        with counted(desk, "signature_malformed"):
            assert post(desk, body, bad).status == 403
    upper = "sha256=" + good[7:].upper()
    answer = post(desk, body, upper)  # hex is hex
    assert answer.status in (200, 403)
    assert "error" in post(desk, body, "").text
    assert post(desk, body).status == 200
    with counted(desk, "signature_wrong"):
        assert post(desk, body, good, "/hooks/x").status == 403 or rejected(desk, "signature_missing")
        assert post(desk, b"{}", good).status == 403


# --- bodies ---

def test_a_body_over_the_limit_is_refused_and_holds_no_memory(desk):
    with counted(desk, "body_too_large"):
        assert send(desk, head("/hooks/facebook", f"Content-Length: {BODY_MAX + 1}")).status == 413
    with counted(desk, "body_too_large"):
        pieces = [b"10000\r\n" + b"x" * 65536 + b"\r\n"] * (BODY_MAX // 65536 + 2)
        assert send(desk, head("/hooks/facebook", "Transfer-Encoding: chunked"), *pieces, b"0\r\n\r\n").status == 413
    exact = json.dumps({"object": "page", "entry": [], "x": ""}).encode()
    exact = exact[:-2] + b"y" * (BODY_MAX - len(exact)) + exact[-2:]
    assert len(exact) == BODY_MAX and post(desk, exact).status == 200


@pytest.mark.parametrize("body", [
    b"", b"not JSON at all", b"{", b"\xff\xfe\x00\x01", b'{"object":"page"', b"null", b"17", b'"page"', b"[]", b"{}",
    b'{"object":"page"}', b'{"object":"page","entry":{}}', b'{"object":"page","entry":[17,"x",null]}',
    b'{"object":17,"entry":[]}', b'{"object":"martian_page","entry":[{"id":"1"}]}', b'{"object":"page","entry":[{"id":"1","messaging":[{"surprise":1}]}]}',
], ids=range(16))
def test_signed_but_not_understood_is_taken_and_found_by_a_person(desk, body):
    with found_by_a_person(desk):
        assert post(desk, body).status == 200
    assert post(desk, body).status == 200  # the same again is the same event


def test_nesting_a_hundred_thousand_deep(desk):
    for body in (b"[" * 100_000 + b"]" * 100_000, b'{"object":' * 50_000 + b"1" + b"}" * 50_000, b"[" * 100_000):
        with found_by_a_person(desk):
            assert post(desk, body).status == 200
    desk.assert_all_alive()


def test_lone_surrogates_nul_and_invalid_utf8_keep_the_message(desk):
    cases = {
        "m_lone": rb'lone high \ud83d end', "m_low": rb'lone low \udc00 end', "m_swapped": rb'swapped \udc00\ud83d end',
        "m_nul": rb'nul \u0000 inside', "m_utf8": b'raw \xff\xfe\xc0\xaf bytes', "m_over": b'overlong \xe0\x80\x80 end',
        "m_raw_nul": b'raw \x00 nul', "m_cut": b'cut \xf0\x9f\x98',
    }
    before_review, before = review(desk), len(texts(desk))
    for mid, text in cases.items():
        body = json.dumps(message(mid, "@@")).encode().replace(b"@@", text)
        assert post(desk, body).status == 200, mid
    wait_until(lambda: len(texts(desk)) - before >= len(cases) or review(desk) - before_review >= len(cases), 60,
               "each of them in a queue")
    held = " ".join(texts(desk))
    for words in ("lone high", "lone low", "swapped", "nul"):
        assert words in held, f"'{words}' is readable"
    desk.assert_all_alive()


def test_numbers_of_64_bits_stay_what_they_are(desk):
    number = 9223372036854775807
    body = json.dumps({"for_user_id": "3001", "tweet_create_events": [{
        "id": number, "id_str": str(number), "text": "big number mention", "created_at": "Wed Feb 11 18:22:00 +0000 2026",
        "user": {"id": 9007199254740993, "id_str": "9007199254740993", "name": "n", "screen_name": "n"},
        "entities": {"user_mentions": [{"id_str": "3001", "screen_name": "force", "indices": [0, 1]}]}}]}).encode()
    import base64
    mac = base64.b64encode(hmac.digest(desk.secret_text("x-consumer").encode(), body, "sha256")).decode()
    answer = send(desk, head("/hooks/x", f"Content-Length: {len(body)}", f"x-twitter-webhooks-signature: sha256={mac}"), body)
    assert answer.status == 200
    import ledger
    event, = wait_until(lambda: [e for e in ledger.Held(desk).events if e.get("object_id") == str(number)], 60, "the mention")
    assert "9007199254740993" in json.dumps(event)
    with found_by_a_person(desk):  # more than 64 bits is no number of ours, but is kept
        assert post(desk, b'{"object":"page","entry":[{"id":1' + b"0" * 400 + b',"messaging":[{"x":1}]}]}').status == 200


# --- framing ---

def test_lengths_that_disagree_or_lie(desk):
    body = body_of("m_framing", "framing")
    signed = f"X-Hub-Signature-256: {sign(desk, body)}"
    length = f"Content-Length: {len(body)}"
    for lines in ([length, length], [length, "Content-Length: 3"], [length, "Transfer-Encoding: chunked"],
                  ["Transfer-Encoding: chunked", length], ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: identity"],
                  ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]):
        with counted(desk, "framing"):
            assert send(desk, head("/hooks/facebook", signed, *lines), body).status == 400, lines
    for value in ("-1", "+5", "5x", "0x10", "99999999999999999999", "5, 5", ""):
        answer = send(desk, head("/hooks/facebook", signed, f"Content-Length: {value}"), body)
        assert answer.status in (400, 413), f"Content-Length '{value}': {answer.status}"
    with counted(desk, "length_missing"):
        assert send(desk, head("/hooks/facebook", signed)).status == 411
    assert "m_framing" not in json.dumps(desk.json("queue")), "nothing of it was taken"


def test_chunked_alone_is_taken(desk):
    body = body_of("m_chunked", "sent in chunks")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:90], body[90:]))
    answer = send(desk, head("/hooks/facebook", f"X-Hub-Signature-256: {sign(desk, body)}", "Transfer-Encoding: chunked"),
                  chunks + b"0\r\n\r\n")
    assert answer.status == 200
    wait_until(lambda: "sent in chunks" in texts(desk), 60, "the message")
    bad = send(desk, head("/hooks/facebook", f"X-Hub-Signature-256: {sign(desk, body)}", "Transfer-Encoding: chunked"),
               b"zz\r\n" + body + b"\r\n0\r\n\r\n")
    assert bad.status in (0, 400), "chunks that are no chunks"


def test_methods_versions_paths_and_heads(desk):
    for method, reason, status in (("PUT", "method", 405), ("DELETE", "method", 405), ("OPTIONS", "method", 405)):
        with counted(desk, reason):
            answer = send(desk, head(method=method))
            assert answer.status == status and "Allow: GET, POST" in answer.text
    with counted(desk, "version"):
        assert send(desk, head("/hooks/facebook", "Content-Length: 0", version="HTTP/1.0")).status == 505
    for path in ("/", "/hooks", "/hooks/facebook/", "/hooks/../hooks/facebook", "/hooks/mastodon", "/metrics"):
        with counted(desk, "path"):
            assert send(desk, head(path, "Content-Length: 0")).status == 404
    assert send(desk, b"POST /hooks/facebook HTTP/1.1\r\nContent-Length: 0\r\n\r\n").status == 400  # no Host
    assert send(desk, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS?\r\n\r\n").status in (0, 400)
    assert send(desk, head("/hooks/facebook", "X: " + "y" * 100_000)).status in (0, 400, 413, 431)
    assert send(desk, head("/" + "p" * 100_000)).status in (0, 400, 404, 414, 431)
    assert post(desk, body_of("m_after", "still here")).status == 200


def test_subscription_checks(desk):
    token = desk.secret_text("meta-verify-token")
    good = f"/hooks/facebook?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444"
    answer = send(desk, head(good, method="GET"))
    assert answer.status == 200 and answer.text.endswith("1158201444")
    with counted(desk, "challenge_refused"):
        assert send(desk, head(good.replace(token, "guessed"), method="GET")).status == 403
    with counted(desk, "challenge_malformed"):
        assert send(desk, head(good.partition("&hub.challenge")[0], method="GET")).status == 400
    crc = send(desk, head("/hooks/x?crc_token=a-token", method="GET"))
    assert crc.status == 200 and '"response_token"' in crc.text


# --- slow and many ---

def test_a_slow_drip_is_cut_off_at_its_deadline(desk):
    body = body_of("m_slow", "slow")
    for lead in (b"POST /hooks/facebook HT", head("/hooks/facebook", f"Content-Length: {len(body)}")):
        began = time.monotonic()
        with connect(desk) as connection:
            connection.sendall(lead)
            answered, is_cut_off = b"", False
            connection.settimeout(0.2)
            while not is_cut_off and time.monotonic() < began + 60:
                with contextlib.suppress(OSError):  # it was cut off before: what was answered can still be read
                    connection.sendall(b"x")
                try:
                    piece = connection.recv(4096)
                    answered += piece
                    is_cut_off = not piece
                except socket.timeout:
                    continue
                except OSError:
                    is_cut_off = True
            assert is_cut_off, "a drip goes on for ever"
            assert time.monotonic() - began > DEADLINE_MS / 1000 - 0.5, "not before its time"
            if lead.startswith(b"POST /hooks/facebook HTTP"):
                assert b" 408 " in answered
    wait_until(lambda: rejected(desk, "too_slow") >= 1, 30, "and counted")


def test_a_thousand_idle_connections_do_not_keep_others_out(patient):
    desk = patient
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            stack.enter_context(connect(desk, f"127.0.1.{1 + number // 150}"))
        wait_until(lambda: desk.metric_sum("ingest-1", "desg_ingest_connections") > 700, 10, "most of them taken")
        assert post(desk, body_of("m_among", "among a thousand")).status == 200
        assert desk.metric_sum("ingest-1", "desg_ingest_connections") > 700, "answered while they were there"
        wait_until(lambda: desk.metric_sum("ingest-1", "desg_ingest_connections") < 10, PATIENT_MS / 1000 + 60,
                   "idle ones are closed")
    wait_until(lambda: "among a thousand" in texts(desk), 60, "the message")


def test_one_address_cannot_take_every_connection(patient):
    desk = patient
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(desk, "127.0.2.1")) for _ in range(260)]
        assert len(held) == 260
        wait_until(lambda: 190 <= desk.metric_sum("ingest-1", "desg_ingest_connections") <= 210, 10, "200 of them at most")
        assert post(desk, body_of("m_other", "another address")).status == 200


def test_afterwards_all_is_well(desk):
    desk.assert_all_alive()
    assert all(process.starts == 1 for process in desk.processes.values())
    import ledger
    assert ledger.wait_settled(desk, 90), desk.backlog()
    assert desk.json("quarantine", "list") == [] or all(row["reason"] for row in desk.json("quarantine", "list"))
