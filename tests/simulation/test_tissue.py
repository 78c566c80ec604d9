"""A marrow founded on a section: every cell on a site, the composition the section's, the rest the patient's."""

import numpy as np
import pytest

from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.lattice import SITE_UM
from tme_abm.marrow.state import Gauge
from tme_abm.patients.presets import preset
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import make_patient_key
from tme_abm.simulation.tissue import Section, on_tissue, place

SIDE = 32
KEY = make_patient_key(7, 0)


def at(*sites):
    """Centres of sites (row, column) [um]."""
    return tuple(SITE_UM * (np.array([site[i] for site in sites]) + 0.5) for i in (1, 0))


def section_of(seed=0, **counts):
    """Cells of given kinds on different sites drawn by chance."""
    kinds = np.repeat([CellType[name.upper()] for name in counts], list(counts.values()))
    sites = np.random.default_rng(seed).permutation(SIDE * SIDE)[: kinds.size]
    return Section(kinds.astype(np.uint8), SITE_UM * (sites % SIDE + 0.5), SITE_UM * (sites // SIDE + 0.5))


MARROW = {"plasma": 150, "t": 90, "nk": 12, "treg": 8, "mdsc": 40, "macrophage": 30, "stroma": 60}


def test_cells_on_sites_of_their_own_stay_there():
    x, y = at((0, 0), (5, 9), (31, 31))
    placed = place(Section(np.ones(3, np.uint8), x, y), SIDE, SIDE)
    assert placed.site.tolist() == [0, 5 * SIDE + 9, 31 * SIDE + 31]
    assert (placed.moved, placed.farthest_um) == (0, 0.0)


def test_the_second_cell_of_a_site_goes_to_the_nearest_free_one():
    x, y = np.array([66.0, 70.0]), np.array([66.0, 66.0])  # both on site (5, 5), the second nearer to its right side
    placed = place(Section(np.ones(2, np.uint8), x, y), SIDE, SIDE)
    assert placed.site.tolist() == [5 * SIDE + 5, 5 * SIDE + 6]
    assert placed.moved == 1
    assert placed.farthest_um == pytest.approx(78.0 - 70.0)
    assert "1 moved to the nearest free site, by 8 um" in placed.sentence()


def test_a_section_denser_than_sites_is_refused():
    n = 200
    with pytest.raises(InputError, match="denser than one cell to a site"):
        place(Section(np.ones(n, np.uint8), np.full(n, 200.0), np.full(n, 200.0)), SIDE, SIDE)


@pytest.mark.parametrize(("x", "message"), [(-1.0, "outside of a patch of 384 x 384 um; 1 cells do"), (np.nan, "has no place")])
def test_a_place_that_is_none_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        place(Section(np.ones(2, np.uint8), np.array([10.0, x]), np.array([10.0, 10.0])), SIDE, SIDE)


@pytest.fixture(scope="module")
def founded():
    section = section_of(**MARROW)
    return section, *on_tissue(preset("typical"), Settings(SIDE, SIDE), KEY, section)


def test_the_cells_are_those_of_the_section(founded):
    section, simulation, placement = founded
    cells = simulation.marrow.cells
    assert cells.kind[placement.site].tolist() == section.kind.tolist()
    assert np.count_nonzero(cells.kind) == section.kind.size
    assert ((cells.uid != 0) == (cells.kind != 0)).all()
    assert np.unique(cells.uid[cells.uid != 0]).size == section.kind.size
    stroma = (cells.kind == CellType.STROMA).reshape(SIDE, SIDE)
    near = sum(np.roll(stroma, way, (0, 1)) for way in [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]) > 0
    assert (simulation.marrow.lattice.niche.reshape(SIDE, SIDE) == near).all()


def test_the_composition_is_the_sections_and_the_m_protein_the_patients(founded):
    _, simulation, _ = founded
    marrow = simulation.marrow
    nucleated = 0.8 * SIDE * SIDE
    assert simulation.patient.plasma_fraction == pytest.approx(MARROW["plasma"] / nucleated)
    assert simulation.patient.mdsc_fraction == pytest.approx(MARROW["mdsc"] / nucleated)
    assert marrow.body.target[CellType.NK] == pytest.approx(MARROW["nk"])
    assert marrow.body.target[CellType.STROMA] == pytest.approx(MARROW["stroma"])
    assert marrow.body.gauge[Gauge.M_PROTEIN] == preset("typical").m_protein_g_per_l
    assert simulation.plasma_fraction == pytest.approx(MARROW["plasma"] / nucleated)


def test_untreated_it_grows_at_the_patients_rate():
    ratios = []
    for seed in range(4):
        simulation, _ = on_tissue(preset("typical"), Settings(SIDE, SIDE), make_patient_key(seed, 0), section_of(seed, **MARROW))
        start = simulation.marrow.body.burden.sum()
        simulation.advance(4 * 28)
        ratios.append(np.log(simulation.marrow.body.burden.sum() / start) / 28.0)
    rate = preset("typical").growth_rate
    assert np.mean(ratios) == pytest.approx(rate, abs=3.0 * np.std(ratios, ddof=1) / 2.0 + 0.2 * rate)
    assert np.mean(ratios) > 0.0


def test_clones_and_cd38_of_the_section_are_kept():
    section = section_of(**MARROW)
    clone = np.where(section.kind == CellType.PLASMA, np.arange(section.kind.size) % 2, -1)
    cd38 = np.where(section.kind == CellType.PLASMA, 1234.0, np.nan)
    simulation, placement = on_tissue(preset("typical"), Settings(SIDE, SIDE), KEY, section._replace(clone=clone, cd38=cd38))
    cells, plasma = simulation.marrow.cells, section.kind == CellType.PLASMA
    assert cells.clone[placement.site[plasma]].tolist() == clone[plasma].tolist()
    assert (cells.cd38[placement.site[plasma]] == 1234.0).all()
    burden = simulation.marrow.body.burden
    assert burden[0] == pytest.approx(burden[1]) and burden[2:].sum() == 0.0


def test_unknown_clones_are_dealt_by_the_patients_shares():
    patient = preset("typical", imid_resistant_fraction=0.9)
    simulation, _ = on_tissue(patient, Settings(SIDE, SIDE), KEY, section_of(**MARROW))
    cells = simulation.marrow.cells
    share = np.mean(cells.clone[cells.kind == CellType.PLASMA] & 1)
    assert share == pytest.approx(0.9, abs=0.02)


def test_the_same_section_and_key_give_the_same_marrow():
    hashes = {on_tissue(preset("typical"), Settings(SIDE, SIDE), key, section_of(**MARROW))[0].state_hash() for key in (KEY, KEY, KEY + 1)}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"t": 50}, "holds no plasma cell"),
        ({"plasma": 500, "t": 400}, "fills 88 % of the sites of the patch, a marrow 80 % at most"),
        ({"plasma": 3, "t": 10}, "composition of the section is no marrow's"),
    ],
)
def test_a_section_that_is_no_marrow_is_refused(counts, message):
    with pytest.raises(InputError, match=message):
        on_tissue(preset("typical"), Settings(SIDE, SIDE), KEY, section_of(**counts))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clone": np.full(sum(MARROW.values()), 9)}, "clone 9"),
        ({"cd38": np.full(sum(MARROW.values()), -1.0)}, "CD38 of -1"),
        ({"kind": np.full(sum(MARROW.values()), 99)}, "kind 99"),
    ],
)
def test_values_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        on_tissue(preset("typical"), Settings(SIDE, SIDE), KEY, section_of(**MARROW)._replace(**changes))
