"""The kinds of scenario: a form for what the file may say, and what that means."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import ValidationError
from pydantic.json_schema import models_json_schema

from tme_abm.forms import Source
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.messages import first_wrong
from tme_abm.scenario.reading import read

if TYPE_CHECKING:
    from tme_abm.batch.desk import Desk
    from tme_abm.batch.results import Results
    from tme_abm.laboratory.experiment import Experiment
    from tme_abm.trial.headline import Headline
    from tme_abm.trial.study import Study


class Kind(NamedTuple):
    """Where the two halves of a kind are.

    Attributes:
        form: Module with its `Form` (what the file may say) and `build` (what that means); light to import.
        running: Module that is a `Running`; empty where a command of its own runs the kind (`COMMANDS`).
    """

    form: str
    running: str = ""


KINDS = {
    "trial": Kind("tme_abm.trial.form", "tme_abm.trial.running"),
    "assay": Kind("tme_abm.laboratory.assay", "tme_abm.laboratory.running"),
    "time_course": Kind("tme_abm.laboratory.time_course", "tme_abm.laboratory.running"),
    "live": Kind("tme_abm.laboratory.live", "tme_abm.laboratory.running"),
    "xenograft": Kind("tme_abm.laboratory.xenograft", "tme_abm.laboratory.running"),
    "sweep": Kind("tme_abm.analysis.sweep.form"),
    "sensitivity": Kind("tme_abm.analysis.sensitivity.form"),
    "design": Kind("tme_abm.analysis.design.form"),
}
COMMANDS = {
    "sweep": "tme sweep",
    "sensitivity": "tme sensitivity",
    "design": "tme design",
}  # kinds that ask something of a trial, and what runs them


class Running(Protocol):
    """What every kind can be asked once it is built, so that nobody above needs to know which kind it is."""

    def run(self, experiment: Any, results: "Results", desk: "Desk") -> dict[str, Any]:
        """Run it, or go on with it, and write its results; the summary."""

    def report(self, folder: Path, load: Callable[[], Any], to: Path) -> Path:
        """Write the report of a finished run again, into the folder `to`, from which it takes its place in `folder`."""

    def size(self, experiment: Any) -> str:
        """How much is run, in words."""

    def kind_in_words(self, experiment: Any, size: str) -> str:
        """What it is, in words."""

    def headline(self, experiment: Any, summary: Mapping[str, Any]) -> "Headline":
        """What came out, in a few lines."""

    def facts(self, experiment: Any) -> dict[str, str]:
        """What would be run, in words: name of a fact -> the fact."""

    def details(self, experiment: Any) -> list[tuple[str, str, list[str]]]:
        """What stands below the facts: label, key and sentences of each part."""

    def numbers(self, experiment: Any) -> list[dict[str, Any]]:
        """Every number that the run uses, with unit, meaning, source and grade."""


def running_of(experiment: "Study | Experiment") -> Running:
    """Who runs an experiment of its kind."""
    return running_of_kind(str(experiment.resolved.get("kind", "trial")))


def running_of_kind(kind: str) -> Running:
    """Who runs experiments of a kind.

    Raises:
        InputError: For a kind that a command of its own runs.
    """
    if kind in COMMANDS:
        raise InputError(f"a {kind.replace('_', ' ')} is run by `{COMMANDS[kind]}`, which writes its tables and figures again, too")
    module: Any = import_module(KINDS[kind].running)
    return module  # type: ignore[no-any-return]


def kind_of(source: Source) -> str:
    """The kind that a scenario declares; a trial where it declares none.

    Raises:
        InputError: For a kind that nobody knows.
    """
    kind = source.table.get("kind", "trial")
    if not isinstance(kind, str) or kind not in KINDS:
        raise source.error(("kind",), f"unknown kind '{kind}'{did_you_mean(str(kind), KINDS)}")
    return kind


def form_of(kind: str) -> type[Any]:
    """The table that a scenario of a kind is."""
    form: type[Any] = import_module(KINDS[kind].form).Form
    return form


def schema() -> dict[str, Any]:
    """The JSON schema of a scenario of any kind, for editors that complete and check TOML files."""
    forms = {kind: form_of(kind) for kind in KINDS}
    places, shared = models_json_schema([(form, "validation") for form in forms.values()])
    chain: dict[str, Any] = places[forms["trial"], "validation"]  # also where no kind is declared
    for kind, form in forms.items():
        if kind != "trial":
            asked = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
            chain = {"if": asked, "then": places[form, "validation"], "else": chain}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **chain, **shared}


def check(source: Source) -> Any:
    """The scenario as a `Form` of its kind, with every key known and every value of its type.

    Raises:
        InputError: For the first thing that is wrong; unknown keys first, as they are what is behind a missing one.
    """
    form = form_of(kind_of(source))
    try:
        return form.model_validate(source.table)
    except ValidationError as error:
        raise source.error(*first_wrong(error, source.table, source.lines, form)) from None


def load_scenario(
    given: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    patients: int | None = None,
    seed: int | None = None,
    without: Sequence[str] = (),
    mechanisms: Iterable[Any] = (),
) -> "Study | Experiment":
    """Read a scenario and resolve it into a study, or an experiment of the laboratory, that can run.

    Args:
        given: Name of a bundled scenario, path of a file, or the table that such a file holds (`Study.resolved`).
        overrides: "PATH=VALUE", as `tme run --set` takes them.
        patients: Another number of patients.
        seed: Another seed.
        without: Further mechanisms to switch off.
        mechanisms: Mechanisms from outside: paths of files, names of installed ones, or mechanisms. A scenario never brings them itself.

    Raises:
        InputError: One sentence with file, line, what is wrong and the nearest right word.
    """
    return _resolve_runnable(read(given, overrides, patients, seed, without, mechanisms), given)


def _resolve_runnable(source: Source, given: str | Path | Mapping[str, Any]) -> "Study | Experiment":
    if (kind := kind_of(source)) in COMMANDS:
        raise source.error(("kind",), f"a {kind} is run by `{COMMANDS[kind]} {given if isinstance(given, str | Path) else 'FILE'}`")
    found: Study | Experiment = resolve(source)
    return found


def load_trial(
    given: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    patients: int | None = None,
    seed: int | None = None,
    without: Sequence[str] = (),
    mechanisms: Iterable[Any] = (),
) -> "Study":
    """`load_scenario` for what only a trial has: arms, visits, endpoints.

    Raises:
        InputError: As `load_scenario`, and for an experiment of the laboratory.
    """
    from tme_abm.trial.study import Study

    source = read(given, overrides, patients, seed, without, mechanisms)
    found = _resolve_runnable(source, given)
    if not isinstance(found, Study):
        way = f"; run it with `tme run {given}`" if isinstance(given, str | Path) else ""
        raise source.error(("kind",), f"'{found.name}' is an experiment of the laboratory, not a trial{way}")
    return found


def load_question(kind: str, given: str | Path, overrides: Iterable[str] = (), patients: int | None = None, seed: int | None = None) -> Any:
    """Read a sweep, a sensitivity analysis or a design; arguments as `load_scenario` takes them.

    Raises:
        InputError: As `load_scenario`, and for a scenario of another kind.
    """
    source = read(given, overrides, patients, seed)
    if (found := kind_of(source)) != kind:
        command = COMMANDS.get(found, "tme run")
        raise source.error(("kind",) if "kind" in source.table else (), f"this is no {kind}; a {found} is run by `{command} {given}`")
    return resolve(source)


def resolve(source: Source) -> Any:
    """What a scenario describes, with everything that it names looked up and checked.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    return import_module(KINDS[kind_of(source)].form).build(check(source), source)
