"""Runs the science tests and writes docs/evidence.md: what was said, what was observed, and whether it holds.

    python -m tests.science.evidence          the reduced forms, as the suite runs them
    python -m tests.science.evidence --full   the full sizes

A test tells what it saw by `record_property("S20", "observed, in words")`, before it asserts. What the statements are stands in
statements.toml; which of them no test can hold, and why, stands there too. A test that fails, and one that is known to fail, keep their
lines and give their reasons.
"""

import argparse
import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
STATEMENTS = FOLDER / "statements.toml"
PAGE = ROOT / "docs" / "evidence.md"
ROW = re.compile(r"[SX]\d+[a-z]?")
NAMED = re.compile(r"test_([sx])0*(\d+[a-z]?)_")
HOLDS, FAILS, KNOWN, SKIPPED = "holds", "**fails**", "**does not hold**", "not run"
KINDS = {  # how a statement can come to hold, and what that is worth
    "emergent": "no number of the model says it: it comes of cells that meet each other",
    "built in": "a declared number or rule says it, so the test shows only that it arrives where it should",
    "weak": "it holds, but by little, by an assumption that was looked for because of it, or in a direction that hardly could fail",
    "bookkeeping": "it is about what a study carries, not about the marrow",
}
NOT_SUPPORTED = "not supported"
VERDICTS = {"passed": HOLDS, "failed": FAILS, "xfailed": KNOWN, "skipped": SKIPPED}


class Result(NamedTuple):
    """What one test said about one statement."""

    test: str
    observed: str
    outcome: str  # passed, failed, xfailed or skipped
    reason: str = ""


def read_statements(path: Path = STATEMENTS) -> dict[str, dict[str, Any]]:
    """The statements by their ids, in the order of the file."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def row_of_name(test: str) -> str:
    """The statement after which a test is named ("test_s04_..." is S4), or nothing."""
    match = NAMED.match(test)
    return match[1].upper() + match[2] if match else ""


def recorders(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Statement -> the tests that record it, read off the source and not run."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row in sorted(recorded(node)):
                    found[row].append(f"{path.name}::{node.name}")
    return dict(found)


def recorded(test: ast.FunctionDef) -> set[str]:
    """The statements that the body of a test records by name."""
    rows = set()
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "record_property" and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and ROW.fullmatch(str(name.value)):
                rows.add(str(name.value))
            elif row_of_name(test.name):
                rows.add(row_of_name(test.name))
    return rows


class Collector:
    """A pytest plugin: the option `--full`, and what each test recorded and how it ended."""

    def __init__(self) -> None:
        """Nothing has run yet."""
        self.results: dict[str, list[Result]] = defaultdict(list)

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Tests that have a reduced form run at full size."""
        parser.addoption("--full", action="store_true", default=False, help="run tests that have a reduced form at full size")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result of a test that ran, or that did not get as far."""
        if (report.when != "call" and report.outcome == "passed") or report.when == "teardown":
            return
        outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else str(report.outcome)
        file, _, name = report.nodeid.partition("::")
        test = f"{Path(file).name}::{name}"
        said = [(row, str(text)) for row, text in report.user_properties if ROW.fullmatch(row)]
        if not said and outcome != "passed" and row_of_name(name):
            said = [(row_of_name(name), "")]
        for row, text in said:
            self.results[row].append(Result(test, text, outcome, reason_of(report, outcome)))


def reason_of(report: pytest.TestReport, outcome: str) -> str:
    """Why a test did not pass, in one line."""
    if outcome == "xfailed":
        return str(report.wasxfail).removeprefix("reason: ")
    if outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        lines = (crash.message if crash else str(report.longrepr)).splitlines()
        return lines[0] if lines else "failed"
    return ""


# ---- the page --------------------------------------------------------------------------------------------------------


def page(statements: Mapping[str, Mapping[str, Any]], results: Mapping[str, Iterable[Result]], command: str, version: str) -> str:
    """The whole page, as Markdown."""
    lines = [row for name, entry in statements.items() for row in rows_of(name, entry, list(results.get(name, ())))]
    counts = tally(statements, results)
    words = [f"- **{kind}**: {meaning}." for kind, meaning in KINDS.items()]
    return "\n".join(
        [
            "# Evidence: the statements of the article, one by one",
            "",
            "What the article on isatuximab says about mechanisms and trials (S), where the literature corrects it (X), and what the model",
            "does. Generated by the science tests; do not edit. A line that does not hold stays here with its reason. Sources are keys of",
            "`tme_abm/foundation/references.bib`; grades say how far a statement is to be trusted: V read in the source, V-art "
            "stated in the",
            "article, D derived, M and M-low from memory. A statement graded M-low bounds a direction, never a number.",
            "",
            f"tme_abm {version}, `{command}`.",
            "",
            "; ".join(f"{n} {what}" for what, n in counts.items() if n) + ".",
            "",
            "What a row is worth stands beside it. The criteria of S13, S15, S26, S27, S29, S34, S38 and S40 are taken from the text of",
            "the article and were set before the model was looked at; where the effect is taken away, the same criterion fails, and a test",
            "says so.",
            "",
            *words,
            f"- **{NOT_SUPPORTED}**: its criterion is not met, or one of several is not.",
            "",
            "| | statement | source, grade | worth | accepted | test | observed | verdict |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *lines,
            "",
        ]
    )


def rows_of(name: str, entry: Mapping[str, Any], results: list[Result]) -> list[str]:
    """The lines of one statement: one for each test, or one that says why there is none."""
    head = (name, entry["statement"], f"{entry['source']}. {entry['grade']}", worth(entry, results), entry["band"])
    body = [
        (f"`{r.test}`", r.observed, VERDICTS[r.outcome] + (f": {r.reason}" if r.reason else ""))
        for r in sorted(results, key=lambda r: r.test)
    ]
    if "prediction" in entry:
        studies = ", ".join(f"`tme run {study}`" for study in entry["prediction"])
        body.append((studies, "see [calibration](calibration.md)", "predicted and compared there"))
    if not body:
        body = [("", "", why_untested(entry))]
    return [table_row(*(head if i == 0 else ("",) * len(head)), *line) for i, line in enumerate(body)]


def why_untested(entry: Mapping[str, Any]) -> str:
    """Why a statement has no test of its own."""
    if "untestable" in entry:
        return f"not testable: {entry['untestable']}"
    if "held_by" in entry:
        return f"held by the tests of {entry['held_by']}"
    return f"{FAILS}: no test recorded it"


def table_row(*cells: str) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"


def worth(entry: Mapping[str, Any], results: Iterable[Result]) -> str:
    """What a statement's coming out is worth, a word of `KINDS` or `NOT_SUPPORTED`; nothing where no test of its own ran."""
    outcomes = {r.outcome for r in results} - {"skipped"}
    if not outcomes:
        return ""
    return str(entry["kind"]) if outcomes == {"passed"} else NOT_SUPPORTED


def tally(statements: Mapping[str, Mapping[str, Any]], results: Mapping[str, Iterable[Result]]) -> dict[str, int]:
    """How many statements are worth what."""
    counts = dict.fromkeys(("statements", *KINDS, NOT_SUPPORTED, "predicted", "held by another", "without a test"), 0)
    counts["statements"] = len(statements)
    for name, entry in statements.items():
        word = worth(entry, results.get(name, ()))
        if not word:
            word = "predicted" if "prediction" in entry else "held by another" if "held_by" in entry else "without a test"
        counts[word] += 1
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Run the tests and write the page; 1 where a test fails that was not known to."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.science.evidence", description="Run the science tests and write docs/evidence.md."
    )
    parser.add_argument("--full", action="store_true", help="run tests that have a reduced form at full size")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the tests")
    parser.add_argument("--statements", type=Path, default=STATEMENTS, help="file of the statements")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    given = parser.parse_args(arguments)
    from tme_abm import __version__

    collector = Collector()
    options = ["-q", "-p", "no:cacheprovider", str(given.folder), *(["--full"] if given.full else [])]
    code = pytest.main(options, plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return int(code)
    command = "python -m tests.science.evidence" + (" --full" if given.full else "")
    given.out.write_text(page(read_statements(given.statements), collector.results, command, __version__), encoding="utf-8")
    print(f"written: {given.out}")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
