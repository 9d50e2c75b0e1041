"""podman - the few commands the tests need, with a storage of their own and the project's settings."""
import json
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A command of podman's."""


class Podman:
    """root: where images and containers lie; None: podman's own place."""

    def __init__(self, root=None):
        self.root = root
        self.environment = {**os.environ, "CONTAINERS_CONF": str(TOP / "deploy" / "images" / "containers.conf")}

    def command(self, *arguments):
        own = ["--root", f"{self.root}/storage", "--runroot", f"{self.root}/run"] if self.root else []
        return ["podman", *own, *map(str, arguments)]

    def run(self, *arguments, timeout=120, check=True):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=timeout, check=False, env=self.environment)
        if check and done.returncode != 0:
            raise Failed(f"podman {' '.join(map(str, arguments[:3]))} …: {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done

    def inspect(self, name, kind="container"):
        return json.loads(self.run(kind, "inspect", name).stdout)[0]
