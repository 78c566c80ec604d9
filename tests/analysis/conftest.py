"""A bank whose runs are arithmetic: as many patients as a test wants, in a moment."""

from pathlib import Path

import numpy as np
import pytest

DAYS = 28.0 * np.arange(34)


def course(growth, kill, resistant):
    """Burden at each visit, relative to the first, of patients with a part that is not killed (n, v)."""
    return (1.0 - resistant)[:, None] * np.exp((growth - kill)[:, None] * DAYS) + resistant[:, None] * np.exp(growth[:, None] * DAYS)


def runs_of(arm, who, burden):
    """What a clinic makes of such courses: progression from a quarter above the lowest, response at a half, a tenth, a hundredth."""
    from tme_abm.analysis.bank.store import ArmRuns

    v = burden.shape[1]
    lowest = np.minimum.accumulate(burden, axis=1)
    worse = (burden >= 1.25 * lowest) & (burden >= lowest + 0.05)
    has = worse[:, : v - 1].any(axis=1)
    first = np.where(has, worse.argmax(axis=1), v)
    days = np.where(np.arange(v)[None, :] <= first[:, None] + 1, DAYS[None, :], np.inf)
    rank = np.select([lowest <= 0.01, lowest <= 0.1, lowest <= 0.5], [5, 4, 3], 1)
    responded = (lowest <= 0.5).any(axis=1)
    at = (lowest <= 0.5).argmax(axis=1)
    progressed = np.where(has, DAYS[np.minimum(first, v - 1)], np.inf)
    return ArmRuns(
        arm,
        who,
        progressed,
        np.where(has, progressed + 28.0, np.inf),
        np.where(responded, DAYS[at], np.inf),
        days,
        rank,
        rank,
        lowest <= 1e-3,
        20.0 * burden,
    )


@pytest.fixture(scope="session")
def toy():
    """Makes a bank of `n` candidates of two cohorts, ICARIA-MM and MM-002, under Pd and under Isa-Pd, wider by `widen`."""
    from tme_abm.analysis.bank.draw import Sitting, population_of
    from tme_abm.analysis.bank.plan import Cohort
    from tme_abm.analysis.bank.run import regimen_digest
    from tme_abm.analysis.bank.store import Bank
    from tme_abm.patients.population import draw_patient
    from tme_abm.patients.reading import whole_table
    from tme_abm.scenario.kinds import load_trial

    icaria = load_trial("icaria")
    regimens = {arm.key: arm for arm in icaria.arms}

    def make(n=600, widen=1.3, folder=Path("toy"), kill=0.012):
        traits = ("growth_rate", "imid_sensitivity", "imid_resistant_fraction", "effector_fitness")
        cohorts = tuple(Cohort(name, 0.5, ("pd", "isa-pd"), whole_table(name)) for name in ("icaria", "mm002"))
        sitting = Sitting(0, n, cohorts, dict.fromkeys(traits, widen))
        populations = [population_of(cohort, sitting.widen) for cohort in cohorts]
        part = np.array(sitting.cohort_of())
        people = tuple(draw_patient(populations[c], 31, i) for i, c in enumerate(part))
        growth, sensitivity, resistant, fitness = (np.array([getattr(p, name) for p in people]) for name in traits)
        who = np.arange(n)
        runs = {
            "pd": runs_of("pd", who, course(growth, kill * sensitivity, resistant)),
            "isa-pd": runs_of("isa-pd", who, course(growth, kill * sensitivity + 0.6 * kill * fitness, 0.3 * resistant)),
        }
        acts = {"pd": ["imid", "glucocorticoid"], "isa-pd": ["imid", "glucocorticoid", "adcc", "adcp"]}
        facts = {
            key: {
                "label": regimens[key].label,
                "scenario": "icaria",
                "regimen": regimen_digest(icaria, regimens[key]),
                "acts": acts[key],
                "until_days": float(DAYS[-1]),
                "is_combination": key == "isa-pd",
            }
            for key in runs
        }
        stop = np.full(n, 1.0 - 1e-12)  # nobody stops treatment while watched
        known = np.ones(n, bool)
        return Bank(folder, (sitting,), people, np.zeros(n, np.int64), part, known, stop, runs, {k: float(DAYS[-1]) for k in runs}, facts)

    return make


@pytest.fixture(scope="session")
def toy_fit(toy):
    """A fit to the Pd of ICARIA-MM with the toy bank: four free numbers, other figures than those that were published."""
    from tme_abm.analysis.bank.weights import Weigher
    from tme_abm.analysis.calibration import fit as fitting
    from tme_abm.analysis.calibration.plan import Free, Plan
    from tme_abm.analysis.calibration.targets import Target
    from tme_abm.scenario.kinds import load_trial

    def make(bank=None, n_patients=153, endpoints=("median_pfs", "orr", "vgpr_or_better", "pfs_12_months")):
        bank = bank or toy()
        study = load_trial("icaria", ['trial.follow_up=["20 month", "24 month"]'])
        free = (
            Free(("population.icaria.growth_rate.median",), 0.0052, 0.0120, "log"),
            Free(("population.imid_sensitivity.median",), 0.6, 1.7, "log"),
            Free(("population.imid_sensitivity.sigma",), 0.5, 1.1, "log"),
            Free(("population.imid_resistant_fraction.mean",), -2.3, -0.5, "linear"),
        )
        plan = Plan({"icaria": ("pd",)}, 0.0, 0.0, free, 11)
        weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
        goals = [
            Target("icaria", "pd", endpoint, 6.0 if endpoint == "median_pfs" else 0.3, None, n_patients, "Pd", "") for endpoint in endpoints
        ]
        group = fitting._group(plan, weigher, ("icaria", study, "pd", "pd"), goals, 0)
        made = fitting.Fit(plan, bank, (group,))
        here = made.beside(np.zeros(len(free)))[0].simulated
        return made.with_figures([here])

    return make
