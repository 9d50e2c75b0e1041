"""What the processes show to Prometheus: names, types and units as its conventions want them, and as docs/operations.md says."""
import re
import subprocess
import sys

import pytest

import suite
from desk import TOP, URGENT_TEXT, make_plan

sys.path.insert(0, str(TOP / "deploy" / "monitoring"))
import metrics_table  # noqa: E402

PROCESSES = ("ingest-1", "classify-1", "route", "notify", "desk")
UNITS = {"milliseconds", "ms", "minutes", "hours", "kib", "mib", "kilobytes", "percent"}


@pytest.fixture
def rendered(make_desk):
    """{process: its metrics as text}, after part of a day and an urgent message went through."""
    desk = make_desk()
    player = desk.play(make_plan(7, 0.05), 1.0).wait()
    desk.post(player, desk.item(URGENT_TEXT))
    desk.settle(player)
    texts = {}
    for name in PROCESSES:
        answer = suite.http_get(suite.UnixConnection(desk.processes[name].control), "/metrics")
        assert answer and answer[0] == 200, name
        texts[name] = answer[1].decode()
    return texts


def test_metrics_follow_the_conventions_and_the_manual(rendered):
    table = metrics_table.read()
    for process, text in rendered.items():
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False)
        assert checked.returncode == 0 and not checked.stdout + checked.stderr, f"{process}: {checked.stdout}{checked.stderr}"
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.M))
        assert types and types.keys() == helps.keys(), process
        for name, kind in types.items():
            assert name in table, f"{process} shows {name}, which docs/operations.md does not know"
            assert kind == table[name].kind, f"{name} is a {kind}"
            assert name.endswith("_total") == (kind == "counter"), f"{name} is a {kind}"
            assert not UNITS & set(name.split("_")), f"{name}: seconds and bytes are the units"
        for name, labels in re.findall(r"^([a-z_]+)\{(.*?)\} ", text, re.M):
            base = name if name in table else re.sub(r"_(?:bucket|sum|count)$", "", name)
            found = set(re.findall(r'(\w+)="', labels)) - {"le"}
            assert found <= set(table[base].labels) | metrics_table.SHARED_LABELS, f"{process}: {name} has labels {found}"
