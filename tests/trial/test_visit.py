"""The clinic at work: a patient whose serum is empty from the second visit on, under an antibody, seen with each effect on and off."""

from types import SimpleNamespace

import pytest

from tme_abm.foundation.clock import Rhythm
from tme_abm.foundation.rng import Stream, stream_key, uniform
from tme_abm.outcomes.clinic import Params
from tme_abm.trial.visit import Clinic

VISITS = Rhythm(28.0, ())
ALL_SEEN = Params(comigrating_share=0.0, unexamined_share=0.0, clinical_rate=0.0)
HIDDEN = ALL_SEEN._replace(comigrating_share=1.0)
ISATUXIMAB = SimpleNamespace(name="isatuximab", drug_class="antibody")
POMALIDOMIDE = SimpleNamespace(name="pomalidomide", drug_class="imid")


class Stub:
    """What a clinic asks of a simulation; time passes by hand."""

    def __init__(self, key=7, ig_type="IgG", light_chain="kappa", antibody=300.0):
        self.patient = SimpleNamespace(ig_type=ig_type, light_chain=light_chain)
        self.key, self.day, self.m_protein, self.plasma_fraction = key, 0.0, 20.0, 0.3
        self.course = SimpleNamespace(drugs=(ISATUXIMAB, POMALIDOMIDE))
        self.levels = {"isatuximab": antibody, "pomalidomide": 1e4}
        self.regimen = SimpleNamespace(stop_day=None)


def followed(p, courses=((20.0, 0.3), (0.0, 1e-3), (0.0, 1e-3), (0.0, 1e-3)), **traits):
    """A clinic that has seen a patient with these M-proteins and plasma cells, from the baseline on."""
    simulation = Stub(**traits)
    clinic = Clinic(simulation, VISITS, p)
    seen = []
    for number, (m_protein, plasma) in enumerate(courses[1:], 1):
        simulation.day, simulation.m_protein, simulation.plasma_fraction = 28.0 * number, m_protein, plasma
        seen.append(clinic.see(simulation, number))
    return clinic, seen


def test_nothing_stands_between_the_disease_and_the_record_where_all_is_switched_off():
    clinic, seen = followed(ALL_SEEN)
    assert clinic.assessor.best == clinic.without_antibody.best == "CR"
    assert not any(visit.reading.hidden_by_antibody for visit in seen) and seen[-1].reading.m_protein == 0.0


@pytest.mark.parametrize(
    ("traits", "best"),
    [
        ({}, "VGPR"),
        ({"antibody": 99.0}, "CR"),  # below the limit of the assay
        ({"ig_type": "IgA"}, "CR"),
        ({"light_chain": "lambda"}, "CR"),
    ],
)
def test_a_band_hides_a_complete_response_and_mass_spectrometry_finds_it(traits, best):
    clinic, _ = followed(HIDDEN, **traits)
    assert (clinic.assessor.best, clinic.without_antibody.best) == (best, "CR")


def test_electrophoresis_reports_the_sum_of_what_runs_to_one_place():
    """0.6 g/L of antibody is a spike of its own; where it runs elsewhere the laboratory leaves it out."""
    one, other = followed(HIDDEN, antibody=600.0)[1][-1].reading, followed(ALL_SEEN, antibody=600.0)[1][-1].reading
    assert one.m_protein == pytest.approx(0.6, rel=0.25) and one.true_m_protein == 0.0
    assert other.m_protein == 0.0


def test_two_visits_without_a_band_in_a_row_are_needed_to_undo_it():
    """The antibody leaves after the third visit: the complete response is confirmed with the fifth."""
    simulation = Stub()
    clinic = Clinic(simulation, VISITS, HIDDEN)
    best = []
    for number in range(1, 6):
        simulation.day, simulation.m_protein, simulation.plasma_fraction = 28.0 * number, 0.0, 1e-3
        simulation.levels["isatuximab"] = 300.0 if number < 4 else 10.0
        clinic.see(simulation, number)
        best.append(clinic.assessor.best)
    assert best == ["SD", "VGPR", "VGPR", "VGPR", "CR"]


def test_without_marrows_a_response_stays_very_good_and_residual_disease_untested():
    clinic, seen = followed(ALL_SEEN._replace(unexamined_share=1.0))
    assert (clinic.assessor.best, clinic.examined_fraction) == ("VGPR", None)
    assert not clinic.mrd_tested and not any(visit.reading.examined_fraction for visit in seen)
    assert followed(ALL_SEEN)[0].mrd_tested


def test_a_marrow_is_taken_on_suspicion_and_again_after_six_visits():
    """Full at the first look, it keeps the response down until the next, six visits later."""
    full = [(20.0, 0.3), *[(0.0, 0.2)] * 3, *[(0.0, 1e-3)] * 6]
    _, seen = followed(ALL_SEEN, full)
    assert [visit.reading.examined_fraction for visit in seen] == [0.2] * 6 + [1e-3] * 3
    assert [visit.assessment.response for visit in seen] == ["VGPR"] * 6 + ["CR"] * 3
    none = followed(ALL_SEEN, [(20.0, 0.3), (8.0, 0.01), (8.0, 0.01)])[0]
    assert none.examined_fraction is None  # nothing was suspected


def test_symptoms_end_a_course_and_their_day_depends_on_the_burden_alone():
    """At a rate of 3 a month nobody waits long; with none, a stable disease goes on."""
    stable = [(20.0, 0.3)] * 12
    clinic, seen = followed(ALL_SEEN._replace(clinical_rate=3.0), stable)
    day = clinic.assessor.progression_day
    assert clinic.assessor.progression_kind == "clinical" and 0.0 < day <= seen[-1].reading.day
    antibody_free = followed(ALL_SEEN._replace(clinical_rate=3.0), stable, antibody=0.0)[0]
    assert antibody_free.assessor.progression_day == day
    assert followed(ALL_SEEN, stable)[0].assessor.progression_day is None


def test_the_shares_are_those_of_the_patients():
    """Of 2000 patients: a marrow from 85 %, 77 % of IgG-kappa bands together; and the dice of the two do not know each other."""
    p = Params()
    clinics = [Clinic(Stub(key=key), VISITS, p) for key in range(1, 2001)]
    taken = [clinic.has_marrows for clinic in clinics]
    assert sum(taken) / 2000 == pytest.approx(1.0 - p.unexamined_share, abs=0.03)
    together = [float(uniform(stream_key(key, int(Stream.INTERFERENCE), 0), 0)) < p.comigrating_share for key in range(1, 2001)]
    assert sum(together) / 2000 == pytest.approx(p.comigrating_share, abs=0.03)
    both = sum(a and b for a, b in zip(taken, together, strict=True)) / 2000
    assert both == pytest.approx(p.comigrating_share * (1.0 - p.unexamined_share), abs=0.03)
