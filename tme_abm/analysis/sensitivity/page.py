"""A sensitivity analysis in words, and as a section of a document."""

from collections.abc import Mapping
from typing import Any

SHOWN = 12
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
    """A sentence for each outcome: what carries it."""
    lines = []
    for outcome in summary["outcomes"].values():
        names = ", ".join(row["input"] for row in outcome["indices"][:5])
        lines.append(f"{outcome['words']}: {outcome['mean']:.2f} (sd {outcome['sd']:.2f} over the samples); strongest: {names}")
    lines += [f"not seen in every sample: {words}" for words in summary["not_seen"]]
    return lines


def section(summary: Mapping[str, Any], command: str) -> str:
    """The analysis as a section of a document, without its head."""
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
    ]
    columns = [column for column in COLUMNS[summary["method"]] if column[1] in next(iter(summary["outcomes"].values()))["indices"][0]]
    for outcome in summary["outcomes"].values():
        lines += [
            f"### {outcome['words'][0].upper()}{outcome['words'][1:]}",
            "",
            f"Over the samples {outcome['mean']:.2f} on average, standard deviation {outcome['sd']:.2f}; above zero in "
            f"{100.0 * outcome['share_above_zero']:.0f} % of them.",
            "",
            "| number | grade | from | to | " + " | ".join(title for title, *_ in columns) + " |",
            "| --- | --- | --- | --- |" + " --- |" * len(columns),
        ]
        for row in outcome["indices"][:SHOWN]:
            about = _about(numbers[row["input"]]) if row["input"] in numbers else "- | - | -"
            lines.append(f"| {row['input']} | {about} | " + " | ".join(_cell(row, name, error) for _, name, error in columns) + " |")
        lines.append("")
    lines += [f"Not seen in every sample, so without indices: {words}." for words in summary["not_seen"]]
    return "\n".join(lines)


def _unit(summary: Mapping[str, Any]) -> str:
    return {"morris": "trajectories", "sobol": "base samples"}.get(summary["method"], "samples")


def _cell(row: Mapping[str, Any], name: str, error: str) -> str:
    return f"{row[name]:.3f}" + (f" ({row[error]:.3f})" if error else "")


def _about(put: Mapping[str, Any]) -> str:
    """Grade and range of a number."""
    unit = "" if put["unit"] == "1" else f" {put['unit']}"
    return f"{put['grade']} | {put['low']:.3g} | {put['high']:.3g}{unit}"
