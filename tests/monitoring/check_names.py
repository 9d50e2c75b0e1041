"""check_names - each metric and label that rules, their tests, dashboards and manifests name is in the table of docs/operations.md.

That table is held against the code by tests/docs/check_operations.py and against running processes by tests/system/test_metrics.py.
Also: what deploy/monitoring/make-dashboards makes is committed as it is, and it refuses what it cannot know.
Prints one line per fault. Exit codes: 0 all is well, 1 something is not.
"""
import importlib.machinery
import importlib.util
import pathlib
import re
import sys

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
MONITORING = TOP / "deploy" / "monitoring"
sys.dont_write_bytecode = True
sys.path.insert(0, str(MONITORING))
import metrics_table  # noqa: E402

FAMILIES = "build|start|link|journal|ingest|classify|route|store|notify|outbox|feed|desk|projector"
SERIES = re.compile(rf"(?<![a-z0-9_:])((?:desg_(?:{FAMILIES})|process)_[a-z0-9_]+)(?![a-z0-9_:])(?:\{{([^}}]*)\}})?")
RECORDED = re.compile(r"(?<![a-z0-9_:])([a-z_]+:desg_[a-z0-9_]+:[a-z0-9_]+)")
TARGET_LABELS = {"namespace", "instance", "job", "le", "pod", "desg_channel"}  # what Prometheus and the operator add


def check_text(path, text, table, recorded):
    """Faults of one text that holds expressions."""
    for word, labels in SERIES.findall(text):
        base = metrics_table.base_name(word, table)
        if base is None:
            yield f"{path}: {word} is not in docs/operations.md"
            continue
        known = {*table[base].labels, *metrics_table.SHARED_LABELS, *TARGET_LABELS}
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", labels or ""):
            if label not in known:
                yield f"{path}: {word} has no label {label}"
    for name in RECORDED.findall(text):
        if name not in recorded:
            yield f"{path}: {name} is recorded by no rule"


def texts():
    """(path, text) of everything that names metrics."""
    paths = [*MONITORING.glob("*.yaml"), *MONITORING.glob("tests/*.yaml"), *MONITORING.glob("dashboards/*.json"),
             TOP / "deploy" / "runbook.md", *(TOP / "deploy" / "kubernetes").rglob("*.yaml"), *(TOP / "deploy").glob("*/README.md")]
    for path in sorted(paths):
        text = path.read_text("utf-8")
        yield path.relative_to(TOP), text.replace('\\"', '"') if path.suffix == ".json" else text


def check_no_restricted_work(table):
    """Nothing on a dashboard may tell of restricted work."""
    for path in sorted(MONITORING.glob("dashboards/*.json")):
        if re.search(r"restricted", "".join(re.findall(r'"expr": "(.*)"', path.read_text("utf-8")))):
            yield f"{path.name} tells of restricted work"
    if {"person", "conversation", "event", "agent", "account"} & {label for metric in table.values() for label in metric.labels}:
        yield "a metric has a label that names somebody or something"


def check_refusals(maker, table):
    """The generator must not make a panel of what is not there."""
    for panel in ({"title": "t", "metric": "desg_ingest_deliverys_total"}, {"title": "t", "metric": "desg_ingest_workers", "by": ["channel"]},
                  {"title": "t", "metric": "desg_ingest_workers", "colour": "red"}):
        try:
            maker.make_panel(panel, table, 1)
        except maker.Mistake:
            continue
        yield f"make-dashboards takes {panel}"
    if not list(check_text("a rule", 'sum(desg_ingest_workers{lane="x"})', table, set())):
        yield "a label that a metric does not have is not found"
    if not list(check_text("a rule", "desg_ingest_oldest_unseen_fortnights > 2", table, set())):
        yield "a metric that does not exist is not found"


def load_maker():
    loader = importlib.machinery.SourceFileLoader("make_dashboards", str(MONITORING / "make-dashboards"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def main():
    table, maker = metrics_table.read(), load_maker()
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    faults = [fault for path, text in texts() for fault in check_text(path, text, table, recorded)]
    faults += check_no_restricted_work(table)
    faults += check_refusals(maker, table)
    faults += [f"{path.relative_to(TOP)} is not what make-dashboards makes: run it" for path in maker.stale(maker.make_all())]
    for fault in sorted(set(faults)):
        print(fault)
    print(f"{len(table)} metrics: {len(faults)} faults")
    return 1 if faults or not table else 0


if __name__ == "__main__":
    sys.exit(main())
