"""What a step is told: the parameters of all mechanisms, which of them are on, and what it calls of those from outside."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tme_abm.foundation.calling import ADDRESS
from tme_abm.foundation.declare import Filled
from tme_abm.foundation.mechanism import by_drug
from tme_abm.marrow.state import rows_at_risk
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.step import PIECES, Rules, Switches
from tme_abm.pharmacology.drug import Drug
from tme_abm.simulation.settings import Settings


def gather_rules(
    settings: Settings, filled: Mapping[str, Filled], drugs: Sequence[Drug], without: Collection[str]
) -> tuple[Rules, list[Any]]:
    """The rules of a marrow, but for the addresses of the step's pieces (`compiling.addresses`).

    Args:
        settings: Of the marrow, with its catalogue of mechanisms.
        filled: Parameters that hold for all drugs (`Settings.fill`).
        drugs: Those of the regimen, in their order; they bring the others.
        without: Mechanisms that are switched off.

    Returns:
        The rules, for one marrow alone, and what must live as long as they do.
    """
    blocks: dict[str, Any] = {name: block.params for name, block in filled.items()}
    for m in settings.catalogue.mechanisms:
        if m.by_drug:
            blocks[m.name] = by_drug(m, [(i, d.effects[m.name].params) for i, d in enumerate(drugs) if m.name in d.effects])
    n_rows = rows_at_risk(settings.height * settings.width)
    blocks["outside"], held = settings.catalogue.hooks(blocks, frozenset(without), n_rows)
    blocks["on"] = Switches._make(m.name not in without for m in MECHANISMS)
    blocks["pieces"] = np.empty(len(PIECES), ADDRESS)
    fields: tuple[str, ...] = Rules._fields
    return Rules._make(blocks[name] for name in fields), held
