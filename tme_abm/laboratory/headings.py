"""What the columns of the laboratory's tables mean, by kind of experiment."""

from tme_abm.foundation.columns import Heading, count, truth, word
from tme_abm.laboratory.vocabulary import OBSERVED, READOUTS, SWEEPS, Quantity
from tme_abm.simulation import observation


def _read_off(quantity: Quantity) -> Heading:
    return Heading(quantity.column, quantity.unit, quantity.label)


_SEEN = {heading.name: heading for heading in observation.HEADINGS}
_DERIVED = ("treg_per_100_t_cells", "reactive_share", "nk_potency", "surface_cd38", "adcc_per_nk_cell_and_day")
_NEVER = ("deaths_fratricide", "deaths_depletion")  # of plasma cells

HEADINGS: dict[str, tuple[Heading, ...]] = {
    "assay": (
        word("condition", "key of the condition"),
        word("panel", "panel of the figure"),
        word("label", "what the condition is called in the legend"),
        truth("is_sample", "whether the plasma cells are those of a patient"),
        Heading("sample", "-", "number of the patient; -1 in a well of the sweep", "whole number", -1.0),
        *(
            _read_off(q)._replace(meaning=f"swept: {q.label}", missing="in samples of patients, where it is not a trait of theirs")
            for q in SWEEPS.values()
        ),
        count("replicate", "-", "number of the replicate, which fixes the chance of the well"),
        Heading("cd38_line_sites_per_cell", "sites/cell", "median CD38 of the plasma cells of the well", low=0.0),
        *(_read_off(q) for q in READOUTS.values()),
    ),
    "time_course": (
        count("patient", "-", "number of the virtual patient; the same patient has it in every course"),
        word("course", "key of the course of treatment"),
        Heading("hour", "h", "hours since the first dose", low=0.0),
        Heading("day", "d", "the same in days", low=0.0),
        *(heading for name, heading in _SEEN.items() if name not in _NEVER),
        *(_read_off(OBSERVED[name])._replace(missing="where there is nothing to divide by") for name in _DERIVED),
    ),
    "live": (
        word("side", "left (a) or right (b) marrow of the live page", ("a", "b")),
        word("arm", "key of the arm"),
        Heading("day", "d", "days since the start of treatment", low=0.0),
        *_SEEN.values(),
        word("state_hash", "digest of all cells and of the systemic state; empty before the last day"),
    ),
    "xenograft": (
        word("variant", "the experiment itself, or what was taken away in it"),
        word("arm", "key of the arm"),
        count("mouse", "-", "number of the mouse; the same mouse has it in every arm"),
        Heading("day", "d", "days since the start of treatment", low=0.0),
        Heading("volume_mm3", "mm3", "volume of the tumour", low=0.0),
        count("plasma_cells", "cells", "tumour cells of the section"),
        _SEEN["nk_cells"],
        count("macrophages", "cells", "macrophages of the section"),
        _SEEN["cd38_sites_per_cell"],
        Heading("adenosine_in_tumour", "K(A2A)", "adenosine over the level that halves effector function, mean of the tumour", low=0.0),
        count("divisions", "cells", "divisions of tumour cells since the start of treatment"),
        *(heading for name, heading in _SEEN.items() if name.startswith("deaths_")),
        Heading(
            "concentration_<drug>_ug_per_ml", "ug/mL", "plasma concentration of a drug now", low=0.0, missing="in arms without the drug"
        ),
    ),
}
ROWS = {
    "assay": "A row for each well.",
    "time_course": "A row for each patient, course and time.",
    "live": "A row for each side and day.",
    "xenograft": "A row for each mouse, arm, variant and day of measurement.",
}
