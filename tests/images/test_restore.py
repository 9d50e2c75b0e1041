"""Backup and restore of pods' volumes, as docs/operators.md orders them and by the commands of deploy/runbook.md."""
import os
import pathlib
import shutil
import subprocess

from cluster import USER
from desk import CALM_TEXT, URGENT_TEXT, wait_until
from test_backup import commands

REDIS_DATA = "/data"
STATE = "/var/lib/desg"  # one directory for each journal


def type_in(name, **variables):
    environment = {**os.environ, **{key: str(value) for key, value in variables.items()}}
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", commands(name)], env=environment, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def give(folder):
    """To the pods' user: what an administrator copied is root's."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER, USER)


def back_up(cluster, backup):
    redis = cluster.folder_at(cluster.of("redis")[0], REDIS_DATA)
    before = cluster.redis_cli("LASTSAVE")
    wait_until(lambda: cluster.redis_cli("TIME")[0] != str(before), 30, "another second")
    cluster.redis_cli("BGSAVE")
    wait_until(lambda: cluster.redis_cli("LASTSAVE") > before, 60, "Redis is saved")
    backup.mkdir()
    shutil.copy(redis / "dump.rdb", backup / "redis.rdb")
    for name in (*cluster.of("notify"), *cluster.of("desk")):
        assert cluster.processes[name].stop() == 0
        for journal in cluster.folder_at(name, STATE).iterdir():
            type_in("backup-journal", BACKUP=backup / name, JOURNAL=journal)
        cluster.restart(name)


def rewinds(cluster, name):
    return cluster.metric_sum(name, "desg_ingest_rewinds_total")


def lose(cluster, names):
    """Their volumes are empty from one moment to the next."""
    for name in names:
        cluster.podman.run("kill", "-s", "KILL", cluster.processes[name].name, check=False)
        cluster.processes[name].stop()
        folder = cluster.folder_at(name, REDIS_DATA if name.startswith("redis") else STATE)
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def test_redis_notify_and_desk_come_back_from_their_backup(cluster, tmp_path):
    backup = pathlib.Path(tmp_path) / "backup"
    player = cluster.make_player()
    cluster.post(player, cluster.item(URGENT_TEXT, channel="web", person="kept", urgent=True), cluster.item(CALM_TEXT, person="kept too"))
    cluster.settle(player)
    back_up(cluster, backup)
    cluster.post(player, cluster.item(URGENT_TEXT, person="after it", urgent=True), cluster.item(CALM_TEXT, channel="web", person="after it too"))
    before = cluster.settle(player)
    known = {name: rewinds(cluster, name) for name in cluster.of("ingest") if name.endswith("-0")}
    redis = cluster.of("redis")[0]
    waiting = cluster.of("route")  # step 2 of the page: nobody writes to Redis meanwhile
    for name in waiting:
        assert cluster.processes[name].stop() == 0
    lost = [redis, *cluster.of("notify"), *cluster.of("desk")]
    lose(cluster, lost)
    data = cluster.folder_at(redis, REDIS_DATA)
    type_in("restore-redis", BACKUP=backup, REDIS_DIRECTORY=data)
    give(data)
    for name in lost[1:]:
        state = cluster.folder_at(name, STATE)
        for copy in (backup / name / "journals").iterdir():
            type_in("restore-journal", BACKUP=backup / name, JOURNAL=state / copy.name)
            give(state / copy.name)
    for name in (redis, *waiting, *lost[1:]):
        cluster.restart(name)
    wait_until(lambda: all(rewinds(cluster, name) > known[name] for name in known), 60, "who took what came after the backup knows that Redis is older")
    after = cluster.settle(player, 150)
    assert after["events"] == before["events"] == 4 and after["urgent"] == before["urgent"] == 2
    cluster.post(player, cluster.item("and it goes on from here", channel="web", person="p5"))
    assert cluster.settle(player)["events"] == 5
