"""S20 and the enzyme of S30: adenosine made by myeloma cells against the dose of antibody, in the wells of `figure1_adenosine`."""

import pytest

from tme_abm.laboratory.estimates import rank_correlation
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.execution import Silence

FED, ALL = "-nad", ""


@pytest.fixture(scope="module")
def curves():
    assay = load_scenario("figure1_adenosine", ["replicates=3"])
    return {curve.key: curve for curve in assay.curves(assay.measure(2, Silence()))}


@pytest.mark.parametrize("routes", [FED, ALL], ids=["fed with NAD+", "all routes"])
def test_s20_falls_with_isatuximab_and_not_with_daratumumab(routes, curves, record_property):
    isa, dara = curves[f"isatuximab{routes}"], curves[f"daratumumab{routes}"]
    change = {name: c.y[-1] - c.y[0] for name, c in (("isatuximab", isa), ("daratumumab", dara))}
    where = "fed with NAD+" if routes == FED else "all routes"
    record_property(
        "S20",
        f"adenosine at 100 ug/mL, {where}: {change['isatuximab']:+.0f} % (isatuximab), {change['daratumumab']:+.0f} % (daratumumab); "
        f"half of it at {isa.half:.2g} ug/mL, {isa.y[-2] - isa.y[-1]:.1f} points from 30 to 100 ug/mL",
    )
    assert rank_correlation(isa.x, isa.y) == pytest.approx(-1.0)
    assert abs(change["daratumumab"]) <= 0.2 * abs(change["isatuximab"])
    assert isa.y[-1] > 0.0  # inhibited in part
    assert isa.y[-2] - isa.y[-1] < 0.05 * (isa.y[0] - isa.y[-1])  # a plateau


def test_s30_daratumumab_leaves_the_enzyme_alone(curves, record_property):
    lost = {name: 100.0 - curves[f"{name}{FED}"].y[-1] for name in ("isatuximab", "daratumumab")}
    record_property("S30", f"enzyme inhibited at 100 ug/mL: isatuximab {lost['isatuximab']:.0f} %, daratumumab {lost['daratumumab']:.0f} %")
    assert lost["daratumumab"] <= 0.2 * lost["isatuximab"]
    assert lost["isatuximab"] > 0.0
