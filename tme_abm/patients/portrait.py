"""What a population amounts to: medians and shares among patients drawn from it."""

from collections.abc import Callable

import numpy as np

from tme_abm.patients.patient import AGED, VirtualPatient
from tme_abm.patients.population import Population, draw_patient

DRAWS = 3000
MEDIANS: dict[str, tuple[str, Callable[[VirtualPatient], float], str]] = {
    "age": ("age", lambda p: p.age, "years"),
    "egfr": ("filtration rate", lambda p: p.egfr, "mL/min/1.73 m2"),
    "lines": ("prior lines", lambda p: p.prior_lines, ""),
    "m_protein": ("M-protein", lambda p: p.m_protein_g_per_l, "g/L"),
    "plasma": ("plasma cells", lambda p: 100.0 * p.plasma_fraction, "% of the marrow"),
    "doubling": ("doubling time of the disease", lambda p: float(np.log(2.0)) / p.growth_rate, "days"),
    "cd38": ("CD38", lambda p: p.cd38_sites / 1000.0, "thousand sites a cell"),
}
SHARES: dict[str, Callable[[VirtualPatient], bool]] = {
    f"{AGED:g} years or older": lambda p: p.age >= AGED,
    "women": lambda p: p.sex == "female",
    "renal impairment": lambda p: p.renal_impairment,
    "high risk": lambda p: p.high_risk,
    "gain of 1q": lambda p: p.gain_1q,
    "ISS stage III": lambda p: p.iss == 3,
    "IgG": lambda p: p.ig_type == "IgG",
    "refractory to lenalidomide": lambda p: p.len_refractory,
    "refractory to a proteasome inhibitor": lambda p: p.pi_refractory,
    "refractory to both": lambda p: p.len_refractory and p.pi_refractory,
}


def repeats(population: Population, n: int) -> str:
    """What must be said of `n` patients who are one and the same; empty where they differ."""
    if not population.at_median or n < 2:
        return ""
    return f"the same patient {n} times over: only the dice and the kinetics of drugs differ, so intervals say nothing of other patients"


def portray(population: Population, seed: int, n: int = DRAWS) -> dict[str, str]:
    """Medians with their middle halves, and shares, in words.

    Args:
        population: Who.
        seed: Of the study; the first patients are those of the study, before screening.
        n: Patients drawn.
    """
    if population.at_median:
        n = 1
    patients = [draw_patient(population, seed, index) for index in range(n)]
    if n == 1:
        medians = [f"{words} {of(patients[0]):.3g} {unit}".strip() for words, of, unit in MEDIANS.values()]
        return {"the patient": "; ".join(medians), "who is": ", ".join(name for name, holds in SHARES.items() if holds(patients[0])) or "-"}
    medians = []
    for words, of, unit in MEDIANS.values():
        low, middle, high = np.quantile([of(patient) for patient in patients], [0.25, 0.5, 0.75])
        medians.append(f"{words} {middle:.3g} ({low:.3g} to {high:.3g}) {unit}".strip())
    shares = [f"{name} {100.0 * np.mean([holds(patient) for patient in patients]):.0f} %" for name, holds in SHARES.items()]
    return {"medians": "; ".join(medians), "shares": "; ".join(shares)}
