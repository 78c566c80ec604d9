"""What a run gives back: tables with units, figures on request, and the summary by key.

A result reads its tables from the folder of the run. Where no folder was asked for, the run stands in a temporary one that goes with the
object; `save` keeps it.
"""

import html
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm import tables
from tme_abm.foundation.columns import Heading, count, find, word
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.headline import SAME_PATIENTS, TESTS
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    import pandas as pd
    from matplotlib.figure import Figure

_SHARES = {
    "orr": "patients with a confirmed partial response or better",
    "vgpr_or_better": "patients with a confirmed very good partial response or better",
    "cr_or_better": "patients with a confirmed complete response or better",
    "cr_or_better_after_mass_spectrometry": "the same, with the band of an antibody told from the patient's own",
    "mrd_negative": "patients tested for residual disease and negative",
}
SUMMARY_HEADINGS = (
    word("study", "name of the study"),
    word("arm", "key of the arm"),
    word("label", "what the arm is called"),
    count("n", "patients", "patients who completed: every denominator"),
    count("n_started", "patients", "patients in the table, whatever became of them"),
    count("n_events", "patients", "progressions and deaths"),
    count("n_clinical", "patients", "clinical progressions among them"),
    Heading("median_pfs_months", "month", "median progression-free survival", low=0.0, missing="where it is not reached"),
    Heading("pfs_ci_<end>", "month", "end of the interval of the median", low=0.0, missing="where it is not reached"),
    Heading("median_follow_up_months", "month", "median follow-up (reverse Kaplan-Meier)", low=0.0, missing="without patients"),
    *(Heading(name, "1", meaning, low=0.0, high=1.0, missing="without patients") for name, meaning in _SHARES.items()),
    *(Heading(f"{name}_ci_<end>", "1", "end of the Wilson interval of that share", low=0.0, high=1.0) for name in _SHARES),
    Heading("median_time_to_response_months", "month", "median time to response among responders", low=0.0, missing="without responders"),
    word("note", "why something is missing; empty where nothing is"),
)
_FEW = "without an estimate, below ten events, or below twenty patients of a paired design"
COMPARISON_HEADINGS = (
    word("study", "name of the study"),
    word("arm", "key of the arm"),
    word("reference", "key of the arm that it is compared with"),
    Heading("hazard_ratio", "1", "of progression or death, below 1 where the arm does better", low=0.0, missing="without an estimate"),
    Heading("ci_low", "1", "lower end of its interval", low=0.0, missing=_FEW),
    Heading("ci_high", "1", "upper end of its interval", low=0.0, missing=_FEW),
    Heading("ci_level", "1", "level of every interval", low=0.0, high=1.0),
    Heading(
        "p_value",
        "1",
        "two-sided; paired design: of the Wald test of the Cox model, standard error clustered on the patient as that of the interval; "
        "parallel: of the log-rank test",
        low=0.0,
        high=1.0,
        missing=_FEW,
    ),
    Heading("ph_test_p", "1", "of the test of proportional hazards, arms taken as independent", low=0.0, high=1.0, missing=_FEW),
    Heading("rmst_difference_months", "month", "restricted mean survival time, arm minus reference", missing="without an estimate"),
    Heading("rmst_ci_<end>", "month", "end of its interval", missing="without an estimate"),
    Heading("rmst_horizon_months", "month", "up to which the mean is taken", low=0.0, missing="without an estimate"),
    *(count(f"n_{who}", "patients", f"completed patients of the {who}") for who in ("arm", "reference")),
    *(count(f"n_events_{who}", "patients", f"events in the {who}") for who in ("arm", "reference")),
    word("note", "why something is missing; empty where nothing is"),
)


class Result(Mapping[str, Any]):
    """What a run gives back; as a mapping it is the summary, as summary.json holds it.

    Attributes:
        name: Name of the scenario.
        title: One line on what was asked.
        folder: Where the files of the run are; a temporary place where no folder was asked for.
        is_kept: Whether the folder stays when the result goes.
    """

    def __init__(self, name: str, title: str, content: Mapping[str, Any], folder: Path, keeper: "TemporaryDirectory[str] | None") -> None:
        """Take the summary of a finished run and its folder; `keeper` lets go of a temporary one with the object."""
        self.name, self.title, self.folder = name, title, Path(folder)
        self._content = dict(content)
        self._keeper = keeper

    @property
    def is_kept(self) -> bool:
        """Whether the folder stays when the result goes."""
        return self._keeper is None

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def save(self, folder: str | Path) -> Path:
        """Copy all files of the run into a new or empty folder.

        Returns:
            The folder.

        Raises:
            InputError: For a folder that holds something already.
        """
        target = Path(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{target} holds something already; choose another folder")
        shutil.copytree(self.folder, target, dirs_exist_ok=True)
        return target

    def read(self, name: str) -> "pd.DataFrame":
        """One of the tables of the run, with units, meanings and allowed values in `attrs`."""
        return tables.read(self.folder / name)


class TrialResult(Result):
    """The result of a trial: tables of patients, visits, arms and comparisons, and the figures of the report."""

    def __init__(self, study: Study, content: Mapping[str, Any], folder: Path, keeper: "TemporaryDirectory[str] | None" = None) -> None:
        """Take what `trial.execution.run_study` has made of a study."""
        super().__init__(study.name, study.title, content, folder, keeper)
        self.study = study

    @cached_property
    def patients(self) -> "pd.DataFrame":
        """A row for each patient and arm."""
        return self.read("patients.parquet")

    @cached_property
    def trajectory(self) -> "pd.DataFrame":
        """A row for each patient, arm and visit.

        Raises:
            InputError: Where visits were not recorded.
        """
        return self._recorded("trajectory", "visits were not recorded; [record] has visits = false")

    @cached_property
    def days(self) -> "pd.DataFrame":
        """A row for each patient, arm and recorded day.

        Raises:
            InputError: Where no days were recorded.
        """
        return self._recorded("days", 'no days were recorded; [record] with days = "7 d" would do it')

    @cached_property
    def cells(self) -> "pd.DataFrame":
        """A row for each cell on each recorded day.

        Raises:
            InputError: Where no cells were recorded.
        """
        return self._recorded("cells", "no cells were recorded; [record] with cells = { days = [0, 28] } would do it")

    def _recorded(self, name: str, else_: str) -> "pd.DataFrame":
        if not (self.folder / f"{name}.parquet").exists():
            raise InputError(f"{self.name}: {else_}")
        return self.read(f"{name}.parquet")

    @cached_property
    def summary(self) -> "pd.DataFrame":
        """A row for each arm."""
        labels = self.labels
        return _framed([{"arm": arm, "label": labels.get(arm, arm), **row} for arm, row in self["arms"].items()], SUMMARY_HEADINGS)

    @cached_property
    def comparisons(self) -> "pd.DataFrame":
        """A row for each comparison of two arms."""
        return _framed(self["comparisons"], COMPARISON_HEADINGS)

    @property
    def arms(self) -> list[str]:
        """Keys of the arms."""
        return list(self["arms"])

    @property
    def labels(self) -> dict[str, str]:
        """What to call each arm."""
        return {arm.key: arm.label for arm in self.study.arms}

    @property
    def plot(self) -> "Figures":
        """The figures of the trial, as matplotlib figures."""
        path = self.folder / "trajectory.parquet"
        visits = tables.Stored(path) if path.exists() else None
        return Figures(self.patients, visits, self.arms, self.labels, self.study.design, self.study.ci_level)

    def __repr__(self) -> str:
        """The arms and comparisons in a few lines."""
        lines = [f"{self.name}: {self['patients']} patients, {len(self.arms)} arms, seed {self['seed']}"]
        lines += [f"  {self.labels.get(arm, arm)}: {_arm_words(self['arms'][arm])}" for arm in self.arms]
        lines += [f"  {_comparison_words(row, self.labels, self.study.design)}" for row in self["comparisons"]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The arms as a table, the comparisons as sentences."""
        rows = [(self.labels.get(arm, arm), self["arms"][arm]) for arm in self.arms]
        return _as_html(self.title, rows, self["comparisons"], self.labels, self.study.design)


class Figures:
    """The figures of a trial on request; each returns a matplotlib figure."""

    def __init__(
        self,
        patients: "pd.DataFrame",
        trajectory: "pd.DataFrame | tables.Stored | None",
        arms: Sequence[str],
        labels: Mapping[str, str],
        design: str = "paired",
        level: float = 0.95,
    ) -> None:
        """Take the tables, that of the visits in memory, on disk, or none, and what to call the arms."""
        self._patients, self._visits, self._labels = patients, trajectory, labels
        self._arms, self._design, self._level = list(arms), design, level

    def kaplan_meier(self, arms: Sequence[str] | None = None) -> "Figure":
        """Progression-free survival with bands, marks of censoring and patients at risk."""
        from tme_abm.trial import figures

        return figures.kaplan_meier(self._patients, self._chosen(arms), self._labels, self._level)

    def responses(self, arms: Sequence[str] | None = None) -> "Figure":
        """Best confirmed responses of each arm."""
        from tme_abm.trial import patient_figures

        return patient_figures.responses(self._patients, self._chosen(arms), self._labels)

    def waterfall(self, arms: Sequence[str] | None = None) -> "Figure":
        """Best change of measured M-protein of every patient."""
        return self._of_visits("patient_figures", "waterfall", arms)

    def spider(self, arms: Sequence[str] | None = None) -> "Figure":
        """Change of measured M-protein of every patient over time."""
        return self._of_visits("patient_figures", "spider", arms)

    def forest(self, arm: str | None = None, reference: str | None = None) -> "Figure":
        """Hazard ratios of subgroups, of the second arm as the reference where none is named."""
        from tme_abm.trial import figures, subgroups

        pair = self._chosen([arm or self._arms[0], reference or self._arms[-1]])
        table = subgroups.subgroup_table(self._patients, pair[0], pair[1], self._design, self._level)
        first, second = (self._labels.get(key, key) for key in pair)
        return figures.forest(table, first, second, self._level)

    def deaths_by_cause(self, arms: Sequence[str] | None = None) -> "Figure":
        """What killed plasma cells."""
        from tme_abm.trial import marrow_figures

        return marrow_figures.deaths_by_cause(self._trajectory, self._chosen(arms), self._labels)

    def marrow(self, arms: Sequence[str] | None = None) -> "Figure":
        """The marrow over time: burden, cells, fields."""
        from tme_abm.trial import marrow_figures

        return marrow_figures.marrow(self._trajectory, self._chosen(arms), self._labels)

    @property
    def _trajectory(self) -> "pd.DataFrame | tables.Stored":
        if self._visits is None:
            raise InputError("visits were not recorded, and this figure shows them")
        return self._visits

    def _of_visits(self, module: str, name: str, arms: Sequence[str] | None) -> "Figure":
        from importlib import import_module

        draw: Callable[..., Figure] = getattr(import_module(f"tme_abm.trial.{module}"), name)
        return draw(self._trajectory, self._patients, self._chosen(arms), self._labels)

    def _chosen(self, arms: Sequence[str] | None) -> list[str]:
        for arm in arms or ():
            if arm not in self._arms:
                raise InputError(f"there is no arm '{arm}'{did_you_mean(arm, self._arms)}")
        return list(self._arms if arms is None else arms)


class Compared:
    """Results of several studies side by side; an arm is called "study/arm".

    Where the studies share seed and population, patient 7 of one is patient 7 of the other, and arms of different studies are compared
    as in a paired design.
    """

    def __init__(self, results: Mapping[str, TrialResult]) -> None:
        """Take results by the name that each is to have."""
        self.results = dict(results)

    @cached_property
    def patients(self) -> "pd.DataFrame":
        """The patients of all studies."""
        return self._joined("patients")

    @cached_property
    def trajectory(self) -> "pd.DataFrame":
        """The visits of all studies."""
        return self._joined("trajectory")

    @cached_property
    def summary(self) -> "pd.DataFrame":
        """A row for each study and arm."""
        return self._joined("summary")

    @cached_property
    def comparisons(self) -> "pd.DataFrame":
        """The comparisons that the studies themselves make; see `compare` for those between studies."""
        return self._joined("comparisons")

    @property
    def arms(self) -> list[str]:
        """Arms of all studies."""
        return [f"{name}/{arm}" for name, result in self.results.items() for arm in result.arms]

    @property
    def labels(self) -> dict[str, str]:
        """What to call each arm."""
        return {f"{name}/{arm}": f"{label} ({name})" for name, result in self.results.items() for arm, label in result.labels.items()}

    @property
    def plot(self) -> Figures:
        """The figures of all arms together."""
        return Figures(self.patients, self.trajectory, self.arms, self.labels, self._design(list(self.results)))

    def compare(self, arm: str, reference: str, level: float = 0.95) -> "pd.DataFrame":
        """One arm against another, of any of the studies.

        Args:
            arm: As "study/arm".
            reference: As "study/arm".
            level: Of the intervals [1].

        Raises:
            InputError: For an arm that is not there.
        """
        from dataclasses import asdict

        from tme_abm.trial.comparison import compare
        from tme_abm.trial.survival import as_json

        for name in (arm, reference):
            if name not in self.arms:
                raise InputError(f"there is no arm '{name}'{did_you_mean(name, self.arms)}")
        names = [arm.rpartition("/")[0], reference.rpartition("/")[0]]
        found = compare(self.patients, arm, reference, self._design(names), level)
        return _framed([as_json(asdict(found))], COMPARISON_HEADINGS)

    def _design(self, names: Sequence[str]) -> str:
        """Paired where the patients are the same."""
        studies = [self.results[name].study for name in names]
        first = studies[0]
        same = all(s.seed == first.seed and s.population == first.population and s.settings == first.settings for s in studies)
        return "paired" if same and all(s.design == "paired" for s in studies) else "parallel"

    def _joined(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        parts = []
        for study, result in self.results.items():
            part = getattr(result, name).copy()
            if len(part):
                part.insert(0, "study", study)
                for column in ("arm", "reference"):
                    if column in part.columns:
                        part[column] = f"{study}/" + part[column]
                parts.append(part)
        notes = [dict(part.attrs) for part in parts]
        for part in parts:  # pandas compares the notes of all parts with each other, and keeps none that differ
            part.attrs = {}
        joined = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        for key in ("units", "meanings", "allowed"):
            joined.attrs[key] = {column: text for part in notes for column, text in part.get(key, {}).items()}
        return joined

    def __repr__(self) -> str:
        """The arms of each study."""
        return "\n".join(repr(result) for result in self.results.values())

    def _repr_html_(self) -> str:
        """The arms of all studies in one table."""
        rows = [(f"{result.labels.get(a, a)} ({name})", result["arms"][a]) for name, result in self.results.items() for a in result.arms]
        return _as_html("Studies side by side", rows, [], {})


def _framed(rows: Sequence[Mapping[str, Any]], headings: Sequence[Heading]) -> "pd.DataFrame":
    """Rows of a summary as a table; an interval becomes two columns."""
    import pandas as pd

    flat = []
    for row in rows:
        cells: dict[str, Any] = {}
        for name, value in row.items():
            if isinstance(value, list | tuple):
                cells |= {f"{name}_low": value[0], f"{name}_high": value[1]}
            else:
                cells[name] = value
        flat.append(cells)
    table = pd.DataFrame(flat)
    for name in table.columns:  # None becomes a missing number
        heading = find(str(name), headings)
        if heading is not None and heading.kind == "number":
            table[name] = table[name].astype("float64")
    return tables.annotate(table, headings)


def _arm_words(row: Mapping[str, Any]) -> str:
    if not row.get("n"):
        return "no patient completed"
    median = row.get("median_pfs_months")
    pfs = "median PFS not reached" if median is None else f"median PFS {median:.1f} months"
    share = row.get("orr")
    return f"n = {row['n']}, {pfs}" + ("" if share is None else f", ORR {100.0 * share:.1f} %")


def _comparison_words(row: Mapping[str, Any], labels: Mapping[str, str], design: str) -> str:
    pair = f"{labels.get(row['arm'], row['arm'])} against {labels.get(row['reference'], row['reference'])}"
    if row.get("hazard_ratio") is None:
        return f"{pair}: no hazard ratio ({row.get('note') or 'too few events'})"
    text = f"{pair}: hazard ratio {row['hazard_ratio']:.2f} ("
    text += (
        "no interval" if row["ci_low"] is None else f"{100.0 * row['ci_level']:g} % interval {row['ci_low']:.2f} to {row['ci_high']:.2f}"
    )
    text += ")" if row.get("p_value") is None else f"), p = {row['p_value']:.2g} ({TESTS[design]})"
    return f"{text}; {SAME_PATIENTS}" if design == "paired" else text


def _as_html(
    title: str,
    arms: Sequence[tuple[str, Mapping[str, Any]]],
    comparisons: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    design: str = "parallel",
) -> str:
    def percent(share: float | None) -> str:
        return "-" if share is None else f"{100.0 * share:.1f} %"

    heads = ("arm", "patients", "median PFS [month]", "ORR", "&ge; VGPR", "&ge; CR", "MRD-negative")
    lines = [f"<b>{html.escape(title)}</b>", "<table>", "<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for label, row in arms:
        median = row.get("median_pfs_months")
        cells = [html.escape(label), str(row.get("n", "-")), "not reached" if median is None else f"{median:.1f}"]
        cells += [percent(row.get(name)) for name in ("orr", "vgpr_or_better", "cr_or_better", "mrd_negative")]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    lines.append("</table>")
    lines += [f"<div>{html.escape(_comparison_words(row, labels, design))}</div>" for row in comparisons]
    return "\n".join(lines)
