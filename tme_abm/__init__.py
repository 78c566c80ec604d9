"""An agent-based model of the bone marrow in multiple myeloma under anti-CD38 therapy.

These names are the whole public interface. Each is imported on first use, so `import tme_abm` costs nothing and only what needs
Mesa, numba or pandas loads them.

    >>> import tme_abm
    >>> study = tme_abm.load_scenario("icaria", patients=20)
    >>> result = tme_abm.run(study)  # doctest: +SKIP
    >>> result.summary, result.patients, result.plot.kaplan_meier()  # doctest: +SKIP
    >>> tme_abm.compare([result, study.with_dose("isa-pd", "isatuximab", "20 mg/kg")])  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see of the names below
    from tme_abm.foundation.errors import InputError
    from tme_abm.laboratory.result import ExperimentResult
    from tme_abm.mesa_model.agents import MDSC, Breg, Macrophage, NKCell, PlasmaCell, StromalCell, TCell, Treg
    from tme_abm.mesa_model.model import TumourModel
    from tme_abm.scenario.kinds import load_scenario, load_trial
    from tme_abm.scenario.running import compare, open_results, run
    from tme_abm.spatial import to_anndata
    from tme_abm.tables import read as read_table
    from tme_abm.trial.result import Compared, TrialResult
    from tme_abm.trial.study import Study

__version__ = "0.1.0"

_HOMES = {
    "TumourModel": "tme_abm.mesa_model.model",
    "PlasmaCell": "tme_abm.mesa_model.agents",
    "TCell": "tme_abm.mesa_model.agents",
    "NKCell": "tme_abm.mesa_model.agents",
    "Treg": "tme_abm.mesa_model.agents",
    "Breg": "tme_abm.mesa_model.agents",
    "MDSC": "tme_abm.mesa_model.agents",
    "Macrophage": "tme_abm.mesa_model.agents",
    "StromalCell": "tme_abm.mesa_model.agents",
    "load_scenario": "tme_abm.scenario.kinds",
    "load_trial": "tme_abm.scenario.kinds",
    "run": "tme_abm.scenario.running",
    "compare": "tme_abm.scenario.running",
    "open_results": "tme_abm.scenario.running",
    "read_table": "tme_abm.tables",
    "Study": "tme_abm.trial.study",
    "TrialResult": "tme_abm.trial.result",
    "Compared": "tme_abm.trial.result",
    "ExperimentResult": "tme_abm.laboratory.result",
    "to_anndata": "tme_abm.spatial",
    "InputError": "tme_abm.foundation.errors",
}

_THERE = {"read_table": "read"}  # names that are shorter at home

__all__ = [  # the names of `_HOMES`, written out for type checkers; a test holds the two together
    "MDSC",
    "Breg",
    "Compared",
    "ExperimentResult",
    "InputError",
    "Macrophage",
    "NKCell",
    "PlasmaCell",
    "StromalCell",
    "Study",
    "TCell",
    "Treg",
    "TrialResult",
    "TumourModel",
    "__version__",
    "compare",
    "load_scenario",
    "load_trial",
    "open_results",
    "read_table",
    "run",
    "to_anndata",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None and name[:1].isupper() and name in _agents():
        home = "tme_abm.mesa_model.agents"
    if home is None:
        raise AttributeError(f"module 'tme_abm' has no attribute '{name}'")
    return getattr(import_module(home), _THERE.get(name, name))


def _agents() -> list[str]:
    """Classes of the types of cells, also of those that have nothing but a record (marrow/cell_types.toml)."""
    return [record.agent for record in import_module("tme_abm.marrow.cell_types").records().values()]


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_agents()})
