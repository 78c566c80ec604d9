"""Drugs with their kinetics, apart from what the mechanisms make of them."""

import tomllib
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import pytest

from tme_abm.foundation.declare import Param
from tme_abm.pharmacology.body import Body
from tme_abm.pharmacology.course import Course
from tme_abm.pharmacology.drug import FOLDER, Drug, load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen

TYPICAL = Body(
    age=65.0,
    weight_kg=75.6,
    bsa_m2=1.8,
    is_female=False,
    albumin_g_per_l=37.0,
    b2m_mg_per_l=3.9,
    creatinine_clearance_ml_per_min=100.0,
    is_igg=True,
    m_protein_g_per_l=20.0,
)


def _declared() -> dict[str, type]:
    """For each mechanism named by a drug file, a block that declares just what the files give."""
    units: dict[str, dict[str, str]] = {}
    for file in FOLDER.glob("*.toml"):
        for mechanism, given in tomllib.loads(file.read_text(encoding="utf-8"))["mechanisms"].items():
            found = units.setdefault(mechanism, {})
            found.update({name: entry["unit"] for name, entry in given.items()})
    blocks: dict[str, type] = {}
    for mechanism, members in units.items():
        block: Any = NamedTuple("Params", [(n, Annotated[float, Param(u, n, "file")]) for n, u in members.items()])  # type: ignore[misc]
        block.__new__.__defaults__ = (0.0,) * len(members)
        block._field_defaults = dict.fromkeys(members, 0.0)
        blocks[mechanism] = block
    return blocks


@pytest.fixture(scope="session")
def mechanisms() -> dict[str, type]:
    """Mechanism name -> a block of parameters."""
    return _declared()


@pytest.fixture(scope="session")
def drug(mechanisms: dict[str, type]) -> Callable[[str], Drug]:
    """Loads a drug of the catalogue."""
    return lambda name: load_drug(name, mechanisms=mechanisms)


@pytest.fixture(scope="session")
def typical() -> Body:
    """The typical patient of the isatuximab model."""
    return TYPICAL


@pytest.fixture(scope="session")
def start(drug: Callable[[str], Drug]) -> Callable[..., Course]:
    """Starts a course of some doses in the typical patient, or in another one."""

    def course(
        *doses: Dose,
        body: Body = TYPICAL,
        cycle_days: int = 28,
        key: int = 1,
        is_varied: bool = False,
        stop_day: float | None = None,
    ) -> Course:
        regimen = Regimen("study", "Study", cycle_days, doses, stop_day)
        return Course(regimen, [drug(name) for name in regimen.drugs], body, key, is_varied)

    return course
