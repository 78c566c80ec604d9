"""The result of a trial in one table, on the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from tme_abm.trial.study import Study


def print_headline(console: "Console", study: "Study", summary: Mapping[str, Any]) -> None:
    """The endpoints of each arm, and each comparison."""
    from rich.table import Table

    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
    for name in ("arm", "patients", "median PFS [month]", "ORR", ">= VGPR", ">= CR", "MRD-negative"):
        table.add_column(name, justify="left" if name == "arm" else "right", no_wrap=True)
    for arm in study.arms:
        row = summary["arms"].get(arm.key, {})
        shares = [_percent(row.get(name)) for name in ("orr", "vgpr_or_better", "cr_or_better", "mrd_negative")]
        table.add_row(arm.label, str(row.get("n", "-")), _median(row), *shares)
    console.print(table)
    labels = {arm.key: arm.label for arm in study.arms}
    for row in summary.get("comparisons", ()):
        pair = f"{labels.get(row['arm'], row['arm'])} against {labels.get(row['reference'], row['reference'])}"
        if row.get("hazard_ratio") is None:
            console.print(f"{pair}: no hazard ratio ({row.get('note') or 'too few events'})")
            continue
        level, low, high = row.get("ci_level", study.ci_level), _plain(row.get("ci_low")), _plain(row.get("ci_high"))
        console.print(f"{pair}: hazard ratio {row['hazard_ratio']:.2f} ({100.0 * level:g} % interval {low} to {high})")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.1f} %"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _median(row: Mapping[str, Any]) -> str:
    if row.get("median_pfs_months") is None:
        return "not reached"
    low, high = row.get("pfs_ci") or (None, None)
    return f"{row['median_pfs_months']:.1f} ({'-' if low is None else f'{low:.1f}'} to {'-' if high is None else f'{high:.1f}'})"
