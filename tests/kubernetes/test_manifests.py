"""The check of manifests catches what is broken; new-channel, new-secrets and adopt make what fits and refuse the rest."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest

import manifests

KUBERNETES = manifests.TOP / "deploy/kubernetes"
MODULES = manifests.TOP / "build/kubernetes-check"


@pytest.fixture
def copy(tmp_path):
    """A copy of deploy/kubernetes to break."""
    shutil.copytree(KUBERNETES, tmp_path / "deploy/kubernetes")
    shutil.copytree(manifests.TOP / "deploy/redis", tmp_path / "deploy/redis")
    return tmp_path / "deploy/kubernetes"


def change(folder, file, old, new):
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text, f"{file} has no {old!r} to break"
    path.write_text(text.replace(old, new, 1), "utf-8")


def faults(folder, overlay="overlays/small"):
    return manifests.check("broken", manifests.render(folder / overlay))


BROKEN = [
    ("base/route.yaml", "selector: { app.kubernetes.io/name: desg, app.kubernetes.io/component: route }", "selector: { app: route }", "Service route: its selector matches no pod"),
    ("base/notify.yaml", "port: 7201, targetPort", "port: 7200, targetPort", "a port that Service does not have"),
    ("base/notify.yaml", "publishNotReadyAddresses: true", "publishNotReadyAddresses: false", "peers are found by it"),
    ("base/desk.yaml", "secretName: id-key", "secretName: idkey", "the Secret idkey is not in README.md's table"),
    ("base/desk.yaml", "configMap: { name: desg-config }", "configMap: { name: desg-conf }", "there is no ConfigMap desg-conf"),
    ("base/desk.yaml", "serviceAccountName: desk", "serviceAccountName: default", "its ServiceAccount default is not there"),
    ("base/desg.yaml", "tcp://notify:7201#notify", "tcp://notify:7301#notify", "names notify:7301"),
    ("base/desg.yaml", "admin_listen: 0.0.0.0:9104", "admin_listen: 0.0.0.0:9204", "port admin is 9104, in the configuration 9204"),
    ("base/desg.yaml", "admin_listen: 0.0.0.0:9103", "admin_listen: 127.0.0.1:9103", "listens inside the pod only"),
    ("base/desg.yaml", "directory: /var/lib/desg/desk", "directory: /srv/desk", "/srv/desk is on no volume"),
    ("base/desg.yaml", "directory: /var/lib/desg/desk", "directory: /run/desg/desk", "is not on a volume that lasts"),
    ("base/desg.yaml", "size_mib: 512", "size_mib: 4096", "its journals take 4096 MiB"),
    ("base/desg.yaml", "/etc/desg/dispatch/token", "/etc/desg/dispatch/tocen", "has no key tocen"),
    ("base/policies.yaml", "port: 7102", "port: 7103", "does not let classify-facebook in at 7102"),
    ("base/policies.yaml", "values: [ ingest, classify, route, notify, desk ]", "values: [ ingest, classify, route, notify ]", "does not let it out to <names>:53"),
    ("base/policies.yaml", "component: ingest } }", "component: notify } }", "allows notify to route:7101"),
    ("base/policies.yaml", "  podSelector: {}\n  policyTypes: [ Ingress, Egress ]", "  podSelector: {}\n  policyTypes: [ Ingress ]\n  ingress: [ { from: [ { namespaceSelector: {} } ], ports: [ { port: 1 } ] } ]", "allows all namespaces to"),
    ("channel/policies.yaml", "values: [ notify ]", "values: [ desk ]", "allows classify-facebook to desk:7201"),
    ("channel/policies.yaml", "port: 7001", "port: 7002", "does not let classify-web in at 7001"),
    ("channel/ingest.yaml", "desg/role: intake }\n  ports", "desg/role: intakes }\n  ports", "Service intake-web: its selector matches no pod"),
    ("channel/ingest.yaml", "preStop: { sleep: { seconds: 5 } }", "preStop: { sleep: { seconds: 1 } }", "no preStop"),
    ("channel/ingest.yaml", "whenScaled: Retain", "whenScaled: Delete", "its claims are not retained"),
    ("channel/ingest.yaml", "limits: { memory: 256Mi }", "limits: {}", "says not what it needs"),
    ("channel/classify.yaml", "maxUnavailable: 1\n  selector", "maxUnavailable: 2\n  selector", "leaves none of Deployment classify-facebook"),
    ("channel/classify.yaml", "maxUnavailable: 1\n  selector", "minAvailable: 2\n  selector", "lets no node be drained"),
    ("channels/web/kustomization.yaml", "value: /v1/intake/web", "value: /v1/intake/form", "/v1/intake/form is no path of StatefulSet ingest-web"),
    ("channels/web/desg.yaml", "tcp://ingest-web:7001", "tcp://ingest-facebook:7001", "names ingest-facebook:7001|does not let"),
    ("pod/container.yaml", "path: /readyz", "path: /ready", "readinessProbe does not ask /readyz"),
    ("pod/container.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may write to its root"),
    ("pod/container.yaml", "drop: [ ALL ]", "drop: [ NET_RAW ]", "has capabilities"),
    ("pod/pod.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "may run as root"),
    ("pod/pod.yaml", "seccompProfile: { type: RuntimeDefault }", "seccompProfile: { type: Unconfined }", "has no seccomp profile"),
    ("pod/pod.yaml", "terminationGracePeriodSeconds: 40", "terminationGracePeriodSeconds: 25", "has 25 s to end"),
    ("pod/pod.yaml", "enableServiceLinks: false", "enableServiceLinks: true", "enableServiceLinks is on"),
    ("base/namespace.yaml", "enforce: restricted", "enforce: baseline", "does not enforce restricted"),
    ("base/redis.conf", "maxmemory 512mb", "maxmemory 900mb", "no room for a copy of maxmemory"),
    ("base/redis.conf", "noeviction", "allkeys-lru", "maxmemory-policy has to be noeviction"),
    ("overlays/small/kustomization.yaml", "newName: localhost/desg-desk, newTag: 0.1.0", "newName: localhost/desg-desk, newTag: latest", "has no version"),
]


@pytest.mark.parametrize("file, old, new, expected", BROKEN, ids=[f"{each[0]}: {each[2][:40]}" for each in BROKEN])
def test_a_broken_copy_is_caught(copy, file, old, new, expected):
    change(copy, file, old, new)
    found = faults(copy)
    assert any(re.search(expected, each) for each in found), found


def test_the_unbroken_copy_is_not(copy):
    assert faults(copy) == []


def test_what_does_not_render_is_a_fault_with_its_reason(copy):
    change(copy, "base/kustomization.yaml", "route.yaml", "rout.yaml")
    with pytest.raises(RuntimeError, match="rout.yaml"):
        faults(copy)


SCHEMA = [("containerPort: 8080", "containerProt: 8080", "containerProt"), ("maxUnavailable: 1", "maxUnavailabel: 1", "maxUnavailabel"),
          ("cpu: 50m", "cpus: 50m", "cpus"), ("replicas: 2", 'replicas: "2"', "replicas")]


@pytest.mark.skipif(not (MODULES / "installed.json").exists(), reason="tests/kubernetes/check installs the npm packages")
@pytest.mark.parametrize("old, new, expected", SCHEMA)
def test_fields_that_are_none_are_caught(copy, old, new, expected):
    change(copy, "channel/ingest.yaml", old, new)
    found = manifests.check_schema("broken", manifests.render(copy / "overlays/small"), MODULES)
    assert any(expected in each for each in found), found


def run(program, *words):
    return subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, timeout=60)


# --- new-channel ---

@pytest.mark.parametrize("words", [["Facebook"], ["-web"], ["web-"], ["a_b"], ["1a"], ["a" * 33], ["../x"], [""], ["mastodon"], [], ["x", "--adapter", "sms"],
                                   ["x", "--path", "hooks"], ["x", "--path", "/a b"], ["x", "y"], ["x", "--into", "/nonexistent"]])
def test_new_channel_refuses_what_is_no_channel(copy, words):
    done = run(copy / "new-channel", *words)
    assert done.returncode == 64 and "see new-channel --help" in done.stderr
    assert not (copy / "channels/mastodon").exists()


def test_new_channel_changes_no_channel_that_is_there(copy):
    before = (copy / "channels/web/desg.yaml").read_text("utf-8")
    done = run(copy / "new-channel", "web", "--path", "/other")
    assert done.returncode == 1 and "is there already" in done.stderr
    assert (copy / "channels/web/desg.yaml").read_text("utf-8") == before


@pytest.mark.parametrize("name, words", [("mastodon", ["--adapter", "web"]), ("page-2", ["--adapter", "meta", "--path", "/hooks/second"])])
def test_a_new_channel_fits(copy, name, words):
    done = run(copy / "new-channel", name, *words)
    assert done.returncode == 0 and f"webhook-{name}" in done.stdout
    change(copy, "overlays/small/kustomization.yaml", "  - ../../channels/web", f"  - ../../channels/web\n  - ../../channels/{name}\n  - ../../channels/{name}/keda")
    objects = manifests.render(copy / "overlays/small")
    assert manifests.check("new", objects) == []
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    assert {("StatefulSet", f"ingest-{name}"), ("Deployment", f"classify-{name}"), ("ScaledObject", f"classify-{name}")} <= names
    assert "CHANNEL" not in json.dumps([each for each in objects if each["kind"] == "ScaledObject"])


def test_new_channel_says_what_it_takes():
    done = run(KUBERNETES / "new-channel", "--help")
    assert done.returncode == 0 and "--adapter" in done.stdout


def test_the_channels_here_are_those_it_makes(tmp_path):
    for folder in (KUBERNETES / "channels").iterdir():
        assert run(KUBERNETES / "new-channel", folder.name, "--into", tmp_path).returncode == 0
        for path in folder.rglob("*.yaml"):
            assert path.read_text("utf-8") == (tmp_path / path.relative_to(KUBERNETES / "channels")).read_text("utf-8"), path


# --- new-secrets ---

def test_new_secrets_makes_each_secret_that_pods_want(tmp_path):
    folder = tmp_path / "secrets"
    done = run(KUBERNETES / "new-secrets", folder, "facebook", "web")
    assert done.returncode == 0, done.stderr
    made = {each["metadata"]["name"]: set(each["data"]) for each in manifests.render(folder)}
    overlay = manifests.Overlay("small", manifests.render(KUBERNETES / "overlays/small"))
    for workload in overlay.workloads:
        for volume in workload.volumes.values():
            secret = volume.get("secret", {"optional": True})
            if not secret.get("optional"):
                assert secret["secretName"] in made
                assert {item["key"] for item in secret.get("items", [])} <= made[secret["secretName"]]
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_new_secrets_keeps_what_is_there(tmp_path):
    folder = tmp_path / "secrets"
    assert run(KUBERNETES / "new-secrets", folder, "web").returncode == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "kustomization.yaml"}
    done = run(KUBERNETES / "new-secrets", folder, "web", "x")
    assert done.returncode == 0 and "webhook-x" in (folder / "kustomization.yaml").read_text("utf-8")
    for path, text in before.items():
        assert path.read_bytes() == text, path


def test_new_secrets_takes_the_keys_of_curve(tmp_path):
    folder = tmp_path / "secrets"
    for service in ("ingest", "route"):
        (folder / f"curve/{service}/allowed").mkdir(parents=True)
        for name in ("own", "own_secret", "allowed/ingest.pub"):
            (folder / f"curve/{service}/{name}").write_text("key\n", "utf-8")
    folder.chmod(0o700)
    assert run(KUBERNETES / "new-secrets", folder, "web").returncode == 0
    made = {each["metadata"]["name"]: set(each["data"]) for each in manifests.render(folder)}
    assert made["curve-route"] == {"own", "own_secret"} and made["curve-allowed-ingest"] == {"ingest.pub"}


def test_new_secrets_refuses_an_open_folder_and_bad_names(tmp_path):
    tmp_path.chmod(0o755)
    assert run(KUBERNETES / "new-secrets", tmp_path, "web").returncode == 1
    assert run(KUBERNETES / "new-secrets", tmp_path / "s", "Web").returncode == 64
    assert run(KUBERNETES / "new-secrets", tmp_path / "s").returncode == 64


def test_redis_takes_the_users_that_new_secrets_writes(tmp_path):
    folder = tmp_path / "secrets"
    (folder / "redis-passwords").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    (folder / "redis-passwords/desk.new").write_text("next\n", "utf-8")
    (folder / "redis-passwords/desk.new").chmod(0o600)
    assert run(KUBERNETES / "new-secrets", folder, "web").returncode == 0
    users = (folder / "redis-users/users.acl").read_text("utf-8")
    for user in ("route", "notify", "desk", "replica", "sentinel"):
        assert re.search(rf"^user {user} on #[0-9a-f]{{64}} ", users, re.M)
    assert re.search(r"^user default off ", users, re.M)
    assert re.search(r"^user desk on #[0-9a-f]{64} #[0-9a-f]{64} ", users, re.M), "both passwords count"


# --- adopt ---

def test_adopt_makes_a_job_on_the_old_claim_that_takes_no_webhooks(copy):
    change(copy, "overlays/small/kustomization.yaml", "images:", "replicas: [ { name: ingest-web, count: 1 } ]\nimages:")
    done = run(copy / "adopt", "ingest-web-1", "--overlay", copy / "overlays/small")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    overlay = manifests.Overlay("job", manifests.render(copy / "overlays/small") + [job])
    adopting = next(each for each in overlay.workloads if each.kind == "Job")
    assert adopting in overlay.behind("ingest-web") and adopting not in overlay.behind("intake-web")
    assert adopting.desg["args"] == ["--adopt", "--config", "/etc/desg/config/desg.yaml", "--name", "ingest-web-1"]
    assert adopting.volumes["journal"]["persistentVolumeClaim"]["claimName"] == "journal-ingest-web-1"
    manifests.check_security(overlay)
    manifests.check_names(overlay)
    manifests.check_selectors(overlay)
    assert overlay.faults == []
    if (MODULES / "installed.json").exists():
        assert manifests.check_schema("job", [job], MODULES) == []


@pytest.mark.parametrize("words, code", [(["ingest-web-1", "--overlay", "overlays/small"], 1), (["ingest-none-1", "--overlay", "overlays/small"], 1),
                                         (["notify-1", "--overlay", "overlays/small"], 64), (["ingest-web-1"], 64), (["ingest-web-1", "--overlay", "no"], 1)])
def test_adopt_refuses_a_pod_that_runs_and_what_is_none(copy, words, code):
    words = [str(copy / each) if "/" in each else each for each in words]
    done = run(copy / "adopt", *words)
    assert done.returncode == code and done.stderr.startswith("adopt: ") and done.stdout == ""
