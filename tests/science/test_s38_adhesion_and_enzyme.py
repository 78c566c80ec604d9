"""S38, a hypothesis: isatuximab sensitises to carfilzomib through adhesion and through the enzyme block. Each acts in its direction; how
much each carries of the combination is reported.
"""

import numpy as np
import pytest

from tme_abm.laboratory.inhibition import readings, tgi
from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario

MICE = 10


@pytest.fixture(scope="module")
def variants():
    """The combination whole and with each of the two switched off: table, inhibition."""
    changes = [f"mice={MICE}", 'tumour.measure="1 d"', "combinations=[]"]
    changes += ['variants=[{ label = "no release", without = ["niche_release"] }, { label = "no block", without = ["ectoenzyme"] }]']
    study = load_scenario("figure5_carfilzomib", changes)
    arms = tuple(arm for arm in study.arms if arm.key in ("vehicle", "isa-k"))
    table = run_again(study, arms=arms)
    return table, {v.label: tgi(readings(table, v.label), "isa-k", "vehicle") for v in study.variants}


def treated(table, variant):
    return table[(table["variant"] == variant) & (table["arm"] == "isa-k")]


def test_the_contribution_of_each_is_reported(variants, record_property):
    _, found = variants
    whole = found["all mechanisms"]
    adhesion, enzyme = whole - found["no release"], whole - found["no block"]
    record_property("S38", f"of {whole:.0f} % inhibition adhesion carries {adhesion:+.1f} points, the enzyme block {enzyme:+.1f}")
    # neither does harm beyond chance, and neither is what makes the combination
    for share in (adhesion, enzyme):
        assert -5.0 < share < 0.25 * whole


def test_release_from_the_niche_raises_the_kill_by_carfilzomib(variants):
    table, _ = variants
    rates = {}
    for variant in ("all mechanisms", "no release"):
        days = treated(table, variant).groupby("day").mean(numeric_only=True).loc[0:3]
        rates[variant] = days["deaths_proteasome"].iloc[-1] / days["plasma_cells"].iloc[:-1].sum()
    assert rates["all mechanisms"] > rates["no release"]


def test_the_enzyme_block_lowers_adenosine_in_the_tumour(variants):
    table, _ = variants
    level = [treated(table, v).query("day == 1")["adenosine_in_tumour"].to_numpy(float) for v in ("all mechanisms", "no block")]
    assert np.all(level[0] < level[1])
