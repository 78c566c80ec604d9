"""S19, S21, S22: direct killing by isatuximab, in the wells of `figure2_direct_killing`: antibody and plasma cells, and nothing else."""

import pytest

from tme_abm.laboratory.estimates import rank_correlation
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.execution import Silence


@pytest.fixture(scope="module")
def assay():
    """The scenario with fewer samples, and its table."""
    found = load_scenario("figure2_direct_killing", ["samples.patients=12"])
    return found, found.measure(2, Silence())


@pytest.fixture(scope="module")
def curves(assay):
    found, table = assay
    return {curve.key: curve for curve in found.curves(table)}


def test_s19_only_cd38_rich_cells_die(assay, curves, record_property):
    """The size is known from memory only, so the direction is held: some in the richest line, next to nothing at the patients' median."""
    _, table = assay
    isa = curves["isatuximab"]
    samples = table[table["is_sample"] & (table["condition"] == "isatuximab")]["specific_lysis_percent"]
    record_property(
        "S19",
        f"dead in 72 h without effectors and serum: {isa.y[-1]:.0f} % at 800,000 sites, {isa.at(400e3):.0f} % at 400,000, "
        f"{isa.at(130e3):.1f} % at 130,000; median of patients' samples {samples.median():.1f} %",
    )
    assert isa.points[-1][1].low > 0.0
    assert isa.at(130e3) < 0.1 * isa.y[-1]
    assert samples.median() < 0.1 * isa.y[-1]
    assert isa.y[-1] < 50.0  # some, not most


def test_s21_direct_killing_follows_cd38(curves, record_property):
    isa = curves["isatuximab"]
    rank = rank_correlation(isa.x, isa.y)
    record_property("S21", f"rank correlation of direct killing with CD38 over lines of 10 to 800 thousand sites: {rank:.2f}")
    assert rank > 0.7


def test_s22_tp53_does_not_matter(curves, record_property):
    intact, mutated = curves["isatuximab"], curves["isatuximab-tp53"]
    ratio = mutated.y[-1] / intact.y[-1]
    record_property("S22", f"direct killing, TP53 mutated over intact, at 800,000 sites: {ratio:.2f}")
    assert 0.9 <= ratio <= 1.1
    assert all(0.9 <= m / i <= 1.1 for m, i in zip(mutated.y, intact.y, strict=True) if i > 1.0)
