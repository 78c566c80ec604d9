"""The page of each scenario that comes with the package: what it asks, its arms, what was published, how it is run; and its file."""

from functools import cache
from typing import Any

from docs_site import markdown as md
from docs_site import sources
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.pharmacology.words import regimen_in_words
from tme_abm.scenario.kinds import COMMANDS, check, load_scenario, load_trial, running_of
from tme_abm.scenario.reading import questions, read, scenarios

PLACE = "catalogue/scenarios"


@cache
def arms() -> tuple[tuple[str, Regimen], ...]:
    """All arms of all bundled trials, with the names of their scenarios."""
    return tuple((name, arm) for name in scenarios("trial") for arm in load_trial(name).arms)


def page(name: str, path: Any) -> str:
    """The page of a scenario."""
    given = check(read(name))
    command = f"{COMMANDS.get(given.kind, 'tme run')} {name}"
    lines = [f"# {name}", "", f"**{md.cell(given.title)}**", "", md.cell(given.summary), "", f"```sh\n{command}\n```", ""]
    if given.kind not in COMMANDS:
        study = load_scenario(name)
        kind = running_of(study)
        facts = [(words, text) for words, text in kind.facts(study).items() if words not in ("medians", "shares", "the patient", "who is")]
        lines += [md.table(("", ""), facts), ""]
        if given.kind == "trial":
            lines += ["## Arms", ""]
            for arm in study.arms:
                lines += [f"**{arm.label}** (`{arm.key}`)", "", *(f"- {md.cell(sentence)}" for sentence in regimen_in_words(arm)), ""]
            lines += published(study)
        else:
            for label, key, sentences in kind.details(study):
                lines += [f"**{md.cell(label)}** (`{key}`)", "", *(f"- {md.cell(sentence)}" for sentence in sentences), ""]
    else:
        lines += [f"It asks something of another scenario and is run by `{COMMANDS[given.kind]}`.", ""]
    text = path.read_text(encoding="utf-8").rstrip()
    return "\n".join([*lines, "## Its file", "", "```toml", text, "```"]) + "\n"


def published(study: Any) -> list[str]:
    """What the trial found, which the model never reads."""
    if not study.published:
        return []
    rows = []
    for row in study.published:
        who = row.get("arm") or " against ".join(row["comparison"])
        span = f"{row['ci_low']:g} to {row['ci_high']:g}" if "ci_low" in row else ""
        rows.append(
            (
                who,
                row["endpoint"],
                row.get("subgroup", ""),
                row.get("value", ""),
                span,
                row.get("unit", ""),
                row["role"],
                row["source"],
                row["grade"],
            )
        )
    head = ("of whom", "endpoint", "subgroup", "value", "interval", "unit", "role", "source", "grade")
    return [
        "## What was published",
        "",
        "The model never reads these rows. `calibration` is what may be fitted, `prediction` never is.",
        "",
        md.table(head, rows),
        "",
        sources.cited([str(row[-2]) for row in rows]),
        "",
    ]


def made() -> dict[str, str | bytes]:
    """All pages of scenarios, by their places."""
    found: dict[str, str | bytes] = {}
    rows = []
    for name, path in (scenarios() | questions()).items():
        given = check(read(name))
        rows.append((f"[{name}]({name}.md)", given.kind.replace("_", " "), given.size(), given.title))
        found[f"{PLACE}/{name}.md"] = page(name, path)
    words = "Each is one TOML file. `tme new my_study.toml --from NAME` copies one to change."
    found[f"{PLACE}/index.md"] = f"# Scenarios\n\n{words}\n\n{md.table(('scenario', 'kind', 'size', 'title'), rows)}\n"
    return found
