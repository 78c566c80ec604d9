"""Experiments on mice that bear a human myeloma: groups, growth curves, and how much two drugs inhibit together.

Every mouse of a study grows its tumour untreated to the volume at which treatment starts, and every arm forks from there: the arms differ
in what is given and in nothing else, as in the trials. Inhibition of growth on the day of reading is

    TGI = 100 (1 - (T - T0) / (C - C0))                 T, C: mean volumes of the treated and the control mice; 0: at the start

and what two drugs a and b that know nothing of each other would do together is, after Bliss, a + b - a b. Above 100 % tumours shrink.
A combination is never fitted. Variants run the same mice once more with mechanisms switched off, or without stroma, to show what carries
it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tme_abm.forms import Source, as_resolved, check_routes, drug_places, hours, load_drugs, make_regimen, make_settings, refuse_rules
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import constants
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import Keys, dotted
from tme_abm.laboratory.experiment import Drawing, Experiment
from tme_abm.laboratory.inhibition import LEVEL, WHOLE, beyond_bliss, bliss, doubling_days, readings, replaced, tgi, with_interval
from tme_abm.laboratory.xenograft_form import Form, check

if TYPE_CHECKING:
    import pandas as pd

    from tme_abm.laboratory.mouse import Preset, Xenograft
    from tme_abm.pharmacology.regimen import Regimen


class Setting(NamedTuple):
    """One variant, resolved."""

    label: str
    without: frozenset[str]
    has_stroma: bool


@dataclass(frozen=True, kw_only=True)
class XenograftStudy(Experiment):
    """One experiment on mice, resolved.

    Attributes:
        mice: In each arm.
        host: The strain.
        line: The tumour.
        spread: Standard deviation of the log of division between mice.
        start_mm3: Volume at which treatment starts [mm3].
        days: From the start of treatment to the reading [d].
        every_days: Between measurements [d].
        control: Key of the arm that is given nothing.
        arms: The regimens.
        combinations: Arm of the combination, arms of the two drugs alone.
        variants: The experiment itself, then the variants.
        published: For the report to print.
    """

    population: Any = None
    mice: int
    host: "Preset"
    line: "Preset"
    spread: float
    start_mm3: float
    days: int
    every_days: int
    control: str
    arms: tuple["Regimen", ...]
    combinations: tuple[tuple[str, str, str], ...]
    variants: tuple[Setting, ...]
    published: tuple[Mapping[str, Any], ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """What to call each arm."""
        return {arm.key: arm.label for arm in self.arms}

    def facts(self) -> dict[str, str]:
        """What would be run, in words."""
        found = {
            "mice": f"{self.mice} {self.host.label.replace('mouse', 'mice')} in each arm, the same in every arm; seed {self.seed}",
            "tumour": f"{self.line.label}, {'with' if self.variants[0].has_stroma else 'without'} stroma, "
            f"treated from {self.start_mm3:g} mm3 on",
            "watched": f"{self.days} days, measured every {self.every_days} days and on the last",
            "patch": f"{self.settings.height} x {self.settings.width} sites, a step of {self.settings.step_h:g} h",
        }
        for arm in self.arms:
            found[arm.label] = "; ".join(_dose_words(dose) for dose in arm.doses) or "nothing is given"
        if len(self.variants) > 1:
            found["variants"] = "; ".join(v.label for v in self.variants[1:])
        return found

    @property
    def pieces(self) -> tuple[str, int]:
        """A piece is a mouse."""
        return "mice", self.mice

    def tabulate(self, rows: list[dict[str, Any]]) -> "pd.DataFrame":
        """A row for each variant, arm, mouse and day."""
        import pandas as pd

        table = pd.DataFrame(rows)
        for name, words in (("variant", [v.label for v in self.variants]), ("arm", [arm.key for arm in self.arms])):
            table[name] = pd.Categorical(table[name], words, ordered=True)
        table = table.sort_values(["variant", "arm", "mouse", "day"], ignore_index=True)
        return table.astype({"variant": str, "arm": str})

    def carry_out(self, index: int) -> list[dict[str, Any]]:
        """Grow a mouse, fork the arms of every variant, measure."""
        from tme_abm.laboratory.mouse import Xenograft, draw_mouse

        grown: dict[bool, Xenograft] = {}
        rows: list[dict[str, Any]] = []
        for variant in self.variants:
            if variant.has_stroma not in grown:
                mouse, key = draw_mouse(self.seed, index, self.host, self.line, variant.has_stroma, self.spread)
                grown[variant.has_stroma] = Xenograft(mouse, self.settings, key)
                grown[variant.has_stroma].grow_to(self.start_mm3)
            for arm in self.arms:
                treated = grown[variant.has_stroma].fork(arm, self.drugs, self.settings.without | variant.without)
                rows += self._follow(treated, variant, arm)
        return rows

    def _follow(self, treated: "Xenograft", variant: Setting, arm: "Regimen") -> list[dict[str, Any]]:
        """One mouse in one arm, measured on its days."""
        steps = round(HOURS_PER_DAY / self.settings.step_h)
        rows = [measurement(treated, variant.label, arm.key)]
        day = 0
        while day < self.days:
            onward = min(self.every_days, self.days - day)
            treated.advance(onward * steps)
            day += onward
            rows.append(measurement(treated, variant.label, arm.key))
        return rows

    def summarise(self, table: "pd.DataFrame") -> dict[str, Any]:
        """Inhibition of each arm and each combination, of the experiment and of its variants."""
        given = {row["arm"]: row["value"] for row in self.published}
        found: dict[str, Any] = {"days": self.days}
        for variant in self.variants:
            read = readings(table, variant.label)
            arms = {}
            for arm in self.arms:
                start, end = read.start[arm.key], read.end[arm.key]
                arms[arm.key] = {
                    "label": arm.label,
                    "n": int(end.size),
                    "start_mm3": float(start.mean()),
                    "end_mm3": float(end.mean()),
                    "end_sem_mm3": float(end.std(ddof=1) / math.sqrt(end.size)),
                    "shrunk": int((end < start).sum()),
                }
                if arm.key != self.control:
                    value, low, high = with_interval(read, lambda r, k=arm.key: tgi(r, k, self.control), self.seed)  # type: ignore[misc]
                    arms[arm.key] |= {"tgi_percent": value, "tgi_low": low, "tgi_high": high}
                    arms[arm.key]["replaced_share"] = replaced(table, variant.label, arm.key, self.control)
                if variant.label == WHOLE and arm.key in given:
                    arms[arm.key]["published_tgi_percent"] = given[arm.key]
            pairs = []
            for combination in self.combinations:
                both, one, other = combination
                value, low, high = with_interval(
                    read,
                    lambda r, c=combination: beyond_bliss(r, c, self.control),  # type: ignore[misc]
                    self.seed,
                )
                c = read.end[self.control].mean()
                expected = float(read.end[one].mean() * read.end[other].mean() / c)
                pairs.append(
                    {
                        "arm": both,
                        "singles": [one, other],
                        "end_mm3": float(read.end[both].mean()),
                        "expected_end_mm3": expected,
                        "tgi_percent": tgi(read, both, self.control),
                        "bliss_percent": bliss(tgi(read, one, self.control), tgi(read, other, self.control)),
                        "beyond_bliss_points": value,
                        "beyond_bliss_low": low,
                        "beyond_bliss_high": high,
                    }
                )
            found.setdefault("variants", []).append({"label": variant.label, "arms": arms, "combinations": pairs})
        return found

    def findings(self, table: "pd.DataFrame") -> list[str]:
        """What is seen, a sentence each."""
        summary = self.summarise(table)
        whole = summary["variants"][0]
        labels = self.labels
        control = whole["arms"][self.control]
        sentences = [
            f"Untreated tumours grow from {control['start_mm3']:.0f} to {control['end_mm3']:.0f} mm3 in {self.days} days "
            f"(they double in {doubling_days(table, self.control, 0, 6):.1f} days at first)."
        ]
        singles = list(dict.fromkeys(key for pair in whole["combinations"] for key in pair["singles"]))
        if singles:
            parts = [f"{labels[key]} {_with_published(whole['arms'][key])}" for key in singles]
            sentences.append(f"Alone: {', '.join(parts)} inhibition of growth.")
        for pair in whole["combinations"]:
            more = pair["beyond_bliss_points"]
            side = "above" if pair["beyond_bliss_low"] > 0.0 else "below" if pair["beyond_bliss_high"] < 0.0 else "not clearly apart from"
            sentences.append(
                f"{labels[pair['arm']]} together: {_with_published(whole['arms'][pair['arm']])}, {side} the "
                f"{pair['bliss_percent']:.0f} % of two drugs that know nothing of each other "
                f"({more:+.0f} points, {pair['beyond_bliss_low']:+.0f} to {pair['beyond_bliss_high']:+.0f})."
            )
            shares = [f"{_percent(whole['arms'][key]['replaced_share'])} under {labels[key]}" for key in (*pair["singles"], pair["arm"])]
            sentences.append(f"Of the cells killed, division into the room that they leave makes good {', '.join(shares)}.")
        for variant in summary["variants"][1:]:
            parts = [f"{labels[p['arm']]} {p['tgi_percent']:.0f} % against {p['bliss_percent']:.0f} %" for p in variant["combinations"]]
            if parts:
                sentences.append(f"{variant['label'][0].upper()}{variant['label'][1:]}: {', '.join(parts)} after Bliss.")
        return sentences

    def draw(self, table: "pd.DataFrame") -> dict[str, Drawing]:
        """Growth curves, inhibition, waterfall, variants."""
        from tme_abm.laboratory import xenograft_figures as figures

        whole = table[table["variant"] == WHOLE]
        summary = self.summarise(table)
        first = summary["variants"][0]
        labels, arms = self.labels, [arm.key for arm in self.arms]
        drawn = {
            "growth": Drawing(
                figures.growth(whole, self.arms),
                f"Tumour volume, median and median absolute deviation of {self.mice} mice an arm. Marks below: days of treatment.",
            )
        }
        drawn["inhibition"] = Drawing(
            figures.inhibition(first, [a for a in arms if a != self.control]),
            f"Inhibition of growth on day {self.days}, with {100 * LEVEL:g} % intervals from resampling the mice. Bars across: what Bliss "
            "expects of the combination. Numbers in the bars are the simulation's; diamonds, with the numbers above them, were published.",
        )
        drawn["waterfall"] = Drawing(
            figures.waterfall(whole, self.arms, self.days),
            f"Change of the volume of each mouse's tumour from the start to day {self.days}.",
        )
        if len(self.variants) > 1 and self.combinations:
            drawn["variants"] = Drawing(
                figures.variants(summary, labels),
                "The combination with mechanisms switched off, or without stroma, and what Bliss expects from the single drugs under the "
                "same conditions.",
            )
        drawn["deaths"] = Drawing(
            figures.deaths(whole, arms, labels, self.days),
            f"Of what the tumour cells of each arm died up to day {self.days}, in the section.",
        )
        return drawn

    def origins(self) -> list[dict[str, Any]]:
        """Every number that the run uses, with unit, meaning, source and grade."""
        rows = [{"name": name, **origin._asdict()} for name, origin in self.settings.origins().items()]
        for name, drug in sorted(self.drugs.items()):
            rows += [{"name": f"drugs.{name}.{n}", **origin._asdict()} for n, origin in drug.origins().items()]
        for kind, preset in (("host", self.host), ("line", self.line)):
            rows += [{"name": f"{kind}.{preset.name}.{n}", **origin._asdict()} for n, origin in preset.filled.origins.items()]
        return rows + [{"name": name, **origin._asdict()} for name, origin in constants("tme_abm.laboratory.mouse").items()]


def build(form: Form, source: Source) -> XenograftStudy:
    """The experiment that a scenario describes.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    from tme_abm.laboratory.mouse import SPECIES, closed, load_preset

    tumour = form.tumour
    days, every = (_whole_days(getattr(tumour, name), ("tumour", name), source) for name in ("watch", "measure"))
    presets = {}
    for kind, name in (("hosts", tumour.host), ("lines", tumour.line)):
        word = kind[:-1]
        changes = {n: v.model_dump(exclude_none=True) for n, v in getattr(form.traits, word).items()}
        try:
            presets[kind] = load_preset(kind, name, changes)
        except InputError as error:
            at: Keys = ("tumour", word) if "unknown" in str(error) and "parameter" not in str(error) else ("traits", word)
            raise source.error(at, str(error)) from None
    check(form, source)
    drugs = load_drugs(drug_places(form.arms, ("arms",)), form.drugs, source, SPECIES)
    check_routes(form.arms, drugs, ("arms",), source)
    refuse_rules(form.arms, ("arms",), source)
    arms = tuple(make_regimen(key, arm, ("arms", key), source) for key, arm in form.arms.items())
    whole = Setting(WHOLE, frozenset(), tumour.stroma)
    others = [Setting(v.label, frozenset(v.without), tumour.stroma if v.stroma is None else v.stroma) for v in form.variants]
    return XenograftStudy(
        name=source.name,
        title=form.title,
        summary=form.summary,
        seed=form.seed,
        settings=closed(make_settings(form.marrow, form.without, form.parameters, source)),
        drugs=drugs,
        resolved=as_resolved(form, source),
        mice=form.mice,
        host=presets["hosts"],
        line=presets["lines"],
        spread=tumour.spread,
        start_mm3=tumour.start_mm3,
        days=days,
        every_days=every,
        control=form.control,
        arms=arms,
        combinations=tuple((c.arm, c.singles[0], c.singles[1]) for c in form.combinations),
        variants=(whole, *others),
        published=tuple(row.model_dump(exclude_none=True) for row in form.published),
    )


def _whole_days(text: str, path: Keys, source: Source) -> int:
    days = hours(text, path, source) / HOURS_PER_DAY
    if days % 1.0:
        raise source.error(path, f'{dotted(path)} must be whole days, not "{text}"')
    return int(days)


def _dose_words(dose: Any) -> str:
    days = ", ".join(str(day) for day in dose.days)
    return f"{dose.drug} {dose.amount:g} {dose.unit} on day{'s' * (len(dose.days) > 1)} {days}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def _with_published(row: Mapping[str, Any]) -> str:
    shown = f"{row['tgi_percent']:.0f} %"
    return shown + (f" (published {row['published_tgi_percent']:.0f} %)" if "published_tgi_percent" in row else "")


# ---- measuring -------------------------------------------------------------------------------------------------------


def measurement(treated: "Xenograft", variant: str, arm: str) -> dict[str, Any]:
    """What is seen of one mouse on one day."""
    seen = treated.observe()
    row = {
        "variant": variant,
        "arm": arm,
        "mouse": treated.patient.index,
        "day": treated.day,
        "volume_mm3": treated.volume,
        "plasma_cells": treated.cells,
        "nk_cells": seen["nk_cells"],
        "macrophages": seen["macrophage_cells"],
        "cd38_sites_per_cell": seen["cd38_sites_per_cell"],
        "adenosine_in_tumour": treated.adenosine,
        "divisions": treated.divisions,
    }
    row |= {name: value for name, value in seen.items() if name.startswith("deaths_")}
    levels = treated.course.concentration
    return row | {f"concentration_{d.name}_ug_per_ml": float(levels[i]) for i, d in enumerate(treated.course.drugs)}


def run_again(study: XenograftStudy, **changes: Any) -> "pd.DataFrame":
    """The table of a study with some of its attributes changed, for tests and notebooks."""
    from tme_abm.batch.progress import Silence

    return replace(study, **changes).measure(1, Silence())
