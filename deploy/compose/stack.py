"""stack - what up, down and desg share: secrets, images, and compose.yaml by docker compose, docker-compose, or podman without any compose.

compose.yaml is read by all three; podman's way knows the keys that stand in it and refuses others.
"""
import datetime
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
FILE = HERE / "compose.yaml"
PROJECT = os.environ.get("DESG_PROJECT", "desg")
STATE = pathlib.Path(os.environ.get("DESG_STATE", TOP / "var" / "compose")).absolute()
SECRETS = STATE / "secrets"
FORCE = "gwent"
USER = "10001"
IMAGES = ("ingest", "classify", "route", "notify", "desk", "desg", "redis", "simulators")
HEALTHY_S = 120
EXIT_FAILED, EXIT_USAGE = 1, 64


class Failed(Exception):
    """In words for whoever called."""


def version():
    return re.search(r"^project\(desg VERSION ([0-9.]+)", (TOP / "CMakeLists.txt").read_text("utf-8"), re.M).group(1)


TAG = os.environ.get("DESG_TAG") or version()


def image(name):
    return f"localhost/desg:{TAG}" if name == "desg" else f"localhost/desg-{name}:{TAG}"


def environment():
    own = {"DESG_TAG": TAG, "DESG_SECRETS": str(SECRETS), "CONTAINERS_CONF": str(TOP / "deploy" / "images" / "containers.conf")}
    return {**os.environ, **{name: os.environ.get(name, value) for name, value in own.items()}}


def call(command, check=True, is_shown=False, timeout=None):
    done = subprocess.run([str(part) for part in command], env=environment(), check=False, text=True, timeout=timeout,
                          stdout=None if is_shown else subprocess.PIPE, stderr=None if is_shown else subprocess.PIPE)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command[:4]))} … ended with {done.returncode}: {(done.stderr or '').strip()[-1500:]}")
    return done


def answers(*command):
    return shutil.which(command[0]) is not None and call(command, check=False, timeout=30).returncode == 0


# --- secrets ---

def write_secret(name, text):
    """Once: what is there stays."""
    path = SECRETS / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(text + "\n")


def make_secrets(engine):
    """Random ones, at the first start; Redis's users anew at each, for the rights that this version needs."""
    if not (SECRETS / "users.acl").exists():
        STATE.mkdir(parents=True, exist_ok=True)
        for name in ("id-key", "meta-app", "meta-verify-token", "x-consumer", "web-form", "dispatch-token", "dispatch-callback",
                     "redis/route", "redis/notify", "redis/desk", "redis/cli"):
            write_secret(name, secrets.token_hex(32))
        write_secret("journal-keys", f"{datetime.date.today().isoformat()} {secrets.token_hex(32)}")
        token = secrets.token_hex(32)
        write_secret("control-room.token", token)
        write_secret("desk-tokens", f"{hashlib.sha256(token.encode()).hexdigest()} control-room agent,supervisor,restricted,auditor")
    engine.as_root("desg", "/usr/bin/desg", "redis-acl", "--passwords", "/s/redis", "--force", FORCE, "--out", "/s/users.acl")
    # The containers' user owns them; whoever called may read them, through the group, and nobody else.
    engine.as_root("desg", "/bin/chown", "-R", f"{USER}:{engine.group()}", "/s")
    engine.as_root("desg", "/bin/chmod", "-R", "u=rX,g=rX,o=", "/s")


# --- docker ---

class Compose:
    def __init__(self, command):
        self.name = "docker"
        self.command = [*command, "-p", PROJECT, "-f", FILE]

    def group(self):
        return os.getgid()

    def has_image(self, name):
        return call(["docker", "image", "inspect", image(name)], check=False).returncode == 0

    def build(self):
        call([TOP / "deploy" / "images" / "build", "--engine", "docker", "--tag", TAG], is_shown=True)

    def as_root(self, name, program, *arguments):
        call(["docker", "run", "--rm", "--network", "none", "--user", "0:0", "-v", f"{SECRETS}:/s", "--entrypoint", program, image(name), *arguments])

    def up(self, profiles):
        call([*self.command, *(word for profile in profiles for word in ("--profile", profile)), "up", "-d"], is_shown=True)

    def health(self):
        """{service: word}"""
        found = {}
        for identity in call([*self.command, "ps", "-q"]).stdout.split():
            told = json.loads(call(["docker", "inspect", identity]).stdout)[0]
            state = told["State"]
            found[told["Config"]["Labels"]["com.docker.compose.service"]] = state.get("Health", {}).get("Status", state["Status"])
        return found

    def logs(self, service):
        return call([*self.command, "logs", "--no-color", "--tail", "10", service], check=False).stdout

    def down(self, with_data):
        call([*self.command, "--profile", "simulators", "--profile", "tools", "down", *(["-v"] if with_data else [])], is_shown=True)

    def tool(self, arguments):
        return call([*self.command, "--profile", "tools", "run", "--rm", "-T", "desg", "--config", "/etc/desg/desg.yaml", *arguments],
                    check=False, is_shown=True).returncode


# --- podman, by itself ---

OPTIONS = {"image", "user", "restart", "read_only", "cap_drop", "security_opt", "pids_limit", "stop_grace_period", "command", "mem_limit",
           "networks", "volumes", "secrets", "healthcheck", "depends_on", "ports", "environment", "profiles"}


def substitute(value):
    """${NAME} and ${NAME:-default}, as compose does."""
    if isinstance(value, dict):
        return {key: substitute(part) for key, part in value.items()}
    if isinstance(value, list):
        return [substitute(part) for part in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda match: environment().get(match.group(1)) or match.group(2) or "", value)


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text).group(1))


class Podman:
    """DESG_IMAGES_ROOT: where its images and containers lie, if not in podman's own place."""

    def __init__(self):
        self.name = "podman"
        self.root = os.environ.get("DESG_IMAGES_ROOT")
        self.command = ["podman", *(["--root", f"{self.root}/storage", "--runroot", f"{self.root}/run"] if self.root else [])]
        try:
            import yaml
        except ImportError:
            raise Failed("podman without compose needs python3-yaml: apt-get install python3-yaml") from None
        self.file = substitute(yaml.safe_load(FILE.read_text("utf-8")))
        for name, service in self.file["services"].items():
            if set(service) - OPTIONS:
                raise Failed(f"compose.yaml: {name} has {', '.join(sorted(set(service) - OPTIONS))}, which is not known without compose")

    def podman(self, *arguments, check=True, is_shown=False):
        return call([*self.command, *arguments], check=check, is_shown=is_shown)

    def group(self):
        return os.getgid() if os.getuid() == 0 else 0  # rootless: 0 inside is the caller outside

    def has_image(self, name):
        return self.podman("image", "exists", image(name), check=False).returncode == 0

    def build(self):
        call([TOP / "deploy" / "images" / "build", "--engine", "podman", "--tag", TAG, *(["--root", self.root] if self.root else [])], is_shown=True)

    def as_root(self, name, program, *arguments):
        self.podman("run", "--rm", "--network", "none", "--user", "0:0", "-v", f"{SECRETS}:/s", "--entrypoint", program, image(name), *arguments)

    def chosen(self, profiles):
        """Services in the order of their start."""
        wanted = {name: service for name, service in self.file["services"].items() if set(service.get("profiles", profiles)) & set(profiles) or
                  "profiles" not in service}
        order = []
        while len(order) < len(wanted):
            order += [name for name, service in wanted.items() if name not in order and set(service.get("depends_on", {})) <= set(order)]
        return order

    def options(self, name, container=None):
        service = self.file["services"][name]
        found = ["--name", container or f"{PROJECT}-{name}", "--user", service["user"], "--memory", service["mem_limit"], "--memory-swap", service["mem_limit"],
                 "--pids-limit", service["pids_limit"], "--label", f"desg.project={PROJECT}"]
        found += ["--read-only", "--read-only-tmpfs=false"] if service["read_only"] else []
        found += [word for right in service["cap_drop"] for word in ("--cap-drop", right.lower())]
        found += [word for option in service["security_opt"] for word in ("--security-opt", option.removesuffix(":true"))]
        found += [word for network in service["networks"] for word in ("--network", f"{PROJECT}_{network}:alias={name}")]
        found += [word for port in service.get("ports", []) for word in ("--publish", port)]
        found += [word for key, value in service.get("environment", {}).items() for word in ("--env", f"{key}={value}")]
        for volume in service.get("volumes", []):
            source, rest = volume.split(":", 1)
            found += ["--volume", f"{HERE / source}:{rest}" if source.startswith(".") else f"{PROJECT}_{volume}"]
        for secret in service.get("secrets", []):
            found += ["--volume", f"{self.file['secrets'][secret]['file']}:/run/secrets/{secret}:ro"]
        if "healthcheck" in service:
            found += ["--health-cmd", json.dumps(service["healthcheck"]["test"][1:])]  # without CMD, which podman adds
        return found

    def up(self, profiles):
        for name, network in self.file["networks"].items():
            if self.podman("network", "exists", f"{PROJECT}_{name}", check=False).returncode != 0:
                self.podman("network", "create", *(["--internal"] if network.get("internal") else []), f"{PROJECT}_{name}")
        for name in self.chosen(profiles):
            service = self.file["services"][name]
            for other in service.get("depends_on", {}):
                self.wait(other)
            print(f"starting {name} …", flush=True)
            restart = {"unless-stopped": "always"}.get(service["restart"], service["restart"])
            self.podman("rm", "-f", "-t", seconds(service["stop_grace_period"]), f"{PROJECT}-{name}", check=False)
            self.podman("run", "-d", "--restart", restart, *self.options(name), service["image"], *service.get("command", []))

    def containers(self):
        return self.podman("ps", "-a", "--filter", f"label=desg.project={PROJECT}", "--format", "{{.Names}}").stdout.split()

    def word(self, container):
        told = json.loads(self.podman("inspect", container).stdout)[0]
        if not told["State"]["Running"]:
            return f"ended with {told['State']['ExitCode']}"
        if not told["Config"].get("Healthcheck"):
            return "running"
        # podman's own timer for this needs systemd: asked here, it works everywhere.
        return "healthy" if self.podman("healthcheck", "run", container, check=False).returncode == 0 else "starting"

    def health(self):
        return {container.removeprefix(f"{PROJECT}-"): self.word(container) for container in self.containers()}

    def wait(self, service):
        deadline = time.monotonic() + HEALTHY_S
        while self.word(f"{PROJECT}-{service}") != "healthy":
            if time.monotonic() > deadline:
                raise Failed(f"{service} is not healthy after {HEALTHY_S} s:\n{self.logs(service)}")
            time.sleep(0.2)

    def logs(self, service):
        done = self.podman("logs", "--tail", "10", f"{PROJECT}-{service}", check=False)
        return done.stdout + done.stderr

    def down(self, with_data):
        there = self.containers()
        order = [name for name in reversed(self.chosen(["simulators", "tools"])) if f"{PROJECT}-{name}" in there]
        for name in order:
            print(f"stopping {name} …", flush=True)
            self.podman("stop", "-t", seconds(self.file["services"][name]["stop_grace_period"]), f"{PROJECT}-{name}")
            self.podman("rm", "-f", f"{PROJECT}-{name}")
        for name in self.file["networks"]:
            self.podman("network", "rm", f"{PROJECT}_{name}", check=False)
        if with_data:
            for name in self.file["volumes"]:
                self.podman("volume", "rm", f"{PROJECT}_{name}", check=False)

    def tool(self, arguments):
        service = self.file["services"]["desg"]
        own = f"{PROJECT}-desg-{os.getpid()}"
        return self.podman("run", "--rm", *self.options("desg", own), service["image"], "--config", "/etc/desg/desg.yaml", *arguments, check=False,
                           is_shown=True).returncode


def find_engine(wanted=None):
    if wanted != "podman" and answers("docker", "info"):
        for command in (["docker", "compose"], ["docker-compose"]):
            if answers(*command, "version"):
                return Compose(command)
    if wanted != "docker" and answers("podman", "--version"):
        return Podman()
    raise Failed("no container engine answers: apt-get install docker.io docker-compose, or podman runc netavark aardvark-dns python3-yaml")


def main(work, usage, arguments):
    """work(arguments) with its failures in words. Returns the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(usage)
        return 0
    try:
        return work(arguments)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
