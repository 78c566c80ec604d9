"""X1, X2, X4, X11, X13: where the article slips or generalises, what the model carries instead."""

import numpy as np
import pytest

from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation
from tme_abm.trial.study import Study


def published(scenario, endpoint, of):
    """The one published value of an arm or a comparison."""
    (row,) = (
        row
        for row in load_scenario(scenario).published
        if row["endpoint"] == endpoint and of in (row.get("arm"), tuple(row.get("comparison", ()))) and "subgroup" not in row
    )
    return row["value"]


def test_x01_the_study_carries_the_hazard_ratio_of_eloquent_3(record_property):
    value = published("elotuzumab", "hazard_ratio_pfs", ("elo-pd", "pd"))
    record_property("X1", f"hazard ratio of Elo-Pd against Pd in the study: {value}")
    assert value == 0.54
    assert round(100 * (1.0 - value)) == 46  # the article's own reduction


def test_x02_the_study_carries_the_primary_analysis_of_eloquent_2(record_property):
    value = published("elotuzumab", "hazard_ratio_pfs", ("elo-rd", "rd"))
    record_property("X2", f"hazard ratio of Elo-Rd against Rd in the study: {value}")
    assert value == 0.70


def test_x04_the_study_carries_the_final_analysis_of_ikema(record_property):
    value = published("ikema", "median_pfs", "kd")
    record_property("X4", f"median PFS under Kd in the study: {value} months")
    assert value == 19.2


def test_x13_hazard_ratios_of_subgroups_carry_their_intervals(record_property):
    trials = [study for name in scenarios() if isinstance(study := load_scenario(name), Study)]
    rows = [row for study in trials for row in study.published if "subgroup" in row and row["endpoint"] == "hazard_ratio_pfs"]
    crossing = sum(row["ci_high"] > 1.0 for row in rows)
    record_property("X13", f"{len(rows)} hazard ratios of subgroups, all with intervals; {crossing} of them reach 1")
    assert len(rows) >= 7
    assert all(row["ci_low"] < row["value"] < row["ci_high"] for row in rows)


LINES = {
    "isatuximab": Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22)),
    "pomalidomide": Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),
    "carfilzomib": Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16)),
    "dexamethasone": Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22)),
}
DRUGS = {name: load_drug(name) for name in LINES}


def courses(patient, drugs, days=84):
    """The patient under these drugs, founded on eight different dice."""
    regimen = Regimen("given", "given", 28, tuple(LINES[name] for name in drugs))
    arms = [Simulation(patient, Settings(32, 32), key).fork(regimen, DRUGS) for key in range(8)]
    for arm in arms:
        arm.advance(4 * days)
    return arms


def test_x11_tp53_changes_nothing_under_the_antibody_alone(record_property):
    """Patients alike but for TP53: what follows from the deletion is set back."""
    typical = preset("typical")
    same = {name: getattr(typical, name) for name in ("growth_rate", "imid_resistant_fraction", "pi_resistant_fraction")}
    mutated = preset("typical", del17p=True, **same)
    assert mutated.tp53_mutated and not typical.tp53_mutated
    pairs = list(zip(courses(typical, ("isatuximab",)), courses(mutated, ("isatuximab",)), strict=True))
    alike = sum(a.state_hash() == b.state_hash() for a, b in pairs)
    record_property("X11", f"isatuximab alone: {alike} of {len(pairs)} marrows the same to the last cell with TP53 lost")
    assert alike == len(pairs)


@pytest.mark.parametrize(
    "drugs", [(), ("pomalidomide", "dexamethasone"), ("carfilzomib", "dexamethasone"), ("isatuximab", "pomalidomide", "dexamethasone")]
)
def test_x11_high_risk_disease_does_worse_in_every_arm(gain, record_property, drugs):
    logs = {
        risk: [np.log(max(arm.marrow.body.burden.sum(), 1.0)) for arm in courses(preset(risk), drugs)] for risk in ("typical", "high_risk")
    }
    worse = gain(logs["high_risk"], logs["typical"])
    record_property("X11", f"log burden at 84 d under {' + '.join(drugs) or 'no drug'}: higher in high-risk disease by {worse}")
    assert worse.is_clear
