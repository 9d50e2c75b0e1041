"""Secrets change while all runs: webhooks', dispatch's callbacks', people's tokens. Nobody sends a signal."""
import hashlib
import hmac
import http.client
import json
import secrets

from desk import CALM_TEXT, SEED, make_plan, wait_until


def replace(path, text):
    """As a person with mv does, and Kubernetes."""
    beside = path.with_name(path.name + ".part")
    beside.touch(mode=0o600)
    beside.write_text(text + "\n", "ascii")
    beside.rename(path)


def post(desk, secret, number):
    """The status of a Messenger body signed with secret."""
    body = json.dumps({"object": "page", "entry": [{"id": "page-1", "time": 1770000000000, "messaging": [{
        "sender": {"id": f"sender-{number}"}, "recipient": {"id": "page-1"}, "timestamp": 1770000000000 + number,
        "message": {"mid": f"m_rotation_{number}", "text": CALM_TEXT}}]}]}).encode()
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", desk.ports["ingest-1"], timeout=30)
    connection.request("POST", "/hooks/facebook", body, {"X-Hub-Signature-256": signature, "Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def challenge(desk, token):
    connection = http.client.HTTPConnection("127.0.0.1", desk.ports["ingest-1"], timeout=30)
    connection.request("GET", f"/hooks/facebook?hub.mode=subscribe&hub.challenge=77&hub.verify_token={token}")
    answer = connection.getresponse()
    told = answer.status, answer.read()
    connection.close()
    return told


def test_a_webhook_secret_is_rotated_live(make_desk, state):
    second = state / "meta-app-second"
    first_text, new_text = secrets.token_hex(32), secrets.token_hex(32)
    desk = make_desk(is_started=False, workers=1)
    first = desk.secret("meta-app")
    replace(first, first_text)
    replace(second, first_text)  # the same in both: nothing is under way
    channels = desk.config()["ingest"]["channels"]
    channels[0]["secret_files"] = [str(first.absolute()), str(second)]
    desk.changes["ingest"] = {"channels": channels}
    desk.write_config()
    desk.start()
    assert post(desk, first_text, 1) == 200 and post(desk, new_text, 2) == 403
    starts = desk.processes["ingest-1"].pid

    replace(first, new_text)  # the new one first, the old one in the second file
    numbers = iter(range(10, 10000))
    wait_until(lambda: post(desk, new_text, next(numbers)) == 200, 60, "the new secret accepted")
    assert post(desk, first_text, next(numbers)) == 200, "the old one still counts while it is listed"
    assert post(desk, secrets.token_hex(32), next(numbers)) == 403

    replace(second, new_text)  # the old one is taken out
    wait_until(lambda: post(desk, first_text, next(numbers)) == 403, 60, "the old secret refused")
    assert post(desk, new_text, next(numbers)) == 200

    first.write_text("", "ascii")  # a mistake leaves what counts
    wait_until(lambda: "secrets_not_reloaded" in desk.log("ingest-1"), 60, "the mistake named")
    assert post(desk, new_text, next(numbers)) == 200
    first.unlink()  # gone: the other alone counts
    later = secrets.token_hex(32)
    replace(second, later)
    wait_until(lambda: post(desk, later, next(numbers)) == 200, 60, "the one that is left counts")
    assert post(desk, new_text, next(numbers)) == 403
    assert desk.processes["ingest-1"].pid == starts and desk.processes["ingest-1"].is_alive()
    for text in (first_text, new_text, later):
        assert text not in desk.log("ingest-1")


def test_a_verify_token_is_rotated_live(make_desk):
    desk = make_desk(workers=0)
    before, after = desk.secret_text("meta-verify-token"), secrets.token_hex(16)
    assert challenge(desk, before) == (200, b"77")
    replace(desk.secret("meta-verify-token"), after)
    wait_until(lambda: challenge(desk, after) == (200, b"77"), 60, "the new token accepted")
    assert challenge(desk, before)[0] == 403


def test_webhook_secrets_change_under_load_and_nothing_is_lost(make_desk):
    """The platforms go on with the old one until they are told; both count meanwhile."""
    desk = make_desk(is_started=False)
    spare = desk.secret("meta-app-spare")
    replace(spare, desk.secret_text("meta-app"))
    channels = desk.config()["ingest"]["channels"]
    for channel in channels:
        if channel["adapter"] == "meta":
            channel["secret_files"] = [*channel["secret_files"], str(spare.absolute())]
    desk.changes["ingest"] = {"channels": channels}
    desk.write_config()
    desk.start()
    load = desk.play(make_plan(SEED, 0.4, forge_share=0), 12)
    replace(desk.secret("meta-app"), secrets.token_hex(32))  # what the player signs with stands in the spare file
    wait_until(lambda: "secrets_changed" in desk.log("ingest-1"), 60, "the change seen")
    desk.settle(load.wait())
    assert desk.metric_sum("ingest-1", "desg_ingest_rejected_total", "signature_wrong") == 0


def test_peoples_tokens_change_without_a_signal(make_desk):
    desk = make_desk(workers=0)
    token = desk.add_token("dilys", "agent")
    wait_until(lambda: desk.ask_desk("GET", "/v1/session", token)[0] == 200, 60, "the new token accepted")
    path = desk.state / "secrets" / "desk-tokens.txt"
    replace(path, "\n".join(line for line in path.read_text("utf-8").splitlines() if " dilys " not in line))
    wait_until(lambda: desk.ask_desk("GET", "/v1/session", token)[0] == 401, 60, "the removed token refused")


def test_dispatchs_callback_secret_changes_without_a_signal(make_desk):
    desk = make_desk(workers=0)
    replace(desk.secret("dispatch-callback"), secrets.token_hex(32))
    wait_until(lambda: "reloaded" in desk.log("notify"), 60, "the new secret read")
    assert "secrets_not_reloaded" not in desk.log("notify")
