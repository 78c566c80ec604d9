"""What regrows under treatment: clones that resist it grow between nothing and the natural rate, as M-protein does at relapse.

Half of 137 patients doubled their M-protein within six months at first relapse, off treatment (Eur J Haematol 1996;57:247); relapsed and
refractory disease doubles in 40 days (Collins 2023). Clones that resist pomalidomide lie there under Pd, while there is no more tumour
than at the start.
"""

import math

import numpy as np
import pytest

from tme_abm.marrow.clones import IMID_RESISTANT, N_CLONES
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, make_patient_key

PD = (Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))), Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22)))
DRUGS = {name: load_drug(name) for name in ("pomalidomide", "dexamethasone")}
FASTEST, SLOWEST = 40.0, 182.0  # days in which M-protein doubles
MONTH, PATIENTS = 28, 16


def regrowth(**clones):
    """Growth [1/d] of clones that resist pomalidomide, in the second and third month of Pd, over the natural one, and alone."""
    given = {name: {"value": value, "unit": "1"} for name, value in clones.items()}
    population, rates = load_population("icaria"), []
    for index in range(PATIENTS):
        marrow = Simulation(
            draw_patient(population, 29, index), Settings(48, 48, parameters={"clones": given}), make_patient_key(29, index)
        )
        if not marrow.grow():
            continue
        arm = marrow.fork(Regimen("pd", "Pd", MONTH, PD), DRUGS)
        most = 1.2 * arm.marrow.body.burden.sum()
        arm.advance(4 * MONTH)
        start = arm.marrow.body.burden.copy()
        if start.sum() > most:  # there is hardly room
            continue
        arm.advance(8 * MONTH)
        rates += [
            (math.log(arm.marrow.body.burden[c] / start[c]) / (2 * MONTH), marrow.patient.growth_rate)
            for c in range(N_CLONES)
            if c & IMID_RESISTANT and start[c] > 1e4 and arm.marrow.body.burden[c] > 0.0
        ]
    net, natural = np.array(rates).T
    return net / natural, net


@pytest.fixture(scope="module")
def as_it_is():
    return regrowth()


def test_what_resists_grows_between_nothing_and_the_natural_rate(as_it_is):
    share, _ = as_it_is
    assert share.size > 20
    assert 0.0 < np.median(share) < 1.0


def test_it_doubles_as_fast_as_m_protein_does_at_relapse(as_it_is):
    _, net = as_it_is
    assert FASTEST < math.log(2.0) / np.median(net) < SLOWEST


def test_what_felt_dexamethasone_would_hardly_grow(as_it_is):
    """The bound is no matter of course: with all of its kill left in such a clone it falls out."""
    share, net = regrowth(glucocorticoid_residual=1.0)
    assert np.median(share) < 0.5 * np.median(as_it_is[0])
    assert not FASTEST < math.log(2.0) / np.median(net) < SLOWEST
