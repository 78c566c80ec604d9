"""Marrows as AnnData, opened by anndata itself, and back again."""

import anndata
import numpy as np
import pandas as pd
import pytest

import tme_abm
from tme_abm import TumourModel, to_anndata
from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import N_CAUSES, CellType
from tme_abm.marrow.lattice import SITE_UM
from tme_abm.spatial import DEATH_HEADINGS, HEADINGS, advance_watched, read_section
from tme_abm.trial.study import Study

STUDY = ["marrow.shape=[32, 40]"]


@pytest.fixture(scope="module")
def treated():
    """A marrow a week under treatment whose deaths were watched, one that was not watched, and the deaths."""
    study = tme_abm.load_trial("icaria", STUDY, patients=2)
    assert isinstance(study, Study)
    watched = TumourModel.from_scenario(study, "isa-pd", 1).simulation
    before = watched.marrow.body.ledger.copy()
    other = watched.copy()
    deaths = advance_watched(watched, 28)
    other.advance(28)
    return watched, other, deaths, watched.marrow.body.ledger - before


@pytest.fixture(scope="module")
def opened(treated, tmp_path_factory):
    path = tmp_path_factory.mktemp("h5ad") / "marrow.h5ad"
    to_anndata(treated[0], treated[2]).write_h5ad(path)
    return path, anndata.read_h5ad(path)


def test_watching_changes_nothing(treated):
    assert treated[0].state_hash() == treated[1].state_hash()


def test_every_death_is_noted_with_its_kind_and_cause(treated):
    _, _, deaths, died = treated
    counted = np.zeros_like(died)
    for death in deaths:
        counted[death.kind, treated[0].settings.catalogue.causes[death.cause]] += 1
    assert died.sum() > 100
    np.testing.assert_array_equal(counted, died)


def test_deaths_of_plasma_cells_lie_where_a_plasma_cell_stood(treated):
    study = tme_abm.load_trial("icaria", STUDY, patients=2)
    again = TumourModel.from_scenario(study, "isa-pd", 1).simulation
    near = total = 0
    for _ in range(8):
        kind = again.marrow.cells.kind.reshape(32, 40) == CellType.PLASMA
        close = sum(np.roll(kind, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) > 0
        for death in advance_watched(again, 1):
            if death.kind is CellType.PLASMA:
                total += 1
                near += close.ravel()[death.site]
    assert total > 10
    assert near / total > 0.95  # a plasma cell crawls by a site in a step, hardly ever by more


def test_it_opens_in_anndata_with_every_cell(treated, opened):
    simulation, (_, data) = treated[0], opened
    cells = simulation.marrow.cells
    taken = np.flatnonzero(cells.kind)
    assert data.n_obs == taken.size
    assert data.obs_names.is_unique
    assert list(data.obs.columns) == [heading.name for heading in HEADINGS]
    order = np.argsort(data.obs["site"].to_numpy())
    sites = data.obs["site"].to_numpy()[order]
    np.testing.assert_array_equal(sites, taken)
    kinds = [CellType[name.upper()] for name in data.obs["cell_type"].to_numpy()[order]]
    assert kinds == cells.kind[taken].tolist()
    np.testing.assert_array_equal(data.obs["adenosine"].to_numpy()[order], simulation.marrow.fields.adenosine[taken])
    np.testing.assert_array_equal(data.obs["cd38_sites_per_cell"].to_numpy()[order], cells.cd38[taken])
    np.testing.assert_allclose(data.obs["age_days"].to_numpy()[order], (simulation.hour - cells.born[taken]) / 24.0)
    assert data.obs["clone"].notna().to_numpy()[order].tolist() == (cells.kind[taken] == CellType.PLASMA).tolist()
    np.testing.assert_array_equal(data[:, "activity"].X.ravel(), data.obs["activity"])


def test_places_and_fields_are_those_of_the_lattice(treated, opened):
    data = opened[1]
    x, y = data.obsm["spatial"].T
    sites = data.obs["site"].to_numpy()
    np.testing.assert_allclose(x, SITE_UM * (sites % 40 + 0.5))
    np.testing.assert_allclose(y, SITE_UM * (sites // 40 + 0.5))
    field = data.uns["fields"]["adenosine"]
    assert field.shape == (32, 40)
    np.testing.assert_array_equal(field.ravel()[sites], data.obs["adenosine"])
    assert data.uns["columns"]["adenosine"]["unit"] == "K(A2A)"
    assert data.uns["patient"]["weight_kg"] == treated[0].patient.weight_kg
    assert data.uns["marrow"]["state_hash"] == treated[0].state_hash()


def test_deaths_stand_in_the_file(treated, opened):
    deaths, since = opened[1].uns["deaths"], opened[1].uns["deaths_since_start"]
    assert list(deaths.columns) == [heading.name for heading in DEATH_HEADINGS]
    assert len(deaths) == len(treated[2])
    counted = pd.crosstab(deaths["cell_type"], deaths["cause"])
    for kind in counted.index:
        for cause in counted.columns:
            assert counted.loc[kind, cause] == since.loc[kind, cause]  # the watch began with the regimen
    assert since.shape[1] == N_CAUSES


# ---- and back again --------------------------------------------------------------------------------------------------


def test_a_marrow_comes_back_cell_by_cell(treated, opened):
    path = opened[0]
    model = TumourModel.from_anndata(path, regimen="icaria/isa-pd", shape=(32, 40), seed=3)
    cells, old = model.simulation.marrow.cells, treated[0].marrow.cells
    np.testing.assert_array_equal(cells.kind, old.kind)
    plasma = old.kind == CellType.PLASMA
    np.testing.assert_array_equal(cells.clone[plasma], old.clone[plasma])
    np.testing.assert_allclose(cells.cd38[old.kind > 0], old.cd38[old.kind > 0], rtol=1e-6)
    assert model.placement.moved == 0
    assert (model.patient.t_cell_fraction, model.regimen.key, model.day) == (
        pytest.approx((old.kind == CellType.T).sum() / (0.8 * 32 * 40)),
        "isa-pd",
        0.0,
    )
    before = model.counts[CellType.PLASMA]
    model.advance(24 * 28)
    assert model.counts[CellType.PLASMA] < before
    assert to_anndata(model).n_obs == model.counts[1:].sum()


def tissue(words, places=None, column="cell_type"):
    """A small section made elsewhere, in units of 2 um."""
    n = len(words)
    made = anndata.AnnData(np.zeros((n, 0)), obs=pd.DataFrame({column: words}, index=[str(i) for i in range(n)]))
    grid = np.array([(i % 20, i // 20) for i in range(n)], float)
    made.obsm["spatial"] = 6.0 * grid + 1000.0 if places is None else np.asarray(places, float)
    return made


PANEL = ["Plasma cells"] * 60 + ["CD8 T"] * 40 + ["NK cell"] * 6 + ["Macrophages"] * 20 + ["StromalCell"] * 20 + ["Fat"] * 54
TYPES = {"CD8 T": "t", "Fat": None}


def test_types_of_another_laboratory_are_mapped_by_name():
    reading = read_section(tissue(PANEL), types=TYPES, scale_um=2.0)
    assert np.bincount(reading.section.kind).tolist() == [0, 60, 40, 6, 0, 0, 0, 20, 20]
    assert reading.left_out == 54
    assert (reading.height, reading.width) == (8, 20)
    assert reading.section.x_um.min() == reading.section.y_um.min() == 6.0  # the corner is the section's
    model = TumourModel.from_anndata(tissue(PANEL), types=TYPES, scale_um=2.0, shape=None, seed=1, patient="typical")
    assert model.counts[CellType.PLASMA] == 60


def test_cells_that_had_to_move_are_told():
    crowded = tissue(PANEL)
    crowded.obsm["spatial"][1] = crowded.obsm["spatial"][0]
    with pytest.warns(UserWarning, match="1 moved to the nearest free site"):
        model = TumourModel.from_anndata(crowded, types=TYPES, scale_um=2.0, seed=1)
    assert model.placement.moved == 1


@pytest.mark.parametrize(
    ("data", "given", "message"),
    [
        (tissue(PANEL), {}, "the type 'CD8 T' is no kind of cell of the model.*types says what it is"),
        (tissue(["Plazma"] * 4), {}, "did you mean 'plasma'"),
        (tissue(PANEL), {"types": {**TYPES, "CD8 T": "tcel"}}, "'tcel', which the type 'CD8 T' is mapped to"),
        (tissue(PANEL), {"types": {**TYPES, "Fatt": None}}, "no cell of the type 'Fatt'; did you mean 'Fat'"),
        (tissue(PANEL, column="celltype"), {}, "no column 'cell_type'.*did you mean 'celltype'"),
        (tissue(["plasma", None]), {}, "cell 1 has no type"),
        (tissue(["Fat"]), {"types": {"Fat": None}}, "no cell of the section is left"),
        (tissue(PANEL), {"types": TYPES, "scale_um": 0.0}, "length above zero"),
        (tissue(["plasma"], [[np.nan, 1.0]]), {}, "finite numbers"),
    ],
)
def test_a_section_that_cannot_be_read_is_refused_in_a_sentence(data, given, message):
    with pytest.raises(InputError, match=message):
        read_section(data, **given)


def test_without_places_there_is_no_section():
    data = tissue(PANEL)
    del data.obsm["spatial"]
    with pytest.raises(InputError, match=r'no obsm\["spatial"\]'):
        read_section(data)


def test_without_anndata_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    with pytest.raises(InputError, match=r"pip install 'tme-abm\[spatial\]'"):
        to_anndata(None)
