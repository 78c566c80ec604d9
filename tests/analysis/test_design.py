"""Designs: the log-rank test and its boundary against known ones, the error that a trial without an effect makes, power that grows."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from tme_abm.analysis.bank.trials import play, refuse_unrun
from tme_abm.analysis.bank.weights import Weigher
from tme_abm.analysis.calibration.posterior import Posterior
from tme_abm.analysis.design import page
from tme_abm.analysis.design.power import answer, boundary, log_rank, table
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_question, load_trial
from tme_abm.scenario.reading import questions

NAME = "population.imid_sensitivity.median"


def asked(**changes):
    design = load_question("design", "icaria_200")
    return replace(design, form=design.form.model_copy(update=changes))


@pytest.fixture(scope="module")
def trial(toy):
    bank = toy(900)
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    return play(load_trial("icaria"), bank, weigher, [NAME])


def sets(*medians):
    n = len(medians)
    return Posterior((NAME,), np.array(medians)[:, None], np.full(n, 1.0 / n), -np.arange(n, dtype=float))


def test_the_log_rank_test_is_that_of_lifelines(lifelines):
    chance = np.random.default_rng(4)
    for factor in (1.0, 1.6):
        months = [np.ceil(chance.exponential(scale, 90)) for scale in (10.0 * factor, 10.0)]  # with ties
        event = [chance.random(90) < 0.7 for _ in range(2)]
        z, n = log_rank(tuple(months), tuple(event))
        theirs = lifelines.statistics.logrank_test(*months, *event)
        assert z**2 == pytest.approx(theirs.test_statistic, rel=1e-9)
        assert n == sum(e.sum() for e in event)
        assert (z > 0.0) == (months[0][event[0]].size / months[0].sum() < months[1][event[1]].size / months[1].sum())
    assert log_rank((np.array([1.0]), np.array([2.0])), (np.array([False]), np.array([False]))) == (0.0, 0)


def test_the_boundary_of_two_looks_is_that_of_lan_and_demets():
    # half and all of the information, one-sided 0.025: 2.963 and 1.969 (lan and demets; the same in rpact and gsDesign)
    found = boundary([0.5, 1.0], 0.025)
    assert found == pytest.approx([2.963, 1.969], abs=2e-3)
    assert boundary([1.0], 0.025) == pytest.approx([stats.norm.isf(0.025)])
    three = boundary([1 / 3, 2 / 3, 1.0], 0.025)
    assert three == pytest.approx([3.710, 2.511, 1.993], abs=5e-3)


def test_arms_that_do_not_differ_are_told_apart_no_oftener_than_the_error_allows(trial):
    twins = replace(trial, arms={**trial.arms, "isa-pd": trial.arms["pd"]})
    design = asked(patients=[200], question=None)
    found = answer(design, twins, sets(1.0, 1.2), 250)[0]
    assert 0.004 < found.assurance < 0.055  # 0.025 of 500 trials
    assert np.median(found.ratios) == pytest.approx(1.0, abs=0.05)


def test_power_grows_with_patients_and_assurance_knows_what_is_not_known(trial):
    design = asked(patients=[60, 240], question=240)
    small, large = answer(design, trial, sets(1.0, 1.0001), 80)
    assert large.assurance > small.assurance + 0.15
    assert large.events[-1] > 3.0 * small.events[-1]
    assert large.events[0] < large.events[-1]
    assert sum(large.stops) == pytest.approx(large.assurance)
    # an effect that depends on what is not known: the power differs between the sets, the assurance is their mean
    wide = answer(asked(patients=[120], question=None), trial, sets(0.3, 1.0, 3.0), 80)[0]
    assert wide.power.max() > wide.power.min() + 0.1
    assert wide.assurance == pytest.approx(wide.power.mean())
    rows = table(design, [small, large])
    assert list(rows["patients"]) == [60, 240]
    assert (rows["power_low"] <= rows["assurance"] + 1e-9).all() and (rows["assurance"] <= rows["power_high"] + 1e-9).all()
    words = page.report(design, trial.study, [small, large], "Facts.", {"Isa-Pd": 301.0, "Pd": 402.0})
    assert "With 240 patients a trial is positive in" in words and "Isa-Pd against Pd" in words


def test_an_answer_from_too_few_patients_is_headed_by_a_warning(trial):
    """The arm that is worth least decides, in most sets; 300 are enough."""
    design, found = asked(patients=[40], question=None), answer(asked(patients=[40], question=None), trial, sets(1.0, 1.0), 3)
    first = [page.report(design, trial.study, found, "", {"Isa-Pd": n, "Pd": 900.0}).splitlines()[0] for n in (8.3, 299.0, 300.0)]
    assert "**Not to be relied on: behind this stand 8 effective patients of the bank, and 300 are asked for" in first[0]
    assert "Not to be relied on" in first[1] and first[2].startswith("Would ICARIA-MM")
    one, many = (page.effective_patients(trial, sets(*medians))["Pd"] for medians in ((1.0,) * 20, (1.0,) * 18 + (5.0,) * 2))
    assert one == pytest.approx(trial.arms["pd"].worth({NAME: 1.0})) and many == pytest.approx(trial.arms["pd"].worth({NAME: 5.0}))


def test_a_bank_that_has_not_run_an_arm_says_what_would(toy):
    """One that its plan names is run by `--arms all`; of another the plan must be told."""
    bank, study = toy(20), load_trial("icaria")
    refuse_unrun(study, bank, ["isa-pd", "pd"])
    half = replace(bank, runs={"pd": bank.runs["pd"]})
    with pytest.raises(InputError, match=r"has not run the arm 'isa-pd' of icaria; its plan has it: `tme bank \[PLAN.toml\] --arms all"):
        refuse_unrun(study, half, ["pd", "isa-pd"])
    other = load_trial("icaria", ['arms.isa-pd.doses[0].dose="20 mg/kg"'])
    with pytest.raises(InputError, match=r"names no arm that is given so: write one that does \(\[arms.isa-pd\].*docs/bank.md"):
        refuse_unrun(other, bank, ["isa-pd", "pd"])


def test_who_enters_late_is_followed_shortly(trial):
    short, long = (
        answer(replace(asked(patients=[150], question=None), follow_up_days=days), trial, sets(1.0, 1.0), 40)[0] for days in (60.0, 600.0)
    )
    assert short.events[-1] < 0.7 * long.events[-1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('compare = ["isa-pd", "pd"]', 'compare = ["isa-pd", "isa-pd"]', "is compared with itself"),
        ("looks = [0.65, 1.0]", "looks = [0.65, 0.9]", r"line 12: looks: write shares of the time that rise to 1"),
        ("question = 200", "question = 201", "201 is none of the sizes in patients"),
        ("alpha = 0.025", "alpa = 0.025", "unknown key 'alpa'; did you mean 'alpha'"),
        ('accrual = "9 month"', 'accrual = "9 moth"', "unknown unit 'moth'"),
    ],
)
def test_what_is_wrong_with_a_design_is_told_with_its_line(tmp_path, old, new, said):
    text = questions()["icaria_200"].read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=said):
        load_question("design", tmp_path / "mine.toml")


def test_arms_that_the_trial_has_not_got_are_refused():
    design = asked(compare=["isa-p", "pd"])
    with pytest.raises(InputError, match="icaria has no arm 'isa-p'; did you mean 'isa-pd'"):
        design.check_arms(load_trial("icaria"))


def test_tme_design_without_a_posterior_or_a_bank_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["design", "icaria_200"])
    assert done.exit_code == 2 and "results/bank" in done.stderr and "draws one" in done.stderr
    done = CliRunner().invoke(app, ["design", "icaria_200", "--posterior", "elsewhere"])
    assert done.exit_code == 2 and "`tme calibrate` writes one" in done.stderr
    listed = CliRunner().invoke(app, ["list"])
    assert "icaria_200" in listed.output
    valid = CliRunner().invoke(app, ["validate", "icaria_200"])
    assert valid.exit_code == 0 and "design of 80 to 307, isa-pd against pd" in valid.output
    (tmp_path / "mine.toml").write_text(questions()["icaria_200"].read_text().replace('"icaria"', '"icari"'))
    wrong = CliRunner().invoke(app, ["validate", "mine.toml"])
    assert wrong.exit_code == 2 and "line 5" in wrong.stderr and "did you mean 'icaria'" in wrong.stderr


def test_a_ratio_that_has_no_estimate_is_no_number(trial):
    found = answer(asked(patients=[4], question=None), trial, sets(1.0, 1.0), 10)[0]
    assert len(found.ratios) == 20
    assert not math.isinf(np.nanmax(np.where(np.isfinite(found.ratios), found.ratios, np.nan)))
    assert isinstance(table(asked(patients=[4], question=None), [found]), pd.DataFrame)
