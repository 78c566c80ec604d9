"""Scenario files: what they may say, what is said where they are wrong, and what a study is made of."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tme_abm.forms import DURATIONS, parse_cycles, parse_duration
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.patients.population import provenance
from tme_abm.pharmacology.body import Body
from tme_abm.scenario import reading
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import read, scenarios
from tme_abm.trial import form, published
from tme_abm.trial.provenance import describe_run

BUNDLED = (
    "combinations",
    "daratumumab_swap",
    "elotuzumab",
    "elotuzumab_monotherapy",
    "endeavor",
    "icaria",
    "ikema",
    "isatuximab_by_dose",
    "isatuximab_monotherapy",
    "mm002",
    "mm003",
    "newly_diagnosed_induction",
    "untreated",
)

MINIMAL = """\
title = "A study"
summary = "What it asks."
population = "icaria"
patients = 4
seed = 1

[marrow]
shape = [16, 16]
step = "6 h"

[trial]
compare = [["isa-d", "d"]]
follow_up = ["3 month", "6 month"]

[arms.isa-d]
label = "Isa-d"
doses = [
    { drug = "isatuximab", dose = "10 mg/kg", days = [1, 15] },
    { drug = "dexamethasone", dose = "40 mg", elderly_dose = "20 mg", days = "1, 8" },
]

[arms.d]
label = "d"
doses = [{ drug = "dexamethasone", dose = "40 mg", days = [1, 8], cycles = "1-2" }]

[[published]]
arm = "d"
endpoint = "orr"
value = 10.0
unit = "percent"
source = "attal2019"
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write MINIMAL with some texts replaced, as study.toml in the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(*changes, name="study.toml"):
        text = MINIMAL
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        Path(name).write_text(text, encoding="utf-8")
        return name

    return write


def body(age=60.0, weight_kg=80.0):
    return Body(age, weight_kg, 1.9, False, 40.0, 3.5, 90.0, True, 20.0)


# ---- what comes with the package -------------------------------------------------------------------------------------


def test_the_bundled_trials_are_these():
    assert tuple(scenarios("trial")) == BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_scenario_loads(name):
    study = load_scenario(name)
    assert study.name == name
    assert study.patients == {"endeavor": 300, "icaria": 307, "ikema": 302, "untreated": 100, "elotuzumab_monotherapy": 100}.get(name, 200)
    assert set(study.drugs) == {dose.drug for arm in study.arms for dose in arm.doses}
    assert study.design == "paired"


@pytest.mark.parametrize("name", BUNDLED)
def test_arms_differ_in_nothing_but_their_regimen(name):
    study = load_scenario(name)
    arms = study.resolved["arms"]
    for arm in arms.values():
        assert set(arm) <= {"label", "cycle", "doses", "stop"}
        for line in arm["doses"]:
            assert set(line) <= {"drug", "dose", "days", "cycles", "elderly_dose"}
    names = {*arms, *(arm["label"].lower() for arm in arms.values()), name} - {study.resolved["population"]}

    def words(node):
        if isinstance(node, dict):
            for key, value in node.items():
                yield key
                yield from words(value)
        elif isinstance(node, list | tuple | set | frozenset):
            for value in node:
                yield from words(value)
        elif isinstance(node, str):
            yield node

    rest = {key: value for key, value in study.resolved.items() if key not in ("arms", "published", "title", "summary", "population")}
    rest["trial"] = {key: value for key, value in rest["trial"].items() if key != "compare"}
    assert not {word.lower() for word in words(rest)} & names
    inside = [study.settings.parameters, study.settings.without, study.settings.origins()]
    inside += [[drug.effects, drug.origins()] for drug in study.drugs.values()]
    inside += [tuple(row) for row in provenance(study.population)]
    assert sum(1 for _ in words(inside)) > 500  # numbers and their origins are walked, not only names
    assert not {word.lower() for word in words(inside)} & names


@pytest.mark.parametrize("name", BUNDLED)
def test_a_resolved_scenario_reads_back_the_same(name, tmp_path):
    study = load_scenario(name)
    path = tmp_path / f"{name}.toml"
    path.write_text(to_toml(study.resolved), encoding="utf-8")
    again = load_scenario(path)
    assert again.resolved == load_scenario(study.resolved).resolved == study.resolved
    assert again.arms == study.arms
    assert again.settings == study.settings
    assert describe_run(again)["parameters"] == describe_run(study)["parameters"]


@pytest.mark.parametrize("name", BUNDLED)
def test_published_figures_can_stand_beside_simulated_ones(name):
    import pandas as pd

    study = load_scenario(name)
    arms, n = [arm.key for arm in study.arms], 40
    chance = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "patient": np.tile(np.arange(n), len(arms)),
            "arm": np.repeat(arms, n),
            "pfs_days": chance.uniform(30.0, 600.0, n * len(arms)),
            "pfs_event": True,
            "best_response": "PR",
            "best_response_after_mass_spectrometry": "PR",
            "time_to_response_days": 28.0,
            "responder": True,
            "mrd_negative": False,
            "age": np.tile(np.linspace(50.0, 85.0, n), len(arms)),
            "egfr": np.tile(np.linspace(40.0, 90.0, n), len(arms)),
            "high_risk": np.tile(np.arange(n) % 3 == 0, len(arms)),
            "len_refractory": np.tile(np.arange(n) % 2 == 0, len(arms)),
        }
    )
    beside = published.compare_published(study.published, table, study.design, study.ci_level)
    assert len(beside) == len(study.published)
    assert beside["simulated"].notna().all()


def test_icaria_gives_the_doses_of_the_trial():
    isa, pd = load_scenario("icaria").arms
    calendar = isa.calendar(body(), 56.0)
    given = {drug: calendar.start_h[calendar.drug == i] / 24.0 + 1.0 for i, drug in enumerate(isa.drugs)}
    assert given["isatuximab"].tolist() == [1, 8, 15, 22, 29, 43]
    assert given["pomalidomide"].tolist() == [*range(1, 22), *range(29, 50)]
    assert given["dexamethasone"].tolist() == [1, 8, 15, 22, 29, 36, 43, 50]
    assert set(calendar.amount_mg[calendar.drug == 0]) == {800.0}
    assert set(isa.calendar(body(age=75.0), 28.0).amount_mg[isa.calendar(body(), 28.0).drug == 2]) == {20.0}
    assert pd.doses == isa.doses[2:]


def test_ikema_gives_the_doses_of_the_trial():
    isa, kd = load_scenario("ikema").arms
    calendar = isa.calendar(body(), 56.0)
    carfilzomib = calendar.drug == isa.drugs.index("carfilzomib")
    days = (calendar.start_h[carfilzomib] / 24.0 + 1.0).tolist()
    assert days == [1, 2, 8, 9, 15, 16, 29, 30, 36, 37, 43, 44]
    assert np.allclose(calendar.amount_mg[carfilzomib] / 1.9, [20, 20, *[56] * 10])
    assert load_scenario("ikema").allocation == (3, 2)
    assert kd.doses == isa.doses[2:]


def test_induction_lasts_eighteen_weeks():
    study = load_scenario("newly_diagnosed_induction")
    for arm in study.arms:
        calendar = arm.calendar(body(), 400.0)
        assert calendar.start_h.max() / 24.0 < 126.0
        bortezomib = calendar.drug == arm.drugs.index("bortezomib")
        assert bortezomib.sum() == 3 * 8
    isa = study.arms[0]
    assert (isa.calendar(body(), 400.0).drug == 0).sum() == 5 + 3 + 3
    assert study.follow_up.longest_days == 126.0
    assert 126.0 % study.visit_days == 0.0


def test_daratumumab_is_given_weekly_then_every_second_then_every_fourth_week():
    arm = load_scenario("daratumumab_swap").arms[1]
    calendar = arm.calendar(body(), 280.0)
    weeks = calendar.start_h[calendar.drug == 0] / (7 * 24.0)
    assert weeks.tolist() == [*range(8), *range(8, 24, 2), *range(24, 40, 4)]


def test_scenario_and_statistics_know_the_same_endpoints():
    assert set(form.ENDPOINTS) == set(published.WORDS)


# ---- what a scenario becomes -----------------------------------------------------------------------------------------


def test_a_minimal_scenario_has_the_defaults(write):
    study = load_scenario(write())
    assert (study.name, study.patients, study.seed, study.design) == ("study", 4, 1, "paired")
    assert (study.settings.height, study.settings.width, study.settings.step_h) == (16, 16, 6.0)
    assert study.allocation == (1, 1)
    assert study.comparisons == (("isa-d", "d"),)
    assert study.visit_days == 28.0
    assert study.follow_up.shortest_days == pytest.approx(91.3125)
    assert study.arms[0].cycle_days == 28
    assert study.arms[1].doses[0].last_cycle == 2
    assert study.arms[0].doses[1].elderly_amount == 20.0


def test_overrides_change_what_they_name_and_nothing_else(write):
    before = load_scenario(write())
    after = load_scenario(
        write(),
        ["parameters.motility.chemotaxis=0.5", "drugs.isatuximab.adcc.lysis_rate=0", "marrow.shape=[16, 24]", "trial.design=parallel"],
        patients=9,
        seed=7,
        without=["cdc", "adcp"],
    )
    assert (after.patients, after.seed, after.design) == (9, 7, "parallel")
    assert (after.settings.height, after.settings.width) == (16, 24)
    assert after.settings.without == {"cdc", "adcp"}
    assert after.settings.origins()["motility.chemotaxis"][0] == 0.5
    changed = after.drugs["isatuximab"].effects["adcc"]
    assert changed.params.lysis_rate == 0.0
    assert changed.origins["lysis_rate"].source == "this study"
    assert changed.params._replace(lysis_rate=before.drugs["isatuximab"].effects["adcc"].params.lysis_rate) == (
        before.drugs["isatuximab"].effects["adcc"].params
    )
    kept = set(after.drugs["isatuximab"].effects) - {"adcc"}
    assert all(after.drugs["isatuximab"].effects[name] == before.drugs["isatuximab"].effects[name] for name in kept)
    assert after.arms == before.arms


def test_a_dose_can_be_overridden(write):
    study = load_scenario(write(), ["arms.isa-d.doses[0].dose=20 mg/kg"])
    assert study.arms[0].doses[0].amount == 20.0


def test_run_json_holds_every_number_with_a_grade(write):
    rows = describe_run(load_scenario(write(), ["drugs.isatuximab.adcc.lysis_rate=0.5"]))["parameters"]
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    found = {row["name"]: row for row in rows}
    assert found["drugs.isatuximab.mechanisms.adcc.lysis_rate"]["value"] == 0.5
    assert found["drugs.isatuximab.kinetics.clearance"]["unit"] == "L/h"
    assert any(name.startswith("population.growth_rate") for name in names)
    assert all(set(row) == {"name", "value", "unit", "meaning", "source", "grade"} for row in rows)


def test_a_population_of_ones_own(write):
    Path("young.toml").write_text('name = "young"\ninherits = "icaria"\n[quantities.age]\nfixed = { value = 30.0 }\n', encoding="utf-8")
    by_file = load_scenario(write(('"icaria"', '"young.toml"')))
    assert by_file.population["age"].draw(0.5, None) == 30.0
    inline = 'population = { inherits = "icaria", quantities = { age = { fixed = { value = 30.0 } } } }'
    by_table = load_scenario(write(('population = "icaria"', inline)))
    assert by_table.population["age"].draw(0.5, None) == 30.0


def test_a_drug_of_ones_own(write):
    folder = Path("my_drugs")
    folder.mkdir()
    text = (Path(reading.__file__).parents[1] / "pharmacology" / "drugs" / "dexamethasone.toml").read_text(encoding="utf-8")
    (folder / "novosone.toml").write_text(text.replace('name = "dexamethasone"', 'name = "novosone"'), encoding="utf-8")
    name = write(('[{ drug = "dexamethasone"', '[{ drug = "novosone"'), ("[[published]]", '[drugs]\nfolder = "my_drugs"\n\n[[published]]'))
    study = load_scenario(name)
    assert study.drugs["novosone"].kinetics.params == study.drugs["dexamethasone"].kinetics.params
    assert Path(study.resolved["drugs"]["folder"]) == folder.resolve()


@given(st.sampled_from(sorted(DURATIONS)), st.floats(0.01, 99.0))
def test_a_duration_is_its_number_of_units(unit, amount):
    assert parse_duration(f"{amount:.4f} {unit}") == pytest.approx(float(f"{amount:.4f}") * DURATIONS[unit])


def test_durations_by_hand():
    assert parse_duration("6 h") == 6.0
    assert parse_duration("28d") == 672.0
    assert parse_duration("8 month") == 8 * 30.4375 * 24
    assert parse_duration("18 week") == parse_duration("126 d")


def test_cycles_by_hand():
    assert parse_cycles("1") == parse_cycles(1) == (1, 1)
    assert parse_cycles("2-") == (2, None)
    assert parse_cycles("3 - 6") == (3, 6)


# ---- what is said where it is wrong ----------------------------------------------------------------------------------

ISA = '{ drug = "isatuximab", dose = "10 mg/kg", days = [1, 15] }'

WRONG = {
    "syntax": (('title = "A study"', 'title = "A study'), "line 1: not valid TOML: illegal character '\\n'"),
    "unknown key at the top": (("patients = 4", "patiens = 4"), "line 4: unknown key 'patiens'; did you mean 'patients'?"),
    "unknown key in a table": (("follow_up", "folow_up"), "line 13: unknown key 'folow_up' in trial; did you mean 'follow_up'?"),
    "unknown key in a dose": (
        (ISA, ISA.replace("dose =", "dosse =")),
        "line 18: unknown key 'dosse' in arms.isa-d.doses[0]; did you mean 'dose'?",
    ),
    "unknown key in an arm": (
        ('label = "d"', 'label = "d"\ngrowth = 1'),
        "line 24: unknown key 'growth' in arms.d; known: cycle, doses, label, rules, stop",
    ),
    "missing key": (("patients = 4\n", ""), "the key 'patients' is missing"),
    "missing key in a table": (('follow_up = ["3 month", "6 month"]\n', ""), "line 11: the key 'follow_up' is missing in trial"),
    "missing key in a dose": ((ISA, '{ drug = "isatuximab", dose = "1 mg" }'), "line 18: the key 'days' is missing in arms.isa-d.doses[0]"),
    "wrong type": (("patients = 4", 'patients = "four"'), 'line 4: patients: expected a whole number, got "four"'),
    "half a patient": (("patients = 4", "patients = 4.5"), "line 4: patients: expected a whole number, got 4.5"),
    "no patients": (("patients = 4", "patients = 0"), "line 4: patients must be at least 1, got 0"),
    "negative seed": (("seed = 1", "seed = -1"), "line 5: seed must be at least 0, got -1"),
    "unknown population": (('"icaria"', '"icarias"'), "line 3: population: unknown population 'icarias'; did you mean 'icaria'?"),
    "unknown drug": ((ISA, ISA.replace("isatuximab", "isatuximap")), "line 18: unknown drug 'isatuximap'; did you mean 'isatuximab'?"),
    "unknown mechanism": (("[marrow]", 'without = ["bindin"]\n\n[marrow]'), "line 7: unknown mechanism 'bindin'; did you mean 'binding'?"),
    "negative dose": ((ISA, ISA.replace("10", "-10")), "line 18: arms.isa-d.doses[0].dose: a dose must be above zero, got -10"),
    "wrong unit of a dose": (
        (ISA, ISA.replace("mg/kg", "mg/kgs")),
        "line 18: arms.isa-d.doses[0].dose: unknown unit 'mg/kgs' in '10 mg/kgs'; did you mean 'mg/kg'?",
    ),
    "two units of one dose": (
        ('elderly_dose = "20 mg"', 'elderly_dose = "1 mg/kg"'),
        "line 19: arms.isa-d.doses[1]: dose and elderly_dose have different units, mg and mg/kg",
    ),
    "wrong days": (('days = "1, 8"', 'days = "8-1"'), "line 19: arms.isa-d.doses[1].days: the range '8-1' runs backwards"),
    "days of no type": (
        ('days = "1, 8"', "days = true"),
        'line 19: arms.isa-d.doses[1].days: expected days such as "1-21" or [1, 8, 15], got true',
    ),
    "a day outside of the cycle": ((ISA, ISA.replace("15", "29")), "line 15: regimen 'isa-d': isatuximab on day 29 of a cycle of 28 days"),
    "wrong cycles": (
        ('cycles = "1-2"', 'cycles = "2-1"'),
        'line 24: arms.d.doses[0].cycles: the cycles "2-1" run backwards',
    ),
    "the same day twice": (
        (ISA, f"{ISA},\n    {ISA}"),
        "line 15: regimen 'isa-d': two lines give isatuximab on day 1 of cycle 1",
    ),
    "an arm that stands twice": (("[arms.d]", "[arms.isa-d]"), "line 22: not valid TOML: the table [arms.isa-d] stands twice"),
    "two arms of one label": (('label = "d"', 'label = "Isa-d"'), "line 23: the arms 'isa-d' and 'd' have the same label 'Isa-d'"),
    "key of an arm": (("[arms.d]", "[arms.D]"), "line 22: 'D' is no key of an arm; write it with small letters, digits, - and _"),
    "comparison without its arm": (
        ('["isa-d", "d"]', '["isa-d", "pd"]'),
        "line 12: trial.compare[0]: there is no arm 'pd'; did you mean 'd'?",
    ),
    "comparison with itself": (('["isa-d", "d"]', '["d", "d"]'), "line 12: trial.compare[0]: the arm 'd' is compared with itself"),
    "comparison of three": (('["isa-d", "d"]', '["isa-d", "d", "d"]'), "line 12: trial.compare[0] needs 2 elements, got 3"),
    "small patch": (("[16, 16]", "[4, 16]"), "line 8: marrow.shape: a patch has sides of 8 to 8192 sites, not 4 x 16"),
    "patch of one side": (("[16, 16]", "[16]"), "line 8: marrow.shape needs 2 elements, got 1"),
    "step": (('"6 h"', '"5 h"'), "line 9: marrow.step: a step of 5 h does not divide a day"),
    "unit of a duration": (
        ('"6 h"', '"6 hours"'),
        "line 9: marrow.step: unknown unit 'hours' in \"6 hours\"; known: d, h, month, week, year",
    ),
    "no duration": (('"6 h"', '"often"'), 'line 9: marrow.step: write a number and a unit, such as "28 d", not "often"'),
    "follow-up": (('["3 month", "6 month"]', '["6 month", "3 month"]'), 'line 13: the longest follow-up comes second, not "3 month"'),
    "visits": (("[arms.d]", "[trial.x]\n[arms.d]"), "line 22: unknown key 'x' in trial"),
    "design": (
        ("[arms.isa-d]", 'design = "paralel"\n[arms.isa-d]'),
        "line 15: unknown word 'paralel' for trial.design; did you mean 'parallel'?",
    ),
    "the other design": (
        ("[arms.isa-d]", 'design = "unpaired"\n[arms.isa-d]'),
        "line 15: unknown word 'unpaired' for trial.design; did you mean 'paired'? (one of paired, parallel)",
    ),
    "allocation": (("[arms.isa-d]", "allocation = [1]\n[arms.isa-d]"), "line 15: trial.allocation has 1 weights for 2 arms"),
    "level": (("[arms.isa-d]", "ci_level = 95\n[arms.isa-d]"), "line 15: trial.ci_level must be below 1, got 95"),
    "cycles of changing length": (
        ('label = "d"', 'label = "d"\ncycle = ["8 x 21 d", "4 x 28 d"]'),
        'line 24: arms.d.cycle[1]: the last length goes on; write "28 d" without a number of times',
    ),
    "how many cycles": (
        ('label = "d"', 'label = "d"\ncycle = ["21 d", "28 d"]'),
        'line 24: arms.d.cycle[0]: say how many times, as in "8 x 21 d"',
    ),
    "a cycle of half a day": (('label = "d"', 'label = "d"\ncycle = "36 h"'), 'line 24: arms.d.cycle must be whole days, not "36 h"'),
    "visits of half a day": (
        ("[arms.isa-d]", 'visits = ["2 x 28 d", "30 h"]\n[arms.isa-d]'),
        "line 15: trial.visits[1] must be whole days",
    ),
    "a condition on the body": (
        (ISA, ISA.replace(" }", ', adjust = [{ when = "creatinin_clearance < 60", dose = "5 mg/kg" }] }')),
        "line 18: arms.isa-d.doses[0].adjust[0].when: unknown word 'creatinin_clearance'; did you mean 'creatinine_clearance'?",
    ),
    "an adjusted dose of another unit": (
        (ISA, ISA.replace(" }", ', adjust = [{ when = "age >= 80", dose = "5 mg" }] }')),
        "line 18: arms.isa-d.doses[0].adjust[0]: its dose has another unit than its line, mg and mg/kg",
    ),
    "unknown key of an adjustment": (
        (ISA, ISA.replace(" }", ', adjust = [{ wenn = "age >= 80", dose = "5 mg/kg" }] }')),
        "line 18: unknown key 'wenn' in arms.isa-d.doses[0].adjust[0]; did you mean 'when'?",
    ),
    "days of the elderly": (
        (ISA, ISA.replace(" }", ', elderly_days = "8-1" }')),
        "line 18: arms.isa-d.doses[0].elderly_days: the range '8-1' runs backwards",
    ),
    "a route": ((ISA, ISA.replace(" }", ', route = "oral" }')), "line 18: unknown word 'oral' for arms.isa-d.doses[0].route"),
    "a drug that nobody knows under the skin": (
        (ISA, ISA.replace(" }", ', route = "subcutaneous" }')),
        "line 18: nothing is known of isatuximab under the skin; isatuximab.toml has no table [subcutaneous]",
    ),
    "a rule of another drug": (
        ("[[published]]", '[[arms.d.rules]]\ndrug = "isatuximab"\nchance = 0.1\ngive = 0\n\n[[published]]'),
        "line 27: arms.d.rules[0]: the arm gives no 'isatuximab'",
    ),
    "a rule without a reason": (
        ("[[published]]", '[[arms.d.rules]]\ndrug = "dexamethasone"\ngive = 0\n\n[[published]]'),
        "line 26: arms.d.rules[0]: give when (a condition), chance (a probability), or both",
    ),
    "a rule by what nobody knows": (
        ("[[published]]", '[[arms.d.rules]]\ndrug = "dexamethasone"\nwhen = "respons >= PR"\ngive = 0\n\n[[published]]'),
        "line 28: arms.d.rules[0].when: unknown word 'respons'; did you mean 'response'?",
    ),
    "a rule that gives more": (
        ("[[published]]", '[[arms.d.rules]]\ndrug = "dexamethasone"\nchance = 0.1\ngive = 1.5\n\n[[published]]'),
        "line 29: arms.d.rules[0].give: shares of the protocol's dose are from 0 to 1, got 1.5",
    ),
    "an unknown source": (
        ('"attal2019"', '"attal2091"'),
        "line 31: published[0].source: unknown source 'attal2091'; did you mean 'attal2019'?",
    ),
    "a condition of a subgroup": (
        ('source = "attal2019"', 'subgroup = "agee >= 65"\nsource = "attal2019"'),
        "line 31: published[0].subgroup: unknown word 'agee'; did you mean 'age'?",
    ),
    "unknown block of parameters": (
        ("[[published]]", "[parameters.motilty]\nchemotaxis = { value = 1.0 }\n\n[[published]]"),
        "line 26: parameters.motilty: no such block of parameters; did you mean 'motility'?",
    ),
    "unknown parameter": (
        ("[[published]]", "[parameters.motility]\nchemotaxi = { value = 1.0 }\n\n[[published]]"),
        "line 27: parameters.motility: unknown parameter 'chemotaxi'; did you mean 'chemotaxis'?",
    ),
    "unit of a parameter": (
        ("[[published]]", '[parameters.motility]\nchemotaxis = { value = 1.0, unit = "1/h" }\n\n[[published]]'),
        "line 27: parameters.motility.chemotaxis: the unit must be '1', not '1/h'",
    ),
    "parameter of a drug": (
        ("[[published]]", "[parameters.adcc]\nlysis_rate = { value = 1.0 }\n\n[[published]]"),
        "line 27: parameters.adcc.lysis_rate: each drug has its own; write drugs.isatuximab.adcc.lysis_rate",
    ),
    "value of no type": (
        ("[[published]]", "[parameters.motility]\nchemotaxis = 1.0\n\n[[published]]"),
        "line 27: parameters.motility.chemotaxis: expected a table {...}, got 1.0",
    ),
    "drug that nobody gets": (
        ("[[published]]", "[drugs.daratumumab.adcc]\nlysis_rate = { value = 1.0 }\n\n[[published]]"),
        "line 26: drugs.daratumumab: no arm gives such a drug; known: dexamethasone, isatuximab",
    ),
    "mechanism that no drug has": (
        ("[[published]]", "[drugs.isatuximab.bindin]\nlysis_rate = { value = 1.0 }\n\n[[published]]"),
        "line 26: 'bindin' is no mechanism of a drug; did you mean 'binding'?",
    ),
    "coefficient": (
        ("[[published]]", "[drugs.isatuximab.adcc]\nlysis_rat = { value = 1.0 }\n\n[[published]]"),
        "line 27: drugs.isatuximab.adcc: unknown parameter 'lysis_rat'; did you mean 'lysis_rate'?",
    ),
    "folder of drugs": (("[[published]]", '[drugs]\nfolder = "none"\n\n[[published]]'), "line 27: there is no folder"),
    "published arm": (('arm = "d"', 'arm = "e"'), "line 27: published[0].arm: there is no arm 'e'"),
    "published endpoint": (('"orr"', '"os"'), "line 28: unknown endpoint 'os'"),
    "published unit": (('"percent"', '"month"'), "line 30: the unit of orr must be 'percent', not 'month'"),
    "published subgroup": (
        ("value = 10.0", 'value = 10.0\nsubgroup = "hihg risk"'),
        "line 30: published[0].subgroup: unknown subgroup 'hihg risk'; did you mean 'high risk'?",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_names_file_line_and_the_right_word(case, write):
    change, message = WRONG[case]
    name = write(change)
    with pytest.raises(InputError) as caught:
        load_scenario(name)
    said = str(caught.value)
    assert said.startswith("study.toml")
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trial.desgin=parallel", "unknown key 'desgin' in trial; did you mean 'design'?"),
        ("trial.compare=[['isa-d', 'e']]", "trial.compare[0]: there is no arm 'e'"),
        ("drugs.isatuximb.adcc.lysis_rate=0", "drugs.isatuximb: no arm gives such a drug; did you mean 'isatuximab'?"),
        ("drugs.isatuximab.adcc.lysis_rate=fast", 'drugs.isatuximab.adcc.lysis_rate.value: expected a number, got "fast"'),
        ("drugs.isatuximab.adcc.half_density=1e5 ug/mL", "half_density: the unit must be 'sites/cell', not 'ug/mL'"),
        ("adcc.lysis_rate=0.01 1/h", "parameters.adcc.lysis_rate: each drug has its own; write drugs.isatuximab.adcc.lysis_rate"),
        ("parameters.proteasome.kill_rate=1", "each drug has its own; write drugs.DRUG.proteasome.kill_rate"),
        ("drugs.isatuximab.mechanisms.adcc.steepnes=2", "drugs.isatuximab.adcc: unknown parameter 'steepnes'; did you mean 'steepness'?"),
        ("arms.d.doses[3].dose=1 mg", "arms.d.doses has 1 elements, counted from 0; there is no [3]"),
        ("patients.more=1", "patients is not a table and has no 'more'"),
        ("patients", "write PATH=VALUE"),
        ("a b=1", "cannot read 'a b' as a place in a scenario"),
    ],
)
def test_an_override_that_is_wrong_is_named(override, message, write):
    with pytest.raises(InputError) as caught:
        load_scenario(write(), [override])
    assert str(caught.value).startswith(f"--set {override}: ")
    assert message in str(caught.value)


def test_a_number_is_set_by_the_path_that_is_shown_with_its_unit_or_without(write):
    """What `tme show` and run.json print, and what a scenario has; each means the same number."""
    for path in ("drugs.isatuximab.adcc.half_density", "drugs.isatuximab.mechanisms.adcc.half_density"):
        for value in ("100e3", "100e3 sites/cell", '"100e3 sites/cell"', "100_000 sites/cell"):
            study = load_scenario(write(), [f"{path}={value}"])
            assert study.drugs["isatuximab"].effects["adcc"].params.half_density == 100e3
    for override in ("motility.stop=3", "parameters.motility.stop=3 h", "parameters.motility.stop=3"):
        assert load_scenario(write(), [override]).settings.fill()["motility"].params.stop == 3.0


def test_options_are_named_where_they_are_wrong(write):
    with pytest.raises(InputError, match=r"^--patients 0: patients must be at least 1, got 0$"):
        load_scenario(write(), patients=0)
    with pytest.raises(InputError, match=r"^--without bindin: unknown mechanism 'bindin'; did you mean 'binding'\?$"):
        load_scenario(write(), without=["cdc", "bindin"])


def test_a_scenario_that_does_not_exist():
    with pytest.raises(InputError, match=r"there is no scenario 'icari'; did you mean 'icaria'\?"):
        load_scenario("icari")
    with pytest.raises(InputError, match=r"there is no file 'mine/icara.toml'; did you mean 'icaria'\?"):
        load_scenario("mine/icara.toml")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "x.toml").write_bytes(b'title = "\xff"\n')
    with pytest.raises(InputError, match="not a text in UTF-8"):
        load_scenario(tmp_path / "x.toml")


def test_an_inline_population_is_checked_where_it_stands(write):
    table = '[population]\ninherits = "icaria"\n\n[population.quantities.growth_rte]\nfixed = { value = 0.01 }\n\n[marrow]'
    with pytest.raises(InputError, match=r"^study.toml, line 9: .*unknown quantity 'growth_rte'; did you mean 'growth_rate'\?$"):
        load_scenario(write(('population = "icaria"\n', ""), ("[marrow]", table)))


def test_two_antibodies_are_a_regimen_like_any_other(write):
    both = load_scenario(write((f"    {ISA},", f'    {ISA},\n    {{ drug = "daratumumab", dose = "16 mg/kg", days = [1, 8] }},')))
    assert both.arms[0].drugs == ("isatuximab", "daratumumab", "dexamethasone")


@given(st.text(max_size=60))
def test_any_text_is_a_scenario_or_an_input_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
        expected = "the key|unknown key|expected"
    except tomllib.TOMLDecodeError:
        expected = "not valid TOML"
    with pytest.raises(InputError, match=expected):
        load_scenario(path)


def test_a_table_in_memory_is_checked_like_a_file_and_left_alone(write):
    table = tomllib.loads(MINIMAL)
    assert load_scenario(table, ["trial.design=parallel"]).design == "parallel"
    assert table == tomllib.loads(MINIMAL)
    table["arms"]["d"]["doses"][0]["dosse"] = "1 mg"
    with pytest.raises(InputError, match=r"^scenario: unknown key 'dosse' in arms.d.doses\[0\]; did you mean 'dose'\?$"):
        load_scenario(table)


def test_reading_does_not_judge(write):
    source = read(write(("patients = 4", "patients = 0")))
    assert source.table["patients"] == 0
    assert source.place(("arms", "d", "doses", 0, "cycles")) == "study.toml, line 24"


# ---- regimens as trials have them ------------------------------------------------------------------------------------


def test_a_regimen_as_trials_have_them(write):
    """Cycles that change, the kidney, the elderly, the skin, a rule, later visits: read, and written out so that it reads back the same."""
    line = '{ drug = "daratumumab", dose = "1800 mg", days = [1, 8], route = "subcutaneous", elderly_dose = "0 mg", elderly_days = 1, '
    line += 'adjust = [{ when = "creatinine_clearance < 30", dose = "900 mg", days = "1-7/3" }] }'
    rules = (
        '[[arms.d.rules]]\ndrug = "dexamethasone"\nwhen = "month >= 3"\nchance = 0.5\ngive = [0.5, 0]\nduration = "28 d"\n\n[[published]]'
    )
    changes = [(ISA, line), ('label = "Isa-d"', 'label = "Isa-d"\ncycle = ["8 x 21 d", "28 d"]'), ("[[published]]", rules)]
    changes += [('follow_up = ["3 month", "6 month"]', 'follow_up = ["3 month", "6 month"]\nvisits = ["2 x 28 d", "56 d"]')]
    study = load_scenario(write(*changes))
    dara = study.arms[0].doses[0]
    assert study.arms[0].rhythm == (28.0, ((8, 21.0),))
    assert (dara.route, dara.elderly_amount, dara.elderly_days, dara.days) == ("subcutaneous", 0.0, (1,), (1, 8))
    assert (dara.adjustments[0].amount, dara.adjustments[0].days) == (900.0, (1, 4, 7))
    rule = study.arms[1].rules[0]
    assert (rule.drugs, rule.chance, rule.give, rule.for_days) == (("dexamethasone",), 0.5, (0.5, 0.0), 28.0)
    assert [study.visits.start(n) for n in (1, 2, 3, 4)] == [0.0, 28.0, 56.0, 112.0]
    assert load_scenario(study.resolved).arms == study.arms


def test_a_subgroup_is_any_condition_on_the_patient_table(write):
    for subgroup in (
        "prior_lines == 1",
        "age >= 65 and not high_risk",
        "sex == female",
        "mrd_negative",
        "best_response >= CR",
        "high risk",
    ):
        study = load_scenario(write(('source = "attal2019"', f'subgroup = "{subgroup}"\nsource = "attal2019"')))
        assert study.published[0]["subgroup"] == subgroup
