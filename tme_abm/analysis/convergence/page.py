"""A study of convergence as a page, with its tables, its figure and a verdict in a sentence."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm.analysis.convergence.statistics import ENDPOINTS, is_apart
from tme_abm.analysis.run_book import EARLY_VISITS
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.paths import refuse_tilde, standing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BY_HAND = "<!-- what follows is written by hand and stays -->\n"


COLUMNS = (  # title, name of the estimate, digits
    ("log HR", "log hazard ratio", 3),
    ("median PFS, {arm}", "median PFS, arm", 2),
    ("median PFS, {reference}", "median PFS, reference", 2),
    ("mean PFS, {arm}", "mean PFS, arm", 2),
    ("mean PFS, {reference}", "mean PFS, reference", 2),
    ("log10 burden, visit 3, {arm}", "early burden, arm", 3),
    ("log10 burden, visit 3, {reference}", "early burden, reference", 3),
)


def tables(summary: dict[str, Any]) -> "pd.DataFrame":
    """Every estimate and difference as a row."""
    import pandas as pd

    rows = []
    for axis in summary["axes"]:
        for entry in axis["choices"]:
            for name in ENDPOINTS:
                row = {"axis": axis["name"], "step_h": entry["step_h"], "side": entry["side"], "n": entry["n"], "endpoint": name}
                row |= entry["estimates"][name]
                row |= {f"difference_{k}": v for k, v in entry["differences"].get(name, {}).items()}
                rows.append(row)
    return pd.DataFrame(rows)


def figure(summary: dict[str, Any]) -> "Figure":
    """Differences of each choice to the finest of its axis, with their intervals."""
    from tme_abm import drawing

    names = {
        "log hazard ratio": "Log hazard ratio",
        "mean PFS, arm": f"Mean PFS, {summary['labels'][summary['arm']]} [month]",
        "mean PFS, reference": f"Mean PFS, {summary['labels'][summary['reference']]} [month]",
    }

    def draw() -> "Figure":
        from matplotlib.figure import Figure

        fig = Figure((11.0, 1.2 + 2.6 * len(summary["axes"])), layout="constrained", facecolor="white")
        panels = fig.subplots(len(summary["axes"]), len(names), squeeze=False)
        for row, axis in zip(panels, summary["axes"], strict=True):
            entries = axis["choices"]
            ticks = [f"{e['step_h']:g} h" if axis["name"] == "step" else f"{e['side']}\N{SUPERSCRIPT TWO}" for e in entries]
            for axes, (name, title) in zip(row, names.items(), strict=True):
                axes.axhline(0.0, color=drawing.GREY, lw=1.0)
                for x, entry in enumerate(entries):
                    difference = entry["differences"].get(name, {"value": 0.0, "low": None, "high": None})
                    if difference["value"] is None:
                        continue
                    ink = drawing.VERMILLION if entry["differences"] and is_apart(difference) else drawing.BLUE
                    if difference["low"] is not None:
                        axes.plot([x, x], [difference["low"], difference["high"]], color=ink, lw=2.2)
                    axes.plot(x, difference["value"], "o", color=ink, ms=7)
                axes.set_xticks(range(len(entries)), ticks)
                axes.set_xlim(-0.5, len(entries) - 0.5)
                axes.set_title(title, fontsize=11)
            row[0].set_ylabel(f"{axis['name']}: minus the finest")
        return fig

    return drawing.styled(draw)()


def document(summary: dict[str, Any], command: str, image: str) -> str:
    """The page docs/convergence.md.

    Args:
        summary: As `converge` returns it.
        command: That repeats it.
        image: Path of the figure as seen from the page.
    """
    label = summary["labels"]
    arm, reference = label[summary["arm"]], label[summary["reference"]]
    horizon = f"{summary['horizon_months']:.1f}"
    lines = [
        "# Convergence: step, patch, number of patients",
        "",
        f"Written by `{command}`, model {summary['model']}.",
        f"{summary['patients']} patients of `{summary['scenario']}` (seed {summary['seed']}), {arm} against {reference},",
        f"watched for {horizon} months without drop-out. The same patients run with every choice, so a difference has a smaller error than",
        "the values; errors, in brackets, are standard errors by bootstrap over patients. A difference whose 95 % interval leaves out zero",
        "is **bold**; of twenty that are nothing but chance, one is.",
        "",
        f"![Differences to the finest choice]({image})",
        "",
    ]
    for axis in summary["axes"]:
        lines += [f"## {axis['name'].capitalize()}", "", *_value_table(axis, arm, reference), ""]
        lines += [f"Difference to {axis['finest']}:", "", *_difference_table(axis, arm, reference), ""]
        lines += [f"Deaths of plasma cells in the first {EARLY_VISITS} visits, relative to {axis['finest']} [%]:", ""]
        lines += [*_cause_table(axis, arm, reference), "", verdict(axis), ""]
    lines += ["## How many patients an interval takes", ""]
    lines += ["Errors fall with the root of the number of patients; each is in both arms.", ""]
    lines += ["| endpoint | half width of the 95 % interval | patients |", "| --- | --- | --- |"]
    for row in summary["patients_needed"]:
        width = f"{100 * row['half_width']:g} % of the ratio" if row["endpoint"].startswith("log") else f"{row['half_width']:g} months"
        who = row["endpoint"].removeprefix("log ").replace(", arm", f", {arm}").replace(", reference", f", {reference}")
        lines.append(f"| {who} | {width} | {row['patients'] if row['patients'] is not None else '-'} |")
    if summary["failed"]:
        lines += ["", "Patients that failed: " + ", ".join(f"{n} with {words}" for words, n in summary["failed"].items()) + "."]
    return "\n".join(lines) + "\n"


def _cell(estimate: dict[str, Any], digits: int = 2, mark: bool = False) -> str:
    if estimate.get("value") is None:
        return "-"
    text = f"{estimate['value']:+.{digits}f}" if mark else f"{estimate['value']:.{digits}f}"
    if estimate["error"] is not None:
        text += f" ({estimate['error']:.{digits}f})"
    return f"**{text}**" if mark and is_apart(estimate) else text


def _head(first: str, titles: Sequence[str]) -> list[str]:
    return [f"| {first} | " + " | ".join(titles) + " |", "| --- |" + " --- |" * len(titles)]


def _value_table(axis: dict[str, Any], arm: str, reference: str) -> list[str]:
    titles = [title.format(arm=arm, reference=reference) for title, _, _ in COLUMNS]
    lines = _head("choice", [*titles, "s a patient"])
    for entry in axis["choices"]:
        cells = [_cell(entry["estimates"][name], digits) for _, name, digits in COLUMNS]
        lines.append(f"| {entry['choice']} | " + " | ".join([*cells, f"{entry['seconds_per_patient']:.2f}"]) + " |")
    return lines


def _difference_table(axis: dict[str, Any], arm: str, reference: str) -> list[str]:
    titles = [title.format(arm=arm, reference=reference) for title, _, _ in COLUMNS]
    lines = _head("choice", [*titles, "other candidate in"])
    for entry in axis["choices"]:
        if entry["differences"]:
            cells = [_cell(entry["differences"][name], digits, True) for _, name, digits in COLUMNS]
            lines.append(f"| {entry['choice']} | " + " | ".join([*cells, f"{entry['other_candidates']} patients"]) + " |")
    return lines


def _cause_table(axis: dict[str, Any], arm: str, reference: str) -> list[str]:
    entries = [entry for entry in axis["choices"] if entry["causes"]]
    names = list(dict.fromkeys(name for entry in entries for name in entry["causes"]))
    lines = _head("cause", [entry["choice"] for entry in entries])
    for name in names:
        cells = []
        for entry in entries:
            found = entry["causes"].get(name, {"relative": None})
            if found["relative"] is None:
                cells.append("-")
                continue
            text = f"{100 * found['relative']:+.1f} ({100 * found['error']:.1f})"
            cells.append(f"**{text}**" if abs(found["relative"]) > 1.96 * found["error"] else text)
        words = name.replace("_", " ").replace(", arm", f", {arm}").replace(", reference", f", {reference}")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return lines


def verdict(axis: dict[str, Any]) -> str:
    """One sentence on an axis: which choices agree with the finest in hazard ratio and PFS, and how small a difference could be told."""
    watched = ("log hazard ratio", "median PFS, arm", "median PFS, reference", "mean PFS, arm", "mean PFS, reference")
    parts = []
    for entry in axis["choices"]:
        if not entry["differences"]:
            continue
        apart = [name for name in watched if is_apart(entry["differences"][name])]
        error = entry["differences"]["log hazard ratio"]["error"]
        scale = "" if error is None else f" (the error of the difference of log HR is {error:.3f})"
        if apart:
            parts.append(f"{entry['choice']} differs from {axis['finest']} in {', '.join(apart)}{scale}")
        else:
            parts.append(f"{entry['choice']} agrees with {axis['finest']} within the Monte-Carlo error{scale}")
    return "; ".join(parts) + "."


def pages(folder: Path) -> list[Path]:
    """What `write_page` writes into a folder."""
    return [folder / "convergence.md", folder / "images" / "convergence.png"]


def check(folder: Path | None) -> None:
    """Refuse a folder into which the page could not be written, before the work that it is to tell of; None will do.

    Raises:
        InputError: For what is no folder, and an earlier page that is no text.
    """
    if folder is None:
        return
    refuse_tilde(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{folder} is no folder; choose another with --docs")
    there = standing(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written; choose another with --docs")
    try:
        if (folder / "convergence.md").exists():
            (folder / "convergence.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{folder / 'convergence.md'}: no text in UTF-8 that could be written anew") from None


def write_page(summary: dict[str, Any], folder: Path, command: str) -> list[Path]:
    """Write convergence.md and images/convergence.png into a folder; the paths of both.

    What was written by hand below `BY_HAND` in an earlier convergence.md stays.
    """
    from tme_abm import drawing

    picture = drawing.save(figure(summary), folder / "images", "convergence", "png")
    text = folder / "convergence.md"
    _, mark, kept = text.read_text(encoding="utf-8").partition(BY_HAND) if text.is_file() else ("", "", "")
    page = document(summary, command, "images/convergence.png")
    text.write_text(f"{page}\n{mark}{kept}" if mark else page, encoding="utf-8")
    return [text, picture]
