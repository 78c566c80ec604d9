"""The equations of the mechanisms, as data: for the page of each mechanism, and for a test that holds them to the code.

An equation is written in Python's syntax with the names of parameters as their `Params` has them, of constants in small letters, and of
variables as `where` explains them; `hill`, `saturation`, `eased` and `shielded` are those of foundation/response.py. Whoever typesets them
takes symbols from `SYMBOLS`. Only what the rule of a cell or of the whole marrow says stands here, not how it is solved.
"""

from typing import NamedTuple


class Equation(NamedTuple):
    """One equation of a mechanism.

    Attributes:
        of: What it gives, in words.
        is_rate: Whether it gives the change of that with time.
        equals: The right side.
        where: Variable -> its unit and meaning.
    """

    of: str
    equals: str
    where: dict[str, str]
    is_rate: bool = False


BOUND = "[sites/cell] antibody on the cell: its antigen on the surface times occupancy"
OCCUPANCY = "[1] fraction of the antigen that the antibody holds"
EFFECT = "[1] engagement of the target by the drug"
SENSITIVITY = "[1] how sensitive the clone of the cell is, 1 a typical sensitive one"
ADHERENCE = "[1] hold of the niche on the cell, 0 to 1"
STRESS = "[1] stress of the clone by proteasome inhibitors, 0 to 1"
FITNESS = "[1] fitness of the patient's effectors"
SPREAD = "diffusivity * laplacian(level) - {} * level + source"

EQUATIONS: dict[str, tuple[Equation, ...]] = {
    "binding": (
        Equation(
            "free antibody in the marrow",
            "exchange * (partition * plasma - free) - turnover * held * free / binding_constant / (1 + competition)",
            {
                "plasma": "[ug/mL] concentration in plasma",
                "free": "[ug/mL] free antibody around the cells",
                "held": "[ug/mL] antibody that the antigen of the plasma cells holds when it is full",
                "competition": "[1] sum of free antibody over its binding constant, of all that bind this antigen, itself included",
            },
            is_rate=True,
        ),
        Equation(
            "occupancy",
            "accessible * (free / binding_constant) / (1 + competition)",
            {"free": "[ug/mL] free antibody around the cells", "competition": "[1] as above"},
        ),
    ),
    "trogocytosis": (
        Equation(
            "CD38 left on the surface",
            "recovery * (1 - surface) - loss * crew * occupancy * (surface - floor)",
            {
                "surface": "[1] CD38 left on the surface",
                "crew": "[1] how far the nibbling cells of the marrow suffice, 0 to 1",
                "occupancy": OCCUPANCY,
            },
            is_rate=True,
        ),
    ),
    "antigen_loss": (
        Equation(
            "CD38 that escaped clones express",
            "recovery * (1 - escaped) - loss * occupancy * (escaped - floor)",
            {"escaped": "[1] CD38 of an escaped clone over that of the same clone undisturbed", "occupancy": OCCUPANCY},
            is_rate=True,
        ),
    ),
    "adcc": (
        Equation(
            "hazard of a plasma cell",
            "lysis_rate * fitness * contact * hill(bound, half_density, steepness) * eased(stress, stressed_fold)",
            {"contact": "[1] NK cells in contact, by their potency", "bound": BOUND, "fitness": FITNESS, "stress": STRESS},
        ),
    ),
    "adcp": (
        Equation(
            "hazard of a plasma cell",
            "engulfment_rate * fitness * contact * hill(bound, half_density, steepness) * eased(stress, stressed_fold)",
            {"contact": "[1] macrophages in contact, by their Fc receptors", "bound": BOUND, "fitness": FITNESS, "stress": STRESS},
        ),
    ),
    "fc_receptors": (
        Equation(
            "Fc receptors left on a macrophage",
            "recovery * (1 - left) - spent * left",
            {"left": "[1] share of its Fc receptors that it has left", "spent": "[1/h] share of them that it spends"},
            is_rate=True,
        ),
        Equation(
            "share of its receptors that a macrophage spends",
            "(cell_cost * engulfed + nibbling_share * stripped / receptors) / macrophages",
            {
                "engulfed": "[cells/h] engulfed in the patch",
                "stripped": "[sites/h] antibodies stripped off living plasma cells",
                "macrophages": "[cells] in the patch",
            },
        ),
    ),
    "cdc": (
        Equation(
            "hazard of a plasma cell",
            "max_rate * hill(bound, half_density, steepness) * exp(-protection * inhibitors)",
            {"bound": BOUND, "inhibitors": "[1] CD55 and CD59 of the cell, 1 a typical plasma cell"},
        ),
    ),
    "direct_killing": (Equation("hazard of a plasma cell", "max_rate * hill(bound, half_density, steepness)", {"bound": BOUND}),),
    "depletion": (Equation("hazard of an immune cell", "max_rate * hill(bound, half_density, steepness)", {"bound": BOUND}),),
    "nk_activation": (
        Equation(
            "CD16 left on NK cells",
            "recovery * (1 - cd16) - shedding * occupancy * cd16",
            {"cd16": "[1] CD16 left on NK cells", "occupancy": OCCUPANCY},
            is_rate=True,
        ),
        Equation(
            "potency of an armed NK cell", "1 + (armed_fold - 1) * occupancy * cd16", {"occupancy": OCCUPANCY, "cd16": "[1] as above"}
        ),
        Equation("hazard of an NK cell", "fratricide * hill(bound, half_density, steepness)", {"bound": BOUND}),
    ),
    "ectoenzyme": (Equation("enzyme activity left by one antibody", "1 - max_inhibition * occupancy", {"occupancy": OCCUPANCY}),),
    "niche_release": (
        Equation(
            "share of its hold that the niche keeps",
            "1 - max_release * occupancy * hill(cd38, half_density, steepness)",
            {"occupancy": OCCUPANCY, "cd38": "[sites/cell] CD38 on the cell"},
        ),
        Equation("share of the crawl that one antibody leaves", "1 - max_slowing * occupancy", {"occupancy": OCCUPANCY}),
    ),
    "imid": (
        Equation(
            "hazard of a plasma cell",
            "kill_rate * effect * sensitivity * shielded(adherence, adhesion_fold)",
            {"effect": EFFECT, "sensitivity": f"{SENSITIVITY}; a resistant one at least `kept_in_resistant`", "adherence": ADHERENCE},
        ),
        Equation("supply of T and NK cells", "1 + (supply_fold - 1) * effect", {"effect": EFFECT}),
        Equation("lytic capacity of T and NK cells", "1 + (stimulation_fold - 1) * effect", {"effect": EFFECT}),
        Equation("share of exhaustion taken back", "revival * effect", {"effect": EFFECT}),
        Equation("output of interleukin-6", "1 - il6_inhibition * effect", {"effect": EFFECT}),
        Equation(
            "CD38 of plasma cells with cereblon",
            "(1 + (cd38_fold - 1) * effect - induction) / cd38_lag",
            {"effect": EFFECT, "induction": "[1] CD38 over that without the drug"},
            is_rate=True,
        ),
    ),
    "proteasome": (
        Equation(
            "hazard of a plasma cell",
            "kill_rate * hill(effect, half_inhibition, steepness) * sensitivity * shielded(adherence, adhesion_fold)",
            {
                "effect": "[1] fraction of proteasomes inhibited",
                "sensitivity": f"{SENSITIVITY}; a resistant one at least `kept_in_resistant`",
                "adherence": ADHERENCE,
            },
        ),
        Equation(
            "stress of a clone",
            "hill(effect, half_inhibition, steepness) * response",
            {"effect": "[1] fraction of proteasomes inhibited", "response": "[1] how far the clone is stressed, 1 a sensitive one"},
        ),
    ),
    "glucocorticoid": (
        Equation(
            "hazard of a plasma cell",
            "kill_rate * effect * sensitivity * shielded(adherence, adhesion_fold)",
            {"effect": EFFECT, "sensitivity": SENSITIVITY, "adherence": ADHERENCE},
        ),
        Equation("hazard of a lymphocyte", "lympholysis * effect", {"effect": EFFECT}),
        Equation("lytic capacity of T and NK cells", "1 - lytic_loss * effect", {"effect": EFFECT}),
    ),
    "adenosine": (
        Equation(
            "0",
            "diffusivity * laplacian(level) - clearance * level + source",
            {
                "level": "[K(A2A)] adenosine over the level that halves effector function",
                "clearance": "[1/h] `clearance_cell` on a site with a cell, `clearance_free` on one without",
                "source": "[1/h] made by the cell of a site: through its CD38 as far as the enzyme is active, and by other routes",
            },
        ),
    ),
    "interleukin6": (
        Equation(
            "0",
            SPREAD.format("clearance"),
            {"level": "[1] interleukin-6 over the patient's mean at eligibility", "source": "[1/h] made by the cell of a site"},
        ),
    ),
    "chemokine": (
        Equation(
            "0",
            SPREAD.format("clearance"),
            {"level": "[1] CCL3 over the patient's mean at eligibility", "source": "[1/h] made by the cell of a site"},
        ),
    ),
    "suppression": (
        Equation(
            "restraint",
            "(1 - max_adenosine * adenosine / (1 + adenosine)) / (1 + neighbour_strength * suppressors)",
            {"adenosine": "[K(A2A)] around the cell", "suppressors": "[1] nearby in the mean of half a day, by strength, 1 an MDSC"},
        ),
        Equation(
            "granzyme",
            "refill * (activity * restraint * stimulation - granzyme)",
            {
                "activity": "[1] functional capacity of the cell, 0 exhausted to 1 fresh",
                "restraint": "[1] as above",
                "stimulation": "[1] what IMiD and glucocorticoid make of it",
                "granzyme": "[1] lytic granules of the cell",
            },
            is_rate=True,
        ),
    ),
    "exhaustion": (
        Equation(
            "activity without a drug",
            "(1 + exhaustion * load) ** -1",
            {"exhaustion": "[site] of the patient, times `nk_share` for NK cells", "load": "[1/site] plasma cells"},
        ),
        Equation(
            "activity",
            "pace * (base + (1 - base) * revival - activity)",
            {"base": "[1] as above", "revival": "[1] share of exhaustion that an IMiD takes back", "activity": "[1] of the cell"},
            is_rate=True,
        ),
    ),
    "t_cell_killing": (
        Equation(
            "hazard of a plasma cell", "lysis_rate * contact", {"contact": "[1] tumour-reactive T cells in contact, by their granzyme"}
        ),
    ),
    "t_cell_recovery": (
        Equation(
            "division of a tumour-reactive T cell",
            "expansion * granzyme ** steepness * saturation(load, half_antigen) * share",
            {
                "granzyme": "[1] lytic granules of the cell",
                "load": "[1/site] plasma cells",
                "share": "[1] of cytokines: supply under an IMiD, times T cells that the blood alone would keep over T cells",
            },
        ),
    ),
    "recruitment": (
        Equation(
            "arrivals of a suppressor, relative to turnover",
            "1 - tumour_drive + tumour_drive * min(load, most_load)",
            {"load": "[1] tumour load over that at eligibility"},
        ),
    ),
    "turnover": (Equation("hazard of an immune cell", "renewal", {"renewal": "[1/h] turnover of its type; of NK cells, of the patient"}),),
    "motility": (
        Equation(
            "mean square displacement along an axis in a stop",
            "2 * diffusivity * stop",
            {"diffusivity": "[site2/h] motility of the type of cell"},
        ),
    ),
    "adhesion": (
        Equation(
            "share of a drug's effect on a cell that the niche holds",
            "shielded(adherence, adhesion_fold)",
            {"adherence": "[1] 1 with stroma among its neighbours, else 0", "adhesion_fold": "[1] resistance to the drug, of each drug"},
        ),
    ),
    "growth": (
        Equation(
            "division of a plasma cell with room",
            "division * (1 - dependence + dependence * (2 * il6 / (1 + il6)))",
            {
                "division": "[1/h] of the clone",
                "dependence": "[1] `il6_dependence`, in a clone that resists a drug times `il6_residual`",
                "il6": "[1] interleukin-6 over the patient's mean at eligibility",
            },
        ),
        Equation("hazard of a plasma cell", "apoptosis", {}),
    ),
}

SYMBOLS: dict[str, str] = {
    "accessible": "a",
    "activity": "A",
    "adenosine": "a",
    "adherence": "h",
    "adhesion_fold": "f_h",
    "apoptosis": "k_0",
    "armed_fold": "f_a",
    "base": "b",
    "binding_constant": "K_d",
    "bound": "B",
    "cd16": "R",
    "cell_cost": r"\kappa",
    "cd38": "C",
    "cd38_fold": "f_{CD38}",
    "cd38_lag": r"\tau",
    "clearance": "u",
    "competition": r"\Sigma",
    "contact": "N_c",
    "crew": "w",
    "dependence": r"\delta",
    "diffusivity": "D",
    "division": "g",
    "effect": "E",
    "engulfed": "U",
    "engulfment_rate": "k",
    "escaped": "A",
    "exchange": "k_x",
    "exhaustion": r"\chi",
    "expansion": "k",
    "fitness": r"\phi",
    "floor": r"S_\infty",
    "fratricide": "k",
    "free": "M",
    "granzyme": "G",
    "half_antigen": "L_{50}",
    "half_density": "B_{50}",
    "half_inhibition": "E_{50}",
    "held": "H",
    "il6": "c",
    "il6_inhibition": r"\iota",
    "induction": "I",
    "inhibitors": "P",
    "kill_rate": "k",
    "left": "F",
    "level": "c",
    "load": "L",
    "loss": r"\lambda",
    "lympholysis": r"k_\ell",
    "lysis_rate": "k",
    "lytic_loss": r"\ell",
    "macrophages": r"N_M",
    "max_adenosine": "m_a",
    "max_inhibition": "m",
    "max_rate": "k",
    "max_release": "m_r",
    "max_slowing": "m_s",
    "most_load": r"L_{\max}",
    "neighbour_strength": r"\sigma",
    "nibbling_share": r"\nu",
    "occupancy": r"\theta",
    "pace": r"\rho",
    "partition": "p",
    "plasma": "C",
    "protection": r"\gamma",
    "receptors": "F_0",
    "recovery": "r",
    "refill": r"\rho",
    "renewal": "r",
    "response": r"\omega",
    "restraint": "q",
    "revival": "v",
    "sensitivity": "s",
    "share": "z",
    "shedding": "k_s",
    "source": "s",
    "steepness": "n",
    "stimulation": "x",
    "stimulation_fold": "f_x",
    "spent": r"\varsigma",
    "stop": r"\Delta t",
    "stress": "x",
    "stressed_fold": "f",
    "stripped": "V",
    "supply_fold": "f_s",
    "suppressors": "N",
    "surface": "S",
    "tumour_drive": r"\eta",
    "turnover": r"\mu",
}
