"""Which curves the live page draws, from which columns."""

from collections.abc import Iterable
from typing import Any

from tme_abm.marrow.cell_types import records
from tme_viz.colours import CLASSES, COLOURS, FIELDS, SEVERAL, of_cause, of_class
from tme_viz.pair import Pair
from tme_viz.words import drug, words


def charts(pair: Pair, language: str) -> list[dict[str, Any]]:
    """The charts, each with its series, for curves.vue."""
    w, at = words(language), {name: i for i, name in enumerate(pair.columns)}

    def chart(key: str, title: str, unit: str, series: list[tuple[str, str, str]], **more: Any) -> dict[str, Any]:
        lines = [{"label": label, "column": at[column], "colour": colour} for label, column, colour in series]
        return {"key": key, "title": title, "unit": unit, "series": lines, "log": False, "floor": 0.0, "top": 0.0, **more}

    drugs = chart(
        "drugs",
        w["drugs_title"],
        w["drugs_unit"],
        [(drug(name, language), f"concentration_{name}_ug_per_ml", of_class(pair.study.drugs[name].drug_class)) for name in pair.drugs],
        log=True,
        floor=1e-3,
    )
    for i, (line, name) in enumerate(zip(drugs["series"], pair.drugs, strict=True)):
        line |= {"doses": at[f"dose_{name}_mg"], "rank": i}
    panels: dict[str, list[str]] = {}  # of types of cells, as their records say
    for kind, record in records().items():
        if record.panel:
            panels.setdefault(record.panel, []).append(kind.name)
    cells = [
        chart(panel, w.get(panel, ", ".join(w[k] for k in kinds)), w["in_patch"], [(w[k], f"{k.lower()}_cells", COLOURS[k]) for k in kinds])
        for panel, kinds in panels.items()
    ]
    return [
        chart("m_protein", w["m_protein"], "g/L", [(w["m_protein"], "m_protein_g_per_l", "")]),  # one colour an arm
        chart(
            "clones",
            w["clones_carrying"],
            w["cells_in_body"],
            [
                (w["all_cells"], "tumour_cells_total", SEVERAL),
                (w["sensitive"], "clone_sensitive", COLOURS["PLASMA"]),
                (w["carrying_imid"], "clone_with_imid", CLASSES["imid"]),
                (w["carrying_proteasome"], "clone_with_proteasome", CLASSES["proteasome_inhibitor"]),
                (w["carrying_antibody"], "clone_with_antibody", CLASSES["antibody"]),
            ],
            log=True,
            floor=1e4,
        ),
        chart("cd38", w["cd38_title"], w["cd38_unit"], [(w["cd38_title"], "cd38_sites_per_cell", "")]),
        *cells[:1],
        chart(
            "activity",
            w["activity_title"],
            w["activity_unit"],
            [(w["T"], "t_cell_activity", COLOURS["T"]), (w["NK"], "nk_activity", COLOURS["NK"])],
            top=1.0,
        ),
        chart(
            "granzyme",
            w["granzyme_title"],
            w["granzyme_unit"],
            [(w["T"], "t_cell_granzyme", COLOURS["T"]), (w["NK"], "nk_granzyme", COLOURS["NK"])],
        ),
        *cells[1:],
        chart(
            "fields",
            w["fields"],
            w["fields_unit"],
            [(w["adenosine"], "adenosine", FIELDS["adenosine"]), (w["il6"], "il6", FIELDS["il6"])],
        ),
        drugs,
    ]


def causes(pair: Pair, language: str) -> list[dict[str, Any]]:
    """The rows of the ledger of deaths."""
    at = {name: i for i, name in enumerate(pair.columns)}
    return [{**cause, "column": at[f"deaths_{cause['name']}"]} for cause in cause_words(pair.study.settings.catalogue.causes, language)]


def cause_words(known: Iterable[str], language: str) -> list[dict[str, Any]]:
    """What each cause of death is called, and its colour."""
    names = words(language)["cause"]
    return [{"name": cause, "label": names.get(cause, cause.replace("_", " ")), "colour": of_cause(cause)} for cause in known]
