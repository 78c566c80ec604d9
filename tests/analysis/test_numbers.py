"""Numbers of the model by their path: where they stand, what reads them, and a scenario with other ones."""

import pytest

from tme_abm.analysis import numbers
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.provenance import describe_run


@pytest.fixture(scope="module")
def icaria():
    return load_scenario("icaria", patients=3)


def rows(study):
    return {row["name"]: row for row in describe_run(study)["parameters"]}


def test_a_default_beside_a_rule_is_that_of_the_drugs_that_say_nothing_else(icaria):
    default = icaria.drugs["pomalidomide"].effects["imid"].params.kill_rate
    assert numbers.current(icaria, "parameters.imid.kill_rate") == default
    assert numbers.current(icaria, "parameters.proteasome.kill_rate") is None  # no arm gives such a drug
    elotuzumab = load_scenario("elotuzumab")
    after = load_scenario(numbers.apply(elotuzumab, {"parameters.imid.kill_rate": 0.5}))
    assert after.drugs["pomalidomide"].effects["imid"].params.kill_rate == 0.5
    assert after.drugs["lenalidomide"].effects["imid"] == elotuzumab.drugs["lenalidomide"].effects["imid"]  # its file has its own


def test_every_kind_of_path_changes_what_it_names_and_nothing_else(icaria):
    values = {
        "parameters.imid.kill_rate": 0.004,
        "parameters.motility.chemotaxis": 0.125,
        "drugs.isatuximab.binding.accessible": 0.7,
        "population.imid_resistant_fraction.mean": -2.5,
        "population.effector_fitness.median": 3.0,
        "population.effector_fitness.sigma": 0.5,
        "population.icaria.growth_rate.median": 0.007,
    }
    after = load_scenario(numbers.apply(icaria, values))
    assert after.drugs["pomalidomide"].effects["imid"].params.kill_rate == 0.004
    assert after.settings.origins()["motility.chemotaxis"].value == 0.125
    assert after.drugs["isatuximab"].effects["binding"].params.accessible == 0.7
    changed = {
        "motility.chemotaxis",
        "drugs.pomalidomide.mechanisms.imid.kill_rate",
        "drugs.isatuximab.mechanisms.binding.accessible",
        "population.imid_resistant_fraction.log10odds.mean",
        "population.effector_fitness.lognormal.median",
        "population.effector_fitness.lognormal.sigma",
        "population.growth_rate.lognormal.median",
    }
    before, now = rows(icaria), rows(after)
    assert set(before) == set(now)
    assert {name for name in now if now[name]["value"] != before[name]["value"]} == changed
    assert {now[name]["grade"] for name in changed} == {"C"}
    assert after.population.label == icaria.population.label


def test_a_distribution_keeps_its_truncation_its_effects_and_its_clip(icaria):
    after = load_scenario(numbers.apply(icaria, {"population.icaria.growth_rate.median": 0.01}))
    before, now = icaria.population["growth_rate"], after.population["growth_rate"]
    assert [(e.text, e.amount, e.source) for e in now.effects] == [(e.text, e.amount, e.source) for e in before.effects]
    assert now.clip == before.clip
    ends = [now.distribution.quantile(u) for u in (0.0, 1.0)]
    assert ends == pytest.approx([0.0008, 0.05], rel=1e-6)
    assert now.distribution.median == 0.01


def test_the_same_values_are_the_same_study(icaria):
    path = "population.antibody_escape_fraction.mean"
    again = load_scenario(numbers.apply(icaria, {path: numbers.current(icaria, path)}))
    assert again.population["antibody_escape_fraction"].distribution == icaria.population["antibody_escape_fraction"].distribution


def test_a_number_acts_where_its_file_is_inherited():
    path, base = "population.icaria.growth_rate.median", "population.imid_resistant_fraction.mean"
    acts = {name: numbers.current(load_scenario(name), path) for name in ("icaria", "mm002", "isatuximab_monotherapy", "ikema")}
    assert acts["ikema"] is None
    assert len({acts[name] for name in ("icaria", "mm002", "isatuximab_monotherapy")}) == 1
    induction = load_scenario("newly_diagnosed_induction")  # its population has resistance of its own
    assert numbers.current(induction, base) is None
    assert numbers.apply(induction, {base: -3.0}) == induction.resolved
    assert numbers.home({"inherits": "icaria", "quantities": {"age": {"fixed": {"value": 60.0}}}}, "age") == ""
    assert numbers.home({"inherits": "icaria", "quantities": {"age": {"clip": [1.0, 2.0]}}}, "age") == "icaria"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("parameter.imid.kill_rate", "did you mean 'parameters'"),
        ("parameters.kill_rate", "parameters.imid.kill_rate"),
        ("parameters.imid.kil_rate", "did you mean 'kill_rate'"),
        ("parameters.motility.chemotaxi", "did you mean 'motility.chemotaxis'"),
        ("drugs.isatuximab.adcc.lysis", "adcc.lysis_rate"),
        ("population.growth_rat.median", "did you mean 'growth_rate'"),
        ("population.icaria.growth_rate.mean", "did you mean 'median'"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(icaria, path, said):
    with pytest.raises(InputError, match=said):
        numbers.current(icaria, path)


def test_a_scenario_with_some_arms_only(icaria):
    table = numbers.apply(icaria, {"drugs.isatuximab.binding.accessible": 0.7, "parameters.imid.kill_rate": 0.004})
    study = load_scenario(numbers.restrict(table, ["pd"], 5, 77))
    assert [arm.key for arm in study.arms] == ["pd"]
    assert set(study.drugs) == {"pomalidomide", "dexamethasone"}
    assert (study.patients, study.seed, study.comparisons, study.published) == (5, 77, (), ())
    assert study.drugs["pomalidomide"].effects["imid"].params.kill_rate == 0.004
    assert study.follow_up == icaria.follow_up
