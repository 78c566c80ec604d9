"""What a calibration has found: sets of numbers, and all arms beside the published figures at each of them."""

from dataclasses import dataclass

import numpy as np

from tme_abm.analysis.calibration.fit import Beside, Fit
from tme_abm.analysis.calibration.plan import Floats
from tme_abm.analysis.calibration.posterior import Chain, Posterior

LOW = 0.05  # share of the sets that may have fewer effective patients than asked for


@dataclass(frozen=True)
class Found:
    """What a calibration has found.

    Attributes:
        fit: What was fitted, with the bank as it was in the end.
        chain: What the sampler has walked through.
        posterior: The sets that are kept.
        beside: All arms at each of these sets (s, g).
        prior: All arms at sets drawn from the prior.
        worth: Effective patients of each arm at each set (s, g).
        seconds: What the sampling took.
    """

    fit: Fit
    chain: Chain
    posterior: Posterior
    beside: list[list[Beside]]
    prior: list[list[Beside]]
    worth: Floats
    seconds: float

    @property
    def best(self) -> list[Beside]:
        """All arms at the best set."""
        return self.beside[self.posterior.best]

    def low_worth(self) -> Floats:
        """Effective patients that all but a twentieth of the sets have at least, of each arm (g,)."""
        return np.quantile(self.worth, LOW, axis=0)
