"""What a clinic gets to see of a disease: bands that lie one upon the other, marrows that are not taken, and symptoms.

A therapeutic IgG-kappa antibody makes a band on the gel. Where the patient's own protein ran to the same place, the laboratory cannot
say whose band it is: it reports the sum of both on electrophoresis and a positive immunofixation for as long as the antibody is
above the limit of the assay. Mass spectrometry tells them apart by weight. To which place a protein runs is a trait of the clone.

A complete response asks for a marrow. In some patients none is taken (refused, forgotten, dry), and a complete response of theirs
is reported as a very good partial one.

Bone breaks, calcium rises and kidneys fail the more, the more plasma cells there are:

    hazard of clinical progression = clinical_rate * (plasma cells / plasma cells at the start) ** clinical_exponent

so that the M-protein tells of the relapse before there are symptoms more often where the response was deep.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.declare import Param

UG_PER_ML_IN_G_PER_L = 1000.0


class Params(NamedTuple):
    """What gets into the record, and what does not."""

    antibody_limit: Annotated[
        float,
        Param(
            "g/L",
            "lowest therapeutic antibody whose band immunofixation shows: that of the M-protein, as both run on one gel (mccudden2016 "
            "found 0.2 with an assay that shifts the antibody's band)",
            "willrich2016; mccudden2016",
            "M",
        ),
    ] = 0.1
    comigrating_share: Annotated[
        float,
        Param(
            "1",
            "IgG-kappa myelomas whose band the antibody's cannot be told from by immunofixation",
            "thoren2019: 27 of 40 patients on daratumumab could be told apart, the other 13 over the 42 % with IgG-kappa here "
            "(0.65 x 0.65), and for isatuximab and elotuzumab the same is assumed",
            "D",
            high=1.0,
        ),
    ] = 0.77
    unexamined_share: Annotated[
        float,
        Param(
            "1",
            "patients of whom no marrow is taken under treatment, whatever their serum shows",
            "chee2009: examinations are often left out (how often is assumed)",
            "A",
            high=1.0,
        ),
    ] = 0.15
    clinical_rate: Annotated[
        float,
        Param(
            "1/month",
            "rate of clinical progression (bone, calcium, kidney, blood) with as many plasma cells as at the start",
            "goldman2023: 39.6 % of relapses are clinical, and the rate is set so that it holds in the control arms (docs/calibration.md)",
            "C",
        ),
    ] = 0.06
    clinical_exponent: Annotated[
        float,
        Param(
            "1",
            "power of the burden, relative to the start, with which that rate goes",
            "goldman2023: odds of a clinical relapse of 0.62 (0.43 to 0.91) after a very good partial response or better, which the "
            "exponent is set near in the control arm that has such responses (docs/calibration.md)",
            "C",
        ),
    ] = 0.5


def comigrates(ig_type: str, light_chain: str, uniform: float, p: Params) -> bool:
    """Whether a therapeutic IgG-kappa antibody runs to the place of the patient's own protein.

    Args:
        ig_type: Heavy chain of the myeloma, `"IgG"` or another.
        light_chain: `"kappa"` or `"lambda"`.
        uniform: The patient's draw in [0, 1).
        p: How often it does.
    """
    return ig_type == "IgG" and light_chain == "kappa" and uniform < p.comigrating_share


def is_visible(antibody_ug_per_ml: float, p: Params) -> bool:
    """Whether immunofixation shows the band of an antibody at a concentration in plasma [ug/mL]."""
    return antibody_ug_per_ml / UG_PER_ML_IN_G_PER_L >= p.antibody_limit


class Symptoms:
    """Waits for clinical progression, which comes when the hazard that a patient has met exceeds her threshold.

    Attributes:
        day: Up to which the hazard has been counted [d].
        met: Hazard met so far [1].
    """

    def __init__(self, day: float, plasma_fraction: float, uniform: float, p: Params) -> None:
        """Begin at the start of treatment.

        Args:
            day: Of the baseline [d].
            plasma_fraction: Plasma cells of the marrow then [1].
            uniform: The patient's draw in [0, 1), the same in every arm.
            p: The rate.
        """
        self.day, self.met = day, 0.0
        self._at_start, self._before, self._exponent = plasma_fraction, 1.0, p.clinical_exponent
        self._threshold = -math.log1p(-uniform)
        self._rate = p.clinical_rate / DAYS_PER_MONTH

    def by(self, day: float, plasma_fraction: float) -> float | None:
        """The day of clinical progression, if it has come by now; between two visits the hazard is their mean.

        Args:
            day: Of the visit [d].
            plasma_fraction: Plasma cells of the marrow at it [1].
        """
        now = (plasma_fraction / self._at_start) ** self._exponent if self._at_start > 0.0 else 0.0
        more = self._rate * (self._before + now) / 2 * (day - self.day) if self._at_start > 0.0 else 0.0
        since, met = self.day, self.met
        self.day, self.met, self._before = day, met + more, now
        if self.met < self._threshold or more <= 0.0:
            return None
        return since + (day - since) * max(0.0, self._threshold - met) / more
