"""Mechanisms from outside that write what nobody reads after them are refused, and what is refused really does nothing."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.mechanism import Phase
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.quantities import quantities
from tme_abm.marrow.state import Gauge
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.declared import PHASES
from tme_abm.mechanisms.outside import loading, unread
from tme_abm.mechanisms.outside.catalogue import PLAIN
from tme_abm.mechanisms.outside.loading import load
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation

NK_NICHE = Path(__file__).parents[2] / "docs" / "examples" / "nk_niche.py"
GIVEN = {"isatuximab": (10.0, "mg/kg"), "pomalidomide": (4.0, "mg"), "bortezomib": (1.3, "mg/m2"), "dexamethasone": (40.0, "mg")}
PASSING = [g for g in Gauge if not g.lasts]
COLUMNS = ("contacts.nk", "contacts.t_cell", "contacts.phagocyte", "body.clone_cd38", "body.clone_stress", "drugs.occupancy")

WEAKER = """
from typing import Annotated, NamedTuple

from tme_abm.mechanism_kit import *


class Params(NamedTuple):
    share: Annotated[float, Param("1", "share that is left", "this study: a test", "A")] = 0.5


@part
def ceiling(marrow, p, tick):
    marrow.body.ceiling[0] += 0.0


@part
def hazard(marrow, p, tick):
    for k in range(marrow.n_at_risk[1]):
        marrow.at_risk.nk[k] *= p.share


WEAKER = Mechanism(
    "weaker", Params, "Weaker", "NK cells kill less.", Group.IMMUNE, (), ("at_risk.nk",), ceiling=ceiling, hazard=hazard
)
"""

FACTOR = """
from typing import Annotated, NamedTuple

from tme_abm.mechanism_kit import *


class Params(NamedTuple):
    which: Annotated[float, Param("1", "number of a gauge, or 1000 and more", "this study: a test", "A")] = 0.0
    factor: Annotated[float, Param("1", "factor", "this study: a test", "A")] = 1.0


@part
def scale(column, factor):
    for i in range(column.size):
        column[i] *= factor


@part
def prepare(marrow, p, tick):
    which = int(p.which)
    if which < 1000:
        marrow.body.gauge[which] *= p.factor
SCALES

FACTOR = Mechanism(
    "factor", Params, "Factor", "A factor.", Group.IMMUNE, (), (WRITES), phase=Phase.PHASE, prepare=prepare
)
"""


@pytest.fixture
def file(tmp_path):
    """Writes a file and gives its path."""

    def write(text, name="made_up.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def treated(catalogue, days, given=GIVEN, drugs=None, **parameters):
    """A marrow under some drugs for some days."""
    changed = {name: {key: {"value": value} for key, value in values.items()} for name, values in parameters.items()}
    start = Simulation(preset("typical"), Settings(48, 48, catalogue=catalogue, parameters=changed), 7)
    doses = tuple(Dose(drug, amount, unit, (1, 8, 15, 22)) for drug, (amount, unit) in given.items())
    arm = start.fork(Regimen("all", "All", 28, doses), drugs or {drug: load_drug(drug) for drug in given}, frozenset())
    arm.advance(4 * days)
    return arm


def by(arm, cause):
    return int(arm.marrow.body.ledger[CellType.PLASMA, cause])


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_what_a_hazard_act_writes_of_the_contacts_comes_too_late(file):
    line = 1 + WEAKER[: WEAKER.index("marrow.at_risk.nk[k] *=")].count("\n")
    said = (
        rf"made_up\.py, line {line}: 'weaker' writes at_risk.nk on cells at risk, which nobody reads after it, so it does nothing; "
        r"write contacts.nk in Phase.MOTION, where it is made$"
    )
    with pytest.raises(InputError, match=said) as caught:
        load([file(WEAKER)])
    assert "\n" not in str(caught.value)


def test_what_another_from_outside_reads_after_it_is_no_waste(file):
    reader = (
        WEAKER.replace("weaker", "zealous").replace("WEAKER", "ZEALOUS").replace('(), ("at_risk.nk",)', '("at_risk.nk",), ("hazard.ADCC",)')
    )
    reader = reader.replace("marrow.at_risk.nk[k] *= p.share", "marrow.hazard[k, Cause.ADCC] *= marrow.at_risk.nk[k] * 0.0 + 1.0")
    assert load([file(WEAKER), file(reader, "reader.py")]).outside


@pytest.mark.parametrize(
    ("name", "phase", "better"),
    [
        ("contacts.nk", "EFFECTORS", "write contacts.nk in Phase.MOTION, where it is made"),
        ("gauge.NK_ARMED", "ARRIVAL", "write gauge.NK_ARMED in Phase.MOTION or before"),
        ("gauge.REVIVAL", "EFFECTORS", "write gauge.REVIVAL in Phase.FIELDS or before"),
        ("body.count", "ARRIVAL", "write body.count in Phase.MOTION or before"),
        ("drugs.concentration", "DRUGS", "binding has read it by then"),
    ],
)
def test_what_is_prepared_too_early_or_too_late_is_told_where_it_would_tell(file, name, phase, better):
    place = f"gauge[Gauge.{name.removeprefix('gauge.')}]" if name.startswith("gauge.") else None
    line = f"    marrow.body.{place} *= 0.5" if place else f"    marrow.{name}[0] *= 2"
    text = (
        re.sub(r"    which = .*?SCALES", line, FACTOR, flags=re.DOTALL)
        .replace("WRITES", f'"{name}",')
        .replace("Phase.PHASE", f"Phase.{phase}")
    )
    said = re.escape(f"'factor' writes {name} in Phase.{phase}, which nobody reads after it, so it does nothing; {better}")
    with pytest.raises(InputError, match=rf"made_up\.py, line \d+: {said}$"):
        load([file(text)])


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_what_is_refused_really_does_nothing_and_what_is_not_does(file, monkeypatch, phase):
    """Every quantity that lasts for a step only, halved in every phase by a mechanism that slips through."""
    scales = "".join(f"    elif which == {1000 + i}:\n        scale(marrow.{name}, p.factor)\n" for i, name in enumerate(COLUMNS))
    names = [*(f"gauge.{g.name}" for g in PASSING), *COLUMNS]
    text = (
        FACTOR.replace("SCALES", scales)
        .replace("WRITES", ", ".join(f'"{name}"' for name in names))
        .replace("Phase.PHASE", f"Phase.{phase.name}")
    )
    monkeypatch.setattr(loading, "check_used", lambda ordered, seen: None)
    monkeypatch.setattr(loading, "check_declared", lambda o: {})
    monkeypatch.setattr(loading, "check_turns", lambda ordered, seen: None)
    catalogue = load([file(text)])
    plain = treated(catalogue, 8).marrow
    passing = [int(g) for g in PASSING]

    def moves(which):
        marrow = treated(catalogue, 8, factor={"which": float(which), "factor": 0.5}).marrow
        told = [
            *zip(plain.cells, marrow.cells, strict=True),
            (plain.body.burden, marrow.body.burden),
            (plain.body.ledger, marrow.body.ledger),
        ]
        told += [(np.delete(plain.body.gauge, passing), np.delete(marrow.body.gauge, passing))]
        return not all(np.array_equal(a, b) for a, b in told)

    moment = (2 * PHASES.index(phase), len(MECHANISMS))
    for name, which in [*zip(names, [*passing, *range(1000, 1000 + len(COLUMNS))], strict=True)]:
        if not unread.is_read(name, moment, unread.moments(name)):
            assert not moves(which), name
        elif name in ("gauge.NK_ARMED", "gauge.STIMULATION", "contacts.nk", "contacts.phagocyte", "drugs.occupancy", "gauge.IL6_OUTPUT"):
            assert moves(which), name


def test_what_the_package_writes_is_read():
    """The rule holds of the package's own mechanisms, too: each at its place."""
    for place, m in enumerate(MECHANISMS):
        for name in m.writes:
            if name not in quantities() or name == "cells":
                continue
            at_risk = name.startswith(("at_risk.", "hazard."))
            moment = (unread.AT_RISK if at_risk or m.phase is None else 2 * PHASES.index(m.phase), place)
            own = name.startswith("gauge.") and quantities()[name].lasts
            assert own or unread.is_read(name, moment, unread.moments(name)), (m.name, name)


def test_no_phase_is_named_in_which_a_write_would_be_lost():
    assert unread.last_phase("contacts.nk") is Phase.MOTION and unread.last_phase("gauge.NK_ARMED") is Phase.MOTION
    assert unread.last_phase("drugs.occupancy") is Phase.MOTION and unread.last_phase("gauge.REVIVAL") is Phase.FIELDS
    assert unread.last_phase("clones.tp53_mutated") is None and unread.last_phase("cells.granzyme") is Phase.ARRIVAL


# ---- how it is done --------------------------------------------------------------------------------------------------


def test_nk_cells_next_to_stroma_kill_less():
    """The second example of docs/mechanism_of_your_own.md: the same marrow on the same dice, and the very run without it at a loss of 0.

    Isatuximab alone, with ten times the lysis by NK cells, so that there is enough ADCC to lose.
    """
    catalogue, drug = load([NK_NICHE]), load_drug("isatuximab")
    adcc = drug.effects["adcc"]
    effects = {**drug.effects, "adcc": adcc._replace(params=adcc.params._replace(lysis_rate=10.0 * adcc.params.lysis_rate))}
    under = {"given": {"isatuximab": GIVEN["isatuximab"]}, "drugs": {"isatuximab": replace(drug, effects=effects)}}
    plain, none, half, full = (
        treated(given, 28, **under, **parameters)
        for given, parameters in ((PLAIN, {}), *((catalogue, {"nk_niche": {"loss": loss}}) for loss in (0.0, 0.5, 1.0)))
    )
    assert none.state_hash() == plain.state_hash()
    assert by(plain, Cause.ADCC) > 1.1 * by(half, Cause.ADCC) > 1.1 * by(full, Cause.ADCC) > 0
