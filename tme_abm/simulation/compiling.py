"""The pieces of the step, compiled: from numba's cache, or by two processes side by side where they are not there yet.

The compiler works on one core. The first time that a step is needed, a second process (`python -m tme_abm.simulation.compiling FOLDER`)
works beside this one: each takes the dearest of what nobody has begun, and says so by a file in a folder of both, until nothing is left.
What the second one has made is read from the cache. Where there is no cache, or one core, this process makes everything.
"""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from tme_abm.batch.child import environment
from tme_abm.batch.desk import cores
from tme_abm.foundation import jit
from tme_abm.foundation.calling import ADDRESS, address, compile_for
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.rng import Stream, normal, stream_key
from tme_abm.marrow import roster
from tme_abm.marrow.state import Tick
from tme_abm.mechanisms.outside.catalogue import PLAIN
from tme_abm.mechanisms.outside.checking import sample_marrow
from tme_abm.mechanisms.step import PIECES, advance
from tme_abm.patients.population import draw_patient
from tme_abm.patients.presets import preset
from tme_abm.patients.reading import load_population
from tme_abm.pharmacology.course import Course, Exposure
from tme_abm.pharmacology.drug import catalogue, load_drug
from tme_abm.pharmacology.regimen import Dose
from tme_abm.simulation import onset
from tme_abm.simulation.rules import gather_rules
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.treatment import UNTREATED, physique

DEAREST_FIRST = (
    *("draw_fates", "fields_spread", "drugs_act", "cells_move", "raise_ceilings", "drugs", "python", "deaths_and_divisions_happen"),
    *("marrow", "effectors_respond", "cells_arrive", "draws"),
)
SMALL = 32  # sites a side of a marrow that is made for the sake of its kernels
_LOCK = threading.Lock()


def addresses() -> Any:
    """Where the pieces of the step begin (n_pieces,), in the order of `step.PIECES`; compiled now where they are not yet."""
    with _LOCK:
        return _addresses()


@cache
def _addresses() -> Any:
    if not is_compiled():
        _share()
    known = _compile(PIECES)
    found = np.empty(len(PIECES), ADDRESS)
    for place, name in enumerate(PIECES):
        found[place] = known[name]
    return found


def _share() -> None:
    """Compile everything together with a second process; what it has not made when it ends is left to be compiled when it is needed."""
    try:
        place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError:  # there is no place for the folder
        return
    with place as folder:
        second = start_second(folder)
        if second is not None:
            work(Path(folder))
            second.wait()


def work(folder: Path) -> None:
    """Do what nobody has begun, until all has been begun.

    Args:
        folder: Where a file for each task says that somebody has begun it.
    """
    for name, act in tasks().items():
        try:
            (folder / name).touch(exist_ok=False)
        except FileExistsError:
            continue
        act()


def tasks() -> dict[str, Callable[[], object]]:
    """What is to be compiled, the dearest first, so that neither process waits long for the other one in the end."""
    others = {"draws": _draw, "marrow": _make_marrow, "python": _pass_from_python, "drugs": _follow_drugs}
    return {name: others.get(name, partial(_compile, (name,))) for name in DEAREST_FIRST}


def _compile(names: Iterable[str]) -> dict[str, Any]:
    """The addresses of some pieces."""
    marrow, rules = _sample()
    return {name: address(PIECES[name], marrow, rules, Tick(1.0, 0, 0)) for name in names}


def _sample() -> tuple[Any, Any]:
    """A marrow and its rules as kernels get them."""
    settings = Settings()
    return sample_marrow(PLAIN.own), pin(gather_rules(settings, settings.fill(), (), frozenset())[0])


def is_compiled() -> bool:
    """Whether there is nothing to compile, or nobody to share the work with by way of the cache."""
    if not jit.COMPILED or jit.CACHE_FOLDER is None or cores() < 2:
        return True
    return all(Path(jit.index_of(piece)).exists() for piece in PIECES.values())


def start_second(folder: str) -> "subprocess.Popen[bytes] | None":
    """A second process that works beside this one, by a folder of both; None where it cannot be started."""
    command = [sys.executable, "-m", "tme_abm.simulation.compiling", folder]
    silent = subprocess.DEVNULL
    try:
        return subprocess.Popen(command, env=environment(), stdin=silent, stdout=silent, stderr=silent)
    except OSError:
        return None


def _draw() -> None:
    """Have that compiled by which patients are drawn, and by which a laboratory errs at a visit."""
    draw_patient(load_population("icaria"), 1, 0)
    normal(stream_key(1, int(Stream.ASSAY), 0), 0)


def _make_marrow() -> None:
    """Have the kernels compiled by which a marrow is made."""
    settings = Settings(height=SMALL, width=SMALL)
    onset.make(preset("typical"), settings, settings.fill(), 1)


def _pass_from_python() -> None:
    """Have that compiled by which Python lets a marrow advance."""
    marrow, rules = _sample()
    tick, exposure = Tick(1.0, 0, 0), Exposure(np.zeros((0, 0)), np.zeros((0, 0)))
    compile_for(roster.index_cells, marrow)
    compile_for(advance, marrow, rules, exposure, tick)


def _follow_drugs() -> None:
    """Have the kinetics of drugs compiled; one drug serves for all."""
    drug = catalogue()[0]
    once = replace(UNTREATED, doses=(Dose(drug, 1.0, "mg", (1,)),))
    Course(once, (load_drug(drug),), physique(preset("typical")), 1).advance(1, Settings().step_h)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
