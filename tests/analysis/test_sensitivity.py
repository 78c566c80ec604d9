"""Sensitivity: indices against functions whose own are known, which numbers are varied, a small run, what is refused."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tme_abm.analysis import headings
from tme_abm.analysis.sensitivity import indices, inputs, page
from tme_abm.analysis.sensitivity.form import Form
from tme_abm.cli.app import app
from tme_abm.cli.variation import loader
from tme_abm.foundation.declare import Origin, Param
from tme_abm.scenario import kinds, running

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
grades = ["A"]

[set]
"marrow.shape" = [32, 32]
"""


ONLY = 'only = ["drugs.isatuximab.adcc.steepness", "drugs.isatuximab.cdc.max_rate"]\n'


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
    by_path = {put.path: put for put in found(write((ONLY, "")))}
    assert {put.grade for put in by_path.values()} == {"A"}
    steepness = by_path["drugs.isatuximab.adcc.steepness"]
    assert (steepness.low, steepness.high) == (steepness.value / 2.0, steepness.value * 2.0)
    assert steepness.at(0.0) == steepness.low and steepness.at(1.0) == pytest.approx(steepness.high)
    assert steepness.at(0.5) == pytest.approx(steepness.value)
    fold = by_path["drugs.isatuximab.nk_activation.armed_fold"]
    assert (fold.low - 1.0, fold.high - 1.0) == pytest.approx(((fold.value - 1.0) / 2.0, (fold.value - 1.0) * 2.0))
    assert all(put.low < put.value or put.high > put.value for put in by_path.values())
    assert not any(path.startswith(("drugs.lenalidomide", "drugs.bortezomib")) for path in by_path)  # of drugs that nobody gets


def test_more_grades_and_own_ranges(write):
    weak = found(write(('grades = ["A"]', 'grades = ["M-low"]\nspread = { M-low = 3.0 }'), ("only = ", "leave_out = ")))
    assert {put.grade for put in weak} == {"M-low"}
    own = ("[set]", '[ranges]\n"parameters.motility.chemotaxis" = { low = 0.1, high = 0.2, scale = "linear" }\n\n[set]')
    ranged = {put.path: put for put in found(write(own))}
    assert ranged["parameters.motility.chemotaxis"].at(0.5) == pytest.approx(0.15)
    assert len(ranged) == 3


@pytest.mark.parametrize("scenario", ["icaria", "ikema", "elotuzumab", "newly_diagnosed_induction"])
def test_no_number_is_varied_beyond_what_its_declaration_allows(scenario):
    """Of every grade and of every arm; and a share near one keeps on its side of it."""
    study = kinds.load_trial(scenario)
    numbers = inputs.numbers_of(study, [arm.key for arm in study.arms])
    ranged = {path: inputs._spread(path, origin, note, 2.0, group) for path, (origin, note, group) in numbers.items()}
    for path, put in ranged.items():
        note = numbers[path][1]
        if put is not None:
            assert note.low <= put.low < put.high <= note.high and put.low <= put.value <= put.high, path
            assert (put.at(0.0), put.at(1.0)) == pytest.approx((put.low, put.high))
    cost = ranged["parameters.clones.fitness_cost"]
    assert (cost.value, cost.low, cost.high, cost.scale) == (0.99, pytest.approx(0.98), pytest.approx(0.995), "share")
    assert cost.at(0.5) == pytest.approx(0.99)


def test_what_a_declaration_forbids_cannot_be_set():
    for given in ("parameters.clones.fitness_cost=1.5", "drugs.isatuximab.ectoenzyme.max_inhibition=1.5", "parameters.motility.stop=0"):
        result = CliRunner().invoke(app, ["validate", "icaria", "--set", given])
        assert result.exit_code == 2 and "is outside of" in result.stderr and result.stderr.count("\n") == 1, result.output


def test_what_is_fitted_is_varied_by_default():
    assert Form.model_fields["grades"].default == ["A", "M-low", "C"]
    paths = {put.path for put in found("icaria_conclusion")}
    assert {"drugs.isatuximab.adcc.lysis_rate", "drugs.isatuximab.adcp.engulfment_rate", "drugs.pomalidomide.imid.kill_rate"} <= paths


@pytest.mark.parametrize(
    ("off", "some"),
    [
        ((), {"parameters.clones.proteasome_residual", "drugs.isatuximab.adcc.stressed_fold", "drugs.isatuximab.adcp.stressed_fold"}),
        (
            ("adcc", "adcp", "cdc", "niche_release", "imid", "glucocorticoid"),
            {
                *("parameters.fc_receptors.recovery", "parameters.motility.crawl_density", "parameters.clones.tp53_drug_factor"),
                *("drugs.isatuximab.nk_activation.armed_fold", "parameters.clones.escape_inhibitors", "parameters.clones.imid_residual"),
            },
        ),
    ],
    ids=["all at work", "many off"],
)
def test_numbers_that_are_left_out_as_idle_do_nothing(off, some, tmp_path):
    """All of them at other values at once, for the same patients on the same dice; one that acts moves the very table.

    Without ADCC the arming of NK cells is still shown, as a gauge of the table that no cell, count or outcome depends on.
    """
    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["2 month", "2 month"]']
    study = kinds.load_trial("icaria", small, patients=2, seed=3, without=off)
    keys = [arm.key for arm in study.arms]
    idle, settable = inputs.idle_numbers(study, keys), inputs.settable_numbers(study, keys)
    assert some <= set(idle) and not set(idle) & set(inputs.numbers_of(study, keys))
    other = [f"{path}={0.5 * settable[path][0].value!r}" for path in idle]
    acting = ["parameters.exhaustion.pace=0.04"]
    tables = []
    for name, changes in (("plain", []), ("idle", other), ("acting", acting)):
        trial = kinds.load_trial("icaria", [*small, *changes], patients=2, seed=3, without=off)
        tables.append(running.run(trial, tmp_path / name, 1).trajectory)
    plain, changed, moved = (table.drop(columns="nk_armed") for table in tables)
    assert plain.equals(changed)
    assert not plain.equals(moved)
    assert off or tables[0].equals(tables[1])


def test_a_number_without_a_mechanism_that_it_needs_says_so():
    study = kinds.load_trial("icaria")
    idle = inputs.idle_numbers(study, ["pd"])
    assert (
        idle["parameters.antigen_loss.loss"] == "no antibody on CD38"
        and idle["parameters.motility.crawl_density"] == "no Release from niche"
    )
    assert "drugs.isatuximab.adcc.steepness" not in inputs.settable_numbers(study, ["pd"])


def summary_of(rows, **changes):
    """A summary with one outcome, as far as its words need it."""
    outcome = {"words": "gain", "mean": 0.5, "sd": 0.1, "share_above_zero": 1.0, "indices": rows}
    given = {"method": "morris", "strength": "mu_star", "samples": 4, "evaluations": 12, "patients": 5, "horizon_months": 2.0}
    return {**given, "outcomes": {"gain": outcome}, "not_seen": [], "without_effect": [], "not_varied": {}, **changes}


def test_a_rank_that_may_be_chance_is_called_so():
    def row(name, size, error):
        return {"input": name, "mu_star": size, "mu_star_error": error}

    clear = page.in_words(summary_of([row("a", 1.0, 0.2), row("b", 0.5, 0.2)]))
    assert clear == ["gain: 0.50 (sd 0.10 over the samples); strongest: a, b"]
    overlapping = page.in_words(summary_of([row("a", 1.0, 0.3), row("b", 0.5, 0.2)]))
    assert "first in rank: a, b" in overlapping[0]
    assert overlapping[1] == (
        "  caution: the intervals of the first two overlap: with 4 trajectories of 5 patients their order may be chance; "
        "take more of both, and rank nothing by this"
    )
    assert "nothing stands out of the noise" in page.in_words(summary_of([row("a", 1.0, 1.1), row("b", 0.1, 0.0)]))[1]
    ranks = [
        {"input": name, "correlation_size": abs(r), "correlation": r, "correlation_low": r - 0.2, "correlation_high": r + 0.2}
        for name, r in (("a", -0.9), ("b", 0.3))
    ]
    given = {"method": "latin_hypercube", "strength": "correlation_size"}
    assert "strongest: a, b" in page.in_words(summary_of(ranks, **given))[0]
    assert "caution" in page.in_words(summary_of([ranks[1], ranks[1]], **given))[1]


def test_an_outcome_without_indices_says_why_and_what_to_do():
    [_, said] = page.in_words(summary_of([], not_seen=[{"words": "log hazard ratio of PFS", "missing": 7}]))
    assert said.startswith("log hazard ratio of PFS: no indices, for 7 of 12 samples gave no value")
    assert "take more patients than 5, or a longer horizon than 2.0 months" in said


def test_a_number_that_moves_nothing_is_found():
    pytest.importorskip("SALib")
    of = made("a", "b", "c")
    shares = indices.draw_samples("morris", 5, of, 1)
    outcomes = {"y": shares @ np.array([3.0, 0.0, 0.0]), "z": shares @ np.array([0.0, 0.0, 2.0])}
    assert indices.without_effect(indices.index_table("morris", shares, outcomes, of)) == ["b"]
    assert page.in_words(summary_of([], without_effect=["b"]))[-1] == "changed nothing in any sample: b"


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
    told = (folder / "sensitivity.md").read_text(encoding="utf-8")
    assert told.startswith("# A test\n\nWritten by `tme sensitivity small.toml`") and "| drugs.isatuximab.adcc.steepness | A |" in told
    assert "- distributions of patients: " in told and "- left out by `only` and `leave_out`: " in told
    assert "nothing to act on in these arms (no Proteasome inhibitor): `parameters.clones.proteasome_residual`" in told
    assert {p.name for p in (folder / "figures").iterdir()} >= {"morris.svg", "strongest_burden_gain_log10.svg"}
    check_crate(folder, "small")
    again = CliRunner().invoke(app, [*call, "--resume"])
    assert again.exit_code == 0 and "all runs stand on disk" in again.output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"pd"]', '"pdd"]', "small.toml, line 5: the trial has no arm 'pdd'; did you mean 'pd'?"),
        ('"morris"', '"moris"', "small.toml, line 6: unknown word 'moris' for method; did you mean 'morris'?"),
        ('grades = ["A"]', 'grades = ["M-lo"]', "small.toml, line 11: unknown grade 'M-lo'; did you mean 'M-low'?"),
        ("samples = 2", "samples = 2\nspread = { A = 0.5 }", "spread.A: a factor up and down is above 1, at most 1e+06, got 0.5"),
        (
            "samples = 2",
            "samples = 2\nspread = { A = 1e308 }",
            "line 8: spread.A: a factor up and down is above 1, at most 1e+06, got 1e+308",
        ),
        (
            "[set]",
            '[ranges]\n"drugs.isatuximab.adcc.steepness" = { low = 1e-320, high = 1 }\n[set]',
            "line 14: the range of drugs.isatuximab.adcc.steepness, 9.99989e-321 to 1, is wider than 1e+06 times up and down",
        ),
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


def test_an_excess_that_is_lost_beside_one_is_not_varied():
    """Half of it, added to one, is one: there is no factor between that and anything."""
    origin, note = Origin(1.0 + 2.0**-52, "1", "x", "tme_abm", "A"), Param("1", "x", "tme_abm", "A")
    assert inputs._spread("parameters.x.armed_fold", origin, note, 2.0, "x") is None
    kept = inputs._spread("parameters.x.armed_fold", origin._replace(value=1.5), note, 2.0, "x")
    assert (kept.low, kept.high) == (1.25, 2.0) and kept.at(0.0) == 1.25


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
