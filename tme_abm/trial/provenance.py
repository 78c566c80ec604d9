"""What a run rests on: every number with its source, the code, the packages, the machine."""

import hashlib
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tme_abm.foundation.declare import constants, fill
from tme_abm.outcomes import imwg, mrd
from tme_abm.patients.population import provenance
from tme_abm.trial.study import Study

CODE = (  # from which a simulated patient follows
    *("foundation", "marrow", "mechanisms", "pharmacology", "patients", "simulation", "outcomes"),
    *("trial/arm.py", "trial/execution.py"),
)
PACKAGES = ("tme-abm", "numpy", "numba", "pandas", "scipy", "lifelines", "mesa")


def describe_run(study: Study) -> dict[str, Any]:
    """All that is needed to run a study again, and every number with its origin."""
    rows = [{"name": name, **origin._asdict()} for name, origin in study.settings.origins().items()]
    for name in sorted({drug for arm in study.arms for drug in arm.drugs}):
        rows += [{"name": f"drugs.{name}.{n}", **origin._asdict()} for n, origin in study.drugs[name].origins().items()]
    rows += [{**row._asdict(), "name": f"population.{row.name}"} for row in provenance(study.population)]
    for name, block in (("response", imwg.Params), ("mrd", mrd.Params)):
        rows += [{"name": f"{name}.{n}", **origin._asdict()} for n, origin in fill(block).origins.items()]
    outside = constants("tme_abm.outcomes", "tme_abm.trial.visit")
    rows += [{"name": name, **origin._asdict()} for name, origin in outside.items()]
    return {
        "name": study.name,
        "seed": study.seed,
        "patients": study.patients,
        "scenario": study.resolved,
        "parameters": rows,
        "model": model_digest(),
        **describe_machine(),
    }


def describe_machine() -> dict[str, Any]:
    """With what and where a run was made."""
    return {
        "versions": {**versions(), "python": platform.python_version()},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def model_digest(root: Path | None = None) -> str:
    """Short digest of all files of the package from which a simulated patient follows."""
    top = root or Path(__file__).parents[1]
    digest = hashlib.sha256()
    found = [top / name for name in CODE]
    for path in sorted(p for f in found for p in (f.rglob("*") if f.is_dir() else [f]) if p.suffix in (".py", ".toml")):
        digest.update(path.relative_to(top).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of installed packages."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except Exception:
            continue
    return found
