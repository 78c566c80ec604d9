"""The makers of tests/marrow, and cells at risk to which a mechanism can do something."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from tme_abm.foundation.mechanism import by_drug
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.state import Tick
from tme_abm.mechanisms import BY_NAME

_SPEC = spec_from_file_location("marrow_makers", Path(__file__).parents[1] / "marrow" / "conftest.py")
assert _SPEC is not None and _SPEC.loader is not None
_MAKERS = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MAKERS)
interpreted, bare, put = _MAKERS.interpreted, _MAKERS.bare, _MAKERS.put

NOW = Tick(6.0, 3, 17)


@pytest.fixture
def rules():
    """Parameters of a mechanism as its kernels take them: `rules("adcc", {...}, {...})`, one set of changes for each drug."""

    def make(name, *changes):
        mechanism = BY_NAME[name]
        if not mechanism.by_drug:
            return mechanism.Params(**(changes[0] if changes else {}))
        return by_drug(mechanism, [(i, mechanism.Params(**c)) for i, c in enumerate(changes or ({},))])

    return make


@pytest.fixture
def enlist():
    """Puts rows into the risk set of a marrow: plasma cells, unless said, with the columns given as arrays of one length."""

    def make(marrow, n=1, kind=CellType.PLASMA, **columns):
        risk = marrow.at_risk
        risk.kind[:n] = kind
        risk.site[:n] = np.arange(n)
        risk.cd38[:n] = 130e3
        risk.complement_inhibitors[:n] = 1.0
        for name, value in columns.items():
            getattr(risk, name)[:n] = value
        marrow.hazard[:] = 0.0
        marrow.n_at_risk[:] = n
        return marrow

    return make
