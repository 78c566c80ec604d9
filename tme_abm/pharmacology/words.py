"""Regimens in words, as a protocol would put them."""

from tme_abm.foundation.clock import Rhythm
from tme_abm.pharmacology.regimen import ELDERLY_AGE, Dose, Regimen
from tme_abm.pharmacology.tolerance import Rule


def regimen_in_words(regimen: Regimen) -> list[str]:
    """A sentence for each line of a regimen, as a protocol would put it."""
    if not regimen.doses:
        return ["nothing is given"]
    sentences = [_dose_in_words(dose) for dose in regimen.doses]
    end = "" if regimen.stop_day is None else f", until day {regimen.stop_day:g}"
    rules = [_rule_in_words(rule) for rule in regimen.rules]
    return [f"{regimen.rhythm.in_words('cycles')}{end}", *sentences, *rules]


def visits_in_words(visits: Rhythm) -> str:
    """For instance "12 every 28 days, then every 84 days"."""
    return ", then ".join([*(f"{n} every {days:g} days" for n, days in visits.first), f"every {visits.days:g} days"])


def _rule_in_words(rule: Rule) -> str:
    """A rule by which doses are held or reduced, as a protocol would put it."""
    shares = ", then ".join("held" if share == 0.0 else f"reduced to {_percent(share)}" for share in rule.give)
    why = "" if rule.condition is None else f" where {rule.condition.text}"
    chance = "" if rule.chance >= 1.0 else f", with a chance of {_percent(rule.chance)} at each visit"
    how_long = "for good" if rule.for_days is None else f"for {rule.for_days:g} days"
    return f"{' and '.join(rule.drugs)} {shares} {how_long}{why}{chance}"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def _dose_in_words(dose: Dose) -> str:
    others = [_others_in_words(dose, a.amount, a.days, f"where {a.condition.text}") for a in dose.adjustments]
    if dose.elderly_amount is not None or dose.elderly_days is not None:
        amount = dose.amount if dose.elderly_amount is None else dose.elderly_amount
        others.append(_others_in_words(dose, amount, dose.elderly_days, f"from {ELDERLY_AGE:g} years of age"))
    instead = f" ({'; '.join(others)})" if others else ""
    route = " under the skin" if dose.route == "subcutaneous" else ""
    if dose.last_cycle is None:
        cycles = "of every cycle" if dose.first_cycle == 1 else f"from cycle {dose.first_cycle} on"
    elif dose.first_cycle == dose.last_cycle:
        cycles = f"of cycle {dose.first_cycle}"
    else:
        cycles = f"of cycles {dose.first_cycle} to {dose.last_cycle}"
    return f"{dose.drug} {dose.amount:g} {dose.unit}{route}{instead} {_on_days(dose.days)} {cycles}"


def _others_in_words(dose: Dose, amount: float, days: tuple[int, ...] | None, who: str) -> str:
    """What some patients get instead."""
    given = "nothing" if amount == 0.0 else f"{amount:g} {dose.unit}"
    return f"{given}{'' if days is None or amount == 0.0 else f' {_on_days(days)}'} {who}"


def _on_days(days: tuple[int, ...]) -> str:
    return f"on day{'s' * (len(days) > 1)} {_days_in_words(days)}"


def _days_in_words(days: tuple[int, ...]) -> str:
    """Days in ascending order, runs of three or more as "1 to 21"."""
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    parts = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(day) for day in run] for run in runs]
    return ", ".join(text for part in parts for text in part)
