"""S11: antibodies hardly kill the cells of the blood that carry little CD38, and no cell type is exempt (X8)."""

import pytest

from tme_abm.foundation.declare import stack
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.traits import load_traits
from tme_abm.mechanisms import adcc, adcp, cdc, depletion, direct_killing, nk_activation
from tme_abm.pharmacology.drug import load_drug

MYELOMA = 130e3  # median CD38 of a plasma cell
CONTACT = 1.0  # one NK cell and one macrophage touch the cell


def hazards(drug, sites):
    """Hazard [1/h] of a cell of so much CD38 by each mode of killing, coated as in the marrow, with an effector of each kind in contact."""
    effects = {name: filled.params for name, filled in load_drug(drug).effects.items()}
    bound = sites * effects["binding"].accessible

    def of(module, name, *arguments):
        return module.rate.py_func(*arguments, stack(module.Params, [effects[name]]), 0) if name in effects else 0.0

    return {
        "adcc": of(adcc, "adcc", CONTACT, bound),
        "adcp": of(adcp, "adcp", CONTACT, bound),
        "cdc": of(cdc, "cdc", bound, 1.0),
        "direct": of(direct_killing, "direct_killing", bound),
        "depletion": of(depletion, "depletion", bound),
        "fratricide": of(nk_activation, "nk_activation", bound),
    }


@pytest.mark.parametrize("drug", ["isatuximab", "daratumumab"])
def test_s11_little_cd38_means_little_killing(drug, record_property):
    lymphocyte = float(load_traits().traits.cd38[CellType.T])
    low, high = hazards(drug, lymphocyte), hazards(drug, MYELOMA)
    killing = [sum(h[mode] for mode in ("adcc", "adcp", "cdc", "direct")) for h in (low, high)]
    share, depleted = killing[0] / killing[1], low["depletion"] / killing[1]
    record_property(
        "S11",
        f"hazard of a T cell ({lymphocyte:,.0f} sites) over that of a median plasma cell, {drug}: "
        f"{100 * share:.2f} % by the modes that kill plasma cells, {100 * depleted:.1f} % by depletion",
    )
    assert 0.0 < share <= 0.05
    assert 0.0 < depleted <= 0.05


def test_s11_no_cell_type_is_exempt(record_property):
    traits, rates = load_traits().traits, {}
    for kind in (CellType.T, CellType.TREG, CellType.BREG, CellType.MDSC, CellType.MACROPHAGE):
        rates[kind.name] = 24.0 * hazards("isatuximab", float(traits.cd38[kind]))["depletion"]
    rates["NK"] = 24.0 * hazards("isatuximab", float(traits.cd38[CellType.NK]))["fratricide"]
    shown = ", ".join(f"{name} {100 * rate:.1f}" for name, rate in sorted(rates.items(), key=lambda pair: pair[1]))
    record_property("S11", f"loss of a cell of median CD38 under isatuximab [% a day]: {shown}")
    assert min(rates.values()) > 0.0
    assert max(rates["T"], rates["MACROPHAGE"]) < min(rates["TREG"], rates["MDSC"]) < rates["BREG"]
