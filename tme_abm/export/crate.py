"""What a results folder says of itself to machines: an RO-Crate manifest, and codemeta for the software that made it.

`ro-crate-metadata.json` follows RO-Crate 1.1 (soilandreyes2022): the files with size, digest and format, the columns of the tables with
their units, and the run as an action of the software on the scenario. Times are in UTC.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, NamedTuple

from tme_abm.tables import parts

CRATE, CODE = "ro-crate-metadata.json", "codemeta.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
}
CONTENT = {
    "scenario.toml": "The scenario: everything that the run needs; `tme run` runs it again.",
    "patients.parquet": "A row for each patient and arm.",
    "trajectory.parquet/": "A row for each patient, arm and visit; the parts are one table.",
    "days.parquet/": "A row for each patient, arm and recorded day; the parts are one table.",
    "cells.parquet/": "A row for each cell on each recorded day; the parts are one table.",
    "table.parquet": "What was measured, as one tidy table.",
    "table.csv": "What was measured, as one tidy table.",
    "summary.json": "What was found: arms and comparisons, or findings.",
    "run.json": "Every number of the run with unit, source and grade; versions, seed, machine.",
    "report.html": "The report, to be read.",
    CODE: "The software that made these results.",
    "trial.toml": "The trial that is varied.",
    "runs.jsonl": "Every run, a line each; the first line is what they have in common.",
    "sweep.parquet": "A row for each point, replicate, patient and arm.",
    "points.parquet": "A row for each point, arm or comparison, and outcome.",
    "points.csv": "A row for each point, arm or comparison, and outcome.",
    "samples.parquet": "A row for each sample: the numbers that were varied, and the outcomes.",
    "inputs.csv": "The numbers that were varied, with their ranges.",
    "indices.parquet": "How strongly each number acts on each outcome.",
    "sensitivity.md": "The analysis in words: tables of the strongest numbers, how far the order is noise, what was not varied.",
    "indices.csv": "How strongly each number acts on each outcome.",
    "attribution.parquet": "The share of each mechanism in the benefit.",
    "attribution.csv": "The share of each mechanism in the benefit.",
    "knockout.parquet": "The benefit without each mechanism.",
    "knockout.csv": "The benefit without each mechanism.",
    "deaths.parquet": "What the cells died of.",
    "deaths.csv": "What the cells died of.",
    "convergence.csv": "Each step and patch beside the finest.",
    "convergence.md": "Each step and patch beside the finest, to be read.",
    "bank.toml": "What the bank draws and runs.",
    "sittings.json": "How the patients of the bank were drawn, and what is known of its arms.",
    "runs.parquet": "A row for each patient and arm of the bank.",
    "visits.parquet/": "A row for each patient, arm and visit of the bank; the parts are one table.",
    "posterior.parquet": "Sets of numbers with their weights.",
    "fit.csv": "Every published figure that was fitted, beside the fit.",
    "recovery.md": "Whether known populations are found again, to be read.",
    "recovery.json": "Whether known populations are found again.",
    "draws.csv": "Every published result beside that of the study over sets of the posterior.",
    "draws.md": "Every published result beside that of the study over sets of the posterior, to be read.",
    "design.toml": "The design.",
    "design.csv": "Power and assurance by the size of the trial.",
    "design.md": "Power and assurance by the size of the trial, to be read.",
    "calibrated.toml": "The best values, how they were found, and what they come near to.",
    "calibration.md": "The calibration, to be read.",
    "predictions.csv": "Every published result beside the predicted one.",
    "predictions.md": "Every published result beside the predicted one, to be read.",
}
LICENCE = "#licence"
SOFTWARE = "#tme_abm"


class Subject(NamedTuple):
    """What was asked, where that is no scenario."""

    name: str
    title: str
    summary: str


def describe_folder(folder: Path, study: Any, paths: Iterable[Path] | None = None, to: Path | None = None) -> list[Path]:
    """Write the manifest and codemeta.json into a results folder whose other files are there.

    Args:
        folder: Of the results.
        study: What has run: its `name`, `title` and `summary` are told.
        paths: The files of the results, where the folder holds others too; all by default.
        to: Where to write, if not there.

    Returns:
        The files written.
    """
    run = _read(folder / "run.json")
    code, crate = (to or folder) / CODE, (to or folder) / CRATE
    code.write_text(json.dumps(codemeta(run), indent=2) + "\n", encoding="utf-8")
    table = manifest(folder, run, study.name, study.title, study.summary, folder.rglob("*") if paths is None else paths)
    crate.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    return [code, crate]


def codemeta(run: dict[str, Any]) -> dict[str, Any]:
    """The software that made a run, in the words of codemeta 3.

    Args:
        run: Contents of run.json.
    """
    versions = dict(run.get("versions") or {})
    required = [{"@type": "SoftwareApplication", "name": name, "version": v} for name, v in versions.items() if name != "tme-abm"]
    return {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        "name": "tme_abm",
        "description": _of_package("Summary"),
        "version": versions.get("tme-abm") or _of_package("Version"),
        "identifier": str(run.get("model") or ""),
        "license": "https://spdx.org/licenses/BSD-3-Clause",
        "author": [{"@type": "Organization", "name": "tme_abm authors"}],
        "programmingLanguage": {"@type": "ComputerLanguage", "name": "Python", "version": versions.get("python", "")},
        "softwareRequirements": [part for part in required if part["name"] != "python"],
    }


def manifest(folder: Path, run: dict[str, Any], name: str, title: str, summary: str, paths: Iterable[Path]) -> dict[str, Any]:
    """The RO-Crate of a results folder."""
    finished = str(run.get("finished") or utc_now())
    files = [_file(path, folder) for path in sorted(paths) if _is_ours(path, folder)]
    sets = [_data_set(name, files) for name in dict.fromkeys(f["@id"].partition("/")[0] for f in files if ".parquet/" in f["@id"])]
    inside = {part["@id"] for data_set in sets for part in data_set["hasPart"]}
    named = [entity for entity in (*files, *sets) if entity["@id"] not in inside]
    columns = [column for path in sorted(folder.glob("*.parquet")) for column in _columns(path)]
    software = codemeta(run)
    return {
        "@context": CONTEXT,
        "@graph": [
            {
                "@id": CRATE,
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": title or name,
                "identifier": name,
                "description": summary,
                "datePublished": finished,
                "license": {"@id": LICENCE},
                "hasPart": [{"@id": entity["@id"]} for entity in named],
                "variableMeasured": [{"@id": column["@id"]} for column in columns],
                "mentions": [{"@id": "#run"}],
            },
            {
                "@id": LICENCE,
                "@type": "CreativeWork",
                "name": "No licence has been chosen",
                "description": "Whoever publishes these results chooses a licence and names it here.",
            },
            {
                "@id": "#run",
                "@type": "CreateAction",
                "name": f"Run of {name}",
                "instrument": {"@id": SOFTWARE},
                "object": [{"@id": file["@id"]} for file in files if file["@id"] == "scenario.toml"],
                "result": [{"@id": entity["@id"]} for entity in named if entity["@id"] not in ("scenario.toml", CODE)],
                "endTime": finished,
            },
            {
                "@id": SOFTWARE,
                "@type": "SoftwareApplication",
                "name": "tme_abm",
                "description": software["description"],
                "version": software["version"],
                "identifier": software["identifier"],
                "license": {"@id": software["license"]},
            },
            {"@id": software["license"], "@type": "CreativeWork", "name": "BSD 3-Clause License"},
            *files,
            *sets,
            *columns,
        ],
    }


def utc_now() -> str:
    """Now, in UTC, as ISO 8601 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _is_ours(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder)
    return path.is_file() and inside.as_posix() != CRATE and not any(part.startswith(".") for part in inside.parts)


def _file(path: Path, folder: Path) -> dict[str, Any]:
    inside = path.relative_to(folder).as_posix()
    entity: dict[str, Any] = {
        "@id": inside,
        "@type": "File",
        "name": inside,
        "contentSize": str(path.stat().st_size),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    if path.suffix in FORMATS:
        entity["encodingFormat"] = FORMATS[path.suffix]
    if inside in CONTENT:
        entity["description"] = CONTENT[inside]
    return entity


def _data_set(name: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    """The folder of the parts of a table."""
    inside = [{"@id": file["@id"]} for file in files if file["@id"].startswith(f"{name}/")]
    entity = {"@id": f"{name}/", "@type": "Dataset", "name": name, "encodingFormat": FORMATS[".parquet"], "hasPart": inside}
    return entity | ({"description": CONTENT[entity["@id"]]} if entity["@id"] in CONTENT else {})


def _columns(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for field in pq.read_schema(parts(path)[0].absolute()):
        notes = field.metadata or {}
        if b"unit" in notes:
            yield {
                "@id": f"#{path.stem}/{field.name}",
                "@type": "PropertyValue",
                "name": field.name,
                "description": notes[b"meaning"].decode(),
                "unitText": notes[b"unit"].decode(),
            }


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content


def _of_package(key: str) -> str:
    try:
        return str(metadata("tme-abm")[key])
    except PackageNotFoundError:
        return ""
