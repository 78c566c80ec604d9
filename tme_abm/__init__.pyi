"""The public names with their types, for editors and type checkers; at run time each is imported on first use."""

from tme_abm.export.folder import write as export_results
from tme_abm.foundation.errors import InputError
from tme_abm.laboratory.result import ExperimentResult
from tme_abm.mesa_model.agents import MDSC, Breg, Macrophage, NKCell, PlasmaCell, StromalCell, TCell, Treg
from tme_abm.mesa_model.model import TumourModel
from tme_abm.scenario.kinds import load_scenario, load_trial
from tme_abm.scenario.parts import merge, run_part
from tme_abm.scenario.running import compare, load_results, run
from tme_abm.spatial import to_anndata
from tme_abm.tables import read as read_table
from tme_abm.trial.result import Compared, TrialResult
from tme_abm.trial.study import Study

__version__: str

__all__ = [
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
    "export_results",
    "load_results",
    "load_scenario",
    "load_trial",
    "merge",
    "read_table",
    "run",
    "run_part",
    "to_anndata",
]
