"""check_operations - holds docs/operations.md against the code: metrics, configuration keys and their ranges, exit codes,
events logged as WARN or ERROR, control paths.

Usage: check_operations.py [--programs DIR]
Each side must name what the other has. With --programs the example configuration goes through --check-config of each
program that is built. Prints one line per fault. Exit codes: 0 all is well, 1 something differs.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
MANUAL = TOP / "docs" / "operations.md"
EXAMPLE = TOP / "docs" / "desg.example.yaml"
SERVICES = ("ingest", "classify", "route", "notify", "desk")
SHARED = ("outward",)  # parts that several services read, from a module of lib
PARTS = ("common", *SERVICES, *SHARED, "client")
RULES = TOP / "services" / "classify" / "rules"
MODEL = TOP / "services" / "classify" / "model" / "desk.model"
CHECK_SECONDS = 40

STRING = r'"((?:[^"\\\n]|\\.)*)"'
METRIC = re.compile(r"(?:desg|process)_[a-z]+(?:_[a-z]+)+")
ENUM = re.compile(r"enum\s*\w*\s*\{(.*?)\}", re.S)


def sources(*patterns):
    for pattern in patterns:
        yield from sorted(TOP.glob(pattern))


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda match: "\n" * match.group().count("\n"), text, flags=re.S)


def read_code(*patterns):
    return {path: without_comments(path.read_text("utf-8")) for path in sources(*patterns)}


def closing(text, start):
    """Index behind the bracket that closes the one at start; strings are passed over."""
    depth, at = 0, start
    while at < len(text):
        if text[at] == '"':
            at = re.compile(STRING).match(text, at).end() - 1
        elif text[at] in "({[":
            depth += 1
        elif text[at] in ")}]":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    raise ValueError(f"bracket at {start} is not closed")


# --- what the code has ---

def code_metrics(code):
    """{name: type}; the type is "" where the name goes through a variable."""
    found = {}
    for path, text in code.items():
        if "/lib/metrics/" in str(path):
            continue
        for match in re.finditer(STRING, text):
            if METRIC.fullmatch(match.group(1)):
                found.setdefault(match.group(1), "")
        for call in re.finditer(r"(?:metrics_(counter|gauge|histogram)(?:_of_ms)?|counter_of)\(", text):
            name = re.search(STRING, text[call.end():closing(text, call.end() - 1)])
            if name and METRIC.fullmatch(name.group(1)):
                found[name.group(1)] = call.group(1) or "counter"
    return found


class Schema:
    """The libcyaml tables of one file as {path: is_required}."""

    def __init__(self, text):
        self.tables = {}
        for match in re.finditer(r"cyaml_schema_(?:field|value)_t\s+(\w+)(?:\[\])?\s*=\s*(\{)", text):
            self.tables[match.group(1)] = text[match.start(2):closing(text, match.start(2))]

    def keys(self, table, prefix):
        """Yields (path, is_required, is_group) of a table of fields, groups and lists with theirs."""
        body = self.tables[table]
        for match in re.finditer(rf"\b[A-Z][A-Z_]+\(\s*{STRING}", body):
            macro = body[match.start():body.index("(", match.start())]
            call = body[match.start():closing(body, match.start() + len(macro))]
            path = f"{prefix}.{match.group(1)}"
            is_optional = "CYAML_FLAG_OPTIONAL" in call or not macro.startswith("CYAML_FIELD_")
            entry = re.search(r"&(\w+)", call) if "SEQUENCE" in macro else None
            below = re.search(r"\b(\w+_fields)\b", self.tables[entry.group(1)] if entry else call)
            is_group = below is not None
            yield path, not is_optional, is_group
            if is_group:
                yield from self.keys(below.group(1), path + ("[]" if entry else ""))


def code_keys(code):
    """{path: (is_required, is_group)} of all parts."""
    found = {}
    for path, text in code.items():
        schema = Schema(text)
        for part in PARTS:
            has_file = part in SERVICES or part in SHARED
            table = f"{part}_config_fields" if has_file else f"{part}_fields"
            if table in schema.tables and (has_file or path.name in ("config.c", "main.c")):
                for key, is_required, is_group in schema.keys(table, part):
                    found[key] = (is_required, is_group)
    return found


def code_constants(text):
    """Enum constants with plain values."""
    found = {}
    for body in ENUM.findall(text):
        for name, value in re.findall(r"(\w+)\s*=\s*([-+*<()\w\s]+?)(?:,|$)", body):
            value = number(value, found)
            if value is not None:
                found[name] = value
    return found


def number(text, constants):
    """The value of a constant expression; None if it is none."""
    text = re.sub(r"\(u?int\d+_t\)", "", text.strip())
    text = re.sub(r"[A-Za-z_]\w*", lambda match: str(constants.get(match.group(), match.group())), text)
    if not re.fullmatch(r"[\d\s()<*+]+", text):
        return None
    return eval(text, {"__builtins__": {}})  # digits and operators only: see above


def code_ranges(code):
    """{(part, key as the code says it): "lowest to highest"} where both are constant."""
    found = {}
    for path, text in code.items():
        if path.name.endswith("_config.c") or path.name == "config.c":
            constants = code_constants(text)
            for call in re.finditer(rf"config_check_range\(\s*{STRING}\s*,", text):
                arguments = text[call.end():closing(text, text.index("(", call.start())) - 1].split(",")
                if len(arguments) == 4:
                    lowest, highest = (number(argument, constants) for argument in arguments[1:3])
                    if lowest is not None and highest is not None:
                        found[path.parent.name, call.group(1)] = f"{lowest} to {highest}"
    return found


def code_exits():
    """{program: set of exit codes}."""
    def sysexits(*patterns):
        names = set(re.findall(r"\bEX_[A-Z]+\b", "".join(read_code(*patterns).values())))
        return {getattr(os, name) for name in names}

    def script(name):
        line = re.search(r"^.*Exit codes: (.*)$", (TOP / name).read_text("utf-8"), re.M).group(1)
        return {int(code) for code in re.findall(r"(?:^|, )(\d+) ", line)}

    command = (TOP / "services" / "cli" / "command.h").read_text("utf-8")
    return {
        "services": {1} | sysexits("lib/service/*.c"),  # 1: --probe
        "desg": {0} | {int(code) for code in re.findall(r"\bEXIT_[A-Z]+ = (\d+)", command)},
        "desg-rules-check": {0, 1} | sysexits("services/classify/rules_check_main.c"),
        "./run": script("run"),
        "./test": script("test"),
    }


def code_events(code):
    """Events somebody has to know: logged as WARN or ERROR, or at a level chosen when it happens."""
    found = set()
    for path, text in code.items():
        if "/lib/log/" not in str(path):
            found |= set(re.findall(rf"\blog_(?:warn|error)\(\s*{STRING}", text))
            found |= set(re.findall(rf"\blog_write\([^;]*?{STRING}", text))
    return found


def code_paths(code):
    return {name for text in code.values() for name in re.findall(rf"\badmin_handle\([^;]*?{STRING}", text)}


# --- what the manual says ---

class Manual:
    """Its tables: rows by the heading they stand under. A cell that lists names has them in backticks."""

    def __init__(self, text):
        self.text = text
        self.rows = []  # (heading, cells)
        heading = ""
        is_code = False
        for line in text.splitlines():
            is_code ^= line.startswith("```")
            if is_code:
                continue
            if line.startswith("#"):
                heading = line.lstrip("# ")
            elif line.startswith("|") and not set(line) <= set("|-: "):
                cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
                self.rows.append((heading, [cell.strip() for cell in cells]))

    def named(self, heading, pattern, column=0):
        """{name: cells} of the rows under headings that begin so whose column names something like pattern."""
        found = {}
        for under, cells in self.rows:
            if under.startswith(heading) and len(cells) > column:
                for name in re.findall(r"`([^`]+)`", cells[column]):
                    match = re.match(pattern, name)
                    if match:
                        found[match.group()] = cells
        return found

    def words(self, pattern):
        return {word for word in re.findall(r"`([^`\n]+)`", self.text) if re.fullmatch(pattern, word)}


class Faults:
    def __init__(self):
        self.count = 0

    def say(self, text):
        self.count += 1
        print(text)

    def compare(self, what, in_code, in_manual):
        for name in sorted(set(in_code) - set(in_manual)):
            self.say(f"{what} {name} is in the code and not in docs/operations.md: describe it")
        for name in sorted(set(in_manual) - set(in_code)):
            self.say(f"{what} {name} is in docs/operations.md and not in the code: remove it")


def check_metrics(manual, code, faults):
    metrics = code_metrics(code)
    rows = manual.named("Metrics", METRIC)
    faults.compare("metric", metrics, rows)
    for name, kind in sorted(metrics.items()):
        if name in rows and kind and kind != rows[name][1]:
            faults.say(f"metric {name} is a {kind} and not a {rows[name][1]}")
    known = set(metrics) | {name + end for name, kind in metrics.items() if kind == "histogram"
                            for end in ("_bucket", "_sum", "_count")}
    for word in sorted(set(re.findall(rf"\b{METRIC.pattern}\b", manual.text)) - known - set(rows)):
        faults.say(f"metric {word} is named in docs/operations.md and not in the code")


def check_keys(manual, code, faults):
    keys = code_keys(code)
    pattern = rf"(?:{'|'.join(PARTS)})\.[a-z_.\[\]-]+"
    rows = manual.named("Configuration", pattern)
    faults.compare("key", {key for key, (_, is_group) in keys.items() if not is_group},
                   {key for key in rows if not keys.get(key, (False, False))[1]})
    for key, cells in sorted(rows.items()):
        if key in keys and keys[key][0] != ("required" in cells[2]):
            faults.say(f"key {key}: the code says {'required' if keys[key][0] else 'optional'}, its row does not")
    for word in sorted(manual.words(pattern) - set(keys)):
        if not any(key.replace("[]", "").startswith(word.replace("[]", "")) for key in keys):
            faults.say(f"key {word} is named in docs/operations.md and not in the code")
    for (part, said), limits in sorted(code_ranges(code).items()):
        for key, cells in rows.items():
            plain = key.replace("[]", "")
            is_meant = plain == said or ("." not in said and plain.startswith(part) and plain.endswith("." + said))
            if is_meant and limits not in cells[3]:
                faults.say(f"key {key} takes {limits}, its row says '{cells[3]}'")
    example = EXAMPLE.read_text("utf-8")
    for key in sorted(keys):
        if not re.search(rf"\b{re.escape(key.split('.')[-1])}:", example):
            faults.say(f"key {key} is not in {EXAMPLE.relative_to(TOP)}: show it, commented out if need be")


def check_exits(manual, faults):
    header = next((cells for heading, cells in manual.rows if heading == "Exit codes"), [])
    rows = [cells for heading, cells in manual.rows if heading == "Exit codes"][1:]
    for program, codes in code_exits().items():
        column = next((i for i, cell in enumerate(header) if cell.strip("`") == program), None)
        if column is None:
            faults.say(f"exit codes: no column for {program}")
            continue
        faults.compare(f"exit code of {program}:", codes,
                       {int(cells[0]) for cells in rows if cells[0].isdigit() and cells[column]})


def check_example(programs, faults):
    """The example as it stands, with secrets made for the occasion, through each program that is built."""
    with tempfile.TemporaryDirectory(prefix="desg-docs-") as name:
        folder = pathlib.Path(name)
        text = EXAMPLE.read_text("utf-8").replace("/etc/desg/", f"{folder}/").replace("/var/cache/desg/", f"{folder}/")
        shutil.copytree(RULES, folder / "rules")
        shutil.copy(MODEL, folder)
        for path in re.findall(rf"{re.escape(str(folder))}/secrets/[\w-]+", text):
            pathlib.Path(path).parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(descriptor, b"0123456789abcdef0123456789abcdef\n")
            os.close(descriptor)
        tokens = folder / "desk-tokens"
        tokens.write_text(f"{'0' * 64} control-room agent\n", "ascii")
        tokens.chmod(0o600)
        config = folder / "desg.yaml"
        config.write_text(text, "utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DESG_")}
        for service in SERVICES:
            program = programs / f"desg-{service}"
            if not program.exists():
                print(f"{program.name} is not built here: the example was not tried on it")
                continue
            tried = subprocess.run([program, "--config", config, "--check-config"], capture_output=True, text=True,
                                   timeout=CHECK_SECONDS, env=environment, check=False)
            if tried.returncode != 0:
                faults.say(f"{program.name} refuses {EXAMPLE.relative_to(TOP)} ({tried.returncode}): {tried.stderr.strip()}")


def main(argv):
    parser = argparse.ArgumentParser(prog="check_operations.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder with the built programs")
    arguments = parser.parse_args(argv)
    code = read_code("lib/*/*.c", "services/*/*.c")
    manual = Manual(MANUAL.read_text("utf-8"))
    faults = Faults()
    check_metrics(manual, code, faults)
    check_keys(manual, code, faults)
    check_exits(manual, faults)
    faults.compare("log event", code_events(code), manual.named("Log events", r"[a-z]+(?:_[a-z]+)*"))
    faults.compare("control path", code_paths(code), manual.named("Control paths", r"/[a-z]+", column=1))
    if arguments.programs:
        check_example(arguments.programs, faults)
    print(f"docs/operations.md: {faults.count} faults" if faults.count else "docs/operations.md: ok")
    return 1 if faults.count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
