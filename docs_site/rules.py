"""The rules of the mechanisms as their code has them: the value of each equation, and the curve that is drawn of each mechanism.

Everything here asks the kernels themselves (as their interpreted twins), so a curve is that of the code, and a test holds the equations of
mechanisms/equations.py to it.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY, SECONDS_PER_HOUR
from tme_abm.foundation.declare import notes, stack
from tme_abm.foundation.response import eased, shielded
from tme_abm.foundation.twin import Twins
from tme_abm.marrow.antigen import Antigen
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.diffusion import allocate_grid, solve_steady
from tme_abm.marrow.lattice import SITE_UM, in_sites
from tme_abm.marrow.state import Gauge
from tme_abm.mechanisms import MECHANISMS

BLINK = 1e-5  # [h] in which a rate of change is read off a solution
TWINS = Twins()
Values = SimpleNamespace


def room(mechanism: str) -> Any:
    """The module of a mechanism."""
    return import_module(f"tme_abm.mechanisms.{mechanism}")


@cache
def rule(mechanism: str, name: str) -> Callable[..., Any]:
    """A function of the module of a mechanism, as plain Python."""
    function = getattr(room(mechanism), name)
    return TWINS.of(function) if hasattr(function, "py_func") else function


def block(mechanism: str, values: Values) -> Any:
    """The parameters of a mechanism, from what `values` has of them and its defaults for the rest."""
    params = room(mechanism).Params
    given = {name: getattr(values, name) for name in notes(params) if hasattr(values, name)}
    return params(**{**params._field_defaults, **given})


def rows(mechanism: str, values: Values) -> Any:
    """The same of a mechanism of drugs, as its rules take them: arrays, one drug long."""
    return stack(room(mechanism).Params, [block(mechanism, values)])


def change(now: float, after: Callable[[float], float]) -> float:
    """Rate of change [1/h] of what stands at `now` and at `after(dt)` a blink later."""
    return (after(BLINK) - now) / BLINK


def body(**gauges: float) -> Any:
    """A marrow's body with all gauges at rest but the given ones."""
    gauge = np.array([g.rest for g in Gauge], np.float64)
    for name, value in gauges.items():
        gauge[Gauge[name]] = value
    return SimpleNamespace(gauge=gauge, clone_cd38=np.ones(N_CLONES), clone_stress=np.zeros(N_CLONES))


def prepared(mechanism: str, v: Values, dt: float, effect: float = 0.0, occupancy: float = 0.0, **gauges: float) -> Any:
    """The body of a marrow after a mechanism has prepared under one drug."""
    drugs = SimpleNamespace(antigen=np.array([int(Antigen.CD38)]), occupancy=np.array([occupancy]), effect=np.array([effect]))
    clones = SimpleNamespace(
        escaped=np.ones(N_CLONES), imid_response=np.ones(N_CLONES), proteasome_response=np.full(N_CLONES, getattr(v, "response", 1.0))
    )
    marrow = SimpleNamespace(drugs=drugs, clones=clones, body=body(**gauges))
    found = next(m for m in MECHANISMS if m.name == mechanism)
    given = SimpleNamespace(drug=np.array([0]), p=rows(mechanism, v)) if found.by_drug else block(mechanism, v)
    TWINS.of(found.prepare)(marrow, given, SimpleNamespace(dt=dt, step=0))
    return marrow.body


def imid_gauge(name: str) -> Callable[[Values], float]:
    """What an IMiD makes of a gauge of the host."""
    return lambda v: float(prepared("imid", v, 6.0, effect=v.effect).gauge[Gauge[name]])


def trogocytosis(v: Values, dt: float) -> float:
    """CD38 left on the surface after `dt` [h]."""
    loss = v.loss * getattr(v, "crew", 1.0) * v.occupancy
    return rule("trogocytosis", "surface")(v.surface, loss, loss * v.floor, dt)


def delivered(v: Values, dt: float) -> float:
    """Free antibody in the marrow after `dt` [h]."""
    others = v.competition - v.free / v.binding_constant  # the share of the other antibodies
    half = v.binding_constant * (1.0 + others)
    return rule("binding", "delivered")(v.free, v.plasma, half, v.turnover * dt * v.held, (v.partition, v.exchange * dt))


def supply(v: Values, load: float) -> float:
    """Arrivals of a suppressor relative to turnover."""
    count = np.zeros(N_TYPES)
    count[CellType.PLASMA] = 1e6 * load
    marrow = SimpleNamespace(
        body=SimpleNamespace(gauge=body().gauge, count=count, target=np.full(N_TYPES, 1e6)),
        traits=SimpleNamespace(is_suppressor=np.ones(N_TYPES)),
    )
    return float(rule("recruitment", "supply")(marrow, int(CellType.MDSC), block("recruitment", v)))


def squared_way(v: Values) -> float:
    """Mean square displacement [site2] along an axis of a cell of a `diffusivity` in a stop."""
    small, wider = rule("motility", "squares")(v.diffusivity, v.stop)
    return sum(share * n * (n + 1.0) / 3.0 for share, n in ((1.0 - wider, small), (wider, small + 1)))


# Mechanism and number of its equation -> what the code says, for values of all its names.
CODE: dict[tuple[str, int], Callable[[Values], float]] = {
    ("binding", 0): lambda v: change(v.free, lambda dt: delivered(v, dt)),
    ("binding", 1): lambda v: rule("binding", "occupancy")(v.free, v.competition, v.binding_constant, v.accessible),
    ("trogocytosis", 0): lambda v: change(v.surface, lambda dt: trogocytosis(v, dt)),
    ("antigen_loss", 0): lambda v: change(
        v.escaped,
        lambda dt: prepared("antigen_loss", v, dt, occupancy=v.occupancy, ESCAPED_CD38=v.escaped).gauge[Gauge.ESCAPED_CD38],
    ),
    ("adcc", 0): lambda v: rule("adcc", "rate")(v.contact, v.bound, rows("adcc", v), 0) * v.fitness * eased(v.stress, v.stressed_fold),
    ("adcp", 0): lambda v: rule("adcp", "rate")(v.contact, v.bound, rows("adcp", v), 0) * v.fitness * eased(v.stress, v.stressed_fold),
    ("fc_receptors", 0): lambda v: change(v.left, lambda dt: rule("fc_receptors", "left")(v.left, v.spent, block("fc_receptors", v), dt)),
    ("cdc", 0): lambda v: rule("cdc", "rate")(v.bound, v.inhibitors, rows("cdc", v), 0),
    ("direct_killing", 0): lambda v: rule("direct_killing", "rate")(v.bound, rows("direct_killing", v), 0),
    ("depletion", 0): lambda v: rule("depletion", "rate")(v.bound, rows("depletion", v), 0),
    ("nk_activation", 0): lambda v: change(
        v.cd16, lambda dt: prepared("nk_activation", v, dt, occupancy=v.occupancy, CD16=v.cd16).gauge[Gauge.CD16]
    ),
    ("nk_activation", 1): lambda v: prepared("nk_activation", v, BLINK, occupancy=v.occupancy, CD16=v.cd16).gauge[Gauge.NK_ARMED],
    ("nk_activation", 2): lambda v: rule("nk_activation", "rate")(v.bound, rows("nk_activation", v), 0),
    ("ectoenzyme", 0): lambda v: prepared("ectoenzyme", v, 6.0, occupancy=v.occupancy).gauge[Gauge.ENZYME_ACTIVITY],
    ("niche_release", 0): lambda v: rule("niche_release", "kept")(v.cd38, v.occupancy, rows("niche_release", v), 0),
    ("niche_release", 1): lambda v: 1.0 - prepared("niche_release", v, 6.0, occupancy=v.occupancy).gauge[Gauge.CRAWL_BLOCK],
    ("imid", 0): lambda v: rule("imid", "rate")(v.effect, v.sensitivity, v.adherence, rows("imid", v), 0),
    ("imid", 1): imid_gauge("NK_SUPPLY"),
    ("imid", 2): imid_gauge("STIMULATION"),
    ("imid", 3): imid_gauge("REVIVAL"),
    ("imid", 4): imid_gauge("IL6_OUTPUT"),
    ("imid", 5): lambda v: change(
        v.induction, lambda dt: prepared("imid", v, dt, effect=v.effect, CD38_INDUCTION=v.induction).gauge[Gauge.CD38_INDUCTION]
    ),
    ("proteasome", 0): lambda v: rule("proteasome", "rate")(v.effect, v.sensitivity, v.adherence, rows("proteasome", v), 0),
    ("proteasome", 1): lambda v: float(prepared("proteasome", v, 6.0, effect=v.effect).clone_stress[0]),
    ("glucocorticoid", 0): lambda v: rule("glucocorticoid", "rate")(v.effect, v.sensitivity, v.adherence, rows("glucocorticoid", v), 0),
    ("glucocorticoid", 2): lambda v: prepared("glucocorticoid", v, 6.0, effect=v.effect).gauge[Gauge.STIMULATION],
    ("suppression", 0): lambda v: rule("suppression", "restraint")(v.adenosine, v.suppressors, block("suppression", v)),
    ("exhaustion", 0): lambda v: rule("exhaustion", "sustained")(v.load, v.exhaustion, 0.0),
    ("t_cell_recovery", 0): lambda v: rule("t_cell_recovery", "rate")(v.granzyme, v.load, v.share, block("t_cell_recovery", v)),
    ("recruitment", 0): lambda v: supply(v, v.load),
    ("motility", 0): squared_way,
    ("adhesion", 0): lambda v: shielded(v.adherence, v.adhesion_fold),
    ("growth", 0): lambda v: v.division * rule("growth", "drive")(v.il6, v.dependence),
}

# Equations whose code is a loop over the cells of a marrow, or a solver with tests of its own against an independent one.
NOT_ALONE = {
    ("fc_receptors", 1): "summed over the patch",
    ("glucocorticoid", 1): "a product in the loop over the cells at risk",
    ("adenosine", 0): "the solver of the fields, tests/marrow/test_diffusion.py",
    ("interleukin6", 0): "the solver of the fields, tests/marrow/test_diffusion.py",
    ("chemokine", 0): "the solver of the fields, tests/marrow/test_diffusion.py",
    ("suppression", 1): "in the loop over the lytic cells",
    ("exhaustion", 1): "in the loop over the cells that exhaust",
    ("t_cell_killing", 0): "a product in the loop over the cells at risk",
    ("turnover", 0): "a number of the cell type",
    ("growth", 1): "a number",
}


class Curve(NamedTuple):
    """What is drawn of a mechanism.

    Attributes:
        x: Label of the axis.
        y: Label of the other.
        at: Where on the axis (n,).
        of: (x, values of the parameters) -> y; a line for each drug where drugs bring parameters, else for each of `lines`.
        lines: Label -> values besides the defaults of the parameters.
        is_log: Whether the axis is logarithmic.
        whole: Whether `of` takes all of `at` at once, as a course in time.
    """

    x: str
    y: str
    at: np.ndarray
    of: Callable[[Any, Values], Any]
    lines: Mapping[str, Mapping[str, float]] = {"": {}}
    is_log: bool = False
    whole: bool = False


DENSITY = np.geomspace(1e3, 1e6, 90)
SHARE = np.linspace(0.0, 1.0, 60)
DAYS = np.arange(0.0, 85.0)
GIVEN = 28  # days for which the antibody of a course is there
THERE = 0.8  # occupancy while it is
BOUND_AXIS = "antibody bound [sites/cell]"
BOUND = {"x": BOUND_AXIS, "at": DENSITY, "is_log": True}
COURSE = {"x": f"day; the antibody is there until day {GIVEN}", "at": DAYS, "whole": True}
EFFECT = {"x": "engagement of the target [1]", "at": SHARE}
HAZARD = "hazard [1/h]"
NEUTRAL = {
    **{"contact": 1.0, "fitness": 1.0, "stress": 0.0, "sensitivity": 1.0, "adherence": 0.0, "response": 1.0, "crew": 1.0},
    **{"inhibitors": 1.0, "suppressors": 0.0, "share": 1.0, "division": 1.0, "granzyme": 1.0, "competition": 0.0},
}


def killing(mechanism: str, name: str = "bound", index: int = 0) -> Callable[[float, Values], float]:
    """The value of an equation of a mechanism over one of its variables."""
    return lambda x, v: CODE[mechanism, index](Values(**{**vars(v), name: x}))


def course(step: Callable[[Values, float, float], float]) -> Callable[[np.ndarray, Values], list[float]]:
    """Days of a quantity that begins at 1 and goes a day on with the occupancy of that day."""

    def follow(days: np.ndarray, v: Values) -> list[float]:
        found = [1.0]
        for day in days[:-1]:
            found.append(float(step(v, found[-1], THERE if day < GIVEN else 0.0)))
        return found

    return follow


def with_(v: Values, **changed: float) -> Values:
    """The same values with some changed."""
    return Values(**{**vars(v), **changed})


def profile(clearance: str) -> Callable[[np.ndarray, Values], Any]:
    """Level around one cell that makes a factor, relative to that at the cell."""

    def level(distance: np.ndarray, v: Values) -> Any:
        side = 64
        source, field = np.zeros((side, side), np.float32), np.zeros(side * side, np.float32)
        source[side // 2, side // 2] = 1.0
        uptake = np.full(side * side, getattr(v, clearance), np.float32)
        solve_steady(field, source.ravel(), uptake, in_sites(v.diffusivity, SECONDS_PER_HOUR), allocate_grid(side, side), 1e-5)
        row = field.reshape(side, side)[side // 2, side // 2 :]
        return np.interp(distance, SITE_UM * np.arange(row.size), row / row[0])

    return level


WAY = {
    "x": "distance from the cell that makes it [um]",
    "y": "level over that at the cell [1]",
    "at": np.linspace(0.0, 240.0, 81),
    "whole": True,
}


def steady(v: Values, plasma: float) -> float:
    """Occupancy where the marrow is in balance with a concentration in plasma."""
    if not hasattr(room("binding"), "delivered"):
        return CODE["binding", 1](with_(v, free=plasma, competition=plasma / v.binding_constant))
    free = rule("binding", "delivered")(0.0, plasma, v.binding_constant, v.turnover * 1e9 * v.held, (v.partition, v.exchange * 1e9))
    return CODE["binding", 1](with_(v, free=free, competition=free / v.binding_constant))


def half_lives() -> dict[str, float]:
    """Half-lives of the types of cell whose turnover is a number of the type [d]."""
    found = {record.plural: record.numbers.get("renewal", {}).get("value", 0.0) for record in records().values()}
    return {plural: float(np.log(2.0)) / renewal for plural, renewal in found.items() if renewal > 0.0}


CURVES: dict[str, Curve] = {
    "binding": Curve(
        "concentration in plasma, held for long [ug/mL]",
        "occupancy [1]",
        np.geomspace(0.01, 1000.0, 90),
        lambda x, v: steady(v, x),
        {"in a marrow without plasma cells": {"held": 0.0}, "in a packed marrow": {"held": 10.0}},
        is_log=True,
    ),
    "trogocytosis": Curve(
        **COURSE,
        y="CD38 left on the surface [1]",
        of=course(lambda v, now, there: trogocytosis(with_(v, surface=now, occupancy=there), HOURS_PER_DAY)),
    ),
    "antigen_loss": Curve(
        **COURSE,
        y="CD38 of an escaped clone [1]",
        of=course(
            lambda v, now, there: prepared("antigen_loss", v, HOURS_PER_DAY, occupancy=there, ESCAPED_CD38=now).gauge[Gauge.ESCAPED_CD38]
        ),
    ),
    "adcc": Curve(**BOUND, y=f"{HAZARD} with one NK cell in contact", of=killing("adcc")),
    "adcp": Curve(**BOUND, y=f"{HAZARD} with one macrophage in contact", of=killing("adcp")),
    "cdc": Curve(**BOUND, y=HAZARD, of=killing("cdc")),
    "direct_killing": Curve(**BOUND, y=HAZARD, of=killing("direct_killing")),
    "depletion": Curve(**BOUND, y=HAZARD, of=killing("depletion")),
    "fc_receptors": Curve(
        "share of its receptors that a macrophage spends [1/h]",
        "Fc receptors left in the end [1]",
        np.linspace(0.0, 0.1, 60),
        lambda x, v: rule("fc_receptors", "left")(1.0, x, block("fc_receptors", v), 1e6),
    ),
    "nk_activation": Curve(**BOUND, y=f"{HAZARD} of an NK cell", of=killing("nk_activation", index=2)),
    "ectoenzyme": Curve("occupancy [1]", "enzyme activity left [1]", SHARE, killing("ectoenzyme", "occupancy")),
    "niche_release": Curve(
        "CD38 on the cell [sites/cell]",
        "hold of the niche that is kept [1]",
        DENSITY,
        lambda x, v: CODE["niche_release", 0](with_(v, cd38=x, occupancy=THERE)),
        is_log=True,
    ),
    "imid": Curve(**EFFECT, y=f"{HAZARD} of a sensitive plasma cell", of=killing("imid", "effect")),
    "proteasome": Curve(**EFFECT, y=f"{HAZARD} of a sensitive plasma cell", of=killing("proteasome", "effect")),
    "glucocorticoid": Curve(**EFFECT, y=f"{HAZARD} of a sensitive plasma cell", of=killing("glucocorticoid", "effect")),
    "adenosine": Curve(
        **WAY, of=profile("clearance"), lines={"among cells": {"clearance": 480.0}, "where no cell is": {"clearance": 180.0}}
    ),
    "interleukin6": Curve(**WAY, of=profile("clearance")),
    "chemokine": Curve(**WAY, of=profile("clearance")),
    "suppression": Curve(
        "adenosine [K(A2A)]",
        "restraint: lytic capacity that is kept [1]",
        np.linspace(0.0, 4.0, 60),
        killing("suppression", "adenosine"),
        {"no suppressor nearby": {"suppressors": 0.0}, "one MDSC": {"suppressors": 1.0}, "three": {"suppressors": 3.0}},
    ),
    "exhaustion": Curve(
        "plasma cells [1/site]",
        "activity that lasts [1]",
        np.linspace(0.0, 0.6, 60),
        lambda x, v: rule("exhaustion", "sustained")(x, v.exhaustion * v.of_t, 0.0),
        {"T cells": {"exhaustion": 2.0, "of_t": 1.0}, "NK cells": {"exhaustion": 2.0, "of_t": 0.3}},
    ),
    "t_cell_killing": Curve("T cells in contact [1]", HAZARD, np.linspace(0.0, 4.0, 40), lambda x, v: v.lysis_rate * x),
    "t_cell_recovery": Curve(
        "granzyme of the cell [1]",
        "division [1/h]",
        np.linspace(0.0, 1.5, 60),
        lambda x, v: CODE["t_cell_recovery", 0](with_(v, granzyme=x)),
        {"plasma cells on 30 % of sites": {"load": 0.3}, "on 1 %": {"load": 0.01}, "on 0.1 %": {"load": 0.001}},
    ),
    "recruitment": Curve(
        "tumour load over that at eligibility [1]",
        "arrivals of a suppressor over turnover [1]",
        np.linspace(0.0, 3.0, 60),
        lambda x, v: supply(v, x),
    ),
    "motility": Curve(
        "motility of the type of cell [um2/min]",
        "way in a stop, root of the mean square [um]",
        np.linspace(0.0, 40.0, 60),
        lambda x, v: SITE_UM * (2.0 * squared_way(with_(v, diffusivity=in_sites(x, 60.0)))) ** 0.5,
    ),
    "adhesion": Curve(
        "resistance of a cell fully held [1]",
        "share of the drug's effect that is left [1]",
        np.linspace(1.0, 6.0, 60),
        lambda x, v: shielded(1.0, x),
    ),
    "growth": Curve(
        "interleukin-6 over the patient's own [1]",
        "division over that at the patient's own level [1]",
        np.linspace(0.0, 3.0, 60),
        lambda x, v: CODE["growth", 0](with_(v, il6=x, dependence=v.il6_dependence * (v.il6_residual if v.resists else 1.0))),
        {"a clone that resists no drug": {"resists": 0.0}, "one that resists": {"resists": 1.0}},
    ),
}
