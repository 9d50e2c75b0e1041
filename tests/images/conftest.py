"""conftest - one suite of containers for all stories: DESG_IMAGES_ROOT is where podman keeps its images, DESG_IMAGES_TAG which are taken."""
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "system"), str(pathlib.Path(__file__).resolve().parent)]
from cluster import Cluster  # noqa: E402
from manifests import Manifests, render  # noqa: E402
from podman import Podman  # noqa: E402

CHANNELS = ("facebook", "web")
OVERLAY = TOP / "deploy" / "kubernetes" / "overlays" / "small"


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: as in tests/system, from where some things are taken")


@pytest.fixture(scope="session")
def podman():
    return Podman(os.environ.get("DESG_IMAGES_ROOT"))


@pytest.fixture(scope="session")
def tag():
    return os.environ.get("DESG_IMAGES_TAG", "test")


@pytest.fixture(scope="session")
def manifests():
    return Manifests(render(OVERLAY))


@pytest.fixture(scope="session")
def cluster(podman, manifests, tag):
    state = pathlib.Path(tempfile.mkdtemp(prefix="desg-i-"))
    made = Cluster(podman, manifests, state / "s", CHANNELS, tag)
    os.chmod(state, 0o755)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        if not os.environ.get("DESG_KEEP"):
            shutil.rmtree(state, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The last lines of each container's log, when a story failed."""
    report = (yield).get_result()
    cluster = item.funcargs.get("cluster") if hasattr(item, "funcargs") else None
    if call.when == "call" and report.failed and cluster:
        for name, container in cluster.processes.items():
            report.sections.append((f"log of {name}", container.tail(8)))
