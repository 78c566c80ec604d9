"""Where the compiled step calls mechanisms from outside: after those of the package, in each phase and in each act.

The step was compiled without them and stays as it is. It calls by address (`foundation.calling`), so a study without them runs the very
code of one with them, and a new one costs the time to compile itself.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.calling import ADDRESS, call
from tme_abm.foundation.jit import part
from tme_abm.marrow.cells import N_TYPES, Array, CellType
from tme_abm.marrow.state import Effector

PLASMA = int(CellType.PLASMA)
SLACK = 1e-9  # of a comparison of two sums that rounding may leave apart


class Hook(IntEnum):
    """The places of a step, in its order; the first ones are the phases in which mechanisms prepare."""

    DRUGS = 0
    FIELDS = 1
    EFFECTORS = 2
    MOTION = 3
    ARRIVAL = 4
    CEILING = 5
    HAZARD = 6


class Hooks(NamedTuple):
    """What is called, hook by hook: acts of hook k are `act[start[k]:start[k + 1]]`."""

    start: Array  # (len(Hook) + 1,) int64
    act: Array  # (n_acts,) addresses of kernels
    rules: Array  # (n_acts,) addresses of the bundles of parameters
    owner: Array  # (n_acts,) int64, the mechanism, counted from 0
    gauge: Array  # (n_gauges,) int64, own gauges that last a step only
    rest: Array  # (n_gauges,) float64, and what they go back to
    ceiling: Array  # (n_mechanisms, N_TYPES) float64, what each has added to `body.ceiling` in this step [1/h]
    contact_ceiling: Array  # (n_mechanisms, len(Effector)) float64, and to `body.contact_ceiling`
    before: Array  # (n_rows,) float64, hazards of the cells at risk before a mechanism acted [1/h]
    above: Array  # (n_mechanisms,) int64, hazards found above what it had added to the ceilings


class Act(NamedTuple):
    """A kernel of a mechanism from outside, at its place in the step."""

    hook: Hook
    owner: int
    address: Any
    rules: Any  # the bundle of parameters, pinned


def make_hooks(acts: Sequence[Act] = (), n_mechanisms: int = 0, resets: Sequence[tuple[int, float]] = (), n_rows: int = 0) -> Hooks:
    """The hooks of a simulation; the caller keeps the bundles of `acts` alive.

    Args:
        acts: In the order in which those of a hook are called.
        n_mechanisms: How many mechanisms from outside there are.
        resets: Gauges that go back to a value at the head of each step.
        n_rows: Rows of cells at risk.
    """
    placed = sorted(acts, key=lambda act: act.hook)
    count = [sum(act.hook == hook for act in placed) for hook in Hook]
    address = np.empty(len(placed), ADDRESS)
    rules = np.empty(len(placed), ADDRESS)
    for i, act in enumerate(placed):
        address[i] = act.address
        rules[i] = getattr(act.rules, "address", act.rules)
    return Hooks(
        start=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        act=address,
        rules=rules,
        owner=np.array([act.owner for act in placed], np.int64),
        gauge=np.array([gauge for gauge, _ in resets], np.int64),
        rest=np.array([value for _, value in resets], np.float64),
        ceiling=np.zeros((n_mechanisms, N_TYPES)),
        contact_ceiling=np.zeros((n_mechanisms, len(Effector))),
        before=np.zeros(n_rows if acts else 0),
        above=np.zeros(n_mechanisms, np.int64),
    )


def prepare(hook: Hook) -> Any:
    """The kernel (marrow, hooks, tick) that calls what prepares in a phase."""
    number = int(hook)

    @part
    def run(marrow, hooks, tick):
        for i in range(hooks.start[number], hooks.start[number + 1]):
            call(hooks.act[i], marrow, hooks.rules[i], tick)

    return run


@part
def forget(marrow, hooks, tick):
    """Gauges of their own that last a step only go back to rest."""
    for i in range(hooks.gauge.size):
        marrow.body.gauge[hooks.gauge[i]] = hooks.rest[i]


@part
def raise_ceilings(marrow, hooks, tick):
    """Let each raise the ceilings, and write down by how much."""
    body = marrow.body
    if hooks.act.size > 0:
        hooks.ceiling[:] = 0.0
        hooks.contact_ceiling[:] = 0.0
    for i in range(hooks.start[Hook.CEILING], hooks.start[Hook.CEILING + 1]):
        m = hooks.owner[i]
        for k in range(N_TYPES):
            hooks.ceiling[m, k] -= body.ceiling[k]
        for k in range(body.contact_ceiling.size):
            hooks.contact_ceiling[m, k] -= body.contact_ceiling[k]
        call(hooks.act[i], marrow, hooks.rules[i], tick)
        for k in range(N_TYPES):
            hooks.ceiling[m, k] += body.ceiling[k]
        for k in range(body.contact_ceiling.size):
            hooks.contact_ceiling[m, k] += body.contact_ceiling[k]


@part
def all_hazards(marrow, row):
    """Sum of the hazards of a row [1/h]."""
    total = 0.0
    for e in range(marrow.hazard.shape[1]):
        total += marrow.hazard[row, e]
    return total


@part
def may_add(marrow, hooks, m, row):
    """The highest hazard that a mechanism has said it can give to the cell of a row [1/h]."""
    risk, kind = marrow.at_risk, int(marrow.at_risk.kind[row])
    most = hooks.ceiling[m, kind]
    if kind == PLASMA:
        reach = hooks.contact_ceiling
        most += reach[m, Effector.NK] * risk.nk[row] + reach[m, Effector.T_CELL] * risk.t_cell[row]
        most += reach[m, Effector.PHAGOCYTE] * risk.phagocyte[row]
    return most


@part
def add_hazards(marrow, hooks, tick):
    """Let each add its hazards, and count those that are higher than it has said they could be, or no number."""
    for i in range(hooks.start[Hook.HAZARD], hooks.start[Hook.HAZARD + 1]):
        m = hooks.owner[i]
        for row in range(marrow.n_at_risk[0]):
            hooks.before[row] = all_hazards(marrow, row)
        call(hooks.act[i], marrow, hooks.rules[i], tick)
        for row in range(marrow.n_at_risk[0]):
            now = all_hazards(marrow, row)
            if not now - hooks.before[row] <= may_add(marrow, hooks, m, row) * (1.0 + SLACK) + now * SLACK:
                hooks.above[m] += 1
