"""What happens in the marrow.

The order of `MECHANISMS` is the order in which they act within each phase of the step and on cells at risk (see step.py): who reads what
another makes in the same step comes after it, which `declared.check_order` holds.
"""

from tme_abm.foundation.mechanism import Mechanism
from tme_abm.mechanisms.adcc import ADCC
from tme_abm.mechanisms.adcp import ADCP
from tme_abm.mechanisms.adenosine import ADENOSINE
from tme_abm.mechanisms.adhesion import ADHESION
from tme_abm.mechanisms.antigen_loss import ANTIGEN_LOSS
from tme_abm.mechanisms.binding import BINDING
from tme_abm.mechanisms.cdc import CDC
from tme_abm.mechanisms.chemokine import CHEMOKINE
from tme_abm.mechanisms.depletion import DEPLETION
from tme_abm.mechanisms.direct_killing import DIRECT_KILLING
from tme_abm.mechanisms.ectoenzyme import ECTOENZYME
from tme_abm.mechanisms.exhaustion import EXHAUSTION
from tme_abm.mechanisms.fc_receptors import FC_RECEPTORS
from tme_abm.mechanisms.glucocorticoid import GLUCOCORTICOID
from tme_abm.mechanisms.growth import GROWTH
from tme_abm.mechanisms.imid import IMID
from tme_abm.mechanisms.interleukin6 import INTERLEUKIN6
from tme_abm.mechanisms.motility import MOTILITY
from tme_abm.mechanisms.niche_release import NICHE_RELEASE
from tme_abm.mechanisms.nk_activation import NK_ACTIVATION
from tme_abm.mechanisms.proteasome import PROTEASOME
from tme_abm.mechanisms.recruitment import RECRUITMENT
from tme_abm.mechanisms.suppression import SUPPRESSION
from tme_abm.mechanisms.t_cell_killing import T_CELL_KILLING
from tme_abm.mechanisms.t_cell_recovery import T_CELL_RECOVERY
from tme_abm.mechanisms.trogocytosis import TROGOCYTOSIS
from tme_abm.mechanisms.turnover import TURNOVER

MECHANISMS: tuple[Mechanism, ...] = (
    BINDING,
    TROGOCYTOSIS,
    ANTIGEN_LOSS,
    ECTOENZYME,
    ADHESION,
    NICHE_RELEASE,
    NK_ACTIVATION,
    IMID,
    PROTEASOME,
    GLUCOCORTICOID,
    FC_RECEPTORS,
    ADENOSINE,
    INTERLEUKIN6,
    CHEMOKINE,
    EXHAUSTION,
    SUPPRESSION,
    MOTILITY,
    GROWTH,
    TURNOVER,
    T_CELL_KILLING,
    T_CELL_RECOVERY,
    ADCC,
    ADCP,
    CDC,
    DIRECT_KILLING,
    DEPLETION,
    RECRUITMENT,
)

BY_NAME = {m.name: m for m in MECHANISMS}

__all__ = ["BY_NAME", "MECHANISMS", "Mechanism"]
