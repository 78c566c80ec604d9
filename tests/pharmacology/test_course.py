"""Exposures and effects as published, and how a course behaves."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import COMPILED
from tme_abm.foundation.rng import patient_key
from tme_abm.pharmacology.compartments import run
from tme_abm.pharmacology.course import Course, deviate
from tme_abm.pharmacology.drug import catalogue
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.pharmacology.salvage import OTHER_IGG

ISA = (
    Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22), 1, 1),
    Dose("isatuximab", 10.0, "mg/kg", (1, 15), 2),
)
DARA = (
    Dose("daratumumab", 16.0, "mg/kg", (1, 8, 15, 22), 1, 2),
    Dose("daratumumab", 16.0, "mg/kg", (1, 15), 3, 6),
    Dose("daratumumab", 16.0, "mg/kg", (1,), 7),
)
POM = Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22)))
LEN = Dose("lenalidomide", 25.0, "mg", tuple(range(1, 22)))
DEX = Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22), elderly_amount=20.0)
KD = (
    Dose("carfilzomib", 20.0, "mg/m2", (1, 2), 1, 1),
    Dose("carfilzomib", 56.0, "mg/m2", (8, 9, 15, 16), 1, 1),
    Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16), 2),
)
HALF_YEAR = 26 * 7 * 24


def at(values, hours, dt=0.25):
    """The mean over the step that ends at `hours`."""
    return float(values[round(hours / dt) - 1])


def test_isatuximab_meets_its_published_model_at_both_ends(start, typical):
    """Linear clearance at the first dose, and without an IgG M-protein at the end, with four fifths of the disease gone (fau2020)."""
    with_igg = start(*ISA, body=typical._replace(m_protein_g_per_l=19.9 - OTHER_IGG))
    without = start(*ISA, body=typical._replace(is_igg=False))
    assert with_igg.kinetics("isatuximab").clearance == pytest.approx(0.00955 * np.exp(0.664), rel=1e-3)
    assert without.kinetics("isatuximab").clearance == pytest.approx(0.00955 * np.exp(0.664 - 0.751), rel=0.01)
    without.change_body(disease=0.2)
    assert without.kinetics("isatuximab").clearance == pytest.approx(0.00955 * np.exp(-0.751), rel=0.05)
    assert without.kinetics("isatuximab").saturable_rate_per_volume == pytest.approx(0.136 * (1.0 - 0.8 * 0.125))


def test_isatuximab_stays_longer_as_the_disease_goes(start, typical):
    """Of IgG patients more than of others, whose FcRn has no M-protein to lose; nothing changes in a disease that does not."""
    gain = {}
    for is_igg in (True, False):
        body = typical._replace(is_igg=is_igg)
        stays, goes = (start(*ISA, body=body) for _ in range(2))
        assert np.array_equal(stays.advance(224, 6.0).concentration, goes.advance(224, 6.0).concentration)
        goes.change_body(m_protein_g_per_l=0.0, disease=0.0)
        before, after = (course.advance(224, 6.0).concentration[:, 0].sum() for course in (stays, goes))
        gain[is_igg] = after / before
    assert gain[True] > gain[False] > 1.2


def test_looks_are_due_at_fixed_times(start):
    """Each week of the course, whatever the calls into which it is cut; all steps pass at once where no drug follows the disease."""
    course = start(*ISA)
    assert [course.steps_to_look(n, 6.0) for n in (10, 28, 500)] == [10, 28, 28]
    course.advance(10, 6.0)
    assert course.steps_to_look(500, 6.0) == 18
    course.look(10.0, 1e11, 6.0)  # not due
    assert course.body.m_protein_g_per_l == 20.0
    course.advance(18, 6.0)
    course.look(10.0, 5e10, 6.0)
    assert (course.body.m_protein_g_per_l, course.body.disease) == (10.0, 0.5)
    assert start(POM).steps_to_look(500, 6.0) == 500


def test_a_disease_that_outgrows_its_start_takes_no_more_of_the_antibody(start, typical):
    """Clearance that rose with a tumour a thousand times as large as at the start would have no bound, and its steps no end."""
    levels = {}
    for times in (1.0, 2.0, 1000.0):
        course = start(*ISA, body=typical)
        course.look(20.0, 1e9, 6.0)
        course.advance(28, 6.0)
        course.look(20.0, times * 1e9, 6.0)
        levels[times] = course.advance(28, 6.0).concentration[:, 0]
    assert np.array_equal(levels[1000.0], levels[2.0]) and levels[2.0].sum() < 0.9 * levels[1.0].sum()
    told = [start(*ISA, body=typical._replace(disease=times)).kinetics("isatuximab") for times in (2.0, 1000.0)]
    assert told[0] == told[1]


@pytest.mark.parametrize(("is_igg", "trough_1", "trough_8", "steady_trough"), [(True, 95.0, 531.0, 137.0), (False, 108.0, 748.0, 318.0)])
def test_daratumumab_exposure(start, typical, is_igg, trough_1, trough_8, steady_trough):
    body = typical._replace(is_igg=is_igg, weight_kg=78.6)
    c = start(*DARA, body=body).advance(18 * 28 * 24, 1.0).concentration[:, 0]
    assert at(c, 7 * 24, 1.0) == pytest.approx(trough_1, rel=0.02)
    assert at(c, 56 * 24, 1.0) == pytest.approx(trough_8, rel=0.02)
    assert c[-28 * 24 :].min() == pytest.approx(steady_trough, rel=0.06)


def test_a_look_does_what_a_changed_body_does_and_leaves_forks_alone(start, typical):
    lines = (*ISA, *KD, POM)
    looked, told, alone = (start(*lines, body=typical, is_varied=True) for _ in range(3))
    looked.look(20.0, 1e11, 6.0)  # the tumour at the start
    for course in (looked, told, alone):
        course.advance(28, 6.0)
    twin = looked.fork()
    looked.look(4.0, 2e10, 6.0)
    told.change_body(m_protein_g_per_l=4.0, disease=0.2)
    assert looked.kinetics("isatuximab") == told.kinetics("isatuximab") != twin.kinetics("isatuximab")
    expected, as_before = (course.advance(56, 6.0).concentration for course in (told, alone))
    assert np.array_equal(looked.advance(56, 6.0).concentration, expected)
    assert np.array_equal(twin.advance(56, 6.0).concentration, as_before)


def test_elotuzumab_clears_faster_with_more_m_protein(start, typical):
    lines = (Dose("elotuzumab", 10.0, "mg/kg", (1, 8, 15, 22)), LEN)
    bodies = (typical._replace(m_protein_g_per_l=m) for m in (0.0, 50.0))
    low, high = (start(*lines, body=body).advance(28 * 24, 1.0).concentration[-1, 0] for body in bodies)
    assert high < 0.8 * low
    falling = start(*lines, body=typical._replace(m_protein_g_per_l=50.0))
    falling.change_body(m_protein_g_per_l=0.0)
    assert falling.advance(28 * 24, 1.0).concentration[-1, 0] == low


def test_small_molecule_exposures(start):
    """Peaks [ug/mL] and areas [ug h/mL] of the catalogue; a quarter of an hour blurs the peak of a bolus."""
    pomalidomide = start(POM).advance(20 * 24 * 4, 0.25).concentration[:, 0]
    assert 0.4 < pomalidomide[-96:].sum() * 0.25 < 0.6
    lenalidomide = start(LEN).advance(96, 0.25).concentration[:, 0]
    assert 0.4 < lenalidomide.max() < 0.5
    carfilzomib = start(Dose("carfilzomib", 56.0, "mg/m2", (1,))).advance(480, 0.05).concentration[:, 0]
    assert carfilzomib.sum() * 0.05 == pytest.approx(0.948 / 1.056, rel=0.01)  # the label's mean over the median of patients, CV 34 %
    assert 1.5 < carfilzomib.max() < 2.08  # a higher peak does not go with that area
    assert np.log(2.0) / np.log(at(carfilzomib, 4, 0.05) / at(carfilzomib, 5, 0.05)) < 1.0
    bortezomib = start(Dose("bortezomib", 1.3, "mg/m2", (1,)))
    c = bortezomib.advance(72 * 100, 0.01).concentration[:, 0]
    assert c.max() == pytest.approx(0.223, rel=0.03)
    assert c.sum() * 0.01 == pytest.approx(0.151, rel=0.01)
    later = bortezomib.advance(200, 1.0).concentration[:, 0]
    assert 76.0 < 100.0 * np.log(2.0) / np.log(later[99] / later[199]) < 109.0
    dexamethasone = start(DEX).advance(96, 0.25).concentration[:, 0]
    assert 0.4 < dexamethasone.max() < 0.6
    assert 3.0 < np.log(2.0) / np.log(at(dexamethasone, 12) / at(dexamethasone, 13)) < 4.0


def test_lenalidomide_stays_longer_in_kidney_failure(start, typical):
    half_lives = []
    for clearance in (100.0, 20.0, 15.0):
        course = start(LEN, body=typical._replace(creatinine_clearance_ml_per_min=clearance))
        p = course.kinetics("lenalidomide")
        half_lives.append(np.log(2.0) * p.central_volume / p.clearance)
    assert half_lives[0] == pytest.approx(3.0, rel=0.01)
    assert half_lives[1] > 8.0
    assert half_lives[2] > 9.0


def test_carfilzomib_inhibition_adds_up_and_recovers_in_days(start):
    """As measured in blood, mononuclear cells and plasma cells of the marrow (Lee 2016)."""
    effect = start(*KD).advance(56 * 96, 0.25).effect[:, 0]
    assert at(effect, 2) > 0.67  # the first dose, 20 mg/m2
    assert at(effect, 24) / at(effect, 2) > 0.75  # hardly less a day later
    assert at(effect, 24 + 2) > 0.8  # 20 mg/m2 on days 1 and 2
    assert at(effect, 8 * 24 + 2) > 0.9  # 56 mg/m2 on days 8 and 9
    assert at(effect, 72) / at(effect, 48) == pytest.approx(2.0 ** (-24.0 / 60.0), abs=0.005)
    assert at(effect, 28 * 24) < 0.05  # nearly all is back between cycles


def test_carfilzomib_holds_the_proteasome_longer_than_bortezomib(start):
    """What tells the two apart: the kill of a cycle follows the inhibition, at one rate for both where nothing else is known."""
    held = {}
    for name, days, cycle, dose in (("carfilzomib", (1, 2, 8, 9, 15, 16), 28, 56.0), ("bortezomib", (1, 4, 8, 11), 21, 1.3)):
        effect = start(Dose(name, dose, "mg/m2", days), cycle_days=cycle).advance(cycle * 96, 0.25).effect[:, 0]
        held[name] = float(np.mean(effect**3 / (effect**3 + 0.5**3)))
    assert held["bortezomib"] == pytest.approx(0.22, abs=0.02)
    assert held["carfilzomib"] == pytest.approx(0.37, abs=0.03)


def test_bortezomib_acts_within_the_hour_and_is_gone_after_four_days(start):
    effect = start(Dose("bortezomib", 1.3, "mg/m2", (1,)), cycle_days=21).advance(96 * 5, 0.25).effect[:, 0]
    assert 0.6 < effect.max() < 0.85
    assert at(effect, 1) > 0.97 * effect.max()
    assert at(effect, 72) < 0.3 * effect.max()
    assert at(effect, 96) < 0.2 * effect.max()


@pytest.mark.parametrize("dose", [POM, LEN])
def test_imid_effect_holds_for_21_days_and_fades_after(start, dose):
    effect = start(dose).advance(28 * 96, 0.25).effect[:, 0]
    assert at(effect, 12) > 0.9
    assert effect[96 : 21 * 96].min() > 0.8
    last_dose = 20 * 24
    assert 0.25 < at(effect, last_dose + 72) / at(effect, last_dose) < 0.65
    assert at(effect, 28 * 24) < 0.1


def test_dexamethasone_effect_lasts_two_to_four_days(start, typical):
    young = start(DEX).advance(7 * 96, 0.25).effect[:, 0]
    old = start(DEX, body=typical._replace(age=80.0)).advance(7 * 96, 0.25).effect[:, 0]
    assert young.max() > 0.9
    assert at(young, 48) > 0.5
    assert at(young, 96) < 0.3
    assert np.all(old < young)


def test_small_molecules_are_linear_and_saturable_antibodies_are_not(start):
    for name in ("pomalidomide", "lenalidomide", "carfilzomib", "bortezomib", "dexamethasone"):
        one, three = (start(Dose(name, mg, "mg", (1, 8))).advance(56, 6.0).concentration for mg in (1.0, 3.0))
        assert three == pytest.approx(3.0 * one, rel=1e-6, abs=1e-6)
    one, three = (start(Dose("isatuximab", mg, "mg/kg", (1,))).advance(28, 6.0).concentration for mg in (1.0, 3.0))
    assert three.sum() > 4.0 * one.sum()


FULL = (
    *ISA,
    *KD,
    POM,
    DEX,
    Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11)),
    Dose("elotuzumab", 10.0, "mg/kg", (1, 15)),
)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 223), max_size=6, unique=True))
def test_how_time_is_cut_into_calls_changes_nothing(start, cuts):
    whole = start(*FULL).advance(224, 6.0)
    pieces = start(*FULL)
    edges = [0, *sorted(cuts), 224]
    parts = [pieces.advance(b - a, 6.0) for a, b in pairwise(edges)]
    for name in ("concentration", "effect"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


@pytest.mark.parametrize("dt", [1.0, 2.0, 12.0])
def test_the_length_of_a_step_changes_nothing(start, dt):
    coarse = start(*FULL).advance(28, 24.0)
    fine = start(*FULL).advance(int(28 * 24 / dt), dt)
    for name in ("concentration", "effect"):
        daily = getattr(fine, name).reshape(28, -1, len(start(*FULL).drugs)).mean(axis=1)
        assert daily == pytest.approx(getattr(coarse, name), rel=1e-9, abs=1e-12)


def test_an_infusion_across_calls_gives_the_whole_dose(start):
    whole = start(Dose("daratumumab", 16.0, "mg/kg", (1,)))
    whole.advance(1, 8.0)
    pieces = start(Dose("daratumumab", 16.0, "mg/kg", (1,)))
    pieces.advance(8, 1.0)
    assert pieces.concentration == pytest.approx(whole.concentration, rel=1e-12)


def test_fork_goes_its_own_way(start):
    trunk = start(*ISA, POM, DEX)
    trunk.advance(112, 6.0)
    branch = trunk.fork()
    branch.stop_all()
    after = branch.advance(112, 6.0)
    going_on = trunk.advance(112, 6.0)
    assert np.array_equal(going_on.concentration, start(*ISA, POM, DEX).advance(224, 6.0).concentration[112:])
    assert np.all(after.concentration[-1, 1:] < 1e-6)
    assert after.concentration[-1, 0] < going_on.concentration[-1, 0]
    assert np.all(np.diff(after.concentration[4:, 0]) < 0.0)


def test_doses_change_from_now_on_and_relative_to_the_regimen(start):
    course = start(POM)
    first = course.advance(4, 6.0).concentration
    course.change_dose("pomalidomide", 0.5)
    course.change_dose("pomalidomide", 2.0)
    doubled = course.advance(4, 6.0).concentration
    residue = start(POM)
    residue.advance(4, 6.0)
    residue.stop("pomalidomide")
    left = residue.advance(4, 6.0).concentration
    assert doubled == pytest.approx(left + 2.0 * first, rel=1e-9)


def test_a_running_infusion_is_finished(start):
    stopped = start(Dose("daratumumab", 16.0, "mg/kg", (1, 8)))
    stopped.advance(1, 1.0)
    stopped.stop("daratumumab")
    going = start(Dose("daratumumab", 16.0, "mg/kg", (1, 8)))
    going.advance(1, 1.0)
    assert np.array_equal(stopped.advance(24, 6.0).concentration, going.advance(24, 6.0).concentration)


def test_the_calendar_goes_on_for_as_long_as_it_is_asked(start):
    course = start(DEX)
    course.advance(1, 24.0)
    course.change_dose("dexamethasone", 0.5)
    late = course.advance(1500, 24.0).concentration[:, 0]
    assert late[1399:1427].sum() == pytest.approx(late[27:55].sum(), rel=1e-6)
    assert late[1399:1427].max() == pytest.approx(0.5 * start(DEX).advance(1, 24.0).concentration[0, 0], rel=1e-6)


def test_a_regimen_that_ends_ends(start):
    course = start(Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16)), stop_day=8.0)
    concentration = course.advance(28, 24.0).concentration[:, 0]
    assert [day + 1 for day in np.flatnonzero(concentration > 0.01)] == [1, 2, 8]


def test_no_treatment(typical):
    exposure = Course(Regimen("none", "None", 28), (), typical, 1).advance(10, 6.0)
    assert exposure.concentration.shape == exposure.effect.shape == (10, 0)


def test_columns_follow_the_regimen(start, drug, typical):
    regimen = Regimen("r", "R", 28, (DEX, POM, *ISA))
    loaded = [drug(name) for name in catalogue()]
    course = Course(regimen, loaded, typical, 1)
    assert tuple(d.name for d in course.drugs) == ("dexamethasone", "pomalidomide", "isatuximab")
    exposure = course.advance(4, 6.0)
    assert np.all(exposure.effect[:, 2] == 0.0)
    assert np.all(exposure.effect[:, :2] > 0.0)
    assert np.all(exposure.concentration > 0.0)


def test_a_patient_has_the_same_kinetics_in_every_arm(start):
    key = int(patient_key(7, 3))
    alone = start(POM, key=key, is_varied=True)
    together = start(*ISA, DEX, POM, key=key, is_varied=True)
    other = start(POM, key=int(patient_key(7, 4)), is_varied=True)
    assert alone.kinetics("pomalidomide") == together.kinetics("pomalidomide")
    assert alone.kinetics("pomalidomide") != other.kinetics("pomalidomide")
    assert np.array_equal(alone.advance(112, 6.0).concentration[:, 0], together.advance(112, 6.0).concentration[:, 2])


def test_patients_vary_as_published(start, drug):
    """The log of isatuximab's clearance spreads by sqrt(ln(1 + 0.475^2)) = 0.451; the cut at three takes 1.3 %."""
    keys = [int(patient_key(1, i)) for i in range(2000)]
    drawn = (("isatuximab", "clearance"), ("isatuximab", "central_volume"), ("x", "clearance"))
    z = np.array([[deviate(key, *address) for address in drawn] for key in keys])
    assert np.all(np.abs(z) <= 3.0)
    assert np.abs(z.mean(axis=0)) == pytest.approx(np.zeros(3), abs=4.0 / np.sqrt(2000))
    assert z.std(axis=0) == pytest.approx(np.full(3, 0.987), abs=0.06)
    assert np.abs(np.corrcoef(z.T) - np.eye(3)).max() < 0.09
    spread = {v.parameter: v.spread for v in drug("isatuximab").variability}
    assert spread["clearance"] == pytest.approx(0.4511, abs=1e-3)
    assert spread["central_volume"] == pytest.approx(0.2529, abs=1e-3)
    one = start(*ISA, key=keys[0], is_varied=True).kinetics("isatuximab")
    same = start(*ISA).kinetics("isatuximab")
    assert one.clearance == pytest.approx(same.clearance * np.exp(0.4511 * z[0, 0]), rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), weight=st.floats(40.0, 140.0), is_igg=st.booleans())
def test_nothing_is_ever_out_of_range(start, typical, seed, weight, is_igg):
    body = typical._replace(weight_kg=weight, is_igg=is_igg)
    exposure = start(*FULL, body=body, key=seed, is_varied=True).advance(224, 6.0)
    assert np.all(np.isfinite(exposure.concentration))
    assert np.all(exposure.concentration >= 0.0)
    assert np.all((exposure.effect >= 0.0) & (exposure.effect < 1.0))


def test_wrong_use_is_named(start, drug, typical):
    with pytest.raises(InputError, match="no drug 'pomalidomide' was loaded"):
        Course(Regimen("r", "R", 28, (POM,)), [drug("isatuximab")], typical, 1)
    course = start(POM)
    with pytest.raises(InputError, match="did you mean 'pomalidomide'"):
        course.change_dose("pomalidomid", 0.5)
    with pytest.raises(InputError, match="zero or more"):
        course.change_dose("pomalidomide", -0.5)
    with pytest.raises(InputError, match="did you mean 'weight_kg'"):
        course.change_body(weight=70.0)
    with pytest.raises(InputError, match="weight_kg must be above zero"):
        start(POM, body=typical._replace(weight_kg=0.0))
    with pytest.raises(InputError, match="positive steps"):
        course.advance(4, 0.0)
    with pytest.raises(InputError, match="holds no 'isatuximab'"):
        course.kinetics("isatuximab")


def test_the_kernel_has_one_signature(start):
    for lines in ((POM,), ISA, (*ISA, POM), FULL):
        start(*lines).advance(4, 6.0)
    if COMPILED:
        assert len(run.signatures) == 1


def test_a_segment_that_takes_over_what_the_last_one_worked_out_moves_no_bit(start, typical):
    """A call begins without it: step by step all is worked out anew, in one call only where segments become shorter or longer."""
    doses = (*KD, POM, DEX)
    at_once, step_by_step = (start(*doses, body=typical) for _ in range(2))
    exposure = at_once.advance(28 * 24 * 2, 0.5)
    steps = [step_by_step.advance(1, 0.5) for _ in range(28 * 24 * 2)]
    for name in ("concentration", "effect"):
        assert np.array_equal(getattr(exposure, name), np.concatenate([getattr(step, name) for step in steps]))
