"""S12, S13, S30: the modes of killing against CD38 density, isatuximab beside daratumumab, in the wells of `cd38_density`."""

from dataclasses import replace

import numpy as np
import pytest

from tme_abm.laboratory.estimates import rank_correlation
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation
from tme_abm.trial.execution import Silence

MODES = ("adcc", "adcp", "cdc", "direct")
DRUGS = ("isatuximab", "daratumumab")


@pytest.fixture(scope="module")
def assay():
    """The scenario with fewer wells, and its table."""
    found = load_scenario("cd38_density", ["replicates=4", "samples.patients=30"])
    return found, found.measure(2, Silence())


@pytest.fixture(scope="module")
def curves(assay):
    found, table = assay
    return {curve.key: curve for curve in found.curves(table)}


@pytest.mark.parametrize("drug", DRUGS)
def test_s12_killing_rises_with_cd38(drug, curves, record_property):
    """The rule never falls; in the wells each mode rises, beside the adenosine that CD38 makes and that holds NK cells back."""
    modes = [m for m in MODES if not curves[f"{drug}-{m}"].is_flat]
    ranks = {m: rank_correlation(curves[f"{drug}-{m}"].x, curves[f"{drug}-{m}"].y) for m in modes}
    record_property("S12", f"{drug}, rank correlation of killing with CD38: " + ", ".join(f"{m} {r:.2f}" for m, r in ranks.items()))
    assert {"adcc", "adcp", "cdc"} <= set(modes)
    assert all(r >= 0.9 for m, r in ranks.items() if m != "adcc")
    adcc = curves[f"{drug}-adcc"]
    top = int(np.argmax(adcc.y))
    assert ranks["adcc"] > 0.5
    assert rank_correlation(adcc.x[: top + 1], adcc.y[: top + 1]) >= 0.95
    assert adcc.y[-1] > 0.9 * adcc.y[top]


@pytest.mark.parametrize("drug", DRUGS)
def test_s12_the_rules_never_fall_with_cd38(drug, record_property):
    from tme_abm.foundation.declare import stack
    from tme_abm.mechanisms import adcc, adcp, cdc, direct_killing

    sites = np.geomspace(1e3, 1e6, 200)
    effects = load_drug(drug).effects
    rises = 0
    for module, before in ((adcc, (1.0,)), (adcp, (1.0,)), (cdc, ()), (direct_killing, ())):
        if module.__name__.rsplit(".", 1)[1] not in effects:
            continue
        p = stack(module.Params, [effects[module.__name__.rsplit(".", 1)[1]].params])
        after = (1.0,) if module is cdc else ()
        hazard = np.array([module.rate.py_func(*before, s, *after, p, 0) for s in sites])
        assert (np.diff(hazard) >= 0.0).all()
        rises += int(hazard[-1] > hazard[0])
    record_property("S12", f"{drug}: {rises} rules rise with CD38 from 1,000 to 1,000,000 sites, none falls anywhere")
    assert rises >= 3


def test_s12_patients_with_more_cd38_are_killed_more(assay, record_property):
    _, table = assay
    samples = table[table["is_sample"]]
    total = samples.groupby(["sample", "condition"])["specific_lysis_percent"].first().unstack()
    cd38 = samples.groupby("sample")["cd38_sites_per_cell"].first()
    ranks = {mode: rank_correlation(cd38, total[f"daratumumab-{mode}"]) for mode in ("adcc", "cdc")}
    shown = ", ".join(f"{m} {r:.2f}" for m, r in ranks.items())
    record_property("S12", f"daratumumab on patients' cells, rank correlation with CD38: {shown}")
    assert min(ranks.values()) > 0.4  # at 30 samples, 0.36 is what chance gives once in twenty


# The article: at low CD38 the killing is "essentially" ADCC, at intermediate CD38 ADCP joins it, at high CD38 CDC as well. Held where in
# the marrow ADCC makes two thirds of what the three kill at 20 thousand sites, ADCP a tenth and CDC less than a tenth at 130 thousand, and
# CDC a tenth at 500 thousand. That the half-effective densities stand in this order is built in; what comes of it in the marrow is not.
SITES = {"low": 20e3, "intermediate": 130e3, "high": 500e3}
FC_MODES = ("adcc", "adcp", "cdc")


def shares_of_modes(drug):
    """Share of ADCC, ADCP and CDC in what they kill in four weeks of an antibody, at each CD38 of a typical patient."""
    regimen = Regimen("isa", "Isa", 28, (Dose(drug.name, 10.0, "mg/kg", (1, 8, 15, 22)),))
    found = {}
    for level, sites in SITES.items():
        deaths = np.zeros(3)
        for key in range(8):
            arm = Simulation(preset("typical", cd38_sites=sites, antibody_escape_fraction=1e-9), Settings(96, 96), key)
            arm = arm.fork(regimen, {drug.name: drug})
            arm.advance(4 * 28)
            deaths += arm.marrow.body.ledger[CellType.PLASMA, [Cause[mode.upper()] for mode in FC_MODES]]
        found[level] = dict(zip(FC_MODES, deaths / deaths.sum(), strict=True))
    return found


def complement_joins(share):
    """That part of the criterion which is about CDC: a tenth at high CD38, less at intermediate."""
    return share["intermediate"]["cdc"] < 0.1 <= share["high"]["cdc"]


def modes_join(share):
    """The criterion of S13."""
    low, middle = share["low"], share["intermediate"]
    return low["adcc"] >= 2.0 / 3.0 and middle["adcp"] >= 0.1 and complement_joins(share)


@pytest.mark.xfail(
    strict=True, reason="macrophages carry the killing in the marrow at every density, so that low CD38 is not essentially ADCC"
)
def test_s13_modes_join_as_cd38_rises(record_property):
    share = shares_of_modes(load_drug("isatuximab"))
    shown = "; ".join(
        f"{SITES[level]:,.0f} sites: " + ", ".join(f"{m} {100 * s:.0f} %" for m, s in of.items()) for level, of in share.items()
    )
    record_property("S13", f"isatuximab, share in what the three kill at {shown}")
    assert modes_join(share)


def test_s13_complement_joins_where_it_needs_more_cd38_than_the_others(record_property):
    """The last part of the criterion alone, and without its cause: all three half-effective at 100 thousand sites with one exponent."""
    drug = load_drug("isatuximab")
    level = {
        mode: drug.effects[mode]._replace(params=drug.effects[mode].params._replace(half_density=100e3, steepness=2.0)) for mode in FC_MODES
    }
    as_it_is = shares_of_modes(drug)
    one_density = shares_of_modes(replace(drug, effects={**drug.effects, **level}))
    shown = ", ".join(f"{SITES[of]:,.0f} sites {100 * share['cdc']:.0f} %" for of, share in as_it_is.items())
    record_property("S13", f"isatuximab, share of CDC at {shown}")
    assert complement_joins(as_it_is)
    assert not complement_joins(one_density)


def test_s13_fewer_than_half_of_samples_show_complement(assay, record_property):
    found, table = assay
    isa = next(count for count in found.positives(table) if count.condition == "isatuximab-cdc")
    own = table[table["is_sample"] & (table["condition"] == "isatuximab-cdc")]["specific_lysis_percent"]
    tenth = int((own >= 0.5 * isa.threshold).sum())
    record_property(
        "S13",
        f"isatuximab, CDC of at least a fifth of that of the CD38-richest line: {isa.positive} of {isa.n} samples; of a tenth: {tenth}",
    )
    assert isa.positive < isa.n / 2


def test_s30_complement_is_stronger_with_daratumumab(curves, record_property):
    isa, dara = curves["isatuximab-cdc"], curves["daratumumab-cdc"]
    record_property(
        "S30",
        f"CDC, CD38 at half of the greatest: daratumumab {dara.half:,.0f}, isatuximab {isa.half:,.0f} sites; "
        f"lysis at the median patient {dara.at(130e3):.1f} and {isa.at(130e3):.1f} %",
    )
    assert dara.half < isa.half
    assert all(d >= i for d, i in zip(dara.y, isa.y, strict=True))
    assert dara.points[-1][1].low > isa.points[-1][1].high


def test_s30_only_isatuximab_kills_without_help(curves, record_property):
    isa, dara = curves["isatuximab-direct"], curves["daratumumab-direct"]
    record_property("S30", f"direct killing of the CD38-richest line: isatuximab {isa.y[-1]:.0f} %, daratumumab {dara.y[-1]:.0f} %")
    assert max(dara.y) == 0.0
    assert isa.points[-1][1].low > 0.0
