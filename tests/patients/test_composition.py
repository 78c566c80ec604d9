"""How many cells of each type a patient has: what the records say, counted by hand."""

import pytest

from tme_abm.foundation.declare import Origin
from tme_abm.foundation.errors import InputError
from tme_abm.marrow import cell_types
from tme_abm.marrow.cell_types import CellType, records
from tme_abm.patients import composition
from tme_abm.patients.presets import preset


@pytest.fixture
def other(monkeypatch):
    """Gives the record of regulatory B cells another amount."""

    def change(**fields):
        table = records() | {CellType.BREG: records()[CellType.BREG]._replace(**fields)}
        monkeypatch.setattr(composition, "records", lambda: table)

    return change


def test_the_types_fill_the_marrow_as_counted_by_hand():
    patient = preset("typical")
    by_hand = patient.plasma_fraction * (1.0 + patient.nk_to_plasma_ratio) + patient.t_cell_fraction + patient.treg_fraction
    by_hand += patient.breg_fraction + patient.mdsc_fraction + patient.macrophage_fraction  # stroma is not of the blood
    assert composition.nucleated_share(patient) == pytest.approx(by_hand)
    assert composition.amount(CellType.STROMA, patient) == patient.adherent_fraction


def test_a_type_of_which_all_have_alike_counts_too(other):
    patient = preset("typical")
    before = composition.nucleated_share(patient)
    other(amount=Origin(0.25, "1", "", "tme_abm", "A"))
    assert composition.nucleated_share(patient) == pytest.approx(before - patient.breg_fraction + 0.25)


def test_a_quantity_that_no_patient_has_is_told_with_its_line(other):
    other(amount="breg_fractoin")
    line = cell_types.read_records().place[("BREG", "amount")]
    with pytest.raises(InputError, match=f"{line}: BREG: patients have no quantity 'breg_fractoin'; did you mean 'breg_fraction'"):
        composition.amount(CellType.BREG, preset("typical"))
