"""The simple rules TME-7: every variant plays by them, and all end in the same tissue, by distribution."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind

from tme_abm.marrow.cells import CellType

tme7 = importlib.import_module("tme7")
engine = importlib.import_module("tme7_engine")

CELLS, STEPS = 500, 12
VARIANTS = {"Mesa": ("tme7_mesa", "PlainMesa"), "mesa-frames": ("tme7_frames", "Frames"), "numpy": ("tme7_numpy", "Vectorised")}
FIGURES = ("plasma", "kills", "suppression", "adenosine", "plasma pairs")


def made(name):
    module, attribute = VARIANTS[name]
    needed = "mesa_frames" if name == "mesa-frames" else "mesa" if name == "Mesa" else "numpy"
    pytest.importorskip(needed)
    return getattr(importlib.import_module(module), attribute)


def censuses(make, seeds, cells=CELLS, steps=STEPS):
    found = []
    for seed in seeds:
        tissue = make(cells, seed)
        tissue.advance(steps)
        found.append(tissue.census())
    return found


@pytest.fixture(scope="module")
def ours():
    return censuses(engine.Engine, range(500, 740))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of mesa-frames against a newer polars
@pytest.mark.parametrize(("name", "seeds"), [("Mesa", 24), ("mesa-frames", 6), ("numpy", 60)])
def test_variants_end_in_the_same_tissue(name, seeds, ours):
    theirs = censuses(made(name), range(1, seeds + 1))
    for figure in FIGURES:
        pair = [[row[figure] for row in rows] for rows in (ours, theirs)]
        assert ttest_ind(*pair, equal_var=False).pvalue > 1e-4, figure
        if figure not in tme7.FIGURES_OF_ORDER:
            assert tme7.distances(ours, theirs)[figure] > 1e-4, figure


def test_a_wrong_rule_would_be_seen(ours):
    wrong = tme7.RULES._replace(kill_t=2.0 * tme7.RULES.kill_t)
    theirs = []
    for seed in range(24):
        tissue = engine.Engine(CELLS, seed)
        engine.advance(tissue.tissue, wrong, tissue.key, 0, STEPS)
        theirs.append(tissue.census()["kills"])
    assert ttest_ind([row["kills"] for row in ours], theirs, equal_var=False).pvalue < 1e-4


def test_the_books_of_the_engine_agree():
    tissue = engine.Engine(800, 3)
    before = np.bincount(tissue.tissue.kind, minlength=engine.N_KINDS)
    for _ in range(10):
        tissue.advance(3)
        engine.check(tissue.tissue)
    after = np.bincount(tissue.tissue.kind, minlength=engine.N_KINDS)
    for kind in (CellType.T, CellType.NK, CellType.TREG, CellType.BREG, CellType.MDSC, CellType.STROMA):
        assert after[kind] == before[kind]  # nobody but plasma cells is born or dies
    assert after[engine.WALL] == before[engine.WALL]
    effector = (tissue.tissue.kind == engine.T) | (tissue.tissue.kind == engine.NK)
    assert tissue.tissue.kills[~effector].sum() == 0


def test_the_same_seed_gives_the_same_tissue_however_it_is_stepped():
    one, two = engine.Engine(700, 5), engine.Engine(700, 5)
    one.advance(12)
    for _ in range(4):
        two.advance(3)
    assert np.array_equal(one.tissue.kind, two.tissue.kind)
    assert np.array_equal(one.tissue.adenosine, two.tissue.adenosine)
    assert one.updates == two.updates
    other = engine.Engine(700, 6)
    other.advance(12)
    assert not np.array_equal(one.tissue.kind, other.tissue.kind)


def test_the_field_is_that_of_numpy():
    ours, theirs = engine.Engine(600, 4), made("numpy")(600, 4)
    random = np.random.default_rng(0)
    side = theirs.width
    start = random.random((side, side)) * 20.0
    ours.tissue.field[:] = start
    theirs.adenosine[:] = start.ravel()
    theirs.adenosine[theirs.stroma] += tme7.RULES.secrete_stroma
    assert np.array_equal(ours.tissue.kind == engine.STROMA, theirs.kind == CellType.STROMA)  # one seed, one placement
    ours.time_field(1)
    theirs.diffuse()
    inside = ours.tissue.kind != engine.WALL
    assert np.allclose(ours.tissue.adenosine[inside], theirs.adenosine[inside], rtol=2e-5)


def test_plasma_cells_live_and_die_at_their_rates():
    """Alone, with room, deaths and divisions of plasma cells have the rates of the rules."""
    births = deaths = at_risk = 0
    for seed in range(40):
        tissue = engine.Engine(600, seed)
        books = tissue.tissue
        for kind in (engine.T, engine.NK, engine.TREG, engine.BREG, engine.MDSC, engine.STROMA):
            books.kind[books.kind == kind] = 0
        books.lattice.niche[:] = 0
        before = int((books.kind == engine.PLASMA).sum())
        at_risk += before
        engine.take_roster(books)
        engine.plasma_turns(books, tme7.RULES, 1000 + seed)
        listed = books.roster[engine.PLASMA, : books.count[engine.PLASMA]]
        died = int((books.kind[listed] != engine.PLASMA).sum())
        deaths += died
        births += int((books.kind == engine.PLASMA).sum()) - before + died
    expected = np.array([tme7.RULES.death, tme7.RULES.divide]) * at_risk
    assert np.all(np.abs(np.array([deaths, births]) - expected) < 4.0 * np.sqrt(expected))


def test_numbers_at_the_start():
    assert sum(tme7.numbers(1234).values()) == 1234
    kinds = tme7.place(1000, np.random.default_rng(0))
    assert kinds.shape == (tme7.side_of(1000),) * 2
    assert {kind: int((kinds == kind).sum()) for kind in tme7.SHARES} == tme7.numbers(1000)


def test_the_interpreted_engine_takes_the_same_decisions():
    """Three steps of a small tissue with compiling switched off, in a process of its own."""
    code = "from tme7_engine import Engine; e = Engine(200, 2); e.advance(3); print(repr(e.census()))"
    folder = Path(engine.__file__).parent
    paths = os.pathsep.join([str(folder), str(folder.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    compiled = engine.Engine(200, 2)
    compiled.advance(3)
    assert said.strip() == repr(compiled.census())
