"""What each colour of the page means: one meaning each, wherever it stands.

A drug, what dies of it and what resists it share a colour, and so do an effector cell and what it kills. Types of cells have theirs in
their records (Okabe and Ito's palette, told apart in every common form of colour blindness); they also differ in size and shape.
"""

from typing import NamedTuple

from tme_abm.marrow.cell_types import records

COLOURS = {kind.name: record.colour for kind, record in records().items()}
ARMS = {False: ("#20242B", "#D6148C"), True: ("#F1F3F6", "#FF7AC6")}  # left and right, by whether the page is dark
CLASSES = {"antibody": "#8C510A", "imid": "#00838F", "proteasome_inhibitor": "#7A9A01", "glucocorticoid": "#B08D7A"}
OTHER_DRUG = "#546E7A"  # any class without a colour of its own, such as alkylators
CAUSES = {
    "adcc": COLOURS["NK"],
    "adcp": COLOURS["MACROPHAGE"],
    "t_cell": COLOURS["T"],
    "direct": CLASSES["antibody"],
    "cdc": "#FF5252",
    "imid": CLASSES["imid"],
    "proteasome": CLASSES["proteasome_inhibitor"],
    "glucocorticoid": CLASSES["glucocorticoid"],
    "depletion": "#5B3A1A",
    "fratricide": "#B8A800",
    "turnover": "#1B2A33",
}
FROM_OUTSIDE = "#A300D6"  # a cause of death that a mechanism from outside brings
KILLERS = {"adcc": "NK", "adcp": "MACROPHAGE", "t_cell": "T"}  # cause of death -> type of the cell that does it
FIELDS = {"adenosine": "#6A1B9A", "il6": "#00695C", "chemokine": "#1A237E"}  # of the highest level
SEVERAL = "#5C5C5C"  # a clone that resists several classes of drug
CLONES = (  # by number: bits say which classes of drug it resists
    COLOURS["PLASMA"],
    CLASSES["imid"],
    CLASSES["proteasome_inhibitor"],
    SEVERAL,
    CLASSES["antibody"],
    SEVERAL,
    SEVERAL,
    SEVERAL,
)


class Shades(NamedTuple):
    """Colours of low to high levels.

    Attributes:
        low: Of the lowest level of what fills space; its highest is in `FIELDS`, lighter where the page is dark.
        ramp: Of what belongs to cells, evenly spaced.
    """

    low: str
    ramp: tuple[str, ...]


SHADES = {  # by whether the page is dark; the ramp is cividis, lighter at its low end where the page is dark
    False: Shades("#FBFBFC", ("#00224E", "#575D6D", "#A59C74", "#FEE838")),
    True: Shades("#14171C", ("#3F63AD", "#7D828C", "#BDB27C", "#FEE838")),
}
DARK_FIELDS = {"adenosine": "#C77DFF", "il6": "#4DD0B8", "chemokine": "#8C9EFF"}


def field_colours(layer: str, dark: bool) -> tuple[str, str]:
    """The colours of the lowest and the highest level of what fills space; the same one twice where nothing is shown."""
    low = SHADES[dark].low
    return low, (DARK_FIELDS if dark else FIELDS).get(layer, low)


def of_class(drug_class: str) -> str:
    """The colour of a class of drugs."""
    return CLASSES.get(drug_class, OTHER_DRUG)


def of_cause(cause: str) -> str:
    """The colour of a cause of death."""
    return CAUSES.get(cause, FROM_OUTSIDE)
