"""A marrow to write into by hand, and the kernels of the package as plain Python."""

import sys
from types import CellType as Enclosed
from types import FunctionType

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from tme_abm.foundation import jit
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import N_CLONES, Clones
from tme_abm.marrow.lattice import make_lattice
from tme_abm.marrow.state import Host, make_marrow
from tme_abm.marrow.traits import load_traits

HOST = Host(
    burden_per_cell=1e6,
    secretion=1e-13,
    m_protein_half_life_low=504.0,
    m_protein_half_life_high=264.0,
    effector_fitness=1.0,
    nk_renewal=0.002,
    adenosine_cd38=100.0,
    adenosine_other=100.0,
    il6_source=50.0,
    chemokine_source=20.0,
    cd38_spread=0.6,
    exhaustion=2.0,
    t_cell_division=0.0,
)


def plain(kernel):
    """A kernel as plain Python, with the kernels that it encloses (`marrow.attack` makes such) plain too."""
    function = kernel.py_func
    enclosed = [cell.cell_contents for cell in function.__closure__ or ()]
    if any(isinstance(value, Dispatcher) for value in enclosed):
        cells = tuple(Enclosed(plain(value) if isinstance(value, Dispatcher) else value) for value in enclosed)
        function = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
    return jit._interpreted(function)


@pytest.fixture
def interpreted(monkeypatch, request):
    """Kernels are plain Python, so that those that only other kernels may call (`jit.part`) can be called from a test.

    The names that the test has imported are replaced too, and nothing may be compiled meanwhile: a kernel compiled against
    the replaced names would fail, but only where no compiled code of it is at hand, as on a new machine.
    """
    if not jit.COMPILED:
        return
    for module in [request.module, *(m for name, m in sys.modules.items() if name.startswith("tme_abm."))]:
        for name, value in list(vars(module).items()):
            if isinstance(value, Dispatcher):
                monkeypatch.setattr(module, name, plain(value))

    def refuse(self, signature):
        raise AssertionError(f"{self.py_func.__qualname__} would be compiled in a test that runs interpreted")

    monkeypatch.setattr(Dispatcher, "compile", refuse)


@pytest.fixture
def bare():
    """Makes an empty marrow; `host` takes other values for what belongs to the patient."""

    def make(height=16, width=16, antigens=(), **host):
        clones = Clones(**{name: np.ones(N_CLONES) for name in Clones._fields})
        clones = clones._replace(escaped=np.zeros(N_CLONES, np.uint8), tp53_mutated=np.zeros(N_CLONES, np.uint8))
        clones.division[:] = 1e-3
        clones.cd38[:] = 130e3
        return make_marrow(make_lattice(height, width), clones, load_traits().traits, HOST._replace(**host), list(antigens))

    return make


@pytest.fixture
def put():
    """Puts a cell on a site; its uid is the site and one."""

    def place(marrow, site, kind=CellType.PLASMA, **columns):
        cells = marrow.cells
        cells.kind[site] = kind
        cells.uid[site] = np.asarray(site) + 1
        cells.cd38[site] = 130e3
        cells.complement_inhibitors[site] = 1.0
        for name, value in columns.items():
            getattr(cells, name)[site] = value

    return place
