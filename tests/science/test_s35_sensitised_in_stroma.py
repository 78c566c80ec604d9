"""S35: in the presence of stroma isatuximab sensitises to bortezomib and dexamethasone, and only cells rich in CD38 (Moreno 2019)."""

import tomllib

import pytest

from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios

OWN_KILLING = ["adcc", "adcp", "cdc", "direct_killing"]  # of isatuximab, switched off: sensitisation alone is left
BACKBONE = [
    {"drug": "bortezomib", "dose": "0.6 mg/kg", "days": [1]},
    {"drug": "dexamethasone", "dose": "1 mg/kg", "days": [1]},
]
ISA = {"drug": "isatuximab", "dose": "5 mg/kg", "days": [1]}


def sensitisation(line, has_stroma):
    """Deaths by bortezomib and dexamethasone for each cell and day, with isatuximab over without."""
    given = tomllib.loads(scenarios()["figure5_bortezomib"].read_text(encoding="utf-8"))
    arms = {"vehicle": [], "vd": BACKBONE, "isa-vd": [ISA, *BACKBONE]}
    given |= {"mice": 6, "combinations": [], "variants": [], "arms": {key: {"label": key, "doses": doses} for key, doses in arms.items()}}
    given["tumour"] |= {"line": line, "stroma": has_stroma, "watch": "3 d", "measure": "1 d", "start_mm3": 300.0}
    table = run_again(load_scenario(given, without=OWN_KILLING))
    rates = {}
    for arm, rows in table.groupby("arm"):
        days = rows.groupby("day").mean(numeric_only=True)
        deaths = days["deaths_proteasome"].iloc[-1] + days["deaths_glucocorticoid"].iloc[-1]
        rates[arm] = deaths / days["plasma_cells"].iloc[:-1].sum()
    return rates["isa-vd"] / rates["vd"]


@pytest.fixture(scope="module")
def rich():
    return sensitisation("nci_h929", True)


def test_only_cells_rich_in_cd38_are_sensitised(rich, record_property):
    poor = sensitisation("opm_2", True)
    record_property("S35", f"death by Vd under isatuximab: times {rich:.2f} in a CD38-rich line, times {poor:.2f} in a CD38-poor one")
    assert rich > 1.03
    assert abs(poor - 1.0) < 0.2 * (rich - 1.0)


def test_it_needs_stroma(rich):
    assert abs(sensitisation("nci_h929", False) - 1.0) < 0.1 * (rich - 1.0)
