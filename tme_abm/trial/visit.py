"""A visit: what the clinic measures in one patient under one regimen, and what it concludes.

The assay's error, the interference of an antibody and the sample for residual disease are addressed by patient and visit, so the same
visit meets the same noise in every arm, in a trial as on the live page: both are seen by this very clinic.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.clock import Rhythm
from tme_abm.foundation.declare import Param
from tme_abm.foundation.rng import Stream, normal, stream_key, uniform
from tme_abm.outcomes import mrd
from tme_abm.outcomes.imwg import Assessment, Assessor, Reading, is_at_least, is_hidden, measure
from tme_abm.simulation.simulation import Simulation

MRD_EVERY: Annotated[
    int, Param("visits", "visits between tests for residual disease while the response is deep enough", "tme_abm", "A")
] = 6


class Visit(NamedTuple):
    """One visit under treatment."""

    number: int  # from 1
    reading: Reading
    assessment: Assessment


class Clinic:
    """Sees one patient under one regimen, first before treatment, then at every visit.

    Attributes:
        visits: The intervals that end with a visit.
        baseline: What was measured before treatment.
        assessor: Judges the readings by the criteria of the IMWG.
        last: The latest assessment, None before the first visit.
        mrd_tested: Whether residual disease has been tested for.
        mrd_negative: Whether a test found none.
    """

    def __init__(self, simulation: Simulation, visits: Rhythm) -> None:
        """See a patient who is about to begin treatment."""
        self.visits = visits
        self.baseline = read(simulation, 0)
        interference = float(uniform(stream_key(simulation.key, int(Stream.INTERFERENCE), 0), 0))
        self.assessor = Assessor(self.baseline, interference)
        self.last: Assessment | None = None
        self.mrd_tested = False
        self.mrd_negative = False

    def see(self, simulation: Simulation, number: int) -> Visit:
        """See the patient at a visit."""
        reading = read(simulation, number)
        self.last = self.assessor.assess(reading)
        self._test_residual_disease(simulation, number, self.last.best_confirmed_response)
        return Visit(number, reading, self.last)

    def _test_residual_disease(self, simulation: Simulation, number: int, best: str) -> None:
        """Test where the response first is deep enough, every few visits from then on, and at the end of a regimen that ends."""
        if self.mrd_negative or not is_at_least(best, "VGPR"):
            return
        stop = simulation.regimen.stop_day
        ends_now = stop is not None and simulation.day - self.visits.length(number) < stop <= simulation.day
        if self.mrd_tested and number % MRD_EVERY != 0 and not ends_now:
            return
        u = float(uniform(stream_key(simulation.key, int(Stream.MRD_SAMPLE), number), 0))
        self.mrd_tested = True
        self.mrd_negative = mrd.sample(best, simulation.plasma_fraction, u).is_negative


def read(simulation: Simulation, number: int) -> Reading:
    """What the laboratory measures at a visit, 0 being that before treatment."""
    patient, true = simulation.patient, simulation.m_protein
    z = float(normal(stream_key(simulation.key, int(Stream.ASSAY), number), 0))
    antibody = sum(simulation.levels[drug.name] for drug in simulation.course.drugs if drug.drug_class == "antibody")
    hidden = is_hidden(patient.ig_type, patient.light_chain, antibody)
    return Reading(simulation.day, measure(true, z), simulation.plasma_fraction, true, hidden)
