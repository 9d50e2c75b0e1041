"""kill -9 of each process at a random moment under load, back 0.3 s later: nothing lost, nothing twice."""
import time

import pytest

from desk import SEED, make_plan

PLAY_S = 6.0
AWAY_S = 0.3


def kill_and_restart(desk, name, after_s):
    time.sleep(after_s)  # the moment itself is what is random
    desk.processes[name].kill9()
    time.sleep(AWAY_S)
    desk.restart(name)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["redis", "ingest-1", "classify-1", "route", "notify", "dispatch"])
def test_killed_under_load(make_desk, victim):
    desk = make_desk()
    moment_s = desk.random.uniform(0.15, 0.75) * PLAY_S
    load = desk.play(make_plan(SEED, 1.5), PLAY_S)
    kill_and_restart(desk, victim, moment_s)
    book = desk.settle(load.wait())
    assert book["quarantined"] == 0, "one death of a neighbour makes no poison"
    assert desk.processes[victim].starts == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_one_after_the_other_killed(make_desk, number):
    desk = make_desk()
    desk.random.seed(SEED + number)
    load = desk.play(make_plan(SEED + number, 2), 12.0)
    for _ in range(8):
        victim = desk.random.choice(["redis", "ingest-1", "classify-1", "classify-2", "route", "notify"])
        kill_and_restart(desk, victim, desk.random.uniform(0.05, 1.2))
    desk.settle(load.wait())


@pytest.mark.slow
def test_all_killed_at_once(make_desk):
    desk = make_desk()
    load = desk.play(make_plan(SEED), 5.0)
    time.sleep(2.0)
    for process in desk.processes.values():
        process.kill9()
    names = list(desk.processes)
    desk.random.shuffle(names)
    for name in names:
        desk.processes[name].start()
    for name in names:
        desk.wait_ready(name)
    desk.settle(load.wait())
