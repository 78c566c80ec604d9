"""The controls beside the marrows: what makes a new pair, and what changes the running one."""

from collections.abc import Callable
from typing import Any

import solara

from tme_abm.forms import parse_cycles
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.mechanism import Group
from tme_abm.patients.presets import presets
from tme_abm.pharmacology.regimen import parse_days, parse_dose
from tme_viz.allowed_files import RESULTS
from tme_viz.choice import DIGITS, MOST_PATIENTS, SIZES, Choice
from tme_viz.pair import Pair
from tme_viz.visitor import Visitor
from tme_viz.words import drug

MOST_DOSE = {"mg/kg": 200.0, "mg/m2": 1000.0, "mg": 20000.0}  # limits of a field that is typed into, far above any dose
DRAWN = "#"  # stands for a patient who is drawn by number


@solara.component_vue("vue/whatif.vue")
def WhatIfTable(
    drugs: list[Any] = [],  # noqa: B006
    groups: list[Any] = [],  # noqa: B006
    off: list[Any] = [],  # noqa: B006
    words: dict[str, Any] = {},  # noqa: B006
    event_act: Callable[[list[Any]], None] | None = None,
) -> None:
    """Doses and switches."""


@solara.component
def Choose(label: str, options: dict[Any, str], value: Any, on_value: Callable[[Any], None]) -> None:
    """A select whose values are shown under other names."""
    shown = dict(options)
    shown.setdefault(value, str(value))
    back = {text: key for key, text in shown.items()}
    solara.Select(label, values=list(shown.values()), value=shown[value], on_value=lambda text: on_value(back[text]))


@solara.component
def Controls(visitor: Visitor) -> None:
    """All controls."""
    status = visitor.status.value
    choice = status.choice
    with solara.Div(classes=["tme-new"]):
        NewPair(visitor)
    if visitor.session.pair is not None and status.generation:
        WhatIf(visitor)
        with solara.Details(visitor.w["regimen"]):
            Regimens(visitor).key(f"{choice.scenario}{choice.changes}{choice.arms}")


@solara.component
def NewPair(visitor: Visitor) -> None:
    """What makes a new pair of marrows: scenario, arms, patient and size of the patch."""
    status, w = visitor.status.value, visitor.w
    choice = status.choice
    is_preset = choice.patient in presets()
    names = {name: name.replace("_", " ") for name in visitor.places.scenarios()}
    if choice.scenario.startswith(RESULTS):
        names[choice.scenario] = f"{w['results']}: {choice.scenario.removeprefix(RESULTS)}"
    Choose(w["scenario"], names, choice.scenario, lambda name: visitor.change(scenario=name, arms=("", ""), changes=(), without=NONE_OFF))
    pair = visitor.session.pair
    if pair is not None and status.generation:
        arms = {arm.key: arm.label for arm in pair.study.arms}
        with solara.Div(classes=["tme-two"]):
            for side in (0, 1):
                key = choice.arms[side] or pair.choice.arms[side]

                def pick(arm: str, side: int = side) -> None:
                    now = list(choice.arms)
                    now[side] = arm
                    visitor.change(arms=(now[0], now[1]))

                Choose(f"{w['arm']} {'AB'[side]}", arms, key, pick)

    def choose_patient(name: str) -> None:
        visitor.change(patient="1" if name == DRAWN else name)

    people = {name: w["preset"].get(name, name) for name in presets()} | {DRAWN: w["drawn"]}
    Choose(w["patient"], people, choice.patient if is_preset else DRAWN, choose_patient)
    if not is_preset:
        PatientNumber(visitor).key(choice.patient)  # whose number it shows
    Choose(w["size"], {n: f"{n} x {n} {w['size_unit']}" for n in SIZES}, choice.size, lambda n: visitor.change(size=n))
    solara.Text(w["stroma_note"], classes=["tme-small"])


NONE_OFF: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


@solara.component
def PatientNumber(visitor: Visitor) -> None:
    """The number of a patient, with a message beside it where it is none."""
    given = visitor.status.value.choice.patient
    text, set_text = solara.use_state(given if given.isdigit() else "1")

    def is_good(value: str) -> bool:
        return value.isascii() and value.isdigit() and len(value) <= DIGITS and int(value) < MOST_PATIENTS

    def enter(value: str) -> None:
        set_text(value)
        if is_good(value):
            visitor.change(patient=str(int(value)))

    solara.InputText(visitor.w["patient_number"], value=text, on_value=enter, error=False if is_good(text) else visitor.w["number_wanted"])


def off_now(pair: Pair, choice: Choice, side: int) -> frozenset[str]:
    """Mechanisms that are off on one side after all that was changed."""
    off = set(pair.study.settings.without | choice.without[side])
    for event in choice.events:
        if event.side == side and event.kind == "switch":
            (off.discard if event.value else off.add)(event.name)
    return frozenset(off)


@solara.component
def WhatIf(visitor: Visitor) -> None:
    """Doses and switches, which act on the running marrow."""
    pair, w, language = visitor.session.pair, visitor.w, visitor.language.value
    assert pair is not None
    choice = visitor.status.value.choice
    factor: list[dict[str, float]] = [{}, {}]
    for event in choice.events:
        if event.kind == "dose":
            factor[event.side][event.name] = event.value
    drugs = [
        {
            "name": name,
            "label": drug(name, language).capitalize(),
            "in": [name in regimen.drugs for regimen in pair.regimens],
            "factor": [side.get(name, 1.0) for side in factor],
        }
        for name in pair.drugs
    ]
    known = pair.study.settings.catalogue.mechanisms
    WhatIfTable(
        drugs=drugs,
        groups=[
            {
                "name": group.label(language),
                "mechanisms": [{"name": m.name, **m.words(language)._asdict()} for m in known if m.group is group],
            }
            for group in Group
        ],
        off=[sorted(off_now(pair, choice, side)) for side in (0, 1)],
        words={k: w[k] for k in ("doses", "mechanisms", "dose_limits")},
        event_act=lambda given: visitor.session.act(int(given[0]), str(given[1]), str(given[2]), float(given[3])),
    )


@solara.component
def Regimens(visitor: Visitor) -> None:
    """The lines of both arms' regimens, to be edited; what cannot be is told beside the field."""
    pair, w = visitor.session.pair, visitor.w
    assert pair is not None
    table: dict[str, Any] = dict(pair.study.resolved["arms"])
    start: dict[str, str] = {}
    changed, set_changed = solara.use_state(start)
    checks: dict[str, Callable[[str], Any]] = {"dose": bearable_dose, "days": parse_days, "cycles": parse_cycles}
    is_good = True
    for key in dict.fromkeys(pair.choice.arms):
        solara.Text(str(table[key]["label"]), style={"font-weight": "600"})
        for i, line in enumerate(table[key].get("doses", ())):
            solara.Text(drug(str(line["drug"]), visitor.language.value))
            with solara.Div(classes=["tme-three"]):
                for name in ("dose", "days", "cycles"):
                    path = f"arms.{key}.doses[{i}].{name}"
                    text = changed.get(path, shown(line.get(name, "1-")))
                    message = trouble(checks[name], text, w[name], w[f"{name}_wanted"] if visitor.language.value != "en" else "")
                    is_good = is_good and not message

                    def enter(value: str, path: str = path) -> None:
                        set_changed({**changed, path: value})

                    solara.InputText(w[name], value=text, on_value=enter, error=message or False, continuous_update=True)

    def apply() -> None:
        old = {change.partition("=")[0]: change for change in visitor.status.value.choice.changes}
        new = old | {path: f'{path}="{value.strip()}"' for path, value in changed.items()}
        visitor.change(changes=tuple(new.values()))

    solara.Button(w["apply"], on_click=apply, disabled=not (is_good and changed), color="primary", classes=["tme-apply"])


def bearable_dose(text: str) -> None:
    """Raise an `InputError` for what is no dose, or more than anybody was ever given of any of these drugs."""
    amount, unit = parse_dose(text)
    if amount > MOST_DOSE[unit]:
        raise InputError(f"dose: at most {MOST_DOSE[unit]:g} {unit}, got {amount:g}")


def shown(value: Any) -> str:
    """A value of a dose line as text."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def trouble(check: Callable[[str], Any], text: str, where: str, instead: str = "") -> str:
    """What is wrong with a text; empty where nothing is.

    Args:
        check: Raises an `InputError` for a wrong text.
        text: What was written.
        where: What is asked for.
        instead: Said instead of the check's own words, which are English.
    """
    if '"' in text or "\\" in text:
        return instead or f"{where}: no quotation marks"
    try:
        check(text)
    except InputError as error:
        return instead or str(error).partition(": ")[2] or str(error)
    return ""
