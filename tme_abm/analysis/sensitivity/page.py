"""A sensitivity analysis in words, and as a section of a document."""

from collections.abc import Mapping, Sequence
from typing import Any

PAGE = "sensitivity.md"
SHOWN = 12
NAMED = 5  # numbers in a sentence
NAMED_WHERE = ("nothing to act on", "zero")  # reasons whose numbers are named
COLUMNS = {
    "morris": (("mu*", "mu_star", "mu_star_error"), ("mu", "mu", ""), ("sigma", "sigma", "")),
    "sobol": (("ST", "total", "total_error"), ("S1", "first", "first_error"), ("PRCC", "correlation", "")),
    "latin_hypercube": (("PRCC", "correlation", ""), ("from", "correlation_low", ""), ("to", "correlation_high", "")),
}
METHODS = {
    "morris": "Morris's elementary effects: mu* is the mean size of the change in the outcome when the number goes over its range, mu the\n"
    "same with its sign, sigma how far it depends on where the other numbers stand; in brackets, half of the 95 % interval of mu*",
    "sobol": "Sobol's indices: ST is the share of the variance of the outcome that the number has a part in, S1 what it explains alone,\n"
    "PRCC its partial rank correlation; in brackets, half of the 95 % interval",
    "latin_hypercube": "Partial rank correlations (PRCC) in a Latin hypercube, with 95 % intervals by Fisher's transformation",
}


def in_words(summary: Mapping[str, Any]) -> list[str]:
    """A sentence for each outcome: what carries it, and what is noise of it."""
    lines = []
    for outcome in summary["outcomes"].values():
        names = ", ".join(row["input"] for row in outcome["indices"][:NAMED])
        caution = noise(summary, outcome)
        rank = "first in rank" if caution else "strongest"
        lines.append(f"{outcome['words']}: {outcome['mean']:.2f} (sd {outcome['sd']:.2f} over the samples); {rank}: {names}")
        lines += [f"  {caution}"] if caution else []
    lines += [f"{words}" for words in not_seen(summary)]
    if summary["without_effect"]:
        lines.append(f"changed nothing in any sample: {', '.join(summary['without_effect'])}")
    idle = sum(len(paths) for why, paths in summary["not_varied"].items() if why.startswith("nothing to act on"))
    if idle:
        lines.append(f"left out, for they have nothing to act on in these arms: {idle} numbers (named in {PAGE})")
    return lines


def noise(summary: Mapping[str, Any], outcome: Mapping[str, Any]) -> str:
    """A caution where the interval of the first number reaches into that of the second, or down to nothing; "" where it stands clear."""
    rows = outcome["indices"]
    if not rows:
        return ""
    low, _ = interval(rows[0], summary["strength"])
    size = f"{summary['samples']} {_unit(summary)} of {summary['patients']} patients"
    more = "take more of both, and rank nothing by this"
    if low <= 0.0:
        return f"caution: the interval of the first reaches down to no effect: with {size} nothing stands out of the noise; {more}"
    if len(rows) > 1 and interval(rows[1], summary["strength"])[1] >= low:
        return f"caution: the intervals of the first two overlap: with {size} their order may be chance; {more}"
    return ""


def interval(row: Mapping[str, Any], strength: str) -> tuple[float, float]:
    """The interval of the index by which a number is ranked."""
    if strength != "correlation_size":
        return row[strength] - row[f"{strength}_error"], row[strength] + row[f"{strength}_error"]
    low, high = row["correlation_low"], row["correlation_high"]
    return (0.0 if low <= 0.0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


def not_seen(summary: Mapping[str, Any]) -> list[str]:
    """A sentence for each outcome without indices: why there are none, and what would help."""
    return [
        f"{lost['words']}: no indices, for {lost['missing']} of {summary['evaluations']} samples gave no value (as where an arm had no "
        f"progression, or the arms do not overlap); take more patients than {summary['patients']}, or a longer horizon than "
        f"{summary['horizon_months']:.1f} months"
        for lost in summary["not_seen"]
    ]


def document(summary: Mapping[str, Any], command: str) -> str:
    """The page of a folder of results."""
    return f"# {summary['title']}\n\n{section(summary, command)}\n"


def unvaried(not_varied: Mapping[str, Sequence[str]]) -> list[str]:
    """What an analysis leaves as it is, a line for each reason; those with nothing to act on are named."""
    lines = ["Not varied, so held at their values in every sample:", ""]
    for why, paths in sorted(not_varied.items(), key=lambda pair: (not pair[0].startswith(NAMED_WHERE), pair[0])):
        if why.startswith(NAMED_WHERE):
            lines.append(f"- {why}: {', '.join(f'`{path}`' for path in paths)}")
        else:
            lines.append(f"- {why}: {len(paths)} number{'s' * (len(paths) > 1)}")
    return lines


def section(summary: Mapping[str, Any], command: str, is_whole: bool = True) -> str:
    """The analysis as a section of a document, without its head; what is not varied belongs to the whole."""
    numbers = {put["path"]: put for put in summary["inputs"]}
    spread = ", ".join(f"those of grade {grade} over and times {factor:g}" for grade, factor in summary["spread"].items())
    height, width = summary["patch"]
    lines = [
        f"Written by `{command}`, model {summary['model']}: {summary['patients']} patients of `{summary['scenario']}` (seed "
        f"{summary['seed']}), {' against '.join(summary['comparison'])},",
        f"watched for {summary['horizon_months']:.1f} months on {height} x {width} sites; {len(summary['inputs'])} numbers, {spread};",
        f"{summary['samples']} {_unit(summary)}, {summary['evaluations']} evaluations, {summary['runs']} runs, "
        f"{summary['run_seconds'] / 60.0:.0f} minutes of running one at a time.",
        "",
        f"{METHODS[summary['method']]}.",
        "",
        *([*unvaried(summary["not_varied"]), ""] if is_whole else []),
    ]
    columns = [column for column in COLUMNS[summary["method"]] if column[1] in next(iter(summary["outcomes"].values()))["indices"][0]]
    for outcome in summary["outcomes"].values():
        lines += [
            f"### {outcome['words'][0].upper()}{outcome['words'][1:]}",
            "",
            f"Over the samples {outcome['mean']:.2f} on average, standard deviation {outcome['sd']:.2f}; above zero in "
            f"{100.0 * outcome['share_above_zero']:.0f} % of them.",
            "",
            *([caution[0].upper() + caution[1:] + ".", ""] if (caution := noise(summary, outcome)) else []),
            "| number | grade | from | to | " + " | ".join(title for title, *_ in columns) + " |",
            "| --- | --- | --- | --- |" + " --- |" * len(columns),
        ]
        for row in outcome["indices"][:SHOWN]:
            about = _about(numbers[row["input"]]) if row["input"] in numbers else "- | - | -"
            lines.append(f"| {row['input']} | {about} | " + " | ".join(_cell(row, name, error) for _, name, error in columns) + " |")
        lines.append("")
    lines += [f"{words}." for words in not_seen(summary)]
    if summary["without_effect"]:
        lines += ["Changed nothing in any sample: " + ", ".join(f"`{path}`" for path in summary["without_effect"]) + "."]
    return "\n".join(lines)


def _unit(summary: Mapping[str, Any]) -> str:
    return {"morris": "trajectories", "sobol": "base samples"}.get(summary["method"], "samples")


def _cell(row: Mapping[str, Any], name: str, error: str) -> str:
    return f"{row[name]:.3f}" + (f" ({row[error]:.3f})" if error else "")


def _about(put: Mapping[str, Any]) -> str:
    """Grade and range of a number."""
    unit = "" if put["unit"] == "1" else f" {put['unit']}"
    return f"{put['grade']} | {put['low']:.3g} | {put['high']:.3g}{unit}"
