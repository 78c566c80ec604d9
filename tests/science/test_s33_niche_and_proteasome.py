"""S33: what isatuximab adds to a proteasome inhibitor persists without immune effectors, and then needs stroma."""

import numpy as np
import pytest

from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario import load_scenario

EFFECTORS = ["adcc", "adcp", "cdc"]
KEPT = ["control", "v", "isa-v"]


def gain(without, has_stroma):
    """Growth that isatuximab takes from bortezomib-treated tumours, as a share of the control's: of each mouse (n_mice,)."""
    arms = """arms={
        control = { label = "control" },
        v = { label = "V", doses = [{ drug = "bortezomib", dose = "0.6 mg/kg", days = [1, 4, 8, 11] }] },
        isa-v = { label = "Isa + V", doses = [
            { drug = "isatuximab", dose = "5 mg/kg", days = [1, 4, 8, 11] }, { drug = "bortezomib", dose = "0.6 mg/kg", days = [1, 4, 8, 11] } ] },
    }""".replace("\n", " ")
    changes = [arms, "mice=12", "combinations=[]", "variants=[]", f"tumour.stroma={str(has_stroma).lower()}", 'tumour.watch="14 d"']
    table = run_again(load_scenario("figure5_bortezomib", changes, without=without))
    end = table[table["day"] == 14].pivot(index="mouse", columns="arm", values="volume_mm3")
    return ((end["v"] - end["isa-v"]) / end["control"]).to_numpy(float)


@pytest.fixture(scope="module")
def niche_only():
    """Through the niche alone: neither effectors nor direct killing."""
    return {has_stroma: gain([*EFFECTORS, "direct_killing"], has_stroma) for has_stroma in (True, False)}


def test_the_benefit_persists_without_effectors_and_needs_stroma(niche_only, record_property):
    without_effectors = gain(EFFECTORS, True)
    means = [100 * x.mean() for x in (without_effectors, niche_only[True], niche_only[False])]
    record_property(
        "S33",
        f"isatuximab takes from bortezomib-treated tumours, in percent of the control's volume on day 14: {means[0]:.1f} without effectors, "
        f"{means[1]:.1f} through the niche alone, {means[2]:.1f} of it without stroma",
    )
    for observed in (without_effectors, niche_only[True]):
        assert observed.mean() > 2.0 * observed.std(ddof=1) / np.sqrt(observed.size)
    assert not niche_only[False].any()
