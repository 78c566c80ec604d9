"""What a treatment needs to know of a marrow's patient and of its drugs."""

from collections.abc import Sequence

from tme_abm.marrow.antigen import Antigen
from tme_abm.patients.patient import VirtualPatient
from tme_abm.pharmacology.body import Body as Physique
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.regimen import Regimen

UNTREATED = Regimen("untreated", "untreated", 28, ())


def antigens(drugs: Sequence[Drug]) -> list[int]:
    """What each drug binds, as `make_drugs` takes it."""
    return [int(Antigen[d.antigen]) if d.antigen else -1 for d in drugs]


def physique(patient: VirtualPatient) -> Physique:
    """What pharmacokinetics depend on in a patient."""
    return Physique(
        age=float(patient.age),
        weight_kg=float(patient.weight_kg),
        bsa_m2=float(patient.bsa_m2),
        is_female=patient.sex == "female",
        albumin_g_per_l=float(patient.albumin_g_per_l),
        b2m_mg_per_l=float(patient.b2m_mg_per_l),
        creatinine_clearance_ml_per_min=float(patient.creatinine_clearance),
        is_igg=patient.ig_type == "IgG",
        m_protein_g_per_l=float(patient.m_protein_g_per_l),
    )
