"""Regimens in words, as a protocol would put them."""

from tme_abm.pharmacology.regimen import Dose, Regimen


def regimen_in_words(regimen: Regimen) -> list[str]:
    """A sentence for each line of a regimen, as a protocol would put it."""
    if not regimen.doses:
        return ["nothing is given"]
    sentences = [_dose_in_words(dose) for dose in regimen.doses]
    end = "" if regimen.stop_day is None else f", until day {regimen.stop_day:g}"
    return [f"cycles of {regimen.cycle_days} days{end}", *sentences]


def _dose_in_words(dose: Dose) -> str:
    elderly = "" if dose.elderly_amount is None else f" ({dose.elderly_amount:g} {dose.unit} from 75 years of age)"
    if dose.last_cycle is None:
        cycles = "of every cycle" if dose.first_cycle == 1 else f"from cycle {dose.first_cycle} on"
    elif dose.first_cycle == dose.last_cycle:
        cycles = f"of cycle {dose.first_cycle}"
    else:
        cycles = f"of cycles {dose.first_cycle} to {dose.last_cycle}"
    return f"{dose.drug} {dose.amount:g} {dose.unit}{elderly} on day{'s' * (len(dose.days) > 1)} {_days_in_words(dose.days)} {cycles}"


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
