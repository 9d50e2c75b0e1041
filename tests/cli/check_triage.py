"""check_triage - desg triage as a program: where it takes rules from, what it prints, its exit codes, and that its help page
names every key it writes.

Usage: check_triage.py DESG SOURCE_DIRECTORY
Exit codes: 0 all is well, 1 something is not (said line by line).
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

DESG, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
ALL_RULES = SOURCE / "services" / "classify" / "rules"
FOLDER = tempfile.TemporaryDirectory()
RULES = str(pathlib.Path(FOLDER.name) / "a-few")  # all of them take their time
KNIFE = "he is outside my door with a knife"
faults = []


def run(*words, stdin="", **environment):
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("DESG_")}
    return subprocess.run([DESG, "triage", *words], input=stdin, capture_output=True, text=True, env=surroundings | environment,
                          timeout=60, check=False)


def expect(what, is_true, shown=""):
    if not is_true:
        faults.append(f"{what}: {shown}")


def copy_rules(folder, *names):
    folder.mkdir()
    for name in (*names, "spellings.yaml", "guards.yaml"):
        shutil.copy(ALL_RULES / name, folder)


def explains():
    plain = run("--rules", RULES, "--explain", KNIFE)
    expect("explain", plain.returncode == 0 and "[" in plain.stdout and ".yaml:" in plain.stdout, plain.stdout + plain.stderr)
    expect("no styles where there is no terminal", "\033" not in plain.stdout)
    machine = json.loads(run("--rules", RULES, "--json", "--explain", "-", stdin=KNIFE + "\n").stdout)
    expect("standard input", machine["is_flagged"] and machine["reasons"][0]["words"] in KNIFE, machine)
    nothing = run("--rules", RULES, "--explain", "")
    expect("no text at all", nothing.returncode == 0 and "no words" in nothing.stdout, nothing.stdout)
    return machine


def takes_rules_from_the_configuration():
    """With every key that the classify part may have: one unknown here would be refused."""
    example = str(SOURCE / "docs" / "desg.example.yaml")
    found = run("--config", example, "--explain", KNIFE, DESG_CLASSIFY_RULES_DIRECTORY=RULES, DESG_CLASSIFY_MODEL="")
    expect("the example configuration", found.returncode == 0, found.stderr)
    missing = run("--config", "/nowhere.yaml", "--explain", KNIFE)
    expect("no configuration", missing.returncode == 78 and "--rules" in missing.stderr, missing.stderr)


def measures(folder):
    rows = folder / "rows.jsonl"
    rows.write_text(json.dumps({"id": "a", "text": KNIFE, "urgent": True, "lang": "en", "category": "general", "source": "s"}) + "\n"
                    + json.dumps({"id": "b", "text": "zebra " * 5, "urgent": False, "lang": "en"}) + "\nsecret words\n", "utf-8")
    found = run("--rules", RULES, "--json", "--eval", str(rows))
    report = json.loads(found.stdout)
    expect("eval", found.returncode == 0 and report["flagged"]["recall"]["value"] == 1, found.stdout)
    expect("a bad line is named, its words are not", "rows.jsonl:3" in found.stderr and "secret" not in found.stderr, found.stderr)
    expect("bad lines", report["bad_lines"] == 1)
    printed = run("--rules", RULES, "--eval", str(rows), str(rows))
    expect("two files for people", "4 messages: 2 urgent" in printed.stdout, printed.stdout[:200])
    return report


def compares(folder):
    rows, rules = folder / "rows.jsonl", folder / "fewer"
    copy_rules(rules, "thanks.yaml")
    worse = run("--json", "--compare", RULES, str(rules), str(rows))
    expect("losing an urgent one", worse.returncode == 3 and json.loads(worse.stdout)["lost"] == 1, worse.stderr)
    better = run("--json", "--compare", str(rules), RULES, str(rows))
    expect("finding one", better.returncode == 0 and json.loads(better.stdout)["found"] == 1, better.stderr)
    return json.loads(worse.stdout)


def refuses(folder):
    empty = folder / "empty.jsonl"
    empty.write_text("", "utf-8")
    cases = [
        (64, []), (64, ["--explain", "a", "--eval", str(empty)]), (64, ["--compare", "a"]), (64, ["--train", "x"]), (64, ["--shadow", "x"]),
        (64, ["--rules", RULES, "--explain", "a", "b"]), (64, ["--fence", "3", "--explain", "a"]),
        (65, ["--rules", RULES, "--eval", str(empty)]), (65, ["--rules", RULES, "--eval", str(folder / "none.jsonl")]),
        (65, ["--rules", RULES, "--eval", str(empty), "--by", "a b"]), (78, ["--rules", str(folder), "--explain", "a"]),
        (78, ["--rules", RULES, "--model", str(empty), "--explain", "a"]),
        (65, ["--rules", RULES, "--eval", str(empty), "--verdicts", str(folder / "no" / "file")]),
    ]
    for code, words in cases:
        found = run(*words)
        expect(f"{words}", found.returncode == code and found.stderr.startswith("desg: "), f"{found.returncode} {found.stderr}")


KEYED_BY_DATA = {"by", "severity", "classes", "not_ours", "right_class", "by_language"}


def keys_of(value, name="", parent=""):
    """Every key but those that are values of messages or words of verdicts."""
    if isinstance(value, list):
        return set().union(*(keys_of(each, name, parent) for each in value))
    if not isinstance(value, dict):
        return set()
    own = set() if name in KEYED_BY_DATA or parent == "by" else set(value)
    return own.union(*(keys_of(each, key, name) for key, each in value.items()))


def the_page_names_every_key(*printed):
    page = (SOURCE / "services/cli/help/triage.txt").read_text("utf-8")
    for key in sorted(set().union(*(keys_of(value) for value in printed))):
        expect("help/triage.txt does not name the key", key in page, key)


def main():
    copy_rules(pathlib.Path(RULES), "violence-weapons.yaml", "thanks.yaml")
    with FOLDER as name:
        folder = pathlib.Path(name)
        explained = explains()
        takes_rules_from_the_configuration()
        report = measures(folder)
        comparison = compares(folder)
        refuses(folder)
        the_page_names_every_key(explained, report, comparison)
    print("\n".join(faults) if faults else "check_triage: ok")
    sys.exit(1 if faults else 0)


main()
