"""Report of a trial: one page of HTML made from a results folder, with its figures inside and nothing to be fetched.

What is read (all else in these files is left alone):

`run.json`
:   `scenario` (`title`, `summary`, `name`, `population`, `patients`, `seed`, `arms`, `published`; as resolved from the
    scenario file), `parameters` (`name, value, unit, meaning, source, grade` each), `versions`, `command`. `arms`,
    `name`, `seed`, `population` and `patients` may also stand at the top; there they win.
`summary.json`
:   What `summary.summarise` gives.
`patients.parquet`, `trajectory.parquet`
:   The patient and the visit table; without the latter its figures are left out. It is read a piece at a time.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm import drawing
from tme_abm.foundation.declare import GRADES
from tme_abm.foundation.errors import InputError
from tme_abm.tables import Stored, read_bare
from tme_abm.trial import figures, marrow_figures, patient_figures, subgroups
from tme_abm.trial.headline import SAME_PATIENTS, failures
from tme_abm.trial.published import NOT_REACHED, compare_published, given_word
from tme_abm.trial.survival import FEW_AT_RISK, at_risk_at, survival, with_arms
from tme_abm.trial.verdict import RULE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DASH = "\N{EN DASH}"


def write_report(folder: Path | str, home: Path | None = None, source: Path | None = None) -> Path:
    """Write `report.html` and the files of its figures (`figures/*.svg`) into a results folder.

    The same folder gives the same page: it holds no date but those of the run.

    Args:
        folder: Where to write.
        home: Where the folder's files will stand, if not there.
        source: Where `run.json`, `summary.json`, `patients.parquet` and, if recorded, `trajectory.parquet` are, if not in `folder`.

    Returns:
        Path of the page.

    Raises:
        InputError: Where a file is missing or cannot be read, or holds what cannot be used.
    """
    import pandas as pd

    folder = Path(folder)
    source = source or folder
    run, summary = _json(source / "run.json"), _json(source / "summary.json")
    patients = read_bare(source / "patients.parquet")
    path = source / "trajectory.parquet"
    trajectory = Stored(path) if path.exists() else pd.DataFrame()
    page = render(run, summary, patients, trajectory, folder, home)
    target = folder / "report.html"
    target.write_text(page, encoding="utf-8")
    return target


def render(
    run: Mapping[str, Any],
    summary: Mapping[str, Any],
    patients: "pd.DataFrame",
    trajectory: "pd.DataFrame | Stored",
    folder: Path | None = None,
    home: Path | None = None,
) -> str:
    """The page as text.

    Args:
        run: Contents of run.json.
        summary: Contents of summary.json.
        patients: A row per patient and arm.
        trajectory: A row per patient, arm and visit, in memory or on disk; may be empty.
        folder: Where the files of the figures go; None to write none.
        home: Where the page will stand, if not there.

    Raises:
        InputError: Where something is missing or cannot be used.
    """
    for name in ("arms", "comparisons"):
        if name not in summary:
            raise InputError(f"summary.json: '{name}' is missing")
    scenario = run.get("scenario") or {}
    arms = list(summary["arms"])
    patients = with_arms(patients, arms)
    labels = arm_labels(run, arms)
    design, level = summary.get("design", "paired"), float(summary.get("level", 0.95))
    published = list(scenario.get("published") or ())
    beside = compare_published(published, patients, design, level, labels) if published else None
    drawn = {key: drawing.rendered(figure) for key, figure in _figures(patients, trajectory, arms, labels, summary, beside).items()}
    if folder is not None:
        for key, figure in drawn.items():
            drawing.save(figure, folder / "figures", key)
    asked = run.get("patients") or scenario.get("patients")
    return page(
        "report.html.j2",
        title=scenario.get("title") or run.get("title") or "Virtual trial",
        summary_text=scenario.get("summary") or run.get("summary") or "",
        population=_population_name(run, scenario),
        repeated=_repeats(run, scenario, asked),
        design=design,
        level=level,
        seed=run.get("seed", scenario.get("seed")),
        completion=completion(patients, arms, asked if isinstance(asked, int) else None),
        regimens=[regimen_words(key, _regimen(run, key), labels) for key in arms],
        arms=summary["arms"],
        labels=labels,
        few=FEW_AT_RISK,
        few_at_median=_few_at_median(patients, [arm for arm in arms if summary["arms"][arm]["n"]]),
        comparisons=summary["comparisons"],
        figures={key: drawing.data_address(figure) for key, figure in drawn.items()},
        published=[] if beside is None else _published_rows(beside),
        given=given_word(row.get("source", "") for row in published).capitalize(),
        rule=RULE,
        parameters=list(run.get("parameters") or ()),
        grades=GRADES,
        versions=dict(run.get("versions") or {}),
        failures=failures(summary),
        command=command(folder, home),
    )


def page(template: str, folders: Sequence[Path] = (), **values: Any) -> str:
    """A page as text, from the templates of this folder, or of others that are searched before it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from tme_abm.trial.template_cache import template_cache

    environment = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=template_cache(),
    )
    environment.filters |= {"number": number, "percent": percent, "interval": interval, "difference": difference, "p": p_value}
    return environment.get_template(template).render(**values)


def _figures(
    patients: "pd.DataFrame",
    trajectory: "pd.DataFrame | Stored",
    arms: Sequence[str],
    labels: Mapping[str, str],
    summary: Mapping[str, Any],
    beside: "pd.DataFrame | None",
) -> dict[str, "Figure"]:
    """The figures that the tables allow, by name."""
    drawn: dict[str, Figure] = {}
    design, level = summary.get("design", "paired"), float(summary.get("level", 0.95))
    can_change = "best_response" in patients.columns and "m_protein_measured_g_per_l" in trajectory.columns
    comparisons = summary["comparisons"]
    followed = [arm for arm in arms if summary["arms"][arm]["n"]]
    if followed:
        note = headline(comparisons[0], design) if len(comparisons) == 1 else ""
        drawn["kaplan_meier"] = figures.kaplan_meier(patients, followed, labels, level, note)
        if "best_response" in patients.columns:
            drawn["responses"] = patient_figures.responses(patients, followed, labels)
    if beside is not None and len(beside):
        drawn["published"] = figures.published(beside)
    for i, pair in enumerate(comparisons):
        table = subgroups.subgroup_table(patients, pair["arm"], pair["reference"], design, pair["ci_level"])
        if len(table) > 1 and table["hazard_ratio"].notna().any():
            names = labels[pair["arm"]], labels[pair["reference"]]
            drawn[f"subgroups_{i + 1}"] = figures.forest(table, *names, level=pair["ci_level"])
    if len(trajectory):
        if any(name.startswith("deaths_") for name in trajectory.columns):
            drawn["deaths_by_cause"] = marrow_figures.deaths_by_cause(trajectory, arms, labels)
        drawn["marrow"] = marrow_figures.marrow(trajectory, arms, labels)
        if followed and can_change:
            drawn["waterfall"] = patient_figures.waterfall(trajectory, patients, followed, labels)
            drawn["spider"] = patient_figures.spider(trajectory, patients, followed, labels)
    return drawn


def completion(patients: "pd.DataFrame", arms: Sequence[str], asked: int | None) -> dict[str, Any]:
    """How many patients completed all that was simulated of them.

    Args:
        patients: A row per patient and arm.
        arms: Names.
        asked: Patients that the scenario asks for, if known.

    Returns:
        `n`, `total` and `other`: patients by each other status that a row of theirs has.
    """
    rows = patients[patients["arm"].isin(list(arms))]
    total = max(asked or 0, int(rows["patient"].nunique()))
    if "status" not in rows.columns:
        return {"n": int(rows["patient"].nunique()), "total": total, "other": {}}
    failed = rows[rows["status"] != "completed"]
    n = int(rows["patient"].nunique() - failed["patient"].nunique())
    other = failed.groupby("status", observed=True)["patient"].nunique().to_dict()
    if missing := total - int(rows["patient"].nunique()):
        other["not run"] = missing
    return {"n": n, "total": total, "other": {str(key): int(value) for key, value in sorted(other.items())}}


def arm_labels(run: Mapping[str, Any], arms: Sequence[str]) -> dict[str, str]:
    """What to call each arm."""
    return {arm: str(_regimen(run, arm).get("label") or arm) for arm in arms}


def regimen_words(key: str, regimen: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """A regimen in words: `label`, `cycle`, `stop`, `doses`.

    Doses are read as a scenario writes them (`dose = "10 mg/kg"`, `cycles = "2-"`) or as `Dose` holds them (`amount`,
    `unit`, `first_cycle`, `last_cycle`).
    """
    cycle = regimen.get("cycle") or (f"{regimen['cycle_days']} d" if regimen.get("cycle_days") else "")
    cycle = cycle if isinstance(cycle, str) else ", then ".join(cycle)
    stop = regimen.get("stop") or (f"{regimen['stop_day']:g} d" if regimen.get("stop_day") else "")
    return {
        "label": labels[key],
        "cycle": str(cycle).replace(" d", " days"),
        "stop": str(stop).replace(" d", " days") if str(stop).endswith(" d") else str(stop),
        "doses": [*(dose_words(dose) for dose in regimen.get("doses") or ()), *(rule_words(rule) for rule in regimen.get("rules") or ())],
    }


def rule_words(rule: Mapping[str, Any]) -> str:
    """A rule by which doses are held or reduced, in words."""
    drugs = [rule["drug"]] if isinstance(rule["drug"], str) else rule["drug"]
    give = rule["give"] if isinstance(rule["give"], list) else [rule["give"]]
    text = f"{' and '.join(drugs)} " + ", then ".join("held" if share == 0 else f"reduced to {100 * share:g} %" for share in give)
    text += f" for {rule['duration']}" if rule.get("duration") else " for good"
    text += f" where {rule['when']}" if rule.get("when") else ""
    return text + (f", with a chance of {100 * rule['chance']:g} % at each visit" if rule.get("chance") else "")


def dose_words(dose: Mapping[str, Any]) -> str:
    """One line of a regimen in words."""
    amount = dose.get("dose") or f"{dose['amount']:g} {dose['unit']}"
    elderly = dose.get("elderly_dose")
    if elderly is None and dose.get("elderly_amount") is not None:
        elderly = f"{dose['elderly_amount']:g} {dose['unit']}"
    text = f"{dose['drug']} {amount}"
    others = []
    for other in dose.get("adjust") or ():
        on = f" on days {_shown(other['days'])}" if other.get("days") else ""
        others.append(f"{other['dose']}{on} where {other['when']}")
    if elderly or dose.get("elderly_days"):
        on = f" on days {_shown(dose['elderly_days'])}" if dose.get("elderly_days") else ""
        others.append(f"{elderly or amount}{on} from 75 years of age")
    text += " under the skin" if dose.get("route") == "subcutaneous" else ""
    text += f" ({'; '.join(others)})" if others else ""
    days = dose["days"]
    shown = _shown(days)
    text += f", day{'' if shown.isdigit() else 's'} {shown}"
    cycles = str(dose.get("cycles") or _cycles(dose.get("first_cycle") or 1, dose.get("last_cycle")))
    if cycles in ("", "1-"):
        return text
    if cycles.endswith("-"):
        return f"{text}, from cycle {cycles[:-1]}"
    return f"{text}, cycle{'s' if '-' in cycles else ''} {cycles.replace('-', DASH)}"


def _shown(days: Any) -> str:
    """Days as a reader reads them."""
    return str(days).replace("-", DASH) if isinstance(days, str | int) else ranges([int(day) for day in days])


def _cycles(first: int, last: int | None) -> str:
    """Cycles as a scenario writes them."""
    return f"{first}-" if last is None else str(first) if first == last else f"{first}-{last}"


def ranges(days: Sequence[int]) -> str:
    """Days in few words: 1, 2, 3, 8 as "1-3, 8" (with a dash), two neighbours one by one."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    parts = []
    for run in runs:
        parts += [f"{run[0]}{DASH}{run[-1]}"] if len(run) > 2 else [str(day) for day in run]
    return ", ".join(parts)


def headline(comparison: Mapping[str, Any], design: str = "parallel") -> str:
    """A hazard ratio in a line or two, with its p value and whether it is one of pairs; empty where there is none."""
    if comparison["hazard_ratio"] is None:
        return ""
    text = f"HR {comparison['hazard_ratio']:.2f}"
    if comparison["ci_low"] is not None:
        text += f" ({100 * comparison['ci_level']:g} % CI {comparison['ci_low']:.2f} to {comparison['ci_high']:.2f})"
    if comparison.get("p_value") is not None:
        text += f", p {p_sign(comparison['p_value'])}"
    return f"{text}\n{SAME_PATIENTS}" if design == "paired" else text


def command(folder: Path | None, home: Path | None = None) -> str:
    """The command that repeats the run from what stands beside its results: the scenario, and mechanisms from outside."""
    place = home or folder
    name = place.name if place is not None else "results"
    copies = sorted(path.name for path in (folder / "mechanisms").glob("*.py")) if folder is not None else []
    along = "".join(f" --mechanism {name}/mechanisms/{copy}" for copy in copies if not copy.startswith("rule_"))
    rules = ", ".join(copy.removeprefix("rule_").removesuffix(".py") for copy in copies if copy.startswith("rule_"))
    by_hand = f"  # without its rules in plain Python; with them: tme_abm.run(study, folder, rules=[{rules}])" if rules else ""
    return f"tme run {name}/scenario.toml{along} --out {name}_again{by_hand}"


def number(value: float | None, digits: int = 1, missing: str = DASH) -> str:
    """A number with a fixed count of decimals."""
    return missing if value is None or value != value else f"{value:.{digits}f}"


def difference(value: float, ends: Sequence[float | None] = ()) -> tuple[str, str]:
    """A difference with its sign and its interval in words, to a second decimal where the first one shows nothing but zeros."""
    given = [value, *(end for end in ends if end is not None and end == end)]
    digits = 2 if max(map(abs, given)) < 0.1 else 1
    return f"{_whole_zero(value, digits):+.{digits}f}", interval([end if end is None else _whole_zero(end, digits) for end in ends], digits)


def _whole_zero(value: float, digits: int) -> float:
    """A number, 0 instead of the -0 that rounding would show."""
    return value if round(value, digits) else 0.0


def percent(value: float | None, missing: str = DASH) -> str:
    """A fraction in per cent, one decimal."""
    return missing if value is None or value != value else f"{100 * value:.1f} %"


def interval(ends: Sequence[float | None], digits: int = 1, scale: float = 1.0) -> str:
    """An interval in words; an end that is not reached is said to be so, and nothing where there is no interval."""
    low, high = (None if end is None or end != end else end * scale for end in ends)
    if low is None and high is None:
        return ""
    words = ["not reached" if end is None else f"{end:.{digits}f}" for end in (low, high)]
    return f"{words[0]} to {words[1]}"


def p_value(value: float | None) -> str:
    """A p value as journals print it."""
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def p_sign(value: float) -> str:
    """A p value with its sign, as it stands in a sentence."""
    words = p_value(value)
    return words if words.startswith("<") else f"= {words}"


def _published_rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Published beside simulated, as text."""
    rows = []
    entries: list[Any] = list(table.itertuples(index=False))
    for entry in entries:
        scale, digits = (100.0, 1) if entry.kind == "rate" else (1.0, 2 if entry.kind == "ratio" else 1)
        unit = {"rate": " %", "months": " months", "ratio": ""}[entry.kind]
        row = {"who": entry.who, "what": entry.what, "source": entry.source, "note": entry.note}
        for name in ("published", "simulated"):
            value, ends = getattr(entry, name), (getattr(entry, f"{name}_low"), getattr(entry, f"{name}_high"))
            row[name] = DASH if value != value else f"{value * scale:.{digits}f}{unit}"
            row[f"{name}_interval"] = interval(ends, digits, scale)
        if entry.kind == "months" and row["note"] == NOT_REACHED and not row["simulated_interval"]:
            row["simulated_interval"] = f"{NOT_REACHED} to {NOT_REACHED}"
        row["verdict"] = entry.verdict or DASH
        rows.append(row)
    return rows


def _regimen(run: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The regimen of an arm, wherever run.json holds it; empty where it does not."""
    for held in (run.get("arms"), (run.get("scenario") or {}).get("arms")):
        if isinstance(held, Mapping) and key in held:
            found = held[key]
            return found if isinstance(found, Mapping) else {}
        if isinstance(held, Sequence) and not isinstance(held, str):
            for entry in held:
                if isinstance(entry, Mapping) and key in (entry.get("key"), entry.get("name")):
                    return entry
    return {}


def _population_name(run: Mapping[str, Any], scenario: Mapping[str, Any]) -> str:
    """Name of the population."""
    given = run.get("population") or scenario.get("population") or ""
    if isinstance(given, Mapping):
        return str(given.get("label") or given.get("name") or given.get("base") or given.get("inherits") or "")
    return str(given)


def _few_at_median(patients: "pd.DataFrame", arms: Sequence[str]) -> dict[str, int]:
    """Patients at risk where the median of an arm is read, of the arms in which they are few."""
    found = {arm: at_risk_at(survival(patients, arm)) for arm in arms}
    return {arm: n for arm, n in found.items() if n is not None and n < FEW_AT_RISK}


def _repeats(run: Mapping[str, Any], scenario: Mapping[str, Any], n: Any) -> str:
    """What must be said where all patients are one and the same; empty elsewhere, and where the population can no longer be read."""
    given = run.get("population") or scenario.get("population")
    if not isinstance(n, int) or not isinstance(given, str | Mapping):
        return ""
    from tme_abm.patients.portrait import repeats
    from tme_abm.patients.reading import load_population

    try:
        return repeats(load_population(given), n)
    except InputError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    """Contents of a JSON file that holds an object."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; is '{path.parent}' a results folder?") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    if not isinstance(given, dict):
        raise InputError(f"{path}: expected an object")
    return given
