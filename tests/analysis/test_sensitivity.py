"""Sensitivity: indices against functions whose own are known, which numbers are varied, a small run, what is refused."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tme_abm.analysis import headings
from tme_abm.analysis.sensitivity import indices, inputs
from tme_abm.cli.app import app
from tme_abm.cli.variation import loader
from tme_abm.scenario import kinds

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "pd1_blockade.py"
ANALYSIS = """kind = "sensitivity"
title = "A test"
summary = "A test."
scenario = "icaria"
compare = ["isa-pd", "pd"]
method = "morris"
samples = 2
patients = 2
horizon = "84 d"
only = ["drugs.isatuximab.adcc.steepness", "drugs.isatuximab.cdc.max_rate"]

[set]
"marrow.shape" = [32, 32]
"""


def made(*names):
    return [inputs.Input(name, 1.0, 0.5, 2.0, "log", "A", "1", name, "g") for name in names]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write ANALYSIS with some texts replaced."""
    monkeypatch.chdir(tmp_path)

    def write(*changes):
        text = ANALYSIS
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "small.toml").write_text(text, encoding="utf-8")
        return "small.toml"

    return write


def found(path):
    given = kinds.load_question("sensitivity", path)
    return inputs.find_inputs(given, loader(given))[1]


def test_sobol_of_the_ishigami_function():
    """Its indices are known: S1 = 0.3139, 0.4424, 0 and ST = 0.5576, 0.4424, 0.2437 (a = 7, b = 0.1)."""
    pytest.importorskip("SALib")
    of = made("x1", "x2", "x3")
    shares = indices.draw_samples("sobol", 2048, of, 1)
    x = np.pi * (2.0 * shares - 1.0)
    y = np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    table = indices.index_table("sobol", shares, {"y": y}, of).set_index("input")
    assert table["first"].reindex(["x1", "x2", "x3"]).tolist() == pytest.approx([0.3139, 0.4424, 0.0], abs=0.03)
    assert table["total"].reindex(["x1", "x2", "x3"]).tolist() == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.03)


def test_morris_of_a_sum_is_its_coefficients():
    """Without interactions mu is the coefficient, and sigma nothing."""
    pytest.importorskip("SALib")
    of = made("a", "b", "c")
    shares = indices.draw_samples("morris", 5, of, 1)
    table = indices.index_table("morris", shares, {"y": shares @ np.array([3.0, -5.0, 0.0])}, of).set_index("input")
    assert table.index[0] == "b"
    assert table["mu"].reindex(["a", "b", "c"]).tolist() == pytest.approx([3.0, -5.0, 0.0], abs=1e-9)
    assert table["mu_star"].reindex(["a", "b", "c"]).tolist() == pytest.approx([3.0, 5.0, 0.0], abs=1e-9)
    assert table["sigma"].tolist() == pytest.approx([0.0] * 3, abs=1e-9)


def test_a_partial_rank_correlation_is_cleared_of_the_others():
    """By hand: of three numbers, c follows a and acts on nothing; its plain correlation is high, its partial one is not."""
    chance = np.random.default_rng(1)
    a, b, noise = chance.random((3, 400))
    c = a + 0.3 * noise
    shares = np.column_stack([a, b, c])
    r = indices.partial_rank_correlations(shares, np.exp(4.0 * a) - 2.0 * b)
    assert np.corrcoef(a, c)[0, 1] > 0.9
    assert r[0] > 0.9 and r[1] < -0.5 and abs(r[2]) < 0.15


def test_numbers_are_chosen_by_grade_and_bounded(write):
    by_path = {put.path: put for put in found(write(('only = ["drugs.isatuximab.adcc.steepness", "drugs.isatuximab.cdc.max_rate"]\n', "")))}
    assert {put.grade for put in by_path.values()} == {"A"}
    steepness = by_path["drugs.isatuximab.adcc.steepness"]
    assert (steepness.low, steepness.high) == (steepness.value / 2.0, steepness.value * 2.0)
    assert steepness.at(0.0) == steepness.low and steepness.at(1.0) == pytest.approx(steepness.high)
    assert steepness.at(0.5) == pytest.approx(steepness.value)
    fold = by_path["drugs.isatuximab.adcc.stressed_fold"]
    assert (fold.low - 1.0, fold.high - 1.0) == pytest.approx(((fold.value - 1.0) / 2.0, (fold.value - 1.0) * 2.0))
    assert all(put.low < put.value or put.high > put.value for put in by_path.values())
    assert not any(path.startswith(("drugs.lenalidomide", "drugs.bortezomib")) for path in by_path)  # of drugs that nobody gets


def test_more_grades_and_own_ranges(write):
    weak = found(
        write(('method = "morris"', 'method = "morris"\ngrades = ["M-low"]\nspread = { M-low = 3.0 }'), ("only = ", "leave_out = "))
    )
    assert {put.grade for put in weak} == {"M-low"}
    own = ("[set]", '[ranges]\n"parameters.motility.chemotaxis" = { low = 0.1, high = 0.2, scale = "linear" }\n\n[set]')
    ranged = {put.path: put for put in found(write(own))}
    assert ranged["parameters.motility.chemotaxis"].at(0.5) == pytest.approx(0.15)
    assert len(ranged) == 3


def test_a_small_analysis_runs_and_goes_on(write, tmp_path, assert_as_declared, check_crate):
    pytest.importorskip("SALib")
    call = ["sensitivity", write(), "--workers", "1", "--doc", "docs.md"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "results" / "small"
    samples, table = pd.read_parquet(folder / "samples.parquet"), pd.read_parquet(folder / "indices.parquet")
    assert len(samples) == 6 and {"burden_gain_log10", "log_mean_pfs_ratio", "log_hazard_ratio"} <= set(samples.columns)
    assert_as_declared(folder / "samples.parquet", headings.of_samples(found(write())))
    assert_as_declared(folder / "indices.parquet", headings.INDICES)
    # what the samples say by hand: one number moves at a time, and mu* is the mean size of its effects
    gain, path = samples["burden_gain_log10"].to_numpy(), "drugs.isatuximab.adcc.steepness"
    moved = [i for i in (0, 1, 3, 4) if samples[path].iloc[i] != samples[path].iloc[i + 1]]
    effects = [abs(gain[i + 1] - gain[i]) / (2.0 / 3.0) for i in moved]
    row = table[(table["outcome"] == "burden_gain_log10") & (table["input"] == path)].iloc[0]
    assert row["mu_star"] == pytest.approx(np.mean(effects)) and row["mu_star"] > 0.0
    assert "| drugs.isatuximab.adcc.steepness | A |" in (tmp_path / "docs.md").read_text()
    assert {p.name for p in (folder / "figures").iterdir()} >= {"morris.svg", "strongest_burden_gain_log10.svg"}
    check_crate(folder, "small")
    again = CliRunner().invoke(app, [*call, "--resume"])
    assert again.exit_code == 0 and "all runs stand on disk" in again.output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"pd"]', '"pdd"]', "small.toml, line 5: the trial has no arm 'pdd'; did you mean 'pd'?"),
        ('"morris"', '"moris"', "small.toml, line 6: unknown word 'moris' for method; did you mean 'morris'?"),
        ("samples = 2", 'samples = 2\ngrades = ["M-lo"]', "small.toml, line 8: unknown grade 'M-lo'; did you mean 'M-low'?"),
        ("samples = 2", "samples = 2\nspread = { A = 0.5 }", "spread.A: a factor up and down is above 1, got 0.5"),
        (
            "adcc.steepness",
            "adcc.steepnes_",
            "small.toml, line 10: no number of the trial begins with 'drugs.isatuximab.adcc.steepnes_'; did you mean",
        ),
        (
            "[set]",
            '[ranges]\n"parameters.motility.chemo" = { low = 1, high = 2 }\n[set]',
            "the trial has no number 'parameters.motility.chemo'; did you mean",
        ),
        (', "drugs.isatuximab.cdc.max_rate"', "", "only 1 number of the grades A can be varied"),
        ('"morris"\nsamples = 2', '"sobol"\nsamples = 6', "a power of two, 4 or 8, not 6"),
        ('"morris"\nsamples = 2', '"latin_hypercube"\nsamples = 5', "small.toml, line 7: partial rank correlations of 2 numbers take 6"),
    ],
)
def test_bad_input_is_one_line_with_its_place(write, old, new, message):
    result = CliRunner().invoke(app, ["sensitivity", write((old, new))])
    assert result.exit_code == 2, result.output
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_the_numbers_of_a_mechanism_from_outside_are_varied(write):
    only = ('"drugs.isatuximab.cdc.max_rate"', '"parameters.pd1_blockade"')
    given = kinds.load_question("sensitivity", write(only))
    found = inputs.find_inputs(given, loader(given, [str(EXAMPLE)]))[1]
    assert "parameters.pd1_blockade.by_pd1" in {put.path for put in found}
    checked = CliRunner().invoke(app, ["validate", "small.toml", "--mechanism", str(EXAMPLE)])
    assert checked.exit_code == 0, checked.output
    assert "no number of the trial begins with" in CliRunner().invoke(app, ["validate", "small.toml"]).stderr


def test_what_is_said_without_salib(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "SALib", None)
    result = CliRunner().invoke(app, ["sensitivity", write()])
    assert result.exit_code == 2
    assert result.stderr == "tme: Morris indices need SALib, which is not installed: pip install 'tme-abm[sensitivity]'\n"
