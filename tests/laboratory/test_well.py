"""Wells: what is pipetted together is there, what dies is counted, and what kills kills at the rate that its rule says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tme_abm.foundation.errors import InputError
from tme_abm.laboratory.vocabulary import CAUSES, CELLS, LINE
from tme_abm.laboratory.well import CLOSED, Well, donor_host, incubate, plate
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.mechanisms import BY_NAME
from tme_abm.patients.patient import TRAITS
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import make_patient_key

DRUGS = {name: load_drug(name) for name in ("isatuximab", "daratumumab", "pomalidomide")}
SETTINGS = Settings(40, 40, 1.0)
DONOR = preset("typical")
HOST = donor_host(DONOR, SETTINGS, SETTINGS.fill())
ALONE = frozenset({"trogocytosis", "adcc", "adcp", "cdc", "direct_killing", "nk_activation", "depletion"})


def incubated(well, seed=1, settings=SETTINGS):
    return incubate(DONOR, HOST, settings, well, make_patient_key(seed, 0), DRUGS)


def only(*mechanisms):
    return ALONE - set(mechanisms)


def test_the_words_are_those_of_the_model():
    assert CELLS == tuple(t.name.lower() for t in CellType if t is not CellType.EMPTY)
    assert set(CAUSES) <= {c.name.lower() for c in Cause}
    assert set(BY_NAME) >= CLOSED
    for name, quantity in LINE.items():
        if name in TRAITS:
            assert quantity.unit == TRAITS[name].unit


def test_a_well_holds_what_was_pipetted():
    cells = {"plasma": 120, "nk": 30, "macrophage": 20, "t": 25, "stroma": 40}
    marrow = plate(DONOR, HOST, SETTINGS, Well(cells, 1.0), make_patient_key(1, 0), DRUGS)
    assert {CellType(k).name.lower(): n for k, n in enumerate(marrow.body.count) if k and n} == cells
    assert marrow.body.burden.sum() == 0.0  # nothing outside of the well, which nothing comes back from


def test_the_line_is_what_the_experiment_says():
    line = {"cd38_sites": 5e5, "cd38_spread": 0.2, "complement_inhibitor_level": 2.0, "tp53_mutated": 1.0, "cd38_share": 0.25}
    marrow = plate(DONOR, HOST, SETTINGS, Well({"plasma": 900}, 1.0, line), make_patient_key(1, 0), DRUGS)
    log = np.log(marrow.cells.cd38[marrow.cells.kind == CellType.PLASMA] / 5e5)
    assert abs(log.mean()) < 4.0 * 0.2 / 30.0
    assert log.std() == pytest.approx(0.2, rel=0.1)
    assert set(marrow.cells.complement_inhibitors[marrow.cells.kind == CellType.PLASMA]) == {2.0}
    assert marrow.clones.tp53_mutated[0] == 1
    made = marrow.host.adenosine_cd38 + marrow.host.adenosine_other
    assert made == pytest.approx(HOST.adenosine_cd38 + HOST.adenosine_other)
    assert marrow.host.adenosine_cd38 == pytest.approx(0.25 * made)


def test_without_drug_nothing_dies_and_nothing_changes():
    outcome = incubated(Well({"plasma": 300, "nk": 60, "macrophage": 60}, 24.0))
    assert outcome.plasma_cells_end == outcome.plasma_cells_start == 300
    assert outcome.nk_cells_end == 60
    assert outcome.dead == 0.0


def test_what_is_gone_has_died_of_a_cause():
    outcome = incubated(Well({"plasma": 400, "nk": 100, "macrophage": 50}, 48.0, {"cd38_sites": 4e5}, {"daratumumab": 10.0}))
    assert outcome.plasma_cells_start - outcome.plasma_cells_end == outcome.deaths.sum() > 0
    assert outcome.dead == pytest.approx(sum(outcome.dead_by(c) for c in CAUSES))
    assert all(outcome.dead_by(cause) > 0.0 for cause in ("adcc", "adcp", "cdc"))


@pytest.mark.parametrize("sites", [2e5, 5e5, 1e6])
def test_direct_killing_follows_its_exponential(sites):
    hours, n = 72.0, 1200
    outcome = incubated(Well({"plasma": n}, hours, {"cd38_sites": sites, "cd38_spread": 0.0}, {"isatuximab": 10.0}, only("direct_killing")))
    p = DRUGS["isatuximab"].effects["direct_killing"].params
    b = DRUGS["isatuximab"].effects["binding"].params
    bound = sites * b.accessible * 10.0 / (10.0 + b.binding_constant)
    dead = 1.0 - math.exp(-p.max_rate * hours / (1.0 + (p.half_density / bound) ** p.steepness))
    assert outcome.dead == pytest.approx(dead, abs=4.0 * math.sqrt(dead * (1.0 - dead) / n))


@pytest.mark.parametrize(("share", "concentration"), [(1.0, 0.3), (1.0, 100.0), (0.4, 100.0), (0.0, 100.0)])
def test_adenosine_is_made_as_its_rule_says(share, concentration):
    wells = [Well({"plasma": 200}, 2.0, {"cd38_share": share}, {"isatuximab": c}, ALONE) for c in (0.0, concentration)]
    free, blocked = (incubated(well).adenosine_made for well in wells)
    b, e = (DRUGS["isatuximab"].effects[name].params for name in ("binding", "ectoenzyme"))
    left = 1.0 - e.max_inhibition * b.accessible * concentration / (concentration + b.binding_constant)
    through = share * 200 * _mean_cd38()
    other = (1.0 - share) * 200
    assert blocked / free == pytest.approx((through * left + other) / (through + other), rel=1e-4)


def _mean_cd38():
    """Mean CD38 of the 200 cells of the well relative to the typical cell, which is the measure of the route."""
    marrow = plate(DONOR, HOST, SETTINGS, Well({"plasma": 200}, 2.0), make_patient_key(1, 0), DRUGS)
    return float(marrow.cells.cd38[marrow.cells.kind == CellType.PLASMA].astype(float).mean()) / 130e3


def test_a_growing_well_grows_at_the_rate_of_the_donor():
    hours, n = 20.0 * 24.0, 200
    outcome = incubated(Well({"plasma": n}, hours, is_growing=True), settings=Settings(64, 64, 6.0))
    expected = n * math.exp(DONOR.growth_rate * 20.0)
    division = DONOR.growth_rate * 20.0 + 20.0 * 24.0 * 2.5e-4  # births and deaths over the time, each a source of chance
    assert outcome.plasma_cells_end == pytest.approx(expected, abs=4.0 * math.sqrt(n * 2.0 * division))
    assert outcome.plasma_cells_end > n


def test_a_small_molecule_acts_by_its_engaged_fraction():
    induced = incubated(Well({"plasma": 200}, 72.0, {}, {"pomalidomide": 1.0})).cd38_sites
    alone = incubated(Well({"plasma": 200}, 72.0, {}, {"pomalidomide": 0.0})).cd38_sites
    assert induced > 1.1 * alone


def test_the_same_seed_gives_the_same_well_and_another_another():
    well = Well({"plasma": 300, "nk": 80}, 24.0, {}, {"isatuximab": 1.0})
    first, second, other = incubated(well), incubated(well), incubated(well, seed=2)
    assert first.plasma_cells_end == second.plasma_cells_end
    assert first.cd38_sites == second.cd38_sites
    assert first.cd38_sites != other.cd38_sites


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="1601 cells do not fit into a well of 40 x 40 sites"):
        incubated(Well({"plasma": 1601}, 1.0))
    with pytest.raises(InputError, match=r"1\.5 h are no whole number of steps of 1 h"):
        incubated(Well({"plasma": 10}, 1.5))


def test_killing_power_belongs_to_the_effectors():
    weak = incubated(Well({"plasma": 400, "nk": 80}, 24.0, {"effector_fitness": 0.2}, {"isatuximab": 10.0}, only("adcc")))
    strong = incubated(Well({"plasma": 400, "nk": 80}, 24.0, {"effector_fitness": 1.0}, {"isatuximab": 10.0}, only("adcc")))
    none = incubated(replace(Well({"plasma": 400}, 24.0, {}, {"isatuximab": 10.0}), without=only("adcc")))
    assert strong.dead > 2.0 * weak.dead > none.dead == 0.0
