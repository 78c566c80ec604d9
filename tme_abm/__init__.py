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
from typing import Any

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
    "run_part": "tme_abm.scenario.parts",
    "merge": "tme_abm.scenario.parts",
    "compare": "tme_abm.scenario.running",
    "load_results": "tme_abm.scenario.running",
    "read_table": "tme_abm.tables",
    "export_results": "tme_abm.export.folder",
    "Study": "tme_abm.trial.study",
    "TrialResult": "tme_abm.trial.result",
    "Compared": "tme_abm.trial.result",
    "ExperimentResult": "tme_abm.laboratory.result",
    "to_anndata": "tme_abm.spatial",
    "InputError": "tme_abm.foundation.errors",
}

_THERE = {"read_table": "read", "export_results": "write"}  # names that are shorter at home

__all__ = ["__version__", *_HOMES]  # typed in __init__.pyi


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
