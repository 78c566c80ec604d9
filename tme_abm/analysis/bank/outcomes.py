"""What a trial would have seen of the patients of a bank: the runs go on to progression, and the ways out are drawn here.

A patient leaves with the first of death, withdrawal and the cut-off. Visits until then are seen; progression counts where the visit that
confirmed it was (as `outcomes.pfs` has it), and a response is the best that was confirmed by then. Each patient may be drawn several
times, with other dice for the ways out: she is the same, and a mean over them has less of the chance that a bank should not have.
"""

from typing import Any, NamedTuple

import numpy as np

from tme_abm.analysis.bank.store import ArmRuns, Counts, Floats, Truths
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.outcomes.imwg import RESPONSES
from tme_abm.patients.density import rate_of
from tme_abm.patients.population import Population
from tme_abm.trial.study import FollowUp
from tme_abm.trial.summary import AFTER_MASS_SPECTROMETRY

RANK = {word: rank for rank, word in enumerate(RESPONSES)}
DEPTHS = {"orr": RANK["PR"], "vgpr_or_better": RANK["VGPR"], "cr_or_better": RANK["CR"]}


class Outcomes(NamedTuple):
    """What was seen of m patients.

    Attributes:
        who: Place of each among the runs of the arm (m,).
        months: To event or censoring (m,) [month].
        event: Whether it was an event (m,).
        rank: Best confirmed response as reported, as a place in `RESPONSES` (m,).
        own_rank: The same after mass spectrometry (m,).
        mrd_negative: Whether a test for residual disease was negative (m,).
        response_months: To the first of the two visits that confirmed a response (m,) [month]; infinite without.
    """

    who: Counts
    months: Floats
    event: Truths
    rank: Counts
    own_rank: Counts
    mrd_negative: Truths
    response_months: Floats

    def take(self, chosen: Any, who: Counts | None = None) -> "Outcomes":
        """Of some of the patients; one may come several times.

        Args:
            chosen: Places, or truths (m,).
            who: What they are called then; as before where it is left out.
        """
        named = self.who[chosen] if who is None else who
        times = self.months[chosen], self.event[chosen]
        depths = self.rank[chosen], self.own_rank[chosen]
        return Outcomes(named, *times, *depths, self.mrd_negative[chosen], self.response_months[chosen])

    def share(self, endpoint: str) -> Truths:
        """Whether each reached a depth of response, or negativity of residual disease (m,)."""
        if endpoint == AFTER_MASS_SPECTROMETRY:
            return self.own_rank >= DEPTHS["cr_or_better"]
        return self.mrd_negative if endpoint == "mrd_negative" else self.rank >= DEPTHS[endpoint]


class Exits(NamedTuple):
    """The ways out of m patients [d]."""

    death: Floats
    dropout: Floats
    cutoff: Floats


class Rates(NamedTuple):
    """Rates of the ways out of n patients [1/month]."""

    death: Floats
    dropout: Floats


def rates(population: Population, patients: Any) -> Rates:
    """The rates at which patients would leave a trial of a population."""
    return Rates(rate_of(population, "death_rate_per_month", patients), rate_of(population, "dropout_rate_per_month", patients))


def draw_exits(rates: Rates, follow_up: FollowUp, chance: np.random.Generator) -> Exits:
    """The ways out of some patients, one draw for each.

    Args:
        rates: Of the patients.
        follow_up: Until the cut-off.
        chance: Where the draws come from.
    """
    n = len(rates.death)
    with np.errstate(divide="ignore"):
        death, dropout = (chance.standard_exponential(n) / rate * DAYS_PER_MONTH for rate in rates)
    entry = chance.random(n)
    return Exits(death, dropout, follow_up.longest_days - entry * (follow_up.longest_days - follow_up.shortest_days))


def seen(runs: ArmRuns, who: Counts, exits: Exits) -> Outcomes:
    """What a trial sees of some runs.

    Args:
        runs: Of the arm.
        who: Which of them (m,); one may come several times.
        exits: Their ways out.
    """
    end = np.minimum(exits.cutoff, exits.dropout)
    last = np.minimum(end, exits.death)
    days = runs.days[who]
    visit = np.maximum((days <= last[:, None]).sum(axis=1) - 1, 0)
    row = np.arange(len(who))
    progressed = runs.known_day[who] <= last
    died = ~progressed & (exits.death <= end)
    censored = days[row, np.maximum((days <= end[:, None]).sum(axis=1) - 1, 0)]
    time = np.where(progressed, runs.progression_day[who], np.where(died, exits.death, censored))
    rank = runs.rank[who, visit]
    responded = np.where(rank >= RANK["PR"], runs.response_day[who], np.inf)
    seen = rank, runs.own_rank[who, visit], runs.mrd_negative[who, visit]
    return Outcomes(who, time / DAYS_PER_MONTH, progressed | died, *seen, responded / DAYS_PER_MONTH)


def repeated(runs: ArmRuns, rates: Rates, follow_up: FollowUp, times: int, chance: np.random.Generator) -> Outcomes:
    """What a trial sees of all runs of an arm, each patient several times with other ways out."""
    who = np.tile(np.arange(len(runs.who)), times)
    return seen(runs, who, draw_exits(Rates(*(rate[who] for rate in rates)), follow_up, chance))
