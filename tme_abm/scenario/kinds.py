"""The kinds of scenario: a form for what the file may say, and what that means."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic.json_schema import models_json_schema

from tme_abm.forms import Source
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.scenario.messages import sentence, walk
from tme_abm.scenario.reading import read

if TYPE_CHECKING:
    from tme_abm.laboratory.experiment import Experiment
    from tme_abm.trial.study import Study

KINDS = {  # kind -> module with its `Form` (what the file may say) and `build` (what that means); light to import
    "trial": "tme_abm.trial.form",
    "assay": "tme_abm.laboratory.assay",
    "time_course": "tme_abm.laboratory.time_course",
    "xenograft": "tme_abm.laboratory.xenograft",
}


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
    form: type[Any] = import_module(KINDS[kind]).Form
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
        found = [(walk(source.table, e["loc"], e["type"]), e) for e in error.errors(include_url=False)]
        order = {"extra_forbidden": 0, "missing": 2}
        line = {path: next((source.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in source.lines), 0) for path, _ in found}
        path, first = min(found, key=lambda pair: (order.get(pair[1]["type"], 1), line[pair[0]]))
        raise source.error(path, sentence(path, first, form)) from None


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
    return resolve(read(given, overrides, patients, seed, without, mechanisms))


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

    found = load_scenario(given, overrides, patients, seed, without, mechanisms)
    if not isinstance(found, Study):
        raise InputError(f"'{found.name}' is an experiment of the laboratory, not a trial; run it with `tme run {found.name}`")
    return found


def resolve(source: Source) -> "Study | Experiment":
    """What a scenario describes, with everything that it names looked up and checked.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    found: Study | Experiment = import_module(KINDS[kind_of(source)]).build(check(source), source)
    return found
