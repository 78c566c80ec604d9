"""The recipes of CONTRIBUTING.md for a mechanism and a cell type of the package, followed as written in a copy of it.

A type of cell is its name, its record and what it does: a dendritic cell, added in three places. Nothing else is touched for it, and
the step, Mesa, a well, a trial with its report and the page know the new type.
"""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

SCRIPT = """
import json, pickle, sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import pandas as pd
import tme_abm
from tme_abm.laboratory.vocabulary import CELLS, OBSERVED
from tme_abm.laboratory.well import Well, donor_host, incubate
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.patients.presets import preset
from tme_abm.simulation.simulation import make_patient_key

told = {}
DC = CellType.DENDRITIC

# Mesa, and the step behind it
model = tme_abm.TumourModel(patient="typical", regimen="icaria/isa-pd", height=32, width=32, seed=3)
agents = model.agents_by_type[tme_abm.DendriticCell]
first = agents.to_list()[0]
told["start"] = len(agents)
told["class"] = [type(first).__name__, pickle.loads(pickle.dumps(type(first))) is type(first), "DendriticCell" in dir(tme_abm)]
told["cd38"] = float(np.median(agents.get("cd38")))
before = {a.unique_id: a.pos for a in agents}
twin = model.simulation.copy()
model.step()
told["moved"] = sum(a.pos != before[a.unique_id] for a in agents if a.unique_id in before)
made = tme_abm.DendriticCell(model, cd38=9e3)
told["made"] = [made.cd38, made.type.name, len(agents)]
made.remove()
body = model.simulation.marrow.body
body.ledger[:] = 0
model.advance(27 * 24)
told["deaths"] = {c.name: int(body.ledger[DC, c]) for c in Cause if c < Cause.DIVISION and body.ledger[DC, c]}
told["births"] = int(body.births[DC])
told["end"] = [len(agents), model.counts[DC].item(), int(model.observe()["dendritic_cells"])]
told["collected"] = model.datacollector.get_model_vars_dataframe()["dendritic_cells"].tolist()[-1]
told["frame"] = int((model.cells_frame()["type"] == "DendriticCell").sum())
told["lost"] = int(model.observe()["dendritic_lost_to_antibody"])

# what it does: the same marrow with and without it
t_births = []
for has in (True, False):
    arm = twin.copy()
    if not has:
        arm.marrow.cells.uid[arm.marrow.cells.kind == DC] = 0
        arm.marrow.cells.kind[arm.marrow.cells.kind == DC] = CellType.EMPTY
        arm.marrow.body.target[DC] = 0.0
    arm.advance(28 * 4)
    t_births.append(int(arm.marrow.body.births[CellType.T]))
told["t_births"] = t_births

# the laboratory
donor, settings = preset("typical"), replace(model.simulation.settings, step_h=1.0)
well = Well({"plasma": 100, "dendritic": 50}, 2.0)
host = donor_host(donor, settings, settings.fill())
plated = incubate(donor, host, settings, well, make_patient_key(1, 0), {})
told["well"] = ["dendritic" in CELLS, OBSERVED["dendritic_cells"].label, plated.plasma_cells_start]

# a trial, its tables and its report
study = tme_abm.load_scenario("icaria", ["marrow.shape=[32,32]", 'trial.follow_up=["3 month","4 month"]', "published=[]"], 2)
out = Path(sys.argv[1])
summary = tme_abm.run(study, out, workers=1)
visits = pd.read_parquet(next(iter(sorted(out.rglob("trajectory*.parquet"))))) if list(out.rglob("trajectory*.parquet")) else None
told["trial"] = [summary["failed"], None if visits is None else float(visits["dendritic_cells"].max())]
from tme_abm.trial.marrow_figures import PANELS, marrow
told["panels"] = [panel.title for panel in PANELS]
figure = marrow(visits, [a.key for a in study.arms])
told["drawn"] = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible() and axes.lines]
named = {row["name"]: row["value"] for row in json.loads((out / "run.json").read_text())["parameters"]}
told["numbers"] = [named["cell_types.dendritic.amount"], named["cell_types.dendritic.cd38"]]

# the page
from tme_viz.charts import charts
from tme_viz.pair import OBSERVED as DRAWN
from tme_viz.picture import image, take
from tme_viz.screen import describe
from tme_viz.words import words
picture = take(model.simulation)
site = int(np.flatnonzero(picture.kind == DC)[0])
told["pixel"] = image(picture, "adenosine", 32).reshape(-1, 3)[site].tolist()
told["described"] = describe(picture, site, 28.0)[0][1]
told["words"] = [words(language)["DENDRITIC"] for language in ("en", "it")]
columns = (*DRAWN, *(f"clone_with_{name}" for name in ("imid", "proteasome", "antibody")))
told["curves"] = [c["title"] for c in charts(SimpleNamespace(columns=columns, drugs=()), "en") if any(
    line["column"] == columns.index("dendritic_cells") for line in c["series"])]
try:
    from tme_viz.live import look
except ImportError:
    look = None
if look is not None:
    from tme_abm.mechanisms.outside.catalogue import PLAIN
    page = {"hidden": set(), "language": "en"}
    visitor = SimpleNamespace(w=words("en"), places=SimpleNamespace(catalogue=PLAIN))
    vars(visitor).update({k: SimpleNamespace(value=v) for k, v in page.items()})
    seen = look(visitor, False)
    told["look"] = [seen["kinds"][DC], seen["colours"][DC], seen["radii"][DC], DC in seen["stromal"], DC in seen["active"]]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def places(recipes, clone, tmp_path_factory):
    """A copy with the mechanism and the cell type of the recipes, and what the commands before the first compilation have printed.

    Both changes compile the step anew, so the copy runs no trial before it has both.
    """
    folder = tmp_path_factory.mktemp("clone")
    env = clone(folder)
    printed, trials = {}, []
    recipes["mechanism of one's own"][0].follow(folder)
    for block in (*recipes["mechanism of the package"], *recipes["cell type"]):
        if "tme run" in block.text and block.act == "run":
            trials.append(block)
        else:
            printed |= block.follow(folder, env)
    return folder, env, printed, trials


@pytest.fixture(scope="module")
def told(places):
    folder, env, *_ = places
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder / "out")], cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_step_knows_it(told):
    """It stands there in its number, walks, leaves, is depleted by the antibody and comes from the blood."""
    assert told["start"] == pytest.approx(0.02 * 0.8 * 32 * 32, abs=6)
    assert 3e3 < told["cd38"] < 8e3
    assert told["moved"] > 0.5 * told["start"]
    assert set(told["deaths"]) == {"TURNOVER", "DEPLETION"}
    assert told["births"] > 0
    assert told["lost"] == pytest.approx(told["deaths"]["DEPLETION"], abs=1)  # of the month, less the first step


def test_what_it_does_happens(told):
    with_it, without = told["t_births"]
    assert with_it > 1.2 * without


def test_mesa_knows_it(told):
    assert told["class"] == ["DendriticCell", True, True]
    assert told["made"][:2] == [9e3, "DENDRITIC"]
    assert len({*told["end"], told["collected"], told["frame"]}) == 1


def test_the_laboratory_knows_it(told):
    assert told["well"] == [True, "dendritic cells", 100]


def test_a_trial_and_its_report_know_it(told):
    failed, most = told["trial"]
    assert failed == 0 and most > 0
    assert told["numbers"] == [0.02, 5e3]
    assert told["panels"][2:6] == ["T cells", "NK cells", "Suppressors (Treg, Breg, MDSC)", "Presenting cells"]
    assert told["drawn"] == told["panels"]


def test_the_page_knows_it(told):
    assert told["pixel"] == [0x33, 0x22, 0x88]
    assert told["described"] == "DENDRITIC"
    assert told["words"] == ["dendritic cell", "cellula dendritica"]
    assert told["curves"] == ["dendritic cell"]
    if "look" in told:
        assert told["look"] == ["DENDRITIC", "#332288", 0.45, False, False]


@pytest.fixture(scope="module")
def ran(places, told):
    """The trials of both recipes, once the step is compiled; what the commands have printed."""
    folder, env, printed, trials = places
    for block in trials:
        printed = printed | block.follow(folder, env)
    return folder, printed


def visits(folder):
    return pd.read_parquet(folder / "trajectory.parquet")


def test_the_recipe_of_a_mechanism_holds(ran):
    folder, printed = ran
    assert "Plasma cells die where the marrow is full of them." in " ".join(printed["tme describe starvation"].split())
    starved, fed = (visits(folder / "results" / name) for name in ("inside", "fed"))
    assert starved["deaths_starvation"].sum() > 0
    assert fed["deaths_starvation"].sum() == 0
    both = starved.merge(fed, on=["patient", "visit"], suffixes=("", "_fed")).query("visit > 0")  # before treatment nothing is switched off
    assert (both["plasma_cells"] < both["plasma_cells_fed"]).all() and len(both) > 2


def test_the_recipe_of_a_cell_type_holds(ran):
    folder, printed = ran
    assert "cell_types.dendritic.amount" in printed["tme show untreated"]
    assert visits(folder / "results" / "dendritic")["dendritic_cells"].max() > 0
