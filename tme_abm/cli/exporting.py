"""Results and marrows for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from tme_abm.cli.options import SeedOption, SetOption, WithoutOption, in_plain_words, make_console, reading_results
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.paths import real, refuse_tilde

SPATIAL = "h5ad"


def export(
    what: Annotated[str, typer.Argument(metavar="FOLDER|SCENARIO", help="Folder of results; for h5ad also a scenario.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="h5ad (one marrow), adam, nonmem or csv (all results).")],
    out: Annotated[
        Path | None, typer.Option(help="File (h5ad) or folder to write; beside the results, and named after them, by default.")
    ] = None,
    patient: Annotated[int, typer.Option(min=0, help="h5ad: number of the patient.")] = 0,
    arm: Annotated[str | None, typer.Option(help="h5ad: key of the arm; the first by default.")] = None,
    day: Annotated[float, typer.Option(help="h5ad: days since the first dose.")] = 0.0,
    deaths: Annotated[float, typer.Option(metavar="DAYS", help="h5ad: last days whose deaths are noted with place and cause.")] = 7.0,
    seed: SeedOption = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files of the same name.")] = False,
) -> None:
    """Export for other tools: AnnData of a marrow (squidpy), CDISC ADaM, a long table (NONMEM), CSV."""
    with in_plain_words():
        from tme_abm.export.folder import FORMATS, write

        if to not in (*FORMATS, SPATIAL):
            raise InputError(f"--to {to}: unknown format{did_you_mean(to, [*FORMATS, SPATIAL])}")
        console = make_console()
        folder = Path(what)
        if to == SPATIAL:
            from tme_abm.export.marrow import marrow_of
            from tme_abm.scenario.kinds import load_trial
            from tme_abm.scenario.reading import MARK
            from tme_abm.spatial import require_anndata, to_anndata

            require_anndata()
            given = folder / MARK if (folder / MARK).is_file() else what
            study = load_trial(given, set_ or (), None, seed, without or ())
            key = study.arms[0].key if arm is None else arm
            beside = real(folder).parent if folder.is_dir() else Path()
            target = out if out is not None else _short(beside / f"{study.name}_{key}_patient{patient}_day{day:g}.h5ad")
            _refuse(target, [target], force)
            found = marrow_of(study, arm, patient, day, deaths)
            target.parent.mkdir(parents=True, exist_ok=True)
            to_anndata(found.simulation, found.deaths).write_h5ad(target)
            if day > found.left_day:
                console.print(f"In the study, the patient left on day {found.left_day:.0f}; the marrow was followed on.", markup=False)
            console.print(f"  {target}", soft_wrap=True, markup=False)
            return
        for name, value in (("--seed", seed), ("--without", without), ("--set", set_), ("--arm", arm)):
            if value:
                raise InputError(f"{name} is for --to {SPATIAL}; the results in {what} are as they were run")
        from tme_abm.scenario.running import load_results

        if not folder.is_dir():
            raise InputError(f"there is no folder '{what}'; run the study with `tme run`, then export its results")
        result = load_results(folder)
        own = real(folder)
        target = out if out is not None else _short(own.with_name(f"{own.name}_{to}"))
        if target.exists() and not target.is_dir():
            raise InputError(f"{target} is a file, not a folder; choose another with --out")
        _refuse(target, list(target.iterdir()) if target.is_dir() else [], force)
        with reading_results(folder):
            paths = write(result, to, target)
        for path in paths:
            console.print(f"  {path}", soft_wrap=True, markup=False)


def _short(target: Path) -> Path:
    """A path from where the user is, if it lies below."""
    return target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target


def _refuse(target: Path, there: list[Path], force: bool) -> None:
    """Refuse to write over anything unasked."""
    refuse_tilde(target)
    if not force and any(path.exists() for path in there):
        raise InputError(f"{target} exists already; write over it with --force, or choose another with --out")
