"""What doses and kinetics need to know of a patient."""

from typing import NamedTuple


class Body(NamedTuple):
    """What pharmacokinetics depend on in a patient; truth values count as 0 and 1 in covariate effects.

    Attributes:
        age: Age [a].
        weight_kg: Body weight.
        bsa_m2: Body surface area.
        is_female: Whether the patient is a woman.
        albumin_g_per_l: Serum albumin.
        b2m_mg_per_l: Serum beta-2 microglobulin.
        creatinine_clearance_ml_per_min: Creatinine clearance.
        is_igg: Whether the M-protein is an IgG, which competes with antibodies for salvage by FcRn.
        m_protein_g_per_l: Serum M-protein.
        disease: Plasma cells of the whole marrow, relative to the start of treatment; kinetics follow them up to `course.MOST_DISEASE`.
    """

    age: float
    weight_kg: float
    bsa_m2: float
    is_female: bool
    albumin_g_per_l: float
    b2m_mg_per_l: float
    creatinine_clearance_ml_per_min: float
    is_igg: bool
    m_protein_g_per_l: float
    disease: float = 1.0
