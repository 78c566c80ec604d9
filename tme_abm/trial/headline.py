"""The result of an experiment in a few lines."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tme_abm.trial.study import Study


class Headline(NamedTuple):
    """A small table and some sentences; either may be empty.

    Attributes:
        columns: Heads of the columns; the first is of words, the others of numbers.
        rows: The cells.
        sentences: What stands below the table.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    sentences: tuple[str, ...] = ()


SAME_PATIENTS = "the same patients in both arms"  # stands wherever a paired result does
TESTS = {"paired": "Wald test clustered on the patient", "parallel": "log-rank test"}  # whose p value stands beside a hazard ratio
COLUMNS = ("arm", "patients", "median PFS [month]", "ORR", ">= VGPR", ">= CR", "MRD-negative")


def headline(study: "Study", summary: Mapping[str, Any]) -> Headline:
    """The endpoints of each arm, each comparison, and who failed."""
    rows = []
    for arm in study.arms:
        row = summary["arms"].get(arm.key, {})
        shares = [_percent(row.get(name)) for name in ("orr", "vgpr_or_better", "cr_or_better", "mrd_negative")]
        rows.append((arm.label, str(row.get("n", "-")), _median(row), *shares))
    labels = {arm.key: arm.label for arm in study.arms}
    sentences = []
    for arm in study.arms:
        row = summary["arms"].get(arm.key, {})
        apart = row.get("cr_or_better_after_mass_spectrometry")
        if apart is not None and apart != row.get("cr_or_better"):
            sentences.append(f"{arm.label}: {_percent(apart)} in complete response or better after mass spectrometry")
    for row in summary.get("comparisons", ()):
        pair = f"{labels.get(row['arm'], row['arm'])} against {labels.get(row['reference'], row['reference'])}"
        if row.get("hazard_ratio") is None:
            sentences.append(f"{pair}: no hazard ratio ({row.get('note') or 'too few events'})")
            continue
        level, low, high = row.get("ci_level", study.ci_level), _plain(row.get("ci_low")), _plain(row.get("ci_high"))
        interval = f"{100.0 * level:g} % interval {low} to {high}" if row.get("ci_low") is not None else row.get("note") or "no interval"
        p_value = "" if row.get("p_value") is None else f", p = {row['p_value']:.2g} ({TESTS[study.design]})"
        same = f"; {SAME_PATIENTS}" if study.design == "paired" else ""
        sentences.append(f"{pair}: hazard ratio {row['hazard_ratio']:.2f} ({interval}){p_value}{same}")
    sentences += failures(summary)
    return Headline(COLUMNS, tuple(rows), tuple(sentences))


SHOWN = 5  # failures that are told one by one


def failures(summary: Mapping[str, Any]) -> list[str]:
    """Who failed, a sentence each."""
    told = summary.get("failures", ())
    found = [f"patient {f['patient']} failed in {', '.join(f['arms'])}: {f['error']}; seed {f['seed']}" for f in told]
    more = [f"{summary['failed'] - SHOWN} more patients failed: see summary.json"] if len(found) > SHOWN else []
    return [*found[:SHOWN], *more]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.1f} %"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _median(row: Mapping[str, Any]) -> str:
    if row.get("n") == 0:
        return "-"
    if row.get("median_pfs_months") is None:
        return "not reached"
    low, high = row.get("pfs_ci") or (None, None)
    return f"{row['median_pfs_months']:.1f} ({'-' if low is None else f'{low:.1f}'} to {'-' if high is None else f'{high:.1f}'})"
