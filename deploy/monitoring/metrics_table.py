"""metrics_table - the one table of metrics, docs/operations.md, for rules, dashboards and their tests.

tests/docs/check_operations.py holds that table against the code; what is checked against it here exists.
"""
import pathlib
import re
from typing import NamedTuple

TOP = pathlib.Path(__file__).resolve().parents[2]
MANUAL = TOP / "docs" / "operations.md"
NAME = re.compile(r"`((?:desg|process)_[a-z_]+)`")
SHARED_LABELS = {"journal"}  # notify's second journal and its projector: described above the table of what goes out
SUFFIXES = ("_bucket", "_sum", "_count")


class Metric(NamedTuple):
    name: str
    kind: str      # counter, gauge, histogram
    labels: tuple
    meaning: str


def read(path=MANUAL):
    """{name: Metric} of the tables under the headings that begin with "Metrics"."""
    found, is_metrics = {}, False
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#"):
            is_metrics = line.lstrip("# ").startswith("Metrics")
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        name = NAME.fullmatch(cells[0]) if is_metrics and len(cells) >= 4 else None
        if name:
            labels = re.findall(r"(?:^|, |; )([a-z_]+)(?=[,:;]|$)", re.sub(r": [^;]*?(?=, [a-z_]+: |;|$)", "", cells[2]))
            found[name.group(1)] = Metric(name.group(1), cells[1], tuple(labels), cells[3])
    return found


def base_name(series, table):
    """The metric that a series belongs to: itself, or the histogram it is a part of. None: unknown."""
    if series in table:
        return series
    for suffix in SUFFIXES:
        base = series.removesuffix(suffix)
        if base != series and base in table and table[base].kind == "histogram":
            return base
    return None
