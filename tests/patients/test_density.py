"""How probable patients are under a population: densities against scipy, ratios that make one population of another."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from tme_abm.foundation.errors import InputError
from tme_abm.patients.density import EXITS, log_mass, rate_of, terms
from tme_abm.patients.patient import TRAITS
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population, populations, whole_table


def people(population, n=400, seed=3):
    return [draw_patient(population, seed, i) for i in range(n)]


def log_density(population, patients):
    return sum(term.log_density() for term in terms(population, patients).values())


@pytest.mark.parametrize("name", [name for name in populations() if name != "typical"])
def test_every_quantity_of_every_population_has_a_density_of_its_own_patients(name):
    population = load_population(name)
    found = terms(population, people(population, 200))
    assert set(found) == set(TRAITS) - set(EXITS)
    for trait, term in found.items():
        assert np.isfinite(term.log_density()).all(), trait


@pytest.mark.parametrize("one", ["icaria", "mm002", "ikema"])
def test_the_weights_of_a_population_on_a_wider_one_make_its_means(one):
    # E_q[p/q f] = E_p[f]: a wide population of the same covariates stands for the narrow one
    narrow = load_population(one)
    wider = load_population(
        {"inherits": one, "quantities": {"growth_rate": {"lognormal": {"median": 0.009, "sigma": 0.8}, "truncate": [0.0008, 0.05]}}}
    )
    drawn = people(wider, 4000)
    ratio = np.exp(log_density(narrow, drawn) - log_density(wider, drawn))
    assert ratio.mean() == pytest.approx(1.0, abs=0.08)
    own = people(narrow, 4000, seed=4)
    for trait in ("growth_rate", "imid_resistant_fraction"):
        here = np.array([math.log(getattr(p, trait)) for p in drawn])
        there = np.array([math.log(getattr(p, trait)) for p in own])
        error = there.std() / math.sqrt(len(there)) + here.std() * math.sqrt((ratio**2).sum()) / ratio.sum()
        assert abs(np.average(here, weights=ratio) - there.mean()) < 3.5 * error, trait


def test_densities_by_scipy():
    population = load_population("icaria")
    patients = people(population, 50)
    found = terms(population, patients, ["age", "cd38_sites", "adherent_fraction", "t_cell_exhaustion", "del17p", "prior_lines"])
    age = np.array([p.age for p in patients])
    a, b = ((x - 67.7) / 10.3 for x in (36.0, 86.0))
    np.testing.assert_allclose(found["age"].log_density(), stats.truncnorm(a, b, 67.7, 10.3).logpdf(age), rtol=1e-10)
    sites = np.array([p.cd38_sites for p in patients])
    whole = stats.lognorm(0.36, scale=130e3)
    mass = whole.cdf(600e3) - whole.cdf(30e3)
    np.testing.assert_allclose(found["cd38_sites"].log_density(), whole.logpdf(sites) - math.log(mass), rtol=1e-9)
    adherent = np.array([p.adherent_fraction for p in patients])
    np.testing.assert_allclose(found["adherent_fraction"].log_density(), stats.beta(6.0, 5.0).logpdf(adherent), rtol=1e-9)
    assert {round(float(np.exp(x)), 6) for x in found["del17p"].log_density()} <= {0.121, 0.879}
    lines = np.exp(found["prior_lines"].log_density())
    assert all(
        x == pytest.approx({2: 0.33, 3: 0.33, 4: 0.18, 5: 0.08, 6: 0.05, 7: 0.03}[p.prior_lines])
        for x, p in zip(lines, patients, strict=True)
    )


def test_an_effect_shifts_the_density_and_a_value_at_the_clip_has_a_probability():
    population = load_population("icaria")
    quantity = population["growth_rate"]
    one = draw_patient(population, 3, 0)
    values = {name: getattr(one, name) for name in TRAITS}
    patients = [SimpleNamespace(**{**values, "growth_rate": x}) for x in (0.02, 0.05)]
    found = terms(population, patients, ["growth_rate"])["growth_rate"].log_density()
    median, sigma = quantity.distribution.median, quantity.distribution.sigma
    factor = quantity.draw(0.5, one) / quantity.distribution.quantile(0.5)
    shape = stats.norm(math.log(median), sigma)
    mass = shape.cdf(math.log(0.05)) - shape.cdf(math.log(0.0008))
    assert found[0] == pytest.approx(shape.logpdf(math.log(0.02 / factor)) - math.log(0.02) - math.log(mass), rel=1e-9)
    above = (shape.cdf(math.log(0.05)) - shape.cdf(math.log(0.05 / factor))) / mass  # what lies beyond the clip after the effects
    assert factor > 1.0 and math.exp(found[1]) == pytest.approx(above, rel=1e-9)


def test_other_numbers_are_those_of_a_population_that_has_them():
    base = load_population("icaria")
    other = load_population(
        {
            "inherits": "icaria",
            "quantities": {
                "imid_sensitivity": {
                    "lognormal": {"median": 1.4, "sigma": 0.6},
                    "truncate": [0.02, 30.0],
                    "effects": [{"by": "growth_rate", "relative_to": 0.0079, "exponent": 0.3}],
                },
                "imid_resistant_fraction": {"log10odds": {"mean": -0.9, "sd": 1.4}},
            },
        }
    )
    patients = people(base)
    ours, theirs = terms(base, patients), terms(other, patients)
    before = next(e.amount for e in base["imid_sensitivity"].effects if e.text.startswith("by growth_rate"))
    tilt = (0.3 - before) * np.log(np.array([p.growth_rate for p in patients]) / 0.0079)
    np.testing.assert_allclose(
        ours["imid_sensitivity"].log_density(math.log(1.4), 0.6, tilt), theirs["imid_sensitivity"].log_density(), rtol=1e-9
    )
    np.testing.assert_allclose(
        ours["imid_resistant_fraction"].log_density(-0.9, 1.4), theirs["imid_resistant_fraction"].log_density(), rtol=1e-9
    )


def test_the_mass_of_a_tail_is_exact():
    for low, high in ((-1.0, 2.0), (7.0, 9.0), (-40.0, -38.0), (-math.inf, 0.0), (0.0, math.inf)):
        wanted = stats.norm.logcdf(high) if low == -math.inf else None
        found = float(log_mass(low, high))
        if wanted is None:
            side = (-high, -low) if low > 0 else (low, high)
            wanted = stats.norm.logcdf(side[1]) + math.log1p(-math.exp(stats.norm.logcdf(side[0]) - stats.norm.logcdf(side[1])))
        assert found == pytest.approx(wanted, rel=1e-9)
    assert log_mass(1.0, 1.0) == -math.inf


def test_a_whole_table_is_the_population():
    for name in ("icaria", "mm002"):
        table = whole_table(name)
        assert "inherits" not in table
        again = load_population(table)
        assert [row[:3] for q in again.quantities for row in q.numbers] == [
            row[:3] for q in load_population(name).quantities for row in q.numbers
        ]


def test_the_ways_out_are_rates_of_covariates():
    population = load_population("icaria")
    patients = people(population, 100)
    found = rate_of(population, "death_rate_per_month", patients)
    assert found == pytest.approx([p.death_rate_per_month for p in patients])
    drawn = load_population({"inherits": "icaria", "quantities": {"death_rate_per_month": {"lognormal": {"median": 0.01, "sigma": 0.5}}}})
    with pytest.raises(InputError, match="a bank needs it fixed"):
        rate_of(drawn, "death_rate_per_month", patients)


def test_an_effect_that_is_no_shift_is_refused():
    table = {"inherits": "icaria", "quantities": {"cd38_sites": {"effects": [{"when": "high_risk", "plus": 1e4}]}}}
    population = load_population(table)
    with pytest.raises(InputError, match="cd38_sites: an effect by plus is no shift"):
        terms(population, people(load_population("icaria"), 3))
