"""conftest - a desk of real programs for each story, in a directory of its own, stopped when the story ends."""
import os
import pathlib
import shutil
import tempfile

import pytest

from desk import Desk


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds; left out by ./test --quick")


@pytest.fixture
def state():
    """A short path: Unix sockets have 107 bytes for theirs."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="desg-system-"))
    yield directory
    if not os.environ.get("DESG_KEEP"):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_desk(state):
    """make_desk(**options of Suite): a desk, started. make_desk(is_started=False, …): one with its files only."""
    made = []

    def make(is_started=True, **options):
        desk = Desk(state / f"desk-{len(made) + 1}", **options)
        made.append(desk)
        desk.start() if is_started else desk.prepare()
        return desk

    yield make
    for desk in made:
        desk.stop()


@pytest.fixture(autouse=True)
def show_logs(request, state):
    """The last lines of each process's log, when a story failed."""
    yield
    report = getattr(request.node, "report", None)
    if report is None or report.passed:
        return
    for log in sorted(state.glob("desk-*/log/*.log")):
        lines = log.read_text("utf-8", "replace").splitlines()
        if lines:
            print(f"--- {log.parent.parent.name} {log.name}: {len(lines)} lines, the last:")
            print("\n".join(lines[-8:]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        item.report = report
