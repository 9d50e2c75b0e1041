"""Redis over TLS: by hiredis where this build has it, else by stunnel beside the services; in either case to the right server only."""
import shutil
import subprocess

import pytest

import suite
from desk import SEED, make_plan, wait_until


@pytest.fixture
def certificates(state):
    """An authority, and pairs signed by it: server (127.0.0.1, redis.test), client, other (elsewhere.test)."""
    folder = state / "tls"
    folder.mkdir(mode=0o700)

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "x.key", "-out", "strange.pem", "-days", "2", "-subj", "/CN=Other authority")
    for name, names in (("server", "IP:127.0.0.1,DNS:redis.test"), ("client", "DNS:desg.test"), ("other", "DNS:elsewhere.test")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n", "ascii")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem", "-days", "2",
                "-extfile", f"{name}.ext")
    for path in folder.glob("*.key"):
        path.chmod(0o600)
    return folder


def server_options(folder, port, name="server"):
    return ["--tls-port", str(port), "--tls-cert-file", folder / f"{name}.pem", "--tls-key-file", folder / f"{name}.key",
            "--tls-ca-cert-file", folder / "ca.pem", "--tls-auth-clients", "yes", "--bind", "127.0.0.1"]


def tls(folder, **changes):
    return suite.merge({"ca_file": str(folder / "ca.pem"), "cert_file": str(folder / "client.pem"), "key_file": str(folder / "client.key")}, changes)


def configure(desk, redis):
    desk.changes = suite.merge(desk.changes, {"common": {"redis": redis}})
    desk.write_config()


def start_route(desk, redis):
    configure(desk, redis)
    desk.processes["route"].start()


@pytest.fixture
def has_tls(make_desk, certificates):
    """Whether this build's hiredis has TLS. One that has not must say what to do."""
    desk = make_desk(is_started=False, workers=0)
    start_route(desk, {"address": "127.0.0.1:1", "tls": tls(certificates)})
    route = desk.processes["route"]
    wait_until(lambda: not route.is_alive() or desk.status("route"), 60, "route starts, or says why not")
    if route.is_alive():
        return True
    assert route.popen.returncode == 78
    assert "run stunnel beside this process" in desk.log("route") and "docs/operations.md" in desk.log("route")
    return False


def test_a_build_without_tls_says_what_to_do_and_one_with_it_checks_its_files(make_desk, certificates, has_tls):
    if not has_tls:
        return  # has_tls has looked
    desk = make_desk(is_started=False, workers=0)
    for wrong, told in (({"ca_file": "/nonexistent"}, "ca_file"), ({"key_file": str(certificates / "other.key")}, "key_file")):
        start_route(desk, {"address": "127.0.0.1:1", "tls": tls(certificates, **wrong)})
        assert desk.processes["route"].popen.wait(60) == 78
        assert told in desk.log("route").splitlines()[-1]
    (certificates / "client.key").chmod(0o644)
    start_route(desk, {"address": "127.0.0.1:1", "tls": tls(certificates)})
    assert desk.processes["route"].popen.wait(60) == 78 and "chmod o-rwx" in desk.log("route").splitlines()[-1]


def test_half_a_pair_is_refused(make_desk, certificates):
    desk = make_desk(is_started=False, workers=0)
    start_route(desk, {"address": "127.0.0.1:1", "tls": tls(certificates, key_file=None)})
    assert desk.processes["route"].popen.wait(60) == 78 and "go together" in desk.log("route")


def test_a_desk_over_tls_leaves_a_clean_ledger(make_desk, certificates, has_tls):
    if not has_tls:
        pytest.skip("hiredis of this build has no TLS")
    port = suite.free_port()
    desk = make_desk(is_started=False, redis_options=server_options(certificates, port))
    configure(desk, {"address": f"127.0.0.1:{port}", "tls": tls(certificates), "timeout_ms": 2000})
    desk.start()
    book = desk.settle(desk.play(make_plan(SEED, 0.3), 0).wait())
    assert book["urgent"] == book["alerts_accepted"] > 5
    desk.processes["redis"].kill9()
    desk.restart("redis")
    desk.settle(desk.play(make_plan(SEED + 1, 0.1), 0).wait())
    wait_until(lambda: desk.desg("status").returncode == 0, 60, "all is well")


@pytest.mark.parametrize("wrong, told", [
    ({"ca_file": "strange.pem"}, "certificate"),
    ({"server_name": "elsewhere.test"}, "mismatch"),
    ({"cert_file": None, "key_file": None}, ""),
], ids=["another-authority", "another-name", "no-certificate-of-its-own"])
def test_the_wrong_server_or_caller_is_not_spoken_to(make_desk, certificates, has_tls, wrong, told):
    if not has_tls:
        pytest.skip("hiredis of this build has no TLS")
    port = suite.free_port()
    desk = make_desk(is_started=False, workers=0, redis_options=server_options(certificates, port))
    wrong = {key: str(certificates / value) if value and key == "ca_file" else value for key, value in wrong.items()}
    desk.processes["redis"].start()
    desk.wait_ready("redis")
    start_route(desk, {"address": f"127.0.0.1:{port}", "tls": tls(certificates, **wrong)})
    wait_until(lambda: "redis_unavailable" in desk.log("route"), 60, "route says that it does not reach Redis")
    line = next(line for line in desk.log("route").splitlines() if "redis_unavailable" in line)
    assert told in line.lower(), line
    wait_until(lambda: desk.metrics("route")["desg_route_redis_state"] != 0, 30, "the metric")
    assert not desk.redis_cli("FUNCTION", "LIST")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("stunnel4") and not shutil.which("stunnel"), reason="stunnel4 is not installed")
def test_stunnel_beside_the_services_carries_a_desk(make_desk, certificates):
    """The configuration of docs/operations.md, Redis over TLS."""
    port = suite.free_port()
    desk = make_desk(is_started=False, redis_options=server_options(certificates, port))
    near = desk.run_directory / "redis-tls.sock"
    config = desk.state / "stunnel.conf"
    config.write_text(f"""foreground = yes
pid =
[redis]
client = yes
accept = {near}
connect = 127.0.0.1:{port}
CAfile = {certificates}/ca.pem
cert = {certificates}/client.pem
key = {certificates}/client.key
verifyChain = yes
checkIP = 127.0.0.1
sslVersionMin = TLSv1.2
""", "ascii")
    program = shutil.which("stunnel4") or shutil.which("stunnel")
    tunnel = suite.Process("stunnel", [program, config], desk.state / "log" / "stunnel.log")
    tunnel.start()
    try:
        wait_until(near.exists, 60, "stunnel listens")
        configure(desk, {"address": f"unix:{near}"})
        desk.start()
        book = desk.settle(desk.play(make_plan(SEED, 0.3), 0).wait())
        assert book["urgent"] == book["alerts_accepted"] > 5
        tunnel.kill9()  # the sidecar dies and comes back: Redis was away for a while, nothing more
        load = desk.play(make_plan(SEED + 1, 0.1, forge_share=0), 2)
        near.unlink()
        tunnel.start()
        desk.settle(load.wait())
        config.write_text(config.read_text("ascii").replace("checkIP = 127.0.0.1", "checkHost = elsewhere.test"), "ascii")
        tunnel.kill9()
        near.unlink()
        tunnel.start()
        wait_until(lambda: desk.metrics("route")["desg_route_redis_state"] != 0, 60, "a server of another name is not spoken to")
    finally:
        tunnel.kill9()
