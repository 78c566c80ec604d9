"""A visit: what the clinic measures in one patient under one regimen, and what it concludes.

Every visit is read twice: as the laboratory reports it, with the band of an antibody where that lies upon the patient's own, and after mass
spectrometry, which tells the two apart. The trial goes by the first reading. A marrow is taken where a complete response is suspected.

The assay's error, the place of the bands, the marrows that are not taken, symptoms and the sample for residual disease are addressed by
patient and visit, so the same visit meets the same noise in every arm, in a trial as on the live page: both are seen by this very clinic.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.clock import Rhythm
from tme_abm.foundation.declare import Param
from tme_abm.foundation.rng import Stream, normal, stream_key, uniform
from tme_abm.outcomes import clinic, imwg, mrd
from tme_abm.outcomes.imwg import Assessment, Assessor, Reading, is_at_least, is_serum_negative, measure
from tme_abm.simulation.simulation import Simulation

MRD_EVERY: Annotated[
    int,
    Param(
        "visits",
        "visits between tests for residual disease, and between marrows where a complete response is suspected, while the response lasts",
        "tme_abm",
        "A",
    ),
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
        assessor: Judges the readings as they are reported by the criteria of the IMWG.
        without_antibody: Judges the same visits after mass spectrometry.
        last: The latest assessment, None before the first visit.
        has_marrows: Whether marrows are taken from this patient under treatment.
        examined_fraction: Plasma cells in the last of them; None where none was taken [1].
        mrd_tested: Whether residual disease has been tested for.
        mrd_negative: Whether a test found none.
    """

    def __init__(self, simulation: Simulation, visits: Rhythm, p: clinic.Params = clinic.Params()) -> None:  # noqa: B008
        """See a patient who is about to begin treatment."""

        def draw(stream: Stream) -> float:
            return float(uniform(stream_key(simulation.key, int(stream), 0), 0))

        patient = simulation.patient
        self.visits, self.p = visits, p
        self._comigrates = clinic.comigrates(patient.ig_type, patient.light_chain, draw(Stream.INTERFERENCE), p)
        self.has_marrows = draw(Stream.MARROW_EXAMINATION) >= p.unexamined_share
        self.examined_fraction: float | None = None
        self._examined_at: int | None = None
        self.baseline, own = self._read(simulation, 0)
        self._symptoms = clinic.Symptoms(simulation.day, simulation.plasma_fraction, draw(Stream.SYMPTOMS), p)
        self.assessor, self.without_antibody = Assessor(self.baseline), Assessor(own)
        self.last: Assessment | None = None
        self.mrd_tested = False
        self.mrd_negative = False

    def see(self, simulation: Simulation, number: int) -> Visit:
        """See the patient at a visit."""
        reading, own = self._read(simulation, number)
        clinical_day = self._symptoms.by(simulation.day, simulation.plasma_fraction)
        self.last = self.assessor.assess(reading, clinical_day)
        self.without_antibody.assess(own, clinical_day)
        self._test_residual_disease(simulation, number, self.last.best_confirmed_response)
        return Visit(number, reading, self.last)

    def _read(self, simulation: Simulation, number: int) -> tuple[Reading, Reading]:
        """What the laboratory reports at a visit, 0 being that before treatment, and what mass spectrometry would."""
        true, day, plasma = simulation.m_protein, simulation.day, simulation.plasma_fraction
        z = float(normal(stream_key(simulation.key, int(Stream.ASSAY), number), 0))
        antibody = sum(simulation.levels[drug.name] for drug in simulation.course.drugs if drug.drug_class == "antibody")
        shown = antibody / clinic.UG_PER_ML_IN_G_PER_L if self._comigrates else 0.0
        own = Reading(day, measure(true, z), plasma, true)
        if number and self._is_marrow_due(number) and is_serum_negative(own, imwg.Params()):
            self.examined_fraction, self._examined_at = plasma, number
        own = own._replace(examined_fraction=self.examined_fraction)
        is_hidden = self._comigrates and clinic.is_visible(antibody, self.p)
        return own._replace(m_protein=measure(true + shown, z), hidden_by_antibody=is_hidden), own

    def _is_marrow_due(self, number: int) -> bool:
        """Whether a marrow would be taken at a visit, were a complete response suspected."""
        return self.has_marrows and (self._examined_at is None or number - self._examined_at >= MRD_EVERY)

    def _test_residual_disease(self, simulation: Simulation, number: int, best: str) -> None:
        """Test where the response first is deep enough, every few visits from then on, and at the end of a regimen that ends."""
        if self.mrd_negative or not self.has_marrows or not is_at_least(best, "VGPR"):
            return
        stop = simulation.regimen.stop_day
        ends_now = stop is not None and simulation.day - self.visits.length(number) < stop <= simulation.day
        if self.mrd_tested and number % MRD_EVERY != 0 and not ends_now:
            return
        u = float(uniform(stream_key(simulation.key, int(Stream.MRD_SAMPLE), number), 0))
        self.mrd_tested = True
        self.mrd_negative = mrd.sample(best, simulation.plasma_fraction, u).is_negative
