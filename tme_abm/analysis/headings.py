"""What the columns of the tables of attributions, sweeps and sensitivity analyses mean."""

from collections.abc import Iterable, Mapping
from typing import Any

from tme_abm.analysis.attribution.question import MEASURES
from tme_abm.analysis.bank import record as bank
from tme_abm.analysis.sensitivity.inputs import Input
from tme_abm.analysis.sensitivity.outcomes import OUTCOMES as OF_SAMPLES
from tme_abm.analysis.sweep.form import Axis
from tme_abm.analysis.sweep.tables import OUTCOMES
from tme_abm.foundation.columns import Heading, count, truth, word
from tme_abm.outcomes import pfs
from tme_abm.outcomes.imwg import NOT_EVALUABLE, RESPONSES
from tme_abm.simulation.observation import HEADINGS as OBSERVED

_FAILED = "in a failed run"
_ARM = word("arm", "key of the arm")
_REFERENCE = word("reference", "key of the arm that it is compared with")
_OF_MEASURE = "of the measure"
_OF_OUTCOME = "of the outcome"
_DEATHS = tuple(heading._replace(missing=_FAILED) for heading in OBSERVED if heading.name.startswith("deaths_"))

ATTRIBUTION = (
    _ARM,
    _REFERENCE,
    word("measure", "quantity whose gain is shared out; its name ends with its unit", MEASURES),
    word("mechanism", "mechanism that has the share"),
    Heading("value", _OF_MEASURE, "part of the gain that is the mechanism's (Shapley)"),
    Heading("low", _OF_MEASURE, "lower end of the interval, by bootstrap over patients"),
    Heading("high", _OF_MEASURE, "upper end of the interval, by bootstrap over patients"),
    Heading("share", "1", "part of the gain, of the whole", missing="where the gain is not clearly above zero"),
    *(Heading(f"share_{end}", "1", "end of its interval", missing="where the gain is not clearly above zero") for end in ("low", "high")),
    Heading("error", _OF_MEASURE, "standard error of the value", low=0.0),
    Heading("error_orders", _OF_MEASURE, "the part of it that more orders would take away", low=0.0, missing="with two orders a patient"),
    word("method", "whether all coalitions were run, or how many orders"),
    count("n", "patients", "patients who completed all runs and have the measure"),
)
_RATIOS = {
    "hr_reference": "the arm without the mechanism against the whole reference",
    "hr_same": "the arm without the mechanism against the reference that lacks it too",
    "hr_full": "the whole arm against the arm without the mechanism",
}
_GAIN = "without a gain, and in rows of the reference"
KNOCKOUT = (
    _ARM,
    _REFERENCE,
    word("without", 'mechanisms that are switched off; "nothing" is the whole arm'),
    count("n", "patients", "patients who completed all runs"),
    Heading("median_pfs_months", "month", "median progression-free survival", low=0.0, missing="beyond the horizon"),
    Heading("mean_pfs_months", "month", "mean progression-free survival up to the horizon", low=0.0, missing="without patients"),
    Heading("orr", "1", "patients with a confirmed partial response or better", low=0.0, high=1.0, missing="without patients"),
    *(
        Heading(f"{name}{end}", "1", f"{what}{words}", low=0.0, missing="without an estimate")
        for name, words in ((n, f": {w}") for n, w in _RATIOS.items())
        for end, what in (("", "hazard ratio of PFS"), ("_low", "lower end of its interval"), ("_high", "upper end of its interval"))
    ),
    Heading("gain_months", "month", "mean PFS gained over a reference that lacks the mechanism too", missing=_GAIN),
    *(Heading(f"gain_{end}", "month", "end of its interval", missing=_GAIN) for end in ("low", "high")),
    Heading("gain_kept", "1", "that gain over the whole one", missing=_GAIN),
    *(Heading(f"gain_kept_{end}", "1", "end of its interval", missing=_GAIN) for end in ("low", "high")),
)
DEATHS = (
    _ARM,
    word("cause", "what killed plasma cells of the patch"),
    count("deaths", "cells", "plasma cells that died of it, in all patients who completed"),
    Heading("share", "1", "of all deaths in the arm", low=0.0, high=1.0),
    Heading("per_patient_month", "cells/month", "for each month that a patient was followed", low=0.0),
)
_AXIS = Heading("<axis>", "as its label says", "what is varied: a column for each axis, of numbers or of names")
_POINT = count("point", "-", "number of the point")
SWEEP = (
    _POINT,
    _AXIS,
    count("replicate", "-", "number of the replicate"),
    count("seed", "-", "from which all chance of the replicate derives"),
    count("patient", "-", "number of the virtual patient; the same at all points of a replicate"),
    _ARM,
    word("label", "what the arm is called"),
    word("condition", "digest of all that was run: points that share it share the run"),
    word("status", "whether the run came to its end", ("completed", "failed")),
    Heading("pfs_months", "month", "to progression, death or the horizon", low=0.0, missing=_FAILED),
    truth("pfs_event", "whether progression or death was seen", _FAILED),
    word("event_kind", "what ended progression-free survival", pfs.EVENT_KINDS, _FAILED),
    word("best_response", "best confirmed response (IMWG)", (*RESPONSES, NOT_EVALUABLE), _FAILED),
    truth("orr", "a partial response or better", _FAILED),
    truth("vgpr_or_better", "a very good partial response or better", _FAILED),
    truth("cr_or_better", "a complete response or better", _FAILED),
    truth("mrd_negative", "a test for residual disease was negative; false where none was made", _FAILED),
    Heading(
        "log10_burden_visit_<n>", "log10", "tumour burden at a visit over that before treatment", missing="where she was not seen then"
    ),
    *_DEATHS,
)
POINTS = (
    _POINT,
    _AXIS,
    _ARM,
    word("reference", "key of the arm that it is compared with; empty where the outcome is of one arm"),
    word("outcome", "what was read off", OUTCOMES),
    Heading("value", _OF_OUTCOME, "its value", missing="without an estimate"),
    Heading("low", _OF_OUTCOME, "lower end of its interval", missing="without an estimate"),
    Heading("high", _OF_OUTCOME, "upper end of its interval", missing="without an estimate"),
    count("n", "patients", "patients who completed every arm of the point"),
)
_OUTCOMES_OF_SAMPLES = tuple(
    Heading(name, "log10" if "log10" in name else "1", words.split(" [")[0], missing="where it was not seen")
    for name, words in OF_SAMPLES.items()
)
SAMPLES = (
    Heading("<number>", "its own", "a number that is varied, by its path; a column for each (unit and meaning in the file)"),
    *_OUTCOMES_OF_SAMPLES,
)
INDICES = (
    word("outcome", "what is explained", OF_SAMPLES),
    word("input", "the number, by its path, or the group that explains it"),
    Heading("mu_star", _OF_OUTCOME, "Morris: mean size of what the number does, over its whole range", low=0.0),
    Heading("mu_star_error", _OF_OUTCOME, "half the width of its interval", low=0.0),
    Heading("mu", _OF_OUTCOME, "Morris: the same with its direction"),
    Heading("sigma", _OF_OUTCOME, "Morris: how much that depends on where the others stand", low=0.0),
    Heading("first", "1", "Sobol: share of the variance that the number explains by itself"),
    Heading("total", "1", "Sobol: share of the variance that it explains with all others"),
    *(Heading(f"{name}_error", "1", "half the width of its interval", low=0.0) for name in ("first", "total")),
    Heading("correlation", "1", "partial rank correlation with the outcome", low=-1.0, high=1.0),
    *(Heading(f"correlation_{end}", "1", "end of its interval", low=-1.0, high=1.0) for end in ("low", "high")),
    Heading("correlation_size", "1", "its size", low=0.0, high=1.0),
)


def of_axes(declared: Iterable[Heading], axes: Mapping[str, Axis]) -> tuple[Heading, ...]:
    """The columns of a sweep's table with its own axes."""
    own = tuple(_of_axis(key, axis) for key, axis in axes.items())
    return tuple(heading for one in declared for heading in (own if one is _AXIS else (one,)))


def _of_axis(key: str, axis: Axis) -> Heading:
    has_words = axis.choices is not None or any(isinstance(value, str) for value in axis.values or ())
    return Heading(key, "-" if has_words else _AXIS.unit, axis.label, "word" if has_words else "number")


def of_samples(inputs: Iterable[Input]) -> tuple[Heading, ...]:
    """The columns of the samples of a sensitivity analysis with its own numbers."""
    numbers = (Heading(put.path, put.unit, put.meaning, low=put.low, high=put.high) for put in inputs)
    return (*numbers, *_OUTCOMES_OF_SAMPLES)


def sections() -> dict[str, tuple[str, tuple[Heading, ...]]]:
    """The tables of analyses: title -> a sentence on the rows, and the columns."""
    found: dict[str, tuple[str, Any]] = {
        "patients.parquet (of a bank)": ("`tme bank`: a row for each candidate.", bank.PATIENT_HEADINGS),
        "runs": ("`tme bank`: a row for each candidate who was run under an arm.", bank.RUN_HEADINGS),
        "visits": ("`tme bank`: a row for each candidate, arm and visit.", bank.VISIT_HEADINGS),
        "attribution": ("`tme attribute`: a row for each comparison, measure and mechanism.", ATTRIBUTION),
        "knockout": ("`tme attribute`: a row for each comparison, arm and set of mechanisms that are off.", KNOCKOUT),
        "deaths": ("`tme attribute`: a row for each arm and cause of death.", DEATHS),
        "sweep": ("`tme sweep`: a row for each point, replicate, patient and arm.", SWEEP),
        "points": ("`tme sweep`: a row for each point, arm or comparison, and outcome.", POINTS),
        "samples": ("`tme sensitivity`: a row for each sample of the numbers.", SAMPLES),
        "indices": ("`tme sensitivity`: a row for each outcome and number; the columns of the method that was chosen.", INDICES),
    }
    return {name if "(" in name else f"{name}.parquet": content for name, content in found.items()}
