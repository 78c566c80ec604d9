"""S33: what isatuximab adds to a proteasome inhibitor persists without immune effectors, and then needs stroma."""

import tomllib

import numpy as np
import pytest

from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios

# slower crawl takes 1 % of the growth, stroma or not: another effect of the antibody on CD38, which S14 asks for
RELEASE_ALONE = "drugs.isatuximab.niche_release.max_slowing=0.0"
MICE = 60  # with ten a difference that is none comes out as large as half of the benefit by chance
EFFECTORS = ["adcc", "adcp", "cdc"]
V = {"drug": "bortezomib", "dose": "0.6 mg/kg", "days": [1, 4, 8, 11]}
ISA = {"drug": "isatuximab", "dose": "5 mg/kg", "days": [1, 4, 8, 11]}


def gain(without, has_stroma):
    """Growth that isatuximab takes from bortezomib-treated tumours, as a share of the control's: of each mouse (n_mice,)."""
    given = tomllib.loads(scenarios()["figure5_bortezomib"].read_text(encoding="utf-8"))
    arms = {"vehicle": [], "v": [V], "isa-v": [ISA, V]}
    given |= {
        "mice": MICE,
        "combinations": [],
        "variants": [],
        "arms": {key: {"label": key, "doses": doses} for key, doses in arms.items()},
    }
    given["tumour"] |= {"stroma": has_stroma, "watch": "14 d", "measure": "14 d"}
    table = run_again(load_scenario(given, [RELEASE_ALONE], without=without))
    end = table[table["day"] == 14].pivot(index="mouse", columns="arm", values="volume_mm3")
    return ((end["v"] - end["isa-v"]) / end["vehicle"]).to_numpy(float)


@pytest.fixture(scope="module")
def niche_only():
    """Through the niche alone: neither effectors nor direct killing."""
    return {has_stroma: gain([*EFFECTORS, "direct_killing"], has_stroma) for has_stroma in (True, False)}


def test_the_benefit_persists_without_effectors_and_needs_stroma(niche_only, record_property):
    without_effectors = gain(EFFECTORS, True)
    means = [100 * x.mean() for x in (without_effectors, niche_only[True], niche_only[False])]
    record_property(
        "S33",
        f"of the control's volume on day 14 isatuximab takes from tumours under bortezomib {means[0]:.1f} % without effectors, "
        f"{means[1]:.1f} % through the release from the niche alone, {means[2]:.1f} % so without stroma",
    )
    for observed in (without_effectors, niche_only[True]):
        assert observed.mean() > 2.0 * observed.std(ddof=1) / np.sqrt(observed.size)
    assert abs(niche_only[False].mean()) < 0.1 * niche_only[True].mean()
