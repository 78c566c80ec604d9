"""The table of evidence: every statement has its tests or a reason, and the page lists them all."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios

HERE = Path(__file__).resolve().parent
_SPEC = spec_from_file_location("science_evidence", HERE / "evidence.py")
assert _SPEC is not None and _SPEC.loader is not None
evidence = module_from_spec(_SPEC)
_SPEC.loader.exec_module(evidence)

STATEMENTS = evidence.read_statements()
RECORDERS = evidence.recorders()
BIB = (HERE.parents[1] / "tme_abm" / "foundation" / "references.bib").read_text(encoding="utf-8")
NEEDED = {"statement", "source", "grade", "band"}
REASONS = {"untestable", "held_by", "prediction"}
BUILT_IN = {"S20", "S22", "S30"}  # numbers of a drug's file: no more than that they arrive can be seen


def test_no_statement_is_left_out():
    expected = [f"S{i}" for i in range(1, 41)] + [f"X{i}" for i in range(1, 18)]
    expected.insert(expected.index("S27"), "S26b")
    assert list(STATEMENTS) == expected


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_is_whole(name):
    entry = STATEMENTS[name]
    assert set(entry) >= NEEDED
    assert set(entry) <= NEEDED | REASONS | {"kind"}
    assert ("kind" in entry) == bool(RECORDERS.get(name))
    assert entry.get("kind", "emergent") in evidence.KINDS
    assert name not in BUILT_IN or entry["kind"] == "built in"
    for part in entry["source"].split("; "):
        assert f"{{{part.split(':')[0]}," in BIB, part


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_is_recorded_by_a_test_or_says_why_not(name):
    entry = STATEMENTS[name]
    if "untestable" in entry:
        assert name not in RECORDERS
    elif "held_by" in entry:
        assert "untestable" not in STATEMENTS[entry["held_by"]]
    elif "prediction" not in entry:
        assert RECORDERS.get(name), f"no test records {name}"


@pytest.mark.parametrize("name", [name for name, entry in STATEMENTS.items() if "prediction" in entry])
def test_a_prediction_is_a_study_with_published_figures(name):
    for study in STATEMENTS[name]["prediction"]:
        assert study in scenarios()
        assert load_scenario(study).published


def test_tests_record_known_statements_only():
    assert set(RECORDERS) <= set(STATEMENTS)


def test_the_page_lists_every_statement():
    shown = evidence.PAGE.read_text(encoding="utf-8")
    for name, entry in STATEMENTS.items():
        assert f"| {name} | {entry['statement']} |" in shown, f"{name}: write the page again with python -m tests.science.evidence"


# ---- the generator ---------------------------------------------------------------------------------------------------

TESTS = """
import pytest

def test_s01_told(record_property):
    record_property("S1", "1.5 | of 2")

def test_s02_told_and_failed(record_property):
    record_property("S2", "0.1")
    assert 0.1 > 0.2, "too little"

@pytest.mark.xfail(strict=True, reason="the rule is missing")
def test_s03_known(record_property):
    record_property("S3", "nothing")
    assert False

def test_s04_broke_before_it_told():
    raise ValueError("no marrow")

@pytest.mark.xfail(strict=True, reason="thought to fail")
def test_s05_better_than_thought(record_property):
    record_property("S5", "all well")

@pytest.mark.parametrize("k", [1, 2])
def test_s06_twice(record_property, k):
    record_property("S6", f"{k}")

def test_s07_sized(record_property, request):
    record_property("S7", "full" if request.config.getoption("full") else "reduced")

def test_of_no_statement(record_property):
    record_property("other", "x")
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("science")
    (folder / "test_made_up.py").write_text(TESTS)
    rows = [f'[S{i}]\nstatement = "said {i}"\nsource = "s"\ngrade = "V"\nband = "b"\nkind = "weak"\n' for i in range(1, 11)]
    rows[7] += 'untestable = "history"\n'
    rows[8] += 'prediction = ["icaria"]\n'
    (folder / "statements.toml").write_text("".join(rows))
    out = folder / "evidence.md"
    arguments = ["--full", "--folder", str(folder), "--statements", str(folder / "statements.toml"), "--out", str(out)]
    done = subprocess.run([sys.executable, str(HERE / "evidence.py"), *arguments], capture_output=True, text=True, cwd=folder)
    assert out.exists(), done.stdout + done.stderr
    return done.returncode, out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "| S1 | said 1 | s. V | weak | b | `test_made_up.py::test_s01_told` | 1.5 \\| of 2 | holds |",
        "`test_made_up.py::test_s02_told_and_failed` | 0.1 | **fails**: AssertionError: too little",
        "| nothing | **does not hold**: the rule is missing |",
        "`test_made_up.py::test_s04_broke_before_it_told` |  | **fails**: ValueError: no marrow |",
        "| all well | **fails**: [XPASS(strict)] thought to fail |",
        "| S6 | said 6 | s. V | weak | b | `test_made_up.py::test_s06_twice[1]` | 1 | holds |\n|  |  |  |  |  | "
        "`test_made_up.py::test_s06_twice[2]` | 2 | holds |",
        "| full | holds |",
        "| S8 | said 8 | s. V |  | b |  |  | not testable: history |",
        "| S9 | said 9 | s. V |  | b | `tme run icaria` |",
        "| S10 | said 10 | s. V |  | b |  |  | **fails**: no test recorded it |",
        "| S2 | said 2 | s. V | not supported | b |",
        "10 statements; 3 weak; 4 not supported; 1 predicted; 2 without a test.",
    ],
)
def test_the_page_says_what_happened(written, line):
    assert line in written[1]


def test_the_command_fails_where_a_test_does(written):
    assert written[0] == 1


def test_which_tests_record_which_statement_is_read_off_the_source(tmp_path):
    (tmp_path / "test_x.py").write_text(TESTS + "\ndef test_s12_by_name(record_property, row='S12'):\n    record_property(row, 'x')\n")
    found = evidence.recorders(tmp_path)
    assert set(found) == {"S1", "S2", "S3", "S5", "S6", "S7", "S12"}
    assert found["S1"] == ["test_x.py::test_s01_told"]
