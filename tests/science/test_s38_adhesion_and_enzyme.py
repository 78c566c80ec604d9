"""S38, a hypothesis: isatuximab sensitises to carfilzomib through adhesion and through the enzyme block.

The article: the sensitisation "is probably related to the disruption of adhesion, and mediated by the inhibition of the enzyme". Held where
one of the two carries a tenth of the inhibition at least. That each acts in its direction is tested beside it and is no evidence.
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


LEAST = 0.1  # of the inhibition: below, a mechanism is no account of what sensitises


def carried(found):
    """Share of the inhibition by both drugs that release from the niche and the block of the enzyme carry."""
    whole = found["all mechanisms"]
    return {name: (whole - found[off]) / whole for name, off in (("adhesion", "no release"), ("enzyme block", "no block"))}


@pytest.mark.xfail(
    strict=True, reason="each carries one or two points of some eighty: in this model they are not what sensitises (docs/mouse.md)"
)
def test_s38_adhesion_or_the_enzyme_carries_a_tenth_of_the_combination(variants, record_property):
    _, found = variants
    shares = carried(found)
    shown = ", ".join(f"{name} {100 * share:+.1f} %" for name, share in shares.items())
    record_property("S38", f"of {found['all mechanisms']:.0f} % inhibition by isatuximab with carfilzomib: {shown}")
    assert max(shares.values()) >= LEAST


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
