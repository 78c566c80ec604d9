"""The equations of the catalogue are those of the code: each mechanism has its own, with all parameters, and both give one value."""

import math
import random

import pytest

from docs_site import rules, typesetting
from tme_abm.foundation.declare import notes
from tme_abm.foundation.response import eased, hill, saturation, shielded
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.equations import EQUATIONS

SCOPE = {"hill": hill, "saturation": saturation, "eased": eased, "shielded": shielded, "exp": math.exp, "min": min}
BY_NAME = {m.name: m for m in MECHANISMS}
# parameters that shape the walk, the supply or the fate of cells and stand in no equation of their own
TOLD_IN_WORDS = {
    "motility": {"crawl_density", "crawl_steepness", "chemotaxis"},
    "niche_release": set(),
    "recruitment": {"granzyme"},
    "adenosine": {"clearance_free", "clearance_cell"},
    "exhaustion": {"nk_share"},
    "growth": {"il6_dependence", "il6_residual"},
    "imid": {"kept_in_resistant"},
    "proteasome": {"kept_in_resistant"},
}
CHECKED = [(name, i) for name, equations in EQUATIONS.items() for i in range(len(equations)) if (name, i) not in rules.NOT_ALONE]


def constants_of(mechanism):
    """Declared constants of the module of a mechanism, by their names in small letters."""
    module = rules.room(mechanism)
    return {name.lower(): getattr(module, name) for name in vars(module).get("__annotations__", {}) if name.isupper()}


def drawn(mechanism, equation, dice):
    """Values of all names of an equation: parameters near their defaults, variables within what they can be."""
    params = rules.room(mechanism).Params
    defaults, values = params._field_defaults, dict(constants_of(mechanism))
    for name in notes(params):
        values[name] = float(defaults.get(name, 1.0)) * dice.uniform(0.6, 1.0)
    for name, meaning in equation.where.items():
        top = {"sites/cell": 4e5, "ug/mL": 20.0, "site2/h": 30.0, "1/site": 0.5}
        unit = meaning.partition("]")[0].removeprefix("[")
        values[name] = dice.uniform(0.05, 1.0) * top.get(unit, 1.0)
    if "competition" in equation.where:
        values["competition"] += values["free"] / values["binding_constant"]  # the antibody itself included
    return values


def test_every_mechanism_has_its_equations_and_no_other():
    assert set(EQUATIONS) == set(BY_NAME)


def test_every_equation_is_checked_or_says_why_not():
    known = {(name, i) for name, equations in EQUATIONS.items() for i in range(len(equations))}
    assert set(rules.CODE) | set(rules.NOT_ALONE) == known
    assert not set(rules.CODE) & set(rules.NOT_ALONE)


@pytest.mark.parametrize(("mechanism", "index"), CHECKED, ids=str)
def test_an_equation_gives_what_the_code_gives(mechanism, index):
    equation, dice = EQUATIONS[mechanism][index], random.Random(f"{mechanism} {index}")
    for _ in range(8):
        values = drawn(mechanism, equation, dice)
        said = eval(equation.equals, {"__builtins__": {}}, {**SCOPE, **values})
        done = rules.CODE[mechanism, index](rules.Values(**values))
        assert done == pytest.approx(said, rel=2e-3, abs=1e-9), values


@pytest.mark.parametrize("mechanism", BY_NAME)
def test_every_parameter_stands_in_an_equation(mechanism):
    told = {name for equation in EQUATIONS[mechanism] for name in typesetting.names(equation.equals)}
    declared = set(notes(BY_NAME[mechanism].Params))
    assert declared - told == TOLD_IN_WORDS.get(mechanism, set())
    explained = {name for equation in EQUATIONS[mechanism] for name in equation.where}
    assert told <= declared | explained | set(constants_of(mechanism))


def test_symbols_do_not_meet_in_one_equation():
    for mechanism, equations in EQUATIONS.items():
        for equation in equations:
            symbols = [typesetting.symbol(name) for name in typesetting.names(equation.equals)]
            assert len(set(symbols)) == len(symbols), (mechanism, symbols)


def test_an_equation_is_typeset():
    text = typesetting.latex(EQUATIONS["adcc"][0])
    assert text == r"\text{hazard of a plasma cell} = k \phi N_c \frac{B^{n}}{B^{n} + B_{50}^{n}} \left(1 + (f - 1) \, x\right)"
    assert typesetting.mathml(text).startswith("<math") and "<mfrac>" in typesetting.mathml(text)


@pytest.mark.parametrize("mechanism", [name for name in BY_NAME if name != "turnover"])
def test_every_mechanism_has_a_curve_that_moves(mechanism):
    from docs_site.mechanisms import traces

    found = traces(BY_NAME[mechanism])
    assert all(len(xs) == len(ys) for _, xs, ys in found)
    assert any(max(ys) > min(ys) for _, _, ys in found)
