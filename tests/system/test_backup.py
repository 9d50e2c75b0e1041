"""Backup and restore, by the very commands of deploy/runbook.md: nothing that was answered 200 is missing afterwards."""
import os
import re
import shutil
import subprocess

import pytest

from desk import CALM_TEXT, TOP, URGENT_TEXT, make_plan, wait_until
from test_facts import CLOSED_TEXT, LOWERED_TEXT, SILENT_DISPATCH, assert_held, decide_all

RUNBOOK = TOP / "deploy" / "runbook.md"
JOURNALS = ("ingest-1", "notify", "desk")  # processes, and the directories of their journals
RESTORE_S = 150.0

pytestmark = pytest.mark.slow


def commands(name):
    """A block of commands in the runbook."""
    found = re.search(rf"<!-- rehearsed: {name} -->\n```sh\n(.*?)```", RUNBOOK.read_text("utf-8"), re.S)
    assert found, f"deploy/runbook.md has no commands {name}"
    return found.group(1)


class Rehearsal:
    """Somebody who types what the runbook says."""

    def __init__(self, desk, backup):
        self.desk = desk
        backup.mkdir()
        self.variables = {"BACKUP": str(backup), "SECRETS": str(desk.state / "secrets"), "REDIS_DIRECTORY": str(desk.state / "redis"),
                          "REDIS_SOCKET": f"{desk.run_directory}/redis.sock"}

    def type(self, name, **more):
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", commands(name)], env={**os.environ, **self.variables, **more},
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def back_up(self):
        self.type("backup-secrets")
        self.type("backup-redis")
        for name in JOURNALS:
            self.desk.processes[name].stop()
            self.type("backup-journal", JOURNAL=str(self.desk.state / name))
            self.desk.restart(name)

    def lose(self, *names):
        """The disk under these is gone, from one moment to the next."""
        for name in names:
            self.desk.processes[name].kill9()
        for name in names:
            shutil.rmtree(self.desk.state / name)
            (self.desk.state / name).mkdir(mode=0o700)

    def restore(self, *names):
        if "redis" in names:
            self.type("restore-redis")
            self.desk.restart("redis")
        for name in names:
            if name in JOURNALS:
                self.type("restore-journal", JOURNAL=str(self.desk.state / name))
                self.desk.restart(name)


@pytest.fixture
def desk(make_desk):
    desk = make_desk(workers=1, dispatch_options=SILENT_DISPATCH)
    desk.player = desk.make_player()
    desk.post(desk.player, desk.item(CLOSED_TEXT, person="p1"), desk.item(LOWERED_TEXT, person="p2", urgent=True),
              desk.item(CALM_TEXT, person="p3"))
    desk.settle(desk.player)
    return desk


def test_redis_notify_and_desk_are_restored_and_ingest_fills_the_gap(desk, state):
    held = decide_all(desk)
    rehearsal = Rehearsal(desk, state / "backup")
    rehearsal.back_up()
    desk.player.play(make_plan(11, 0.3), 4.0)  # after the backup: in ingest's journal alone, once the disk is gone
    desk.post(desk.player, desk.item(URGENT_TEXT, person="p4", urgent=True))
    before = desk.settle(desk.player)
    rewinds = desk.metric_sum("ingest-1", "desg_ingest_rewinds_total")
    rehearsal.lose("redis", "notify", "desk")
    rehearsal.restore("redis", "notify", "desk")
    wait_until(lambda: desk.metric_sum("ingest-1", "desg_ingest_rewinds_total") > rewinds, 30, "ingest knows that Redis came back older")
    after = desk.settle(desk.player, RESTORE_S)
    assert after["events"] == before["events"] > 40
    wait_until(lambda: desk.json("show", held["closed"])["state"] == "closed" and desk.json("show", held["lowered"])["severity"] == 1, 60,
               "closed and lowered as before the backup")
    wait_until(lambda: {row["alert"] for row in desk.json("alerts", "--all") if row["state"] == "acknowledged"} >= held["alerts"], 60,
               "the alerts of then acknowledged as before")


def test_a_machine_is_lost_whole_and_comes_back_from_the_backup(desk, state):
    held = decide_all(desk)
    rehearsal = Rehearsal(desk, state / "backup")
    rehearsal.back_up()
    names = ["redis", *JOURNALS]
    rehearsal.lose(*names)
    shutil.rmtree(desk.state / "secrets")
    rehearsal.type("restore-secrets")
    rehearsal.restore(*names)
    book = desk.settle(desk.player, RESTORE_S)
    assert book["events"] == 3
    assert_held(desk, held)
    desk.post(desk.player, desk.item("and it goes on from here", person="p5"))
    desk.settle(desk.player)
