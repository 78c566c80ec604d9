"""The Mesa facade: a model, agents, sets and a grid that show the engine's arrays, and a run that is the run without it."""

import copy
import gc
import inspect
import pickle
import re
import subprocess
import sys
import threading
import warnings
import weakref

import mesa
import numpy as np
import pandas as pd
import pytest
from mesa import DataCollector
from mesa.agent import Agent, AgentSet
from mesa.discrete_space import CellAgent, OrthogonalMooreGrid

import tme_abm
from tme_abm import MDSC, Breg, Macrophage, NKCell, PlasmaCell, StromalCell, TCell, Treg, TumourModel, load_scenario
from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import CLONE_NAMES
from tme_abm.marrow.lattice import neighbour
from tme_abm.marrow.state import Gauge
from tme_abm.mesa_model.agents import AGENT_TYPES, MarrowCell, RemovedAgentError, attributes
from tme_abm.mesa_model.arguments import read_seed
from tme_abm.mesa_model.frame import FRAME_HEADINGS
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.simulation.treatment import UNTREATED

SIDE = 24
EVERYDAY = Regimen("pom", "Pom", 28, (Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),))


def make(seed=3, **given):
    return TumourModel(**{"height": SIDE, "width": SIDE + 8, "seed": seed, **given})


def marrow_of(model):
    return model.simulation.marrow


def free_sites(model):
    return [model.coordinate(s) for s in np.flatnonzero(marrow_of(model).cells.kind == CellType.EMPTY)]


def assert_consistent(model):
    """What the engine keeps about its cells agrees with the cells."""
    marrow = marrow_of(model)
    kind = marrow.cells.kind
    assert ((marrow.cells.uid != 0) == (kind != CellType.EMPTY)).all()
    assert np.unique(marrow.cells.uid[kind != CellType.EMPTY]).size == np.count_nonzero(kind)
    assert marrow.body.count.tolist() == np.bincount(kind, minlength=len(CellType)).tolist()
    assert marrow.body.clone_count.tolist() == np.bincount(marrow.cells.clone[kind == CellType.PLASMA], minlength=8).tolist()
    for k in CellType:
        listed = marrow.roster.site[marrow.roster.start[k] : marrow.roster.start[k] + marrow.body.count[k]]
        assert sorted(listed.tolist()) == np.flatnonzero(kind == k).tolist()
    stroma = (kind == CellType.STROMA).reshape(model.height, model.width)
    near = sum(np.roll(stroma, (dy, dx), (0, 1)).astype(int) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx) > 0
    assert (marrow.lattice.niche.reshape(near.shape) == near).all()


# ---- the same run ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_icaria():
    return load_scenario("icaria", overrides=["marrow.shape=[32, 24]"], patients=4)


@pytest.mark.parametrize("patient", [0, 2])
def test_a_run_through_mesa_is_the_run_without_it(small_icaria, patient):
    grown, _ = enrol(small_icaria.population, small_icaria.settings, small_icaria.seed, patient)
    arm = next(a for a in small_icaria.arms if a.key == "isa-pd")
    headless = grown.fork(arm, small_icaria.drugs)
    model = TumourModel.from_scenario(small_icaria, arm="isa-pd", patient=patient)
    assert model.simulation.state_hash() == headless.state_hash()
    assert model.day == 0.0 and model.regimen.label == arm.label and model.patient == grown.patient
    assert (model.height, model.width) == (32, 24)
    headless.advance(40)
    for _ in range(10):
        model.step()
        list(model.agents)  # looking changes nothing
        model.cells_frame()
    model.advance(30 * small_icaria.settings.step_h)
    assert model.simulation.state_hash() == headless.state_hash()
    assert model.simulation.m_protein == headless.m_protein
    assert model.observe() == pytest.approx(headless.observe(), nan_ok=True)
    for mine, theirs in zip(marrow_of(model).cells, headless.marrow.cells, strict=True):
        assert np.array_equal(mine, theirs)


def test_a_bundled_scenario_by_name_and_its_arms(small_icaria):
    assert TumourModel.from_scenario(small_icaria).regimen.key == small_icaria.arms[0].key
    assert TumourModel.from_scenario(small_icaria, arm="pd", seed="77").seed == 77
    assert TumourModel.from_scenario("untreated", patient=1, collect=False).regimen.doses == ()
    with pytest.raises(InputError, match="there is no arm 'isa-dp'; did you mean 'isa-pd'"):
        TumourModel.from_scenario(small_icaria, arm="isa-dp")
    with pytest.raises(InputError, match="did you mean 'icaria'"):
        TumourModel.from_scenario("icarai")
    with pytest.raises(InputError, match="whole number from 0"):
        TumourModel.from_scenario(small_icaria, patient=-1)


def test_a_study_without_eligible_candidates_is_refused(small_icaria, monkeypatch):
    monkeypatch.setattr(Simulation, "grow", lambda self: False)
    with pytest.raises(RuntimeError, match="none of 25 candidates for place 1"):
        TumourModel.from_scenario(small_icaria, patient=1)
    with pytest.raises(InputError, match="not eligible within two years"):
        make()
    assert make(is_grown=False).day == 0.0


def test_the_typical_patient_is_untreated_and_eligible():
    model = TumourModel(seed=1, collect=False)
    assert (model.height, model.width) == (64, 64) and model.regimen.doses == ()
    assert model.patient == preset("typical")
    assert model.simulation.m_protein >= model.patient.m_protein_g_per_l
    assert model.agent_types == list(AGENT_TYPES) and all(len(model.agents_by_type[t]) > 0 for t in AGENT_TYPES)
    by_hand = Simulation(preset("typical"), Settings(), make_patient_key(1, 0))
    by_hand.grow()
    assert by_hand.fork(UNTREATED, {}).state_hash() == model.simulation.state_hash()


def test_regimens_by_name_and_by_object():
    assert make(regimen="icaria/isa-pd").regimen.drugs[0] == "isatuximab"
    model = make(regimen=EVERYDAY, patient="elderly")
    assert model.patient.age == 80.0
    model.advance(24.0)
    assert model.simulation.course.concentration[0] > 0.0
    with pytest.raises(InputError, match="scenario/arm"):
        make(regimen="isa-pd")
    with pytest.raises(InputError, match="there is no arm"):
        make(regimen="icaria/isa")
    with pytest.raises(InputError, match="unknown preset"):
        make(patient="tpyical")


# ---- Mesa's model --------------------------------------------------------------------------------------------------------


def test_it_is_a_mesa_model_and_counts_its_steps():
    model = make()
    assert isinstance(model, mesa.Model) and model.running
    model.step()
    assert model.steps == 1 and model.day == 0.25
    model.advance(48.0)
    assert model.steps == 9 and model.day == 2.25
    model.step()
    assert model.steps == 10 == model.simulation.step - model.simulation.treated_from
    if hasattr(model, "time"):
        assert model.time == 10.0
    for hours in (0.0, -6.0, 7.0):
        with pytest.raises(InputError, match="multiple of the step"):
            model.advance(hours)


def test_nothing_warns():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = make(seed="5")
        model.step()
        model.advance(24.0)
        list(model.agents.select(at_most=3))
        model.grid.select_random_empty_cell()
        copy.deepcopy(model)
    assert [str(warning.message) for warning in caught] == []


def test_seeds():
    assert make(seed=8).simulation.state_hash() == make(seed="8").simulation.state_hash() == make(None, rng=8).simulation.state_hash()
    assert make(seed=8).simulation.state_hash() != make(seed=9).simulation.state_hash()
    one, other = make(None), make(None)
    assert one.seed != other.seed and make(one.seed).simulation.state_hash() == one.simulation.state_hash()
    assert make(4).random.random() == make("4").random.random() and make(4).rng.random() == make(4).rng.random()
    assert read_seed(np.random.default_rng(1), None) == read_seed(None, np.random.default_rng(1))
    assert read_seed(7.0, None) == read_seed(np.int64(7), None) == 7
    for wrong in (-1, 2**62, "x", 1.5, True, [1]):
        with pytest.raises(InputError, match="a seed is a whole number"):
            read_seed(wrong, None)
    with pytest.raises(InputError, match="not both"):
        make(1, rng=1)


def test_mechanisms_and_doses_can_be_changed_on_the_way():
    model = make(regimen=EVERYDAY, without=["growth", "cdc"])
    assert model.simulation.on.growth is False
    assert make(without="growth cdc").simulation.without == model.simulation.without == {"growth", "cdc"}
    model.switch("growth", True)
    assert model.simulation.on.growth is True
    model.change_dose("pomalidomide", 0.0)
    model.advance(48.0)
    assert model.simulation.course.concentration.tolist() == [0.0]
    with pytest.raises(InputError, match="did you mean 'growth'"):
        model.switch("grwoth", False)
    with pytest.raises(InputError, match="did you mean 'pomalidomide'"):
        model.change_dose("pomalidomid", 1.0)


def test_a_subclass_may_have_its_own_step():
    class Daily(TumourModel):
        def step(self):
            for _ in range(4):
                super().step()

    model = Daily(height=SIDE, width=SIDE, seed=1, collect=False)
    model.step()
    assert model.steps == 1 and model.day == 1.0
    model.advance(24.0)
    assert model.steps == 2 and model.day == 2.0


# ---- agents --------------------------------------------------------------------------------------------------------------


def test_types_and_counts():
    model = make()
    counts = np.bincount(marrow_of(model).cells.kind, minlength=9)
    assert len(model.agents) == counts[1:].sum() == len(list(model.agents))
    for agent_type in (PlasmaCell, TCell, NKCell, Treg, Breg, MDSC, Macrophage, StromalCell):
        agents = model.agents_by_type[agent_type]
        assert len(agents) == counts[agent_type.kind] == len(list(agents))
        assert all(type(a) is agent_type and a.type is agent_type.kind for a in agents)
    assert set(tme_abm.__all__) > {t.__name__ for t in AGENT_TYPES}
    agent = model.agents[0]
    assert isinstance(agent, Agent) and isinstance(agent, CellAgent) and agent.random is model.random and agent.rng is model.rng


def test_attributes_are_the_columns():
    model = make(regimen="icaria/isa-pd")
    model.advance(7 * 24.0)
    marrow = marrow_of(model)
    cells, gauge, by_clone = marrow.cells, marrow.body.gauge, marrow.body.clone_cd38
    assert 0.0 < gauge[Gauge.SURFACE_CD38] < 1.0 < by_clone[0] and by_clone[4] < 0.9 * by_clone[0]
    for agent in model.agents:
        x, y = agent.pos
        site = y * model.width + x
        assert agent.site == site and cells.uid[site] == agent.unique_id and agent.cell.coordinate == (x, y)
        assert agent.cd38 == cells.cd38[site] and agent.born == cells.born[site]
        left = gauge[Gauge.SURFACE_CD38] * (by_clone[cells.clone[site]] if agent.type is CellType.PLASMA else 1.0)
        assert agent.surface_cd38 == pytest.approx(agent.cd38 * left, rel=1e-12)
    for cell in model.agents_by_type[PlasmaCell]:
        assert cell.complement_inhibitors == cells.complement_inhibitors[cell.site]
        assert cell.clone == cells.clone[cell.site] and cell.clone_name == CLONE_NAMES[cell.clone]
        assert cell.is_adherent is any(type(a) is StromalCell for a in cell.cell.neighborhood.agents)
    for cell in model.agents_by_type[TCell]:
        assert cell.clonotype == cells.clone[cell.site] and cell.is_reactive is (cell.clonotype < 50)
        assert (cell.activity, cell.granzyme) == (cells.activity[cell.site], cells.granzyme[cell.site])
    assert not hasattr(model.agents_by_type[Treg][0], "activity") and hasattr(model.agents_by_type[NKCell][0], "activity")


def test_values_are_plain_python():
    model = make()
    for agent_type in AGENT_TYPES:
        agent = agent_type(model)
        for name in attributes(agent_type):
            assert type(getattr(agent, name)) in (int, float, bool, str), name
        assert type(agent.unique_id) is int and [type(c) for c in agent.pos] == [int, int]


def test_a_cell_is_one_object_for_its_whole_life_and_then_raises():
    model = make(regimen="icaria/isa-pd")
    before = {a.unique_id: a for a in model.agents}
    places = {u: a.pos for u, a in before.items()}
    model.advance(21 * 24.0)
    after = {a.unique_id: a for a in model.agents}
    kept = before.keys() & after.keys()
    assert kept and all(before[u] is after[u] for u in kept)
    assert any(before[u].pos != places[u] for u in kept), "cells move"
    gone = [before[u] for u in before.keys() - after.keys()]
    assert gone and not any(a.alive for a in gone)
    for a in gone:
        assert a.pos is None and a.cell is None and a not in model.agents
        with pytest.raises(RemovedAgentError, match="no longer alive"):
            _ = a.cd38
        with pytest.raises(RemovedAgentError):
            a.cd38 = 5.0
        assert getattr(a, "surface_cd38", None) is None
        a.remove()  # does nothing
        with pytest.raises(RemovedAgentError):
            a.cell = model.grid.select_random_empty_cell()


def test_order_of_birth():
    model = make()
    model.advance(5 * 24.0)
    first = [a.unique_id for a in model.agents]
    born = model.agents.column("born")
    assert (np.diff(born) >= 0).all() and born[-1] > born[0]
    model.advance(5 * 24.0)
    later = [a.unique_id for a in model.agents]
    kept = [u for u in first if u in set(later)]
    assert kept == later[: len(kept)], "new cells come last"


def test_objects_of_dead_cells_are_let_go():
    model = make(regimen="icaria/isa-pd")
    refs = [weakref.ref(a) for a in model.agents]
    for _ in range(40):
        model.advance(14 * 24.0)
        list(model.agents)
    assert len(model._handles) <= 3 * len(model.agents)
    gc.collect()
    assert sum(r() is None for r in refs) > 0


# ---- sets of agents --------------------------------------------------------------------------------------------------------


def test_agent_sets_answer_as_in_mesa():
    model = make()
    agents, plasma = model.agents, model.agents_by_type[PlasmaCell]
    assert isinstance(agents, AgentSet) and model.agents is agents
    assert agents.get("cd38") == [a.cd38 for a in agents]
    assert plasma.get(["clone", "cd38"])[0] == [plasma[0].clone, plasma[0].cd38]
    assert plasma.get("is_adherent") == [a.is_adherent for a in plasma]
    assert agents.get("granzyme", handle_missing="default", default_value=-1.0) == [getattr(a, "granzyme", -1.0) for a in agents]
    with pytest.raises(AttributeError):
        agents.get("granzyme")
    chosen = agents.select(lambda a: a.unique_id % 2 == 0, agent_type=PlasmaCell, at_most=10)
    assert type(chosen) is AgentSet and len(chosen) == 10
    gc.collect()
    assert len(chosen) == 10, "an AgentSet holds its agents weakly, the model holds those that were looked at"
    assert len(agents.select(at_most=0.5)) == len(agents) // 2 and len(agents.select()) == len(agents)
    groups = agents.groupby(lambda a: type(a).__name__)
    assert groups.count()["PlasmaCell"] == len(plasma)
    assert agents.groupby("type").count()[CellType.NK] == len(model.agents_by_type[NKCell])
    assert plasma.groupby("clone_name").agg("cd38", len).keys() == set(plasma.get("clone_name"))
    assert plasma.agg("cd38", [min, max]) == [min(plasma.get("cd38")), max(plasma.get("cd38"))]
    assert sorted(a.unique_id for a in agents.shuffle()) == sorted(agents.get("unique_id"))
    assert plasma.sort("cd38", ascending=True).get("cd38") == sorted(plasma.get("cd38"))
    seen = []
    assert agents.do(seen.append) is agents and agents.shuffle_do(seen.append) is agents
    assert len(seen) == 2 * len(agents) and set(seen) == set(agents)
    assert plasma.map("__repr__")[0] == f"<PlasmaCell {plasma[0].unique_id}>"
    assert type(agents.copy()) is type(copy.copy(agents)) is AgentSet
    both = plasma | model.agents_by_type[TCell]
    assert type(both) is AgentSet and len(both) == len(plasma) + len(model.agents_by_type[TCell])
    assert plasma[0] in plasma and plasma[0] in agents and plasma[0] not in model.agents_by_type[TCell] and 3 not in agents
    assert plasma.set("cd38", 7e4).get("cd38") == [7e4] * len(plasma)


def test_live_sets_follow_the_marrow_and_refuse_changes():
    model = make(regimen="icaria/isa-pd")
    agents, plasma = model.agents, model.agents_by_type[PlasmaCell]
    before = len(list(plasma))
    model.advance(28 * 24.0)
    assert len(plasma) == len(list(plasma)) == np.count_nonzero(marrow_of(model).cells.kind == CellType.PLASMA) != before
    agent = plasma[0]
    for refused in (
        lambda: agents.add(agent),
        lambda: agents.discard(agent),
        lambda: agents.remove(agent),
        lambda: agents.select(at_most=1, inplace=True),
        lambda: agents.shuffle(inplace=True),
        lambda: agents.sort("cd38", inplace=True),
        lambda: model.register_agent(agent),
    ):
        with pytest.raises(TypeError, match="marrow"):
            refused()
    with pytest.raises(AttributeError):
        model.agents = []


def test_columns_and_the_table_of_cells():
    model = make()
    model.advance(48.0)
    agents = model.agents
    assert agents.column("x").tolist() == [a.pos[0] for a in agents] and agents.column("y").tolist() == [a.pos[1] for a in agents]
    assert agents.column("unique_id").tolist() == agents.get("unique_id") and agents.column("site").tolist() == agents.get("site")
    assert agents.column("kind").tolist() == agents.get("type")
    column = model.agents_by_type[TCell].column("activity")
    assert column.tolist() == model.agents_by_type[TCell].get("activity")
    column[:] = 0.0
    assert model.agents_by_type[TCell].column("activity").max() > 0.0, "a copy"
    model.agents.column("site")[:] = 0
    assert model.agents.column("site").max() > 0
    with pytest.raises(InputError, match="did you mean 'surface_cd38'"):
        agents.column("surface_cd83")
    with pytest.raises(InputError, match="no column 'activity'"):
        agents.column("activity")

    frame = model.cells_frame()
    assert len(frame) == len(agents) and frame["unique_id"].tolist() == agents.get("unique_id")
    assert frame["type"].astype(str).tolist() == [type(a).__name__ for a in agents]
    for row, agent in zip(frame.to_dict("records"), agents, strict=True):
        assert (row["x"], row["y"]) == agent.pos and row["surface_cd38_sites_per_cell"] == pytest.approx(agent.surface_cd38)
        for name in ("complement_inhibitors", "activity", "granzyme", "clone", "clonotype", "clone_name", "is_adherent", "is_reactive"):
            expected = getattr(agent, name, None)
            assert pd.isna(row[name]) if expected is None else row[name] == expected, name


def test_observe_is_the_engines():
    model = make()
    row = model.observe()
    assert row == model.simulation.observe()
    assert row["plasma_cells"] == len(model.agents_by_type[PlasmaCell]) and row["stroma_cells"] == len(model.agents_by_type[StromalCell])


@pytest.mark.skipif(not hasattr(mesa.Model, "observe"), reason="signals came with Mesa 3.5")
def test_observe_with_arguments_is_mesas():
    model, heard = make(), []

    def hear(signal):
        heard.append(signal)

    model.observe("time", "changed", hear)
    model.step()
    assert len(heard) > 0


# ---- births, deaths, moves and changes by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
def test_a_cell_made_by_hand_lives_in_the_marrow(agent_type):
    model = make()
    model.step()
    n, total = len(model.agents_by_type[agent_type]), len(model.agents)
    site = model.grid.select_random_empty_cell()
    agent = agent_type(model, cell=site, cd38=5e4)
    assert agent.alive and agent.cell is site and site.agents == [agent] and not site.is_empty and site.is_full and not site.empty
    assert agent in model.agents and len(model.agents_by_type[agent_type]) == n + 1 and len(model.agents) == total + 1
    assert agent.cd38 == 5e4 and agent.born == 6.0 * model.simulation.step and 0 < agent.unique_id < 2**62
    assert model.agents[-1] is agent, "born last"
    assert_consistent(model)
    with pytest.raises(InputError, match=f"is taken by a {agent_type.__name__}"):
        agent_type(model, cell=site)
    model.step()
    assert not agent.alive or model.grid[agent.pos].agents == [agent]


def test_defaults_of_cells_made_by_hand():
    model = make()
    plasma = PlasmaCell(model, clone=5)
    clones = marrow_of(model).clones
    assert plasma.clone_name == "imid_antibody"
    assert plasma.cd38 == np.float32(clones.cd38[5]) and plasma.complement_inhibitors == np.float32(clones.complement_inhibitors[5])
    t_cell = TCell(model, clonotype=120)
    assert (t_cell.activity, t_cell.granzyme, t_cell.is_reactive) == (1.0, 1.0, False) and TCell(model).is_reactive
    assert t_cell.cd38 == np.float32(marrow_of(model).traits.cd38[CellType.T])
    x, y = free_sites(model)[0]
    assert Treg(model, (x, y)).pos == (x, y)
    made = NKCell.create_agents(model, 3, granzyme=[0.1, 0.2, 0.3])
    assert [round(a.granzyme, 6) for a in made] == [0.1, 0.2, 0.3]
    assert_consistent(model)


def test_births_by_hand_have_identities_of_their_own():
    one, other = make(), make()
    assert TCell(one).unique_id == TCell(other).unique_id, "the same actions give the same run"
    cells = [TCell(one) for _ in range(5)]
    cells[0].remove()
    cells.append(TCell(one))
    again = TumourModel.from_simulation(one.simulation.fork(one.regimen, {}))
    ids = [a.unique_id for a in cells]
    assert len(set(ids)) == len(ids) and not cells[0].alive and all(a.alive for a in cells[1:])
    made = [TCell(again) for _ in range(3)]
    assert not {a.unique_id for a in made} & set(ids[1:])
    assert_consistent(again)


def test_what_cannot_be_made_changes_nothing():
    model = make()
    before = model.simulation.state_hash(), model.version
    taken = model.agents[0].pos
    for refused, message in (
        (lambda: TCell(model, cell=taken), "is taken"),
        (lambda: TCell(model, cell=(model.width, 0)), "there is no site"),
        (lambda: TCell(model, clone=3), "no attribute 'clone' can be given; did you mean 'clonotype'"),
        (lambda: TCell(model, surface_cd38=3), "no attribute"),
        (lambda: TCell(model, activity=1.5), "activity must be a number from 0 to 1"),
        (lambda: PlasmaCell(model, cd38=0.0), "cd38 must be a number above 0"),
        (lambda: PlasmaCell(model, clone=8), "from 0 to 7"),
        (lambda: PlasmaCell(model, cd38=float("nan")), "above 0"),
        (lambda: PlasmaCell(model, cd38="many"), "above 0"),
        (lambda: MarrowCell(model), "one of the types of cells"),
    ):
        with pytest.raises(InputError, match=message):
            refused()
    with pytest.raises(AttributeError, match="cannot be set"):
        model.agents[0].surface_cd38 = 1.0
    assert (model.simulation.state_hash(), model.version) == before


def test_removal_by_hand():
    model = make()
    body = marrow_of(model).body
    ledger, burden = body.ledger.copy(), body.burden.copy()
    cell = next(a for a in model.agents_by_type[PlasmaCell] if a.clone == 0)
    site = cell.cell
    cell.remove()
    assert not cell.alive and site.is_empty and site.empty and cell not in model.agents
    assert_consistent(model)
    assert (body.ledger == ledger).all()
    assert burden[0] - body.burden[0] == pytest.approx(marrow_of(model).host.burden_per_cell, rel=1e-9)
    for stromal in list(model.agents_by_type[StromalCell])[:40]:
        stromal.cell = None
    assert_consistent(model)
    site = model.agents_by_type[TCell][0].cell
    site.remove_agent(site.agents[0])
    model.deregister_agent(model.agents[0])
    model.agents_by_type[MDSC].do("remove")
    assert len(model.agents_by_type[MDSC]) == 0 == len(list(model.agents_by_type[MDSC]))
    assert_consistent(model)
    model.advance(24.0)
    model.remove_all_agents()
    assert len(model.agents) == 0 and list(model.agents) == [] and (marrow_of(model).cells.kind == 0).all()
    assert body.burden.sum() == pytest.approx(0.0, abs=burden.sum())


def test_moves_by_hand():
    model = make()
    agent = model.agents_by_type[StromalCell][0]
    columns = [agent.cd38, agent.born, agent.unique_id]
    old, new = agent.cell, model.grid.select_random_empty_cell()
    agent.cell = new
    assert agent.cell is new and old.is_empty and new.agents == [agent] and [agent.cd38, agent.born, agent.unique_id] == columns
    assert_consistent(model)
    agent.move_to(old)
    assert agent.cell is old
    x, y = free_sites(model)[-1]
    agent.pos = (x, y)
    assert agent.pos == (x, y) and model.agents_by_type[StromalCell][0] is agent
    free = next(d for d, c in agent.cell.connections.items() if c.is_empty) if any(c.is_empty for c in agent.cell.neighborhood) else None
    if free is not None:
        agent.move_relative(free)
        assert agent.pos == ((x + free[0]) % model.width, (y + free[1]) % model.height)
    agent.cell = agent.cell
    new.add_agent(agent)
    assert agent.cell is new
    with pytest.raises(InputError, match="is taken"):
        agent.cell = model.agents_by_type[TCell][0].cell
    assert_consistent(model)


def test_changing_the_clone_takes_the_burden_along():
    model = make()
    body, host = marrow_of(model).body, marrow_of(model).host
    cell = next(a for a in model.agents_by_type[PlasmaCell] if a.clone == 0)
    burden = body.burden.copy()
    cell.clone = 3
    assert cell.clone_name == "imid_proteasome"
    assert body.burden[3] - burden[3] == pytest.approx(host.burden_per_cell) == pytest.approx(burden[0] - body.burden[0], rel=1e-6)
    assert_consistent(model)


def test_what_is_done_by_hand_acts():
    model, twin = make(seed=6), make(seed=6)
    model.agents_by_type[PlasmaCell].select(at_most=0.5).do("remove")
    model.advance(14 * 24.0)
    twin.advance(14 * 24.0)
    assert model.simulation.m_protein < 0.9 * twin.simulation.m_protein
    assert len(model.agents_by_type[PlasmaCell]) < len(twin.agents_by_type[PlasmaCell])


# ---- the grid --------------------------------------------------------------------------------------------------------------


def test_the_grid_shows_the_lattice():
    model = make()
    model.advance(72.0)
    grid, marrow = model.grid, marrow_of(model)
    assert isinstance(grid, OrthogonalMooreGrid) and grid.torus and (grid.width, grid.height) == (SIDE + 8, SIDE)
    assert grid.agents is model.agents and len(list(grid)) == len(grid.all_cells) == grid.width * grid.height
    cells = list(grid.all_cells.agents)
    assert set(cells) == set(model.agents)
    model.step()
    assert set(grid.all_cells.agents) == set(model.agents), "also when it has been asked before"
    for (x, y), cell in ((c.coordinate, c) for c in grid):
        kind = marrow.cells.kind[y * grid.width + x]
        assert grid[x, y] is cell and cell.is_empty == cell.empty == (kind == 0)
        assert [a.type for a in cell.agents] == ([kind] if kind else []) and cell.kind == kind and len(cell._agents) == bool(kind)
    assert {c.coordinate for c in grid.empties} == set(free_sites(model))
    assert all(grid.select_random_empty_cell().is_empty for _ in range(20))
    for outside in ((grid.width, 0), (-1, 0), (0, grid.height)):
        with pytest.raises(KeyError):
            grid[outside]


def test_neighbours_are_those_of_the_engine():
    model = make()
    grid, lattice = model.grid, marrow_of(model).lattice
    for site in range(model.width * model.height):
        cell = grid[model.coordinate(site)]
        expected = [model.coordinate(neighbour(site, k, lattice)) for k in range(8)]
        assert [c.coordinate for c in cell.neighborhood] == [c.coordinate for c in cell.connections.values()] == expected
    corner = grid[0, 0]
    assert corner.connections[-1, -1] is grid[grid.width - 1, grid.height - 1]
    assert len(corner.get_neighborhood(2)) == 24 and len(corner.get_neighborhood(2, include_center=True)) == 25
    assert len(corner.get_neighborhood(20)) == grid.width * grid.height - 1
    assert set(corner.neighborhood.agents) == {a for c in corner.neighborhood for a in c.agents}
    assert grid.get_neighborhood_mask((0, 0)).sum() == 9
    with pytest.raises(ValueError, match="radius"):
        corner.get_neighborhood(0)


@pytest.mark.parametrize("name", ["adenosine", "il6", "chemokine"])
def test_fields_are_shown_without_copying(name):
    model = make()
    layer, field = getattr(model.grid, name), getattr(marrow_of(model).fields, name)
    assert layer.data.shape == layer.dimensions == (model.width, model.height)
    model.advance(7 * 24.0)
    assert np.shares_memory(layer.data, field) and getattr(marrow_of(model).fields, name) is field and field.flags.c_contiguous
    for x, y in ((0, 0), (5, 2), (model.width - 1, model.height - 1)):
        assert layer.data[x, y] == field[y * model.width + x] == getattr(model.grid[x, y], name)
    setattr(model.grid[5, 2], name, 7.0)
    assert field[2 * model.width + 5] == 7.0
    layer.set_cells(2.0)
    assert (field == 2.0).all()
    layer.modify_cells(np.multiply, 3.0)
    layer.data = layer.data + 1.0
    assert (field == 7.0).all() and np.shares_memory(layer.data, field)
    assert layer.aggregate(np.max) == 7.0 and np.asarray(layer).sum() == field.sum()


def test_layers_that_follow_from_the_cells_are_only_read():
    model = make()
    grid, marrow = model.grid, marrow_of(model)
    model.advance(72.0)
    assert np.array_equal(grid.empty.data, (marrow.cells.kind == 0).reshape(model.height, model.width).T)
    assert np.shares_memory(grid.kind.data, marrow.cells.kind) and np.shares_memory(grid.niche.data, marrow.lattice.niche)
    assert grid.kind.data[3, 4] == marrow.cells.kind[4 * model.width + 3] and grid.niche.data.dtype == bool
    for name in ("empty", "kind", "niche"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(grid, name).data[0, 0] = 0
    assert marrow.cells.kind.flags.writeable and marrow.lattice.niche.flags.writeable


def test_cells_can_be_selected_by_layers_and_layers_added():
    model = make()
    grid, field = model.grid, marrow_of(model).fields.adenosine
    chosen = grid.select_cells(conditions={"adenosine": lambda a: a > np.median(field)})
    assert len(chosen) == np.count_nonzero(field > np.median(field))
    assert all(grid[tuple(map(int, c))].adenosine > np.median(field) for c in chosen[:20])
    assert grid.select_cells(only_empty=True, return_list=False).sum() == len(free_sites(model))
    mine = grid.create_property_layer("oxygen", default_value=0.25, dtype=float)
    grid[3, 2].oxygen = 0.5
    assert mine.data[3, 2] == 0.5 and grid.oxygen.data.sum() == 0.25 * field.size + 0.25
    assert not hasattr(make().grid[3, 2], "oxygen"), "each grid has its own layers"
    grid.remove_property_layer("oxygen")
    assert not hasattr(grid[3, 2], "oxygen")


def test_a_full_lattice_has_no_free_site():
    model = make()
    for place in free_sites(model):
        Macrophage(model, place)
    with pytest.raises(IndexError):
        model.grid.select_random_empty_cell()
    assert len(model.grid.empties) == 0 and len(model.agents) == model.width * model.height
    assert_consistent(model)


# ---- collecting --------------------------------------------------------------------------------------------------------------


def test_the_data_collector_counts():
    model = make(regimen=EVERYDAY)
    rows = [model.observe()]
    for _ in range(4):
        model.step()
        rows.append(model.observe())
    model.advance(24.0)
    rows.append(model.observe())
    table = model.datacollector.get_model_vars_dataframe()
    assert table["day"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 2.0]
    for name in table.columns.drop("day"):
        assert table[name].tolist() == pytest.approx([row[name] for row in rows], rel=1e-6), name
    silent = make(collect=False)
    silent.step()
    assert silent.datacollector.model_vars["day"] == []


def test_agent_reporters_can_be_put_in():
    model = make()
    model.datacollector = DataCollector(
        model_reporters={"n": lambda m: len(m.agents)},
        agent_reporters={"cd38": "cd38", "type": lambda a: type(a).__name__},
        agenttype_reporters={TCell: {"granzyme": "granzyme"}, MarrowCell: {"cd38": "cd38"}},
    )
    model.step()
    model.step()
    agents = model.datacollector.get_agent_vars_dataframe()
    assert agents.index.nlevels == 2 and len(agents.xs(2, level=0)) == len(model.agents) == model.datacollector.model_vars["n"][-1]
    assert agents.xs(2, level=0)["cd38"].tolist() == model.agents.get("cd38")
    t_cells = model.datacollector.get_agenttype_vars_dataframe(TCell)
    assert t_cells.xs(2, level=0)["granzyme"].tolist() == model.agents_by_type[TCell].get("granzyme")
    assert len(model.datacollector.get_agenttype_vars_dataframe(MarrowCell).xs(2, level=0)) == len(model.agents)


def replicates(*seeds):
    """How this Mesa's batch_run is told to repeat: with seeds from 3.4 on, before that by a parameter of the model."""
    if "rng" in inspect.signature(mesa.batch_run).parameters:
        return {"rng": list(seeds)}, {}
    return {}, {"seed": list(seeds)}


def test_batch_run():
    options, given = replicates(1, 2)
    parameters = {"height": 16, "width": 16, "without": ["", "growth"], **given}
    rows = mesa.batch_run(TumourModel, parameters, max_steps=6, data_collection_period=1, display_progress=False, **options)
    table = pd.DataFrame(rows)
    assert table["RunId"].nunique() == 4 and table["seed"].nunique() == 2
    assert {"day", "plasma_cells", "m_protein_g_per_l"} <= set(table.columns)
    assert (table.groupby("RunId")["day"].max() >= 1.25).all()
    for (seed, without), run in table.groupby(["seed", "without"]):
        alone = TumourModel(height=16, width=16, without=without, seed=int(seed))
        for _ in range(len(run) - 1):
            alone.step()
        assert run["plasma_cells"].tolist() == alone.datacollector.model_vars["plasma_cells"][: len(run)]


def test_batch_run_of_replicates_differs():
    options = {"rng": [None, None, None]} if "rng" in inspect.signature(mesa.batch_run).parameters else {"iterations": 3}
    rows = mesa.batch_run(TumourModel, {"height": 16, "width": 16}, max_steps=2, display_progress=False, **options)
    assert len({row["m_protein_g_per_l"] for row in rows}) == 3


def test_batch_run_of_the_patients_of_a_study(small_icaria):
    parameters = {"scenario": small_icaria, "arm": ["isa-pd", "pd"], "patient": range(2)}
    rows = mesa.batch_run(TumourModel.from_scenario, parameters, max_steps=8, display_progress=False)
    table = pd.DataFrame(rows)
    assert sorted(zip(table["arm"], table["patient"], strict=True)) == [("isa-pd", 0), ("isa-pd", 1), ("pd", 0), ("pd", 1)]
    model = TumourModel.from_scenario(small_icaria, "pd", 1)
    while model.day < table["day"].max():
        model.step()
    last = table[(table["arm"] == "pd") & (table["patient"] == 1)].iloc[0]
    assert last["m_protein_g_per_l"] == model.simulation.m_protein


# ---- copies, memory, threads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
def test_a_copy_goes_its_own_way_and_the_same(twin_of):
    model = make(regimen="icaria/isa-pd")
    model.step()
    agent = model.agents[0]
    agent.note = "mine"
    layer = model.grid.create_property_layer("oxygen", default_value=0.25, dtype=float)
    layer.data[1, 2] = 9.0
    twin = twin_of(model)
    assert twin.simulation.state_hash() == model.simulation.state_hash() and twin.steps == 1
    same = twin.agents[0]
    assert same is not agent and same.model is twin and same.note == "mine" and same.unique_id == agent.unique_id
    assert twin.agents_by_type[PlasmaCell][0].model is twin and twin.grid.model is twin and twin.grid.agents is twin.agents
    assert twin.grid[1, 2].oxygen == 9.0 and twin.grid[1, 2].neighborhood.cells[0]._grid is twin.grid
    assert np.shares_memory(twin.grid.adenosine.data, marrow_of(twin).fields.adenosine)
    assert not np.shares_memory(twin.grid.adenosine.data, model.grid.adenosine.data)
    for each in (model, twin):
        each.step()
        each.advance(48.0)
    assert twin.simulation.state_hash() == model.simulation.state_hash() and twin.steps == model.steps == 10
    assert twin.datacollector.model_vars == model.datacollector.model_vars
    agent.remove()
    assert same.alive and not agent.alive
    if hasattr(model, "time"):
        assert twin.time == model.time


def test_an_agent_and_a_site_can_be_pickled():
    model = make()
    agent, cell = pickle.loads(pickle.dumps((model.agents[5], model.grid[3, 2])))
    assert agent.unique_id == model.agents[5].unique_id and agent.cd38 == model.agents[5].cd38
    assert cell.coordinate == (3, 2) and cell._grid.model is agent.model


def test_models_do_not_mix():
    one, other = make(3), make(4)
    mine, theirs = one.agents[0], other.agents[0]
    before = theirs.cd38
    mine.cd38 = 5.0
    assert theirs.cd38 == before and mine not in other.agents and mine not in other.agents_by_type[type(mine)]
    one.grid[0, 0].adenosine = 3.0
    assert other.grid[0, 0].adenosine != 3.0


def test_models_that_are_dropped_leave_memory():
    def used(model):
        list(model.agents)
        list(model.grid.all_cells.agents)
        _ = model.grid[3, 3].neighborhood, model.agents[0].cell.get_neighborhood(2)
        model.step()
        PlasmaCell(model)
        model.cells_frame()
        return weakref.ref(model), weakref.ref(model.simulation.marrow.cells.uid), weakref.ref(type(model.grid[0, 0]))

    refs = [used(make(seed, height=16, width=16)) for seed in range(30)]
    gc.collect()
    assert [r() for refs_of_one in refs for r in refs_of_one] == [None] * 90


def test_one_thread_steps_while_another_looks():
    model = make(collect=False)
    failures = []

    def run():
        try:
            for _ in range(60):
                model.step()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    looks = 0
    while thread.is_alive() or looks < 3:
        with model.lock:
            frame = model.cells_frame()
            assert len(frame) == len(model.agents) == len(list(model.agents)) == np.count_nonzero(model.grid.kind.data)
            assert all(a.alive for a in model.agents_by_type[TCell])
        looks += 1
    thread.join()
    assert failures == [] and model.steps == 60
    alone = make(collect=False)
    alone.advance(60 * 6.0)
    assert alone.simulation.state_hash() == model.simulation.state_hash()


# ---- rules in plain Python, and steps of one's own -------------------------------------------------------------------


class Hungry(TumourModel):
    """A model with a rule in its step: a plasma cell less every six hours."""

    def step(self):
        super().step()
        for cell in list(self.agents_by_type[PlasmaCell])[:1]:
            cell.remove()


def test_advance_makes_the_steps_of_a_model_that_has_its_own(small_icaria):
    one, other = (Hungry.from_scenario(small_icaria, patient=1) for _ in range(2))
    plain = TumourModel.from_scenario(small_icaria, patient=1, collect=False)
    for _ in range(40):
        one.step()
    other.advance(40 * 6.0)
    plain.advance(40 * 6.0)
    assert one.simulation.state_hash() == other.simulation.state_hash() != plain.simulation.state_hash()
    assert one.steps == other.steps == 40
    assert len(other.datacollector.get_model_vars_dataframe()) == 2 < len(one.datacollector.get_model_vars_dataframe())


def test_a_live_marrow_calls_rules_once_a_day(small_icaria):
    days = []

    def starve(model):
        days.append(model.day)
        next(iter(model.agents_by_type[PlasmaCell])).remove()

    one, other = (TumourModel.from_scenario(small_icaria, patient=1, rules=[starve]) for _ in range(2))
    for _ in range(18):
        one.step()
    assert days == [1.0, 2.0, 3.0, 4.0]
    other.advance(6.0)
    other.advance(17 * 6.0)
    assert days == [1.0, 2.0, 3.0, 4.0] * 2 and other.steps == 18
    assert one.simulation.state_hash() == other.simulation.state_hash()
    assert one.observe()["deaths_starve"] == 4
    by_hand = next(iter(one.agents_by_type[PlasmaCell]))
    by_hand.remove()
    assert one.observe()["deaths_starve"] == 4  # outside of a rule a cell that is taken out has no cause


def test_a_rule_that_takes_out_other_cells_is_in_no_column_of_deaths():
    """Columns of deaths count plasma cells, as the pages say."""

    def thin_nk(model):
        for cell in list(model.agents_by_type[NKCell])[:2]:
            cell.remove()
            gone.append(cell)

    gone = []
    model = make(rules=[thin_nk])
    model.advance(3 * 24.0)
    assert len(gone) == 6 and not any(cell.alive for cell in gone)
    seen = model.observe()
    assert seen["deaths_thin_nk"] == 0
    assert sum(n for name, n in seen.items() if name.startswith("deaths_")) == marrow_of(model).body.ledger[CellType.PLASMA].sum()


def test_the_constructor_takes_rules_as_a_study_does():
    def starve(model):
        next(iter(model.agents_by_type[PlasmaCell])).remove()

    alone, several = make(rules=starve), make(rules=[starve])
    for model in (alone, several):
        model.advance(48.0)
        assert model.observe()["deaths_starve"] == 2
    assert alone.simulation.state_hash() == several.simulation.state_hash()
    rows = mesa.batch_run(TumourModel, {"height": 16, "width": 16, "rng": 1, "rules": [starve]}, max_steps=8, display_progress=False)
    table = make(None, rng=1, height=16, width=16)
    table.advance(rows[-1]["day"] * 24.0)
    assert rows[-1]["plasma_cells"] != len(table.agents_by_type[PlasmaCell])
    with pytest.raises(InputError, match="rules are functions of the model, one or a list of them; got 3"):
        make(rules=3)


def test_a_rule_that_fails_is_told_with_its_line():
    def broken(model):
        return model.no_such_thing

    def greedy(model):
        NKCell(model, activity=3)

    def odd(model):
        model.cells_frame()["no column"]

    for rule, said in (
        (broken, "AttributeError: .*no_such_thing"),
        (greedy, r"activity must be a number from 0 to 1, got 3"),
        (odd, "KeyError: 'no column'"),
    ):
        model = make(rules=rule)
        before = model.random.getstate()
        line = rule.__code__.co_firstlineno + 1
        with pytest.raises(InputError, match=rf"^{re.escape(__file__)}, line {line}: rule '{rule.__name__}' failed on day 1: {said}"):
            model.advance(24.0)
        assert model.random.getstate() == before and model._cause is None


def test_sides_that_no_patch_has_are_told():
    for given, said in (
        ({"height": -3}, "a patch has sides of 8 to 8192 sites, not -3 x 64"),
        ({"width": 10**6}, "not 64 x 1000000"),
        ({"height": "tall"}, "height must be a whole number of sites, got 'tall'"),
        ({"width": 32.5}, "width must be a whole number of sites, got 32.5"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            TumourModel(**{"height": 64, "width": 64, "seed": 1, **given})
    assert make(height="16", width=24.0).simulation.state_hash() == make(height=16, width=24).simulation.state_hash()


def test_all_cells_as_a_table_are_as_declared(assert_as_declared):
    model = TumourModel(seed=1, collect=False)  # large enough for every type
    frame = model.cells_frame()
    assert_as_declared(frame, FRAME_HEADINGS)
    assert [heading.name for heading in FRAME_HEADINGS] == list(frame.columns) == list(frame.attrs["units"])
    assert frame.attrs["units"]["born_h"] == "h" and "(1)" in frame.attrs["meanings"]["clone"]
    for heading in FRAME_HEADINGS:  # what is said to be missing somewhere is, in all cells but those that are named
        assert frame[heading.name].isna().any() == bool(heading.missing), heading.name


def test_a_table_of_the_frame_can_be_documented_without_mesa():
    code = "import sys, tme_abm.mesa_model.frame; print('mesa' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
