"""Write the tables of README.md from the results of the benchmarks, so that no number is copied by hand.

    python benchmarks/tables.py [--results benchmarks/results] [--readme benchmarks/README.md] [--check]

A table stands between `<!-- table: NAME -->` and `<!-- end -->`. NAME is a name in `TABLES`: the benchmark, the list of rows in its
JSON, and the columns, each with a head and a format. `--check` writes nothing and fails where a table is not what the results say.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
BLOCK = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
ABSENT = "-"

Row = Mapping[str, Any]


class Column(NamedTuple):
    """One column: its head, and its text for a row (a key with a format, or a function)."""

    head: str
    key: str | Callable[[Row], str]
    form: str = ""


class Table(NamedTuple):
    """Where a table comes from and how it looks."""

    benchmark: str
    rows: str
    columns: tuple[Column, ...]
    keep: Callable[[Row], bool] = lambda row: True


def number(value: Any) -> str:
    """Three digits, thousands apart."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    value = float(value)
    if value != value:
        return ABSENT
    if abs(value) >= 100.0:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10.0 else 2
    return f"{value:.{digits}f}"


def between(middle: str, low: str, high: str) -> Callable[[Row], str]:
    """A median with its quartiles."""
    return lambda row: f"{number(row[middle])} ({number(row[low])} to {number(row[high])})"


def square(row: Row) -> str:
    """Sides of a lattice."""
    return f"{row['side']} x {row['side']}"


TIMES = Column("times ours (quartiles)", between("times_ours", "times_low", "times_high"))
TABLES = {
    "step": Table(
        "step",
        "sizes",
        (
            Column("patch", square),
            Column("arm", "arm"),
            Column("cells", "cells", ",.0f"),
            Column("us a step", "us_per_step", ",.0f"),
            Column("ns a cell", "ns_per_cell", ",.0f"),
            Column("s a patient-year", "s_per_year", ".2f"),
            Column("memory, bytes a site", "memory_bytes_per_site", ",.0f"),
            Column("bytes moved a cell", "bytes_per_cell_update", ",.0f"),
        ),
    ),
    "against": Table(
        "against",
        "ratios",
        (
            Column("what", "what"),
            Column("in", "unit"),
            Column("there", "there"),
            Column("here", "here"),
            Column("here / there (quartiles)", between("times_median", "times_low", "times_high")),
            Column("rounds", "rounds", "d"),
        ),
    ),
    "first": Table(
        "first",
        "parts",
        (
            Column("part", "part"),
            Column("s", "wall_s"),
            Column("processor s", "cpu_s"),
            Column("s of the other commit", "there_s"),
            Column("times it (quartiles)", "times"),
        ),
    ),
    "size": Table(
        "first",
        "sizes",
        (Column("package", "package"), Column("MiB", "mib", ",.0f"), Column("MiB with the other commit", "there_mib", ",.0f")),
    ),
    "large": Table(
        "large",
        "days",
        (
            Column("patch", square),
            Column("after day", "day", "d"),
            Column("cells", "cells", ",d"),
            Column("s of the day", "wall_s"),
            Column("processor s", "cpu_s"),
            Column("ns a cell-update", "ns_per_cell"),
            Column("MiB of the process", "resident_mib", ",.0f"),
            Column("at most so far", "peak_mib", ",.0f"),
            Column("bytes a site", "bytes_per_site"),
        ),
    ),
    "fixed": Table("step", "fixed", (Column("a step of 16 x 16 sites", "passage"), Column("us", "us_per_step", ".0f"))),
    "mechanisms": Table(
        "step", "mechanisms", (Column("mechanism", "mechanism"), Column("us of a step saved without it", "us_per_step", ".1f"))
    ),
    "peers": Table(
        "peers",
        "race",
        (
            Column("cells", "cells", ",d"),
            Column("written with", "variant"),
            Column("ns a cell-step (quartiles)", between("ns_per_cell", "ns_low", "ns_high")),
            Column("of it the field", "ns_field"),
            TIMES,
        ),
    ),
    "agreement": Table(
        "peers",
        "agreement",
        (
            Column("written with", "variant"),
            Column("figure", "figure"),
            Column("ours", "ours", ".3f"),
            Column("theirs", "theirs", ".3f"),
            Column("difference [standard errors]", "standard_errors", ".1f"),
            Column("Kolmogorov-Smirnov p", "ks_p"),
            Column("seeds of theirs", "seeds", "d"),
        ),
    ),
    "turns": Table("peers", "work", (Column("written with", "variant"), Column("takes turns", "turns"))),
    "field": Table(
        "field",
        "solves",
        (
            Column("lattice", square),
            Column("solver", "solver"),
            Column("us a solve", "us"),
            Column("ns a site", "ns_per_site"),
            TIMES,
            Column("times DCT float32", "times_reference"),
            Column("", "remark"),
        ),
    ),
    "frames": Table(
        "page",
        "frames",
        (
            Column("patch", "patch"),
            Column("frames a second", "frames_per_s"),
            Column("slowest", "slowest"),
            Column("fastest", "fastest"),
        ),
    ),
    "class": Table(
        "page",
        "class",
        (
            Column("visitors", "visitors", "d"),
            Column("frames a second of one who plays", "frames_per_s_of_one_who_plays"),
            Column("ms until a step is seen, median", "step_median_ms"),
            Column("worst", "step_worst_ms"),
        ),
    ),
    "page-memory": Table(
        "page", "memory", (Column("moment", "moment"), Column("MB of the server", "memory_mb", ",.0f"), Column("threads", "threads", "d"))
    ),
    "trial": Table(
        "trial",
        "trials",
        (
            Column("study", "study"),
            Column("patients", "patients", "d"),
            Column("workers", "workers", "d"),
            Column("s", "wall_s"),
            Column("s of the whole trial", "whole_trial_s"),
            Column("processor s", "cpu_s"),
            Column("ms a patient-year", "ms_per_patient_year"),
            Column("times faster (quartiles)", between("times_faster", "faster_low", "faster_high")),
            Column("peak MiB", "peak_mib", ",.0f"),
        ),
    ),
    "lock": Table(
        "trial",
        "lock",
        (
            Column("study", "study"),
            Column("patients", "patients", "d"),
            Column("processor ms a patient", "ms_per_patient"),
            Column("per cent outside of compiled calls", "percent_outside"),
        ),
    ),
    "scale": Table(
        "scale",
        "speed",
        (
            Column("study", "study"),
            Column("patients", "patients", "d"),
            Column("who does the work", "executor"),
            Column("s", "wall_s"),
            Column("times faster than one process (quartiles)", between("times_faster", "faster_low", "faster_high")),
            Column("of two processes", "of_two_processes", ".2f"),
        ),
    ),
    "scale-memory": Table(
        "scale",
        "memory",
        (
            Column("who does the work", "executor"),
            Column("patients", "patients", "d"),
            Column("MiB of the process that holds the run, early", "early_mib", ",.0f"),
            Column("late", "late_mib", ",.0f"),
            Column("more", "growth_mib", ".1f"),
        ),
    ),
    "start": Table(
        "start",
        "times",
        (
            Column("what", "what"),
            Column("s", "wall_s"),
            Column("processor s (quartiles)", between("cpu_s", "cpu_low", "cpu_high")),
        ),
    ),
    "cache": Table(
        "start",
        "cache",
        (
            Column("files of compiled code", "cache_files", "d"),
            Column("MiB", "cache_mib"),
            Column("more by two workers", "by_workers", "d"),
            Column("more by a study with other drugs", "by_other_drugs", "d"),
            Column("more by one without drugs", "by_no_drugs", "d"),
        ),
    ),
    "memory": Table(
        "memory",
        "bundles",
        (
            Column("patch", square),
            Column("arrays", "bundle"),
            Column("bytes a site", "bytes_per_site", ".1f"),
            Column("MiB", "mib", ".2f"),
        ),
        keep=lambda row: row["bytes_per_site"] >= 1.0,
    ),
}


def cell(column: Column, row: Row) -> str:
    """The text of one cell."""
    if callable(column.key):
        return column.key(row)
    value = row.get(column.key)
    return format(value, column.form) if column.form and value is not None else number(value)


def draw(table: Table, record: Mapping[str, Any]) -> str:
    """A table in Markdown, under the line that says when, where and by which command; or why it was left out.

    Raises:
        KeyError: Where the record lacks what the table shows.
    """
    about = record["machine"]
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", "numpy", "numba") if name in about)
    command = record.get("command", f"python benchmarks/bench_{table.benchmark}.py")
    where = [about["processor"], *(f"{name} {about[name]}" for name in ("cores", "load") if name in about)]
    head = "; ".join([", ".join(word for word in (f"`{command}`", record.get("date")) if word), ", ".join(where)])
    if "left_out" in record:
        return f"{head}; {versions}\n\nLeft out: {record['left_out']}\n"
    rows = [row for row in record[table.rows] if table.keep(row)]
    lines = [f"{head}; {versions}", "", _line([c.head for c in table.columns]), _line(["---"] * len(table.columns))]
    lines += [_line([cell(column, row) for column in table.columns]) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def fill(text: str, results: Path) -> str:
    """A page with its tables drawn anew; one whose results are missing stays as it is.

    Raises:
        SystemExit: For a table that nobody knows.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in TABLES:
            raise SystemExit(f"README.md: no table is called '{name}'; there are {', '.join(TABLES)}")
        path = results / f"{TABLES[name].benchmark}.json"
        if not path.exists():
            print(f"{name}: {path} is missing, the table stays as it is", file=sys.stderr)
            return match[0]
        return f"{match[1]}{draw(TABLES[name], json.loads(path.read_text(encoding='utf-8')))}{match[3]}"

    return BLOCK.sub(replaced, text)


def main() -> None:
    """Draw all tables."""
    parser = argparse.ArgumentParser(description="Write the tables of README.md from the results.")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a table is out of date")
    options = parser.parse_args()
    before = options.readme.read_text(encoding="utf-8")
    after = fill(before, options.results)
    if options.check:
        sys.exit("README.md does not show the results; run python benchmarks/tables.py" if after != before else 0)
    options.readme.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
