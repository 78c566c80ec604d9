"""S14, X15: CD38 in adhesion and motility; what the niche protects from, and what it does not."""

import numpy as np
import pytest

from tme_abm.marrow.cells import CellType


def mean_hold(arm):
    """Advance one step; how firmly the niche holds, on average, the plasma cells at risk that touch stroma."""
    arm.advance(1)
    risk, n = arm.marrow.at_risk, int(arm.marrow.n_at_risk[1])
    touching = (risk.kind[:n] == CellType.PLASMA) & (arm.marrow.lattice.niche[risk.site[:n]] == 1)
    return float(risk.adherence[:n][touching].mean())


@pytest.mark.parametrize("drug", ["isatuximab", "daratumumab"])
def test_s14_an_antibody_on_cd38_loosens_the_hold_of_the_niche(cohort, gain, record_property, drug):
    treated = [mean_hold(arm) for arm in cohort.treat(drug, days=3)]
    untreated = [mean_hold(arm) for arm in cohort.treat(days=3)]
    loosened = gain(untreated, treated)
    record_property(
        "S14",
        f"hold on adherent plasma cells on day 3 of {drug}: {np.mean(treated):.2f} against {np.mean(untreated):.2f}, loosened by "
        f"{loosened}",
    )
    assert loosened.is_clear
    assert np.mean(untreated) == 1.0


def moved(arm, hours=24.0):
    """Of the free plasma cells that live through `hours`, the share that stands elsewhere at the end of a step, per step."""
    cells, at_risk, moves = arm.marrow.cells, 0, 0
    for _ in range(round(hours / arm.settings.step_h)):
        free = (cells.kind == CellType.PLASMA) & (arm.marrow.lattice.niche == 0)
        before = dict(zip(cells.uid[free].tolist(), np.flatnonzero(free).tolist(), strict=True))
        arm.advance(1)
        now = np.flatnonzero(cells.kind == CellType.PLASMA)
        for uid, site in zip(cells.uid[now].tolist(), now.tolist(), strict=True):
            if uid in before:
                at_risk += 1
                moves += before[uid] != site
    return moves / max(at_risk, 1)


def test_s14_an_antibody_on_cd38_slows_plasma_cells(cohort, gain, record_property):
    """Kills and their room play no part: every cause of death by the antibody is off."""
    off = frozenset({"adcc", "adcp", "cdc", "direct_killing", "depletion", "nk_activation"})
    treated = [moved(arm) for arm in cohort.treat("isatuximab", days=3, without=off)]
    untreated = [moved(arm) for arm in cohort.treat(days=3, without=off)]
    slower = gain(untreated, treated)
    record_property(
        "S14", f"share of free plasma cells that move in a step, untreated {np.mean(untreated):.3f}, under isatuximab less by {slower}"
    )
    assert np.mean(untreated) > 0.01  # they do move
    assert slower.is_clear


@pytest.mark.parametrize("drug", ["isatuximab", "daratumumab"])
def test_x15_the_niche_does_not_protect_from_an_antibody(cohort, record_property, drug):
    """The antibody alone, with and without protection by the niche: the same marrow, cell by cell."""
    protected = cohort.treat(drug, days=56)
    bare = cohort.treat(drug, days=56, without=frozenset({"adhesion"}))
    killed = sum(int(arm.marrow.body.ledger[CellType.PLASMA, :4].sum()) for arm in protected)
    same = sum(a.state_hash() == b.state_hash() for a, b in zip(protected, bare, strict=True))
    record_property(
        "X15",
        f"{drug}, 56 d: {same} of {len(bare)} marrows the same to the last cell without protection by the niche; {killed} cells "
        "killed by it",
    )
    assert killed > 100
    assert same == len(bare)


def test_x15_the_niche_protects_from_bortezomib_and_dexamethasone(cohort, gain, record_property):
    drugs = ("bortezomib", "dexamethasone")
    protected = gain(cohort.burden(*drugs, days=28), cohort.burden(*drugs, days=28, without=frozenset({"adhesion"})))
    record_property("X15", f"bortezomib and dexamethasone, 28 d: log burden higher with protection by the niche by {protected}")
    assert protected.is_clear
