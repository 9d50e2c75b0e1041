"""check_rules - holds deploy/monitoring/alerts.yaml: promtool's checks and tests, a test of each rule both ways, a place in the runbook.
The queries of the dashboards have to be ones that Prometheus can read.

Prints one line per fault. Exit codes: 0 all is well, 1 something is not.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
MONITORING = TOP / "deploy" / "monitoring"
RULES = MONITORING / "alerts.yaml"
RUNBOOK = TOP / "deploy" / "runbook.md"
TESTS = sorted((MONITORING / "tests").glob("*.yaml"))
SEVERITIES = {"critical", "warning", "info"}
PROMTOOL_SECONDS = 560
RUNBOOK_PARTS = ("**Means** ", "**First** ", "**Over when** ")


def promtool(*arguments):
    """Faults that promtool finds, as one text, or nothing."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=PROMTOOL_SECONDS, check=False)
    return [f"promtool {arguments[0]} {arguments[1]}: {done.stdout}{done.stderr}"] if done.returncode else []


def rules_of(kind):
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def tested():
    """{alert: {True, False}}: whether a test expects it to fire, and one that it is silent."""
    found = {}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                found.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    return found


def runbook():
    """{heading: text below it}."""
    parts = re.split(r"^### (\S+)$", RUNBOOK.read_text("utf-8"), flags=re.M)
    return {name: re.split(r"^## ", text, flags=re.M)[0] for name, text in zip(parts[1::2], parts[2::2])}


def check_alert(alert, cases, pages):
    name = alert["alert"]
    if alert.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"{name}: severity is one of {sorted(SEVERITIES)}"
    if not alert.get("annotations", {}).get("summary"):
        yield f"{name} has no summary"
    if alert.get("annotations", {}).get("runbook_url") != f"deploy/runbook.md#{name.lower()}":
        yield f"{name}: runbook_url is deploy/runbook.md#{name.lower()}"
    for part in RUNBOOK_PARTS:
        if part not in pages.get(name, ""):
            yield f"{name}: the runbook does not say {part.strip(' *')}"
    for fires, word in ((True, "fires"), (False, "stays silent")):
        if fires not in cases.get(name, ()):
            yield f"{name}: no test in deploy/monitoring/tests that it {word}"


def check_queries():
    """All queries of the dashboards as recording rules, which promtool reads."""
    rules = []
    for path in sorted((MONITORING / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", ".*")
                rules.append({"record": f"query:{len(rules)}", "expr": query})
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
        file.flush()
        return promtool("check", "rules", file.name) if rules else ["there are no dashboards"]


def main():
    alerts, cases, pages = rules_of("alert"), tested(), runbook()
    names = [alert["alert"] for alert in alerts]
    faults = promtool("check", "rules", RULES) + promtool("check", "config", "--syntax-only", MONITORING / "prometheus.example.yaml")
    faults += check_queries()
    faults += promtool("test", "rules", *TESTS)
    faults += [fault for alert in alerts for fault in check_alert(alert, cases, pages)]
    faults += [f"{name} stands twice" for name in sorted(set(names)) if names.count(name) > 1]
    faults += [f"{name} has a page in the runbook and is no alert" for name in pages if name.startswith("Desg") and name not in names]
    for fault in faults:
        print(fault)
    print(f"{len(names)} alerts: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
