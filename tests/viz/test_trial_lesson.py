"""What the lesson on trials asserts: an interval of sixty against those of its twenties, and from when on there is one."""

import math

import numpy as np
import pytest
from tme_viz import lesson_check
from tme_viz.allowed_files import Places
from tme_viz.lessons import NEITHER, lessons
from tme_viz.trial_lesson import FEW, KEY, PATIENTS, Grown, measures, small_study
from tme_viz.words import LANGUAGES, words

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.trial.comparison import FEWEST_PAIRS

LESSON = lessons()[KEY]


@pytest.fixture(scope="module")
def study():
    return small_study(Places())


def trial(study, patients=PATIENTS, seed=0):
    """Made-up patients: each goes without progression for so many days with the reference, and for some share longer with the arm."""
    rng = np.random.default_rng(seed)
    arm, reference = study.comparisons[0]
    for patient in range(patients):
        days = rng.exponential(8 * DAYS_PER_MONTH)
        yield [
            {"patient": patient, "arm": name, "pfs_days": d, "pfs_event": True, "os_days": 2 * d, "os_event": False}
            for name, d in ((arm, days * rng.uniform(1.0, 3.0)), (reference, days))
        ]


def measured(study, patients=PATIENTS):
    return measures(study, [row for patient in trial(study, patients) for row in patient])


def test_the_twenties_are_those_of_the_trial_and_all_is_all(study):
    """Each twenty by itself has the interval that a trial of these twenty has."""
    rows = [row for patient in trial(study) for row in patient]
    found = measures(study, rows)
    alone = [measures(study, rows[i : i + 2 * FEW]) for i in range(0, 2 * PATIENTS, 2 * FEW)]
    assert len(alone) == 3 and found["patients"] == 60
    assert found["width_each"] == pytest.approx(np.mean([one["width_all"] for one in alone]))
    assert (found["ratio_least"], found["ratio_most"]) == (min(one["ratio_all"] for one in alone), max(one["ratio_all"] for one in alone))
    assert [found[f"{end}_few"] for end in ("ratio", "low", "high")] == [alone[0][f"{end}_all"] for end in ("ratio", "low", "high")]
    assert found["width_all"] == pytest.approx(math.log(found["high_all"] / found["low_all"]))
    assert found["wider"] == pytest.approx(found["width_each"] / found["width_all"])


def test_an_interval_no_narrower_than_those_of_the_twenties_bears_out_no_prediction(study):
    found = measured(study)
    assert LESSON.outcome(found) == LESSON.right
    assert LESSON.outcome({**found, "width_all": found["width_each"]}) == NEITHER
    assert LESSON.outcome(measured(study, FEW)) == NEITHER  # all are the twenty


@pytest.mark.parametrize("missing", ["width_each", "width_all"])
def test_without_an_interval_no_prediction_is_borne_out(study, missing):
    assert FEW == FEWEST_PAIRS
    one_less = measured(study, FEW - 1)
    assert math.isnan(one_less["width_each"]) and math.isnan(one_less["width_all"]) and one_less["ratio_all"] < 1
    assert LESSON.outcome(one_less) == NEITHER
    assert LESSON.outcome({**measured(study), missing: one_less[missing]}) == NEITHER
    for language in LANGUAGES:
        said = LESSON.answer(one_less, language)
        assert "nan" not in said and "—" in said


@pytest.mark.parametrize(("patients", "agree"), [(PATIENTS, 6), (FEW, 0), (FEW - 1, 0)])
def test_the_check_fails_where_all_tell_no_more_than_twenty(monkeypatch, patients, agree):
    """Six trials, each with patients of its own."""
    seeds = []

    def rows_of(study):
        seeds.append(study.seed)
        return trial(study, patients, study.seed)

    monkeypatch.setattr(lesson_check, "rows_of", rows_of)
    found = lesson_check.check(LESSON, Places())
    assert (found.agree, found.of, found.is_true) == (agree, 6, agree == 6)
    assert seeds == list(range(seeds[0], seeds[0] + 6))


@pytest.mark.parametrize(("language", "appeared"), [("en", "first appeared after 20 patients"), ("it", "è apparso dopo 20 pazienti")])
def test_a_growing_trial_marks_where_its_interval_first_appears(study, language, appeared):
    grown, w = Grown([]), words(language)
    for n, patient in enumerate(trial(study), 1):
        grown = grown.joined(study, patient)
        assert grown.n == n
        ratio, first = grown.said(w)
        assert bool(ratio) == (n > 1) and bool(first) == (n >= FEW)
    begun = measured(study, FEW)
    assert appeared in first and f"{begun['low_all']:.2f}" in first and f"{begun['high_all']:.2f}" in first
    assert f"{grown.comparison.ci_low:.2f}" in ratio and grown.comparison.ci_low != grown.first.low
