"""Mechanisms from outside: loaded, checked, called by the step, counted, and never in the way of those that stand."""

import ast
import importlib.metadata
import os
import pickle
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tme_abm import mechanism_kit, mechanisms
from tme_abm.foundation import jit
from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import N_CAUSES, N_EVENTS, CellType
from tme_abm.marrow.state import Gauge
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.outside import loading, own
from tme_abm.mechanisms.outside.catalogue import PLAIN, BrokenMechanism
from tme_abm.mechanisms.outside.loading import load
from tme_abm.mechanisms.step import advance
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation

needs_compiler = pytest.mark.skipif(not jit.COMPILED, reason="kernels are interpreted")
ISA = Regimen("isa", "Isa", 28, (Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22)),))
PLASMA = CellType.PLASMA

HEAD = """
import math
from typing import Annotated, NamedTuple

from tme_abm.mechanism_kit import *


class Params(NamedTuple):
    rate: Annotated[float, Param("1/h", "death under the toxin", "this study: a test", "A")] = 0.004
"""

TOXIN = (
    HEAD
    + """
CAUSE = own_cause("toxin")
LEVEL = own_gauge("TOXIN_LEVEL", "1", "toxin in the marrow", rest=0.0, lasts=True)
PASSING = own_gauge("TOXIN_PEAK", "1", "toxin of this step", rest=0.25)
LUCK = own_stream("toxin")
PLASMA = int(CellType.PLASMA)


@part
def prepare(marrow, p, tick):
    gauge = marrow.body.gauge
    gauge[LEVEL] = 1.0 - (1.0 - gauge[LEVEL]) * math.exp(-0.01 * tick.dt)
    gauge[PASSING] = gauge[PASSING] + gauge[LEVEL]


@part
def ceiling(marrow, p, tick):
    marrow.body.ceiling[PLASMA] += p.rate


@part
def hazard(marrow, p, tick):
    key = stream_key(tick.key, LUCK, tick.step)
    for k in range(marrow.n_at_risk[1]):
        if marrow.at_risk.kind[k] == PLASMA:
            marrow.hazard[k, CAUSE] += p.rate * marrow.body.gauge[LEVEL] * uniform(key, marrow.at_risk.site[k])


TOXIN = Mechanism(
    name="toxin",
    Params=Params,
    label="Toxin",
    summary="A toxin kills plasma cells.",
    group=Group.NICHE,
    reads=("gauge.TOXIN_LEVEL", "gauge.TOXIN_PEAK"),
    writes=("gauge.TOXIN_LEVEL", "gauge.TOXIN_PEAK", "hazard.toxin"),
    phase=Phase.DRUGS,
    prepare=prepare,
    ceiling=ceiling,
    hazard=hazard,
    rest=("gauge.TOXIN_LEVEL",),
)
"""
)

BY_DRUG = (
    HEAD
    + """
CAUSE = own_cause("burst")
PLASMA = int(CellType.PLASMA)


@part
def ceiling(marrow, rows, tick):
    for i in range(rows.drug.size):
        marrow.body.ceiling[PLASMA] += rows.p.rate[i]


@part
def hazard(marrow, rows, tick):
    for i in range(rows.drug.size):
        for k in range(marrow.n_at_risk[1]):
            if marrow.at_risk.kind[k] == PLASMA:
                marrow.hazard[k, CAUSE] += rows.p.rate[i] * marrow.drugs.occupancy[rows.drug[i]]


ADD = Mechanism(
    "burst", Params, "Burst", "Coated cells burst.", Group.ANTIBODY, ("drugs.occupancy",), ("hazard.burst",),
    by_drug=True, ceiling=ceiling, hazard=hazard,
)
"""
)


@pytest.fixture
def file(tmp_path):
    """Writes a file and gives its path."""

    def write(text, name="toxin.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def settings(catalogue, **given):
    return Settings(32, 32, catalogue=catalogue, **given)


def run(catalogue, days=14, without=frozenset(), regimen=ISA, drugs=None, **given):
    start = Simulation(preset("typical"), settings(catalogue, **given), 7)
    arm = start.fork(regimen, drugs or {"isatuximab": load_drug("isatuximab")}, frozenset(without))
    arm.advance(4 * days)
    return arm


def deaths(arm, cause):
    return int(arm.marrow.body.ledger[PLASMA, arm.settings.catalogue.causes[cause]])


# ---- what it does, and what it leaves alone --------------------------------------------------------------------------


def test_its_deaths_stand_in_the_ledger_under_its_name(file):
    arm = run(load([file(TOXIN)]))
    assert deaths(arm, "toxin") > 10
    seen = arm.observe()
    assert seen["deaths_toxin"] == deaths(arm, "toxin")
    assert sum(value for name, value in seen.items() if name.startswith("deaths_")) == arm.marrow.body.ledger[PLASMA].sum()
    assert arm.marrow.body.clone_ledger.sum(axis=0)[N_EVENTS] == deaths(arm, "toxin")
    assert arm.marrow.body.ledger[:, N_CAUSES].sum() == 0  # the column of divisions


def test_nothing_that_stands_is_renumbered(file):
    plain = run(PLAIN)
    beside = run(load([file(TOXIN)]), without={"toxin"})
    for column, other in zip(plain.marrow.cells, beside.marrow.cells, strict=True):
        assert np.array_equal(column, other)
    assert np.array_equal(plain.marrow.body.gauge, beside.marrow.body.gauge[: len(Gauge)])
    assert np.array_equal(plain.marrow.body.ledger, beside.marrow.body.ledger[:, :N_CAUSES])
    assert plain.state_hash() != beside.state_hash()  # the other one has a gauge and a cause more
    assert run(PLAIN).state_hash() == plain.state_hash()


def test_gauges_of_its_own_last_or_not_as_they_say(file):
    gauge = run(load([file(TOXIN)]), days=7).marrow.body.gauge
    level, passing = gauge[len(Gauge)], gauge[len(Gauge) + 1]
    assert level == pytest.approx(1.0 - np.exp(-0.01 * 24 * 7))
    assert passing == pytest.approx(0.25 + level)


def test_what_is_off_goes_back_to_rest_and_comes_again(file):
    arm = run(load([file(TOXIN)]))
    before = deaths(arm, "toxin")
    arm.switch("toxin", False)
    arm.advance(20)
    assert arm.marrow.body.gauge[len(Gauge)] == 0.0
    assert deaths(arm, "toxin") == before
    arm.switch("toxin", True)
    arm.advance(40)
    assert deaths(arm, "toxin") > before


def test_a_kernel_can_run_instead_while_it_is_off(file):
    text = TOXIN.replace('rest=("gauge.TOXIN_LEVEL",)', 'rest={"prepare": fade}').replace(
        "TOXIN = Mechanism(", "@part\ndef fade(marrow, p, tick):\n    marrow.body.gauge[LEVEL] = 0.5\n\n\nTOXIN = Mechanism("
    )
    catalogue = load([file(text)])
    assert run(catalogue, days=1, without={"toxin"}).marrow.body.gauge[len(Gauge)] == 0.5
    assert run(catalogue, days=1).marrow.body.gauge[len(Gauge)] < 0.5


def test_parameters_of_a_study_reach_it(file):
    catalogue = load([file(TOXIN)])
    none = run(catalogue, parameters={"toxin": {"rate": {"value": 0.0}}})
    assert deaths(none, "toxin") == 0
    assert none.settings.origins()["toxin.rate"].value == 0.0
    assert deaths(run(catalogue, parameters={"toxin": {"rate": {"value": 0.02}}}), "toxin") > deaths(run(catalogue), "toxin") > 0


def test_copies_and_pickles_go_on_alike(file):
    arm = run(load([file(TOXIN)]), days=3)
    twins = [arm.copy(), pickle.loads(pickle.dumps(arm))]
    for one in (arm, *twins):
        one.advance(30)
    assert {one.state_hash() for one in twins} == {arm.state_hash()}
    assert deaths(arm, "toxin") > 0


def test_two_files_in_any_order_act_alike_and_share_no_number(file):
    one, other = file(TOXIN), file(TOXIN.replace("toxin", "venom").replace("TOXIN", "VENOM"), "venom.py")
    both = run(load([one, other]))
    assert deaths(both, "toxin") > 0 < deaths(both, "venom")
    assert run(load([other, one])).state_hash() == both.state_hash()
    assert both.settings.catalogue.causes["venom"] == both.settings.catalogue.causes["toxin"] + 1
    assert both.marrow.body.gauge.size == len(Gauge) + 4
    lone = run(load([other]))  # alone it has the numbers that the other one has otherwise
    assert lone.settings.catalogue.causes["venom"] == N_EVENTS
    assert deaths(lone, "venom") > 0


def test_who_reads_what_another_writes_comes_after_it(file):
    writer = TOXIN.replace("toxin", "zeta")
    reader = TOXIN.replace("toxin", "alpha").replace("TOXIN_LEVEL", "ALPHA_LEVEL").replace("TOXIN_PEAK", "ALPHA_PEAK")
    reader = reader.replace('reads=("gauge.ALPHA_LEVEL",', 'reads=("gauge.ALPHA_LEVEL", "gauge.REVIVAL",')
    reader = reader.replace("gauge[PASSING] + gauge[LEVEL]", "gauge[PASSING] + gauge[LEVEL] + gauge[Gauge.REVIVAL]")
    writer = writer.replace('"hazard.zeta")', '"gauge.REVIVAL", "hazard.zeta")').replace(
        "    gauge[PASSING]", "    gauge[Gauge.REVIVAL] = 0.125\n    gauge[PASSING]"
    )
    catalogue = load([file(reader, "alpha.py"), file(writer, "zeta.py")])
    assert [o.mechanism.name for o in catalogue.outside] == ["zeta", "alpha"]
    arm = run(catalogue, days=1)
    level, peak = arm.marrow.body.gauge[len(Gauge) : len(Gauge) + 2]
    assert peak == pytest.approx(0.25 + level + 0.125)


@needs_compiler
def test_the_step_is_not_compiled_anew(file):
    run(PLAIN, days=1)
    before = len(advance.signatures)
    run(load([file(TOXIN)]), days=1)
    assert len(advance.signatures) == before == 1


@needs_compiler
def test_the_interpreted_twin_decides_alike(file, tmp_path):
    path = file(TOXIN)
    code = f"""
        from tme_abm.mechanisms.outside.loading import load
        from tme_abm.patients.presets import preset
        from tme_abm.simulation.settings import Settings
        from tme_abm.simulation.simulation import Simulation
        one = Simulation(preset("typical"), Settings(16, 16, catalogue=load([{str(path)!r}])), 7)
        one.advance(24)
        print(one.marrow.body.ledger.tolist(), one.marrow.cells.uid.tolist())
    """
    interpreted = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    one = Simulation(preset("typical"), Settings(16, 16, catalogue=load([path])), 7)
    one.advance(24)
    assert one.observe()["deaths_toxin"] > 0
    assert interpreted.stdout == f"{one.marrow.body.ledger.tolist()} {one.marrow.cells.uid.tolist()}\n"


def test_what_it_raises_is_not_lost(file):
    text = TOXIN.replace("    gauge[PASSING]", '    if tick.step == 9:\n        raise ValueError("no toxin left")\n    gauge[PASSING]')
    with pytest.raises(ValueError, match="no toxin left"):
        run(load([file(text)]))


# ---- studies ---------------------------------------------------------------------------------------------------------


def test_two_studies_of_a_process_may_differ(file):
    one, other = load_scenario("icaria", mechanisms=[file(TOXIN)]), load_scenario("icaria")
    assert "toxin" in one.settings.catalogue.by_name
    assert "toxin" not in other.settings.catalogue.by_name
    assert other.settings.catalogue is PLAIN
    assert [m.name for m in PLAIN.mechanisms] == [m.name for m in MECHANISMS]


def test_a_scenario_names_it_but_never_brings_it(file, tmp_path):
    given = ["without=['toxin']", "parameters.toxin.rate=0.01"]
    study = load_scenario("icaria", given, mechanisms=[file(TOXIN)])
    assert study.settings.without == {"toxin"}
    assert study.settings.origins()["toxin.rate"].value == 0.01
    for one in given:
        with pytest.raises(InputError, match=r"toxin.*\(one from a file of your own comes with --mechanism FILE\)"):
            load_scenario("icaria", [one])
    with pytest.raises(InputError, match="mechanisms"):
        load_scenario("icaria", [f"mechanisms=['{file(TOXIN)}']"])


def test_a_study_gives_a_drug_its_coefficients(file, tmp_path):
    path = file(BY_DRUG, "burst.py")
    study = load_scenario("icaria", ["drugs.isatuximab.burst.rate=0.02"], mechanisms=[path])
    assert study.drugs["isatuximab"].effects["burst"].params.rate == 0.02
    arm = run(study.settings.catalogue, drugs=study.drugs)
    assert deaths(arm, "burst") > 10
    assert deaths(run(load([path])), "burst") == 0  # no drug of the package acts by it
    with pytest.raises(InputError, match="'burst' is no mechanism of a drug"):
        load_scenario("icaria", ["drugs.isatuximab.burst.rate=0.02"])


def test_a_drug_of_the_user_may_name_it(file, tmp_path):
    folder = tmp_path / "drugs"
    folder.mkdir()
    text = (load_drug("isatuximab").file).read_text(encoding="utf-8")
    (folder / "isatuximab.toml").write_text(text + "\n[mechanisms.burst]\nrate = { value = 0.03 }\n", encoding="utf-8")
    given = [f"drugs.folder={str(folder)!r}"]
    study = load_scenario("icaria", given, mechanisms=[file(BY_DRUG, "burst.py")])
    assert study.drugs["isatuximab"].effects["burst"].params.rate == 0.03
    with pytest.raises(InputError, match="burst"):
        load_scenario("icaria", given)


def test_a_study_with_one_reaches_another_process(file):
    study = load_scenario("icaria", mechanisms=[file(TOXIN)])
    again = pickle.loads(pickle.dumps(study))
    assert again.settings.catalogue.describe() == study.settings.catalogue.describe() != []
    assert run(again.settings.catalogue).state_hash() == run(study.settings.catalogue).state_hash()


def test_from_python_the_mechanism_itself_will_do(file, monkeypatch):
    monkeypatch.syspath_prepend(file(TOXIN, "toxin_of_mine.py").parent)
    import toxin_of_mine

    study = load_scenario("icaria", mechanisms=[toxin_of_mine.TOXIN])
    assert deaths(run(study.settings.catalogue), "toxin") > 0


def test_an_installed_package_brings_them_by_name(file, monkeypatch, tmp_path):
    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "numbers.py").write_text("SHARE = 0.5\n")
    (package / "toxic.py").write_text("from .numbers import SHARE\n" + TOXIN)
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("toxin", "package_of_mine.toxic", loading.GROUP)
    monkeypatch.setattr(loading, "entry_points", lambda group: [point])
    catalogue = load(["toxin"])
    assert deaths(run(catalogue), "toxin") > 0
    (package / "numbers.py").write_text("SHARE = 0.75\n")
    assert load(["toxin"]).files[0].digest != catalogue.files[0].digest
    with pytest.raises(InputError, match="did you mean 'toxin'"):
        load(["toxim"])


VENOM = re.sub(r"\b(CAUSE|LEVEL|PASSING|LUCK)\b", r"OTHER_\1", TOXIN[len(HEAD) :]).replace("toxin", "venom").replace("TOXIN", "VENOM")
TWO = TOXIN + VENOM


def test_two_mechanisms_of_one_file_are_two_however_they_are_given(file, monkeypatch):
    path = file(TWO, "two_of_mine.py")
    monkeypatch.syspath_prepend(path.parent)
    import two_of_mine

    whole = load([path])
    both = load([two_of_mine.TOXIN, two_of_mine.VENOM])
    assert [o.mechanism.name for o in both.outside] == [o.mechanism.name for o in whole.outside] == ["toxin", "venom"]
    assert both.own == whole.own
    assert [o.mechanism.name for o in load([two_of_mine.VENOM]).outside] == ["venom"]
    assert [o.mechanism.name for o in load([path, two_of_mine.VENOM]).outside] == ["toxin", "venom"]
    behind = load([file(TOXIN.replace("toxin", "acid").replace("TOXIN", "ACID"), "acid.py"), two_of_mine.VENOM, two_of_mine.TOXIN])
    assert list(behind.causes.values())[-3:] == [N_EVENTS, N_EVENTS + 1, N_EVENTS + 2]
    assert [o.mechanism.name for o in pickle.loads(pickle.dumps(behind)).outside] == ["acid", "toxin", "venom"]


def test_an_entry_point_brings_what_it_names(file, monkeypatch):
    monkeypatch.syspath_prepend(file(TWO, "two_by_name.py").parent)
    points = [importlib.metadata.EntryPoint(f"a_{n}", f"two_by_name:{n.upper()}", loading.GROUP) for n in ("toxin", "venom", "acid")]
    monkeypatch.setattr(loading, "entry_points", lambda group: points)
    assert [o.mechanism.name for o in load(["a_venom"]).outside] == ["venom"]
    assert [o.mechanism.name for o in load(["a_venom", "a_toxin"]).outside] == ["toxin", "venom"]
    with pytest.raises(InputError, match="no Mechanism in this file is called 'ACID'"):
        load(["a_acid"])


def test_a_file_is_read_once(file, monkeypatch):
    one, other = file(TOXIN), file(TOXIN.replace("toxin", "venom").replace("TOXIN", "VENOM"), "venom.py")
    read, times = loading.read_text, []
    monkeypatch.setattr(loading, "read_text", lambda wish: times.append(wish.path) or read(wish))
    load([one, other])
    assert times == [one, other]


def test_a_file_that_has_changed_is_not_what_a_study_has_taken(file):
    path = file(TOXIN)
    taken = load([path])
    path.write_text(TOXIN + "\n# another\n", encoding="utf-8")
    with pytest.raises(BrokenMechanism, match=r"toxin\.py: the file has changed since this study took it"):
        load(taken.given)
    load([path])


def test_another_process_takes_what_the_study_took_whatever_stands_in_the_same_place_there(file, tmp_path, monkeypatch):
    """As an older copy of the file on a node."""
    monkeypatch.setattr(loading, "temporary", lambda: tmp_path / "temporary")
    path = file(TOXIN)
    here = load([path])
    sent = pickle.dumps(here)
    assert pickle.loads(sent).files[0].path == path.resolve()
    path.write_text("# an older one\n", encoding="utf-8")
    there = pickle.loads(sent)
    assert there.describe() == here.describe() and there.files[0].text == TOXIN
    assert path.read_text(encoding="utf-8") == "# an older one\n"


def test_a_file_that_another_machine_has_not_got_travels_along(file, tmp_path, monkeypatch):
    path, place = file(TOXIN), tmp_path / "temporary"
    monkeypatch.setattr(loading, "temporary", lambda: place)
    here = load([path])
    sent = pickle.dumps(here)
    path.unlink()
    there = pickle.loads(sent)
    assert there.describe() == here.describe() != []
    (copy,) = place.rglob("*.py")
    assert copy.read_text(encoding="utf-8") == TOXIN and there.files[0].path == copy.resolve()
    assert run(there).state_hash() == run(here).state_hash()
    place.chmod(0o777)  # where anybody could put another file
    with pytest.raises(InputError, match=r"toxin\.py: the file is not on this machine as it was taken, and cannot be written to"):
        pickle.loads(sent)


def test_no_two_files_share_a_stream_of_chance(file):
    other = TOXIN.replace("toxin", "venom").replace("TOXIN", "VENOM").replace('own_stream("venom")', 'own_stream("toxin")')
    with pytest.raises(InputError, match=r"venom\.py: the stream of chance 'toxin' is taken by .*toxin\.py"):
        load([file(TOXIN), file(other, "venom.py")])


def test_it_keeps_to_the_order_of_the_step(file):
    early = TOXIN.replace("    gauge[PASSING] = ", "    gauge[LEVEL] += 0.0 * marrow.contacts.nk[0]\n    gauge[PASSING] = ")
    early = early.replace('reads=("gauge.TOXIN_LEVEL",', 'reads=("contacts.nk", "gauge.TOXIN_LEVEL",')
    with pytest.raises(InputError, match=rf"toxin\.py, line {line(early, 'TOXIN = Mech')}: mechanism 'toxin' reads contacts.nk before"):
        load([file(early)])
    late = early.replace("phase=Phase.DRUGS", "phase=Phase.ARRIVAL")
    assert load([file(late)]).outside


HALVES = ("lower_half", "lower_until")  # of a draw, by which T cells that touch nobody walk; two chances out of one, no tool for others


def test_the_kit_holds_what_mechanisms_of_the_package_use():
    known = {}
    for path in Path(mechanisms.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module in ("tme_abm.foundation.response", "tme_abm.foundation.rng"):
                known |= {alias.name: path.name for alias in node.names if alias.name not in ("Stream", *HALVES)}
    assert known and {name: where for name, where in known.items() if name not in mechanism_kit.__all__} == {}
    assert "neighbourhood_sum" in mechanism_kit.__all__
    assert all(hasattr(mechanism_kit, name) for name in mechanism_kit.__all__)


def test_the_guide_points_to_a_mechanism_that_loops_over_drugs():
    guide = (Path(__file__).parents[2] / "docs" / "mechanism_of_your_own.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"`rows.p`, as in `tme_abm/mechanisms/(\w+\.py)`", guide)
    text = (Path(mechanisms.__file__).parent / named).read_text(encoding="utf-8")
    assert "rows.drug" in text and "rows.p" in text


def test_a_mechanism_is_one_file(file, monkeypatch):
    beside = file("RATE = 0.5\n", "beside_of_mine.py")
    monkeypatch.syspath_prepend(beside.parent)
    for given in ("import beside_of_mine", "from beside_of_mine import RATE"):
        text = f"import numpy, json\n{given}\n" + TOXIN
        with pytest.raises(InputError, match=r"toxin\.py, line 2: imports 'beside_of_mine'.*a mechanism is one file"):
            load([file(text)])
    assert load([file("import numpy, json, tme_abm\n" + TOXIN)]).outside


def test_copies_of_two_files_of_one_name_stand_side_by_side(file, tmp_path):
    texts = [TOXIN, TOXIN.replace("toxin", "venom").replace("TOXIN", "VENOM"), TOXIN.replace("toxin", "acid").replace("TOXIN", "ACID")]
    paths = []
    for place, text in zip(("one", "Other/one", "third/rule_one"), texts, strict=True):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        paths.append(file(text, f"{place}.py"))

    def one(model):
        """A rule of that name too."""

    catalogue = load(paths, [one])
    copies = catalogue.copies()
    assert {"mechanisms/one.py", "mechanisms/one_2.py", "mechanisms/mechanism_rule_one.py", "mechanisms/rule_one.py"} == set(copies)
    told = {row["name"]: copies[row["file"]].decode() for row in catalogue.describe()}
    assert told == dict(zip(("toxin", "venom", "acid"), texts, strict=True))


def test_a_rule_is_what_its_whole_file_says(file):
    digests, texts = [], []
    for n in (1, 2):
        path = file(f"N = {n}\n\n\ndef give(model):\n    return N\n", "rule_of_mine.py")
        scope = {"__name__": "rule_of_mine"}
        exec(compile(path.read_text(), str(path), "exec"), scope)
        (rule,) = PLAIN.with_rules([scope["give"]]).rules
        digests.append(rule.digest)
        texts.append(rule.text)
    assert digests[0] != digests[1]
    copy = {}
    exec(texts[1], copy)
    assert copy["give"](None) == 2


# ---- bad files -------------------------------------------------------------------------------------------------------


def line(text, words):
    return 1 + text[: text.index(words)].count("\n")


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("TOXIN = Mechanism(", "HIDDEN = dict(", None, r"line 1: no Mechanism in this file"),
        ('name="toxin"', 'name="adcc"', "TOXIN = Mechanism(", "the name 'adcc' is taken"),
        ('name="toxin"', 'name="Toxin"', "TOXIN = Mechanism(", "'Toxin' is no name of a mechanism"),
        ("import math", "import maths", "import maths", "ModuleNotFoundError: No module named 'maths'"),
        ("@part\ndef hazard", "@part\ndef hazard(", "def hazard", "invalid syntax|parenthesized|was never closed|expected"),
        ("    phase=Phase.DRUGS,\n", "", "TOXIN = Mechanism(", "no phase in which it prepares"),
        ("    ceiling=ceiling,\n", "", "TOXIN = Mechanism(", "needs both hazard and ceiling"),
        ("    label=\"Toxin\",\n", "", "TOXIN = Mechanism(", "label"),
        ('"gauge.TOXIN_PEAK"),\n    writes', '"gauge.TOXIC_PEAK"),\n    writes', "TOXIN = Mechanism(",
         "did you mean 'gauge.TOXIN_PEAK'"),
        ('("gauge.TOXIN_LEVEL", "gauge.TOXIN_PEAK", "hazard.toxin")', '("gauge.TOXIN_LEVEL", "gauge.TOXIN_PEAK")',
         "marrow.hazard[k, CAUSE] +=", "(reads|writes) hazard.toxin, which it does not declare"),
        ("    gauge[PASSING] = ", "    gauge[LEVEL] += marrow.fields.adenosine[0]\n    gauge[PASSING] = ",
         "gauge[LEVEL] +=", "reads fields.adenosine, which it does not declare"),
        ("    gauge[PASSING] = ", "    gauge[PASSING] = len([str(tick.dt)]) * 0.0 + ", "def prepare",
         "does not compile: it makes an array"),
        ("marrow.body.ceiling[PLASMA] += p.rate", "marrow.body.ceilings[PLASMA] += p.rate", "marrow.body.ceilings", "ceilings"),
        ("marrow.body.ceiling[PLASMA] += p.rate", "return 3.0", "def ceiling", "it returns float64"),
        ("@part\ndef hazard", "def hazard", "TOXIN = Mechanism(", "put @part above"),
        ('rate: Annotated[float, Param("1/h", "death under the toxin", "this study: a test", "A")] = 0.004', "rate: float = 0.004",
         "TOXIN = Mechanism(", "the parameter 'rate' of 'toxin' has no Param"),
        ('own_cause("toxin")', 'own_cause("adcc")', "own_cause(", "'adcc' is no name for a cause of death"),
        ('own_gauge("TOXIN_LEVEL"', 'own_gauge("REVIVAL"', "own_gauge(", "'REVIVAL' is no name for a gauge"),
        ('own_cause("toxin")', 'own_cause("Toxin")', "own_cause(", "'Toxin' has capitals"),
        ('"this study: a test", "A"', '"this study: a test", "Z"', "TOXIN = Mechanism(", "'rate' of 'toxin': unknown grade 'Z'"),
        ('"this study: a test"', '"morreno2019"', "TOXIN = Mechanism(", "unknown source 'morreno2019'; did you mean 'moreno2019'"),
        ('"A")] = 0.004', '"A", high=0.001)] = 0.004', "TOXIN = Mechanism(", "the default 0.004 .1/h. is outside of 0 to 0.001"),
        ("marrow.body.ceiling[PLASMA] +=", "marrow.body.ceiling[int(CellType.STROMA)] +=", "def ceiling",
         "raises the ceiling of STROMA, a stromal type"),
        ('own_stream("toxin")', 'own_stream("walk")', "own_stream(", "'walk' is no name for a stream"),
        ("Phase.DRUGS", "Phase.MOVE", "phase=Phase", "Phase has no MOVE; did you mean 'MOTION'"),
        ("marrow.at_risk.kind[k] == PLASMA", "marrow.at_risk.kind[k] == CellType.PLASM", "marrow.at_risk.kind[k]",
         "CellType has no PLASM; did you mean 'PLASMA'"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line_with_its_place(file, old, new, at, said):
    assert old in TOXIN
    text = TOXIN.replace(old, new)
    with pytest.raises(InputError, match=said) as caught:
        load([file(text)])
    message = str(caught.value)
    assert "\n" not in message
    where = re.match(r".*toxin\.py, line (\d+): ", message)
    assert where, message
    if at is not None:
        assert int(where[1]) == line(text, at), message


def test_what_is_no_python_is_refused(tmp_path):
    (tmp_path / "notes.toml").write_text("x = 1\n")
    with pytest.raises(InputError, match=r"notes\.toml: not a Python file; its name ends in \.py"):
        load([tmp_path / "notes.toml"])
    (tmp_path / "null.py").write_bytes(b"x = 1\x00\n")
    with pytest.raises(InputError, match=r"null\.py, line 1: .*null bytes"):
        load([tmp_path / "null.py"])


def test_there_must_be_such_a_file(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        load([tmp_path / "nothing.py"])
    with pytest.raises(InputError, match="neither a file nor an installed mechanism"):
        load(["nothing"])


def test_no_two_have_the_same_name(file):
    with pytest.raises(InputError, match=r"other\.py, line \d+: the name 'toxin' is taken by .*toxin\.py, line \d+"):
        load([file(TOXIN), file(TOXIN, "other.py")])
    with pytest.raises(InputError, match="the cause of death 'toxin' is taken by"):
        load([file(TOXIN), file(TOXIN.replace('name="toxin"', 'name="venom"'), "other.py")])


@pytest.mark.parametrize("factor", ["2.0", "math.nan"])
def test_a_hazard_above_its_ceiling_is_told_with_its_place(file, factor):
    text = TOXIN.replace("p.rate * marrow.body.gauge[LEVEL] * uniform", f"{factor} * p.rate * uniform")
    text = text.replace('reads=("gauge.TOXIN_LEVEL", ', 'reads=("gauge.TOXIN_LEVEL", ')
    with pytest.raises(BrokenMechanism, match=rf"toxin\.py, line {line(text, 'def hazard')}: hazard of 'toxin' is higher"):
        run(load([file(text)]))


def test_it_may_raise_the_hazard_of_another_within_its_ceiling(file):
    text = TOXIN.replace("marrow.hazard[k, CAUSE] += p.rate * marrow.body.gauge[LEVEL] * uniform(key, marrow.at_risk.site[k])",
                         "marrow.hazard[k, Cause.T_CELL] *= 6.0")  # fmt: skip
    text = text.replace("marrow.body.ceiling[PLASMA] += p.rate", "marrow.body.contact_ceiling[Effector.T_CELL] *= 6.0")
    text = text.replace('"hazard.toxin")', '"hazard.T_CELL")')
    catalogue = load([file(text)])
    plain, raised = (deaths(run(catalogue, days=42, without=out), "t_cell") for out in ({"toxin"}, ()))
    assert raised > plain > 0


# ---- digests ---------------------------------------------------------------------------------------------------------


@needs_compiler
def test_an_edited_file_is_compiled_anew(file, monkeypatch, tmp_path):
    monkeypatch.setattr(jit, "CACHE_FOLDER", str(tmp_path / "cache"))
    path = file(TOXIN)
    first = load([path])
    folders = {folder.name for folder in (tmp_path / "cache").iterdir()}
    assert folders == {f"outside-{first.files[0].digest}-0-0"}
    path.write_text(TOXIN.replace("p.rate * marrow.body.gauge[LEVEL]", "0.0 * marrow.body.gauge[LEVEL]"), encoding="utf-8")
    second = load([path])
    assert second.files[0].digest != first.files[0].digest
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert deaths(run(first), "toxin") > 0 == deaths(run(second), "toxin")


def test_streams_of_its_own_come_behind_all_others():
    with own.handing_out(0, 0):
        assert own.own_stream("toxin") > own.FIRST_STREAM > max(own.Stream)
        assert own.own_stream("toxin") != own.own_stream("venom")
        assert [own.own_cause("toxin"), own.own_cause("venom"), own.own_cause("toxin")] == [N_EVENTS, N_EVENTS + 1, N_EVENTS]


def test_a_catalogue_can_be_changed_for_another(file):
    with_toxin = load([file(TOXIN)])
    plain = replace(settings(with_toxin), catalogue=PLAIN)
    assert "toxin" not in plain.fill()
    with pytest.raises(InputError, match="unknown mechanism 'toxin'"):
        replace(settings(with_toxin, without=frozenset({"toxin"})), catalogue=PLAIN)
